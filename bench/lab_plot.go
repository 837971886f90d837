package main

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// picture is a figure of the lab's page.
type picture struct {
	name          string // of its file, and in the page
	caption       string
	width, height vg.Length
	wide          bool // too wide to be read when it is as narrow as a phone
	draw          func(draw.Canvas)
}

// smallWidth is that of pictures whose text can be read on a phone.
const smallWidth = 5.5 * vg.Inch

func (p picture) writePNG(w io.Writer) error { return drawPNG(w, p.width, p.height, p.draw) }

func (p picture) writeSVG(w io.Writer) error { return drawSVG(w, p.width, p.height, p.draw) }

// panelLines tell the curves of a panel apart: by their dashes and in grey too.
var panelLines = []draw.LineStyle{
	{Color: styles[2].color, Width: vg.Points(1.25)},
	{Color: styles[1].color, Width: vg.Points(1.5), Dashes: []vg.Length{vg.Points(4), vg.Points(2)}},
}

// sans gives a plot the font and sizes of a small picture.
func sans(p *plot.Plot) {
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		f.Variant = "Sans"
	}
}

// newPanel makes a plot that is one of several.
func newPanel(title string) *plot.Plot {
	p := plot.New()
	sans(p)
	p.Title.Text = title
	p.Title.TextStyle.Font.Size = vg.Points(9)
	p.Title.Padding = vg.Points(2)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Size = vg.Points(9)
		axis.Tick.Label.Font.Size = vg.Points(8)
		axis.Tick.Length = vg.Points(3)
		axis.Padding = 0
	}
	return p
}

// panelCurve is a curve by epochs. One that diverged has a cross at its end.
type panelCurve struct {
	values   []float64
	diverged bool
}

// plotPanel draws accuracies, the first with panelLines[0], and so on.
func plotPanel(title string, epochs int, curves ...panelCurve) *plot.Plot {
	p := newPanel(title)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	for i, c := range slices.Backward(curves) {
		var line plotter.XYs
		for epoch, v := range c.values {
			line = append(line, plotter.XY{X: float64(epoch), Y: v})
		}
		if len(line) > 0 {
			p.Add(&plotter.Line{XYs: line, LineStyle: panelLines[i]})
		}
		if c.diverged {
			end := plotter.XY{X: 0, Y: 0}
			if len(line) > 0 {
				end = line[len(line)-1]
			}
			p.Add(&plotter.Scatter{XYs: plotter.XYs{end}, GlyphStyle: draw.GlyphStyle{Color: styles[4].color, Radius: vg.Points(4), Shape: draw.CrossGlyph{}}})
		}
	}
	p.X.Min, p.X.Max, p.X.Tick.Marker = 0, float64(max(1, epochs-1)), plot.TickerFunc(fewTicks)
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, 1, plot.TickerFunc(fewTicks)
	return p
}

// fewTicks are about three, where ticks has up to eleven.
func fewTicks(low, high float64) []plot.Tick {
	unit := math.Pow(10, math.Floor(math.Log10(high-low)))
	for _, factor := range []float64{0.5, 0.4} {
		if (high-low)/unit > 2.5 {
			break
		}
		unit *= factor
	}
	var t []plot.Tick
	for i := math.Ceil(low / unit); i*unit <= high*(1+1e-9); i++ {
		t = append(t, plot.Tick{Value: i * unit, Label: fmt.Sprint(float32(i * unit))})
	}
	return t
}

// labelled puts labels on the axes at the edge of a grid of panels with the same axes,
// and takes the numbers from the others.
func labelled(grid [][]*plot.Plot, x, y string) [][]*plot.Plot {
	for i, row := range grid {
		for j, p := range row {
			if p == nil {
				continue
			}
			if j == 0 {
				p.Y.Label.Text = y
			} else {
				p.Y.Tick.Marker = withoutLabels{p.Y.Tick.Marker}
			}
			if i == len(grid)-1 || grid[i+1][j] == nil {
				p.X.Label.Text = x
			} else {
				p.X.Tick.Marker = withoutLabels{p.X.Tick.Marker}
			}
		}
	}
	return grid
}

// withoutLabels are ticks without numbers.
type withoutLabels struct{ of plot.Ticker }

// Ticks implements plot.Ticker. A tick without any label would be a minor one.
func (w withoutLabels) Ticks(low, high float64) []plot.Tick {
	t := w.of.Ticks(low, high)
	for i := range t {
		t[i].Label = " "
	}
	return t
}

// key is an entry of a legend.
type key struct {
	text string
	line draw.LineStyle
}

// drawKeys draws a legend in a row at the top of a canvas and returns what is below.
func drawKeys(c draw.Canvas, keys []key) draw.Canvas {
	const thumbnail, gap = 24, 6
	style := newPanel("").Title.TextStyle
	style.Font.Size = vg.Points(10)
	style.XAlign, style.YAlign = draw.XLeft, draw.YCenter
	// Who looks at the SVG may have a wider font.
	width := func(k key) vg.Length { return thumbnail + gap + 1.15*style.Width(k.text) + 4*gap }
	var all vg.Length
	for _, k := range keys {
		all += width(k)
	}
	at := vg.Point{X: c.Center().X - all/2, Y: c.Max.Y - style.Height("x")}
	for _, k := range keys {
		c.StrokeLine2(k.line, at.X, at.Y, at.X+thumbnail, at.Y)
		c.FillText(style, vg.Point{X: at.X + thumbnail + gap, Y: at.Y}, k.text)
		at.X += width(k)
	}
	c.Max.Y -= 22
	return c
}

// histogramHigh is the largest share of a bin that a histogram shows whole.
const histogramHigh = 0.25

// plotHistogram draws the shares of values in bins. Those that are too high are cut off,
// with their share beside them. What is outside of the range counts in the outer bins.
func plotHistogram(values []float32, low, high float64) *plot.Plot {
	const bins = 30
	var shares [bins]float64
	for _, v := range values {
		i := int(math.Floor((float64(v) - low) / (high - low) * bins))
		shares[min(max(i, 0), bins-1)] += 1 / float64(len(values))
	}
	p := newPanel("")
	outline := plotter.XYs{{X: low, Y: 0}}
	var over plotter.XYLabels
	for i, share := range shares {
		left, right := low+float64(i)*(high-low)/bins, low+float64(i+1)*(high-low)/bins
		top := min(share, histogramHigh)
		outline = append(outline, plotter.XY{X: left, Y: top}, plotter.XY{X: right, Y: top})
		if share > histogramHigh {
			over.XYs = append(over.XYs, plotter.XY{X: (left + right) / 2, Y: histogramHigh})
			over.Labels = append(over.Labels, fmt.Sprintf("%.0f %%", 100*share))
		}
	}
	outline = append(outline, plotter.XY{X: high, Y: 0})
	area, err := plotter.NewPolygon(outline)
	if err != nil {
		panic(err) // the shares are finite
	}
	area.Color, area.LineStyle.Width = styles[2].color, 0
	p.Add(area)
	if len(over.XYs) > 0 {
		labels, err := plotter.NewLabels(over)
		if err != nil {
			panic(err) // as many as there are points
		}
		for i := range labels.TextStyle {
			style := newPanel("").X.Tick.Label
			style.YAlign = draw.YTop
			style.XAlign = draw.XLeft
			labels.Offset = vg.Point{X: vg.Points(5)}
			if over.XYs[i].X > (low+high)/2 {
				style.XAlign = draw.XRight
			}
			labels.TextStyle[i] = style
		}
		p.Add(labels)
	}
	p.X.Min, p.X.Max, p.X.Tick.Marker = low, high, plot.TickerFunc(fewTicks)
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, histogramHigh, plot.ConstantTicks([]plot.Tick{{Value: 0, Label: "0"}, {Value: 0.1, Label: "10 %"}, {Value: 0.2, Label: "20 %"}})
	return p
}

// heights are the colours of a surface, darker where it is lower, in grey too.
func heights() palette.ColorMap {
	m := moreland.Kindlmann()
	m.SetMin(-0.25)
	m.SetMax(1.1)
	return m
}

// surfaceGrid has the values of a function for its contours, in both directions from
// -reach to reach.
type surfaceGrid struct {
	f     func(x, y float64) float64
	reach float64
}

func (surfaceGrid) Dims() (columns, rows int) { return 41, 41 }
func (g surfaceGrid) X(i int) float64         { return g.reach * (float64(i)/20 - 1) }
func (g surfaceGrid) Y(i int) float64         { return g.X(i) }
func (g surfaceGrid) Z(i, j int) float64      { return g.f(g.X(i), g.Y(j)) }
func (g surfaceGrid) highest() (highest float64) {
	for i := range 41 {
		for j := range 41 {
			highest = max(highest, g.Z(i, j))
		}
	}
	return highest
}

// plotSurfaceContour draws the contours of a function, its valley, and a path.
func plotSurfaceContour(f func(x, y float64) float64, reach float64, path plotter.XYs) (*plot.Plot, error) {
	grid := surfaceGrid{f, reach}
	p := plot.New()
	sans(p)
	p.X.Label.Text, p.Y.Label.Text = "w", "b"
	var levels []float64
	var lines []draw.LineStyle
	colors := heights()
	for i := 1; i <= 9; i++ {
		level := grid.highest() * float64(i) / 10
		color, err := colors.At(float64(i) / 10)
		if err != nil {
			return nil, err
		}
		levels = append(levels, level)
		lines = append(lines, draw.LineStyle{Color: color, Width: vg.Points(1.25)})
	}
	contour := plotter.NewContour(grid, levels, nil)
	contour.LineStyles = lines
	valley := &plotter.Line{XYs: plotter.XYs{{X: -reach, Y: reach}, {X: reach, Y: -reach}}, LineStyle: draw.LineStyle{Width: vg.Points(1), Color: color.Gray{90}, Dashes: []vg.Length{vg.Points(4), vg.Points(3)}}}
	line, points, err := plotter.NewLinePoints(path)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = styles[4].color, vg.Points(1.25)
	points.Color, points.Shape, points.Radius = styles[4].color, draw.CircleGlyph{}, vg.Points(2.5)
	p.Add(contour, valley, line, points)
	p.X.Min, p.X.Max, p.X.Tick.Marker = -reach, reach, plot.TickerFunc(ticks)
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = -reach, reach, plot.TickerFunc(ticks)
	return p, nil
}

// view is a parallel projection of the cube [-1, 1]³ onto paper.
type view struct {
	center  vg.Point
	scale   vg.Length
	azimuth float64 // radians by which the cube is turned
	tilt    float64 // from straight above
}

// at returns the place on paper, and how near it is to who looks.
func (v view) at(x, y, z float64) (vg.Point, float64) {
	sin, cos := math.Sincos(v.azimuth)
	right, back := x*cos-y*sin, x*sin+y*cos
	sinTilt, cosTilt := math.Sincos(v.tilt)
	return vg.Point{
		X: v.center.X + v.scale*vg.Length(right),
		Y: v.center.Y + v.scale*vg.Length(back*cosTilt+z*sinTilt*0.8),
	}, -back
}

// drawSurface draws a function as a surface, from the back to the front, and a path on it.
func drawSurface(c draw.Canvas, f func(x, y float64) float64, reach float64, path plotter.XYs) {
	const cells = 32
	grid := surfaceGrid{f, reach}
	highest := grid.highest()
	size := c.Size()
	v := view{center: vg.Point{X: c.Center().X + size.X/40, Y: c.Min.Y + size.Y*0.42}, scale: min(size.X/3.1, size.Y/2.7), azimuth: 35 * math.Pi / 180, tilt: 58 * math.Pi / 180}
	lift := func(x, y float64) (vg.Point, float64) { return v.at(x/reach, y/reach, 2*f(x, y)/highest-1) }

	type cell struct {
		corners [4]vg.Point
		height  float64
		near    float64
	}
	var all []cell
	edge := func(i int) float64 { return reach * (2*float64(i)/cells - 1) }
	for i := range cells {
		for j := range cells {
			var q cell
			for k, d := range [4][2]int{{0, 0}, {1, 0}, {1, 1}, {0, 1}} {
				x, y := edge(i+d[0]), edge(j+d[1])
				at, near := lift(x, y)
				q.corners[k] = at
				q.height += f(x, y) / highest / 4
				q.near += near / 4
			}
			all = append(all, q)
		}
	}
	slices.SortStableFunc(all, func(a, b cell) int {
		switch {
		case a.near < b.near:
			return -1
		case a.near > b.near:
			return 1
		}
		return 0
	})

	frame := draw.LineStyle{Color: color.Gray{150}, Width: vg.Points(0.5)}
	corner := func(x, y, z float64) vg.Point { at, _ := v.at(x, y, z); return at }
	for _, e := range [][2]vg.Point{
		{corner(-1, 1, -1), corner(1, 1, -1)}, {corner(-1, 1, -1), corner(-1, -1, -1)}, {corner(-1, 1, -1), corner(-1, 1, 1)},
		{corner(1, 1, -1), corner(1, 1, 1)}, {corner(-1, -1, -1), corner(-1, -1, 1)},
		{corner(-1, 1, 1), corner(1, 1, 1)}, {corner(-1, 1, 1), corner(-1, -1, 1)},
	} {
		c.StrokeLine2(frame, e[0].X, e[0].Y, e[1].X, e[1].Y)
	}
	colors := heights()
	line := draw.LineStyle{Color: color.Gray{60}, Width: vg.Points(0.25)}
	for _, q := range all {
		fill, err := colors.At(q.height)
		if err != nil {
			panic(err) // the heights are within the colours' range
		}
		corners := q.corners[:]
		c.FillPolygon(fill, corners)
		c.StrokeLines(line, append(slices.Clone(corners), corners[0]))
	}
	var way []vg.Point
	for _, at := range path {
		p, _ := lift(at.X, at.Y)
		way = append(way, p)
	}
	c.StrokeLines(draw.LineStyle{Color: color.White, Width: vg.Points(3)}, way)
	c.StrokeLines(draw.LineStyle{Color: styles[4].color, Width: vg.Points(1.5)}, way)

	axis := draw.LineStyle{Color: color.Black, Width: vg.Points(0.75)}
	text := newPanel("").X.Tick.Label
	text.XAlign, text.YAlign = draw.XCenter, draw.YCenter
	name := newPanel("").X.Label.TextStyle
	name.Font.Size = vg.Points(11)
	name.XAlign, name.YAlign = draw.XCenter, draw.YCenter
	for _, a := range []struct {
		from, to [3]float64
		out      vg.Point // where the numbers are, from the axis
		name     string
		ticks    []float64
		of       func(t float64) float64 // a tick's place between -1 and 1
	}{
		{[3]float64{-1, -1, -1}, [3]float64{1, -1, -1}, vg.Point{X: 4, Y: -10}, "w", []float64{-2, -1, 0, 1, 2}, func(t float64) float64 { return t / reach }},
		{[3]float64{1, -1, -1}, [3]float64{1, 1, -1}, vg.Point{X: 10, Y: -6}, "b", []float64{-2, -1, 0, 1, 2}, func(t float64) float64 { return t / reach }},
		{[3]float64{-1, -1, -1}, [3]float64{-1, -1, 1}, vg.Point{X: -14, Y: 0}, "loss", []float64{0, 0.05, 0.1}, func(t float64) float64 { return 2*t/highest - 1 }},
	} {
		place := func(s float64) vg.Point {
			var at [3]float64
			for i := range at {
				at[i] = a.from[i] + (a.to[i]-a.from[i])*(s+1)/2
			}
			return corner(at[0], at[1], at[2])
		}
		from, to := place(-1), place(1)
		c.StrokeLine2(axis, from.X, from.Y, to.X, to.Y)
		for _, t := range a.ticks {
			at := place(a.of(t))
			c.StrokeLine2(axis, at.X, at.Y, at.X+a.out.X/4, at.Y+a.out.Y/4)
			c.FillText(text, at.Add(a.out), fmt.Sprint(t))
		}
		c.FillText(name, place(0).Add(a.out.Scale(2.6)), a.name)
	}
}
