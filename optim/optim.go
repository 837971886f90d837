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
// and in PyTorch's forms, where they differ:
//
//	torch-sgd       v = μ·v + (1-τ)·g; p -= η·v, or η·(g + μ·v)
//	torch-adagrad   adagrad with another ε
//	torch-rmsprop   h = ρ·h + (1-ρ)·g²; p -= η·g/(√h + ε); centered, with momentum
//	torch-adam      m += (1-β1)·(g - m); v = β2·v + (1-β2)·g²;
//	                p -= η/(1-β1ᵗ)·m/(√v/√(1-β2ᵗ) + ε)
//	amsgrad         torch-adam with the greatest v so far
//	adamw           p -= η·λ·p, then torch-adam
//
// and as their papers and PyTorch have them:
//
//	adadelta        h = ρ·h + (1-ρ)·g²; u = √(d + ε)/√(h + ε)·g; d = ρ·d + (1-ρ)·u²; p -= η·u
//	adamax          m as in adam; u = max(β2·u, |g| + ε); p -= η/(1-β1ᵗ)·m/u
//	nadam           adam with Nesterov's momentum
//	radam           adam that divides once there are enough squares
//	rprop           p -= step·sign(g), the step longer or shorter as g keeps its sign or not
//	asgd            p -= η·g, and the mean of p
//	lion            p -= η·sign(β1·m + (1-β1)·g); m = β2·m + (1-β2)·g
//	lamb, lars      adam and momentum with a rate for each tensor, by its norm
//	adafactor       adam with the mean squares of a matrix's rows and columns alone
//	muon            momentum made orthogonal, for hidden matrices
//
// Each constructor gives the formula in full, the paper and its options' defaults.
// The vectors are float32, in the evaluation order that the kernel's doc gives; a
// factor made of options alone, such as (1+μ)·η, is worked out in float64 and rounded
// once. The result has the same bits on every machine.
//
// Every rule has the options [Common]: weight decay, penalties, clipping and the like.
// [Groups] does parts of the vectors by rules of their own, [Spare] leaves biases
// without decay, [Lookahead] goes around any of them, [NewEMA] and [NewSWA] average the
// weights, and a [Schedule] says the learning rate. What there is to keep between
// sessions is a [State].
//
// State that decays for long without a gradient ends in subnormal numbers, which are
// kept, as everywhere: on a Zen 4 they made Adam three times as slow as it is while it
// fits into the caches.
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

// Optimizer changes parameters by their gradients: a [Rule], or [Groups] of them, or
// a [Lookahead] around one.
type Optimizer interface {
	// Name returns the name by which New knows the rule.
	Name() string

	// Step changes params by one update of the rule, and the state with it;
	// grads are the gradients at params. It runs on at most limit threads.
	//
	// Both have the length that the optimizer was made for, and share no
	// element; Step panics otherwise, before anything is changed. The error is
	// ErrNotFinite, wrapped, and then nothing has changed; see [Guard].
	Step(params, grads []float32, limit ...kernels.Threads) error

	// LR returns the learning rate, and SetLR changes it, as a [Schedule] does
	// before each step. A rate of 0 is allowed here. SetLR panics if the rate is
	// negative, NaN or too large for a float32, or if the rate times Common.Decay
	// is 1 or more.
	LR() float64
	SetLR(lr float64)

	// Penalty returns what Common.L1 and Common.L2 add to the loss at params,
	//
	//	L1·Σ|p| + L2/2·Σp²
	//
	// in float64, or with Common.Maximize the opposite; without either it is 0 and
	// costs nothing.
	Penalty(params []float32, limit ...kernels.Threads) float64

	// State returns what has to be kept to go on later. The vectors are the
	// optimizer's own, not copies: the next step changes them.
	State() State

	// SetState goes on from a state of the same rule for as many parameters; it
	// copies. Any other is an error that says what was wanted, and changes
	// nothing.
	SetState(State) error
}

// Tensor is the shape of a part of the flat vectors: a matrix, row by row, or with
// Rows = 1 a vector. A list of them, in their order, is the layout of the vectors.
// Most rules go by the elements alone; LAMB, LARS, Adafactor and Muon do not.
type Tensor struct {
	Rows, Cols int
	Outer      bool // weights of the first or the last layer, which Muon leaves to AdamW
}

// Vector is the layout of n parameters that are a single vector.
func Vector(n int) []Tensor { return []Tensor{{Rows: 1, Cols: n}} }

// Size returns the number of elements of a layout. It panics if a shape has no sense.
func Size(layout []Tensor) int { return size("Size", layout) }

// size is Size for fn to panic.
func size(fn string, layout []Tensor) int {
	n := 0
	for i, t := range layout {
		if t.Rows < 1 || t.Cols < 0 || t.Cols > 0 && t.Rows > (math.MaxInt-n)/t.Cols {
			panic(fmt.Sprintf("optim.%s: tensor %d is %d×%d, want at least 1×0, and in all no more elements than an int can count", fn, i, t.Rows, t.Cols))
		}
		n += t.Rows * t.Cols
	}
	return n
}

// rules are the update rules by name.
var rules = []rule{
	elementwise("sgd", NewSGD),
	elementwise("momentum", NewMomentum),
	elementwise("nesterov", NewNesterov),
	elementwise("nesterov-velocity-first", newNesterovVelocityFirst),
	elementwise("adagrad", NewAdaGrad),
	elementwise("rmsprop", NewRMSprop),
	elementwise("adam", NewAdam),
	elementwise("torch-sgd", NewTorchSGD),
	elementwise("torch-adagrad", newTorchAdaGrad),
	elementwise("torch-rmsprop", NewTorchRMSprop),
	elementwise("torch-adam", NewTorchAdam),
	elementwise("amsgrad", newAMSGrad),
	elementwise("adamw", NewAdamW),
	elementwise("adadelta", NewAdadelta),
	elementwise("adamax", NewAdamax),
	elementwise("nadam", NewNAdam),
	elementwise("radam", NewRAdam),
	elementwise("rprop", NewRprop),
	elementwise("asgd", NewASGD),
	elementwise("lion", NewLion),
	newRule("lamb", NewLAMB),
	newRule("lars", NewLARS),
	newRule("adafactor", NewAdafactor),
	newRule("muon", NewMuon),
}

type rule struct {
	name  string
	build func(layout []Tensor, values map[string]float64) (*Rule, error)
}

// newRule makes a rule of its constructor.
func newRule[O any, P interface {
	*O
	options() []option
}](name string, construct func(layout []Tensor, o O) *Rule) rule {
	return rule{name, func(layout []Tensor, values map[string]float64) (*Rule, error) {
		var o O
		if err := set(P(&o).options, values); err != nil {
			return nil, err
		}
		return construct(layout, o), nil
	}}
}

// elementwise is newRule for a rule that does not ask for shapes.
func elementwise[O any, P interface {
	*O
	options() []option
}](name string, construct func(n int, o O) *Rule) rule {
	return newRule[O, P](name, func(layout []Tensor, o O) *Rule { return construct(size("New", layout), o) })
}

// Names returns the names that [New] takes.
func Names() []string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.name
	}
	return names
}

// New makes the named rule for parameters of a layout. The options are the fields
// of the rule's options struct in lower case, with 1 and 0 for true and false;
// those left out are at their defaults. An unknown name or option and a value out
// of range are errors that say what is valid. It panics if the layout has no sense.
func New(name string, layout []Tensor, options map[string]float64) (*Rule, error) {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
	if i < 0 {
		return nil, fmt.Errorf("optim: unknown optimizer %q, want one of %s", name, strings.Join(Names(), ", "))
	}
	size("New", layout)
	r, err := rules[i].build(layout, options)
	if err != nil {
		return nil, fmt.Errorf("optim: %s: %w", name, err)
	}
	r.name = name
	return r, nil
}

// option describes a field of an options struct: a number between two bounds, or 0
// if that is its default; a count from 1 on; or a flag.
type option struct {
	name         string
	value        *float64
	defaultValue float64
	above, below float64
	count        *int
	flag         *bool
}

// unbounded is the bound of an option that only has to fit a float32.
const unbounded = math.MaxFloat32

// check wants the option in its range, once its default is set.
func (o option) check() error {
	if o.flag != nil {
		return nil
	}
	if o.count != nil {
		if *o.count < 1 {
			return fmt.Errorf("%s = %d, want at least 1", o.name, *o.count)
		}
		return nil
	}
	v := *o.value
	switch {
	case v > o.above && v < o.below, v == 0 && o.defaultValue == 0:
		return nil
	case o.defaultValue == 0:
		return fmt.Errorf("%s = %v, want 0 or more, below %v", o.name, v, o.below)
	}
	return fmt.Errorf("%s = %v, want above %v and below %v", o.name, v, o.above, o.below)
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
		switch o := list[i]; {
		case o.flag != nil:
			if *o.flag = v == 1; v != 0 && v != 1 {
				return fmt.Errorf("%s = %v, want 0 or 1", name, v)
			}
		case o.count != nil:
			if *o.count = int(v); float64(*o.count) != v {
				return fmt.Errorf("%s = %v, want a whole number", name, v)
			}
		default:
			*o.value = v
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
		switch {
		case o.count != nil && *o.count == 0:
			*o.count = int(o.defaultValue)
		case o.value != nil && *o.value == 0:
			*o.value = o.defaultValue
		}
		if err := o.check(); err != nil {
			panic(fmt.Sprintf("optim.%s: option %v", fn, err))
		}
	}
}
