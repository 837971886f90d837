package optim

import (
	"cmp"
	"math"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/kernels"
)

// AdamWOptions are the options of [AdamW].
type AdamWOptions struct {
	LR    float64 // the learning rate η; 0 stands for 0.001
	Beta1 float64 // the decay β1 of the mean, below 1; 0 stands for 0.9
	Beta2 float64 // the decay β2 of the mean square, below 1; 0 stands for 0.999
	Eps   float64 // ε, which keeps the division from zero; 0 stands for 1e-8

	Common // without Decay, this is PyTorch's Adam; PyTorch's AdamW has 0.01
}

func (o *AdamWOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.001, below: unbounded},
		{name: "beta1", value: &o.Beta1, defaultValue: 0.9, below: 1},
		{name: "beta2", value: &o.Beta2, defaultValue: 0.999, below: 1},
		{name: "eps", value: &o.Eps, defaultValue: 1e-8, below: unbounded},
	}, o.Common.options(cmp.Or(o.LR, 0.001))...)
}

// AdamW is Adam with both means corrected for their start at zero before ε is
// added, and weight decay beside it as Common.Decay; at step t = 1, 2, …
//
//	m = m + (1-β1)·(g - m)
//	v = β2·v + (1-β2)·g²
//	p = p - (η/(1-β1ᵗ))·m/(√v/√(1-β2ᵗ) + ε)
//
// Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015,
// algorithm 1, and Loshchilov and Hutter, Decoupled weight decay regularization,
// 2019, algorithm 2, in the form of PyTorch's torch.optim.Adam and AdamW.
type AdamW struct {
	o    AdamWOptions
	t    int // steps done
	m, v []float32
}

// NewAdamW makes the rule for n parameters. It panics if an option is out of its
// range.
func NewAdamW(n int, o AdamWOptions) *AdamW {
	prepare("NewAdamW", n, o.options())
	return &AdamW{o: o, m: make([]float32, n), v: make([]float32, n)}
}

// Name returns "adamw".
func (a *AdamW) Name() string { return "adamw" }

// Step does one update; see [Optimizer] and [kernels.AdamW].
func (a *AdamW) Step(params, grads []float32, limit ...kernels.Threads) {
	wantLen("AdamW", params, grads, len(a.m))
	t := float64(a.t + 1)
	kernels.AdamW(params, a.m, a.v, grads, kernels.AdamWCoef{
		StepSize:       float32(a.o.LR / (1 - det.Pow(a.o.Beta1, t))),
		OneMinusBeta1:  float32(1 - a.o.Beta1),
		Beta2:          float32(a.o.Beta2),
		OneMinusBeta2:  float32(1 - a.o.Beta2),
		RootCorrection: float32(math.Sqrt(1 - det.Pow(a.o.Beta2, t))),
		Eps:            float32(a.o.Eps),
		Grad:           a.o.coef(a.o.LR),
	}, limit...)
	a.t++
}

// LR and SetLR are those of [Optimizer].
func (a *AdamW) LR() float64      { return a.o.LR }
func (a *AdamW) SetLR(lr float64) { a.o.setLR("AdamW", &a.o.LR, lr) }
