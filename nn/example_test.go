package nn_test

import (
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
		Loss:      nn.SoftmaxCrossEntropy,
		Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{LR: 0.01}),
		Steps:     500,
		Batch:     8,
	}
	losses, err := trainer.Fit(context.Background(), data)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("learned:", losses[len(losses)-1] < 0.01)

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
		loss = nn.MeanSquaredError(grad, y, data)
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

// Activation and initial values chosen when the program runs.
func ExampleNewActivation() {
	act, err := nn.NewActivation("tanh")
	if err != nil {
		fmt.Println(err)
		return
	}
	init, err := nn.NewInit("std", map[string]float64{"std": 0.05})
	if err != nil {
		fmt.Println(err)
		return
	}
	net := nn.MustNew(2, nn.Affine(3), act, nn.Affine(1))
	net.Init(init, 1)

	_, err = nn.NewActivation("swish")
	fmt.Println(err)
	// Output: nn: unknown activation "swish", want one of relu, sigmoid, tanh
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
