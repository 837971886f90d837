//go:build !race

// Under the race detector a sync.Pool forgets at random, so that kernels
// allocate.

package nn_test

import (
	"math/rand/v2"
	"runtime/debug"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// TestAllocations: after a first step, a step with as many rows or fewer
// allocates nothing, nor does a prediction. Of the rules one is enough, package
// optim tests them.
func TestAllocations(t *testing.T) {
	const in, rows = 300, 16
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the pools of kernels
	net := newNet(t, in, "tanh,64,sigmoid,batchnorm,relu,50,gelu,dropout:0.2,layernorm,20,dropout-book:0.1,softmax,elu,7,leakyrelu")
	net.Init(nn.He(), 1)
	set := newData(rand.New(rand.NewPCG(1, 7)), 100, in, net.Out())
	for _, threads := range []kernels.Threads{0, 1, 2} {
		for _, loss := range losses {
			trainer := &nn.Trainer{
				Net: net, Loss: weighted(loss.loss, net.Out()),
				Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{}),
				Threads:   threads, Micro: 5,
				Schedule: optim.WarmupCosine(10, 100, 0),
				Metrics:  []nn.Metric{{Name: "accuracy", Of: nn.Accuracy}, {Name: "top 3", Of: nn.TopK(3)}},
			}
			set := dataFor(rand.New(rand.NewPCG(1, 7)), loss.needs, 100, in, net.Out())
			var batch nn.Data
			step := uint32(0)
			allocs := testing.AllocsPerRun(5, func() {
				batch.Draw(set, rows-int(step), 1, step)
				if _, err := trainer.Step(&batch); err != nil {
					t.Fatal(err)
				}
				trainer.Evaluate(&batch)
				step++
			})
			if allocs != 0 {
				t.Errorf("%s, threads %d: %v allocations a step", loss.name, threads, allocs)
			}
		}
		predictor := net.Predictor(rows)
		dst := make([]float32, set.Rows*net.Out())
		if allocs := testing.AllocsPerRun(5, func() { predictor.Predict(dst, set.X, set.Rows, threads) }); allocs != 0 {
			t.Errorf("threads %d: %v allocations a prediction", threads, allocs)
		}
	}
}
