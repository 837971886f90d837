package main

import (
	"cmp"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// picture is a figure of the lab's page.
type picture struct {
	name          string // of its file, and in the page
	caption       string
	width, height vg.Length
	draw          func(draw.Canvas)
}

// smallWidth is that of pictures whose text can still be read on a phone; wideWidth is that
// of those that a phone shows a part of.
const smallWidth, wideWidth = 5.5 * vg.Inch, 8 * vg.Inch

func (p picture) writePNG(w io.Writer) error { return drawPNG(w, p.width, p.height, 144, p.draw) }

func (p picture) writeSVG(w io.Writer) error { return drawSVG(w, p.width, p.height, p.draw) }

// panelLines tell the curves of a panel apart: by their dashes, and by lightness in grey.
var panelLines = []draw.LineStyle{
	{Color: styles[2].color, Width: vg.Points(1.25)},
	{Color: styles[1].color, Width: vg.Points(1.5), Dashes: []vg.Length{vg.Points(4), vg.Points(2)}},
}

var panelGrid = color.Gray{225}

// dress gives a plot the font and the sizes of the lab's pictures.
func dress(p *plot.Plot) *plot.Plot {
	for _, f := range []struct {
		*font.Font
		size vg.Length
	}{
		{&p.Title.TextStyle.Font, 9}, {&p.X.Label.TextStyle.Font, 9.5}, {&p.Y.Label.TextStyle.Font, 9.5},
		{&p.X.Tick.Label.Font, 8.5}, {&p.Y.Tick.Label.Font, 8.5},
	} {
		f.Variant, f.Size = "Sans", f.size
	}
	p.Title.Padding = 2
	p.X.Tick.Length, p.Y.Tick.Length = 3, 3
	p.X.Padding, p.Y.Padding = 0, 0
	return p
}

// panelCurve is a curve by epochs. One that diverged ends with a cross, and the panel says so.
type panelCurve struct {
	values   []float64
	diverged bool
}

// plotPanel draws accuracies, the first with panelLines[0], and so on.
func plotPanel(title string, epochs int, curves ...panelCurve) *plot.Plot {
	p := dress(plot.New())
	p.Title.Text = title
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = panelGrid, panelGrid
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
			end := plotter.XY{}
			if len(line) > 0 {
				end = line[len(line)-1]
			}
			style := p.X.Tick.Label
			style.Color, style.XAlign, style.YAlign = styles[4].color, draw.XLeft, draw.YTop
			p.Add(
				&plotter.Scatter{XYs: plotter.XYs{end}, GlyphStyle: draw.GlyphStyle{Color: styles[4].color, Radius: 4, Shape: draw.CrossGlyph{}}},
				&plotter.Labels{XYs: plotter.XYs{{Y: 1}}, Labels: []string{"diverged"}, TextStyle: []draw.TextStyle{style}, Offset: vg.Point{X: 4, Y: -2}},
			)
		}
	}
	p.X.Min, p.X.Max, p.X.Tick.Marker = 0, float64(max(1, epochs-1)), atMost(5)
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, 1, atMost(5)
	return p
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
				p.Y.Tick.Marker = withoutNumbers(p.Y.Tick.Marker)
			}
			if i == len(grid)-1 || grid[i+1][j] == nil {
				p.X.Label.Text = x
			} else {
				p.X.Tick.Marker = withoutNumbers(p.X.Tick.Marker)
			}
		}
	}
	return grid
}

// withoutNumbers are ticks with blank labels: without any they would be minor ones.
func withoutNumbers(of plot.Ticker) plot.TickerFunc {
	return func(low, high float64) []plot.Tick {
		t := of.Ticks(low, high)
		for i := range t {
			t[i].Label = " "
		}
		return t
	}
}

// drawKeys draws a legend at the top of a canvas, in rows of at most so many, and returns
// what is below.
func drawKeys(c draw.Canvas, across int, keys []key) draw.Canvas {
	const thumbnail, gap, rowHeight = 24, 6, 14
	style := dress(plot.New()).X.Label.TextStyle
	style.XAlign, style.YAlign = draw.XLeft, draw.YCenter
	var column vg.Length
	for _, k := range keys {
		// Who looks at the SVG may have a wider font.
		column = max(column, thumbnail+gap+1.15*style.Width(k.text)+3*gap)
	}
	for row := range slices.Chunk(keys, across) {
		at := vg.Point{X: c.Center().X - column*vg.Length(min(across, len(keys)))/2, Y: c.Max.Y - rowHeight/2}
		for _, k := range row {
			k.Thumbnail(&draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
				Min: vg.Point{X: at.X, Y: at.Y - rowHeight/2}, Max: vg.Point{X: at.X + thumbnail, Y: at.Y + rowHeight/2},
			}})
			c.FillText(style, vg.Point{X: at.X + thumbnail + gap, Y: at.Y + 1}, k.text)
			at.X += column
		}
		c.Max.Y -= rowHeight
	}
	c.Max.Y -= gap
	return c
}

// lossPicture draws the losses of lessons, smoothed, up to high.
func lossPicture(name string, lessons []*lesson, losses []*[]float64, high float64) (picture, error) {
	var curves []lossCurve
	for i, s := range lessons {
		if len(*losses[i]) > 0 {
			curves = append(curves, lossCurve{s.name, smooth(*losses[i])})
		}
	}
	p, keys, err := plotLosses(curves, high)
	if err != nil {
		return picture{}, err
	}
	dress(p)
	return picture{
		name: name, width: smallWidth, height: 4 * vg.Inch,
		caption: "The loss of the training batches, smoothed; a mark each 100 iterations.",
		draw:    func(c draw.Canvas) { p.Draw(drawKeys(c, 3, keys)) },
	}, nil
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
	p := dress(plot.New())
	edge := func(i int) float64 { return low + float64(i)*(high-low)/bins }
	outline := plotter.XYs{{X: low}}
	over := &plotter.Labels{}
	for i, share := range shares {
		top := min(share, histogramHigh)
		outline = append(outline, plotter.XY{X: edge(i), Y: top}, plotter.XY{X: edge(i + 1), Y: top})
		if share <= histogramHigh {
			continue
		}
		// Beside the bar: away from the other one of a pair in the middle, but inside.
		style := p.X.Tick.Label
		style.YAlign, style.XAlign = draw.YTop, draw.XLeft
		at := plotter.XY{X: edge(i+1) + (high-low)/(2*bins), Y: histogramHigh}
		if i >= bins*2/3 || i < bins/2 && i >= bins/3 {
			style.XAlign = draw.XRight
			at.X = edge(i) - (high-low)/(2*bins)
		}
		over.XYs = append(over.XYs, at)
		over.Labels = append(over.Labels, fmt.Sprintf("%.0f%%", 100*share))
		over.TextStyle = append(over.TextStyle, style)
	}
	p.Add(&plotter.Polygon{XYs: []plotter.XYs{append(outline, plotter.XY{X: high})}, Color: styles[2].color}, over)
	p.X.Min, p.X.Max, p.X.Tick.Marker = low, high, atMost(4)
	p.Y.Min, p.Y.Max = 0, histogramHigh
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 0.1, Label: "10%"}, {Value: 0.2, Label: "20%"}}
	return p
}

// surface is a function over the square from -reach to reach, with a way down.
type surface struct {
	f     func(x, y float64) float64
	reach float64
	path  plotter.XYs
}

// Of the contours' grid.
func (surface) Dims() (columns, rows int) { return 41, 41 }
func (s surface) X(i int) float64         { return s.reach * (float64(i)/20 - 1) }
func (s surface) Y(i int) float64         { return s.X(i) }
func (s surface) Z(i, j int) float64      { return s.f(s.X(i), s.Y(j)) }

// shade is the colour of a height between 0 and 1: lighter where it is higher, in grey
// too. The colours between these few are those of viridis: Smith and van der Walt, 2015.
func shade(height float64) color.Color {
	stops := [][3]float64{{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}}
	at := height * float64(len(stops)-1)
	i := min(max(int(at), 0), len(stops)-2)
	var rgb [3]uint8
	for k := range rgb {
		from, to := stops[i][k], stops[i+1][k]
		rgb[k] = uint8(from + (to-from)*(at-float64(i)))
	}
	return color.RGBA{rgb[0], rgb[1], rgb[2], 255}
}

// plotContours draws contours at multiples of a step, with their heights on the diagonal,
// the valley and the way down.
func (s surface) plotContours(step float64) (*plot.Plot, error) {
	highest := s.f(s.reach, s.reach)
	contour := plotter.NewContour(s, nil, nil)
	contour.Levels, contour.LineStyles = nil, nil
	p := dress(plot.New())
	p.X.Label.Text, p.Y.Label.Text = "w", "b"
	heights := &plotter.Labels{}
	for i := 1; float64(i)*step < highest; i++ {
		level := float64(i) * step
		contour.Levels = append(contour.Levels, level)
		contour.LineStyles = append(contour.LineStyles, draw.LineStyle{Color: shade(0.85 * level / highest), Width: 1.25})
		low, high := 0.0, s.reach
		for range 50 {
			if middle := (low + high) / 2; s.f(middle, middle) < level {
				low = middle
			} else {
				high = middle
			}
		}
		if i%2 == 0 {
			style := p.X.Tick.Label
			style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
			heights.XYs = append(heights.XYs, plotter.XY{X: low, Y: low})
			heights.Labels = append(heights.Labels, fmt.Sprint(float32(level)))
			heights.TextStyle = append(heights.TextStyle, style)
		}
	}
	line, points, err := plotter.NewLinePoints(s.path)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = styles[4].color, 1.25
	points.Color, points.Shape, points.Radius = styles[4].color, draw.CircleGlyph{}, 2.5
	p.Add(
		contour,
		&plotter.Scatter{XYs: heights.XYs, GlyphStyle: draw.GlyphStyle{Color: color.White, Radius: 8, Shape: draw.CircleGlyph{}}},
		heights,
		&plotter.Line{
			XYs:       plotter.XYs{{X: -s.reach, Y: s.reach}, {X: s.reach, Y: -s.reach}},
			LineStyle: draw.LineStyle{Width: 1, Color: color.Gray{90}, Dashes: []vg.Length{4, 3}},
		},
		line, points,
	)
	p.X.Min, p.X.Max, p.X.Tick.Marker = -s.reach, s.reach, atMost(5)
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = -s.reach, s.reach, atMost(5)
	return p, nil
}

// draw3D draws the surface in parallel projection, from the back to the front.
func (s surface) draw3D(c draw.Canvas) {
	const cells = 24
	const turn, tilt, lift = -30 * math.Pi / 180, 60 * math.Pi / 180, 0.75
	highest := s.f(s.reach, s.reach)
	size := c.Size()
	scale := min(size.X/3.2, size.Y/2.6)
	origin := vg.Point{X: c.Center().X + 14, Y: c.Min.Y + 1.6*scale}
	// project returns a place on paper, of coordinates from -1 to 1, and how far away it is.
	project := func(x, y, z float64) (vg.Point, float64) {
		sin, cos := math.Sincos(turn)
		right, back := x*cos-y*sin, x*sin+y*cos
		up := back*math.Cos(tilt) + lift*z*math.Sin(tilt)
		return vg.Point{X: origin.X + scale*vg.Length(right), Y: origin.Y + scale*vg.Length(up)}, back
	}
	on := func(x, y float64) (vg.Point, float64) { return project(x/s.reach, y/s.reach, 2*s.f(x, y)/highest-1) }

	type cell struct {
		corners     []vg.Point
		height, far float64
	}
	var all []cell
	edge := func(i int) float64 { return s.reach * (2*float64(i)/cells - 1) }
	for i := range cells {
		for j := range cells {
			var q cell
			for _, d := range [][2]int{{0, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}} {
				x, y := edge(i+d[0]), edge(j+d[1])
				at, far := on(x, y)
				q.corners = append(q.corners, at)
				q.height += s.f(x, y) / highest / 5
				q.far += far
			}
			all = append(all, q)
		}
	}
	slices.SortStableFunc(all, func(a, b cell) int { return cmp.Compare(b.far, a.far) })

	line := func(style draw.LineStyle, from, to vg.Point) { c.StrokeLine2(style, from.X, from.Y, to.X, to.Y) }
	corner := func(x, y, z float64) vg.Point { at, _ := project(x, y, z); return at }
	behind := draw.LineStyle{Color: color.Gray{150}, Width: 0.5}
	line(behind, corner(-1, 1, -1), corner(1, 1, -1))
	line(behind, corner(-1, 1, -1), corner(-1, -1, -1))
	mesh := draw.LineStyle{Color: color.Gray{60}, Width: 0.25}
	for _, q := range all {
		c.FillPolygon(shade(q.height), q.corners)
		c.StrokeLines(mesh, q.corners)
	}
	var way []vg.Point
	for _, at := range s.path {
		p, _ := on(at.X, at.Y)
		way = append(way, p)
	}
	c.StrokeLines(draw.LineStyle{Color: color.White, Width: 3.5}, way)
	c.StrokeLines(draw.LineStyle{Color: styles[4].color, Width: 1.75}, way)

	number := dress(plot.New()).X.Tick.Label
	number.XAlign, number.YAlign = draw.XCenter, draw.YCenter
	name := dress(plot.New()).X.Label.TextStyle
	name.XAlign, name.YAlign = draw.XCenter, draw.YCenter
	plane := func(v float64) float64 { return v / s.reach }
	for _, a := range []struct {
		name  string
		at    func(v float64) vg.Point // of a value on the axis
		marks []float64
		out   vg.Point // to the numbers
	}{
		{"w", func(v float64) vg.Point { return corner(plane(v), -1, -1) }, []float64{-2, -1, 0, 1, 2}, vg.Point{X: -5, Y: -11}},
		{"b", func(v float64) vg.Point { return corner(1, plane(v), -1) }, []float64{-2, -1, 0, 1, 2}, vg.Point{X: 9, Y: -7}},
		{"loss", func(v float64) vg.Point { return corner(-1, -1, 2*v/highest-1) }, []float64{0, 0.05, 0.1}, vg.Point{X: -16}},
	} {
		style := draw.LineStyle{Color: color.Black, Width: 0.75}
		first, last := a.marks[0], a.marks[len(a.marks)-1]
		line(style, a.at(first), a.at(last))
		for _, v := range a.marks {
			line(style, a.at(v), a.at(v).Add(a.out.Scale(0.25)))
			c.FillText(number, a.at(v).Add(a.out), fmt.Sprint(v))
		}
		c.FillText(name, a.at((first+last)/2).Add(a.out.Scale(2.3)), a.name)
	}
}
