package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed cblas_helper.c
var cblasHelper []byte

// blas is a process that runs cblas_helper.c, which says how it is talked to. It
// is a multiplier.
type blas struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	replies *bufio.Reader
	stderr  bytes.Buffer

	name, version, core, file string // of the library
}

// startBLAS starts a process for each of the two libraries. They end with ctx, or
// by stop.
func startBLAS(ctx context.Context, g *gemm) (openblas, blis *blas, err error) {
	dir, err := os.MkdirTemp("", "lockstep-gemm-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir) // a running program needs its file no more
	source, program := filepath.Join(dir, "helper.c"), filepath.Join(dir, "helper")
	if err := os.WriteFile(source, cblasHelper, 0o666); err != nil {
		return nil, nil, err
	}
	if out, err := exec.CommandContext(ctx, g.CC, "-O2", "-o", program, source, "-ldl").CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w: %s", g.CC, err, firstLine(string(out)))
	}

	var cores [2]string
	if g.Coretype != "native" {
		cores[0], cores[1], _ = strings.Cut(g.Coretype, "/")
	}
	openblas, err = startLibrary(ctx, program, g.OpenBLAS, "OpenBLAS", "libopenblas-dev", "OPENBLAS_CORETYPE", cores[0], g.Threads)
	if err != nil {
		return nil, nil, err
	}
	blis, err = startLibrary(ctx, program, g.BLIS, "BLIS", "libblis-dev", "BLIS_ARCH_TYPE", cores[1], g.Threads)
	if err != nil {
		openblas.stop()
		return nil, nil, err
	}
	return openblas, blis, nil
}

func startLibrary(ctx context.Context, program, library, name, debian, variable, core string, threads int) (*blas, error) {
	b := &blas{cmd: exec.CommandContext(ctx, program, library), name: name}
	b.cmd.Stderr = &b.stderr
	for _, prefix := range []string{"OMP", "OPENBLAS", "BLIS"} {
		b.cmd.Env = append(b.cmd.Environ(), fmt.Sprintf("%s_NUM_THREADS=%d", prefix, threads))
	}
	if core != "" {
		b.cmd.Env = append(b.cmd.Env, variable+"="+core)
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	b.replies = bufio.NewReader(out)
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	for _, s := range []*string{&b.version, &b.core, &b.file} {
		if *s, err = b.replies.ReadString('\n'); err != nil {
			return nil, fmt.Errorf("%s (Debian: %s): %w", name, debian, b.failed(err))
		}
		*s = strings.TrimSpace(*s)
	}
	switch {
	case !strings.HasPrefix(b.version, name+" "):
		err = fmt.Errorf("%s: %s is %q", name, b.file, b.version)
	case core != "" && !strings.EqualFold(core, b.core):
		err = fmt.Errorf("%s: its kernels are those for %s, want those for %s", name, b.core, core)
	default:
		return b, nil
	}
	b.stop()
	return nil, err
}

func (b *blas) String() string { return b.name }

func (b *blas) about() string {
	return fmt.Sprintf("kernels for %s; %s; %s", b.core, b.version, b.file)
}

func (b *blas) pid() int { return b.cmd.Process.Pid }

func (b *blas) multiply(p *problem) ([]float32, error) {
	bit := map[bool]int{true: 1}
	fmt.Fprintln(b.in, "gemm", bit[bool(p.tA)], bit[bool(p.tB)], p.m, p.n, p.k, p.lda, p.ldb, p.ldc, p.b, p.c, len(p.block))
	err := binary.Write(b.in, binary.NativeEndian, p.block)
	c := make([]float32, len(p.block)-p.c)
	if err == nil {
		err = binary.Read(b.replies, binary.NativeEndian, c)
	}
	if err != nil {
		return nil, b.failed(err)
	}
	return c, nil
}

func (b *blas) time(reps int) (lap, error) {
	var l lap
	_, err := fmt.Fprintln(b.in, "time", reps)
	if err == nil {
		_, err = fmt.Fscanln(b.replies, &l.Elapsed, &l.User)
	}
	if err != nil {
		return l, b.failed(err)
	}
	return l, nil
}

// failed ends the process after an error in talking to it, and returns what it
// has to say about that, which tells more, or else the error.
func (b *blas) failed(err error) error {
	return cmp.Or(b.stop(), fmt.Errorf("no answer from %s: %w", b.name, err))
}

// stop ends the process; its error is the first line that the process wrote to
// standard error, if it failed.
func (b *blas) stop() error {
	b.in.Close()
	err := b.cmd.Wait()
	if err == nil || b.cmd.ProcessState == nil {
		return err
	}
	return fmt.Errorf("%s: %w: %s", b.name, err, firstLine(b.stderr.String()))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
