package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/kernels"
)

// ASGDOptions are the options of [NewASGD].
type ASGDOptions struct {
	LR     float64 // the learning rate η; 0 stands for 0.01
	Lambda float64 // λ, which shrinks the parameters and the rate; 0 stands for 1e-4
	Alpha  float64 // α, how fast the rate falls; 0 stands for 0.75
	T0     float64 // the step after which the mean begins; 0 stands for 1e6

	Common
}

func (o *ASGDOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded},
		{name: "lambda", value: &o.Lambda, defaultValue: 1e-4, below: min(unbounded, 1/cmp.Or(o.LR, 0.01))},
		{name: "alpha", value: &o.Alpha, defaultValue: 0.75, below: unbounded},
		{name: "t0", value: &o.T0, defaultValue: 1e6, below: unbounded},
	}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// NewASGD makes averaged stochastic gradient descent for n parameters; at step t = 1,
// 2, …
//
//	ηₜ = η/(1 + λ·η·(t-1))^α, μₜ = 1/max(1, t-1-T0)
//	p = (1 - λ·ηₜ)·p - ηₜ·g
//	mean = (1-μₜ)·mean + μₜ·p
//
// The vector mean of the [State] is what the training results in. It panics if an option
// is out of its range. Source: Polyak and Juditsky, Acceleration of stochastic
// approximation by averaging, 1992, with the schedules and the defaults of
// torch.optim.ASGD, whose lambd is Lambda.
func NewASGD(n int, o ASGDOptions) *Rule {
	prepare("NewASGD", n, o.options())
	mean := kernels.Make(n)
	r := &Rule{name: "asgd", n: n, lr: o.LR, common: o.Common, shrink: o.Lambda, state: []vector{{"mean", mean}}}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		lr := r.lr / det.Pow(1+float64(o.Lambda*r.lr*(t-1)), o.Alpha)
		mu := 1 / max(1, t-1-o.T0)
		grad.Keep = float32((1 - float64(r.lr*o.Common.Decay)) * (1 - float64(o.Lambda*lr)))
		kernels.ASGD(params, mean, grads, kernels.ASGDCoef{
			LR:         float32(lr),
			Mu:         float32(mu),
			OneMinusMu: float32(1 - mu),
			Grad:       grad,
		}, limit...)
	}
	return r
}
