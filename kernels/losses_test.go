package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestErrorSpecials has the results that must come out exactly.
func TestErrorSpecials(t *testing.T) {
	const (
		largest  = math.MaxFloat32
		smallest = math.SmallestNonzeroFloat32
	)
	nan, inf, zero := float32(math.NaN()), float32(math.Inf(1)), float32(math.Copysign(0, -1))
	type errorFunc = func(grad, y, target []float32, scale float32, limit ...Threads) float64
	huber := func(grad, y, target []float32, scale float32, limit ...Threads) float64 {
		return HuberError(grad, y, target, 1, scale, limit...)
	}
	for _, c := range []struct {
		name      string
		f         errorFunc
		y, target float32
		grad      float32 // with scale 1
		sum       float64
	}{
		{"AbsoluteError", AbsoluteError, 3, 1, 1, 2},
		{"AbsoluteError", AbsoluteError, 1, 3, -1, 2},
		{"AbsoluteError", AbsoluteError, 0, 0, 0, 0},
		{"AbsoluteError", AbsoluteError, zero, 0, zero, 0},
		{"AbsoluteError", AbsoluteError, smallest, 0, 1, smallest},
		{"AbsoluteError", AbsoluteError, 0, smallest, -1, smallest},
		{"AbsoluteError", AbsoluteError, largest, -largest, 1, math.Inf(1)},
		{"AbsoluteError", AbsoluteError, -inf, 0, -1, math.Inf(1)},
		{"AbsoluteError", AbsoluteError, inf, inf, nan, math.NaN()},
		{"AbsoluteError", AbsoluteError, nan, 0, nan, math.NaN()},
		{"AbsoluteError", AbsoluteError, 0, nan, nan, math.NaN()},

		{"HuberError", huber, 0.5, 0, 0.5, 0.125},
		{"HuberError", huber, 0, 0.5, -0.5, 0.125},
		{"HuberError", huber, 1, 0, 1, 0.5},
		{"HuberError", huber, 0, 1, -1, 0.5},
		{"HuberError", huber, 3, 0, 1, 2.5},
		{"HuberError", huber, 0, 3, -1, 2.5},
		{"HuberError", huber, 0, 0, 0, 0},
		{"HuberError", huber, zero, 0, zero, 0},
		{"HuberError", huber, smallest, 0, smallest, 0x1p-299},
		{"HuberError", huber, largest, 0, 1, largest},
		{"HuberError", huber, largest, -largest, 1, math.Inf(1)},
		{"HuberError", huber, -inf, 0, -1, math.Inf(1)},
		{"HuberError", huber, inf, inf, nan, math.NaN()},
		{"HuberError", huber, nan, 0, nan, math.NaN()},
		{"HuberError", huber, 0, nan, nan, math.NaN()},

		{"LogisticError", LogisticError, 0, 0.25, 0.25, math.Ln2},
		{"LogisticError", LogisticError, zero, 0, 0.5, math.Ln2},
		{"LogisticError", LogisticError, smallest, 1, -0.5, math.Ln2},
		{"LogisticError", LogisticError, inf, 1, 0, 0},
		{"LogisticError", LogisticError, inf, 0, 1, math.Inf(1)},
		{"LogisticError", LogisticError, inf, 0.5, 0.5, math.Inf(1)},
		{"LogisticError", LogisticError, inf, 2, -1, math.Inf(-1)},
		{"LogisticError", LogisticError, -inf, 0, 0, 0},
		{"LogisticError", LogisticError, -inf, zero, 0, 0},
		{"LogisticError", LogisticError, -inf, 1, -1, math.Inf(1)},
		{"LogisticError", LogisticError, -inf, 0.5, -0.5, math.Inf(1)},
		{"LogisticError", LogisticError, largest, 1, 0, 0},
		{"LogisticError", LogisticError, largest, 0, 1, largest},
		{"LogisticError", LogisticError, largest, smallest, 1, largest},
		{"LogisticError", LogisticError, -largest, 0, 0, 0},
		{"LogisticError", LogisticError, -largest, 1, -1, largest},
		{"LogisticError", LogisticError, math.Nextafter32(700, 701), 1, 0, 0},
		{"LogisticError", LogisticError, nan, 0, nan, math.NaN()},
		{"LogisticError", LogisticError, nan, 1, nan, math.NaN()},
		{"LogisticError", LogisticError, 0, nan, nan, math.NaN()},
		{"LogisticError", LogisticError, 1, nan, nan, math.NaN()},
		{"LogisticError", LogisticError, -inf, nan, nan, math.NaN()},
	} {
		eachISA(t, func(t *testing.T) {
			const n = 37 // whole vectors and a tail
			what := fmt.Sprintf("%s of %g and %g", c.name, c.y, c.target)
			y, target, grad := slices.Repeat([]float32{c.y}, n), slices.Repeat([]float32{c.target}, n), make([]float32, n)
			if got := c.f(nil, y[:1], target[:1], 1); !same64(got, c.sum) {
				t.Errorf("%s: %g, want %g", what, got, c.sum)
			}
			// The sum of n equal numbers takes a few roundings.
			if got, want := c.f(grad, y, target, 1), n*c.sum; !(same64(got, want) || math.Abs(got-want) <= 0x1p-50*want) {
				t.Errorf("%s: %d times it is %g, want %g", what, n, got, want)
			}
			for i, got := range grad {
				if !same(got, c.grad) {
					t.Fatalf("%s: grad[%d] = %s, want %s", what, i, show(got), show(c.grad))
				}
			}
		})
	}
}

// TestErrorsWithoutGradient: the sum is the same.
func TestErrorsWithoutGradient(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 1))
		for _, n := range []int{0, 1, 50, block, 2*block + 9} {
			y, target, grad := kindNamed("normal").values(r, n), kindNamed("normal").values(r, n), make([]float32, n)
			for name, f := range map[string]func(grad []float32) float64{
				"SquaredError":  func(grad []float32) float64 { return SquaredError(grad, y, target, 2) },
				"AbsoluteError": func(grad []float32) float64 { return AbsoluteError(grad, y, target, 2) },
				"HuberError":    func(grad []float32) float64 { return HuberError(grad, y, target, 1, 2) },
				"LogisticError": func(grad []float32) float64 { return LogisticError(grad, y, target, 2) },
			} {
				if got, want := f(nil), f(grad); !same64(got, want) {
					t.Errorf("%s, n %d: %g without a gradient, %g with one", name, n, got, want)
				}
			}
		}
	})
}

func TestHuberErrorPanics(t *testing.T) {
	grad := make([]float32, 3)
	for _, delta := range []float32{0, float32(math.Copysign(0, -1)), -1, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())} {
		wantPanic(t, fmt.Sprint("delta ", delta), func() { HuberError(grad, []float32{1, 2, 3}, []float32{0, 0, 0}, delta, 1) },
			"kernels.HuberError: delta = ", fmt.Sprint(delta), "positive")
	}
	unchanged(t, "HuberError", "grad", grad, make([]float32, 3))
}

// logits are numbers of every exponent and sign, as many ordinary ones, and those
// around the places where LogisticError's formula changes.
func logits(r *rand.Rand, perExponent int) []float32 {
	var x []float32
	for e := range uint32(255) {
		for range perExponent {
			x = append(x, math.Float32frombits(e<<23|r.Uint32()>>9|r.Uint32()<<31), float32(4*r.NormFloat64()))
		}
	}
	for _, place := range []float64{-math.Log(math.Sqrt2 - 1), 87, 105, 700} {
		for d := range uint32(33) {
			v := math.Float32frombits(math.Float32bits(float32(place)) - 16 + d)
			x = append(x, v, -v)
		}
	}
	return x
}

// TestLogisticErrorTerms compares single terms with package math, to within a part
// of themselves: a loss that is nearly 0 keeps its digits. With the portable loop it
// compares bit for bit, each term alone and 32 times, of which the sum is exact.
func TestLogisticErrorTerms(t *testing.T) {
	const bound = 0x1p-33
	perExponent := 40
	if testing.Short() {
		perExponent = 10
	}
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 2))
		var worst float64
		x32, target32, grad := make([]float32, lanes), make([]float32, lanes), make([]float32, lanes)
		for _, x := range logits(r, perExponent) {
			for _, target := range []float32{0, 1, 0.5, 0x1p-30, r.Float32()} {
				for i := range x32 {
					x32[i], target32[i] = x, target
				}
				var portable float64
				onPortable(t, func() { portable = LogisticError(grad[:1], x32[:1], target32[:1], 1) })
				got := LogisticError(grad[:1], x32[:1], target32[:1], 1)
				if got32 := LogisticError(grad, x32, target32, 1); !same64(got, portable) || !same64(got32, 32*portable) {
					t.Fatalf("of %s and %g: %g, and %g for 32 of them; want %g (%#x) and 32 times that", show(x), target, got, got32, portable, math.Float64bits(portable))
				}
				want := logistic(float64(x), float64(target))
				if abs(x) > 700 {
					want = max(float64(x), 0) * (1 - float64(target))
					if x < 0 {
						want = -float64(x) * float64(target)
					}
				}
				if got == want {
					continue
				}
				off := math.Abs(got-want) / want
				worst = max(worst, off)
				if !(off <= bound) {
					t.Fatalf("of %s and %g: %g, want %g, off by %g of it, at most %g is allowed", show(x), target, got, want, off, bound)
				}
			}
		}
		t.Logf("at worst 2^%.2f of the loss", math.Log2(worst))
	})
}

// TestLogisticErrorSigmoid: the gradient is made of what Activate gives.
func TestLogisticErrorSigmoid(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 3))
		x := logits(r, 100)
		y, target, grad := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
		for i := range target {
			target[i] = r.Float32()
		}
		Activate(ActSigmoid, y, x)
		LogisticError(grad, x, target, 0.3)
		for i := range x {
			if want := (y[i] - target[i]) * 0.3; !same(grad[i], want) {
				t.Fatalf("x = %s, target %g: grad = %s, want %s", show(x[i]), target[i], show(grad[i]), show(want))
			}
		}
	})
}

// TestLog1p compares with package math: numbers of every exponent, and around √2 - 1,
// where the formula changes.
func TestLog1p(t *testing.T) {
	const bound = 0x1p-37
	r := rand.New(rand.NewPCG(11, 4))
	e := []float64{0, 1, math.Nextafter(1, 0)}
	for exponent := uint64(2); exponent < 1023; exponent++ { // below, half of it is no normal number
		for range 20 {
			e = append(e, math.Float64frombits(exponent<<52|r.Uint64()>>12))
		}
	}
	for d := range uint64(65) {
		e = append(e, math.Float64frombits(math.Float64bits(math.Sqrt2-1)-32+d))
	}
	var worst float64
	for _, e := range e {
		got, want := log1p(e), math.Log1p(e)
		if got == want {
			continue
		}
		off := math.Abs(got-want) / want
		worst = max(worst, off)
		if !(off <= bound) {
			t.Fatalf("log1p(%g) = %g, want %g, off by %g of it, at most %g is allowed", e, got, want, off, bound)
		}
	}
	if got := log1p(math.NaN()); got == got {
		t.Errorf("log1p(NaN) = %g", got)
	}
	t.Logf("at worst 2^%.2f of the logarithm", math.Log2(worst))
}
