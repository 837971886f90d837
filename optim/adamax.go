package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/kernels"
)

// AdamaxOptions are the options of [NewAdamax].
type AdamaxOptions struct {
	LR    float64 // the learning rate η; 0 stands for 0.002
	Beta1 float64 // the decay β1 of the mean, below 1; 0 stands for 0.9
	Beta2 float64 // the decay β2 of the maximum, below 1; 0 stands for 0.999
	Eps   float64 // ε, which keeps the division from zero; 0 stands for 1e-8

	Common
}

func (o *AdamaxOptions) options() []option {
	return append(adamOptions(&o.LR, 0.002, &o.Beta1, &o.Beta2, &o.Eps, 1e-8), o.Common.options(cmp.Or(o.LR, 0.002))...)
}

// NewAdamax makes Adam for n parameters with a maximum in the place of the root of the
// mean square; at step t = 1, 2, …
//
//	m = m + (1-β1)·(g - m)
//	u = max(β2·u, |g| + ε)
//	p = p - (η/(1-β1ᵗ))·m/u
//
// It panics if an option is out of its range. Source: Kingma and Ba, Adam: a method
// for stochastic optimization, 2015, algorithm 2, with the ε and the defaults of
// torch.optim.Adamax.
func NewAdamax(n int, o AdamaxOptions) *Rule {
	prepare("NewAdamax", n, o.options())
	m, u := kernels.Make(n), kernels.Make(n)
	r := &Rule{name: "adamax", n: n, lr: o.LR, common: o.Common, state: []vector{{"m", m}, {"u", u}}}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		kernels.Adamax(params, m, u, grads, kernels.AdamaxCoef{
			StepSize:      float32(r.lr / (1 - det.Pow(o.Beta1, t))),
			OneMinusBeta1: float32(1 - o.Beta1),
			Beta2:         float32(o.Beta2),
			Eps:           float32(o.Eps),
			Grad:          grad,
		}, limit...)
	}
	return r
}
