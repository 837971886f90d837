package nn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/lockstep-go/lockstep/internal/philox"
	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

// Trainer trains a network. Net, Loss and Optimizer must be set; zero in another field
// stands for what its comment says.
//
// It has a position, the number of steps done, from which [Trainer.Fit] goes on;
// [Trainer.Save] and [Trainer.Load] keep that and all else that the following steps
// depend on. One goroutine at a time may use it.
type Trainer struct {
	Net       *Net
	Loss      Loss
	Optimizer optim.Optimizer

	Threads  kernels.Threads // the most threads to run on; 0 stands for GOMAXPROCS
	Schedule optim.Schedule  // of the learning rate, by step, on the base of the Optimizer's; nil for none
	Seed     uint64          // chooses the batches, and what dropouts drop

	// Micro is the number of rows that go through the network at a time, their gradients
	// added up: less memory and, but for BatchNorm, the same bits. 0 stands for the
	// whole batch.
	Micro int

	// AllowNotFinite lets training go on with a loss that is NaN or Inf.
	AllowNotFinite bool

	// For Fit.
	Steps           int  // in all; 0 stands for those of Epochs
	Epochs          int  // 0 stands for 10; an epoch is as many steps as there are batches in the set
	Batch           int  // rows in a batch; 0 stands for 128, and without replacement more than the set has for all of it
	WithReplacement bool // draws batches as [Data.Draw] does; else each epoch has each sample once, the last batch being smaller

	Validation *Data    // to evaluate on; nil for none
	Metrics    []Metric // of the Validation
	EvalEvery  int      // steps between evaluations, and there is one at the end; 0 stands for an epoch

	// Patience is how many evaluations in a row may be no better than the best one before
	// Fit stops. Where it ends without an error it puts the best weights and running
	// statistics back, from which a later Fit with more steps goes on. 0 stands for neither. Better is a loss lower, or the metric that Monitor names better, by more
	// than MinDelta; the loss is that of Validation or, without, of the steps since the
	// last evaluation. A [optim.ReduceLROnPlateau] as the Schedule observes the same.
	Patience int
	MinDelta float64
	Monitor  string

	// OnStep and OnEvaluation, unless nil, are called after each step and each
	// evaluation. Fit ends with the error that they return, and with none if that is
	// [ErrStop]. They may save the trainer.
	OnStep       func(Progress) error
	OnEvaluation func(Evaluation) error

	state
	grad      []float32          // with respect to the outputs
	limit     [1]kernels.Threads // Threads, where a call can keep it without an allocation
	part      Data               // of the batch
	batch     Data               // of Fit
	order     []int              // of the samples in the epoch
	epoch     int                // whose order that is, counted from 1
	predictor *Predictor
	outputs   []float32 // of an evaluation
	metrics   []float64
}

// state is what the steps to come depend on, besides the network and the optimizer.
type state struct {
	steps   int     // done
	baseLR  float64 // of the schedule
	based   bool    // baseLR is known
	history History
	sum     float64   // of the losses since the last evaluation
	count   int       // of those
	bad     int       // evaluations in a row that were no better
	best    []float32 // the best weights, and then running statistics, with Patience
}

// ErrStop, returned by a callback, ends [Trainer.Fit] without an error.
var ErrStop = errors.New("stop")

// Progress is where a training run stands.
type Progress struct {
	Step, Steps   int // how many are done, of how many
	Epoch, Epochs int // that the step belongs to, from 1
	Loss, LR      float64
}

// Evaluation is how good the network was at some step.
type Evaluation struct {
	Step       int
	TrainLoss  float64   // the mean of the steps since the last one
	Validation float64   // the loss on it, or NaN without one
	Metrics    []float64 // as [Trainer.Metrics] lists them
	LR         float64
	Best       bool // so far
}

// History is the course of a training run.
type History struct {
	Losses      []float64 // of each step, before its update
	Evaluations []Evaluation
	Best        int  // which evaluation's weights Patience puts back; -1 for none
	Stopped     bool // by Patience
}

// Done returns the number of steps done.
func (t *Trainer) Done() int { return t.steps }

// Step does one step of training on a batch: forward, backward, update. It
// returns the loss before the update, with the penalties of the optimizer. An error, of the
// optimizer or because the loss is NaN or Inf, which wraps [optim.ErrNotFinite],
// leaves the parameters as they were, and in the second case the running statistics too.
func (t *Trainer) Step(batch *Data) (loss float64, err error) {
	t.limit[0] = t.Threads
	limit := t.limit[:]
	if !t.based {
		t.baseLR, t.based = t.Optimizer.LR(), true
	}
	if t.Schedule != nil {
		t.Optimizer.SetLR(t.Schedule.LR(t.baseLR, t.steps))
	}
	micro := t.Micro
	if micro <= 0 || micro >= batch.Rows {
		micro = max(1, batch.Rows)
	} else if err := t.fits("batch", batch); err != nil {
		panic("nn.Trainer.Step: " + err.Error())
	}
	total := t.Loss.Total(batch)
	var sum float64
	for lo := 0; lo < max(1, batch.Rows); lo += micro {
		part := batch
		if micro < batch.Rows {
			part = &t.part
			batch.part(part, lo, min(lo+micro, batch.Rows))
		}
		t.Net.DropoutAt(t.Seed, uint32(t.steps), lo)
		y := t.Net.Forward(part.X, part.Rows, limit...)
		t.grad = resize(t.grad, len(y))
		sum += t.Loss.Sum(t.grad, y, part, total, limit...)
		if notFinite(sum) && !t.AllowNotFinite {
			return sum / total, t.notFinite(sum/total, lo)
		}
		if lo == 0 {
			t.Net.Backward(t.grad, limit...)
		} else {
			t.Net.Accumulate(t.grad, limit...)
		}
	}
	loss = sum/total + t.Optimizer.Penalty(t.Net.params, limit...)
	if err := t.Optimizer.Step(t.Net.params, t.Net.grads, limit...); err != nil {
		return loss, err
	}
	t.steps++
	return loss, nil
}

func notFinite(x float64) bool { return x-x != 0 }

// NotFiniteError says where a loss became NaN or Inf.
type NotFiniteError struct {
	Loss  float64
	Step  int
	Row   int    // of the batch, or -1
	Where string // what in the network is NaN or Inf first
}

func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("nn: step %d: the loss is %v: %s", e.Step, e.Loss, e.Where)
}

// Unwrap returns [optim.ErrNotFinite].
func (e *NotFiniteError) Unwrap() error { return optim.ErrNotFinite }

// notFinite finds where the last Forward, of the batch's rows from lo on, has the first
// number that is none.
func (t *Trainer) notFinite(loss float64, lo int) error {
	e := &NotFiniteError{Loss: loss, Step: t.steps, Row: -1, Where: "all outputs are finite, so it is what they should be or the loss itself"}
	at := func(x []float32, what string) bool {
		i := slices.IndexFunc(x, func(v float32) bool { return v-v != 0 })
		if i < 0 || t.Net.rows == 0 {
			return false
		}
		width := len(x) / t.Net.rows
		e.Row = lo + i/width
		e.Where = fmt.Sprintf("%s %d of row %d of the batch is %v", what, i%width, e.Row, x[i])
		return true
	}
	if at(t.Net.x, "input") {
		return e
	}
	for i, y := range t.Net.ys {
		if at(y, fmt.Sprintf("after finite values, of stage %d of %d, %s, output", i+1, len(t.Net.ys), t.Net.describe(i))) {
			return e
		}
	}
	return e
}

// Evaluate predicts data and returns the loss, without penalties, and the Metrics, in memory
// of the trainer's. It changes no parameter, no gradient and no statistic.
func (t *Trainer) Evaluate(data *Data) (loss float64, metrics []float64) {
	t.limit[0] = t.Threads
	if t.predictor == nil || t.predictor.net != t.Net {
		t.predictor = t.Net.Predictor(256)
	}
	t.outputs = resize(t.outputs, data.Rows*t.Net.Out())
	t.predictor.Predict(t.outputs, data.X, data.Rows, t.limit[:]...)
	total := t.Loss.Total(data)
	loss = t.Loss.Sum(nil, t.outputs, data, total, t.limit[:]...) / total
	t.metrics = t.metrics[:0]
	for _, m := range t.Metrics {
		t.metrics = append(t.metrics, m.Of(t.outputs, data))
	}
	return loss, t.metrics
}

// Fit trains on batches of set until all steps are done, from the one where the trainer
// stands, and returns the course of the whole run. If ctx ends before, or a step or a
// callback fails, so does Fit, with the course so far and an error; it can be called again
// to go on.
func (t *Trainer) Fit(ctx context.Context, set *Data) (*History, error) {
	p, err := t.plan(set)
	if err != nil {
		panic("nn.Trainer.Fit: " + err.Error())
	}
	if len(t.history.Evaluations) == 0 {
		t.history.Best = -1
	}
	for t.steps < p.steps && !t.history.Stopped {
		if ctx.Err() != nil {
			return &t.history, fmt.Errorf("nn.Trainer.Fit: step %d of %d: %w", t.steps, p.steps, context.Cause(ctx))
		}
		err := t.fitStep(set, p)
		if errors.Is(err, ErrStop) {
			return &t.history, nil
		}
		if err != nil {
			return &t.history, fmt.Errorf("nn.Trainer.Fit: step %d of %d: %w", t.steps, p.steps, err)
		}
	}
	if len(t.best) > 0 {
		n := copy(t.Net.params, t.best)
		copy(t.Net.stats, t.best[n:])
	}
	return &t.history, nil
}

// plan is what Fit does, its defaults filled in.
type plan struct {
	steps, batch, perEpoch, every int
	monitor                       int // which metric, or -1 for the loss
}

func (t *Trainer) plan(set *Data) (plan, error) {
	switch {
	case t.Net == nil || t.Loss == nil || t.Optimizer == nil:
		return plan{}, errors.New("Net, Loss or Optimizer is nil, want all three")
	case t.Steps < 0 || t.Epochs < 0 || t.Batch < 0 || t.EvalEvery < 0 || t.Patience < 0 || t.Micro < 0:
		return plan{}, fmt.Errorf("Steps = %d, Epochs = %d, Batch = %d, EvalEvery = %d, Patience = %d, Micro = %d, want all at least 0",
			t.Steps, t.Epochs, t.Batch, t.EvalEvery, t.Patience, t.Micro)
	case t.Steps > 0 && t.Epochs > 0:
		return plan{}, fmt.Errorf("Steps = %d and Epochs = %d, want at most one of them", t.Steps, t.Epochs)
	case len(t.Metrics) > 0 && t.Validation == nil:
		return plan{}, fmt.Errorf("%d Metrics and no Validation to have them of", len(t.Metrics))
	}
	if err := t.fits("set", set); err != nil {
		return plan{}, err
	}
	if t.Validation != nil {
		if err := t.fits("Validation", t.Validation); err != nil {
			return plan{}, err
		}
	}
	p := plan{batch: t.Batch, steps: t.Steps, every: t.EvalEvery, monitor: -1}
	if p.batch == 0 {
		p.batch = 128
	}
	if !t.WithReplacement {
		p.batch = min(p.batch, set.Rows)
	}
	p.perEpoch = 1 + (set.Rows-1)/p.batch
	if p.steps == 0 {
		epochs := t.Epochs
		if epochs == 0 {
			epochs = 10
		}
		if epochs > math.MaxInt/p.perEpoch {
			return plan{}, fmt.Errorf("Epochs = %d of %d steps each, want no more steps than an int can count", epochs, p.perEpoch)
		}
		p.steps = epochs * p.perEpoch
	}
	if p.every == 0 {
		p.every = p.perEpoch
	}
	if t.Monitor != "" && t.Monitor != "loss" {
		p.monitor = slices.IndexFunc(t.Metrics, func(m Metric) bool { return m.Name == t.Monitor })
		if p.monitor < 0 {
			return plan{}, fmt.Errorf("Monitor = %q, want loss or the name of one of the %d Metrics", t.Monitor, len(t.Metrics))
		}
	}
	return p, nil
}

// fits wants samples for the network.
func (t *Trainer) fits(name string, d *Data) error {
	switch in, out := t.Net.In(), t.Net.Out(); {
	case d == nil || d.Rows < 1:
		return fmt.Errorf("%s without samples, want at least 1", name)
	case len(d.X)%in != 0 || len(d.X)/in != d.Rows:
		return fmt.Errorf("len(%s.X) = %d, want %d rows of the %d inputs", name, len(d.X), d.Rows, in)
	case len(d.Labels) != 0 && len(d.Labels) != d.Rows:
		return fmt.Errorf("len(%s.Labels) = %d, want none or %d", name, len(d.Labels), d.Rows)
	case len(d.Targets) != 0 && (len(d.Targets)%out != 0 || len(d.Targets)/out != d.Rows):
		return fmt.Errorf("len(%s.Targets) = %d, want none or %d rows of the %d outputs", name, len(d.Targets), d.Rows, out)
	}
	return nil
}

// fitStep does a step of Fit, and the evaluation that may be due after it.
func (t *Trainer) fitStep(set *Data, p plan) error {
	epoch, at := t.steps/p.perEpoch, t.steps%p.perEpoch
	if t.WithReplacement {
		t.batch.Draw(set, p.batch, t.Seed, uint32(t.steps))
	} else {
		if t.epoch != epoch+1 || len(t.order) != set.Rows {
			t.order = permute(t.order, set.Rows, philox.Stream{Seed: t.Seed, Purpose: philox.Shuffle, Step: uint32(epoch)})
			t.epoch = epoch + 1
		}
		t.batch.Take(set, t.order[at*p.batch:min((at+1)*p.batch, set.Rows)])
	}
	loss, err := t.Step(&t.batch)
	if err != nil {
		return t.placed(err, at*p.batch)
	}
	t.history.Losses = append(t.history.Losses, loss)
	t.sum += loss
	t.count++
	if t.steps%p.every == 0 || t.steps == p.steps {
		if err := t.evaluate(p); err != nil {
			return err
		}
	}
	if t.OnStep != nil {
		return t.OnStep(Progress{
			Step: t.steps, Steps: p.steps, Epoch: epoch + 1, Epochs: (p.steps + p.perEpoch - 1) / p.perEpoch,
			Loss: loss, LR: t.Optimizer.LR(),
		})
	}
	return nil
}

// placed adds to an error which sample of the set its row is, first being the place in the
// epoch of the batch's first.
func (t *Trainer) placed(err error, first int) error {
	var e *NotFiniteError
	if errors.As(err, &e) && e.Row >= 0 && !t.WithReplacement {
		return fmt.Errorf("%w, which is sample %d of the set", err, t.order[first+e.Row])
	}
	return err
}

// evaluate takes stock, keeps the best weights and observes for the schedule.
func (t *Trainer) evaluate(p plan) error {
	h := &t.history
	e := Evaluation{Step: t.steps, TrainLoss: t.sum / float64(t.count), Validation: math.NaN(), LR: t.Optimizer.LR()}
	t.sum, t.count = 0, 0
	if t.Validation != nil {
		var metrics []float64
		e.Validation, metrics = t.Evaluate(t.Validation)
		e.Metrics = slices.Clone(metrics)
	}
	value, lower := t.monitored(&e, p)
	e.Best = true
	for i := range h.Evaluations {
		if h.Evaluations[i].Best {
			best, _ := t.monitored(&h.Evaluations[i], p)
			e.Best = lower && value < best-t.MinDelta || !lower && value > best+t.MinDelta || best != best && value == value
		}
	}
	if e.Best {
		t.bad = 0
		if t.Patience > 0 {
			h.Best = len(h.Evaluations)
			t.best = append(append(t.best[:0], t.Net.params...), t.Net.stats...)
		}
	} else if t.bad++; t.Patience > 0 && t.bad >= t.Patience {
		h.Stopped = true
	}
	h.Evaluations = append(h.Evaluations, e)
	if plateau, ok := t.Schedule.(*optim.ReduceLROnPlateau); ok {
		plateau.Observe(value)
	}
	if t.OnEvaluation != nil {
		return t.OnEvaluation(e)
	}
	return nil
}

// monitored is the number that an evaluation goes by, and whether lower is better.
func (t *Trainer) monitored(e *Evaluation, p plan) (value float64, lower bool) {
	switch {
	case p.monitor >= 0 && p.monitor >= len(e.Metrics): // of a Fit before there was this metric
		return math.NaN(), t.Metrics[p.monitor].Lower
	case p.monitor >= 0:
		return e.Metrics[p.monitor], t.Metrics[p.monitor].Lower
	case t.Validation != nil:
		return e.Validation, true
	}
	return e.TrainLoss, true
}
