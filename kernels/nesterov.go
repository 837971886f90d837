package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// NesterovCoef are the scalars of [Nesterov] and [NesterovVelocityFirst].
type NesterovCoef struct {
	LR        float32 // the learning rate η
	Momentum  float32 // μ
	Momentum2 float32 // μ²
	LookAhead float32 // (1+μ)·η

	Grad GradCoef // what is done first
}

// Nesterov is one step of Nesterov's accelerated gradient, the parameters
// standing for the point looked ahead to:
//
//	p = p + (Momentum2·v - LookAhead·g)
//	v = Momentum·v - LR·g
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, v and grad have the same length. Aliasing: none. Source: Bengio,
// Boulanger-Lewandowski and Pascanu, Advances in optimizing recurrent networks,
// 2012, equations 6 and 7, in the form of Deep Learning from Scratch since
// January 2021.
func Nesterov(p, v, grad []float32, c NesterovCoef, limit ...Threads) {
	wantUpdate("Nesterov", p, "v", v, grad)
	task, most := nesterovTask{p, v, grad, c}, threads("Nesterov", limit)
	writes(p, v)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	nesterovTasks.run(most, len(p), block, task)
}

type nesterovTask struct {
	p, v, grad []float32
	c          NesterovCoef
}

var nesterovTasks tasks[nesterovTask, *nesterovTask]

// Range does the elements lo to hi.
func (t *nesterovTask) Range(lo, hi int) {
	p, v, grad, c := t.p[lo:hi], t.v[lo:hi], t.grad[lo:hi], t.c
	if asm.Nesterov(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(v), unsafe.SliceData(grad),
		c.LR, c.Momentum, c.Momentum2, c.LookAhead,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		p[i] = x + (float32(c.Momentum2*v[i]) - float32(c.LookAhead*g))
		v[i] = float32(c.Momentum*v[i]) - float32(c.LR*g)
	}
	c.Grad.done(grad)
}

// NesterovVelocityFirst is the variant of [Nesterov] that updates the velocity
// first and steps by the new one:
//
//	v = Momentum·v - LR·g
//	p = p + (Momentum2·v - LookAhead·g)
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes and aliasing are those of Nesterov. Source: a common write-up of Deep
// Learning from Scratch, section 6.1.
func NesterovVelocityFirst(p, v, grad []float32, c NesterovCoef, limit ...Threads) {
	wantUpdate("NesterovVelocityFirst", p, "v", v, grad)
	task, most := nesterovVelocityFirstTask{p, v, grad, c}, threads("NesterovVelocityFirst", limit)
	writes(p, v)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	nesterovVelocityFirstTasks.run(most, len(p), block, task)
}

type nesterovVelocityFirstTask nesterovTask

var nesterovVelocityFirstTasks tasks[nesterovVelocityFirstTask, *nesterovVelocityFirstTask]

// Range does the elements lo to hi.
func (t *nesterovVelocityFirstTask) Range(lo, hi int) {
	p, v, grad, c := t.p[lo:hi], t.v[lo:hi], t.grad[lo:hi], t.c
	if asm.NesterovVelocityFirst(cpu.Active(), len(p), unsafe.SliceData(p), unsafe.SliceData(v), unsafe.SliceData(grad),
		c.LR, c.Momentum, c.Momentum2, c.LookAhead,
		c.Grad.Scale, c.Grad.Clip, c.Grad.L1, c.Grad.L2, c.Grad.Keep, c.Grad.options()) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		v[i] = float32(c.Momentum*v[i]) - float32(c.LR*g)
		p[i] = x + (float32(c.Momentum2*v[i]) - float32(c.LookAhead*g))
	}
	c.Grad.done(grad)
}
