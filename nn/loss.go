package nn

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/lockstep-go/lockstep/kernels"
)

// Loss says how far the outputs of a network are from what they should be for the samples
// of data: a sum over the samples, divided by a total to make it a mean. The total is an
// argument of its own so that a batch can be taken in parts.
type Loss interface {
	// Total returns what makes a mean of the sum over all rows of data.
	Total(data *Data) float64

	// Sum returns the sum for the outputs y. Unless grad is nil, it sets grad to the
	// gradient of sum/total with respect to y.
	//
	// Shapes: y: data.Rows×Out; grad: as y, or nil.
	Sum(grad, y []float32, data *Data, total float64, limit ...kernels.Threads) float64
}

// MeanLoss returns the mean of a loss and, unless grad is nil, sets grad to its gradient.
func MeanLoss(loss Loss, grad, y []float32, data *Data, limit ...kernels.Threads) float64 {
	total := loss.Total(data)
	return loss.Sum(grad, y, data, total, limit...) / total
}

// SoftmaxCrossEntropy is the cross-entropy between the softmax of a row of outputs and the
// class that its label says, or where data has no labels, the probabilities that its
// targets give:
//
//	loss = Σ_j t[j]·(ln Σ e^y - y[j])
//	grad[j] = (softmax(y)[j]·Σ t - t[j])/total
//
// where t is 1 at the label and else 0, or the row of targets. With smoothing ε over the n
// classes t[j] becomes (1-ε)·t[j] + ε/n; class weights multiply t[j] by Weights[j]. The
// total is the number of rows or, with labels and class weights, the sum of their weights.
// As in PyTorch's CrossEntropyLoss.
//
// The losses of the rows are added in order, in float64; see
// [kernels.SoftmaxCrossEntropy] and [kernels.SoftCrossEntropy]. Labels must be in
// [0, Out).
type SoftmaxCrossEntropy struct {
	Smoothing float64   // ε, from 0 to below 1
	Weights   []float32 // of the classes; nil for 1 each
}

// Total returns the number of rows or the sum of the weights of their labels.
func (l SoftmaxCrossEntropy) Total(data *Data) float64 {
	if l.Weights == nil || len(data.Labels) == 0 {
		return float64(data.Rows)
	}
	var total float64
	for i, label := range data.Labels {
		if label < 0 || int(label) >= len(l.Weights) {
			panic(fmt.Sprintf("nn.SoftmaxCrossEntropy: data.Labels[%d] = %d, want 0 to %d, of which there are Weights", i, label, len(l.Weights)-1))
		}
		total += float64(l.Weights[label])
	}
	return total
}

// Sum returns the sum of the rows' losses; see [Loss].
func (l SoftmaxCrossEntropy) Sum(grad, y []float32, data *Data, total float64, limit ...kernels.Threads) float64 {
	const fn = "SoftmaxCrossEntropy"
	rows := data.Rows
	cols := columns(fn, "y", len(y), rows)
	if !(l.Smoothing >= 0 && l.Smoothing < 1) {
		panic(fmt.Sprintf("nn.%s: Smoothing = %v, want from 0 to below 1", fn, l.Smoothing))
	}
	if l.Weights != nil && len(l.Weights) != cols {
		panic(fmt.Sprintf("nn.%s: len(Weights) = %d, want one for each of the %d outputs", fn, len(l.Weights), cols))
	}
	w, _ := rowWork.Get().(*lossWork)
	if w == nil {
		w = new(lossWork)
	}
	w.losses = resize(w.losses, rows)
	scale := float32(1 / total)
	switch {
	case len(data.Labels) > 0 && l.Smoothing == 0 && l.Weights == nil:
		wantMatrix(fn, "data.Labels", len(data.Labels), rows, 1)
		kernels.SoftmaxCrossEntropy(rows, cols, w.losses, grad, cols, y, cols, data.Labels, scale, limit...)
	case len(data.Labels) > 0:
		wantMatrix(fn, "data.Labels", len(data.Labels), rows, 1)
		l.spread(w, data.Labels, cols)
		kernels.SoftCrossEntropy(rows, cols, w.losses, grad, cols, y, cols, w.targets, cols, scale, limit...)
	case len(data.Targets) == 0:
		panic(fmt.Sprintf("nn.%s: len(data.Labels) = 0 and len(data.Targets) = 0, want %d labels or as many targets as the %d outputs", fn, rows, len(y)))
	default:
		wantMatrix(fn, "data.Targets", len(data.Targets), rows, cols)
		targets := data.Targets
		if l.Smoothing != 0 || l.Weights != nil {
			w.targets = resize(w.targets, rows*cols)
			for i, t := range data.Targets {
				w.targets[i] = l.target(float64(t), i%cols, cols)
			}
			targets = w.targets
		}
		kernels.SoftCrossEntropy(rows, cols, w.losses, grad, cols, y, cols, targets, cols, scale, limit...)
	}
	var sum float64
	for _, loss := range w.losses {
		sum += loss
	}
	rowWork.Put(w)
	return sum
}

// target is what smoothing and weights make of the t of class j of n.
func (l SoftmaxCrossEntropy) target(t float64, j, n int) float32 {
	t = float64((1-l.Smoothing)*t) + l.Smoothing/float64(n)
	if l.Weights != nil {
		t *= float64(l.Weights[j])
	}
	return float32(t)
}

// spread writes the targets that stand for labels.
func (l SoftmaxCrossEntropy) spread(w *lossWork, labels []int32, cols int) {
	w.targets = resize(w.targets, len(labels)*cols)
	w.off, w.on = resize(w.off, cols), resize(w.on, cols)
	for j := range cols {
		w.off[j], w.on[j] = l.target(0, j, cols), l.target(1, j, cols)
	}
	for i, label := range labels {
		if label < 0 || int(label) >= cols {
			panic(fmt.Sprintf("nn.SoftmaxCrossEntropy: data.Labels[%d] = %d, want 0 to %d", i, label, cols-1))
		}
		row := w.targets[i*cols:][:cols]
		copy(row, w.off)
		row[label] = w.on[label]
	}
}

// lossWork is the memory of a loss at work, kept between calls.
type lossWork struct {
	losses           []float64
	targets, off, on []float32
}

var rowWork sync.Pool

// BinaryCrossEntropy is the cross-entropy of probabilities of yes or no, each 1/(1 + e^-y)
// of an output y, with targets t from 0 to 1, as a mean over all elements:
//
//	loss = max(y, 0) - y·t + ln(1 + e^-|y|)
//	grad = (1/(1 + e^-y) - t)/total
//
// As in PyTorch's BCEWithLogitsLoss; see [kernels.LogisticError]. Data without targets has
// labels, 0 or 1, for a single output.
type BinaryCrossEntropy struct{}

// Total returns the number of elements.
func (BinaryCrossEntropy) Total(data *Data) float64 {
	return float64(max(len(data.Targets), len(data.Labels)))
}

// Sum returns the sum over all elements; see [Loss].
func (BinaryCrossEntropy) Sum(grad, y []float32, data *Data, total float64, limit ...kernels.Threads) float64 {
	const fn = "BinaryCrossEntropy"
	cols := columns(fn, "y", len(y), data.Rows)
	if len(data.Targets) > 0 || len(data.Labels) == 0 {
		wantMatrix(fn, "data.Targets", len(data.Targets), data.Rows, cols)
		return kernels.LogisticError(grad, y, data.Targets, float32(1/total), limit...)
	}
	wantMatrix(fn, "data.Labels", len(data.Labels), data.Rows, cols)
	w, _ := rowWork.Get().(*lossWork)
	if w == nil {
		w = new(lossWork)
	}
	w.targets = resize(w.targets, data.Rows)
	for i, label := range data.Labels {
		if label != 0 && label != 1 {
			panic(fmt.Sprintf("nn.%s: data.Labels[%d] = %d, want 0 or 1", fn, i, label))
		}
		w.targets[i] = float32(label)
	}
	sum := kernels.LogisticError(grad, y, w.targets, float32(1/total), limit...)
	rowWork.Put(w)
	return sum
}

// MeanSquaredError is the mean over all elements of the squared differences d of outputs
// and targets:
//
//	loss = d²
//	grad = d·2/total
//
// See [kernels.SquaredError].
type MeanSquaredError struct{}

// Total returns the number of targets.
func (MeanSquaredError) Total(data *Data) float64 { return float64(len(data.Targets)) }

// Sum returns the sum over all elements; see [Loss].
func (MeanSquaredError) Sum(grad, y []float32, data *Data, total float64, limit ...kernels.Threads) float64 {
	wantTargets("MeanSquaredError", y, data)
	return kernels.SquaredError(grad, y, data.Targets, float32(2/total), limit...)
}

// MeanAbsoluteError is the mean over all elements of the absolute differences d of outputs
// and targets:
//
//	loss = |d|
//	grad = sign(d)/total, 0 where d is 0
//
// See [kernels.AbsoluteError].
type MeanAbsoluteError struct{}

// Total returns the number of targets.
func (MeanAbsoluteError) Total(data *Data) float64 { return float64(len(data.Targets)) }

// Sum returns the sum over all elements; see [Loss].
func (MeanAbsoluteError) Sum(grad, y []float32, data *Data, total float64, limit ...kernels.Threads) float64 {
	wantTargets("MeanAbsoluteError", y, data)
	return kernels.AbsoluteError(grad, y, data.Targets, float32(1/total), limit...)
}

// Huber is, as a mean over all elements, half the squared difference d of output and target
// near 0, and linear beyond Delta:
//
//	loss = d²/2 where |d| <= Delta, else Delta·(|d| - Delta/2)
//	grad = max(-Delta, min(Delta, d))/total
//
// See [kernels.HuberError]. Source: Huber, Robust estimation of a location parameter, 1964.
type Huber struct {
	Delta float64 // 0 stands for 1
}

// Total returns the number of targets.
func (Huber) Total(data *Data) float64 { return float64(len(data.Targets)) }

// Sum returns the sum over all elements; see [Loss].
func (l Huber) Sum(grad, y []float32, data *Data, total float64, limit ...kernels.Threads) float64 {
	wantTargets("Huber", y, data)
	if l.Delta == 0 {
		l.Delta = 1
	}
	return kernels.HuberError(grad, y, data.Targets, float32(l.Delta), float32(1/total), limit...)
}

func wantTargets(fn string, y []float32, data *Data) {
	cols := columns(fn, "y", len(y), data.Rows)
	wantMatrix(fn, "data.Targets", len(data.Targets), data.Rows, cols)
}

// lossByName is a loss with the option that it takes, if any.
type lossByName struct {
	name, option string
	hi           float64 // what the option is below
	new          func(value float64) Loss
}

var lossNames = []lossByName{
	{"softmax-cross-entropy", "smoothing", 1, func(v float64) Loss { return SoftmaxCrossEntropy{Smoothing: v} }},
	{"binary-cross-entropy", "", 0, func(float64) Loss { return BinaryCrossEntropy{} }},
	{"mean-squared-error", "", 0, func(float64) Loss { return MeanSquaredError{} }},
	{"mean-absolute-error", "", 0, func(float64) Loss { return MeanAbsoluteError{} }},
	{"huber", "delta", math.MaxFloat32, func(v float64) Loss { return Huber{Delta: v} }},
}

// Losses returns the names that [NewLoss] takes.
func Losses() []string {
	names := make([]string, len(lossNames))
	for i, l := range lossNames {
		names[i] = l.name
	}
	return names
}

// NewLoss returns the named loss. Softmax-cross-entropy takes the option smoothing, huber
// takes delta. An unknown name or option and a value out of range are errors that say what
// is valid.
func NewLoss(name string, options map[string]float64) (Loss, error) {
	i := slices.IndexFunc(lossNames, func(l lossByName) bool { return l.name == name })
	if i < 0 {
		return nil, fmt.Errorf("nn: unknown loss %q, want one of %s", name, strings.Join(Losses(), ", "))
	}
	l := lossNames[i]
	for _, option := range slices.Sorted(maps.Keys(options)) {
		if option != l.option {
			return nil, fmt.Errorf("nn: loss %s: unknown option %q, want %s", name, option, orNone(l.option))
		}
		if v := options[option]; !(v >= 0 && v < l.hi) || v > 0 && float32(v) == 0 {
			return nil, fmt.Errorf("nn: loss %s: %s = %v, want 0 or more, below %v", name, option, v, l.hi)
		}
	}
	return l.new(options[l.option]), nil
}

func orNone(option string) string {
	if option == "" {
		return "none"
	}
	return option
}

// columns returns the width of a matrix of the given size. It panics unless
// there are rows, as the mean of nothing is nothing, and they fill the matrix.
func columns(fn, name string, size, rows int) int {
	if rows < 1 || size == 0 || size%rows != 0 {
		panic(fmt.Sprintf("nn.%s: len(%s) = %d and rows = %d, want rows >= 1 of one width >= 1", fn, name, size, rows))
	}
	return size / rows
}
