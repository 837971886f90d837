package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/lockstep-go/lockstep/nn"
)

//go:embed torch_step.py
var torchScript string

// torch is a Python process that runs a script, which says how it is talked to.
type torch struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	replies *json.Decoder
	stderr  bytes.Buffer
}

// startTorch starts the process of torch_step.py on the files that writeForTorch left
// in dir. It ends with ctx, or by stop.
func startTorch(ctx context.Context, python, dir, optimizer string, threads, batch int, widths []int) (*torch, error) {
	args := []string{dir, optimizer, fmt.Sprint(threads), fmt.Sprint(batch)}
	for _, width := range widths {
		args = append(args, fmt.Sprint(width))
	}
	return startScript(ctx, python, torchScript, threads, args...)
}

// startScript starts the process of a script.
func startScript(ctx context.Context, python, script string, threads int, args ...string) (*torch, error) {
	t := &torch{cmd: exec.CommandContext(ctx, python, append([]string{"-c", script}, args...)...)}
	t.cmd.Stderr = &t.stderr
	for _, library := range []string{"OMP", "OPENBLAS", "MKL"} {
		t.cmd.Env = append(t.cmd.Environ(), fmt.Sprintf("%s_NUM_THREADS=%d", library, threads))
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.replies = json.NewDecoder(out)
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return t, t.cmd.Start()
}

func (t *torch) pid() int { return t.cmd.Process.Pid }

func (t *torch) train(steps int) (lap, error) {
	var l lap
	_, err := fmt.Fprintln(t.in, steps)
	if err == nil {
		err = t.replies.Decode(&l)
	}
	if err != nil {
		// What the process has to say tells more than that it does not answer.
		return l, cmp.Or(t.stop(), fmt.Errorf("no answer from %s: %w", t.cmd.Path, err))
	}
	return l, nil
}

// stop ends the process; its error is the last line that the process wrote to
// standard error, if it failed.
func (t *torch) stop() error {
	t.in.Close()
	err := t.cmd.Wait()
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(t.stderr.String()), "\n")
	return fmt.Errorf("%s: %w: %s", t.cmd.Path, err, lines[len(lines)-1])
}

// writeForTorch writes the initial parameters and the batches.
func writeForTorch(dir string, params []float32, batches []nn.Data) error {
	var x []float32
	var labels []int32
	for _, batch := range batches {
		x = append(x, batch.X...)
		labels = append(labels, batch.Labels...)
	}
	for name, values := range map[string]any{"params.f32": params, "batches.f32": x, "labels.i32": labels} {
		err := writeFile(filepath.Join(dir, name), func(w io.Writer) error { return binary.Write(w, binary.NativeEndian, values) })
		if err != nil {
			return err
		}
	}
	return nil
}
