package main

import (
	"math"

	"github.com/lockstep-go/lockstep/gen/vec"
	"github.com/lockstep-go/lockstep/internal/f32"
)

// maths are the elementwise functions. The wide ones compute in float64 lanes
// and round once; kernels/math.go has the formulas and their errors.
var maths = []kernel{
	wide(elementwise("Exp", "dst x", "", `
		dst = e^x`,
		func(l lanes) {
			x := l.Min(l.F32(89), l.Get("x"))
			x = l.Max(l.F32(-105), x)
			l.Put("dst", l.Narrow(exp(l.Program, l.Widen(x))))
		})),

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

	wide(elementwise("Sigmoid", "dst x", "", `
		dst = 1/(1 + e^-x)`,
		func(l lanes) {
			x := l.Min(l.F32(105), l.Xor(l.Get("x"), l.Bits(32, 1<<31)))
			x = l.Max(l.F32(-105), x)
			one := l.F64(1)
			l.Put("dst", l.Narrow(l.Div(one, l.Add(one, exp(l.Program, l.Widen(x))))))
		})),

	wide(elementwise("Tanh", "dst x", "", `
		dst = e/(e + 2) with e = e^(2|x|) - 1, and the sign of x`,
		func(l lanes) {
			x := l.Get("x")
			sign := l.And(x, l.Bits(32, 1<<31))
			a := l.Min(l.F32(10), l.Xor(x, sign))
			e := expm1(l.Program, l.Mul(l.F64(2), l.Widen(a)))
			y := l.Narrow(l.Div(e, l.Add(e, l.F64(2))))
			l.Put("dst", l.Or(y, sign))
		})),

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

	elementwise("Lerp", "dst x", "w", `
		dst = dst + w·(x - dst)`,
		func(l lanes) {
			d := l.Get("dst")
			l.Put("dst", l.Add(d, l.Mul(l.Scalar("w"), l.Sub(l.Get("x"), d))))
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

// expm1r is e^r - 1 for a reduced r.
func expm1r(p *vec.Program, r vec.V) vec.V {
	r2 := p.Mul(r, r)
	r4 := p.Mul(r2, r2)
	low := linear(p, r, f32.Exp1, f32.Exp0)
	mid := linear(p, r, f32.Exp3, f32.Exp2)
	high := linear(p, r, f32.Exp5, f32.Exp4)
	return p.Add(p.Add(r, p.Mul(r2, low)), p.Mul(r4, p.Add(mid, p.Mul(r2, high))))
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
	s := p.Div(f, p.Add(f, p.F64(2)))
	z := p.Mul(s, s)
	low, high := linear(p, z, f32.Log1, f32.Log0), linear(p, z, f32.Log3, f32.Log2)
	q := p.Add(low, p.Mul(p.Mul(z, z), high))
	return p.Add(p.Mul(k, p.F64(f32.Ln2)), p.Add(p.Add(s, s), p.Mul(p.Mul(s, z), q)))
}
