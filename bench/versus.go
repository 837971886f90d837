package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/lockstep-go/lockstep/internal/mnist"
	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// versus times a training step here and in PyTorch: the same network from the
// same initial weights on the same batches, a round here and a round there by
// turns, so that both meet the same weather on the machine. A step is forward,
// loss, backward and update on a batch that has been gathered before. It needs
// Python's module resource, so not Windows.
type versus struct {
	job
	Optimizers []string `default:"sgd,adam" enum:"sgd,momentum,nesterov,adagrad,rmsprop,adam" help:"Update rules, some of ${enum}."`
	Threads    []int    `default:"1,2" help:"Numbers of threads; each on both sides, one after the other."`
	Rounds     int      `default:"20" help:"Rounds on each side."`
	Steps      int      `default:"100" help:"Timed steps in a round."`
	Python     string   `default:"python3" help:"The Python that has PyTorch."`
}

// warmup is how many steps of a round come before the timed ones. They fetch
// code and weights, and the other side's idle threads stop spinning meanwhile.
const warmup = 10

// Validate is called by kong.
func (v *versus) Validate() error {
	if len(v.Optimizers) == 0 {
		return errors.New("--optimizers: nothing, want one or more with commas between")
	}
	if len(v.Threads) == 0 || slices.Min(v.Threads) < 1 {
		return fmt.Errorf("--threads: %d, want one or more numbers of at least 1", v.Threads)
	}
	if v.Rounds < 1 {
		return fmt.Errorf("--rounds: %d, want at least 1", v.Rounds)
	}
	if v.Steps < 1 {
		return fmt.Errorf("--steps: %d, want at least 1", v.Steps)
	}
	if _, err := exec.LookPath(v.Python); err != nil {
		return fmt.Errorf("--python: want a Python that has PyTorch: %w", err)
	}
	return v.check()
}

// Run is called by kong.
func (v *versus) Run(ctx context.Context, to console) error {
	set, _, err := v.load()
	if err != nil {
		return err
	}
	net, err := v.network(set)
	if err != nil {
		return err
	}
	batches := make([]nn.Data, max(1, min(50, 1<<24/(v.Batch*net.In()))))
	for i := range batches {
		batches[i].Draw(samples(set), v.Batch, v.Seed, uint32(i))
	}
	dir, err := os.MkdirTemp("", "lockstep-versus-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeForTorch(dir, net.Params(), batches); err != nil {
		return err
	}

	measure, how := newMeter()
	c := course{set, batches, dir, measure}

	fmt.Fprintf(to.out, "%s, ReLU; batches of %d; %d rounds of %d steps; %s\n\n",
		dashed(v.widths(set)), v.Batch, v.Rounds, v.Steps, kernels.ISA())
	table := tabwriter.NewWriter(to.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "optimizer\tthreads\tby\tµs/step: median\tminimum\tcycles/step\tloss: first\tlast")
	for _, threads := range v.Threads {
		for _, optimizer := range v.Optimizers {
			here, there, err := v.race(ctx, c, optimizer, threads)
			if err != nil {
				return err
			}
			for _, r := range []*racer{here, there} {
				fmt.Fprintf(table, "%s\t%d\t%s\t%.1f\t%.1f\t%.0f\t%.5f\t%.5f\n", optimizer, threads, r.name,
					median(r.micros), slices.Min(r.micros), median(r.cycles), r.first, r.last)
			}
			fmt.Fprintf(table, "\t\tratio\t%.2f\t%.2f\t%.2f\t\t\n", median(there.micros)/median(here.micros),
				slices.Min(there.micros)/slices.Min(here.micros), median(there.cycles)/median(here.cycles))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(to.out, "\nratio: PyTorch by Lockstep. cycles/step: in user mode, on all threads, median; %s.\n", how)
	return err
}

// course is what all races have in common.
type course struct {
	set     *mnist.Set
	batches []nn.Data // taken in turn
	dir     string    // with the files for PyTorch
	measure meter
}

// race trains on both sides by turns.
func (v *versus) race(ctx context.Context, c course, optimizer string, threads int) (here, there *racer, err error) {
	here, err = v.lockstep(c, optimizer, threads)
	if err != nil {
		return nil, nil, err
	}
	process, err := startTorch(ctx, v.Python, c.dir, optimizer, threads, v.Batch, v.widths(c.set))
	if err != nil {
		return nil, nil, err
	}
	there = &racer{name: "PyTorch", pid: process.pid(), train: process.train}
	order := []*racer{here, there}
	for range v.Rounds {
		for _, r := range order {
			if err := r.round(v.Steps, c.measure); err != nil {
				process.stop()
				return nil, nil, cmp.Or(ctx.Err(), err)
			}
		}
		slices.Reverse(order) // so that neither always comes first
	}
	if err := process.stop(); err != nil {
		return nil, nil, cmp.Or(ctx.Err(), err)
	}
	if !(math.Abs(here.first-there.first) <= 1e-3) {
		return nil, nil, fmt.Errorf("%s: the loss of the first batch is %v here and %v in PyTorch: they do not train the same network",
			optimizer, here.first, there.first)
	}
	return here, there, nil
}

// lap is some steps of training: the seconds they took, the processor seconds in
// user mode, and the losses of the first and the last.
type lap struct{ Elapsed, User, First, Last float64 }

// racer is one side of a race.
type racer struct {
	name  string
	pid   int                          // of the process that trains
	train func(steps int) (lap, error) // trains on where it stopped

	micros, cycles []float64 // of a step, by round
	first, last    float64   // losses of the first step of all and the last
}

// round trains for warmup steps and then for the timed ones.
func (r *racer) round(steps int, measure meter) error {
	warm, err := r.train(warmup)
	if err != nil {
		return err
	}
	cycles, timed, err := measure(r.pid, func() (lap, error) { return r.train(steps) })
	if err != nil {
		return err
	}
	if len(r.micros) == 0 {
		r.first = warm.First
	}
	r.last = timed.Last
	r.micros = append(r.micros, timed.Elapsed*1e6/float64(steps))
	r.cycles = append(r.cycles, cycles/float64(steps))
	return nil
}

// median returns the middle one of the values, the upper one of two.
func median(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

// lockstep is the side that trains here.
func (v *versus) lockstep(c course, rule string, threads int) (*racer, error) {
	net, err := v.network(c.set)
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
			if l.Last, err = trainer.Step(&c.batches[step%len(c.batches)]); err != nil {
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
