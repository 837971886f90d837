package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

//go:embed torch_update.py
var updateScript string

// updates times an optimizer's step on one vector here and in PyTorch, in all forms
// that it has there: a round here and a round there by turns, so that all meet the same
// weather on the machine. It needs Python's module resource, so not Windows.
type updates struct {
	Optimizers []string `default:"sgd,torch-sgd,torch-adam,adamw" enum:"sgd,torch-sgd,torch-adagrad,torch-rmsprop,torch-adam,adamw,adadelta,adamax,nadam,radam,rprop,asgd" help:"Update rules, some of ${enum}."`
	Sizes      []int    `default:"10000,1000000,25000000" help:"Numbers of parameters."`
	Threads    []int    `default:"1,2" help:"Numbers of threads; each on both sides, one after the other."`
	Rounds     int      `default:"15" help:"Rounds on each side."`
	Python     string   `default:"python3" help:"The Python that has PyTorch."`
}

// torchForms are PyTorch's, by the names that torch_update.py knows.
var torchForms = []string{"default", "foreach", "fused"}

// Validate is called by kong.
func (u *updates) Validate() error {
	if len(u.Optimizers) == 0 {
		return errors.New("--optimizers: nothing, want one or more with commas between")
	}
	if len(u.Sizes) == 0 || slices.Min(u.Sizes) < 1 || slices.Max(u.Sizes) > 1<<28 {
		return fmt.Errorf("--sizes: %d, want one or more numbers from 1 to %d", u.Sizes, 1<<28)
	}
	if len(u.Threads) == 0 || slices.Min(u.Threads) < 1 {
		return fmt.Errorf("--threads: %d, want one or more numbers of at least 1", u.Threads)
	}
	if u.Rounds < 1 {
		return fmt.Errorf("--rounds: %d, want at least 1", u.Rounds)
	}
	if _, err := exec.LookPath(u.Python); err != nil {
		return fmt.Errorf("--python: want a Python that has PyTorch: %w", err)
	}
	return nil
}

// Run is called by kong.
func (u *updates) Run(ctx context.Context, to console) error {
	fmt.Fprintf(to.out, "ns a parameter, median of %d rounds by turns; %s\n\n", u.Rounds, kernels.ISA())
	table := tabwriter.NewWriter(to.out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "optimizer\tparameters\tthreads\tLockstep\tPyTorch %s\tdefault:Lockstep\tbest:Lockstep\t\n", strings.Join(torchForms, "\t"))
	version := ""
	for _, n := range u.Sizes {
		for _, optimizer := range u.Optimizers {
			for _, threads := range u.Threads {
				times, v, err := u.race(ctx, optimizer, n, threads)
				if err != nil {
					return cmp.Or(ctx.Err(), err)
				}
				version = v
				fmt.Fprintf(table, "%s\t%d\t%d\t%.4f", optimizer, n, threads, times[0])
				best := times[1]
				for _, t := range times[1:] {
					if t == 0 {
						fmt.Fprint(table, "\t-")
						continue
					}
					fmt.Fprintf(table, "\t%.4f", t)
					best = min(best, t)
				}
				fmt.Fprintf(table, "\t%.2f\t%.2f\t\n", times[1]/times[0], best/times[0])
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to.out, "\nPyTorch %s. A form that an optimizer does not have is -.\n", version)
	return err
}

// race returns the times in ns a parameter, Lockstep's and then those of PyTorch's
// forms, 0 where there is none, and PyTorch's version.
func (u *updates) race(ctx context.Context, optimizer string, n, threads int) (times []float64, version string, err error) {
	options := map[string]float64{"unchecked": 1}
	if optimizer == "torch-sgd" {
		options["momentum"] = 0.9 // as in torch_update.py
	}
	debug.FreeOSMemory() // what the race before used: PyTorch starts afresh too
	rule, err := optim.New(optimizer, optim.Vector(n), options)
	if err != nil {
		return nil, "", err
	}
	params, grads := kernels.Make(n), kernels.Make(n)
	for i := range params {
		params[i], grads[i] = float32(i%17)/17+0.1, float32(i%13-6)
	}
	limit := kernels.Threads(threads)
	racers := []*racer{{pid: os.Getpid(), train: func(steps int) (lap, error) {
		start := time.Now()
		for range steps {
			if err := rule.Step(params, grads, limit); err != nil {
				return lap{}, err
			}
		}
		return lap{Elapsed: time.Since(start).Seconds()}, nil
	}}}
	for _, form := range torchForms {
		var hello struct{ Version, Missing string }
		h, err := startHelper(ctx, threads, &hello, u.Python, "-c", updateScript, optimizer, form, fmt.Sprint(n), fmt.Sprint(threads))
		if err != nil {
			return nil, "", err
		}
		defer h.stop()
		if hello.Missing != "" {
			racers = append(racers, nil)
			continue
		}
		version = hello.Version
		racers = append(racers, &racer{pid: h.pid(), train: h.train})
	}
	steps := max(1, 1_000_000/n) // 0.3 ms or more
	order := slices.DeleteFunc(slices.Clone(racers), func(r *racer) bool { return r == nil })
	for _, r := range order {
		r.warmup, r.steps = 10, steps
	}
	for range u.Rounds {
		for _, r := range order {
			if threads > 1 {
				time.Sleep(rest)
			}
			if err := r.round(noCycles); err != nil {
				return nil, "", err
			}
		}
		slices.Reverse(order) // so that none always comes after the same other
	}
	for _, r := range racers {
		if r == nil {
			times = append(times, 0)
		} else {
			times = append(times, median(r.micros)*1000/float64(n))
		}
	}
	return times, version, nil
}
