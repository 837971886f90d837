package nn_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
)

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
	if got := nn.Accuracy(y, &nn.Data{Rows: 4, Labels: []int32{2, 0, 1, 0}}); got != 0.75 {
		t.Errorf("Accuracy = %v, want 0.75", got)
	}

	for _, test := range []struct {
		name string
		y    []float32
		data nn.Data
		want float64
	}{
		{"a single output and labels", []float32{-1, 0.1, 0, 5}, nn.Data{Rows: 4, Labels: []int32{0, 1, 1, 0}}, 0.5},
		{"a single output and targets", []float32{-1, 0.1, 0, 5}, nn.Data{Rows: 4, Targets: []float32{0, 0.9, 1, 0.4}}, 0.5},
		{"targets", []float32{1, 2, 5, 4}, nn.Data{Rows: 2, Targets: []float32{0.2, 0.8, 0.3, 0.7}}, 0.5},
	} {
		if got := nn.Accuracy(test.y, &test.data); got != test.want {
			t.Errorf("%s: accuracy %v, want %v", test.name, got, test.want)
		}
	}
}

func TestTopK(t *testing.T) {
	nan := float32(math.NaN())
	y := []float32{1, 2, 3, 4, 4, 4, nan, 9, nan, 5, nan, 6}
	data := &nn.Data{Rows: 4, Labels: []int32{1, 2, 1, 1}}
	// The ranks of the labels: 1, 2 after its equals, 2 after both NaN, 0 as a NaN.
	for k, want := range []float64{0.25, 0.5, 1} {
		if got := nn.TopK(k+1)(y, data); got != want {
			t.Errorf("top %d: %v, want %v", k+1, got, want)
		}
	}
	if got := nn.TopK(9)(y, &nn.Data{Rows: 4, Labels: []int32{0, 3, -1, 2}}); got != 0.5 {
		t.Errorf("labels that are no column: %v, want 0.5", got)
	}
	wantPanic(t, "nn.TopK: 1 output a row, want at least 2", func() { nn.TopK(1)(y[:4], data) })
	wantPanic(t, "nn.TopK: k = 0, want at least 1", func() { nn.TopK(0) })
}

func TestConfusion(t *testing.T) {
	y := []float32{9, 1, 0, 1, 9, 0, 1, 0, 9, 0, 1, 9, 9, 0, 0}
	got := nn.Confusion(y, &nn.Data{Rows: 5, Labels: []int32{0, 1, 2, 1, 1}}, 3)
	if want := "[[1 0 0] [1 1 1] [0 0 1]]"; fmt.Sprint(got) != want {
		t.Errorf("confusion %v, want %v", got, want)
	}
	got = nn.Confusion([]float32{1, -1, -1}, &nn.Data{Rows: 3, Labels: []int32{1, 1, 0}}, 2)
	if want := "[[1 0] [1 1]]"; fmt.Sprint(got) != want {
		t.Errorf("confusion of a single output %v, want %v", got, want)
	}
	wantPanic(t, "nn.Confusion: row 1 is of class 3, want 0 to 2", func() { nn.Confusion(y, &nn.Data{Rows: 5, Labels: []int32{0, 3, 0, 0, 0}}, 3) })
	wantPanic(t, "nn.Confusion: classes = 2, want at least 2 and the 3 outputs", func() { nn.Confusion(y, &nn.Data{Rows: 5, Labels: make([]int32, 5)}, 2) })
}

func TestRegressionMetrics(t *testing.T) {
	data := &nn.Data{Rows: 3, Targets: []float32{1, 10, 2, 20, 3, 30}}
	for _, test := range []struct {
		y       []float32
		r2, mae float64
	}{
		{[]float32{1, 10, 2, 20, 3, 30}, 1, 0},
		{[]float32{2, 20, 2, 20, 2, 20}, 0, 22.0 / 6},
		{[]float32{1, 10, 2, 20, 3, 24}, 1 - 36.0/202, 1},
	} {
		if got := nn.R2(test.y, data); math.Abs(got-test.r2) > 1e-15 {
			t.Errorf("%v: R² %v, want %v", test.y, got, test.r2)
		}
		if got := nn.MeanAbsolute(test.y, data); math.Abs(got-test.mae) > 1e-15 {
			t.Errorf("%v: mean absolute error %v, want %v", test.y, got, test.mae)
		}
	}
}

func TestNewMetric(t *testing.T) {
	y, data := []float32{1, 2, 3, 1}, &nn.Data{Rows: 2, Labels: []int32{0, 0}, Targets: []float32{1, 2, 3, 4}}
	for _, test := range []struct {
		name  string
		want  float64
		lower bool
	}{{"accuracy", 0.5, false}, {"top:2", 1, false}, {"top:1", 0.5, false}, {"r2", 1 - 9.0/4, false}, {"mae", 0.75, true}} {
		m, err := nn.NewMetric(test.name)
		if err != nil || m.Name != test.name || m.Lower != test.lower || m.Of(y, data) != test.want {
			t.Errorf("NewMetric(%s) = %+v, error %v; want one that gives %v", test.name, m, err, test.want)
		}
	}
	for _, name := range []string{"auc", "top:0", "top:x", "top"} {
		if _, err := nn.NewMetric(name); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("nn: unknown metric %q, want one of accuracy,", name)) {
			t.Errorf("NewMetric(%s): error %v", name, err)
		}
	}
}

func TestMetricPanics(t *testing.T) {
	four := make([]float32, 4)
	for _, test := range []struct {
		do   func()
		want string
	}{
		{func() { nn.Accuracy(nil, &nn.Data{}) }, "nn.Accuracy: len(y) = 0 and rows = 0"},
		{func() { nn.Accuracy(four, &nn.Data{Rows: 3, Labels: make([]int32, 3)}) }, "nn.Accuracy: len(y) = 4 and rows = 3"},
		{func() { nn.Accuracy(four, &nn.Data{Rows: 2, Labels: make([]int32, 3)}) }, "nn.Accuracy: len(data.Labels) = 3, want 2 rows of 1"},
		{func() { nn.Accuracy(four, &nn.Data{Rows: 2}) }, "nn.Accuracy: len(data.Targets) = 0, want 2 rows of 2"},
		{func() { nn.R2(four, &nn.Data{Rows: 2}) }, "nn.R2: len(data.Targets) = 0, want 2 rows of 2"},
		{func() { nn.MeanAbsolute(four, &nn.Data{Rows: 2}) }, "nn.MeanAbsolute: len(data.Targets) = 0, want 2 rows of 2"},
	} {
		wantPanic(t, test.want, test.do)
	}
}
