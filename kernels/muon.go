package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// MuonCoef are the scalars of [Muon].
type MuonCoef struct {
	Momentum         float32 // μ
	OneMinusMomentum float32 // 1-μ

	Grad GradCoef // what is done first, without Keep
}

// Muon is the part of a step of Muon that comes before the orthogonalisation: it
// leaves in dir the momentum looked ahead to.
//
//	m = m + OneMinusMomentum·(g - m)
//	dir = g + Momentum·(m - g)
//
// What c.Grad asks for comes first; see [GradCoef]. The step itself, for each
// matrix, is along dir with its singular values made 1.
//
// Shapes: p, m, dir and grad have the same length. Aliasing: none, but p and grad
// may share elements unless c.Grad.Zero is set. Panics also if c.Grad.Keep is not
// 0. Source: Jordan et al., Muon: an optimizer for hidden layers in neural
// networks, 2024.
func Muon(p, m, dir, grad []float32, c MuonCoef, limit ...Threads) {
	wantDirection("Muon", p, "m", m, grad, &c.Grad)
	wantDirection("Muon", p, "dir", dir, grad, &c.Grad)
	wantApart("Muon", "m", m, "dir", dir)
	task, most := muonTask{p, m, dir, grad, c}, threads("Muon", limit)
	reads(p)
	writes(m, dir)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	muonTasks.run(most, len(p), block, task)
}

type muonTask struct {
	p, m, dir, grad []float32
	c               MuonCoef
}

var muonTasks tasks[muonTask, *muonTask]

// Range does the elements lo to hi.
func (t *muonTask) Range(lo, hi int) {
	p, m, dir, grad, c := t.p[lo:hi], t.m[lo:hi], t.dir[lo:hi], t.grad[lo:hi], t.c
	if asm.Muon(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(m), unsafe.SliceData(dir), unsafe.SliceData(grad),
		c.Momentum, c.OneMinusMomentum,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		_, g := c.Grad.ready(p[i], g)
		m[i] += float32(c.OneMinusMomentum * (g - m[i]))
		dir[i] = g + float32(c.Momentum*(m[i]-g))
	}
	c.Grad.done(grad)
}
