package kernels

import (
	"fmt"
	"math/bits"
	"unsafe"
)

// wantLen panics unless the argument called name has the length want, which is
// what wantName says.
func wantLen(fn, name string, got int, wantName string, want int) {
	if got != want {
		panic(fmt.Sprintf("kernels.%s: len(%s) = %d, want %s = %d", fn, name, got, wantName, want))
	}
}

// overlap returns how many elements of a share memory with b.
func overlap[A, B any](a []A, b []B) uintptr {
	alo, blo := uintptr(unsafe.Pointer(unsafe.SliceData(a))), uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	ahi, bhi := alo+uintptr(len(a))*unsafe.Sizeof(*new(A)), blo+uintptr(len(b))*unsafe.Sizeof(*new(B))
	lo, hi := max(alo, blo), min(ahi, bhi)
	if lo >= hi {
		return 0
	}
	return (hi - lo + unsafe.Sizeof(*new(A)) - 1) / unsafe.Sizeof(*new(A))
}

// wantApart panics if two vectors share an element.
func wantApart[A, B any](fn, aName string, a []A, bName string, b []B) {
	if n := overlap(a, b); n != 0 {
		panic(fmt.Sprintf("kernels.%s: %s (len %d) and %s (len %d) share %d elements", fn, aName, len(a), bName, len(b), n))
	}
}

// wantSameOrApart panics if two vectors share an element and are not the same.
func wantSameOrApart(fn, aName string, a []float32, bName string, b []float32) {
	if unsafe.SliceData(a) != unsafe.SliceData(b) {
		wantApart(fn, aName, a, bName, b)
	}
}

// wantMatrix panics unless x can hold rows × cols elements with the given
// stride.
func wantMatrix(fn, name string, x, rows, cols int, strideName string, stride int) {
	if stride < max(1, cols) {
		panic(fmt.Sprintf("kernels.%s: %s = %d, want at least max(1, %d), the width of %s", fn, strideName, stride, cols, name))
	}
	if rows == 0 || cols == 0 {
		return
	}
	hi, lo := bits.Mul64(uint64(rows-1), uint64(stride))
	size, carry := bits.Add64(lo, uint64(cols), 0)
	if hi != 0 || carry != 0 || size > uint64(x) {
		panic(fmt.Sprintf("kernels.%s: len(%s) = %d, want at least %d rows of stride %d and width %d", fn, name, x, rows, stride, cols))
	}
}

// wantSize panics if a count is negative.
func wantSize(fn, name string, n int) {
	if n < 0 {
		panic(fmt.Sprintf("kernels.%s: %s = %d, want at least 0", fn, name, n))
	}
}

// matrix is a rows × cols matrix with a stride, for the check of overlap.
type matrix struct {
	name               string
	x                  unsafe.Pointer
	span               uintptr // bytes from the first to the last element's end
	rows, cols, stride int
	size               int // bytes an element
}

// matrixOf wants the sizes checked. It is inlined, so what it returns is on the caller's
// stack.
func matrixOf[T any](name string, x []T, rows, cols, stride int) *matrix {
	size := int(unsafe.Sizeof(*new(T)))
	return &matrix{name, unsafe.Pointer(unsafe.SliceData(x)), uintptr(((rows-1)*stride + cols) * size), rows, cols, stride, size}
}

// row returns the addresses of the first byte of row i and the one behind it.
func (m *matrix) row(i int) (lo, hi uintptr) {
	lo = uintptr(m.x) + uintptr(i)*uintptr(m.stride)*uintptr(m.size) // inside of the slice, so it does not wrap
	return lo, lo + uintptr(m.cols*m.size)
}

// wantMatricesSameOrApart panics if two matrices share an element and are not the
// same.
func wantMatricesSameOrApart(fn string, a, b *matrix) {
	if a.x != b.x || a.stride != b.stride && a.rows > 1 {
		wantMatricesApart(fn, a, b)
	}
}

// wantMatricesApart panics if two matrices share an element. Rows that lie
// between the other's rows are no overlap.
func wantMatricesApart(fn string, a, b *matrix) {
	if alo, blo := uintptr(a.x), uintptr(b.x); alo-blo < b.span || blo-alo < a.span {
		wantRowsApart(fn, a, b)
	}
}

// wantRowsApart is wantMatricesApart for matrices that may lie in one another.
func wantRowsApart(fn string, a, b *matrix) {
	if a.rows == 0 || a.cols == 0 || b.rows == 0 || b.cols == 0 {
		return
	}
	blo, bfirst := b.row(0)
	_, bhi := b.row(b.rows - 1)
	pitch := uintptr(1)
	if b.rows > 1 { // otherwise the stride may be anything, and the product overflow
		pitch = uintptr(b.stride * b.size)
	}
	for i := range a.rows {
		lo, hi := a.row(i)
		if hi <= blo || bhi <= lo {
			continue
		}
		// The last row of b that starts before row i of a ends is the one
		// that can reach into it.
		last := min((hi-1-blo)/pitch, uintptr(b.rows-1))
		if end := bfirst + last*pitch; end > lo {
			panic(fmt.Sprintf("kernels.%s: %s (%d×%d, stride %d) and %s (%d×%d, stride %d) share elements",
				fn, a.name, a.rows, a.cols, a.stride, b.name, b.rows, b.cols, b.stride))
		}
	}
}
