package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-go/lockstep/internal/mnist"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/nn/data"
)

// task is something to learn, or to be judged by.
type task struct {
	train, test *nn.Data   // test is nil where the source has none
	prep        *data.Prep // of a CSV
	in, out     int
	classes     bool // are to be told apart; else numbers are to be found
}

// isCSV tells by its name whether a file is a CSV.
func isCSV(path string) bool {
	return slices.Contains([]string{".csv", ".tsv", ".txt"}, strings.ToLower(filepath.Ext(path)))
}

// loadTask reads what --data names: a CSV, a .npz with the arrays x and y, a directory of
// IDX files, or with no path the embedded MNIST. prep, unless nil, is how a CSV is to be
// read, and targets are its columns to predict otherwise.
func loadTask(path string, targets []string, prep *data.Prep) (*task, error) {
	switch {
	case isCSV(path):
		return loadCSV(path, targets, prep)
	case len(targets) > 0:
		return nil, fmt.Errorf("--target: %s, want a CSV as --data for it", strings.Join(targets, ","))
	case strings.EqualFold(filepath.Ext(path), ".npz"):
		return loadNpz(path)
	case path != "":
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("--data: %q, want a file that ends with .csv, .tsv, .txt or .npz, or a directory with the four IDX files of a set like MNIST", path)
		}
	}
	var train, test *mnist.Set
	var err error
	if path == "" {
		train, test, err = mnist.Embedded()
	} else {
		train, test, err = mnist.Load(path)
	}
	if err != nil {
		return nil, err
	}
	return &task{train: samples(train), test: samples(test), in: train.Width * train.Height, out: train.Classes, classes: true}, nil
}

func loadCSV(path string, targets []string, prep *data.Prep) (p *task, err error) {
	p = new(task)
	if prep == nil {
		p.train, p.prep, err = data.ReadCSVFile(path, data.CSVOptions{Targets: targets})
	} else {
		p.prep = prep
		p.train, err = prep.ReadFile(path)
	}
	if err != nil {
		return nil, err
	}
	p.in, p.out, p.classes = p.prep.In(), p.prep.Out(), p.prep.Classes() != nil
	return p, nil
}

// loadNpz takes whole numbers y from 0 on for classes.
func loadNpz(path string) (*task, error) {
	arrays, err := data.ReadNpzFile(path, "x", "y")
	if err != nil {
		return nil, err
	}
	x, y := arrays["x"], arrays["y"]
	p := new(task)
	if labels, err := y.Labels(); err == nil && len(labels) > 0 && slices.Min(labels) >= 0 && slices.Max(labels) < maxSize {
		p.classes, p.out = true, 1+int(slices.Max(labels))
		p.train, err = data.WithLabels(x, y)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	} else if p.train, err = data.WithTargets(x, y); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	} else {
		p.out = len(p.train.Targets) / p.train.Rows
	}
	p.in = len(p.train.X) / p.train.Rows
	return p, nil
}

// metric is what an evaluation shows.
func (p *task) metric() nn.Metric {
	if p.classes {
		return nn.Metric{Name: "accuracy", Of: nn.Accuracy}
	}
	return nn.Metric{Name: "R²", Of: nn.R2}
}

// judge says how good a network is on samples of the task.
func (p *task) judge(net *nn.Net, d *nn.Data, threads int) string {
	y := predict(net, d, threads)
	if p.classes {
		return fmt.Sprintf("accuracy %.4f of %d", nn.Accuracy(y, d), d.Rows)
	}
	text := fmt.Sprintf("R² %.4f of %d", nn.R2(y, d), d.Rows)
	if p.prep != nil { // errors in the file's own units
		own := &nn.Data{Rows: d.Rows, Targets: slices.Clone(d.Targets)}
		p.prep.Unscale(y)
		p.prep.Unscale(own.Targets)
		d = own
	}
	return fmt.Sprintf("%s, mean absolute error %.4g", text, nn.MeanAbsolute(y, d))
}

// The names of what a model's file says besides its tensors.
const (
	modelInputs = "lockstep.inputs"
	modelLayers = "lockstep.layers"
	modelCSV    = "lockstep.csv" // a data.Prep
)

// saveModel writes a network, and how it wants a CSV to be read, as safetensors with PyTorch's
// names.
func saveModel(path string, net *nn.Net, prep *data.Prep) error {
	tensors, err := data.StateDict(net, "")
	if err != nil {
		return fmt.Errorf("--save: %w", err)
	}
	metadata := map[string]string{
		"format": "pt", modelInputs: strconv.Itoa(net.In()), modelLayers: layersText(net),
	}
	if prep != nil {
		text, err := json.Marshal(prep)
		if err != nil {
			return fmt.Errorf("--save: %w", err)
		}
		metadata[modelCSV] = string(text)
	}
	return data.WriteSafetensorsFile(path, tensors, metadata)
}

// layersText is the layers as nn.ParseLayers reads them.
func layersText(net *nn.Net) string {
	var names []string
	for _, l := range net.Layers() {
		names = append(names, l.String())
	}
	return strings.Join(names, ",")
}

// loadModel reads what saveModel has written; prep is nil if there was none.
func loadModel(path string) (net *nn.Net, prep *data.Prep, err error) {
	tensors, metadata, err := data.ReadSafetensorsFile(path)
	if err != nil {
		return nil, nil, err
	}
	layers, err := nn.ParseLayers(metadata[modelLayers])
	inputs, numErr := strconv.Atoi(metadata[modelInputs])
	if metadata[modelLayers] == "" || err != nil || numErr != nil {
		return nil, nil, fmt.Errorf("%s: %s is %q and %s %q, want a file that train --save has written", path, modelLayers, metadata[modelLayers], modelInputs, metadata[modelInputs])
	}
	size, err := nn.CountParams(inputs, layers...)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	elements := 0
	for _, t := range tensors {
		elements += len(t.Data)
	}
	if size > elements {
		return nil, nil, fmt.Errorf("%s: layers of %d parameters, want no more than its tensors' %d", path, size, elements)
	}
	if net, err = nn.New(inputs, layers...); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := data.LoadStateDict(net, tensors, ""); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if text, ok := metadata[modelCSV]; ok {
		prep = new(data.Prep)
		if err := json.Unmarshal([]byte(text), prep); err != nil {
			return nil, nil, fmt.Errorf("%s: %s: %w", path, modelCSV, err)
		}
		if prep.In() != inputs {
			return nil, nil, fmt.Errorf("%s: %s has %d inputs, want the network's %d", path, modelCSV, prep.In(), inputs)
		}
	}
	return net, prep, nil
}
