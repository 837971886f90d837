package nn_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
)

// TestLossOrder: the mean is over the losses of the rows, each of which has the
// bits of the row alone, added in order.
func TestLossOrder(t *testing.T) {
	const rows, cols = 300, 7
	rng := rand.New(rand.NewPCG(4, 4))
	data := newData(rng, rows, 1, cols)
	y := make([]float32, rows*cols)
	fillNormal(rng, y)
	var sum float64
	for i := range rows {
		sum += nn.SoftmaxCrossEntropy(nil, y[i*cols:][:cols], &nn.Data{Rows: 1, Labels: data.Labels[i:][:1]})
	}
	if got, want := nn.SoftmaxCrossEntropy(nil, y, data), sum/rows; got != want {
		t.Errorf("loss %v, want %v", got, want)
	}
}

// TestLossValues: uniform outputs cost ln 10, whatever the label; outputs one
// too high everywhere cost 1, with a gradient of 2 over the number of elements.
func TestLossValues(t *testing.T) {
	const rows, cols = 4, 10
	data := &nn.Data{Rows: rows, Labels: []int32{0, 9, 3, 3}, Targets: make([]float32, rows*cols)}
	y, grad := make([]float32, rows*cols), make([]float32, rows*cols)
	if got := nn.SoftmaxCrossEntropy(grad, y, data); !(math.Abs(got-math.Ln10) < 1e-12) {
		t.Errorf("cross-entropy of uniform outputs = %v, want ln 10", got)
	}
	for i, g := range grad {
		want := 0.1 / rows
		if int32(i%cols) == data.Labels[i/cols] {
			want = -0.9 / rows
		}
		if !(math.Abs(float64(g)-want) < 1e-8) {
			t.Errorf("its gradient at row %d, column %d = %v, want %v", i/cols, i%cols, g, want)
		}
	}
	for i := range y {
		y[i] = 1
	}
	if got := nn.MeanSquaredError(grad, y, data); got != 1 {
		t.Errorf("mean squared error = %v, want 1", got)
	}
	for i, g := range grad {
		if g != float32(2.0/(rows*cols)) {
			t.Errorf("its gradient at %d = %v, want 2/%d", i, g, rows*cols)
		}
	}
}

func TestAccuracy(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, test := range []struct {
		x    []float32
		want int
	}{
		{nil, -1},
		{[]float32{-3}, 0},
		{[]float32{1, 3, 2}, 1},
		{[]float32{1, 3, 3}, 1},
		{[]float32{0, float32(math.Copysign(0, -1))}, 0},
		{[]float32{-inf, -inf}, 0},
		{[]float32{-inf, 1, inf}, 2},
		{[]float32{5, nan, inf}, 1},
		{[]float32{nan, 7, nan}, 0},
	} {
		if got := nn.Argmax(test.x); got != test.want {
			t.Errorf("Argmax(%v) = %d, want %d", test.x, got, test.want)
		}
	}
	y := []float32{1, 2, 3, 3, 2, 1, 0, 0, 9, nan, 5, 5}
	if got := nn.Accuracy(y, []int32{2, 0, 1, 0}); got != 0.75 {
		t.Errorf("Accuracy = %v, want 0.75", got)
	}
}

func TestLossPanics(t *testing.T) {
	four := make([]float32, 4)
	for _, test := range []struct {
		do   func()
		want string
	}{
		{func() { nn.SoftmaxCrossEntropy(nil, four, &nn.Data{Rows: 2}) }, "nn.SoftmaxCrossEntropy: len(data.Labels) = 0, want 2 rows of 1"},
		{func() { nn.SoftmaxCrossEntropy(nil, four, &nn.Data{}) }, "nn.SoftmaxCrossEntropy: len(y) = 4 and rows = 0, want rows >= 1"},
		{func() { nn.SoftmaxCrossEntropy(nil, four, &nn.Data{Rows: 3, Labels: make([]int32, 3)}) }, "len(y) = 4 and rows = 3"},
		{func() { nn.SoftmaxCrossEntropy(nil, nil, &nn.Data{Rows: 1, Labels: make([]int32, 1)}) }, "len(y) = 0 and rows = 1"},
		{func() { nn.SoftmaxCrossEntropy(nil, four, &nn.Data{Rows: 2, Labels: []int32{0, 2}}) }, "label[1] = 2, want 0 to 1"},
		{func() { nn.SoftmaxCrossEntropy(four[:3], four, &nn.Data{Rows: 2, Labels: []int32{0, 1}}) }, "len(grad) = 3"},
		{func() { nn.MeanSquaredError(nil, four, &nn.Data{Rows: 2, Targets: four[:2]}) }, "nn.MeanSquaredError: len(data.Targets) = 2, want 2 rows of 2"},
		{func() { nn.MeanSquaredError(four[:3], four, &nn.Data{Rows: 2, Targets: four}) }, "len(grad) = 3"},
		{func() { nn.MeanSquaredError(nil, nil, &nn.Data{}) }, "nn.MeanSquaredError: len(y) = 0 and rows = 0"},
		{func() { nn.Accuracy(nil, nil) }, "nn.Accuracy: len(y) = 0 and rows = 0"},
		{func() { nn.Accuracy(four, make([]int32, 3)) }, "nn.Accuracy: len(y) = 4 and rows = 3"},
	} {
		wantPanic(t, test.want, test.do)
	}
}
