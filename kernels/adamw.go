package kernels

import (
	"math"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// AdamWCoef are the scalars of [AdamW] at step t = 1, 2, …
type AdamWCoef struct {
	StepSize       float32 // η/(1-β1ᵗ)
	OneMinusBeta1  float32 // 1-β1
	Beta2          float32 // β2
	OneMinusBeta2  float32 // 1-β2
	RootCorrection float32 // √(1-β2ᵗ)
	Eps            float32 // keeps the division from zero

	Grad GradCoef // what is done first; its Keep is AdamW's weight decay
}

// AdamW is one step of Adam with both means corrected for their start at zero and
// ε added afterwards, which is not what [Adam] does:
//
//	m = m + OneMinusBeta1·(g - m)
//	v = Beta2·v + (OneMinusBeta2·g)·g
//	p = p - (StepSize·m)/(√v/RootCorrection + Eps)
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, m, v and grad have the same length. Aliasing: none. Source: Kingma
// and Ba, Adam: a method for stochastic optimization, 2015, algorithm 1, and
// Loshchilov and Hutter, Decoupled weight decay regularization, 2019, algorithm 2,
// in the evaluation order of PyTorch's torch.optim.AdamW.
func AdamW(p, m, v, grad []float32, c AdamWCoef, limit ...Threads) {
	wantUpdate("AdamW", p, "m", m, grad)
	wantUpdate("AdamW", p, "v", v, grad)
	wantApart("AdamW", "m", m, "v", v)
	task, most := adamWTask{p, m, v, grad, c}, threads("AdamW", limit)
	writes(p, m, v)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	adamWTasks.run(most, len(p), block, task)
}

type adamWTask struct {
	p, m, v, grad []float32
	c             AdamWCoef
}

var adamWTasks tasks[adamWTask, *adamWTask]

// Range does the elements lo to hi.
func (t *adamWTask) Range(lo, hi int) {
	p, m, v, grad, c := t.p[lo:hi], t.m[lo:hi], t.v[lo:hi], t.grad[lo:hi], t.c
	if correctable(c.RootCorrection, c.Eps) && asm.AdamW(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(m), unsafe.SliceData(v), unsafe.SliceData(grad),
		c.StepSize, c.OneMinusBeta1, c.Beta2, c.OneMinusBeta2, c.RootCorrection, c.Eps,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		m[i] += float32(c.OneMinusBeta1 * (g - m[i]))
		v[i] = float32(c.Beta2*v[i]) + float32(float32(c.OneMinusBeta2*g)*g)
		p[i] = x - float32(c.StepSize*m[i])/(sqrt(v[i])/c.RootCorrection+c.Eps)
	}
	c.Grad.done(grad)
}

// correctable tells whether assembly may multiply by the reciprocal of rootCorrection,
// and correct the product, where the formula divides by it. All that an optimizer asks
// for is; the portable loop does the rest.
func correctable(rootCorrection, eps float32) bool {
	return 0x1p-20 <= rootCorrection && rootCorrection <= 0x1p20 && math.Float32bits(eps) != 1<<31
}
