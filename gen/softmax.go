package main

import (
	"math"
	"math/bits"

	"github.com/lockstep-go/lockstep/gen/vec"
)

// accumulators is the number of logical accumulators of a sum along a vector.
const accumulators = 32

var softmaxes = []kernel{
	{
		name: "Softmax",
		doc: []string{
			"Softmax does, for each of rows rows of cols elements, strides in elements:",
			"",
			"\tdst = e^(x - max x) / Σ e^(x - max x)",
		},
		params: vec.Params("rows, cols int, dst *float32, ldd int, x *float32, ldx int"),
		wide:   true,
		body:   func(p *vec.Program) { softmax(p, "dst", "ldd", false) },
	},
	{
		name: "CrossEntropy",
		doc: []string{
			"CrossEntropy does, for each of rows rows of cols elements, strides in elements:",
			"",
			"\tloss = ln Σ e^(x - max x) - (x[label] - max x)",
		},
		params: vec.Params("rows, cols int, x *float32, ldx int, label *int32, loss *float64"),
		wide:   true,
		body:   func(p *vec.Program) { softmax(p, "", "", true) },
	},
	{
		name: "CrossEntropyGrad",
		doc: []string{
			"CrossEntropyGrad is CrossEntropy and, with y the softmax of the row:",
			"",
			"\tgrad = (y - (1 at the label, else 0))·scale",
		},
		params: vec.Params("rows, cols int, grad *float32, ldg int, x *float32, ldx int, label *int32, scale float32, loss *float64"),
		wide:   true,
		body:   func(p *vec.Program) { softmax(p, "grad", "ldg", true) },
	},
	{
		name: "SoftmaxGrad",
		doc: []string{
			"SoftmaxGrad does, for each of rows rows of cols elements, strides in elements:",
			"",
			"\tdx = y·(dy - Σ dy·y)",
		},
		params: vec.Params("rows, cols int, dx *float32, ldd int, dy *float32, ldg int, y *float32, ldy int"),
		wide:   true,
		body:   softmaxGrad,
	},
	{
		name: "SquaredError",
		doc: []string{
			"SquaredError does, for each of n elements, d = y - target, acc[i mod 32] += d·d.",
		},
		params: vec.Params("n int, y, target *float32, acc *float64"),
		wide:   true,
		body:   func(p *vec.Program) { squaredError(p, false) },
	},
	{
		name: "SquaredErrorGrad",
		doc: []string{
			"SquaredErrorGrad is SquaredError and grad = d·scale.",
		},
		params: vec.Params("n int, grad, y, target *float32, scale float32, acc *float64"),
		wide:   true,
		body:   func(p *vec.Program) { squaredError(p, true) },
	},
	{
		name: "SumSquares",
		doc: []string{
			"SumSquares does, for each of n elements, acc[i mod 32] += x·x.",
		},
		params: vec.Params("n int, x *float32, acc *float64"),
		wide:   true,
		body:   sumSquares,
	},
	{
		name: "AddSquares",
		doc: []string{
			"AddSquares does, for each of n elements, sums = sums + x·x.",
		},
		params: vec.Params("n int, sums *float64, x *float32"),
		wide:   true,
		body: func(p *vec.Program) {
			n, x := p.Param("n"), p.Stream(32, p.Param("x"))
			sums := p.Stream(64, p.Param("sums"))
			p.Each(n, []*vec.Stream{x, sums}, func() { addSquare(p, sums, p.Load(32, x.At())) })
		},
	},
}

// softmax describes the three kernels over rows: out and its stride name the
// parameters that take the softmax or the gradient, if any.
func softmax(p *vec.Program, out, stride string, entropy bool) {
	acc := p.Local(accumulators * 8)
	rows, cols := p.Param("rows"), p.Param("cols")
	x := p.Param("x")
	var dst, label, loss vec.R
	if out != "" {
		dst = p.Param(out)
	}
	if entropy {
		label, loss = p.Param("label"), p.Param("loss")
	}
	end := p.NewLabel()
	p.JumpZero(rows, end)
	p.Loop(rows, func() {
		p.Comment("the greatest element; NaN is not greater")
		lowest := p.F32(float32(math.Inf(-1)))
		top := p.Vec(32)
		p.Set(top, lowest)
		n, src := p.Copy(cols), p.Stream(32, p.Copy(x))
		p.Each(n, []*vec.Stream{src}, func() {
			v := p.LoadElse(32, src.At(), lowest)
			p.Set(top, p.Max(v, top))
		})
		p.Set(top, p.FoldMax(top))
		max := p.Widen(top)

		var target vec.V // before dst is written, which may be x
		var place vec.R
		if entropy {
			place = p.LoadR32(label.At(0))
			p.ShlI(place, 2)
			at := p.Copy(place)
			p.AddR(at, x)
			target = p.Widen(p.LoadSplat(32, at.At(0)))
		}

		p.Comment("the exponentials, and their sum in the accumulators")
		for i := 0; i < accumulators; i += p.Lanes {
			p.Store(acc.At(8*i), p.F64(0))
		}
		p.Mov(n, cols)
		src = p.Stream(32, p.Copy(x))
		sum := p.Circle(acc, accumulators)
		streams := []*vec.Stream{src, sum}
		var to *vec.Stream
		if out != "" {
			to = p.Stream(32, p.Copy(dst))
			streams = append(streams, to)
		}
		p.Each(n, streams, func() {
			d := p.Sub(p.Widen(p.Load(32, src.At())), max)
			e := exp(p, p.Max(p.F64(-110), d))
			if out != "" {
				p.Store(to.At(), p.Narrow(e))
			}
			p.Store(sum.At(), p.Add(p.Load(64, sum.At()), e))
		})
		total := tree(p, acc)

		if entropy {
			// total - total carries a NaN, which log does not.
			lse := p.Add(ln(p, total), p.Sub(total, total))
			p.StoreLane(loss.At(0), p.Sub(lse, p.Sub(target, max)))
			p.AddI(label, 4)
			p.AddI(loss, 8)
		}
		if out != "" {
			p.Comment("the exponentials times the inverse of the sum")
			inverse := p.Div(p.F64(1), total)
			var atLabel, scale vec.V
			if entropy {
				scale = p.Splat("scale")
				p.AddR(place, dst)
				y := p.Narrow(p.Mul(p.Widen(p.LoadSplat(32, place.At(0))), inverse))
				atLabel = p.Mul(p.Sub(y, p.F32(1)), scale)
			}
			p.Mov(n, cols)
			to = p.Stream(32, p.Copy(dst))
			p.Each(n, []*vec.Stream{to}, func() {
				y := p.Narrow(p.Mul(p.Widen(p.Load(32, to.At())), inverse))
				if entropy {
					y = p.Mul(y, scale)
				}
				p.Store(to.At(), y)
			})
			if entropy {
				p.StoreLane(place.At(0), atLabel)
			}
			advanceRow(p, dst, stride)
		}
		advanceRow(p, x, "ldx")
	})
	p.Here(end)
}

// advanceRow moves a pointer on by a stride of float32 elements.
func advanceRow(p *vec.Program, ptr vec.R, stride string) {
	ld := p.Param(stride)
	p.ShlI(ld, 2)
	p.AddR(ptr, ld)
}

// tree adds up the accumulators: the upper half to the lower half until one is
// left.
func tree(p *vec.Program, acc vec.R) vec.V {
	var v []vec.V
	for i := 0; i < accumulators/2; i += p.Lanes {
		v = append(v, p.Add(p.Load(64, acc.At(8*i)), p.Load(64, acc.At(8*(i+accumulators/2)))))
	}
	for len(v) > 1 {
		half := len(v) / 2
		for i := range half {
			v[i] = p.Add(v[i], v[i+half])
		}
		v = v[:half]
	}
	return p.FoldAdd(v[0])
}

func squaredError(p *vec.Program, grad bool) {
	n := p.Param("n")
	y, target := p.Stream(32, p.Param("y")), p.Stream(32, p.Param("target"))
	acc := p.Circle(p.Param("acc"), accumulators)
	streams := []*vec.Stream{y, target, acc}
	var out *vec.Stream
	var scale vec.V
	if grad {
		out, scale = p.Stream(32, p.Param("grad")), p.Splat("scale")
		streams = append(streams, out)
	}
	p.Each(n, streams, func() {
		d := p.Sub(p.Load(32, y.At()), p.Load(32, target.At()))
		if grad {
			p.Store(out.At(), p.Mul(d, scale))
		}
		addSquare(p, acc, d)
	})
}

// sumSquares describes the sum with all accumulators in registers, as long as there
// are as many elements left.
func sumSquares(p *vec.Program) {
	n, x, acc := p.Param("n"), p.Param("x"), p.Param("acc")
	rest := p.NewLabel()
	rounds := p.Copy(n)
	p.ShrI(rounds, bits.TrailingZeros(accumulators))
	p.JumpZero(rounds, rest)
	var sums []vec.V
	for i := 0; i < accumulators; i += p.Lanes {
		sums = append(sums, p.Load(64, acc.At(8*i)))
	}
	p.Loop(rounds, func() {
		for i, sum := range sums {
			w := p.Widen(p.Load(32, x.At(4*i*p.Lanes)))
			p.Set(sum, p.Add(sum, p.Mul(w, w)))
		}
		p.AddI(x, 4*accumulators)
	})
	for i, sum := range sums {
		p.Store(acc.At(8*i*p.Lanes), sum)
	}
	p.Here(rest)
	p.AndI(n, accumulators-1)
	left, circle := p.Stream(32, x), p.Circle(acc, accumulators)
	p.Each(n, []*vec.Stream{left, circle}, func() { addSquare(p, circle, p.Load(32, left.At())) })
}

// addSquare adds the squares of x to float64 sums.
func addSquare(p *vec.Program, sums *vec.Stream, x vec.V) {
	w := p.Widen(x)
	p.Store(sums.At(), p.Add(p.Load(64, sums.At()), p.Mul(w, w)))
}
