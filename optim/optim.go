// Package optim has the rules that update a network's parameters by their
// gradients. All parameters are one flat vector, and so are all gradients and
// each vector of a rule's state: a step is one call of a fused kernel, one pass
// over memory. It allocates nothing.
//
// With p a parameter, g its gradient, η the learning rate and t = 1, 2, … the
// step; element by element, as section 6.1 of Saitoh, Deep Learning from
// Scratch (O'Reilly Japan, 2016) has them:
//
//	sgd                      p -= η·g
//	momentum                 v = μ·v - η·g; p += v
//	nesterov                 p += μ²·v - (1+μ)·η·g; v = μ·v - η·g
//	nesterov-velocity-first  v = μ·v - η·g; p += μ²·v - (1+μ)·η·g
//	adagrad                  h += g²; p -= η·g/(√h + ε)
//	rmsprop                  h = ρ·h + (1-ρ)·g²; p -= η·g/(√h + ε)
//	adam                     m += (1-β1)·(g - m); v += (1-β2)·(g² - v);
//	                         p -= η·√(1-β2ᵗ)/(1-β1ᵗ)·m/(√v + ε)
//
// and as their papers and PyTorch have them:
//
//	adamw                    m += (1-β1)·(g - m); v = β2·v + (1-β2)·g²;
//	                         p -= η/(1-β1ᵗ)·m/(√v/√(1-β2ᵗ) + ε)
//	lion                     p -= η·sign(β1·m + (1-β1)·g); m = β2·m + (1-β2)·g
//
// Each type gives its paper and its options' defaults. A vector of state starts
// at zero. The vectors are float32, in the evaluation order that the kernel's
// doc gives; a factor made of options alone, such as (1+μ)·η, is worked out in
// float64 and rounded once. The result has the same bits on every machine.
//
// Every rule has the options [Common]: weight decay, penalties and the like.
//
// An option left zero stands for its default, so no option can be set to zero.
// An option out of range is a mistake in the program and panics in a
// constructor such as [NewAdam]; in [New], which takes names and numbers from
// outside, it is an error.
package optim

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-go/lockstep/kernels"
)

// Optimizer is an update rule with its state.
type Optimizer interface {
	// Name returns the name by which New knows the rule.
	Name() string

	// Step changes params by one update of the rule, and the state with it;
	// grads are the gradients at params. It runs on at most limit threads.
	//
	// Both have the length that the optimizer was made for, and share no
	// element; Step panics otherwise, before anything is changed.
	Step(params, grads []float32, limit ...kernels.Threads)

	// LR returns the learning rate, and SetLR changes it, as a [Schedule] does
	// before each step. A rate of 0 is allowed here. SetLR panics if the rate is
	// negative, NaN or too large for a float32, or if the rate times Common.Decay
	// is 1 or more.
	LR() float64
	SetLR(lr float64)
}

// Common are the options that every rule has. Each is off when it is zero, which
// costs nothing and changes no bit. What they do happens before the rule, in this
// order and in the same pass over memory.
type Common struct {
	Maximize bool    // turns the gradients round: g = -g
	L1       float64 // the penalty L1·Σ|p|: g = g + L1·sign(p)
	L2       float64 // the penalty L2/2·Σp², or coupled weight decay: g = g + L2·p
	Decay    float64 // decoupled weight decay λ: p = (1 - η·λ)·p, of which η·λ is below 1

	ZeroGrads bool // sets the gradients to zero once they are read
}

// options are the common ones of a rule with the learning rate lr.
func (c *Common) options(lr float64) []option {
	return []option{
		{name: "l1", value: &c.L1, below: unbounded},
		{name: "l2", value: &c.L2, below: unbounded},
		{name: "decay", value: &c.Decay, below: min(unbounded, 1/lr)},
		{name: "maximize", flag: &c.Maximize},
		{name: "zerograds", flag: &c.ZeroGrads},
	}
}

// coef is what the kernels do first.
func (c *Common) coef(lr float64) kernels.GradCoef {
	k := kernels.GradCoef{L1: float32(c.L1), L2: float32(c.L2), Zero: c.ZeroGrads}
	if c.Maximize {
		k.Scale = -1
	}
	if c.Decay != 0 {
		k.Keep = float32(1 - float64(lr*c.Decay))
	}
	return k
}

// setLR changes a rule's learning rate.
func (c *Common) setLR(rule string, lr *float64, to float64) {
	if !(to >= 0 && to <= unbounded) || !(float64(to*c.Decay) < 1) {
		panic(fmt.Sprintf("optim.%s.SetLR: lr = %v and decay = %v, want lr from 0 to %v and their product below 1", rule, to, c.Decay, unbounded))
	}
	*lr = to
}

// rules are the update rules by name.
var rules = []rule{
	newRule("sgd", NewSGD),
	newRule("momentum", NewMomentum),
	newRule("nesterov", NewNesterov),
	newRule("nesterov-velocity-first", newNesterovVelocityFirst),
	newRule("adagrad", NewAdaGrad),
	newRule("rmsprop", NewRMSprop),
	newRule("adam", NewAdam),
	newRule("adamw", NewAdamW),
	newRule("lion", NewLion),
}

type rule struct {
	name  string
	build func(n int, values map[string]float64) (Optimizer, error)
}

// newRule makes a rule of its constructor.
func newRule[R Optimizer, O any, P interface {
	*O
	options() []option
}](name string, construct func(n int, o O) R) rule {
	return rule{name, func(n int, values map[string]float64) (Optimizer, error) {
		var o O
		if err := set(P(&o).options, values); err != nil {
			return nil, err
		}
		return construct(n, o), nil
	}}
}

// Names returns the names that [New] takes.
func Names() []string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.name
	}
	return names
}

// New makes the named optimizer for n parameters. The options are the fields of
// the rule's options struct in lower case; those left out are at their
// defaults. An unknown name or option and a value out of range are errors that
// say what is valid.
func New(name string, n int, options map[string]float64) (Optimizer, error) {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
	if i < 0 {
		return nil, fmt.Errorf("optim: unknown optimizer %q, want one of %s", name, strings.Join(Names(), ", "))
	}
	if n < 0 {
		return nil, fmt.Errorf("optim: %s: n = %d, want at least 0", name, n)
	}
	o, err := rules[i].build(n, options)
	if err != nil {
		return nil, fmt.Errorf("optim: %s: %w", name, err)
	}
	return o, nil
}

// option describes a field of an options struct: a number above 0 and below a
// bound, or 0 if that is its default; or a flag.
type option struct {
	name         string
	value        *float64
	defaultValue float64
	below        float64
	flag         *bool
}

// unbounded is the bound of an option that only has to fit a float32.
const unbounded = math.MaxFloat32

// check wants the option in its range, once its default is set.
func (o option) check() error {
	if o.flag != nil {
		return nil
	}
	v := *o.value
	switch {
	case v > 0 && v < o.below, v == 0 && o.defaultValue == 0:
		return nil
	case o.defaultValue == 0:
		return fmt.Errorf("%s = %v, want 0 or more, below %v", o.name, v, o.below)
	}
	return fmt.Errorf("%s = %v, want above 0 and below %v", o.name, v, o.below)
}

// set gives options the values of the same name.
func set(options func() []option, values map[string]float64) error {
	list := options()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		i := slices.IndexFunc(list, func(o option) bool { return o.name == name })
		if i < 0 {
			valid := make([]string, len(list))
			for i, o := range list {
				valid[i] = o.name
			}
			return fmt.Errorf("unknown option %q, want one of %s", name, strings.Join(valid, ", "))
		}
		v := values[name]
		if flag := list[i].flag; flag == nil {
			*list[i].value = v
		} else if *flag = v == 1; v != 0 && v != 1 {
			return fmt.Errorf("%s = %v, want 0 or 1", name, v)
		}
	}
	for _, o := range options() { // anew: a bound may depend on what has been set
		if _, given := values[o.name]; given {
			if err := o.check(); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare checks the arguments of a constructor and sets options to their
// defaults where they are zero.
func prepare(fn string, n int, options []option) {
	if n < 0 {
		panic(fmt.Sprintf("optim.%s: n = %d, want at least 0", fn, n))
	}
	for _, o := range options {
		if o.flag == nil && *o.value == 0 {
			*o.value = o.defaultValue
		}
		if err := o.check(); err != nil {
			panic(fmt.Sprintf("optim.%s: option %v", fn, err))
		}
	}
}

// wantLen panics unless params and grads have the length n that the optimizer
// was made for.
func wantLen(rule string, params, grads []float32, n int) {
	if len(params) != n || len(grads) != n {
		panic(fmt.Sprintf("optim.%s.Step: len(params) = %d and len(grads) = %d, want the n = %d that New%s was given",
			rule, len(params), len(grads), n, rule))
	}
}
