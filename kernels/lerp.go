package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// Lerp moves dst towards x by the part w, as a moving average of weights does:
//
//	dst[i] = dst[i] + w·(x[i] - dst[i])
//
// With w = 1, dst becomes x exactly.
//
// Shapes: dst and x have the same length. Aliasing: dst may be x.
func Lerp(dst, x []float32, w float32, limit ...Threads) {
	wantMap("Lerp", dst, x)
	task, most := lerpTask{dst, x, w}, threads("Lerp", limit)
	reads(x)
	writes(dst)
	if len(dst) <= block {
		task.Range(0, len(dst))
		return
	}
	lerpTasks.run(most, len(dst), block, task)
}

type lerpTask struct {
	dst, x []float32
	w      float32
}

var lerpTasks tasks[lerpTask, *lerpTask]

// Range does the elements lo to hi.
func (t *lerpTask) Range(lo, hi int) {
	dst, x, w := t.dst[lo:hi], t.x[lo:hi], t.w
	if w == 1 {
		copy(dst, x)
		return
	}
	if asm.Lerp(cpu.Active(), len(dst), unsafe.SliceData(dst), unsafe.SliceData(x), w) {
		return
	}
	for i, x := range x {
		dst[i] += float32(w * (x - dst[i]))
	}
}

// Scale multiplies a vector by a number:
//
//	dst[i] = s·x[i]
//
// Shapes: dst and x have the same length. Aliasing: dst may be x.
func Scale(dst, x []float32, s float32, limit ...Threads) {
	wantMap("Scale", dst, x)
	task, most := scaleTask{dst, x, s}, threads("Scale", limit)
	reads(x)
	writes(dst)
	if len(dst) <= block {
		task.Range(0, len(dst))
		return
	}
	scaleTasks.run(most, len(dst), block, task)
}

type scaleTask struct {
	dst, x []float32
	s      float32
}

var scaleTasks tasks[scaleTask, *scaleTask]

// Range does the elements lo to hi.
func (t *scaleTask) Range(lo, hi int) {
	dst, x, s := t.dst[lo:hi], t.x[lo:hi], t.s
	if asm.Scale(cpu.Active(), len(dst), unsafe.SliceData(dst), unsafe.SliceData(x), s) {
		return
	}
	for i, x := range x {
		dst[i] = s * x
	}
}
