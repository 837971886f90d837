package main

import (
	"fmt"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

const plotWidth, plotHeight, plotMargin = 8 * vg.Inch, 5 * vg.Inch, 5 * vg.Millimeter

// styles tell the curves apart: by shape without any colour, by lightness in
// grey. The colours are those of Okabe and Ito, Color universal design, 2008,
// made for all kinds of colour vision; without their yellow, too pale for a line.
var styles = []struct {
	color color.Color
	marker
}{
	{color.RGBA{0, 0, 0, 255}, marker{corners: 24}},
	{color.RGBA{230, 159, 0, 255}, marker{corners: 4, turn: math.Pi / 4}},
	{color.RGBA{0, 114, 178, 255}, marker{corners: 3}},
	{color.RGBA{0, 158, 115, 255}, marker{corners: 4}},
	{color.RGBA{213, 94, 0, 255}, marker{corners: 3, turn: math.Pi}},
	{color.RGBA{86, 180, 233, 255}, marker{corners: 5, star: true}},
	{color.RGBA{204, 121, 167, 255}, marker{corners: 4, star: true}},
}

// marker is a polygon or a star with a white edge, which sets it off from the
// lines that it lies on.
type marker struct {
	corners int
	turn    float64 // radians from one corner at the top
	star    bool
}

// DrawGlyph implements draw.GlyphDrawer.
func (m marker) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	var path vg.Path
	n := m.corners
	if m.star {
		n *= 2
	}
	for i := range n {
		r := style.Radius
		if m.star && i%2 == 1 {
			r *= 0.4
		}
		sin, cos := math.Sincos(m.turn + 2*math.Pi*float64(i)/float64(n))
		corner := vg.Point{X: at.X + r*vg.Length(sin), Y: at.Y + r*vg.Length(cos)}
		if i == 0 {
			path.Move(corner)
		} else {
			path.Line(corner)
		}
	}
	path.Close()
	c.SetLineStyle(draw.LineStyle{Color: color.White, Width: vg.Points(1)})
	c.Stroke(path)
	c.SetColor(style.Color)
	c.Fill(path)
}

// lossCurve is a smoothed loss, step by step.
type lossCurve struct {
	name   string
	losses []float64
}

// plotLosses draws smoothed losses up to high, and returns the keys to them. Each curve has
// a marker each 100 steps, not all at the same steps, as they would hide each other.
func plotLosses(curves []lossCurve, high float64) (*plot.Plot, []key, error) {
	p := plot.New()
	p.X.Label.Text = "iterations"
	p.Y.Label.Text = "loss"
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)

	steps := 1
	var keys []key
	var markers []plot.Plotter // all of them above all lines
	for i, c := range curves {
		curve := make(plotter.XYs, 0, len(c.losses))
		var marked plotter.XYs
		for step, loss := range c.losses {
			if !finite(loss) {
				break
			}
			at := plotter.XY{X: float64(step), Y: loss}
			curve = append(curve, at)
			if step%100 == i*100/len(curves) {
				marked = append(marked, at)
			}
		}
		if len(curve) == 0 {
			continue
		}
		line, points, err := plotter.NewLinePoints(curve)
		if err != nil {
			return nil, nil, err
		}
		style := styles[i%len(styles)]
		line.Color, line.Width = style.color, vg.Points(1)
		points.XYs, points.Color, points.Shape, points.Radius = marked, style.color, style.marker, vg.Points(4)
		p.Add(line)
		markers = append(markers, points)
		keys = append(keys, key{c.name, line.LineStyle, points.GlyphStyle})
		steps = max(steps, len(curve)-1)
	}
	p.Add(markers...)
	p.X.Min, p.X.Max, p.X.Tick.Marker = 0, float64(steps), atMost(10)
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, high, atMost(10)
	return p, keys, nil
}

// key is an entry of a legend.
type key struct {
	text  string
	line  draw.LineStyle
	glyph draw.GlyphStyle // of no shape for none
}

// Thumbnail implements plot.Thumbnailer.
func (k key) Thumbnail(c *draw.Canvas) {
	at := c.Center()
	c.StrokeLine2(k.line, c.Min.X, at.Y, c.Max.X, at.Y)
	if k.glyph.Shape != nil {
		c.DrawGlyph(k.glyph, at)
	}
}

// atMost are so many ticks, or one more, all labelled, at the multiples of 1, 2 or 5 times
// a power of ten.
func atMost(n float64) plot.TickerFunc {
	return func(low, high float64) []plot.Tick {
		unit := math.Pow(10, math.Floor(math.Log10(high-low))-1)
		for i := 0; (high-low)/unit > n; i++ {
			unit *= []float64{2, 2.5, 2}[i%3]
		}
		var t []plot.Tick
		for i := math.Ceil(low / unit); i*unit <= high; i++ {
			t = append(t, plot.Tick{Value: i * unit, Label: fmt.Sprint(float32(i * unit))})
		}
		return t
	}
}

func writePNG(w io.Writer, p *plot.Plot) error { return drawPNG(w, plotWidth, plotHeight, 192, p.Draw) }

func writeSVG(w io.Writer, p *plot.Plot) error { return drawSVG(w, plotWidth, plotHeight, p.Draw) }

func drawPNG(w io.Writer, width, height vg.Length, dpi int, draw func(draw.Canvas)) error {
	canvas := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dpi))
	draw(inside(canvas))
	_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
	return err
}

func drawSVG(w io.Writer, width, height vg.Length, draw func(draw.Canvas)) error {
	canvas := vgsvg.New(width, height)
	draw(inside(canvas))
	_, err := canvas.WriteTo(w)
	return err
}

// inside is the canvas without its margins.
func inside(canvas vg.CanvasSizer) draw.Canvas {
	return draw.Crop(draw.New(canvas), plotMargin, -plotMargin, plotMargin, -plotMargin)
}

// smooth returns the curve averaged over a Kaiser window of 11 with β = 2, as
// long as it was. Before its start comes its mirror image about the first value,
// behind its end that with the last value twice: the smooth_curve of Deep
// Learning from Scratch.
func smooth(curve []float64) []float64 {
	const half, beta = 5, 2
	var window [2*half + 1]float64
	var sum float64
	for i := range window {
		x := float64(i-half) / half
		window[i] = besselI0(beta * math.Sqrt(1-float64(x*x)))
		sum += window[i]
	}

	n := len(curve)
	smoothed := make([]float64, n)
	for i := range smoothed {
		var s float64
		for j, w := range window {
			at := i + j - half
			if at < 0 {
				at = -at
			}
			if at >= n {
				at = 2*n - 1 - at
			}
			s += float64(w * curve[min(max(at, 0), n-1)]) // a curve shorter than half a window repeats its ends
		}
		smoothed[i] = s / sum
	}
	return smoothed
}

// besselI0 is the modified Bessel function of the first kind and order 0, by its
// power series Σ ((x/2)^k/k!)²; for small x. Source: Abramowitz and Stegun,
// Handbook of mathematical functions, 9.6.12.
func besselI0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*0x1p-60; k++ {
		term = float64(term * (x / 2 / k) * (x / 2 / k))
		sum += term
	}
	return sum
}
