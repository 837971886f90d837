package kernels

import (
	"fmt"

	"github.com/lockstep-go/lockstep/internal/sanitize"
)

// Transpose says whether an operand of [Gemm] is used as it is stored.
type Transpose bool

const (
	NoTrans Transpose = false
	Trans   Transpose = true
)

// Epilogue is what [GemmFused] does with a product besides adding it up. The
// zero value does nothing.
type Epilogue struct {
	// Bias, if not nil, is where each row of C starts from: len n.
	Bias []float32

	// Act is applied to each finished element.
	Act Activation

	// Deriv, if not Identity, multiplies each finished element by the
	// derivative of that activation, which gave the results Y: m×n with
	// stride LdY >= n. If Deriv.FromInput(), Y holds its arguments instead.
	// See [Derive].
	Deriv Activation
	Y     []float32
	LdY   int
}

// Gemm computes C = alpha·op(A)·op(B) + beta·C for row-major matrices, op being
// the transpose where tA or tB says Trans.
//
// Numerics: each element of C is one chain of fused multiply-adds (each rounded
// once) over all of k, from 0 up:
//
//	c = 0 if beta = 0, c if beta = 1, else beta·c
//	c = fma(a', op(B)[p,j], c) for p = 0 … k-1, with a' = alpha·op(A)[i,p]
//
// so a row of the result does not depend on the other rows. With beta = 0, C is
// not read. With alpha = 0 or k = 0, A and B are not read. With alpha = 1
// nothing is multiplied.
//
// Shapes: op(A): m×k, op(B): k×n, C: m×n, each stored with a stride of lda, ldb,
// ldc elements, at least the width of the stored matrix and at least 1.
// Aliasing: C shares no element with A or B; A and B may overlap.
// Panics if a size is negative, a stride too small, a slice too short, or C
// overlaps.
func Gemm(tA, tB Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int, limit ...Threads) {
	g := &gemm{tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, Epilogue{}}
	g.check("Gemm")
	g.run(threads("Gemm", limit))
}

// GemmFused is [Gemm] with an epilogue. A bias takes the place of the start
// value: it is refused unless beta = 0. The activation and the derivative come
// once, after the last step of k; only one of them may be given.
//
// Shapes: those of Gemm; see [Epilogue]. Aliasing: C shares no element with any
// other argument.
func GemmFused(tA, tB Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int, ep Epilogue, limit ...Threads) {
	g := &gemm{tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, ep}
	g.check("GemmFused")
	g.run(threads("GemmFused", limit))
}

// SumRows adds up the rows of x, in order: dst[j] = ((0 + x[0][j]) + x[1][j]) + …
//
// Shapes: dst: cols; x: rows×cols, ldx >= cols. Aliasing: none.
func SumRows(rows, cols int, dst, x []float32, ldx int, limit ...Threads) {
	sumRows("SumRows", rows, cols, 0, dst, x, ldx, limit)
}

// AddRows adds the rows of x to dst, in order: dst[j] = ((dst[j] + x[0][j]) + x[1][j]) + …
// After [SumRows] of the rows before, that is SumRows of them all.
//
// Shapes: dst: cols; x: rows×cols, ldx >= cols. Aliasing: none.
func AddRows(rows, cols int, dst, x []float32, ldx int, limit ...Threads) {
	sumRows("AddRows", rows, cols, 1, dst, x, ldx, limit)
}

// sumRows is SumRows with beta = 0, AddRows with beta = 1.
func sumRows(fn string, rows, cols int, beta float32, dst, x []float32, ldx int, limit []Threads) {
	wantSize(fn, "rows", rows)
	wantSize(fn, "cols", cols)
	wantLen(fn, "dst", len(dst), "cols", cols)
	wantMatrix(fn, "x", len(x), rows, cols, "ldx", ldx)
	wantMatricesApart(fn, matrixOf("dst", dst, 1, cols, cols), matrixOf("x", x, rows, cols, ldx))
	// The product with a row of ones: fma(1, x, c) is c + x. A stride of zero
	// makes the row from a single one.
	matrixOf("x", x, rows, cols, ldx).reads()
	writes(dst)
	g := &gemm{Trans, NoTrans, 1, cols, rows, 1, one[:], 0, x, ldx, beta, dst, max(1, cols), Epilogue{}}
	g.run(threads(fn, limit))
}

var one = [1]float32{1}

// gemm is a product with its arguments.
type gemm struct {
	tA, tB  Transpose
	m, n, k int
	alpha   float32
	a       []float32
	lda     int
	b       []float32
	ldb     int
	beta    float32
	c       []float32
	ldc     int
	ep      Epilogue
}

func (g *gemm) check(fn string) {
	wantSize(fn, "m", g.m)
	wantSize(fn, "n", g.n)
	wantSize(fn, "k", g.k)
	rowsA, colsA, rowsB, colsB := g.m, g.k, g.k, g.n
	if g.tA {
		rowsA, colsA = colsA, rowsA
	}
	if g.tB {
		rowsB, colsB = colsB, rowsB
	}
	wantMatrix(fn, "a", len(g.a), rowsA, colsA, "lda", g.lda)
	wantMatrix(fn, "b", len(g.b), rowsB, colsB, "ldb", g.ldb)
	wantMatrix(fn, "c", len(g.c), g.m, g.n, "ldc", g.ldc)
	mc := matrixOf("c", g.c, g.m, g.n, g.ldc)
	wantMatricesApart(fn, mc, matrixOf("a", g.a, rowsA, colsA, g.lda))
	wantMatricesApart(fn, mc, matrixOf("b", g.b, rowsB, colsB, g.ldb))

	ep := &g.ep
	if ep.Bias != nil {
		wantLen(fn, "ep.Bias", len(ep.Bias), "n", g.n)
		wantMatricesApart(fn, mc, matrixOf("ep.Bias", ep.Bias, 1, g.n, g.n))
		if g.beta != 0 {
			panic(fmt.Sprintf("kernels.%s: beta = %v, want 0 with a bias (len(ep.Bias) = %d)", fn, g.beta, len(ep.Bias)))
		}
	}
	wantActivation(fn, "ep.Act", ep.Act)
	wantActivation(fn, "ep.Deriv", ep.Deriv)
	if ep.Deriv != Identity {
		if ep.Act != Identity {
			panic(fmt.Sprintf("kernels.%s: ep.Act = %v and ep.Deriv = %v, want at most one of them", fn, ep.Act, ep.Deriv))
		}
		wantMatrix(fn, "ep.Y", len(ep.Y), g.m, g.n, "ep.LdY", ep.LdY)
		wantMatricesApart(fn, mc, matrixOf("ep.Y", ep.Y, g.m, g.n, ep.LdY))
	}
	if sanitize.Enabled {
		g.accesses(matrixOf("a", g.a, rowsA, colsA, g.lda), matrixOf("b", g.b, rowsB, colsB, g.ldb), mc)
	}
}

// accesses tells what the product does to its operands.
func (g *gemm) accesses(ma, mb, mc *matrix) {
	if g.m == 0 || g.n == 0 {
		return
	}
	if g.alpha != 0 && g.k > 0 {
		ma.reads()
		mb.reads()
	}
	mc.writes()
	reads(g.ep.Bias)
	if g.ep.Deriv != Identity {
		matrixOf("ep.Y", g.ep.Y, g.m, g.n, g.ep.LdY).reads()
	}
}
