package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// lesson is a training run of an experiment, on one thread, by softmax cross-entropy, on
// batches drawn with replacement.
type lesson struct {
	name  string
	net   *nn.Net // with its initial weights
	rule  optim.Optimizer
	set   *nn.Data
	batch int
	steps int
	seed  uint64 // of the batches, and of what is dropped

	// after sees the trainer after each update. The first one's step is 0: where an
	// epoch begins, it has had the first batch, as in the book.
	after func(step int, t *nn.Trainer)

	hash     string // of the weights at the end
	diverged int    // at which step the loss was NaN or Inf, with which the run ends; -1 for none
}

// teach does lessons, at most so many at a time as there are threads.
func (l *lab) teach(ctx context.Context, lessons []*lesson) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(l.Threads)
	for _, s := range lessons {
		group.Go(func() error { return s.run(ctx) })
	}
	return group.Wait()
}

func (s *lesson) run(ctx context.Context) error {
	t := &nn.Trainer{
		Net: s.net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: s.rule, Threads: 1, Seed: s.seed,
		Steps: s.steps, Batch: s.batch, WithReplacement: true,
	}
	t.OnStep = func(p nn.Progress) error {
		if s.after != nil {
			s.after(p.Step-1, t)
		}
		return nil
	}
	s.diverged = -1
	if _, err := t.Fit(ctx, s.set); errors.Is(err, optim.ErrNotFinite) {
		s.diverged = t.Done()
	} else if err != nil {
		return err
	}
	s.hash = fmt.Sprintf("%x", nn.Hash(s.net.Params()))
	return nil
}

// logLosses keeps the loss of each step's batch, after the update made with it.
func (s *lesson) logLosses() *[]float64 {
	var losses []float64
	var batch nn.Data
	s.after = func(step int, t *nn.Trainer) {
		batch.Draw(s.set, s.batch, s.seed, uint32(step))
		loss, _ := t.Evaluate(&batch)
		losses = append(losses, loss)
	}
	return &losses
}

// scores are accuracies on two sets, epoch by epoch.
type scores struct{ train, test []float64 }

// epochs makes the run one of so many epochs, and keeps the accuracies after the first
// update and then once an epoch: on what it learns from and, unless that is nil, on test.
func (s *lesson) epochs(n int, test *nn.Data) *scores {
	perEpoch := max(1, s.set.Rows/s.batch)
	s.steps = (n-1)*perEpoch + 1
	kept := &scores{}
	s.after = func(step int, _ *nn.Trainer) {
		if step%perEpoch != 0 {
			return
		}
		kept.train = append(kept.train, nn.Accuracy(predict(s.net, s.set, 1), s.set))
		if test != nil {
			kept.test = append(kept.test, nn.Accuracy(predict(s.net, test, 1), test))
		}
	}
	return kept
}

// outcome says how a run ended.
func (s *lesson) outcome() string {
	if s.diverged >= 0 {
		return fmt.Sprintf("diverged at step %d", s.diverged)
	}
	return "to the end"
}

// last is the last number of a curve, or NaN without any.
func last(curve []float64) float64 { return mean(curve[max(0, len(curve)-1):]) }

func mean(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// sgd is gradient descent with penalties for the weights, and not for the biases.
func sgd(net *nn.Net, rate float64, penalties optim.Common) optim.Optimizer {
	return optim.Spare(optim.Guard{}, net.Layout(), func(layout []optim.Tensor, spared bool) *optim.Rule {
		o := optim.SGDOptions{LR: rate, Common: penalties}
		if spared {
			o.Common = optim.Common{}
		}
		return optim.NewSGD(optim.Size(layout), o)
	})
}

// hidden makes a network of hidden layers of 100, each followed by others, such as nn.ReLU().
func (l *lab) hidden(n int, others ...nn.Layer) (*nn.Net, error) {
	var layers []nn.Layer
	for range n {
		layers = append(append(layers, nn.Affine(100)), others...)
	}
	return nn.New(l.in, append(layers, nn.Affine(l.classes))...)
}
