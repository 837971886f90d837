package optim_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

// TestGroups: the parts step as separate rules on parts of the vectors do, on any number
// of threads.
func TestGroups(t *testing.T) {
	matrix := []optim.Tensor{{Rows: 5, Cols: 4}}
	rules := func() []*optim.Rule {
		return []*optim.Rule{
			optim.NewMuon(matrix, optim.MuonOptions{}),
			optim.NewAdam(7, optim.AdamOptions{LR: 0.1, Common: optim.Common{Maximize: true, L2: 0.1}}),
			optim.NewSGD(0, optim.SGDOptions{}),
			optim.NewAdafactor(optim.Vector(3), optim.AdafactorOptions{}),
			optim.NewSGD(1, optim.SGDOptions{}),
			optim.NewLion(1<<14+3, optim.LionOptions{Common: optim.Common{Decay: 0.1}}),
		}
	}
	groups, alone := optim.NewGroups(optim.Guard{}, rules()...), rules()
	n := 0
	for _, r := range alone {
		n += r.Len()
	}
	rng := rand.New(rand.NewPCG(19, 20))
	p := normals(rng, n)
	q := slices.Clone(p)
	for i := range 5 {
		grads := normals(rng, n)
		rest, ready := q, slices.Clone(grads)
		step(t, "groups", groups, p, grads, kernels.Threads(1+i%3))
		for _, r := range alone {
			step(t, r.Name(), r, rest[:r.Len()], ready[:r.Len()])
			rest, ready = rest[r.Len():], ready[r.Len():]
		}
		if j := differ(p, q); j >= 0 {
			t.Fatalf("step %d, element %d: %v, want %v", i+1, j, p[j], q[j])
		}
	}
	s := groups.State()
	if len(s.Parts) != len(alone) {
		t.Fatalf("%d parts in the state, want %d", len(s.Parts), len(alone))
	}
	for i, r := range alone {
		wantSame(t, fmt.Sprintf("part %d", i), s.Parts[i], r.State())
	}
	if got := groups.Name(); got != "groups" {
		t.Errorf("Name() = %q", got)
	}
}

// TestGroupsLR: the rates keep the proportions that the rules were made with, also after
// a rate of 0.
func TestGroupsLR(t *testing.T) {
	rules := []*optim.Rule{
		optim.NewSGD(1, optim.SGDOptions{LR: 0.1}),
		optim.NewMomentum(1, optim.MomentumOptions{LR: 0.4}),
		optim.NewAdam(1, optim.AdamOptions{LR: 0.025}),
	}
	g := optim.NewGroups(optim.Guard{}, rules...)
	if got := g.LR(); got != 0.1 {
		t.Errorf("LR() = %v, want the first rule's, 0.1", got)
	}
	for _, lr := range []float64{0.5, 0, 3, 0.1} {
		g.SetLR(lr)
		if got := g.LR(); got != lr {
			t.Errorf("LR() = %v after SetLR(%v)", got, lr)
		}
		for i, want := range []float64{lr, 4 * lr, lr / 4} {
			if got := rules[i].LR(); math.Abs(got-want) > 1e-15*want {
				t.Errorf("rule %d has the rate %v after SetLR(%v), want %v", i, got, lr, want)
			}
		}
	}

	// What one of the rules refuses changes none.
	g = optim.NewGroups(optim.Guard{},
		optim.NewSGD(1, optim.SGDOptions{LR: 0.1}),
		optim.NewSGD(1, optim.SGDOptions{LR: 0.4, Common: optim.Common{Decay: 1}}))
	wantPanic(t, "optim: sgd.SetLR: lr = 1.6 and decay = 1", func() { g.SetLR(0.4) })
	if got := g.LR(); got != 0.1 {
		t.Errorf("LR() = %v after a refused rate, want 0.1", got)
	}
}

// TestSpare: weights and the rest have rules of their own, neighbours of a kind one
// together, in the order of the layout.
func TestSpare(t *testing.T) {
	layout := []optim.Tensor{
		{Rows: 2, Cols: 3, Outer: true}, {Rows: 4, Cols: 1}, // weights
		{Rows: 1, Cols: 5}, {Rows: 1, Cols: 0}, {Rows: 1, Cols: 2}, // biases
		{Rows: 2, Cols: 2}, // weights
		{Rows: 1, Cols: 2}, // biases
	}
	type call struct {
		layout []optim.Tensor
		spared bool
	}
	var calls []call
	g := optim.Spare(optim.Guard{}, layout, func(layout []optim.Tensor, spared bool) *optim.Rule {
		calls = append(calls, call{slices.Clone(layout), spared})
		o := optim.SGDOptions{LR: 0.5, Common: optim.Common{Decay: 0.5}}
		if spared {
			o.Decay = 0
		}
		return optim.NewSGD(optim.Size(layout), o)
	})
	want := []call{{layout[:2], false}, {layout[2:5], true}, {layout[5:6], false}, {layout[6:], true}}
	if len(calls) != len(want) {
		t.Fatalf("make was called %d times, want %d: %v", len(calls), len(want), calls)
	}
	for i := range want {
		if !slices.Equal(calls[i].layout, want[i].layout) || calls[i].spared != want[i].spared {
			t.Errorf("call %d of make was for %+v, want %+v", i, calls[i], want[i])
		}
	}
	p := make([]float32, optim.Size(layout))
	for i := range p {
		p[i] = 4
	}
	step(t, "groups", g, p, make([]float32, len(p)))
	if want := []float32{3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3, 4, 4}; !slices.Equal(p, want) {
		t.Errorf("the decay leaves %v, want %v", p, want)
	}
}

// TestGroupsPanics: rules that make no group, and vectors of the wrong length.
func TestGroupsPanics(t *testing.T) {
	sgd := func(guard optim.Guard) *optim.Rule {
		return optim.NewSGD(2, optim.SGDOptions{Common: optim.Common{Guard: guard}})
	}
	g := optim.NewGroups(optim.Guard{}, sgd(optim.Guard{}), sgd(optim.Guard{}))
	for _, test := range []struct {
		do   func()
		want string
	}{
		{func() { optim.NewGroups(optim.Guard{}) }, "optim.NewGroups: 0 rules, want at least 1"},
		{func() { optim.NewGroups(optim.Guard{ClipNorm: -1}, sgd(optim.Guard{})) }, "optim.NewGroups: option clipnorm = -1, want 0 or more"},
		{func() { optim.NewGroups(optim.Guard{}, sgd(optim.Guard{}), sgd(optim.Guard{ClipNorm: 1})) }, "optim.NewGroups: rule 1 has the guard {ClipNorm:1"},
		{func() { optim.NewGroups(optim.Guard{Unchecked: true}, sgd(optim.Guard{Unchecked: true})) }, "optim.NewGroups: rule 0 has the guard"},
		{func() {
			optim.Spare(optim.Guard{}, shapes, func([]optim.Tensor, bool) *optim.Rule { return sgd(optim.Guard{}) })
		}, "optim.Spare: make's rule is for 2 parameters, want the 15 of its layout"},
		{func() { optim.Spare(optim.Guard{}, nil, nil) }, "optim.NewGroups: 0 rules, want at least 1"},
		{func() { _ = g.Step(make([]float32, 4), make([]float32, 3)) }, "optim: groups.Step: len(params) = 4 and len(grads) = 3, want the n = 4"},
		{func() { _ = g.Step(make([]float32, 5), make([]float32, 5)) }, "optim: groups.Step: len(params) = 5 and len(grads) = 5, want the n = 4"},
	} {
		wantPanic(t, test.want, test.do)
	}
}
