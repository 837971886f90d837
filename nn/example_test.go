package nn_test

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// Learn the exclusive or.
func Example() {
	data := &nn.Data{
		Rows:   4,
		X:      []float32{0, 0, 0, 1, 1, 0, 1, 1},
		Labels: []int32{0, 1, 1, 0},
	}
	net := nn.MustNew(2, nn.Affine(16), nn.ReLU(), nn.Affine(2))
	net.Init(nn.He(), 1)
	trainer := &nn.Trainer{
		Net:       net,
		Loss:      nn.SoftmaxCrossEntropy{},
		Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{LR: 0.01}),
		Steps:     500,
		Batch:     8,
	}
	history, err := trainer.Fit(context.Background(), data)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("learned:", history.Losses[len(history.Losses)-1] < 0.01)

	y := make([]float32, 4*net.Out())
	net.Predictor(4).Predict(y, data.X, 4)
	for i := range 4 {
		fmt.Println(data.X[2*i:][:2], nn.Argmax(y[2*i:][:2]))
	}
	// Output:
	// learned: true
	// [0 0] 0
	// [0 1] 1
	// [1 0] 1
	// [1 1] 0
}

// A regression that stops when it no longer gets better on what was held out.
func Example_regression() {
	const rows = 200
	data := &nn.Data{Rows: rows, X: make([]float32, 2*rows), Targets: make([]float32, rows)}
	for i := range rows {
		x, y := float64(i%20)/10-1, float64(i/20)/5-1
		data.X[2*i], data.X[2*i+1] = float32(x), float32(y)
		data.Targets[i] = float32(x*x - y)
	}
	train, held := data.Split(0.2, 1)
	net := nn.MustNew(2, nn.Affine(24), nn.SiLU(), nn.Affine(1))
	net.Init(nn.Xavier(), 1)
	trainer := &nn.Trainer{
		Net:        net,
		Loss:       nn.Huber{},
		Optimizer:  optim.NewAdamW(net.NumParams(), optim.AdamWOptions{LR: 0.02}),
		Batch:      32,
		Epochs:     200,
		Validation: held,
		Metrics:    []nn.Metric{{Name: "r2", Of: nn.R2}},
		Patience:   20,
	}
	history, err := trainer.Fit(context.Background(), train)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("R² above 0.99:", history.Evaluations[history.Best].Metrics[0] > 0.99)

	y := make([]float32, 1)
	net.Predictor(1).Predict(y, []float32{0.5, -0.5}, 1)
	fmt.Println("near 0.75:", math.Abs(float64(y[0])-0.75) < 0.05)
	// Output:
	// R² above 0.99: true
	// near 0.75: true
}

// A run that is stopped, and goes on from its checkpoint to the same bits.
func ExampleTrainer_Save() {
	data := &nn.Data{Rows: 4, X: []float32{0, 0, 0, 1, 1, 0, 1, 1}, Labels: []int32{0, 1, 1, 0}}
	build := func() *nn.Trainer {
		net := nn.MustNew(2, nn.Affine(16), nn.Tanh(), nn.Dropout(0.1), nn.Affine(2))
		net.Init(nn.Xavier(), 1)
		return &nn.Trainer{
			Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{}), Steps: 100,
		}
	}
	var checkpoint bytes.Buffer
	first := build()
	first.OnStep = func(p nn.Progress) error {
		if p.Step == 60 {
			if err := first.Save(&checkpoint); err != nil {
				return err
			}
		}
		return nil
	}
	second := build()
	for _, err := range []error{fit(first, data), second.Load(&checkpoint), fit(second, data)} {
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(nn.Hash(first.Net.Params()) == nn.Hash(second.Net.Params()))
	// Output: true
}

func fit(t *nn.Trainer, data *nn.Data) error {
	_, err := t.Fit(context.Background(), data)
	return err
}

// A training loop of one's own: fit the sine, the pieces being the trainer's.
func Example_loop() {
	const rows = 64
	data := &nn.Data{Rows: rows, X: make([]float32, rows), Targets: make([]float32, rows)}
	for i := range rows {
		x := 2*math.Pi*float64(i)/(rows-1) - math.Pi
		data.X[i], data.Targets[i] = float32(x), float32(math.Sin(x))
	}
	net := nn.MustNew(1, nn.Affine(20), nn.Tanh(), nn.Affine(1))
	net.Init(nn.Xavier(), 1)
	opt := optim.NewAdam(net.NumParams(), optim.AdamOptions{LR: 0.02})

	grad := make([]float32, rows*net.Out())
	var loss float64
	for range 1000 {
		y := net.Forward(data.X, rows)
		loss = nn.MeanLoss(nn.MeanSquaredError{}, grad, y, data)
		net.Backward(grad)
		if err := opt.Step(net.Params(), net.Grads()); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("mean squared error below 1e-3:", loss < 1e-3)
	// Output: mean squared error below 1e-3: true
}

// The parts of the flat vectors.
func ExampleNet_Views() {
	net := nn.MustNew(784, nn.Affine(100), nn.ReLU(), nn.Affine(10))
	for _, v := range net.Views() {
		fmt.Println(v.Name, v.Shape, v.Offset, len(v.Of(net.Params())))
	}
	// Output:
	// W1 [784 100] 0 78400
	// b1 [100] 78400 100
	// W2 [100 10] 78500 1000
	// b2 [10] 79500 10
}

// Layers, initial values and loss chosen when the program runs.
func ExampleParseLayers() {
	layers, err := nn.ParseLayers("256,batchnorm,relu,dropout:0.2,10")
	if err != nil {
		fmt.Println(err)
		return
	}
	init, err := nn.NewInit("std", map[string]float64{"std": 0.05})
	if err != nil {
		fmt.Println(err)
		return
	}
	net := nn.MustNew(784, layers...)
	net.Init(init, 1)
	fmt.Println(net.NumParams(), net.Layers())

	_, err = nn.ParseLayer("dropout:2")
	fmt.Println(err)
	// Output:
	// 204042 [256 batchnorm:0.9:1e-06:0 relu dropout:0.2 10]
	// nn: layer "dropout:2": dropout with rate = 2, want from 0 to 0.9999999995343387
}

// AdamW for the weights, and without decay for the biases.
func ExampleNet_Layout() {
	net := nn.MustNew(784, nn.Affine(100), nn.ReLU(), nn.Affine(10))
	groups := optim.Spare(optim.Guard{ClipNorm: 1}, net.Layout(), func(layout []optim.Tensor, spared bool) *optim.Rule {
		if spared {
			return optim.NewTorchAdam(optim.Size(layout), optim.TorchAdamOptions{})
		}
		return optim.NewAdamW(optim.Size(layout), optim.AdamWOptions{})
	})
	fmt.Println(net.Layout())
	fmt.Println(len(groups.State().Parts), "rules")
	// Output:
	// [{784 100 true} {1 100 false} {100 10 true} {1 10 false}]
	// 4 rules
}
