package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// train trains one network and tests it.
type train struct {
	source
	Layers     string  `default:"512,relu,512,relu" help:"The layers but the last, which has an output for each class: widths, activations, batchnorm, layernorm, dropout:RATE and so on."`
	Init       string  `default:"he" help:"Initial weights, by name."`
	Optimizer  string  `default:"adam" help:"Update rule, by name, with options as in adamw:lr=0.002,decay=0.01."`
	Schedule   string  `default:"warmup-cosine" help:"Schedule of the learning rate, by name, with options as for --optimizer; numbers of steps that are left out go by the length of the run. none for none."`
	Smoothing  float64 `help:"Label smoothing."`
	Epochs     int     `default:"12" help:"How often each sample is seen."`
	Batch      int     `default:"128" help:"Samples in a batch."`
	Holdout    float64 `help:"Part of the training set to hold out and evaluate on after each epoch."`
	Patience   int     `help:"Stop after so many epochs without a lower loss on what is held out, and put the best weights back."`
	Threads    int     `default:"${threads}" help:"The most threads to run on. They change the speed and no bit."`
	Checkpoint string  `placeholder:"FILE" help:"Save the whole run there after each epoch."`
	Resume     bool    `help:"Go on from the --checkpoint, to the same bits as without a stop."`
}

// Validate is called by kong.
func (c *train) Validate() error {
	if c.Epochs < 1 || c.Threads < 1 || c.Patience < 0 {
		return fmt.Errorf("--epochs %d, --threads %d, --patience %d: want at least 1, 1 and 0", c.Epochs, c.Threads, c.Patience)
	}
	if c.Batch < 1 || c.Batch > maxSize {
		return fmt.Errorf("--batch: %d, want 1 to %d", c.Batch, maxSize)
	}
	if !(c.Smoothing >= 0 && c.Smoothing < 1) {
		return fmt.Errorf("--smoothing: %v, want from 0 to below 1", c.Smoothing)
	}
	if !(c.Holdout >= 0 && c.Holdout < 1) {
		return fmt.Errorf("--holdout: %v, want from 0 to below 1", c.Holdout)
	}
	if c.Patience > 0 && c.Holdout == 0 {
		return fmt.Errorf("--patience: %d without a --holdout to go by", c.Patience)
	}
	if c.Resume && c.Checkpoint == "" {
		return fmt.Errorf("--resume: want a --checkpoint to go on from")
	}
	return c.check()
}

// Run is called by kong.
func (c *train) Run(ctx context.Context, to console) error {
	trainSet, testSet, err := c.load()
	if err != nil {
		return err
	}
	set, test := samples(trainSet), samples(testSet)
	trainer, err := c.trainer(trainSet.Width*trainSet.Height, trainSet.Classes)
	if err != nil {
		return err
	}
	if c.Holdout > 0 {
		set, trainer.Validation = set.Split(c.Holdout, c.Seed)
		trainer.Metrics = []nn.Metric{{Name: "accuracy", Of: nn.Accuracy}}
	}
	perEpoch := (set.Rows + c.Batch - 1) / c.Batch
	if trainer.Schedule, err = c.schedule(c.Epochs * perEpoch); err != nil {
		return err
	}
	if c.Resume {
		if err := trainer.LoadFile(c.Checkpoint); err != nil {
			return err
		}
	}
	fmt.Fprintf(to.out, "%d inputs, %s; %d parameters, %d samples; %s; seed %d, threads %d, %s\n",
		trainer.Net.In(), strings.Trim(fmt.Sprint(trainer.Net.Layers()), "[]"), trainer.Net.NumParams(), set.Rows,
		trainer.Optimizer.Name(), c.Seed, c.Threads, kernels.ISA())

	bar := progressbar.NewOptions(c.Epochs*perEpoch,
		progressbar.OptionSetWriter(to.err),
		progressbar.OptionSetVisibility(to.terminal()),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
	trainer.OnStep = func(p nn.Progress) error {
		if c.Checkpoint != "" && p.Step%perEpoch == 0 {
			if err := trainer.SaveFile(c.Checkpoint); err != nil {
				return err
			}
		}
		return bar.Set(p.Step)
	}
	trainer.OnEvaluation = func(e nn.Evaluation) error {
		bar.Clear()
		line := fmt.Sprintf("epoch %2d  loss %.4f  rate %.2g", e.Step/perEpoch, e.TrainLoss, e.LR)
		if trainer.Validation != nil {
			line += fmt.Sprintf("  held out: loss %.4f, accuracy %.4f", e.Validation, e.Metrics[0])
		}
		_, err := fmt.Fprintln(to.out, line)
		return err
	}
	done, start := trainer.Done(), time.Now()
	if _, err := trainer.Fit(ctx, set); err != nil {
		bar.Clear()
		return err
	}
	spent, steps := time.Since(start), trainer.Done()-done

	y := make([]float32, test.Rows*trainer.Net.Out())
	trainer.Net.Predictor(1000).Predict(y, test.X, test.Rows, trainer.Threads)
	hash := nn.Hash(trainer.Net.Params())
	_, err = fmt.Fprintf(to.out, "test accuracy %.4f of %d; %d steps in %.1f s, %.0f µs each; weights' SHA-256 %x\n",
		nn.Accuracy(y, test), test.Rows, steps, spent.Seconds(), float64(spent.Microseconds())/float64(max(1, steps)), hash[:6])
	return err
}

// trainer makes the network and what trains it, but for what the training set decides.
func (c *train) trainer(inputs, classes int) (*nn.Trainer, error) {
	layers, err := nn.ParseLayers(c.Layers + "," + strconv.Itoa(classes))
	if err != nil {
		return nil, fmt.Errorf("--layers: %w", err)
	}
	net, err := nn.New(inputs, layers...)
	if err != nil {
		return nil, fmt.Errorf("--layers: %w", err)
	}
	name, options, err := named("--init", c.Init)
	if err != nil {
		return nil, err
	}
	init, err := nn.NewInit(name, options)
	if err != nil {
		return nil, fmt.Errorf("--init: %w", err)
	}
	net.Init(init, c.Seed)
	if name, options, err = named("--optimizer", c.Optimizer); err != nil {
		return nil, err
	}
	optimizer, err := optim.New(name, net.Layout(), options)
	if err != nil {
		return nil, fmt.Errorf("--optimizer: %w", err)
	}
	return &nn.Trainer{
		Net: net, Loss: nn.SoftmaxCrossEntropy{Smoothing: c.Smoothing}, Optimizer: optimizer,
		Threads: kernels.Threads(c.Threads), Seed: c.Seed, Epochs: c.Epochs, Batch: c.Batch, Patience: c.Patience,
	}, nil
}

// schedule makes the schedule for a run of so many steps: what is left out is the whole
// run, after a warm-up of its twentieth part.
func (c *train) schedule(steps int) (optim.Schedule, error) {
	name, options, err := named("--schedule", c.Schedule)
	if err != nil || name == "none" {
		return nil, err
	}
	warmup := steps / 20
	for _, d := range []struct {
		schedule, option string
		steps            int
	}{
		{"warmup-cosine", "warmup", warmup},
		{"warmup-cosine", "tmax", max(1, steps-warmup)},
		{"cosine", "tmax", steps},
		{"one-cycle", "totalsteps", steps},
		{"polynomial", "totaliters", steps},
		{"step", "stepsize", max(1, steps/3)},
	} {
		if _, given := options[d.option]; d.schedule == name && !given {
			options[d.option] = float64(d.steps)
		}
	}
	s, err := optim.NewSchedule(name, options)
	if err != nil {
		return nil, fmt.Errorf("--schedule: %w", err)
	}
	return s, nil
}

// named reads a name with options, as in adamw:lr=0.002,decay=0.01.
func named(flag, text string) (name string, options map[string]float64, err error) {
	name, list, found := strings.Cut(text, ":")
	options = map[string]float64{}
	if !found {
		return name, options, nil
	}
	for _, field := range strings.Split(list, ",") {
		option, value, _ := strings.Cut(field, "=")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || option == "" {
			return "", nil, fmt.Errorf("%s: %q in %q, want OPTION=NUMBER", flag, field, text)
		}
		options[option] = v
	}
	return name, options, nil
}
