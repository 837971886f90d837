package optim_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/optim"
)

// guarded makes each rule, Groups and Lookahead with a guard. The name in errors is that
// of what has the guard.
func guarded(guard optim.Guard) []struct {
	name string
	make func() optim.Optimizer
} {
	type row = struct {
		name string
		make func() optim.Optimizer
	}
	options := values{"clipnorm": guard.ClipNorm}
	if guard.SkipNotFinite {
		options["skipnotfinite"] = 1
	}
	if guard.Unchecked {
		options["unchecked"] = 1
	}
	var rows []row
	for _, name := range optim.Names() {
		rows = append(rows, row{name, func() optim.Optimizer { return mustNew(name, shapes, options) }})
	}
	n := optim.Size(shapes)
	return append(rows,
		row{"groups", func() optim.Optimizer { return spare(guard) }},
		row{"adam", func() optim.Optimizer {
			return optim.NewLookahead(n, mustNew("adam", shapes, options), optim.LookaheadOptions{K: 2})
		}},
		row{"groups", func() optim.Optimizer { return optim.NewLookahead(n, spare(guard), optim.LookaheadOptions{K: 2}) }},
	)
}

// notFinite are gradients of which one is no number: the first, one in the middle or the
// last. f gets the index and the value.
func notFinite(n int, f func(i int, x float32, grads []float32)) {
	for _, x := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		for _, i := range []int{0, n / 2, n - 1} {
			grads := ramp(n)
			grads[i] = x
			f(i, x, grads)
		}
	}
}

// TestNotFinite: a step with NaN or Inf among the gradients is an error that says where
// and changes nothing, whatever else the guard does, and in the first step too.
func TestNotFinite(t *testing.T) {
	n := optim.Size(shapes)
	for _, guard := range []optim.Guard{{}, {ClipNorm: 0.5}} {
		for _, row := range guarded(guard) {
			opt, p := row.make(), ramp(n)
			for done := range 4 {
				before, q := cloneState(opt.State()), slices.Clone(p)
				if done == 0 {
					delete(before.Vectors, "slow") // where Lookahead starts does not count yet
				}
				notFinite(n, func(i int, x float32, grads []float32) {
					kept := slices.Clone(grads)
					err := opt.Step(p, grads, 2)
					want := fmt.Sprintf("optim: %s: step %d: gradient %d of %d is %v: not finite", row.name, done+1, i, n, x)
					if !errors.Is(err, optim.ErrNotFinite) || err.Error() != want {
						t.Errorf("%s %+v: error %v, want %s", row.name, guard, err, want)
					}
					if differ(p, q) >= 0 || differ(grads, kept) >= 0 {
						t.Errorf("%s %+v: a refused step changed parameters or gradients", row.name, guard)
					}
					after := cloneState(opt.State())
					if done == 0 {
						delete(after.Vectors, "slow")
					}
					wantSame(t, fmt.Sprintf("%s %+v: after a refused step", row.name, guard), after, before)
				})
				step(t, row.name, opt, p, ramp(n))
			}
			again, q := row.make(), ramp(n)
			for range 4 {
				step(t, row.name, again, q, ramp(n))
			}
			if i := differ(p, q); i >= 0 {
				t.Errorf("%s %+v: element %d is %v with refused steps between, %v without", row.name, guard, i, p[i], q[i])
			}
			wantSame(t, row.name+": with refused steps between", opt.State(), again.State())
		}
	}
}

// TestNotFiniteLast: the last gradient of a vector of several blocks is looked at too.
func TestNotFiniteLast(t *testing.T) {
	const n = 1<<14 + 37
	opt := optim.NewSGD(n, optim.SGDOptions{})
	notFinite(n, func(i int, x float32, grads []float32) {
		if err := opt.Step(make([]float32, n), grads, 3); !errors.Is(err, optim.ErrNotFinite) || !strings.Contains(err.Error(), fmt.Sprintf("gradient %d of %d is %v:", i, n, x)) {
			t.Errorf("%v as gradient %d: error %v", x, i, err)
		}
	})
}

// TestSkipNotFinite: what is skipped is no error, changes nothing and does not count.
func TestSkipNotFinite(t *testing.T) {
	n := optim.Size(shapes)
	for _, guard := range []optim.Guard{{SkipNotFinite: true}, {SkipNotFinite: true, ClipNorm: 0.5}} {
		for _, row := range guarded(guard) {
			opt, p := row.make(), ramp(n)
			again, q := row.make(), ramp(n)
			for i := range 5 {
				notFinite(n, func(_ int, _ float32, grads []float32) {
					kept := slices.Clone(grads)
					step(t, row.name, opt, p, grads)
					if differ(grads, kept) >= 0 {
						t.Errorf("%s %+v: a skipped step changed the gradients", row.name, guard)
					}
				})
				if differ(p, q) >= 0 {
					t.Fatalf("%s %+v: skipped steps before step %d changed the parameters", row.name, guard, i+1)
				}
				step(t, row.name, opt, p, ramp(n))
				step(t, row.name, again, q, ramp(n))
				if i := differ(p, q); i >= 0 {
					t.Fatalf("%s %+v: element %d is %v with skipped steps between, %v without", row.name, guard, i, p[i], q[i])
				}
				wantSame(t, row.name+": with skipped steps between", opt.State(), again.State())
			}
		}
	}
}

// TestUnchecked: what is not looked at goes through, into the parameter that it is of.
func TestUnchecked(t *testing.T) {
	n := optim.Size(shapes)
	for _, guard := range []optim.Guard{{Unchecked: true}, {Unchecked: true, SkipNotFinite: true}, {Unchecked: true, ClipNorm: 0.5}} {
		for _, row := range guarded(guard) {
			opt, p := row.make(), ramp(n)
			grads := ramp(n)
			grads[n-1] = float32(math.NaN())
			before := slices.Clone(p)
			step(t, row.name, opt, p, grads)
			if differ(p, before) < 0 {
				t.Errorf("%s %+v: nothing changed", row.name, guard)
			}
			// The sign of NaN is 0 to Lion and Rprop.
			if x := p[n-1]; x == x && row.name != "lion" && row.name != "rprop" {
				t.Errorf("%s %+v: the parameter of a NaN is %v", row.name, guard, x)
			}
			s := opt.State()
			if len(s.Parts) > 0 && s.Rule == "groups" {
				s = s.Parts[0]
			}
			if s.Rule != "lookahead" && s.Steps != 1 {
				t.Errorf("%s %+v: %d steps done, want 1", row.name, guard, s.Steps)
			}
		}
	}
}

// clipFactor is what ClipNorm multiplies gradients by, or 1.
func clipFactor(clip float64, grads []float32) float32 {
	if f := clip / (norm(grads) + 1e-6); f < 1 {
		return float32(f)
	}
	return 1
}

// TestClipNorm: clipping by the norm is the same as multiplying the gradients by the
// float32 factor before the step, with Maximize too; where the norm is small enough, it
// changes no bit. LARS, which takes the norm of the gradients before, has its own loop.
func TestClipNorm(t *testing.T) {
	const clip = 3
	n := optim.Size(shapes)
	rng := rand.New(rand.NewPCG(17, 18))
	for _, name := range append(optim.Names(), "groups") {
		for _, maximize := range []float64{0, 1} {
			unchecked := maximize // both need only be tried with and without
			make := func(clip float64) optim.Optimizer {
				if name == "groups" {
					return optim.Spare(optim.Guard{ClipNorm: clip, Unchecked: unchecked == 1}, shapes, func(layout []optim.Tensor, spared bool) *optim.Rule {
						return mustNew(map[bool]string{true: "adam", false: "momentum"}[spared], layout, values{"maximize": maximize})
					})
				}
				return mustNew(name, shapes, values{"clipnorm": clip, "maximize": maximize, "unchecked": unchecked})
			}
			opt, plain := make(clip), make(0)
			lars := exactLARS{larsTest.with(values{"maximize": maximize}), shapes, newVector(n)}
			p := normals(rng, n)
			q := slices.Clone(p)
			var clipped, whole int
			for i := range 8 {
				grads := normals(rng, n)
				if i%2 == 1 {
					for j := range grads {
						grads[j] *= 0.1
					}
				}
				factor, ready := clipFactor(clip, grads), slices.Clone(grads)
				if factor < 1 {
					clipped++
				} else {
					whole++
				}
				step(t, name, opt, p, grads)
				if name == "lars" {
					lars.step(opt.LR(), factor, q, ready)
				} else {
					for j := range ready {
						ready[j] *= factor
					}
					step(t, name, plain, q, ready)
				}
				if j := differ(p, q); j >= 0 {
					t.Fatalf("%s, maximize %v: step %d, factor %v, element %d: %v, want %v", name, maximize, i+1, factor, j, p[j], q[j])
				}
			}
			if clipped != 4 || whole != 4 {
				t.Fatalf("%d steps clipped and %d not, want 4 of each", clipped, whole)
			}
		}
	}
}

// newVector is make where a function has that name.
func newVector(n int) []float32 { return make([]float32, n) }

// TestClipNormExtremes: the norm of the largest gradients does not overflow, and a factor
// too small for a float32 clips all the same.
func TestClipNormExtremes(t *testing.T) {
	const n = 100
	for _, test := range []struct {
		clip float64
		most float64 // of the norm of the step
	}{{1, 1.0001}, {1e30, 1.0001e30}, {1e-6, 1e-5}, {1e-30, 1e-5}} {
		for _, name := range []string{"sgd", "groups"} {
			rule := optim.NewSGD(n, optim.SGDOptions{LR: 1, Common: optim.Common{Guard: optim.Guard{ClipNorm: test.clip}}})
			var opt optim.Optimizer = rule
			if name == "groups" {
				opt = optim.NewGroups(optim.Guard{ClipNorm: test.clip}, optim.NewSGD(n, optim.SGDOptions{LR: 1}))
			}
			p, grads := make([]float32, n), make([]float32, n)
			for i := range grads {
				grads[i] = math.MaxFloat32 * float32(1-2*(i%2))
			}
			step(t, name, opt, p, grads)
			got := norm(p)
			if !(got > 0 && got <= test.most) {
				t.Errorf("%s: gradients of the norm %.3g, clipped to %g, give a step of %.6g, want at most %g", name, norm(grads), test.clip, got, test.most)
			}
			if p[0] >= 0 || p[1] <= 0 {
				t.Errorf("%s: the steps %v and %v have the wrong sign", name, p[0], p[1])
			}
		}
	}
}

// TestClipValue: each gradient by itself, before penalties and after ClipNorm.
func TestClipValue(t *testing.T) {
	grads := []float32{-3, -0.5, 0, 0.25, 8}
	for _, test := range []struct {
		common optim.Common
		want   []float32 // of the steps
	}{
		{optim.Common{ClipValue: 0.5}, []float32{0.5, 0.5, 0, -0.25, -0.5}},
		{optim.Common{ClipValue: 0.5, Maximize: true}, []float32{-0.5, -0.5, 0, 0.25, 0.5}},
		{optim.Common{ClipValue: 0.25, L1: 1}, []float32{-0.75, -0.75, -1, -1.25, -1.25}},
		{optim.Common{ClipValue: 100}, []float32{3, 0.5, 0, -0.25, -8}},
		// Scaled to the norm 1e-3, no gradient is above the value.
		{optim.Common{ClipValue: 0.5, Guard: optim.Guard{ClipNorm: 1e-3}}, nil},
	} {
		opt := optim.NewSGD(len(grads), optim.SGDOptions{LR: 1, Common: test.common})
		p := []float32{0x1p20, 0x1p20, 0x1p20, 0x1p20, 0x1p20}
		if test.want == nil {
			clear(p)
		}
		q := slices.Clone(p)
		step(t, "sgd", opt, p, slices.Clone(grads))
		for i := range p {
			want := clipFactor(1e-3, grads) * -grads[i]
			if test.want != nil {
				want = test.want[i]
			}
			if got := p[i] - q[i]; got != want {
				t.Errorf("%+v: gradient %v gives the step %v, want %v", test.common, grads[i], got, want)
			}
		}
	}
}
