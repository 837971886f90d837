package nn

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Metric is a number that says how good outputs are, for [Trainer.Metrics].
type Metric struct {
	Name  string
	Of    func(y []float32, data *Data) float64 // y: data.Rows×Out
	Lower bool                                  // lower is better
}

// NewMetric returns the metric that a name stands for: accuracy; top:5, or another number,
// for [TopK]; r2; mae for [MeanAbsolute]. Another name is an error that says which there
// are.
func NewMetric(name string) (Metric, error) {
	switch name {
	case "accuracy":
		return Metric{Name: name, Of: Accuracy}, nil
	case "r2":
		return Metric{Name: name, Of: R2}, nil
	case "mae":
		return Metric{Name: name, Of: MeanAbsolute, Lower: true}, nil
	}
	if text, ok := strings.CutPrefix(name, "top:"); ok {
		if k, err := strconv.Atoi(text); err == nil && k >= 1 {
			return Metric{Name: name, Of: TopK(k)}, nil
		}
	}
	return Metric{}, fmt.Errorf("nn: unknown metric %q, want one of accuracy, top:K with K at least 1, r2, mae", name)
}

// Accuracy is the share of the rows whose class is right: the index of the largest output, as
// [Argmax] has it, is the label, or that of the largest target where there are no labels. A
// single output says class 1 where it is above 0, and so does a single target where it
// is above ½.
func Accuracy(y []float32, data *Data) float64 {
	cols := columns("Accuracy", "y", len(y), data.Rows)
	right := 0
	for i := range data.Rows {
		if class(y[i*cols:][:cols], 0) == trueClass("Accuracy", data, i, cols) {
			right++
		}
	}
	return float64(right) / float64(data.Rows)
}

// class is the class that a row of outputs says: of a single one, whether it is above a
// threshold.
func class(y []float32, threshold float32) int {
	if len(y) > 1 {
		return Argmax(y)
	}
	if y[0] > threshold {
		return 1
	}
	return 0
}

// trueClass is the class of sample i.
func trueClass(fn string, data *Data, i, cols int) int {
	if len(data.Labels) > 0 {
		wantMatrix(fn, "data.Labels", len(data.Labels), data.Rows, 1)
		return int(data.Labels[i])
	}
	wantMatrix(fn, "data.Targets", len(data.Targets), data.Rows, cols)
	return class(data.Targets[i*cols:][:cols], 0.5)
}

// TopK is the share of the rows whose label's output is among the k largest: fewer than k
// others are larger, or as large and before it. NaN counts as larger than all numbers. There
// must be at least two outputs.
func TopK(k int) func(y []float32, data *Data) float64 {
	if k < 1 {
		panic(fmt.Sprintf("nn.TopK: k = %d, want at least 1", k))
	}
	return func(y []float32, data *Data) float64 {
		cols := columns("TopK", "y", len(y), data.Rows)
		if cols < 2 {
			panic(fmt.Sprintf("nn.TopK: %d output a row, want at least 2", cols))
		}
		right := 0
		for i := range data.Rows {
			label := trueClass("TopK", data, i, cols)
			if label >= 0 && label < cols && rank(y[i*cols:][:cols], label) < k {
				right++
			}
		}
		return float64(right) / float64(data.Rows)
	}
}

// rank is how many elements come before element at in falling order.
func rank(x []float32, at int) int {
	before, v := 0, x[at]
	for j, w := range x {
		switch {
		case v != v:
			if w != w && j < at {
				before++
			}
		case w > v || w == v && j < at || w != w:
			before++
		}
	}
	return before
}

// Confusion counts the rows by the class that their labels say and the one that the outputs
// do: element [i][j] is how many of class i were taken for class j. It panics if a label
// is not below classes.
func Confusion(y []float32, data *Data, classes int) [][]int {
	cols := columns("Confusion", "y", len(y), data.Rows)
	if classes < max(2, cols) {
		panic(fmt.Sprintf("nn.Confusion: classes = %d, want at least 2 and the %d outputs", classes, cols))
	}
	counts := make([][]int, classes)
	for i := range counts {
		counts[i] = make([]int, classes)
	}
	for i := range data.Rows {
		of := trueClass("Confusion", data, i, cols)
		if of < 0 || of >= classes {
			panic(fmt.Sprintf("nn.Confusion: row %d is of class %d, want 0 to %d", i, of, classes-1))
		}
		counts[of][class(y[i*cols:][:cols], 0)]++
	}
	return counts
}

// R2 is the coefficient of determination over all targets t,
//
//	1 - Σ(y - t)²/Σ(t - t̄)²
//
// with t̄ the mean of each column, in float64: 1 for perfect outputs, 0 for those of the
// mean. Where targets do not vary it is NaN or -Inf.
func R2(y []float32, data *Data) float64 {
	cols := columns("R2", "y", len(y), data.Rows)
	wantMatrix("R2", "data.Targets", len(data.Targets), data.Rows, cols)
	var residual, spread float64
	for j := range cols {
		var mean float64
		for i := j; i < len(y); i += cols {
			mean += float64(data.Targets[i])
		}
		mean /= float64(data.Rows)
		for i := j; i < len(y); i += cols {
			t := float64(data.Targets[i])
			d := float64(y[i]) - t
			residual += float64(d * d)
			spread += float64((t - mean) * (t - mean))
		}
	}
	return 1 - residual/spread
}

// MeanAbsolute is the mean over all elements of |y - target|, in float64.
func MeanAbsolute(y []float32, data *Data) float64 {
	wantTargets("MeanAbsolute", y, data)
	var sum float64
	for i, t := range data.Targets {
		sum += math.Abs(float64(y[i]) - float64(t))
	}
	return sum / float64(len(y))
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
