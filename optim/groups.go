package optim

import (
	"fmt"

	"github.com/lockstep-go/lockstep/kernels"
)

// Groups is an [Optimizer] that does the parts of the flat vectors by rules of their
// own: with other options, or other rules altogether.
type Groups struct {
	guard Guard
	rules []*Rule
	n     int
	rates []float64 // of each, by the first one's
	limit [2]kernels.Threads
}

// NewGroups makes an optimizer of rules for the consecutive parts of the flat vectors,
// each as long as its rule. The guard looks through the gradients of all of them
// together, before any rule steps. It panics if there is no rule, or one has a guard of
// its own.
func NewGroups(guard Guard, rules ...*Rule) *Groups {
	prepare("NewGroups", 0, guard.options())
	if len(rules) == 0 {
		panic("optim.NewGroups: 0 rules, want at least 1")
	}
	g := &Groups{guard: guard, rules: rules}
	for i, r := range rules {
		if r.common.Guard != (Guard{}) {
			panic(fmt.Sprintf("optim.NewGroups: rule %d has the guard %+v, want none: that of the groups is for all", i, r.common.Guard))
		}
		g.n += r.n
		g.rates = append(g.rates, r.lr/rules[0].lr)
	}
	return g
}

// Spare makes Groups of a layout: of make's rules for weights, with spared false, and for
// biases, gains and the like, which are the tensors of one row, with spared true.
// Neighbours of a kind share a rule. The usual make gives the spared ones no decay:
//
//	optim.Spare(optim.Guard{}, net.Layout(), func(layout []optim.Tensor, spared bool) *optim.Rule {
//		o := optim.LionOptions{Common: optim.Common{Decay: 0.1}}
//		if spared {
//			o.Decay = 0
//		}
//		return optim.NewLion(optim.Size(layout), o)
//	})
func Spare(guard Guard, layout []Tensor, make func(layout []Tensor, spared bool) *Rule) *Groups {
	var rules []*Rule
	for len(layout) > 0 {
		spared, n := layout[0].Rows == 1, 1
		for n < len(layout) && (layout[n].Rows == 1) == spared {
			n++
		}
		r := make(layout[:n], spared)
		if want := size("Spare", layout[:n]); r.n != want {
			panic(fmt.Sprintf("optim.Spare: make's rule is for %d parameters, want the %d of its layout", r.n, want))
		}
		rules = append(rules, r)
		layout = layout[n:]
	}
	return NewGroups(guard, rules...)
}

// Name returns "groups".
func (g *Groups) Name() string { return "groups" }

// Step does one update of each part; see [Optimizer].
func (g *Groups) Step(params, grads []float32, limit ...kernels.Threads) error {
	return unlessSkipped(g.try(params, grads, limit))
}

func (g *Groups) try(params, grads []float32, limit []kernels.Threads) error {
	wantVectors(g.Name(), params, grads, g.n)
	n := copy(g.limit[:], limit)
	scale, err := g.guard.scale("groups", g.rules[0].steps+1, grads, g.limit[:n])
	if err != nil {
		return err
	}
	for _, r := range g.rules {
		r.step(params[:r.n:r.n], grads[:r.n:r.n], scale, g.limit[:n])
		params, grads = params[r.n:], grads[r.n:]
	}
	return nil
}

// Penalty returns the sum of the rules' penalties; see [Optimizer].
func (g *Groups) Penalty(params []float32, limit ...kernels.Threads) float64 {
	if len(params) != g.n {
		panic(fmt.Sprintf("optim: groups.Penalty: len(params) = %d, want the n = %d that it was made for", len(params), g.n))
	}
	n := copy(g.limit[:], limit)
	var sum float64
	for _, r := range g.rules {
		sum += r.Penalty(params[:r.n:r.n], g.limit[:n]...)
		params = params[r.n:]
	}
	return sum
}

// LR returns the rate of the first rule.
func (g *Groups) LR() float64 { return g.rules[0].lr }

// SetLR changes the rate of the first rule, and the others' in proportion to those that
// they were made with.
func (g *Groups) SetLR(lr float64) {
	for i, r := range g.rules {
		r.wantLR(lr * g.rates[i])
	}
	for i, r := range g.rules {
		r.SetLR(lr * g.rates[i])
	}
}

// State returns the rules' states as parts; see [Optimizer].
func (g *Groups) State() State {
	s := State{Rule: g.Name(), Version: version}
	for _, r := range g.rules {
		s.Parts = append(s.Parts, r.State())
	}
	return s
}

// SetState goes on from a state; see [Optimizer].
func (g *Groups) SetState(s State) error {
	if err := s.check(g.Name(), len(g.rules), nil); err != nil {
		return err
	}
	for i, r := range g.rules {
		if err := r.checkState(s.Parts[i]); err != nil {
			return fmt.Errorf("optim: groups: part %d of %d: %w", i+1, len(g.rules), err)
		}
	}
	for i, r := range g.rules {
		if err := r.SetState(s.Parts[i]); err != nil {
			return err
		}
	}
	return nil
}
