package optim

import (
	"cmp"

	"github.com/lockstep-go/lockstep/kernels"
)

// RpropOptions are the options of [NewRprop].
type RpropOptions struct {
	LR       float64 // the first step of each parameter; 0 stands for 0.01
	EtaMinus float64 // η⁻, below 1; 0 stands for 0.5
	EtaPlus  float64 // η⁺, above 1; 0 stands for 1.2
	MinStep  float64 // the shortest step; 0 stands for 1e-6
	MaxStep  float64 // the longest step; 0 stands for 50

	Common
}

func (o *RpropOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded},
		{name: "etaminus", value: &o.EtaMinus, defaultValue: 0.5, below: 1},
		{name: "etaplus", value: &o.EtaPlus, defaultValue: 1.2, above: 1, below: unbounded},
		{name: "minstep", value: &o.MinStep, defaultValue: 1e-6, below: cmp.Or(o.MaxStep, 50)},
		{name: "maxstep", value: &o.MaxStep, defaultValue: 50, below: unbounded},
	}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// NewRprop makes resilient backpropagation for n parameters, which goes by the signs of
// the gradient now and before; it is for gradients of all the data, not of batches:
//
//	step = step·η⁺ if g·prev > 0, step·η⁻ if g·prev < 0; from MinStep to MaxStep
//	g = 0 if g·prev < 0
//	p = p - step·sign(g)
//	prev = g
//
// The learning rate is where the steps start; SetLR has an effect before the first step
// alone. It panics if an option is out of its range. Source: Riedmiller and Braun, A
// direct adaptive method for faster backpropagation learning, 1993, in the variant
// iRprop- of Igel and Hüsken, Improving the Rprop learning algorithm, 2000, with the
// defaults of torch.optim.Rprop.
func NewRprop(n int, o RpropOptions) *Rule {
	prepare("NewRprop", n, o.options())
	prev, step := kernels.Make(n), kernels.Make(n)
	r := &Rule{name: "rprop", n: n, lr: o.LR, common: o.Common, state: []vector{{"prev", prev}, {"step", step}}}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		if t == 1 {
			for i := range step {
				step[i] = float32(r.lr)
			}
		}
		kernels.Rprop(params, prev, step, grads, kernels.RpropCoef{
			EtaMinus: float32(o.EtaMinus),
			EtaPlus:  float32(o.EtaPlus),
			MinStep:  float32(o.MinStep),
			MaxStep:  float32(o.MaxStep),
			Grad:     grad,
		}, limit...)
	}
	return r
}
