package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// HeavyBallCoef are the scalars of [HeavyBall].
type HeavyBallCoef struct {
	LR                float32 // the learning rate η
	Momentum          float32 // μ
	OneMinusDampening float32 // 1-τ
	Nesterov          bool    // steps by the gradient and the velocity to come

	Grad GradCoef // what is done first
}

// HeavyBall is one step of gradient descent with momentum, the learning rate
// outside of the velocity, unlike [Momentum]:
//
//	v = Momentum·v + OneMinusDampening·g
//	p = p - LR·v
//
// With Nesterov, the second line is p = p - LR·(g + Momentum·v). What c.Grad asks
// for comes first; see [GradCoef].
//
// Shapes: p, v and grad have the same length. Aliasing: none. Source: Polyak,
// Some methods of speeding up the convergence of iteration methods, 1964, and
// Sutskever, Martens, Dahl and Hinton, On the importance of initialization and
// momentum in deep learning, 2013, in the form of PyTorch's torch.optim.SGD.
func HeavyBall(p, v, grad []float32, c HeavyBallCoef, limit ...Threads) {
	wantUpdate("HeavyBall", p, "v", v, grad)
	task, most := heavyBallTask{p, v, grad, c}, threads("HeavyBall", limit)
	writes(p, v)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	heavyBallTasks.run(most, len(p), block, task)
}

type heavyBallTask struct {
	p, v, grad []float32
	c          HeavyBallCoef
}

var heavyBallTasks tasks[heavyBallTask, *heavyBallTask]

// Range does the elements lo to hi.
func (t *heavyBallTask) Range(lo, hi int) {
	p, v, grad, c := t.p[lo:hi], t.v[lo:hi], t.grad[lo:hi], t.c
	isa, n, pp, pv, pg := cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(v), unsafe.SliceData(grad)
	if c.Nesterov {
		if asm.HeavyBallNesterov(isa, n, pp, pv, pg, c.LR, c.Momentum, c.OneMinusDampening,
			c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
			return
		}
	} else if asm.HeavyBall(isa, n, pp, pv, pg, c.LR, c.Momentum, c.OneMinusDampening,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		v[i] = float32(c.Momentum*v[i]) + float32(c.OneMinusDampening*g)
		step := v[i]
		if c.Nesterov {
			step = g + float32(c.Momentum*v[i])
		}
		p[i] = x - float32(c.LR*step)
	}
	c.Grad.done(grad)
}
