package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
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
	nesterov            = NesterovCoef{LR: lr, Momentum: mu, Momentum2: mu * mu, LookAhead: lr * (1 + mu)}
	adamW               = AdamWCoef{StepSize: lr, OneMinusBeta1: beta1, Beta2: 1 - beta2, OneMinusBeta2: beta2, RootCorrection: 0.3, Eps: eps}
	heavyBall           = HeavyBallCoef{LR: lr, Momentum: mu, OneMinusDampening: 0.7}
	torchRMSpropScalars = TorchRMSpropCoef{LR: lr, Rho: mu, OneMinusRho: beta1, Momentum: 0.8, Eps: eps}
	nadam               = NAdamCoef{GradStep: 0.003, MeanStep: 0.02, OneMinusBeta1: beta1, Beta2: 1 - beta2, OneMinusBeta2: beta2, InverseCorrection: 11, Eps: eps}
	radam               = RAdamCoef{StepSize: lr, OneMinusBeta1: beta1, Beta2: 1 - beta2, OneMinusBeta2: beta2, Eps: eps}
	rprop               = RpropCoef{EtaMinus: 0.5, EtaPlus: 1.2, MinStep: 1e-6, MaxStep: 50}
	lamb                = LAMBCoef{MeanScale: 1.7, OneMinusBeta1: beta1, Beta2: 1 - beta2, OneMinusBeta2: beta2, RootCorrection: 0.3, Eps: eps, Decay: 0.01}
	lion                = LionCoef{LR: lr, Beta1: mu, OneMinusBeta1: 1 - mu, Beta2: 0.99, OneMinusBeta2: 0.01}
)

// everyOption has all that an update rule may do first; mildOptions leave out the
// sums, which may cancel, and clipping, so that it is known to be left out.
var (
	everyOption = GradCoef{Scale: 0.5, Clip: 1.5, L1: 0.03, L2: 0.02, Keep: 0.999, Zero: true}
	mildOptions = GradCoef{Scale: 0.5, Keep: 0.999}
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
			if !rule.vectors()[0].written {
				grad.Keep = 0
			}
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
	if strings.Contains(row.streams, "+") && grad.L1 != 0 {
		row.formula = nil // the gradient may cancel, and is divided by
	}
	if row.formula != nil {
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
	{
		vectorKernel{
			name: "HeavyBall", streams: "p* v* grad", roundings: 5,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] = mu64*x[1] + float64(heavyBall.OneMinusDampening)*x[2]
				x[0] = sub(x[0], lr64*x[1])
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := heavyBall
			c.Grad = grad
			HeavyBall(v[0], v[1], v[2], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "HeavyBall Nesterov", streams: "p* v* grad", roundings: 7,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] = mu64*x[1] + float64(heavyBall.OneMinusDampening)*x[2]
				x[0] = sub(x[0], lr64*(x[2]+mu64*x[1]))
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := heavyBall
			c.Nesterov, c.Grad = true, grad
			HeavyBall(v[0], v[1], v[2], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "TorchRMSprop", streams: "p* h*+ grad", roundings: 9,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] = mu64*x[1] + beta164*x[2]*x[2]
				x[0] = sub(x[0], lr64*x[2]/(math.Sqrt(x[1])+eps64))
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := torchRMSpropScalars
			c.Grad = grad
			TorchRMSprop(v[0], v[1], nil, nil, v[2], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "TorchRMSprop centered", streams: "p* h*+ mean* grad", // the difference of h and mean² may cancel: see TestTorchRMSpropCentered
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := torchRMSpropScalars
			c.Grad = grad
			TorchRMSprop(v[0], v[1], v[2], nil, v[3], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "TorchRMSprop momentum", streams: "p* h*+ v* grad", roundings: 12,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] = mu64*x[1] + beta164*x[3]*x[3]
				x[2] = float64(torchRMSpropScalars.Momentum)*x[2] + x[3]/(math.Sqrt(x[1])+eps64)
				x[0] = sub(x[0], lr64*x[2])
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := torchRMSpropScalars
			c.Grad = grad
			TorchRMSprop(v[0], v[1], nil, v[2], v[3], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "TorchRMSprop centered momentum", streams: "p* h*+ mean* v* grad", // as above
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := torchRMSpropScalars
			c.Grad = grad
			TorchRMSprop(v[0], v[1], v[2], v[3], v[4], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "Adadelta", streams: "p* h*+ d*+ grad", roundings: 16,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] = mu64*x[1] + beta164*x[3]*x[3]
				u := math.Sqrt(x[2]+eps64) / math.Sqrt(x[1]+eps64) * x[3]
				x[2] = mu64*x[2] + beta164*u*u
				x[0] = sub(x[0], lr64*u)
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			Adadelta(v[0], v[1], v[2], v[3], AdadeltaCoef{LR: lr, Rho: mu, OneMinusRho: beta1, Eps: eps, Grad: grad}, limit...)
		},
	},
	{
		vectorKernel{
			name: "AMSGrad", streams: "p* m* v*+ top*+ grad", roundings: 13,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] += beta164 * sub(x[4], x[1])
				x[2] = float64(adamW.Beta2)*x[2] + beta264*x[4]*x[4]
				x[3] = max(x[3], x[2])
				x[0] = sub(x[0], lr64*x[1]/(math.Sqrt(x[3])/float64(adamW.RootCorrection)+eps64))
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := adamW
			c.Grad = grad
			AMSGrad(v[0], v[1], v[2], v[3], v[4], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "Adamax", streams: "p* m* u*+ grad", roundings: 8,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] += beta164 * sub(x[3], x[1])
				x[2] = max(float64(1-beta2)*x[2], math.Abs(x[3])+eps64)
				x[0] = sub(x[0], lr64*x[1]/x[2])
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			Adamax(v[0], v[1], v[2], v[3], AdamaxCoef{StepSize: lr, OneMinusBeta1: beta1, Beta2: 1 - beta2, Eps: eps, Grad: grad}, limit...)
		},
	},
	{
		vectorKernel{
			name: "NAdam", streams: "p* m* v*+ grad", roundings: 14,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] += beta164 * sub(x[3], x[1])
				x[2] = float64(nadam.Beta2)*x[2] + beta264*x[3]*x[3]
				step := float64(nadam.GradStep)*x[3] + float64(nadam.MeanStep)*x[1]
				x[0] = sub(x[0], step/(math.Sqrt(x[2]*float64(nadam.InverseCorrection))+eps64))
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := nadam
			c.Grad = grad
			NAdam(v[0], v[1], v[2], v[3], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "RAdam", streams: "p* m* v*+ grad", roundings: 12,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] += beta164 * sub(x[3], x[1])
				x[2] = float64(radam.Beta2)*x[2] + beta264*x[3]*x[3]
				x[0] = sub(x[0], lr64*x[1]/(math.Sqrt(x[2])+eps64))
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := radam
			c.Rectified, c.Grad = true, grad
			RAdam(v[0], v[1], v[2], v[3], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "RAdam warm-up", streams: "p* m* v*+ grad", roundings: 6,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] += beta164 * sub(x[3], x[1])
				x[2] = float64(radam.Beta2)*x[2] + beta264*x[3]*x[3]
				x[0] = sub(x[0], lr64*x[1])
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := radam
			c.Grad = grad
			RAdam(v[0], v[1], v[2], v[3], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "Rprop", streams: "p* prev* step*+ grad", roundings: 3,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				g := x[3]
				switch s := g * x[1]; {
				case s > 0:
					x[2] *= float64(rprop.EtaPlus)
				case s < 0:
					x[2] *= float64(rprop.EtaMinus)
					g = 0
				}
				x[2] = min(max(x[2], float64(rprop.MinStep)), float64(rprop.MaxStep))
				switch x[1] = g; {
				case g > 0:
					x[0] = sub(x[0], x[2])
				case g < 0:
					x[0] += x[2]
				}
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := rprop
			c.Grad = grad
			Rprop(v[0], v[1], v[2], v[3], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "ASGD", streams: "p* mean* grad", roundings: 5,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[0] = sub(x[0], lr64*x[2])
				x[1] = float64(float32(0.8))*x[1] + float64(float32(0.2))*x[0]
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			ASGD(v[0], v[1], v[2], ASGDCoef{LR: lr, Mu: 0.2, OneMinusMu: 0.8, Grad: grad}, limit...)
		},
	},
	{
		vectorKernel{
			name: "LAMB", streams: "p m* v*+ dir* grad", roundings: 14,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] += beta164 * sub(x[4], x[1])
				x[2] = float64(lamb.Beta2)*x[2] + beta264*x[4]*x[4]
				x[3] = float64(lamb.MeanScale)*x[1]/(math.Sqrt(x[2])/float64(lamb.RootCorrection)+eps64) + float64(lamb.Decay)*x[0]
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			c := lamb
			c.Grad = grad
			LAMB(v[0], v[1], v[2], v[3], v[4], c, limit...)
		},
	},
	{
		vectorKernel{
			name: "Muon", streams: "p m* dir* grad", roundings: 7,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] += float64(float32(0.05)) * sub(x[3], x[1])
				x[2] = x[3] + mu64*sub(x[1], x[3])
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			Muon(v[0], v[1], v[2], v[3], MuonCoef{Momentum: mu, OneMinusMomentum: 0.05, Grad: grad}, limit...)
		},
	},
	{
		vectorKernel{
			name: "Adjust", streams: "p dst* grad", roundings: 0,
			formula: func(x []float64, sub func(a, b float64) float64) (sum float64) {
				x[1] = x[2]
				return
			},
		},
		func(v [][]float32, grad GradCoef, limit ...Threads) {
			Adjust(v[0], v[1], v[2], grad, limit...)
		},
	},
}

// TestUpdateSpecials has the results that the docs state for NaN, zeros and
// bounds. Each vector holds one number, in every place of a vector and its tail.
// TestRootCorrection: the quotient by the correction is the rounded one. Without
// weights and ε, the three rules give 1 divided by it, which differs where
// it does, or seldom does not. The roots are all that there are, but for powers of 4; in
// short tests a few of them.
func TestRootCorrection(t *testing.T) {
	step, chunk := uint32(1), 1<<16
	if testing.Short() {
		step = 509
	}
	corrections := []float32{0.031622775, 0.3, 0.99999994, 1, 1.9999999, 0x1.6a09e6p-1, 0x1p-20, 0x1p20}
	outside := []float32{0, -0.3, 0x1.fffffep-21, 0x1.000002p20, math.MaxFloat32, math.SmallestNonzeroFloat32,
		float32(math.Inf(1)), float32(math.NaN())}
	negative := math.Float32frombits(1 << 31)
	special := []float32{0, negative, -1, math.SmallestNonzeroFloat32, 0x1p-126, 3, math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN())}
	v, zero := make([]float32, chunk), make([]float32, chunk)
	none, one := slices.Repeat([]float32{negative}, chunk), slices.Repeat([]float32{1}, chunk) // x + -0 is x
	var p, dir, top, m, from [1 << 16]float32
	check := func(t *testing.T, v []float32, correction, eps float32) {
		n := len(v)
		from := from[:n]
		copy(from, v)
		ready := func() { copy(p[:], none); copy(m[:], one); copy(v, from); copy(top[:], from) }
		same := func(kernel string, got []float32) {
			t.Helper()
			for i, x := range from {
				want := 1 / (sqrt(x)/correction + eps)
				if got := got[i]; math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
					t.Fatalf("%s, v = %x, RootCorrection = %x, Eps = %v: %x, want %x", kernel, x, correction, eps, got, want)
				}
			}
		}
		ready()
		AdamW(p[:n], m[:n], v, zero[:n], AdamWCoef{StepSize: -1, Beta2: 1, OneMinusBeta2: negative, RootCorrection: correction, Eps: eps}, 1)
		same("AdamW", p[:n])
		ready()
		AMSGrad(p[:n], m[:n], v, top[:n], zero[:n], AdamWCoef{StepSize: -1, Beta2: 1, OneMinusBeta2: negative, RootCorrection: correction, Eps: eps}, 1)
		same("AMSGrad", p[:n])
		ready()
		LAMB(p[:n], m[:n], v, dir[:n], zero[:n], LAMBCoef{MeanScale: 1, Beta2: 1, OneMinusBeta2: negative, RootCorrection: correction, Eps: eps}, 1)
		same("LAMB", dir[:n])
	}
	eachISA(t, func(t *testing.T) {
		for _, correction := range corrections {
			for bits := math.Float32bits(1); bits < math.Float32bits(4); {
				k := 0
				for ; k < chunk && bits < math.Float32bits(4); bits += step {
					v[k] = math.Float32frombits(bits)
					k++
				}
				check(t, v[:k], correction, 0)
			}
		}
		for _, correction := range slices.Concat(corrections, outside) {
			for _, eps := range []float32{0, negative, 1e-8} {
				copy(v, slices.Repeat(special, 5))
				check(t, v[:5*len(special)], correction, eps)
			}
		}
	})
}

func TestUpdateSpecials(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	negative := math.Float32frombits(1 << 31)
	cases := []struct {
		name     string
		in, want []float32
		run      func(v [][]float32)
	}{
		{"AMSGrad: a v that is NaN", []float32{1, 0, nan, 5, 1}, []float32{nan, beta1, nan, nan, 1}, func(v [][]float32) {
			AMSGrad(v[0], v[1], v[2], v[3], v[4], adamW)
		}},
		{"AMSGrad: the greatest stays", []float32{1, 0, 0, 4, 0}, []float32{1, 0, 0, 4, 0}, func(v [][]float32) {
			AMSGrad(v[0], v[1], v[2], v[3], v[4], adamW)
		}},
		{"Adamax: a g that is NaN", []float32{1, 0, 3, nan}, []float32{nan, nan, nan, nan}, func(v [][]float32) {
			Adamax(v[0], v[1], v[2], v[3], AdamaxCoef{StepSize: 1, OneMinusBeta1: 0.5, Beta2: 0.5})
		}},
		{"Adamax: a u that is NaN", []float32{1, 0, nan, -2}, []float32{1.5, -1, 2, -2}, func(v [][]float32) {
			Adamax(v[0], v[1], v[2], v[3], AdamaxCoef{StepSize: 1, OneMinusBeta1: 0.5, Beta2: 0.5})
		}},
		{"RAdam: v comes along in the warm-up", []float32{1, 0, 1, 2}, []float32{0, 1, 2.5, 2}, func(v [][]float32) {
			RAdam(v[0], v[1], v[2], v[3], RAdamCoef{StepSize: 1, OneMinusBeta1: 0.5, Beta2: 0.5, OneMinusBeta2: 0.5})
		}},
		{"Rprop: a g that is NaN", []float32{1, 1, 0.25, nan}, []float32{1, nan, 0.25, nan}, func(v [][]float32) {
			Rprop(v[0], v[1], v[2], v[3], rprop)
		}},
		{"Rprop: a g of 0", []float32{1, 1, 0.25, negative}, []float32{1, negative, 0.25, negative}, func(v [][]float32) {
			Rprop(v[0], v[1], v[2], v[3], rprop)
		}},
		{"Rprop: a turn", []float32{1, 1, 0.25, -2}, []float32{1, 0, 0.125, -2}, func(v [][]float32) {
			Rprop(v[0], v[1], v[2], v[3], rprop)
		}},
		{"Rprop: onward", []float32{1, -1, 50, -2}, []float32{51, -2, 50, -2}, func(v [][]float32) {
			Rprop(v[0], v[1], v[2], v[3], rprop)
		}},
		{"Rprop: the shortest step", []float32{1, -1, 1e-6, 2}, []float32{1, 0, 1e-6, 2}, func(v [][]float32) {
			Rprop(v[0], v[1], v[2], v[3], rprop)
		}},
		{"clipping NaN", []float32{0, 0, nan}, []float32{0, nan, nan}, func(v [][]float32) { Adjust(v[0], v[1], v[2], GradCoef{Clip: 2}) }},
		{"clipping +Inf", []float32{0, 0, inf}, []float32{0, 2, inf}, func(v [][]float32) { Adjust(v[0], v[1], v[2], GradCoef{Clip: 2}) }},
		{"clipping -Inf", []float32{0, 0, -inf}, []float32{0, -2, -inf}, func(v [][]float32) { Adjust(v[0], v[1], v[2], GradCoef{Clip: 2}) }},
		{"clipping -0", []float32{0, 1, negative}, []float32{0, negative, negative}, func(v [][]float32) { Adjust(v[0], v[1], v[2], GradCoef{Clip: 2}) }},
		{"clipping between Scale and L1", []float32{1, 0, -3}, []float32{1, 3, -3}, func(v [][]float32) {
			Adjust(v[0], v[1], v[2], GradCoef{Scale: -1, Clip: 2, L1: 1})
		}},
		{"Lerp: all the way from NaN", []float32{nan, 2}, []float32{2, 2}, func(v [][]float32) { Lerp(v[0], v[1], 1) }},
		{"Lerp: all the way to -0", []float32{1, negative}, []float32{negative, negative}, func(v [][]float32) { Lerp(v[0], v[1], 1) }},
		{"Factored: a product that is NaN", []float32{0, 2, nan}, []float32{nan, 2, nan}, func(v [][]float32) { Factored(v[0], v[1], v[2], 1, 4) }},
		{"Factored: Inf times 0", []float32{0, 2, inf}, []float32{nan, 2, inf}, func(v [][]float32) { Factored(v[0], v[1], v[2], 0, 4) }},
		{"Factored: the floor", []float32{0, 2, 3}, []float32{1, 2, 3}, func(v [][]float32) { Factored(v[0], v[1], v[2], 1, 4) }},
	}
	eachISA(t, func(t *testing.T) {
		for _, c := range cases {
			const n = 37
			v := make([][]float32, len(c.in))
			for i, x := range c.in {
				v[i] = slices.Repeat([]float32{x}, n)
			}
			c.run(v)
			for i, want := range c.want {
				for e, got := range v[i] {
					if !same(got, want) {
						t.Fatalf("%s: vector %d, element %d: %s, want %s", c.name, i, e, show(got), show(want))
					}
				}
			}
		}
	})
}

// TestDirectionsRefuseKeep: a rule that only reads the parameters cannot shrink
// them.
func TestDirectionsRefuseKeep(t *testing.T) {
	v := make([][]float32, 5)
	for i := range v {
		v[i] = make([]float32, 3)
	}
	keep := GradCoef{Keep: 0.5}
	wantPanic(t, "LAMB", func() { LAMB(v[0], v[1], v[2], v[3], v[4], LAMBCoef{Grad: keep}) }, "kernels.LAMB: Keep = 0.5, want 0")
	wantPanic(t, "Muon", func() { Muon(v[0], v[1], v[2], v[3], MuonCoef{Grad: keep}) }, "kernels.Muon: Keep = 0.5, want 0")
	wantPanic(t, "Adjust", func() { Adjust(v[0], v[1], v[2], keep) }, "kernels.Adjust: Keep = 0.5, want 0")
}

// TestTorchRMSpropCentered compares with float64 over many steps: the gradients
// vary by more than their mean, so that the variance does not cancel.
func TestTorchRMSpropCentered(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const n, steps = 100, 50
		for _, momentum := range []bool{false, true} {
			r := rand.New(rand.NewPCG(11, 1))
			c := torchRMSpropScalars
			p, h, mean, grad := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
			var v []float32
			if momentum {
				v = make([]float32, n)
			}
			var p64, h64, mean64, v64 [n]float64
			for range steps {
				for i := range grad {
					grad[i] = float32(0.1 + r.NormFloat64())
					g := float64(grad[i])
					h64[i] = mu64*h64[i] + beta164*g*g
					mean64[i] += beta164 * (g - mean64[i])
					step := g / (math.Sqrt(h64[i]-mean64[i]*mean64[i]) + eps64)
					if momentum {
						v64[i] = float64(c.Momentum)*v64[i] + step
						step = v64[i]
					}
					p64[i] -= lr64 * step
				}
				TorchRMSprop(p, h, mean, v, grad, c)
			}
			for i := range p {
				if !(math.Abs(float64(p[i])-p64[i]) < 1e-5) || !(math.Abs(float64(mean[i])-mean64[i]) < 1e-6) {
					t.Fatalf("momentum %v: p[%d] = %g and mean %g, want %g and %g", momentum, i, p[i], mean[i], p64[i], mean64[i])
				}
			}
		}
	})
}
