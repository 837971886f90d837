package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// AdamaxCoef are the scalars of [Adamax] at step t = 1, 2, …
type AdamaxCoef struct {
	StepSize      float32 // η/(1-β1ᵗ)
	OneMinusBeta1 float32 // 1-β1
	Beta2         float32 // β2
	Eps           float32 // keeps the division from zero

	Grad GradCoef // what is done first
}

// Adamax is one step of Adamax, which divides by a maximum that decays:
//
//	m = m + OneMinusBeta1·(g - m)
//	u = Beta2·u if Beta2·u > |g| + Eps, else |g| + Eps
//	p = p - (StepSize·m)/u
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, m, u and grad have the same length. Aliasing: none. Numerics: a g
// that is NaN makes u NaN; a u that is NaN is dropped with the next g that is not.
// Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015, section
// 7.1, in the form of PyTorch's torch.optim.Adamax.
func Adamax(p, m, u, grad []float32, c AdamaxCoef, limit ...Threads) {
	wantUpdate("Adamax", p, "m", m, grad)
	wantUpdate("Adamax", p, "u", u, grad)
	wantApart("Adamax", "m", m, "u", u)
	task, most := adamaxTask{p, m, u, grad, c}, threads("Adamax", limit)
	writes(p, m, u)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	adamaxTasks.run(most, len(p), block, task)
}

type adamaxTask struct {
	p, m, u, grad []float32
	c             AdamaxCoef
}

var adamaxTasks tasks[adamaxTask, *adamaxTask]

// Range does the elements lo to hi.
func (t *adamaxTask) Range(lo, hi int) {
	p, m, u, grad, c := t.p[lo:hi], t.m[lo:hi], t.u[lo:hi], t.grad[lo:hi], t.c
	if asm.Adamax(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(m), unsafe.SliceData(u), unsafe.SliceData(grad),
		c.StepSize, c.OneMinusBeta1, c.Beta2, c.Eps,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		m[i] += float32(c.OneMinusBeta1 * (g - m[i]))
		u[i] *= c.Beta2
		if size := abs(g) + c.Eps; !(u[i] > size) {
			u[i] = size
		}
		p[i] = x - float32(c.StepSize*m[i])/u[i]
	}
	c.Grad.done(grad)
}
