package optim

import "github.com/lockstep-go/lockstep/kernels"

// SGDOptions are the options of [SGD].
type SGDOptions struct {
	LR float64 // the learning rate η; 0 stands for 0.01
}

func (o *SGDOptions) options() []option {
	return []option{{"lr", &o.LR, 0.01, unbounded}}
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
	kernels.SGD(params, grads, kernels.SGDCoef{LR: float32(s.o.LR)}, limit...)
}
