package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
)

// versus times a training step here and with other libraries: the same network from
// the same initial weights on the same batches, a round of each by turns, so that all
// meet the same weather on the machine. A step is forward, loss, backward and update on
// a batch that has been gathered before. The others need Python's module resource or
// its like, so not Windows.
type versus struct {
	source
	Nets       []string      `default:"784-100x4-10/128" help:"Widths of the layers and batch sizes; all stands for six of them. On MNIST where the widths are 784 and 10, else on random numbers."`
	Optimizers []string      `default:"sgd,adam" enum:"sgd,momentum,nesterov,adagrad,rmsprop,adam" help:"Update rules, some of ${enum}."`
	Threads    []int         `default:"1,2" help:"Numbers of threads; each on all sides, one after the other."`
	Against    []string      `default:"pytorch" enum:"pytorch,scikit-learn,spago" help:"The other sides, some of ${enum}. The last is fetched and built by go."`
	Rounds     int           `default:"20" help:"Rounds on each side."`
	Lap        time.Duration `default:"50ms" help:"How long about a round is."`
	Python     string        `default:"python3" help:"The Python that has PyTorch or scikit-learn."`

	specs []spec
}

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
	if v.Lap < time.Millisecond || v.Lap > time.Minute {
		return fmt.Errorf("--lap: %v, want 1ms to 1m", v.Lap)
	}
	if len(v.Nets) == 0 {
		return fmt.Errorf("--nets: nothing, %w", errSpec)
	}
	for _, name := range v.Nets {
		names := []string{name}
		if name == "all" {
			names = allSpecs
		}
		for _, name := range names {
			s, err := parseSpec(name)
			if err != nil {
				return fmt.Errorf("--nets: %q, %w", name, err)
			}
			v.specs = append(v.specs, s)
		}
	}
	if len(v.Against) == 0 {
		return errors.New("--against: nothing, want one or more with commas between")
	}
	for _, name := range v.Against {
		for _, rule := range v.Optimizers {
			if rules := peers[name].rules; !slices.Contains(rules, rule) {
				return fmt.Errorf("--optimizers: %s, want some of %s, which %s has", rule, strings.Join(rules, ","), name)
			}
		}
		if err := v.checkPeer(name); err != nil {
			return err
		}
	}
	return v.check()
}

// Run is called by kong.
func (v *versus) Run(ctx context.Context, to console) error {
	set, _, err := v.load()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lockstep-versus-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var others []*program
	for _, name := range v.Against {
		p := &program{peer: peers[name]}
		if p.path, p.args, err = p.command(ctx, v, dir); err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		others = append(others, p)
	}
	measure, how := newMeter()

	fmt.Fprintf(to.out, "Widths, ReLU between, and batch size; medians of %d rounds of about %v by turns; %s\n\n", v.Rounds, v.Lap, kernels.ISA())
	fmt.Fprintf(to.out, "%-18s %-9s %7s  %-20s %12s %12s %12s %7s %10s\n",
		"network", "optimizer", "threads", "by", "µs/step", "minimum", "cycles/step", "ratio", "of minima")
	for _, s := range v.specs {
		net, err := network(s.widths, v.Seed)
		if err != nil {
			return err
		}
		c := course{s, s.batches(set, v.Seed), dir, others, measure}
		if err := writeTask(dir, net.Params(), c.batches); err != nil {
			return err
		}
		for _, optimizer := range v.Optimizers {
			for _, threads := range v.Threads {
				racers, err := v.race(ctx, c, optimizer, threads)
				if err != nil {
					return cmp.Or(ctx.Err(), fmt.Errorf("%s, %s: %w", s.name, optimizer, err))
				}
				report(to.out, s, optimizer, threads, racers)
			}
		}
	}
	var versions []string
	for _, p := range others {
		versions = append(versions, p.title+" "+p.version)
	}
	_, err = fmt.Fprintf(to.out, "\nratio: to Lockstep. %s.\ncycles/step: in user mode, on all threads, median; %s.\n", strings.Join(versions, ", "), how)
	return err
}

func report(out io.Writer, s spec, optimizer string, threads int, racers []*racer) {
	here := racers[0]
	for _, r := range racers {
		fmt.Fprintf(out, "%-18s %-9s %7d  %-20s %12.2f %12.2f %12.0f %7.2f %10.2f\n", s.name, optimizer, threads, r.name,
			median(r.micros), slices.Min(r.micros), median(r.cycles),
			median(r.micros)/median(here.micros), slices.Min(r.micros)/slices.Min(here.micros))
	}
}

// course is what the races of a network have in common.
type course struct {
	spec
	batches []nn.Data // taken in turn
	dir     string    // with the files for the other sides
	others  []*program
	measure meter
}

// race trains on all sides by turns and returns them, Lockstep first.
func (v *versus) race(ctx context.Context, c course, optimizer string, threads int) (racers []*racer, err error) {
	here, err := lockstep(c.spec, v.Seed, c.batches, optimizer, threads)
	if err != nil {
		return nil, err
	}
	racers = []*racer{here}
	defer func() {
		for _, r := range racers[1:] {
			if stopped := r.stop(); err == nil {
				err = stopped
			}
		}
	}()
	first, err := here.train(trial)
	if err != nil {
		return nil, err
	}
	for _, p := range c.others {
		r, err := p.start(ctx, c.dir, optimizer, threads, c.spec)
		if err != nil {
			return racers, err
		}
		racers = append(racers, r)
		l, err := r.train(trial)
		if err == nil {
			err = same(here, r, first, l)
		}
		if err != nil {
			return racers, err
		}
	}
	for _, r := range racers {
		if err := r.calibrate(v.Lap); err != nil {
			return racers, err
		}
	}
	order := slices.Clone(racers)
	for range v.Rounds {
		for _, r := range order {
			if threads > 1 {
				time.Sleep(rest)
			}
			if err := r.round(c.measure); err != nil {
				return racers, err
			}
		}
		slices.Reverse(order) // so that none always comes first
	}
	return racers, nil
}
