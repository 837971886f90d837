package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// RMSpropOptions are the options of [RMSprop].
type RMSpropOptions struct {
	LR  float64 // the learning rate η; 0 stands for 0.01
	Rho float64 // the decay ρ of the mean square, below 1; 0 stands for 0.99
	Eps float64 // ε, which keeps the division from zero; 0 stands for 1e-7

	Common
}

func (o *RMSpropOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded},
		{name: "rho", value: &o.Rho, defaultValue: 0.99, below: 1},
		{name: "eps", value: &o.Eps, defaultValue: 1e-7, below: unbounded},
	}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// RMSprop divides by the root of a running mean of the squares:
//
//	h = ρ·h + (1-ρ)·g²
//	p = p - η·g/(√h + ε)
//
// Source: Tieleman and Hinton, Lecture 6.5 of Neural networks for machine
// learning, 2012, in the form of the code of Deep Learning from Scratch.
type RMSprop struct {
	o RMSpropOptions
	h []float32
}

// NewRMSprop makes the rule for n parameters. It panics if an option is out of
// its range.
func NewRMSprop(n int, o RMSpropOptions) *RMSprop {
	prepare("NewRMSprop", n, o.options())
	return &RMSprop{o, make([]float32, n)}
}

// Name returns "rmsprop".
func (r *RMSprop) Name() string { return "rmsprop" }

// Step does one update; see [Optimizer] and [kernels.RMSprop].
func (r *RMSprop) Step(params, grads []float32, limit ...kernels.Threads) {
	wantLen("RMSprop", params, grads, len(r.h))
	kernels.RMSprop(params, r.h, grads, kernels.RMSpropCoef{
		LR:          float32(r.o.LR),
		Rho:         float32(r.o.Rho),
		OneMinusRho: float32(1 - r.o.Rho),
		Eps:         float32(r.o.Eps),
		Grad:        r.o.coef(r.o.LR),
	}, limit...)
}

// LR and SetLR are those of [Optimizer].
func (r *RMSprop) LR() float64      { return r.o.LR }
func (r *RMSprop) SetLR(lr float64) { r.o.setLR("RMSprop", &r.o.LR, lr) }
