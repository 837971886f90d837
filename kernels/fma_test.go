package kernels

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-go/lockstep/internal/f32"
	"github.com/lockstep-go/lockstep/internal/f32/f32test"
)

var fmaCases = flag.Int("fma.cases", 4_000_000, "how many cases of the fused multiply-add to compare with the hardware's")

// TestFMA compares f32.FMA with the instruction that GEMM uses: one step of k
// makes c[i][j] = fma(a[i], b[j], c[i][j]). Run with -fma.cases for more.
//
// On the diagonal lie the cases of f32test; the other elements take one operand
// each of two of them and a c that is directed at their product.
func TestFMA(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const size = 24
		r := rand.New(rand.NewPCG(7, 1))
		var a, b [size]float32
		var c, got [size * size]float32
		cases := *fmaCases
		if testing.Short() {
			cases /= 20
		}
		n, done := 0, 0
		f32test.Cases(3, func(x, y, z float32) bool {
			a[n], b[n], c[n*size+n] = x, y, z
			if n++; n < size {
				return true
			}
			n = 0
			for i, x := range a {
				for j, y := range b {
					if i != j {
						c[i*size+j] = addend(r, float64(x)*float64(y))
					}
				}
			}
			got = c
			Gemm(NoTrans, NoTrans, size, size, 1, 1, a[:], 1, b[:], size, 1, got[:], size, 1)
			for i, x := range a {
				for j, y := range b {
					z := c[i*size+j]
					if want := got[i*size+j]; !same(f32.FMA(x, y, z), want) {
						t.Errorf("f32.FMA(%s, %s, %s) = %s, %s has %s", show(x), show(y), show(z), show(f32.FMA(x, y, z)), ISA(), show(want))
						return false
					}
				}
			}
			done += size * size
			return done < cases
		})
		t.Logf("%d cases", done)
	})
}

// addend draws what to add to a product of two float32: anything; the product
// rounded, or next to it, of the opposite sign; a number in whose last place the
// product is about a half; one that is about a half in the product's last place.
func addend(r *rand.Rand, product float64) float32 {
	u := r.Uint64()
	pattern, way, small := uint32(u), u>>32%8, int(u>>40%8)
	e := int(math.Float64bits(product)>>52&0x7FF) - 1023
	switch {
	case way == 0:
		return math.Float32frombits(pattern)
	case way < 4:
		return math.Float32frombits(math.Float32bits(float32(-product)) + uint32(small-4))
	case way < 6:
		e += 20 + small
	default:
		e -= 20 + small
	}
	if u>>48%2 == 0 {
		pattern &^= 1<<20 - 2 // few bits
	}
	return math.Float32frombits(pattern&^(0xFF<<23) | uint32(max(0, min(254, e+127)))<<23)
}
