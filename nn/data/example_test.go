package data_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/nn/data"
	"github.com/lockstep-go/lockstep/optim"
)

// plants makes a table of leaves, of which three kinds differ in length, width and colour.
func plants() string {
	var b strings.Builder
	b.WriteString("length,width,colour,kind\n")
	for i := range 90 {
		kind := i % 3
		length, width := 3+1.5*float64(kind)+float64(i%7)/7, 1+float64(i%11)/5
		colour := []string{"light", "dark"}[(i/3+kind)%2]
		fmt.Fprintf(&b, "%.2f,%.2f,%s,%s\n", length, width, colour, []string{"beech", "lime", "plane"}[kind])
	}
	return b.String()
}

// Train on a CSV, and predict rows that have no class. The Prep goes through JSON, as
// it would beside a network in a file.
func ExampleReadCSV() {
	set, prep, err := data.ReadCSV(strings.NewReader(plants()), data.CSVOptions{Targets: []string{"kind"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Rows, "rows of", prep.Inputs(), "for", prep.Classes())

	train, held := set.Split(0.2, 1)
	net := nn.MustNew(prep.In(), nn.Affine(16), nn.ReLU(), nn.Affine(prep.Out()))
	net.Init(nn.He(), 1)
	trainer := &nn.Trainer{
		Net:        net,
		Loss:       nn.SoftmaxCrossEntropy{},
		Optimizer:  optim.NewAdam(net.NumParams(), optim.AdamOptions{LR: 0.02}),
		Batch:      16,
		Epochs:     40,
		Validation: held,
		Metrics:    []nn.Metric{{Name: "accuracy", Of: nn.Accuracy}},
	}
	history, err := trainer.Fit(context.Background(), train)
	if err != nil {
		fmt.Println(err)
		return
	}
	last := history.Evaluations[len(history.Evaluations)-1]
	fmt.Println("accuracy above 0.9:", last.Metrics[0] > 0.9)

	text, err := json.Marshal(prep)
	if err != nil {
		fmt.Println(err)
		return
	}
	kept := new(data.Prep)
	if err := json.Unmarshal(text, kept); err != nil {
		fmt.Println(err)
		return
	}
	later, err := kept.ReadInputs(strings.NewReader("colour,length,width\ndark,3.4,1.2\nlight,6.5,2.5\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	y := make([]float32, later.Rows*kept.Out())
	net.Predictor(later.Rows).Predict(y, later.X, later.Rows)
	for i := range later.Rows {
		fmt.Println(kept.Classes()[nn.Argmax(y[i*kept.Out():][:kept.Out()])])
	}

	_, err = kept.ReadInputs(strings.NewReader("colour,length,width\nred,3.4,1.2\n"))
	fmt.Println(err)
	// Output:
	// 90 rows of [length width colour=dark colour=light] for [beech lime plane]
	// accuracy above 0.9: true
	// beech
	// plane
	// data.Prep.ReadInputs: line 2, column "colour": expected a category out of "dark", "light", found "red"
}

// A regression: the targets are standardised for training, and predictions are put back.
func ExamplePrep_Unscale() {
	var b strings.Builder
	b.WriteString("area,floor,rent\n")
	for i := range 60 {
		area, floor := 30+5*(i%12), i/12
		fmt.Fprintf(&b, "%d,%d,%d\n", area, floor, 200+11*area+25*floor)
	}
	set, prep, err := data.ReadCSV(strings.NewReader(b.String()), data.CSVOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	net := nn.MustNew(prep.In(), nn.Affine(prep.Out()))
	net.Init(nn.Xavier(), 1)
	trainer := &nn.Trainer{
		Net: net, Loss: nn.MeanSquaredError{}, Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{LR: 0.05}),
		Batch: 20, Epochs: 100,
	}
	if _, err := trainer.Fit(context.Background(), set); err != nil {
		fmt.Println(err)
		return
	}
	later, err := prep.ReadInputs(strings.NewReader("area,floor\n70,2\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	y := make([]float32, prep.Out())
	net.Predictor(1).Predict(y, later.X, 1)
	prep.Unscale(y)
	fmt.Println("near 1020:", math.Abs(float64(y[0])-1020) < 5)
	// Output: near 1020: true
}

// An array to NumPy and back.
func ExampleReadNpy() {
	var file bytes.Buffer
	a := &data.Array{Shape: []int{2, 3}, X: []float32{1, 2, 3, 4, 5, 6}}
	if err := a.WriteNpy(&file); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d bytes: %.59s\n", file.Len(), file.Bytes()[10:])
	b, err := data.ReadNpy(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.Shape, b.X)
	// Output:
	// 152 bytes: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
	// [2 3] [1 2 3 4 5 6]
}

// Inputs and labels of one .npz file, as numpy.savez(file, x=…, y=…) writes it.
func ExampleReadNpz() {
	var file bytes.Buffer
	err := data.WriteNpz(&file, map[string]*data.Array{
		"x": {Shape: []int{4, 2}, X: []float32{0, 0, 0, 1, 1, 0, 1, 1}},
		"y": {Shape: []int{4}, X: []float32{0, 1, 1, 0}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	arrays, err := data.ReadNpz(bytes.NewReader(file.Bytes()), int64(file.Len()), "x", "y")
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := data.WithLabels(arrays["x"], arrays["y"])
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Rows, set.X, set.Labels)
	// Output: 4 [0 0 0 1 1 0 1 1] [0 1 1 0]
}
