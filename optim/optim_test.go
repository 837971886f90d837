package optim_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

// values are options by name.
type values = map[string]float64

// rules has a row for each rule: its defaults and another set of options, its
// constructor, and one element's step t by the formula, with s as the state. The
// oracle is in float64; exact is in float32, in the order of the kernel's doc.
var rules = []struct {
	name            string
	defaults, other values
	construct       func(n int, o values) optim.Optimizer
	oracle          func(o values, t, p, g float64, s *[2]float64) float64
	exact           func(o values, t int, p, g float32, s *[2]float32) float32
}{
	{
		"sgd", values{"lr": 0.01}, values{"lr": 0.3},
		func(n int, o values) optim.Optimizer { return optim.NewSGD(n, optim.SGDOptions{LR: o["lr"]}) },
		func(o values, t, p, g float64, s *[2]float64) float64 { return p - o["lr"]*g },
		func(o values, t int, p, g float32, s *[2]float32) float32 { return p - float32(float32(o["lr"])*g) },
	},
	{
		"momentum", values{"lr": 0.01, "momentum": 0.9}, values{"lr": 0.07, "momentum": 0.6},
		func(n int, o values) optim.Optimizer {
			return optim.NewMomentum(n, optim.MomentumOptions{LR: o["lr"], Momentum: o["momentum"]})
		},
		func(o values, t, p, g float64, s *[2]float64) float64 {
			s[0] = o["momentum"]*s[0] - o["lr"]*g
			return p + s[0]
		},
		func(o values, t int, p, g float32, s *[2]float32) float32 {
			s[0] = float32(float32(o["momentum"])*s[0]) - float32(float32(o["lr"])*g)
			return p + s[0]
		},
	},
	{
		"nesterov", values{"lr": 0.01, "momentum": 0.9}, values{"lr": 0.07, "momentum": 0.6},
		func(n int, o values) optim.Optimizer {
			return optim.NewNesterov(n, optim.NesterovOptions{LR: o["lr"], Momentum: o["momentum"]})
		},
		func(o values, t, p, g float64, s *[2]float64) float64 {
			mu, lr, v := o["momentum"], o["lr"], s[0]
			s[0] = mu*v - lr*g
			return p + mu*mu*v - (1+mu)*lr*g
		},
		func(o values, t int, p, g float32, s *[2]float32) float32 {
			mu, lr := o["momentum"], o["lr"]
			p += float32(float32(mu*mu)*s[0]) - float32(float32((1+mu)*lr)*g)
			s[0] = float32(float32(mu)*s[0]) - float32(float32(lr)*g)
			return p
		},
	},
	{
		"nesterov-velocity-first", values{"lr": 0.01, "momentum": 0.9}, values{"lr": 0.07, "momentum": 0.6},
		func(n int, o values) optim.Optimizer {
			return optim.NewNesterov(n, optim.NesterovOptions{LR: o["lr"], Momentum: o["momentum"], VelocityFirst: true})
		},
		func(o values, t, p, g float64, s *[2]float64) float64 {
			mu, lr := o["momentum"], o["lr"]
			s[0] = mu*s[0] - lr*g
			return p + mu*mu*s[0] - (1+mu)*lr*g
		},
		func(o values, t int, p, g float32, s *[2]float32) float32 {
			mu, lr := o["momentum"], o["lr"]
			s[0] = float32(float32(mu)*s[0]) - float32(float32(lr)*g)
			return p + (float32(float32(mu*mu)*s[0]) - float32(float32((1+mu)*lr)*g))
		},
	},
	{
		"adagrad", values{"lr": 0.01, "eps": 1e-7}, values{"lr": 1.5, "eps": 0.2},
		func(n int, o values) optim.Optimizer {
			return optim.NewAdaGrad(n, optim.AdaGradOptions{LR: o["lr"], Eps: o["eps"]})
		},
		func(o values, t, p, g float64, s *[2]float64) float64 {
			s[0] += g * g
			return p - o["lr"]*g/(math.Sqrt(s[0])+o["eps"])
		},
		func(o values, t int, p, g float32, s *[2]float32) float32 {
			s[0] += float32(g * g)
			return p - float32(float32(o["lr"])*g)/(sqrt(s[0])+float32(o["eps"]))
		},
	},
	{
		"rmsprop", values{"lr": 0.01, "rho": 0.99, "eps": 1e-7}, values{"lr": 0.2, "rho": 0.7, "eps": 0.1},
		func(n int, o values) optim.Optimizer {
			return optim.NewRMSprop(n, optim.RMSpropOptions{LR: o["lr"], Rho: o["rho"], Eps: o["eps"]})
		},
		func(o values, t, p, g float64, s *[2]float64) float64 {
			s[0] = o["rho"]*s[0] + (1-o["rho"])*g*g
			return p - o["lr"]*g/(math.Sqrt(s[0])+o["eps"])
		},
		func(o values, t int, p, g float32, s *[2]float32) float32 {
			s[0] = float32(float32(o["rho"])*s[0]) + float32(float32(1-o["rho"])*float32(g*g))
			return p - float32(float32(o["lr"])*g)/(sqrt(s[0])+float32(o["eps"]))
		},
	},
	{
		"adam", values{"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7},
		values{"lr": 0.3, "beta1": 0.5, "beta2": 0.8, "eps": 0.1},
		func(n int, o values) optim.Optimizer {
			return optim.NewAdam(n, optim.AdamOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"], Eps: o["eps"]})
		},
		func(o values, t, p, g float64, s *[2]float64) float64 {
			b1, b2 := o["beta1"], o["beta2"]
			s[0] += (1 - b1) * (g - s[0])
			s[1] += (1 - b2) * (g*g - s[1])
			lr := o["lr"] * math.Sqrt(1-math.Pow(b2, t)) / (1 - math.Pow(b1, t))
			return p - lr*s[0]/(math.Sqrt(s[1])+o["eps"])
		},
		func(o values, t int, p, g float32, s *[2]float32) float32 {
			b1, b2 := o["beta1"], o["beta2"]
			s[0] += float32(float32(1-b1) * (g - s[0]))
			s[1] += float32(float32(1-b2) * (float32(g*g) - s[1]))
			// The powers as products: within an ulp or two of a float64, which
			// the rounding to float32 hides in all of these steps.
			p1, p2 := 1.0, 1.0
			for range t {
				p1 *= b1
				p2 *= b2
			}
			lr := float32(o["lr"] * math.Sqrt(1-p2) / (1 - p1))
			return p - float32(lr*s[0])/(sqrt(s[1])+float32(o["eps"]))
		},
	},
	{
		"adamw", values{"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
		values{"lr": 0.3, "beta1": 0.5, "beta2": 0.8, "eps": 0.1},
		func(n int, o values) optim.Optimizer {
			return optim.NewAdamW(n, optim.AdamWOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"], Eps: o["eps"]})
		},
		func(o values, t, p, g float64, s *[2]float64) float64 {
			b1, b2 := o["beta1"], o["beta2"]
			s[0] = b1*s[0] + (1-b1)*g
			s[1] = b2*s[1] + (1-b2)*g*g
			mean, square := s[0]/(1-math.Pow(b1, t)), s[1]/(1-math.Pow(b2, t))
			return p - o["lr"]*mean/(math.Sqrt(square)+o["eps"])
		},
		func(o values, t int, p, g float32, s *[2]float32) float32 {
			b1, b2 := o["beta1"], o["beta2"]
			s[0] += float32(float32(1-b1) * (g - s[0]))
			s[1] = float32(float32(b2)*s[1]) + float32(float32(float32(1-b2)*g)*g)
			p1, p2 := 1.0, 1.0 // as in adam
			for range t {
				p1 *= b1
				p2 *= b2
			}
			root := sqrt(s[1])/float32(math.Sqrt(1-p2)) + float32(o["eps"])
			return p - float32(float32(o["lr"]/(1-p1))*s[0])/root
		},
	},
	{
		// In none of the runs is a direction so near zero that rounding could turn it.
		"lion", values{"lr": 0.0001, "beta1": 0.9, "beta2": 0.99}, values{"lr": 0.02, "beta1": 0.75, "beta2": 0.8},
		func(n int, o values) optim.Optimizer {
			return optim.NewLion(n, optim.LionOptions{LR: o["lr"], Beta1: o["beta1"], Beta2: o["beta2"]})
		},
		func(o values, t, p, g float64, s *[2]float64) float64 {
			c := o["beta1"]*s[0] + (1-o["beta1"])*g
			s[0] = o["beta2"]*s[0] + (1-o["beta2"])*g
			return p - math.Copysign(o["lr"], c)
		},
		func(o values, t int, p, g float32, s *[2]float32) float32 {
			c := float32(float32(o["beta1"])*s[0]) + float32(float32(1-o["beta1"])*g)
			s[0] = float32(float32(o["beta2"])*s[0]) + float32(float32(1-o["beta2"])*g)
			if c < 0 {
				return p + float32(o["lr"])
			}
			return p - float32(o["lr"])
		},
	},
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// lengths straddle registers, and the last one the block at which kernels cut;
// five steps of it do.
var lengths = []struct{ n, steps int }{{0, 1}, {1, 50}, {7, 50}, {31, 50}, {33, 50}, {300, 50}, {1<<14 + 5, 5}}

// TestRules takes 50 steps with each rule, with its defaults and with other
// options, made by name and by constructor, on one thread and on three, and
// compares each parameter after each step.
//
// With float32 the parameters must have the bits of the exact loop. From the
// float64 oracle they may differ by 2e-6 of the way that the parameter has
// come: |p| at the start and the sizes of all its steps. Each of the steps may round
// by 6e-8 of |p|.
func TestRules(t *testing.T) {
	const bound = 2e-6
	names := optim.Names()
	for _, rule := range rules {
		names = slices.DeleteFunc(names, func(n string) bool { return n == rule.name })
		var worst float64
		for _, length := range lengths {
			n := length.n
			for _, o := range []struct{ given, want values }{{nil, rule.defaults}, {rule.other, rule.other}} {
				name := fmt.Sprintf("%s n=%d options=%v", rule.name, n, o.given)
				named, err := optim.New(rule.name, n, o.given)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				made := rule.construct(n, o.given)
				for _, opt := range []optim.Optimizer{named, made} {
					if opt.Name() != rule.name {
						t.Errorf("%s: Name() = %q", name, opt.Name())
					}
				}

				rng := rand.New(rand.NewPCG(1, uint64(n)))
				p, q, grads := make([]float32, n), make([]float32, n), make([]float32, n)
				exact, exactState := make([]float32, n), make([][2]float32, n)
				oracle, oracleState, way := make([]float64, n), make([][2]float64, n), make([]float64, n)
				for i := range p {
					p[i] = float32(rng.NormFloat64())
					exact[i], oracle[i], way[i] = p[i], float64(p[i]), math.Abs(float64(p[i]))
				}
				copy(q, p)
				for step := 1; step <= length.steps; step++ {
					for i := range grads {
						grads[i] = float32(rng.NormFloat64())
					}
					named.Step(p, grads)
					made.Step(q, grads, 3)
					for i, g := range grads {
						exact[i] = rule.exact(o.want, step, exact[i], g, &exactState[i])
						if p[i] != exact[i] || q[i] != exact[i] {
							t.Fatalf("%s: step %d, element %d: by name %v, by constructor %v, want %v", name, step, i, p[i], q[i], exact[i])
						}
						was := oracle[i]
						oracle[i] = rule.oracle(o.want, float64(step), was, float64(g), &oracleState[i])
						way[i] += math.Abs(oracle[i] - was)
						e := math.Abs(float64(p[i])-oracle[i]) / way[i]
						worst = max(worst, e)
						if !(e <= bound) {
							t.Fatalf("%s: step %d, element %d: %v, float64 has %v: error %.2g, want at most %g",
								name, step, i, p[i], oracle[i], e, bound)
						}
					}
				}
			}
		}
		t.Logf("%s: largest relative error %.2g", rule.name, worst)
	}
	if len(names) > 0 {
		t.Errorf("no row for %v", names)
	}
}

// TestAllocations: a step allocates nothing.
func TestAllocations(t *testing.T) {
	const n = 1<<14 + 1
	params, grads := make([]float32, n), make([]float32, n)
	for _, limit := range [][]kernels.Threads{nil, {1}, {2}} {
		for _, name := range optim.Names() {
			opt, err := optim.New(name, n, nil)
			if err != nil {
				t.Fatal(err)
			}
			if allocs := testing.AllocsPerRun(20, func() { opt.Step(params, grads, limit...) }); allocs != 0 {
				t.Errorf("%s, threads %v: %v allocations a step", name, limit, allocs)
			}
		}
	}
}

// TestNewErrors: what comes from outside is refused with what is valid.
func TestNewErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, test := range []struct {
		name    string
		n       int
		options values
		want    string
	}{
		{"adamm", 1, nil, `optim: unknown optimizer "adamm", want one of sgd, momentum, nesterov, nesterov-velocity-first, adagrad, rmsprop, adam, adamw, lion`},
		{"", 1, nil, `optim: unknown optimizer "", want one of sgd, momentum`},
		{"sgd", -1, nil, "optim: sgd: n = -1, want at least 0"},
		{"sgd", 1, values{"momentum": 0.9}, `optim: sgd: unknown option "momentum", want one of lr, l1, l2, decay, maximize, zerograds`},
		{"adam", 1, values{"LR": 1}, `optim: adam: unknown option "LR", want one of lr, beta1, beta2, eps, l1, l2, decay, maximize, zerograds`},
		{"adam", 1, values{"lr": 1, "beta2": 1}, "optim: adam: beta2 = 1, want above 0 and below 1"},
		{"rmsprop", 1, values{"rho": 0}, "optim: rmsprop: rho = 0, want above 0 and below 1"},
		{"momentum", 1, values{"momentum": nan}, "optim: momentum: momentum = NaN, want above 0 and below 1"},
		{"adagrad", 1, values{"lr": -0.1}, "optim: adagrad: lr = -0.1, want above 0 and below 3.4028234663852886e+38"},
		{"nesterov", 1, values{"lr": inf}, "optim: nesterov: lr = +Inf, want above 0"},
		{"adagrad", 1, values{"eps": nan}, "optim: adagrad: eps = NaN, want above 0"},
		{"sgd", 1, values{"l2": -1}, "optim: sgd: l2 = -1, want 0 or more, below 3.4028234663852886e+38"},
		{"adam", 1, values{"l1": nan}, "optim: adam: l1 = NaN, want 0 or more"},
		{"adam", 1, values{"decay": 1000}, "optim: adam: decay = 1000, want 0 or more, below 1000"},
		{"adam", 1, values{"decay": 3, "lr": 0.5}, "optim: adam: decay = 3, want 0 or more, below 2"},
		{"momentum", 1, values{"maximize": 0.5}, "optim: momentum: maximize = 0.5, want 0 or 1"},
	} {
		opt, err := optim.New(test.name, test.n, test.options)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%q, %d, %v): error %v, want %s", test.name, test.n, test.options, err, test.want)
		}
		if opt != nil {
			t.Errorf("New(%q, %d, %v) returned an optimizer besides an error", test.name, test.n, test.options)
		}
	}
}

// TestPanics: a mistake in the program panics, and a refused step changes
// nothing, not even Adam's count of steps.
func TestPanics(t *testing.T) {
	for _, test := range []struct {
		do   func()
		want string
	}{
		{func() { optim.NewAdam(1, optim.AdamOptions{Beta1: 1.5}) }, "optim.NewAdam: option beta1 = 1.5, want above 0 and below 1"},
		{func() { optim.NewSGD(-1, optim.SGDOptions{}) }, "optim.NewSGD: n = -1, want at least 0"},
		{func() { optim.NewMomentum(-1, optim.MomentumOptions{}) }, "optim.NewMomentum: n = -1"},
		{func() { optim.NewNesterov(1, optim.NesterovOptions{LR: math.NaN()}) }, "optim.NewNesterov: option lr = NaN"},
		{func() { optim.NewAdaGrad(1, optim.AdaGradOptions{Eps: -1}) }, "optim.NewAdaGrad: option eps = -1"},
		{func() { optim.NewRMSprop(1, optim.RMSpropOptions{Rho: 1}) }, "optim.NewRMSprop: option rho = 1"},
		{func() { optim.NewSGD(1, optim.SGDOptions{LR: 0.5, Common: optim.Common{Decay: 2}}) }, "optim.NewSGD: option decay = 2, want 0 or more, below 2"},
	} {
		wantPanic(t, test.want, test.do)
	}

	for _, name := range optim.Names() {
		refused, err := optim.New(name, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		untouched, _ := optim.New(name, 3, nil)
		p, g := []float32{1, 2, 3}, []float32{4, 5, 6}
		q := slices.Clone(p)
		wantPanic(t, ".Step: len(params) = 2 and len(grads) = 3, want the n = 3", func() { refused.Step(p[:2], g) })
		wantPanic(t, ".Step: len(params) = 3 and len(grads) = 2, want the n = 3", func() { refused.Step(p, g[:2]) })
		wantPanic(t, "share 3 elements", func() { refused.Step(p, p) })
		refused.Step(p, g)
		untouched.Step(q, g)
		if !slices.Equal(p, q) {
			t.Errorf("%s: after refused steps %v, without them %v", name, p, q)
		}
	}
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

// commonOptions are the names of those that every rule has.
var commonOptions = []string{"l1", "l2", "decay", "maximize", "zerograds"}

// TestCommon compares each rule with common options, one by one and all together,
// with the same rule without any after a loop has done by hand what they do. Half
// of the steps come after a change of the learning rate.
func TestCommon(t *testing.T) {
	const n, steps = 67, 6
	for _, name := range optim.Names() {
		for _, o := range []values{
			{"l1": 0.03}, {"l2": 0.02}, {"decay": 0.5}, {"maximize": 1}, {"zerograds": 1},
			{"lr": 0.3, "l1": 0.03, "l2": 0.02, "decay": 0.5, "maximize": 1, "zerograds": 1},
			{"l1": 0, "l2": 0, "decay": 0, "maximize": 0, "zerograds": 0},
		} {
			opt, err := optim.New(name, n, o)
			if err != nil {
				t.Fatalf("%s %v: %v", name, o, err)
			}
			plain, err := optim.New(name, n, nil)
			if err != nil {
				t.Fatal(err)
			}
			plain.SetLR(opt.LR())
			rng := rand.New(rand.NewPCG(2, 3))
			p, q, grads, ready := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
			for i := range p {
				p[i] = float32(rng.NormFloat64())
				if i%9 == 0 {
					p[i] = 0
				}
				q[i] = p[i]
			}
			for step := range steps {
				if step == steps/2 {
					opt.SetLR(0.4)
					plain.SetLR(0.4)
				}
				for i := range grads {
					g := float32(rng.NormFloat64())
					grads[i] = g
					if o["maximize"] == 1 {
						g = -g
					}
					switch {
					case q[i] > 0:
						g += float32(o["l1"])
					case q[i] < 0:
						g -= float32(o["l1"])
					}
					ready[i] = g + float32(float32(o["l2"])*q[i])
					q[i] *= float32(1 - opt.LR()*o["decay"])
				}
				opt.Step(p, grads)
				plain.Step(q, ready)
				for i := range p {
					if p[i] != q[i] {
						t.Fatalf("%s %v: step %d, element %d: %v, want %v", name, o, step, i, p[i], q[i])
					}
					if got, zero := grads[i], o["zerograds"] == 1; (got == 0) != zero {
						t.Fatalf("%s %v: step %d, gradient %d is %v afterwards", name, o, step, i, got)
					}
				}
			}
		}
	}
}

// TestLR: the rate is the default, the one asked for, or the one set last.
func TestLR(t *testing.T) {
	for _, rule := range rules {
		for _, o := range []struct{ given, want values }{{nil, rule.defaults}, {rule.other, rule.other}} {
			opt, err := optim.New(rule.name, 1, o.given)
			if err != nil {
				t.Fatal(err)
			}
			if got := opt.LR(); got != o.want["lr"] {
				t.Errorf("%s %v: LR() = %v, want %v", rule.name, o.given, got, o.want["lr"])
			}
			opt.SetLR(0)
			p := []float32{3}
			if opt.Step(p, []float32{2}); rule.defaults["momentum"] == 0 && p[0] != 3 {
				t.Errorf("%s: a step with a rate of 0 goes from 3 to %v", rule.name, p[0])
			}
			opt.SetLR(0.125)
			if got := opt.LR(); got != 0.125 {
				t.Errorf("%s: LR() = %v after SetLR(0.125)", rule.name, got)
			}
			for _, lr := range []float64{-1, math.NaN(), math.Inf(1), 1e39} {
				wantPanic(t, fmt.Sprintf(".SetLR: lr = %v and decay = 0, want lr from 0 to", lr), func() { opt.SetLR(lr) })
			}
			if got := opt.LR(); got != 0.125 {
				t.Errorf("%s: LR() = %v after refused rates", rule.name, got)
			}
		}
	}
	decaying := optim.NewAdam(1, optim.AdamOptions{Common: optim.Common{Decay: 2}})
	wantPanic(t, "optim.Adam.SetLR: lr = 0.5 and decay = 2, want lr from 0", func() { decaying.SetLR(0.5) })
}

// TestOptionsByName: every option that New takes by name is one of the table's,
// so that no option goes untested.
func TestOptionsByName(t *testing.T) {
	for _, rule := range rules {
		_, err := optim.New(rule.name, 1, values{"?": 1})
		if err == nil {
			t.Fatalf("%s: no error for an unknown option", rule.name)
		}
		_, list, _ := strings.Cut(err.Error(), "want one of ")
		got := slices.Sorted(slices.Values(strings.Split(list, ", ")))
		for _, o := range []values{rule.defaults, rule.other} {
			want := slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(o)), commonOptions...)))
			if !slices.Equal(got, want) {
				t.Errorf("%s: options %v, the table has %v", rule.name, got, want)
			}
		}
	}
}
