package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// AMSGrad is one step of [AdamW] that divides by the greatest v so far:
//
//	m = m + OneMinusBeta1·(g - m)
//	v = Beta2·v + (OneMinusBeta2·g)·g
//	top = top if top > v, else v
//	p = p - (StepSize·m)/(√top/RootCorrection + Eps)
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, m, v, top and grad have the same length. Aliasing: none. Numerics: a
// v that is NaN becomes top. Source: Reddi, Kale and Kumar, On the convergence of
// Adam and beyond, 2018, in the form of PyTorch's torch.optim.Adam with amsgrad.
func AMSGrad(p, m, v, top, grad []float32, c AdamWCoef, limit ...Threads) {
	wantUpdate("AMSGrad", p, "m", m, grad)
	wantUpdate("AMSGrad", p, "v", v, grad)
	wantUpdate("AMSGrad", p, "top", top, grad)
	wantApart("AMSGrad", "m", m, "v", v)
	wantApart("AMSGrad", "m", m, "top", top)
	wantApart("AMSGrad", "v", v, "top", top)
	task, most := amsGradTask{p, m, v, top, grad, c}, threads("AMSGrad", limit)
	writes(p, m, v, top)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	amsGradTasks.run(most, len(p), block, task)
}

type amsGradTask struct {
	p, m, v, top, grad []float32
	c                  AdamWCoef
}

var amsGradTasks tasks[amsGradTask, *amsGradTask]

// Range does the elements lo to hi.
func (t *amsGradTask) Range(lo, hi int) {
	p, m, v, top, grad, c := t.p[lo:hi], t.m[lo:hi], t.v[lo:hi], t.top[lo:hi], t.grad[lo:hi], t.c
	if correctable(c.RootCorrection, c.Eps) && asm.AMSGrad(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(m), unsafe.SliceData(v), unsafe.SliceData(top), unsafe.SliceData(grad),
		c.StepSize, c.OneMinusBeta1, c.Beta2, c.OneMinusBeta2, c.RootCorrection, c.Eps,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		m[i] += float32(c.OneMinusBeta1 * (g - m[i]))
		v[i] = float32(c.Beta2*v[i]) + float32(float32(c.OneMinusBeta2*g)*g)
		if !(top[i] > v[i]) {
			top[i] = v[i]
		}
		p[i] = x - float32(c.StepSize*m[i])/(sqrt(top[i])/c.RootCorrection+c.Eps)
	}
	c.Grad.done(grad)
}
