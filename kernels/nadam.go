package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// NAdamCoef are the scalars of [NAdam] at step t = 1, 2, …
type NAdamCoef struct {
	GradStep          float32 // η·(1-μₜ)/(1-Πμ), the product up to μₜ
	MeanStep          float32 // η·μₜ₊₁/(1-Πμ), the product up to μₜ₊₁
	OneMinusBeta1     float32 // 1-β1
	Beta2             float32 // β2
	OneMinusBeta2     float32 // 1-β2
	InverseCorrection float32 // 1/(1-β2ᵗ)
	Eps               float32 // keeps the division from zero

	Grad GradCoef // what is done first
}

// NAdam is one step of Adam with Nesterov's momentum:
//
//	m = m + OneMinusBeta1·(g - m)
//	v = Beta2·v + (OneMinusBeta2·g)·g
//	p = p - (GradStep·g + MeanStep·m)/(√(v·InverseCorrection) + Eps)
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, m, v and grad have the same length. Aliasing: none. Source: Dozat,
// Incorporating Nesterov momentum into Adam, 2016, in the form of PyTorch's
// torch.optim.NAdam, but with one division for both terms.
func NAdam(p, m, v, grad []float32, c NAdamCoef, limit ...Threads) {
	wantUpdate("NAdam", p, "m", m, grad)
	wantUpdate("NAdam", p, "v", v, grad)
	wantApart("NAdam", "m", m, "v", v)
	task, most := nAdamTask{p, m, v, grad, c}, threads("NAdam", limit)
	writes(p, m, v)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	nAdamTasks.run(most, len(p), block, task)
}

type nAdamTask struct {
	p, m, v, grad []float32
	c             NAdamCoef
}

var nAdamTasks tasks[nAdamTask, *nAdamTask]

// Range does the elements lo to hi.
func (t *nAdamTask) Range(lo, hi int) {
	p, m, v, grad, c := t.p[lo:hi], t.m[lo:hi], t.v[lo:hi], t.grad[lo:hi], t.c
	if asm.NAdam(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(m), unsafe.SliceData(v), unsafe.SliceData(grad),
		c.GradStep, c.MeanStep, c.OneMinusBeta1, c.Beta2, c.OneMinusBeta2, c.InverseCorrection, c.Eps,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		m[i] += float32(c.OneMinusBeta1 * (g - m[i]))
		v[i] = float32(c.Beta2*v[i]) + float32(float32(c.OneMinusBeta2*g)*g)
		step := float32(c.GradStep*g) + float32(c.MeanStep*m[i])
		p[i] = x - step/(sqrt(float32(v[i]*c.InverseCorrection))+c.Eps)
	}
	c.Grad.done(grad)
}
