package main

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockstep-go/lockstep/bench/search"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

var labSearch = experiment{
	name: "search", title: "Searching for hyper-parameters",
	text: []string{
		"Which rate and which weight decay are good? Each trial draws both at random, evenly by their logarithms, trains a small network on 400 images, and is judged by the accuracy on 100 others that it has not seen. The best trials are then trained anew.",
		"The best have rates near the upper end of the range, 0.001 to 0.01; with smaller ones 50 epochs are too few. The decay, as small as it is here, hardly matters. Other ways to search spend the same epochs: --method takes halving, hyperband, genetic and tpe too, and with --log a search that was stopped goes on.",
	},
	run: func(ctx context.Context, l *lab) (*findings, error) {
		const batch, shown = 100, 20
		trials, epochs := l.size(l.Trials, 100, 20), l.size(l.Epochs, 50, 20)
		train, held := l.first(500).Split(0.2, l.Seed)
		// lesson is the training of a trial, and what becomes of it.
		newLesson := func(t search.Trial) (*lesson, *scores, error) {
			net, err := l.hidden(6, nn.ReLU())
			if err != nil {
				return nil, nil, err
			}
			net.Init(nn.He(), t.Seed)
			s := &lesson{
				name: fmt.Sprintf("trial %d", t.Number), net: net, set: train, batch: batch, seed: t.Seed,
				rule: sgd(net, t.Values[0], optim.Common{L2: t.Values[1]}),
			}
			return s, s.epochs(t.Epochs, held), nil
		}
		all, err := search.Run(ctx, search.Options{
			Method: search.Method(l.Method),
			Space: []search.Parameter{
				{Name: "rate", Low: 1e-6, High: 1e-2, Log: true},
				{Name: "decay", Low: 1e-8, High: 1e-4, Log: true},
			},
			Trials: trials, Epochs: epochs, Seed: l.Seed, Workers: l.Threads,
			Log: l.Log, About: fmt.Sprintf("bench lab on %q", l.Data),
		}, func(ctx context.Context, t search.Trial) (float64, []float64, error) {
			s, kept, err := newLesson(t)
			if err == nil {
				err = s.run(ctx)
			}
			if err != nil || s.diverged >= 0 {
				return math.NaN(), nil, err
			}
			return last(kept.test), kept.test, nil
		})
		if err != nil {
			return nil, err
		}

		best := all[:min(shown, len(all))]
		var lessons []*lesson
		var curves []*scores
		for _, t := range best {
			s, kept, err := newLesson(t)
			if err != nil {
				return nil, err
			}
			lessons, curves = append(lessons, s), append(curves, kept)
		}
		if err := l.teach(ctx, lessons); err != nil {
			return nil, err
		}
		t := table{Caption: "The best trials, trained anew", Head: []string{"", "trial", "epochs", "held out", "training", "rate", "weight decay", "weights' SHA-256"}}
		var panels []*plot.Plot
		same := 0
		for i, b := range best {
			s, kept := lessons[i], curves[i]
			panels = append(panels, plotPanel(fmt.Sprintf("best-%d", i+1), epochs, panelCurve{kept.train, s.diverged >= 0}, panelCurve{kept.test, s.diverged >= 0}))
			t.Rows = append(t.Rows, []string{
				fmt.Sprint(i + 1), fmt.Sprint(b.Number), fmt.Sprint(b.Epochs), fmt.Sprintf("%.2f", last(kept.test)), fmt.Sprintf("%.3f", last(kept.train)),
				fmt.Sprintf("%.2g", b.Values[0]), fmt.Sprintf("%.2g", b.Values[1]), short(s.hash),
			})
			if s.diverged >= 0 && math.IsNaN(b.Score) || last(kept.test) == b.Score {
				same++
			}
		}
		grid := labelled(inRows(panels, 5), "epochs", "accuracy")
		keys := []key{{text: "training images", line: panelLines[0]}, {text: "held out", line: panelLines[1]}}
		rates := plotTrials(all)
		return &findings{
			settings: [][2]string{
				{"network", fmt.Sprintf("%d-100-100-100-100-100-100-%d, ReLU, He initial weights of each trial's own", l.in, l.classes)},
				{"data", fmt.Sprintf("the first %d training images, %d of them held out", train.Rows+held.Rows, held.Rows)},
				{"batches", fmt.Sprintf("%d, drawn with replacement", batch)},
				{"search", fmt.Sprintf("%s, as long as %d trials of %d epochs", l.Method, trials, epochs)},
				{"rate", "10^U(−6, −2)"}, {"weight decay", "10^U(−8, −4)"},
			},
			pictures: []picture{
				{
					name: "search", width: wideWidth, height: 7 * vg.Inch,
					caption: fmt.Sprintf("The best %d of %d trials, best first.", len(best), len(all)),
					draw:    func(c draw.Canvas) { drawPanels(drawKeys(c, len(keys), keys), grid) },
				},
				{
					name: "search-rates", width: smallWidth, height: 3.5 * vg.Inch,
					caption: "All trials: the accuracy on what was held out, by the rate.", draw: rates.Draw,
				},
			},
			tables: []table{t},
			claims: []claim{
				l.judged(best[0].Values[0] > 1e-3, "the best rate is between 0.001 and 0.01", "%.2g", best[0].Values[0]),
				l.whole(lowest(best[:min(5, len(best))]) > 1e-3, "so are those of the best five", "the lowest is %.2g", lowest(best[:min(5, len(best))])),
				told("and of most of the best twenty", "the lowest is %.2g", lowest(best)),
				l.judged(same == len(best), "trained anew, the best trials score the same", "%d of %d", same, len(best)),
			},
			runs: lessons,
		}, nil
	},
}

// lowest is the lowest rate of trials.
func lowest(trials []search.Trial) float64 {
	rate := math.Inf(1)
	for _, t := range trials {
		rate = min(rate, t.Values[0])
	}
	return rate
}

// plotTrials draws each trial's score by its rate.
func plotTrials(trials []search.Trial) *plot.Plot {
	p := dress(plot.New())
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = panelGrid, panelGrid
	points := &plotter.Scatter{GlyphStyle: draw.GlyphStyle{Color: styles[2].color, Radius: 2.5, Shape: draw.CircleGlyph{}}}
	for _, t := range trials {
		if finite(t.Score) {
			points.XYs = append(points.XYs, plotter.XY{X: math.Log10(t.Values[0]), Y: t.Score})
		}
	}
	p.Add(grid, points)
	p.X.Label.Text, p.Y.Label.Text = "rate", "accuracy"
	p.X.Min, p.X.Max = -6, -2
	p.X.Tick.Marker = plot.ConstantTicks{{Value: -6, Label: "0.000001"}, {Value: -5, Label: "0.00001"}, {Value: -4, Label: "0.0001"}, {Value: -3, Label: "0.001"}, {Value: -2, Label: "0.01"}}
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, 1, atMost(5)
	return p
}
