package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// functionPlaces are where something changes in a function of one vector, or in its
// formula.
var functionPlaces = []float64{
	0.5, math.Sqrt2 / 2, 1, math.Sqrt2, 2,
	math.Ln2 / 2, math.Ln2, 1.5 * math.Ln2, // where exp's reduction takes the next integer
	math.Log(1 + math.Sqrt2),        // where softplus' logarithm takes the half
	9, 10, math.Log(0x1p24), 17, 20, // where tanh, sigmoid and softplus become 1 or x
	math.Log(math.MaxFloat32), 89, 128 * math.Ln2, // where exp becomes infinite
	126 * math.Ln2, 103, 149 * math.Ln2, 150 * math.Ln2, 105, 106, 110, // where it becomes subnormal, and 0
	5.5, 11, 15, // where GELU becomes x, and its clamps
	13.1462467179, 14.3077017502, 14.3560679822, // where it becomes subnormal, the last of these, and 0
	10.1006373935, 10.7444887747, 10.7708682537, // likewise in its tanh form
	91.8567753246, 107.960697149, 108.660303619, // likewise SiLU
	0.119635098, 0.902208269, 0.0312467627, 1.96373713, 52.1092186, // the largest errors of exp, log, tanh, sigmoid, softplus
	0.0643879771, 27.5971031, 4.80922842, 1.82348037, // and of ELU, SiLU, GELU and its tanh form
}

// TestFunctions compares the functions of one vector with package math: numbers
// of every exponent, and all around the places where a formula changes.
func TestFunctions(t *testing.T) {
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
		for _, p := range functionPlaces {
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

// TestMonotone wants no result less than that of the number before: in runs of
// neighbours, of every exponent and around the places where a formula changes.
func TestMonotone(t *testing.T) {
	const run = 129
	perExponent := 30
	if testing.Short() {
		perExponent = 3
	}
	r := rand.New(rand.NewPCG(4, 2))
	var x []float32
	add := func(from uint32) { // the run from a pattern of bits on, and that of its negatives, both upwards
		for d := range uint32(run) {
			x = append(x, math.Float32frombits(from+d))
		}
		for d := range uint32(run) {
			x = append(x, -math.Float32frombits(from+run-1-d))
		}
	}
	for e := range uint32(255) {
		for range perExponent {
			add(e<<23 | r.Uint32()>>9)
		}
		add((e+1)<<23 - run/2)
	}
	add(0)
	for _, p := range functionPlaces {
		add(math.Float32bits(float32(p)) - run/2)
	}
	got := make([]float32, len(x))
	eachISA(t, func(t *testing.T) {
		for _, name := range []string{"Exp", "Log", "Activate sigmoid", "Activate tanh", "Activate softplus", "Activate ELU", "Activate ELU with alpha"} {
			kernelNamed(name).run([][]float32{got, x})
			for i := range x {
				if i%run != 0 && got[i] < got[i-1] {
					t.Errorf("%s falls: %s at %s, %s at %s", name, show(got[i-1]), show(x[i-1]), show(got[i]), show(x[i]))
					break
				}
			}
		}
	})
}

// TestDerivatives compares the derivatives that are computed in float64 with formulas in
// package math, at numbers of every exponent. Each is a sum of two terms, and where they
// cancel, 2^-32 of the lesser one may be wrong besides.
func TestDerivatives(t *testing.T) {
	derivatives := []struct {
		act   Activation
		terms func(x float64) (a, b float64)
	}{
		{ActSoftplus, func(y float64) (a, b float64) { return -math.Expm1(-y), 0 }},
		{ActGELU, func(x float64) (a, b float64) { return phiOf(x), x * densityOf(x) }},
		{ActGELUTanh, func(x float64) (a, b float64) {
			u, du := geluTanhOf(x)
			s := 1 / (1 + math.Exp(-2*u))
			return s, s * 2 * du * x / (1 + math.Exp(2*u))
		}},
		{ActSiLU, func(x float64) (a, b float64) {
			s := 1 / (1 + math.Exp(-x))
			return s, s * x / (1 + math.Exp(x))
		}},
	}
	var x []float32
	r := rand.New(rand.NewPCG(4, 1))
	for e := range uint32(127 + 7) { // up to 2^7
		for range 300 {
			v := math.Float32frombits(e<<23 | r.Uint32()>>9)
			x = append(x, v, -v)
		}
	}
	for range 20000 {
		x = append(x, 28*r.Float32()-16)
	}
	ones, got := slices.Repeat([]float32{1}, len(x)), make([]float32, len(x))
	eachISA(t, func(t *testing.T) {
		for _, d := range derivatives {
			Derive(d.act, got, ones, x)
			var worst float64
			for i, x := range x {
				if d.act == ActSoftplus && x < 0 {
					continue
				}
				a, b := d.terms(float64(x))
				off, bound := math.Abs(float64(got[i])-(a+b)), 0.51*ulp32(a+b)+0x1p-32*min(math.Abs(a), math.Abs(b))
				worst = max(worst, off/bound)
				if !(off <= bound) {
					t.Fatalf("%v at %g: %g, want %g, off by %g, at most %g is allowed", d.act, x, got[i], a+b, off, bound)
				}
			}
			t.Logf("%v: at worst %.4f of the bound", d.act, worst)
		}
	})
}

// TestActivations has the names, what the derivatives start from, and that numbers
// from elsewhere are refused.
func TestActivations(t *testing.T) {
	for _, c := range []struct {
		act       Activation
		name      string
		fromInput bool
	}{
		{Identity, "identity", false},
		{ActReLU, "ReLU", false},
		{ActSigmoid, "sigmoid", false},
		{ActTanh, "tanh", false},
		{ActSoftplus, "softplus", false},
		{ActGELU, "GELU", true},
		{ActGELUTanh, "GELU (tanh form)", true},
		{ActSiLU, "SiLU", true},
		{ActLeakyReLU(0.01), "leaky ReLU (slope 0.01)", false},
		{ActELU(0.25), "ELU (alpha 0.25)", false},
		{ActLeakyReLU(0), "leaky ReLU (slope 0)", false},
		{ActLeakyReLU(math.Float32frombits(1 << 31)), "leaky ReLU (slope 0)", false},
		{ActELU(math.MaxFloat32), "ELU (alpha 3.4028235e+38)", false},
	} {
		if c.act.String() != c.name || c.act.FromInput() != c.fromInput {
			t.Errorf("%#x: String() = %q, FromInput() = %v, want %q, %v", uint64(c.act), c.act, c.act.FromInput(), c.name, c.fromInput)
		}
		x := []float32{1, -1}
		Activate(c.act, x, x)
		Derive(c.act, x, x, slices.Clone(x))
	}
	for i, a := range activations {
		for _, b := range activations[:i] {
			if a == b {
				t.Errorf("%v occurs twice", a)
			}
		}
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, x := range []float32{nan, -nan, inf, -inf, -1, -math.SmallestNonzeroFloat32} {
		wantPanic(t, fmt.Sprint(x), func() { ActLeakyReLU(x) }, "kernels.ActLeakyReLU: slope = ", fmt.Sprint(x))
		wantPanic(t, fmt.Sprint(x), func() { ActELU(x) }, "kernels.ActELU: alpha = ", fmt.Sprint(x))
	}
	for _, a := range []Activation{
		10, 255, ActReLU | 1<<32, ActSiLU | 1<<63, Identity | 1<<8, // none of these has a parameter
		ActELU(1) | 1<<8, ActELU(1) | 1<<31, ActLeakyReLU(1) | 1<<63, // nor can this be one
		leakyReLU | Activation(math.Float32bits(inf))<<32, elu | Activation(math.Float32bits(nan))<<32, math.MaxUint64,
	} {
		x := []float32{1}
		number := fmt.Sprintf("%#x", uint64(a))
		wantPanic(t, number, func() { Activate(a, x, x) }, "kernels.Activate: act = "+number, "7")
		wantPanic(t, number, func() { Derive(a, x, x, x) }, "kernels.Derive: act = "+number, "7")
		if x[0] != 1 {
			t.Errorf("%s: written before the panic", number)
		}
		if want := "Activation(" + number + ")"; a.String() != want {
			t.Errorf("String() = %q, want %q", a, want)
		}
	}
}

// activations are all, two of those with a parameter.
var activations = []Activation{
	Identity, ActReLU, ActSigmoid, ActTanh, ActSoftplus, ActGELU, ActGELUTanh, ActSiLU,
	ActLeakyReLU(0.01), ActLeakyReLU(0.5), ActELU(1), ActELU(0.3),
}

// pickActivation draws one: half the time of those whose derivative GEMM has in
// registers.
func pickActivation(r *rand.Rand) Activation {
	if r.IntN(2) == 0 {
		return Activation(r.IntN(4))
	}
	return pick(r, activations...)
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

		{"Activate leaky ReLU", []float32{nan}, nan},
		{"Activate leaky ReLU", []float32{inf}, inf},
		{"Activate leaky ReLU", []float32{-inf}, -inf},
		{"Activate leaky ReLU", []float32{0}, 0},
		{"Activate leaky ReLU", []float32{zero}, zero},
		{"Activate leaky ReLU", []float32{smallest}, smallest},
		{"Activate leaky ReLU", []float32{-smallest}, zero},
		{"Activate leaky ReLU", []float32{-100 * smallest}, -smallest},
		{"Activate leaky ReLU", []float32{-1}, -0.01},
		{"Activate leaky ReLU", []float32{largest}, largest},

		{"Activate ELU", []float32{nan}, nan},
		{"Activate ELU", []float32{inf}, inf},
		{"Activate ELU", []float32{-inf}, -1},
		{"Activate ELU", []float32{0}, 0},
		{"Activate ELU", []float32{zero}, zero},
		{"Activate ELU", []float32{smallest}, smallest},
		{"Activate ELU", []float32{-smallest}, -smallest},
		{"Activate ELU", []float32{largest}, largest},
		{"Activate ELU", []float32{-largest}, -1},
		{"Activate ELU with alpha", []float32{-inf}, -0.3},
		{"Activate ELU with alpha", []float32{zero}, zero},
		{"Activate ELU with alpha", []float32{-smallest}, zero},
		{"Activate ELU with alpha", []float32{-1e-10}, -0.3 * float32(1e-10)},

		{"Activate softplus", []float32{nan}, nan},
		{"Activate softplus", []float32{-nan}, nan},
		{"Activate softplus", []float32{inf}, inf},
		{"Activate softplus", []float32{-inf}, 0},
		{"Activate softplus", []float32{0}, math.Ln2},
		{"Activate softplus", []float32{zero}, math.Ln2},
		{"Activate softplus", []float32{largest}, largest},
		{"Activate softplus", []float32{-largest}, 0},
		{"Activate softplus", []float32{bottom}, 0},
		{"Activate softplus", []float32{math.Nextafter32(bottom, 0)}, smallest},
		{"Activate softplus", []float32{20}, 20},

		{"Activate GELU", []float32{nan}, nan},
		{"Activate GELU", []float32{inf}, inf},
		{"Activate GELU", []float32{-inf}, zero},
		{"Activate GELU", []float32{0}, 0},
		{"Activate GELU", []float32{zero}, zero},
		{"Activate GELU", []float32{2 * smallest}, smallest},
		{"Activate GELU", []float32{-2 * smallest}, -smallest},
		{"Activate GELU", []float32{largest}, largest},
		{"Activate GELU", []float32{-largest}, zero},
		{"Activate GELU", []float32{-15}, zero},
		{"Activate GELU", []float32{6}, 6},

		{"Activate GELU, tanh form", []float32{nan}, nan},
		{"Activate GELU, tanh form", []float32{inf}, inf},
		{"Activate GELU, tanh form", []float32{-inf}, zero},
		{"Activate GELU, tanh form", []float32{0}, 0},
		{"Activate GELU, tanh form", []float32{zero}, zero},
		{"Activate GELU, tanh form", []float32{2 * smallest}, smallest},
		{"Activate GELU, tanh form", []float32{-2 * smallest}, -smallest},
		{"Activate GELU, tanh form", []float32{largest}, largest},
		{"Activate GELU, tanh form", []float32{-largest}, zero},
		{"Activate GELU, tanh form", []float32{-11}, zero},
		{"Activate GELU, tanh form", []float32{6}, 6},

		{"Activate SiLU", []float32{nan}, nan},
		{"Activate SiLU", []float32{inf}, inf},
		{"Activate SiLU", []float32{-inf}, zero},
		{"Activate SiLU", []float32{0}, 0},
		{"Activate SiLU", []float32{zero}, zero},
		{"Activate SiLU", []float32{2 * smallest}, smallest},
		{"Activate SiLU", []float32{-2 * smallest}, -smallest},
		{"Activate SiLU", []float32{largest}, largest},
		{"Activate SiLU", []float32{-largest}, zero},
		{"Activate SiLU", []float32{-110}, zero},
		{"Activate SiLU", []float32{20}, 20},

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

		{"Derive leaky ReLU", []float32{3, smallest}, 3},
		{"Derive leaky ReLU", []float32{zero, inf}, zero},
		{"Derive leaky ReLU", []float32{nan, 1}, nan},
		{"Derive leaky ReLU", []float32{100, 0}, 100 * float32(0.01)},
		{"Derive leaky ReLU", []float32{100, zero}, 100 * float32(0.01)},
		{"Derive leaky ReLU", []float32{zero, -1}, zero},
		{"Derive leaky ReLU", []float32{-inf, -inf}, -inf},
		{"Derive leaky ReLU", []float32{100, nan}, 100 * float32(0.01)},

		{"Derive ELU", []float32{3, smallest}, 3},
		{"Derive ELU", []float32{nan, 1}, nan},
		{"Derive ELU", []float32{3, inf}, 3},
		{"Derive ELU", []float32{2, 0}, 0.6},
		{"Derive ELU", []float32{2, zero}, 0.6},
		{"Derive ELU", []float32{2, -0.3}, 0},
		{"Derive ELU", []float32{2, nan}, nan},

		{"Derive softplus", []float32{2, 0}, 0},
		{"Derive softplus", []float32{2, zero}, 0},
		{"Derive softplus", []float32{-2, 0}, zero},
		{"Derive softplus", []float32{2, smallest}, 2 * smallest},
		{"Derive softplus", []float32{-3, inf}, -3},
		{"Derive softplus", []float32{3, 20}, 3},
		{"Derive softplus", []float32{3, nan}, nan},
		{"Derive softplus", []float32{3, -inf}, -inf},
		{"Derive softplus", []float32{inf, 0}, nan},

		{"Derive GELU", []float32{2, 0}, 1},
		{"Derive GELU", []float32{2, zero}, 1},
		{"Derive GELU", []float32{2, smallest}, 1},
		{"Derive GELU", []float32{-3, inf}, -3},
		{"Derive GELU", []float32{3, largest}, 3},
		{"Derive GELU", []float32{3, -inf}, zero},
		{"Derive GELU", []float32{3, -15}, zero},
		{"Derive GELU", []float32{3, nan}, nan},
		{"Derive GELU", []float32{inf, -inf}, nan},

		{"Derive GELU, tanh form", []float32{2, 0}, 1},
		{"Derive GELU, tanh form", []float32{2, zero}, 1},
		{"Derive GELU, tanh form", []float32{2, smallest}, 1},
		{"Derive GELU, tanh form", []float32{-3, inf}, -3},
		{"Derive GELU, tanh form", []float32{3, largest}, 3},
		{"Derive GELU, tanh form", []float32{3, -inf}, zero},
		{"Derive GELU, tanh form", []float32{3, -11}, zero},
		{"Derive GELU, tanh form", []float32{3, nan}, nan},
		{"Derive GELU, tanh form", []float32{inf, -inf}, nan},

		{"Derive SiLU", []float32{2, 0}, 1},
		{"Derive SiLU", []float32{2, zero}, 1},
		{"Derive SiLU", []float32{2, smallest}, 1},
		{"Derive SiLU", []float32{-3, inf}, -3},
		{"Derive SiLU", []float32{3, largest}, 3},
		{"Derive SiLU", []float32{3, -inf}, zero},
		{"Derive SiLU", []float32{3, -110}, zero},
		{"Derive SiLU", []float32{3, nan}, nan},
		{"Derive SiLU", []float32{inf, -inf}, nan},
	}
	eachISA(t, func(t *testing.T) {
		for _, c := range cases {
			k := kernelNamed(c.kernel)
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
