//go:build amd64

// Under the emulators of other architectures reading MNIST takes a minute, and the tests
// have read it already.

package nn_test

import (
	"context"
	"fmt"

	"github.com/lockstep-go/lockstep/internal/mnist"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// Handwritten digits: a little of MNIST, here embedded.
func Example_mnist() {
	set, _, err := mnist.Embedded()
	if err != nil {
		fmt.Println(err)
		return
	}
	const few = 900
	in := set.Width * set.Height
	data := &nn.Data{Rows: few, X: set.Images[:few*in], Labels: set.Labels[:few]}
	train, held := data.Split(1.0/3, 1)

	net := nn.MustNew(in, nn.Affine(16), nn.BatchNorm(nn.BatchNormOptions{}), nn.ReLU(), nn.Affine(set.Classes))
	net.Init(nn.He(), 1)
	trainer := &nn.Trainer{
		Net:        net,
		Loss:       nn.SoftmaxCrossEntropy{},
		Optimizer:  optim.NewAdam(net.NumParams(), optim.AdamOptions{LR: 0.01}),
		Schedule:   optim.WarmupCosine(10, 80, 0),
		Batch:      20,
		Epochs:     3,
		Validation: held,
		Metrics:    []nn.Metric{{Name: "accuracy", Of: nn.Accuracy}},
	}
	history, err := trainer.Fit(context.Background(), train)
	if err != nil {
		fmt.Println(err)
		return
	}
	last := history.Evaluations[len(history.Evaluations)-1]
	fmt.Println("step", last.Step, "of", trainer.Done(), "above 0.75:", last.Metrics[0] > 0.75)
	// Output: step 90 of 90 above 0.75: true
}
