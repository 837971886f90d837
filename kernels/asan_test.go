//go:build asan

package kernels

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"
)

// overreadEnv makes TestOverread the program that reads too far.
const overreadEnv = "LOCKSTEP_TEST_OVERREAD"

// TestOverread runs a program that hands kernels slices which are longer than their
// memory, as only unsafe code can make them: the address sanitizer has to report each.
func TestOverread(t *testing.T) {
	calls := map[string]func(x, longer []float32){
		"read by SumSquares": func(x, longer []float32) { SumSquares(longer, 1) },
		"written by Scale":   func(x, longer []float32) { Scale(longer, make([]float32, len(longer)), 2, 1) },
		"read by Gemm": func(x, longer []float32) {
			Gemm(NoTrans, NoTrans, 1, 1, len(longer), 1, longer, len(longer), longer, 1, 0, make([]float32, 1), 1, 1)
		},
	}
	if what := os.Getenv(overreadEnv); what != "" {
		x := make([]float32, 60)
		calls[what](x, unsafe.Slice(&x[0], len(x)+6))
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for what := range calls {
		cmd := exec.Command(program, "-test.run=^TestOverread$")
		cmd.Env = append(os.Environ(), overreadEnv+"="+what)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "ERROR: AddressSanitizer") {
			t.Errorf("%s: nothing was reported: error %v, output\n%s", what, err, out)
		}
	}
}
