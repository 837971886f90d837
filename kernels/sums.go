package kernels

import (
	"slices"
	"sync"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// SumSquares returns the sum of the squares of x:
//
//	Σ x[i]·x[i]
//
// It is in float64, where the products are exact: 32 accumulators for each block
// of 16384 elements, the blocks added in order.
//
// Numerics: no finite x overflows; a NaN or an infinity anywhere makes the sum NaN
// or +Inf.
func SumSquares(x []float32, limit ...Threads) float64 {
	return sumTask{of: squares, y: x}.sum(threads("SumSquares", limit))
}

// SumAbs returns the sum of the magnitudes of x:
//
//	Σ |x[i]|
//
// It is in float64: 32 accumulators for each block of 16384 elements, the blocks
// added in order.
//
// Numerics: no finite x overflows; a NaN or an infinity anywhere makes the sum NaN
// or +Inf.
func SumAbs(x []float32, limit ...Threads) float64 {
	return sumTask{of: magnitudes, y: x}.sum(threads("SumAbs", limit))
}

// sumOf says what a sum adds up.
type sumOf uint8

const (
	squares sumOf = iota
	magnitudes
	squaredErrors
	absoluteErrors
	huberErrors
	logisticErrors
)

// sumTask is a sum over y or, if target is there, over y and target.
type sumTask struct {
	of              sumOf
	grad, y, target []float32
	delta, scale    float32
	sums            []float64 // one a block
}

var sumTasks tasks[sumTask, *sumTask]

// blockSums keeps the sums of the blocks between calls.
var blockSums sync.Pool

// sum does all blocks, on that many threads, and adds up their sums.
func (t sumTask) sum(most int) float64 {
	reads(t.y, t.target)
	writes(t.grad)
	if len(t.y) <= block {
		return t.part(0, len(t.y))
	}
	sums, _ := blockSums.Get().(*[]float64)
	if sums == nil {
		sums = new([]float64)
	}
	*sums = slices.Grow((*sums)[:0], (len(t.y)+block-1)/block)[:(len(t.y)+block-1)/block]
	t.sums = *sums
	sumTasks.run(most, len(t.y), block, t)
	var sum float64
	for _, s := range *sums {
		sum += s
	}
	blockSums.Put(sums)
	return sum
}

// Range does the block from lo to hi.
func (t *sumTask) Range(lo, hi int) { t.sums[lo/block] = t.part(lo, hi) }

// part is the sum of the elements lo to hi, at most a block.
func (t *sumTask) part(lo, hi int) float64 {
	y := t.y[lo:hi]
	switch t.of {
	case squares:
		return sumSquares(y)
	case magnitudes:
		return sumAbs(y)
	}
	target, grad := t.target[lo:hi], t.grad
	if grad != nil {
		grad = grad[lo:hi]
	}
	if t.of == squaredErrors {
		return squaredError(grad, y, target, t.scale)
	}
	if grad == nil { // the other kernels write one in any case
		b := blocks.Get().(*[block]float32)
		defer blocks.Put(b)
		grad = b[:len(y)]
	}
	switch t.of {
	case absoluteErrors:
		return absoluteError(grad, y, target, t.scale)
	case huberErrors:
		return huberError(grad, y, target, t.delta, t.scale)
	default:
		return logisticError(grad, y, target, t.scale)
	}
}

// blocks is memory for gradients that nobody asked for.
var blocks = sync.Pool{New: func() any { return new([block]float32) }}

// sumSquares is SumSquares for at most a block.
func sumSquares(x []float32) float64 {
	var acc [lanes]float64
	if asm.SumSquares(cpu.Active(), len(x), unsafe.SliceData(x), &acc[0]) {
		return tree(&acc)
	}
	for i, x := range x {
		acc[i%lanes] += float64(float64(x) * float64(x))
	}
	return tree(&acc)
}

// sumAbs is SumAbs for at most a block.
func sumAbs(x []float32) float64 {
	var acc [lanes]float64
	if asm.SumAbs(cpu.Active(), len(x), unsafe.SliceData(x), &acc[0]) {
		return tree(&acc)
	}
	for i, x := range x {
		acc[i%lanes] += float64(abs(x))
	}
	return tree(&acc)
}

// AddSquares adds the squares of x to acc, in float64:
//
//	acc[i] = acc[i] + x[i]·x[i]
//
// Row by row, it gives the sums of the squares of a matrix's columns, in the order
// of the rows.
//
// Shapes: acc and x have the same length. Aliasing: none. Numerics: the products
// are exact.
func AddSquares(acc []float64, x []float32, limit ...Threads) {
	wantLen("AddSquares", "x", len(x), "len(acc)", len(acc))
	wantApart("AddSquares", "acc", acc, "x", x)
	task, most := addSquaresTask{acc, x}, threads("AddSquares", limit)
	reads(x)
	writes(acc)
	if len(x) <= block {
		task.Range(0, len(x))
		return
	}
	addSquaresTasks.run(most, len(x), block, task)
}

type addSquaresTask struct {
	acc []float64
	x   []float32
}

var addSquaresTasks tasks[addSquaresTask, *addSquaresTask]

// Range does the elements lo to hi.
func (t *addSquaresTask) Range(lo, hi int) {
	acc, x := t.acc[lo:hi], t.x[lo:hi]
	if asm.AddSquares(cpu.Active(), len(x), unsafe.SliceData(acc), unsafe.SliceData(x)) {
		return
	}
	for i, x := range x {
		acc[i] += float64(float64(x) * float64(x))
	}
}
