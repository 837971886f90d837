package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// compare trains the network with each optimizer, from the same initial weights
// on the same batches: Deep Learning from Scratch, section 6.1.8.
//
// A loss is that of the batch after the update made with it. What is timed is
// the training step alone, forward, backward and update; gathering the batch
// before it and the forward pass that logs the loss after it are not.
type compare struct {
	job
	Steps      uint32   `default:"2001" help:"Updates with each optimizer."`
	Threads    int      `default:"${threads}" help:"The most threads to run on. They change the speed and no bit."`
	Optimizers []string `default:"sgd,momentum,nesterov,adagrad,rmsprop,adam" help:"Update rules, by name."`
	Out        string   `default:"out" placeholder:"DIR" help:"Directory for results.json, losses.png and losses.svg."`
}

// Validate is called by kong.
func (c *compare) Validate() error {
	if c.Steps == 0 {
		return fmt.Errorf("--steps: 0, want at least 1")
	}
	if c.Threads < 1 {
		return fmt.Errorf("--threads: %d, want at least 1", c.Threads)
	}
	if err := checkOptimizers(c.Optimizers); err != nil {
		return err
	}
	return c.check()
}

// Run is called by kong.
func (c *compare) Run(ctx context.Context, to console) error {
	trainSet, testSet, err := c.load()
	if err != nil {
		return err
	}
	net, err := network(c.widths(trainSet), c.Seed)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o777); err != nil {
		return fmt.Errorf("--out: want a directory: %w", err)
	}
	fmt.Fprintf(to.out, "%s: %s, ReLU; %d steps on batches of %d; seed %d, threads %d, %s\n",
		cmp.Or(c.Data, "MNIST"), dashed(c.widths(trainSet)), c.Steps, c.Batch, c.Seed, c.Threads, kernels.ISA())

	bar := progressbar.NewOptions64(int64(c.Steps)*int64(len(c.Optimizers)),
		progressbar.OptionSetWriter(to.err),
		progressbar.OptionSetVisibility(to.terminal()),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
	res := &results{ISA: kernels.ISA(), Threads: c.Threads, Seed: c.Seed, Steps: c.Steps, Batch: c.Batch, Hidden: c.Hidden}
	train, test := samples(trainSet), samples(testSet)
	for _, name := range c.Optimizers {
		bar.Describe(name)
		net.Init(nn.He(), c.Seed)
		losses, perStep, err := c.train(ctx, net, name, train, to.out, bar)
		if err != nil {
			bar.Clear()
			return err
		}
		y := make([]float32, test.Rows*net.Out())
		net.Predictor(1000).Predict(y, test.X, test.Rows, kernels.Threads(c.Threads))
		hash := nn.Hash(net.Params())
		res.Runs = append(res.Runs, newResult(name, losses, perStep, nn.Accuracy(y, test), hex.EncodeToString(hash[:])))
	}

	if err := res.print(to.out); err != nil {
		return err
	}
	return res.write(c.Out, to.out)
}

// train trains net with the named optimizer and returns the losses and the mean
// time of a step.
func (c *compare) train(ctx context.Context, net *nn.Net, name string, set *nn.Data, out io.Writer, bar *progressbar.ProgressBar) ([]float64, time.Duration, error) {
	optimizer, err := optim.New(name, net.Layout(), nil)
	if err != nil {
		return nil, 0, err
	}
	trainer := nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optimizer, Threads: kernels.Threads(c.Threads)}
	var batch nn.Data
	var losses []float64
	var spent time.Duration
	for step := range c.Steps {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		batch.Draw(set, c.Batch, c.Seed, step)

		start := time.Now()
		_, err := trainer.Step(&batch)
		spent += time.Since(start)
		if err != nil {
			return nil, 0, err
		}

		loss, _ := trainer.Evaluate(&batch)
		losses = append(losses, loss)
		if step%500 == 0 {
			bar.Clear()
			fmt.Fprintf(out, "%-9s iteration %5d  loss %.4f\n", name, step, losses[step])
		}
		bar.Add(1)
	}
	return losses, spent / time.Duration(c.Steps), nil
}
