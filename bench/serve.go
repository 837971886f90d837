package main

import (
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/nn/data"
)

// eval says how good a saved network is.
type eval struct {
	Model   string `arg:"" help:"What train --save has written."`
	Data    string `placeholder:"PATH" help:"As for train; a CSV is read as it was when the network was trained. The test set of the embedded MNIST, if left out."`
	Threads int    `default:"${threads}" help:"The most threads to run on."`
}

// Run is called by kong.
func (c *eval) Run(to console) error {
	net, prep, err := loadModel(c.Model)
	if err != nil {
		return err
	}
	if isCSV(c.Data) && prep == nil {
		return fmt.Errorf("--data: %q, but %s was not trained on a CSV", c.Data, c.Model)
	}
	p, err := loadTask(c.Data, nil, prep)
	if err != nil {
		return err
	}
	if p.in != net.In() || p.out > net.Out() || !p.classes && p.out != net.Out() {
		return fmt.Errorf("--data: %d inputs and %d outputs, want the network's %d and %d", p.in, p.out, net.In(), net.Out())
	}
	d := p.test
	if d == nil {
		d = p.train
	}
	fmt.Fprintln(to.out, p.judge(net, d, c.Threads))
	if !p.classes || net.Out() > 20 {
		return nil
	}
	counts := nn.Confusion(predict(net, d, c.Threads), d, max(2, net.Out()))
	names := classNames(prep, len(counts))
	w := tabwriter.NewWriter(to.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "is \\ taken for\t%s\t\n", strings.Join(names, "\t"))
	for i, row := range counts {
		fmt.Fprintf(w, "%s\t", names[i])
		for _, n := range row {
			fmt.Fprintf(w, "%d\t", n)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// classNames are those of a CSV's classes, or else numbers.
func classNames(prep *data.Prep, n int) []string {
	if prep != nil && prep.Classes() != nil {
		return prep.Classes()
	}
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// predictions writes what a saved network makes of inputs.
type predictions struct {
	Model   string `arg:"" help:"What train --save has written."`
	Data    string `arg:"" help:"A CSV of the columns that it was trained on, with or without the target; or a .npy of the inputs, a row each."`
	Threads int    `default:"${threads}" help:"The most threads to run on."`
}

// Run is called by kong.
func (c *predictions) Run(to console) error {
	net, prep, err := loadModel(c.Model)
	if err != nil {
		return err
	}
	var d *nn.Data
	switch {
	case strings.EqualFold(filepath.Ext(c.Data), ".npy"):
		var a *data.Array
		if a, err = data.ReadNpyFile(c.Data); err == nil {
			d = &nn.Data{X: a.X}
			if len(a.Shape) > 0 {
				d.Rows = a.Shape[0]
			}
		}
	case !isCSV(c.Data):
		return fmt.Errorf("%q, want a file that ends with .csv, .tsv, .txt or .npy", c.Data)
	case prep == nil:
		return fmt.Errorf("%q, but %s was not trained on a CSV; want a .npy", c.Data, c.Model)
	default:
		d, err = prep.ReadInputsFile(c.Data)
	}
	if err != nil {
		return err
	}
	if d.Rows < 1 || len(d.X) != d.Rows*net.In() {
		return fmt.Errorf("%s: %d numbers in %d rows, want rows of the network's %d inputs", c.Data, len(d.X), d.Rows, net.In())
	}
	y := predict(net, d, c.Threads)
	w := csv.NewWriter(to.out)
	if prep != nil && prep.Classes() == nil {
		prep.Unscale(y)
		writeNumbers(w, y, net.Out())
	} else if prep == nil && net.Out() == 1 {
		writeNumbers(w, y, 1)
	} else {
		writeClasses(w, y, net.Out(), classNames(prep, net.Out()))
	}
	w.Flush()
	return w.Error()
}

func writeNumbers(w *csv.Writer, y []float32, out int) {
	row := make([]string, out)
	for i := 0; i < len(y); i += out {
		for j, v := range y[i:][:out] {
			row[j] = strconv.FormatFloat(float64(v), 'g', -1, 32)
		}
		w.Write(row)
	}
}

// writeClasses writes the class and its probability.
func writeClasses(w *csv.Writer, y []float32, out int, names []string) {
	rows := len(y) / out
	p := make([]float32, len(y))
	kernels.Softmax(rows, out, p, out, y, out)
	for i := range rows {
		top := nn.Argmax(y[i*out:][:out])
		w.Write([]string{names[top], strconv.FormatFloat(float64(p[i*out+top]), 'f', 4, 32)})
	}
}

// inspect says what is in a file.
type inspect struct {
	File string `arg:"" help:"Safetensors, a checkpoint or a network of Lockstep's, .npy, .npz or a CSV."`
}

// Run is called by kong.
func (c *inspect) Run(to console) error {
	w := tabwriter.NewWriter(to.out, 0, 0, 2, ' ', 0)
	if err := c.show(w); err != nil {
		return err
	}
	return w.Flush()
}

func (c *inspect) show(w *tabwriter.Writer) error {
	switch ext := strings.ToLower(filepath.Ext(c.File)); {
	case ext == ".safetensors":
		tensors, metadata, err := data.ReadSafetensorsFile(c.File)
		if err != nil {
			return err
		}
		for _, name := range []string{modelInputs, modelLayers, modelCSV} {
			if text, ok := metadata[name]; ok {
				fmt.Fprintf(w, "%s\t%s\n", name, text)
			}
		}
		for _, t := range tensors {
			fmt.Fprintf(w, "%s\t%s %v\n", t.Name, t.DType, t.Shape)
		}
	case ext == ".npy":
		a, err := data.ReadNpyFile(c.File)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "array\t%v\n", a.Shape)
	case ext == ".npz":
		arrays, err := data.ReadNpzFile(c.File)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(arrays)) {
			fmt.Fprintf(w, "%s\t%v\n", name, arrays[name].Shape)
		}
	case isCSV(c.File):
		d, prep, err := data.ReadCSVFile(c.File, data.CSVOptions{})
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d rows\t%d inputs, %d outputs\n", d.Rows, prep.In(), prep.Out())
		for _, column := range prep.Columns {
			what := fmt.Sprintf("mean %.4g, standard deviation %.4g", column.Mean, column.Std)
			if column.Categories != nil {
				what = fmt.Sprintf("%d of %s", len(column.Categories), strings.Join(column.Categories, ", "))
			}
			fmt.Fprintf(w, "%s\t%s: %s\n", column.Name, column.Role, what)
		}
	default:
		net, err := nn.LoadFile(c.File)
		if err != nil {
			return err
		}
		hash := nn.Hash(net.Params())
		fmt.Fprintf(w, "inputs\t%d\nlayers\t%s\nparameters\t%d, SHA-256 %s\n", net.In(), layersText(net), net.NumParams(), hex.EncodeToString(hash[:]))
		for _, v := range net.Views() {
			fmt.Fprintf(w, "%s\t%v\n", v.Name, v.Shape)
		}
	}
	return nil
}

// version says what runs here.
type version struct{}

// Run is called by kong.
func (version) Run(to console) error {
	module := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		module = info.Main.Version
	}
	if err := kernels.SelfCheck(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to.out, "Lockstep %s, %s, %s/%s; instruction set %s of %s; %d threads; self-check passed\n",
		module, runtime.Version(), runtime.GOOS, runtime.GOARCH, kernels.ISA(), strings.Join(kernels.ISAs(), ", "), runtime.GOMAXPROCS(0))
	return err
}
