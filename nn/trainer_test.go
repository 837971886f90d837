package nn_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// xor is the exclusive or, with a label and a target for each row.
var xor = nn.Data{
	Rows:    4,
	X:       []float32{0, 0, 0, 1, 1, 0, 1, 1},
	Labels:  []int32{0, 1, 1, 0},
	Targets: []float32{0, 1, 1, 0},
}

// TestXOR: each activation learns what no affine map can, with each loss.
func TestXOR(t *testing.T) {
	for _, act := range nn.Activations() {
		for _, name := range nn.Losses() {
			loss, err := nn.NewLoss(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			outputs, threshold := "1", float32(0.5)
			switch name {
			case "softmax-cross-entropy":
				outputs = "2"
			case "binary-cross-entropy":
				threshold = 0
			}
			net := newNet(t, 2, "16,"+act+","+outputs)
			net.Init(nn.Xavier(), 1)
			trainer := &nn.Trainer{
				Net: net, Loss: loss,
				Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{LR: 0.05}),
			}
			for range 500 {
				if _, err := trainer.Step(&xor); err != nil {
					t.Fatal(err)
				}
			}
			y := make([]float32, 4*net.Out())
			net.Predictor(4).Predict(y, xor.X, 4)
			for i, want := range xor.Labels {
				got := int32(0)
				if row := y[i*net.Out():][:net.Out()]; len(row) == 1 && row[0] > threshold || len(row) == 2 && nn.Argmax(row) == 1 {
					got = 1
				}
				if got != want {
					t.Errorf("%s, %s: %v gives %v after 500 steps, want %d", act, name, xor.X[2*i:][:2], y, want)
					break
				}
			}
		}
	}
}

// lossFunc is a loss whose sum a test does itself.
type lossFunc struct {
	nn.SoftmaxCrossEntropy
	sum func(grad, y []float32, data *nn.Data, total float64, limit ...kernels.Threads) float64
}

func (l lossFunc) Sum(grad, y []float32, data *nn.Data, total float64, limit ...kernels.Threads) float64 {
	return l.sum(grad, y, data, total, limit...)
}

// TestStep: a step is forward, loss, backward, update, whatever the number of
// threads; it returns the loss before the update, and Evaluate changes nothing.
func TestStep(t *testing.T) {
	const in, rows, seed = 90, 40, 11
	build := func() (*nn.Net, *optim.Rule) {
		net := nn.MustNew(in, nn.Affine(200), nn.Tanh(), nn.Dropout(0.1), nn.Affine(10))
		net.Init(nn.Xavier(), 2)
		return net, optim.NewAdam(net.NumParams(), optim.AdamOptions{})
	}
	data := newData(rand.New(rand.NewPCG(1, 8)), rows, in, 10)
	loss := nn.SoftmaxCrossEntropy{}

	own, ownOpt := build()
	var ownLosses, ownEvaluations []float64
	for step := range 3 {
		predicted := make([]float32, rows*own.Out())
		own.Predictor(rows).Predict(predicted, data.X, rows)
		ownEvaluations = append(ownEvaluations, nn.MeanLoss(loss, nil, predicted, data))
		own.DropoutAt(seed, uint32(step), 0)
		y := own.Forward(data.X, rows)
		dy := make([]float32, len(y))
		ownLosses = append(ownLosses, nn.MeanLoss(loss, dy, y, data))
		own.Backward(dy)
		if err := ownOpt.Step(own.Params(), own.Grads()); err != nil {
			t.Fatal(err)
		}
	}
	for _, threads := range []kernels.Threads{0, 1, 2, 3, 8} {
		net, opt := build()
		watched := lossFunc{sum: func(grad, y []float32, data *nn.Data, total float64, limit ...kernels.Threads) float64 {
			if !slices.Equal(limit, []kernels.Threads{threads}) {
				t.Errorf("threads %d: the loss is to run on %v", threads, limit)
			}
			return loss.Sum(grad, y, data, total, limit...)
		}}
		trainer := &nn.Trainer{Net: net, Loss: watched, Optimizer: opt, Threads: threads, Seed: seed}
		evaluator := &nn.Trainer{Net: net, Loss: watched, Threads: threads}
		for i, want := range ownLosses {
			if got, _ := evaluator.Evaluate(data); got != ownEvaluations[i] {
				t.Errorf("threads %d: loss %v before step %d, want %v", threads, got, i, ownEvaluations[i])
			}
			if got, err := trainer.Step(data); got != want || err != nil {
				t.Errorf("threads %d: step %d returned %v and error %v, want %v and none", threads, i, got, err, want)
			}
		}
		if trainer.Done() != len(ownLosses) || !sameBits(net.Params(), own.Params()) || !sameBits(net.Grads(), own.Grads()) {
			t.Errorf("threads %d: %d steps, of other bits than a loop of one's own", threads, trainer.Done())
		}
	}
}

// TestMicro: gradients accumulated over parts of a batch have the bits of the whole
// batch's, and so have the weights, for every layer but BatchNorm and every loss.
func TestMicro(t *testing.T) {
	const rows = 37
	for _, layers := range nets {
		if strings.Contains(layers, "batchnorm") {
			continue
		}
		for _, loss := range losses {
			run := func(micro int) *nn.Net {
				net := newNet(t, 5, layers)
				net.Init(nn.Std(0.7), 3)
				data := dataFor(rand.New(rand.NewPCG(1, 12)), loss.needs, rows, 5, net.Out())
				trainer := &nn.Trainer{
					Net: net, Loss: weighted(loss.loss, net.Out()), Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{}), Micro: micro,
				}
				for range 2 {
					if _, err := trainer.Step(data); err != nil {
						t.Fatal(err)
					}
				}
				return net
			}
			whole := run(0)
			for _, micro := range []int{1, 2, 5, 16, 36, 37, 100} {
				if parts := run(micro); !sameBits(parts.Grads(), whole.Grads()) || !sameBits(parts.Params(), whole.Params()) {
					t.Fatalf("%s, %s, %d rows by %d: other bits than at once", layers, loss.name, rows, micro)
				}
			}
		}
	}
}

// TestFit: Fit is the batches and Step, until the context ends, and goes on where it
// stands.
func TestFit(t *testing.T) {
	const in, seed = 4, 3
	set := newData(rand.New(rand.NewPCG(1, 9)), 40, in, 3)
	set.Targets = nil
	build := func() *nn.Trainer {
		net := nn.MustNew(in, nn.Affine(3))
		return &nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{}), Seed: seed}
	}
	for _, test := range []struct {
		steps, epochs, batch int
		replace              bool
		wantSteps, wantBatch int
	}{
		{7, 0, 5, true, 7, 5},
		{0, 0, 0, true, 10, 128},
		{0, 0, 0, false, 10, 40}, // no more than there is
		{0, 3, 16, true, 9, 16},
		{0, 3, 16, false, 9, 16},
		{7, 0, 40, false, 7, 40},
		{5, 0, 100, false, 5, 40},
		{5, 0, math.MaxInt, false, 5, 40},
	} {
		name := fmt.Sprintf("%+v", test)
		fitted, own := build(), build()
		fitted.Steps, fitted.Epochs, fitted.Batch, fitted.WithReplacement = test.steps, test.epochs, test.batch, test.replace
		history, err := fitted.Fit(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		var batch nn.Data
		var want []float64
		seen := map[[in]float32]int{}
		for step := range test.wantSteps {
			if test.replace {
				batch.Draw(set, test.wantBatch, seed, uint32(step))
			} else {
				perEpoch := (set.Rows + test.wantBatch - 1) / test.wantBatch
				order := nn.Permutation(set.Rows, seed, uint32(step/perEpoch))
				lo := step % perEpoch * test.wantBatch
				batch.Take(set, order[lo:min(lo+test.wantBatch, set.Rows)])
			}
			for i := range batch.Rows {
				seen[[in]float32(batch.X[i*in:])]++
			}
			loss, err := own.Step(&batch)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, loss)
		}
		if !slices.Equal(history.Losses, want) || !sameBits(fitted.Net.Params(), own.Net.Params()) || fitted.Done() != test.wantSteps {
			t.Errorf("%s: %d steps that are not those of the batches and Step", name, fitted.Done())
		}
		if test.epochs > 0 && !test.replace {
			for _, n := range seen {
				if n != test.epochs {
					t.Errorf("%s: a sample was in %d batches, want one in each epoch", name, n)
					break
				}
			}
		}
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	stopped, whole := build(), build()
	stopped.Steps, whole.Steps = 100, 100
	stopped.OnStep = func(p nn.Progress) error {
		if p.Step == 33 {
			cancel(reason)
		}
		return nil
	}
	history, err := stopped.Fit(ctx, set)
	if len(history.Losses) != 33 || !errors.Is(err, reason) || !strings.Contains(fmt.Sprint(err), "step 33 of 100") {
		t.Errorf("cancelled in step 33: %d losses, error %v", len(history.Losses), err)
	}
	history, err = stopped.Fit(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	straight, err := whole.Fit(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(history.Losses, straight.Losses) || !sameBits(stopped.Net.Params(), whole.Net.Params()) {
		t.Error("cancelled and gone on: other bits than without a break")
	}
}

func TestFitPanics(t *testing.T) {
	set := newData(rand.New(rand.NewPCG(1, 9)), 40, 4, 3)
	for _, test := range []struct {
		change func(*nn.Trainer)
		want   string
	}{
		{func(t *nn.Trainer) { t.Net = nil }, "Net, Loss or Optimizer is nil"},
		{func(t *nn.Trainer) { t.Loss = nil }, "Net, Loss or Optimizer is nil"},
		{func(t *nn.Trainer) { t.Optimizer = nil }, "Net, Loss or Optimizer is nil"},
		{func(t *nn.Trainer) { t.Steps = -1 }, "Steps = -1"},
		{func(t *nn.Trainer) { t.Epochs = -1 }, "Epochs = -1"},
		{func(t *nn.Trainer) { t.Batch = -2 }, "Batch = -2"},
		{func(t *nn.Trainer) { t.EvalEvery = -2 }, "EvalEvery = -2"},
		{func(t *nn.Trainer) { t.Patience = -2 }, "Patience = -2"},
		{func(t *nn.Trainer) { t.Micro = -2 }, "Micro = -2"},
		{func(t *nn.Trainer) { t.Steps, t.Epochs = 1, 2 }, "Steps = 1 and Epochs = 2, want at most one"},
		{func(t *nn.Trainer) { t.Metrics = []nn.Metric{{}} }, "1 Metrics and no Validation"},
		{func(t *nn.Trainer) { t.Monitor = "r2" }, `Monitor = "r2", want loss or the name`},
		{func(t *nn.Trainer) { t.Epochs, t.Batch = math.MaxInt, 1 }, fmt.Sprint("Epochs = ", math.MaxInt, " of 40 steps each")},
		{func(t *nn.Trainer) { t.Validation = &nn.Data{} }, "Validation without samples"},
		{func(t *nn.Trainer) { t.Validation = &nn.Data{Rows: 2, X: make([]float32, 9)} }, "len(Validation.X) = 9, want 2 rows of the 4 inputs"},
		{func(t *nn.Trainer) { t.Validation = &nn.Data{Rows: 2, X: make([]float32, 8), Labels: make([]int32, 3)} }, "len(Validation.Labels) = 3, want none or 2"},
		{func(t *nn.Trainer) {
			t.Validation = &nn.Data{Rows: 2, X: make([]float32, 8), Targets: make([]float32, 7)}
		}, "len(Validation.Targets) = 7, want none or 2 rows of the 3 outputs"},
	} {
		net := nn.MustNew(4, nn.Affine(3))
		trainer := &nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{})}
		test.change(trainer)
		wantPanic(t, test.want, func() { trainer.Fit(t.Context(), set) })
	}
	net := nn.MustNew(4, nn.Affine(3))
	trainer := &nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{}), Micro: 2}
	wantPanic(t, "nn.Trainer.Fit: set without samples", func() { trainer.Fit(t.Context(), nil) })
	wantPanic(t, "nn.Trainer.Step: len(batch.Labels) = 6, want none or 4", func() {
		trainer.Step(&nn.Data{Rows: 4, X: make([]float32, 16), Labels: make([]int32, 6)})
	})
}

// scripted is a loss that shows the trainer a given number at each evaluation.
type scripted struct {
	nn.SoftmaxCrossEntropy
	values *[]float64
}

func (l scripted) Sum(grad, y []float32, data *nn.Data, total float64, limit ...kernels.Threads) float64 {
	if grad != nil {
		return l.SoftmaxCrossEntropy.Sum(grad, y, data, total, limit...)
	}
	v := (*l.values)[0]
	*l.values = (*l.values)[1:]
	return v * total
}

// TestPatience: the end comes after so many evaluations without a better one, and the
// weights are the best one's.
func TestPatience(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		values     []float64
		patience   int
		delta      float64
		steps      int // done at the end
		best       int // which evaluation
		stopped    bool
		wantLosses []bool // which are marked best
	}{
		{[]float64{5, 4, 3, 2, 1, 0}, 2, 0, 12, 5, false, []bool{true, true, true, true, true, true}},
		{[]float64{5, 4, 4, 6, 1, 0}, 2, 0, 8, 1, true, []bool{true, true, false, false}},
		{[]float64{5, 4, 6, 3, 6, 7, 8}, 2, 0, 12, 3, true, []bool{true, true, false, true, false, false}},
		{[]float64{5, 4.9, 4.8, 4.7}, 3, 0.5, 8, 0, true, []bool{true, false, false, false}},
		{[]float64{5, nan, nan, 1}, 2, 0, 6, 0, true, []bool{true, false, false}},
		{[]float64{nan, 7, 8, 9}, 2, 0, 8, 1, true, []bool{true, true, false, false}},
	} {
		set := newData(rand.New(rand.NewPCG(1, 9)), 40, 4, 3)
		net := nn.MustNew(4, nn.BatchNorm(nn.BatchNormOptions{}), nn.Affine(3))
		net.Init(nn.He(), 1)
		values := slices.Clone(test.values)
		var weights [][]float32
		trainer := &nn.Trainer{
			Net: net, Loss: scripted{values: &values}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{}),
			Epochs: 6, Batch: 20, Validation: set, Patience: test.patience, MinDelta: test.delta,
			OnEvaluation: func(nn.Evaluation) error {
				weights = append(weights, slices.Concat(net.Params(), net.Stats()))
				return nil
			},
		}
		h, err := trainer.Fit(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		var best []bool
		for i, e := range h.Evaluations {
			best = append(best, e.Best)
			if e.Step != 2*(i+1) || e.Validation != test.values[i] && (e.Validation == e.Validation || test.values[i] == test.values[i]) || e.LR != 0.01 {
				t.Errorf("%v: evaluation %d is %+v", test.values, i, e)
			}
			if want := (h.Losses[2*i] + h.Losses[2*i+1]) / 2; e.TrainLoss != want {
				t.Errorf("%v: evaluation %d has the loss %v of training, want the mean %v", test.values, i, e.TrainLoss, want)
			}
		}
		if trainer.Done() != test.steps || h.Best != test.best || h.Stopped != test.stopped || !slices.Equal(best, test.wantLosses) {
			t.Errorf("%v: %d steps, best %d, stopped %v, marked %v; want %d, %d, %v, %v", test.values,
				trainer.Done(), h.Best, h.Stopped, best, test.steps, test.best, test.stopped, test.wantLosses)
			continue
		}
		if !sameBits(slices.Concat(net.Params(), net.Stats()), weights[test.best]) {
			t.Errorf("%v: the weights at the end are not the best evaluation's", test.values)
		}
	}
}

// TestMonitor: Fit goes by the metric that Monitor names, in its direction.
func TestMonitor(t *testing.T) {
	set := newData(rand.New(rand.NewPCG(1, 9)), 40, 4, 3)
	for _, lower := range []bool{false, true} {
		net := nn.MustNew(4, nn.Affine(3))
		values := []float64{3, 4, 2, 1, 5}
		trainer := &nn.Trainer{
			Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{}),
			Epochs: 5, Batch: 40, Validation: set, Patience: 4, Monitor: "own",
			Metrics: []nn.Metric{{Name: "accuracy", Of: nn.Accuracy}, {Name: "own", Lower: lower, Of: func(y []float32, data *nn.Data) float64 {
				v := values[0]
				values = values[1:]
				return v
			}}},
		}
		h, err := trainer.Fit(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		want := 4
		if lower {
			want = 3
		}
		if h.Best != want || h.Evaluations[2].Metrics[1] != 2 || len(h.Evaluations[2].Metrics) != 2 {
			t.Errorf("lower %v: best %d, want %d; evaluations %+v", lower, h.Best, want, h.Evaluations)
		}
	}
}

// TestSchedule: each step has the schedule's rate on the optimizer's own base, and a plateau
// sees what is monitored.
func TestSchedule(t *testing.T) {
	set := newData(rand.New(rand.NewPCG(1, 9)), 40, 4, 3)
	run := func(s optim.Schedule, epochs int, values ...float64) []float64 {
		net := nn.MustNew(4, nn.Affine(3))
		var rates []float64
		trainer := &nn.Trainer{
			Net: net, Loss: scripted{values: &values}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{LR: 0.5}),
			Epochs: epochs, Batch: 20, Schedule: s, Validation: set,
			OnStep: func(p nn.Progress) error {
				rates = append(rates, p.LR)
				return nil
			},
		}
		if _, err := trainer.Fit(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		return rates
	}
	cosine := optim.CosineAnnealingLR(6, 0)
	var want []float64
	for step := range 6 {
		want = append(want, cosine.LR(0.5, step))
	}
	if got := run(cosine, 3, 1, 1, 1); !slices.Equal(got, want) {
		t.Errorf("cosine: rates %v, want %v", got, want)
	}
	plateau := optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{Patience: 1, Factor: 0.5})
	if got, want := run(plateau, 5, 3, 3, 3, 2, 1), []float64{0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25}; !slices.Equal(got, want) {
		t.Errorf("plateau: rates %v, want %v", got, want)
	}
}

// TestPenalty: what the optimizer adds to the gradients is in the loss.
func TestPenalty(t *testing.T) {
	set := newData(rand.New(rand.NewPCG(1, 9)), 40, 4, 3)
	for _, common := range []optim.Common{{L1: 0.5}, {L2: 0.25}, {L1: 0.125, L2: 2}} {
		net := nn.MustNew(4, nn.Affine(3))
		net.Init(nn.He(), 1)
		var want float64
		for _, p := range net.Params() {
			want += common.L1*math.Abs(float64(p)) + common.L2/2*float64(p)*float64(p)
		}
		trainer := &nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{Common: common})}
		plain, _ := trainer.Evaluate(set)
		loss, err := trainer.Step(set)
		if err != nil {
			t.Fatal(err)
		}
		if got := loss - plain; math.Abs(got-want) > 1e-12*want {
			t.Errorf("L1 %v, L2 %v: the loss has %v more, want %v", common.L1, common.L2, got, want)
		}
	}
}

// TestNotFinite: a loss that is no number stops the training before the update, with an
// error that says where, unless that is switched off.
func TestNotFinite(t *testing.T) {
	build := func() *nn.Trainer {
		net := nn.MustNew(4, nn.Affine(6), nn.ReLU(), nn.Dropout(0.5), nn.Affine(3))
		net.Init(nn.He(), 1)
		return &nn.Trainer{
			Net: net, Loss: nn.SoftmaxCrossEntropy{},
			Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{Common: optim.Common{Guard: optim.Guard{Unchecked: true}}}),
			Batch:     20, Epochs: 2,
		}
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, test := range []struct {
		name   string
		poison func(set *nn.Data, t *nn.Trainer)
		want   string
	}{
		{"input", func(set *nn.Data, _ *nn.Trainer) { set.X[4*17+2] = nan }, "input 2 of row 17 of the batch is NaN"},
		{"input in parts", func(set *nn.Data, t *nn.Trainer) { set.X[4*17+2], t.Micro = nan, 5 }, "input 2 of row 17 of the batch is NaN"},
		{"weight", func(_ *nn.Data, t *nn.Trainer) { t.Net.Views()[0].Of(t.Net.Params())[3] = nan }, "of stage 1 of 3, 6,relu, output 3 of row 0 of the batch is NaN"},
		{"last weight", func(_ *nn.Data, t *nn.Trainer) { t.Net.Views()[3].Of(t.Net.Params())[1] = inf }, "of stage 3 of 3, 3, output 1 of row 0 of the batch is +Inf"},
		{"loss", func(_ *nn.Data, t *nn.Trainer) {
			t.Loss = lossFunc{sum: func(grad, y []float32, data *nn.Data, total float64, limit ...kernels.Threads) float64 {
				return math.Inf(1)
			}}
		}, "all outputs are finite"},
	} {
		set := newData(rand.New(rand.NewPCG(1, 9)), 40, 4, 3)
		trainer := build()
		test.poison(set, trainer)
		before := slices.Clone(trainer.Net.Params())
		_, err := trainer.Step(set)
		var where *nn.NotFiniteError
		if !errors.Is(err, optim.ErrNotFinite) || !errors.As(err, &where) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "step 0") {
			t.Errorf("%s: error %v, want one that says %q", test.name, err, test.want)
		}
		if !sameBits(trainer.Net.Params(), before) || trainer.Done() != 0 {
			t.Errorf("%s: %d steps were done, or the parameters changed", test.name, trainer.Done())
		}
		trainer.AllowNotFinite = true
		if _, err := trainer.Step(set); err != nil || trainer.Done() != 1 {
			t.Errorf("%s, allowed: error %v after %d steps", test.name, err, trainer.Done())
		}
	}

	set := newData(rand.New(rand.NewPCG(1, 9)), 40, 4, 3)
	set.X[4*17+2] = nan
	if _, err := build().Fit(t.Context(), set); err == nil || !strings.Contains(err.Error(), "which is sample 17 of the set") {
		t.Errorf("Fit: error %v, want one that names sample 17", err)
	}
}

// TestNotFiniteStats: what made a loss that is no number is in no running statistic.
func TestNotFiniteStats(t *testing.T) {
	net := nn.MustNew(2, nn.BatchNorm(nn.BatchNormOptions{}), nn.Affine(2))
	net.Init(nn.He(), 1)
	trainer := &nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{})}
	before := slices.Clone(net.Stats())
	batch := &nn.Data{Rows: 2, X: []float32{1, float32(math.NaN()), 2, 3}, Labels: []int32{0, 1}}
	if _, err := trainer.Step(batch); !errors.Is(err, optim.ErrNotFinite) || !sameBits(net.Stats(), before) {
		t.Errorf("error %v, running statistics %v, want them as before", err, net.Stats())
	}
}

// TestMetricsAdded: a metric that earlier evaluations lack does not disturb.
func TestMetricsAdded(t *testing.T) {
	set := newData(rand.New(rand.NewPCG(1, 9)), 40, 4, 3)
	net := nn.MustNew(4, nn.Affine(3))
	trainer := &nn.Trainer{
		Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{}), Epochs: 2, Validation: set,
	}
	if _, err := trainer.Fit(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	trainer.Metrics, trainer.Monitor, trainer.Patience, trainer.Epochs = []nn.Metric{{Name: "accuracy", Of: nn.Accuracy}}, "accuracy", 5, 4
	if h, err := trainer.Fit(t.Context(), set); err != nil || len(h.Evaluations) != 4 || h.Best != 2 {
		t.Errorf("error %v, history %+v, want 4 evaluations, the best being number 2", err, h)
	}
}

// TestCallbacks: they see where the run stands, and can end it.
func TestCallbacks(t *testing.T) {
	set := newData(rand.New(rand.NewPCG(1, 9)), 40, 4, 3)
	mistake := errors.New("mistake")
	for _, test := range []struct {
		err  error // that OnStep gives at step 5
		want error
		done int
	}{{nil, nil, 9}, {nn.ErrStop, nil, 5}, {mistake, mistake, 5}} {
		net := nn.MustNew(4, nn.Affine(3))
		var seen []string
		trainer := &nn.Trainer{
			Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{}), Epochs: 3, Batch: 16,
		}
		trainer.OnStep = func(p nn.Progress) error {
			seen = append(seen, fmt.Sprintf("%d/%d %d/%d", p.Step, p.Steps, p.Epoch, p.Epochs))
			if p.Step == 5 {
				return test.err
			}
			return nil
		}
		h, err := trainer.Fit(t.Context(), set)
		if !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("error %v, want %v", err, test.want)
		}
		if trainer.Done() != test.done || len(h.Losses) != test.done || len(seen) != test.done || seen[4] != "5/9 2/3" {
			t.Errorf("%v: %d steps, %d losses, saw %v", test.err, trainer.Done(), len(h.Losses), seen)
		}
	}

	net := nn.MustNew(4, nn.Affine(3))
	trainer := &nn.Trainer{
		Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{}), Steps: 10, Batch: 16, EvalEvery: 4,
		OnEvaluation: func(e nn.Evaluation) error {
			if e.Step == 8 {
				return nn.ErrStop
			}
			return nil
		},
	}
	if _, err := trainer.Fit(t.Context(), set); err != nil || trainer.Done() != 8 {
		t.Errorf("ended by an evaluation: %d steps, error %v", trainer.Done(), err)
	}
	h, err := trainer.Fit(t.Context(), set)
	var steps []int
	for _, e := range h.Evaluations {
		steps = append(steps, e.Step)
	}
	if err != nil || !slices.Equal(steps, []int{4, 8, 10}) {
		t.Errorf("evaluations at %v, error %v, want at 4, 8 and the end, 10", steps, err)
	}
}
