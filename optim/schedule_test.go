package optim_test

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-go/lockstep/optim"
)

// torchSchedules is what testdata/schedules.py wrote.
//
//go:embed testdata/schedules.json
var torchSchedules []byte

// schedules has a row for each case of torchSchedules, and the schedule by name
// where it has one. Momentum is the schedule of the momentum, where PyTorch cycles
// it too, and its base.
var schedules = []struct {
	name         string
	made         optim.Schedule
	byName       string
	options      values
	momentum     optim.Schedule
	momentumBase float64
}{
	{name: "LambdaLR 1/(1+t)", made: optim.LambdaLR(func(t int) float64 { return 1 / float64(1+t) })},
	{name: "MultiplicativeLR 1-1/(t+2)", made: optim.MultiplicativeLR(func(t int) float64 { return 1 - 1/float64(t+2) })},

	{name: "StepLR defaults, 30", made: optim.StepLR(30, 0.1), byName: "step", options: values{"stepsize": 30}},
	{name: "StepLR 7 0.7", made: optim.StepLR(7, 0.7), byName: "step", options: values{"stepsize": 7, "gamma": 0.7}},
	{name: "MultiStepLR defaults, 30 80", made: optim.MultiStepLR([]int{30, 80}, 0.1)},
	{name: "MultiStepLR 1 2 9 40 0.3", made: optim.MultiStepLR([]int{1, 2, 9, 40}, 0.3)},

	{name: "ConstantLR defaults", made: optim.ConstantLR(1.0/3, 5), byName: "constant"},
	{name: "ConstantLR 0.7 33", made: optim.ConstantLR(0.7, 33), byName: "constant", options: values{"factor": 0.7, "totaliters": 33}},
	{name: "LinearLR defaults", made: optim.LinearLR(1.0/3, 1, 5), byName: "linear"},
	{name: "LinearLR 0.001 0.9 77", made: optim.LinearLR(0.001, 0.9, 77), byName: "linear",
		options: values{"startfactor": 0.001, "endfactor": 0.9, "totaliters": 77}},
	{name: "LinearLR 1 0 50", made: optim.LinearLR(1, 0, 50), byName: "linear",
		options: values{"startfactor": 1, "endfactor": 0, "totaliters": 50}},
	{name: "ExponentialLR 0.97", made: optim.ExponentialLR(0.97), byName: "exponential", options: values{"gamma": 0.97}},
	{name: "ExponentialLR 1.1", made: optim.ExponentialLR(1.1), byName: "exponential", options: values{"gamma": 1.1}},
	{name: "PolynomialLR defaults", made: optim.PolynomialLR(5, 1), byName: "polynomial"},
	{name: "PolynomialLR 70 2.5", made: optim.PolynomialLR(70, 2.5), byName: "polynomial", options: values{"totaliters": 70, "power": 2.5}},

	{name: "CosineAnnealingLR 60", made: optim.CosineAnnealingLR(60, 0), byName: "cosine", options: values{"tmax": 60}},
	{name: "CosineAnnealingLR 37 0.01", made: optim.CosineAnnealingLR(37, 0.01), byName: "cosine",
		options: values{"tmax": 37, "etamin": 0.01}},
	{name: "CosineAnnealingWarmRestarts 25", made: optim.CosineAnnealingWarmRestarts(25, 1, 0), byName: "cosine-warm-restarts",
		options: values{"t0": 25}},
	{name: "CosineAnnealingWarmRestarts 7 3 0.01", made: optim.CosineAnnealingWarmRestarts(7, 3, 0.01), byName: "cosine-warm-restarts",
		options: values{"t0": 7, "tmult": 3, "etamin": 0.01}},
	{name: "WarmupCosine 20 100 0.001", made: optim.WarmupCosine(20, 100, 0.001), byName: "warmup-cosine",
		options: values{"warmup": 20, "tmax": 100, "etamin": 0.001}},

	{name: "CyclicLR defaults, 0.1", made: optim.CyclicLR(optim.CyclicLROptions{MaxLR: 0.1}), byName: "cyclic", options: values{"maxlr": 0.1},
		momentum: optim.CyclicLR(optim.CyclicLROptions{MaxLR: 0.8}), momentumBase: 0.9},
	{name: "CyclicLR 0.1 20 13", made: optim.CyclicLR(optim.CyclicLROptions{MaxLR: 0.1, StepSizeUp: 20, StepSizeDown: 13}), byName: "cyclic",
		options:  values{"maxlr": 0.1, "stepsizeup": 20, "stepsizedown": 13},
		momentum: optim.CyclicLR(optim.CyclicLROptions{MaxLR: 0.8, StepSizeUp: 20, StepSizeDown: 13}), momentumBase: 0.9},
	{name: "CyclicLR 0.1 20 triangular2", made: optim.CyclicLR(optim.CyclicLROptions{MaxLR: 0.1, StepSizeUp: 20, Triangular2: true}), byName: "cyclic",
		options:  values{"maxlr": 0.1, "stepsizeup": 20, "triangular2": 1},
		momentum: optim.CyclicLR(optim.CyclicLROptions{MaxLR: 0.8, StepSizeUp: 20, Triangular2: true}), momentumBase: 0.9},
	{name: "CyclicLR 0.1 20 30 exp_range 0.98",
		made: optim.CyclicLR(optim.CyclicLROptions{MaxLR: 0.1, StepSizeUp: 20, StepSizeDown: 30, Gamma: 0.98}), byName: "cyclic",
		options:  values{"maxlr": 0.1, "stepsizeup": 20, "stepsizedown": 30, "gamma": 0.98},
		momentum: optim.CyclicLR(optim.CyclicLROptions{MaxLR: 0.8, StepSizeUp: 20, StepSizeDown: 30, Gamma: 0.98}), momentumBase: 0.9},

	{name: "OneCycleLR defaults, 100", made: optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 100}), byName: "one-cycle",
		options:  values{"totalsteps": 100},
		momentum: optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 100, DivFactor: 0.85 / 0.95, FinalDivFactor: 1}), momentumBase: 0.85},
	{name: "OneCycleLR 77 0.45 10 50 linear",
		made:   optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 77, PctStart: 0.45, DivFactor: 10, FinalDivFactor: 50, Linear: true}),
		byName: "one-cycle", options: values{"totalsteps": 77, "pctstart": 0.45, "divfactor": 10, "finaldivfactor": 50, "linear": 1},
		momentum:     optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 77, PctStart: 0.45, DivFactor: 0.85 / 0.95, FinalDivFactor: 1, Linear: true}),
		momentumBase: 0.85},
	{name: "OneCycleLR 100 0.4 three_phase", made: optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 100, PctStart: 0.4, ThreePhase: true}),
		byName: "one-cycle", options: values{"totalsteps": 100, "pctstart": 0.4, "threephase": 1},
		momentum:     optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 100, PctStart: 0.4, DivFactor: 0.85 / 0.95, FinalDivFactor: 1, ThreePhase: true}),
		momentumBase: 0.85},
	{name: "OneCycleLR 63 0.7 linear three_phase",
		made:   optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 63, PctStart: 0.7, Linear: true, ThreePhase: true}),
		byName: "one-cycle", options: values{"totalsteps": 63, "pctstart": 0.7, "linear": 1, "threephase": 1},
		momentum: optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 63, PctStart: 0.7,
			DivFactor: 0.85 / 0.95, FinalDivFactor: 1, Linear: true, ThreePhase: true}), momentumBase: 0.85},
	{name: "OneCycleLR 4 0.1", made: optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 4, PctStart: 0.1}), byName: "one-cycle",
		options:  values{"totalsteps": 4, "pctstart": 0.1},
		momentum: optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 4, PctStart: 0.1, DivFactor: 0.85 / 0.95, FinalDivFactor: 1}), momentumBase: 0.85},

	{name: "ChainedScheduler ConstantLR 0.1 20, ExponentialLR 0.9",
		made: optim.ChainedScheduler(optim.ConstantLR(0.1, 20), optim.ExponentialLR(0.9))},
	{name: "ChainedScheduler LinearLR 0.01 1 10, StepLR 15 0.5, PolynomialLR 90 2",
		made: optim.ChainedScheduler(optim.LinearLR(0.01, 1, 10), optim.StepLR(15, 0.5), optim.PolynomialLR(90, 2))},
	{name: "SequentialLR ConstantLR 0.1 20, ExponentialLR 0.9; 20",
		made: optim.SequentialLR([]int{20}, optim.ConstantLR(0.1, 20), optim.ExponentialLR(0.9))},
	{name: "SequentialLR LinearLR 0.1 1 10, CosineAnnealingLR 30 0.02, StepLR 5 0.5; 10 41",
		made: optim.SequentialLR([]int{10, 41}, optim.LinearLR(0.1, 1, 10), optim.CosineAnnealingLR(30, 0.02), optim.StepLR(5, 0.5))},
}

// plateaus has the cases of ReduceLROnPlateau.
var plateaus = []struct {
	name    string
	made    optim.ReduceLROnPlateauOptions
	options values
}{
	{"ReduceLROnPlateau defaults", optim.ReduceLROnPlateauOptions{}, nil},
	{"ReduceLROnPlateau 0.5 3 0.05 cooldown 4 min_lr 0.004",
		optim.ReduceLROnPlateauOptions{Factor: 0.5, Patience: 3, Threshold: 0.05, Cooldown: 4, MinLR: 0.004},
		values{"factor": 0.5, "patience": 3, "threshold": 0.05, "cooldown": 4, "minlr": 0.004}},
	{"ReduceLROnPlateau 0.7 2 0.02 abs eps 0.005",
		optim.ReduceLROnPlateauOptions{Factor: 0.7, Patience: 2, Threshold: 0.02, Abs: true, Eps: 0.005},
		values{"factor": 0.7, "patience": 2, "threshold": 0.02, "abs": 1, "eps": 0.005}},
	{"ReduceLROnPlateau 0.8 0 0.01 max",
		optim.ReduceLROnPlateauOptions{Factor: 0.8, Patience: -1, Threshold: 0.01, Max: true},
		values{"factor": 0.8, "patience": 0, "threshold": 0.01, "max": 1}},
	{"ReduceLROnPlateau 0.8 4 0.03 max abs",
		optim.ReduceLROnPlateauOptions{Factor: 0.8, Patience: 4, Threshold: 0.03, Max: true, Abs: true},
		values{"factor": 0.8, "patience": 4, "threshold": 0.03, "max": 1, "abs": 1}},
}

// torchCase is a case of torchSchedules.
type torchCase struct {
	Name                 string
	Base                 float64
	LR, Momentum, Metric []float64
}

// torchCases reads torchSchedules, which must be the file that was committed.
func torchCases(t *testing.T) map[string]torchCase {
	t.Helper()
	const sum = "1d1464dee28e9a79b1b3dfb80601d7cec856586be9a4d559901f22be5df059b1"
	if got := fmt.Sprintf("%x", sha256.Sum256(torchSchedules)); got != sum {
		t.Fatalf("testdata/schedules.json: SHA-256 %s, want %s", got, sum)
	}
	var file struct {
		Torch string
		Cases []torchCase
	}
	if err := json.Unmarshal(torchSchedules, &file); err != nil {
		t.Fatalf("testdata/schedules.json: %v", err)
	}
	t.Logf("PyTorch %s", file.Torch)
	cases := map[string]torchCase{}
	for _, c := range file.Cases {
		cases[c.Name] = c
	}
	return cases
}

// TestScheduleTorch holds the schedules to PyTorch's rates. The closed forms round
// otherwise than PyTorch's way from step to step, which is off by up to 5.7e-14 (a
// cosine near its end) and by 8.1e-15 elsewhere.
func TestScheduleTorch(t *testing.T) {
	const bound = 1e-13
	cases := torchCases(t)
	compare := func(name string, s optim.Schedule, base float64, want []float64) (worst float64) {
		for step, w := range want {
			got := s.LR(base, step)
			e := 0.0
			if got != w {
				e = math.Abs(got-w) / math.Abs(w)
			}
			if !(e <= bound) {
				t.Errorf("%s: step %d: %v, PyTorch has %v: relative error %.2g, want at most %g", name, step, got, w, e, bound)
			}
			worst = max(worst, e)
		}
		return worst
	}
	for _, row := range schedules {
		c, ok := cases[row.name]
		if !ok {
			t.Errorf("%s: not in testdata/schedules.json", row.name)
		}
		delete(cases, row.name)
		worst := compare(row.name, row.made, c.Base, c.LR)
		if row.byName != "" {
			named, err := optim.NewSchedule(row.byName, row.options)
			if err != nil {
				t.Fatalf("%s: by name: %v", row.name, err)
			}
			for step := range c.LR {
				if got, want := named.LR(c.Base, step), row.made.LR(c.Base, step); got != want {
					t.Errorf("%s: step %d: by name %v, by constructor %v", row.name, step, got, want)
				}
			}
		}
		if row.momentum != nil {
			worst = max(worst, compare(row.name+": momentum", row.momentum, row.momentumBase, c.Momentum))
		}
		if (row.momentum != nil) != (len(c.Momentum) > 0) {
			t.Errorf("%s: the momentum is not compared", row.name)
		}
		t.Logf("%s: largest relative error %.2g", row.name, worst)
	}
	for name := range cases {
		if !strings.HasPrefix(name, "ReduceLROnPlateau") {
			t.Errorf("%s: no row", name)
		}
	}
}

// TestScheduleTorchPlateau holds ReduceLROnPlateau to PyTorch's rates, which are
// the same to the last bit, and goes on from its state at each step.
func TestScheduleTorchPlateau(t *testing.T) {
	cases := torchCases(t)
	for _, row := range plateaus {
		c, ok := cases[row.name]
		if !ok || len(c.Metric) != len(c.LR) {
			t.Fatalf("%s: not in testdata/schedules.json", row.name)
		}
		delete(cases, row.name)
		named, err := optim.NewSchedule("plateau", row.options)
		if err != nil {
			t.Fatalf("%s: by name: %v", row.name, err)
		}
		p := []*optim.ReduceLROnPlateau{optim.NewReduceLROnPlateau(row.made), named.(*optim.ReduceLROnPlateau), nil}
		for step, want := range c.LR {
			p[2] = optim.NewReduceLROnPlateau(row.made)
			if err := p[2].SetState(p[0].State()); err != nil {
				t.Fatalf("%s: step %d: %v", row.name, step, err)
			}
			for i, how := range []string{"by constructor", "by name", "from the state"} {
				if got := p[i].LR(c.Base, step); got != want {
					t.Fatalf("%s: step %d: %s %v, PyTorch has %v", row.name, step, how, got, want)
				}
				p[i].Observe(c.Metric[step])
			}
			if p[1].State() != p[0].State() || p[2].State() != p[0].State() {
				t.Fatalf("%s: step %d: states %+v, by name %+v, after SetState %+v", row.name, step, p[0].State(), p[1].State(), p[2].State())
			}
		}
	}
	for name := range cases {
		if strings.HasPrefix(name, "ReduceLROnPlateau") {
			t.Errorf("%s: no row", name)
		}
	}
}

// TestSchedulePure asks for the rates backwards, and from several goroutines.
func TestSchedulePure(t *testing.T) {
	const steps = 250
	for _, row := range schedules {
		var want [steps]float64
		for step := range want {
			want[step] = row.made.LR(0.1, step)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for step := steps - 1; step >= 0; step-- {
					if got := row.made.LR(0.1, step); got != want[step] {
						t.Errorf("%s: step %d: %v after later steps, %v after earlier ones", row.name, step, got, want[step])
					}
				}
			})
		}
		wg.Wait()
	}

	// What a constructor was given may change afterwards.
	milestones := []int{3, 5}
	parts := []optim.Schedule{optim.ConstantLR(0.5, 9), optim.ExponentialLR(0.5), optim.ExponentialLR(0.25)}
	all := []optim.Schedule{
		optim.MultiStepLR(milestones, 0.5), optim.SequentialLR(milestones, parts...), optim.ChainedScheduler(parts...),
	}
	rates := func() (r [24]float64) {
		for i := range r {
			r[i] = all[i%3].LR(1, i/3)
		}
		return r
	}
	before := rates()
	milestones[0], parts[0] = 1, parts[2]
	if after := rates(); after != before {
		t.Errorf("rates %v after a change of the constructors' arguments, %v before", after, before)
	}
}

// TestScheduleCorners: the first and last steps, milestones, and far beyond the
// end. Want is exact.
func TestScheduleCorners(t *testing.T) {
	const far = math.MaxInt
	oneCycle := func(o optim.OneCycleLROptions) optim.Schedule { return optim.OneCycleLR(o) }
	for _, c := range []struct {
		name string
		s    optim.Schedule
		base float64
		want map[int]float64
	}{
		{"ConstantLR", optim.ConstantLR(0, 3), 2, map[int]float64{0: 0, 2: 0, 3: 2, far: 2}},
		{"LinearLR", optim.LinearLR(0.25, 1, 3), 2, map[int]float64{0: 0.5, 1: 1, 2: 1.5, 3: 2, far: 2}},
		{"LinearLR down", optim.LinearLR(0.9, 0.1, 49), 1, map[int]float64{0: 0.9, 49: 0.1, far: 0.1}}, // 0.9 + (0.1 - 0.9) is not 0.1
		{"LinearLR to 0", optim.LinearLR(0.3, 0, 49), 1, map[int]float64{49: 0, far: 0}},
		{"StepLR", optim.StepLR(2, 0.5), 2, map[int]float64{0: 2, 1: 2, 2: 1, 3: 1, 4: 0.5, far: 0}},
		{"MultiStepLR", optim.MultiStepLR([]int{1, 4}, 0.5), 2, map[int]float64{0: 2, 1: 1, 3: 1, 4: 0.5, far: 0.5}},
		{"MultiStepLR without milestones", optim.MultiStepLR(nil, 0.5), 2, map[int]float64{0: 2, far: 2}},
		{"ExponentialLR", optim.ExponentialLR(0.5), 2, map[int]float64{0: 2, 1: 1, far: 0}},
		{"PolynomialLR", optim.PolynomialLR(4, 2), 2, map[int]float64{0: 2, 2: 0.5, 4: 0, 5: 0, far: 0}},
		{"LambdaLR", optim.LambdaLR(func(int) float64 { return 3 }), 2, map[int]float64{0: 6, far: 6}},
		{"MultiplicativeLR", optim.MultiplicativeLR(func(t int) float64 { return float64(t) }), 2, map[int]float64{0: 2, 1: 2, 4: 48}},
		{"CosineAnnealingLR", optim.CosineAnnealingLR(4, 1), 3, map[int]float64{0: 3, 2: 2, 4: 1, 6: 2, 8: 3, 12: 1, 1<<31 - 4: 1}},
		{"CosineAnnealingLR, base below etaMin", optim.CosineAnnealingLR(1, 2), 1, map[int]float64{0: 1, 1: 2, 2: 1, far: 2}},
		{"CosineAnnealingWarmRestarts", optim.CosineAnnealingWarmRestarts(4, 1, 1), 3, map[int]float64{0: 3, 2: 2, 4: 3, 6: 2, 1 << 30: 3}},
		{"CosineAnnealingWarmRestarts, longer and longer", optim.CosineAnnealingWarmRestarts(2, 2, 1), 3,
			map[int]float64{0: 3, 1: 2, 2: 3, 4: 2, 6: 3, 10: 2, 14: 3, 1<<30 - 2: 3, 1<<30 - 2 + 1<<29: 2}},
		{"WarmupCosine", optim.WarmupCosine(3, 4, 1), 4, map[int]float64{0: 1, 1: 2, 2: 3, 3: 4, 5: 2.5, 7: 1, 8: 1, far: 1}},
		{"WarmupCosine without a warm-up", optim.WarmupCosine(0, 2, 0), 4, map[int]float64{0: 4, 1: 2, 2: 0, 3: 0, far: 0}},
		{"CyclicLR", optim.CyclicLR(optim.CyclicLROptions{MaxLR: 3, StepSizeUp: 2, StepSizeDown: 4}), 1,
			map[int]float64{0: 1, 1: 2, 2: 3, 3: 2.5, 5: 1.5, 6: 1, 8: 3, 6 << 20: 1}},
		{"CyclicLR, triangular2", optim.CyclicLR(optim.CyclicLROptions{MaxLR: 3, StepSizeUp: 2, Triangular2: true}), 1,
			map[int]float64{0: 1, 2: 3, 4: 1, 6: 2, 10: 1.5, far: 1}},
		{"OneCycleLR", oneCycle(optim.OneCycleLROptions{TotalSteps: 10, PctStart: 0.5, DivFactor: 2, FinalDivFactor: 4, Linear: true}), 8,
			map[int]float64{0: 4, 1: 5, 4: 8, 9: 1, 10: 1, far: 1}},
		{"OneCycleLR in three phases", oneCycle(optim.OneCycleLROptions{TotalSteps: 16, PctStart: 0.25, DivFactor: 2, FinalDivFactor: 4, ThreePhase: true}), 8,
			map[int]float64{0: 4, 3: 8, 6: 4, 15: 1, far: 1}},
		{"OneCycleLR that starts at the top", oneCycle(optim.OneCycleLROptions{TotalSteps: 4, PctStart: 0.25, DivFactor: 2, FinalDivFactor: 4}), 8,
			map[int]float64{0: 8, 3: 1}},
		{"OneCycleLR that starts at the top, in three phases", oneCycle(optim.OneCycleLROptions{TotalSteps: 4, PctStart: 0.25, DivFactor: 2, FinalDivFactor: 4, ThreePhase: true}), 8,
			map[int]float64{0: 8, 3: 1}},
		{"OneCycleLR of a rise alone", oneCycle(optim.OneCycleLROptions{TotalSteps: 4, PctStart: 1, DivFactor: 2}), 8, map[int]float64{0: 4, 3: 8, far: 8}},
		{"OneCycleLR of a step", oneCycle(optim.OneCycleLROptions{TotalSteps: 1, DivFactor: 2, FinalDivFactor: 4}), 8, map[int]float64{0: 1, far: 1}},
		{"ChainedScheduler", optim.ChainedScheduler(optim.StepLR(2, 0.5), optim.CosineAnnealingLR(4, 1)), 5, map[int]float64{0: 5, 2: 1.75, 4: 1}},
		{"SequentialLR", optim.SequentialLR([]int{2, 3}, optim.ConstantLR(0.5, 9), optim.ExponentialLR(0.25), optim.StepLR(1, 0.5)), 4,
			map[int]float64{0: 2, 1: 2, 2: 4, 3: 4, 4: 2, 5: 1, far: 0}},
		{"SequentialLR of one", optim.SequentialLR(nil, optim.StepLR(1, 0.5)), 4, map[int]float64{0: 4, 1: 2}},
	} {
		for step, want := range c.want {
			if got := c.s.LR(c.base, step); got != want {
				t.Errorf("%s: LR(%v, %d) = %v, want %v", c.name, c.base, step, got, want)
			}
		}
	}
}

// TestScheduleBits: the rates have the same bits wherever the test runs.
func TestScheduleBits(t *testing.T) {
	const want = "216bb93fbe1a17b2ba44b424d5f550a813297bad4bb1fb6747f2b6d6acb1d88d"
	h := sha256.New()
	for _, row := range schedules {
		for step := range 300 {
			h.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(row.made.LR(0.1, step))))
		}
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
		t.Errorf("the rates hash to %s, want %s", got, want)
	}
}

// TestScheduleAllocations: a rate allocates nothing.
func TestScheduleAllocations(t *testing.T) {
	check := func(name string, s optim.Schedule) {
		if allocs := testing.AllocsPerRun(20, func() { s.LR(0.1, 50) }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
	for _, row := range schedules {
		check(row.name, row.made)
	}
	p := optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{Patience: -1})
	p.Observe(1)
	p.Observe(1)
	check("ReduceLROnPlateau", p)
}

// TestScheduleErrors: what comes from outside is refused with what is valid.
func TestScheduleErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, test := range []struct {
		name    string
		options values
		want    string
	}{
		{"Cosine", nil, `optim: unknown schedule "Cosine", want one of constant, linear, step, exponential, polynomial, cosine, ` +
			`cosine-warm-restarts, warmup-cosine, cyclic, one-cycle, plateau`},
		{"cosine", nil, `optim: schedule cosine: option "tmax" is missing, want a whole number from 1 to `},
		{"cosine", values{"tmax": 10, "T_max": 10}, `optim: schedule cosine: unknown option "T_max", want one of tmax, etamin`},
		{"cosine", values{"tmax": 2.5}, "optim: schedule cosine: tmax = 2.5, want a whole number from 1 to "},
		{"cosine", values{"tmax": 0}, "tmax = 0, want a whole number from 1 to "},
		{"cosine", values{"tmax": inf}, "tmax = +Inf, want a whole number"},
		{"cosine", values{"tmax": nan}, "tmax = NaN, want a whole number"},
		{"cosine", values{"tmax": 10, "etamin": -1}, "etamin = -1, want from 0 to 3.4028234663852886e+38"},
		{"cosine-warm-restarts", values{"t0": 10, "tmult": 0}, "tmult = 0, want a whole number from 1 to "},
		{"constant", values{"factor": 1.5}, "factor = 1.5, want from 0 to 1"},
		{"linear", values{"startfactor": 0}, "startfactor = 0, want above 0 and at most 1"},
		{"step", values{"stepsize": 10, "gamma": 0}, "gamma = 0, want above 0 and at most 3.4028234663852886e+38"},
		{"exponential", nil, `option "gamma" is missing, want above 0`},
		{"exponential", values{"gamma": nan}, "gamma = NaN, want above 0"},
		{"polynomial", values{"power": inf}, "power = +Inf, want above 0"},
		{"warmup-cosine", values{"warmup": -1, "tmax": 1}, "warmup = -1, want a whole number from 0 to "},
		{"cyclic", values{"stepsizeup": 10}, `option "maxlr" is missing`},
		{"cyclic", values{"maxlr": 1, "triangular2": 0.5}, "triangular2 = 0.5, want a whole number from 0 to 1"},
		{"one-cycle", values{"totalsteps": 10, "pctstart": 0}, "pctstart = 0, want above 0 and at most 1"},
		{"plateau", values{"factor": 1}, "optim: schedule plateau: factor = 1, want above 0 and below 1"},
		{"plateau", values{"patience": -1}, "patience = -1, want a whole number from 0 to "},
	} {
		s, err := optim.NewSchedule(test.name, test.options)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("NewSchedule(%q, %v): error %v, want %s", test.name, test.options, err, test.want)
		}
		if s != nil {
			t.Errorf("NewSchedule(%q, %v) returned a schedule besides an error", test.name, test.options)
		}
	}

	p := optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{Patience: 3, Cooldown: 2})
	p.Observe(0.5)
	before := p.State()
	for _, test := range []struct {
		s    optim.PlateauState
		want string
	}{
		{optim.PlateauState{Best: nan}, "optim: plateau: state: Best = NaN, want a number"},
		{optim.PlateauState{NumBad: -1}, "NumBad = -1, want from 0 to Patience = 3"},
		{optim.PlateauState{NumBad: 4}, "NumBad = 4, want from 0 to Patience = 3"},
		{optim.PlateauState{Cooldown: -1}, "Cooldown = -1, want from 0 to the option's 2"},
		{optim.PlateauState{Cooldown: 3}, "Cooldown = 3, want from 0 to the option's 2"},
		{optim.PlateauState{Reductions: -1}, "Reductions = -1, want at least 0"},
	} {
		if err := p.SetState(test.s); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("SetState(%+v): error %v, want %s", test.s, err, test.want)
		}
		if p.State() != before {
			t.Errorf("SetState(%+v) is refused and changes the state", test.s)
		}
	}
}

// TestScheduleNames: every schedule by name, with every option, is in the tables.
func TestScheduleNames(t *testing.T) {
	tested := map[string]values{}
	add := func(name string, options values) {
		if tested[name] == nil {
			tested[name] = values{}
		}
		maps.Copy(tested[name], options)
	}
	for _, row := range schedules {
		add(row.byName, row.options)
	}
	for _, row := range plateaus {
		add("plateau", row.options)
	}
	for _, name := range optim.ScheduleNames() {
		_, err := optim.NewSchedule(name, values{"?": 1})
		if err == nil {
			t.Fatalf("%s: no error for an unknown option", name)
		}
		_, list, _ := strings.Cut(err.Error(), "want one of ")
		got := slices.Sorted(slices.Values(strings.Split(list, ", ")))
		if want := slices.Sorted(maps.Keys(tested[name])); !slices.Equal(got, want) {
			t.Errorf("%s: options %v, the tables have %v", name, got, want)
		}
	}
}

// TestSchedulePanics: a mistake in the program panics.
func TestSchedulePanics(t *testing.T) {
	nan := math.NaN()
	half := optim.ExponentialLR(0.5)
	plateau := optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{})
	for _, test := range []struct {
		do   func()
		want string
	}{
		{func() { optim.StepLR(0, 0.1) }, "optim.StepLR: option stepsize = 0, want a whole number from 1 to "},
		{func() { optim.StepLR(1, 0) }, "optim.StepLR: option gamma = 0, want above 0"},
		{func() { optim.MultiStepLR([]int{3, 3}, 0.1) }, "optim.MultiStepLR: milestones[1] = 3, want at least 4"},
		{func() { optim.MultiStepLR([]int{0}, 0.1) }, "optim.MultiStepLR: milestones[0] = 0, want at least 1"},
		{func() { optim.MultiStepLR(nil, -1) }, "optim.MultiStepLR: option gamma = -1, want above 0"},
		{func() { optim.ConstantLR(0.5, 0) }, "optim.ConstantLR: option totaliters = 0, want a whole number from 1"},
		{func() { optim.LinearLR(1, 1.5, 5) }, "optim.LinearLR: option endfactor = 1.5, want from 0 to 1"},
		{func() { optim.ExponentialLR(nan) }, "optim.ExponentialLR: option gamma = NaN, want above 0"},
		{func() { optim.PolynomialLR(5, 0) }, "optim.PolynomialLR: option power = 0, want above 0"},
		{func() { optim.LambdaLR(nil) }, "optim.LambdaLR: f = nil, want a function"},
		{func() { optim.MultiplicativeLR(nil) }, "optim.MultiplicativeLR: f = nil, want a function"},
		{func() { optim.CosineAnnealingLR(-1, 0) }, "optim.CosineAnnealingLR: option tmax = -1, want a whole number from 1"},
		{func() { optim.CosineAnnealingWarmRestarts(1, 0, 0) }, "optim.CosineAnnealingWarmRestarts: option tmult = 0"},
		{func() { optim.WarmupCosine(1, 0, 0) }, "optim.WarmupCosine: option tmax = 0"},
		{func() { optim.CyclicLR(optim.CyclicLROptions{}) }, "optim.CyclicLR: option maxlr = 0, want above 0"},
		{func() { optim.CyclicLR(optim.CyclicLROptions{MaxLR: 1, StepSizeDown: -1}) }, "optim.CyclicLR: option stepsizedown = -1"},
		{func() { optim.CyclicLR(optim.CyclicLROptions{MaxLR: 1, Gamma: 1.1}) }, "optim.CyclicLR: option gamma = 1.1, want above 0 and at most 1"},
		{func() { optim.OneCycleLR(optim.OneCycleLROptions{}) }, "optim.OneCycleLR: option totalsteps = 0"},
		{func() { optim.OneCycleLR(optim.OneCycleLROptions{TotalSteps: 1, DivFactor: -1}) }, "optim.OneCycleLR: option divfactor = -1"},
		{func() { optim.ChainedScheduler() }, "optim.ChainedScheduler: no schedules, want at least 1"},
		{func() { optim.ChainedScheduler(half, nil) }, "optim.ChainedScheduler: schedules[1] = nil"},
		{func() { optim.SequentialLR(nil) }, "optim.SequentialLR: no schedules"},
		{func() { optim.SequentialLR([]int{1}, half) }, "optim.SequentialLR: 1 milestones and 1 schedules, want one milestone fewer"},
		{func() { optim.SequentialLR([]int{5, 4}, half, half, half) }, "optim.SequentialLR: milestones[1] = 4, want at least 6"},
		{func() { optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{Factor: 1}) }, "optim.NewReduceLROnPlateau: option factor = 1"},
		{func() { optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{Cooldown: -1}) }, "optim.NewReduceLROnPlateau: option cooldown = -1"},

		{func() { half.LR(0.1, -1) }, "optim.ExponentialLR: base = 0.1 and step = -1, want base from 0 to 3.4028234663852886e+38 and step at least 0"},
		{func() { half.LR(nan, 1) }, "optim.ExponentialLR: base = NaN and step = 1, want base from 0"},
		{func() { plateau.LR(-1, 1) }, "optim.ReduceLROnPlateau: base = -1 and step = 1, want base from 0"},
		{func() { optim.LambdaLR(func(int) float64 { return nan }).LR(1, 7) }, "optim.LambdaLR: learning rate NaN at step 7, want from 0"},
		{func() { optim.LambdaLR(func(int) float64 { return -1 }).LR(1, 7) }, "optim.LambdaLR: learning rate -1 at step 7, want from 0"},
		{func() { optim.ExponentialLR(2).LR(1, 200) }, "optim.ExponentialLR: learning rate 1.6069380442589903e+60 at step 200"},
	} {
		wantPanic(t, test.want, test.do)
	}
}

// TestSchedulePlateauNaN: a metric that is NaN is no better, and no best.
func TestSchedulePlateauNaN(t *testing.T) {
	p := optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{Patience: 1})
	if got, want := p.State(), (optim.PlateauState{Best: math.Inf(1)}); got != want {
		t.Errorf("at first, state %+v, want %+v", got, want)
	}
	for i, step := range []struct {
		metric float64
		want   optim.PlateauState
	}{
		{math.NaN(), optim.PlateauState{Best: math.Inf(1), NumBad: 1}},
		{2, optim.PlateauState{Best: 2}},
		{math.NaN(), optim.PlateauState{Best: 2, NumBad: 1}},
		{2, optim.PlateauState{Best: 2, Reductions: 1}},
		{1, optim.PlateauState{Best: 1, Reductions: 1}},
	} {
		p.Observe(step.metric)
		if got := p.State(); got != step.want {
			t.Errorf("metric %d, %v: state %+v, want %+v", i, step.metric, got, step.want)
		}
	}
}

// TestSchedulePlateauThreshold: a metric at the threshold is not better, the next
// float64 is.
func TestSchedulePlateauThreshold(t *testing.T) {
	for _, test := range []struct {
		max, abs bool
		at       float64 // the threshold that 0.25 gives for a best of 2
	}{{false, false, 1.5}, {false, true, 1.75}, {true, false, 2.5}, {true, true, 2.25}} {
		p := optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{Threshold: 0.25, Max: test.max, Abs: test.abs})
		p.Observe(2)
		p.Observe(test.at)
		if got, want := p.State(), (optim.PlateauState{Best: 2, NumBad: 1}); got != want {
			t.Errorf("%+v: state %+v, want %+v", test, got, want)
		}
		better := math.Nextafter(test.at, (test.at-2)*100)
		p.Observe(better)
		if got, want := p.State(), (optim.PlateauState{Best: better}); got != want {
			t.Errorf("%+v, then %v: state %+v, want %+v", test, better, got, want)
		}
	}
}
