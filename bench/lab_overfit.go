package main

import (
	"context"
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// remedy is something against overfitting.
type remedy struct {
	name   string
	common optim.Common // for the weights, not for the biases
	layers []nn.Layer   // after each hidden one
}

var labDecay = experiment{
	name: "decay", title: "Weight decay",
	text: []string{
		"A network of six hidden layers has 300 images to learn from, far too few: it learns them by heart. Weight decay adds ½λΣW² to the loss, and so λW to the gradient of each weight W, not of the biases: large weights are charged for. L1 decay adds λΣ|W| instead, and so λ·sign(W).",
		"Without, the accuracy on the training images goes to 1 and leaves that on the test images behind. With λ = 0.1 the gap is narrower: the network no longer gets all the training images right.",
	},
	run: func(ctx context.Context, l *lab) (*findings, error) {
		remedies := []remedy{
			{name: "λ = 0", layers: []nn.Layer{nn.ReLU()}},
			{name: "λ = 0.1", common: optim.Common{L2: 0.1}, layers: []nn.Layer{nn.ReLU()}},
		}
		f, gaps, err := l.overfit(ctx, "decay", l.size(l.Epochs, 201, 31), remedies)
		if err != nil {
			return nil, err
		}
		f.claims = []claim{
			l.whole(gaps[1].gap < gaps[0].gap, "decay narrows the gap between training and test accuracy", "%.3f without, %.3f with λ = 0.1", gaps[0].gap, gaps[1].gap),
			l.whole(gaps[0].train > 0.99, "without decay the training images are learnt by heart", "training accuracy %.3f", gaps[0].train),
		}
		return f, nil
	},
}

var labDropout = experiment{
	name: "dropout", title: "Dropout",
	text: []string{
		"The same network and images. Dropout puts 0 in the place of each hidden output with probability 0.2 while it learns, so no node can rely on one other.",
		"In the book's form what is kept stays as it is and predictions are scaled by 1 − 0.2: so in training each of the six layers hands on less. The network learns more slowly, and the gap between training and test accuracy is narrower. Today's usual, inverted form divides by 1 − 0.2 in training and leaves predictions alone: it is quicker, and after as many epochs its gap is about as wide as without dropout, now narrower, now wider.",
	},
	run: func(ctx context.Context, l *lab) (*findings, error) {
		remedies := []remedy{
			{name: "without", layers: []nn.Layer{nn.ReLU()}},
			{name: "the book's", layers: []nn.Layer{nn.ReLU(), nn.BookDropout(0.2)}},
			{name: "inverted", layers: []nn.Layer{nn.ReLU(), nn.Dropout(0.2)}},
		}
		f, gaps, err := l.overfit(ctx, "dropout", l.size(l.Epochs, 301, 31), remedies)
		if err != nil {
			return nil, err
		}
		f.claims = []claim{
			l.whole(gaps[1].gap < gaps[0].gap, "dropout narrows the gap between training and test accuracy", "%.3f without, %.3f with the book's", gaps[0].gap, gaps[1].gap),
			told("the inverted form's is about as wide as without", "%.3f", gaps[2].gap),
			l.judged(gaps[1].train <= gaps[0].train, "with the book's the training images are not learnt better", "training accuracy %.3f without, %.3f with", gaps[0].train, gaps[1].train),
		}
		return f, nil
	},
}

// gap is how much better a network is on what it has learnt from.
type gap struct{ train, test, gap float64 }

// overfit trains on few samples with each remedy.
func (l *lab) overfit(ctx context.Context, name string, epochs int, remedies []remedy) (*findings, []gap, error) {
	const batch = 100
	set := l.first(300)
	var curves []*scores
	var lessons []*lesson
	for _, r := range remedies {
		net, err := l.hidden(6, r.layers...)
		if err != nil {
			return nil, nil, err
		}
		net.Init(nn.He(), l.Seed)
		s := &lesson{name: r.name, net: net, rule: sgd(net, 0.01, r.common), set: set, batch: batch, seed: l.Seed}
		curves = append(curves, s.epochs(epochs, l.test))
		lessons = append(lessons, s)
	}
	if err := l.teach(ctx, lessons); err != nil {
		return nil, nil, err
	}

	t := table{Caption: "Accuracy after the last epoch", Head: []string{"run", "on training images", "on test images", "gap", "weights' SHA-256"}}
	var panels []*plot.Plot
	var gaps []gap
	for i, s := range lessons {
		g := gap{train: last(curves[i].train), test: last(curves[i].test)}
		g.gap = g.train - g.test
		gaps = append(gaps, g)
		panels = append(panels, plotPanel(s.name, epochs, panelCurve{curves[i].train, s.diverged >= 0}, panelCurve{curves[i].test, s.diverged >= 0}))
		t.Rows = append(t.Rows, []string{s.name, fmt.Sprintf("%.3f", g.train), fmt.Sprintf("%.3f", g.test), fmt.Sprintf("%.3f", g.gap), short(s.hash)})
	}
	grid := labelled(inRows(panels, len(panels)), "epochs", "accuracy")
	keys := []key{{text: "training images", line: panelLines[0]}, {text: "test images", line: panelLines[1]}}
	return &findings{
		settings: [][2]string{
			{"network", fmt.Sprintf("%d-100-100-100-100-100-100-%d, ReLU, He initial weights", l.in, l.classes)},
			{"data", fmt.Sprintf("the first %d training images; all %d test images", set.Rows, l.test.Rows)},
			{"batches", fmt.Sprintf("%d, drawn with replacement", batch)}, {"epochs", fmt.Sprint(epochs)}, {"rule", "SGD, rate 0.01"},
		},
		pictures: []picture{{
			name: name, width: smallWidth, height: 2.7 * vg.Inch,
			caption: "Accuracy by epoch, on what the network learns from and on what it has never seen.",
			draw:    func(c draw.Canvas) { drawPanels(drawKeys(c, len(keys), keys), grid) },
		}},
		tables: []table{t},
		runs:   lessons,
	}, gaps, nil
}
