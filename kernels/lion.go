package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// LionCoef are the scalars of [Lion].
type LionCoef struct {
	LR            float32 // the learning rate η
	Beta1         float32 // β1
	OneMinusBeta1 float32 // 1-β1
	Beta2         float32 // β2
	OneMinusBeta2 float32 // 1-β2

	Grad GradCoef // what is done first; its Keep is Lion's weight decay
}

// Lion is one step of Lion, which goes by the sign alone:
//
//	p = p - LR·sign(Beta1·m + OneMinusBeta1·g)
//	m = Beta2·m + OneMinusBeta2·g
//
// The sign of a zero and of NaN is 0. What c.Grad asks for comes first; see
// [GradCoef].
//
// Shapes: p, m and grad have the same length. Aliasing: none. Source: Chen et al.,
// Symbolic discovery of optimization algorithms, 2023, algorithm 2.
func Lion(p, m, grad []float32, c LionCoef, limit ...Threads) {
	wantUpdate("Lion", p, "m", m, grad)
	task, most := lionTask{p, m, grad, c}, threads("Lion", limit)
	writes(p, m)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	lionTasks.run(most, len(p), block, task)
}

type lionTask struct {
	p, m, grad []float32
	c          LionCoef
}

var lionTasks tasks[lionTask, *lionTask]

// Range does the elements lo to hi.
func (t *lionTask) Range(lo, hi int) {
	p, m, grad, c := t.p[lo:hi], t.m[lo:hi], t.grad[lo:hi], t.c
	if asm.Lion(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(m), unsafe.SliceData(grad),
		c.LR, c.Beta1, c.OneMinusBeta1, c.Beta2, c.OneMinusBeta2,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		p[i] = x - signed(float32(c.Beta1*m[i])+float32(c.OneMinusBeta1*g), c.LR)
		m[i] = float32(c.Beta2*m[i]) + float32(c.OneMinusBeta2*g)
	}
	c.Grad.done(grad)
}
