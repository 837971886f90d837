package nn

import (
	"fmt"

	"github.com/lockstep-go/lockstep/internal/philox"
)

// Data is a number of samples, a whole training set or one batch: the inputs of
// each, and the label or the targets that its outputs should show, as the loss
// wants them.
type Data struct {
	Rows    int
	X       []float32 // Rows×In
	Labels  []int32   // Rows, each in [0, Out); for SoftmaxCrossEntropy
	Targets []float32 // Rows×Out; for MeanSquaredError
}

// Draw makes d a batch of the given number of rows, each drawn from set with
// replacement. The seed, the step and the row's number choose the sample, and
// nothing else does; so each optimizer can be given the same batches. The memory
// of d is used again where it is large enough; it may share none with set.
func (d *Data) Draw(set *Data, rows int, seed uint64, step uint32) {
	if rows < 0 {
		panic(fmt.Sprintf("nn.Data.Draw: rows = %d, want at least 0", rows))
	}
	inputs := columns("Data.Draw", "set.X", len(set.X), set.Rows)
	targets := 0
	if len(set.Targets) > 0 {
		targets = columns("Data.Draw", "set.Targets", len(set.Targets), set.Rows)
	}
	labels := 0
	if len(set.Labels) > 0 {
		wantMatrix("Data.Draw", "set.Labels", len(set.Labels), set.Rows, 1)
		labels = 1
	}

	d.Rows = rows
	d.X = resize(d.X, rows*inputs)
	d.Targets = resize(d.Targets, rows*targets)
	d.Labels = resize(d.Labels, rows*labels)
	chosen := philox.Stream{Seed: seed, Purpose: philox.Batch, Step: step}
	for i := range rows {
		j := chosen.Index(uint64(i), set.Rows)
		copyRow(d.X, i, set.X, j, inputs)
		copyRow(d.Targets, i, set.Targets, j, targets)
		copyRow(d.Labels, i, set.Labels, j, labels)
	}
}

// copyRow copies row j of x to row i of dst.
func copyRow[T any](dst []T, i int, x []T, j, cols int) {
	copy(dst[i*cols:][:cols], x[j*cols:][:cols])
}
