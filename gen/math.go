package main

import (
	"math"

	"github.com/lockstep-go/lockstep/gen/vec"
	"github.com/lockstep-go/lockstep/internal/f32"
)

// maths are the elementwise functions. The wide ones compute in float64 lanes
// and round once; kernels/math.go has the formulas and their errors.
var maths = []kernel{
	inTurns("Exp", "dst x", "", `
		dst = e^x`,
		func(l lanes) {
			x := l.Min(l.F32(89), l.Get("x"))
			x = l.Max(l.F32(-105), x)
			l.Put("dst", l.Narrow(exp(l.Program, l.Widen(x))))
		}),

	wide(elementwise("Log", "dst x", "", `
		dst = ln x`,
		func(l lanes) {
			x := l.Get("x")
			y := l.Narrow(ln(l.Program, l.Widen(x)))
			y = l.Select(l.Gt(x, l.F32(math.MaxFloat32)), x, y)
			inf, nan := float32(math.Inf(1)), uint64(0x7fc00000)
			special := l.Sub(l.Select(l.Gt(l.F32(0), x), l.Bits(32, nan), x), l.F32(inf))
			l.Put("dst", l.Select(l.Gt(x, l.F32(0)), y, special))
		})),

	elementwise("ReLU", "dst x", "", `
		dst = 0 where 0 > x, else x`,
		func(l lanes) {
			l.Put("dst", l.Max(l.F32(0), l.Get("x")))
		}),

	inTurns("Sigmoid", "dst x", "", `
		dst = 1/(1 + e^-x)`,
		func(l lanes) {
			x := l.Min(l.F32(105), l.Xor(l.Get("x"), l.Bits(32, 1<<31)))
			x = l.Max(l.F32(-105), x)
			one := l.F64(1)
			l.Put("dst", l.Narrow(l.Div(one, l.Add(one, exp(l.Program, l.Widen(x))))))
		}),

	inTurns("Tanh", "dst x", "", `
		dst = e/(e + 2) with e = e^(2|x|) - 1, and the sign of x`,
		func(l lanes) {
			a := l.Min(l.F32(10), l.And(l.Get("x"), l.Bits(32, 1<<31-1)))
			e := expm1(l.Program, l.Mul(l.F64(2), l.Widen(a)))
			y := l.Narrow(l.Div(e, l.Add(e, l.F64(2))))
			l.Put("dst", l.Or(y, l.And(l.Get("x"), l.Bits(32, 1<<31)))) // read again: there is no register left
		}),

	elementwise("LeakyReLU", "dst x", "slope", `
		dst = slope·x where 0 > x, else x`,
		func(l lanes) {
			x := l.Get("x")
			l.Put("dst", l.Select(l.Gt(l.F32(0), x), l.Mul(l.Scalar("slope"), x), x))
		}),

	long("ELU", "dst x", "alpha", `
		dst = x where x > 0, else alpha·(e^x - 1)`,
		func(l lanes) {
			x := l.Get("x")
			a := l.Max(l.F32(-105), l.Min(l.F32(0), x))
			y := l.Narrow(l.Mul(l.Widen(l.Scalar("alpha")), expm1(l.Program, l.Widen(a))))
			y = l.Or(y, l.And(x, l.Bits(32, 1<<31)))
			l.Put("dst", l.Select(l.Gt(x, l.F32(0)), x, y))
		}),

	long("Softplus", "dst x", "", `
		dst = (0 where 0 > x, else x) + ln(1 + e^-|x|)`,
		func(l lanes) {
			x := l.Get("x")
			a := l.Max(l.F32(-105), l.Or(x, l.Bits(32, 1<<31)))
			y := log1p(l.Program, exp(l.Program, l.Widen(a)))
			l.Put("dst", l.Narrow(l.Add(l.Widen(l.Max(l.F32(0), x)), y)))
		}),

	long("GELU", "dst x", "", `
		dst = x·Φ(x)`,
		func(l lanes) {
			x := l.Max(l.F32(-15), l.Get("x"))
			phi, _ := normal(l.Program, l.Widen(l.Min(l.F32(15), x)))
			l.Put("dst", l.Narrow(l.Mul(l.Widen(x), phi)))
		}),

	long("GELUTanh", "dst x", "", `
		dst = x/(1 + e^-2u) with 2u = x·(a + b·x²)`,
		func(l lanes) {
			x := l.Max(l.F32(-11), l.Get("x"))
			e, _, _ := expGELU(l.Program, l.Widen(l.Min(l.F32(11), x)))
			l.Put("dst", l.Narrow(l.Div(l.Widen(x), l.Add(l.F64(1), e))))
		}),

	long("SiLU", "dst x", "", `
		dst = x/(1 + e^-x)`,
		func(l lanes) {
			x := l.Max(l.F32(-110), l.Get("x"))
			e := exp(l.Program, l.Widen(l.Max(l.F32(-110), l.Xor(x, l.Bits(32, 1<<31)))))
			l.Put("dst", l.Narrow(l.Div(l.Widen(x), l.Add(l.F64(1), e))))
		}),

	elementwise("DeriveReLU", "dst grad y", "", `
		dst = grad where y > 0, else 0`,
		func(l lanes) {
			l.Put("dst", deriveReLU(l.Program, l.Get("grad"), l.Get("y")))
		}),

	elementwise("DeriveSigmoid", "dst grad y", "", `
		dst = grad·(y·(1-y))`,
		func(l lanes) {
			l.Put("dst", deriveSigmoid(l.Program, l.Get("grad"), l.Get("y")))
		}),

	elementwise("DeriveTanh", "dst grad y", "", `
		dst = grad·(1-y·y)`,
		func(l lanes) {
			l.Put("dst", deriveTanh(l.Program, l.Get("grad"), l.Get("y")))
		}),

	elementwise("DeriveLeakyReLU", "dst grad y", "slope", `
		dst = grad where y > 0, else slope·grad`,
		func(l lanes) {
			grad := l.Get("grad")
			l.Put("dst", l.Select(l.Gt(l.Get("y"), l.F32(0)), grad, l.Mul(l.Scalar("slope"), grad)))
		}),

	elementwise("DeriveELU", "dst grad y", "alpha", `
		dst = grad where y > 0, else grad·(y + alpha)`,
		func(l lanes) {
			grad, y := l.Get("grad"), l.Get("y")
			l.Put("dst", l.Select(l.Gt(y, l.F32(0)), grad, l.Mul(grad, l.Add(y, l.Scalar("alpha")))))
		}),

	long("DeriveSoftplus", "dst grad y", "", `
		dst = grad·(1 - e^-y)`,
		func(l lanes) {
			y := l.Min(l.F32(105), l.Xor(l.Get("y"), l.Bits(32, 1<<31)))
			e := expm1(l.Program, l.Widen(l.Max(l.F32(-105), y)))
			l.Put("dst", l.Mul(l.Get("grad"), l.Narrow(l.Sub(l.F64(0), e))))
		}),

	long("DeriveGELU", "dst grad x", "", `
		dst = grad·(Φ(x) + x·e^(-x²/2)/√(2π))`,
		func(l lanes) {
			x := l.Widen(l.Max(l.F32(-15), l.Min(l.F32(15), l.Get("x"))))
			phi, e := normal(l.Program, x)
			d := l.Add(phi, l.Mul(l.Mul(x, l.F64(f32.InvRoot2Pi)), e))
			l.Put("dst", l.Mul(l.Get("grad"), l.Narrow(d)))
		}),

	long("DeriveGELUTanh", "dst grad x", "", `
		dst = grad·(s·(1 + x·(a + 3·b·x²)·(1-s))) with s = 1/(1 + e^-2u)`,
		func(l lanes) {
			x := l.Widen(l.Max(l.F32(-11), l.Min(l.F32(11), l.Get("x"))))
			e, a, b := expGELU(l.Program, x)
			s := l.Div(l.F64(1), l.Add(l.F64(1), e))
			v := l.Mul(x, l.Add(a, l.Mul(l.F64(3), b)))
			l.Put("dst", l.Mul(l.Get("grad"), l.Narrow(gated(l.Program, v, s))))
		}),

	long("DeriveSiLU", "dst grad x", "", `
		dst = grad·(s·(1 + x·(1-s))) with s = 1/(1 + e^-x)`,
		func(l lanes) {
			x := l.Widen(l.Max(l.F32(-110), l.Min(l.F32(110), l.Get("x"))))
			e := exp(l.Program, l.Sub(l.F64(0), x))
			s := l.Div(l.F64(1), l.Add(l.F64(1), e))
			l.Put("dst", l.Mul(l.Get("grad"), l.Narrow(gated(l.Program, x, s))))
		}),

	elementwise("Lerp", "dst x", "w", `
		dst = dst + w·(x - dst)`,
		func(l lanes) {
			d := l.Get("dst")
			l.Put("dst", l.Add(d, l.Mul(l.Scalar("w"), l.Sub(l.Get("x"), d))))
		}),

	elementwise("Scale", "dst x", "s", `
		dst = s·x`,
		func(l lanes) {
			l.Put("dst", l.Mul(l.Scalar("s"), l.Get("x")))
		}),

	elementwise("Factored", "dst x col", "row floor", `
		dst = x/√(floor if floor > row·col, else row·col)`,
		func(l lanes) {
			v := l.Max(l.Scalar("floor"), l.Mul(l.Scalar("row"), l.Get("col")))
			l.Put("dst", l.Div(l.Get("x"), l.Sqrt(v)))
		}),
}

// The derivatives are those of the kernels and of GEMM's epilogue.
func deriveReLU(p *vec.Program, grad, y vec.V) vec.V {
	return p.And(p.Gt(y, p.F32(0)), grad)
}

func deriveSigmoid(p *vec.Program, grad, y vec.V) vec.V {
	return p.Mul(grad, p.Mul(y, p.Sub(p.F32(1), y)))
}

func deriveTanh(p *vec.Program, grad, y vec.V) vec.V {
	return p.Mul(grad, p.Sub(p.F32(1), p.Mul(y, y)))
}

// reduce gives r = x - n·ln 2 and a number with n in its low bits.
func reduce(p *vec.Program, x vec.V) (r, t vec.V) {
	t = p.Add(p.Mul(x, p.F64(f32.Log2E)), p.F64(f32.Shift))
	n := p.Sub(t, p.F64(f32.Shift))
	return p.Sub(x, p.Mul(n, p.F64(f32.Ln2))), t
}

// expm1r is e^r - 1 for a reduced r: the part of the high powers first, so that few
// numbers are kept.
func expm1r(p *vec.Program, r vec.V) vec.V {
	r2 := p.Mul(r, r)
	high := p.Add(linear(p, r, f32.Exp3, f32.Exp2), p.Mul(r2, linear(p, r, f32.Exp5, f32.Exp4)))
	high = p.Mul(p.Mul(r2, r2), high)
	return p.Add(p.Add(r, p.Mul(r2, linear(p, r, f32.Exp1, f32.Exp0))), high)
}

// linear is a·x + b.
func linear(p *vec.Program, x vec.V, a, b float64) vec.V {
	return p.Add(p.Mul(x, p.F64(a)), p.F64(b))
}

// exp is e^x of float64 lanes, |x| < 700 or NaN.
func exp(p *vec.Program, x vec.V) vec.V {
	r, t := reduce(p, x)
	return p.IAdd(p.Add(p.F64(1), expm1r(p, r)), p.Shl(t, 52))
}

// expm1 is e^x - 1 of float64 lanes, |x| < 700 or NaN.
func expm1(p *vec.Program, x vec.V) vec.V {
	r, t := reduce(p, x)
	s := p.IAdd(p.F64(1), p.Shl(t, 52))
	return p.Add(p.Mul(s, expm1r(p, r)), p.Sub(s, p.F64(1)))
}

// ln is the logarithm of float64 lanes that are positive, normal and finite.
func ln(p *vec.Program, x vec.V) vec.V {
	u := p.IAdd(p.ISub(x, p.Bits(64, f32.SqrtHalf)), p.Bits(64, 1024<<52))
	k := p.Sub(p.Or(p.Shr(u, 52), p.Bits(64, 0x433<<52)), p.F64(1<<52+1024))
	m := p.IAdd(p.And(u, p.Bits(64, 1<<52-1)), p.Bits(64, f32.SqrtHalf))
	f := p.Sub(m, p.F64(1))
	return p.Add(p.Mul(k, p.F64(f32.Ln2)), lnNear(p, f))
}

// lnNear is ln(1+f), √½ <= 1+f <= √2.
func lnNear(p *vec.Program, f vec.V) vec.V {
	s := p.Div(f, p.Add(f, p.F64(2)))
	z := p.Mul(s, s)
	low, high := linear(p, z, f32.Log1, f32.Log0), linear(p, z, f32.Log3, f32.Log2)
	q := p.Add(low, p.Mul(p.Mul(z, z), high))
	return p.Add(p.Add(s, s), p.Mul(p.Mul(s, z), q))
}

// log1p is ln(1+e) of float64 lanes, 0 <= e <= 1 or NaN.
func log1p(p *vec.Program, e vec.V) vec.V {
	halve := p.Gt(e, p.F64(f32.Root2Less1))
	f := p.Select(halve, p.Mul(p.Sub(e, p.F64(1)), p.F64(0.5)), e)
	return p.Add(p.And(halve, p.F64(f32.Ln2)), lnNear(p, f))
}

// normal is Φ(x), the normal distribution function, of float64 lanes, and e^(-x²/2);
// |x| <= 15 or NaN.
func normal(p *vec.Program, x vec.V) (phi, e vec.V) {
	a := p.And(x, p.Bits(64, 1<<63-1))
	r := p.Div(p.F64(1), p.Add(a, p.F64(f32.NormalK)))
	t := p.Mul(p.Sub(a, p.F64(f32.NormalK)), r)
	t2 := p.Mul(t, t)
	four := func(c3, c2, c1, c0 float64) vec.V {
		return p.Add(linear(p, t, c1, c0), p.Mul(t2, linear(p, t, c3, c2)))
	}
	t4 := p.Mul(t2, t2)
	low := four(f32.Normal3, f32.Normal2, f32.Normal1, f32.Normal0)
	mid := four(f32.Normal7, f32.Normal6, f32.Normal5, f32.Normal4)
	high := four(f32.Normal11, f32.Normal10, f32.Normal9, f32.Normal8)
	q := p.Add(low, p.Mul(t4, p.Add(mid, p.Mul(t4, high))))
	e = exp(p, p.Mul(p.Mul(x, x), p.F64(-0.5)))
	tail := p.Mul(e, p.Mul(r, q))
	return p.Select(p.Gt(p.F64(0), x), tail, p.Sub(p.F64(1), tail)), e
}

// expGELU is e^-(x·(a + b·x²)) of float64 lanes, |x| <= 11 or NaN, with the addends
// a and b·x².
func expGELU(p *vec.Program, x vec.V) (e, a, b vec.V) {
	a, b = p.F64(f32.GELU0), p.Mul(p.F64(f32.GELU1), p.Mul(x, x))
	return exp(p, p.Sub(p.F64(0), p.Mul(x, p.Add(a, b)))), a, b
}

// gated is s·(1 + v·(1-s)).
func gated(p *vec.Program, v, s vec.V) vec.V {
	one := p.F64(1)
	return p.Mul(s, p.Add(one, p.Mul(v, p.Sub(one, s))))
}
