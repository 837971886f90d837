package optim

import (
	"cmp"
	"math"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/kernels"
)

// LAMBOptions are the options of [NewLAMB].
type LAMBOptions struct {
	LR     float64 // the learning rate η; 0 stands for 0.001
	Beta1  float64 // the decay β1 of the mean, below 1; 0 stands for 0.9
	Beta2  float64 // the decay β2 of the mean square, below 1; 0 stands for 0.999
	Eps    float64 // ε, which keeps the division from zero; 0 stands for 1e-6
	Lambda float64 // the weight decay λ in the direction; 0 stands for 0.01

	Common
}

func (o *LAMBOptions) options() []option {
	list := append(adamOptions(&o.LR, 0.001, &o.Beta1, &o.Beta2, &o.Eps, 1e-6),
		option{name: "lambda", value: &o.Lambda, defaultValue: 0.01, below: unbounded})
	return append(list, o.Common.options(cmp.Or(o.LR, 0.001))...)
}

// NewLAMB makes Adam for large batches, with a step for each tensor that is as long as
// the tensor, times η; at step t = 1, 2, …
//
//	m = m + (1-β1)·(g - m)
//	v = β2·v + (1-β2)·g²
//	d = m/(1-β1ᵗ)/(√v/√(1-β2ᵗ) + ε) + λ·p
//	p = p - η·‖p‖/‖d‖·d, or p - η·d where a norm is 0
//
// The norms are sums in float64. It panics if the layout has no sense or an option is
// out of its range. Source: You et al., Large batch optimization for deep learning:
// training BERT in 76 minutes, 2020, algorithm 2 with φ(x) = x.
func NewLAMB(layout []Tensor, o LAMBOptions) *Rule {
	n := size("NewLAMB", layout)
	prepare("NewLAMB", n, o.options())
	m, v, dir := kernels.Make(n), kernels.Make(n), kernels.Make(largest(layout))
	r := &Rule{name: "lamb", n: n, lr: o.LR, common: o.Common, state: []vector{{"m", m}, {"v", v}}}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		c := kernels.LAMBCoef{
			MeanScale:      float32(1 / (1 - det.Pow(o.Beta1, t))),
			OneMinusBeta1:  float32(1 - o.Beta1),
			Beta2:          float32(o.Beta2),
			OneMinusBeta2:  float32(1 - o.Beta2),
			RootCorrection: float32(math.Sqrt(1 - det.Pow(o.Beta2, t))),
			Eps:            float32(o.Eps),
			Decay:          float32(o.Lambda),
			Grad:           grad,
		}
		c.Grad.Keep = 0 // it comes with the step
		eachTensor(layout, func(_ Tensor, lo, hi int) {
			p, d := params[lo:hi], dir[:hi-lo]
			kernels.LAMB(p, m[lo:hi], v[lo:hi], d, grads[lo:hi], c, limit...)
			lr := r.lr
			if long, way := norm(p, limit), norm(d, limit); long > 0 && way > 0 {
				lr *= long / way
			}
			kernels.SGD(p, d, kernels.SGDCoef{LR: float32(lr), Grad: kernels.GradCoef{Keep: grad.Keep}}, limit...)
		})
	}
	return r
}

// norm is √Σx².
func norm(x []float32, limit []kernels.Threads) float64 {
	return math.Sqrt(kernels.SumSquares(x, limit...))
}

// largest is the number of elements of a layout's largest tensor.
func largest(layout []Tensor) int {
	most := 0
	for _, t := range layout {
		most = max(most, t.Rows*t.Cols)
	}
	return most
}

// eachTensor calls f for each tensor that has elements, with where they are.
func eachTensor(layout []Tensor, f func(t Tensor, lo, hi int)) {
	lo := 0
	for _, t := range layout {
		hi := lo + t.Rows*t.Cols
		if hi > lo {
			f(t, lo, hi)
		}
		lo = hi
	}
}
