package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/lockstep-go/lockstep/nn"
)

// helper is a process that trains with another library. It says a line of JSON at the
// start; then each line that it reads is a number of steps, and the answer to it is a
// lap as a line of JSON.
type helper struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	replies *json.Decoder
	stderr  bytes.Buffer
}

// startHelper starts a process whose libraries use so many threads, and reads into hello
// what it says at the start. It ends with ctx, or by stop.
func startHelper(ctx context.Context, threads int, hello any, path string, args ...string) (*helper, error) {
	h := &helper{cmd: exec.CommandContext(ctx, path, args...)}
	h.cmd.Stderr = &h.stderr
	for _, limit := range []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "GOMAXPROCS"} {
		h.cmd.Env = append(h.cmd.Environ(), fmt.Sprintf("%s=%d", limit, threads))
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	h.replies = json.NewDecoder(out)
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	return h, h.answer(hello)
}

func (h *helper) pid() int { return h.cmd.Process.Pid }

func (h *helper) train(steps int) (lap, error) {
	var l lap
	if _, err := fmt.Fprintln(h.in, steps); err != nil {
		return l, h.failed(err)
	}
	return l, h.answer(&l)
}

// answer reads a line.
func (h *helper) answer(line any) error {
	if err := h.replies.Decode(line); err != nil {
		return h.failed(err)
	}
	return nil
}

// failed ends the process: what it has to say tells more than that it does not answer.
func (h *helper) failed(err error) error {
	return cmp.Or(h.stop(), fmt.Errorf("no answer from %s: %w", h.cmd.Path, err))
}

// stop ends the process; its error is the last line that the process wrote to
// standard error, if it failed.
func (h *helper) stop() error {
	h.in.Close()
	err := h.cmd.Wait()
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", h.cmd.Path, err, lastLine(h.stderr.String()))
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// writeTask writes what a process is to train: initial parameters, and batches of samples
// one behind the other.
func writeTask(dir string, params []float32, batches []nn.Data) error {
	var x []float32
	var labels []int32
	for _, batch := range batches {
		x = append(x, batch.X...)
		labels = append(labels, batch.Labels...)
	}
	for name, values := range map[string]any{"params.f32": params, "inputs.f32": x, "labels.i32": labels} {
		err := writeFile(filepath.Join(dir, name), func(w io.Writer) error { return binary.Write(w, binary.NativeEndian, values) })
		if err != nil {
			return err
		}
	}
	return nil
}
