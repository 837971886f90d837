package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// SGDOptions are the options of [SGD].
type SGDOptions struct {
	LR float64 // the learning rate η; 0 stands for 0.01

	Common
}

func (o *SGDOptions) options() []option {
	return append([]option{{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded}}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// SGD is stochastic gradient descent:
//
//	p = p - η·g
//
// Source: Robbins and Monro, A stochastic approximation method, 1951.
type SGD struct {
	o SGDOptions
	n int
}

// NewSGD makes the rule for n parameters. It panics if an option is negative,
// infinite or NaN.
func NewSGD(n int, o SGDOptions) *SGD {
	prepare("NewSGD", n, o.options())
	return &SGD{o, n}
}

// Name returns "sgd".
func (s *SGD) Name() string { return "sgd" }

// Step does one update; see [Optimizer] and [kernels.SGD].
func (s *SGD) Step(params, grads []float32, limit ...kernels.Threads) {
	wantLen("SGD", params, grads, s.n)
	kernels.SGD(params, grads, kernels.SGDCoef{LR: float32(s.o.LR), Grad: s.o.coef(s.o.LR)}, limit...)
}

// LR and SetLR are those of [Optimizer].
func (s *SGD) LR() float64      { return s.o.LR }
func (s *SGD) SetLR(lr float64) { s.o.setLR("SGD", &s.o.LR, lr) }
