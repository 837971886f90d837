package kernels

import (
	"slices"
	"sync"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// SquaredError returns the sum of the squared differences of y and target, and
// sets grad to the differences times scale:
//
//	d[i] = y[i] - target[i]
//	grad[i] = d[i]·scale
//	Σ d[i]·d[i]
//
// The gradient of the mean over n elements has scale 2/n. The sum is in float64:
// 32 accumulators for each block of 16384 elements, the blocks added in order.
//
// Shapes: grad, y and target have the same length. Aliasing: grad may be y or
// target. With grad nil, only the sum is computed.
func SquaredError(grad, y, target []float32, scale float32, limit ...Threads) float64 {
	wantLen("SquaredError", "target", len(target), "len(y)", len(y))
	if grad != nil {
		wantLen("SquaredError", "grad", len(grad), "len(y)", len(y))
		wantSameOrApart("SquaredError", "grad", grad, "y", y)
		wantSameOrApart("SquaredError", "grad", grad, "target", target)
	}
	return squaredTask{grad: grad, y: y, target: target, scale: scale}.sum(threads("SquaredError", limit))
}

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
	return squaredTask{y: x}.sum(threads("SumSquares", limit))
}

// squaredTask is a SquaredError or, if target is nil, a SumSquares of y.
type squaredTask struct {
	grad, y, target []float32
	scale           float32
	sums            []float64 // one a block
}

var squaredTasks tasks[squaredTask, *squaredTask]

// squaredSums keeps the sums of the blocks between calls.
var squaredSums sync.Pool

// sum does all blocks, on that many threads, and adds up their sums.
func (t squaredTask) sum(most int) float64 {
	if len(t.y) <= block {
		return t.part(0, len(t.y))
	}
	sums, _ := squaredSums.Get().(*[]float64)
	if sums == nil {
		sums = new([]float64)
	}
	*sums = slices.Grow((*sums)[:0], (len(t.y)+block-1)/block)[:(len(t.y)+block-1)/block]
	t.sums = *sums
	squaredTasks.run(most, len(t.y), block, t)
	var sum float64
	for _, s := range *sums {
		sum += s
	}
	squaredSums.Put(sums)
	return sum
}

// Range does the block from lo to hi.
func (t *squaredTask) Range(lo, hi int) { t.sums[lo/block] = t.part(lo, hi) }

// part is the sum of the elements lo to hi, at most a block.
func (t *squaredTask) part(lo, hi int) float64 {
	if t.target == nil {
		return sumSquares(t.y[lo:hi])
	}
	var grad []float32
	if t.grad != nil {
		grad = t.grad[lo:hi]
	}
	return squaredError(grad, t.y[lo:hi], t.target[lo:hi], t.scale)
}

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

// squaredError is SquaredError without the checks, for at most a block.
func squaredError(grad, y, target []float32, scale float32) float64 {
	var acc [lanes]float64
	isa, n, a, b := cpu.Active(), len(y), unsafe.SliceData(y), unsafe.SliceData(target)
	if grad == nil {
		if asm.SquaredError(isa, n, a, b, &acc[0]) {
			return tree(&acc)
		}
	} else if asm.SquaredErrorGrad(isa, n, unsafe.SliceData(grad), a, b, scale, &acc[0]) {
		return tree(&acc)
	}
	for i, y := range y {
		d := y - target[i]
		acc[i%lanes] += float64(float64(d) * float64(d))
		if grad != nil {
			grad[i] = d * scale
		}
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
