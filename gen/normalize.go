package main

import (
	"math/bits"
	"slices"

	"github.com/lockstep-go/lockstep/gen/vec"
)

// normalizations are the kernels of batch and layer normalisation. Those over
// columns take at least one row.
var normalizations = []kernel{
	{
		name: "ColumnSums",
		doc: []string{
			"ColumnSums does, for rows rows of cols elements, one after the other, the stride in",
			"elements:",
			"",
			"\tsums = sums + x",
		},
		params: vec.Params("rows, cols int, sums *float64, x *float32, ldx int"),
		wide:   true,
		body:   func(p *vec.Program) { columnSums(p, false) },
	},
	{
		name: "ColumnSquares",
		doc: []string{
			"ColumnSquares does, for rows rows of cols elements, one after the other, the stride",
			"in elements:",
			"",
			"\tsums = sums + (x - mean)·(x - mean)",
		},
		params: vec.Params("rows, cols int, sums, mean *float64, x *float32, ldx int"),
		wide:   true,
		body:   func(p *vec.Program) { columnSums(p, true) },
	},
	wide(elementwise("InverseRoot", "dst x", "eps", `
		dst = 1/√(x + eps)`,
		func(l lanes) {
			l.Put("dst", l.Narrow(inverseRoot(l.Program, l.Widen(l.Get("x")), l.Scalar("eps"))))
		})),
	{
		name: "Normalize",
		doc: []string{
			"Normalize does, for each of rows rows of cols elements, strides in elements:",
			"",
			"\tdst = ((x - mean)·inverse)·gain + bias",
		},
		params: vec.Params("rows, cols int, dst *float32, ldd int, x *float32, ldx int, mean, inverse, gain, bias *float32"),
		body:   normalize,
	},
	{
		name: "NormalizeSums",
		doc: []string{
			"NormalizeSums does, for rows rows of cols elements, one after the other, strides in",
			"elements:",
			"",
			"\ta = a + dy·((x - mean)·inverse)",
			"\tb = b + dy",
		},
		params: vec.Params("rows, cols int, a, b *float64, dy *float32, ldg int, x *float32, ldx int, mean, inverse *float32"),
		wide:   true,
		body:   normalizeSums,
	},
	{
		name: "NormalizeGrad",
		doc: []string{
			"NormalizeGrad does, for each of rows rows of cols elements, strides in elements:",
			"",
			"\tdx = (gain·inverse)·((dy - b) - ((x - mean)·inverse)·a)",
		},
		params: vec.Params("rows, cols int, dx *float32, ldd int, dy *float32, ldg int, x *float32, ldx int, mean, inverse, gain, a, b *float32"),
		body:   normalizeGrad,
	},
	{
		name: "LayerNorm",
		doc: []string{
			"LayerNorm does, for each of rows rows of cols elements, strides in elements:",
			"",
			"\tmean = (Σ x)/cols",
			"\tinverse = 1/√((Σ (x - mean)²)/cols + eps)",
			"\tdst = ((x - mean)·inverse)·gain + bias",
			"",
			"count is cols. mean and inverse may both be nil.",
		},
		params: vec.Params("rows, cols int, dst *float32, ldd int, x *float32, ldx int, gain, bias, mean, inverse *float32, eps, count float32"),
		wide:   true,
		body:   layerNorm,
	},
	{
		name: "LayerNormGrad",
		doc: []string{
			"LayerNormGrad does, for each of rows rows of cols elements, strides in elements, with",
			"g = dy·gain and h = (x - mean)·inverse:",
			"",
			"\tdx = inverse·((g - (Σ g)/cols) - h·((Σ g·h)/cols))",
			"",
			"count is cols.",
		},
		params: vec.Params("rows, cols int, dx *float32, ldd int, dy *float32, ldg int, x *float32, ldx int, mean, inverse, gain *float32, count float32"),
		wide:   true,
		body:   layerNormGrad,
	},
	{
		name: "LayerNormParams",
		doc: []string{
			"LayerNormParams does, for rows rows of cols elements, one after the other, strides in",
			"elements:",
			"",
			"\tdgain = dgain + dy·((x - mean)·inverse)",
			"\tdbias = dbias + dy",
		},
		params: vec.Params("rows, cols int, dgain, dbias, dy *float32, ldg int, x *float32, ldx int, mean, inverse *float32"),
		body:   layerNormParams,
	},
}

// pointer is where a kernel over columns stands in one of its arguments.
type pointer struct {
	vec.R
	bits int // of the elements
}

// vector is the address of the vector that lies i vectors behind r.
func vector(p *vec.Program, r vec.R, bits, i int) vec.Mem { return r.At(i * p.Lanes * bits / 8) }

// eachColumns runs body for cols columns: as long as there are as many, for side
// columns at once; then for a vector of them, or as many as are left. body gets the
// number of vectors. The pointers advance.
func eachColumns(p *vec.Program, side int, pointers []pointer, body func(vectors int)) {
	cols := p.Param("cols")
	groups, rest := p.Copy(cols), p.NewLabel()
	p.ShrI(groups, bits.TrailingZeros(uint(side)))
	p.JumpZero(groups, rest)
	p.Loop(groups, func() {
		body(side / p.Lanes)
		for _, at := range pointers {
			p.AddI(at.R, side*at.bits/8)
		}
	})
	p.Here(rest)
	p.AndI(cols, side-1)
	next, last, end := p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.Here(next)
	p.JumpZero(cols, end)
	n := p.Copy(cols)
	p.JumpLess(n, p.Lanes, last)
	p.MovI(n, p.Lanes)
	p.Here(last)
	p.SubR(cols, n)
	p.InTail(p.NewTail(n), func() { body(1) })
	for _, at := range pointers {
		p.AddI(at.R, p.Lanes*at.bits/8)
	}
	p.Jump(next)
	p.Here(end)
}

// byteStride reads a stride and makes it bytes.
func byteStride(p *vec.Program, stride string) vec.R {
	ld := p.Param(stride)
	p.ShlI(ld, 2)
	return ld
}

// loadVectors reads vectors that lie behind one another, into registers that may be
// changed.
func loadVectors(p *vec.Program, count int, at pointer) []vec.V {
	var v []vec.V
	for i := range count {
		v = append(v, p.Load(at.bits, vector(p, at.R, at.bits, i)))
	}
	return v
}

func storeVectors(p *vec.Program, at pointer, v []vec.V) {
	for i := range v {
		p.Store(vector(p, at.R, at.bits, i), v[i])
	}
}

// accumulate adds x to a sum.
func accumulate(p *vec.Program, sum, x vec.V) { p.Set(sum, p.Add(sum, x)) }

// columnSums describes the sums of a matrix's columns, or those of the squared
// distances from the means.
func columnSums(p *vec.Program, squares bool) {
	sums, x := pointer{p.Param("sums"), 64}, pointer{p.Param("x"), 32}
	pointers := []pointer{sums, x}
	var mean pointer
	if squares {
		mean = pointer{p.Param("mean"), 64}
		pointers = append(pointers, mean)
	}
	ldx := byteStride(p, "ldx")
	eachColumns(p, 16, pointers, func(vectors int) {
		s := loadVectors(p, vectors, sums)
		var m []vec.V
		if squares {
			m = loadVectors(p, vectors, mean)
		}
		row := p.Copy(x.R)
		p.Loop(p.Param("rows"), func() {
			for i := range s {
				w := p.Widen(p.Load(32, vector(p, row, 32, i)))
				if squares {
					w = p.Sub(w, m[i])
					w = p.Mul(w, w)
				}
				accumulate(p, s[i], w)
			}
			p.AddR(row, ldx)
		})
		storeVectors(p, sums, s)
	})
}

func normalizeSums(p *vec.Program) {
	a, b := pointer{p.Param("a"), 64}, pointer{p.Param("b"), 64}
	dy, x := pointer{p.Param("dy"), 32}, pointer{p.Param("x"), 32}
	mean, inverse := pointer{p.Param("mean"), 32}, pointer{p.Param("inverse"), 32}
	ldg, ldx := byteStride(p, "ldg"), byteStride(p, "ldx")
	eachColumns(p, 8, []pointer{a, b, dy, x, mean, inverse}, func(vectors int) {
		sa, sb := loadVectors(p, vectors, a), loadVectors(p, vectors, b)
		m, inv := loadVectors(p, vectors, mean), loadVectors(p, vectors, inverse)
		rowG, rowX := p.Copy(dy.R), p.Copy(x.R)
		p.Loop(p.Param("rows"), func() {
			for i := range sa {
				d := p.Widen(p.Load(32, vector(p, rowG, 32, i)))
				h := normalised(p, p.Load(32, vector(p, rowX, 32, i)), m[i], inv[i])
				accumulate(p, sa[i], p.Mul(d, p.Widen(h)))
				accumulate(p, sb[i], d)
			}
			p.AddR(rowG, ldg)
			p.AddR(rowX, ldx)
		})
		storeVectors(p, a, sa)
		storeVectors(p, b, sb)
	})
}

func layerNormParams(p *vec.Program) {
	dgain, dbias := pointer{p.Param("dgain"), 32}, pointer{p.Param("dbias"), 32}
	dy, x := pointer{p.Param("dy"), 32}, pointer{p.Param("x"), 32}
	ldg, ldx := byteStride(p, "ldg"), byteStride(p, "ldx")
	eachColumns(p, 16, []pointer{dgain, dbias, dy, x}, func(vectors int) {
		sa, sb := loadVectors(p, vectors, dgain), loadVectors(p, vectors, dbias)
		rowG, rowX := p.Copy(dy.R), p.Copy(x.R)
		mean, inverse := p.Param("mean"), p.Param("inverse")
		p.Loop(p.Param("rows"), func() {
			m, inv := p.LoadSplat(32, mean.At(0)), p.LoadSplat(32, inverse.At(0))
			for i := range sa {
				d := p.Load(32, vector(p, rowG, 32, i))
				h := normalised(p, p.Load(32, vector(p, rowX, 32, i)), m, inv)
				accumulate(p, sa[i], p.Mul(d, h))
				accumulate(p, sb[i], d)
			}
			p.AddR(rowG, ldg)
			p.AddR(rowX, ldx)
			p.AddI(mean, 4)
			p.AddI(inverse, 4)
		})
		storeVectors(p, dgain, sa)
		storeVectors(p, dbias, sb)
	})
}

// normalised is (x - mean)·inverse.
func normalised(p *vec.Program, x, mean, inverse vec.V) vec.V { return p.Mul(p.Sub(x, mean), inverse) }

// inverseRoot is 1/√(x + eps) of float64 lanes; eps is a float32.
func inverseRoot(p *vec.Program, x, eps vec.V) vec.V {
	return p.Div(p.F64(1), p.Sqrt(p.Add(x, p.Widen(eps))))
}

// eachRow runs body for rows rows, of which there may be none.
func eachRow(p *vec.Program, body func()) {
	rows, end := p.Param("rows"), p.NewLabel()
	p.JumpZero(rows, end)
	p.Loop(rows, body)
	p.Here(end)
}

// alongRow runs body for the elements of a row, a vector at a time; columns are the
// parameters that have an element for each column.
func alongRow(p *vec.Program, rows []*vec.Stream, columns []string, body func(columns []vec.V)) {
	var more []*vec.Stream
	for _, name := range columns {
		more = append(more, p.Stream(32, p.Param(name)))
	}
	p.Each(p.Param("cols"), slices.Concat(rows, more), func() {
		var v []vec.V
		for _, s := range more {
			v = append(v, p.Load(32, s.At()))
		}
		body(v)
	})
}

// nextRow moves a pointer that went along a row by whole vectors on to the next row.
func nextRow(p *vec.Program, ptr vec.R, stride string) {
	cols, ld := p.Param("cols"), p.Param(stride)
	p.AndI(cols, -p.Lanes)
	p.SubR(ld, cols)
	p.ShlI(ld, 2)
	p.AddR(ptr, ld)
}

func normalize(p *vec.Program) {
	dst, x := p.Param("dst"), p.Param("x")
	to, from := p.Stream(32, dst), p.Stream(32, x)
	eachRow(p, func() {
		alongRow(p, []*vec.Stream{to, from}, []string{"mean", "inverse", "gain", "bias"}, func(c []vec.V) {
			h := normalised(p, p.Load(32, from.At()), c[0], c[1])
			p.Store(to.At(), p.Add(p.Mul(h, c[2]), c[3]))
		})
		nextRow(p, dst, "ldd")
		nextRow(p, x, "ldx")
	})
}

func normalizeGrad(p *vec.Program) {
	dx, dy, x := p.Param("dx"), p.Param("dy"), p.Param("x")
	to, grad, from := p.Stream(32, dx), p.Stream(32, dy), p.Stream(32, x)
	eachRow(p, func() {
		alongRow(p, []*vec.Stream{to, grad, from}, []string{"mean", "inverse", "gain", "a", "b"}, func(c []vec.V) {
			h := normalised(p, p.Load(32, from.At()), c[0], c[1])
			d := p.Sub(p.Sub(p.Load(32, grad.At()), c[4]), p.Mul(h, c[3]))
			p.Store(to.At(), p.Mul(p.Mul(c[2], c[1]), d))
		})
		nextRow(p, dx, "ldd")
		nextRow(p, dy, "ldg")
		nextRow(p, x, "ldx")
	})
}

// rowSum is the sum along a row of what term makes of the elements that lie at the
// same place in some vectors, in all lanes. As long as there are enough elements for
// all accumulators, a few of these are in registers at a time, while their elements
// are gone through.
func rowSum(p *vec.Program, vectors []vec.R, term func(x []vec.V) vec.V) vec.V {
	var at []vec.R
	for range vectors {
		at = append(at, p.Reg())
	}
	load := func(i int) (x []vec.V) {
		for _, r := range at {
			x = append(x, p.Load(32, vector(p, r, 32, i)))
		}
		return x
	}
	sums := []vec.V{p.Vec(64), p.Vec(64), p.Vec(64), p.Vec(64)}
	part := 4 * len(sums) * p.Lanes // the bytes of their elements
	offset, next, none := p.RegI(0), p.NewLabel(), p.NewLabel()
	p.Here(next)
	for _, sum := range sums {
		p.Zero(sum)
	}
	for i, r := range vectors {
		p.Mov(at[i], r)
		p.AddR(at[i], offset)
	}
	rounds := p.Param("cols")
	p.ShrI(rounds, bits.TrailingZeros(accumulators))
	p.JumpZero(rounds, none)
	p.Loop(rounds, func() {
		for i, sum := range sums {
			accumulate(p, sum, term(load(i)))
		}
		for _, r := range at {
			p.AddI(r, 4*accumulators)
		}
	})
	p.Here(none)
	place := pointer{p.Local(accumulators * 8), 64}
	p.AddR(place.R, offset)
	p.AddR(place.R, offset)
	storeVectors(p, place, sums)
	p.AddI(offset, part)
	p.JumpLess(offset, 4*accumulators, next)

	n := p.Param("cols")
	p.AndI(n, accumulators-1)
	rest := pointer{p.Local(accumulators * 8), 64}
	streams := []*vec.Stream{p.Stream(64, rest.R)}
	for _, r := range at {
		p.AddI(r, part-4*accumulators) // from the last part to the first
		streams = append(streams, p.Stream(32, r))
	}
	p.Each(n, streams, func() {
		p.Store(rest.At(0), p.Add(p.Load(64, rest.At(0)), term(load(0))))
	})
	return tree(p, p.Local(accumulators*8), 0)
}

func layerNorm(p *vec.Program) {
	dst, x, mean, inverse := p.Param("dst"), p.Param("x"), p.Param("mean"), p.Param("inverse")
	eachRow(p, func() {
		count := p.Widen(p.Splat("count"))
		p.Comment("the mean")
		m := p.Div(rowSum(p, []vec.R{x}, func(x []vec.V) vec.V { return p.Widen(x[0]) }), count)
		p.Comment("the variance")
		variance := p.Div(rowSum(p, []vec.R{x}, func(x []vec.V) vec.V {
			d := p.Sub(p.Widen(x[0]), m)
			return p.Mul(d, d)
		}), count)
		center, scale := p.Narrow(m), p.Narrow(inverseRoot(p, variance, p.Splat("eps")))
		skip := p.NewLabel()
		p.JumpZero(mean, skip)
		p.StoreLane(mean.At(0), center)
		p.StoreLane(inverse.At(0), scale)
		p.AddI(mean, 4)
		p.AddI(inverse, 4)
		p.Here(skip)
		p.Comment("the row")
		to, from := p.Stream(32, p.Copy(dst)), p.Stream(32, p.Copy(x))
		alongRow(p, []*vec.Stream{to, from}, []string{"gain", "bias"}, func(c []vec.V) {
			h := normalised(p, p.Load(32, from.At()), center, scale)
			p.Store(to.At(), p.Add(p.Mul(h, c[0]), c[1]))
		})
		advanceRow(p, dst, "ldd")
		advanceRow(p, x, "ldx")
	})
}

func layerNormGrad(p *vec.Program) {
	dx, dy, x, mean, inverse := p.Param("dx"), p.Param("dy"), p.Param("x"), p.Param("mean"), p.Param("inverse")
	eachRow(p, func() {
		count := p.Widen(p.Splat("count"))
		center, scale := p.LoadSplat(32, mean.At(0)), p.LoadSplat(32, inverse.At(0))
		gain := p.Param("gain")
		p.Comment("the sum of g")
		b := rowSum(p, []vec.R{dy, gain}, func(v []vec.V) vec.V { return p.Widen(p.Mul(v[0], v[1])) })
		b = p.Narrow(p.Div(b, count))
		p.Comment("the sum of g·h")
		a := rowSum(p, []vec.R{dy, gain, x}, func(v []vec.V) vec.V {
			return p.Mul(p.Widen(p.Mul(v[0], v[1])), p.Widen(normalised(p, v[2], center, scale)))
		})
		a = p.Narrow(p.Div(a, count))
		p.Comment("the row")
		to, grad, from := p.Stream(32, p.Copy(dx)), p.Stream(32, p.Copy(dy)), p.Stream(32, p.Copy(x))
		alongRow(p, []*vec.Stream{to, grad, from}, []string{"gain"}, func(c []vec.V) {
			h := normalised(p, p.Load(32, from.At()), center, scale)
			d := p.Sub(p.Sub(p.Mul(p.Load(32, grad.At()), c[0]), b), p.Mul(h, a))
			p.Store(to.At(), p.Mul(scale, d))
		})
		advanceRow(p, dx, "ldd")
		advanceRow(p, dy, "ldg")
		advanceRow(p, x, "ldx")
		p.AddI(mean, 4)
		p.AddI(inverse, 4)
	})
}

// softmaxGrad describes the backward pass of the softmax y.
func softmaxGrad(p *vec.Program) {
	dx, dy, y := p.Param("dx"), p.Param("dy"), p.Param("y")
	eachRow(p, func() {
		sum := p.Narrow(rowSum(p, []vec.R{dy, y}, func(v []vec.V) vec.V { return p.Mul(p.Widen(v[0]), p.Widen(v[1])) }))
		to, grad, from := p.Stream(32, p.Copy(dx)), p.Stream(32, p.Copy(dy)), p.Stream(32, p.Copy(y))
		alongRow(p, []*vec.Stream{to, grad, from}, nil, func([]vec.V) {
			p.Store(to.At(), p.Mul(p.Load(32, from.At()), p.Sub(p.Load(32, grad.At()), sum)))
		})
		advanceRow(p, dx, "ldd")
		advanceRow(p, dy, "ldg")
		advanceRow(p, y, "ldy")
	})
}
