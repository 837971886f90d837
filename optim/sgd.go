package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// SGDOptions are the options of [NewSGD].
type SGDOptions struct {
	LR float64 // the learning rate η; 0 stands for 0.01

	Common
}

func (o *SGDOptions) options() []option {
	return append([]option{{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded}}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// NewSGD makes stochastic gradient descent for n parameters:
//
//	p = p - η·g
//
// It panics if an option is negative, infinite or NaN. Source: Robbins and Monro, A
// stochastic approximation method, 1951.
func NewSGD(n int, o SGDOptions) *Rule {
	prepare("NewSGD", n, o.options())
	r := &Rule{name: "sgd", n: n, lr: o.LR, common: o.Common}
	r.update = func(_ float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		kernels.SGD(params, grads, kernels.SGDCoef{LR: float32(r.lr), Grad: grad}, limit...)
	}
	return r
}

// TorchSGDOptions are the options of [NewTorchSGD].
type TorchSGDOptions struct {
	LR        float64 // the learning rate η; 0 stands for 0.001
	Momentum  float64 // the momentum μ, below 1; 0 is without
	Dampening float64 // τ, below 1, of a gradient's part in the velocity
	Nesterov  bool    // Nesterov's form; without a momentum it is none, and dampening is refused

	Common
}

func (o *TorchSGDOptions) options() []option {
	damped := 1.0
	if o.Nesterov {
		damped = 0 // and so refuses any
	}
	list := []option{
		{name: "lr", value: &o.LR, defaultValue: 0.001, below: unbounded},
		{name: "momentum", value: &o.Momentum, below: 1},
		{name: "dampening", value: &o.Dampening, below: damped},
		{name: "nesterov", flag: &o.Nesterov},
	}
	return append(list, o.Common.options(cmp.Or(o.LR, 0.001))...)
}

// NewTorchSGD makes gradient descent with the learning rate outside of the velocity,
// unlike [NewMomentum], for n parameters:
//
//	v = μ·v + (1-τ)·g, but g in the first step
//	p = p - η·v, or with Nesterov p - η·(g + μ·v)
//
// and without momentum p - η·g. A [Schedule] so acts on the steps at once. It panics
// if an option is out of its range. Source: Polyak, Some methods of speeding up the
// convergence of iteration methods, 1964, and Sutskever et al., On the importance of
// initialization and momentum in deep learning, 2013, in the form and with the
// defaults of torch.optim.SGD.
func NewTorchSGD(n int, o TorchSGDOptions) *Rule {
	prepare("NewTorchSGD", n, o.options())
	r := &Rule{name: "torch-sgd", n: n, lr: o.LR, common: o.Common}
	if o.Momentum == 0 {
		r.update = func(_ float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
			kernels.SGD(params, grads, kernels.SGDCoef{LR: float32(r.lr), Grad: grad}, limit...)
		}
		return r
	}
	v := kernels.Make(n)
	r.state = []vector{{"v", v}}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		dampening := o.Dampening
		if t == 1 {
			dampening = 0
		}
		kernels.HeavyBall(params, v, grads, kernels.HeavyBallCoef{
			LR:                float32(r.lr),
			Momentum:          float32(o.Momentum),
			OneMinusDampening: float32(1 - dampening),
			Nesterov:          o.Nesterov,
			Grad:              grad,
		}, limit...)
	}
	return r
}
