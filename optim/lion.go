package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// LionOptions are the options of [Lion].
type LionOptions struct {
	LR    float64 // the learning rate η; 0 stands for 0.0001
	Beta1 float64 // β1, how much of the direction is the mean, below 1; 0 stands for 0.9
	Beta2 float64 // the decay β2 of the mean, below 1; 0 stands for 0.99

	Common
}

func (o *LionOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.0001, below: unbounded},
		{name: "beta1", value: &o.Beta1, defaultValue: 0.9, below: 1},
		{name: "beta2", value: &o.Beta2, defaultValue: 0.99, below: 1},
	}, o.Common.options(cmp.Or(o.LR, 0.0001))...)
}

// Lion steps by η in the direction of the sign of a mean of the gradients:
//
//	p = p - η·sign(β1·m + (1-β1)·g)
//	m = β2·m + (1-β2)·g
//
// Its weight decay is Common.Decay. Source: Chen et al., Symbolic discovery of
// optimization algorithms, 2023, algorithm 2.
type Lion struct {
	o LionOptions
	m []float32
}

// NewLion makes the rule for n parameters. It panics if an option is out of its
// range.
func NewLion(n int, o LionOptions) *Lion {
	prepare("NewLion", n, o.options())
	return &Lion{o, make([]float32, n)}
}

// Name returns "lion".
func (l *Lion) Name() string { return "lion" }

// Step does one update; see [Optimizer] and [kernels.Lion].
func (l *Lion) Step(params, grads []float32, limit ...kernels.Threads) {
	wantLen("Lion", params, grads, len(l.m))
	kernels.Lion(params, l.m, grads, kernels.LionCoef{
		LR:            float32(l.o.LR),
		Beta1:         float32(l.o.Beta1),
		OneMinusBeta1: float32(1 - l.o.Beta1),
		Beta2:         float32(l.o.Beta2),
		OneMinusBeta2: float32(1 - l.o.Beta2),
		Grad:          l.o.coef(l.o.LR),
	}, limit...)
}

// LR and SetLR are those of [Optimizer].
func (l *Lion) LR() float64      { return l.o.LR }
func (l *Lion) SetLR(lr float64) { l.o.setLR("Lion", &l.o.LR, lr) }
