package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// AdaGradOptions are the options of [NewAdaGrad].
type AdaGradOptions struct {
	LR      float64 // the learning rate η; 0 stands for 0.01
	LRDecay float64 // how the rate falls: step t has η/(1 + (t-1)·LRDecay)
	Initial float64 // where h starts
	Eps     float64 // ε, which keeps the division from zero; 0 stands for 1e-7

	Common
}

func (o *AdaGradOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded},
		{name: "lrdecay", value: &o.LRDecay, below: unbounded},
		{name: "initial", value: &o.Initial, below: unbounded},
		{name: "eps", value: &o.Eps, defaultValue: 1e-7, below: unbounded},
	}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// NewAdaGrad makes the rule for n parameters that divides by the root of the sum of
// all squares so far:
//
//	h = h + g²
//	p = p - η·g/(√h + ε)
//
// It panics if an option is negative, infinite or NaN. Source: Duchi, Hazan and
// Singer, Adaptive subgradient methods for online learning and stochastic
// optimization, 2011, in the form of Deep Learning from Scratch, section 6.1.5.
// PyTorch's torch.optim.Adagrad is the same with an ε of 1e-10, by name
// torch-adagrad.
func NewAdaGrad(n int, o AdaGradOptions) *Rule {
	prepare("NewAdaGrad", n, o.options())
	h := kernels.Make(n)
	for i := range h {
		h[i] = float32(o.Initial)
	}
	r := &Rule{name: "adagrad", n: n, lr: o.LR, common: o.Common, state: []vector{{"h", h}}}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		kernels.AdaGrad(params, h, grads, kernels.AdaGradCoef{
			LR:   float32(r.lr / (1 + float64((t-1)*o.LRDecay))),
			Eps:  float32(o.Eps),
			Grad: grad,
		}, limit...)
	}
	return r
}

func newTorchAdaGrad(n int, o AdaGradOptions) *Rule {
	o.Eps = cmp.Or(o.Eps, 1e-10)
	return NewAdaGrad(n, o)
}
