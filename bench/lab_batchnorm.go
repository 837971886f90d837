package main

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

var labBatchNorm = experiment{
	name: "batchnorm", title: "Batch normalization",
	text: []string{
		"A network learns 1000 images with SGD, from initial weights of 16 standard deviations between 1 and 0.0001, with batch normalization and without. Each panel has the accuracy on those images, epoch by epoch.",
		"With normalization the network learns from nearly all of them, and sooner; without, from the few in the middle. From large weights the plain network's loss grows beyond all numbers: the run ends there. From small ones it never begins to learn.",
	},
	run: func(ctx context.Context, l *lab) (*findings, error) {
		const scales, batch = 16, 100
		epochs, set := l.size(l.Epochs, 20, 8), l.first(1000)
		var with, without []*scores
		var lessons []*lesson
		var stds []float64
		for i := range scales {
			std := math.Pow(10, -4*float64(i)/(scales-1))
			stds = append(stds, std)
			for _, kind := range []struct {
				name   string
				others []nn.Layer
				scores *[]*scores
			}{
				{"with", []nn.Layer{nn.BatchNorm(nn.BatchNormOptions{}), nn.ReLU()}, &with},
				{"without", []nn.Layer{nn.ReLU()}, &without},
			} {
				net, err := l.hidden(5, kind.others...)
				if err != nil {
					return nil, err
				}
				net.Init(nn.Std(std), l.Seed)
				s := &lesson{
					name: fmt.Sprintf("std %.2g, %s", std, kind.name), net: net,
					rule: optim.NewSGD(net.NumParams(), optim.SGDOptions{}), set: set, batch: batch, seed: l.Seed,
				}
				*kind.scores = append(*kind.scores, s.epochs(epochs, nil))
				lessons = append(lessons, s)
			}
		}
		if err := l.teach(ctx, lessons); err != nil {
			return nil, err
		}

		keys := []key{{text: "with batch normalization", line: panelLines[0]}, {text: "without", line: panelLines[1]}}
		var panels []*plot.Plot
		t := table{
			Caption: "Accuracy on the training images at the end",
			Head:    []string{"std", "with", "without", "without: run", "weights' SHA-256 with", "without"},
		}
		var learntWith, learntWithout, ahead int
		for i, std := range stds {
			a, b := lessons[2*i], lessons[2*i+1]
			panels = append(panels, plotPanel(fmt.Sprintf("std %.2g", std), epochs,
				panelCurve{with[i].train, a.diverged >= 0}, panelCurve{without[i].train, b.diverged >= 0}))
			t.Rows = append(t.Rows, []string{
				fmt.Sprintf("%.2g", std), fmt.Sprintf("%.3f", last(with[i].train)), fmt.Sprintf("%.3f", last(without[i].train)),
				b.outcome(), short(a.hash), short(b.hash),
			})
			if last(with[i].train) > 0.4 {
				learntWith++
			}
			if last(without[i].train) > 0.4 {
				learntWithout++
			}
			if last(with[i].train) > last(without[i].train) {
				ahead++
			}
		}
		grid := labelled(inRows(panels, 4), "epochs", "accuracy")
		return &findings{
			settings: [][2]string{
				{"network", fmt.Sprintf("%d-100-100-100-100-100-%d; affine, batch normalization, ReLU", l.in, l.classes)},
				{"data", fmt.Sprintf("the first %d training images", set.Rows)}, {"batches", fmt.Sprintf("%d, drawn with replacement", batch)},
				{"epochs", fmt.Sprint(epochs)}, {"rule", "SGD, rate 0.01"},
				{"normalization", "biased variance, ε 1e-6, running statistics with momentum 0.9"},
			},
			pictures: []picture{{
				name: "batchnorm", width: wideWidth, height: 7 * vg.Inch,
				caption: "Accuracy on the training images by epoch, for 16 standard deviations of the initial weights. Cross: there the loss became infinite or NaN.",
				draw:    func(c draw.Canvas) { drawPanels(drawKeys(c, len(keys), keys), grid) },
			}},
			tables: []table{t},
			claims: []claim{
				l.judged(learntWith > learntWithout, "with normalization the network learns from more of the scales", "an accuracy over 0.4 from %d of %d scales, without from %d", learntWith, scales, learntWithout),
				l.judged(ahead >= scales*3/4, "and is ahead of the plain one from nearly all of them", "from %d of %d", ahead, scales),
			},
			runs: lessons,
		}, nil
	},
}
