package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFunctions compares the functions of one vector with package math: numbers
// of every exponent, and all around the places where a formula changes.
func TestFunctions(t *testing.T) {
	places := []float64{
		0.5, math.Sqrt2 / 2, 1, math.Sqrt2, 2,
		math.Ln2 / 2, math.Ln2, 1.5 * math.Ln2, // where exp's reduction takes the next integer
		9, 10, math.Log(0x1p24), 17, // where tanh and sigmoid become 1
		math.Log(math.MaxFloat32), 89, 128 * math.Ln2, 126 * math.Ln2, 103, 149 * math.Ln2, 150 * math.Ln2, 105, 106, 110,
	}
	perExponent := 2000
	if testing.Short() {
		perExponent = 100
	}
	eachVectorKernel(t, func(t *testing.T, k *vectorKernel, r *rand.Rand) {
		if k.ulps == 0 {
			return
		}
		var x []float32
		add := func(bits uint32) {
			v := math.Float32frombits(bits)
			x = append(x, v)
			if !k.vectors()[1].positive {
				x = append(x, -v)
			}
		}
		for e := range uint32(255) {
			add(e<<23 | 1)
			add(e<<23 | 1<<23 - 1)
			if e > 0 {
				add(e << 23)
			}
			for range perExponent {
				add(e<<23 | max(1, r.Uint32()>>9))
			}
		}
		for _, p := range places {
			for d := range uint32(129) {
				add(math.Float32bits(float32(p)) - 64 + d)
			}
		}
		got := make([]float32, len(x))
		k.run([][]float32{got, x})
		var worst float64
		var at int
		for i := range x {
			want := []float64{0, float64(x[i])}
			k.formula(want, nil)
			if off := ulpsOff(got[i], want[0]); !(off <= worst) {
				worst, at = off, i
			}
		}
		t.Logf("%s: %d numbers, at worst %.5f ulp, of %s", k.name, len(x), worst, show(x[at]))
		if !(worst <= k.ulps) {
			t.Errorf("%s(%s) = %s, off by %.5f ulp, at most %g is allowed", k.name, show(x[at]), show(got[at]), worst, k.ulps)
		}
	})
}

// TestFunctionSpecials has the results that must come out exactly.
func TestFunctionSpecials(t *testing.T) {
	const (
		largest  = math.MaxFloat32
		smallest = math.SmallestNonzeroFloat32
	)
	nan, inf, zero := float32(math.NaN()), float32(math.Inf(1)), float32(math.Copysign(0, -1))
	// The last number whose exponential rounds to a finite one, and the first
	// that rounds to zero.
	top := float32(math.Log(largest + 0x1p103))
	if float64(top) > math.Log(largest+0x1p103) {
		top = math.Nextafter32(top, 0)
	}
	bottom := float32(-150 * math.Ln2)
	if float64(bottom) > -150*math.Ln2 {
		bottom = math.Nextafter32(bottom, -inf)
	}
	cases := []struct {
		kernel string
		x      []float32 // what it reads
		want   float32
	}{
		{"Exp", []float32{nan}, nan},
		{"Exp", []float32{inf}, inf},
		{"Exp", []float32{-inf}, 0},
		{"Exp", []float32{0}, 1},
		{"Exp", []float32{zero}, 1},
		{"Exp", []float32{smallest}, 1},
		{"Exp", []float32{-smallest}, 1},
		{"Exp", []float32{largest}, inf},
		{"Exp", []float32{-largest}, 0},
		{"Exp", []float32{math.Nextafter32(top, inf)}, inf},
		{"Exp", []float32{top}, float32(math.Exp(float64(top)))},
		{"Exp", []float32{bottom}, 0},
		{"Exp", []float32{math.Nextafter32(bottom, 0)}, smallest},

		{"Log", []float32{nan}, nan},
		{"Log", []float32{inf}, inf},
		{"Log", []float32{-inf}, nan},
		{"Log", []float32{0}, -inf},
		{"Log", []float32{zero}, -inf},
		{"Log", []float32{1}, 0},
		{"Log", []float32{-1}, nan},
		{"Log", []float32{-smallest}, nan},
		{"Log", []float32{-largest}, nan},
		{"Log", []float32{smallest}, float32(-149 * math.Ln2)},
		{"Log", []float32{largest}, float32(128 * math.Ln2)},

		{"Activate identity", []float32{zero}, zero},
		{"Activate identity", []float32{-inf}, -inf},
		{"Activate identity", []float32{nan}, nan},

		{"Activate ReLU", []float32{nan}, nan},
		{"Activate ReLU", []float32{inf}, inf},
		{"Activate ReLU", []float32{-inf}, 0},
		{"Activate ReLU", []float32{0}, 0},
		{"Activate ReLU", []float32{zero}, zero},
		{"Activate ReLU", []float32{smallest}, smallest},
		{"Activate ReLU", []float32{-smallest}, 0},
		{"Activate ReLU", []float32{largest}, largest},
		{"Activate ReLU", []float32{-largest}, 0},

		{"Activate sigmoid", []float32{nan}, nan},
		{"Activate sigmoid", []float32{inf}, 1},
		{"Activate sigmoid", []float32{-inf}, 0},
		{"Activate sigmoid", []float32{0}, 0.5},
		{"Activate sigmoid", []float32{zero}, 0.5},
		{"Activate sigmoid", []float32{smallest}, 0.5},
		{"Activate sigmoid", []float32{-smallest}, 0.5},
		{"Activate sigmoid", []float32{largest}, 1},
		{"Activate sigmoid", []float32{-largest}, 0},

		{"Activate tanh", []float32{nan}, nan},
		{"Activate tanh", []float32{inf}, 1},
		{"Activate tanh", []float32{-inf}, -1},
		{"Activate tanh", []float32{0}, 0},
		{"Activate tanh", []float32{zero}, zero},
		{"Activate tanh", []float32{smallest}, smallest},
		{"Activate tanh", []float32{-smallest}, -smallest},
		{"Activate tanh", []float32{largest}, 1},
		{"Activate tanh", []float32{-largest}, -1},

		{"Derive identity", []float32{zero, nan}, zero},
		{"Derive identity", []float32{nan, 0}, nan},

		{"Derive ReLU", []float32{3, smallest}, 3},
		{"Derive ReLU", []float32{zero, inf}, zero},
		{"Derive ReLU", []float32{nan, 1}, nan},
		{"Derive ReLU", []float32{-inf, 1}, -inf},
		{"Derive ReLU", []float32{-3, 0}, 0},
		{"Derive ReLU", []float32{-3, zero}, 0},
		{"Derive ReLU", []float32{nan, 0}, 0},
		{"Derive ReLU", []float32{inf, -1}, 0},
		{"Derive ReLU", []float32{-inf, -inf}, 0},
		{"Derive ReLU", []float32{-3, nan}, 0},

		{"Derive sigmoid", []float32{2, 0.5}, 0.5},
		{"Derive sigmoid", []float32{-2, 0}, zero},
		{"Derive sigmoid", []float32{-2, 1}, zero},
		{"Derive sigmoid", []float32{2, nan}, nan},
		{"Derive sigmoid", []float32{inf, 1}, nan},

		{"Derive tanh", []float32{2, 0.5}, 1.5},
		{"Derive tanh", []float32{-2, 0}, -2},
		{"Derive tanh", []float32{-2, 1}, zero},
		{"Derive tanh", []float32{-2, -1}, zero},
		{"Derive tanh", []float32{2, nan}, nan},
		{"Derive tanh", []float32{inf, -1}, nan},
	}
	eachISA(t, func(t *testing.T) {
		for _, c := range cases {
			k := &vectorKernels[slices.IndexFunc(vectorKernels, func(k vectorKernel) bool { return k.name == c.kernel })]
			const n = 21 // whole vectors and a tail
			v := [][]float32{make([]float32, n)}
			for _, x := range c.x {
				v = append(v, slices.Repeat([]float32{x}, n))
			}
			k.run(v)
			for i, got := range v[0] {
				if !same(got, c.want) {
					t.Errorf("%s(%g), element %d: %s, want %s", k.name, c.x, i, show(got), show(c.want))
					break
				}
			}
		}
	})
}
