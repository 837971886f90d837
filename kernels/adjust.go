package kernels

import (
	"fmt"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// Adjust sets dst to the gradient as an update rule with the options c sees it;
// see [GradCoef].
//
// Shapes: p, dst and grad have the same length. Aliasing: none, but p and grad
// may share elements unless c.Zero is set. Panics also if c.Keep is not 0.
func Adjust(p, dst, grad []float32, c GradCoef, limit ...Threads) {
	wantDirection("Adjust", p, "dst", dst, grad, &c)
	task, most := adjustTask{p, dst, grad, c}, threads("Adjust", limit)
	reads(p)
	writes(dst)
	c.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	adjustTasks.run(most, len(p), block, task)
}

// wantDirection checks the vectors of a rule that writes to one vector and only
// reads the parameters.
func wantDirection(fn string, p []float32, name string, x, grad []float32, c *GradCoef) {
	wantLen(fn, name, len(x), "len(p)", len(p))
	wantLen(fn, "grad", len(grad), "len(p)", len(p))
	wantApart(fn, "p", p, name, x)
	wantApart(fn, name, x, "grad", grad)
	if c.Zero {
		wantApart(fn, "p", p, "grad", grad)
	}
	if c.Keep != 0 {
		panic(fmt.Sprintf("kernels.%s: Keep = %g, want 0: the parameters are only read", fn, c.Keep))
	}
}

type adjustTask struct {
	p, dst, grad []float32
	c            GradCoef
}

var adjustTasks tasks[adjustTask, *adjustTask]

// Range does the elements lo to hi.
func (t *adjustTask) Range(lo, hi int) {
	p, dst, grad, c := t.p[lo:hi], t.dst[lo:hi], t.grad[lo:hi], t.c
	if asm.Adjust(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(dst), unsafe.SliceData(grad),
		c.Scale, c.Clip, c.L1, c.L2, c.options()) {
		return
	}
	for i, g := range grad {
		_, dst[i] = c.ready(p[i], g)
	}
	c.done(grad)
}
