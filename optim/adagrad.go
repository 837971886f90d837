package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// AdaGradOptions are the options of [AdaGrad].
type AdaGradOptions struct {
	LR  float64 // the learning rate η; 0 stands for 0.01
	Eps float64 // ε, which keeps the division from zero; 0 stands for 1e-7

	Common
}

func (o *AdaGradOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded},
		{name: "eps", value: &o.Eps, defaultValue: 1e-7, below: unbounded},
	}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// AdaGrad divides by the root of the sum of all squares so far:
//
//	h = h + g²
//	p = p - η·g/(√h + ε)
//
// Source: Duchi, Hazan and Singer, Adaptive subgradient methods for online
// learning and stochastic optimization, 2011, in the form of Deep Learning from
// Scratch, section 6.1.5.
type AdaGrad struct {
	o AdaGradOptions
	h []float32
}

// NewAdaGrad makes the rule for n parameters. It panics if an option is
// negative, infinite or NaN.
func NewAdaGrad(n int, o AdaGradOptions) *AdaGrad {
	prepare("NewAdaGrad", n, o.options())
	return &AdaGrad{o, make([]float32, n)}
}

// Name returns "adagrad".
func (a *AdaGrad) Name() string { return "adagrad" }

// Step does one update; see [Optimizer] and [kernels.AdaGrad].
func (a *AdaGrad) Step(params, grads []float32, limit ...kernels.Threads) {
	wantLen("AdaGrad", params, grads, len(a.h))
	kernels.AdaGrad(params, a.h, grads, kernels.AdaGradCoef{
		LR:   float32(a.o.LR),
		Eps:  float32(a.o.Eps),
		Grad: a.o.coef(a.o.LR),
	}, limit...)
}

// LR and SetLR are those of [Optimizer].
func (a *AdaGrad) LR() float64      { return a.o.LR }
func (a *AdaGrad) SetLR(lr float64) { a.o.setLR("AdaGrad", &a.o.LR, lr) }
