package optim

import (
	"cmp"
	"math"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/kernels"
)

// AdamOptions are the options of [NewAdam].
type AdamOptions struct {
	LR    float64 // the learning rate η; 0 stands for 0.001
	Beta1 float64 // the decay β1 of the mean, below 1; 0 stands for 0.9
	Beta2 float64 // the decay β2 of the mean square, below 1; 0 stands for 0.999
	Eps   float64 // ε, which keeps the division from zero; 0 stands for 1e-7

	Common
}

func (o *AdamOptions) options() []option {
	return append(adamOptions(&o.LR, 0.001, &o.Beta1, &o.Beta2, &o.Eps, 1e-7), o.Common.options(cmp.Or(o.LR, 0.001))...)
}

// adamOptions are those that Adam and its variants have.
func adamOptions(lr *float64, defaultLR float64, beta1, beta2, eps *float64, defaultEps float64) []option {
	return []option{
		{name: "lr", value: lr, defaultValue: defaultLR, below: unbounded},
		{name: "beta1", value: beta1, defaultValue: 0.9, below: 1},
		{name: "beta2", value: beta2, defaultValue: 0.999, below: 1},
		{name: "eps", value: eps, defaultValue: defaultEps, below: unbounded},
	}
}

// NewAdam makes the rule for n parameters that steps along a running mean of the
// gradients, divided by the root of a running mean of their squares; at step t = 1,
// 2, …
//
//	m = m + (1-β1)·(g - m)
//	v = v + (1-β2)·(g² - v)
//	p = p - (η·√(1-β2ᵗ)/(1-β1ᵗ))·m/(√v + ε)
//
// It panics if an option is out of its range. Source: Kingma and Ba, Adam: a method
// for stochastic optimization, 2015, in the form at the end of section 2, whose ε is
// not the one of algorithm 1; as in Deep Learning from Scratch, section 6.1.6.
// Algorithm 1, which PyTorch follows, is [NewTorchAdam].
func NewAdam(n int, o AdamOptions) *Rule {
	prepare("NewAdam", n, o.options())
	m, v := kernels.Make(n), kernels.Make(n)
	r := &Rule{name: "adam", n: n, lr: o.LR, common: o.Common, state: []vector{{"m", m}, {"v", v}}}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		kernels.Adam(params, m, v, grads, kernels.AdamCoef{
			LR:            float32(r.lr * math.Sqrt(1-det.Pow(o.Beta2, t)) / (1 - det.Pow(o.Beta1, t))),
			OneMinusBeta1: float32(1 - o.Beta1),
			OneMinusBeta2: float32(1 - o.Beta2),
			Eps:           float32(o.Eps),
			Grad:          grad,
		}, limit...)
	}
	return r
}
