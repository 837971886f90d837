package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
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
		sum += nn.MeanLoss(nn.SoftmaxCrossEntropy{}, nil, y[i*cols:][:cols], &nn.Data{Rows: 1, Labels: data.Labels[i:][:1]})
	}
	if got, want := nn.MeanLoss(nn.SoftmaxCrossEntropy{}, nil, y, data), sum/rows; got != want {
		t.Errorf("loss %v, want %v", got, want)
	}
}

// TestLossValues: uniform outputs cost ln 10, whatever the label; outputs one
// too high everywhere cost 1, with a gradient of 2 over the number of elements.
func TestLossValues(t *testing.T) {
	const rows, cols = 4, 10
	data := &nn.Data{Rows: rows, Labels: []int32{0, 9, 3, 3}, Targets: make([]float32, rows*cols)}
	y, grad := make([]float32, rows*cols), make([]float32, rows*cols)
	if got := nn.MeanLoss(nn.SoftmaxCrossEntropy{}, grad, y, data); !(math.Abs(got-math.Ln10) < 1e-12) {
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
	if got := nn.MeanLoss(nn.MeanSquaredError{}, grad, y, data); got != 1 {
		t.Errorf("mean squared error = %v, want 1", got)
	}
	for i, g := range grad {
		if g != float32(2.0/(rows*cols)) {
			t.Errorf("its gradient at %d = %v, want 2/%d", i, g, rows*cols)
		}
	}
}

func TestLossPanics(t *testing.T) {
	four := make([]float32, 4)
	for _, test := range []struct {
		do   func()
		want string
	}{
		{func() { nn.MeanLoss(nn.SoftmaxCrossEntropy{}, nil, four, &nn.Data{Rows: 2}) }, "nn.SoftmaxCrossEntropy: len(data.Labels) = 0 and len(data.Targets) = 0, want 2 labels or as many targets as the 4 outputs"},
		{func() { nn.MeanLoss(nn.SoftmaxCrossEntropy{}, nil, four, &nn.Data{}) }, "nn.SoftmaxCrossEntropy: len(y) = 4 and rows = 0, want rows >= 1"},
		{func() { nn.MeanLoss(nn.SoftmaxCrossEntropy{}, nil, four, &nn.Data{Rows: 3, Labels: make([]int32, 3)}) }, "len(y) = 4 and rows = 3"},
		{func() { nn.MeanLoss(nn.SoftmaxCrossEntropy{}, nil, nil, &nn.Data{Rows: 1, Labels: make([]int32, 1)}) }, "len(y) = 0 and rows = 1"},
		{func() { nn.MeanLoss(nn.SoftmaxCrossEntropy{}, nil, four, &nn.Data{Rows: 2, Labels: []int32{0, 2}}) }, "label[1] = 2, want 0 to 1"},
		{func() {
			nn.MeanLoss(nn.SoftmaxCrossEntropy{}, four[:3], four, &nn.Data{Rows: 2, Labels: []int32{0, 1}})
		}, "len(grad) = 3"},
		{func() { nn.MeanLoss(nn.MeanSquaredError{}, nil, four, &nn.Data{Rows: 2, Targets: four[:2]}) }, "nn.MeanSquaredError: len(data.Targets) = 2, want 2 rows of 2"},
		{func() { nn.MeanLoss(nn.MeanSquaredError{}, four[:3], four, &nn.Data{Rows: 2, Targets: four}) }, "len(grad) = 3"},
		{func() { nn.MeanLoss(nn.MeanSquaredError{}, nil, nil, &nn.Data{}) }, "nn.MeanSquaredError: len(y) = 0 and rows = 0"},
		{func() {
			nn.MeanLoss(nn.SoftmaxCrossEntropy{Smoothing: 1}, nil, four, &nn.Data{Rows: 2, Labels: []int32{0, 1}})
		}, "nn.SoftmaxCrossEntropy: Smoothing = 1, want from 0 to below 1"},
		{func() {
			nn.MeanLoss(nn.SoftmaxCrossEntropy{Weights: four}, nil, four, &nn.Data{Rows: 2, Labels: []int32{0, 1}})
		}, "nn.SoftmaxCrossEntropy: len(Weights) = 4, want one for each of the 2 outputs"},
		{func() {
			nn.MeanLoss(nn.SoftmaxCrossEntropy{Weights: four[:2]}, nil, four, &nn.Data{Rows: 2, Labels: []int32{0, 2}})
		}, "data.Labels[1] = 2, want 0 to 1"},
		{func() {
			nn.MeanLoss(nn.SoftmaxCrossEntropy{Smoothing: 0.1}, nil, four, &nn.Data{Rows: 2, Labels: []int32{0, -1}})
		}, "data.Labels[1] = -1, want 0 to 1"},
		{func() { nn.MeanLoss(nn.SoftmaxCrossEntropy{}, nil, four, &nn.Data{Rows: 2, Targets: four[:2]}) }, "nn.SoftmaxCrossEntropy: len(data.Targets) = 2, want 2 rows of 2"},
		{func() { nn.MeanLoss(nn.BinaryCrossEntropy{}, nil, four, &nn.Data{Rows: 2, Targets: four[:2]}) }, "nn.BinaryCrossEntropy: len(data.Targets) = 2, want 2 rows of 2"},
		{func() { nn.MeanLoss(nn.BinaryCrossEntropy{}, nil, four, &nn.Data{Rows: 2, Labels: []int32{0, 1}}) }, "nn.BinaryCrossEntropy: len(data.Labels) = 2, want 2 rows of 2"},
		{func() { nn.MeanLoss(nn.BinaryCrossEntropy{}, nil, four[:2], &nn.Data{Rows: 2, Labels: []int32{0, 2}}) }, "nn.BinaryCrossEntropy: data.Labels[1] = 2, want 0 or 1"},
		{func() { nn.MeanLoss(nn.MeanAbsoluteError{}, nil, four, &nn.Data{Rows: 2, Targets: four[:2]}) }, "nn.MeanAbsoluteError: len(data.Targets) = 2, want 2 rows of 2"},
		{func() { nn.MeanLoss(nn.Huber{}, nil, four, &nn.Data{Rows: 2, Targets: four[:2]}) }, "nn.Huber: len(data.Targets) = 2, want 2 rows of 2"},
		{func() { nn.MeanLoss(nn.Huber{Delta: -1}, nil, four, &nn.Data{Rows: 2, Targets: four}) }, "delta = -1"},
	} {
		wantPanic(t, test.want, test.do)
	}
}

// TestBinaryLabels: labels of a single output are its targets.
func TestBinaryLabels(t *testing.T) {
	y := []float32{-1, 2, 0.5, -3}
	grad, gradOfTargets := make([]float32, 4), make([]float32, 4)
	got := nn.MeanLoss(nn.BinaryCrossEntropy{}, grad, y, &nn.Data{Rows: 4, Labels: []int32{0, 1, 1, 0}})
	want := nn.MeanLoss(nn.BinaryCrossEntropy{}, gradOfTargets, y, &nn.Data{Rows: 4, Targets: []float32{0, 1, 1, 0}})
	if got != want || !sameBits(grad, gradOfTargets) {
		t.Errorf("by labels %v and %v, by targets %v and %v", got, grad, want, gradOfTargets)
	}
}

func TestNewLoss(t *testing.T) {
	for _, test := range []struct {
		name    string
		options map[string]float64
		want    nn.Loss
	}{
		{"softmax-cross-entropy", nil, nn.SoftmaxCrossEntropy{}},
		{"softmax-cross-entropy", map[string]float64{"smoothing": 0.1}, nn.SoftmaxCrossEntropy{Smoothing: 0.1}},
		{"binary-cross-entropy", nil, nn.BinaryCrossEntropy{}},
		{"mean-squared-error", nil, nn.MeanSquaredError{}},
		{"mean-absolute-error", nil, nn.MeanAbsoluteError{}},
		{"huber", map[string]float64{"delta": 2}, nn.Huber{Delta: 2}},
	} {
		if got, err := nn.NewLoss(test.name, test.options); err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", test.want) {
			t.Errorf("NewLoss(%s, %v) = %#v, error %v, want %#v", test.name, test.options, got, err, test.want)
		}
	}
	for _, test := range []struct {
		name    string
		options map[string]float64
		want    string
	}{
		{"mse", nil, `nn: unknown loss "mse", want one of softmax-cross-entropy, binary-cross-entropy, mean-squared-error, mean-absolute-error, huber`},
		{"huber", map[string]float64{"smoothing": 1}, `nn: loss huber: unknown option "smoothing", want delta`},
		{"mean-squared-error", map[string]float64{"delta": 1}, `nn: loss mean-squared-error: unknown option "delta", want none`},
		{"softmax-cross-entropy", map[string]float64{"smoothing": 1}, "nn: loss softmax-cross-entropy: smoothing = 1, want 0 or more, below 1"},
		{"huber", map[string]float64{"delta": math.NaN()}, "nn: loss huber: delta = NaN"},
		{"huber", map[string]float64{"delta": 1e-60}, "nn: loss huber: delta = 1e-60"},
	} {
		if loss, err := nn.NewLoss(test.name, test.options); err == nil || loss != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("NewLoss(%s, %v): error %v, want %s", test.name, test.options, err, test.want)
		}
	}
}
