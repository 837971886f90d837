package nn_test

import (
	"context"
	"errors"
	"fmt"
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
		for _, loss := range losses {
			outputs := []layer{{"", 2}}
			if loss.name == "mean squared error" {
				outputs = []layer{{"", 1}, {"sigmoid", 0}}
			}
			net := newNet(t, 2, append([]layer{{"", 16}, {act, 0}}, outputs...))
			net.Init(nn.Xavier(), 1)
			trainer := &nn.Trainer{
				Net: net, Loss: loss.loss,
				Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{LR: 0.05}),
			}
			before := trainer.Evaluate(&xor)
			for range 500 {
				if _, err := trainer.Step(&xor); err != nil {
					t.Fatal(err)
				}
			}
			if after := trainer.Evaluate(&xor); !(after < 0.01) {
				t.Errorf("%s, %s: loss %v after 500 steps, %v before, want below 0.01", act, loss.name, after, before)
			}
		}
	}
}

// TestStep: a step is forward, loss, backward, update, whatever the number of
// threads; it returns the loss before the update, and Evaluate changes nothing.
func TestStep(t *testing.T) {
	const in, rows = 90, 40
	build := func() (*nn.Net, *optim.Rule) {
		net := nn.MustNew(in, nn.Affine(200), nn.Tanh(), nn.Affine(10))
		net.Init(nn.Xavier(), 2)
		return net, optim.NewAdam(net.NumParams(), optim.AdamOptions{})
	}
	data := newData(rand.New(rand.NewPCG(1, 8)), rows, in, 10)

	own, ownOpt := build()
	var ownLosses []float64
	for range 3 {
		y := own.Forward(data.X, rows)
		dy := make([]float32, len(y))
		ownLosses = append(ownLosses, nn.SoftmaxCrossEntropy(dy, y, data))
		own.Backward(dy)
		if err := ownOpt.Step(own.Params(), own.Grads()); err != nil {
			t.Fatal(err)
		}
	}
	for _, threads := range []kernels.Threads{0, 1, 2, 3, 8} {
		net, opt := build()
		loss := func(grad, y []float32, data *nn.Data, limit ...kernels.Threads) float64 {
			if !slices.Equal(limit, []kernels.Threads{threads}) {
				t.Errorf("threads %d: the loss is to run on %v", threads, limit)
			}
			return nn.SoftmaxCrossEntropy(grad, y, data, limit...)
		}
		trainer := &nn.Trainer{Net: net, Loss: loss, Optimizer: opt, Threads: threads}
		evaluator := &nn.Trainer{Net: net, Loss: loss, Threads: threads}
		for i, want := range ownLosses {
			if got := evaluator.Evaluate(data); got != want {
				t.Errorf("threads %d: loss %v before step %d, want %v", threads, got, i, want)
			}
			if got, err := trainer.Step(data); got != want || err != nil {
				t.Errorf("threads %d: step %d returned %v and error %v, want %v and none", threads, i, got, err, want)
			}
		}
		if !sameBits(net.Params(), own.Params()) || !sameBits(net.Grads(), own.Grads()) {
			t.Errorf("threads %d: other bits than a loop of one's own", threads)
		}
	}
}

// TestFit: Fit is Draw and Step, with the defaults that the fields' comments
// promise, until the context ends.
func TestFit(t *testing.T) {
	const in, seed = 4, 3
	set := newData(rand.New(rand.NewPCG(1, 9)), 40, in, 3)
	for _, test := range []struct{ steps, batch, wantSteps, wantBatch int }{{7, 5, 7, 5}, {0, 0, 2000, 128}} {
		var trainers [2]*nn.Trainer
		for i := range trainers {
			net := nn.MustNew(in, nn.Affine(3))
			trainers[i] = &nn.Trainer{
				Net: net, Loss: nn.SoftmaxCrossEntropy, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{}),
				Steps: test.steps, Batch: test.batch, Seed: seed,
			}
		}
		losses, err := trainers[0].Fit(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		var batch nn.Data
		var want []float64
		for step := range test.wantSteps {
			batch.Draw(set, test.wantBatch, seed, uint32(step))
			loss, err := trainers[1].Step(&batch)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, loss)
		}
		if !slices.Equal(losses, want) || !sameBits(trainers[0].Net.Params(), trainers[1].Net.Params()) {
			t.Errorf("%d steps of %d: not those of Draw and Step", test.steps, test.batch)
		}
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	net := nn.MustNew(in, nn.Affine(3))
	seen := 0
	trainer := &nn.Trainer{
		Net: net, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{}), Steps: 100, Batch: 2,
		Loss: func(grad, y []float32, data *nn.Data, limit ...kernels.Threads) float64 {
			if seen++; seen == 3 {
				cancel(reason)
			}
			return nn.SoftmaxCrossEntropy(grad, y, data, limit...)
		},
	}
	losses, err := trainer.Fit(ctx, set)
	if len(losses) != 3 || !errors.Is(err, reason) || !strings.Contains(fmt.Sprint(err), "step 3 of 100") {
		t.Errorf("cancelled in the third step: %d losses, error %v", len(losses), err)
	}

	trainer.Steps = -1
	wantPanic(t, "nn.Trainer.Fit: Steps = -1 and Batch = 2, want both at least 0", func() { trainer.Fit(t.Context(), set) })
	trainer.Steps, trainer.Batch = 1, -2
	wantPanic(t, "nn.Trainer.Fit: Steps = 1 and Batch = -2, want both at least 0", func() { trainer.Fit(t.Context(), set) })
}
