package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-go/lockstep/nn"
)

// kill shows that a training run may be killed at any moment and loses no bit by it: a
// process trains and saves checkpoints, is killed and started again until it comes to the
// end. The network, the optimizer, the schedule and the patience, in victim.go, are of
// those that have something to go on from.
type kill struct {
	source
	Runs int `default:"100" help:"Training runs, each killed some times."`
}

// mostKills is after how many a run is left alone, so that it ends on any machine.
const mostKills = 8

// Validate is called by kong.
func (k *kill) Validate() error {
	if k.Runs < 1 {
		return fmt.Errorf("--runs: %d, want at least 1", k.Runs)
	}
	return k.check()
}

// Run is called by kong.
func (k *kill) Run(ctx context.Context, to console) error {
	set, _, err := k.load()
	if err != nil {
		return err
	}
	var part nn.Data
	part.Take(samples(set), firstIndices(min(victimRows, set.Rows)))
	dir, err := os.MkdirTemp("", "lockstep-kill-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeTask(dir, nil, []nn.Data{part}); err != nil {
		return err
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	v := &victims{own: own, task: dir, seed: k.Seed, checkpoint: filepath.Join(dir, "run", "checkpoint")}

	want, err := v.reference(ctx)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	fmt.Fprintf(to.out, "uninterrupted, in %v: %s\n", v.whole.Round(time.Millisecond), want)
	random := rand.New(rand.NewPCG(k.Seed, 0))
	var kills, saving, other int
	var runs [mostKills + 1]int // by the number of kills
	for i := range k.Runs {
		r, err := v.run(ctx, random)
		if err != nil {
			return cmp.Or(ctx.Err(), fmt.Errorf("run %d, killed %d times: %w", i+1, len(r.kills), err))
		}
		fmt.Fprintf(to.out, "run %3d, killed after ms %s: %s\n", i+1, r, r.hash)
		kills += len(r.kills)
		runs[len(r.kills)]++
		saving += r.saving()
		if r.hash != want {
			other++
		}
	}
	var byKills []string
	for n, some := range runs {
		if some > 0 {
			byKills = append(byKills, fmt.Sprintf("%d with %d", some, n))
		}
	}
	fmt.Fprintf(to.out, "\n%d kills, %d of them amid the writing of a checkpoint (*). Runs by their number of kills: %s.\n",
		kills, saving, strings.Join(byKills, ", "))
	if other > 0 {
		return fmt.Errorf("%d of %d runs end in other weights or running statistics than the uninterrupted one", other, k.Runs)
	}
	_, err = fmt.Fprintf(to.out, "All %d runs end in the weights and running statistics of the uninterrupted one.\n", k.Runs)
	return err
}

func firstIndices(n int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return indices
}

// victims are the processes that are killed.
type victims struct {
	own, task, checkpoint string
	seed                  uint64
	whole                 time.Duration // that an uninterrupted run takes
}

// death is a kill: how long after the start of the process, and whether it was amid the
// writing of a checkpoint.
type death struct {
	after  time.Duration
	saving bool
}

// killedRun is what became of a run.
type killedRun struct {
	kills []death
	hash  string // of the weights and running statistics at the end
}

func (r killedRun) String() string {
	var parts []string
	for _, d := range r.kills {
		part := fmt.Sprint(d.after.Milliseconds())
		if d.saving {
			part += "*"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

func (r killedRun) saving() (n int) {
	for _, d := range r.kills {
		if d.saving {
			n++
		}
	}
	return n
}

// reference runs twice without an interruption; it returns the hash.
func (v *victims) reference(ctx context.Context) (string, error) {
	var hashes []string
	for range 2 {
		if err := v.clear(); err != nil {
			return "", err
		}
		start := time.Now()
		hash, _, err := v.live(ctx, time.Hour)
		if err != nil {
			return "", err
		}
		if took := time.Since(start); v.whole == 0 || took < v.whole {
			v.whole = took
		}
		hashes = append(hashes, hash)
	}
	if hashes[0] != hashes[1] {
		return "", errors.New("two uninterrupted runs do not end alike")
	}
	return hashes[0], nil
}

// clear makes the directory of the checkpoint, with nothing there.
func (v *victims) clear() error {
	dir := filepath.Dir(v.checkpoint)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o777)
}

// run kills and goes on until the end, which leaves the checkpoint and no other file.
func (v *victims) run(ctx context.Context, random *rand.Rand) (killedRun, error) {
	var r killedRun
	if err := v.clear(); err != nil {
		return r, err
	}
	for {
		after := time.Hour
		if len(r.kills) < mostKills {
			after = time.Duration(random.Int64N(int64(v.whole)*6/10 + 1))
		}
		before := modified(v.checkpoint + ".tmp")
		hash, killed, err := v.live(ctx, after)
		if err != nil {
			return r, err
		}
		if killed {
			left := modified(v.checkpoint + ".tmp")
			r.kills = append(r.kills, death{after, !left.IsZero() && !left.Equal(before)})
			continue
		}
		r.hash = hash
		break
	}
	entries, err := os.ReadDir(filepath.Dir(v.checkpoint))
	if err != nil {
		return r, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	if !slices.Equal(names, []string{filepath.Base(v.checkpoint)}) {
		return r, fmt.Errorf("the files %q are left, want the checkpoint alone", names)
	}
	return r, nil
}

// modified returns when a file was changed last, or zero if there is none.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// live starts a process, and kills it after some time unless it has ended by then.
func (v *victims) live(ctx context.Context, after time.Duration) (hash string, killed bool, err error) {
	cmd := exec.CommandContext(ctx, v.own, "victim", "--seed", fmt.Sprint(v.seed), v.task, v.checkpoint)
	var out, message bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &message
	if err := cmd.Start(); err != nil {
		return "", false, err
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	err = cmd.Wait()
	alone := timer.Stop()
	switch {
	case err == nil:
		return strings.TrimSpace(out.String()), false, nil
	case alone || message.Len() > 0:
		return "", false, fmt.Errorf("%w: %s", err, lastLine(message.String()))
	}
	return "", true, nil
}
