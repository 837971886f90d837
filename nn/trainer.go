package nn

import (
	"context"
	"fmt"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

// Trainer trains a network. Net, Loss and Optimizer must be set; zero in a
// number stands for what its comment says.
type Trainer struct {
	Net       *Net
	Loss      Loss
	Optimizer optim.Optimizer

	Threads kernels.Threads // the most threads to run on; 0 stands for GOMAXPROCS

	// For Fit.
	Steps int    // how many; 0 stands for 2000
	Batch int    // rows in a batch; 0 stands for 128
	Seed  uint64 // chooses the batches

	grad  []float32          // with respect to the outputs
	limit [1]kernels.Threads // Threads, where a call can keep it without an allocation
}

// Step does one step of training on a batch: forward, backward, update. It
// returns the loss before the update, and the optimizer's error: then the
// parameters are those of before.
func (t *Trainer) Step(batch *Data) (loss float64, err error) {
	t.limit[0] = t.Threads
	y := t.Net.Forward(batch.X, batch.Rows, t.limit[:]...)
	t.grad = resize(t.grad, len(y))
	loss = t.Loss(t.grad, y, batch, t.limit[:]...)
	t.Net.Backward(t.grad, t.limit[:]...)
	return loss, t.Optimizer.Step(t.Net.params, t.Net.grads, t.limit[:]...)
}

// Evaluate returns the loss on data, and changes no parameter and no gradient.
func (t *Trainer) Evaluate(data *Data) float64 {
	t.limit[0] = t.Threads
	y := t.Net.Forward(data.X, data.Rows, t.limit[:]...)
	return t.Loss(nil, y, data, t.limit[:]...)
}

// Fit does Steps steps on batches drawn from set, step s on the one that
// [Data.Draw] makes of Seed and s = 0, 1, …, and returns their losses. If ctx
// ends before or the optimizer refuses a step, so does Fit, with the losses so far
// and an error.
func (t *Trainer) Fit(ctx context.Context, set *Data) ([]float64, error) {
	steps, rows := t.Steps, t.Batch
	if steps == 0 {
		steps = 2000
	}
	if rows == 0 {
		rows = 128
	}
	if steps < 0 || rows < 0 {
		panic(fmt.Sprintf("nn.Trainer.Fit: Steps = %d and Batch = %d, want both at least 0", steps, rows))
	}
	var batch Data
	losses := make([]float64, 0, steps)
	for step := range steps {
		if err := ctx.Err(); err != nil {
			return losses, fmt.Errorf("nn.Trainer.Fit: step %d of %d: %w", step, steps, context.Cause(ctx))
		}
		batch.Draw(set, rows, t.Seed, uint32(step))
		loss, err := t.Step(&batch)
		if err != nil {
			return losses, fmt.Errorf("nn.Trainer.Fit: step %d of %d, loss %v: %w", step, steps, loss, err)
		}
		losses = append(losses, loss)
	}
	return losses, nil
}
