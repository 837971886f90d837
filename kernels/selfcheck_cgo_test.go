//go:build cgo && (amd64 || arm64)

package kernels

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestSelfCheckFinds has a program change the floating-point state in each way. It is
// built by cgo: where Go finds no C compiler, this file is no part of the tests.
func TestSelfCheckFinds(t *testing.T) {
	program := filepath.Join(t.TempDir(), "selfcheck")
	build := exec.Command("go", "build", "-o", program, "./testdata/selfcheck")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	const denormals, rounding = "subnormal operands are taken as zero", "rounding is not to nearest even"
	flush := "subnormal results are flushed to zero"
	if runtime.GOARCH == "arm64" {
		flush = denormals // one bit does both
	}
	for _, c := range []struct {
		args, want string
		lines      int // besides one for each instruction set
	}{
		{"", "<nil>", 0},
		{"flush-to-zero", flush, 0},
		{"denormals-are-zero", denormals, 0},
		{"fast-math", denormals, 0},
		{"up", rounding, 0},
		{"down", rounding, 0},
		{"towards-zero", rounding, 0},
		{"fast-math before", denormals, 8},
		{"flush-to-zero before", flush, 8},
		{"up before", rounding, 8},
		{"fast-math elsewhere", "<nil>", 0},
	} {
		out, err := exec.Command(program, strings.Fields(c.args)...).CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", c.args, err, out)
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) != len(ISAs())+c.lines {
			t.Errorf("%q: %d lines of output, want %d\n%s", c.args, len(lines), len(ISAs())+c.lines, out)
		}
		for _, line := range lines {
			if !strings.Contains(line, c.want) {
				t.Errorf("%q: %q, want %q", c.args, line, c.want)
			}
		}
	}
}
