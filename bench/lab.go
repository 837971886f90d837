package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
)

// lab does the experiments of Deep Learning from Scratch, chapter 6, and writes a page
// about them.
//
// The training runs of an experiment do not depend on each other, so each has one
// thread and several go at a time.
type lab struct {
	source
	Only    []string `arg:"" optional:"" name:"experiment" help:"Which ones: ${experiments} (default: all)."`
	Quick   bool     `help:"A small version of each experiment."`
	Steps   int      `placeholder:"N" help:"Updates in a run, where an experiment counts in updates (default: its own number)."`
	Epochs  int      `placeholder:"N" help:"Epochs in a run, where it counts in those (default: its own number)."`
	Trials  int      `placeholder:"N" help:"Trials of the search (default: 100)."`
	Method  string   `default:"random" enum:"${methods}" help:"How the search proposes trials: ${enum}."`
	Log     string   `placeholder:"FILE" help:"Where the search keeps what it has done, and goes on from."`
	Threads int      `default:"${threads}" help:"The most runs at a time. They change the speed and no bit."`
	Out     string   `default:"out/lab" placeholder:"DIR" help:"Directory for index.html and its pictures as PNG."`

	in, classes int
	train, test *nn.Data
}

// experiment is one of those that the lab does.
type experiment struct {
	name, title string
	text        []string // what is tried and what to see, in paragraphs
	run         func(context.Context, *lab) (*findings, error)
}

// experiments are in the order of the page.
var experiments = []experiment{
	labTrajectories, labOptimizers, labActivations, labInitial, labBatchNorm, labDecay, labDropout, labSearch, labSurface,
}

func experimentNames() []string {
	var names []string
	for _, e := range experiments {
		names = append(names, e.name)
	}
	return names
}

// findings are what an experiment has to show.
type findings struct {
	settings [][2]string
	pictures []picture
	tables   []table
	claims   []claim
	runs     []*lesson
}

// table is one of numbers, and of words in its first column.
type table struct {
	Caption string
	Head    []string
	Rows    [][]string
}

// claim is what an experiment is expected to show. Its verdict is yes or no where it
// should hold with any seed, and otherwise empty.
type claim struct {
	Expected, Measured, Verdict string
}

// judged is a claim about the experiments' own data and numbers, be they of the small
// version or not. With others it is only told.
func (l *lab) judged(holds bool, expected, measured string, a ...any) claim {
	c := told(expected, measured, a...)
	if l.Steps == 0 && l.Epochs == 0 && l.Trials == 0 && l.Data == "" {
		c.Verdict = map[bool]string{true: "yes", false: "no"}[holds]
	}
	return c
}

// whole is judged unless this is the small version, which is too short for the claim.
func (l *lab) whole(holds bool, expected, measured string, a ...any) claim {
	if l.Quick {
		return told(expected, measured, a...)
	}
	return l.judged(holds, expected, measured, a...)
}

// told is a claim that is not judged.
func told(expected, measured string, a ...any) claim {
	return claim{expected, fmt.Sprintf(measured, a...), ""}
}

// size is how large an experiment is: as a flag says, or else by its own number.
func (l *lab) size(flag, whole, quick int) int {
	switch {
	case flag > 0:
		return flag
	case l.Quick:
		return quick
	}
	return whole
}

// Validate is called by kong.
func (l *lab) Validate() error {
	for i, name := range l.Only {
		if !slices.Contains(experimentNames(), name) {
			return fmt.Errorf("lab: %q, want some of %s", name, strings.Join(experimentNames(), ", "))
		}
		if slices.Contains(l.Only[:i], name) {
			return fmt.Errorf("lab: %q twice, want each once", name)
		}
	}
	for _, n := range []struct {
		flag         string
		value, least int
	}{{"steps", l.Steps, 0}, {"epochs", l.Epochs, 0}, {"trials", l.Trials, 0}, {"threads", l.Threads, 1}} {
		if n.value < n.least {
			return fmt.Errorf("--%s: %d, want at least 1", n.flag, n.value)
		}
	}
	return l.check()
}

// Run is called by kong.
func (l *lab) Run(ctx context.Context, to console) error {
	if err := os.MkdirAll(l.Out, 0o777); err != nil {
		return fmt.Errorf("--out: want a directory: %w", err)
	}
	begun := time.Now()
	train, test, err := l.load()
	if err != nil {
		return err
	}
	l.in, l.classes, l.train, l.test = train.Width*train.Height, train.Classes, samples(train), samples(test)
	p := &page{lab: l, ISA: kernels.ISA(), reading: time.Since(begun)}
	fmt.Fprintf(to.out, "seed %d, %d runs at a time, %s\n", l.Seed, l.Threads, p.ISA)
	for i, e := range experiments {
		if len(l.Only) > 0 && !slices.Contains(l.Only, e.name) {
			continue
		}
		fmt.Fprintf(to.out, "\n%d. %s\n", i+1, e.title)
		start := time.Now()
		f, err := e.run(ctx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		c := &chapter{experiment: e, findings: f, Number: i + 1, took: time.Since(start)}
		if err := c.draw(l.Out); err != nil {
			return err
		}
		c.drawing = time.Since(start) - c.took
		if err := printTable(to.out, claimTable(f.claims)); err != nil {
			return err
		}
		p.Chapters = append(p.Chapters, c)
	}
	p.total = time.Since(begun)
	if err := printTable(to.out, p.Times()); err != nil {
		return err
	}
	path := filepath.Join(l.Out, "index.html")
	if err := writeFile(path, p.write); err != nil {
		return err
	}
	_, err = fmt.Fprintln(to.out, "\nwrote", path)
	return err
}

// first returns the first samples of the training set.
func (l *lab) first(n int) *nn.Data {
	d, indices := new(nn.Data), make([]int, min(n, l.train.Rows))
	for i := range indices {
		indices[i] = i
	}
	d.Take(l.train, indices)
	return d
}
