package optim

import (
	"cmp"
	"math"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/kernels"
)

// TorchAdamOptions are the options of [NewTorchAdam].
type TorchAdamOptions struct {
	LR      float64 // the learning rate η; 0 stands for 0.001
	Beta1   float64 // the decay β1 of the mean, below 1; 0 stands for 0.9
	Beta2   float64 // the decay β2 of the mean square, below 1; 0 stands for 0.999
	Eps     float64 // ε, which keeps the division from zero; 0 stands for 1e-8
	AMSGrad bool    // divides by the greatest mean square so far

	Common
}

func (o *TorchAdamOptions) options() []option {
	list := append(adamOptions(&o.LR, 0.001, &o.Beta1, &o.Beta2, &o.Eps, 1e-8), option{name: "amsgrad", flag: &o.AMSGrad})
	return append(list, o.Common.options(cmp.Or(o.LR, 0.001))...)
}

// NewTorchAdam makes Adam for n parameters with both means corrected for their start
// at zero and ε added afterwards, which is not what [NewAdam] does; at step t = 1, 2, …
//
//	m = m + (1-β1)·(g - m)
//	v = β2·v + (1-β2)·g²
//	p = p - (η/(1-β1ᵗ))·m/(√v/√(1-β2ᵗ) + ε)
//
// and with AMSGrad the greatest v so far in the place of v. It panics if an option is
// out of its range. Source: Kingma and Ba, Adam: a method for stochastic optimization,
// 2015, algorithm 1, and Reddi, Kale and Kumar, On the convergence of Adam and beyond,
// 2018, algorithm 2; with the defaults and in the evaluation order of
// torch.optim.Adam, whose weight_decay is L2.
func NewTorchAdam(n int, o TorchAdamOptions) *Rule {
	prepare("NewTorchAdam", n, o.options())
	return newAdamW("torch-adam", n, o)
}

func newAMSGrad(n int, o TorchAdamOptions) *Rule {
	o.AMSGrad = true
	return NewTorchAdam(n, o)
}

// newAdamW makes the rule of prepared options.
func newAdamW(name string, n int, o TorchAdamOptions) *Rule {
	m, v := kernels.Make(n), kernels.Make(n)
	r := &Rule{name: name, n: n, lr: o.LR, common: o.Common, state: []vector{{"m", m}, {"v", v}}}
	var top []float32
	if o.AMSGrad {
		top = kernels.Make(n)
		r.state = append(r.state, vector{"top", top})
	}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		c := o.coef(r.lr, t, grad)
		if o.AMSGrad {
			kernels.AMSGrad(params, m, v, top, grads, c, limit...)
		} else {
			kernels.AdamW(params, m, v, grads, c, limit...)
		}
	}
	return r
}

// coef has the scalars of step t at the rate lr.
func (o *TorchAdamOptions) coef(lr, t float64, grad kernels.GradCoef) kernels.AdamWCoef {
	return kernels.AdamWCoef{
		StepSize:       float32(lr / (1 - det.Pow(o.Beta1, t))),
		OneMinusBeta1:  float32(1 - o.Beta1),
		Beta2:          float32(o.Beta2),
		OneMinusBeta2:  float32(1 - o.Beta2),
		RootCorrection: float32(math.Sqrt(1 - det.Pow(o.Beta2, t))),
		Eps:            float32(o.Eps),
		Grad:           grad,
	}
}

// AdamWOptions are the options of [NewAdamW]: those of Adam, but Decay is 0.01 if it
// is 0.
type AdamWOptions TorchAdamOptions

func (o *AdamWOptions) options() []option {
	return decayed((*TorchAdamOptions)(o).options(), 0.01)
}

// decayed gives the option decay a default.
func decayed(options []option, decay float64) []option {
	for i := range options {
		if options[i].name == "decay" {
			options[i].defaultValue = decay
		}
	}
	return options
}

// NewAdamW makes [NewTorchAdam] with decoupled weight decay for n parameters:
//
//	p = (1 - η·λ)·p, and then Adam's step
//
// It panics if an option is out of its range. Source: Loshchilov and Hutter, Decoupled
// weight decay regularization, 2019, algorithm 2, with the defaults and in the
// evaluation order of torch.optim.AdamW.
func NewAdamW(n int, o AdamWOptions) *Rule {
	prepare("NewAdamW", n, o.options())
	return newAdamW("adamw", n, TorchAdamOptions(o))
}
