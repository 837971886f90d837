package optim_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lockstep-go/lockstep/optim"
)

// TestLookahead compares with the slow weights by hand: in float32 to the bit, and with
// algorithm 1 in float64 to 2e-6 of the way that a parameter has come.
func TestLookahead(t *testing.T) {
	const n, steps, lr, bound = 67, 23, 0.1, 2e-6
	for _, o := range []struct {
		given optim.LookaheadOptions
		k     int
		alpha float64
	}{
		{optim.LookaheadOptions{}, 5, 0.5},
		{optim.LookaheadOptions{K: 3, Alpha: 0.8}, 3, 0.8},
		{optim.LookaheadOptions{K: 1, Alpha: 0.25}, 1, 0.25},
		{optim.LookaheadOptions{K: 4, Alpha: 1}, 4, 1},
	} {
		sgd := optim.NewSGD(n, optim.SGDOptions{LR: lr})
		opt := optim.NewLookahead(n, sgd, o.given)
		rng := rand.New(rand.NewPCG(21, 22))
		p := normals(rng, n)
		exact, slow := slices.Clone(p), slices.Clone(p)
		oracle, slow64, way := make([]float64, n), make([]float64, n), make([]float64, n)
		for i, x := range p {
			oracle[i], slow64[i], way[i] = float64(x), float64(x), math.Abs(float64(x))
		}
		for i := 1; i <= steps; i++ {
			grads := normals(rng, n)
			step(t, "lookahead", opt, p, grads, 2)
			for j, g := range grads {
				exact[j] -= float32(float32(lr) * g)
				oracle[j] -= lr * float64(g)
				way[j] += math.Abs(lr * float64(g))
				if i%o.k == 0 {
					slow[j] += float32(float32(o.alpha) * (exact[j] - slow[j]))
					if o.alpha == 1 {
						slow[j] = exact[j]
					}
					exact[j] = slow[j]
					slow64[j] += o.alpha * (oracle[j] - slow64[j])
					oracle[j] = slow64[j]
				}
				if p[j] != exact[j] {
					t.Fatalf("%+v: step %d, element %d: %v, want %v", o.given, i, j, p[j], exact[j])
				}
				if e := math.Abs(float64(p[j])-oracle[j]) / way[j]; !(e <= bound) {
					t.Fatalf("%+v: step %d, element %d: %v, float64 has %v: error %.2g of the way", o.given, i, j, p[j], oracle[j], e)
				}
			}
			if j := differ(opt.State().Vectors["slow"], slow); j >= 0 {
				t.Fatalf("%+v: step %d: the slow weight %d differs", o.given, i, j)
			}
		}
		opt.SetLR(0.25)
		if got := opt.LR(); got != 0.25 || sgd.LR() != 0.25 {
			t.Errorf("LR() = %v and the inner one's %v after SetLR(0.25)", got, sgd.LR())
		}
		if got := opt.Name(); got != "lookahead" {
			t.Errorf("Name() = %q", got)
		}
	}
	wantPanic(t, "optim: lookahead.Step: len(params) = 2, want the n = 3", func() {
		_ = optim.NewLookahead(3, optim.NewSGD(2, optim.SGDOptions{}), optim.LookaheadOptions{}).Step(make([]float32, 2), make([]float32, 2))
	})
	wantPanic(t, "optim: sgd.Step: len(params) = 3 and len(grads) = 3, want the n = 2", func() {
		_ = optim.NewLookahead(3, optim.NewSGD(2, optim.SGDOptions{}), optim.LookaheadOptions{}).Step(make([]float32, 3), make([]float32, 3))
	})
}

// TestAverage compares the means with loops in float32, to the bit, and in float64, to
// 2e-6 of the largest weight that went in.
func TestAverage(t *testing.T) {
	const updates, bound = 40, 2e-6
	for _, n := range []int{0, 1, 67, 1<<14 + 5} {
		for _, test := range []struct {
			name   string
			made   *optim.Average
			weight func(t float64) float64
		}{
			{"ema 0.9", optim.NewEMA(n, 0.9), func(float64) float64 { return 1 - 0.9 }},
			{"ema 0.37", optim.NewEMA(n, 0.37), func(float64) float64 { return 1 - 0.37 }},
			{"swa", optim.NewSWA(n), func(t float64) float64 { return 1 / t }},
		} {
			rng := rand.New(rand.NewPCG(23, 24))
			exact, oracle, sum := make([]float32, n), make([]float64, n), make([]float64, n)
			var most float64
			for i := 1; i <= updates; i++ {
				p := normals(rng, n)
				test.made.Update(p, 2)
				if i == 1 {
					if j := differ(test.made.Params(), p); j >= 0 {
						t.Fatalf("%s: the first update leaves %v, want a copy of %v", test.name, test.made.Params()[j], p[j])
					}
				}
				w := test.weight(float64(i))
				for j, x := range p {
					most = max(most, math.Abs(float64(x)))
					sum[j] += float64(x)
					if i == 1 {
						exact[j], oracle[j] = x, float64(x)
					} else {
						exact[j] += float32(float32(w) * (x - exact[j]))
						oracle[j] = (1-w)*oracle[j] + w*float64(x)
					}
					got := test.made.Params()[j]
					if got != exact[j] {
						t.Fatalf("%s: update %d, element %d: %v, want %v", test.name, i, j, got, exact[j])
					}
					want := oracle[j]
					if test.name == "swa" {
						want = sum[j] / float64(i)
					}
					if e := math.Abs(float64(got)-want) / most; !(e <= bound) {
						t.Fatalf("%s: update %d, element %d: %v, float64 has %v: error %.2g of the largest", test.name, i, j, got, want, e)
					}
				}
			}
		}
	}
}
