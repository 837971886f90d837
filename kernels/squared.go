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
	most := threads("SquaredError", limit)
	if len(y) <= block {
		return squaredError(grad, y, target, scale)
	}
	sums, _ := squaredSums.Get().(*[]float64)
	if sums == nil {
		sums = new([]float64)
	}
	*sums = slices.Grow((*sums)[:0], (len(y)+block-1)/block)[:(len(y)+block-1)/block]
	squaredTasks.run(most, len(y), block, squaredTask{grad, y, target, scale, *sums})
	var sum float64
	for _, s := range *sums {
		sum += s
	}
	squaredSums.Put(sums)
	return sum
}

// squaredSums keeps the sums of the blocks between calls.
var squaredSums sync.Pool

type squaredTask struct {
	grad, y, target []float32
	scale           float32
	sums            []float64 // one a block
}

var squaredTasks tasks[squaredTask, *squaredTask]

// Range does the block from lo to hi.
func (t *squaredTask) Range(lo, hi int) {
	var grad []float32
	if t.grad != nil {
		grad = t.grad[lo:hi]
	}
	t.sums[lo/block] = squaredError(grad, t.y[lo:hi], t.target[lo:hi], t.scale)
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
