package search

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-go/lockstep/internal/det"
)

// space is that of the experiment: weight decay and learning rate.
var space = []Parameter{
	{Name: "decay", Low: 1e-8, High: 1e-4, Log: true},
	{Name: "rate", Low: 1e-6, High: 1e-2, Log: true},
}

// inCube maps a trial's values back to [0, 1].
func inCube(t Trial) (x, y float64) {
	return (det.Log(t.Values[0])/math.Ln10 + 8) / 4, (det.Log(t.Values[1])/math.Ln10 + 6) / 4
}

// bowl is highest at (0.3, 0.8), where it is 0 but for what more epochs would bring.
func bowl(_ context.Context, t Trial) (float64, []float64, error) {
	x, y := inCube(t)
	x, y = x-0.3, y-0.8
	score := -float64(x*x) - float64(y*y)
	var curve []float64
	for epoch := range t.Epochs {
		curve = append(curve, score-1/float64(epoch+1))
	}
	return curve[len(curve)-1], curve, nil
}

// patchy is bowl with scores and curves that are no numbers, and trials that others overtake.
func patchy(ctx context.Context, t Trial) (float64, []float64, error) {
	for range t.Seed % 7 {
		runtime.Gosched()
	}
	score, curve, err := bowl(ctx, t)
	switch t.Seed % 8 {
	case 0:
		score, curve = math.NaN(), nil
	case 1:
		curve[0], curve[len(curve)-1] = math.Inf(1), math.NaN()
	case 2:
		score = math.Inf(-1)
	case 3:
		score = -1 // as others
	}
	return score, curve, err
}

func run(t *testing.T, o Options, objective Objective) []Trial {
	t.Helper()
	trials, err := Run(t.Context(), o, objective)
	if err != nil {
		t.Fatalf("%s, seed %d: %v", o.Method, o.Seed, err)
	}
	return trials
}

func TestWorkers(t *testing.T) {
	for _, method := range Methods() {
		o := Options{Method: method, Space: space, Trials: 50, Epochs: 10, Seed: 7, Workers: 1}
		want := fmt.Sprint(run(t, o, patchy))
		for _, workers := range []int{2, 3, 8, 0} {
			o.Workers = workers
			if got := fmt.Sprint(run(t, o, patchy)); got != want {
				t.Errorf("%s: %d workers find\n%s\none finds\n%s", method, workers, got, want)
			}
		}
		o.Seed++
		if fmt.Sprint(run(t, o, patchy)) == want {
			t.Errorf("%s: another seed finds the same", method)
		}
	}
}

// TestBits is the answers as they are on every machine.
func TestBits(t *testing.T) {
	for method, want := range map[Method]string{
		Random:    "3639751b7e30753f4e1b5c7f7ddc56a69d498da0a7616158faf9ae41124ccf85",
		Halving:   "e017cb933db524e948ce55f6e39fec12523245aaf9d91d3dc1e9ae81148af774",
		Hyperband: "ef0c9a32f937013152d037bb74bdab3500bfbd12094480b2370a0ad91233cf7b",
		Genetic:   "52f3a6be22e9b770a5630ef37b8abfa97c7f03a61e38f1e48341b62ca3936a48",
		TPE:       "f1a29ee326ce0e412416040bb71cbc987a73da0cd4e47ef402b5de3d747154c2",
	} {
		trials := run(t, Options{Method: method, Space: append([]Parameter{{Name: "width", Low: -3, High: 5}}, space...), Trials: 60, Epochs: 30, Seed: 3},
			func(ctx context.Context, t Trial) (float64, []float64, error) {
				x := t.Values[0]
				t.Values = t.Values[1:]
				score, curve, err := bowl(ctx, t)
				return score - float64(x*x), curve, err
			})
		sum := sha256.New()
		for _, t := range trials {
			fmt.Fprintf(sum, "%d %x %d %d %x\n", t.Number, t.Values, t.Seed, t.Epochs, t.Score)
		}
		if got := fmt.Sprintf("%x", sum.Sum(nil)); got != want {
			t.Errorf("%s: the answer's hash is %s, want %s", method, got, want)
		}
	}
}

// TestBudget counts the epochs that searches of many sizes spend.
func TestBudget(t *testing.T) {
	for _, method := range Methods() {
		for _, trials := range []int{1, 2, 3, 7, 20, 21, 100} {
			for _, epochs := range []int{1, 2, 3, 4, 9, 50, 81} {
				spent, full := 0, 0
				o := Options{Method: method, Space: space, Trials: trials, Epochs: epochs, Report: func(t Trial) {
					spent += t.Epochs
					if t.Epochs == epochs {
						full++
					}
					if t.Epochs < 1 || t.Epochs > epochs {
						panic(fmt.Sprint(t.Epochs, " epochs of ", epochs))
					}
				}}
				if n := len(run(t, o, bowl)); n < trials && method != Hyperband && method != Halving {
					t.Errorf("%s: %d trials, want %d", method, n, trials)
				}
				least := trials * epochs
				switch method {
				case Hyperband: // no bracket was left that fits
					least -= epochs - 1
				case Halving: // a trial more costs less than a full training in each rung
					least = 1
				}
				if spent > trials*epochs || spent < least || full < 1 {
					t.Errorf("%s: %d trials of %d epochs: %d spent, want %d to %d, and %d trials in full, want one", method, trials, epochs, spent, least, trials*epochs, full)
				}
			}
		}
	}
}

func TestNaN(t *testing.T) {
	for _, method := range Methods() {
		o := Options{Method: method, Space: space, Trials: 45, Epochs: 9, Seed: 1}
		for i, trial := range run(t, o, func(context.Context, Trial) (float64, []float64, error) { return math.NaN(), nil, nil }) {
			if trial.Number != i {
				t.Errorf("%s: of trials that are all NaN, number %d is at place %d", method, trial.Number, i)
			}
		}
		last := math.Inf(1)
		for i, trial := range run(t, o, patchy) {
			if !(trial.Score <= last) && !math.IsNaN(trial.Score) || math.IsNaN(last) && !math.IsNaN(trial.Score) {
				t.Errorf("%s: score %v at place %d, after %v", method, trial.Score, i, last)
			}
			last = trial.Score
		}
		if !math.IsNaN(last) {
			t.Errorf("%s: no score was NaN", method)
		}
	}
}

func TestCancel(t *testing.T) {
	for _, method := range Methods() {
		o := Options{Method: method, Space: space, Trials: 50, Epochs: 9, Seed: 5, Workers: 3}
		want := fmt.Sprint(run(t, o, patchy))
		o.Log = t.TempDir() + "/log"
		for _, after := range []int64{1, 2, 10, 30} {
			ctx, cancel := context.WithCancelCause(t.Context())
			var begun, running atomic.Int64
			_, err := Run(ctx, o, func(ctx context.Context, trial Trial) (float64, []float64, error) {
				running.Add(1)
				defer running.Add(-1)
				if begun.Add(1) >= after {
					cancel(errors.New("a cause"))
					<-ctx.Done()
					return 0, nil, errors.New("stopped")
				}
				return patchy(ctx, trial)
			})
			cancel(nil)
			if err != context.Canceled {
				t.Errorf("%s: cancelled in evaluation %d: %v, want %v", method, after, err, context.Canceled)
			}
			if running.Load() != 0 || begun.Load() > after+2 {
				t.Errorf("%s: cancelled in evaluation %d: %d were begun, want at most 2 more, and %d run on, want none", method, after, begun.Load(), running.Load())
			}
		}
		if got := fmt.Sprint(run(t, o, patchy)); got != want {
			t.Errorf("%s: a search that was cancelled four times finds\n%s\nwant\n%s", method, got, want)
		}
	}
}

func TestObjectiveFails(t *testing.T) {
	broken := errors.New("broken")
	var begun atomic.Int64
	trials, err := Run(t.Context(), Options{Method: Random, Space: space, Trials: 100, Epochs: 1, Workers: 2}, func(ctx context.Context, t Trial) (float64, []float64, error) {
		begun.Add(1)
		if t.Number == 3 {
			return 0, nil, broken
		}
		if t.Number > 3 {
			<-ctx.Done()
		}
		return 0, nil, ctx.Err()
	})
	if !errors.Is(err, broken) || err.Error() != "search: trial 3: broken" || trials != nil {
		t.Errorf("%d trials and the error %v, want none and that of trial 3", len(trials), err)
	}
	if n := begun.Load(); n > 6 {
		t.Errorf("%d trials were begun, want no more after the one that failed", n)
	}
}

// TestReport has each evaluation once and one at a time, those from the log as well.
func TestReport(t *testing.T) {
	for _, method := range Methods() {
		var busy sync.Mutex
		var seen []string
		o := Options{Method: method, Space: space, Trials: 30, Epochs: 9, Workers: 8, Log: t.TempDir() + "/log", Report: func(trial Trial) {
			if !busy.TryLock() {
				t.Errorf("%s: two reports at a time", method)
				return
			}
			defer busy.Unlock()
			seen = append(seen, fmt.Sprint(trial))
		}}
		run(t, o, patchy)
		first := slices.Clone(seen)
		seen = nil
		run(t, o, func(context.Context, Trial) (float64, []float64, error) { return 0, nil, errors.New("called again") })
		slices.Sort(first)
		slices.Sort(seen)
		if len(slices.Compact(slices.Clone(first))) != len(first) || !slices.Equal(first, seen) {
			t.Errorf("%s: %d reports, want each evaluation once; %d from the log, want the same", method, len(first), len(seen))
		}
	}
}

func TestValue(t *testing.T) {
	for _, p := range []Parameter{
		{Low: 1e-6, High: 1e-2, Log: true}, {Low: 1e-300, High: 1e300, Log: true}, {Low: 5e-324, High: math.MaxFloat64, Log: true},
		{Low: -3, High: 7}, {Low: -math.MaxFloat64, High: math.MaxFloat64}, {Low: 0, High: 1},
	} {
		last := p.Low
		for i := range 1001 {
			v := p.value(float64(i) / 1000)
			if !(v >= last) || v > p.High {
				t.Errorf("%+v: %v at %d/1000, after %v", p, v, i, last)
			}
			last = v
		}
		if first := p.value(0); math.Abs(first-p.Low) > 1e-12*math.Abs(p.Low) || math.Abs(last-p.High) > 1e-12*math.Abs(p.High) {
			t.Errorf("%+v: goes from %v to %v", p, first, last)
		}
	}
	if v := (Parameter{Low: 1e-6, High: 1e-2, Log: true}).value(0.5); math.Abs(v-1e-4) > 1e-16 {
		t.Errorf("half way from 1e-6 to 1e-2 is %v, want 1e-4", v)
	}
}

func TestOptions(t *testing.T) {
	good := Options{Method: Random, Space: space, Trials: 1, Epochs: 1}
	for _, c := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Method = "grid" }, `search: method "grid", want one of random halving hyperband genetic tpe`},
		{func(o *Options) { o.Method = "" }, `search: method "", want one of random halving hyperband genetic tpe`},
		{func(o *Options) { o.Space = nil }, "search: a space without parameters, want at least one"},
		{func(o *Options) { o.Space = []Parameter{{High: 1}} }, `search: parameter 0 of the space is called "", want a name of its own`},
		{func(o *Options) { o.Space = []Parameter{{Name: "a", High: 1}, {Name: "a", High: 1}} }, `search: parameter 1 of the space is called "a", want a name of its own`},
		{func(o *Options) { o.Space = []Parameter{{Name: "a", Low: 2, High: 1}} }, "search: parameter a from 2 to 1, want finite numbers, the lower first"},
		{func(o *Options) { o.Space = []Parameter{{Name: "a", Low: 1, High: 1}} }, "search: parameter a from 1 to 1, want finite numbers, the lower first"},
		{func(o *Options) { o.Space = []Parameter{{Name: "a", High: math.NaN()}} }, "search: parameter a from 0 to NaN, want finite numbers, the lower first"},
		{func(o *Options) { o.Space = []Parameter{{Name: "a", High: math.Inf(1)}} }, "search: parameter a from 0 to +Inf, want finite numbers, the lower first"},
		{func(o *Options) { o.Space = []Parameter{{Name: "a", Low: math.Inf(-1)}} }, "search: parameter a from -Inf to 0, want finite numbers, the lower first"},
		{func(o *Options) { o.Space = []Parameter{{Name: "a", High: 1, Log: true}} }, "search: parameter a from 0, want more than 0 for a logarithm"},
		{func(o *Options) { o.Trials = 0 }, "search: 0 trials, want at least 1"},
		{func(o *Options) { o.Epochs = -1 }, "search: -1 epochs, want at least 1"},
		{func(o *Options) { o.Trials, o.Epochs = 1<<20, 1<<11 }, "search: 1048576 trials of 2048 epochs, want at most 1073741824 epochs in all"},
		{func(o *Options) { o.Workers = -2 }, "search: -2 workers, want at least 1, or 0 for one on each processor"},
		{func(o *Options) { o.Log = "/no/such/log" }, "search: the lock of the log /no/such/log: "},
	} {
		o := good
		c.change(&o)
		trials, err := Run(t.Context(), o, func(context.Context, Trial) (float64, []float64, error) {
			t.Errorf("%+v: the objective was called", o)
			return 0, nil, nil
		})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || trials != nil {
			t.Errorf("%+v: %d trials and the error %v, want %s", o, len(trials), err, c.want)
		}
	}
}
