package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// AdamCoef are the scalars of [Adam] at one step.
type AdamCoef struct {
	LR            float32 // η·√(1-β2ᵗ)/(1-β1ᵗ), the learning rate with the bias correction
	OneMinusBeta1 float32 // 1-β1
	OneMinusBeta2 float32 // 1-β2
	Eps           float32 // keeps the division from zero

	Grad GradCoef // what is done first
}

// Adam is one step of Adam, the bias correction in the learning rate:
//
//	m = m + OneMinusBeta1·(g - m)
//	v = v + OneMinusBeta2·(g·g - v)
//	p = p - (LR·m)/(√v + Eps)
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, m, v and grad have the same length. Aliasing: none. Source: Kingma
// and Ba, Adam: a method for stochastic optimization, 2015, the form at the end
// of section 2, as in Deep Learning from Scratch, section 6.1.6.
func Adam(p, m, v, grad []float32, c AdamCoef, limit ...Threads) {
	wantUpdate("Adam", p, "m", m, grad)
	wantUpdate("Adam", p, "v", v, grad)
	wantApart("Adam", "m", m, "v", v)
	task, most := adamTask{p, m, v, grad, c}, threads("Adam", limit)
	writes(p, m, v)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	adamTasks.run(most, len(p), block, task)
}

type adamTask struct {
	p, m, v, grad []float32
	c             AdamCoef
}

var adamTasks tasks[adamTask, *adamTask]

// Range does the elements lo to hi.
func (t *adamTask) Range(lo, hi int) {
	p, m, v, grad, c := t.p[lo:hi], t.m[lo:hi], t.v[lo:hi], t.grad[lo:hi], t.c
	if asm.Adam(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(m), unsafe.SliceData(v), unsafe.SliceData(grad),
		c.LR, c.OneMinusBeta1, c.OneMinusBeta2, c.Eps,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		m[i] += float32(c.OneMinusBeta1 * (g - m[i]))
		v[i] += float32(c.OneMinusBeta2 * (float32(g*g) - v[i]))
		p[i] = x - float32(c.LR*m[i])/(sqrt(v[i])+c.Eps)
	}
	c.Grad.done(grad)
}
