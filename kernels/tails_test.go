package kernels

import (
	"math/rand/v2"
	"testing"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// The tests here compare every kernel with the portable loop in few cases: each length up
// to twice what any loop takes at once, with one kind of numbers, in one thread. An
// emulated processor has no time for more; the tests named Bits have it.
const longest = 4 * lanes

func TestVectorTails(t *testing.T) {
	eachVectorKernel(t, func(t *testing.T, k *vectorKernel, r *rand.Rand) {
		off := make([]int, len(k.vectors()))
		for n := range longest + 1 {
			kind := kinds()[n%len(kinds())]
			for i := range off {
				off[i] = r.IntN(16)
			}
			in := k.draw(r, kind, n)
			want, sum := k.portable(t, in)
			k.check(t, kind.name, in, off, want, sum, 1)
		}
	})
}

func TestRowTails(t *testing.T) {
	eachRowKernel(t, func(t *testing.T, k *rowKernel, r *rand.Rand) {
		for cols := 1; cols <= longest; cols++ {
			kind := kinds()[cols%len(kinds())]
			in := newRowArgs(r, kind, 1+r.IntN(3), cols)
			want := in.clone()
			onPortable(t, func() { k.run(want, 1) })
			k.check(t, kind.name, in, want, false, r.IntN(16), r.IntN(16), r.IntN(16), 1)
		}
	})
}

func TestMatrixTails(t *testing.T) {
	all := append(kinds(), cancelling())
	eachMatrixKernel(t, func(t *testing.T, k *matrixKernel, r *rand.Rand) {
		for cols := 1; cols <= longest; cols++ {
			kind := all[cols%len(all)]
			k.check(t, kind.name, k.draw(r, kind, 1+r.IntN(4), cols), "", r, 1)
		}
	})
}

// TestGemmTails has every tile, whole and cut, alone and below another.
func TestGemmTails(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 14))
		try := func(m, n, k int, narrow bool) {
			kind, tr := pick(r, kinds()...), pick(r, transposes...)
			g := newProduct(r, kind, tr[0], tr[1], m, n, k)
			if narrow {
				g.ep.Deriv = Identity // with a derivative there is no narrow tile
			}
			g.compare(t, kind.name, g.portable(t), r.IntN(16), 1)
		}
		shape := asm.GemmShapeOf(cpu.Active())
		width := max(1, shape.Lanes)
		for m := 1; m <= 2*tallest()+1; m++ {
			for n := 1; n <= 4*width+1; n++ {
				try(m, n, 1+r.IntN(8), false)
			}
		}
		for m := 4 * shape.Narrow; m < 5*shape.Narrow; m++ {
			for n := width + 1; n <= width+width/2; n++ {
				try(m, n, 16+r.IntN(5), true)
			}
		}
		// Done as their transposes, whose last panel is packed by a tile of few rows.
		for m := 32; m <= 32+3*width; m++ {
			for n := 1; n <= 3; n++ {
				g := newProduct(r, kindNamed("normal"), Trans, NoTrans, m, n, 20+r.IntN(5))
				g.alpha = 1
				g.compare(t, "normal", g.portable(t), r.IntN(16), 1)
			}
		}
	})
}
