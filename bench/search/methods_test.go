package search

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/lockstep-go/lockstep/internal/philox"
)

// wavy is bowl with 25 or so other hills around its own.
func wavy(ctx context.Context, t Trial) (float64, []float64, error) {
	score, curve, err := bowl(ctx, t)
	x, y := inCube(t)
	return score - 0.05*(2-math.Cos(20*(x-0.3))-math.Cos(20*(y-0.8))), curve, err
}

// TestBeatsRandom has what holds by a wide margin over 100 seeds on two functions, with the
// same number of epochs for each method: how far the best trial is from the greatest value
// is in the median at most so many parts of what random search leaves.
func TestBeatsRandom(t *testing.T) {
	const seeds = 100
	for name, objective := range map[string]Objective{"bowl": bowl, "wavy": wavy} {
		distance := map[Method]float64{}
		for _, method := range Methods() {
			var all []float64
			for seed := range uint64(seeds) {
				trials := run(t, Options{Method: method, Space: space, Trials: 100, Epochs: 50, Seed: seed}, objective)
				all = append(all, -1.0/50-trials[0].Score)
			}
			slices.Sort(all)
			distance[method] = all[seeds/2]
		}
		for method, most := range map[Method]float64{Halving: 0.5, Hyperband: 0.75, Genetic: 0.5, TPE: 0.2} {
			if ratio := distance[method] / distance[Random]; !(ratio <= most) {
				t.Errorf("%s: %s is %.2g from the best, %.2f of random search, want at most %g", name, method, distance[method], ratio, most)
			} else {
				t.Logf("%s: %s is %.2g from the best, %.2f of random search", name, method, distance[method], ratio)
			}
		}
	}
}

// TestHyperbandTable has table 1 of the paper: R = 81 and eta = 3.
func TestHyperbandTable(t *testing.T) {
	want := []bracket{
		{[]int{81, 27, 9, 3, 1}, []int{1, 3, 9, 27, 81}},
		{[]int{34, 11, 3, 1}, []int{3, 9, 27, 81}},
		{[]int{15, 5, 1}, []int{9, 27, 81}},
		{[]int{8, 2}, []int{27, 81}},
		{[]int{5}, []int{81}},
	}
	cost := 0
	for _, b := range want {
		cost += b.cost()
	}
	if got := hyperbands(cost, 81); !reflect.DeepEqual(got, want) {
		t.Errorf("the budget for one round: %v, want %v", got, want)
	}
	if got := hyperbands(2*cost, 81); !reflect.DeepEqual(got, slices.Concat(want, want)) {
		t.Errorf("the budget for two rounds: %v, want %v twice", got, want)
	}
	if got, want := hyperbands(50+49, 50), []bracket{{[]int{1}, []int{50}}}; !reflect.DeepEqual(got, want) {
		t.Errorf("the budget for one training: %v, want %v", got, want)
	}
	if got, want := newBracket(27, 3, 50), (bracket{[]int{27, 9, 3, 1}, []int{2, 6, 17, 50}}); !reflect.DeepEqual(got, want) {
		t.Errorf("27 trials for 50 epochs: %v, want %v", got, want)
	}
}

// TestHalvingKeepsTheBest follows the rungs: those that go on are the best, and the best of
// all goes to the end where more epochs change no order.
func TestHalvingKeepsTheBest(t *testing.T) {
	for seed := range uint64(20) {
		rungs := map[int][]Trial{}
		trials := run(t, Options{Method: Halving, Space: space, Trials: 10, Epochs: 27, Seed: seed, Report: func(t Trial) {
			rungs[t.Epochs] = append(rungs[t.Epochs], t)
		}}, func(_ context.Context, t Trial) (float64, []float64, error) {
			x, y := inCube(t)
			return min(x*y, 0.7), nil, nil // the upper ones are equal
		})
		epochs := []int{1, 3, 9, 27}
		for i, e := range epochs[:3] {
			rung := rungs[e]
			slices.SortFunc(rung, func(a, b Trial) int {
				return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Number, b.Number))
			})
			next := rungs[epochs[i+1]]
			if len(next) != len(rung)/3 {
				t.Errorf("seed %d: %d of %d trials go on from %d epochs, want a third", seed, len(next), len(rung), e)
			}
			for _, best := range rung[:len(rung)/3] {
				if !slices.ContainsFunc(next, func(t Trial) bool { return t.Number == best.Number }) {
					t.Errorf("seed %d: trial %d of score %v after %d epochs is not among the %d that go on", seed, best.Number, best.Score, e, len(next))
				}
			}
		}
		if best := trials[0]; best.Epochs != 27 || best.Number != rungs[1][0].Number {
			t.Errorf("seed %d: the best is trial %d after %d epochs, want trial %d after 27", seed, best.Number, best.Epochs, rungs[1][0].Number)
		}
	}
}

// TestGetsNearer: the places that TPE and the genetic search propose last are on the mean
// less than half as far from the best place as the first ones, which are anywhere. It holds
// for each of the seeds.
func TestGetsNearer(t *testing.T) {
	for _, method := range []Method{Genetic, TPE} {
		for seed := range uint64(40) {
			trials := run(t, Options{Method: method, Space: space, Trials: 100, Epochs: 1, Seed: seed}, bowl)
			var first, last float64
			for _, trial := range trials {
				x, y := inCube(trial)
				distance := math.Hypot(x-0.3, y-0.8)
				switch {
				case trial.Number < 20:
					first += distance / 20
				case trial.Number >= 80:
					last += distance / 20
				}
			}
			if !(last < first/2) {
				t.Errorf("%s, seed %d: the mean distance goes from %.3f to %.3f, want less than half", method, seed, first, last)
			}
		}
	}
}

// TestGenerations: in the median of seeds each generation is better than the one before.
func TestGenerations(t *testing.T) {
	const seeds = 41
	var median [5]float64
	var of [5][]float64
	for seed := range uint64(seeds) {
		var sum [5]float64
		for _, trial := range run(t, Options{Method: Genetic, Space: space, Trials: 100, Epochs: 1, Seed: seed}, bowl) {
			sum[trial.Number/population] += trial.Score / population
		}
		for i, s := range sum {
			of[i] = append(of[i], s)
		}
	}
	for i := range median {
		slices.Sort(of[i])
		median[i] = of[i][seeds/2]
		if i > 0 && !(median[i] > median[i-1]) {
			t.Errorf("the mean scores of the generations are in the median %.3f, want them to rise", median[:i+1])
		}
	}
}

func TestParzen(t *testing.T) {
	for _, x := range [][]float64{{}, {0.5}, {0}, {1}, {0.2, 0.2, 0.2}, {0.9, 0.1, 0.11, 0.6}} {
		p := newParzen(x)
		const n = 2000
		var sum [n + 1]float64 // the distribution function, by the rule of the middle
		for i := range n {
			d := p.density((float64(i) + 0.5) / n)
			if !(d > 0) {
				t.Errorf("around %v: the density is %v, want it positive", x, d)
			}
			sum[i+1] = sum[i] + d/n
		}
		if math.Abs(sum[n]-1) > 1e-5 {
			t.Errorf("around %v: the density has the sum %v, want 1", x, sum[n])
		}
		random := &numbers{stream: philox.Stream{Seed: 1, Purpose: philox.Search}}
		var drawn []float64
		for range n {
			drawn = append(drawn, p.draw(random))
		}
		slices.Sort(drawn)
		for i, v := range drawn { // Kolmogorov and Smirnov; by chance above 0.044 once in 1000
			if d := math.Abs(sum[int(v*n)] - float64(i)/n); d > 0.05 {
				t.Errorf("around %v: %v is at %d of %d, want it near %v", x, v, i, n, sum[int(v*n)]*n)
				break
			}
		}
	}
	if p, want := newParzen([]float64{0.9, 0.1, 0.4}), []float64{0.3, 0.5, 0.5}; fmt.Sprintf("%.6f", p.deviations) != fmt.Sprintf("%.6f", want) {
		t.Errorf("the deviations around 0.1, 0.4 and 0.9 are %v, want %v", p.deviations, want)
	}
	for z := -6.0; z < 6; z += 0.01 {
		if got, want := cumulative(z), math.Erfc(-z/math.Sqrt2)/2; math.Abs(got-want) > 1e-7 {
			t.Errorf("cumulative(%v) is %v, want %v", z, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	random := &numbers{stream: philox.Stream{Seed: 1, Purpose: philox.Search}, next: 1}
	seen := map[uint64]bool{}
	for _, kind := range []string{"float", "normal", "index", "normal", "normal", "float"} {
		before := random.next
		switch kind {
		case "float":
			random.float()
		case "index":
			random.index(3)
		case "normal":
			if got, want := random.normal(), random.stream.Normal(random.next-2); got != want {
				t.Errorf("normal after position %d is %v, want %v", before, got, want)
			}
			before = random.next - 2
		}
		for pos := before; pos < random.next; pos++ {
			if seen[pos] {
				t.Errorf("%s uses position %d again", kind, pos)
			}
			seen[pos] = true
		}
	}
}
