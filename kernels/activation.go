package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
	"github.com/lockstep-go/lockstep/internal/f32"
)

// Activation is an elementwise function with its derivative: one of the constants, or
// what [ActLeakyReLU] or [ActELU] returns. The low byte is the function, the upper 32
// bits are those of its parameter, if it has one.
//
// The derivative is computed from the function's result y, or, where
// [Activation.FromInput] says so, from its argument x.
type Activation uint64

const (
	Identity    Activation = iota
	ActReLU                // 0 where 0 > x, else x: NaN stays NaN and -0 stays -0
	ActSigmoid             // 1/(1 + e^-x)
	ActTanh                // tanh x
	ActSoftplus            // ln(1 + e^x)
	ActGELU                // x·Φ(x), Φ being the normal distribution function
	ActGELUTanh            // x·σ(2u) with u = √(2/π)·(x + 0.044715·x³), an approximation of GELU
	ActSiLU                // x·σ(x), also called swish

	leakyReLU
	elu
)

// ActLeakyReLU is the function that is slope·x where 0 > x, else x. Panics unless
// slope is finite and at least 0. Source: Maas, Hannun, Ng, "Rectifier Nonlinearities
// Improve Neural Network Acoustic Models", 2013.
func ActLeakyReLU(slope float32) Activation {
	return withParam("ActLeakyReLU", leakyReLU, "slope", slope)
}

// ActELU is the function that is x where x > 0, else alpha·(e^x - 1). Panics unless
// alpha is finite and at least 0. Source: Clevert, Unterthiner, Hochreiter, "Fast and
// Accurate Deep Network Learning by Exponential Linear Units (ELUs)", 2016.
func ActELU(alpha float32) Activation {
	return withParam("ActELU", elu, "alpha", alpha)
}

func withParam(fn string, kind Activation, name string, x float32) Activation {
	if !(x >= 0 && x <= math.MaxFloat32) {
		panic(fmt.Sprintf("kernels.%s: %s = %v, want a finite number of at least 0", fn, name, x))
	}
	return kind | Activation(math.Float32bits(x+0))<<32 // -0 becomes 0
}

func (a Activation) kind() Activation { return a & 0xff }
func (a Activation) param() float32   { return math.Float32frombits(uint32(a >> 32)) }

// FromInput tells whether [Derive], and a derivative in GEMM's [Epilogue], takes the
// function's argument x instead of its result y: GELU in both forms and SiLU take the
// same value twice, so y does not tell.
func (a Activation) FromInput() bool {
	return a == ActGELU || a == ActGELUTanh || a == ActSiLU
}

var activationNames = [...]string{
	Identity: "identity", ActReLU: "ReLU", ActSigmoid: "sigmoid", ActTanh: "tanh", ActSoftplus: "softplus",
	ActGELU: "GELU", ActGELUTanh: "GELU (tanh form)", ActSiLU: "SiLU", leakyReLU: "leaky ReLU", elu: "ELU",
}

// String names the function: "ReLU", "leaky ReLU (slope 0.01)".
func (a Activation) String() string {
	switch {
	case !a.valid():
		return fmt.Sprintf("Activation(%#x)", uint64(a))
	case a.kind() == leakyReLU:
		return fmt.Sprintf("%s (slope %v)", activationNames[leakyReLU], a.param())
	case a.kind() == elu:
		return fmt.Sprintf("%s (alpha %v)", activationNames[elu], a.param())
	}
	return activationNames[a]
}

// valid tells whether a is what one of the constants or functions gives.
func (a Activation) valid() bool {
	if a.kind() == leakyReLU || a.kind() == elu {
		return a&0xffffff00 == 0 && a>>32 <= 0x7f7fffff
	}
	return a <= ActSiLU
}

// Activate computes dst[i] = act(x[i]):
//
//	identity:   x
//	ReLU:       0 where 0 > x, else x
//	leaky ReLU: slope·x where 0 > x, else x
//	sigmoid:    1/(1 + e^-x)
//	tanh:       e/(e + 2) with e = e^(2|x|) - 1, and the sign of x
//	ELU:        x where x > 0, else alpha·(e^x - 1), and the sign of x
//	softplus:   (0 where 0 > x, else x) + ln(1 + e^-|x|)
//	SiLU:       x/(1 + e^-x)
//	GELU:       x·Φ(x)
//	GELU, tanh: x/(1 + e^-(x·(a + b·x²))) with a = 2√(2/π), b = 0.044715·a
//
// Shapes: dst and x have the same length. Aliasing: dst may be x.
//
// Numerics: all but the first three are computed in float64, rounded once, and within
// 0.51 ulp, the smallest results included; see [Exp] and [Log] for the arithmetic. NaN
// stays NaN. At -Inf each gives its limit: sigmoid and softplus 0, tanh -1, ELU -alpha,
// SiLU and GELU -0; leaky ReLU gives slope·-Inf, which is NaN if slope is 0. At +Inf
// sigmoid and tanh give 1 and the others +Inf. Φ(x) is e^(-x²/2)·P((|x|-K)/(|x|+K))/(|x|+K)
// with a polynomial P where 0 > x, else 1 minus that.
//
// Panics if act is no Activation, if the lengths differ or dst overlaps x in part.
//
// Source of SiLU and GELU: Hendrycks, Gimpel, "Gaussian Error Linear Units (GELUs)",
// 2016.
func Activate(act Activation, dst, x []float32, limit ...Threads) {
	wantActivation("Activate", "act", act)
	wantMap("Activate", dst, x)
	task, most := activateTask{act, dst, x}, threads("Activate", limit)
	reads(x)
	writes(dst)
	if len(dst) <= block {
		task.Range(0, len(dst))
		return
	}
	activateTasks.run(most, len(dst), block, task)
}

func wantActivation(fn, name string, act Activation) {
	if !act.valid() {
		panic(fmt.Sprintf("kernels.%s: %s = %#x, want one of the constants up to %d or what ActLeakyReLU or ActELU returns", fn, name, uint64(act), uint64(ActSiLU)))
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
	switch act.kind() {
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
	case ActSoftplus:
		if asm.Softplus(isa, n, d, s) {
			return
		}
		for i, x := range x {
			a := math.Float32frombits(math.Float32bits(x) | 1<<31) // -|x|
			if 0 > x {
				x = 0
			}
			dst[i] = float32(float64(x) + log1p(exp(float64(floor(a, -105)))))
		}
	case ActGELU:
		if asm.GELU(isa, n, d, s) {
			return
		}
		for i, x := range x {
			x = floor(x, -15) // from where on the result is -0
			phi, _ := normal(float64(clamp(x, -15, 15)))
			dst[i] = float32(float64(x) * phi)
		}
	case ActGELUTanh:
		if asm.GELUTanh(isa, n, d, s) {
			return
		}
		for i, x := range x {
			x = floor(x, -11)
			e, _, _ := expGELU(float64(clamp(x, -11, 11)))
			dst[i] = float32(float64(x) / (1 + e))
		}
	case ActSiLU:
		if asm.SiLU(isa, n, d, s) {
			return
		}
		for i, x := range x {
			x = floor(x, -110)
			dst[i] = float32(float64(x) / (1 + exp(float64(floor(-x, -110)))))
		}
	case leakyReLU:
		slope := act.param()
		if asm.LeakyReLU(isa, n, d, s, slope) {
			return
		}
		for i, x := range x {
			if 0 > x {
				x *= slope
			}
			dst[i] = x
		}
	case elu:
		alpha := act.param()
		if asm.ELU(isa, n, d, s, alpha) {
			return
		}
		for i, x := range x {
			if !(x > 0) {
				sign := math.Float32bits(x) & (1 << 31)
				y := float32(float64(alpha) * expm1(float64(floor(x, -105))))
				x = math.Float32frombits(math.Float32bits(y) | sign)
			}
			dst[i] = x
		}
	}
}

// Derive multiplies a gradient by the derivative of act, given the function's results
// y, or its arguments x if act.FromInput():
//
//	identity:   dst = grad
//	ReLU:       dst = grad where y > 0, else 0
//	leaky ReLU: dst = grad where y > 0, else slope·grad
//	sigmoid:    dst = grad·(y·(1-y))
//	tanh:       dst = grad·(1-y·y)
//	ELU:        dst = grad where y > 0, else grad·(y + alpha)
//	softplus:   dst = grad·(1 - e^-y)
//	SiLU:       dst = grad·(s·(1 + x·(1-s))) with s = 1/(1 + e^-x)
//	GELU:       dst = grad·(Φ(x) + x·e^(-x²/2)/√(2π))
//	GELU, tanh: dst = grad·(s·(1 + x·(a + 3·b·x²)·(1-s))) with s = 1/(1 + e^-(x·(a + b·x²)))
//
// Shapes: dst, grad and y have the same length. Aliasing: dst may be grad or y.
//
// Numerics: what the gradient is multiplied by is computed in float32, from softplus on
// in float64 and rounded once. For SiLU and GELU it is -0 at -Inf and 1 at +Inf. A y
// that is NaN gives 0 for ReLU and slope·grad for leaky ReLU, else NaN; an x that is
// NaN gives NaN.
//
// Panics if act is no Activation, if the lengths differ or dst overlaps another in
// part.
func Derive(act Activation, dst, grad, y []float32, limit ...Threads) {
	wantActivation("Derive", "act", act)
	wantLen("Derive", "grad", len(grad), "len(dst)", len(dst))
	wantLen("Derive", "y", len(y), "len(dst)", len(dst))
	wantSameOrApart("Derive", "dst", dst, "grad", grad)
	wantSameOrApart("Derive", "dst", dst, "y", y)
	task, most := deriveTask{act, dst, grad, y}, threads("Derive", limit)
	reads(grad, y)
	writes(dst)
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
	switch act.kind() {
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
	case ActSoftplus:
		if asm.DeriveSoftplus(isa, n, d, g, r) {
			return
		}
		for i, y := range y {
			dst[i] = grad[i] * float32(0-expm1(float64(clamp(-y, -105, 105))))
		}
	case ActGELU:
		if asm.DeriveGELU(isa, n, d, g, r) {
			return
		}
		for i, x := range y {
			x := float64(clamp(x, -15, 15))
			phi, e := normal(x)
			dst[i] = grad[i] * float32(phi+float64(float64(x*f32.InvRoot2Pi)*e))
		}
	case ActGELUTanh:
		if asm.DeriveGELUTanh(isa, n, d, g, r) {
			return
		}
		for i, x := range y {
			x := float64(clamp(x, -11, 11))
			e, a, b := expGELU(x)
			dst[i] = grad[i] * float32(gated(x*(a+float64(3*b)), 1/(1+e)))
		}
	case ActSiLU:
		if asm.DeriveSiLU(isa, n, d, g, r) {
			return
		}
		for i, x := range y {
			x := float64(clamp(x, -110, 110))
			dst[i] = grad[i] * float32(gated(x, 1/(1+exp(0-x))))
		}
	case leakyReLU:
		slope := act.param()
		if asm.DeriveLeakyReLU(isa, n, d, g, r, slope) {
			return
		}
		for i, y := range y {
			x := grad[i]
			if !(y > 0) {
				x *= slope
			}
			dst[i] = x
		}
	case elu:
		alpha := act.param()
		if asm.DeriveELU(isa, n, d, g, r, alpha) {
			return
		}
		for i, y := range y {
			x := grad[i]
			if !(y > 0) {
				x *= y + alpha
			}
			dst[i] = x
		}
	}
}
