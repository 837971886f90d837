package main

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// neuron is the loss ½(y - ½)² of y = σ(w·1 + b).
func neuron(w, b float64) float64 {
	d := 1/(1+math.Exp(-w-b)) - 0.5
	return d * d / 2
}

const neuronRate = 10

// descend goes down the surface by gradient descent, and returns the way, the start first,
// and the network at the end.
func descend(ctx context.Context, steps int) (plotter.XYs, *nn.Net, error) {
	net, err := nn.New(1, nn.Affine(1), nn.Sigmoid())
	if err != nil {
		return nil, nil, err
	}
	p := net.Params()
	p[0], p[1] = 1.9, 0.7
	// The trainer's loss has no ½, so half the rate does the same.
	t := &nn.Trainer{
		Net: net, Loss: nn.MeanSquaredError{}, Optimizer: optim.NewSGD(net.NumParams(), optim.SGDOptions{LR: neuronRate / 2.0}),
		Threads: 1,
	}
	set := &nn.Data{Rows: 1, X: []float32{1}, Targets: []float32{0.5}}
	path := plotter.XYs{{X: float64(p[0]), Y: float64(p[1])}}
	for range steps {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if _, err := t.Step(set); err != nil {
			return nil, nil, err
		}
		path = append(path, plotter.XY{X: float64(p[0]), Y: float64(p[1])})
	}
	return path, net, nil
}

var labSurface = experiment{
	name: "surface", title: "A loss surface",
	text: []string{
		"The smallest network: one input x = 1, a weight w, a bias b, a sigmoid, and the target ½. Its loss ½(σ(w + b) − ½)² is a surface over w and b that can be drawn whole.",
		"The least loss is no point but a valley, w = −b: many weights do equally well. Far from it the sigmoid is flat and so is the surface. Gradient descent goes straight down to the nearest point of the valley.",
	},
	run: func(ctx context.Context, l *lab) (*findings, error) {
		steps := l.size(l.Steps, 30, 30)
		path, net, err := descend(ctx, steps)
		if err != nil {
			return nil, err
		}
		hash := fmt.Sprintf("%x", nn.Hash(net.Params()))
		rows := table{Caption: "The way down", Head: []string{"step", "w", "b", "loss", "weights' SHA-256 at the end"}}
		for _, i := range []int{0, 1, 2, 5, 10, 20, 30} {
			if i > steps {
				break
			}
			row := []string{fmt.Sprint(i), fmt.Sprintf("%.4f", path[i].X), fmt.Sprintf("%.4f", path[i].Y), fmt.Sprintf("%.2g", neuron(path[i].X, path[i].Y)), ""}
			if i == min(30, steps) {
				row[4] = short(hash)
			}
			rows.Rows = append(rows.Rows, row)
		}
		whole := surface{neuron, 2, path}
		contours, err := whole.plotContours(0.01)
		if err != nil {
			return nil, err
		}
		end := path[len(path)-1]
		return &findings{
			settings: [][2]string{
				{"network", "y = σ(wx + b), x = 1, target ½, loss ½(y − ½)²"}, {"range", "w and b from −2 to 2"},
				{"rule", fmt.Sprintf("gradient descent, rate %v, %d steps from (%v, %v)", neuronRate, steps, float32(path[0].X), float32(path[0].Y))},
			},
			pictures: []picture{
				{
					name: "surface-contour", width: smallWidth, height: 4.6 * vg.Inch,
					caption: "The loss as contours, with the way down to the valley w = −b (dashed).", draw: contours.Draw,
				},
				{
					name: "surface", width: smallWidth, height: 4.2 * vg.Inch,
					caption: "The same as a surface, seen along the valley.",
					draw:    whole.draw3D,
				},
			},
			tables: []table{rows},
			claims: []claim{
				l.judged(math.Abs(end.X+end.Y) < 0.05, "gradient descent ends in the valley w = −b", "w + b = %.4f", end.X+end.Y),
				l.judged(neuron(-2, 2) == 0 && neuron(1, -1) == 0, "the whole valley has no loss", "%v at (−2, 2), %v at (1, −1)", neuron(-2, 2), neuron(1, -1)),
			},
			runs: []*lesson{{name: "gradient descent", hash: hash, diverged: -1}},
		}, nil
	},
}
