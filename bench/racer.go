package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// lap is some steps of training: the seconds they took, the processor seconds in
// user mode, and the losses of the first and the last.
type lap struct{ Elapsed, User, First, Last float64 }

// racer is one side of a race.
type racer struct {
	name    string
	pid     int                          // of the process that trains
	train   func(steps int) (lap, error) // trains on where it stopped
	stop    func() error                 // ends the process, unless nil
	differs bool                         // its steps are not those of the others

	warmup, steps  int       // of a round: those that come before the timed ones, and these
	micros, cycles []float64 // of a step, by round
}

// round trains for warmup steps, which fetch code and weights while the other sides'
// idle threads stop spinning, and then for the timed ones.
func (r *racer) round(measure meter) error {
	if _, err := r.train(r.warmup); err != nil {
		return err
	}
	cycles, timed, err := measure(r.pid, func() (lap, error) { return r.train(r.steps) })
	if err != nil {
		return err
	}
	r.micros = append(r.micros, timed.Elapsed*1e6/float64(r.steps))
	r.cycles = append(r.cycles, cycles/float64(r.steps))
	return nil
}

// calibrate chooses so many steps that a round's timed ones take about so long.
func (r *racer) calibrate(long time.Duration) error {
	r.steps = 1
	for range 8 {
		l, err := r.train(r.steps)
		if err != nil {
			return err
		}
		if l.Elapsed > 0.5*long.Seconds() {
			break
		}
		// At most tenfold, since the first steps are the slowest.
		r.steps = int(float64(r.steps)*min(10, long.Seconds()/max(l.Elapsed, 1e-9))) + 1
	}
	r.warmup = max(1, r.steps/5)
	return nil
}

// trial is how many steps all sides train on to see that they do the same.
const trial = 10

// same compares the losses of the first steps of two sides. The last may be further apart
// than the first, since rounding and the place of ε have had their effect.
func same(a, b *racer, of, in lap) error {
	switch {
	case !(math.Abs(of.First-in.First) <= 1e-3):
		return fmt.Errorf("the loss of the first batch is %v by %s and %v by %s: they do not train the same network", of.First, a.name, in.First, b.name)
	case !b.differs && !(math.Abs(of.Last-in.Last) <= 0.1):
		return fmt.Errorf("the loss after %d steps is %v by %s and %v by %s: they do not train alike", trial-1, of.Last, a.name, in.Last, b.name)
	}
	return nil
}

// median returns the middle one of the values, the upper one of two.
func median(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

// lockstep is the side that trains here.
func lockstep(s spec, seed uint64, batches []nn.Data, rule string, threads int) (*racer, error) {
	net, err := network(s.widths, seed)
	if err != nil {
		return nil, err
	}
	optimizer, err := optim.New(rule, net.Layout(), nil)
	if err != nil {
		return nil, err
	}
	trainer := nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optimizer, Threads: kernels.Threads(threads)}
	step := 0
	return &racer{name: "Lockstep", pid: os.Getpid(), train: func(steps int) (lap, error) {
		var l lap
		user, start := userTime(), time.Now()
		for i := range steps {
			var err error
			if l.Last, err = trainer.Step(&batches[step%len(batches)]); err != nil {
				return l, err
			}
			step++
			if i == 0 {
				l.First = l.Last
			}
		}
		l.Elapsed = time.Since(start).Seconds()
		l.User = (userTime() - user).Seconds()
		return l, nil
	}}, nil
}
