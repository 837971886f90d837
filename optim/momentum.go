package optim

import "github.com/lockstep-go/lockstep/kernels"

// MomentumOptions are the options of [Momentum].
type MomentumOptions struct {
	LR       float64 // the learning rate η; 0 stands for 0.01
	Momentum float64 // the momentum μ, below 1; 0 stands for 0.9
}

func (o *MomentumOptions) options() []option {
	return []option{
		{"lr", &o.LR, 0.01, unbounded},
		{"momentum", &o.Momentum, 0.9, 1},
	}
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
	}, limit...)
}
