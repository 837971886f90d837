package main

import (
	"context"
	"fmt"
	"image/color"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

// trajectories draws the way of each update rule down a long valley: Deep Learning
// from Scratch, sections 6.1.3 to 6.1.7.
type trajectories struct {
	Steps      uint32   `default:"30" help:"Updates with each optimizer."`
	Optimizers []string `default:"${rules}" placeholder:"NAMES" help:"Update rules, by name (default: all)."`
	Out        string   `default:"out" placeholder:"DIR" help:"Directory for trajectories.png and trajectories.svg."`
}

// valley is the function that is gone down; its least is at (0, 0).
func valley(x, y float64) float64 { return x*x/20 + float64(y*y) }

const startX, startY = -7, 2

// trajectoryOptions are each rule's options. The rates of sgd, momentum, adagrad
// and adam are the book's. The others are such that 30 steps show what a rule does,
// and what it does unlike its relatives: so some of these have more options. With
// asgd's, the path never settles, but its mean does. Muon's decay would by default
// pull towards the origin, which here is the minimum.
var trajectoryOptions = map[string]map[string]float64{
	"sgd":                     {"lr": 0.95},
	"momentum":                {"lr": 0.1},
	"nesterov":                {"lr": 0.1},
	"nesterov-velocity-first": {"lr": 0.1},
	"adagrad":                 {"lr": 1.5},
	"rmsprop":                 {"lr": 0.1},
	"adam":                    {"lr": 0.3},
	"torch-sgd":               {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
	"torch-adagrad":           {"lr": 1.5, "initial": 5},
	"torch-rmsprop":           {"lr": 0.02, "momentum": 0.9},
	"torch-adam":              {"lr": 0.3, "beta2": 0.7},
	"amsgrad":                 {"lr": 0.3, "beta2": 0.7},
	"adamw":                   {"lr": 0.3, "decay": 0.2},
	"adadelta":                {"lr": 1, "eps": 0.01},
	"adamax":                  {"lr": 0.5},
	"nadam":                   {"lr": 0.5},
	"radam":                   {"lr": 0.5, "beta2": 0.95},
	"rprop":                   {"lr": 0.1},
	"asgd":                    {"lr": 1, "t0": 3},
	"lion":                    {"lr": 0.25},
	"lamb":                    {"lr": 0.15},
	"lars":                    {"lr": 0.02, "trust": 1},
	"adafactor":               {"lr": 0.3},
	"muon":                    {"lr": 0.3, "decay": 0.0001},
}

// trajectoryLayout is how a rule sees x and y, the first and the last parameter. A
// matrix of 2×1 is no vector, for which LARS and Adafactor have other rules; to the
// rules that go by the elements it is all the same. Muon wants a matrix with two
// singular values: x and y are its diagonal, and the other elements stay 0.
func trajectoryLayout(rule string) []optim.Tensor {
	if rule == "muon" {
		return []optim.Tensor{{Rows: 2, Cols: 2}}
	}
	return []optim.Tensor{{Rows: 2, Cols: 1}}
}

// trajectory is where a rule went, the start first.
type trajectory struct {
	rule    string
	options string // as they are printed
	path    plotter.XYs
	mean    plotter.XYs // of the path, if the rule has one
}

// Validate is called by kong.
func (c *trajectories) Validate() error {
	if c.Steps == 0 {
		return fmt.Errorf("--steps: 0, want at least 1")
	}
	return checkOptimizers(c.Optimizers)
}

// Run is called by kong.
func (c *trajectories) Run(ctx context.Context, to console) error {
	if err := os.MkdirAll(c.Out, 0o777); err != nil {
		return fmt.Errorf("--out: want a directory: %w", err)
	}
	var all []trajectory
	for _, rule := range c.Optimizers {
		t, err := follow(ctx, rule, c.Steps)
		if err != nil {
			return err
		}
		all = append(all, t)
	}

	fmt.Fprintf(to.out, "f(x, y) = x²/20 + y² from (%d, %d): %d steps, %s\n\n", startX, startY, c.Steps, kernels.ISA())
	if err := printTrajectories(to.out, all); err != nil {
		return err
	}
	grid, err := plotTrajectories(all, panelsAcross)
	if err != nil {
		return err
	}
	width, height := vg.Length(len(grid[0]))*panelWidth, vg.Length(len(grid))*panelHeight+headHeight
	heading := fmt.Sprintf("f(x, y) = x²/20 + y²\n%d steps from the dot; star: minimum", c.Steps)
	draw := func(c draw.Canvas) { drawPanels(drawHeading(c, heading), grid) }
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"trajectories.png", func(w io.Writer) error { return drawPNG(w, width, height, 192, draw) }},
		{"trajectories.svg", func(w io.Writer) error { return drawSVG(w, width, height, draw) }},
	} {
		path := filepath.Join(c.Out, file.name)
		if err := writeFile(path, file.write); err != nil {
			return err
		}
		fmt.Fprintln(to.out, "wrote", path)
	}
	return nil
}

// follow goes down the valley by a rule.
func follow(ctx context.Context, rule string, steps uint32) (trajectory, error) {
	options, layout := trajectoryOptions[rule], trajectoryLayout(rule)
	t := trajectory{rule: rule, options: describe(options)}
	optimizer, err := optim.New(rule, layout, options)
	if err != nil {
		return t, err
	}
	mean := optimizer.State().Vectors["mean"]
	params := make([]float32, optim.Size(layout))
	grads := make([]float32, len(params))
	last := len(params) - 1
	if last > 1 {
		t.options += "; a 2×2 diagonal"
	}
	params[0], params[last] = startX, startY
	for step := uint32(0); ; step++ {
		t.path = append(t.path, plotter.XY{X: float64(params[0]), Y: float64(params[last])})
		if mean != nil && mean[0] != params[0] && step > 0 { // until it begins, it is the parameters
			t.mean = append(t.mean, plotter.XY{X: float64(mean[0]), Y: float64(mean[last])})
		}
		if step == steps {
			return t, nil
		}
		if err := ctx.Err(); err != nil {
			return t, err
		}
		grads[0], grads[last] = params[0]/10, 2*params[last]
		if err := optimizer.Step(params, grads); err != nil {
			return t, err
		}
	}
}

// describe writes options as in lr 0.1, momentum 0.9: the rate first.
func describe(options map[string]float64) string {
	text := fmt.Sprint("lr ", options["lr"])
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if name != "lr" {
			text += fmt.Sprint(", ", name, " ", options[name])
		}
	}
	return text
}

// printTrajectories writes a table of where the rules end.
func printTrajectories(out io.Writer, all []trajectory) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "optimizer\toptions\tx\ty\tf(x, y)")
	for _, t := range all {
		end := t.path[len(t.path)-1]
		fmt.Fprintf(table, "%s\t%s\t%7.4f\t%7.4f\t%.2g\n", t.rule, t.options, end.X, end.Y, valley(end.X, end.Y))
		if t.mean != nil {
			end := t.mean[len(t.mean)-1]
			fmt.Fprintf(table, "\tmean of its path\t%7.4f\t%7.4f\t%.2g\n", end.X, end.Y, valley(end.X, end.Y))
		}
	}
	return table.Flush()
}

// Of the picture: the part of the plane that a panel shows, and sizes on paper.
const (
	lowX, highX = -8, 4
	lowY, highY = -3, 3

	panelsAcross            = 4
	panelWidth, panelHeight = 2.5 * vg.Inch, 1.75 * vg.Inch
	headHeight              = 0.4 * vg.Inch
)

// plotTrajectories makes a panel for each rule, in rows of at most so many.
func plotTrajectories(all []trajectory, across int) ([][]*plot.Plot, error) {
	var panels []*plot.Plot
	for _, t := range all {
		p, err := plotTrajectory(t)
		if err != nil {
			return nil, err
		}
		panels = append(panels, p)
	}
	return inRows(panels, across), nil
}

// inRows makes a grid of panels, in rows of at most so many; the last ones may be nil.
func inRows(panels []*plot.Plot, across int) [][]*plot.Plot {
	across = min(across, len(panels))
	grid := make([][]*plot.Plot, (len(panels)+across-1)/across)
	for i := range grid {
		grid[i] = make([]*plot.Plot, across)
		copy(grid[i], panels[i*across:])
	}
	return grid
}

// plotTrajectory draws a path over contours. What leaves the panel is cut off.
func plotTrajectory(t trajectory) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = t.rule + "\n" + t.options
	if t.mean != nil {
		p.Title.Text += "; thick: its mean"
	}
	p.Title.TextStyle.Font.Size = vg.Points(9)
	p.Title.Padding = vg.Points(2)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Marker = atMost(10)
		axis.Tick.Label.Font.Size = vg.Points(8)
		axis.Tick.Length = vg.Points(3)
		axis.Padding = 0
	}

	levels := []float64{0.25, 1, 2.25, 4, 6.25, 9} // squares, for ellipses at equal distances
	contour := plotter.NewContour(valleyGrid{}, levels, nil)
	contour.LineStyles = []draw.LineStyle{{Color: color.Gray{200}, Width: vg.Points(0.5)}}
	p.Add(
		contour,
		&plotter.Scatter{XYs: plotter.XYs{{X: startX, Y: startY}}, GlyphStyle: draw.GlyphStyle{
			Color: styles[0].color, Radius: vg.Points(3), Shape: draw.CircleGlyph{},
		}},
		&plotter.Scatter{XYs: plotter.XYs{{}}, GlyphStyle: draw.GlyphStyle{
			Color: styles[1].color, Radius: vg.Points(5), Shape: marker{corners: 5, star: true},
		}},
	)
	line, points, err := plotter.NewLinePoints(t.path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.rule, err)
	}
	line.Color, line.Width = styles[2].color, vg.Points(0.75)
	points.Color, points.Shape, points.Radius = styles[2].color, draw.CircleGlyph{}, vg.Points(1.25)
	p.Add(line, points)
	if t.mean != nil {
		mean, err := plotter.NewLine(t.mean)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.rule, err)
		}
		mean.Color, mean.Width = styles[4].color, vg.Points(1.5)
		p.Add(mean)
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = lowX, highX, lowY, highY
	return p, nil
}

// drawHeading writes at the top of a canvas and returns what is below.
func drawHeading(c draw.Canvas, heading string) draw.Canvas {
	style := plot.New().Title.TextStyle
	style.Font.Size = vg.Points(10)
	style.YAlign = draw.YTop
	c.FillText(style, vg.Point{X: c.Center().X, Y: c.Max.Y}, heading)
	c.Max.Y -= headHeight
	return c
}

// drawPanels draws the plots of a grid with their axes in line.
func drawPanels(c draw.Canvas, grid [][]*plot.Plot) {
	tiles := draw.Tiles{Rows: len(grid), Cols: len(grid[0]), PadX: vg.Points(8), PadY: vg.Points(10)}
	for i, row := range plot.Align(grid, tiles, c) {
		for j, panel := range row {
			if p := grid[i][j]; p != nil {
				p.Draw(panel)
			}
		}
	}
}

// valleyGrid has the heights of the valley in a panel, for its contours.
type valleyGrid struct{}

func (valleyGrid) Dims() (columns, rows int) { return 49, 37 }
func (valleyGrid) X(i int) float64           { return lowX + float64(i)*(highX-lowX)/48 }
func (valleyGrid) Y(i int) float64           { return lowY + float64(i)*(highY-lowY)/36 }
func (g valleyGrid) Z(i, j int) float64      { return valley(g.X(i), g.Y(j)) }
