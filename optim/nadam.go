package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/kernels"
)

// NAdamOptions are the options of [NewNAdam].
type NAdamOptions struct {
	LR            float64 // the learning rate η; 0 stands for 0.002
	Beta1         float64 // the decay β1 of the mean, below 1; 0 stands for 0.9
	Beta2         float64 // the decay β2 of the mean square, below 1; 0 stands for 0.999
	Eps           float64 // ε, which keeps the division from zero; 0 stands for 1e-8
	MomentumDecay float64 // ψ, how fast μ rises to β1; 0 stands for 0.004

	Common
}

func (o *NAdamOptions) options() []option {
	list := append(adamOptions(&o.LR, 0.002, &o.Beta1, &o.Beta2, &o.Eps, 1e-8),
		option{name: "momentumdecay", value: &o.MomentumDecay, defaultValue: 0.004, below: unbounded})
	return append(list, o.Common.options(cmp.Or(o.LR, 0.002))...)
}

// NewNAdam makes Adam with Nesterov's momentum for n parameters; at step t = 1, 2, …
//
//	μₜ = β1·(1 - ½·0.96^(t·ψ))
//	m = m + (1-β1)·(g - m)
//	v = β2·v + (1-β2)·g²
//	p = p - η·((1-μₜ)/(1 - μ₁·…·μₜ)·g + μₜ₊₁/(1 - μ₁·…·μₜ₊₁)·m)/(√(v/(1-β2ᵗ)) + ε)
//
// It panics if an option is out of its range. Source: Dozat, Incorporating Nesterov
// momentum into Adam, 2016, with the schedule of μ and the defaults of
// torch.optim.NAdam; PyTorch divides the two terms one by one. Its weight_decay is L2,
// and Decay with decoupled_weight_decay.
func NewNAdam(n int, o NAdamOptions) *Rule {
	prepare("NewNAdam", n, o.options())
	m, v, product := kernels.Make(n), kernels.Make(n), 1.0 // μ₁·…·μₜ
	r := &Rule{name: "nadam", n: n, lr: o.LR, common: o.Common, state: []vector{{"m", m}, {"v", v}}, number: &product, scalar: "product"}
	mu := func(t float64) float64 {
		return float64(o.Beta1 * (1 - float64(0.5*det.Pow(0.96, t*o.MomentumDecay))))
	}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		now, next := mu(t), mu(t+1)
		upToNow := float64(product * now)
		kernels.NAdam(params, m, v, grads, kernels.NAdamCoef{
			GradStep:          float32(r.lr * (1 - now) / (1 - upToNow)),
			MeanStep:          float32(r.lr * next / (1 - float64(upToNow*next))),
			OneMinusBeta1:     float32(1 - o.Beta1),
			Beta2:             float32(o.Beta2),
			OneMinusBeta2:     float32(1 - o.Beta2),
			InverseCorrection: float32(1 / (1 - det.Pow(o.Beta2, t))),
			Eps:               float32(o.Eps),
			Grad:              grad,
		}, limit...)
		product = upToNow
	}
	return r
}
