package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// SGDCoef are the scalars of [SGD].
type SGDCoef struct {
	LR float32 // the learning rate η

	Grad GradCoef // what is done first
}

// SGD is one step of stochastic gradient descent:
//
//	p = p - LR·g
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p and grad have the same length. Aliasing: none.
func SGD(p, grad []float32, c SGDCoef, limit ...Threads) {
	wantLen("SGD", "grad", len(grad), "len(p)", len(p))
	wantApart("SGD", "p", p, "grad", grad)
	task, most := sgdTask{p, grad, c}, threads("SGD", limit)
	writes(p)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	sgdTasks.run(most, len(p), block, task)
}

type sgdTask struct {
	p, grad []float32
	c       SGDCoef
}

var sgdTasks tasks[sgdTask, *sgdTask]

// Range does the elements lo to hi.
func (t *sgdTask) Range(lo, hi int) {
	p, grad, c := t.p[lo:hi], t.grad[lo:hi], t.c
	if asm.SGD(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(grad), c.LR,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		p[i] = x - float32(c.LR*g)
	}
	c.Grad.done(grad)
}
