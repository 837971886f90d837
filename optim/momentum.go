package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// MomentumOptions are the options of [NewMomentum].
type MomentumOptions struct {
	LR       float64 // the learning rate η; 0 stands for 0.01
	Momentum float64 // the momentum μ, below 1; 0 stands for 0.9

	Common
}

func (o *MomentumOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded},
		{name: "momentum", value: &o.Momentum, defaultValue: 0.9, below: 1},
	}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// NewMomentum makes gradient descent with momentum for n parameters:
//
//	v = μ·v - η·g
//	p = p + v
//
// It panics if an option is out of its range. Source: Polyak, Some methods of
// speeding up the convergence of iteration methods, 1964, in the form of Deep
// Learning from Scratch, section 6.1.4; PyTorch's is [NewTorchSGD].
func NewMomentum(n int, o MomentumOptions) *Rule {
	prepare("NewMomentum", n, o.options())
	v := kernels.Make(n)
	r := &Rule{name: "momentum", n: n, lr: o.LR, common: o.Common, state: []vector{{"v", v}}}
	r.update = func(_ float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		kernels.Momentum(params, v, grads, kernels.MomentumCoef{
			LR:       float32(r.lr),
			Momentum: float32(o.Momentum),
			Grad:     grad,
		}, limit...)
	}
	return r
}
