package kernels

import (
	"math"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// AdaGradCoef are the scalars of [AdaGrad].
type AdaGradCoef struct {
	LR  float32 // the learning rate η
	Eps float32 // keeps the division from zero

	Grad GradCoef // what is done first
}

// AdaGrad is one step of AdaGrad:
//
//	h = h + g·g
//	p = p - (LR·g)/(√h + Eps)
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, h and grad have the same length. Aliasing: none. Source: Duchi,
// Hazan and Singer, Adaptive subgradient methods for online learning and
// stochastic optimization, 2011, in the form of Deep Learning from Scratch,
// section 6.1.5.
func AdaGrad(p, h, grad []float32, c AdaGradCoef, limit ...Threads) {
	wantUpdate("AdaGrad", p, "h", h, grad)
	task, most := adaGradTask{p, h, grad, c}, threads("AdaGrad", limit)
	writes(p, h)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	adaGradTasks.run(most, len(p), block, task)
}

type adaGradTask struct {
	p, h, grad []float32
	c          AdaGradCoef
}

var adaGradTasks tasks[adaGradTask, *adaGradTask]

// Range does the elements lo to hi.
func (t *adaGradTask) Range(lo, hi int) {
	p, h, grad, c := t.p[lo:hi], t.h[lo:hi], t.grad[lo:hi], t.c
	if asm.AdaGrad(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(h), unsafe.SliceData(grad), c.LR, c.Eps,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		h[i] += float32(g * g)
		p[i] = x - float32(c.LR*g)/(sqrt(h[i])+c.Eps)
	}
	c.Grad.done(grad)
}

// sqrt is the correctly rounded square root: that of the float64 keeps more than
// twice the bits, so rounding it again does no harm.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
