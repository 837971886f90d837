package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/lockstep-go/lockstep/internal/mnist"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// source says what there is to train on: flags that commands have in common.
type source struct {
	Seed uint64 `default:"1" help:"Chooses the initial weights, the batches and what is dropped."`
	Data string `placeholder:"DIR" help:"Read the four IDX files of another set, plain or .gz, instead of the embedded MNIST."`
}

// job says what is trained.
type job struct {
	source
	Batch  int   `default:"128" help:"Samples in a batch, drawn with replacement."`
	Hidden []int `default:"100,100,100,100" help:"Widths of the hidden layers."`
}

// maxSize bounds batches and layers, to refuse a slip of the finger rather than
// run out of memory.
const maxSize = 1 << 16

func (s *source) check() error {
	if info, err := os.Stat(s.Data); s.Data != "" && (err != nil || !info.IsDir()) {
		return fmt.Errorf("--data: %q, want a directory with the four IDX files of a set like MNIST", s.Data)
	}
	return nil
}

func (j *job) check() error {
	if j.Batch < 1 || j.Batch > maxSize {
		return fmt.Errorf("--batch: %d, want 1 to %d", j.Batch, maxSize)
	}
	if len(j.Hidden) == 0 {
		return fmt.Errorf("--hidden: nothing, want one or more widths with commas between")
	}
	for _, width := range j.Hidden {
		if width < 1 || width > maxSize {
			return fmt.Errorf("--hidden: %d, want widths of 1 to %d", width, maxSize)
		}
	}
	return j.source.check()
}

// load reads the training and the test set.
func (s *source) load() (train, test *mnist.Set, err error) {
	if s.Data != "" {
		return mnist.Load(s.Data)
	}
	return mnist.Embedded()
}

func samples(set *mnist.Set) *nn.Data {
	return &nn.Data{Rows: set.Rows, X: set.Images, Labels: set.Labels}
}

// widths are the widths of the network's layers, the inputs first.
func (j *job) widths(set *mnist.Set) []int {
	return slices.Concat([]int{set.Width * set.Height}, j.Hidden, []int{set.Classes})
}

// network makes a network of these widths, with He's initial weights and zero
// biases: the same ones at each call.
func network(widths []int, seed uint64) (*nn.Net, error) {
	var layers []nn.Layer
	for _, width := range widths[1:] {
		layers = append(layers, nn.Affine(width), nn.ReLU())
	}
	net, err := nn.New(widths[0], layers[:len(layers)-1]...)
	if err != nil {
		return nil, err
	}
	net.Init(nn.He(), seed)
	return net, nil
}

// dashed writes the widths as in 784-100-10.
func dashed(widths []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(widths), "[]"), " ", "-")
}

func checkOptimizers(names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("--optimizers: nothing, want some of %s", strings.Join(optim.Names(), ","))
	}
	for i, name := range names {
		if !slices.Contains(optim.Names(), name) {
			return fmt.Errorf("--optimizers: %q, want some of %s", name, strings.Join(optim.Names(), ","))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("--optimizers: %q twice, want each once", name)
		}
	}
	return nil
}
