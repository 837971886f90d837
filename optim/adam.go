package optim

import (
	"cmp"
	"math"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/kernels"
)

// AdamOptions are the options of [Adam].
type AdamOptions struct {
	LR    float64 // the learning rate η; 0 stands for 0.001
	Beta1 float64 // the decay β1 of the mean, below 1; 0 stands for 0.9
	Beta2 float64 // the decay β2 of the mean square, below 1; 0 stands for 0.999
	Eps   float64 // ε, which keeps the division from zero; 0 stands for 1e-7

	Common
}

func (o *AdamOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.001, below: unbounded},
		{name: "beta1", value: &o.Beta1, defaultValue: 0.9, below: 1},
		{name: "beta2", value: &o.Beta2, defaultValue: 0.999, below: 1},
		{name: "eps", value: &o.Eps, defaultValue: 1e-7, below: unbounded},
	}, o.Common.options(cmp.Or(o.LR, 0.001))...)
}

// Adam steps along a running mean of the gradients, divided by the root of a
// running mean of their squares; at step t = 1, 2, …
//
//	m = m + (1-β1)·(g - m)
//	v = v + (1-β2)·(g² - v)
//	p = p - (η·√(1-β2ᵗ)/(1-β1ᵗ))·m/(√v + ε)
//
// Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015, in
// the form at the end of section 2, whose ε is not the one of algorithm 1; as in
// Deep Learning from Scratch, section 6.1.6.
type Adam struct {
	o    AdamOptions
	t    int // steps done
	m, v []float32
}

// NewAdam makes the rule for n parameters. It panics if an option is out of its
// range.
func NewAdam(n int, o AdamOptions) *Adam {
	prepare("NewAdam", n, o.options())
	return &Adam{o: o, m: make([]float32, n), v: make([]float32, n)}
}

// Name returns "adam".
func (a *Adam) Name() string { return "adam" }

// Step does one update; see [Optimizer] and [kernels.Adam].
func (a *Adam) Step(params, grads []float32, limit ...kernels.Threads) {
	wantLen("Adam", params, grads, len(a.m))
	t := float64(a.t + 1)
	lr := a.o.LR * math.Sqrt(1-det.Pow(a.o.Beta2, t)) / (1 - det.Pow(a.o.Beta1, t))
	kernels.Adam(params, a.m, a.v, grads, kernels.AdamCoef{
		LR:            float32(lr),
		OneMinusBeta1: float32(1 - a.o.Beta1),
		OneMinusBeta2: float32(1 - a.o.Beta2),
		Eps:           float32(a.o.Eps),
		Grad:          a.o.coef(a.o.LR),
	}, limit...)
	a.t++
}

// LR and SetLR are those of [Optimizer].
func (a *Adam) LR() float64      { return a.o.LR }
func (a *Adam) SetLR(lr float64) { a.o.setLR("Adam", &a.o.LR, lr) }
