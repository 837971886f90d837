package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// Activation names an elementwise function and its derivative. Each derivative
// is computed from the function's result y, not from its argument.
type Activation uint8

const (
	Identity   Activation = iota
	ActReLU               // 0 where 0 > x, else x: NaN stays NaN and -0 stays -0
	ActSigmoid            // 1/(1 + e^-x)
	ActTanh               // tanh x
)

// Activate computes dst[i] = act(x[i]). Sigmoid and tanh are within 0.51 ulp;
// see [Exp] for their arithmetic:
//
//	sigmoid x = 1/(1 + e^-x)
//	tanh |x| = e/(e + 2) with e = e^(2|x|) - 1, and the sign of x
//
// Shapes: dst and x have the same length. Aliasing: dst may be x.
func Activate(act Activation, dst, x []float32, limit ...Threads) {
	wantActivation("Activate", "act", act)
	wantMap("Activate", dst, x)
	task, most := activateTask{act, dst, x}, threads("Activate", limit)
	if len(dst) <= block {
		task.Range(0, len(dst))
		return
	}
	activateTasks.run(most, len(dst), block, task)
}

func wantActivation(fn, name string, act Activation) {
	if act > ActTanh {
		panic(fmt.Sprintf("kernels.%s: %s = %d, want at most %d", fn, name, act, ActTanh))
	}
}

type activateTask struct {
	act    Activation
	dst, x []float32
}

var activateTasks tasks[activateTask, *activateTask]

// Range does the elements lo to hi.
func (t *activateTask) Range(lo, hi int) {
	activate(t.act, t.dst[lo:hi], t.x[lo:hi])
}

// activate is Activate without the checks, for at most a block.
func activate(act Activation, dst, x []float32) {
	isa, n, d, s := cpu.Active(), len(dst), unsafe.SliceData(dst), unsafe.SliceData(x)
	switch act {
	case Identity:
		copy(dst, x)
	case ActReLU:
		if asm.ReLU(isa, n, d, s) {
			return
		}
		for i, x := range x {
			if 0 > x {
				x = 0
			}
			dst[i] = x
		}
	case ActSigmoid:
		if asm.Sigmoid(isa, n, d, s) {
			return
		}
		for i, x := range x {
			dst[i] = float32(1 / (1 + exp(float64(clamp(-x, -105, 105)))))
		}
	case ActTanh:
		if asm.Tanh(isa, n, d, s) {
			return
		}
		for i, x := range x {
			sign := math.Float32bits(x) & (1 << 31)
			a := math.Float32frombits(math.Float32bits(x) ^ sign)
			if a > 10 {
				a = 10
			}
			e := expm1(2 * float64(a))
			dst[i] = math.Float32frombits(math.Float32bits(float32(e/(e+2))) | sign)
		}
	}
}

// Derive multiplies a gradient by the derivative of act, given the function's
// results y:
//
//	identity: dst = grad
//	ReLU:     dst = grad where y > 0, else 0
//	sigmoid:  dst = grad·(y·(1-y))
//	tanh:     dst = grad·(1-y·y)
//
// Shapes: dst, grad and y have the same length. Aliasing: dst may be grad or y.
func Derive(act Activation, dst, grad, y []float32, limit ...Threads) {
	wantActivation("Derive", "act", act)
	wantLen("Derive", "grad", len(grad), "len(dst)", len(dst))
	wantLen("Derive", "y", len(y), "len(dst)", len(dst))
	wantSameOrApart("Derive", "dst", dst, "grad", grad)
	wantSameOrApart("Derive", "dst", dst, "y", y)
	task, most := deriveTask{act, dst, grad, y}, threads("Derive", limit)
	if len(dst) <= block {
		task.Range(0, len(dst))
		return
	}
	deriveTasks.run(most, len(dst), block, task)
}

type deriveTask struct {
	act          Activation
	dst, grad, y []float32
}

var deriveTasks tasks[deriveTask, *deriveTask]

// Range does the elements lo to hi.
func (t *deriveTask) Range(lo, hi int) {
	derive(t.act, t.dst[lo:hi], t.grad[lo:hi], t.y[lo:hi])
}

// derive is Derive without the checks, for at most a block.
func derive(act Activation, dst, grad, y []float32) {
	isa, n, d, g, r := cpu.Active(), len(dst), unsafe.SliceData(dst), unsafe.SliceData(grad), unsafe.SliceData(y)
	switch act {
	case Identity:
		copy(dst, grad)
	case ActReLU:
		if asm.DeriveReLU(isa, n, d, g, r) {
			return
		}
		for i, y := range y {
			if y > 0 {
				dst[i] = grad[i]
			} else {
				dst[i] = 0
			}
		}
	case ActSigmoid:
		if asm.DeriveSigmoid(isa, n, d, g, r) {
			return
		}
		for i, y := range y {
			dst[i] = grad[i] * float32(y*(1-y))
		}
	case ActTanh:
		if asm.DeriveTanh(isa, n, d, g, r) {
			return
		}
		for i, y := range y {
			dst[i] = grad[i] * (1 - float32(y*y))
		}
	}
}
