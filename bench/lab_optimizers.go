package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// labRules are the update rules that the experiments compare.
var labRules = []string{"sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"}

var labTrajectories = experiment{
	name: "trajectories", title: "Where update rules go",
	text: []string{
		"Six update rules go down the valley f(x, y) = x²/20 + y², from the same point. The valley is twenty times as steep across as along, so the gradient hardly ever points to the minimum.",
		"SGD, with a rate that suits the shallow direction, jumps from side to side of the steep one. Momentum and Nesterov's rule swing like a ball in a bowl. AdaGrad and RMSprop give each coordinate a rate of its own: they head straight for the axis and then go along it, in shorter and shorter steps. Adam has both, a velocity and rates of its own.",
	},
	run: func(ctx context.Context, l *lab) (*findings, error) {
		steps := l.size(l.Steps, 30, 30)
		f := &findings{settings: [][2]string{
			{"function", "f(x, y) = x²/20 + y²"}, {"start", fmt.Sprintf("(%d, %d)", startX, startY)}, {"steps", fmt.Sprint(steps)},
		}}
		ends := table{Caption: "Where each rule ends", Head: []string{"rule", "options", "x", "y", "f(x, y)", "weights' SHA-256"}}
		var all []trajectory
		var turns = map[string]int{}
		for _, rule := range labRules {
			t, err := follow(ctx, rule, uint32(steps))
			if err != nil {
				return nil, err
			}
			all = append(all, t)
			for i := range t.path[1:] {
				if t.path[i].Y*t.path[i+1].Y < 0 {
					turns[rule]++
				}
			}
			end := t.path[len(t.path)-1]
			hash := fmt.Sprintf("%x", nn.Hash([]float32{float32(end.X), float32(end.Y)}))
			f.runs = append(f.runs, &lesson{name: rule, hash: hash, diverged: -1})
			ends.Rows = append(ends.Rows, []string{rule, t.options, fmt.Sprintf("%.4f", end.X), fmt.Sprintf("%.4f", end.Y), fmt.Sprintf("%.2g", valley(end.X, end.Y)), short(hash)})
		}
		grid, err := plotTrajectories(all, 2)
		if err != nil {
			return nil, err
		}
		labelled(grid, "x", "y")
		for _, p := range slices.Concat(grid...) {
			dress(p)
		}
		f.tables = append(f.tables, ends)
		f.pictures = append(f.pictures, picture{
			name: "trajectories", width: smallWidth, height: 5.4 * vg.Inch,
			caption: "The path of each rule over contours of f, at equal distances. Dot: start; star: minimum.",
			draw:    func(c draw.Canvas) { drawPanels(c, grid) },
		})
		f.claims = append(f.claims,
			l.judged(turns["sgd"] >= 25, "SGD jumps across the valley at almost every step", "its y changes sign %d times in %d steps", turns["sgd"], steps),
			l.judged(turns["adagrad"] == 0, "AdaGrad never crosses the axis", "its y changes sign %d times", turns["adagrad"]),
			l.judged(turns["momentum"] > 0 && turns["momentum"] < turns["sgd"]/2, "Momentum swings, far more slowly than SGD", "its y changes sign %d times", turns["momentum"]),
		)
		return f, nil
	},
}

// notebook has batch losses that a write-up of the main job printed, at iterations 0, 100
// and 1900; from other initial weights and batches.
var notebook = map[string][3]string{
	"sgd": {"2.41", "1.48", ".15"}, "momentum": {"2.41", ".42", ".05"}, "adagrad": {"2.40", ".19", ".016"}, "adam": {"2.19", ".34", ".03"},
}

var labOptimizers = experiment{
	name: "optimizers", title: "Update rules on MNIST",
	text: []string{
		"The same network learns MNIST with six update rules, each with its usual rate, from the same initial weights on the same batches. The loss is that of the batch after the update made with it, smoothed with a Kaiser window.",
		"SGD is clearly the slowest: it has one small rate for all weights and no memory. Momentum and Nesterov's rule add a velocity to the same rate and catch up with those that have a rate for each weight. Which of the others is ahead at the end changes with the seed; RMSprop usually is the last of them.",
	},
	run: func(ctx context.Context, l *lab) (*findings, error) {
		steps, batch := l.size(l.Steps, 2001, 201), 128
		var losses []*[]float64
		var lessons []*lesson
		for _, name := range labRules {
			net, err := l.hidden(4, nn.ReLU())
			if err != nil {
				return nil, err
			}
			net.Init(nn.He(), l.Seed)
			rule, err := optim.New(name, net.Layout(), nil)
			if err != nil {
				return nil, err
			}
			s := &lesson{name: name, net: net, rule: rule, set: l.train, batch: batch, steps: steps, seed: l.Seed}
			losses = append(losses, s.logLosses())
			lessons = append(lessons, s)
		}
		if err := l.teach(ctx, lessons); err != nil {
			return nil, err
		}

		final := map[string]float64{}
		var accuracies []float64
		at := lossTable(lessons, losses, notebook)
		ends := table{
			Caption: "At the end",
			Head:    []string{"rule", fmt.Sprintf("mean loss of last %d", min(100, steps)), "test accuracy", "weights' SHA-256"},
		}
		for i, s := range lessons {
			final[s.name] = mean((*losses[i])[max(0, len(*losses[i])-100):])
			accuracy := nn.Accuracy(predict(s.net, l.test, l.Threads), l.test)
			accuracies = append(accuracies, accuracy)
			ends.Rows = append(ends.Rows, []string{s.name, fmt.Sprintf("%.4f", final[s.name]), fmt.Sprintf("%.4f", accuracy), short(s.hash)})
		}
		chart, err := lossPicture("optimizers", lessons, losses, 1)
		if err != nil {
			return nil, err
		}
		// One that diverged, to NaN, counts as the slowest.
		order := slices.SortedStableFunc(slices.Values(labRules), func(a, b string) int { return -cmp.Compare(-final[a], -final[b]) })
		slowest, next := order[len(order)-1], order[len(order)-2]
		best := slices.Max(accuracies)
		atEnd := ""
		within := true
		for _, name := range []string{"momentum", "nesterov", "adagrad", "adam"} {
			within = within && final[name] > 0.02 && final[name] < 0.08
			atEnd += fmt.Sprintf(", %s %.3f", name, final[name])
		}
		return &findings{
			settings: [][2]string{
				{"network", fmt.Sprintf("%d-100-100-100-100-%d, ReLU, softmax cross-entropy", l.in, l.classes)},
				{"initial weights", "He, biases 0, the same for each rule"},
				{"batches", fmt.Sprintf("%d, drawn with replacement, the same for each rule", batch)},
				{"updates", fmt.Sprint(steps)},
				{"rates", "SGD, Momentum, Nesterov, AdaGrad, RMSprop 0.01; Adam 0.001"},
			},
			pictures: []picture{chart},
			tables:   []table{at, ends},
			claims: []claim{
				l.judged(slowest == "sgd", "SGD is clearly the slowest", "%s has the greatest loss at the end, %.3f; the next, %s, has %.3f", slowest, final[slowest], next, final[next]),
				l.whole(final["sgd"] > 0.15 && final["sgd"] < 0.27, "SGD's mean loss of the last 100 steps is about 0.20: 0.15 to 0.27", "%.3f", final["sgd"]),
				told("RMSprop usually is the worst of the rest, at 0.075 to 0.090", "%s is; rmsprop has %.3f", next, final["rmsprop"]),
				l.whole(within, "the others end at 0.03 to 0.07, give or take 0.01, in changing order", "%s", atEnd[2:]),
				l.whole(best > 0.968 && best < 0.980, "the best test accuracy is 0.973 to 0.975, give or take 0.005", "%.4f", best),
			},
			runs: lessons,
		}, nil
	},
}

// lossTable shows losses on the way, and in brackets those of a notebook.
func lossTable(lessons []*lesson, losses []*[]float64, notebook map[string][3]string) table {
	t := table{Caption: "Loss of the batch after the update, at some iterations; in brackets those that a notebook printed", Head: []string{"run"}}
	steps := []int{0, 100, 500, 1000, 1500, 1900, 2000}
	shown := func(step int) bool { return step < lessons[0].steps }
	for _, step := range steps {
		if shown(step) {
			t.Head = append(t.Head, fmt.Sprint(step))
		}
	}
	for i, s := range lessons {
		row := []string{s.name}
		for _, step := range steps {
			if !shown(step) {
				continue
			}
			cell := "diverged"
			if step < len(*losses[i]) {
				cell = fmt.Sprintf("%.3f", (*losses[i])[step])
			}
			if k := slices.Index([]int{0, 100, 1900}, step); k >= 0 && notebook[s.name][k] != "" {
				cell += " (" + notebook[s.name][k] + ")"
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
