package optim

import (
	"fmt"

	"github.com/lockstep-go/lockstep/kernels"
)

// Average is a running mean of a network's weights, which often does better than the
// last of them. It starts as the first weights that it is given.
type Average struct {
	name    string
	weight  func(t int) float64 // of the weights given as number t = 2, 3, …
	updates int
	x       []float32
	limit   [2]kernels.Threads
}

// NewEMA makes an exponential moving average of n weights:
//
//	x = x + (1-decay)·(p - x)
//
// It panics unless decay is above 0 and below 1. Source: Polyak and Juditsky, Acceleration
// of stochastic approximation by averaging, 1992, in the form of
// torch.optim.swa_utils.get_ema_multi_avg_fn.
func NewEMA(n int, decay float64) *Average {
	prepare("NewEMA", n, nil)
	if !(decay > 0 && decay < 1) {
		panic(fmt.Sprintf("optim.NewEMA: decay = %v, want above 0 and below 1", decay))
	}
	return &Average{name: "ema", weight: func(int) float64 { return 1 - decay }, x: kernels.Make(n)}
}

// NewSWA makes the mean of all that n weights have been; at update t
//
//	x = x + (p - x)/t
//
// Source: Izmailov et al., Averaging weights leads to wider optima and better
// generalization, 2018, as torch.optim.swa_utils.AveragedModel has it.
func NewSWA(n int) *Average {
	prepare("NewSWA", n, nil)
	return &Average{name: "swa", weight: func(t int) float64 { return 1 / float64(t) }, x: kernels.Make(n)}
}

// Update takes the weights into the mean. It panics unless there are as many as it was
// made for.
func (a *Average) Update(params []float32, limit ...kernels.Threads) {
	if len(params) != len(a.x) {
		panic(fmt.Sprintf("optim: %s.Update: len(params) = %d, want the n = %d that it was made for", a.name, len(params), len(a.x)))
	}
	n := copy(a.limit[:], limit)
	if a.updates++; a.updates == 1 {
		copy(a.x, params)
	} else {
		kernels.Lerp(a.x, params, float32(a.weight(a.updates)), a.limit[:n]...)
	}
}

// Params returns the mean itself, not a copy.
func (a *Average) Params() []float32 { return a.x }

// State returns what has to be kept to go on later: the mean itself, as the vector
// "mean", and the number of updates.
func (a *Average) State() State {
	return State{Rule: a.name, Version: version, Steps: a.updates, Vectors: map[string][]float32{"mean": a.x}}
}

// SetState goes on from a state of the same kind of mean of as many weights. Any other
// is an error, and changes nothing.
func (a *Average) SetState(s State) error {
	if err := s.check(a.name, 0, []vector{{"mean", a.x}}); err != nil {
		return err
	}
	copy(a.x, s.Vectors["mean"])
	a.updates = s.Steps
	return nil
}
