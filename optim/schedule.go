package optim

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-go/lockstep/internal/det"
)

// Schedule changes a learning rate over the steps of a training run.
//
// The schedules are those of PyTorch's torch.optim.lr_scheduler, under its names
// and with its parameters, and [WarmupCosine]. With base the optimizer's rate and
// t = 0, 1, … the step, which may as well count epochs:
//
//	ConstantLR                   base·factor for t < totalIters, then base
//	LinearLR                     base·(start + (end - start)·t/totalIters)
//	StepLR                       base·γ^⌊t/stepSize⌋
//	MultiStepLR                  base·γ^(the number of milestones ≤ t)
//	ExponentialLR                base·γᵗ
//	PolynomialLR                 base·(1 - t/totalIters)^power
//	LambdaLR                     base·f(t)
//	MultiplicativeLR             base·f(1)·f(2)·…·f(t)
//	CosineAnnealingLR            half a cosine from base to etaMin, and back
//	CosineAnnealingWarmRestarts  half a cosine from base to etaMin, over and over
//	WarmupCosine                 a line up to base, half a cosine down to etaMin
//	CyclicLR                     a triangle from base to MaxLR and back
//	OneCycleLR                   from base/DivFactor up to base, and far down
//	ChainedScheduler             each schedule has the rate of the one before as base
//	SequentialLR                 one schedule after the other
//	ReduceLROnPlateau            base·factor^(how often a metric stopped improving)
//
// All but [ReduceLROnPlateau] are functions of base and step alone, in closed
// form where PyTorch goes from one step's rate to the next: a run that is resumed
// needs only its step, and any steps may be asked for, in any order, from any
// goroutine. The arithmetic is float64, its result the same bits on every machine.
//
// A schedule's base is an argument so that one schedule serves groups of
// parameters with rates of their own. It need not be a learning rate: where
// PyTorch also cycles the momentum, [CyclicLR] and [OneCycleLR] say by which
// schedule.
//
// A constructor panics if a parameter is out of its range.
type Schedule interface {
	// LR returns the learning rate at step 0, 1, …. It allocates nothing.
	//
	// It panics if step is negative, and if base or the rate is negative, NaN or
	// above the largest float32.
	LR(base float64, step int) float64
}

// schedule is a Schedule in closed form.
type schedule struct {
	name string // of the constructor
	rate func(base float64, step int) float64
}

func (s *schedule) LR(base float64, step int) float64 {
	wantLRArgs(s.name, base, step)
	lr := s.rate(base, step)
	if !isRate(lr) {
		panic(fmt.Sprintf("optim.%s: learning rate %v at step %d, want %s", s.name, lr, step, nonNegative.text))
	}
	return lr
}

func wantLRArgs(name string, base float64, step int) {
	if step < 0 || !isRate(base) {
		panic(fmt.Sprintf("optim.%s: base = %v and step = %d, want base %s and step at least 0",
			name, base, step, nonNegative.text))
	}
}

func isRate(v float64) bool { return v >= 0 && v <= math.MaxFloat32 }

// ConstantLR holds the rate low for a while:
//
//	η = base·factor  for t < totalIters
//	η = base         from then on
//
// The factor is at most 1, and PyTorch's is 1/3; totalIters is at least 1, and
// PyTorch's is 5.
func ConstantLR(factor float64, totalIters int) Schedule {
	wantOptions("ConstantLR", constantOptions, factor, float64(totalIters))
	return &schedule{"ConstantLR", func(base float64, step int) float64 {
		if step >= totalIters {
			return base
		}
		return base * factor
	}}
}

var constantOptions = []scheduleOption{
	{"factor", 1.0 / 3, fraction},
	{"totaliters", 5, fromOne},
}

// LinearLR moves the rate along a line:
//
//	η = base·(startFactor + (endFactor - startFactor)·(t/totalIters))  for t < totalIters
//	η = base·endFactor                                                 from then on
//
// Both factors are at most 1. PyTorch's are 1/3 and 1, a warm-up, and its
// totalIters is 5.
func LinearLR(startFactor, endFactor float64, totalIters int) Schedule {
	wantOptions("LinearLR", linearOptions, startFactor, endFactor, float64(totalIters))
	return &schedule{"LinearLR", func(base float64, step int) float64 {
		if step >= totalIters {
			return base * endFactor
		}
		return base * (startFactor + float64((endFactor-startFactor)*(float64(step)/float64(totalIters))))
	}}
}

var linearOptions = []scheduleOption{
	{"startfactor", 1.0 / 3, positiveFraction},
	{"endfactor", 1, fraction},
	{"totaliters", 5, fromOne},
}

// StepLR multiplies the rate by gamma after each stepSize steps:
//
//	η = base·γ^⌊t/stepSize⌋
//
// PyTorch's gamma is 0.1.
func StepLR(stepSize int, gamma float64) Schedule {
	wantOptions("StepLR", stepOptions, float64(stepSize), gamma)
	return &schedule{"StepLR", func(base float64, step int) float64 {
		return base * det.Pow(gamma, float64(step/stepSize))
	}}
}

var stepOptions = []scheduleOption{
	{"stepsize", required, fromOne},
	{"gamma", 0.1, positive},
}

// MultiStepLR multiplies the rate by gamma at each milestone:
//
//	η = base·γ^(the number of milestones ≤ t)
//
// The milestones are at least 1 and rise. PyTorch's gamma is 0.1.
func MultiStepLR(milestones []int, gamma float64) Schedule {
	wantMilestones("MultiStepLR", milestones)
	wantOptions("MultiStepLR", exponentialOptions, gamma)
	milestones = slices.Clone(milestones)
	return &schedule{"MultiStepLR", func(base float64, step int) float64 {
		return base * det.Pow(gamma, float64(passed(milestones, step)))
	}}
}

// ExponentialLR multiplies the rate by gamma at each step:
//
//	η = base·γᵗ
func ExponentialLR(gamma float64) Schedule {
	wantOptions("ExponentialLR", exponentialOptions, gamma)
	return &schedule{"ExponentialLR", func(base float64, step int) float64 {
		return base * det.Pow(gamma, float64(step))
	}}
}

var exponentialOptions = []scheduleOption{
	{"gamma", required, positive},
}

// PolynomialLR lets the rate fall to 0:
//
//	η = base·((totalIters - t)/totalIters)^power  for t < totalIters
//	η = 0                                         from then on
//
// PyTorch's totalIters is 5 and its power 1, a line.
func PolynomialLR(totalIters int, power float64) Schedule {
	wantOptions("PolynomialLR", polynomialOptions, float64(totalIters), power)
	return &schedule{"PolynomialLR", func(base float64, step int) float64 {
		return base * det.Pow(float64(max(0, totalIters-step))/float64(totalIters), power)
	}}
}

var polynomialOptions = []scheduleOption{
	{"totaliters", 5, fromOne},
	{"power", 1, positive},
}

// LambdaLR multiplies the rate by a function of the step, which must not depend
// on anything else:
//
//	η = base·f(t)
func LambdaLR(f func(step int) float64) Schedule {
	wantFunction("LambdaLR", f)
	return &schedule{"LambdaLR", func(base float64, step int) float64 {
		return base * f(step)
	}}
}

// MultiplicativeLR multiplies the rate by a function at each step from 1 on:
//
//	η = base·f(1)·f(2)·…·f(t)
//
// So LR at step t takes t calls of f: for long runs give [LambdaLR] the product,
// where it is known in closed form.
func MultiplicativeLR(f func(step int) float64) Schedule {
	wantFunction("MultiplicativeLR", f)
	return &schedule{"MultiplicativeLR", func(base float64, step int) float64 {
		for t := 1; t <= step; t++ {
			base *= f(t)
		}
		return base
	}}
}

// CosineAnnealingLR lets the rate swing between base and etaMin, which it reaches
// after tMax steps and leaves again, upwards, as PyTorch's does:
//
//	η = etaMin + (base - etaMin)·(1 + cos(π·(t/tMax)))/2
//
// PyTorch's etaMin is 0. [WarmupCosine] stays at etaMin.
//
// Source: Loshchilov and Hutter, SGDR: stochastic gradient descent with warm
// restarts, 2017, equation 5, without the restarts.
func CosineAnnealingLR(tMax int, etaMin float64) Schedule {
	wantOptions("CosineAnnealingLR", cosineOptions, float64(tMax), etaMin)
	return &schedule{"CosineAnnealingLR", func(base float64, step int) float64 {
		t := step % tMax
		if step/tMax%2 == 1 {
			t = tMax - t
		}
		return cosine(base, etaMin, float64(t)/float64(tMax))
	}}
}

var cosineOptions = []scheduleOption{
	{"tmax", required, fromOne},
	{"etamin", 0, nonNegative},
}

// CosineAnnealingWarmRestarts lets the rate fall from base towards etaMin and
// starts again at base after t0 steps, then after t0·tMult, t0·tMult², … more:
//
//	η = etaMin + (base - etaMin)·(1 + cos(π·(t/T)))/2
//
// with t counted from the last restart, and T the steps from there to the next.
// PyTorch's tMult is 1 and its etaMin 0.
//
// Source: Loshchilov and Hutter, SGDR: stochastic gradient descent with warm
// restarts, 2017, equation 5.
func CosineAnnealingWarmRestarts(t0, tMult int, etaMin float64) Schedule {
	wantOptions("CosineAnnealingWarmRestarts", restartsOptions, float64(t0), float64(tMult), etaMin)
	return &schedule{"CosineAnnealingWarmRestarts", func(base float64, step int) float64 {
		if tMult == 1 {
			return cosine(base, etaMin, float64(step%t0)/float64(t0))
		}
		t, period := float64(step), float64(t0) // as floats, period cannot overflow
		for t >= period {
			t -= period
			period = float64(period * float64(tMult))
		}
		return cosine(base, etaMin, t/period)
	}}
}

var restartsOptions = []scheduleOption{
	{"t0", required, fromOne},
	{"tmult", 1, fromOne},
	{"etamin", 0, nonNegative},
}

// WarmupCosine lets the rate rise along a line to base, for warmup steps, and fall
// to etaMin, for tMax more, where it stays:
//
//	η = base·((t + 1)/(warmup + 1))                                  for t < warmup
//	η = etaMin + (base - etaMin)·(1 + cos(π·((t - warmup)/tMax)))/2  for t < warmup + tMax
//	η = etaMin                                                       from then on
//
// Up to there it is PyTorch's SequentialLR of LinearLR, its start_factor
// 1/(warmup + 1), and CosineAnnealingLR. There may be no warm-up, with 0 steps.
//
// Source: Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1
// hour, 2017, section 2.2, for the gradual warm-up; Loshchilov and Hutter, SGDR:
// stochastic gradient descent with warm restarts, 2017, equation 5, for the
// cosine.
func WarmupCosine(warmup, tMax int, etaMin float64) Schedule {
	wantOptions("WarmupCosine", warmupOptions, float64(warmup), float64(tMax), etaMin)
	return &schedule{"WarmupCosine", func(base float64, step int) float64 {
		if step < warmup {
			return base * (float64(step+1) / float64(warmup+1))
		}
		return cosine(base, etaMin, float64(min(step-warmup, tMax))/float64(tMax))
	}}
}

var warmupOptions = []scheduleOption{
	{"warmup", required, fromZero},
	{"tmax", required, fromOne},
	{"etamin", 0, nonNegative},
}

// CyclicLROptions are the options of [CyclicLR].
type CyclicLROptions struct {
	MaxLR        float64 // the rate at the tip of a cycle
	StepSizeUp   int     // steps from base to MaxLR; 0 stands for 2000
	StepSizeDown int     // steps back to base; 0 stands for StepSizeUp
	Gamma        float64 // γ, at most 1; 0 stands for 1; PyTorch's mode exp_range
	Triangular2  bool    // halves the height with each cycle; PyTorch's mode triangular2
}

// CyclicLR lets the rate rise from base along a line and fall again, over and
// over:
//
//	η = base + (MaxLR - base)·s·γᵗ
//	η = base + (MaxLR - base)·s·γᵗ/2ᶜ  with Triangular2
//
// where c = 0, 1, … is the cycle, and step u of the cycle has
//
//	s = u/StepSizeUp                                  for u ≤ StepSizeUp
//	s = (StepSizeUp + StepSizeDown - u)/StepSizeDown  from then on
//
// Base is what PyTorch calls base_lr. The momentum that PyTorch cycles the other
// way, from 0.9 to 0.8 and back, is the LR of the same options with MaxLR 0.8, at
// base 0.9.
//
// Source: Smith, Cyclical learning rates for training neural networks, 2017,
// section 3.
func CyclicLR(o CyclicLROptions) Schedule {
	up := cmp.Or(o.StepSizeUp, 2000)
	down := cmp.Or(o.StepSizeDown, up)
	gamma := cmp.Or(o.Gamma, 1)
	wantOptions("CyclicLR", cyclicOptions, o.MaxLR, float64(up), float64(down), gamma)
	return &schedule{"CyclicLR", func(base float64, step int) float64 {
		u := step % (up + down)
		s := float64(u) / float64(up)
		if u > up {
			s = float64(up+down-u) / float64(down)
		}
		s = float64(s * det.Pow(gamma, float64(step)))
		if o.Triangular2 {
			s = math.Ldexp(s, -(step / (up + down)))
		}
		return base + float64((o.MaxLR-base)*s)
	}}
}

var cyclicOptions = []scheduleOption{
	{"maxlr", required, positive},
	{"stepsizeup", 2000, fromOne},
	{"stepsizedown", 0, fromZero},
	{"gamma", 1, positiveFraction},
	{"triangular2", 0, flag},
}

// OneCycleLROptions are the options of [OneCycleLR].
type OneCycleLROptions struct {
	TotalSteps     int
	PctStart       float64 // the part of the steps that the rise takes, at most 1; 0 stands for 0.3
	DivFactor      float64 // base over the first rate; 0 stands for 25
	FinalDivFactor float64 // the first rate over the last; 0 stands for 1e4
	Linear         bool    // along lines, not half cosines; PyTorch's anneal_strategy "linear"
	ThreePhase     bool    // falls to the first rate as fast as it rose, then on to the last
}

// OneCycleLR lets the rate rise from base/DivFactor to base and fall to
// base/DivFactor/FinalDivFactor, which it reaches at step TotalSteps-1 and keeps.
// It goes from one rate, a, to the next, b, by
//
//	η = b + (a - b)·(1 + cos(π·x))/2
//	η = a + (b - a)·x                 with Linear
//
// with x going from 0 to 1: up to base at step u = PctStart·TotalSteps - 1, which
// need not be whole, and down to the end. With ThreePhase it is back at the first
// rate at step 2u, which wants a PctStart of at most a half.
//
// Base is what PyTorch calls max_lr; beyond the end, PyTorch's stops with an
// error. The momentum that PyTorch cycles the other way, from 0.95 to 0.85 and
// back, is the LR of the same options with DivFactor 0.85/0.95 and FinalDivFactor
// 1, at base 0.85.
//
// Source: Smith and Topin, Super-convergence: very fast training of neural
// networks using large learning rates, 2018, as PyTorch and fastai have it.
func OneCycleLR(o OneCycleLROptions) Schedule {
	o.PctStart = cmp.Or(o.PctStart, 0.3)
	o.DivFactor = cmp.Or(o.DivFactor, 25)
	o.FinalDivFactor = cmp.Or(o.FinalDivFactor, 1e4)
	wantOptions("OneCycleLR", oneCycleOptions, float64(o.TotalSteps), o.PctStart, o.DivFactor, o.FinalDivFactor)
	last := float64(o.TotalSteps - 1)
	up := float64(o.PctStart*float64(o.TotalSteps)) - 1
	back := 2 * up
	anneal := cosine
	if o.Linear {
		anneal = line
	}
	return &schedule{"OneCycleLR", func(base float64, step int) float64 {
		first := base / o.DivFactor
		lowest := first / o.FinalDivFactor
		t := min(float64(step), last)
		switch {
		case t == up: // which may be 0
			return base
		case t < up:
			return anneal(first, base, t/up)
		case !o.ThreePhase:
			return anneal(base, lowest, (t-up)/(last-up))
		case t <= back:
			return anneal(base, first, (t-up)/up)
		}
		return anneal(first, lowest, (t-back)/(last-back))
	}}
}

var oneCycleOptions = []scheduleOption{
	{"totalsteps", required, fromOne},
	{"pctstart", 0.3, positiveFraction},
	{"divfactor", 25, positive},
	{"finaldivfactor", 1e4, positive},
	{"linear", 0, flag},
	{"threephase", 0, flag},
}

// ChainedScheduler applies schedules at once, each with the rate of the one before
// as base. The factors of those that only multiply it, such as [StepLR], are
// multiplied, as in PyTorch; with others, such as [CosineAnnealingLR] with an
// etaMin, PyTorch's rate differs, since it comes from the step before.
func ChainedScheduler(schedules ...Schedule) Schedule {
	wantSchedules("ChainedScheduler", schedules)
	schedules = slices.Clone(schedules)
	return &schedule{"ChainedScheduler", func(base float64, step int) float64 {
		for _, s := range schedules {
			base = s.LR(base, step)
		}
		return base
	}}
}

// SequentialLR follows one schedule after the other, the next from each milestone
// on. Each counts its steps from 0 and starts from base; in PyTorch, all do but a
// MultiplicativeLR, which goes on from the rate before its milestone. The
// milestones are at least 1 and rise, and are one fewer than the schedules.
func SequentialLR(milestones []int, schedules ...Schedule) Schedule {
	wantMilestones("SequentialLR", milestones)
	wantSchedules("SequentialLR", schedules)
	if len(milestones) != len(schedules)-1 {
		panic(fmt.Sprintf("optim.SequentialLR: %d milestones and %d schedules, want one milestone fewer than schedules",
			len(milestones), len(schedules)))
	}
	milestones, schedules = slices.Clone(milestones), slices.Clone(schedules)
	return &schedule{"SequentialLR", func(base float64, step int) float64 {
		i := passed(milestones, step)
		if i > 0 {
			step -= milestones[i-1]
		}
		return schedules[i].LR(base, step)
	}}
}

// cosine goes from a to b by half a cosine, x from 0 to 1.
func cosine(a, b, x float64) float64 {
	return b + float64(float64((a-b)*(1+det.Cos(float64(math.Pi*x))))/2)
}

// line goes from a to b along a line, x from 0 to 1.
func line(a, b, x float64) float64 {
	return a + float64((b-a)*x)
}

// passed returns how many milestones step has reached.
func passed(milestones []int, step int) int {
	n := 0
	for n < len(milestones) && milestones[n] <= step {
		n++
	}
	return n
}

// namedSchedules are the schedules that numbers describe, by name.
var namedSchedules = []struct {
	name    string
	options []scheduleOption
	build   func(v []float64) Schedule // of the options' values, in order
}{
	{"constant", constantOptions, func(v []float64) Schedule { return ConstantLR(v[0], int(v[1])) }},
	{"linear", linearOptions, func(v []float64) Schedule { return LinearLR(v[0], v[1], int(v[2])) }},
	{"step", stepOptions, func(v []float64) Schedule { return StepLR(int(v[0]), v[1]) }},
	{"exponential", exponentialOptions, func(v []float64) Schedule { return ExponentialLR(v[0]) }},
	{"polynomial", polynomialOptions, func(v []float64) Schedule { return PolynomialLR(int(v[0]), v[1]) }},
	{"cosine", cosineOptions, func(v []float64) Schedule { return CosineAnnealingLR(int(v[0]), v[1]) }},
	{"cosine-warm-restarts", restartsOptions, func(v []float64) Schedule {
		return CosineAnnealingWarmRestarts(int(v[0]), int(v[1]), v[2])
	}},
	{"warmup-cosine", warmupOptions, func(v []float64) Schedule { return WarmupCosine(int(v[0]), int(v[1]), v[2]) }},
	{"cyclic", cyclicOptions, func(v []float64) Schedule {
		return CyclicLR(CyclicLROptions{v[0], int(v[1]), int(v[2]), v[3], v[4] == 1})
	}},
	{"one-cycle", oneCycleOptions, func(v []float64) Schedule {
		return OneCycleLR(OneCycleLROptions{int(v[0]), v[1], v[2], v[3], v[4] == 1, v[5] == 1})
	}},
	{"plateau", plateauOptions, func(v []float64) Schedule {
		patience := int(v[1])
		if patience == 0 {
			patience = -1
		}
		return NewReduceLROnPlateau(ReduceLROnPlateauOptions{v[0], patience, v[2], int(v[3]), v[4], v[5], v[6] == 1, v[7] == 1})
	}},
}

// ScheduleNames returns the names that [NewSchedule] takes.
func ScheduleNames() []string {
	names := make([]string, len(namedSchedules))
	for i, s := range namedSchedules {
		names[i] = s.name
	}
	return names
}

// NewSchedule makes the named schedule. The options are the constructor's
// parameters, or the fields of its options struct, in lower case; bools are 0 or
// 1. Those left out are at PyTorch's defaults:
//
//	constant              factor 1/3, totaliters 5
//	linear                startfactor 1/3, endfactor 1, totaliters 5
//	step                  stepsize, gamma 0.1
//	exponential           gamma
//	polynomial            totaliters 5, power 1
//	cosine                tmax, etamin 0
//	cosine-warm-restarts  t0, tmult 1, etamin 0
//	warmup-cosine         warmup, tmax, etamin 0
//	cyclic                maxlr, stepsizeup 2000, stepsizedown 0 (for stepsizeup),
//	                      gamma 1, triangular2 0
//	one-cycle             totalsteps, pctstart 0.3, divfactor 25, finaldivfactor 1e4,
//	                      linear 0, threephase 0
//	plateau               factor 0.1, patience 10, threshold 1e-4, cooldown 0, minlr 0,
//	                      eps 1e-8, max 0, abs 0
//
// An unknown name or option, a missing one and a value out of range are errors
// that say what is valid. For "plateau" the schedule is a [*ReduceLROnPlateau],
// which wants to observe a metric. The others that functions, lists or schedules
// describe have constructors alone.
func NewSchedule(name string, options map[string]float64) (Schedule, error) {
	for _, s := range namedSchedules {
		if s.name == name {
			values, err := optionValues(s.options, options)
			if err != nil {
				return nil, fmt.Errorf("optim: schedule %s: %w", name, err)
			}
			return s.build(values), nil
		}
	}
	return nil, fmt.Errorf("optim: unknown schedule %q, want one of %s", name, strings.Join(ScheduleNames(), ", "))
}

// optionValues returns the options' values, in order.
func optionValues(options []scheduleOption, given map[string]float64) ([]float64, error) {
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = o.name
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("unknown option %q, want one of %s", name, strings.Join(names, ", "))
		}
	}
	values := make([]float64, len(options))
	for i, o := range options {
		v, ok := given[o.name]
		switch {
		case !ok && o.defaultValue == required:
			return nil, fmt.Errorf("option %q is missing, want %s", o.name, o.limits.text)
		case !ok:
			v = o.defaultValue
		}
		if err := o.check(v); err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// scheduleOption is a number that describes a schedule.
type scheduleOption struct {
	name         string
	defaultValue float64
	limits       limits
}

// required is the default of an option that has none.
const required = -1

func (o scheduleOption) check(v float64) error {
	if !o.limits.hold(v) {
		return fmt.Errorf("%s = %v, want %s", o.name, v, o.limits.text)
	}
	return nil
}

// limits say which values a number may have.
type limits struct {
	text string // after "want"
	hold func(v float64) bool
}

// maxSteps bounds numbers of steps: they are exact as float64, and the sum of two
// is an int.
const maxSteps = min(1<<53, math.MaxInt/2)

var (
	nonNegative      = between(0, math.MaxFloat32)
	positive         = aboveZero(math.MaxFloat32)
	fraction         = between(0, 1)
	positiveFraction = aboveZero(1)
	fromZero         = whole(0, maxSteps)
	fromOne          = whole(1, maxSteps)
	flag             = whole(0, 1)
)

func between(lo, hi float64) limits {
	return limits{fmt.Sprintf("from %v to %v", lo, hi), func(v float64) bool { return lo <= v && v <= hi }}
}

func aboveZero(hi float64) limits {
	return limits{fmt.Sprintf("above 0 and at most %v", hi), func(v float64) bool { return 0 < v && v <= hi }}
}

func whole(lo, hi float64) limits {
	return limits{
		"a whole number from " + strconv.FormatFloat(lo, 'f', 0, 64) + " to " + strconv.FormatFloat(hi, 'f', 0, 64),
		func(v float64) bool { return lo <= v && v <= hi && v == math.Trunc(v) },
	}
}

// wantOptions panics unless the values, of options but the flags at their end, are
// in range.
func wantOptions(fn string, options []scheduleOption, values ...float64) {
	for i, v := range values {
		if err := options[i].check(v); err != nil {
			panic(fmt.Sprintf("optim.%s: option %v", fn, err))
		}
	}
}

func wantFunction(fn string, f func(step int) float64) {
	if f == nil {
		panic(fmt.Sprintf("optim.%s: f = nil, want a function", fn))
	}
}

func wantSchedules(fn string, schedules []Schedule) {
	if len(schedules) == 0 {
		panic(fmt.Sprintf("optim.%s: no schedules, want at least 1", fn))
	}
	if i := slices.Index(schedules, nil); i >= 0 {
		panic(fmt.Sprintf("optim.%s: schedules[%d] = nil", fn, i))
	}
}

func wantMilestones(fn string, milestones []int) {
	least := 1
	for i, m := range milestones {
		if m < least {
			panic(fmt.Sprintf("optim.%s: milestones[%d] = %d, want at least %d", fn, i, m, least))
		}
		least = m + 1
	}
}
