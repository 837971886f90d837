// Package gonumblas gives users of gonum the GEMM of package kernels. One line
// at the start of a program does it:
//
//	blas32.Use(gonumblas.Implementation{})
//
// # What is accelerated
//
//   - Sgemm, always.
//   - Sgemv with a transposed matrix, a positive increment of x and the
//     increment 1 of y: a row times a matrix. It is about twice as fast as
//     gonum's with alpha = 1 and beta = 0 or 1, and no faster otherwise.
//     With fewer than about 1,000 elements in the matrix gonum's own would be
//     faster, by a tenth of a microsecond.
//
// All else is gonum's own implementation and gives gonum's bits: the other cases
// of Sgemv and Sger, which gonum mostly does faster, and all others in single,
// double and complex precision. So packages that work in float64, such as
// gonum/mat, gain nothing.
//
// # What differs
//
// In the functions above, each element of the result is one chain of fused
// multiply-adds, each rounded once, in the order of [kernels.Gemm]. The bits are
// the same on every processor and for any number of threads. They are not
// gonum's, which rounds products and sums apart, in an order that depends on
// the architecture and the size. Where gonum passes over the zeros of a matrix,
// they are multiplied here, so that a NaN or an infinity that they meet is not
// lost.
//
// Misuse panics as in gonum, with its messages. What gonum lets pass panics with
// the message of [kernels.Gemm]: a result that shares elements with an operand,
// which BLAS does not allow, and sizes so large that gonum's check wraps.
package gonumblas

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/lockstep-go/lockstep/kernels"
)

// Implementation is gonum's implementation of BLAS with some functions replaced;
// the package comment says which.
type Implementation struct{ gonum.Implementation }

var _ blas.Float32 = Implementation{}

// Sgemm computes C = alpha·op(A)·op(B) + beta·C with [kernels.Gemm]. ConjTrans
// means Trans.
//
// Shapes: op(A): m×k, op(B): k×n, C: m×n, row-major. Aliasing: C shares no element
// with A or B. With m = 0 or n = 0 no slice is looked at. Panics as gonum does.
func (impl Implementation) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	// With these scalars gonum checks the arguments and then returns.
	impl.Implementation.Sgemm(tA, tB, m, n, k, 0, a, lda, b, ldb, 1, c, ldc)
	if m == 0 || n == 0 {
		return
	}
	kernels.Gemm(transpose(tA), transpose(tB), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// Sgemv computes y = alpha·op(A)·x + beta·y: with [kernels.Gemm], as the product
// of a row x with A, if A is transposed, incX > 0 and incY = 1, and else with
// gonum. ConjTrans means Trans.
//
// Shapes: A: m×n, row-major. Aliasing: y shares no element with A or x. With m = 0
// or n = 0 nothing is done. Panics as gonum does.
func (impl Implementation) Sgemv(tA blas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	if tA == blas.NoTrans || incX < 0 || incY != 1 {
		impl.Implementation.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
		return
	}
	// With these scalars gonum checks the arguments and then returns.
	impl.Implementation.Sgemv(tA, m, n, 0, a, lda, x, incX, 1, y, incY)
	if m == 0 || n == 0 {
		return
	}
	kernels.Gemm(kernels.Trans, kernels.NoTrans, 1, n, m, alpha, x, incX, a, lda, beta, y, n)
}

// transpose expects one of the three values that gonum's check lets pass.
func transpose(t blas.Transpose) kernels.Transpose { return t != blas.NoTrans }
