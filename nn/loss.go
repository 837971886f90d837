package nn

import (
	"fmt"
	"sync"

	"github.com/lockstep-go/lockstep/kernels"
)

// Loss returns how far the outputs y of a network are from what they should be
// for the samples of data, as a mean. Unless grad is nil, it sets grad to the
// gradient of that mean with respect to y.
//
// Shapes: y: data.Rows×Out; grad: as y, or nil.
type Loss func(grad, y []float32, data *Data, limit ...kernels.Threads) float64

// SoftmaxCrossEntropy is the mean over the rows of the cross-entropy between
// the row's softmax and its label:
//
//	loss = (Σ (ln Σ e^y[i][j] - y[i][label[i]]))/rows
//	grad[i][j] = (softmax(y[i])[j] - (1 where j = label[i], else 0))/rows
//
// The losses of the rows are added in order, in float64; see
// [kernels.SoftmaxCrossEntropy].
func SoftmaxCrossEntropy(grad, y []float32, data *Data, limit ...kernels.Threads) float64 {
	cols := columns("SoftmaxCrossEntropy", "y", len(y), data.Rows)
	wantMatrix("SoftmaxCrossEntropy", "data.Labels", len(data.Labels), data.Rows, 1)

	losses, _ := rowLosses.Get().(*[]float64)
	if losses == nil {
		losses = new([]float64)
	}
	*losses = resize(*losses, data.Rows)
	kernels.SoftmaxCrossEntropy(data.Rows, cols, *losses, grad, cols, y, cols, data.Labels, float32(1/float64(data.Rows)), limit...)
	var sum float64
	for _, loss := range *losses {
		sum += loss
	}
	rowLosses.Put(losses)
	return sum / float64(data.Rows)
}

// rowLosses keeps the losses of the rows between calls.
var rowLosses sync.Pool

// MeanSquaredError is the mean over all elements of the squared differences:
//
//	loss = (Σ (y[i][j] - target[i][j])²)/(rows·cols)
//	grad[i][j] = (y[i][j] - target[i][j])·2/(rows·cols)
//
// Their sum is in float64; see [kernels.SquaredError].
func MeanSquaredError(grad, y []float32, data *Data, limit ...kernels.Threads) float64 {
	cols := columns("MeanSquaredError", "y", len(y), data.Rows)
	wantMatrix("MeanSquaredError", "data.Targets", len(data.Targets), data.Rows, cols)
	size := float64(len(y))
	return kernels.SquaredError(grad, y, data.Targets, float32(2/size), limit...) / size
}

// Accuracy returns the share of the rows of y whose largest element, as
// [Argmax] has it, is the one that the label says.
//
// Shapes: labels: rows; y: rows×cols.
func Accuracy(y []float32, labels []int32) float64 {
	cols := columns("Accuracy", "y", len(y), len(labels))
	right := 0
	for i, label := range labels {
		if Argmax(y[i*cols:][:cols]) == int(label) {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

// Argmax returns the index of the largest element, the first of several; or that
// of the first NaN; or -1 if there are no elements.
func Argmax(x []float32) int {
	top := -1
	for i, v := range x {
		if v != v {
			return i
		}
		if top < 0 || v > x[top] {
			top = i
		}
	}
	return top
}

// columns returns the width of a matrix of the given size. It panics unless
// there are rows, as the mean of nothing is nothing, and they fill the matrix.
func columns(fn, name string, size, rows int) int {
	if rows < 1 || size == 0 || size%rows != 0 {
		panic(fmt.Sprintf("nn.%s: len(%s) = %d and rows = %d, want rows >= 1 of one width >= 1", fn, name, size, rows))
	}
	return size / rows
}
