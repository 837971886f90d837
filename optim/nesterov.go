package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// NesterovOptions are the options of [NewNesterov].
type NesterovOptions struct {
	LR       float64 // the learning rate η; 0 stands for 0.01
	Momentum float64 // the momentum μ, below 1; 0 stands for 0.9

	// VelocityFirst updates v before p, which then steps by the new v.
	VelocityFirst bool

	Common
}

func (o *NesterovOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded},
		{name: "momentum", value: &o.Momentum, defaultValue: 0.9, below: 1},
	}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// NewNesterov makes Nesterov's accelerated gradient for n parameters, p standing for
// the point that is looked ahead to:
//
//	p = p + (μ²·v - (1+μ)·η·g)
//	v = μ·v - η·g
//
// It panics if an option is out of its range. Source: Bengio, Boulanger-Lewandowski
// and Pascanu, Advances in optimizing recurrent networks, 2012, equations 6 and 7, in
// the form that Deep Learning from Scratch has had since January 2021. Before, its
// code updated v first, which readers' write-ups have kept; that variant is
// VelocityFirst, by name nesterov-velocity-first. PyTorch's form is [NewTorchSGD].
func NewNesterov(n int, o NesterovOptions) *Rule {
	prepare("NewNesterov", n, o.options())
	v := kernels.Make(n)
	r := &Rule{name: "nesterov", n: n, lr: o.LR, common: o.Common, state: []vector{{"v", v}}}
	kernel := kernels.Nesterov
	if o.VelocityFirst {
		r.name, kernel = "nesterov-velocity-first", kernels.NesterovVelocityFirst
	}
	r.update = func(_ float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		kernel(params, v, grads, kernels.NesterovCoef{
			LR:        float32(r.lr),
			Momentum:  float32(o.Momentum),
			Momentum2: float32(o.Momentum * o.Momentum),
			LookAhead: float32((1 + o.Momentum) * r.lr),
			Grad:      grad,
		}, limit...)
	}
	return r
}

func newNesterovVelocityFirst(n int, o NesterovOptions) *Rule {
	o.VelocityFirst = true
	return NewNesterov(n, o)
}
