package nn_test

import (
	"fmt"
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
