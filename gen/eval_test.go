package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-go/lockstep/gen/vec"
	"github.com/lockstep-go/lockstep/internal/f32"
	"github.com/lockstep-go/lockstep/internal/philox"
	"github.com/lockstep-go/lockstep/kernels"
)

// TestEval runs every program for every target in Go, which needs no machine that
// has the instruction set, and compares what comes out with the portable loops
// bit for bit.
func TestEval(t *testing.T) {
	isa := kernels.ISA()
	if err := kernels.SetISA("portable"); err != nil {
		t.Fatal(err)
	}
	defer kernels.SetISA(isa)

	seen := map[string]bool{}
	for _, target := range targets {
		for _, d := range descriptions(target.Target) {
			seen[d.program.FuncName()] = true
			d.eval(t, d.program)
		}
	}
	for name, text := range generated(t) {
		if strings.HasSuffix(name, ".s") {
			for _, m := range regexp.MustCompile(`(?m)^TEXT ·(\w+)`).FindAllSubmatch(text, -1) {
				if !seen[string(m[1])] {
					t.Errorf("%s: %s was not evaluated", name, m[1])
				}
			}
		}
	}
}

// description is a program with the function that tries it.
type description struct {
	program *vec.Program
	eval    func(t *testing.T, p *vec.Program)
}

// descriptions are all of a target's.
func descriptions(target *vec.Target) []description {
	var list []description
	for _, f := range families {
		for _, k := range f.kernels {
			if k.target(target) != target {
				continue
			}
			list = append(list, description{k.program(target), func(t *testing.T, p *vec.Program) { evalKernel(t, p, k.name) }})
		}
	}
	for _, q := range tiles(target) {
		list = append(list, description{q.program(target), func(t *testing.T, p *vec.Program) { evalTile(t, p, q) }})
	}
	for _, steps := range gemvSteps[target] {
		list = append(list, description{gemvProgram(target, steps), func(t *testing.T, p *vec.Program) { evalGemv(t, p, steps) }})
	}
	list = append(list, description{gemvEndProgram(target), evalGemvEnd})
	return list
}

// call is the arguments of a program, with shorthands for those of a kernel.
type call struct{ vec.Args }

func (c call) n(name string) int          { return c.Args[name].(int) }
func (c call) s(name string) float32      { return c.Args[name].(float32) }
func (c call) v(name string) []float32    { return c.Args[name].([]float32) }
func (c call) wide(name string) []float64 { return c.Args[name].([]float64) }
func (c call) labels(name string) []int32 { return c.Args[name].([]int32) }
func (c call) words(name string) []uint32 { return c.Args[name].([]uint32) }

// elements calls f for each element of the matrix x.
func (c call) elements(f func(i, j int, x float32)) {
	for i := range c.n("rows") {
		for j := range c.n("cols") {
			f(i, j, c.v("x")[i*c.n("ldx")+j])
		}
	}
}

func (c call) nesterov() kernels.NesterovCoef {
	return kernels.NesterovCoef{LR: c.s("lr"), Momentum: c.s("momentum"), Momentum2: c.s("momentum2"), LookAhead: c.s("lookAhead"), Grad: c.grad()}
}

// optionScalars are the scalars of an update rule's options, by their bits.
var optionScalars = []string{"scale", "clip", "l1", "l2", "keep"}

// notNegative are the scalars that are finite and at least 0.
var notNegative = []string{"slope", "alpha"}

func (c call) grad() (grad kernels.GradCoef) {
	for i, x := range []*float32{&grad.Scale, &grad.Clip, &grad.L1, &grad.L2, &grad.Keep} {
		// A rule that only reads the parameters has no keep.
		if c.n("options")>>i&1 != 0 && c.Args[optionScalars[i]] != nil {
			*x = c.s(optionScalars[i])
		}
	}
	grad.Zero = c.n("options")>>len(optionScalars) != 0
	return grad
}

func (c call) heavyBall(nesterov bool) {
	kernels.HeavyBall(c.v("p"), c.v("v"), c.v("grad"), kernels.HeavyBallCoef{
		LR: c.s("lr"), Momentum: c.s("momentum"), OneMinusDampening: c.s("oneMinusDampening"), Nesterov: nesterov, Grad: c.grad()})
}

func (c call) stream() {
	for _, name := range []string{"p", "m", "v", "top"} {
		if x, ok := c.Args[name].([]float32); ok {
			for i, g := range c.v("grad") {
				x[i] += g
			}
		}
	}
}

func (c call) torchRMSprop() {
	coef := kernels.TorchRMSpropCoef{LR: c.s("lr"), Rho: c.s("rho"), OneMinusRho: c.s("oneMinusRho"), Eps: c.s("eps"), Grad: c.grad()}
	mean, _ := c.Args["mean"].([]float32)
	v, _ := c.Args["v"].([]float32)
	if v != nil {
		coef.Momentum = c.s("momentum")
	}
	kernels.TorchRMSprop(c.v("p"), c.v("h"), mean, v, c.v("grad"), coef)
}

func (c call) adamW() kernels.AdamWCoef {
	return kernels.AdamWCoef{
		StepSize: c.s("stepSize"), OneMinusBeta1: c.s("oneMinusBeta1"), Beta2: c.s("beta2"), OneMinusBeta2: c.s("oneMinusBeta2"),
		RootCorrection: c.s("rootCorrection"), Eps: c.s("eps"), Grad: c.grad()}
}

// meanings say what each kernel does, by the public function where there is one.
var meanings = map[string]func(c call){
	"SGD": func(c call) { kernels.SGD(c.v("p"), c.v("grad"), kernels.SGDCoef{LR: c.s("lr"), Grad: c.grad()}) },
	"Momentum": func(c call) {
		kernels.Momentum(c.v("p"), c.v("v"), c.v("grad"), kernels.MomentumCoef{LR: c.s("lr"), Momentum: c.s("momentum"), Grad: c.grad()})
	},
	"Nesterov":              func(c call) { kernels.Nesterov(c.v("p"), c.v("v"), c.v("grad"), c.nesterov()) },
	"NesterovVelocityFirst": func(c call) { kernels.NesterovVelocityFirst(c.v("p"), c.v("v"), c.v("grad"), c.nesterov()) },
	"AdaGrad": func(c call) {
		kernels.AdaGrad(c.v("p"), c.v("h"), c.v("grad"), kernels.AdaGradCoef{LR: c.s("lr"), Eps: c.s("eps"), Grad: c.grad()})
	},
	"RMSprop": func(c call) {
		kernels.RMSprop(c.v("p"), c.v("h"), c.v("grad"), kernels.RMSpropCoef{
			LR: c.s("lr"), Rho: c.s("rho"), OneMinusRho: c.s("oneMinusRho"), Eps: c.s("eps"), Grad: c.grad()})
	},
	"Adam": func(c call) {
		kernels.Adam(c.v("p"), c.v("m"), c.v("v"), c.v("grad"), kernels.AdamCoef{
			LR: c.s("lr"), OneMinusBeta1: c.s("oneMinusBeta1"), OneMinusBeta2: c.s("oneMinusBeta2"), Eps: c.s("eps"), Grad: c.grad()})
	},
	"AdamW": func(c call) { kernels.AdamW(c.v("p"), c.v("m"), c.v("v"), c.v("grad"), c.adamW()) },
	"Lion": func(c call) {
		kernels.Lion(c.v("p"), c.v("m"), c.v("grad"), kernels.LionCoef{
			LR: c.s("lr"), Beta1: c.s("beta1"), OneMinusBeta1: c.s("oneMinusBeta1"), Beta2: c.s("beta2"), OneMinusBeta2: c.s("oneMinusBeta2"), Grad: c.grad()})
	},

	"Stream2": call.stream,
	"Stream3": call.stream,
	"Stream4": call.stream,
	"Stream5": call.stream,

	"HeavyBall":                    func(c call) { c.heavyBall(false) },
	"HeavyBallNesterov":            func(c call) { c.heavyBall(true) },
	"TorchRMSprop":                 call.torchRMSprop,
	"TorchRMSpropCentered":         call.torchRMSprop,
	"TorchRMSpropMomentum":         call.torchRMSprop,
	"TorchRMSpropCenteredMomentum": call.torchRMSprop,
	"Adadelta": func(c call) {
		kernels.Adadelta(c.v("p"), c.v("h"), c.v("d"), c.v("grad"), kernels.AdadeltaCoef{
			LR: c.s("lr"), Rho: c.s("rho"), OneMinusRho: c.s("oneMinusRho"), Eps: c.s("eps"), Grad: c.grad()})
	},
	"AMSGrad": func(c call) {
		kernels.AMSGrad(c.v("p"), c.v("m"), c.v("v"), c.v("top"), c.v("grad"), c.adamW())
	},
	"Adamax": func(c call) {
		kernels.Adamax(c.v("p"), c.v("m"), c.v("u"), c.v("grad"), kernels.AdamaxCoef{
			StepSize: c.s("stepSize"), OneMinusBeta1: c.s("oneMinusBeta1"), Beta2: c.s("beta2"), Eps: c.s("eps"), Grad: c.grad()})
	},
	"NAdam": func(c call) {
		kernels.NAdam(c.v("p"), c.v("m"), c.v("v"), c.v("grad"), kernels.NAdamCoef{
			GradStep: c.s("gradStep"), MeanStep: c.s("meanStep"), OneMinusBeta1: c.s("oneMinusBeta1"), Beta2: c.s("beta2"), OneMinusBeta2: c.s("oneMinusBeta2"),
			InverseCorrection: c.s("inverseCorrection"), Eps: c.s("eps"), Grad: c.grad()})
	},
	"RAdam": func(c call) {
		kernels.RAdam(c.v("p"), c.v("m"), c.v("v"), c.v("grad"), kernels.RAdamCoef{
			StepSize: c.s("stepSize"), OneMinusBeta1: c.s("oneMinusBeta1"), Beta2: c.s("beta2"), OneMinusBeta2: c.s("oneMinusBeta2"), Eps: c.s("eps"),
			Rectified: c.s("rectified") > 0, Grad: c.grad()})
	},
	"Rprop": func(c call) {
		kernels.Rprop(c.v("p"), c.v("prev"), c.v("step"), c.v("grad"), kernels.RpropCoef{
			EtaMinus: c.s("etaMinus"), EtaPlus: c.s("etaPlus"), MinStep: c.s("minStep"), MaxStep: c.s("maxStep"), Grad: c.grad()})
	},
	"ASGD": func(c call) {
		kernels.ASGD(c.v("p"), c.v("mean"), c.v("grad"), kernels.ASGDCoef{LR: c.s("lr"), Mu: c.s("mu"), OneMinusMu: c.s("oneMinusMu"), Grad: c.grad()})
	},
	"LAMB": func(c call) {
		kernels.LAMB(c.v("p"), c.v("m"), c.v("v"), c.v("dir"), c.v("grad"), kernels.LAMBCoef{
			MeanScale: c.s("meanScale"), OneMinusBeta1: c.s("oneMinusBeta1"), Beta2: c.s("beta2"), OneMinusBeta2: c.s("oneMinusBeta2"),
			RootCorrection: c.s("rootCorrection"), Eps: c.s("eps"), Decay: c.s("decay"), Grad: c.grad()})
	},
	"Muon": func(c call) {
		kernels.Muon(c.v("p"), c.v("m"), c.v("dir"), c.v("grad"), kernels.MuonCoef{
			Momentum: c.s("momentum"), OneMinusMomentum: c.s("oneMinusMomentum"), Grad: c.grad()})
	},
	"Adjust": func(c call) { kernels.Adjust(c.v("p"), c.v("dst"), c.v("grad"), c.grad()) },

	"Lerp": func(c call) { // the function copies where w is 1
		for i, x := range c.v("x") {
			c.v("dst")[i] += float32(c.s("w") * (x - c.v("dst")[i]))
		}
	},
	"Scale": func(c call) { kernels.Scale(c.v("dst"), c.v("x"), c.s("s")) },
	"Factored": func(c call) {
		kernels.Factored(c.v("dst"), c.v("x"), c.v("col"), c.s("row"), c.s("floor"))
	},
	"SumSquares": func(c call) { c.wide("acc")[0] = kernels.SumSquares(c.v("x")) },
	"SumAbs":     func(c call) { c.wide("acc")[0] = kernels.SumAbs(c.v("x")) },
	"AddSquares": func(c call) { kernels.AddSquares(c.wide("sums"), c.v("x")) },

	"Exp":           func(c call) { kernels.Exp(c.v("dst"), c.v("x")) },
	"Log":           func(c call) { kernels.Log(c.v("dst"), c.v("x")) },
	"ReLU":          func(c call) { kernels.Activate(kernels.ActReLU, c.v("dst"), c.v("x")) },
	"Sigmoid":       func(c call) { kernels.Activate(kernels.ActSigmoid, c.v("dst"), c.v("x")) },
	"Tanh":          func(c call) { kernels.Activate(kernels.ActTanh, c.v("dst"), c.v("x")) },
	"LeakyReLU":     func(c call) { kernels.Activate(kernels.ActLeakyReLU(c.s("slope")), c.v("dst"), c.v("x")) },
	"ELU":           func(c call) { kernels.Activate(kernels.ActELU(c.s("alpha")), c.v("dst"), c.v("x")) },
	"Softplus":      func(c call) { kernels.Activate(kernels.ActSoftplus, c.v("dst"), c.v("x")) },
	"GELU":          func(c call) { kernels.Activate(kernels.ActGELU, c.v("dst"), c.v("x")) },
	"GELUTanh":      func(c call) { kernels.Activate(kernels.ActGELUTanh, c.v("dst"), c.v("x")) },
	"SiLU":          func(c call) { kernels.Activate(kernels.ActSiLU, c.v("dst"), c.v("x")) },
	"DeriveReLU":    func(c call) { kernels.Derive(kernels.ActReLU, c.v("dst"), c.v("grad"), c.v("y")) },
	"DeriveSigmoid": func(c call) { kernels.Derive(kernels.ActSigmoid, c.v("dst"), c.v("grad"), c.v("y")) },
	"DeriveTanh":    func(c call) { kernels.Derive(kernels.ActTanh, c.v("dst"), c.v("grad"), c.v("y")) },
	"DeriveLeakyReLU": func(c call) {
		kernels.Derive(kernels.ActLeakyReLU(c.s("slope")), c.v("dst"), c.v("grad"), c.v("y"))
	},
	"DeriveELU":      func(c call) { kernels.Derive(kernels.ActELU(c.s("alpha")), c.v("dst"), c.v("grad"), c.v("y")) },
	"DeriveSoftplus": func(c call) { kernels.Derive(kernels.ActSoftplus, c.v("dst"), c.v("grad"), c.v("y")) },
	"DeriveGELU":     func(c call) { kernels.Derive(kernels.ActGELU, c.v("dst"), c.v("grad"), c.v("x")) },
	"DeriveGELUTanh": func(c call) { kernels.Derive(kernels.ActGELUTanh, c.v("dst"), c.v("grad"), c.v("x")) },
	"DeriveSiLU":     func(c call) { kernels.Derive(kernels.ActSiLU, c.v("dst"), c.v("grad"), c.v("x")) },

	"Softmax": func(c call) {
		kernels.Softmax(c.n("rows"), c.n("cols"), c.v("dst"), c.n("ldd"), c.v("x"), c.n("ldx"))
	},
	"CrossEntropy": func(c call) {
		kernels.SoftmaxCrossEntropy(c.n("rows"), c.n("cols"), c.wide("loss"), nil, 0, c.v("x"), c.n("ldx"), c.labels("label"), 0)
	},
	"CrossEntropyGrad": func(c call) {
		kernels.SoftmaxCrossEntropy(c.n("rows"), c.n("cols"), c.wide("loss"), c.v("grad"), c.n("ldg"),
			c.v("x"), c.n("ldx"), c.labels("label"), c.s("scale"))
	},
	"SoftCrossEntropy": func(c call) {
		kernels.SoftCrossEntropy(c.n("rows"), c.n("cols"), c.wide("loss"), c.v("grad"), c.n("ldg"),
			c.v("x"), c.n("ldx"), c.v("target"), c.n("ldt"), c.s("scale"))
	},
	"SquaredError": func(c call) { c.wide("acc")[0] = kernels.SquaredError(nil, c.v("y"), c.v("target"), 0) },
	"SquaredErrorGrad": func(c call) {
		c.wide("acc")[0] = kernels.SquaredError(c.v("grad"), c.v("y"), c.v("target"), c.s("scale"))
	},
	"AbsoluteError": func(c call) {
		c.wide("acc")[0] = kernels.AbsoluteError(c.v("grad"), c.v("y"), c.v("target"), c.s("scale"))
	},
	"HuberError": func(c call) {
		c.wide("acc")[0] = kernels.HuberError(c.v("grad"), c.v("y"), c.v("target"), c.s("delta"), c.s("scale"))
	},
	"LogisticError": func(c call) {
		c.wide("acc")[0] = kernels.LogisticError(c.v("grad"), c.v("x"), c.v("target"), c.s("scale"))
	},

	"SoftmaxGrad": func(c call) {
		kernels.SoftmaxGrad(c.n("rows"), c.n("cols"), c.v("dx"), c.n("ldd"), c.v("dy"), c.n("ldg"), c.v("y"), c.n("ldy"))
	},

	"ColumnSums": func(c call) {
		c.elements(func(i, j int, x float32) { c.wide("sums")[j] += float64(x) })
	},
	"ColumnSquares": func(c call) {
		c.elements(func(i, j int, x float32) {
			d := float64(x) - c.wide("mean")[j]
			c.wide("sums")[j] += float64(d * d)
		})
	},
	"InverseRoot": func(c call) { kernels.InverseRoot(c.v("dst"), c.v("x"), c.s("eps")) },
	"Normalize": func(c call) {
		kernels.Normalize(c.n("rows"), c.n("cols"), c.v("dst"), c.n("ldd"), c.v("x"), c.n("ldx"), c.v("mean"), c.v("inverse"), c.v("gain"), c.v("bias"))
	},
	"NormalizeSums": func(c call) {
		c.elements(func(i, j int, x float32) {
			dy, h := c.v("dy")[i*c.n("ldg")+j], (x-c.v("mean")[j])*c.v("inverse")[j]
			c.wide("a")[j] += float64(float64(dy) * float64(h))
			c.wide("b")[j] += float64(dy)
		})
	},
	"NormalizeGrad": func(c call) { // the function works out a and b
		c.elements(func(i, j int, x float32) {
			inverse := c.v("inverse")[j]
			dy, h := c.v("dy")[i*c.n("ldg")+j], (x-c.v("mean")[j])*inverse
			c.v("dx")[i*c.n("ldd")+j] = float32(c.v("gain")[j]*inverse) * ((dy - c.v("b")[j]) - float32(h*c.v("a")[j]))
		})
	},
	"LayerNorm": func(c call) {
		kernels.LayerNorm(c.n("rows"), c.n("cols"), c.v("dst"), c.n("ldd"), c.v("x"), c.n("ldx"), c.v("gain"), c.v("bias"), c.v("mean"), c.v("inverse"), c.s("eps"))
	},
	"LayerNormGrad": func(c call) {
		kernels.LayerNormGrad(c.n("rows"), c.n("cols"), c.v("dx"), c.n("ldd"), c.v("dy"), c.n("ldg"), c.v("x"), c.n("ldx"), c.v("mean"), c.v("inverse"), c.v("gain"))
	},
	"LayerNormParams": func(c call) {
		kernels.LayerNormParams(c.n("rows"), c.n("cols"), c.v("dgain"), c.v("dbias"), c.v("dy"), c.n("ldg"), c.v("x"), c.n("ldx"), c.v("mean"), c.v("inverse"))
	},

	"Philox": func(c call) {
		at := 0
		for row := range c.n("rows") {
			for group := range c.n("groups") {
				for i, first := range c.words("counter") {
					block := philox.Block([2]uint32{uint32(c.n("key0")), uint32(c.n("key1"))},
						[4]uint32{first + uint32(8*group), uint32(c.n("row") + row), uint32(c.n("stream")), uint32(c.n("step"))})
					for w, x := range block {
						c.words("words")[at+8*w+i] = x
					}
				}
				at += 32
			}
		}
	},
	"Dropout": func(c call) { // the function draws the words
		c.elements(func(i, j int, x float32) {
			if int(c.words("words")[i*c.n("step")+j]/2) < c.n("threshold") {
				c.v("dst")[i*c.n("ldd")+j] = 0
			} else {
				c.v("dst")[i*c.n("ldd")+j] = x * c.s("scale")
			}
		})
	},

	"PackTrans": func(c call) { transposed(c, (c.n("rows")+c.n("lanes")-1)/c.n("lanes")*c.n("lanes")) },
	"CopyTrans": func(c call) { transposed(c, c.n("rows")) },
	"GemvTrans": func(c call) {
		for g := range 4 {
			row, b := c.v(fmt.Sprintf("c%d", g)), c.v(fmt.Sprintf("b%d", g))
			for q := range row {
				for p := range c.n("k") {
					row[q] = f32.FMA(c.v("a")[p], b[q*c.n("bStride")/4+p], row[q])
				}
			}
		}
	},
}

// transposed writes the given number of lanes; the last row stands in for those
// that are missing.
func transposed(c call, lanes int) {
	for p := range c.n("k") {
		for q := range lanes {
			c.v("dst")[p*c.n("step")/4+q] = c.v("src")[min(q, c.n("rows")-1)*c.n("stride")/4+p]
		}
	}
}

// fold adds up the accumulators of a sum as the kernels' callers do.
func fold(acc []float64) {
	for n := len(acc) / 2; n > 0; n /= 2 {
		for i := range n {
			acc[i] += acc[i+n]
		}
		clear(acc[n : 2*n])
	}
}

func evalKernel(t *testing.T, p *vec.Program, name string) {
	meaning := meanings[name]
	if meaning == nil {
		t.Errorf("%s: no meaning to compare with", name)
		return
	}
	for n := range 71 {
		for kind := range values {
			got, want := arguments(p, n, kind), arguments(p, n, kind)
			if err := p.Eval(got.Args); err != nil {
				t.Error(err)
				return
			}
			want.Args["lanes"] = p.Lanes
			meaning(want)
			if acc, ok := got.Args["acc"]; ok {
				fold(acc.([]float64))
			}
			for _, q := range p.Params {
				if !same(got.Args[q.Name], want.Args[q.Name]) {
					t.Errorf("%s, n = %d, %s values: %s = %v, want %v", p.FuncName(), n, values[kind].name, q.Name, got.Args[q.Name], want.Args[q.Name])
					return
				}
			}
		}
	}
}

// arguments makes a program's arguments: n is the length of its vectors, or the
// width of its matrices. It makes the same ones for the same n and kind.
func arguments(p *vec.Program, n, kind int) call {
	r := rand.New(rand.NewPCG(uint64(n), uint64(kind)))
	rows, cols := 1+r.IntN(3), max(1, n)
	width := p.Lanes // of what a transposition writes
	switch p.Name {
	case "packTrans":
		rows = 1 + r.IntN(3*p.Lanes)
		width = (rows + p.Lanes - 1) / p.Lanes * p.Lanes
	case "copyTrans":
		rows = 1 + r.IntN(3*p.Lanes)
		width = rows
	}
	ld, stride, step := cols+r.IntN(3), n+r.IntN(3), width+r.IntN(3)
	ints := map[string]int{"n": n, "rows": rows, "cols": cols, "ldd": ld, "ldg": ld, "ldx": ld, "ldt": cols + r.IntN(3), "ldy": ld, "k": n, "stride": 4 * stride, "bStride": 4 * stride, "step": 4 * step, "options": r.IntN(2) * r.IntN(1<<len(options))}
	sizes := map[string]int{"acc": accumulators, "loss": rows, "label": rows}
	scalars := map[string]float32{}
	switch p.Name {
	case "columnSums", "columnSquares", "normalize", "normalizeSums", "normalizeGrad":
		for _, name := range []string{"sums", "mean", "inverse", "gain", "bias", "a", "b"} {
			sizes[name] = cols
		}
	case "layerNorm", "layerNormGrad", "layerNormParams":
		for _, name := range []string{"gain", "bias", "dgain", "dbias"} {
			sizes[name] = cols
		}
		sizes["mean"], sizes["inverse"] = rows, rows
		scalars["count"] = float32(cols)
		if p.Name == "layerNorm" && n%3 == 0 {
			sizes["mean"], sizes["inverse"] = 0, 0 // nil
		}
	case "adamW", "amsGrad", "lamb":
		scalars["rootCorrection"] = float32(math.Exp2(40*r.Float64() - 20))
		scalars["eps"] = float32(math.Abs(float64(values[kind].f(r)))) // not -0
	case "philox":
		ints["groups"] = 1 + r.IntN(4)
		sizes["words"], sizes["counter"] = rows*ints["groups"]*32, 8
		for _, name := range []string{"key0", "key1", "row", "stream", "step"} {
			ints[name] = int(r.Uint32())
		}
	case "gemvTrans":
		for g := range 4 {
			sizes[fmt.Sprintf("b%d", g)], sizes[fmt.Sprintf("c%d", g)] = (p.Lanes-1)*stride+n, p.Lanes
		}
	case "dropout":
		ints["step"] = cols + r.IntN(3)
		ints["threshold"] = [...]int{0, 1, 1 << 30, 1 << 31}[r.IntN(4)]
		sizes["words"] = (rows-1)*ints["step"] + cols
	}
	length := n
	for _, q := range p.Params {
		switch q.Name {
		case "ldt":
			sizes["target"] = (rows-1)*ints["ldt"] + cols
		case "rows":
			length = (rows-1)*ld + cols
		case "src":
			sizes["src"], sizes["dst"] = (rows-1)*stride+n, max(0, (n-1)*step+width)
		}
	}
	c := call{vec.Args{}}
	for _, q := range p.Params {
		size, ok := sizes[q.Name]
		if !ok {
			size = length
		}
		switch q.Type {
		case vec.Int:
			c.Args[q.Name] = ints[q.Name]
		case vec.Float32:
			x := values[kind].f(r)
			if given, ok := scalars[q.Name]; ok {
				x = given
			}
			if x == 0 && slices.Contains(optionScalars, q.Name) {
				x = 1 // zero stands for an option that is off
			}
			if slices.Contains(notNegative, q.Name) {
				if x = float32(math.Abs(float64(x))); !(x <= math.MaxFloat32) {
					x = 0.25
				}
			}
			if q.Name == "delta" && !(x > 0 && x <= math.MaxFloat32) {
				x = 0.5 // of HuberError, which refuses others
			}
			c.Args[q.Name] = x
		case vec.PtrFloat32:
			x := random(r, size, kind)
			if ok && size == 0 && p.Name == "layerNorm" {
				x = nil
			}
			c.Args[q.Name] = x
		case vec.PtrFloat64:
			x := make([]float64, size)
			if q.Name != "acc" && q.Name != "loss" { // which start from zero
				for i := range x {
					x[i] = float64(values[kind].f(r)) / 3
				}
			}
			c.Args[q.Name] = x
		case vec.PtrUint32:
			words := make([]uint32, size)
			for i := range words {
				words[i] = r.Uint32()
				if q.Name == "counter" {
					words[i] = 1<<32 - 64 + uint32(i) // up to the last
				}
			}
			c.Args[q.Name] = words
		case vec.PtrInt32:
			labels := make([]int32, size)
			for i := range labels {
				labels[i] = int32(r.IntN(cols))
			}
			c.Args[q.Name] = labels
		}
	}
	if c.Args["options"] != nil {
		return c // no vector of an update rule may be another
	}
	// Now and then the result takes the place of an argument.
	for _, alias := range [][2]string{{"dst", "x"}, {"dst", "grad"}, {"dst", "y"}, {"dx", "dy"}, {"dx", "x"}, {"dx", "y"}, {"grad", "x"}, {"grad", "y"}, {"grad", "target"}} {
		if alias[1] == "target" && c.Args["ldt"] != nil {
			continue // of SoftCrossEntropy, which refuses it
		}
		if c.Args[alias[0]] != nil && c.Args[alias[1]] != nil && r.IntN(4) == 0 {
			c.Args[alias[0]] = c.Args[alias[1]]
			break
		}
	}
	return c
}

// values are kinds of elements.
var values = []struct {
	name string
	f    func(r *rand.Rand) float32
}{
	{"ordinary", func(r *rand.Rand) float32 { return float32(r.NormFloat64()) }},
	{"large", func(r *rand.Rand) float32 { return float32(100 * r.NormFloat64()) }},
	{"arbitrary", func(r *rand.Rand) float32 { return math.Float32frombits(r.Uint32()) }},
	{"special", func(r *rand.Rand) float32 {
		s := [...]float32{0, math.Float32frombits(1 << 31), 1, -1, 0.5, 0x1p-149, -0x1p-126, math.MaxFloat32,
			float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
		return s[r.IntN(len(s))]
	}},
}

func random(r *rand.Rand, n, kind int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = values[kind].f(r)
	}
	return x
}

// same compares arguments by bits, but any NaN equals any other.
func same(a, b any) bool {
	switch a := a.(type) {
	case []float32:
		return slices.EqualFunc(a, b.([]float32), func(x, y float32) bool {
			return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
		})
	case []float64:
		return slices.EqualFunc(a, b.([]float64), func(x, y float64) bool {
			return math.Float64bits(x) == math.Float64bits(y) || x != x && y != y
		})
	case []int32:
		return slices.Equal(a, b.([]int32))
	case []uint32:
		return slices.Equal(a, b.([]uint32))
	}
	return true // a number is not changed
}

func evalTile(t *testing.T, p *vec.Program, q tile) {
	count := 0
	lastCols, panel, ends := p.Lanes, q.vecs*p.Lanes, len(gemmEnds)
	if q.part > 0 {
		lastCols, panel, ends = q.part, p.Lanes+q.part, indexOf(gemmEnds, "EndReLU")+1
	}
	for cols := 1; cols <= lastCols; cols++ {
		for start := range gemmStarts {
			for end := range ends {
				for _, k := range []int{0, 1, 2, 5, aheadEvery, 2*aheadEvery + 3} {
					if k > 5 && end != 0 {
						continue // the end does not know how long k was
					}
					g := product{tiles: 1 + count%3, rows: q.rows, width: panel - lastCols + cols, panel: panel, pitch: panel, cols: cols, k: k, ahead: true, start: start, end: end}
					if q.packs(p.Target) && k > 0 && count%5 == 0 {
						g.tiles, g.pack, g.packFar = 1, true, q.packsFar(p.Target)
						if q.part > 0 {
							g.pitch = 2 * p.Lanes
						}
					} else {
						g.copy = q.copies(p.Target) && count/5%2 == 0
					}
					if !g.eval(t, p, count) {
						return
					}
					count++
				}
			}
		}
	}
}

func evalGemv(t *testing.T, p *vec.Program, steps int) {
	count := 0
	for cols := 1; cols <= 3*p.Lanes; cols++ {
		for passes := 1; passes <= 3; passes++ {
			g := product{tiles: 1, rows: 1, width: cols, panel: cols, cols: cols, k: steps * passes, start: indexOf(gemmStarts, "StartC")}
			if !g.eval(t, p, count) {
				return
			}
			count++
		}
	}
}

func evalGemvEnd(t *testing.T, p *vec.Program) {
	count := 0
	for cols := 1; cols <= 3*p.Lanes; cols++ {
		for _, end := range []string{"EndReLU", "EndDeriveReLU"} {
			for range 8 { // all kinds of values
				g := product{tiles: 1, rows: 1, width: cols, panel: cols, cols: cols, start: indexOf(gemmStarts, "StartC"), end: indexOf(gemmEnds, end)}
				if !g.eval(t, p, count) {
					return
				}
				count++
			}
		}
	}
}

// product is a case for a GEMM micro-kernel.
type product struct {
	tiles, rows int // of a tile
	width, cols int // of all and, as the argument Cols, of the last vector
	panel       int // columns of B that may be read, if it is not packed
	pitch       int // of B where it is packed
	k           int
	pack        bool
	packFar     bool // fetches what it packs, if AheadRows is not 0
	ahead, copy bool // fetches ahead, if it does not pack, and copies that
	start, end  int
}

// eval compares with a loop over single multiply-adds. count decides between
// what is not worth all combinations.
func (g product) eval(t *testing.T, p *vec.Program, count int) bool {
	const ordinary, special = 0, 3
	kind := ordinary
	if count%8 == 7 {
		kind = special
	}
	r := rand.New(rand.NewPCG(uint64(count), 0))
	start, end := gemmStarts[g.start], gemmEnds[g.end]
	rows := g.rows * g.tiles
	matrix := func(rows, cols, ld int) []float32 {
		if rows == 0 || cols == 0 {
			return nil
		}
		return random(r, (rows-1)*ld+cols, kind)
	}
	aStride, aStep := g.k+count%4, 1
	a := matrix(rows, g.k, aStride)
	if count%2 == 1 || p.Target.ColumnsTogether { // the transpose
		aStride, aStep = 1, rows+count%4
		a = matrix(g.k, rows, aStep)
	}
	aheadRows := count / 3 % 3
	ldb, ldc, ldy := g.panel+count%3, g.width+count%5, g.width+count%2
	c := matrix(rows, g.width, ldc)
	var b, packed, wantPacked []float32
	fetchB := g.packFar && aheadRows > 0
	if g.pack {
		b, packed, wantPacked = matrix(g.k, g.width, ldb), matrix(g.k, g.pitch, g.pitch), make([]float32, g.k*g.pitch)
		if fetchB {
			b = matrix(g.k+copyAhead, g.panel, ldb)
		}
		for s := range g.k {
			copy(wantPacked[s*g.pitch:], b[s*ldb:][:g.width])
		}
	} else {
		b = matrix(g.k, g.panel, ldb)
		for s := range g.k {
			for j := g.width; j < g.panel; j++ {
				b[s*ldb+j] = float32(math.NaN()) // to go nowhere
			}
		}
	}
	var bias, y []float32
	switch start {
	case "StartZero":
		for i := range c {
			c[i] = float32(math.NaN()) // not to be read
		}
	case "StartBias":
		bias = matrix(1, g.width, g.width)
	}
	derivative := map[string]kernels.Activation{"EndDeriveReLU": kernels.ActReLU}[end]
	if derivative != kernels.Identity {
		y = matrix(rows, g.width, ldy)
	}

	want := slices.Clone(c)
	for i := range rows {
		row := want[i*ldc:][:g.width]
		for j := range row {
			switch start {
			case "StartZero":
				row[j] = 0
			case "StartBias":
				row[j] = bias[j]
			}
			for s := range g.k {
				row[j] = f32.FMA(a[i*aStride+s*aStep], b[s*ldb+j], row[j])
			}
		}
		if end == "EndReLU" {
			kernels.Activate(kernels.ActReLU, row, row)
		}
		if derivative != kernels.Identity {
			kernels.Derive(derivative, row, row, y[i*ldy:][:g.width])
		}
	}

	// What is fetched ahead has to be there, the lines of some rows in each stretch of k, or
	// rows to be copied and what will be next.
	each := (g.k + aheadEvery - 1) / aheadEvery * aheadRows
	aheadStep := g.panel + count%3
	ahead, later := matrix(g.tiles*each+copyAhead, g.panel, aheadStep), 0
	var copied, wantCopied []float32
	if g.copy {
		later = copyAhead
		copied, wantCopied = matrix(g.tiles*each, g.panel, g.panel), make([]float32, g.tiles*each*g.panel)
		for row := range g.tiles * each {
			copy(wantCopied[row*g.panel:], ahead[row*aheadStep:][:g.panel])
		}
	}
	fields := map[string]any{"A": a, "B": b, "Pack": packed, "C": c, "Bias": bias, "Y": y, "Ahead": ahead, "Copy": copied, "AheadStep": 4 * aheadStep, "AheadRows": aheadRows,
		"AStride": 4 * aStride, "AStep": 4 * aStep, "BStep": 4 * ldb, "CStride": 4 * ldc, "YStride": 4 * ldy,
		"K": g.k, "Tiles": g.tiles, "Cols": g.cols, "Start": g.start, "End": g.end}
	var args []any
	for _, f := range gemmFields {
		args = append(args, fields[f.name])
	}
	name := fmt.Sprintf("%s, %d×%d×%d, %s, %s", p.FuncName(), rows, g.width, g.k, start, end)
	type place struct {
		field string
		off   int
	}
	var fetched, wantFetched []place
	err := p.Eval(vec.Args{"args": args}, func(from string, off int) {
		var i int
		if _, err := fmt.Sscanf(from, "args[%d]", &i); err != nil {
			t.Fatal(name, from, err)
		}
		fetched = append(fetched, place{gemmFields[i].name, off})
	})
	wantRow := func(field string, row, step int, whole bool) {
		first := 4 * row * step
		last := first + 4*g.panel - 4
		wantFetched = append(wantFetched, place{field, first})
		for at := first + line; at < last && whole; at += line {
			wantFetched = append(wantFetched, place{field, at})
		}
		wantFetched = append(wantFetched, place{field, last})
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return false
	}
	switch {
	case g.pack:
		for row := 0; row < g.k && fetchB; row++ {
			wantRow("B", row+copyAhead, ldb, true)
		}
	case g.ahead:
		for row := range g.tiles * each {
			wantRow("Ahead", row+later, aheadStep, g.copy)
		}
	}
	if !slices.Equal(fetched, wantFetched) {
		t.Errorf("%s: fetched ahead %v, want %v", name, fetched, wantFetched)
		return false
	}
	if !same(copied, wantCopied) {
		t.Errorf("%s: copied %v, want %v", name, copied, wantCopied)
		return false
	}
	if !same(packed, wantPacked) {
		t.Errorf("%s, packing: the panel is %v, want %v", name, packed, wantPacked)
		return false
	}
	for i := range want {
		if !same(c[i:i+1], want[i:i+1]) {
			t.Errorf("%s: C[%d, %d] = %x, want %x", name, i/ldc, i%ldc, c[i], want[i])
			return false
		}
	}
	return true
}

// generated is what go generate would write. It takes seconds, so the tests share
// it.
func generated(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var buildOnce = sync.OnceValues(build)
