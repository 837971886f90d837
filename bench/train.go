package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/nn/data"
	"github.com/lockstep-go/lockstep/optim"
)

// train trains one network and tests it. What is left out goes by how many samples there
// are.
type train struct {
	Data       string   `placeholder:"PATH" help:"What to learn: a CSV (.csv, .tsv, .txt), a .npz with the arrays x and y, or a directory with the four IDX files, plain or .gz, of a set like MNIST. The embedded MNIST, if left out."`
	Target     []string `placeholder:"COLUMN" help:"The columns of a CSV to predict, by name or number; the last one, if left out."`
	Layers     string   `placeholder:"LAYERS" help:"The layers but the last, which has an output for each class or target: widths, activations, batchnorm, layernorm, dropout:RATE and so on, with commas between. 512,relu,512,relu, or 64,relu,64,relu for fewer than 10,000 samples, if left out."`
	Init       string   `default:"he" help:"Initial weights, by name."`
	Optimizer  string   `default:"adam" help:"Update rule, by name, with options as in adamw:lr=0.002,decay=0.01."`
	Schedule   string   `default:"warmup-cosine" help:"Schedule of the learning rate, by name, with options as for --optimizer; numbers of steps that are left out go by the length of the run. none for none."`
	Loss       string   `placeholder:"LOSS" help:"Loss, by name, with options. softmax-cross-entropy for classes and mean-squared-error for numbers, if left out."`
	Epochs     int      `placeholder:"N" help:"How often each sample is seen. 12, or so often as makes 3,000 steps with fewer than 10,000 samples, if left out."`
	Batch      int      `placeholder:"N" help:"Samples in a batch. 128, or 32 with fewer than 10,000 samples, if left out."`
	Holdout    *float64 `placeholder:"PART" help:"Part of the samples to hold out and evaluate on after each epoch. 0 where there is a test set and else 0.2, if left out."`
	Patience   int      `placeholder:"N" help:"Stop after so many epochs without a lower loss on what is held out, and put the best weights back."`
	Seed       uint64   `default:"1" help:"Chooses the initial weights, the order of the samples, what is held out and what is dropped."`
	Threads    int      `default:"${threads}" help:"The most threads to run on. They change the speed and no bit."`
	Checkpoint string   `placeholder:"FILE" help:"Save the whole run there after each epoch."`
	Resume     bool     `help:"Go on from the --checkpoint, to the same bits as without a stop."`
	Save       string   `placeholder:"FILE" help:"Save the trained network there, as safetensors with PyTorch's names, for eval, predict and inspect."`
}

// Validate is called by kong.
func (c *train) Validate() error {
	if c.Epochs < 0 || c.Batch < 0 || c.Batch > maxSize || c.Patience < 0 || c.Threads < 1 {
		return fmt.Errorf("--epochs %d, --batch %d, --patience %d, --threads %d: want at least 1, 1 to %d, at least 0 and at least 1",
			c.Epochs, c.Batch, c.Patience, c.Threads, maxSize)
	}
	if c.Holdout != nil && !(*c.Holdout >= 0 && *c.Holdout < 1) {
		return fmt.Errorf("--holdout: %v, want from 0 to below 1", *c.Holdout)
	}
	if c.Patience > 0 && c.Holdout != nil && *c.Holdout == 0 {
		return fmt.Errorf("--patience: %d without a --holdout to go by", c.Patience)
	}
	if c.Resume && c.Checkpoint == "" {
		return fmt.Errorf("--resume: want a --checkpoint to go on from")
	}
	return c.checkNames()
}

// checkNames wants names that are known, with options that they have. What depends on the
// samples comes later.
func (c *train) checkNames() error {
	if c.Layers != "" {
		if _, err := nn.ParseLayers(c.Layers); err != nil {
			return fmt.Errorf("--layers: %w", err)
		}
	}
	if _, err := c.initial(); err != nil {
		return err
	}
	if _, err := c.optimizer(optim.Vector(1)); err != nil {
		return err
	}
	if _, err := c.schedule(1000); err != nil {
		return err
	}
	if c.Loss != "" {
		if _, err := c.loss(); err != nil {
			return err
		}
	}
	return nil
}

func (c *train) initial() (nn.Init, error) {
	name, options, err := named("--init", c.Init)
	if err != nil {
		return nn.Init{}, err
	}
	init, err := nn.NewInit(name, options)
	if err != nil {
		return nn.Init{}, fmt.Errorf("--init: %w", err)
	}
	return init, nil
}

func (c *train) optimizer(layout []optim.Tensor) (*optim.Rule, error) {
	name, options, err := named("--optimizer", c.Optimizer)
	if err != nil {
		return nil, err
	}
	rule, err := optim.New(name, layout, options)
	if err != nil {
		return nil, fmt.Errorf("--optimizer: %w", err)
	}
	return rule, nil
}

func (c *train) loss() (nn.Loss, error) {
	name, options, err := named("--loss", c.Loss)
	if err != nil {
		return nil, err
	}
	loss, err := nn.NewLoss(name, options)
	if err != nil {
		return nil, fmt.Errorf("--loss: %w", err)
	}
	return loss, nil
}

// defaults fills in what was left out.
func (c *train) defaults(p *task) {
	few := p.train.Rows < 10_000
	pick := func(small, large int) int {
		if few {
			return small
		}
		return large
	}
	c.Batch = cmp.Or(c.Batch, pick(32, 128))
	c.Layers = cmp.Or(c.Layers, []string{"64,relu,64,relu", "512,relu,512,relu"}[pick(0, 1)])
	perEpoch := 1 + (p.train.Rows-1)/c.Batch
	c.Epochs = cmp.Or(c.Epochs, pick(max(12, 3000/perEpoch), 12))
	if c.Holdout == nil {
		c.Holdout = new(float64)
		if p.test == nil || c.Patience > 0 {
			*c.Holdout = 0.2
		}
	}
	c.Loss = cmp.Or(c.Loss, map[bool]string{true: "softmax-cross-entropy", false: "mean-squared-error"}[p.classes])
}

// Run is called by kong.
func (c *train) Run(ctx context.Context, to console) error {
	p, err := loadTask(c.Data, c.Target, nil)
	if err != nil {
		return err
	}
	c.defaults(p)
	trainer, err := c.trainer(p)
	if err != nil {
		return err
	}
	if c.Save != "" { // before the time is spent
		if _, err := data.StateDict(trainer.Net, ""); err != nil {
			return fmt.Errorf("--save: %w", err)
		}
	}
	set := p.train
	if *c.Holdout > 0 {
		if held := int(*c.Holdout*float64(set.Rows) + 0.5); held < 1 || held >= set.Rows {
			return fmt.Errorf("--holdout: %v of %d samples, want at least one on both sides", *c.Holdout, set.Rows)
		}
		set, trainer.Validation = set.Split(*c.Holdout, c.Seed)
		trainer.Metrics = []nn.Metric{p.metric()}
	}
	perEpoch := 1 + (set.Rows-1)/min(c.Batch, set.Rows)
	if trainer.Schedule, err = c.schedule(c.Epochs * perEpoch); err != nil {
		return err
	}
	if c.Resume {
		if err := trainer.LoadFile(c.Checkpoint); err != nil {
			return err
		}
	}
	fmt.Fprintf(to.out, "%d inputs, layers %s; %d parameters, %d samples, %d epochs of %d steps; %s, %s; seed %d, threads %d, %s\n",
		p.in, layersText(trainer.Net), trainer.Net.NumParams(), set.Rows, c.Epochs, perEpoch,
		trainer.Optimizer.Name(), c.Loss, c.Seed, c.Threads, kernels.ISA())
	if err := c.fit(ctx, to, trainer, set, perEpoch); err != nil {
		return err
	}

	switch {
	case p.test != nil:
		fmt.Fprintf(to.out, "on the test set: %s\n", p.judge(trainer.Net, p.test, c.Threads))
	case trainer.Validation != nil:
		fmt.Fprintf(to.out, "on what was held out: %s\n", p.judge(trainer.Net, trainer.Validation, c.Threads))
	default:
		fmt.Fprintf(to.out, "on what it was trained on: %s\n", p.judge(trainer.Net, p.train, c.Threads))
	}
	if c.Save == "" {
		return nil
	}
	if err := saveModel(c.Save, trainer.Net, p.prep); err != nil {
		return err
	}
	_, err = fmt.Fprintln(to.out, "wrote", c.Save)
	return err
}

// fit trains, and shows how it goes: each epoch, or each tenth part of many.
func (c *train) fit(ctx context.Context, to console, trainer *nn.Trainer, set *nn.Data, perEpoch int) error {
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
	shown := max(1, c.Epochs/20)
	trainer.OnEvaluation = func(e nn.Evaluation) error {
		epoch := e.Step / perEpoch
		if epoch%shown != 0 && epoch != c.Epochs {
			return nil
		}
		bar.Clear()
		line := fmt.Sprintf("epoch %3d  loss %.4f  rate %.2g", epoch, e.TrainLoss, e.LR)
		if trainer.Validation != nil {
			line += fmt.Sprintf("  held out: loss %.4f, %s %.4f", e.Validation, trainer.Metrics[0].Name, e.Metrics[0])
		}
		_, err := fmt.Fprintln(to.out, line)
		return err
	}
	done, start := trainer.Done(), time.Now()
	history, err := trainer.Fit(ctx, set)
	bar.Clear()
	if err != nil {
		return err
	}
	spent, steps := time.Since(start), trainer.Done()-done
	if history.Stopped {
		fmt.Fprintf(to.out, "stopped by --patience; the weights are those of epoch %d\n", history.Evaluations[history.Best].Step/perEpoch)
	}
	hash := nn.Hash(trainer.Net.Params())
	_, err = fmt.Fprintf(to.out, "%d steps in %.1f s, %.0f µs each; weights' SHA-256 %x\n",
		steps, spent.Seconds(), float64(spent.Microseconds())/float64(max(1, steps)), hash[:6])
	return err
}

// trainer makes the network and what trains it, but for the schedule.
func (c *train) trainer(p *task) (*nn.Trainer, error) {
	layers, err := nn.ParseLayers(c.Layers + "," + strconv.Itoa(p.out))
	if err != nil {
		return nil, fmt.Errorf("--layers: %w", err)
	}
	net, err := nn.New(p.in, layers...)
	if err != nil {
		return nil, fmt.Errorf("--layers: %w", err)
	}
	init, err := c.initial()
	if err != nil {
		return nil, err
	}
	net.Init(init, c.Seed)
	optimizer, err := c.optimizer(net.Layout())
	if err != nil {
		return nil, err
	}
	loss, err := c.loss()
	if err != nil {
		return nil, err
	}
	if _, ofClasses := loss.(nn.SoftmaxCrossEntropy); ofClasses != p.classes {
		return nil, fmt.Errorf("--loss: %s, want %s", c.Loss, map[bool]string{true: "softmax-cross-entropy for classes", false: "one for numbers, not for classes"}[p.classes])
	}
	return &nn.Trainer{
		Net: net, Loss: loss, Optimizer: optimizer,
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

// predict returns the outputs of a network.
func predict(net *nn.Net, d *nn.Data, threads int) []float32 {
	y := make([]float32, d.Rows*net.Out())
	net.Predictor(1000).Predict(y, d.X, d.Rows, kernels.Threads(threads))
	return y
}
