package optim

import (
	"cmp"
	"fmt"
	"math"
)

// ReduceLROnPlateauOptions are the options of [ReduceLROnPlateau].
type ReduceLROnPlateauOptions struct {
	Factor    float64 // multiplies the rate, below 1; 0 stands for 0.1
	Patience  int     // how many metrics in a row may be no better; 0 stands for 10, -1 for none
	Threshold float64 // by how much a better one is better; 0 stands for 1e-4
	Cooldown  int     // how many metrics are let pass after a reduction
	MinLR     float64 // the rate falls no lower
	Eps       float64 // a change of the rate by Eps or less is left out; 0 stands for 1e-8
	Max       bool    // larger metrics are better; PyTorch's mode "max"
	Abs       bool    // Threshold is a difference, not a part of the best; PyTorch's threshold_mode "abs"
}

var plateauOptions = []scheduleOption{
	{"factor", 0.1, limits{"above 0 and below 1", func(v float64) bool { return 0 < v && v < 1 }}},
	{"patience", 10, fromZero},
	{"threshold", 1e-4, positive},
	{"cooldown", 0, fromZero},
	{"minlr", 0, nonNegative},
	{"eps", 1e-8, positive},
	{"max", 0, flag},
	{"abs", 0, flag},
}

// ReduceLROnPlateau is a [Schedule] that lowers the rate when a metric, such as
// the loss on held-out data, has stopped getting better. A metric is better if it
// is
//
//	< best·(1 - Threshold), or with Abs < best - Threshold
//	> best·(1 + Threshold), or with Abs > best + Threshold, with Max
//
// and then it is the best. After more than Patience metrics in a row that are not
// better, the rate is reduced,
//
//	η = max(η·Factor, MinLR), if that is lower by more than Eps,
//
// and the count starts again, after Cooldown metrics. NaN is never better. As in
// PyTorch, a best below 0 wants Abs: best·(1 - Threshold) would lie above it.
//
// Unlike the other schedules it depends on what it has observed, which
// [ReduceLROnPlateau.State] exports. One goroutine at a time may observe.
type ReduceLROnPlateau struct {
	o ReduceLROnPlateauOptions
	s PlateauState
}

// PlateauState is what a [ReduceLROnPlateau] has kept of the metrics.
type PlateauState struct {
	Best       float64 // the best metric; before the first, +Inf, or -Inf with Max
	NumBad     int     // how many in a row were not better
	Cooldown   int     // how many more are let pass
	Reductions int     // how often the rate was reduced
}

// NewReduceLROnPlateau makes the schedule. It panics if an option is out of its
// range.
func NewReduceLROnPlateau(o ReduceLROnPlateauOptions) *ReduceLROnPlateau {
	o.Factor = cmp.Or(o.Factor, 0.1)
	o.Patience = max(0, cmp.Or(o.Patience, 10))
	o.Threshold = cmp.Or(o.Threshold, 1e-4)
	o.Eps = cmp.Or(o.Eps, 1e-8)
	wantOptions("NewReduceLROnPlateau", plateauOptions,
		o.Factor, float64(o.Patience), o.Threshold, float64(o.Cooldown), o.MinLR, o.Eps)
	best := math.Inf(1)
	if o.Max {
		best = math.Inf(-1)
	}
	return &ReduceLROnPlateau{o, PlateauState{Best: best}}
}

// Observe takes the next metric.
func (p *ReduceLROnPlateau) Observe(metric float64) {
	s := &p.s
	if p.better(metric) {
		s.Best = metric
		s.NumBad = 0
	} else {
		s.NumBad++
	}
	if s.Cooldown > 0 {
		s.Cooldown--
		s.NumBad = 0
	}
	if s.NumBad > p.o.Patience {
		s.Reductions++
		s.Cooldown = p.o.Cooldown
		s.NumBad = 0
	}
}

func (p *ReduceLROnPlateau) better(metric float64) bool {
	best, threshold := p.s.Best, p.o.Threshold
	switch {
	case p.o.Max && p.o.Abs:
		return metric > best+threshold
	case p.o.Max:
		return metric > best*(1+threshold)
	case p.o.Abs:
		return metric < best-threshold
	}
	return metric < best*(1-threshold)
}

// LR returns the learning rate after the metrics observed so far, whatever the
// step; see [Schedule].
func (p *ReduceLROnPlateau) LR(base float64, step int) float64 {
	wantLRArgs("ReduceLROnPlateau", base, step)
	for range p.s.Reductions {
		lower := max(float64(base*p.o.Factor), p.o.MinLR)
		if !(base-lower > p.o.Eps) {
			break
		}
		base = lower
	}
	return base
}

// State returns the state, for SetState of a schedule with the same options.
func (p *ReduceLROnPlateau) State() PlateauState { return p.s }

// SetState goes on from a state. A number out of range is an error, and changes
// nothing.
func (p *ReduceLROnPlateau) SetState(s PlateauState) error {
	switch {
	case math.IsNaN(s.Best):
		return fmt.Errorf("optim: plateau: state: Best = NaN, want a number")
	case s.NumBad < 0 || s.NumBad > p.o.Patience:
		return fmt.Errorf("optim: plateau: state: NumBad = %d, want from 0 to Patience = %d", s.NumBad, p.o.Patience)
	case s.Cooldown < 0 || s.Cooldown > p.o.Cooldown:
		return fmt.Errorf("optim: plateau: state: Cooldown = %d, want from 0 to the option's %d", s.Cooldown, p.o.Cooldown)
	case s.Reductions < 0:
		return fmt.Errorf("optim: plateau: state: Reductions = %d, want at least 0", s.Reductions)
	}
	p.s = s
	return nil
}
