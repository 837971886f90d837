package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// LionOptions are the options of [NewLion].
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

// NewLion makes the rule for n parameters that steps by η in the direction of the sign
// of a mean of the gradients:
//
//	p = p - η·sign(β1·m + (1-β1)·g)
//	m = β2·m + (1-β2)·g
//
// Its weight decay is Common.Decay. It panics if an option is out of its range. Source:
// Chen et al., Symbolic discovery of optimization algorithms, 2023, algorithm 2.
func NewLion(n int, o LionOptions) *Rule {
	prepare("NewLion", n, o.options())
	m := kernels.Make(n)
	r := &Rule{name: "lion", n: n, lr: o.LR, common: o.Common, state: []vector{{"m", m}}}
	r.update = func(_ float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		kernels.Lion(params, m, grads, kernels.LionCoef{
			LR:            float32(r.lr),
			Beta1:         float32(o.Beta1),
			OneMinusBeta1: float32(1 - o.Beta1),
			Beta2:         float32(o.Beta2),
			OneMinusBeta2: float32(1 - o.Beta2),
			Grad:          grad,
		}, limit...)
	}
	return r
}
