package data_test

import (
	"math"
	"slices"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/nn/data"
)

func TestLabels(t *testing.T) {
	a := &data.Array{Shape: []int{4}, X: []float32{0, 3, 1<<24 - 1, float32(math.Copysign(0, -1))}}
	if got, err := a.Labels(); err != nil || !slices.Equal(got, []int32{0, 3, 1<<24 - 1, 0}) {
		t.Errorf("Labels: %v, error %v", got, err)
	}
	for _, v := range []float32{-1, 0.5, 1 << 24, 1e30, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.SmallestNonzeroFloat32} {
		a.X[2] = v
		refused(t, "label", 0, func() error { _, err := a.Labels(); return err }, "data.Array.Labels: label 3 of 4 is ", "want a whole number from 0 to 16777215")
	}
}

func TestWith(t *testing.T) {
	array := func(shape ...int) *data.Array {
		n := 1
		for _, d := range shape {
			n *= d
		}
		a := &data.Array{Shape: shape, X: make([]float32, max(0, n))}
		for i := range a.X {
			a.X[i] = float32(i)
		}
		return a
	}
	x := array(4, 2, 3)
	for _, labels := range []*data.Array{array(4), array(4, 1)} {
		d, err := data.WithLabels(x, labels)
		if err != nil || d.Rows != 4 || &d.X[0] != &x.X[0] || len(d.X) != 24 || !slices.Equal(d.Labels, []int32{0, 1, 2, 3}) || d.Targets != nil {
			t.Errorf("labels of %v: %+v, error %v", labels.Shape, d, err)
		}
	}
	for _, targets := range []*data.Array{array(4), array(4, 5)} {
		d, err := data.WithTargets(x, targets)
		if err != nil || d.Rows != 4 || &d.X[0] != &x.X[0] || &d.Targets[0] != &targets.X[0] || len(d.Targets) != len(targets.X) || d.Labels != nil {
			t.Errorf("targets of %v: %+v, error %v", targets.Shape, d, err)
		}
	}
	half := array(4)
	half.X[1] = 0.5
	type with = func(x, y *data.Array) (*nn.Data, error)
	for _, c := range []struct {
		with with
		x, y *data.Array
		want string
	}{
		{data.WithLabels, x, array(3), "labels of the shape [3], want 4 rows as the inputs have in [4 2 3]"},
		{data.WithLabels, x, array(), "labels of the shape [], want 4 rows"},
		{data.WithLabels, x, array(4, 2), "labels of the shape [4 2], want one for each of the 4 rows"},
		{data.WithLabels, x, array(4, 0), "labels of the shape [4 0], want one"},
		{data.WithLabels, x, half, "label 2 of 4 is 0.5"},
		{data.WithLabels, array(), array(), "inputs of the shape [], want at least one row"},
		{data.WithLabels, array(4, 0), array(4), "inputs of the shape [4 0], want at least one row"},
		{data.WithLabels, &data.Array{Shape: []int{4}}, array(4), "inputs: len(X) = 0, want the 4"},
		{data.WithTargets, x, &data.Array{Shape: []int{4}}, "targets: len(X) = 0, want the 4"},
		{data.WithTargets, x, array(4, 0), "targets of the shape [4 0], want at least one"},
		{data.WithTargets, x, array(3, 4), "targets of the shape [3 4], want 4 rows"},
	} {
		refused(t, c.want, 0, func() error { _, err := c.with(c.x, c.y); return err }, "data.With", c.want)
	}
}
