// Package search looks for the values of parameters, such as a learning rate, with which
// an objective scores highest: by random search, successive halving, Hyperband, a genetic
// search or a tree-structured Parzen estimator.
//
// An evaluation is a training with some values for a number of epochs. The methods work in
// rounds: the evaluations of a round run in parallel, and the next round depends on their
// scores, never on which was done first. Each trial has random numbers of its own, by its
// number. So the seed alone decides the answer, whatever the number of workers and the
// machine, as far as it does the objective's.
//
// All methods have the same to spend, Trials times Epochs epochs. Three spend it on as many
// trials of as many epochs. Successive halving and Hyperband begin more trials than that
// and give most of them fewer epochs. When a trial goes on it is trained anew with the
// larger budget, which counts in full, as the Hyperband paper has it: so an objective
// needs to keep nothing, and the log holds no weights.
//
// With a log, a search that was stopped or killed goes on where it was. It is a text file
// of one JSON value a line: what the search is, then each evaluation as it is finished. A
// last line without its end is cut off, and that evaluation done again. A file beside it,
// with .lock behind the name, keeps a second process away while the search runs; it stays.
package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/internal/philox"
)

// Method is the name of a way to search.
type Method string

const (
	Random    Method = "random"
	Halving   Method = "halving"
	Hyperband Method = "hyperband"
	Genetic   Method = "genetic"
	TPE       Method = "tpe"
)

// methods do the trials of a search.
var methods = []struct {
	name Method
	run  func(*search) error
}{
	{Random, (*search).random},
	{Halving, (*search).halving},
	{Hyperband, (*search).hyperband},
	{Genetic, (*search).genetic},
	{TPE, (*search).tpe},
}

// Methods returns the names of the methods.
func Methods() []Method {
	var names []Method
	for _, m := range methods {
		names = append(names, m.name)
	}
	return names
}

// Parameter is what to find a value for, from Low to High: uniform, or with Log uniform in
// its logarithm.
type Parameter struct {
	Name string  `json:"name"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	Log  bool    `json:"log"`
}

// value maps [0, 1] to the parameter's range.
func (p Parameter) value(at float64) float64 {
	low, high := p.Low, p.High
	if p.Log {
		low, high = det.Log(low), det.Log(high)
	}
	v := float64((1-at)*low) + float64(at*high)
	if p.Log {
		v = det.Exp(v)
	}
	return min(max(v, p.Low), p.High) // rounding may have left the range
}

// Options say what is searched and how.
type Options struct {
	Method Method
	Space  []Parameter
	Trials int // as many full trainings may be spent
	Epochs int // of a full training
	Seed   uint64

	Workers int         // evaluations at a time; 0 stands for GOMAXPROCS
	Report  func(Trial) // unless nil, gets each evaluation when it is finished, one at a time, those in the log too

	// Log is the file to write evaluations to and go on from; empty for none. About says in
	// it what the objective is: a log about something else is refused, as is one of another
	// Method, Space, Trials, Epochs or Seed.
	Log   string
	About string
}

// Trial is a choice of values and how it went. An objective gets it without Score and Curve.
type Trial struct {
	Number int
	Values []float64 // of each parameter of the space
	Seed   uint64    // the trial's own, for what is random in it
	Epochs int       // to train
	Score  float64   // the more the better; NaN is the worst
	Curve  []float64 // of the objective's choice
}

// Objective trains with a trial's Values and Seed for its Epochs, and returns how good that
// is and a curve, such as the score after each epoch. It must depend on nothing else, and
// end soon with an error when ctx ends. It is called on several goroutines at a time. An
// error ends the search: a training that diverges is better a low score, or NaN.
type Objective func(ctx context.Context, trial Trial) (score float64, curve []float64, err error)

// Run searches, and returns the trials, the best first. Each is as its longest evaluation
// left it. Those with equal scores are in the order of their numbers.
//
// It ends with ctx.Err() once ctx is done and the objectives that run have returned; the
// log keeps what was finished. Two searches at a time with the same log are an error.
func Run(ctx context.Context, o Options, objective Objective) (trials []Trial, err error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	s := &search{Options: o, ctx: ctx, objective: objective}
	if s.Workers == 0 {
		s.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Log != "" {
		if s.log, err = openLog(o); err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
		defer func() {
			if closed := s.log.close(); err == nil {
				err = closed
			}
		}()
	}
	for _, m := range methods {
		if m.name == o.Method {
			if err := m.run(s); err != nil {
				return nil, err
			}
		}
	}
	if err := s.log.unused(); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	for _, t := range ranked(s.trials) {
		trials = append(trials, t.Trial)
	}
	return trials, nil
}

// mostEpochs bounds the epochs of a search.
const mostEpochs = 1 << 30

func (o *Options) check() error {
	if !slices.Contains(Methods(), o.Method) {
		return fmt.Errorf("method %q, want one of %s", o.Method, strings.Trim(fmt.Sprint(Methods()), "[]"))
	}
	if len(o.Space) == 0 {
		return errors.New("a space without parameters, want at least one")
	}
	for i, p := range o.Space {
		same := func(q Parameter) bool { return q.Name == p.Name }
		switch {
		case p.Name == "" || slices.ContainsFunc(o.Space[:i], same):
			return fmt.Errorf("parameter %d of the space is called %q, want a name of its own", i, p.Name)
		case !(p.Low < p.High) || math.IsInf(p.Low, 0) || math.IsInf(p.High, 0):
			return fmt.Errorf("parameter %s from %v to %v, want finite numbers, the lower first", p.Name, p.Low, p.High)
		case p.Log && p.Low <= 0:
			return fmt.Errorf("parameter %s from %v, want more than 0 for a logarithm", p.Name, p.Low)
		}
	}
	switch {
	case o.Trials < 1:
		return fmt.Errorf("%d trials, want at least 1", o.Trials)
	case o.Epochs < 1:
		return fmt.Errorf("%d epochs, want at least 1", o.Epochs)
	case o.Trials > mostEpochs/o.Epochs:
		return fmt.Errorf("%d trials of %d epochs, want at most %d epochs in all", o.Trials, o.Epochs, mostEpochs)
	case o.Workers < 0:
		return fmt.Errorf("%d workers, want at least 1, or 0 for one on each processor", o.Workers)
	}
	return nil
}

// search is a run of a method.
type search struct {
	Options
	ctx       context.Context
	objective Objective
	log       *log // nil for none
	trials    []*trial
}

// trial is a Trial with the place of its values in the unit cube: there the methods work.
type trial struct {
	Trial
	at []float64
}

// ranked returns the trials, the best first.
func ranked(trials []*trial) []*trial {
	return slices.SortedFunc(slices.Values(trials), func(a, b *trial) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Number, b.Number)) // NaN is the least
	})
}

// numbers are the random numbers of a trial, one after the other.
type numbers struct {
	stream philox.Stream
	next   uint64
}

// float returns a number in [0, 1).
func (r *numbers) float() float64 {
	r.next++
	return r.stream.Float64(r.next - 1)
}

// index returns an integer in [0, n).
func (r *numbers) index(n int) int {
	r.next++
	return r.stream.Index(r.next-1, n)
}

// normal returns a standard normal deviate.
func (r *numbers) normal() float64 {
	r.next += 2 + r.next%2 // two numbers of one block
	return r.stream.Normal(r.next - 2)
}

// propose adds n trials. place chooses where in the unit cube.
func (s *search) propose(n int, place func(*numbers) []float64) []*trial {
	first := len(s.trials)
	for number := first; number < first+n; number++ {
		random := &numbers{stream: philox.Stream{Seed: s.Seed, Purpose: philox.Search, Step: uint32(number)}}
		t := &trial{Trial: Trial{Number: number, Seed: random.stream.Uint64(0), Epochs: s.Epochs}}
		random.next = 1
		t.at = place(random)
		for i, p := range s.Space {
			t.Values = append(t.Values, p.value(t.at[i]))
		}
		s.trials = append(s.trials, t)
	}
	return s.trials[first:]
}

// anywhere is a place chosen evenly.
func (s *search) anywhere(random *numbers) []float64 {
	at := make([]float64, len(s.Space))
	for i := range at {
		at[i] = random.float()
	}
	return at
}

// evaluate does a round: it sets Score and Curve of trials, from the log or by the
// objective.
func (s *search) evaluate(round []*trial) error {
	var todo []*trial
	for _, t := range round {
		done, err := s.log.take(t)
		if err != nil {
			return fmt.Errorf("search: %w", err)
		}
		if !done {
			todo = append(todo, t)
		} else if s.Report != nil {
			s.Report(t.Trial)
		}
	}

	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	var finishing sync.Mutex
	work := func(t *trial) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		given := t.Trial
		given.Values, given.Score, given.Curve = slices.Clone(t.Values), 0, nil
		score, curve, err := s.objective(ctx, given)
		if err != nil {
			return fmt.Errorf("search: trial %d: %w", t.Number, err)
		}
		finishing.Lock()
		defer finishing.Unlock()
		t.Score, t.Curve = score, append([]float64(nil), curve...)
		if err := s.log.add(t); err != nil {
			return fmt.Errorf("search: %w", err)
		}
		if s.Report != nil {
			s.Report(t.Trial)
		}
		return nil
	}
	var workers sync.WaitGroup
	next := make(chan *trial)
	for range min(s.Workers, len(todo)) {
		workers.Go(func() {
			for t := range next {
				if err := work(t); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, t := range todo {
		next <- t
	}
	close(next)
	workers.Wait()
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	return context.Cause(ctx)
}
