package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// RMSpropOptions are the options of [NewRMSprop].
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

// NewRMSprop makes the rule for n parameters that divides by the root of a running
// mean of the squares:
//
//	h = ρ·h + (1-ρ)·g²
//	p = p - η·g/(√h + ε)
//
// It panics if an option is out of its range. Source: Tieleman and Hinton, Lecture
// 6.5 of Neural networks for machine learning, 2012, in the form of the code of Deep
// Learning from Scratch.
func NewRMSprop(n int, o RMSpropOptions) *Rule {
	prepare("NewRMSprop", n, o.options())
	h := kernels.Make(n)
	r := &Rule{name: "rmsprop", n: n, lr: o.LR, common: o.Common, state: []vector{{"h", h}}}
	r.update = func(_ float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		kernels.RMSprop(params, h, grads, kernels.RMSpropCoef{
			LR:          float32(r.lr),
			Rho:         float32(o.Rho),
			OneMinusRho: float32(1 - o.Rho),
			Eps:         float32(o.Eps),
			Grad:        grad,
		}, limit...)
	}
	return r
}

// TorchRMSpropOptions are the options of [NewTorchRMSprop].
type TorchRMSpropOptions struct {
	LR       float64 // the learning rate η; 0 stands for 0.01
	Rho      float64 // the decay ρ of the mean square, below 1, PyTorch's alpha; 0 stands for 0.99
	Momentum float64 // the momentum μ, below 1; 0 is without
	Eps      float64 // ε, which keeps the division from zero; 0 stands for 1e-8
	Centered bool    // divides by the root of the variance, not of the mean square

	Common
}

func (o *TorchRMSpropOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded},
		{name: "rho", value: &o.Rho, defaultValue: 0.99, below: 1},
		{name: "momentum", value: &o.Momentum, below: 1},
		{name: "eps", value: &o.Eps, defaultValue: 1e-8, below: unbounded},
		{name: "centered", flag: &o.Centered},
	}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// NewTorchRMSprop makes RMSprop as PyTorch has it for n parameters: in another
// evaluation order than [NewRMSprop], and with two variants:
//
//	h = ρ·h + (1-ρ)·g²
//	root = √h + ε, or if Centered m = m + (1-ρ)·(g - m), root = √(h - m²) + ε
//	p = p - η·g/root, or with momentum v = μ·v + g/root, p = p - η·v
//
// If rounding makes h less than m², the root is NaN, as in PyTorch. It panics if an
// option is out of its range. Source: as [NewRMSprop], and Graves, Generating sequences
// with recurrent neural networks, 2013, equations 38 to 45, in the form and with the
// defaults of torch.optim.RMSprop.
func NewTorchRMSprop(n int, o TorchRMSpropOptions) *Rule {
	prepare("NewTorchRMSprop", n, o.options())
	h := kernels.Make(n)
	r := &Rule{name: "torch-rmsprop", n: n, lr: o.LR, common: o.Common, state: []vector{{"h", h}}}
	var m, v []float32
	if o.Centered {
		m = kernels.Make(n)
		r.state = append(r.state, vector{"m", m})
	}
	if o.Momentum != 0 {
		v = kernels.Make(n)
		r.state = append(r.state, vector{"v", v})
	}
	r.update = func(_ float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		kernels.TorchRMSprop(params, h, m, v, grads, kernels.TorchRMSpropCoef{
			LR:          float32(r.lr),
			Rho:         float32(o.Rho),
			OneMinusRho: float32(1 - o.Rho),
			Momentum:    float32(o.Momentum),
			Eps:         float32(o.Eps),
			Grad:        grad,
		}, limit...)
	}
	return r
}
