package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockstep-go/lockstep/internal/philox"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

var labSearch = experiment{
	name: "search", title: "Searching for hyper-parameters",
	text: []string{
		"Which rate and which weight decay are good? Each trial draws both at random, evenly by their logarithms, trains a small network on 400 images, and is judged by the accuracy on 100 others that it has not seen.",
		"The best trials have rates near the upper end of the range, 0.001 to 0.01; with smaller ones 50 epochs are too few. The decay, so small, hardly matters.",
	},
	run: func(ctx context.Context, l *lab) (*findings, error) {
		const batch = 100
		trials, epochs, shown := l.size(l.Trials, 100, 24), l.size(l.Epochs, 50, 20), 20
		train, held := l.first(500).Split(0.2, l.Seed)
		type trial struct {
			*lesson
			*scores
			lr, decay float64
		}
		var all []trial
		var lessons []*lesson
		for i := range trials {
			at := philox.Stream{Seed: l.Seed, Purpose: philox.Init, Step: uint32(i) + 1}
			decay, lr := math.Pow(10, -8+4*at.Float64(0)), math.Pow(10, -6+4*at.Float64(1))
			net, err := l.hidden(6, nn.ReLU())
			if err != nil {
				return nil, err
			}
			net.Init(nn.He(), l.Seed)
			rule := optim.NewSGD(net.NumParams(), optim.SGDOptions{LR: lr, Common: optim.Common{L2: decay}})
			s := &lesson{name: fmt.Sprintf("trial %d", i+1), net: net, rule: rule, set: train, batch: batch}
			all = append(all, trial{s, s.epochs(epochs, held), lr, decay})
			lessons = append(lessons, s)
		}
		if err := l.teach(ctx, lessons); err != nil {
			return nil, err
		}
		slices.SortStableFunc(all, func(a, b trial) int { return -cmp.Compare(last(a.test), last(b.test)) })
		best := all[:min(shown, len(all))]

		t := table{Caption: "The best trials", Head: []string{"", "held out", "training", "rate", "weight decay", "weights' SHA-256"}}
		var panels []*plot.Plot
		low, high := math.Inf(1), 0.0
		for i, b := range best {
			panels = append(panels, plotPanel(fmt.Sprintf("best-%d", i+1), epochs, panelCurve{b.train, b.diverged >= 0}, panelCurve{b.test, b.diverged >= 0}))
			t.Rows = append(t.Rows, []string{
				fmt.Sprint(i + 1), fmt.Sprintf("%.2f", last(b.test)), fmt.Sprintf("%.3f", last(b.train)),
				fmt.Sprintf("%.2g", b.lr), fmt.Sprintf("%.2g", b.decay), short(b.hash),
			})
			low, high = min(low, b.lr), max(high, b.lr)
		}
		grid := labelled(inRows(panels, 5), "epochs", "accuracy")
		keys := []key{{text: "training images", line: panelLines[0]}, {text: "held out", line: panelLines[1]}}
		return &findings{
			settings: [][2]string{
				{"network", fmt.Sprintf("%d-100-100-100-100-100-100-%d, ReLU, He initial weights", l.in, l.classes)},
				{"data", fmt.Sprintf("the first %d training images, %d of them held out", train.Rows+held.Rows, held.Rows)},
				{"trials", fmt.Sprintf("%d of %d epochs", trials, epochs)}, {"rate", "10^U(−6, −2)"}, {"weight decay", "10^U(−8, −4)"},
			},
			pictures: []picture{{
				name: "search", width: wideWidth, height: 7 * vg.Inch,
				caption: fmt.Sprintf("The best %d of %d trials, best first.", len(best), trials),
				draw:    func(c draw.Canvas) { drawPanels(drawKeys(c, len(keys), keys), grid) },
			}},
			tables: []table{t},
			claims: []claim{
				judged(best[0].lr > 1e-3, "the best rate is between 0.001 and 0.01", "%.2g", best[0].lr),
				told("so are those of the best 20", "%.2g to %.2g", low, high),
			},
			runs: lessons,
		}, nil
	},
}
