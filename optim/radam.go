package optim

import (
	"cmp"
	"math"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/kernels"
)

// RAdamOptions are the options of [NewRAdam].
type RAdamOptions struct {
	LR    float64 // the learning rate η; 0 stands for 0.001
	Beta1 float64 // the decay β1 of the mean, below 1; 0 stands for 0.9
	Beta2 float64 // the decay β2 of the mean square, below 1; 0 stands for 0.999
	Eps   float64 // ε, which keeps the division from zero; 0 stands for 1e-8

	Common
}

func (o *RAdamOptions) options() []option {
	return append(adamOptions(&o.LR, 0.001, &o.Beta1, &o.Beta2, &o.Eps, 1e-8), o.Common.options(cmp.Or(o.LR, 0.001))...)
}

// NewRAdam makes Adam for n parameters that divides by the root of the mean square only
// once enough squares are in it; at step t = 1, 2, …
//
//	ρ∞ = 2/(1-β2) - 1, ρ = ρ∞ - 2·t·β2ᵗ/(1-β2ᵗ)
//	m = m + (1-β1)·(g - m)
//	v = β2·v + (1-β2)·g²
//	p = p - (η/(1-β1ᵗ))·m, or if ρ > 5
//	p = p - (η/(1-β1ᵗ)·√(1-β2ᵗ)·r)·m/(√v + ε), r = √((ρ-4)·(ρ-2)·ρ∞/((ρ∞-4)·(ρ∞-2)·ρ))
//
// It panics if an option is out of its range. Source: Liu et al., On the variance of the
// adaptive learning rate and beyond, 2020, algorithm 2, with the bound 5, the ε and the
// defaults of torch.optim.RAdam, whose weight_decay is L2.
func NewRAdam(n int, o RAdamOptions) *Rule {
	prepare("NewRAdam", n, o.options())
	m, v := kernels.Make(n), kernels.Make(n)
	r := &Rule{name: "radam", n: n, lr: o.LR, common: o.Common, state: []vector{{"m", m}, {"v", v}}}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		step, power := r.lr/(1-det.Pow(o.Beta1, t)), det.Pow(o.Beta2, t)
		most := 2/(1-o.Beta2) - 1
		rho := most - 2*t*power/(1-power)
		rectified := rho > 5
		if rectified {
			step *= math.Sqrt(1-power) * math.Sqrt((rho-4)*(rho-2)*most/((most-4)*(most-2)*rho))
		}
		kernels.RAdam(params, m, v, grads, kernels.RAdamCoef{
			StepSize:      float32(step),
			OneMinusBeta1: float32(1 - o.Beta1),
			Beta2:         float32(o.Beta2),
			OneMinusBeta2: float32(1 - o.Beta2),
			Eps:           float32(o.Eps),
			Rectified:     rectified,
			Grad:          grad,
		}, limit...)
	}
	return r
}
