package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed step.py
var stepScript string

// peer is a library that a training step is timed beside.
type peer struct {
	title string
	rules []string // the update rules that it has as Lockstep has them
	// command returns the program that trains, and arguments to come before the others.
	command func(ctx context.Context, v *versus, dir string) (path string, args []string, err error)
}

// peers are by the names that --against has.
var peers = map[string]peer{
	"pytorch": {"PyTorch", []string{"sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"},
		func(_ context.Context, v *versus, _ string) (string, []string, error) {
			return v.Python, []string{"-c", stepScript, "pytorch"}, nil
		}},
	"scikit-learn": {"scikit-learn", []string{"sgd", "momentum", "nesterov", "adam"},
		func(_ context.Context, v *versus, _ string) (string, []string, error) {
			return v.Python, []string{"-c", stepScript, "scikit-learn"}, nil
		}},
	"spago": {"spaGO", []string{"sgd", "adam"},
		func(ctx context.Context, _ *versus, dir string) (string, []string, error) {
			path := filepath.Join(dir, "spago")
			out, err := exec.CommandContext(ctx, "go", "build", "-C", peerModule, "-o", path, ".").CombinedOutput()
			if err != nil {
				return "", nil, fmt.Errorf("go build -C %s: %w: %s", peerModule, err, lastLine(string(out)))
			}
			return path, nil, nil
		}},
}

// peerModule is where the program that trains with spaGO is, seen from the root of
// this repository. It is a module of its own, so that Lockstep does not depend on that.
const peerModule = "bench/peer"

// checkPeer says what is missing for a peer.
func (v *versus) checkPeer(name string) error {
	if name != "spago" {
		if _, err := exec.LookPath(v.Python); err != nil {
			return fmt.Errorf("--python: want a Python that has %s: %w", peers[name].title, err)
		}
		return nil
	}
	if _, err := os.Stat(filepath.Join(peerModule, "go.mod")); err != nil {
		return fmt.Errorf("--against: spago, want to be started in the root of Lockstep's repository: %w", err)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("--against: spago, want Go to build it with: %w", err)
	}
	return nil
}

// program is a peer's, with what comes before the arguments of a race.
type program struct {
	peer
	path    string
	args    []string
	version string // as of the last start
}

// start starts the program on the files of writeTask in dir.
func (p *program) start(ctx context.Context, dir, optimizer string, threads int, s spec) (*racer, error) {
	args := append(p.args[:len(p.args):len(p.args)], dir, optimizer, fmt.Sprint(threads), fmt.Sprint(s.batch))
	for _, width := range s.widths {
		args = append(args, fmt.Sprint(width))
	}
	var hello struct {
		Version, Form string
		Differs       bool
	}
	h, err := startHelper(ctx, threads, &hello, p.path, args...)
	if err != nil {
		return nil, err
	}
	p.version = hello.Version
	name := p.title
	if hello.Form != "" {
		name += " " + hello.Form
	}
	return &racer{name: name, pid: h.pid(), train: h.train, stop: h.stop, differs: hello.Differs}, nil
}
