package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// SquaredError returns the sum of the squared differences of y and target, and
// sets grad to the differences times scale:
//
//	d[i] = y[i] - target[i]
//	grad[i] = d[i]·scale
//	Σ d[i]·d[i]
//
// The gradient of the mean over n elements has scale 2/n. The sum is in float64:
// 32 accumulators for each block of 16384 elements, the blocks added in order.
//
// Shapes: grad, y and target have the same length. Aliasing: grad may be y or
// target. With grad nil, only the sum is computed.
func SquaredError(grad, y, target []float32, scale float32, limit ...Threads) float64 {
	wantErrors("SquaredError", grad, "y", "len(y)", y, target)
	return sumTask{of: squaredErrors, grad: grad, y: y, target: target, scale: scale}.sum(threads("SquaredError", limit))
}

// wantErrors checks the vectors of a sum of errors.
func wantErrors(fn string, grad []float32, yName, yLen string, y, target []float32) {
	wantLen(fn, "target", len(target), yLen, len(y))
	if grad != nil {
		wantLen(fn, "grad", len(grad), yLen, len(y))
		wantSameOrApart(fn, "grad", grad, yName, y)
		wantSameOrApart(fn, "grad", grad, "target", target)
	}
}

// squaredError is SquaredError without the checks, for at most a block.
func squaredError(grad, y, target []float32, scale float32) float64 {
	var acc [lanes]float64
	isa, n, a, b := cpu.Active(), len(y), unsafe.SliceData(y), unsafe.SliceData(target)
	if grad == nil {
		if asm.SquaredError(isa, n, a, b, &acc[0]) {
			return tree(&acc)
		}
	} else if asm.SquaredErrorGrad(isa, n, unsafe.SliceData(grad), a, b, scale, &acc[0]) {
		return tree(&acc)
	}
	for i, y := range y {
		d := y - target[i]
		acc[i%lanes] += float64(float64(d) * float64(d))
		if grad != nil {
			grad[i] = d * scale
		}
	}
	return tree(&acc)
}

// AbsoluteError returns the sum of the absolute differences of y and target, and
// sets grad to its gradient times scale:
//
//	d[i] = y[i] - target[i]
//	grad[i] = sign(d[i])·scale
//	Σ |d[i]|
//
// The sign of a zero is that zero, the sign of NaN is NaN. The gradient of the mean
// over n elements has scale 1/n. The sum is in float64: 32 accumulators for each
// block of 16384 elements, the blocks added in order.
//
// Shapes: grad, y and target have the same length. Aliasing: grad may be y or
// target. With grad nil, only the sum is computed.
func AbsoluteError(grad, y, target []float32, scale float32, limit ...Threads) float64 {
	wantErrors("AbsoluteError", grad, "y", "len(y)", y, target)
	return sumTask{of: absoluteErrors, grad: grad, y: y, target: target, scale: scale}.sum(threads("AbsoluteError", limit))
}

// absoluteError is AbsoluteError without the checks, for at most a block.
func absoluteError(grad, y, target []float32, scale float32) float64 {
	var acc [lanes]float64
	if asm.AbsoluteError(cpu.Active(), len(y), unsafe.SliceData(grad), unsafe.SliceData(y), unsafe.SliceData(target), scale, &acc[0]) {
		return tree(&acc)
	}
	for i, y := range y {
		d := y - target[i]
		acc[i%lanes] += float64(abs(d))
		sign := d
		if abs(d) > 0 {
			sign = signed(d, 1)
		}
		grad[i] = sign * scale
	}
	return tree(&acc)
}

// HuberError returns the sum of Huber's loss of the differences of y and target,
// which is d²/2 up to |d| = delta and goes on as a straight line, and sets grad to
// its gradient times scale:
//
//	d[i] = y[i] - target[i]
//	g[i] = delta if d[i] > delta, -delta if -delta > d[i], else d[i]
//	grad[i] = g[i]·scale
//	Σ |g[i]|·(|d[i]| - |g[i]|/2)
//
// The gradient of the mean over n elements has scale 1/n. The terms and their sum
// are in float64: 32 accumulators for each block of 16384 elements, the blocks
// added in order.
//
// Shapes: grad, y and target have the same length. Aliasing: grad may be y or
// target. With grad nil, only the sum is computed. Panics also unless delta is
// positive and finite.
//
// Source: Huber, "Robust Estimation of a Location Parameter", 1964; as in PyTorch's
// HuberLoss.
func HuberError(grad, y, target []float32, delta, scale float32, limit ...Threads) float64 {
	wantErrors("HuberError", grad, "y", "len(y)", y, target)
	if !(delta > 0 && delta <= math.MaxFloat32) {
		panic(fmt.Sprintf("kernels.HuberError: delta = %v, want a positive finite number", delta))
	}
	return sumTask{of: huberErrors, grad: grad, y: y, target: target, delta: delta, scale: scale}.sum(threads("HuberError", limit))
}

// huberError is HuberError without the checks, for at most a block.
func huberError(grad, y, target []float32, delta, scale float32) float64 {
	var acc [lanes]float64
	if asm.HuberError(cpu.Active(), len(y), unsafe.SliceData(grad), unsafe.SliceData(y), unsafe.SliceData(target), delta, scale, &acc[0]) {
		return tree(&acc)
	}
	for i, y := range y {
		d := y - target[i]
		g := clamp(d, 0-delta, delta)
		m := float64(abs(g))
		acc[i%lanes] += float64(m * (float64(abs(d)) - float64(0.5*m)))
		grad[i] = g * scale
	}
	return tree(&acc)
}

// logisticCut is the |x| beyond which e^-|x| counts as 0 in [LogisticError]: the
// exponential is good for no more.
const logisticCut = 700

// LogisticError returns the sum of the binary cross-entropies of the sigmoid of x
// with the probabilities target, and sets grad to its gradient with respect to x
// times scale:
//
//	y[i] = 1/(1 + e^-x[i])
//	grad[i] = (y[i] - target[i])·scale
//	Σ (x[i]·((1 if x[i] > 0, else 0) - target[i]) + ln(1 + e^-|x[i]|))
//
// The gradient of the mean over n elements has scale 1/n. Each term is
// max(x, 0) - x·t + ln(1 + e^-|x|), with no difference of large numbers for a
// target in [0, 1].
//
// Numerics: y is what [Activate] gives. The terms and their sum are in float64, the
// logarithm within 2^-33 of itself, however small; for |x| > 700 it is 0. The sum
// has 32 accumulators for each block of 16384 elements, the blocks added in
// order. In the first product, 0·±Inf is 0, so x = +Inf costs nothing with target
// 1, nor x = -Inf with target 0; each costs +Inf with a target in between or on
// the other side. NaN stays NaN.
//
// Shapes: grad, x and target have the same length. Aliasing: grad may be x or
// target. With grad nil, only the sum is computed.
func LogisticError(grad, x, target []float32, scale float32, limit ...Threads) float64 {
	wantErrors("LogisticError", grad, "x", "len(x)", x, target)
	return sumTask{of: logisticErrors, grad: grad, y: x, target: target, scale: scale}.sum(threads("LogisticError", limit))
}

// logisticError is LogisticError without the checks, for at most a block.
func logisticError(grad, x, target []float32, scale float32) float64 {
	var acc [lanes]float64
	if asm.LogisticError(cpu.Active(), len(x), unsafe.SliceData(grad), unsafe.SliceData(x), unsafe.SliceData(target), scale, &acc[0]) {
		return tree(&acc)
	}
	for i, x := range x {
		u := exp(float64(clamp(-x, -logisticCut, logisticCut)))
		y := float32(1 / (1 + u))
		e, w := 1/u, 0-float64(target[i]) // e^-|x|, and what x is multiplied by
		if x > 0 {
			e, w = u, 1-float64(target[i])
		}
		if abs(x) > logisticCut {
			e = 0
		}
		linear := w // 0 or NaN
		if math.Abs(w) > 0 {
			linear = float64(float64(x) * w)
		}
		acc[i%lanes] += linear + log1p(e)
		grad[i] = (y - target[i]) * scale
	}
	return tree(&acc)
}
