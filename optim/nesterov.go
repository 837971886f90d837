package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// NesterovOptions are the options of [Nesterov].
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

// Nesterov is Nesterov's accelerated gradient, p standing for the point that is
// looked ahead to:
//
//	p = p + (μ²·v - (1+μ)·η·g)
//	v = μ·v - η·g
//
// Source: Bengio, Boulanger-Lewandowski and Pascanu, Advances in optimizing
// recurrent networks, 2012, equations 6 and 7, in the form that Deep Learning
// from Scratch has had since January 2021. Before, its code updated v first,
// which readers' write-ups have kept; that variant is VelocityFirst.
type Nesterov struct {
	o NesterovOptions
	v []float32
}

// NewNesterov makes the rule for n parameters. It panics if an option is out of
// its range.
func NewNesterov(n int, o NesterovOptions) *Nesterov {
	prepare("NewNesterov", n, o.options())
	return &Nesterov{o, make([]float32, n)}
}

func newNesterovVelocityFirst(n int, o NesterovOptions) *Nesterov {
	o.VelocityFirst = true
	return NewNesterov(n, o)
}

// Name returns "nesterov", or "nesterov-velocity-first" for that variant.
func (r *Nesterov) Name() string {
	if r.o.VelocityFirst {
		return "nesterov-velocity-first"
	}
	return "nesterov"
}

// Step does one update; see [Optimizer], [kernels.Nesterov] and
// [kernels.NesterovVelocityFirst].
func (r *Nesterov) Step(params, grads []float32, limit ...kernels.Threads) {
	wantLen("Nesterov", params, grads, len(r.v))
	lr, momentum := r.o.LR, r.o.Momentum
	c := kernels.NesterovCoef{
		LR:        float32(lr),
		Momentum:  float32(momentum),
		Momentum2: float32(momentum * momentum),
		LookAhead: float32((1 + momentum) * lr),
		Grad:      r.o.coef(r.o.LR),
	}
	if r.o.VelocityFirst {
		kernels.NesterovVelocityFirst(params, r.v, grads, c, limit...)
	} else {
		kernels.Nesterov(params, r.v, grads, c, limit...)
	}
}

// LR and SetLR are those of [Optimizer].
func (r *Nesterov) LR() float64      { return r.o.LR }
func (r *Nesterov) SetLR(lr float64) { r.o.setLR("Nesterov", &r.o.LR, lr) }
