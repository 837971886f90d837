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
		body:   func(p *vec.Program) { softmax(p, "dst", "ldd", noLoss) },
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
		body:   func(p *vec.Program) { softmax(p, "", "", labelLoss) },
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
		body:   func(p *vec.Program) { softmax(p, "grad", "ldg", labelLoss) },
	},
	{
		name: "SoftCrossEntropy",
		doc: []string{
			"SoftCrossEntropy does, for each of rows rows of cols elements, strides in elements,",
			"y being the softmax of the row:",
			"",
			"\tloss = (Σ target)·ln Σ e^(x - max x) - Σ target·(x - max x)",
			"\tgrad = (y·Σ target - target)·scale",
		},
		params: vec.Params("rows, cols int, grad *float32, ldg int, x *float32, ldx int, target *float32, ldt int, scale float32, loss *float64"),
		wide:   true,
		body:   func(p *vec.Program) { softmax(p, "grad", "ldg", targetLoss) },
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
		body:   func(p *vec.Program) { errorSum(p, "y", false, squaredError) },
	},
	{
		name: "SquaredErrorGrad",
		doc: []string{
			"SquaredErrorGrad is SquaredError and grad = d·scale.",
		},
		params: vec.Params("n int, grad, y, target *float32, scale float32, acc *float64"),
		wide:   true,
		body:   func(p *vec.Program) { errorSum(p, "y", true, squaredError) },
	},
	{
		name: "AbsoluteError",
		doc: []string{
			"AbsoluteError does, for each of n elements, d = y - target, acc[i mod 32] += |d|,",
			"grad = sign(d)·scale.",
		},
		params: vec.Params("n int, grad, y, target *float32, scale float32, acc *float64"),
		wide:   true,
		body:   func(p *vec.Program) { errorSum(p, "y", true, absoluteError) },
	},
	{
		name: "HuberError",
		doc: []string{
			"HuberError does, for each of n elements, d = y - target, g = d clamped to ±delta,",
			"acc[i mod 32] += |g|·(|d| - |g|/2), grad = g·scale.",
		},
		params: vec.Params("n int, grad, y, target *float32, delta, scale float32, acc *float64"),
		wide:   true,
		body: func(p *vec.Program) {
			delta := p.Splat("delta")
			lowest := p.Xor(delta, p.Bits(32, 1<<31))
			errorSum(p, "y", true, func(p *vec.Program, y, target vec.V) (g, term vec.V) {
				d := p.Sub(y, target)
				g = p.Max(lowest, p.Min(delta, d))
				m := magnitude(p, g)
				return g, p.Mul(m, p.Sub(magnitude(p, d), p.Mul(p.F64(0.5), m)))
			})
		},
	},
	{
		name: "LogisticError",
		doc: []string{
			"LogisticError does, for each of n elements, with y the sigmoid of x,",
			"acc[i mod 32] += x·((1 if x > 0, else 0) - target) + ln(1 + e^-|x|),",
			"grad = (y - target)·scale.",
		},
		params: vec.Params("n int, grad, x, target *float32, scale float32, acc *float64"),
		wide:   true,
		body:   func(p *vec.Program) { errorSum(p, "x", true, logisticError) },
	},
	{
		name: "SumSquares",
		doc: []string{
			"SumSquares does, for each of n elements, acc[i mod 32] += x·x.",
		},
		params: vec.Params("n int, x *float32, acc *float64"),
		wide:   true,
		body:   func(p *vec.Program) { sum(p, square) },
	},
	{
		name: "SumAbs",
		doc: []string{
			"SumAbs does, for each of n elements, acc[i mod 32] += |x|.",
		},
		params: vec.Params("n int, x *float32, acc *float64"),
		wide:   true,
		body:   func(p *vec.Program) { sum(p, magnitude) },
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
			p.Each(n, []*vec.Stream{x, sums}, func() { addTo(p, sums.At(), square(p, p.Load(32, x.At()))) })
		},
	},
}

// lossKind is the loss that a kernel over rows computes besides the softmax: none, or
// the cross-entropy with a label or with a row of targets.
type lossKind int

const (
	noLoss lossKind = iota
	labelLoss
	targetLoss
)

// softmax describes the kernels over rows: out and its stride name the parameters
// that take the softmax or the gradient, if any.
func softmax(p *vec.Program, out, stride string, kind lossKind) {
	const size = accumulators * 8
	sums := 1
	if kind == targetLoss {
		sums = 3 // of the exponentials, of the targets, of these times x
	}
	frame := sums * size
	hasShort := kind == labelLoss && out != "" && p.Lanes >= 4 // with fewer lanes it is hardly ever of use
	if hasShort {
		frame = shortFrame(p)
	}
	acc := p.Local(frame)
	rows, cols := p.Param("rows"), p.Param("cols")
	x := p.Param("x")
	var dst, label, target, loss vec.R
	if out != "" {
		dst = p.Param(out)
	}
	switch kind {
	case labelLoss:
		label, loss = p.Param("label"), p.Param("loss")
	case targetLoss:
		target, loss = p.Param("target"), p.Param("loss")
	}
	end := p.NewLabel()
	p.JumpZero(rows, end)
	if hasShort {
		short, long := p.NewLabel(), p.NewLabel()
		p.JumpLess(cols, p.Lanes+1, short)
		p.Jump(long)
		p.Here(short)
		shortRows(p, acc, rows, cols, x, dst, label, loss, stride)
		p.Jump(end)
		p.Here(long)
	}
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

		var xAtLabel vec.V // before dst is written, which may be x
		var place vec.R
		if kind == labelLoss {
			place = p.LoadR32(label.At(0))
			p.ShlI(place, 2)
			at := p.Copy(place)
			p.AddR(at, x)
			xAtLabel = p.Widen(p.LoadSplat(32, at.At(0)))
		}

		p.Comment("the exponentials, and the sums in the accumulators")
		zero := p.Vec(64)
		p.Zero(zero)
		for i := 0; i < sums*accumulators; i += p.Lanes {
			p.Store(acc.At(8*i), zero)
		}
		p.Mov(n, cols)
		src = p.Stream(32, p.Copy(x))
		sum := p.Circle(acc, accumulators)
		streams := []*vec.Stream{src, sum}
		var to, weights *vec.Stream
		if out != "" {
			to = p.Stream(32, p.Copy(dst))
			streams = append(streams, to)
		}
		if kind == targetLoss {
			weights = p.Stream(32, p.Copy(target))
			streams = append(streams, weights)
		}
		p.Each(n, streams, func() {
			d := p.Sub(p.Widen(p.Load(32, src.At())), max)
			if kind == targetLoss {
				t := p.Widen(p.Load(32, weights.At()))
				weighted := p.And(nonzero(p, t), p.Mul(t, d))
				addTo(p, sum.At().Plus(size), t)
				addTo(p, sum.At().Plus(2*size), weighted)
			}
			e := exp(p, p.Max(p.F64(-110), d))
			if out != "" {
				p.Store(to.At(), p.Narrow(e))
			}
			addTo(p, sum.At(), e)
		})
		total := tree(p, acc, 0)

		var weight vec.V
		if kind != noLoss {
			// total - total carries a NaN, which log does not.
			lse := p.Add(ln(p, total), p.Sub(total, total))
			if kind == labelLoss {
				p.StoreLane(loss.At(0), p.Sub(lse, p.Sub(xAtLabel, max)))
				p.AddI(label, 4)
			} else {
				weight = tree(p, acc, size)
				p.StoreLane(loss.At(0), p.Sub(p.Mul(weight, lse), tree(p, acc, 2*size)))
			}
			p.AddI(loss, 8)
		}
		if out != "" {
			p.Comment("the exponentials times the inverse of the sum")
			inverse := p.Div(p.F64(1), total)
			var atLabel, scale vec.V
			if kind != noLoss {
				scale = p.Splat("scale")
			}
			switch kind {
			case labelLoss:
				p.AddR(place, dst)
				y := p.Narrow(p.Mul(p.Widen(p.LoadSplat(32, place.At(0))), inverse))
				atLabel = p.Mul(p.Sub(y, p.F32(1)), scale)
			case targetLoss:
				inverse = p.Mul(weight, inverse)
				weights = p.Stream(32, p.Copy(target))
			}
			p.Mov(n, cols)
			to = p.Stream(32, p.Copy(dst))
			streams := []*vec.Stream{to}
			if kind == targetLoss {
				streams = append(streams, weights)
			}
			p.Each(n, streams, func() {
				y := p.Narrow(p.Mul(p.Widen(p.Load(32, to.At())), inverse))
				if kind == targetLoss {
					y = p.Sub(y, p.Load(32, weights.At()))
				}
				if kind != noLoss {
					y = p.Mul(y, scale)
				}
				p.Store(to.At(), y)
			})
			if kind == labelLoss {
				p.StoreLane(place.At(0), atLabel)
			}
			advanceRow(p, dst, stride)
		}
		if kind == targetLoss {
			advanceRow(p, target, "ldt")
		}
		advanceRow(p, x, "ldx")
	})
	p.Here(end)
}

// shortBlock is how many rows shortRows does at a time.
const shortBlock = 32

// shortFrame is the size of what shortRows has in the frame.
func shortFrame(p *vec.Program) int { return 16*shortBlock + 4*p.Lanes*(shortBlock+2) }

// shortRows is the gradient of the cross-entropy with a label for rows that fit into a
// vector, as those of two or four classes. It does some rows at a time, so that the
// logarithms and the inverses of their sums are whole vectors of them, and in three loops,
// each short enough for the processor to be at several rows at once. The lanes beyond a
// row are -Inf and add e^-110 to a sum of at least 1, which rounds to what it was, as with
// accumulators of zero.
func shortRows(p *vec.Program, frame, rows, cols, x, dst, label, loss vec.R, stride string) {
	// In the frame: the sums, and then their inverses; x[label] - max x, and then the losses;
	// the exponentials, which are read sooner than a masked store to dst would be done; and
	// a one between zeros: a vector from so many elements before it on is 1 at the label.
	const sums, losses, exps = 0, 8 * shortBlock, 16 * shortBlock
	one := exps + 4*p.Lanes*(shortBlock+1)
	zero := p.F32(0)
	p.Store(frame.At(one-4*p.Lanes), zero)
	p.Store(frame.At(one), zero)
	p.StoreLane(frame.At(one), p.F32(1))
	tail := p.NewTail(cols)

	next, last := p.NewLabel(), p.NewLabel()
	n := p.Reg()
	p.Here(next)
	p.Mov(n, rows)
	p.JumpLess(rows, shortBlock, last)
	p.MovI(n, shortBlock)
	p.Here(last)
	p.SubR(rows, n)

	left, at, e, labels := p.Copy(n), p.Copy(frame), p.Copy(frame), p.Copy(label)
	lowest := p.F32(float32(math.Inf(-1)))
	p.Loop(left, func() {
		var v vec.V
		p.InTail(tail, func() { v = p.LoadElse(32, x.At(0), lowest) })
		max := p.Widen(p.FoldMax(p.Max(v, lowest)))
		place := p.LoadR32(labels.At(0))
		p.ShlI(place, 2)
		p.AddR(place, x)
		p.StoreLane(at.At(losses), p.Sub(p.Widen(p.LoadSplat(32, place.At(0))), max))

		exp := exp(p, p.Max(p.F64(-110), p.Sub(p.Widen(v), max)))
		p.StoreLane(at.At(sums), p.FoldAdd(exp))
		p.Store(e.At(exps), p.Narrow(exp))
		p.AddI(at, 8)
		p.AddI(e, 4*p.Lanes)
		p.AddI(labels, 4)
		advanceRow(p, x, "ldx")
	})

	p.Mov(at, frame)
	p.Mov(left, n)
	p.AddI(left, p.Lanes-1)
	p.ShrI(left, bits.TrailingZeros(uint(p.Lanes)))
	p.Loop(left, func() {
		total := p.Load(64, at.At(sums))
		lse := p.Add(ln(p, total), p.Sub(total, total)) // as for long rows
		p.Store(at.At(losses), p.Sub(lse, p.Load(64, at.At(losses))))
		p.Store(at.At(sums), p.Div(p.F64(1), total))
		p.AddI(at, 8*p.Lanes)
	})

	p.Mov(at, frame)
	p.Mov(e, frame)
	scale := p.Splat("scale")
	p.Loop(n, func() {
		y := p.Narrow(p.Mul(p.Widen(p.Load(32, e.At(exps))), p.LoadSplat(64, at.At(sums))))
		place, window := p.LoadR32(label.At(0)), p.Copy(frame)
		p.ShlI(place, 2)
		p.SubR(window, place)
		grad := p.Mul(p.Sub(y, p.Load(32, window.At(one))), scale)
		p.InTail(tail, func() { p.Store(dst.At(0), grad) })
		p.StoreR(loss.At(0), p.LoadR(at.At(losses)))
		p.AddI(at, 8)
		p.AddI(e, 4*p.Lanes)
		p.AddI(label, 4)
		p.AddI(loss, 8)
		advanceRow(p, dst, stride)
	})
	end := p.NewLabel()
	p.JumpZero(rows, end)
	p.Jump(next)
	p.Here(end)
}

// advanceRow moves a pointer on by a stride of float32 elements.
func advanceRow(p *vec.Program, ptr vec.R, stride string) {
	ld := p.Param(stride)
	p.ShlI(ld, 2)
	p.AddR(ptr, ld)
}

// tree adds up the accumulators that lie off bytes from acc: the upper half to the
// lower half until one is left.
func tree(p *vec.Program, acc vec.R, off int) vec.V {
	var v []vec.V
	for i := 0; i < accumulators/2; i += p.Lanes {
		v = append(v, p.Add(p.Load(64, acc.At(off+8*i)), p.Load(64, acc.At(off+8*(i+accumulators/2)))))
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

// errorSum describes a sum over two vectors, the first of which is called y or x. of
// gives, for an element of each, the gradient before it is scaled and what goes to
// the accumulator.
func errorSum(p *vec.Program, yName string, grad bool, of func(p *vec.Program, y, target vec.V) (g, term vec.V)) {
	n := p.Param("n")
	y, target := p.Stream(32, p.Param(yName)), p.Stream(32, p.Param("target"))
	acc := p.Circle(p.Param("acc"), accumulators)
	streams := []*vec.Stream{y, target, acc}
	var out *vec.Stream
	var scale vec.V
	if grad {
		out, scale = p.Stream(32, p.Param("grad")), p.Splat("scale")
		streams = append(streams, out)
	}
	p.Each(n, streams, func() {
		g, term := of(p, p.Load(32, y.At()), p.Load(32, target.At()))
		if grad {
			p.Store(out.At(), p.Mul(g, scale))
		}
		addTo(p, acc.At(), term)
	})
}

func squaredError(p *vec.Program, y, target vec.V) (g, term vec.V) {
	d := p.Sub(y, target)
	return d, square(p, d)
}

func absoluteError(p *vec.Program, y, target vec.V) (g, term vec.V) {
	d := p.Sub(y, target)
	one := p.Or(p.F32(1), p.And(d, p.Bits(32, 1<<31)))
	size := p.And(d, p.Bits(32, 1<<31-1))
	return p.Select(p.Gt(size, p.F32(0)), one, d), p.Widen(size)
}

// logisticError takes one exponential for both: u = e^-x, and e^-|x| is u or 1/u.
func logisticError(p *vec.Program, x, target vec.V) (g, term vec.V) {
	cut := p.F64(700) // as in package kernels
	w, one, zero := p.Widen(x), p.F64(1), p.F64(0)
	size := p.And(w, p.Bits(64, 1<<63-1))
	sign := p.Xor(w, size)
	u := exp(p, p.Sub(zero, p.Or(p.Min(cut, size), sign)))
	g = p.Sub(p.Narrow(p.Div(one, p.Add(one, u))), target)

	positive := p.Gt(w, zero)
	e := p.Select(positive, u, p.Div(one, u))
	e = p.Select(p.Gt(size, cut), zero, e)
	factor := p.Sub(p.And(positive, one), p.Widen(target))
	linear := p.Select(nonzero(p, factor), p.Mul(w, factor), factor)
	return g, p.Add(linear, log1p(p, e))
}

// sum describes the sum of a function of each element, with all accumulators in
// registers as long as there are as many elements left.
func sum(p *vec.Program, of func(p *vec.Program, x vec.V) vec.V) {
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
			p.Set(sum, p.Add(sum, of(p, p.Load(32, x.At(4*i*p.Lanes)))))
		}
		p.AddI(x, 4*accumulators)
	})
	for i, sum := range sums {
		p.Store(acc.At(8*i*p.Lanes), sum)
	}
	p.Here(rest)
	p.AndI(n, accumulators-1)
	left, circle := p.Stream(32, x), p.Circle(acc, accumulators)
	p.Each(n, []*vec.Stream{left, circle}, func() { addTo(p, circle.At(), of(p, p.Load(32, left.At()))) })
}

// square is x² in float64.
func square(p *vec.Program, x vec.V) vec.V {
	w := p.Widen(x)
	return p.Mul(w, w)
}

// magnitude is |x| in float64.
func magnitude(p *vec.Program, x vec.V) vec.V {
	return p.Widen(p.And(x, p.Bits(32, 1<<31-1)))
}

// nonzero is all ones where a float64 is neither zero nor NaN.
func nonzero(p *vec.Program, x vec.V) vec.V {
	return p.Gt(p.And(x, p.Bits(64, 1<<63-1)), p.F64(0))
}

// addTo adds to the float64 sums at m.
func addTo(p *vec.Program, m vec.Mem, x vec.V) {
	p.Store(m, p.Add(p.Load(64, m), x))
}
