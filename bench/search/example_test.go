package search_test

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/lockstep-go/lockstep/bench/search"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// Find the learning rate and the weight decay of a small network that tells the inside of a
// circle from its outside.
func Example() {
	const rows = 200
	data := &nn.Data{Rows: rows, X: make([]float32, 2*rows), Labels: make([]int32, rows)}
	for i := range rows {
		x, y := float64(i%20)/10-0.95, float64(i/20)/5-0.9
		data.X[2*i], data.X[2*i+1] = float32(x), float32(y)
		if float64(x*x)+float64(y*y) > 0.5 {
			data.Labels[i] = 1
		}
	}
	train, held := data.Split(0.2, 1)

	accuracy := func(ctx context.Context, t search.Trial) (score float64, curve []float64, err error) {
		net := nn.MustNew(2, nn.Affine(16), nn.ReLU(), nn.Affine(2))
		net.Init(nn.He(), t.Seed)
		trainer := &nn.Trainer{
			Net:        net,
			Loss:       nn.SoftmaxCrossEntropy{},
			Optimizer:  optim.NewSGD(net.NumParams(), optim.SGDOptions{LR: t.Values[0], Common: optim.Common{L2: t.Values[1]}}),
			Threads:    1, // trials run in parallel already
			Seed:       t.Seed,
			Batch:      20,
			Epochs:     t.Epochs,
			Validation: held,
			Metrics:    []nn.Metric{{Name: "accuracy", Of: nn.Accuracy}},
		}
		history, err := trainer.Fit(ctx, train)
		for _, e := range history.Evaluations {
			curve = append(curve, e.Metrics[0])
		}
		if errors.Is(err, optim.ErrNotFinite) { // a rate too high is a bad trial, no error
			return math.NaN(), curve, nil
		}
		if err != nil {
			return 0, nil, err
		}
		return curve[len(curve)-1], curve, nil
	}

	trials, err := search.Run(context.Background(), search.Options{
		Method: search.Hyperband,
		Space: []search.Parameter{
			{Name: "rate", Low: 1e-4, High: 10, Log: true},
			{Name: "decay", Low: 1e-8, High: 1e-4, Log: true},
		},
		Trials: 10,
		Epochs: 27,
		Seed:   1,
	}, accuracy)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range trials[:3] {
		fmt.Printf("trial %d: rate %.3f, accuracy %.3f after %d epochs\n", t.Number, t.Values[0], t.Score, t.Epochs)
	}
	// Output:
	// trial 0: rate 0.251, accuracy 1.000 after 27 epochs
	// trial 6: rate 0.863, accuracy 0.975 after 9 epochs
	// trial 30: rate 0.702, accuracy 0.950 after 27 epochs
}
