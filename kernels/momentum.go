package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// MomentumCoef are the scalars of [Momentum].
type MomentumCoef struct {
	LR       float32 // the learning rate η
	Momentum float32 // μ

	Grad GradCoef // what is done first
}

// Momentum is one step of gradient descent with momentum:
//
//	v = Momentum·v - LR·g
//	p = p + v
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, v and grad have the same length. Aliasing: none. Source: Polyak,
// Some methods of speeding up the convergence of iteration methods, 1964, in
// the form of Deep Learning from Scratch, section 6.1.4.
func Momentum(p, v, grad []float32, c MomentumCoef, limit ...Threads) {
	wantUpdate("Momentum", p, "v", v, grad)
	task, most := momentumTask{p, v, grad, c}, threads("Momentum", limit)
	writes(p, v)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	momentumTasks.run(most, len(p), block, task)
}

// wantUpdate checks the vectors of an update rule with one state vector.
func wantUpdate(fn string, p []float32, stateName string, state, grad []float32) {
	wantLen(fn, stateName, len(state), "len(p)", len(p))
	wantLen(fn, "grad", len(grad), "len(p)", len(p))
	wantApart(fn, "p", p, stateName, state)
	wantApart(fn, "p", p, "grad", grad)
	wantApart(fn, stateName, state, "grad", grad)
}

type momentumTask struct {
	p, v, grad []float32
	c          MomentumCoef
}

var momentumTasks tasks[momentumTask, *momentumTask]

// Range does the elements lo to hi.
func (t *momentumTask) Range(lo, hi int) {
	p, v, grad, c := t.p[lo:hi], t.v[lo:hi], t.grad[lo:hi], t.c
	if asm.Momentum(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(v), unsafe.SliceData(grad), c.LR, c.Momentum,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		v[i] = float32(c.Momentum*v[i]) - float32(c.LR*g)
		p[i] = x + v[i]
	}
	c.Grad.done(grad)
}
