package optim_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/optim"
)

// byHand does to a parameter and its gradient what the common options ask for, after
// multiplying the gradient by scale.
func byHand(o values, lr float64, scale float32, p, g float32) (float32, float32) {
	g = float32(g * scale)
	if o["maximize"] == 1 {
		g = -g
	}
	if clip := float32(o["clipvalue"]); clip > 0 {
		g = min(max(g, -clip), clip)
	}
	switch {
	case p > 0:
		g += float32(o["l1"])
	case p < 0:
		g -= float32(o["l1"])
	}
	return float32(p * float32(1-float64(lr*o["decay"]))), g + float32(float32(o["l2"])*p)
}

// commons are sets of common options: each alone, all together, and all of them off.
var commons = []values{
	{"clipvalue": 0.5}, {"l1": 0.03}, {"l2": 0.02}, {"decay": 0.5}, {"maximize": 1}, {"zerograds": 1}, {"unchecked": 1}, {"skipnotfinite": 1},
	{"lr": 0.3, "clipvalue": 0.7, "l1": 0.03, "l2": 0.02, "decay": 0.5, "maximize": 1, "zerograds": 1},
	{"l1": 0, "l2": 0, "maximize": 0, "clipvalue": 0, "clipnorm": 0, "zerograds": 0, "unchecked": 0, "skipnotfinite": 0},
}

// TestCommon compares each rule with common options, one by one and all together, with
// the same rule without any after a loop has done by hand what they do. Half of the
// steps come after a change of the learning rate.
//
// The bits must be the same. But AdamW cannot be without decay, so the other one is
// Adam; LARS, which looks at the norm of the gradients as they come, has a loop of its
// own; and where the decay shares its rounding with the step, in LAMB, Adafactor, Muon
// and ASGD, a parameter that decays may differ by 2 ulps of what it was or is.
func TestCommon(t *testing.T) {
	const steps = 6
	n := optim.Size(shapes)
	for _, rule := range rules {
		for _, given := range commons {
			o := rule.with(given)
			opt, err := optim.New(rule.name, shapes, given)
			if err != nil {
				t.Fatalf("%s %v: %v", rule.name, given, err)
			}
			var plainOptions values
			if lr, ok := given["lr"]; ok {
				plainOptions = values{"lr": lr}
			}
			plainName := rule.name
			if rule.name == "adamw" {
				plainName = "torch-adam"
			}
			plain, err := optim.New(plainName, shapes, plainOptions)
			if err != nil {
				t.Fatal(err)
			}
			lars := exactLARS{o, shapes, make([]float32, n)}

			// The decay that comes with the step, beyond what plain has itself.
			var late float64
			shared := false
			switch rule.name {
			case "lamb", "adafactor", "muon":
				late = o["decay"] - rule.defaults["decay"]
				shared = late != 0
				o["decay"] = 0
			case "asgd":
				shared = o["decay"] != 0
			}

			// Muon's AdamW has a learning rate of its own.
			rates := make([]float64, n)
			each(shapes, func(_ int, tensor optim.Tensor, lo, hi int) {
				for i := lo; i < hi; i++ {
					if rates[i] = 1; rule.name == "muon" && (tensor.Outer || tensor.Rows == 1 || tensor.Cols == 1) {
						rates[i] = o["adamlr"] / o["lr"]
					}
				}
			})

			rng := rand.New(rand.NewPCG(2, 3))
			p, grads, ready := normals(rng, n), make([]float32, n), make([]float32, n)
			for i := 0; i < n; i += 9 {
				p[i] = 0
			}
			q := append([]float32(nil), p...)
			before := make([]float32, n)
			for step := range steps {
				if step == steps/2 {
					opt.SetLR(0.4)
					plain.SetLR(0.4)
				}
				copy(grads, normals(rng, n))
				copy(ready, grads)
				copy(before, p)
				if rule.name == "lars" {
					lars.step(opt.LR(), 1, q, ready)
				} else {
					for i, g := range ready {
						q[i], ready[i] = byHand(o, opt.LR(), 1, q[i], g)
					}
					if err := plain.Step(q, ready); err != nil {
						t.Fatal(err)
					}
				}
				if err := opt.Step(p, grads); err != nil {
					t.Fatal(err)
				}
				for i := range p {
					want, bound := float64(q[i]), 0.0
					if shared {
						want -= opt.LR() * rates[i] * late * float64(before[i])
						bound = 2 * max(ulp(p[i]), ulp(before[i]))
					}
					if !(math.Abs(float64(p[i])-want) <= bound) {
						t.Fatalf("%s %v: step %d, element %d: %v, want %v, give or take %.2g", rule.name, given, step+1, i, p[i], want, bound)
					}
					if got, zero := grads[i], o["zerograds"] == 1; (got == 0) != zero {
						t.Fatalf("%s %v: step %d, gradient %d is %v afterwards", rule.name, given, step+1, i, got)
					}
				}
				if shared {
					copy(q, p)
				}
			}
		}
	}
}

// ulp is the distance from |x| to the next number.
func ulp(x float32) float64 {
	x = float32(math.Abs(float64(x)))
	return float64(math.Float32frombits(math.Float32bits(x)+1)) - float64(x)
}

// TestPenalty: L1·Σ|p| + L2/2·Σp², of the parts that an optimizer penalises, and the opposite
// where the loss is maximised.
func TestPenalty(t *testing.T) {
	params := []float32{1, -2, 0.5, 0, -3}
	rule := func(n int, c optim.Common) *optim.Rule { return optim.NewAdam(n, optim.AdamOptions{Common: c}) }
	for _, test := range []struct {
		name string
		o    optim.Optimizer
		want float64
	}{
		{"none", rule(5, optim.Common{Decay: 0.1}), 0},
		{"L1", rule(5, optim.Common{L1: 0.5}), 0.5 * 6.5},
		{"L2", rule(5, optim.Common{L2: 0.5}), 0.25 * 14.25},
		{"both", rule(5, optim.Common{L1: 2, L2: 0.5}), 2*6.5 + 0.25*14.25},
		{"maximised", rule(5, optim.Common{L1: 2, Maximize: true}), -2 * 6.5},
		{"groups", optim.NewGroups(optim.Guard{}, rule(2, optim.Common{L1: 1}), rule(3, optim.Common{L2: 2})), 3 + 9.25},
		{"lookahead", optim.NewLookahead(5, rule(5, optim.Common{L1: 0.5}), optim.LookaheadOptions{}), 0.5 * 6.5},
	} {
		if got := test.o.Penalty(params); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, ".Penalty: len(params) = 4, want the n = 5") {
					t.Errorf("%s: panic %s for 4 parameters", test.name, got)
				}
			}()
			test.o.Penalty(params[:4])
		}()
	}
}
