package optim

import (
	"fmt"

	"github.com/lockstep-go/lockstep/kernels"
)

// LookaheadOptions are the options of [NewLookahead].
type LookaheadOptions struct {
	K     int     // steps of the inner optimizer for one of the slow weights; 0 stands for 5
	Alpha float64 // α, how far the slow weights go, at most 1; 0 stands for 0.5
}

// Lookahead is an [Optimizer] around another one. Its slow weights follow the parameters,
// which go back to them after every K steps:
//
//	slow = slow + α·(p - slow)
//	p = slow
//
// They start where the parameters are at the first step. Source: Zhang, Lucas, Hinton
// and Ba, Lookahead optimizer: k steps forward, 1 step back, 2019, algorithm 1.
type Lookahead struct {
	o     LookaheadOptions
	inner Optimizer
	steps int
	slow  []float32
	limit [2]kernels.Threads
}

// NewLookahead makes the optimizer for n parameters, as many as inner is for. It panics
// if an option is out of its range.
func NewLookahead(n int, inner Optimizer, o LookaheadOptions) *Lookahead {
	prepare("NewLookahead", n, []option{
		{name: "k", count: &o.K, defaultValue: 5},
		{name: "alpha", value: &o.Alpha, defaultValue: 0.5, below: 1 + 0x1p-52},
	})
	return &Lookahead{o: o, inner: inner, slow: kernels.Make(n)}
}

// Name returns "lookahead".
func (l *Lookahead) Name() string { return "lookahead" }

// Step does a step of the inner optimizer and, if it is the K-th, one of the slow weights;
// see [Optimizer].
func (l *Lookahead) Step(params, grads []float32, limit ...kernels.Threads) error {
	return unlessSkipped(l.try(params, grads, limit))
}

func (l *Lookahead) try(params, grads []float32, limit []kernels.Threads) error {
	if len(params) != len(l.slow) {
		panic(fmt.Sprintf("optim: lookahead.Step: len(params) = %d, want the n = %d that it was made for", len(params), len(l.slow)))
	}
	n := copy(l.limit[:], limit)
	if l.steps == 0 {
		copy(l.slow, params)
	}
	if inner, ok := l.inner.(trier); ok {
		if err := inner.try(params, grads, l.limit[:n]); err != nil {
			return err
		}
	} else if err := l.inner.Step(params, grads, l.limit[:n]...); err != nil {
		return err
	}
	if l.steps++; l.steps%l.o.K == 0 {
		kernels.Lerp(l.slow, params, float32(l.o.Alpha), l.limit[:n]...)
		copy(params, l.slow)
	}
	return nil
}

// Penalty is the inner optimizer's; see [Optimizer].
func (l *Lookahead) Penalty(params []float32, limit ...kernels.Threads) float64 {
	n := copy(l.limit[:], limit)
	return l.inner.Penalty(params, l.limit[:n]...)
}

// LR and SetLR are the inner optimizer's.
func (l *Lookahead) LR() float64      { return l.inner.LR() }
func (l *Lookahead) SetLR(lr float64) { l.inner.SetLR(lr) }

// State returns the slow weights and, as a part, the inner optimizer's state; see
// [Optimizer].
func (l *Lookahead) State() State {
	return State{Rule: l.Name(), Version: version, Steps: l.steps, Vectors: map[string][]float32{"slow": l.slow}, Parts: []State{l.inner.State()}}
}

// SetState goes on from a state; see [Optimizer].
func (l *Lookahead) SetState(s State) error {
	if err := s.check(l.Name(), 1, []vector{{"slow", l.slow}}); err != nil {
		return err
	}
	if err := l.inner.SetState(s.Parts[0]); err != nil {
		return fmt.Errorf("optim: lookahead: %w", err)
	}
	copy(l.slow, s.Vectors["slow"])
	l.steps = s.Steps
	return nil
}
