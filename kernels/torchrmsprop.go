package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// TorchRMSpropCoef are the scalars of [TorchRMSprop].
type TorchRMSpropCoef struct {
	LR          float32 // the learning rate η
	Rho         float32 // the decay ρ of the mean square
	OneMinusRho float32 // 1-ρ
	Momentum    float32 // μ
	Eps         float32 // keeps the division from zero

	Grad GradCoef // what is done first
}

// TorchRMSprop is one step of RMSprop as PyTorch has it: with another evaluation
// order than [RMSprop] and, where there is a vector for it, with the variance in
// place of the mean square and with momentum:
//
//	h = Rho·h + (OneMinusRho·g)·g
//	mean = mean + OneMinusRho·(g - mean)
//	root = √(h - mean·mean) + Eps, or √h + Eps if mean is nil
//	v = Momentum·v + g/root
//	p = p - LR·v, or p - (LR·g)/root if v is nil
//
// What c.Grad asks for comes first; see [GradCoef].
//
// Shapes: p, h and grad have the same length, as have mean and v, if they are not
// nil. Aliasing: none. Numerics: a variance that rounding makes negative gives
// NaN. Source: Tieleman and Hinton, Lecture 6.5, 2012, and Graves, Generating
// sequences with recurrent neural networks, 2013, for the mean, in the form of
// PyTorch's torch.optim.RMSprop.
func TorchRMSprop(p, h, mean, v, grad []float32, c TorchRMSpropCoef, limit ...Threads) {
	wantUpdate("TorchRMSprop", p, "h", h, grad)
	if mean != nil {
		wantUpdate("TorchRMSprop", p, "mean", mean, grad)
		wantApart("TorchRMSprop", "h", h, "mean", mean)
	}
	if v != nil {
		wantUpdate("TorchRMSprop", p, "v", v, grad)
		wantApart("TorchRMSprop", "h", h, "v", v)
		wantApart("TorchRMSprop", "mean", mean, "v", v)
	}
	task, most := torchRMSpropTask{p, h, mean, v, grad, c}, threads("TorchRMSprop", limit)
	writes(p, h, mean, v)
	c.Grad.accesses(grad)
	if len(p) <= block {
		task.Range(0, len(p))
		return
	}
	torchRMSpropTasks.run(most, len(p), block, task)
}

type torchRMSpropTask struct {
	p, h, mean, v, grad []float32
	c                   TorchRMSpropCoef
}

var torchRMSpropTasks tasks[torchRMSpropTask, *torchRMSpropTask]

// Range does the elements lo to hi.
func (t *torchRMSpropTask) Range(lo, hi int) {
	p, h, grad, c := t.p[lo:hi], t.h[lo:hi], t.grad[lo:hi], t.c
	var mean, v []float32
	if t.mean != nil {
		mean = t.mean[lo:hi]
	}
	if t.v != nil {
		v = t.v[lo:hi]
	}
	if torchRMSprop(p, h, mean, v, grad, &c) {
		return
	}
	for i, g := range grad {
		x, g := c.Grad.ready(p[i], g)
		h[i] = float32(c.Rho*h[i]) + float32(float32(c.OneMinusRho*g)*g)
		square := h[i]
		if mean != nil {
			mean[i] += float32(c.OneMinusRho * (g - mean[i]))
			square -= float32(mean[i] * mean[i])
		}
		root := sqrt(square) + c.Eps
		if v == nil {
			p[i] = x - float32(c.LR*g)/root
			continue
		}
		v[i] = float32(c.Momentum*v[i]) + g/root
		p[i] = x - float32(c.LR*v[i])
	}
	c.Grad.done(grad)
}

// torchRMSprop runs the kernel for the vectors that are there, if there is one.
func torchRMSprop(p, h, mean, v, grad []float32, c *TorchRMSpropCoef) bool {
	isa, n, g := cpu.Active(), len(p), &c.Grad
	pp, ph, pm, pv, pg := unsafe.SliceData(p), unsafe.SliceData(h), unsafe.SliceData(mean), unsafe.SliceData(v), unsafe.SliceData(grad)
	switch {
	case mean != nil && v != nil:
		return asm.TorchRMSpropCenteredMomentum(isa, n, pp, ph, pm, pv, pg, c.LR, c.Rho, c.OneMinusRho, c.Eps, c.Momentum,
			g.Scale, g.Clip, g.L1, g.L2, g.Keep, g.options())
	case mean != nil:
		return asm.TorchRMSpropCentered(isa, n, pp, ph, pm, pg, c.LR, c.Rho, c.OneMinusRho, c.Eps,
			g.Scale, g.Clip, g.L1, g.L2, g.Keep, g.options())
	case v != nil:
		return asm.TorchRMSpropMomentum(isa, n, pp, ph, pv, pg, c.LR, c.Rho, c.OneMinusRho, c.Eps, c.Momentum,
			g.Scale, g.Clip, g.L1, g.L2, g.Keep, g.options())
	}
	return asm.TorchRMSprop(isa, n, pp, ph, pg, c.LR, c.Rho, c.OneMinusRho, c.Eps,
		g.Scale, g.Clip, g.L1, g.L2, g.Keep, g.options())
}
