package optim_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/optim"
)

// maker makes an optimizer for the layout shapes, always the same.
type maker struct {
	name string
	make func() optim.Optimizer
}

// makers are for all rules with all of their sets of options, with Groups and with
// Lookahead.
func makers() []maker {
	var list []maker
	for _, rule := range rules {
		for _, given := range rule.sets() {
			list = append(list, maker{fmt.Sprintf("%s %v", rule.name, given), func() optim.Optimizer { return mustNew(rule.name, shapes, given) }})
		}
	}
	n := optim.Size(shapes)
	return append(list,
		maker{"groups", func() optim.Optimizer { return spare(optim.Guard{}) }},
		maker{"groups with a guard", func() optim.Optimizer { return spare(optim.Guard{ClipNorm: 1}) }},
		maker{"lookahead", func() optim.Optimizer {
			return optim.NewLookahead(n, mustNew("nadam", shapes, nil), optim.LookaheadOptions{K: 3})
		}},
		maker{"lookahead of groups", func() optim.Optimizer {
			return optim.NewLookahead(n, spare(optim.Guard{}), optim.LookaheadOptions{K: 2, Alpha: 0.8})
		}},
	)
}

// mustNew is New with options that are known to be right.
func mustNew(name string, layout []optim.Tensor, options values) *optim.Rule {
	r, err := optim.New(name, layout, options)
	if err != nil {
		panic(err)
	}
	return r
}

// spare is Muon for the weights of shapes and NAdam for the rest.
func spare(guard optim.Guard) *optim.Groups {
	return optim.Spare(guard, shapes, func(layout []optim.Tensor, spared bool) *optim.Rule {
		if spared {
			return mustNew("nadam", layout, nil)
		}
		return mustNew("muon", layout, nil)
	})
}

// cloneState copies a state with its vectors.
func cloneState(s optim.State) optim.State {
	s.Numbers, s.Vectors, s.Parts = maps.Clone(s.Numbers), maps.Clone(s.Vectors), slices.Clone(s.Parts)
	for name, x := range s.Vectors {
		s.Vectors[name] = slices.Clone(x)
	}
	for i, part := range s.Parts {
		s.Parts[i] = cloneState(part)
	}
	return s
}

// wantSame wants two states to be the same to the bit.
func wantSame(t *testing.T, what string, got, want optim.State) {
	t.Helper()
	switch {
	case got.Rule != want.Rule || got.Version != want.Version || got.Steps != want.Steps || got.LR != want.LR:
		t.Errorf("%s: state of %s, version %d, %d steps, LR %v, want %s, %d, %d and %v", what,
			got.Rule, got.Version, got.Steps, got.LR, want.Rule, want.Version, want.Steps, want.LR)
	case !maps.Equal(got.Numbers, want.Numbers):
		t.Errorf("%s: numbers %v, want %v", what, got.Numbers, want.Numbers)
	case len(got.Vectors) != len(want.Vectors) || len(got.Parts) != len(want.Parts):
		t.Errorf("%s: %d vectors and %d parts, want %d and %d", what, len(got.Vectors), len(got.Parts), len(want.Vectors), len(want.Parts))
	default:
		for name, x := range want.Vectors {
			if y := got.Vectors[name]; len(x) != len(y) {
				t.Errorf("%s: vector %s has %d elements, want %d", what, name, len(y), len(x))
			} else if i := differ(y, x); i >= 0 {
				t.Errorf("%s: element %d of vector %s is %v, want %v", what, i, name, y[i], x[i])
			}
		}
		for i := range want.Parts {
			wantSame(t, fmt.Sprintf("%s: part %d", what, i), got.Parts[i], want.Parts[i])
		}
	}
}

// train takes the steps from first to last, with gradients that go by the number; the
// fifth comes after a change of the learning rate.
func train(t *testing.T, name string, opt optim.Optimizer, p []float32, first, last int) {
	t.Helper()
	for i := first; i <= last; i++ {
		if i == 5 {
			opt.SetLR(opt.LR() / 2)
		}
		step(t, name, opt, p, normals(rand.New(rand.NewPCG(11, uint64(i))), len(p)))
	}
}

// TestStateResume exports the state after each step and goes on from it with another
// optimizer of the same options, which has done other things before: the bits, and the
// state, are as if nothing had stopped.
func TestStateResume(t *testing.T) {
	const last = 8
	for _, m := range makers() {
		opt, p := m.make(), normals(rand.New(rand.NewPCG(12, 13)), optim.Size(shapes))
		var states []optim.State
		var params [][]float32
		for i := 0; ; i++ {
			states, params = append(states, cloneState(opt.State())), append(params, slices.Clone(p))
			if i == last {
				break
			}
			train(t, m.name, opt, p, i+1, i+1)
		}
		for stop, state := range states {
			name := fmt.Sprintf("%s: from step %d", m.name, stop)
			kept := cloneState(state)
			again, q := m.make(), slices.Clone(params[stop])
			train(t, name, again, slices.Clone(q), 100, 102)
			mustSet(t, name, again, state)
			wantSame(t, name+", after SetState", again.State(), kept)
			train(t, name, again, q, stop+1, last)
			if i := differ(q, p); i >= 0 {
				t.Errorf("%s: element %d ends as %v, without a stop %v", name, i, q[i], p[i])
			}
			wantSame(t, name+", at the end", again.State(), opt.State())
			wantSame(t, name+", the state that was given", state, kept)
		}
	}
}

func mustSet(t *testing.T, name string, opt interface{ SetState(optim.State) error }, s optim.State) {
	t.Helper()
	if err := opt.SetState(s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestStateOwn: the state's vectors are the optimizer's own, and its own state can be
// set.
func TestStateOwn(t *testing.T) {
	opt := optim.NewMomentum(1, optim.MomentumOptions{LR: 0.5})
	s := opt.State()
	step(t, "momentum", opt, []float32{0}, []float32{3})
	if got := s.Vectors["v"][0]; got != -1.5 {
		t.Errorf("v = %v in a state from before the step, want -1.5", got)
	}
	s.Vectors["v"][0] = 4
	p := []float32{0}
	step(t, "momentum", opt, p, []float32{0})
	if want := float32(float32(0.9) * 4); p[0] != want {
		t.Errorf("p = %v after a change of v, want %v", p[0], want)
	}
	want := cloneState(opt.State())
	mustSet(t, "momentum", opt, opt.State())
	wantSame(t, "its own state", opt.State(), want)
}

// TestStateContents: what a state has of each rule, by name.
func TestStateContents(t *testing.T) {
	n := optim.Size(shapes)
	for _, rule := range rules {
		for _, given := range rule.sets() {
			opt, err := optim.New(rule.name, shapes, given)
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%s %v", rule.name, given)
			o := rule.with(given)
			want := map[string]int{}
			for _, v := range rule.state {
				want[v] = n
			}
			switch rule.name {
			case "torch-sgd":
				if o["momentum"] == 0 {
					delete(want, "v")
				}
			case "torch-rmsprop":
				if o["momentum"] == 0 {
					delete(want, "v")
				}
				if o["centered"] == 0 {
					delete(want, "m")
				}
			case "torch-adam", "adamw":
				if o["amsgrad"] == 0 {
					delete(want, "top")
				}
			case "muon":
				want["v"] = 0
			case "adafactor":
				want["squares"] = 0
			}
			each(shapes, func(_ int, tensor optim.Tensor, lo, hi int) {
				switch {
				case rule.name == "muon" && (tensor.Outer || tensor.Rows == 1 || tensor.Cols == 1):
					want["v"] += hi - lo
				case rule.name == "adafactor" && tensor.Rows == 1:
					want["squares"] += tensor.Cols
				case rule.name == "adafactor" && hi > lo:
					want["squares"] += tensor.Rows + tensor.Cols
				}
			})
			s := opt.State()
			got := map[string]int{}
			for name, x := range s.Vectors {
				got[name] = len(x)
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s: lengths of the vectors %v, want %v", name, got, want)
			}
			var numbers values
			if rule.name == "nadam" {
				numbers = values{"product": 1}
			}
			if !maps.Equal(s.Numbers, numbers) {
				t.Errorf("%s: numbers %v, want %v", name, s.Numbers, numbers)
			}
			if s.Rule != rule.name || s.Version != 1 || s.Steps != 0 || s.LR != o["lr"] || len(s.Parts) != 0 {
				t.Errorf("%s: state %+v", name, s)
			}
		}
	}
}

// TestStateRefused: a state that does not fit is an error that says what was wanted, and
// changes nothing.
func TestStateRefused(t *testing.T) {
	n := optim.Size(shapes)
	tooLong := func(s *optim.State, name string) {
		s.Vectors[name] = append(s.Vectors[name], 1)
	}
	for _, test := range []struct {
		name   string
		change func(s *optim.State)
		want   string
	}{
		{"adam", func(s *optim.State) { s.Rule = "adamw" }, `optim: adam: state of "adamw", want one of "adam"`},
		{"adam", func(s *optim.State) { *s = optim.State{} }, `optim: adam: state of "", want one of "adam"`},
		{"adam", func(s *optim.State) { s.Version = 2 }, "optim: adam: state: version 2, want 1"},
		{"adam", func(s *optim.State) { s.Version = 0 }, "optim: adam: state: version 0, want 1"},
		{"adam", func(s *optim.State) { s.Steps = -1 }, "optim: adam: state: -1 steps, want at least 0"},
		{"adam", func(s *optim.State) { s.LR = -1 }, "optim: adam: state: LR = -1, want from 0 to 3.4028234663852886e+38"},
		{"adam", func(s *optim.State) { s.LR = math.NaN() }, "optim: adam: state: LR = NaN, want from 0 to"},
		{"adam", func(s *optim.State) { s.LR = math.Inf(1) }, "optim: adam: state: LR = +Inf, want from 0 to"},
		{"adamw", func(s *optim.State) { s.LR = 100 }, "optim: adamw: state: LR = 100, want from 0 to 3.4028234663852886e+38, and below 1 times the decay of 0.01"},
		{"adam", func(s *optim.State) { delete(s.Vectors, "v") }, "optim: adam: state: vectors m, want m, v"},
		{"adam", func(s *optim.State) { s.Vectors = nil }, "optim: adam: state: vectors none, want m, v"},
		{"adam", func(s *optim.State) { s.Vectors["top"] = make([]float32, n) }, "optim: adam: state: vectors m, top, v, want m, v"},
		{"sgd", func(s *optim.State) { s.Vectors["v"] = nil }, "optim: sgd: state: vectors v, want none"},
		{"adam", func(s *optim.State) { s.Vectors["m"] = s.Vectors["m"][:n-1] }, fmt.Sprintf(`optim: adam: state: vector "m" has %d elements, want %d`, n-1, n)},
		{"adam", func(s *optim.State) { tooLong(s, "v") }, fmt.Sprintf(`optim: adam: state: vector "v" has %d elements, want %d`, n+1, n)},
		{"adam", func(s *optim.State) { s.Numbers = values{"product": 1} }, "optim: adam: state: numbers product, want none"},
		{"adam", func(s *optim.State) { s.Parts = []optim.State{{}} }, "optim: adam: state: 1 parts, want 0"},
		{"nadam", func(s *optim.State) { s.Numbers = nil }, "optim: nadam: state: numbers none, want product"},
		{"nadam", func(s *optim.State) { s.Numbers["mu"] = 1 }, "optim: nadam: state: numbers mu, product, want product"},
		{"nadam", func(s *optim.State) { s.Numbers["product"] = math.NaN() }, "optim: nadam: state: product = NaN, want a finite number"},
		{"nadam", func(s *optim.State) { s.Numbers["product"] = math.Inf(-1) }, "optim: nadam: state: product = -Inf, want a finite number"},
		{"muon", func(s *optim.State) { tooLong(s, "v") }, `optim: muon: state: vector "v" has `},
		{"adafactor", func(s *optim.State) { s.Vectors["squares"] = s.Vectors["squares"][1:] }, `optim: adafactor: state: vector "squares" has `},

		{"groups", func(s *optim.State) { s.Rule = "lookahead" }, `optim: groups: state of "lookahead", want one of "groups"`},
		{"groups", func(s *optim.State) { s.Version = 7 }, "optim: groups: state: version 7, want 1"},
		{"groups", func(s *optim.State) { s.Parts = s.Parts[1:] }, "optim: groups: state: 10 parts, want 11"},
		{"groups", func(s *optim.State) { s.Parts = append(s.Parts, s.Parts[0]) }, "optim: groups: state: 12 parts, want 11"},
		{"groups", func(s *optim.State) { tooLong(&s.Parts[10], "m") }, `optim: groups: part 11 of 11: optim: muon: state: vector "m" has`},
		{"groups", func(s *optim.State) { s.Parts[1].Numbers = nil }, "optim: groups: part 2 of 11: optim: nadam: state: numbers none, want product"},
		{"groups", func(s *optim.State) { s.Parts[0], s.Parts[1] = s.Parts[1], s.Parts[0] }, `optim: groups: part 1 of 11: optim: muon: state of "nadam"`},
		{"groups", func(s *optim.State) { s.Vectors = map[string][]float32{"m": nil} }, "optim: groups: state: vectors m, want none"},
		{"groups", func(s *optim.State) { s.Numbers = values{"product": 1} }, "optim: groups: state: numbers product, want none"},

		{"lookahead", func(s *optim.State) { s.Rule = "nadam" }, `optim: lookahead: state of "nadam", want one of "lookahead"`},
		{"lookahead", func(s *optim.State) { s.Steps = -2 }, "optim: lookahead: state: -2 steps, want at least 0"},
		{"lookahead", func(s *optim.State) { s.Parts = nil }, "optim: lookahead: state: 0 parts, want 1"},
		{"lookahead", func(s *optim.State) { s.Vectors = nil }, "optim: lookahead: state: vectors none, want slow"},
		{"lookahead", func(s *optim.State) { tooLong(s, "slow") }, fmt.Sprintf(`optim: lookahead: state: vector "slow" has %d elements, want %d`, n+1, n)},
		{"lookahead", func(s *optim.State) { tooLong(&s.Parts[0], "m") }, `optim: lookahead: optim: nadam: state: vector "m" has`},
		{"lookahead", func(s *optim.State) { s.Numbers = values{"product": 1} }, "optim: lookahead: state: numbers product, want none"},

		{"ema", func(s *optim.State) { s.Rule = "swa" }, `optim: ema: state of "swa", want one of "ema"`},
		{"swa", func(s *optim.State) { s.Steps = -1 }, "optim: swa: state: -1 steps, want at least 0"},
		{"swa", func(s *optim.State) { s.Version = 3 }, "optim: swa: state: version 3, want 1"},
		{"swa", func(s *optim.State) { s.Vectors["slow"] = nil }, "optim: swa: state: vectors mean, slow, want mean"},
		{"ema", func(s *optim.State) { s.Vectors["mean"] = nil }, fmt.Sprintf(`optim: ema: state: vector "mean" has 0 elements, want %d`, n)},
		{"ema", func(s *optim.State) { s.Parts = []optim.State{{}} }, "optim: ema: state: 1 parts, want 0"},
		{"ema", func(s *optim.State) { s.Numbers = values{"product": 1} }, "optim: ema: state: numbers product, want none"},
	} {
		var opt interface {
			State() optim.State
			SetState(optim.State) error
		}
		p := normals(rand.New(rand.NewPCG(14, 15)), n)
		switch test.name {
		case "ema", "swa":
			a := optim.NewSWA(n)
			if test.name == "ema" {
				a = optim.NewEMA(n, 0.9)
			}
			a.Update(p)
			opt = a
		default:
			var o optim.Optimizer
			switch test.name {
			case "groups":
				o = spare(optim.Guard{})
			case "lookahead":
				o = optim.NewLookahead(n, mustNew("nadam", shapes, nil), optim.LookaheadOptions{K: 3})
			default:
				o = mustNew(test.name, shapes, nil)
			}
			train(t, test.name, o, p, 1, 2)
			opt = o
		}
		before, other := cloneState(opt.State()), cloneState(opt.State())
		// So that any part that is taken over shows.
		other.Steps++
		for _, x := range other.Vectors {
			clear(x)
		}
		for _, part := range other.Parts {
			for _, x := range part.Vectors {
				clear(x)
			}
		}
		test.change(&other)
		if err := opt.SetState(other); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", test.name, err, test.want)
		}
		wantSame(t, test.name+": after a refused state ("+test.want+")", opt.State(), before)
	}
}

// TestAverageResume: a mean goes on from its state as if it had not stopped.
func TestAverageResume(t *testing.T) {
	const n, last = 67, 6
	for _, m := range []struct {
		name string
		make func() *optim.Average
	}{
		{"ema", func() *optim.Average { return optim.NewEMA(n, 0.7) }},
		{"swa", func() *optim.Average { return optim.NewSWA(n) }},
	} {
		whole := m.make()
		for stop := range last {
			again := m.make()
			again.Update(normals(rand.New(rand.NewPCG(16, 99)), n)) // which has to be forgotten
			mustSet(t, m.name, again, whole.State())
			wantSame(t, m.name+": after SetState", again.State(), whole.State())
			w := normals(rand.New(rand.NewPCG(16, uint64(stop))), n)
			whole.Update(w)
			again.Update(w)
			wantSame(t, fmt.Sprintf("%s: after update %d", m.name, stop+1), again.State(), whole.State())
		}
		if got := whole.State(); got.Rule != m.name || got.Steps != last || differ(got.Vectors["mean"], whole.Params()) >= 0 {
			t.Errorf("%s: state of %s after %d updates, want %s after %d, with Params as the vector mean", m.name, got.Rule, got.Steps, m.name, last)
		}
	}
}
