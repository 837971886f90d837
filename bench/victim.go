package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// victim is the process that `bench kill` kills. It trains on the files of writeTask,
// from a checkpoint if there is one, and writes the hash of the weights and the running
// statistics at the end.
type victim struct {
	Seed       uint64
	Task       string `arg:""`
	Checkpoint string `arg:""`
}

const (
	victimRows = 1250 // samples at most, a fifth of them for validation
	saveEvery  = 7    // steps, so that checkpoints fall before, on and after evaluations
)

// Run is called by kong.
func (v *victim) Run(ctx context.Context, to console) error {
	data, err := readTask(v.Task)
	if err != nil {
		return err
	}
	train, validation := data.Split(0.2, v.Seed)
	t := v.trainer(validation, 1+int(slices.Max(data.Labels)))
	if err := t.LoadFile(v.Checkpoint); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	t.OnStep = func(p nn.Progress) error {
		if p.Step%saveEvery != 0 {
			return nil
		}
		return t.SaveFile(v.Checkpoint)
	}
	if _, err := t.Fit(ctx, train); err != nil {
		return err
	}
	if err := t.SaveFile(v.Checkpoint); err != nil {
		return err
	}
	_, err = fmt.Fprintf(to.out, "%x\n", nn.Hash(slices.Concat(t.Net.Params(), t.Net.Stats())))
	return err
}

// trainer makes the same one at each call. Its patience ends the run, some evaluations
// after the best one, whose weights and statistics come back; the schedule has halved
// the rate before.
func (v *victim) trainer(validation *nn.Data, classes int) *nn.Trainer {
	net := nn.MustNew(len(validation.X)/validation.Rows,
		nn.Affine(100), nn.BatchNorm(nn.BatchNormOptions{}), nn.ReLU(), nn.Dropout(0.3),
		nn.Affine(50), nn.BatchNorm(nn.BatchNormOptions{}), nn.ReLU(), nn.Dropout(0.3),
		nn.Affine(classes))
	net.Init(nn.He(), v.Seed)
	return &nn.Trainer{
		Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{LR: 0.01}),
		Schedule: optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{Factor: 0.5, Patience: 1}),
		Seed:     v.Seed, Steps: 600, Batch: 64,
		Validation: validation, EvalEvery: 10, Patience: 6,
	}
}

// readTask reads the samples that writeTask has written.
func readTask(dir string) (*nn.Data, error) {
	x, err := readNumbers[float32](filepath.Join(dir, "inputs.f32"))
	if err != nil {
		return nil, err
	}
	labels, err := readNumbers[int32](filepath.Join(dir, "labels.i32"))
	if err != nil {
		return nil, err
	}
	return &nn.Data{Rows: len(labels), X: x, Labels: labels}, nil
}

func readNumbers[T float32 | int32](path string) ([]T, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	x := make([]T, len(content)/4)
	return x, binary.Read(bytes.NewReader(content), binary.NativeEndian, x)
}
