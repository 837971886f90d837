package nn

import (
	"fmt"
	"math"

	"github.com/lockstep-go/lockstep/internal/philox"
)

// Data is a number of samples, a whole training set or one batch: the inputs of
// each, and the label or the targets that its outputs should show, as the loss
// wants them.
type Data struct {
	Rows    int
	X       []float32 // Rows×In
	Labels  []int32   // Rows, each in [0, Out); for classes
	Targets []float32 // Rows×Out; for numbers and probabilities
}

// Draw makes d a batch of the given number of rows, each drawn from set with
// replacement. The seed, the step and the row's number choose the sample, and
// nothing else does; so each optimizer can be given the same batches. The memory
// of d is used again where it is large enough; it may share none with set.
func (d *Data) Draw(set *Data, rows int, seed uint64, step uint32) {
	if rows < 0 {
		panic(fmt.Sprintf("nn.Data.Draw: rows = %d, want at least 0", rows))
	}
	chosen := philox.Stream{Seed: seed, Purpose: philox.Batch, Step: step}
	d.gather("Data.Draw", set, rows, func(i int) int { return chosen.Index(uint64(i), set.Rows) })
}

// Take makes d the samples of set with the given indices, in their order, with memory as
// [Data.Draw]. It panics if an index is not one of set's rows.
func (d *Data) Take(set *Data, indices []int) {
	for i, j := range indices {
		if j < 0 || j >= set.Rows {
			panic(fmt.Sprintf("nn.Data.Take: indices[%d] = %d, want 0 to set.Rows - 1 = %d", i, j, set.Rows-1))
		}
	}
	d.gather("Data.Take", set, len(indices), func(i int) int { return indices[i] })
}

// gather makes row i of d row of(i) of set.
func (d *Data) gather(fn string, set *Data, rows int, of func(i int) int) {
	if d == set {
		panic(fmt.Sprintf("nn.%s: set is the batch itself", fn))
	}
	inputs, labels, targets := set.widths(fn)
	d.Rows = rows
	d.X = resize(d.X, rows*inputs)
	d.Targets = resize(d.Targets, rows*targets)
	d.Labels = resize(d.Labels, rows*labels)
	for i := range rows {
		j := of(i)
		copyRow(d.X, i, set.X, j, inputs)
		copyRow(d.Targets, i, set.Targets, j, targets)
		copyRow(d.Labels, i, set.Labels, j, labels)
	}
}

// widths returns how much of each a sample has. It panics if the samples are not of one
// width.
func (d *Data) widths(fn string) (inputs, labels, targets int) {
	inputs = columns(fn, "set.X", len(d.X), d.Rows)
	if len(d.Targets) > 0 {
		targets = columns(fn, "set.Targets", len(d.Targets), d.Rows)
	}
	if len(d.Labels) > 0 {
		wantMatrix(fn, "set.Labels", len(d.Labels), d.Rows, 1)
		labels = 1
	}
	return inputs, labels, targets
}

// part makes p the rows lo to hi of d, without copying them.
func (d *Data) part(p *Data, lo, hi int) {
	of := func(width int) (from, to int) { return lo * width, hi * width }
	p.Rows = hi - lo
	from, to := of(len(d.X) / max(1, d.Rows))
	p.X = d.X[from:to]
	from, to = of(len(d.Labels) / max(1, d.Rows))
	p.Labels = d.Labels[from:to]
	from, to = of(len(d.Targets) / max(1, d.Rows))
	p.Targets = d.Targets[from:to]
}

// copyRow copies row j of x to row i of dst.
func copyRow[T any](dst []T, i int, x []T, j, cols int) {
	copy(dst[i*cols:][:cols], x[j*cols:][:cols])
}

// Split divides the samples, in an order that the seed chooses, into those to train on and
// a part to hold out, of the given fraction, rounded. It copies. It panics unless the
// fraction leaves at least one sample for each.
func (d *Data) Split(fraction float64, seed uint64) (train, held *Data) {
	n := int(math.Round(fraction * float64(d.Rows)))
	if !(fraction > 0 && fraction < 1) || n < 1 || n >= d.Rows {
		panic(fmt.Sprintf("nn.Data.Split: fraction = %v of %d rows, want at least a row on both sides", fraction, d.Rows))
	}
	order := permute(nil, d.Rows, philox.Stream{Seed: seed, Purpose: philox.Split})
	train, held = new(Data), new(Data)
	held.Take(d, order[:n])
	train.Take(d, order[n:])
	return train, held
}

// permute returns the numbers below n in random order, in the memory of order if that is
// enough.
//
// Source: Fisher and Yates, in the form of Durstenfeld, Algorithm 235: Random permutation,
// 1964.
func permute(order []int, n int, random philox.Stream) []int {
	order = resize(order, n)
	for i := range order {
		order[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := random.Index(uint64(i), i+1)
		order[i], order[j] = order[j], order[i]
	}
	return order
}
