package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// ASGDCoef are the scalars of [ASGD] at step t = 1, 2, …
type ASGDCoef struct {
	LR         float32 // the learning rate ηₜ
	Mu         float32 // μₜ, the part of the parameters in the mean: 1/max(1, t-t0)
	OneMinusMu float32 // 1-μₜ

	Grad GradCoef // what is done first; its Keep is 1 - λ·ηₜ
}

// ASGD is one step of averaged stochastic gradient descent; the result of the
// training is the mean:
//
//	p = p - LR·g
//	mean = OneMinusMu·mean + Mu·p
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, mean and grad have the same length. Aliasing: none. Source: Polyak
// and Juditsky, Acceleration of stochastic approximation by averaging, 1992, for
// PyTorch's torch.optim.ASGD.
func ASGD(p, mean, grad []float32, c ASGDCoef, limit ...Threads) {
	wantUpdate("ASGD", p, "mean", mean, grad)
	task, most := asgdTask{p, mean, grad, c}, threads("ASGD", limit)
	writes(p, mean)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	asgdTasks.run(most, len(p), block, task)
}

type asgdTask struct {
	p, mean, grad []float32
	c             ASGDCoef
}

var asgdTasks tasks[asgdTask, *asgdTask]

// Range does the elements lo to hi.
func (t *asgdTask) Range(lo, hi int) {
	p, mean, grad, c := t.p[lo:hi], t.mean[lo:hi], t.grad[lo:hi], t.c
	if asm.ASGD(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(mean), unsafe.SliceData(grad),
		c.LR, c.Mu, c.OneMinusMu,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		p[i] = x - float32(c.LR*g)
		mean[i] = float32(c.OneMinusMu*mean[i]) + float32(c.Mu*p[i])
	}
	c.Grad.done(grad)
}
