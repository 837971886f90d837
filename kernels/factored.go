package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// Factored divides a row of a matrix of gradients by the root of their mean
// squares, which are kept as the product of a column and a row:
//
//	v = floor if floor > row·col[i], else row·col[i]
//	dst[i] = x[i]/√v
//
// Shapes: dst, x and col have the same length. Aliasing: dst may be x or col.
// Numerics: a product row·col[i] that is NaN gives NaN, whatever floor is. Source:
// Shazeer and Stern, Adafactor: adaptive learning rates with sublinear memory
// cost, 2018, algorithm 4.
func Factored(dst, x, col []float32, row, floor float32, limit ...Threads) {
	wantMap("Factored", dst, x)
	wantLen("Factored", "col", len(col), "len(dst)", len(dst))
	wantSameOrApart("Factored", "dst", dst, "col", col)
	task, most := factoredTask{dst, x, col, row, floor}, threads("Factored", limit)
	reads(x, col)
	writes(dst)
	if len(dst) <= block {
		task.Range(0, len(dst))
		return
	}
	factoredTasks.run(most, len(dst), block, task)
}

type factoredTask struct {
	dst, x, col []float32
	row, floor  float32
}

var factoredTasks tasks[factoredTask, *factoredTask]

// Range does the elements lo to hi.
func (t *factoredTask) Range(lo, hi int) {
	dst, x, col, row, floor := t.dst[lo:hi], t.x[lo:hi], t.col[lo:hi], t.row, t.floor
	if asm.Factored(cpu.Active(), len(dst), unsafe.SliceData(dst), unsafe.SliceData(x), unsafe.SliceData(col), row, floor) {
		return
	}
	for i, x := range x {
		v := row * col[i]
		if floor > v {
			v = floor
		}
		dst[i] = x / sqrt(v)
	}
}
