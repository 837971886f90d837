package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// AdadeltaCoef are the scalars of [Adadelta].
type AdadeltaCoef struct {
	LR          float32 // the learning rate η, which the source leaves at 1
	Rho         float32 // the decay ρ of both mean squares
	OneMinusRho float32 // 1-ρ
	Eps         float32 // keeps the roots from zero

	Grad GradCoef // what is done first
}

// Adadelta is one step of Adadelta, with h the mean square of the gradients and d
// that of the steps:
//
//	h = Rho·h + (OneMinusRho·g)·g
//	u = (√(d + Eps)/√(h + Eps))·g
//	d = Rho·d + (OneMinusRho·u)·u
//	p = p - LR·u
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, h, d and grad have the same length. Aliasing: none. Source: Zeiler,
// ADADELTA: an adaptive learning rate method, 2012, algorithm 1, in the
// evaluation order of PyTorch's torch.optim.Adadelta.
func Adadelta(p, h, d, grad []float32, c AdadeltaCoef, limit ...Threads) {
	wantUpdate("Adadelta", p, "h", h, grad)
	wantUpdate("Adadelta", p, "d", d, grad)
	wantApart("Adadelta", "h", h, "d", d)
	task, most := adadeltaTask{p, h, d, grad, c}, threads("Adadelta", limit)
	writes(p, h, d)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	adadeltaTasks.run(most, len(p), block, task)
}

type adadeltaTask struct {
	p, h, d, grad []float32
	c             AdadeltaCoef
}

var adadeltaTasks tasks[adadeltaTask, *adadeltaTask]

// Range does the elements lo to hi.
func (t *adadeltaTask) Range(lo, hi int) {
	p, h, d, grad, c := t.p[lo:hi], t.h[lo:hi], t.d[lo:hi], t.grad[lo:hi], t.c
	if asm.Adadelta(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(h), unsafe.SliceData(d), unsafe.SliceData(grad),
		c.LR, c.Rho, c.OneMinusRho, c.Eps,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		h[i] = float32(c.Rho*h[i]) + float32(float32(c.OneMinusRho*g)*g)
		u := float32(sqrt(d[i]+c.Eps)/sqrt(h[i]+c.Eps)) * g
		d[i] = float32(c.Rho*d[i]) + float32(float32(c.OneMinusRho*u)*u)
		p[i] = x - float32(c.LR*u)
	}
	c.Grad.done(grad)
}
