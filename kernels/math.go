package kernels

import (
	"math"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
	"github.com/lockstep-go/lockstep/internal/f32"
)

// Exp is the exponential function, dst[i] = e^x[i], within 0.51 ulp. NaN gives
// NaN, -Inf gives 0, a result too large gives +Inf.
//
// Numerics: float64 inside, rounded once. With n = x/ln 2 rounded to an integer
// and r = x - n·ln 2, e^x = 2ⁿ·(1 + (r + r²·P(r))).
//
// Shapes: dst and x have the same length. Aliasing: dst may be x.
func Exp(dst, x []float32, limit ...Threads) {
	wantMap("Exp", dst, x)
	task, most := expTask{dst, x}, threads("Exp", limit)
	reads(x)
	writes(dst)
	if len(dst) <= block {
		task.Range(0, len(dst))
		return
	}
	expTasks.run(most, len(dst), block, task)
}

// wantMap checks the vectors of a function of one vector.
func wantMap(fn string, dst, x []float32) {
	wantLen(fn, "x", len(x), "len(dst)", len(dst))
	wantSameOrApart(fn, "dst", dst, "x", x)
}

type expTask struct{ dst, x []float32 }

var expTasks tasks[expTask, *expTask]

// Range does the elements lo to hi.
func (t *expTask) Range(lo, hi int) {
	dst, x := t.dst[lo:hi], t.x[lo:hi]
	if asm.Exp(cpu.Active(), len(dst), unsafe.SliceData(dst), unsafe.SliceData(x)) {
		return
	}
	for i, x := range x {
		dst[i] = float32(exp(float64(clamp(x, -105, 89))))
	}
}

// clamp limits x to [lo, hi] and lets NaN through.
func clamp(x, lo, hi float32) float32 {
	if x > hi {
		x = hi
	}
	if lo > x {
		x = lo
	}
	return x
}

// floor raises x to lo and lets NaN through.
func floor(x, lo float32) float32 {
	if lo > x {
		x = lo
	}
	return x
}

// reduce splits x into n·ln 2 + r with an integer n, and returns r and a number
// with n in its low bits.
func reduce(x float64) (r, t float64) {
	t = float64(x*f32.Log2E) + f32.Shift
	return x - float64((t-f32.Shift)*f32.Ln2), t
}

// expm1r is e^r - 1 for a reduced r: r + r²·P(r), with P split so that its parts
// do not wait for each other.
func expm1r(r float64) float64 {
	r2 := r * r
	r4 := r2 * r2
	low := float64(f32.Exp1*r) + f32.Exp0
	mid := float64(f32.Exp3*r) + f32.Exp2
	high := float64(f32.Exp5*r) + f32.Exp4
	return (r + float64(r2*low)) + float64(r4*(mid+float64(r2*high)))
}

// exp is e^x for |x| < 700 or NaN: the integer in t goes into the exponent.
func exp(x float64) float64 {
	r, t := reduce(x)
	return math.Float64frombits(math.Float64bits(1+expm1r(r)) + math.Float64bits(t)<<52)
}

// expm1 is e^x - 1 for |x| < 700 or NaN: with s = 2ⁿ, s·(e^r - 1) + (s - 1).
func expm1(x float64) float64 {
	r, t := reduce(x)
	s := math.Float64frombits(math.Float64bits(1) + math.Float64bits(t)<<52)
	return float64(s*expm1r(r)) + (s - 1)
}

// Log is the natural logarithm, dst[i] = ln x[i], within 0.51 ulp. ±0 gives
// -Inf, less gives NaN, +Inf and NaN stay.
//
// Numerics: float64 inside, rounded once. With x = 2ᵏ·m, √½ <= m < √2, and
// s = (m-1)/(m+1), ln x = k·ln 2 + (2s + s³·P(s²)).
//
// Shapes: dst and x have the same length. Aliasing: dst may be x.
func Log(dst, x []float32, limit ...Threads) {
	wantMap("Log", dst, x)
	task, most := logTask{dst, x}, threads("Log", limit)
	reads(x)
	writes(dst)
	if len(dst) <= block {
		task.Range(0, len(dst))
		return
	}
	logTasks.run(most, len(dst), block, task)
}

type logTask struct{ dst, x []float32 }

var logTasks tasks[logTask, *logTask]

// Range does the elements lo to hi.
func (t *logTask) Range(lo, hi int) {
	dst, x := t.dst[lo:hi], t.x[lo:hi]
	if asm.Log(cpu.Active(), len(dst), unsafe.SliceData(dst), unsafe.SliceData(x)) {
		return
	}
	inf := float32(math.Inf(1))
	for i, x := range x {
		y := float32(log(float64(x)))
		if x > math.MaxFloat32 {
			y = x
		}
		if !(x > 0) {
			y = x
			if 0 > x {
				y = float32(math.NaN())
			}
			y -= inf
		}
		dst[i] = y
	}
}

// log is ln x for a positive, normal, finite x.
func log(x float64) float64 {
	u := math.Float64bits(x) - f32.SqrtHalf + 1024<<52 // biased, so that it is positive
	k := math.Float64frombits(u>>52|0x433<<52) - (1<<52 + 1024)
	m := math.Float64frombits(u&(1<<52-1) + f32.SqrtHalf)
	return float64(k*f32.Ln2) + lnNear(m-1)
}

// lnNear is ln(1+f) for √½ <= 1+f <= √2: 2s + s³·P(s²) with s = f/(f+2).
func lnNear(f float64) float64 {
	s := f / (f + 2)
	z := s * s
	low := float64(f32.Log1*z) + f32.Log0
	high := float64(f32.Log3*z) + f32.Log2
	p := low + float64(float64(z*z)*high)
	return (s + s) + float64(float64(s*z)*p)
}

// log1p is ln(1+e) for 0 <= e <= 1 or NaN: e is not added to 1, so that nothing of a
// small one is lost. From √2-1 on, ln 2 + ln((1+e)/2).
func log1p(e float64) float64 {
	f, k := e, 0.0
	if e > f32.Root2Less1 {
		f, k = float64((e-1)*0.5), f32.Ln2
	}
	return k + lnNear(f)
}

// normal is the normal distribution function Φ(x) and e^(-x²/2), for |x| <= 15 or
// NaN. With K = NormalK, r = 1/(|x| + K) and t = (|x| - K)·r, the smaller of Φ(x) and
// 1 - Φ(x) is e^(-x²/2)·r·P(t), which is accurate in its last places however small it
// is.
func normal(x float64) (phi, e float64) {
	a := math.Abs(x)
	r := 1 / (a + f32.NormalK)
	t := (a - f32.NormalK) * r
	t2 := t * t
	low := (float64(f32.Normal1*t) + f32.Normal0) + float64(t2*(float64(f32.Normal3*t)+f32.Normal2))
	mid := (float64(f32.Normal5*t) + f32.Normal4) + float64(t2*(float64(f32.Normal7*t)+f32.Normal6))
	high := (float64(f32.Normal9*t) + f32.Normal8) + float64(t2*(float64(f32.Normal11*t)+f32.Normal10))
	t4 := t2 * t2
	p := low + float64(t4*(mid+float64(t4*high)))
	e = exp(float64(float64(x*x) * -0.5))
	phi = float64(e * float64(r*p))
	if !(0 > x) {
		phi = 1 - phi
	}
	return phi, e
}

// expGELU is e^-(x·(a + b)) with a = 2√(2/π) and b = 0.044715·a·x², and these two, for
// |x| <= 11 or NaN.
func expGELU(x float64) (e, a, b float64) {
	a, b = f32.GELU0, float64(f32.GELU1*float64(x*x))
	return exp(0 - float64(x*(a+b))), a, b
}

// gated is s·(1 + v·(1-s)): with s = σ(u), the derivative of x·s if v = x·u'.
func gated(v, s float64) float64 { return s * (1 + float64(v*(1-s))) }
