package main

import (
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-go/lockstep/nn"
)

// dieAsVictim is a process for kill that does something wrong, as how says.
func dieAsVictim(how string) {
	checkpoint := os.Args[len(os.Args)-1]
	_, err := os.Stat(checkpoint)
	again := err == nil
	name := checkpoint
	if how == "litters" && again {
		name += ".tmp"
	}
	if err := os.WriteFile(name, nil, 0o666); err != nil {
		log.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	switch {
	case how == "fails" && again:
		fmt.Fprintln(os.Stderr, "it went\nwrong")
		os.Exit(1)
	case how == "forgets" && again:
		fmt.Println("01")
	case how == "wavers":
		fmt.Println(time.Now().UnixNano())
	default:
		fmt.Println("00")
	}
}

func TestKill(t *testing.T) {
	set := writeSet(t)
	t.Setenv("TMPDIR", t.TempDir())
	for _, c := range []struct {
		program string
		status  int
		want    string // a pattern in the output, of either kind
	}{
		{"bench", 0, `^uninterrupted, in .*: ([0-9a-f]{64})\nrun   1, killed after ms .*: [0-9a-f]{64}\nrun   2, killed after ms .*: [0-9a-f]{64}\n\n` +
			`[1-9]\d* kills, \d+ of them .*\nAll 2 runs end in the weights and running statistics of the uninterrupted one\.\n$`},
		{"forgets", 1, `bench: 2 of 2 runs end in other weights or running statistics`},
		{"litters", 1, `bench: run 1, killed \d+ times: the files \["checkpoint" "checkpoint\.tmp"\] are left`},
		{"fails", 1, `bench: run 1, killed \d+ times: exit status 1: wrong\n$`},
		{"wavers", 1, `bench: two uninterrupted runs do not end alike`},
	} {
		t.Setenv(standIn, c.program)
		status, stdout, stderr := bench("kill", "--data", set, "--runs", "2")
		if status != c.status {
			t.Errorf("%s: status %d, want %d; %s", c.program, status, c.status, stderr)
		}
		if !regexp.MustCompile(c.want).MatchString(stdout + stderr) {
			t.Errorf("%s: no %q in the output\n%s%s", c.program, c.want, stdout, stderr)
		}
	}
	if entries, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(entries) > 0 {
		t.Errorf("files left behind: %v (%v)", entries, err)
	}
	if status, _, stderr := bench("kill", "--runs", "0"); status != 2 || !strings.Contains(stderr, "--runs: 0, want at least 1") {
		t.Errorf("no runs: status %d, %s", status, stderr)
	}
}

// TestVictim: what is killed has all that a checkpoint must bring back: running
// statistics, a schedule that has moved, patience that ends it, and best weights that
// are not the last.
func TestVictim(t *testing.T) {
	train, _, err := (&source{}).load()
	if err != nil {
		t.Fatal(err)
	}
	var part nn.Data
	part.Take(samples(train), firstIndices(victimRows))
	set, validation := part.Split(0.2, 1)
	trainer := (&victim{Seed: 1}).trainer(validation, train.Classes)
	history, err := trainer.Fit(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	last := len(history.Evaluations) - 1
	if !history.Stopped || len(history.Losses) == trainer.Steps || history.Best == last || history.Evaluations[last].LR > 0.005 || len(trainer.Net.Stats()) == 0 {
		t.Errorf("stopped %v after %d steps, the best evaluation %d of %d, the rate %v, %d running statistics",
			history.Stopped, len(history.Losses), history.Best, last+1, history.Evaluations[last].LR, len(trainer.Net.Stats()))
	}
	t.Logf("%d steps, the best evaluation %d of %d, the rate %v", len(history.Losses), history.Best, last+1, history.Evaluations[last].LR)
}
