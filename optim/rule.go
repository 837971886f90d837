package optim

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/lockstep-go/lockstep/kernels"
)

// Rule is an update rule with its state: what constructors such as [NewAdam]
// make. One goroutine at a time may use it.
type Rule struct {
	name   string
	n      int
	lr     float64
	common Common
	shrink float64 // if more than common.Decay: what times lr must be below 1 as well
	steps  int     // done
	state  []vector
	number *float64 // of the state as well, if the rule has one
	scalar string   // its name

	// update does step t. grad has what the kernels do first.
	update func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads)

	limit [2]kernels.Threads // of the step under way: update's arguments escape
}

// vector is a part of a rule's state.
type vector struct {
	name string
	x    []float32
}

// Common are the options that every rule has. Each is off when it is zero, which
// costs nothing and changes no bit; but gradients are looked through for NaN and
// Inf unless that is switched off. What they do happens before the rule, in this
// order and, but for the looking, in the same pass over memory.
type Common struct {
	Guard

	Maximize  bool    // turns the gradients round: g = -g
	ClipValue float64 // keeps each gradient from -ClipValue to ClipValue
	L1        float64 // the penalty L1·Σ|p|: g = g + L1·sign(p)
	L2        float64 // the penalty L2/2·Σp², or coupled weight decay: g = g + L2·p
	Decay     float64 // decoupled weight decay λ: p = (1 - η·λ)·p, of which η·λ is below 1

	ZeroGrads bool // sets the gradients to zero once they are read
}

// Guard says what happens to gradients that are too large or no numbers.
type Guard struct {
	// ClipNorm is the greatest norm of all gradients together, √Σg², or 0 for
	// any: g = (ClipNorm/(norm + 1e-6))·g if that factor is below 1. The sum is in
	// float64, the factor is rounded to float32, but never to 0. As in PyTorch's
	// torch.nn.utils.clip_grad_norm_.
	ClipNorm float64

	// A step with NaN or Inf among the gradients changes nothing and is an error,
	// [ErrNotFinite]. With SkipNotFinite it is no error; with Unchecked, which saves
	// a pass over the gradients where ClipNorm is 0, it is done like any other.
	SkipNotFinite bool
	Unchecked     bool
}

// ErrNotFinite is the error of a step that was refused because a gradient is NaN or
// Inf.
var ErrNotFinite = errors.New("not finite")

// errSkip stands for a step that is left out without an error.
var errSkip = errors.New("skip")

// scale looks the gradients through. It returns what to multiply them by, or 0 for
// nothing.
func (g *Guard) scale(name string, step int, grads []float32, limit []kernels.Threads) (float32, error) {
	if g.Unchecked && g.ClipNorm == 0 {
		return 0, nil
	}
	sum := kernels.SumSquares(grads, limit...) // of finite numbers it is finite
	if finite := !math.IsNaN(sum) && !math.IsInf(sum, 0); !finite && !g.Unchecked {
		if g.SkipNotFinite {
			return 0, errSkip
		}
		for i, x := range grads {
			if x-x != 0 {
				return 0, fmt.Errorf("optim: %s: step %d: gradient %d of %d is %v: %w", name, step, i, len(grads), x, ErrNotFinite)
			}
		}
	}
	if factor := g.ClipNorm / (math.Sqrt(sum) + 1e-6); g.ClipNorm > 0 && factor < 1 {
		return max(float32(factor), math.SmallestNonzeroFloat32), nil
	}
	return 0, nil
}

// options are the guard's.
func (g *Guard) options() []option {
	return []option{
		{name: "clipnorm", value: &g.ClipNorm, below: unbounded},
		{name: "skipnotfinite", flag: &g.SkipNotFinite},
		{name: "unchecked", flag: &g.Unchecked},
	}
}

// options are the common ones of a rule with the learning rate lr.
func (c *Common) options(lr float64) []option {
	return append(c.Guard.options(),
		option{name: "maximize", flag: &c.Maximize},
		option{name: "clipvalue", value: &c.ClipValue, below: unbounded},
		option{name: "l1", value: &c.L1, below: unbounded},
		option{name: "l2", value: &c.L2, below: unbounded},
		option{name: "decay", value: &c.Decay, below: min(unbounded, 1/lr)},
		option{name: "zerograds", flag: &c.ZeroGrads},
	)
}

// coef is what the kernels do first, scale included.
func (c *Common) coef(lr float64, scale float32) kernels.GradCoef {
	if c.Maximize && scale == 0 {
		scale = 1
	}
	k := kernels.GradCoef{Scale: scale, Clip: float32(c.ClipValue), L1: float32(c.L1), L2: float32(c.L2), Zero: c.ZeroGrads}
	if c.Maximize {
		k.Scale = -scale
	}
	if c.Decay != 0 {
		k.Keep = float32(1 - float64(lr*c.Decay))
	}
	return k
}

// Name returns the name by which [New] knows the rule.
func (r *Rule) Name() string { return r.name }

// Len returns the number of parameters.
func (r *Rule) Len() int { return r.n }

// Step does one update; see [Optimizer].
func (r *Rule) Step(params, grads []float32, limit ...kernels.Threads) error {
	return unlessSkipped(r.try(params, grads, limit))
}

func (r *Rule) try(params, grads []float32, limit []kernels.Threads) error {
	wantVectors(r.name, params, grads, r.n)
	n := copy(r.limit[:], limit)
	scale, err := r.common.scale(r.name, r.steps+1, grads, r.limit[:n])
	if err == nil {
		r.step(params, grads, scale, r.limit[:n])
	}
	return err
}

// trier is an optimizer whose try is Step, but with the error errSkip for a step that
// was left out.
type trier interface {
	try(params, grads []float32, limit []kernels.Threads) error
}

func unlessSkipped(err error) error {
	if err == errSkip {
		return nil
	}
	return err
}

// step does one update with checked gradients.
func (r *Rule) step(params, grads []float32, scale float32, limit []kernels.Threads) {
	r.update(float64(r.steps+1), params, grads, r.common.coef(r.lr, scale), limit)
	r.steps++
}

// wantVectors panics unless params and grads have the length that the optimizer was
// made for and share no element.
func wantVectors(name string, params, grads []float32, n int) {
	if len(params) != n || len(grads) != n {
		panic(fmt.Sprintf("optim: %s.Step: len(params) = %d and len(grads) = %d, want the n = %d that it was made for",
			name, len(params), len(grads), n))
	}
	p, g := uintptr(unsafe.Pointer(unsafe.SliceData(params))), uintptr(unsafe.Pointer(unsafe.SliceData(grads)))
	if apart := max(p, g) - min(p, g); apart < uintptr(4*n) {
		panic(fmt.Sprintf("optim: %s.Step: params and grads, of %d elements each, share %d elements", name, n, n-int(apart/4)))
	}
}

// Penalty returns what the penalties add to the loss; see [Optimizer].
func (r *Rule) Penalty(params []float32, limit ...kernels.Threads) float64 {
	if len(params) != r.n {
		panic(fmt.Sprintf("optim: %s.Penalty: len(params) = %d, want the n = %d that it was made for", r.name, len(params), r.n))
	}
	n := copy(r.limit[:], limit)
	var sum float64
	if r.common.L1 != 0 {
		sum += float64(r.common.L1 * kernels.SumAbs(params, r.limit[:n]...))
	}
	if r.common.L2 != 0 {
		sum += float64(r.common.L2 / 2 * kernels.SumSquares(params, r.limit[:n]...))
	}
	if r.common.Maximize {
		return -sum
	}
	return sum
}

// LR returns the learning rate.
func (r *Rule) LR() float64 { return r.lr }

// SetLR changes the learning rate; see [Optimizer].
func (r *Rule) SetLR(lr float64) {
	r.wantLR(lr)
	r.lr = lr
}

func (r *Rule) wantLR(lr float64) {
	if !r.takes(lr) {
		panic(fmt.Sprintf("optim: %s.SetLR: lr = %v and decay = %v, want lr from 0 to %v and their product below 1", r.name, lr, r.decay(), unbounded))
	}
}

// takes tells whether lr is a learning rate for the rule.
func (r *Rule) takes(lr float64) bool {
	return lr >= 0 && lr <= unbounded && lr*r.decay() < 1
}

// decay is by what a rate of 1 shrinks the parameters, at most.
func (r *Rule) decay() float64 { return max(r.common.Decay, r.shrink) }
