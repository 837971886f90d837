package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// LAMBCoef are the scalars of [LAMB] at step t = 1, 2, …
type LAMBCoef struct {
	MeanScale      float32 // 1/(1-β1ᵗ)
	OneMinusBeta1  float32 // 1-β1
	Beta2          float32 // β2
	OneMinusBeta2  float32 // 1-β2
	RootCorrection float32 // √(1-β2ᵗ)
	Eps            float32 // keeps the division from zero
	Decay          float32 // the weight decay λ

	Grad GradCoef // what is done first, without Keep
}

// LAMB is the part of a step of LAMB that comes before the norms: it leaves in dir
// what [AdamW] would step by for a learning rate of 1, with the weight decay.
//
//	m = m + OneMinusBeta1·(g - m)
//	v = Beta2·v + (OneMinusBeta2·g)·g
//	dir = (MeanScale·m)/(√v/RootCorrection + Eps) + Decay·p
//
// What c.Grad asks for comes first; see [GradCoef]. The step itself, for each
// layer, is p - (η·φ(‖p‖)/‖dir‖)·dir: the norms are those of [SumSquares].
//
// Shapes: p, m, v, dir and grad have the same length. Aliasing: none, but p and
// grad may share elements unless c.Grad.Zero is set. Panics also if c.Grad.Keep
// is not 0. Source: You et al., Large batch optimization for deep learning:
// training BERT in 76 minutes, 2020, algorithm 2.
func LAMB(p, m, v, dir, grad []float32, c LAMBCoef, limit ...Threads) {
	wantDirection("LAMB", p, "m", m, grad, &c.Grad)
	wantDirection("LAMB", p, "v", v, grad, &c.Grad)
	wantDirection("LAMB", p, "dir", dir, grad, &c.Grad)
	wantApart("LAMB", "m", m, "v", v)
	wantApart("LAMB", "m", m, "dir", dir)
	wantApart("LAMB", "v", v, "dir", dir)
	task, most := lambTask{p, m, v, dir, grad, c}, threads("LAMB", limit)
	reads(p)
	writes(m, v, dir)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	lambTasks.run(most, len(p), block, task)
}

type lambTask struct {
	p, m, v, dir, grad []float32
	c                  LAMBCoef
}

var lambTasks tasks[lambTask, *lambTask]

// Range does the elements lo to hi.
func (t *lambTask) Range(lo, hi int) {
	p, m, v, dir, grad, c := t.p[lo:hi], t.m[lo:hi], t.v[lo:hi], t.dir[lo:hi], t.grad[lo:hi], t.c
	if correctable(c.RootCorrection, c.Eps) && asm.LAMB(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(m), unsafe.SliceData(v), unsafe.SliceData(dir), unsafe.SliceData(grad),
		c.MeanScale, c.OneMinusBeta1, c.Beta2, c.OneMinusBeta2, c.RootCorrection, c.Eps, c.Decay,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		m[i] += float32(c.OneMinusBeta1 * (g - m[i]))
		v[i] = float32(c.Beta2*v[i]) + float32(float32(c.OneMinusBeta2*g)*g)
		dir[i] = float32(c.MeanScale*m[i])/(sqrt(v[i])/c.RootCorrection+c.Eps) + float32(c.Decay*x)
	}
	c.Grad.done(grad)
}
