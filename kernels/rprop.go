package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// RpropCoef are the scalars of [Rprop].
type RpropCoef struct {
	EtaMinus float32 // η⁻, what a step is multiplied by where the gradient has turned
	EtaPlus  float32 // η⁺, and where it has kept its sign
	MinStep  float32 // the shortest step
	MaxStep  float32 // the longest step

	Grad GradCoef // what is done first
}

// Rprop is one step of resilient backpropagation, which goes by the signs of the
// gradient now and before, with a step of its own for each parameter:
//
//	s = g·prev
//	step = step·EtaPlus if s > 0, step·EtaMinus if 0 > s, else step
//	step = MinStep if MinStep > step; then MaxStep if step > MaxStep
//	prev = 0 if 0 > s, else g
//	p = p - step·sign(prev)
//
// The sign of a zero and of NaN is 0. What c.Grad asks for comes first; see
// [GradCoef].
//
// Shapes: p, prev, step and grad have the same length. Aliasing: none. Numerics: a
// product s that underflows is 0. Source: Riedmiller and Braun, A direct adaptive
// method for faster backpropagation learning: the RPROP algorithm, 1993, in the
// variant iRprop⁻ of Igel and Hüsken, Improving the Rprop learning algorithm,
// 2000, and in the form of PyTorch's torch.optim.Rprop.
func Rprop(p, prev, step, grad []float32, c RpropCoef, limit ...Threads) {
	wantUpdate("Rprop", p, "prev", prev, grad)
	wantUpdate("Rprop", p, "step", step, grad)
	wantApart("Rprop", "prev", prev, "step", step)
	task, most := rpropTask{p, prev, step, grad, c}, threads("Rprop", limit)
	writes(p, prev, step)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	rpropTasks.run(most, len(p), block, task)
}

type rpropTask struct {
	p, prev, step, grad []float32
	c                   RpropCoef
}

var rpropTasks tasks[rpropTask, *rpropTask]

// Range does the elements lo to hi.
func (t *rpropTask) Range(lo, hi int) {
	p, prev, step, grad, c := t.p[lo:hi], t.prev[lo:hi], t.step[lo:hi], t.grad[lo:hi], t.c
	if asm.Rprop(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(prev), unsafe.SliceData(step), unsafe.SliceData(grad),
		c.EtaMinus, c.EtaPlus, c.MinStep, c.MaxStep,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		s, by := float32(g*prev[i]), step[i]
		if s > 0 {
			by *= c.EtaPlus
		}
		if 0 > s {
			by *= c.EtaMinus
			g = 0
		}
		if c.MinStep > by {
			by = c.MinStep
		}
		if by > c.MaxStep {
			by = c.MaxStep
		}
		prev[i], step[i] = g, by
		p[i] = x - signed(g, by)
	}
	c.Grad.done(grad)
}
