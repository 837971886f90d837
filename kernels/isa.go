package kernels

import (
	"fmt"
	"math"

	"github.com/lockstep-go/lockstep/internal/cpu"
)

// ISA names the instruction set in use: "avx512", "avx2", "neon" or "portable".
func ISA() string { return cpu.Active().String() }

// ISAs names those that this build can use on this machine, worst first.
func ISAs() []string {
	have := cpu.Available()
	s := make([]string, len(have))
	for i, isa := range have {
		s[i] = isa.String()
	}
	return s
}

// SetISA forces the instruction set by name, for every call from now on; the
// empty name stands for the best one. The results are the same with each. A
// name that is unknown, or that this build or machine lacks, is an error and
// changes nothing.
//
// The environment variable LOCKSTEP_ISA sets it without a line of code. It is
// read by the first kernel called, which panics if the value is no good; a
// command reports that better by passing the value to SetISA itself.
func SetISA(name string) error { return cpu.Set(name) }

// SelfCheck reports an error if the floating-point unit is not in the state that
// the promise of equal bits needs: subnormals kept, rounding to nearest even. Go
// leaves it so, but C code in the process can change it. A thread inherits the
// state from the one that starts it: what a C library does when it is loaded at
// the start, as those built with -ffast-math do, holds for every thread and is
// found from each. What cgo code does later holds for the thread that it runs on
// and for those started from that; SelfCheck looks at the thread that it is called
// on, so call it there, after that code and before [runtime.UnlockOSThread].
func SelfCheck() error {
	checks := [...]struct {
		p, lr, grad, want float32 // want = p - lr·grad
		broken            string
	}{
		{0, 0x1p30, -0x1p-140, 0x1p-110, "subnormal operands are taken as zero (DAZ)"},
		{0x1p-126, 0.5, 0x1p-126, 0x1p-127, "subnormal results are flushed to zero (FTZ)"},
		{1, 0.5, -0x1p-24, 1, "rounding is not to nearest even"},
		{-1, 0.5, 0x1p-24, -1, "rounding is not to nearest even"},
		{1, 0.5, -0x1.8p-23, 1 + 0x1p-23, "rounding is not to nearest even"},
	}
	for _, c := range checks {
		p := [1]float32{c.p}
		SGD(p[:], []float32{c.grad}, SGDCoef{LR: c.lr})
		if math.Float32bits(p[0]) != math.Float32bits(c.want) {
			return fmt.Errorf("kernels: %s: some code of this process has changed the floating-point state", c.broken)
		}
	}
	return nil
}
