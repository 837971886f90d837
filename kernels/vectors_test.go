package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// vectorKernel is a kernel over vectors of one length. All tests of such kernels
// walk the table below, which updateRules add to: a kernel is tested once it has
// its row there.
type vectorKernel struct {
	name    string // the function and, after a space, its variant
	streams string // the vectors in order; * behind those that it writes, + behind those that are never negative, % behind those from 0 to 1
	inPlace bool   // the first vector may be one of the others
	run     func(v [][]float32, limit ...Threads) (sum float64)

	// formula is what run does to one element of each vector, in float64, and
	// what this adds to the result. sub(a, b) stands for a - b. It is nil where no
	// bound holds, since what may cancel is divided by: such a row has its bits
	// compared, and the formula is another row's.
	formula func(x []float64, sub func(a, b float64) float64) (sum float64)

	// The error bound. ulps is in units of the result's last place. Where it is
	// zero, each of so many roundings of the formula may be wrong by 2^-24 of
	// what the formula gives if nothing in it cancels.
	ulps      float64
	roundings int
}

var vectorKernels = []vectorKernel{
	{
		name: "Exp", streams: "dst* x", inPlace: true, ulps: 0.51,
		run: func(v [][]float32, limit ...Threads) (sum float64) { Exp(v[0], v[1], limit...); return },
		formula: func(x []float64, _ func(a, b float64) float64) (sum float64) {
			x[0] = math.Exp(x[1])
			return
		},
	},
	{
		name: "Log", streams: "dst* x+", inPlace: true, ulps: 0.51,
		run: func(v [][]float32, limit ...Threads) (sum float64) { Log(v[0], v[1], limit...); return },
		formula: func(x []float64, _ func(a, b float64) float64) (sum float64) {
			x[0] = math.Log(x[1])
			return
		},
	},
	activateKernel("Activate identity", Identity, 0, func(x float64) float64 { return x }),
	activateKernel("Activate ReLU", ActReLU, 0, func(x float64) float64 {
		if x < 0 {
			return 0
		}
		return x
	}),
	activateKernel("Activate sigmoid", ActSigmoid, 0.51, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }),
	activateKernel("Activate tanh", ActTanh, 0.51, math.Tanh),
	activateKernel("Activate leaky ReLU", ActLeakyReLU(0.01), 0.51, func(x float64) float64 {
		if x < 0 {
			return float64(float32(0.01)) * x
		}
		return x
	}),
	activateKernel("Activate ELU", ActELU(1), 0.51, func(x float64) float64 { return eluOf(1, x) }),
	activateKernel("Activate ELU with alpha", ActELU(0.3), 0.51, func(x float64) float64 { return eluOf(float64(float32(0.3)), x) }),
	activateKernel("Activate softplus", ActSoftplus, 0.51, func(x float64) float64 {
		return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
	}),
	activateKernel("Activate GELU", ActGELU, 0.51, func(x float64) float64 { return x * phiOf(x) }),
	activateKernel("Activate GELU, tanh form", ActGELUTanh, 0.51, func(x float64) float64 {
		u, _ := geluTanhOf(x)
		return x / (1 + math.Exp(-2*u))
	}),
	activateKernel("Activate SiLU", ActSiLU, 0.51, func(x float64) float64 { return x / (1 + math.Exp(-x)) }),
	deriveKernel("Derive identity", Identity, 0, func(y float64, sub func(a, b float64) float64) float64 { return 1 }),
	deriveKernel("Derive ReLU", ActReLU, 0, func(y float64, sub func(a, b float64) float64) float64 {
		if y > 0 {
			return 1
		}
		return 0
	}),
	deriveKernel("Derive sigmoid", ActSigmoid, 3, func(y float64, sub func(a, b float64) float64) float64 { return y * sub(1, y) }),
	deriveKernel("Derive tanh", ActTanh, 3, func(y float64, sub func(a, b float64) float64) float64 { return sub(1, y*y) }),
	deriveKernel("Derive leaky ReLU", ActLeakyReLU(0.01), 1, func(y float64, sub func(a, b float64) float64) float64 {
		if sub(0, y) < 0 { // not in the size of the terms, where sub adds
			return 1
		}
		return float64(float32(0.01))
	}),
	deriveKernel("Derive ELU", ActELU(0.3), 3, func(y float64, sub func(a, b float64) float64) float64 {
		if sub(0, y) < 0 {
			return 1
		}
		return y + float64(float32(0.3))
	}),
	onlyPositive(deriveKernel("Derive softplus", ActSoftplus, 3, func(y float64, sub func(a, b float64) float64) float64 { return -math.Expm1(-y) })),
	deriveKernel("Derive GELU", ActGELU, 3, func(x float64, sub func(a, b float64) float64) float64 {
		return phiOf(x) + x*densityOf(x)
	}),
	deriveKernel("Derive GELU, tanh form", ActGELUTanh, 3, func(x float64, sub func(a, b float64) float64) float64 {
		u, du := geluTanhOf(x)
		return gatedOf(2*u, 2*du*x, sub)
	}),
	deriveKernel("Derive SiLU", ActSiLU, 3, func(x float64, sub func(a, b float64) float64) float64 { return gatedOf(x, x, sub) }),
	{
		name: "Lerp", streams: "dst* x", inPlace: true, roundings: 4,
		run: func(v [][]float32, limit ...Threads) (sum float64) { Lerp(v[0], v[1], 0.3, limit...); return },
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			x[0] += float64(float32(0.3)) * sub(x[1], x[0])
			return
		},
	},
	{
		name: "Lerp all the way", streams: "dst* x", inPlace: true,
		run: func(v [][]float32, limit ...Threads) (sum float64) { Lerp(v[0], v[1], 1, limit...); return },
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			x[0] = x[1]
			return
		},
	},
	{
		name: "Scale", streams: "dst* x", inPlace: true, roundings: 1,
		run: func(v [][]float32, limit ...Threads) (sum float64) { Scale(v[0], v[1], 0.3, limit...); return },
		formula: func(x []float64, _ func(a, b float64) float64) (sum float64) {
			x[0] = float64(float32(0.3)) * x[1]
			return
		},
	},
	{
		name: "Factored", streams: "dst* x col+", inPlace: true, roundings: 4,
		run: func(v [][]float32, limit ...Threads) (sum float64) {
			Factored(v[0], v[1], v[2], 0.7, 1e-3, limit...)
			return
		},
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			x[0] = x[1] / math.Sqrt(max(float64(float32(0.7))*x[2], float64(float32(1e-3))))
			return
		},
	},
	{
		name: "InverseRoot", streams: "dst* x+", inPlace: true, ulps: 0.51,
		run: func(v [][]float32, limit ...Threads) (sum float64) {
			InverseRoot(v[0], v[1], testEps, limit...)
			return
		},
		formula: func(x []float64, _ func(a, b float64) float64) (sum float64) {
			x[0] = 1 / math.Sqrt(x[1]+float64(testEps))
			return
		},
	},
	{
		name: "SumSquares", streams: "x", roundings: 1,
		run: func(v [][]float32, limit ...Threads) (sum float64) { return SumSquares(v[0], limit...) },
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			return x[0] * x[0]
		},
	},
	{
		name: "SumAbs", streams: "x", roundings: 1,
		run: func(v [][]float32, limit ...Threads) (sum float64) { return SumAbs(v[0], limit...) },
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			return math.Abs(x[0])
		},
	},
	{
		name: "SquaredError sum", streams: "y target", roundings: 3,
		run: func(v [][]float32, limit ...Threads) (sum float64) {
			return SquaredError(nil, v[0], v[1], 3, limit...)
		},
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			d := sub(x[0], x[1])
			return d * d
		},
	},
	{
		name: "SquaredError gradient", streams: "grad* y target", inPlace: true, roundings: 3,
		run: func(v [][]float32, limit ...Threads) (sum float64) {
			return SquaredError(v[0], v[1], v[2], 3, limit...)
		},
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			d := sub(x[1], x[2])
			x[0] = d * 3
			return d * d
		},
	},
	{
		name: "AbsoluteError sum", streams: "y target", roundings: 3,
		run: func(v [][]float32, limit ...Threads) (sum float64) {
			return AbsoluteError(nil, v[0], v[1], 3, limit...)
		},
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			return math.Abs(sub(x[0], x[1]))
		},
	},
	{
		name: "AbsoluteError gradient", streams: "grad* y target", inPlace: true, roundings: 3,
		run: func(v [][]float32, limit ...Threads) (sum float64) {
			return AbsoluteError(v[0], v[1], v[2], 0.3, limit...)
		},
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			d := sub(x[1], x[2])
			x[0] = 0
			if d != 0 {
				x[0] = math.Copysign(float64(float32(0.3)), d)
			}
			return math.Abs(d)
		},
	},
	{
		name: "HuberError sum", streams: "y target", roundings: 3,
		run: func(v [][]float32, limit ...Threads) (sum float64) {
			return HuberError(nil, v[0], v[1], 0.7, 3, limit...)
		},
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			return huber(sub(x[0], x[1]), float64(float32(0.7)))
		},
	},
	{
		name: "HuberError gradient", streams: "grad* y target", inPlace: true, roundings: 3,
		run: func(v [][]float32, limit ...Threads) (sum float64) {
			return HuberError(v[0], v[1], v[2], 0.7, 3, limit...)
		},
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			d, delta := sub(x[1], x[2]), float64(float32(0.7))
			x[0] = 3 * max(-delta, min(delta, d))
			return huber(d, delta)
		},
	},
	{
		name: "LogisticError sum", streams: "x target%", roundings: 3,
		run: func(v [][]float32, limit ...Threads) (sum float64) {
			return LogisticError(nil, v[0], v[1], 3, limit...)
		},
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			return logistic(x[0], x[1])
		},
	},
	{
		name: "LogisticError gradient", streams: "grad* x target%", inPlace: true, roundings: 3,
		run: func(v [][]float32, limit ...Threads) (sum float64) {
			return LogisticError(v[0], v[1], v[2], 3, limit...)
		},
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			x[0] = 3 * sub(1/(1+math.Exp(-x[1])), x[2])
			return logistic(x[1], x[2])
		},
	},
}

// huber is Huber's loss of a difference.
func huber(d, delta float64) float64 {
	if a := math.Abs(d); a > delta {
		return delta * (a - delta/2)
	}
	return d * d / 2
}

// logistic is the binary cross-entropy of the sigmoid of x and t.
func logistic(x, t float64) float64 {
	e := math.Log1p(math.Exp(-math.Abs(x)))
	if x > 0 {
		return x*(1-t) + e
	}
	return e - x*t
}

func activateKernel(name string, act Activation, ulps float64, f func(x float64) float64) vectorKernel {
	return vectorKernel{
		name: name, streams: "dst* x", inPlace: true, ulps: ulps,
		run: func(v [][]float32, limit ...Threads) (sum float64) { Activate(act, v[0], v[1], limit...); return },
		formula: func(x []float64, _ func(a, b float64) float64) (sum float64) {
			x[0] = f(x[1])
			return
		},
	}
}

func deriveKernel(name string, act Activation, roundings int, f func(y float64, sub func(a, b float64) float64) float64) vectorKernel {
	return vectorKernel{
		name: name, streams: "dst* grad y", inPlace: true, roundings: roundings,
		run: func(v [][]float32, limit ...Threads) (sum float64) { Derive(act, v[0], v[1], v[2], limit...); return },
		formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
			x[0] = x[1] * f(x[2], sub)
			return
		},
	}
}

// onlyPositive is a row whose last vector is never negative.
func onlyPositive(k vectorKernel) vectorKernel {
	k.streams += "+"
	return k
}

func eluOf(alpha, x float64) float64 {
	if x > 0 {
		return x
	}
	return alpha * math.Expm1(x)
}

// phiOf is the normal distribution function, densityOf its derivative.
func phiOf(x float64) float64     { return math.Erfc(-x/math.Sqrt2) / 2 }
func densityOf(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }

// geluTanhOf is the argument of GELU's tanh form, and its derivative.
func geluTanhOf(x float64) (u, du float64) {
	root := math.Sqrt(2 / math.Pi)
	return root * (x + 0.044715*x*x*x), root * (1 + 3*0.044715*x*x)
}

// gatedOf is s·(1 + v·(1-s)) with s the sigmoid of u.
func gatedOf(u, v float64, sub func(a, b float64) float64) float64 {
	s := 1 / (1 + math.Exp(-u))
	return s * (1 + v*sub(1, s))
}

// stream is a vector of a kernel.
type stream struct {
	name                    string
	written, positive, unit bool
}

func (k *vectorKernel) vectors() []stream {
	var list []stream
	for _, s := range strings.Fields(k.streams) {
		list = append(list, stream{strings.TrimRight(s, "*+%"), strings.Contains(s, "*"), strings.Contains(s, "+"), strings.Contains(s, "%")})
	}
	return list
}

// fn is how panics begin.
func (k *vectorKernel) fn() string { return panicPrefix(k.name) }

// eachVectorKernel runs f as a subtest for every row of the table under every
// instruction set.
func eachVectorKernel(t *testing.T, f func(t *testing.T, k *vectorKernel, r *rand.Rand)) {
	eachISA(t, func(t *testing.T) {
		for i := range vectorKernels {
			k := &vectorKernels[i]
			t.Run(k.name, func(t *testing.T) { f(t, k, rand.New(rand.NewPCG(3, uint64(i)))) })
		}
	})
}

// kernelNamed is the row of that name.
func kernelNamed(name string) *vectorKernel {
	return &vectorKernels[slices.IndexFunc(vectorKernels, func(k vectorKernel) bool { return k.name == name })]
}

// draw gives each vector n numbers.
func (k *vectorKernel) draw(r *rand.Rand, kind kind, n int) [][]float32 {
	in := make([][]float32, len(k.vectors()))
	for i := range in {
		in[i] = kind.values(r, n)
	}
	return in
}

// portable runs the portable loop on copies, in one thread.
func (k *vectorKernel) portable(t *testing.T, in [][]float32) (out [][]float32, sum float64) {
	t.Helper()
	for _, x := range in {
		out = append(out, slices.Clone(x))
	}
	onPortable(t, func() { sum = k.run(out, 1) })
	return out, sum
}

// check runs the kernel on in, vector i off[i] elements after a multiple of 64
// bytes, and compares all with what is wanted.
func (k *vectorKernel) check(t *testing.T, what string, in [][]float32, off []int, want [][]float32, wantSum float64, limit ...Threads) {
	t.Helper()
	v, spilled := make([][]float32, len(in)), make([]func() (int, bool), len(in))
	for i, x := range in {
		v[i], spilled[i] = place(x, off[i])
	}
	sum := k.run(v, limit...)
	where := func(i int) string {
		return fmt.Sprintf("%s: %s, n %d, offsets %d, threads %d: %s", k.name, what, len(in[0]), off, limit, k.vectors()[i].name)
	}
	for i, s := range k.vectors() {
		if at, ok := spilled[i](); ok {
			t.Fatalf("%s[%d] was written", where(i), at)
		}
		for e, got := range v[i] {
			if !s.written && math.Float32bits(got) != math.Float32bits(in[i][e]) {
				t.Fatalf("%s[%d] was written: %s, had been %s", where(i), e, show(got), show(in[i][e]))
			}
			if s.written && !same(got, want[i][e]) {
				var from []string
				for _, x := range in {
					from = append(from, show(x[e]))
				}
				t.Fatalf("%s[%d] = %s, want %s; element %[2]d was %s", where(i), e, show(got), show(want[i][e]), strings.Join(from, ", "))
			}
		}
	}
	if !same64(sum, wantSum) {
		t.Fatalf("%s... result %g (%#x), want %g (%#x)", where(0), sum, math.Float64bits(sum), wantSum, math.Float64bits(wantSum))
	}
}

// TestVectorBits compares with the portable loop: all short lengths at all
// offsets, and lengths around the block with several threads.
func TestVectorBits(t *testing.T) {
	eachVectorKernel(t, func(t *testing.T, k *vectorKernel, r *rand.Rand) {
		off := make([]int, len(k.vectors()))
		each := 1 // of so many
		lengths, threads := []int{1000, 4093, block - 1, block, block + 1, 40000}, []Threads{1, 2, 3, 8}
		switch {
		case testing.Short() && ISA() == "portable":
			each, lengths, threads = 9, []int{block + 1}, []Threads{3}
		case testing.Short():
			each, lengths, threads = 3, []int{block + 1, 40000}, []Threads{1, 3}
		}
		for n := range 301 {
			first := make([]int, len(off))
			for i := range first {
				first[i] = r.IntN(16)
			}
			for which, kind := range kinds() {
				if (n+which)%each != 0 {
					continue
				}
				in := k.draw(r, kind, n)
				want, sum := k.portable(t, in)
				for o := which; o < 16; o += len(kinds()) {
					for i := range off {
						off[i] = (first[i] + o) % 16
					}
					k.check(t, kind.name, in, off, want, sum, 1)
				}
			}
		}
		for _, n := range lengths {
			for _, name := range []string{"normal", "mixed"} {
				in := k.draw(r, kindNamed(name), n)
				want, sum := k.portable(t, in)
				for _, limit := range threads {
					for i := range off {
						off[i] = r.IntN(16)
					}
					k.check(t, name, in, off, want, sum, limit)
				}
			}
		}
	})
}

// TestVectorValues compares with the formula.
func TestVectorValues(t *testing.T) {
	minus, plus := func(a, b float64) float64 { return a - b }, func(a, b float64) float64 { return a + b }
	eachVectorKernel(t, func(t *testing.T, k *vectorKernel, r *rand.Rand) {
		if k.formula == nil {
			return
		}
		n, streams := 20000, k.vectors()
		in, got := make([][]float32, len(streams)), make([][]float32, len(streams))
		for i, s := range streams {
			for range n {
				x := float32(math.Ldexp(1+r.Float64(), r.IntN(40)-30))
				switch {
				case s.unit:
					x = min(1, x)
				case !s.positive && r.IntN(2) == 0:
					x = -x
				}
				if r.IntN(20) == 0 && k.ulps == 0 {
					x = 0
				}
				in[i] = append(in[i], x)
			}
			got[i] = slices.Clone(in[i])
		}
		gotSum := k.run(got)
		var wantSum, worst float64
		for e := range n {
			want, size := make([]float64, len(streams)), make([]float64, len(streams))
			for i := range streams {
				want[i] = float64(in[i][e])
				size[i] = math.Abs(want[i])
			}
			wantSum += k.formula(want, minus)
			k.formula(size, plus)
			for i, s := range streams {
				if !s.written {
					continue
				}
				off, bound := ulpsOff(got[i][e], want[i]), k.ulps
				if k.ulps == 0 {
					off, bound = math.Abs(float64(got[i][e])-want[i]), float64(k.roundings)*(0x1p-24*size[i]+0x1p-149)
				}
				if !(off <= bound) {
					t.Fatalf("%s: %s[%d] = %g, want %g, off by %g, at most %g is allowed", k.name, s.name, e, got[i][e], want[i], off, bound)
				}
				if bound > 0 {
					worst = max(worst, off/bound)
				}
			}
		}
		if off := math.Abs(gotSum - wantSum); !(off <= float64(k.roundings)*0x1p-24*wantSum) {
			t.Fatalf("%s: result %g, want %g", k.name, gotSum, wantSum)
		}
		t.Logf("at worst %.3f of the bound", worst)
	})
}

// TestVectorSums compares with the portable loop what hides in the sum of many
// ordinary numbers: single terms, alone and 32 times, of which the sum is exact, and
// the order of terms that are far apart.
func TestVectorSums(t *testing.T) {
	apart := func(r *rand.Rand) float32 {
		return float32(math.Ldexp(r.Float64()+1, r.IntN(45)-40)) * float32(1-2*r.IntN(2))
	}
	tries := 1000
	if testing.Short() {
		tries = 300
	}
	eachVectorKernel(t, func(t *testing.T, k *vectorKernel, r *rand.Rand) {
		normal, off := kindNamed("normal"), make([]int, len(k.vectors()))
		if _, sum := k.portable(t, k.draw(r, normal, 1)); sum == 0 {
			return // none is returned
		}
		compare := func(what string, in [][]float32) {
			want, sum := k.portable(t, in)
			k.check(t, what, in, off, want, sum, 1)
		}
		for try := range tries {
			one, many := k.draw(r, normal, 1), make([][]float32, len(off))
			for i := range one {
				if try%2 == 0 {
					one[i][0] = apart(r)
				}
				many[i] = slices.Repeat(one[i], lanes)
			}
			compare("a single term", one)
			compare("one term 32 times", many)
		}
		for n := range 150 {
			in := k.draw(r, normal, n)
			for i := range in {
				for e := range in[i] {
					in[i][e] = apart(r)
				}
			}
			compare("terms far apart", in)
		}
	})
}

// TestVectorLengths gives one vector another length than the rest.
func TestVectorLengths(t *testing.T) {
	eachVectorKernel(t, func(t *testing.T, k *vectorKernel, r *rand.Rand) {
		if len(k.vectors()) == 1 {
			return // which may have any length
		}
		normal := kindNamed("normal")
		for _, n := range []int{0, 1, 37, block + 5} {
			for _, other := range []int{0, 1, n - 1, n + 1, n + block} {
				if other < 0 || other == n {
					continue
				}
				for odd, s := range k.vectors() {
					in := k.draw(r, normal, n)
					in[odd] = normal.values(r, other)
					v := make([][]float32, len(in))
					for i, x := range in {
						v[i] = slices.Clone(x)
					}
					if v[odd] == nil { // which SquaredError takes for no gradient
						v[odd] = []float32{}
					}
					what := fmt.Sprintf("%s: len(%s) = %d, others %d", k.name, s.name, other, n)
					wantPanic(t, what, func() { k.run(v) }, k.fn(), "len("+s.name+")", fmt.Sprint(" = ", n), fmt.Sprint(" = ", other))
					for i := range in {
						unchanged(t, what, k.vectors()[i].name, v[i], in[i])
					}
				}
			}
		}
	})
}

// TestVectorOverlap lays each pair of vectors over one another in one array, at
// every distance.
func TestVectorOverlap(t *testing.T) {
	eachVectorKernel(t, func(t *testing.T, k *vectorKernel, r *rand.Rand) {
		streams, mixed := k.vectors(), kindNamed("mixed")
		for _, n := range []int{1, 2, 3, 11, 40, block + 5} {
			distances := []int{-n, -n + 1, 0, 1, n / 2, n - 1, n}
			if n < block {
				distances = nil
				for d := -n; d <= n; d++ {
					distances = append(distances, d)
				}
			}
			for i := range streams {
				for j := range i {
					for _, d := range distances {
						in := k.draw(r, mixed, n)
						array := mixed.values(r, 3*n)
						before := slices.Clone(array)
						v := make([][]float32, len(in))
						for s, x := range in {
							v[s] = slices.Clone(x)
						}
						v[j], v[i] = array[n:2*n], array[n+d:][:n]
						shared := n - max(d, -d)
						what := fmt.Sprintf("%s: n %d, %s %d elements after %s", k.name, n, streams[i].name, d, streams[j].name)
						allowed := shared == 0 || !streams[i].written && !streams[j].written || k.inPlace && j == 0 && d == 0
						if !allowed {
							wantPanic(t, what, func() { k.run(v, 2) }, k.fn(),
								fmt.Sprintf("%s (len %d)", streams[i].name, n), fmt.Sprintf("%s (len %d)", streams[j].name, n), fmt.Sprintf("share %d elements", shared))
							unchanged(t, what, "the array", array, before)
							for s := range v {
								if s != i && s != j {
									unchanged(t, what, streams[s].name, v[s], in[s])
								}
							}
							continue
						}
						k.sameInPlace(t, what, v)
					}
				}
			}
			if k.inPlace { // all of them the same vector
				array := mixed.values(r, n)
				v := make([][]float32, len(streams))
				for s := range v {
					v[s] = array
				}
				k.sameInPlace(t, fmt.Sprintf("%s: n %d, all the same", k.name, n), v)
			}
		}
	})
}

// sameInPlace runs the kernel on vectors that overlap and on copies that do not.
func (k *vectorKernel) sameInPlace(t *testing.T, what string, v [][]float32) {
	t.Helper()
	want, wantSum := k.portable(t, v)
	if sum := k.run(v, 2); !same64(sum, wantSum) {
		t.Fatalf("%s: result %g, want %g", what, sum, wantSum)
	}
	for s, stream := range k.vectors() {
		for e := range want[s] {
			if stream.written && !same(v[s][e], want[s][e]) {
				t.Fatalf("%s: %s[%d] = %s, want %s", what, stream.name, e, show(v[s][e]), show(want[s][e]))
			}
		}
	}
}

// TestVectorThreads gives limits of threads that are none.
func TestVectorThreads(t *testing.T) {
	for i := range vectorKernels {
		k := &vectorKernels[i]
		for _, n := range []int{1, block + 1} {
			in := k.draw(rand.New(rand.NewPCG(1, 1)), kindNamed("normal"), n)
			before := slices.Clone(in[0])
			wantPanic(t, k.name, func() { k.run(in, -1) }, k.fn(), "-1")
			wantPanic(t, k.name, func() { k.run(in, 1, 2) }, k.fn(), "2 limits")
			unchanged(t, k.name, k.vectors()[0].name, in[0], before)
		}
	}
}

func TestVectorsDoNotAllocate(t *testing.T) {
	eachVectorKernel(t, func(t *testing.T, k *vectorKernel, r *rand.Rand) {
		for _, n := range []int{0, 1, 1000, 3*block + 5} {
			v := k.draw(r, kindNamed("normal"), n)
			for _, limit := range [][]Threads{{1}, {2}} { // not made in the call, where it would escape
				wantNoAllocation(t, fmt.Sprintf("%s: n %d, threads %d", k.name, n, limit), func() { k.run(v, limit...) })
			}
		}
	})
}

// wantNoAllocation fails the test if f allocates each time. Once is nothing: the
// first call fills the pools, and the collector empties them.
func wantNoAllocation(t *testing.T, what string, f func()) {
	t.Helper()
	var got float64
	for range 20 {
		if got = testing.AllocsPerRun(1, f); got == 0 {
			return
		}
	}
	t.Errorf("%s: a call allocates %v times, want 0", what, got)
}
