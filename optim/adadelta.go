package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// AdadeltaOptions are the options of [NewAdadelta].
type AdadeltaOptions struct {
	LR  float64 // the learning rate η; 0 stands for 1
	Rho float64 // the decay ρ of both mean squares, below 1; 0 stands for 0.9
	Eps float64 // ε, which keeps the roots from zero; 0 stands for 1e-6

	Common
}

func (o *AdadeltaOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 1, below: unbounded},
		{name: "rho", value: &o.Rho, defaultValue: 0.9, below: 1},
		{name: "eps", value: &o.Eps, defaultValue: 1e-6, below: unbounded},
	}, o.Common.options(cmp.Or(o.LR, 1))...)
}

// NewAdadelta makes the rule for n parameters whose steps have the unit of the
// parameters, by the root of a running mean of their squares:
//
//	h = ρ·h + (1-ρ)·g²
//	u = √(d + ε)/√(h + ε)·g
//	d = ρ·d + (1-ρ)·u²
//	p = p - η·u
//
// It panics if an option is out of its range. Source: Zeiler, ADADELTA: an adaptive
// learning rate method, 2012, algorithm 1, with the defaults of torch.optim.Adadelta.
func NewAdadelta(n int, o AdadeltaOptions) *Rule {
	prepare("NewAdadelta", n, o.options())
	h, d := kernels.Make(n), kernels.Make(n)
	r := &Rule{name: "adadelta", n: n, lr: o.LR, common: o.Common, state: []vector{{"h", h}, {"d", d}}}
	r.update = func(_ float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		kernels.Adadelta(params, h, d, grads, kernels.AdadeltaCoef{
			LR:          float32(r.lr),
			Rho:         float32(o.Rho),
			OneMinusRho: float32(1 - o.Rho),
			Eps:         float32(o.Eps),
			Grad:        grad,
		}, limit...)
	}
	return r
}
