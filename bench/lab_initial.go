package main

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockstep-go/lockstep/internal/philox"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// labActivation is one of those whose outputs are looked at.
type labActivation struct {
	name      string
	layer     nn.Layer
	low, high float64 // what the histograms show
}

var labActivationsOf = []labActivation{
	{"sigmoid", nn.Sigmoid(), 0, 1},
	{"tanh", nn.Tanh(), -1, 1},
	{"ReLU", nn.ReLU(), 0, 2},
}

// labInit is a choice of initial weights.
type labInit struct {
	name string
	init nn.Init
}

var labActivations = experiment{
	name: "activations", title: "Initial weights and activations",
	text: []string{
		"Random inputs go through five layers of 100 nodes that have learnt nothing yet. The histograms show what comes out of each layer, for four sizes of the initial weights and three activations.",
		"With a standard deviation of 1, sigmoid and tanh pile up at their ends, where their slope and so the gradient is near 0; with 0.01 all nodes give the same, as if there were one. Xavier's √(1/n) keeps the spread from layer to layer. ReLU throws half of its input away, so it needs He's √(2/n): with Xavier's it shrinks from layer to layer, with 0.01 it vanishes, with 1 it explodes.",
	},
	run: func(_ context.Context, l *lab) (*findings, error) {
		const rows, nodes, layers = 1000, 100, 5
		inits := []labInit{{"std 1", nn.Std(1)}, {"std 0.01", nn.Std(0.01)}, {"Xavier", nn.Xavier()}, {"He", nn.He()}}
		f := &findings{settings: [][2]string{
			{"inputs", fmt.Sprintf("%d×%d, standard normal", rows, nodes)}, {"layers", fmt.Sprintf("%d of %d nodes, no biases", layers, nodes)},
			{"initial weights", "normal, of standard deviation 1, 0.01, √(1/n), √(2/n)"},
		}}
		x := make([]float32, rows*nodes)
		deviates := make([]float64, len(x))
		philox.Stream{Seed: l.Seed, Purpose: philox.Batch}.Normals(deviates, 0)
		for i, z := range deviates {
			x[i] = float32(z)
		}

		of := map[[2]string][]moments{} // each layer's, by activation and initial weights
		t := table{
			Caption: "Mean and standard deviation of each layer's activations",
			Head:    []string{"activation", "initial weights", "layer 1", "layer 2", "layer 3", "layer 4", "layer 5", "weights' SHA-256"},
		}
		for _, act := range labActivationsOf {
			var grid [][]*plot.Plot
			for _, init := range inits {
				var panels []*plot.Plot
				var stack []nn.Layer
				row := []string{act.name, init.name}
				// The deviate of a weight goes by its place, so a network of fewer layers
				// has the same weights.
				for layer := range layers {
					stack = append(stack, nn.Affine(nodes), act.layer)
					net, err := nn.New(nodes, stack...)
					if err != nil {
						return nil, err
					}
					net.Init(init.init, l.Seed)
					y := net.Forward(x, rows)
					m := momentsOf(y)
					kind := [2]string{act.name, init.name}
					of[kind] = append(of[kind], m)
					row = append(row, fmt.Sprintf("%.3g ± %.2g", m.mean, m.deviation))
					p := plotHistogram(y, act.low, act.high)
					if len(grid) == 0 {
						p.Title.Text = fmt.Sprintf("layer %d", layer+1)
					}
					panels = append(panels, p)
					if layer == layers-1 {
						hash := fmt.Sprintf("%x", nn.Hash(net.Params()))
						row = append(row, short(hash))
						f.runs = append(f.runs, &lesson{name: act.name + ", " + init.name, hash: hash, diverged: -1})
					}
				}
				grid = append(grid, panels)
				t.Rows = append(t.Rows, row)
			}
			labelled(grid, "", "")
			for i, init := range inits {
				grid[i][0].Y.Label.Text = init.name
			}
			f.pictures = append(f.pictures, picture{
				name: "activations-" + act.name, width: wideWidth, height: 4.4 * vg.Inch,
				caption: fmt.Sprintf("%s: the activations of each layer, as shares of the bins; a bar that is cut off has its share beside it. What is beyond %v counts in the last bin.", act.name, act.high),
				draw:    func(c draw.Canvas) { drawPanels(c, grid) },
			})
		}
		f.tables = append(f.tables, t)

		sigmoid, small := of[[2]string{"sigmoid", "std 1"}][layers-1], of[[2]string{"sigmoid", "std 0.01"}][layers-1]
		xavier := of[[2]string{"sigmoid", "Xavier"}]
		he, shrunk, gone := of[[2]string{"ReLU", "He"}], of[[2]string{"ReLU", "Xavier"}], of[[2]string{"ReLU", "std 0.01"}]
		f.claims = []claim{
			l.judged(sigmoid.ends > 0.6, "sigmoid with std 1 piles up at 0 and 1", "%.0f %% of layer 5 are within 0.1 of them", 100*sigmoid.ends),
			l.judged(small.deviation < 0.05, "sigmoid with std 0.01 collapses", "layer 5 is %.3f ± %.3f", small.mean, small.deviation),
			l.judged(xavier[4].deviation > xavier[1].deviation/2, "sigmoid with Xavier's keeps its spread", "± %.3f in layer 2, ± %.3f in layer 5", xavier[1].deviation, xavier[4].deviation),
			l.judged(he[4].mean > he[0].mean/2 && he[4].mean < he[0].mean*2, "ReLU with He's keeps its mean over the layers", "%.3f in layer 1, %.3f in layer 5", he[0].mean, he[4].mean),
			l.judged(shrunk[4].mean < shrunk[0].mean/2, "ReLU with Xavier's shrinks", "%.3f in layer 1, %.3f in layer 5", shrunk[0].mean, shrunk[4].mean),
			l.judged(gone[4].mean < 1e-4, "ReLU with std 0.01 vanishes", "%.2g in layer 5", gone[4].mean),
		}
		return f, nil
	},
}

// moments describe activations.
type moments struct {
	mean, deviation float64
	ends            float64 // the share within 0.1 of 0 or 1
}

func momentsOf(y []float32) moments {
	var m moments
	for _, v := range y {
		m.mean += float64(v)
		if v < 0.1 || v > 0.9 {
			m.ends++
		}
	}
	n := float64(len(y))
	m.mean, m.ends = m.mean/n, m.ends/n
	var sum float64
	for _, v := range y {
		d := float64(v) - m.mean
		sum += float64(d * d)
	}
	m.deviation = math.Sqrt(sum / n)
	return m
}

var labInitial = experiment{
	name: "initial", title: "Initial weights and training",
	text: []string{
		"The network of experiment 2 learns with SGD from three sizes of initial weights, on the same batches.",
		"With a standard deviation of 0.01 it never learns: what comes through five layers is nearly nothing, so the gradients are nearly nothing too, and the loss stays that of guessing, ln 10 = 2.30. He's and Xavier's learn, He's sooner, because the activation is ReLU.",
	},
	run: func(ctx context.Context, l *lab) (*findings, error) {
		steps, batch := l.size(l.Steps, 2001, 201), 128
		var losses []*[]float64
		var lessons []*lesson
		for _, init := range []labInit{{"std 0.01", nn.Std(0.01)}, {"Xavier", nn.Xavier()}, {"He", nn.He()}} {
			net, err := l.hidden(4, nn.ReLU())
			if err != nil {
				return nil, err
			}
			net.Init(init.init, l.Seed)
			s := &lesson{
				name: init.name, net: net, rule: optim.NewSGD(net.NumParams(), optim.SGDOptions{}),
				set: l.train, batch: batch, steps: steps, seed: l.Seed,
			}
			losses = append(losses, s.logLosses())
			lessons = append(lessons, s)
		}
		if err := l.teach(ctx, lessons); err != nil {
			return nil, err
		}
		t := lossTable(lessons, losses, map[string][3]string{"std 0.01": {"", "", "2.30"}, "Xavier": {"", "", ".38"}, "He": {"", "", ".29"}})
		t.Head = append(t.Head, "weights' SHA-256")
		var final []float64
		for i, s := range lessons {
			t.Rows[i] = append(t.Rows[i], short(s.hash))
			final = append(final, mean((*losses[i])[max(0, len(*losses[i])-100):]))
		}
		chart, err := lossPicture("initial", lessons, losses, 2.5)
		if err != nil {
			return nil, err
		}
		return &findings{
			settings: [][2]string{
				{"network", fmt.Sprintf("%d-100-100-100-100-%d, ReLU, softmax cross-entropy", l.in, l.classes)},
				{"initial weights", "normal, of standard deviation 0.01, √(1/n), √(2/n)"},
				{"rule", "SGD, rate 0.01"}, {"batches", fmt.Sprintf("%d, drawn with replacement", batch)}, {"updates", fmt.Sprint(steps)},
			},
			pictures: []picture{chart},
			tables:   []table{t},
			claims: []claim{
				l.judged(math.Abs(final[0]-math.Log(float64(l.classes))) < 0.02, "std 0.01 never learns: its loss stays about 2.30", "mean of the last 100: %.3f", final[0]),
				l.judged(final[2] < final[1] && final[1] < final[0], "He's learns faster than Xavier's", "means of the last 100: %.3f and %.3f", final[2], final[1]),
				l.whole(final[1] < 0.5, "Xavier's and He's both learn", "means of the last 100: %.3f and %.3f", final[1], final[2]),
				told("a batch of theirs at 1900 had 0.38 and 0.29 in a notebook", "the table has those of this run"),
			},
			runs: lessons,
		}, nil
	},
}
