package optim

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// State is what an optimizer has to keep besides the parameters, by name: with it
// and the same options, a training goes on as if it had not stopped.
type State struct {
	Rule    string // the optimizer's name
	Version int    // of the rule's state; 1
	Steps   int    // how many steps are done
	LR      float64
	Numbers map[string]float64
	Vectors map[string][]float32
	Parts   []State // of the optimizers that it is made of
}

// version is that of all states. It rises when one changes its meaning.
const version = 1

// State returns the state; see [Optimizer].
func (r *Rule) State() State {
	s := State{Rule: r.name, Version: version, Steps: r.steps, LR: r.lr, Vectors: map[string][]float32{}}
	for _, v := range r.state {
		s.Vectors[v.name] = v.x
	}
	if r.number != nil {
		s.Numbers = map[string]float64{r.scalar: *r.number}
	}
	return s
}

// SetState goes on from a state; see [Optimizer].
func (r *Rule) SetState(s State) error {
	if err := r.checkState(s); err != nil {
		return err
	}
	for _, v := range r.state {
		copy(v.x, s.Vectors[v.name])
	}
	if r.number != nil {
		*r.number = s.Numbers[r.scalar]
	}
	r.steps, r.lr = s.Steps, s.LR
	return nil
}

func (r *Rule) checkState(s State) error {
	var numbers []string
	if r.number != nil {
		numbers = []string{r.scalar}
	}
	if err := s.check(r.name, 0, r.state, numbers...); err != nil {
		return err
	}
	if !r.takes(s.LR) {
		return fmt.Errorf("optim: %s: state: LR = %v, want from 0 to %v, and below 1 times the decay of %v", r.name, s.LR, unbounded, r.decay())
	}
	for name, x := range s.Numbers {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("optim: %s: state: %s = %v, want a finite number", r.name, name, x)
		}
	}
	return nil
}

// check wants the state of an optimizer of that name, made of so many others, with
// these vectors and numbers and no others.
func (s *State) check(name string, parts int, vectors []vector, numbers ...string) error {
	switch {
	case s.Rule != name:
		return fmt.Errorf("optim: %s: state of %q, want one of %q", name, s.Rule, name)
	case s.Version != version:
		return fmt.Errorf("optim: %s: state: version %d, want %d", name, s.Version, version)
	case s.Steps < 0:
		return fmt.Errorf("optim: %s: state: %d steps, want at least 0", name, s.Steps)
	case len(s.Parts) != parts:
		return fmt.Errorf("optim: %s: state: %d parts, want %d", name, len(s.Parts), parts)
	}
	names := make([]string, len(vectors))
	for i, v := range vectors {
		names[i] = v.name
	}
	if err := wantNames(name, "vector", slices.Sorted(maps.Keys(s.Vectors)), names); err != nil {
		return err
	}
	for _, v := range vectors {
		if got := len(s.Vectors[v.name]); got != len(v.x) {
			return fmt.Errorf("optim: %s: state: vector %q has %d elements, want %d", name, v.name, got, len(v.x))
		}
	}
	return wantNames(name, "number", slices.Sorted(maps.Keys(s.Numbers)), numbers)
}

func wantNames(rule, what string, got, want []string) error {
	if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		return fmt.Errorf("optim: %s: state: %ss %s, want %s", rule, what, list(got), list(want))
	}
	return nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
