package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// MomentumOptions are the options of [Momentum].
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

// Momentum is gradient descent with momentum:
//
//	v = μ·v - η·g
//	p = p + v
//
// Source: Polyak, Some methods of speeding up the convergence of iteration
// methods, 1964, in the form of Deep Learning from Scratch, section 6.1.4.
type Momentum struct {
	o MomentumOptions
	v []float32
}

// NewMomentum makes the rule for n parameters. It panics if an option is out of
// its range.
func NewMomentum(n int, o MomentumOptions) *Momentum {
	prepare("NewMomentum", n, o.options())
	return &Momentum{o, make([]float32, n)}
}

// Name returns "momentum".
func (m *Momentum) Name() string { return "momentum" }

// Step does one update; see [Optimizer] and [kernels.Momentum].
func (m *Momentum) Step(params, grads []float32, limit ...kernels.Threads) {
	wantLen("Momentum", params, grads, len(m.v))
	kernels.Momentum(params, m.v, grads, kernels.MomentumCoef{
		LR:       float32(m.o.LR),
		Momentum: float32(m.o.Momentum),
		Grad:     m.o.coef(m.o.LR),
	}, limit...)
}

// LR and SetLR are those of [Optimizer].
func (m *Momentum) LR() float64      { return m.o.LR }
func (m *Momentum) SetLR(lr float64) { m.o.setLR("Momentum", &m.o.LR, lr) }
