//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBoot has a script in the emulator's place, which writes to the machine's two
// serial lines.
func TestBoot(t *testing.T) {
	for _, c := range []struct {
		name, script string
		status       int
		output       string
		err          string // part of the error, empty for none
	}{
		{"pass", `
			echo "[    6.1] lockstep: the kernels use avx2" >&3
			echo PASS >&4
			echo "[    7.9] lockstep: exit status 0" >&3
			exit 1`, 0, "bochs: the kernels use avx2\nPASS\n", ""},
		{"fail", `
			echo FAIL >&4
			echo "[    7.9] lockstep: exit status 1" >&3`, 1, "FAIL\n", ""},
		{"a test's own line", `echo "[    7.9] lockstep: exit status 0" >&4`, 0, "[    7.9] lockstep: exit status 0\n", "no result"},
		{"no result", `
			echo "[    0.5] oops" >&3
			echo "cpu directive malformed" >&2
			exit 1`, 0, "", "no result: exit status 1\nthe machine's console:\n[    0.5] oops\nthe end of the emulator's log:\ncpu directive malformed\n"},
		{"panic", `
			echo "[    0.5] Kernel panic - not syncing" >&3
			exec sleep 60`, 0, "", "the machine's kernel gave up"},
		{"too long", `exec sleep 60`, 0, "", "no more time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			if err := os.WriteFile(filepath.Join(dir, "bochs"), []byte("#!/bin/sh\n"+c.script), 0o755); err != nil {
				t.Fatal(err)
			}
			limit := time.Minute
			if c.err == "no more time" {
				limit = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("no more time"))
			defer cancel()
			var out strings.Builder
			status, err := boot(ctx, &out, dir)
			// The lines' order is free, since they come from two sides.
			got := slices.Sorted(strings.Lines(out.String()))
			if want := slices.Sorted(strings.Lines(c.output)); !slices.Equal(got, want) {
				t.Errorf("output %q, want %q", got, want)
			}
			if status != c.status || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("status %d and error %v, want %d and %q", status, err, c.status, c.err)
			}
		})
	}
}

// TestRefused: nothing is started where something is missing.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name, isa string
		args      []string
		err       string
	}{
		{"packages", "avx2", []string{"kernels.test"}, "packages are missing: bochs"},
		{"instruction set", "", []string{"kernels.test"}, "-isa"},
		{"test", "avx2", nil, "a test binary"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PATH", t.TempDir())
			if _, err := run(nil, "corei7_skylake_x", "/boot/*", c.isa, time.Minute, c.args); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want one that says %q", err, c.err)
			}
		})
	}
}
