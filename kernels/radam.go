package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// RAdamCoef are the scalars of [RAdam] at step t = 1, 2, …
type RAdamCoef struct {
	StepSize      float32 // η/(1-β1ᵗ), times rₜ·√(1-β2ᵗ) if rectified
	OneMinusBeta1 float32 // 1-β1
	Beta2         float32 // β2
	OneMinusBeta2 float32 // 1-β2
	Eps           float32 // keeps the division from zero
	Rectified     bool    // ρₜ > 5: the variance is good enough to divide by its root

	Grad GradCoef // what is done first
}

// RAdam is one step of rectified Adam:
//
//	m = m + OneMinusBeta1·(g - m)
//	v = Beta2·v + (OneMinusBeta2·g)·g
//	p = p - (StepSize·m)/(√v + Eps) if Rectified, else p - StepSize·m
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, m, v and grad have the same length. Aliasing: none. Source: Liu et
// al., On the variance of the adaptive learning rate and beyond, 2020, algorithm
// 2, in the form of PyTorch's torch.optim.RAdam.
func RAdam(p, m, v, grad []float32, c RAdamCoef, limit ...Threads) {
	wantUpdate("RAdam", p, "m", m, grad)
	wantUpdate("RAdam", p, "v", v, grad)
	wantApart("RAdam", "m", m, "v", v)
	task, most := rAdamTask{p, m, v, grad, c}, threads("RAdam", limit)
	writes(p, m, v)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	rAdamTasks.run(most, len(p), block, task)
}

type rAdamTask struct {
	p, m, v, grad []float32
	c             RAdamCoef
}

var rAdamTasks tasks[rAdamTask, *rAdamTask]

// Range does the elements lo to hi.
func (t *rAdamTask) Range(lo, hi int) {
	p, m, v, grad, c := t.p[lo:hi], t.m[lo:hi], t.v[lo:hi], t.grad[lo:hi], t.c
	var rectified float32
	if c.Rectified {
		rectified = 1
	}
	if asm.RAdam(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(m), unsafe.SliceData(v), unsafe.SliceData(grad),
		c.StepSize, c.OneMinusBeta1, c.Beta2, c.OneMinusBeta2, c.Eps, rectified,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		m[i] += float32(c.OneMinusBeta1 * (g - m[i]))
		v[i] = float32(c.Beta2*v[i]) + float32(float32(c.OneMinusBeta2*g)*g)
		root := float32(1)
		if c.Rectified {
			root = sqrt(v[i]) + c.Eps
		}
		p[i] = x - float32(c.StepSize*m[i])/root
	}
	c.Grad.done(grad)
}
