package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// RMSpropCoef are the scalars of [RMSprop].
type RMSpropCoef struct {
	LR          float32 // the learning rate η
	Rho         float32 // the decay ρ of the mean square
	OneMinusRho float32 // 1-ρ
	Eps         float32 // keeps the division from zero

	Grad GradCoef // what is done first
}

// RMSprop is one step of RMSprop:
//
//	h = Rho·h + OneMinusRho·(g·g)
//	p = p - (LR·g)/(√h + Eps)
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, h and grad have the same length. Aliasing: none. Source: Tieleman
// and Hinton, Lecture 6.5, 2012, in the form of Deep Learning from Scratch.
func RMSprop(p, h, grad []float32, c RMSpropCoef, limit ...Threads) {
	wantUpdate("RMSprop", p, "h", h, grad)
	task, most := rmspropTask{p, h, grad, c}, threads("RMSprop", limit)
	writes(p, h)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	rmspropTasks.run(most, len(p), block, task)
}

type rmspropTask struct {
	p, h, grad []float32
	c          RMSpropCoef
}

var rmspropTasks tasks[rmspropTask, *rmspropTask]

// Range does the elements lo to hi.
func (t *rmspropTask) Range(lo, hi int) {
	p, h, grad, c := t.p[lo:hi], t.h[lo:hi], t.grad[lo:hi], t.c
	if asm.RMSprop(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(h), unsafe.SliceData(grad),
		c.LR, c.Rho, c.OneMinusRho, c.Eps,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		h[i] = float32(c.Rho*h[i]) + float32(c.OneMinusRho*float32(g*g))
		p[i] = x - float32(c.LR*g)/(sqrt(h[i])+c.Eps)
	}
	c.Grad.done(grad)
}
