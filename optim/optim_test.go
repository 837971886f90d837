package optim_test

import (
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

// commonOptions are the names of those that every rule has.
var commonOptions = []string{"clipnorm", "skipnotfinite", "unchecked", "maximize", "clipvalue", "l1", "l2", "decay", "zerograds"}

// TestNames: the table has a row for each name and no other, in their order, and what
// New makes by a name has it, in its errors too. A constructor's may have another.
func TestNames(t *testing.T) {
	var want []string
	for _, rule := range rules {
		want = append(want, rule.name)
		named, err := optim.New(rule.name, shapes, nil)
		if err != nil {
			t.Fatalf("%s: %v", rule.name, err)
		}
		if got := named.Name(); got != rule.name {
			t.Errorf("%s: by name, Name() = %q", rule.name, got)
		}
		if got := named.State().Rule; got != rule.name {
			t.Errorf("%s: by name, the state is of %q", rule.name, got)
		}
		made := rule.made
		if made == "" {
			made = rule.name
		}
		if got := rule.construct(shapes, nil).Name(); got != made {
			t.Errorf("%s: by constructor, Name() = %q, want %q", rule.name, got, made)
		}
		for _, opt := range []*optim.Rule{named, rule.construct(shapes, nil)} {
			if got, want := opt.Len(), optim.Size(shapes); got != want {
				t.Errorf("%s: Len() = %d, want %d", rule.name, got, want)
			}
		}
	}
	if got := optim.Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %v, the table has %v", got, want)
	}
}

// TestOptionsByName: every option that New takes by name is one of the table's, with a
// default and, but for a flag that makes a name, with another value: none goes untested.
func TestOptionsByName(t *testing.T) {
	for _, rule := range rules {
		_, err := optim.New(rule.name, shapes, values{"?": 1})
		if err == nil {
			t.Fatalf("%s: no error for an unknown option", rule.name)
		}
		_, list, _ := strings.Cut(err.Error(), "want one of ")
		got := slices.Sorted(slices.Values(strings.Split(list, ", ")))
		want := slices.Compact(slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(rule.defaults)), commonOptions...))))
		if !slices.Equal(got, want) {
			t.Errorf("%s: options %v, the table has %v", rule.name, got, want)
		}
		for name, value := range rule.defaults {
			tried := slices.ContainsFunc(rule.others, func(o values) bool { v, ok := o[name]; return ok && v != value })
			if !tried && name != rule.name {
				t.Errorf("%s: the table has no other value of %s than %v", rule.name, name, value)
			}
		}
	}
}

// TestNewErrors: what comes from outside is refused with what is valid.
func TestNewErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, test := range []struct {
		name    string
		options values
		want    string
	}{
		{"adamm", nil, `optim: unknown optimizer "adamm", want one of ` + strings.Join(optim.Names(), ", ")},
		{"", nil, `optim: unknown optimizer "", want one of sgd, momentum`},
		{"groups", nil, `optim: unknown optimizer "groups", want one of sgd, momentum`},
		{"sgd", values{"momentum": 0.9}, `optim: sgd: unknown option "momentum", want one of lr, ` + strings.Join(commonOptions, ", ")},
		{"adam", values{"LR": 1}, `optim: adam: unknown option "LR", want one of lr, beta1, beta2, eps, ` + strings.Join(commonOptions, ", ")},
		{"amsgrad", values{"lr": 1, "beta2": 1}, "optim: amsgrad: beta2 = 1, want above 0 and below 1"},
		{"rmsprop", values{"rho": 0}, "optim: rmsprop: rho = 0, want above 0 and below 1"},
		{"momentum", values{"momentum": nan}, "optim: momentum: momentum = NaN, want above 0 and below 1"},
		{"adagrad", values{"lr": -0.1}, "optim: adagrad: lr = -0.1, want above 0 and below 3.4028234663852886e+38"},
		{"adagrad", values{"initial": -1}, "optim: adagrad: initial = -1, want 0 or more, below 3.4028234663852886e+38"},
		{"nesterov", values{"lr": inf}, "optim: nesterov: lr = +Inf, want above 0"},
		{"torch-adagrad", values{"eps": nan}, "optim: torch-adagrad: eps = NaN, want above 0"},
		{"torch-sgd", values{"momentum": 1}, "optim: torch-sgd: momentum = 1, want 0 or more, below 1"},
		{"torch-sgd", values{"momentum": 0.9, "dampening": 0.1, "nesterov": 1}, "optim: torch-sgd: dampening = 0.1, want 0 or more, below 0"},
		{"torch-rmsprop", values{"centered": 2}, "optim: torch-rmsprop: centered = 2, want 0 or 1"},
		{"sgd", values{"l2": -1}, "optim: sgd: l2 = -1, want 0 or more, below 3.4028234663852886e+38"},
		{"adam", values{"l1": nan}, "optim: adam: l1 = NaN, want 0 or more"},
		{"adam", values{"clipvalue": inf}, "optim: adam: clipvalue = +Inf, want 0 or more"},
		{"adam", values{"clipnorm": -1}, "optim: adam: clipnorm = -1, want 0 or more"},
		{"adam", values{"unchecked": nan}, "optim: adam: unchecked = NaN, want 0 or 1"},
		{"adam", values{"skipnotfinite": -1}, "optim: adam: skipnotfinite = -1, want 0 or 1"},
		{"adam", values{"decay": 1000}, "optim: adam: decay = 1000, want 0 or more, below 1000"},
		{"adam", values{"decay": 3, "lr": 0.5}, "optim: adam: decay = 3, want 0 or more, below 2"},
		{"adamw", values{"decay": 0}, "optim: adamw: decay = 0, want above 0 and below 1000"},
		{"momentum", values{"maximize": 0.5}, "optim: momentum: maximize = 0.5, want 0 or 1"},
		{"rprop", values{"etaplus": 1}, "optim: rprop: etaplus = 1, want above 1 and below"},
		{"rprop", values{"minstep": 51}, "optim: rprop: minstep = 51, want above 0 and below 50"},
		{"rprop", values{"minstep": 0.2, "maxstep": 0.1}, "optim: rprop: minstep = 0.2, want above 0 and below 0.1"},
		{"asgd", values{"lr": 0.5, "lambda": 2}, "optim: asgd: lambda = 2, want above 0 and below 2"},
		{"muon", values{"steps": 2.5}, "optim: muon: steps = 2.5, want a whole number"},
		{"muon", values{"steps": nan}, "optim: muon: steps = NaN, want a whole number"},
		{"muon", values{"steps": 0}, "optim: muon: steps = 0, want at least 1"},
		{"muon", values{"steps": -3}, "optim: muon: steps = -3, want at least 1"},
		{"muon", values{"adamlr": 0.5, "decay": 2}, "optim: muon: decay = 2, want above 0 and below 2"},
	} {
		opt, err := optim.New(test.name, shapes, test.options)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%q, %v): error %v, want %s", test.name, test.options, err, test.want)
		}
		if opt != nil {
			t.Errorf("New(%q, %v) returned an optimizer besides an error", test.name, test.options)
		}
	}
}

// TestPanics: a mistake in the program panics, and a refused step changes nothing, not
// even the count of steps.
func TestPanics(t *testing.T) {
	for _, test := range []struct {
		do   func()
		want string
	}{
		{func() { optim.NewSGD(-1, optim.SGDOptions{}) }, "optim.NewSGD: n = -1, want at least 0"},
		{func() { optim.NewSGD(1, optim.SGDOptions{LR: 0.5, Common: optim.Common{Decay: 2}}) }, "optim.NewSGD: option decay = 2, want 0 or more, below 2"},
		{func() { optim.NewMomentum(-1, optim.MomentumOptions{}) }, "optim.NewMomentum: n = -1"},
		{func() { optim.NewNesterov(1, optim.NesterovOptions{LR: math.NaN()}) }, "optim.NewNesterov: option lr = NaN"},
		{func() { optim.NewAdaGrad(1, optim.AdaGradOptions{Eps: -1}) }, "optim.NewAdaGrad: option eps = -1"},
		{func() { optim.NewRMSprop(1, optim.RMSpropOptions{Rho: 1}) }, "optim.NewRMSprop: option rho = 1"},
		{func() { optim.NewAdam(1, optim.AdamOptions{Beta1: 1.5}) }, "optim.NewAdam: option beta1 = 1.5, want above 0 and below 1"},
		{func() { optim.NewTorchSGD(1, optim.TorchSGDOptions{Momentum: 0.9, Dampening: 0.5, Nesterov: true}) }, "optim.NewTorchSGD: option dampening = 0.5, want 0 or more, below 0"},
		{func() { optim.NewTorchRMSprop(1, optim.TorchRMSpropOptions{Momentum: -1}) }, "optim.NewTorchRMSprop: option momentum = -1"},
		{func() { optim.NewTorchAdam(1, optim.TorchAdamOptions{Beta2: 1}) }, "optim.NewTorchAdam: option beta2 = 1"},
		{func() { optim.NewAdamW(1, optim.AdamWOptions{Common: optim.Common{Decay: 1000}}) }, "optim.NewAdamW: option decay = 1000, want above 0 and below 1000"},
		{func() { optim.NewAdadelta(-2, optim.AdadeltaOptions{}) }, "optim.NewAdadelta: n = -2"},
		{func() { optim.NewAdamax(1, optim.AdamaxOptions{Eps: -1}) }, "optim.NewAdamax: option eps = -1"},
		{func() { optim.NewNAdam(1, optim.NAdamOptions{MomentumDecay: -1}) }, "optim.NewNAdam: option momentumdecay = -1"},
		{func() { optim.NewRAdam(1, optim.RAdamOptions{Beta1: -1}) }, "optim.NewRAdam: option beta1 = -1"},
		{func() { optim.NewRprop(1, optim.RpropOptions{MinStep: 60}) }, "optim.NewRprop: option minstep = 60, want above 0 and below 50"},
		{func() { optim.NewASGD(1, optim.ASGDOptions{Lambda: 100}) }, "optim.NewASGD: option lambda = 100, want above 0 and below 100"},
		{func() { optim.NewLion(1, optim.LionOptions{Beta2: 2}) }, "optim.NewLion: option beta2 = 2"},
		{func() { optim.NewLAMB(optim.Vector(1), optim.LAMBOptions{Lambda: -1}) }, "optim.NewLAMB: option lambda = -1"},
		{func() { optim.NewLARS(optim.Vector(1), optim.LARSOptions{Trust: -1}) }, "optim.NewLARS: option trust = -1"},
		{func() { optim.NewAdafactor(optim.Vector(1), optim.AdafactorOptions{Clip: math.Inf(1)}) }, "optim.NewAdafactor: option clip = +Inf"},
		{func() { optim.NewMuon(optim.Vector(1), optim.MuonOptions{Steps: -1}) }, "optim.NewMuon: option steps = -1, want at least 1"},
		{func() { optim.NewLookahead(1, nil, optim.LookaheadOptions{K: -1}) }, "optim.NewLookahead: option k = -1, want at least 1"},
		{func() { optim.NewLookahead(1, nil, optim.LookaheadOptions{Alpha: 1.01}) }, "optim.NewLookahead: option alpha = 1.01, want above 0 and below"},
		{func() { optim.NewLookahead(-1, nil, optim.LookaheadOptions{}) }, "optim.NewLookahead: n = -1"},
		{func() { optim.NewEMA(-1, 0.5) }, "optim.NewEMA: n = -1"},
		{func() { optim.NewEMA(1, 1) }, "optim.NewEMA: decay = 1, want above 0 and below 1"},
		{func() { optim.NewEMA(1, math.NaN()) }, "optim.NewEMA: decay = NaN, want above 0 and below 1"},
		{func() { optim.NewSWA(-1) }, "optim.NewSWA: n = -1"},
		{func() { optim.NewSWA(3).Update(make([]float32, 2)) }, "optim: swa.Update: len(params) = 2, want the n = 3"},
		{func() { optim.NewEMA(3, 0.5).Update(make([]float32, 4)) }, "optim: ema.Update: len(params) = 4, want the n = 3"},
	} {
		wantPanic(t, test.want, test.do)
	}

	for _, m := range makers() {
		refused, untouched := m.make(), m.make()
		n := optim.Size(shapes)
		p, g := ramp(n), ramp(n)
		q := slices.Clone(p)
		wantPanic(t, fmt.Sprintf("len(params) = %d", n-1), func() { _ = refused.Step(p[:n-1], g) })
		wantPanic(t, fmt.Sprintf("len(grads) = %d, want the n = %d", n-1, n), func() { _ = refused.Step(p, g[:n-1]) })
		wantPanic(t, "share", func() { _ = refused.Step(p, p) })
		both := make([]float32, 2*len(p)-1)
		wantPanic(t, "share 1 elements", func() { _ = refused.Step(both[:len(p)], both[len(p)-1:]) })
		wantPanic(t, "share 1 elements", func() { _ = refused.Step(both[len(p)-1:], both[:len(p)]) })
		step(t, m.name, refused, p, g)
		step(t, m.name, untouched, q, g)
		if i := differ(p, q); i >= 0 {
			t.Errorf("%s: element %d is %v after refused steps, without them %v", m.name, i, p[i], q[i])
		}
		wantSame(t, m.name+": after refused steps", refused.State(), untouched.State())
	}
}

// step wants a step to do without an error.
func step(t *testing.T, name string, opt optim.Optimizer, params, grads []float32, limit ...kernels.Threads) {
	t.Helper()
	if err := opt.Step(params, grads, limit...); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// ramp is 1, 2, 3, …
func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i + 1)
	}
	return x
}

func wantPanic(t *testing.T, want string, do func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
			t.Errorf("panic %s, want %s", got, want)
		}
	}()
	do()
}

// TestLR: the rate is the default, the one asked for, or the one set last.
func TestLR(t *testing.T) {
	for _, rule := range rules {
		for _, given := range rule.sets() {
			o := rule.with(given)
			opt, err := optim.New(rule.name, optim.Vector(1), given)
			if err != nil {
				t.Fatal(err)
			}
			if got := opt.LR(); got != o["lr"] {
				t.Errorf("%s %v: LR() = %v, want %v", rule.name, given, got, o["lr"])
			}
			opt.SetLR(0)
			p := []float32{3}
			step(t, rule.name, opt, p, []float32{2})
			// Rprop has a shortest step.
			if want := 3 - float32(o["minstep"]); p[0] != want {
				t.Errorf("%s %v: a step with a rate of 0 goes from 3 to %v, want %v", rule.name, given, p[0], want)
			}
			opt.SetLR(0.125)
			if got := opt.LR(); got != 0.125 {
				t.Errorf("%s: LR() = %v after SetLR(0.125)", rule.name, got)
			}
			decay := o["decay"]
			switch rule.name {
			case "asgd":
				decay = o["lambda"]
			case "muon":
				decay = max(decay, decay*(o["adamlr"]/o["lr"]))
			}
			for _, lr := range []float64{-1, math.NaN(), math.Inf(1), 1e39} {
				wantPanic(t, fmt.Sprintf("optim: %s.SetLR: lr = %v and decay = %v, want lr from 0 to", rule.name, lr, decay), func() { opt.SetLR(lr) })
			}
			if got := opt.LR(); got != 0.125 {
				t.Errorf("%s: LR() = %v after refused rates", rule.name, got)
			}
		}
	}
	decaying := optim.NewAdam(1, optim.AdamOptions{Common: optim.Common{Decay: 2}})
	wantPanic(t, "optim: adam.SetLR: lr = 0.5 and decay = 2, want lr from 0", func() { decaying.SetLR(0.5) })
	decaying.SetLR(0.49)

	// What else shrinks the parameters: the decay at AdamW's rate, and ASGD's λ.
	muon := optim.NewMuon(shapes, optim.MuonOptions{LR: 0.001, AdamLR: 0.008, Common: optim.Common{Decay: 1}})
	wantPanic(t, "optim: muon.SetLR: lr = 0.125 and decay = 8, want lr from 0", func() { muon.SetLR(0.125) })
	muon.SetLR(0.124)
	asgd := optim.NewASGD(1, optim.ASGDOptions{Lambda: 2})
	wantPanic(t, "optim: asgd.SetLR: lr = 0.5 and decay = 2, want lr from 0", func() { asgd.SetLR(0.5) })
	asgd.SetLR(0.49)
}

// TestRpropLR: the rate is where Rprop's steps start, and no more.
func TestRpropLR(t *testing.T) {
	opt := optim.NewRprop(1, optim.RpropOptions{})
	opt.SetLR(0.25)
	p := []float32{3}
	step(t, "first", opt, p, []float32{2})
	opt.SetLR(0.5)
	step(t, "second", opt, p, []float32{2})
	if want := float32(3) - 0.25 - float32(0.25*float32(1.2)); p[0] != want {
		t.Errorf("from 3 to %v, want %v", p[0], want)
	}
}

// TestAllocations: a step allocates nothing, the limit of threads included, given as a
// slice or as an argument. A collection would empty the pools of kernels.
func TestAllocations(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	layout := []optim.Tensor{{Rows: 4, Cols: 5000}, {Rows: 1, Cols: 7}, {Rows: 3, Cols: 5, Outer: true}} // longer than a block
	n := optim.Size(layout)
	params, grads := make([]float32, n), make([]float32, n)
	want := func(name, how string, do func()) {
		t.Helper()
		if allocs := testing.AllocsPerRun(5, do); allocs != 0 {
			t.Errorf("%s, %s: %v allocations a step", name, how, allocs)
		}
	}
	slices := [][]kernels.Threads{nil, {1}, {2}}
	for _, name := range optim.Names() {
		for _, options := range []values{nil, {"clipnorm": 1, "decay": 0.1, "l1": 0.1, "maximize": 1, "zerograds": 1}} {
			opt, err := optim.New(name, layout, options)
			if err != nil {
				t.Fatal(err)
			}
			for _, limit := range slices {
				want(name, fmt.Sprint("threads ", limit), func() { _ = opt.Step(params, grads, limit...) })
			}
			want(name, "one thread, literally", func() { _ = opt.Step(params, grads, 1) })
			want(name, "two threads, literally", func() { _ = opt.Step(params, grads, 2) })
		}
	}
	groups := optim.Spare(optim.Guard{ClipNorm: 1}, layout, func(l []optim.Tensor, spared bool) *optim.Rule {
		if spared {
			return optim.NewAdamW(optim.Size(l), optim.AdamWOptions{})
		}
		return optim.NewMuon(l, optim.MuonOptions{})
	})
	lookahead := optim.NewLookahead(n, optim.NewLion(n, optim.LionOptions{}), optim.LookaheadOptions{K: 2})
	ema, swa := optim.NewEMA(n, 0.9), optim.NewSWA(n)
	for _, limit := range slices {
		how := fmt.Sprint("threads ", limit)
		want("groups", how, func() { _ = groups.Step(params, grads, limit...) })
		want("lookahead", how, func() { _ = lookahead.Step(params, grads, limit...) })
		want("ema", how, func() { ema.Update(params, limit...) })
		want("swa", how, func() { swa.Update(params, limit...) })
	}
	want("groups", "literally", func() { _ = groups.Step(params, grads, 2) })
	want("lookahead", "literally", func() { _ = lookahead.Step(params, grads, 2) })
	want("ema", "literally", func() { ema.Update(params, 2) })
	want("swa", "literally", func() { swa.Update(params, 1) })
}
