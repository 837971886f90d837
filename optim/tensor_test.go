package optim_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
	"gonum.org/v1/gonum/mat"
)

// shapes is a layout with matrices that are square, wide, tall, of one row and of one
// column, with vectors, with tensors of nothing, and with weights of outer layers.
var shapes = []optim.Tensor{
	{Rows: 3, Cols: 5, Outer: true}, {Rows: 1, Cols: 5},
	{Rows: 5, Cols: 5}, {Rows: 1, Cols: 5},
	{Rows: 2, Cols: 9}, {Rows: 1, Cols: 9},
	{Rows: 1, Cols: 0}, {Rows: 3, Cols: 0},
	{Rows: 7, Cols: 2}, {Rows: 1, Cols: 2},
	{Rows: 4, Cols: 1}, {Rows: 1, Cols: 1},
	{Rows: 2, Cols: 2, Outer: true}, {Rows: 3, Cols: 3},
}

// each calls f with each tensor of a layout and where it is.
func each(layout []optim.Tensor, f func(i int, t optim.Tensor, lo, hi int)) {
	lo := 0
	for i, t := range layout {
		f(i, t, lo, lo+t.Rows*t.Cols)
		lo += t.Rows * t.Cols
	}
}

// norm is √Σx².
func norm[T float32 | float64](x []T) float64 {
	var sum float64
	for _, x := range x {
		sum += float64(float64(x) * float64(x))
	}
	return math.Sqrt(sum)
}

var lambTest = ruleTest{
	name: "lamb", state: []string{"m", "v"},
	defaults: values{"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-6, "lambda": 0.01},
	others:   []values{{"lr": 0.1, "beta1": 0.5, "beta2": 0.8, "eps": 0.1, "lambda": 0.3}},
	construct: func(l []optim.Tensor, o values) *optim.Rule {
		return optim.NewLAMB(l, optim.LAMBOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"], Eps: o["eps"], Lambda: o["lambda"]})
	},
	bound: 2e-6,
	whole: func(o values, layout []optim.Tensor, t float64, p, g []float64, s [][]float64) {
		lr, b1, b2, eps, lambda := o["lr"], o["beta1"], o["beta2"], o["eps"], o["lambda"]
		each(layout, func(_ int, _ optim.Tensor, lo, hi int) {
			d := make([]float64, hi-lo)
			for i := lo; i < hi; i++ {
				s[0][i] = b1*s[0][i] + (1-b1)*g[i]
				s[1][i] = b2*s[1][i] + (1-b2)*g[i]*g[i]
				d[i-lo] = s[0][i]/(1-math.Pow(b1, t))/(math.Sqrt(s[1][i]/(1-math.Pow(b2, t)))+eps) + lambda*p[i]
			}
			trust := 1.0
			if norm(p[lo:hi]) > 0 && norm(d) > 0 {
				trust = norm(p[lo:hi]) / norm(d)
			}
			for i, d := range d {
				p[lo+i] -= lr * trust * d
			}
		})
	},
}

var larsTest = ruleTest{
	name: "lars", state: []string{"v"},
	defaults: values{"lr": 0.01, "momentum": 0.9, "trust": 0.001, "lambda": 0.0005},
	others:   []values{{"lr": 0.2, "momentum": 0.6, "trust": 0.3, "lambda": 0.1}},
	construct: func(l []optim.Tensor, o values) *optim.Rule {
		return optim.NewLARS(l, optim.LARSOptions{LR: o["lr"], Momentum: o["momentum"], Trust: o["trust"], Lambda: o["lambda"]})
	},
	bound: 2e-6,
	whole: func(o values, layout []optim.Tensor, _ float64, p, g []float64, s [][]float64) {
		each(layout, func(_ int, t optim.Tensor, lo, hi int) {
			rate, lambda := o["lr"], 0.0
			if t.Rows > 1 {
				lambda = o["lambda"]
				if w, g := norm(p[lo:hi]), norm(g[lo:hi]); w > 0 && g > 0 {
					rate *= o["trust"] * w / (g + lambda*w)
				}
			}
			for i := lo; i < hi; i++ {
				s[0][i] = o["momentum"]*s[0][i] - rate*(g[i]+lambda*p[i])
				p[i] += s[0][i]
			}
		})
	},
}

var adafactorTest = ruleTest{
	name: "adafactor", state: []string{"squares"},
	defaults: values{"lr": 0.01, "decayrate": 0.8, "eps1": 0x1p-23, "eps2": 0.001, "clip": 1},
	others:   []values{{"lr": 0.5, "decayrate": 0.5, "eps1": 0.3, "eps2": 2, "clip": 0.6}, {"lr": 0.2, "eps1": 1e-12, "clip": 20}},
	construct: func(l []optim.Tensor, o values) *optim.Rule {
		return optim.NewAdafactor(l, optim.AdafactorOptions{LR: o["lr"], DecayRate: o["decayrate"], Eps1: o["eps1"], Eps2: o["eps2"], Clip: o["clip"]})
	},
	bound: 2e-6,
	whole: func(o values, layout []optim.Tensor, t float64, p, g []float64, s [][]float64) {
		keep := 1 - math.Pow(t, -o["decayrate"])
		squares := s[0]
		each(layout, func(_ int, tensor optim.Tensor, lo, hi int) {
			if hi == lo {
				return
			}
			u, rows, cols := make([]float64, hi-lo), tensor.Rows, tensor.Cols
			if rows == 1 {
				for i, g := range g[lo:hi] {
					squares[i] = keep*squares[i] + (1-keep)*g*g
					u[i] = g / math.Sqrt(max(squares[i], o["eps1"]*o["eps1"]))
				}
				squares = squares[cols:]
			} else {
				r, c := squares[:rows], squares[rows:][:cols]
				squares = squares[rows+cols:]
				var mean float64
				for i := range r {
					row := norm(g[lo+i*cols:][:cols])
					r[i] = keep*r[i] + (1-keep)*row*row/float64(cols)
					mean += r[i] / float64(rows)
				}
				for j := range c {
					var sum float64
					for i := range rows {
						sum += g[lo+i*cols+j] * g[lo+i*cols+j]
					}
					c[j] = keep*c[j] + (1-keep)*sum/float64(rows)
				}
				for i := range u {
					v := r[i/cols] * c[i%cols] / max(mean, o["eps1"])
					u[i] = g[lo+i] / math.Sqrt(max(v, o["eps1"]*o["eps1"]))
				}
			}
			size := math.Sqrt(float64(hi - lo))
			step := min(o["lr"], 1/math.Sqrt(t)) * max(o["eps2"], norm(p[lo:hi])/size) / max(1, norm(u)/size/o["clip"])
			for i, u := range u {
				p[lo+i] -= step * u
			}
		})
	},
}

var muonTest = ruleTest{
	name: "muon", state: []string{"m", "v"},
	defaults: values{"lr": 0.001, "momentum": 0.95, "eps": 1e-7, "steps": 5, "adamlr": 0.001, "decay": 0.1},
	others: []values{{"lr": 0.02, "momentum": 0.8, "eps": 3, "steps": 2, "adamlr": 0.01, "decay": 0.4},
		{"lr": 0.03, "steps": 7, "adamlr": 0.2, "decay": 1}},
	construct: func(l []optim.Tensor, o values) *optim.Rule {
		return optim.NewMuon(l, optim.MuonOptions{LR: o["lr"], Momentum: o["momentum"], Eps: o["eps"], Steps: int(o["steps"]), AdamLR: o["adamlr"],
			Common: optim.Common{Decay: o["decay"]}})
	},
	bound: 1e-5, // the iteration magnifies what is rounded in small singular values
	whole: func(o values, layout []optim.Tensor, t float64, p, g []float64, s [][]float64) {
		adam := adamOracle(values{"lr": o["adamlr"], "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "decay": o["decay"]}, t)
		m, v := s[0], s[1]
		each(layout, func(_ int, tensor optim.Tensor, lo, hi int) {
			if tensor.Outer || tensor.Rows == 1 || tensor.Cols == 1 {
				for i := lo; i < hi; i++ {
					mv := [3]float64{m[i], v[0]}
					p[i] = adam(p[i], g[i], &mv)
					m[i], v[0] = mv[0], mv[1]
					v = v[1:]
				}
				return
			}
			if hi == lo {
				return
			}
			mu := o["momentum"]
			d := make([]float64, hi-lo)
			for i := range d {
				m[lo+i] = mu*m[lo+i] + (1-mu)*g[lo+i]
				d[i] = (1-mu)*g[lo+i] + mu*m[lo+i]
			}
			size := max(norm(d), o["eps"])
			for i := range d {
				d[i] /= size
			}
			x := newtonSchulz(mat.NewDense(tensor.Rows, tensor.Cols, d), int(o["steps"]))
			rate := o["lr"] * math.Sqrt(max(1, float64(tensor.Cols)/float64(tensor.Rows)))
			for i := range d {
				p[lo+i] = (1-o["lr"]*o["decay"])*p[lo+i] - rate*x.At(i/tensor.Cols, i%tensor.Cols)
			}
		})
	},
}

// newtonSchulz is the iteration of Muon in float64, of the matrix as it is: the product
// from the other side gives the same.
func newtonSchulz(x *mat.Dense, steps int) *mat.Dense {
	for range steps {
		var a, x3, x5 mat.Dense
		a.Mul(x, x.T())
		x3.Mul(&a, x)
		x5.Mul(&a, &x3)
		var next mat.Dense
		next.Apply(func(i, j int, x float64) float64 { return quintic(x, x3.At(i, j), x5.At(i, j)) }, x)
		x = &next
	}
	return x
}

// quintic is the polynomial of Muon's iteration in x, x³ and x⁵.
func quintic(x, x3, x5 float64) float64 { return 3.4445*x - 4.775*x3 + 2.0315*x5 }

// TestTensorRules compares the rules that go by a layout with their formulas in
// float64: parameters and state, by name and by constructor, on one thread and on
// three, with tensors that start at zero and gradients that are zero.
//
// The threads and the way of making must not change a bit. A parameter may differ by
// the row's bound of the way that its tensor's fastest one has come: |p| at the start
// and the sizes of all steps; for a step goes by all of a tensor. A vector of the state
// may differ by the bound of its largest element.
func TestTensorRules(t *testing.T) {
	// The last ones are beyond the block at which kernels cut, in a tensor or in all.
	layouts := []struct {
		name   string
		layout []optim.Tensor
		steps  int
	}{
		{"nothing", []optim.Tensor{{Rows: 1, Cols: 0}}, 2},
		{"a vector", optim.Vector(7), 50},
		{"a matrix", []optim.Tensor{{Rows: 3, Cols: 5}}, 50},
		{"many", shapes, 50},
		{"long", []optim.Tensor{{Rows: 4, Cols: 4101}, {Rows: 1, Cols: 31}, {Rows: 33, Cols: 2}}, 5},
		{"long vector", []optim.Tensor{{Rows: 2, Cols: 2, Outer: true}, {Rows: 1, Cols: 1<<14 + 3}}, 5},
	}
	for _, rule := range rules {
		if rule.whole == nil {
			continue
		}
		var worst, worstState float64
		for _, l := range layouts {
			for _, given := range rule.sets() {
				e, es, err := compareWhole(&rule, l.layout, l.steps, given)
				if err != nil {
					t.Fatalf("%s, %s, options=%v: %v", rule.name, l.name, given, err)
				}
				worst, worstState = max(worst, e), max(worstState, es)
				if !(e <= rule.bound) || !(es <= rule.bound) {
					t.Errorf("%s, %s, options=%v: errors %.2g of the way and %.2g of the state, want at most %g", rule.name, l.name, given, e, es, rule.bound)
				}
			}
		}
		t.Logf("%s: largest relative error %.2g, in the state %.2g", rule.name, worst, worstState)
	}
}

func compareWhole(rule *ruleTest, layout []optim.Tensor, steps int, given values) (worst, worstState float64, err error) {
	n, o := optim.Size(layout), rule.with(given)
	named, err := optim.New(rule.name, layout, given)
	if err != nil {
		return 0, 0, err
	}
	made := rule.construct(layout, given)

	rng := rand.New(rand.NewPCG(3, uint64(n)))
	p, q, grads := make([]float32, n), make([]float32, n), make([]float32, n)
	oracle, before, grads64, way := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	state := make([][]float64, len(rule.state))
	for k, name := range rule.state {
		state[k] = make([]float64, len(named.State().Vectors[name]))
	}
	each(layout, func(i int, _ optim.Tensor, lo, hi int) {
		for ; i%5 != 4 && lo < hi; lo++ { // every fifth starts at zero
			p[lo] = float32(rng.NormFloat64())
			oracle[lo], way[lo] = float64(p[lo]), math.Abs(float64(p[lo]))
		}
	})
	copy(q, p)
	for step := 1; step <= steps; step++ {
		each(layout, func(i int, _ optim.Tensor, lo, hi int) {
			for ; i%7 != 5 && lo < hi; lo++ { // every seventh never moves
				grads[lo] = float32(rng.NormFloat64())
				grads64[lo] = float64(grads[lo])
			}
		})
		if err := named.Step(p, grads); err != nil {
			return 0, 0, err
		}
		if err := made.Step(q, grads, 3); err != nil {
			return 0, 0, err
		}
		if i := differ(p, q); i >= 0 {
			return 0, 0, fmt.Errorf("step %d, element %d: by name %v, by constructor on three threads %v", step, i, p[i], q[i])
		}
		copy(before, oracle)
		rule.whole(o, layout, float64(step), oracle, grads64, state)
		each(layout, func(_ int, _ optim.Tensor, lo, hi int) {
			var most float64
			for i := lo; i < hi; i++ {
				way[i] += math.Abs(oracle[i] - before[i])
				most = max(most, way[i])
			}
			for i := lo; i < hi; i++ {
				worst = max(worst, relative(math.Abs(float64(p[i])-oracle[i]), most))
			}
		})
		vectors := named.State().Vectors
		if len(vectors) != len(rule.state) {
			return 0, 0, fmt.Errorf("the state has %d vectors, want %v", len(vectors), rule.state)
		}
		for k, name := range rule.state {
			var most float64
			for _, want := range state[k] {
				most = max(most, math.Abs(want))
			}
			for i, want := range state[k] {
				worstState = max(worstState, relative(math.Abs(float64(vectors[name][i])-want), most))
			}
		}
	}
	return worst, worstState, nil
}

// relative is e/of, and 0 for no error at all.
func relative(e, of float64) float64 {
	if e == 0 {
		return 0
	}
	return e / of
}

// differ returns the first index at which the bits of a and b differ, or -1.
func differ(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// exactLARS is LARS in float32, in the order of the kernel's doc, with common options.
type exactLARS struct {
	o      values // all of them
	layout []optim.Tensor
	v      []float32
}

// step does one step at a rate, the gradients multiplied by scale.
func (l *exactLARS) step(lr float64, scale float32, p, grads []float32) {
	each(l.layout, func(_ int, t optim.Tensor, lo, hi int) {
		o, rate := l.o, lr
		if t.Rows > 1 {
			lambda := o["lambda"] + o["l2"]
			o = values{"l1": o["l1"], "l2": lambda, "decay": o["decay"], "maximize": o["maximize"], "clipvalue": o["clipvalue"], "momentum": o["momentum"]}
			if w, g := norm(p[lo:hi]), float64(norm(grads[lo:hi])*float64(scale)); w > 0 && g > 0 {
				rate = lr * l.o["trust"] * w / (g + float64(lambda*w))
			}
		}
		for i := lo; i < hi; i++ {
			x, g := byHand(o, lr, scale, p[i], grads[i])
			l.v[i] = float32(float32(o["momentum"])*l.v[i]) - float32(float32(rate)*g)
			p[i] = x + l.v[i]
		}
	})
}

// TestExactLARS: LARS has the bits of the loop in the order that its docs give.
func TestExactLARS(t *testing.T) {
	n := optim.Size(shapes)
	for _, given := range larsTest.sets() {
		opt, err := optim.New("lars", shapes, given)
		if err != nil {
			t.Fatal(err)
		}
		exact := exactLARS{larsTest.with(given), shapes, make([]float32, n)}
		rng := rand.New(rand.NewPCG(5, 6))
		p, grads := normals(rng, n), make([]float32, n)
		q := append([]float32(nil), p...)
		for step := range 50 {
			copy(grads, normals(rng, n))
			if err := opt.Step(p, grads, 2); err != nil {
				t.Fatal(err)
			}
			exact.step(opt.LR(), 1, q, grads)
			if i := differ(p, q); i >= 0 {
				t.Fatalf("options=%v: step %d, element %d: %v, want %v", given, step+1, i, p[i], q[i])
			}
		}
	}
}

// normals are n normal deviates.
func normals(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// TestMuonOrthogonal looks at the first step of Muon from zero, which is the gradient
// made orthogonal, negative and times √max(1, cols/rows).
//
// Each singular value must be what five rounds of the polynomial make of the
// gradient's, divided by the norm, and the singular vectors must be the gradient's:
// within 1e-5 of the product with those values. So the values end in a band, and the
// distance from the nearest orthogonal matrix, U·Vᵀ, is what the band is wide.
func TestMuonOrthogonal(t *testing.T) {
	const bound, low, high = 1e-5, 0.65, 1.25
	rng := rand.New(rand.NewPCG(7, 8))
	var worst, least, most float64 = 0, 1, 1
	for _, shape := range []optim.Tensor{
		{Rows: 2, Cols: 2}, {Rows: 4, Cols: 4}, {Rows: 16, Cols: 16}, {Rows: 3, Cols: 17}, {Rows: 17, Cols: 3}, {Rows: 2, Cols: 64},
		{Rows: 64, Cols: 2}, {Rows: 10, Cols: 40}, {Rows: 40, Cols: 10}, {Rows: 24, Cols: 31}, {Rows: 31, Cols: 24},
	} {
		for _, scale := range []float32{1, 1e-6, 1e12} {
			n := shape.Rows * shape.Cols
			g, p := normals(rng, n), make([]float32, n)
			wide := mat.NewDense(shape.Rows, shape.Cols, nil)
			for i := range g {
				g[i] *= scale
				wide.Set(i/shape.Cols, i%shape.Cols, float64(g[i]))
			}
			opt := optim.NewMuon([]optim.Tensor{shape}, optim.MuonOptions{LR: 1, AdamLR: 1, Eps: 1e-12})
			if err := opt.Step(p, g, kernels.Threads(2)); err != nil {
				t.Fatal(err)
			}
			factor := -math.Sqrt(max(1, float64(shape.Cols)/float64(shape.Rows)))
			got := mat.NewDense(shape.Rows, shape.Cols, nil)
			for i, p := range p {
				got.Set(i/shape.Cols, i%shape.Cols, float64(p)/factor)
			}

			var svd mat.SVD
			if !svd.Factorize(wide, mat.SVDThin) {
				t.Fatalf("%+v: no singular values", shape)
			}
			var u, v, left, want, polar, gap mat.Dense
			svd.UTo(&u)
			svd.VTo(&v)
			s, size := svd.Values(nil), norm(g)
			for i := range s {
				s[i] /= size
				for range 5 {
					x := s[i]
					s[i] = quintic(x, x*x*x, x*x*x*x*x)
				}
			}
			left.Mul(&u, mat.NewDiagDense(len(s), s))
			want.Mul(&left, v.T())
			gap.Sub(got, &want)
			e := mat.Norm(&gap, 2)
			if worst = max(worst, e); !(e <= bound) {
				t.Errorf("%+v, scale %g: %.2g from the polynomial of the singular values, want at most %g", shape, scale, e, bound)
			}

			if !svd.Factorize(got, mat.SVDNone) {
				t.Fatalf("%+v: no singular values of the result", shape)
			}
			var far float64
			for _, s := range svd.Values(nil) {
				least, most, far = min(least, s), max(most, s), max(far, math.Abs(s-1))
				if !(s > low && s < high) {
					t.Errorf("%+v, scale %g: a singular value of %.3f, want from %g to %g", shape, scale, s, low, high)
				}
			}
			polar.Mul(&u, v.T())
			gap.Sub(got, &polar)
			if !svd.Factorize(&gap, mat.SVDNone) {
				t.Fatalf("%+v: no singular values of the difference", shape)
			}
			if got := svd.Values(nil)[0]; !(math.Abs(got-far) <= bound) {
				t.Errorf("%+v, scale %g: %.4f from the nearest orthogonal matrix, want %.4f", shape, scale, got, far)
			}
		}
	}
	t.Logf("largest error %.2g, singular values from %.3f to %.3f", worst, least, most)
}

// TestMuonRest: vectors and outer tensors are stepped as AdamW does, to the bit, whatever
// is between them, and SetLR moves both rates in proportion.
func TestMuonRest(t *testing.T) {
	n := optim.Size(shapes)
	muon := optim.NewMuon(shapes, optim.MuonOptions{LR: 0.02, AdamLR: 0.005})
	adamw := optim.NewAdamW(n, optim.AdamWOptions{LR: 0.005, Common: optim.Common{Decay: 0.1}})
	rng := rand.New(rand.NewPCG(9, 10))
	p, grads := normals(rng, n), make([]float32, n)
	q := append([]float32(nil), p...)
	for step := range 6 {
		if step == 3 {
			muon.SetLR(0.08)
			adamw.SetLR(0.02)
		}
		copy(grads, normals(rng, n))
		if err := muon.Step(p, grads); err != nil {
			t.Fatal(err)
		}
		if err := adamw.Step(q, grads); err != nil {
			t.Fatal(err)
		}
		each(shapes, func(i int, tensor optim.Tensor, lo, hi int) {
			hidden := !tensor.Outer && tensor.Rows > 1 && tensor.Cols > 1
			for j := lo; j < hi; j++ {
				if (p[j] == q[j]) == hidden {
					t.Fatalf("step %d, tensor %d (%+v), element %d: %v, AdamW has %v", step+1, i, tensor, j, p[j], q[j])
				}
			}
		})
	}
}

// TestLAMBShort: a direction that is zero, here for a decay that underflows, moves nothing.
func TestLAMBShort(t *testing.T) {
	p := []float32{1e-44, -1e-44, 0}
	step(t, "lamb", optim.NewLAMB(optim.Vector(3), optim.LAMBOptions{}), p, make([]float32, 3))
	if want := []float32{1e-44, -1e-44, 0}; differ(p, want) >= 0 {
		t.Errorf("got %v, want %v", p, want)
	}
}

// TestLayout: Size counts, and a layout without sense panics with what is wrong with it.
func TestLayout(t *testing.T) {
	if got := optim.Size(shapes); got != 15+5+25+5+18+9+14+2+4+1+4+9 {
		t.Errorf("Size(%v) = %d", shapes, got)
	}
	if got := optim.Vector(7); len(got) != 1 || got[0] != (optim.Tensor{Rows: 1, Cols: 7}) {
		t.Errorf("Vector(7) = %v", got)
	}
	if got := optim.Size(nil); got != 0 {
		t.Errorf("Size(nil) = %d", got)
	}
	for _, test := range []struct {
		layout []optim.Tensor
		want   string
	}{
		{[]optim.Tensor{{Rows: 1, Cols: 2}, {Rows: 0, Cols: 3}}, "tensor 1 is 0×3, want at least 1×0"},
		{[]optim.Tensor{{Rows: -1, Cols: -1}}, "tensor 0 is -1×-1, want at least 1×0"},
		{optim.Vector(-1), "tensor 0 is 1×-1, want at least 1×0"},
		{[]optim.Tensor{{Rows: 1, Cols: 1}, {Rows: math.MaxInt / 2, Cols: 3}}, "and in all no more elements than an int can count"},
		{[]optim.Tensor{{Rows: 1, Cols: math.MaxInt}, {Rows: 1, Cols: 1}}, "tensor 1 is 1×1, want at least 1×0, and in all no more"},
		{[]optim.Tensor{{Rows: 2, Cols: math.MinInt}}, "tensor 0 is 2×"},
	} {
		for fn, do := range map[string]func(){
			"Size":         func() { optim.Size(test.layout) },
			"New":          func() { _, _ = optim.New("sgd", test.layout, nil) },
			"NewLAMB":      func() { optim.NewLAMB(test.layout, optim.LAMBOptions{}) },
			"NewLARS":      func() { optim.NewLARS(test.layout, optim.LARSOptions{}) },
			"NewAdafactor": func() { optim.NewAdafactor(test.layout, optim.AdafactorOptions{}) },
			"NewMuon":      func() { optim.NewMuon(test.layout, optim.MuonOptions{}) },
		} {
			wantPanic(t, "optim."+fn+": ", do)
			wantPanic(t, test.want, do)
		}
	}
}
