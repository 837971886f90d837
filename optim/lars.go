package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// LARSOptions are the options of [NewLARS].
type LARSOptions struct {
	LR       float64 // the learning rate η; 0 stands for 0.01
	Momentum float64 // the momentum μ, below 1; 0 stands for 0.9
	Trust    float64 // how much of a matrix's norm a step may be; 0 stands for 0.001
	Lambda   float64 // the weight decay λ of matrices; 0 stands for 0.0005

	Common
}

func (o *LARSOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded},
		{name: "momentum", value: &o.Momentum, defaultValue: 0.9, below: 1},
		{name: "trust", value: &o.Trust, defaultValue: 0.001, below: unbounded},
		{name: "lambda", value: &o.Lambda, defaultValue: 0.0005, below: unbounded},
	}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// NewLARS makes gradient descent with momentum for large batches, with a learning rate
// for each matrix by its norm:
//
//	rate = η·Trust·‖p‖/(‖g‖ + λ·‖p‖), or η where a norm is 0
//	v = μ·v - rate·(g + λ·p)
//	p = p + v
//
// and, as is the custom, plain momentum for vectors: rate = η, λ = 0. The norms are sums
// in float64; ‖g‖ is that of the gradients as they come, but for ClipNorm. It panics if
// the layout has no sense or an option is out of its range. Source: You, Gitman and
// Ginsburg, Large batch training of convolutional networks, 2017, algorithm 1, whose v
// has the other sign.
func NewLARS(layout []Tensor, o LARSOptions) *Rule {
	n := size("NewLARS", layout)
	prepare("NewLARS", n, o.options())
	v := kernels.Make(n)
	r := &Rule{name: "lars", n: n, lr: o.LR, common: o.Common, state: []vector{{"v", v}}}
	r.update = func(_ float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		eachTensor(layout, func(t Tensor, lo, hi int) {
			p, g := params[lo:hi], grads[lo:hi]
			c := kernels.MomentumCoef{LR: float32(r.lr), Momentum: float32(o.Momentum), Grad: grad}
			if t.Rows > 1 {
				lambda := o.Lambda + o.Common.L2
				c.Grad.L2 = float32(lambda)
				slope := norm(g, limit)
				if grad.Scale != 0 {
					slope *= max(float64(grad.Scale), -float64(grad.Scale))
				}
				if long := norm(p, limit); long > 0 && slope > 0 {
					c.LR = float32(r.lr * o.Trust * long / (slope + float64(lambda*long)))
				}
			}
			kernels.Momentum(p, v[lo:hi], g, c, limit...)
		})
	}
	return r
}
