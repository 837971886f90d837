//go:build unix

package kernels

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"testing"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
	"github.com/lockstep-go/lockstep/internal/guard"
)

// guarded is memory at whose end, or beginning, lies a page that must not be
// touched.
type guarded[T any] struct {
	mem []T
	end bool
}

func newGuarded[T any](t *testing.T, n int, end bool) guarded[T] {
	return guarded[T]{guard.Slice[T](t, n, end), end}
}

// take gives the n elements beside the page.
func (g guarded[T]) take(n int) []T {
	if g.end {
		return g.mem[len(g.mem)-n:]
	}
	return g.mem[:n:n]
}

// with is take, filled with x.
func (g guarded[T]) with(x []T) []T {
	v := g.take(len(x))
	copy(v, x)
	return v
}

// eachSide runs f for memory before and behind a page.
func eachSide(t *testing.T, f func(end bool)) {
	for _, end := range []bool{true, false} {
		f(end)
		if t.Failed() {
			return
		}
	}
}

// wantNoFault runs f, which must not touch the pages.
func wantNoFault(t *testing.T, end bool, f func(), what string, args ...any) {
	t.Helper()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		t.Helper()
		if p := recover(); p != nil {
			side := "before"
			if end {
				side = "behind"
			}
			t.Fatalf("%s, guarded %s: %v", fmt.Sprintf(what, args...), side, p)
		}
	}()
	f()
}

func TestVectorGuard(t *testing.T) {
	eachVectorKernel(t, func(t *testing.T, k *vectorKernel, r *rand.Rand) {
		const longest = block + 40
		normal := kindNamed("normal")
		eachSide(t, func(end bool) {
			var mem []guarded[float32]
			for range k.vectors() {
				mem = append(mem, newGuarded[float32](t, longest, end))
			}
			try := func(n int) {
				v := make([][]float32, len(mem))
				for i, x := range k.draw(r, normal, n) {
					v[i] = mem[i].with(x)
				}
				wantNoFault(t, end, func() { k.run(v, 1) }, "%s: n %d", k.name, n)
			}
			for n := range 41 {
				try(n)
			}
			for n := block - 2; n <= longest; n += 7 {
				try(n)
			}
		})
	})
}

func TestAddSquaresGuard(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const longest = block + 40
		eachSide(t, func(end bool) {
			acc, x := newGuarded[float64](t, longest, end), newGuarded[float32](t, longest, end)
			for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 33, block - 1, block, block + 1, longest} {
				wantNoFault(t, end, func() { AddSquares(acc.take(n), x.take(n), 1) }, "AddSquares: n %d", n)
			}
		})
	})
}

func TestRowGuard(t *testing.T) {
	eachRowKernel(t, func(t *testing.T, k *rowKernel, r *rand.Rand) {
		const rows, most = 3, 45
		eachSide(t, func(end bool) {
			x, dst, target := newGuarded[float32](t, rows*most, end), newGuarded[float32](t, rows*most, end), newGuarded[float32](t, rows*most, end)
			loss, label := newGuarded[float64](t, rows, end), newGuarded[int32](t, rows, end)
			for cols := 1; cols < 41; cols++ {
				for n := range rows + 1 {
					a := newRowArgs(r, kindNamed("normal"), n, cols)
					a.x, a.dst, a.loss, a.label, a.target = x.with(a.x), dst.with(a.dst), loss.with(a.loss), label.with(a.label), target.with(a.target)
					wantNoFault(t, end, func() { k.run(a, 1) }, "%s: %d×%d, ldd %d, ldx %d, ldt %d", k.name, n, cols, a.ldd, a.ldx, a.ldt)
				}
			}
		})
	})
}

func TestMatrixGuard(t *testing.T) {
	eachMatrixKernel(t, func(t *testing.T, k *matrixKernel, r *rand.Rand) {
		const most = 45 * 5
		eachSide(t, func(end bool) {
			var mem []guarded[float32]
			for range k.arguments() {
				mem = append(mem, newGuarded[float32](t, most, end))
			}
			for cols := range 41 {
				for rows := range 5 {
					if !k.takes(rows, cols) {
						continue
					}
					a := k.draw(r, kindNamed("normal"), rows, cols)
					for i := range a.v {
						a.v[i] = mem[i].with(a.v[i])
					}
					wantNoFault(t, end, func() { k.run(a, 1) }, "%s: %d×%d, strides %d", k.name, rows, cols, a.ld)
				}
			}
		})
	})
}

func TestGemmGuard(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(6, 1))
		normal := kindNamed("normal")
		eachSide(t, func(end bool) {
			const size = 1 << 17
			a, b, c, y, bias := newGuarded[float32](t, size, end), newGuarded[float32](t, size, end), newGuarded[float32](t, size, end), newGuarded[float32](t, size, end), newGuarded[float32](t, size, end)
			try := func(m, n, k int, ld ...int) {
				for _, tr := range transposes {
					g := newProduct(r, normal, tr[0], tr[1], m, n, k)
					if len(ld) > 0 {
						g.lda, g.ldb = ld[0], ld[1]
						g.operands(r, normal)
					}
					g.a, g.b, g.c = a.with(g.a), b.with(g.b), c.with(g.c)
					if g.ep.Bias != nil {
						g.ep.Bias = bias.with(g.ep.Bias)
					}
					if g.ep.Y != nil {
						g.ep.Y = y.with(g.ep.Y)
					}
					wantNoFault(t, end, func() { g.call(g.c, 1) }, "%v", g)
				}
			}
			each := 1
			if testing.Short() || ISA() == "portable" {
				each = 8
			}
			for m := range tallest() + 2 {
				for n := range 34 {
					for k := range 4 {
						if r.IntN(each) == 0 {
							try(m, n, k)
						}
					}
				}
			}
			for range 400 / each {
				n := 1 + r.IntN(40)
				try(30+r.IntN(40), n, 1+r.IntN(8))
				try(33+r.IntN(8), n, 1+r.IntN(8), 1024, 256)
				try(1, 1+r.IntN(300), r.IntN(20))
			}
			// Tiles of all sizes, of whose last vectors one lane is not used.
			lanes := max(1, asm.GemmShapeOf(cpu.Active()).Lanes)
			for m := 1; m <= tallest(); m++ {
				for vecs := 1; vecs <= 3; vecs++ {
					for range 8 {
						try(m, vecs*lanes-1, 3)
					}
				}
			}
			try(34, 90, 100)
			try(1, 2049, 9)
			try(481, 3, 3)
			for cols := range 41 {
				for rows := range 4 {
					x, dst := a.with(normal.values(r, rows*cols)), c.take(cols)
					wantNoFault(t, end, func() { SumRows(rows, cols, dst, x, max(1, cols), 1) }, "SumRows of %d×%d", rows, cols)
					wantNoFault(t, end, func() { AddRows(rows, cols, dst, x, max(1, cols), 1) }, "AddRows of %d×%d", rows, cols)
				}
			}
		})
	})
}
