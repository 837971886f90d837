package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/lockstep-go/lockstep/internal/philox"
	"github.com/lockstep-go/lockstep/nn"
)

// TestDraw: row i of a batch is the sample that its address chooses, with what
// the set has for it and no more; whatever was in the batch before.
func TestDraw(t *testing.T) {
	const in, out, seed = 3, 2, 9
	full := newData(rand.New(rand.NewPCG(1, 5)), 50, in, out)
	used := newData(rand.New(rand.NewPCG(1, 6)), 300, in, out)
	for _, set := range []*nn.Data{
		full,
		{Rows: 50, X: full.X, Labels: full.Labels},
		{Rows: 50, X: full.X, Targets: full.Targets},
		{Rows: 1, X: full.X[:in]},
	} {
		for _, rows := range []int{0, 1, 16, 200} {
			for step := range uint32(3) {
				name := fmt.Sprintf("%d of %d rows, %d labels, %d targets, step %d", rows, set.Rows, len(set.Labels), len(set.Targets), step)
				want := nn.Data{Rows: rows}
				stream := philox.Stream{Seed: seed, Purpose: philox.Batch, Step: step}
				for i := range rows {
					j := stream.Index(uint64(i), set.Rows)
					want.X = append(want.X, set.X[j*in:][:in]...)
					if set.Labels != nil {
						want.Labels = append(want.Labels, set.Labels[j])
					}
					if set.Targets != nil {
						want.Targets = append(want.Targets, set.Targets[j*out:][:out]...)
					}
				}
				for _, batch := range []*nn.Data{{}, used} {
					batch.Draw(set, rows, seed, step)
					if batch.Rows != rows || !slices.Equal(batch.X, want.X) ||
						!slices.Equal(batch.Labels, want.Labels) || !slices.Equal(batch.Targets, want.Targets) {
						t.Errorf("%s: %v, want %v", name, *batch, want)
					}
				}
			}
		}
	}

	var a, b nn.Data
	a.Draw(full, 200, seed, 0)
	b.Draw(full, 200, seed, 1)
	if reflect.DeepEqual(a, b) {
		t.Error("two steps have the same batch")
	}
	b.Draw(full, 200, seed+1, 0)
	if reflect.DeepEqual(a, b) {
		t.Error("two seeds have the same batch")
	}
}

func TestDrawPanics(t *testing.T) {
	var batch nn.Data
	for _, test := range []struct {
		set  nn.Data
		rows int
		want string
	}{
		{nn.Data{}, 1, "nn.Data.Draw: len(set.X) = 0 and rows = 0, want rows >= 1"},
		{nn.Data{Rows: 2, X: make([]float32, 3)}, 1, "nn.Data.Draw: len(set.X) = 3 and rows = 2"},
		{nn.Data{Rows: 2, X: make([]float32, 2), Labels: make([]int32, 1)}, 1, "nn.Data.Draw: len(set.Labels) = 1, want 2 rows of 1"},
		{nn.Data{Rows: 2, X: make([]float32, 2), Targets: make([]float32, 3)}, 1, "nn.Data.Draw: len(set.Targets) = 3 and rows = 2"},
		{nn.Data{Rows: 2, X: make([]float32, 2)}, -1, "nn.Data.Draw: rows = -1, want at least 0"},
	} {
		wantPanic(t, test.want, func() { batch.Draw(&test.set, test.rows, 1, 1) })
	}
	if !reflect.DeepEqual(batch, nn.Data{}) {
		t.Errorf("a refused Draw left %v", batch)
	}
}

// TestTake: the rows in the order asked for, and no others.
func TestTake(t *testing.T) {
	set := &nn.Data{Rows: 3, X: []float32{1, 2, 3, 4, 5, 6}, Labels: []int32{7, 8, 9}, Targets: []float32{10, 20, 30}}
	batch := nn.Data{X: make([]float32, 100)}
	batch.Take(set, []int{2, 0, 2})
	if want := (nn.Data{Rows: 3, X: []float32{5, 6, 1, 2, 5, 6}, Labels: []int32{9, 7, 9}, Targets: []float32{30, 10, 30}}); fmt.Sprint(batch) != fmt.Sprint(want) {
		t.Errorf("rows 2, 0, 2: %v, want %v", batch, want)
	}
	wantPanic(t, "nn.Data.Take: set is the batch itself", func() { batch.Take(&batch, nil) })
	for _, index := range []int{-1, 3} {
		wantPanic(t, fmt.Sprintf("nn.Data.Take: indices[1] = %d, want 0 to set.Rows - 1 = 2", index), func() { batch.Take(set, []int{0, index}) })
	}
}

// TestSplit: each sample is on one side, as many are held out as the fraction says, and the
// seed chooses which.
func TestSplit(t *testing.T) {
	set := &nn.Data{Rows: 50, X: make([]float32, 50), Labels: make([]int32, 50)}
	for i := range 50 {
		set.X[i], set.Labels[i] = float32(i), int32(i)
	}
	var first []int32
	for seed := range uint64(3) {
		train, held := set.Split(0.25, seed)
		if train.Rows != 37 || held.Rows != 13 { // 12.5 rounds away from zero
			t.Fatalf("%d and %d rows, want 37 and 13", train.Rows, held.Rows)
		}
		labels := slices.Concat(train.Labels, held.Labels)
		slices.Sort(labels)
		if !slices.Equal(labels, set.Labels) {
			t.Errorf("the sides have %v, want each sample once", labels)
		}
		if seed > 0 && slices.Equal(first, held.Labels) {
			t.Error("two seeds hold out the same")
		}
		first = held.Labels
	}
	for _, fraction := range []float64{0, 1, -0.5, 0.001, 0.999, math.NaN()} {
		wantPanic(t, fmt.Sprintf("nn.Data.Split: fraction = %v of 50 rows", fraction), func() { set.Split(fraction, 1) })
	}
}

// TestPermutation: each number once, in another order for each epoch and seed; each place
// is as likely for each number.
func TestPermutation(t *testing.T) {
	const n, times = 5, 6000
	var counts [n][n]float64
	for epoch := range uint32(times) {
		order := nn.Permutation(n, 1, epoch)
		for at, i := range order {
			counts[i][at]++
		}
	}
	for i, row := range counts {
		for at, count := range row {
			if want := float64(times) / n; math.Abs(count-want) > 5*math.Sqrt(want) {
				t.Errorf("%d was at place %d %v times, want about %v", i, at, count, want)
			}
		}
	}
	if got, want := nn.Permutation(10, 1, 0), []int{4, 3, 7, 9, 8, 6, 2, 5, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("the first order of 10 is %v, want %v on every machine", got, want)
	}
}
