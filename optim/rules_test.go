package optim_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lockstep-go/lockstep/optim"
)

// values are options by name.
type values = map[string]float64

// ruleTest is what the tests know of a rule.
type ruleTest struct {
	name, made string   // made is the constructor's own name for it, if that is another
	defaults   values   // of all of its own options
	others     []values // sets of other values: each option has one at least
	construct  func(layout []optim.Tensor, o values) *optim.Rule
	state      []string // the names of its vectors of state

	// Rules that go element by element have a step of one element, with s as the
	// state in the order of the names. The oracle is the published formula in
	// float64; exact is in float32, in the order of the kernel's doc. Both are
	// functions of the options and of the step t = 1, 2, …
	oracle func(o values, t float64) func(p, g float64, s *[3]float64) float64
	exact  func(o values, t float64) func(p, g float32, s *[3]float32) float32

	// The others have the published formula in float64 for a step of all elements,
	// and the bound of the error that TestTensorRules allows.
	whole func(o values, layout []optim.Tensor, t float64, p, g []float64, s [][]float64)
	bound float64
}

// with has the defaults but for what is given.
func (r *ruleTest) with(given values) values {
	o := maps.Clone(r.defaults)
	maps.Copy(o, given)
	return o
}

// sets are the sets of options to try: the defaults, and the others.
func (r *ruleTest) sets() []values { return append([]values{nil}, r.others...) }

// rules has a row for each name of optim.Names.
var rules = []ruleTest{
	{
		name: "sgd", defaults: values{"lr": 0.01}, others: []values{{"lr": 0.3}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewSGD(optim.Size(l), optim.SGDOptions{LR: o["lr"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			lr := o["lr"]
			return func(p, g float64, s *[3]float64) float64 { return p - lr*g }
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			lr := float32(o["lr"])
			return func(p, g float32, s *[3]float32) float32 { return p - float32(lr*g) }
		},
	},
	{
		name: "momentum", state: []string{"v"},
		defaults: values{"lr": 0.01, "momentum": 0.9}, others: []values{{"lr": 0.07, "momentum": 0.6}, {"lr": 0.003, "momentum": 0.83}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewMomentum(optim.Size(l), optim.MomentumOptions{LR: o["lr"], Momentum: o["momentum"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			mu, lr := o["momentum"], o["lr"]
			return func(p, g float64, s *[3]float64) float64 {
				s[0] = mu*s[0] - lr*g
				return p + s[0]
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			mu, lr := float32(o["momentum"]), float32(o["lr"])
			return func(p, g float32, s *[3]float32) float32 {
				s[0] = float32(mu*s[0]) - float32(lr*g)
				return p + s[0]
			}
		},
	},
	{
		name: "nesterov", state: []string{"v"},
		defaults: values{"lr": 0.01, "momentum": 0.9}, others: []values{{"lr": 0.07, "momentum": 0.6}, {"lr": 0.003, "momentum": 0.83}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewNesterov(optim.Size(l), optim.NesterovOptions{LR: o["lr"], Momentum: o["momentum"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			mu, lr := o["momentum"], o["lr"]
			return func(p, g float64, s *[3]float64) float64 {
				p += mu*mu*s[0] - (1+mu)*lr*g
				s[0] = mu*s[0] - lr*g
				return p
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			mu, lr := o["momentum"], o["lr"]
			return func(p, g float32, s *[3]float32) float32 {
				p += float32(float32(mu*mu)*s[0]) - float32(float32((1+mu)*lr)*g)
				s[0] = float32(float32(mu)*s[0]) - float32(float32(lr)*g)
				return p
			}
		},
	},
	{
		name: "nesterov-velocity-first", state: []string{"v"},
		defaults: values{"lr": 0.01, "momentum": 0.9}, others: []values{{"lr": 0.07, "momentum": 0.6}, {"lr": 0.003, "momentum": 0.83}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewNesterov(optim.Size(l), optim.NesterovOptions{LR: o["lr"], Momentum: o["momentum"], VelocityFirst: true})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			mu, lr := o["momentum"], o["lr"]
			return func(p, g float64, s *[3]float64) float64 {
				s[0] = mu*s[0] - lr*g
				return p + mu*mu*s[0] - (1+mu)*lr*g
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			mu, lr := o["momentum"], o["lr"]
			return func(p, g float32, s *[3]float32) float32 {
				s[0] = float32(float32(mu)*s[0]) - float32(float32(lr)*g)
				return p + (float32(float32(mu*mu)*s[0]) - float32(float32((1+mu)*lr)*g))
			}
		},
	},
	{
		name: "adagrad", state: []string{"h"},
		defaults:  values{"lr": 0.01, "lrdecay": 0, "initial": 0, "eps": 1e-7},
		others:    []values{{"lr": 1.5, "eps": 0.2}, {"lrdecay": 0.1, "initial": 0.5}},
		construct: adagrad, oracle: adagradOracle, exact: adagradExact,
	},
	{
		name: "rmsprop", state: []string{"h"},
		defaults: values{"lr": 0.01, "rho": 0.99, "eps": 1e-7}, others: []values{{"lr": 0.2, "rho": 0.7, "eps": 0.1}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewRMSprop(optim.Size(l), optim.RMSpropOptions{LR: o["lr"], Rho: o["rho"], Eps: o["eps"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			lr, rho, eps := o["lr"], o["rho"], o["eps"]
			return func(p, g float64, s *[3]float64) float64 {
				s[0] = rho*s[0] + (1-rho)*g*g
				return p - lr*g/(math.Sqrt(s[0])+eps)
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			lr, rho, rest, eps := float32(o["lr"]), float32(o["rho"]), float32(1-o["rho"]), float32(o["eps"])
			return func(p, g float32, s *[3]float32) float32 {
				s[0] = float32(rho*s[0]) + float32(rest*float32(g*g))
				return p - float32(lr*g)/(sqrt(s[0])+eps)
			}
		},
	},
	{
		name: "adam", state: []string{"m", "v"},
		defaults: values{"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7},
		others:   []values{{"lr": 0.3, "beta1": 0.5, "beta2": 0.8, "eps": 0.1}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewAdam(optim.Size(l), optim.AdamOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"], Eps: o["eps"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			b1, b2, eps := o["beta1"], o["beta2"], o["eps"]
			lr := o["lr"] * math.Sqrt(1-math.Pow(b2, t)) / (1 - math.Pow(b1, t))
			return func(p, g float64, s *[3]float64) float64 {
				s[0] += (1 - b1) * (g - s[0])
				s[1] += (1 - b2) * (g*g - s[1])
				return p - lr*s[0]/(math.Sqrt(s[1])+eps)
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			b1, b2, eps := float32(1-o["beta1"]), float32(1-o["beta2"]), float32(o["eps"])
			lr := float32(o["lr"] * math.Sqrt(1-power(o["beta2"], t)) / (1 - power(o["beta1"], t)))
			return func(p, g float32, s *[3]float32) float32 {
				s[0] += float32(b1 * (g - s[0]))
				s[1] += float32(b2 * (float32(g*g) - s[1]))
				return p - float32(lr*s[0])/(sqrt(s[1])+eps)
			}
		},
	},
	{
		name: "torch-sgd", state: []string{"v"},
		defaults: values{"lr": 0.001, "momentum": 0, "dampening": 0, "nesterov": 0},
		others:   []values{{"lr": 0.07, "momentum": 0.6, "dampening": 0.2}, {"momentum": 0.9, "nesterov": 1}, {"momentum": 0.8}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewTorchSGD(optim.Size(l), optim.TorchSGDOptions{LR: o["lr"], Momentum: o["momentum"], Dampening: o["dampening"], Nesterov: o["nesterov"] == 1})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			lr, mu, damping, nesterov := o["lr"], o["momentum"], o["dampening"], o["nesterov"] == 1
			return func(p, g float64, s *[3]float64) float64 {
				switch {
				case mu == 0:
					return p - lr*g
				case t == 1:
					s[0] = g
				default:
					s[0] = mu*s[0] + (1-damping)*g
				}
				if nesterov {
					return p - lr*(g+mu*s[0])
				}
				return p - lr*s[0]
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			lr, mu, part, nesterov := float32(o["lr"]), float32(o["momentum"]), float32(1-o["dampening"]), o["nesterov"] == 1
			if t == 1 {
				part = 1
			}
			return func(p, g float32, s *[3]float32) float32 {
				step := g
				if mu != 0 {
					s[0] = float32(mu*s[0]) + float32(part*g)
					step = s[0]
				}
				if nesterov {
					step = g + float32(mu*s[0])
				}
				return p - float32(lr*step)
			}
		},
	},
	{
		name: "torch-adagrad", made: "adagrad", state: []string{"h"},
		defaults: values{"lr": 0.01, "lrdecay": 0, "initial": 0, "eps": 1e-10},
		others:   []values{{"lr": 1.5, "eps": 0.2}, {"lrdecay": 0.1, "initial": 0.5}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return adagrad(l, values{"lr": o["lr"], "lrdecay": o["lrdecay"], "initial": o["initial"], "eps": cmp.Or(o["eps"], 1e-10)})
		},
		oracle: adagradOracle, exact: adagradExact,
	},
	{
		name: "torch-rmsprop", state: []string{"h", "m", "v"},
		defaults: values{"lr": 0.01, "rho": 0.99, "momentum": 0, "eps": 1e-8, "centered": 0},
		others: []values{{"lr": 0.2, "rho": 0.7, "eps": 0.1}, {"momentum": 0.9}, {"rho": 0.98, "centered": 1, "eps": 0.1},
			{"momentum": 0.5, "centered": 1, "eps": 0.01}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewTorchRMSprop(optim.Size(l), optim.TorchRMSpropOptions{LR: o["lr"], Rho: o["rho"], Momentum: o["momentum"],
				Eps: o["eps"], Centered: o["centered"] == 1})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			lr, rho, mu, eps, centered := o["lr"], o["rho"], o["momentum"], o["eps"], o["centered"] == 1
			return func(p, g float64, s *[3]float64) float64 {
				s[0] = rho*s[0] + (1-rho)*g*g
				root := math.Sqrt(s[0]) + eps
				if centered {
					s[1] = rho*s[1] + (1-rho)*g
					root = math.Sqrt(s[0]-s[1]*s[1]) + eps
				}
				s[2] = mu*s[2] + g/root
				return p - lr*s[2]
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			lr, rho, rest, mu, eps := float32(o["lr"]), float32(o["rho"]), float32(1-o["rho"]), float32(o["momentum"]), float32(o["eps"])
			centered := o["centered"] == 1
			return func(p, g float32, s *[3]float32) float32 {
				s[0] = float32(rho*s[0]) + float32(float32(rest*g)*g)
				square := s[0]
				if centered {
					s[1] += float32(rest * (g - s[1]))
					square -= float32(s[1] * s[1])
				}
				root := sqrt(square) + eps
				if mu == 0 {
					return p - float32(lr*g)/root
				}
				s[2] = float32(mu*s[2]) + g/root
				return p - float32(lr*s[2])
			}
		},
	},
	{
		name: "torch-adam", state: []string{"m", "v", "top"},
		defaults: values{"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": 0},
		others: []values{{"lr": 0.3, "beta1": 0.5, "beta2": 0.8, "eps": 0.1}, {"amsgrad": 1},
			{"lr": 0.1, "beta2": 0.7, "amsgrad": 1}},
		construct: torchAdam, oracle: adamOracle, exact: adamExact,
	},
	{
		name: "amsgrad", made: "torch-adam", state: []string{"m", "v", "top"},
		defaults: values{"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": 1},
		others:   []values{{"lr": 0.3, "beta1": 0.5, "beta2": 0.8, "eps": 0.1}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return torchAdam(l, values{"lr": o["lr"], "beta1": o["beta1"], "beta2": o["beta2"], "eps": o["eps"], "amsgrad": 1})
		},
		oracle: adamOracle, exact: adamExact,
	},
	{
		name: "adamw", state: []string{"m", "v", "top"},
		defaults: values{"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": 0, "decay": 0.01},
		others: []values{{"lr": 0.3, "beta1": 0.5, "beta2": 0.8, "eps": 0.1}, {"amsgrad": 1},
			{"lr": 0.1, "beta2": 0.7, "amsgrad": 1, "decay": 0.5}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewAdamW(optim.Size(l), optim.AdamWOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"], Eps: o["eps"],
				AMSGrad: o["amsgrad"] == 1, Common: optim.Common{Decay: o["decay"]}})
		},
		oracle: adamOracle, exact: adamExact,
	},
	{
		name: "adadelta", state: []string{"h", "d"},
		defaults: values{"lr": 1, "rho": 0.9, "eps": 1e-6}, others: []values{{"lr": 0.5, "rho": 0.7, "eps": 0.01}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewAdadelta(optim.Size(l), optim.AdadeltaOptions{LR: o["lr"], Rho: o["rho"], Eps: o["eps"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			lr, rho, eps := o["lr"], o["rho"], o["eps"]
			return func(p, g float64, s *[3]float64) float64 {
				s[0] = rho*s[0] + (1-rho)*g*g
				u := math.Sqrt((s[1]+eps)/(s[0]+eps)) * g
				s[1] = rho*s[1] + (1-rho)*u*u
				return p - lr*u
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			lr, rho, rest, eps := float32(o["lr"]), float32(o["rho"]), float32(1-o["rho"]), float32(o["eps"])
			return func(p, g float32, s *[3]float32) float32 {
				s[0] = float32(rho*s[0]) + float32(float32(rest*g)*g)
				u := sqrt(s[1]+eps) / sqrt(s[0]+eps) * g
				s[1] = float32(rho*s[1]) + float32(float32(rest*u)*u)
				return p - float32(lr*u)
			}
		},
	},
	{
		name: "adamax", state: []string{"m", "u"},
		defaults: values{"lr": 0.002, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
		others:   []values{{"lr": 0.3, "beta1": 0.5, "beta2": 0.8, "eps": 0.1}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewAdamax(optim.Size(l), optim.AdamaxOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"], Eps: o["eps"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			b1, b2, eps := o["beta1"], o["beta2"], o["eps"]
			lr := o["lr"] / (1 - math.Pow(b1, t))
			return func(p, g float64, s *[3]float64) float64 {
				s[0] = b1*s[0] + (1-b1)*g
				s[1] = max(b2*s[1], math.Abs(g)+eps)
				return p - lr*s[0]/s[1]
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			b1, b2, eps := float32(1-o["beta1"]), float32(o["beta2"]), float32(o["eps"])
			step := float32(o["lr"] / (1 - power(o["beta1"], t)))
			return func(p, g float32, s *[3]float32) float32 {
				s[0] += float32(b1 * (g - s[0]))
				s[1] = max(float32(b2*s[1]), float32(math.Abs(float64(g)))+eps)
				return p - float32(step*s[0])/s[1]
			}
		},
	},
	{
		name: "nadam", state: []string{"m", "v"},
		defaults: values{"lr": 0.002, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "momentumdecay": 0.004},
		others:   []values{{"lr": 0.3, "beta1": 0.5, "beta2": 0.8, "eps": 0.1, "momentumdecay": 0.1}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewNAdam(optim.Size(l), optim.NAdamOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"], Eps: o["eps"], MomentumDecay: o["momentumdecay"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			lr, b1, b2, eps := o["lr"], o["beta1"], o["beta2"], o["eps"]
			now, next, upToNow, upToNext := nadamMomenta(o, t)
			return func(p, g float64, s *[3]float64) float64 {
				s[0] = b1*s[0] + (1-b1)*g
				s[1] = b2*s[1] + (1-b2)*g*g
				mean := (1-now)*g/(1-upToNow) + next*s[0]/(1-upToNext)
				return p - lr*mean/(math.Sqrt(s[1]/(1-math.Pow(b2, t)))+eps)
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			b1, b2, rest, eps := float32(1-o["beta1"]), float32(o["beta2"]), float32(1-o["beta2"]), float32(o["eps"])
			now, next, upToNow, upToNext := nadamMomenta(o, t)
			byGrad, byMean := float32(o["lr"]*(1-now)/(1-upToNow)), float32(o["lr"]*next/(1-upToNext))
			inverse := float32(1 / (1 - power(o["beta2"], t)))
			return func(p, g float32, s *[3]float32) float32 {
				s[0] += float32(b1 * (g - s[0]))
				s[1] = float32(b2*s[1]) + float32(float32(rest*g)*g)
				return p - (float32(byGrad*g)+float32(byMean*s[0]))/(sqrt(float32(s[1]*inverse))+eps)
			}
		},
	},
	{
		name: "radam", state: []string{"m", "v"},
		defaults: values{"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
		others:   []values{{"lr": 0.3, "beta1": 0.5, "beta2": 0.8, "eps": 0.1}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewRAdam(optim.Size(l), optim.RAdamOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"], Eps: o["eps"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			lr, b1, b2, eps := o["lr"], o["beta1"], o["beta2"], o["eps"]
			c1, c2, r, rectified := 1-math.Pow(b1, t), 1-math.Pow(b2, t), 0.0, false
			if rho, most := radamLengths(b2, t); rho > 5 {
				r, rectified = math.Sqrt((rho-4)*(rho-2)*most/((most-4)*(most-2)*rho)), true
			}
			return func(p, g float64, s *[3]float64) float64 {
				s[0] = b1*s[0] + (1-b1)*g
				s[1] = b2*s[1] + (1-b2)*g*g
				if rectified {
					return p - lr*(s[0]/c1)*r*math.Sqrt(c2)/(math.Sqrt(s[1])+eps)
				}
				return p - lr*s[0]/c1
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			b1, b2, rest, eps := float32(1-o["beta1"]), float32(o["beta2"]), float32(1-o["beta2"]), float32(o["eps"])
			step := o["lr"] / (1 - power(o["beta1"], t))
			rho, most := radamLengths(o["beta2"], t)
			rectified := rho > 5
			if rectified {
				step *= math.Sqrt(1-power(o["beta2"], t)) * math.Sqrt((rho-4)*(rho-2)*most/((most-4)*(most-2)*rho))
			}
			return func(p, g float32, s *[3]float32) float32 {
				s[0] += float32(b1 * (g - s[0]))
				s[1] = float32(b2*s[1]) + float32(float32(rest*g)*g)
				if rectified {
					return p - float32(float32(step)*s[0])/(sqrt(s[1])+eps)
				}
				return p - float32(float32(step)*s[0])
			}
		},
	},
	{
		name: "rprop", state: []string{"prev", "step"},
		defaults: values{"lr": 0.01, "etaminus": 0.5, "etaplus": 1.2, "minstep": 1e-6, "maxstep": 50},
		others:   []values{{"lr": 0.02, "etaminus": 0.4, "etaplus": 1.3, "minstep": 0.005, "maxstep": 0.03}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewRprop(optim.Size(l), optim.RpropOptions{LR: o["lr"], EtaMinus: o["etaminus"], EtaPlus: o["etaplus"], MinStep: o["minstep"], MaxStep: o["maxstep"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			minus, plus, low, high, lr := o["etaminus"], o["etaplus"], o["minstep"], o["maxstep"], o["lr"]
			return func(p, g float64, s *[3]float64) float64 {
				if t == 1 {
					s[1] = lr
				}
				switch turn := g * s[0]; {
				case turn > 0:
					s[1] *= plus
				case turn < 0:
					s[1] *= minus
					g = 0
				}
				s[0], s[1] = g, min(max(s[1], low), high)
				switch {
				case g > 0:
					return p - s[1]
				case g < 0:
					return p + s[1]
				}
				return p
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			minus, plus, low, high, lr := float32(o["etaminus"]), float32(o["etaplus"]), float32(o["minstep"]), float32(o["maxstep"]), float32(o["lr"])
			return func(p, g float32, s *[3]float32) float32 {
				if t == 1 {
					s[1] = lr
				}
				switch turn := g * s[0]; {
				case turn > 0:
					s[1] = float32(s[1] * plus)
				case turn < 0:
					s[1] = float32(s[1] * minus)
					g = 0
				}
				s[0], s[1] = g, min(max(s[1], low), high)
				switch {
				case g > 0:
					return p - s[1]
				case g < 0:
					return p + s[1]
				}
				return p
			}
		},
	},
	{
		name: "asgd", state: []string{"mean"},
		defaults: values{"lr": 0.01, "lambda": 1e-4, "alpha": 0.75, "t0": 1e6},
		others:   []values{{"lr": 0.1, "lambda": 0.2, "alpha": 0.6, "t0": 4}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewASGD(optim.Size(l), optim.ASGDOptions{LR: o["lr"], Lambda: o["lambda"], Alpha: o["alpha"], T0: o["t0"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			lambda := o["lambda"]
			lr := o["lr"] / math.Pow(1+lambda*o["lr"]*(t-1), o["alpha"])
			return func(p, g float64, s *[3]float64) float64 { return p - lr*(g+lambda*p) }
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			lambda := o["lambda"]
			lr := o["lr"] / math.Pow(1+float64(lambda*o["lr"]*(t-1)), o["alpha"])
			mu := 1 / max(1, t-1-o["t0"])
			keep := float32(1 - float64(lambda*lr))
			return func(p, g float32, s *[3]float32) float32 {
				p = float32(keep*p) - float32(float32(lr)*g)
				s[0] = float32(float32(1-mu)*s[0]) + float32(float32(mu)*p)
				return p
			}
		},
	},
	{
		// In none of the runs is a direction so near zero that rounding could turn it.
		name: "lion", state: []string{"m"},
		defaults: values{"lr": 0.0001, "beta1": 0.9, "beta2": 0.99}, others: []values{{"lr": 0.02, "beta1": 0.75, "beta2": 0.8}},
		construct: func(l []optim.Tensor, o values) *optim.Rule {
			return optim.NewLion(optim.Size(l), optim.LionOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"]})
		},
		oracle: func(o values, t float64) func(p, g float64, s *[3]float64) float64 {
			lr, b1, b2 := o["lr"], o["beta1"], o["beta2"]
			return func(p, g float64, s *[3]float64) float64 {
				c := b1*s[0] + (1-b1)*g
				s[0] = b2*s[0] + (1-b2)*g
				return p - math.Copysign(lr, c)
			}
		},
		exact: func(o values, t float64) func(p, g float32, s *[3]float32) float32 {
			lr, b1, b2 := float32(o["lr"]), o["beta1"], o["beta2"]
			return func(p, g float32, s *[3]float32) float32 {
				c := float32(float32(b1)*s[0]) + float32(float32(1-b1)*g)
				s[0] = float32(float32(b2)*s[0]) + float32(float32(1-b2)*g)
				if c < 0 {
					return p + lr
				}
				return p - lr
			}
		},
	},
	lambTest, larsTest, adafactorTest, muonTest,
}

func adagrad(l []optim.Tensor, o values) *optim.Rule {
	return optim.NewAdaGrad(optim.Size(l), optim.AdaGradOptions{LR: o["lr"], LRDecay: o["lrdecay"], Initial: o["initial"], Eps: o["eps"]})
}

func adagradOracle(o values, t float64) func(p, g float64, s *[3]float64) float64 {
	lr, initial, eps := o["lr"]/(1+(t-1)*o["lrdecay"]), o["initial"], o["eps"]
	return func(p, g float64, s *[3]float64) float64 {
		if t == 1 {
			s[0] = initial
		}
		s[0] += g * g
		return p - lr*g/(math.Sqrt(s[0])+eps)
	}
}

func adagradExact(o values, t float64) func(p, g float32, s *[3]float32) float32 {
	lr, initial, eps := float32(o["lr"]/(1+float64((t-1)*o["lrdecay"]))), float32(o["initial"]), float32(o["eps"])
	return func(p, g float32, s *[3]float32) float32 {
		if t == 1 {
			s[0] = initial
		}
		s[0] += float32(g * g)
		return p - float32(lr*g)/(sqrt(s[0])+eps)
	}
}

func torchAdam(l []optim.Tensor, o values) *optim.Rule {
	return optim.NewTorchAdam(optim.Size(l), optim.TorchAdamOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"], Eps: o["eps"], AMSGrad: o["amsgrad"] == 1})
}

// adamOracle is algorithm 1 of Adam, with AMSGrad and decoupled weight decay.
func adamOracle(o values, t float64) func(p, g float64, s *[3]float64) float64 {
	lr, b1, b2, eps, decay, amsgrad := o["lr"], o["beta1"], o["beta2"], o["eps"], o["decay"], o["amsgrad"] == 1
	c1, c2 := 1-math.Pow(b1, t), 1-math.Pow(b2, t)
	return func(p, g float64, s *[3]float64) float64 {
		s[0] = b1*s[0] + (1-b1)*g
		s[1] = b2*s[1] + (1-b2)*g*g
		square := s[1]
		if amsgrad {
			s[2] = max(s[2], square)
			square = s[2]
		}
		return p - lr*decay*p - lr*(s[0]/c1)/(math.Sqrt(square/c2)+eps)
	}
}

func adamExact(o values, t float64) func(p, g float32, s *[3]float32) float32 {
	b1, b2, rest, eps := float32(1-o["beta1"]), float32(o["beta2"]), float32(1-o["beta2"]), float32(o["eps"])
	step, root := float32(o["lr"]/(1-power(o["beta1"], t))), float32(math.Sqrt(1-power(o["beta2"], t)))
	keep, amsgrad := float32(1-float64(o["lr"]*o["decay"])), o["amsgrad"] == 1
	return func(p, g float32, s *[3]float32) float32 {
		s[0] += float32(b1 * (g - s[0]))
		s[1] = float32(b2*s[1]) + float32(float32(rest*g)*g)
		square := s[1]
		if amsgrad {
			s[2] = max(s[2], square)
			square = s[2]
		}
		return float32(p*keep) - float32(step*s[0])/(sqrt(square)/root+eps)
	}
}

// nadamMomenta are μₜ and μₜ₊₁ and the products of all up to them.
func nadamMomenta(o values, t float64) (now, next, upToNow, upToNext float64) {
	mu := func(t float64) float64 {
		return float64(o["beta1"] * (1 - float64(0.5*math.Pow(0.96, t*o["momentumdecay"]))))
	}
	upToNow = 1
	for i := 1.0; i <= t; i++ {
		upToNow = float64(upToNow * mu(i))
	}
	return mu(t), mu(t + 1), upToNow, float64(upToNow * mu(t+1))
}

// radamLengths are ρₜ and ρ∞.
func radamLengths(b2, t float64) (rho, most float64) {
	most = 2/(1-b2) - 1
	return most - 2*t*power(b2, t)/(1-power(b2, t)), most
}

// power is x to the t as a product: within some ulps of a float64, which the
// rounding to float32 hides in all of these steps.
func power(x, t float64) float64 {
	p := 1.0
	for range int(t) {
		p = float64(p * x)
	}
	return p
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// lengths straddle registers, and the last one the block at which kernels cut;
// five steps of it do.
var lengths = []struct{ n, steps int }{{0, 1}, {1, 50}, {7, 50}, {31, 50}, {33, 50}, {300, 50}, {1<<14 + 5, 5}}

// TestRules takes 50 steps with each rule that goes element by element, with its
// defaults and with other options, made by name and by constructor, on one thread
// and on three, and compares each parameter and its state after each step.
//
// With float32 they must have the bits of the exact loop. From the float64 oracle
// a parameter may differ by 2e-6 of the way that it has come: |p| at the start and
// the sizes of all its steps. Each of the steps may round by 6e-8 of |p|, and if p
// decays by as much again, and the factor by half of it.
func TestRules(t *testing.T) {
	for _, rule := range rules {
		if rule.exact == nil {
			continue
		}
		bound := 2e-6
		if rule.name == "adamw" || rule.name == "asgd" {
			bound = 4e-6
		}
		var worst float64
		for _, length := range lengths {
			for _, given := range rule.sets() {
				e, err := compare(&rule, length.n, length.steps, given)
				if err != nil {
					t.Fatalf("%s n=%d options=%v: %v", rule.name, length.n, given, err)
				}
				if worst = max(worst, e); !(e <= bound) {
					t.Errorf("%s n=%d options=%v: error %.2g of the way, want at most %g", rule.name, length.n, given, e, bound)
				}
			}
		}
		t.Logf("%s: largest relative error %.2g", rule.name, worst)
	}
}

// compare runs a rule and its loops, and returns the largest error by the oracle,
// or what is not as the exact loop has it.
func compare(rule *ruleTest, n, steps int, given values) (worst float64, err error) {
	o := rule.with(given)
	named, err := optim.New(rule.name, optim.Vector(n), given)
	if err != nil {
		return 0, err
	}
	made := rule.construct(optim.Vector(n), given)

	rng := rand.New(rand.NewPCG(1, uint64(n)))
	p, q, grads := make([]float32, n), make([]float32, n), make([]float32, n)
	exact, exactState := make([]float32, n), make([][3]float32, n)
	oracle, oracleState, way := make([]float64, n), make([][3]float64, n), make([]float64, n)
	for i := range p {
		p[i] = float32(rng.NormFloat64())
		exact[i], oracle[i], way[i] = p[i], float64(p[i]), math.Abs(float64(p[i]))
	}
	copy(q, p)
	for step := 1; step <= steps; step++ {
		for i := range grads {
			grads[i] = float32(rng.NormFloat64())
		}
		if err := named.Step(p, grads); err != nil {
			return 0, err
		}
		if err := made.Step(q, grads, 3); err != nil {
			return 0, err
		}
		exactly, formula := rule.exact(o, float64(step)), rule.oracle(o, float64(step))
		for i, g := range grads {
			exact[i] = exactly(exact[i], g, &exactState[i])
			if p[i] != exact[i] || q[i] != exact[i] {
				return 0, fmt.Errorf("step %d, element %d: by name %v, by constructor %v, want %v", step, i, p[i], q[i], exact[i])
			}
			was := oracle[i]
			oracle[i] = formula(was, float64(g), &oracleState[i])
			way[i] += math.Abs(oracle[i] - was)
			worst = max(worst, math.Abs(float64(p[i])-oracle[i])/way[i])
		}
		for _, opt := range []*optim.Rule{named, made} {
			for name, x := range opt.State().Vectors {
				k := slices.Index(rule.state, name)
				if k < 0 {
					return 0, fmt.Errorf("the state has a vector %q, want only %v", name, rule.state)
				}
				for i := range x {
					if want := exactState[i][k]; x[i] != want {
						return 0, fmt.Errorf("step %d, element %d of the vector %s: %v, want %v", step, i, name, x[i], want)
					}
				}
			}
		}
	}
	return worst, nil
}
