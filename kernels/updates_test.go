package kernels

import (
	"fmt"
	"math"
	"strings"
)

// updateRule is a row for an update rule without options, from which those with
// options follow.
type updateRule struct {
	vectorKernel
	update func(v [][]float32, grad GradCoef, limit ...Threads)
}

// The scalars of the update rules, as float32 and for the formulas.
const (
	lr    = float32(0.01)
	mu    = float32(0.9)
	beta1 = float32(0.1)   // 1-β1
	beta2 = float32(0.001) // 1-β2
	eps   = float32(1e-7)

	lr64, mu64, beta164, beta264, eps64 = float64(lr), float64(mu), float64(beta1), float64(beta2), float64(eps)
)

var (
	nesterov = NesterovCoef{LR: lr, Momentum: mu, Momentum2: mu * mu, LookAhead: lr * (1 + mu)}
	adamW    = AdamWCoef{StepSize: lr, OneMinusBeta1: beta1, Beta2: 1 - beta2, OneMinusBeta2: beta2, RootCorrection: 0.3, Eps: eps}
	lion     = LionCoef{LR: lr, Beta1: mu, OneMinusBeta1: 1 - mu, Beta2: 0.99, OneMinusBeta2: 0.01}
)

// everyOption has all that an update rule may do first; mildOptions leave out the
// sums, which may cancel.
var (
	everyOption = GradCoef{Scale: 0.5, Clip: 1.5, L1: 0.03, L2: 0.02, Keep: 0.999, Zero: true}
	mildOptions = GradCoef{Scale: 0.5, Clip: 1.5, Keep: 0.999}
)

func init() {
	for i := range updateRules {
		rule := &updateRules[i]
		vectorKernels = append(vectorKernels, rule.with(GradCoef{}))
		options := []GradCoef{mildOptions, everyOption}
		if rule.name == "SGD" {
			options = append(options, GradCoef{Scale: -1}, GradCoef{Clip: 0.3}, GradCoef{L1: 0.03}, GradCoef{L2: 0.02}, GradCoef{Keep: 0.999}, GradCoef{Zero: true})
		}
		for _, grad := range options {
			vectorKernels = append(vectorKernels, rule.with(grad))
		}
	}
}

// with is the row for the rule with options.
func (rule *updateRule) with(grad GradCoef) vectorKernel {
	row := rule.vectorKernel
	row.run = func(v [][]float32, limit ...Threads) (sum float64) { rule.update(v, grad, limit...); return }
	if grad == (GradCoef{}) {
		return row
	}
	row.name = fmt.Sprintf("%s %+v", rule.name, grad)
	if grad.Zero {
		row.streams += "*" // grad, the last
	}
	row.roundings += 6
	row.formula = nil
	if !strings.Contains(row.streams, "+") || grad.L1 == 0 {
		row.formula = optionsFormula(grad, rule.formula)
	}
	return row
}

// optionsFormula is the formula of a rule after options.
func optionsFormula(grad GradCoef, rule func(x []float64, sub func(a, b float64) float64) float64) func(x []float64, sub func(a, b float64) float64) float64 {
	return func(x []float64, sub func(a, b float64) float64) float64 {
		last := len(x) - 1
		g := x[last]
		if grad.Scale < 0 {
			x[last] = sub(0, -float64(grad.Scale)*g)
		} else if grad.Scale > 0 {
			x[last] *= float64(grad.Scale)
		}
		if clip := float64(grad.Clip); clip > 0 {
			x[last] = max(-clip, min(x[last], clip))
		}
		if x[0] > 0 {
			x[last] += float64(grad.L1)
		} else if x[0] < 0 {
			x[last] = sub(x[last], float64(grad.L1))
		}
		x[last] += float64(grad.L2) * x[0]
		if grad.Keep != 0 {
			x[0] *= float64(grad.Keep)
		}
		sum := rule(x, sub)
		if x[last] = g; grad.Zero {
			x[last] = 0
		}
		return sum
	}
}

var updateRules = []updateRule{
	{
		vectorKernel{
			name: "SGD", streams: "p* grad", roundings: 2,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[0] = sub(x[0], lr64*x[1])
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			SGD(v[0], v[1], SGDCoef{LR: lr, Grad: grad}, limit...)
		},
	},
	{
		vectorKernel{
			name: "Momentum", streams: "p* v* grad", roundings: 4,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] = sub(mu64*x[1], lr64*x[2])
				x[0] += x[1]
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			Momentum(v[0], v[1], v[2], MomentumCoef{LR: lr, Momentum: mu, Grad: grad}, limit...)
		},
	},
	{
		vectorKernel{
			name: "Nesterov", streams: "p* v* grad", roundings: 4,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[0] += sub(float64(nesterov.Momentum2)*x[1], float64(nesterov.LookAhead)*x[2])
				x[1] = sub(mu64*x[1], lr64*x[2])
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := nesterov
			c.Grad = grad
			Nesterov(v[0], v[1], v[2], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "NesterovVelocityFirst", streams: "p* v* grad", roundings: 7,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] = sub(mu64*x[1], lr64*x[2])
				x[0] += sub(float64(nesterov.Momentum2)*x[1], float64(nesterov.LookAhead)*x[2])
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := nesterov
			c.Grad = grad
			NesterovVelocityFirst(v[0], v[1], v[2], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "AdaGrad", streams: "p* h*+ grad", roundings: 7,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] += x[2] * x[2]
				x[0] = sub(x[0], lr64*x[2]/(math.Sqrt(x[1])+eps64))
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			AdaGrad(v[0], v[1], v[2], AdaGradCoef{LR: lr, Eps: eps, Grad: grad}, limit...)
		},
	},
	{
		vectorKernel{
			name: "RMSprop", streams: "p* h*+ grad", roundings: 9,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] = mu64*x[1] + beta164*x[2]*x[2]
				x[0] = sub(x[0], lr64*x[2]/(math.Sqrt(x[1])+eps64))
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			RMSprop(v[0], v[1], v[2], RMSpropCoef{LR: lr, Rho: mu, OneMinusRho: beta1, Eps: eps, Grad: grad}, limit...)
		},
	},
	{
		vectorKernel{
			name: "Adam", streams: "p* m* v*+ grad", roundings: 12,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] += beta164 * sub(x[3], x[1])
				x[2] += beta264 * sub(x[3]*x[3], x[2])
				x[0] = sub(x[0], lr64*x[1]/(math.Sqrt(x[2])+eps64))
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			Adam(v[0], v[1], v[2], v[3], AdamCoef{LR: lr, OneMinusBeta1: beta1, OneMinusBeta2: beta2, Eps: eps, Grad: grad}, limit...)
		},
	},
	{
		vectorKernel{
			name: "AdamW", streams: "p* m* v*+ grad", roundings: 13,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] += beta164 * sub(x[3], x[1])
				x[2] = float64(adamW.Beta2)*x[2] + beta264*x[3]*x[3]
				x[0] = sub(x[0], lr64*x[1]/(math.Sqrt(x[2])/float64(adamW.RootCorrection)+eps64))
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := adamW
			c.Grad = grad
			AdamW(v[0], v[1], v[2], v[3], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "Lion", streams: "p* m* grad", roundings: 4, // as long as none of the sums is so small that its sign is open
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				switch c := float64(lion.Beta1)*x[1] + float64(lion.OneMinusBeta1)*x[2]; {
				case c > 0:
					x[0] = sub(x[0], lr64)
				case c < 0:
					x[0] += lr64
				}
				x[1] = float64(lion.Beta2)*x[1] + float64(lion.OneMinusBeta2)*x[2]
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := lion
			c.Grad = grad
			Lion(v[0], v[1], v[2], c, limit...)
		},
	},
}
