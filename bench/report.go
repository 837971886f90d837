package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockstep-go/lockstep/internal/file"
)

// results is what results.json holds.
type results struct {
	ISA     string   `json:"isa"`
	Threads int      `json:"threads"`
	Seed    uint64   `json:"seed"`
	Steps   uint32   `json:"steps"`
	Batch   int      `json:"batch"`
	Hidden  []int    `json:"hidden"`
	Runs    []result `json:"runs"`
}

// result is the training with one optimizer.
type result struct {
	Optimizer    string      `json:"optimizer"`
	FinalLoss    number      `json:"final_loss"`    // mean of the last 100 losses
	SmoothedLoss number      `json:"smoothed_loss"` // the last value of the smoothed curve
	TestAccuracy float64     `json:"test_accuracy"`
	MicrosStep   float64     `json:"us_per_step"`
	ParamsSHA256 string      `json:"params_sha256"` // of the flat weights as little-endian float32
	Losses       [][2]number `json:"losses"`        // of each step: its number from 0, and the loss after its update

	smoothed []float64
}

// number is null in JSON where JSON has no word for it: the loss of a training
// that diverged.
type number float64

func (x number) MarshalJSON() ([]byte, error) {
	if !finite(float64(x)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(x))
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func newResult(optimizer string, losses []float64, perStep time.Duration, accuracy float64, hash string) result {
	r := result{
		Optimizer:    optimizer,
		TestAccuracy: accuracy,
		MicrosStep:   float64(perStep.Nanoseconds()) / 1000,
		ParamsSHA256: hash,
		smoothed:     smooth(losses),
	}
	last := losses[max(0, len(losses)-100):]
	for _, loss := range last {
		r.FinalLoss += number(loss)
	}
	r.FinalLoss /= number(len(last))
	r.SmoothedLoss = number(r.smoothed[len(r.smoothed)-1])
	for step, loss := range losses {
		r.Losses = append(r.Losses, [2]number{number(step), number(loss)})
	}
	return r
}

// print writes a table in the order of the runs and names the first and the last
// of them by final loss.
func (r *results) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(table, "\noptimizer\tmean loss of last %d\ttest accuracy\tµs/step\tweights' SHA-256\n", min(100, r.Steps))
	for _, run := range r.Runs {
		fmt.Fprintf(table, "%s\t%.4f\t%.4f\t%.0f\t%.12s\n",
			run.Optimizer, run.FinalLoss, run.TestAccuracy, run.MicrosStep, run.ParamsSHA256)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(r.Runs) == 1 {
		return nil
	}
	// One that diverged, to NaN, counts as the slowest.
	byLoss := slices.SortedStableFunc(slices.Values(r.Runs), func(a, b result) int {
		return -cmp.Compare(-a.FinalLoss, -b.FinalLoss)
	})
	fastest, slowest := byLoss[0], byLoss[len(byLoss)-1]
	_, err := fmt.Fprintf(out, "\n%s learnt fastest, %s slowest: by the mean loss at the end, %.4f and %.4f.\n",
		fastest.Optimizer, slowest.Optimizer, fastest.FinalLoss, slowest.FinalLoss)
	return err
}

// write writes the files into dir and their names to out.
func (r *results) write(dir string, out io.Writer) error {
	curves, err := r.plot()
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"results.json", func(w io.Writer) error { return json.NewEncoder(w).Encode(r) }},
		{"losses.png", func(w io.Writer) error { return writePNG(w, curves) }},
		{"losses.svg", func(w io.Writer) error { return writeSVG(w, curves) }},
	} {
		path := filepath.Join(dir, file.name)
		if err := writeFile(path, file.write); err != nil {
			return err
		}
		fmt.Fprintln(out, "wrote", path)
	}
	return nil
}

// plot draws the losses, with a legend.
func (r *results) plot() (*plot.Plot, error) {
	var curves []lossCurve
	for _, run := range r.Runs {
		curves = append(curves, lossCurve{run.Optimizer, run.smoothed})
	}
	p, keys, err := plotLosses(curves, 1)
	if err != nil {
		return nil, err
	}
	p.Title.Text = "Loss of the training batches, smoothed"
	p.Title.Padding = vg.Points(6)
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.ThumbnailWidth = vg.Points(30)
	p.Legend.Padding = vg.Points(3)
	for _, k := range keys {
		p.Legend.Add(k.text, k)
	}
	// At the right, but with the text behind the lines and room to spare: who
	// looks at the SVG may have a wider font.
	p.Legend.XOffs = plotWidth - vg.Inch - 1.3*p.Legend.Rectangle(draw.Canvas{}).Size().X
	return p, nil
}

// writeFile gives the file at path the content that write writes, all of it or
// none: what was there before stays if anything fails.
func writeFile(path string, write func(io.Writer) error) error {
	if err := file.Replace(path, write); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
