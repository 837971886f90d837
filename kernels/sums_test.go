package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// TestSumSquares: the extremes that a sum of squares in float32 would not bear,
// and what is not finite, in each place.
func TestSumSquares(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range []int{1, 37, block + 5} {
			for _, c := range []float32{math.MaxFloat32, -math.MaxFloat32, 0x1p-149} {
				got, want := SumSquares(slices.Repeat([]float32{c}, n)), float64(n)*float64(c)*float64(c)
				if math.Abs(got-want) > 1e-12*want {
					t.Errorf("%d times %g: sum %g, want %g", n, c, got, want)
				}
			}
			for _, c := range []struct{ x, want float64 }{{math.NaN(), math.NaN()}, {math.Inf(1), math.Inf(1)}, {math.Inf(-1), math.Inf(1)}} {
				for _, at := range []int{0, n / 2, n - 1} {
					x := make([]float32, n)
					x[at] = float32(c.x)
					if got := SumSquares(x, 2); !same64(got, c.want) {
						t.Errorf("%g at %d of %d: sum %g, want %g", c.x, at, n, got, c.want)
					}
				}
			}
		}
	})
}

// TestSumSquaresOrder: each element goes to the accumulator that the contract says.
// Beside 9·2^50 a one is lost and a two is not, so the sum shows which elements met when.
func TestSumSquaresOrder(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(10, 2))
		for n := range 200 {
			for range 20 {
				x := make([]float32, n)
				var acc [lanes]float64
				for i := range x {
					x[i] = []float32{1, 0x3p25}[r.IntN(2)]
					acc[i%lanes] += float64(x[i]) * float64(x[i])
				}
				for half := lanes / 2; half > 0; half /= 2 {
					for i := range half {
						acc[i] += acc[half+i]
					}
				}
				if got := SumSquares(x); got != acc[0] {
					t.Fatalf("n %d, %v: sum %.0f, want %.0f", n, x, got, acc[0])
				}
			}
		}
	})
}

// TestSumAbs: extremes, and what is not finite, in each place.
func TestSumAbs(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range []int{1, 37, block + 5} {
			for _, c := range []float32{math.MaxFloat32, -math.MaxFloat32, 0x1p-149, -0x1p-149} {
				if got, want := SumAbs(slices.Repeat([]float32{c}, n)), float64(n)*math.Abs(float64(c)); got != want {
					t.Errorf("%d times %g: sum %g, want %g", n, c, got, want)
				}
			}
			for _, c := range []struct{ x, want float64 }{{math.NaN(), math.NaN()}, {math.Inf(1), math.Inf(1)}, {math.Inf(-1), math.Inf(1)}} {
				for _, at := range []int{0, n / 2, n - 1} {
					x := make([]float32, n)
					x[at] = float32(c.x)
					if got := SumAbs(x, 2); !same64(got, c.want) {
						t.Errorf("%g at %d of %d: sum %g, want %g", c.x, at, n, got, c.want)
					}
				}
			}
		}
		if got := SumAbs([]float32{float32(math.Copysign(0, -1))}); math.Float64bits(got) != 0 {
			t.Errorf("sum of -0: %g, want 0", got)
		}
	})
}

// TestAddSquares compares with the formula, which float64 computes exactly but for
// the rounding of the sum.
func TestAddSquares(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(10, 1))
		lengths := []int{block - 1, block + 1, 3*block + 7}
		for n := range 70 {
			lengths = append(lengths, n)
		}
		for _, n := range lengths {
			for _, kind := range kinds() {
				for _, limit := range []Threads{1, 3} {
					x, spilled := place(kind.values(r, n), r.IntN(16))
					before := slices.Clone(x)
					memory := make([]float64, n+10)
					for i := range memory {
						memory[i] = r.NormFloat64()
					}
					from := 1 + r.IntN(8)
					want := slices.Clone(memory)
					for i, x := range x {
						want[from+i] += float64(float64(x) * float64(x))
					}
					AddSquares(memory[from:][:n], x, limit)
					what := fmt.Sprintf("%s, n %d, threads %d", kind.name, n, limit)
					for i := range want {
						if !same64(memory[i], want[i]) {
							t.Fatalf("%s: acc[%d] = %g, want %g", what, i-from, memory[i], want[i])
						}
					}
					unchanged(t, what, "x", x, before)
					if at, ok := spilled(); ok {
						t.Fatalf("%s: x[%d] was written", what, at)
					}
				}
			}
		}
	})
}

func TestAddSquaresPanics(t *testing.T) {
	acc, x := make([]float64, 40), make([]float32, 40)
	const fn = "kernels.AddSquares: "
	wantPanic(t, "a short x", func() { AddSquares(acc, x[:39]) }, fn, "len(x) = 39", "len(acc) = 40")
	wantPanic(t, "a long x", func() { AddSquares(acc[:39], x) }, fn, "len(x) = 40", "len(acc) = 39")
	inside := unsafe.Slice((*float32)(unsafe.Pointer(&acc[10])), 40)
	wantPanic(t, "overlap", func() { AddSquares(acc, inside) }, fn, "acc (len 40) and x (len 40) share")
	wantPanic(t, "threads", func() { AddSquares(acc, x, -1) }, fn, "-1")
	wantPanic(t, "threads", func() { AddSquares(acc, x, 1, 2) }, fn, "2 limits")
	for i := range acc {
		if acc[i] != 0 {
			t.Fatalf("acc[%d] was written", i)
		}
	}
}

func TestAddSquaresDoesNotAllocate(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		acc, x := make([]float64, 3*block), make([]float32, 3*block)
		for _, limit := range [][]Threads{{1}, {2}} {
			wantNoAllocation(t, fmt.Sprintf("AddSquares, threads %d", limit), func() { AddSquares(acc, x, limit...) })
		}
	})
}
