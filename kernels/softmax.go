package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// lanes is the number of logical accumulators of a sum along a vector: element
// i goes to accumulator i mod lanes, whatever the width of the registers.
const lanes = 32

// tree adds up the accumulators: the upper half to the lower half until one is
// left.
func tree(acc *[lanes]float64) float64 {
	for half := lanes / 2; half > 0; half /= 2 {
		for i := range half {
			acc[i] += acc[i+half]
		}
	}
	return acc[0]
}

// Softmax computes the softmax of each row of x:
//
//	y[j] = e^(x[j] - max x) / Σ e^(x[j] - max x)
//
// Numerics: x - max and the exponentials in float64, as in [Exp]; their sum in
// float64, by 32 accumulators; the exponential rounded to float32, times
// 1/sum in float64, rounded: within 1.51 ulp. A row with a NaN or +Inf becomes
// NaN.
//
// Shapes: dst: rows×cols, ldd >= cols; x: rows×cols, ldx >= cols. Aliasing: dst
// may be x, with the same stride.
func Softmax(rows, cols int, dst []float32, ldd int, x []float32, ldx int, limit ...Threads) {
	wantRows("Softmax", rows, cols, "dst", dst, "ldd", ldd, x, ldx)
	softmaxTasks.run(threads("Softmax", limit), rows, rowGrain(cols), softmaxTask{cols: cols, dst: dst, ldd: ldd, x: x, ldx: ldx})
}

// SoftmaxCrossEntropy computes, for each row of x and the class label[i] that it
// should show, the cross-entropy and its gradient with respect to x times scale:
//
//	loss[i] = ln Σ e^(x[j] - max x) - (x[label[i]] - max x)
//	grad[j] = (y[j] - (1 where j = label[i], else 0))·scale
//
// with y the [Softmax] of the row. The scale is one over the batch for the
// gradient of the mean. The loss is computed in float64 throughout; a row with a
// NaN or +Inf gets NaN. With grad nil, only the loss is computed.
//
// Shapes: grad: rows×cols, ldg >= cols, or nil; x: rows×cols, ldx >= cols; loss
// and label: rows. Aliasing: grad may be x, with the same stride. Panics also if
// a label is not in [0, cols).
func SoftmaxCrossEntropy(rows, cols int, loss []float64, grad []float32, ldg int, x []float32, ldx int, label []int32, scale float32, limit ...Threads) {
	const fn = "SoftmaxCrossEntropy"
	if grad == nil {
		wantRows(fn, rows, cols, "x", x, "ldx", ldx, x, ldx)
	} else {
		wantRows(fn, rows, cols, "grad", grad, "ldg", ldg, x, ldx)
	}
	wantLen(fn, "loss", len(loss), "rows", rows)
	wantLen(fn, "label", len(label), "rows", rows)
	for _, m := range [...]matrix{matrixOf("x", x, rows, cols, ldx), matrixOf("grad", grad, rows, cols, ldg)} {
		if m.x != nil {
			wantMatricesApart(fn, matrixOf("loss", loss, 1, rows, rows), m)
			wantMatricesApart(fn, matrixOf("label", label, 1, rows, rows), m)
		}
	}
	wantApart(fn, "loss", loss, "label", label)
	for i, l := range label {
		if l < 0 || int(l) >= cols {
			panic(fmt.Sprintf("kernels.%s: label[%d] = %d, want 0 to %d", fn, i, l, cols-1))
		}
	}
	softmaxTasks.run(threads(fn, limit), rows, rowGrain(cols),
		softmaxTask{cols: cols, dst: grad, ldd: ldg, x: x, ldx: ldx, loss: loss, label: label, scale: scale})
}

// wantRows checks the two matrices of a kernel that works row by row.
func wantRows(fn string, rows, cols int, dstName string, dst []float32, lddName string, ldd int, x []float32, ldx int) {
	wantSize(fn, "rows", rows)
	wantSize(fn, "cols", cols)
	wantMatrix(fn, dstName, len(dst), rows, cols, lddName, ldd)
	wantMatrix(fn, "x", len(x), rows, cols, "ldx", ldx)
	wantMatricesSameOrApart(fn, matrixOf(dstName, dst, rows, cols, ldd), matrixOf("x", x, rows, cols, ldx))
}

// wantGradRows checks the matrices of a backward pass that works row by row.
func wantGradRows(fn string, rows, cols int, dx []float32, ldd int, dy []float32, ldg int, xName string, x []float32, ldxName string, ldx int) {
	wantSize(fn, "rows", rows)
	wantSize(fn, "cols", cols)
	wantMatrix(fn, "dx", len(dx), rows, cols, "ldd", ldd)
	wantMatrix(fn, "dy", len(dy), rows, cols, "ldg", ldg)
	wantMatrix(fn, xName, len(x), rows, cols, ldxName, ldx)
	md := matrixOf("dx", dx, rows, cols, ldd)
	wantMatricesSameOrApart(fn, md, matrixOf("dy", dy, rows, cols, ldg))
	wantMatricesSameOrApart(fn, md, matrixOf(xName, x, rows, cols, ldx))
}

// rowGrain is how many rows make a block.
func rowGrain(cols int) int { return max(1, block/max(1, cols)) }

// softmaxTask is a Softmax, or a SoftmaxCrossEntropy if loss is there.
type softmaxTask struct {
	cols  int
	dst   []float32
	ldd   int
	x     []float32
	ldx   int
	loss  []float64
	label []int32
	scale float32
}

var softmaxTasks tasks[softmaxTask, *softmaxTask]

// Range does the rows lo to hi.
func (t *softmaxTask) Range(lo, hi int) {
	if t.cols == 0 {
		return
	}
	// A row wider than a block would keep the processor for too long.
	if t.cols <= block && t.asm(lo, hi) {
		return
	}
	for i := lo; i < hi; i++ {
		t.row(i)
	}
}

func (t *softmaxTask) asm(lo, hi int) bool {
	isa, rows := cpu.Active(), hi-lo
	x := unsafe.SliceData(t.x[lo*t.ldx:])
	if t.loss == nil {
		return asm.Softmax(isa, rows, t.cols, unsafe.SliceData(t.dst[lo*t.ldd:]), t.ldd, x, t.ldx)
	}
	loss, label := unsafe.SliceData(t.loss[lo:]), unsafe.SliceData(t.label[lo:])
	if t.dst == nil {
		return asm.CrossEntropy(isa, rows, t.cols, x, t.ldx, label, loss)
	}
	return asm.CrossEntropyGrad(isa, rows, t.cols, unsafe.SliceData(t.dst[lo*t.ldd:]), t.ldd, x, t.ldx, label, t.scale, loss)
}

func (t *softmaxTask) row(i int) {
	x := t.x[i*t.ldx:][:t.cols]
	top := float32(math.Inf(-1))
	for _, x := range x {
		if x > top {
			top = x
		}
	}
	var y []float32
	if t.dst != nil {
		y = t.dst[i*t.ldd:][:t.cols]
	}
	var target float32
	if t.loss != nil {
		target = x[t.label[i]] // y may be x
	}
	var acc [lanes]float64
	for j, x := range x {
		d := float64(x) - float64(top)
		if -110 > d {
			d = -110
		}
		e := exp(d)
		acc[j%lanes] += e
		if y != nil {
			y[j] = float32(e)
		}
	}
	sum := tree(&acc)
	if t.loss != nil {
		// sum - sum carries a NaN, which log does not.
		t.loss[i] = (log(sum) + (sum - sum)) - (float64(target) - float64(top))
	}
	inverse := 1 / sum
	for j, e := range y {
		y[j] = float32(float64(e) * inverse)
		if t.loss != nil {
			var one float32
			if int32(j) == t.label[i] {
				one = 1
			}
			y[j] = (y[j] - one) * t.scale
		}
	}
}

// SoftmaxGrad is the backward pass of [Softmax], given its result y and the gradient
// dy of that. For each row:
//
//	s = Σ dy·y
//	dx = y·(dy - s)
//
// Shapes: dx: rows×cols, ldd >= cols; dy: rows×cols, ldg >= cols; y: rows×cols,
// ldy >= cols. Aliasing: dx may be dy or y, with the same stride. Numerics: the sum in
// float64, by 32 accumulators, rounded once; the rest is float32.
func SoftmaxGrad(rows, cols int, dx []float32, ldd int, dy []float32, ldg int, y []float32, ldy int, limit ...Threads) {
	wantGradRows("SoftmaxGrad", rows, cols, dx, ldd, dy, ldg, "y", y, "ldy", ldy)
	softmaxGradTasks.run(threads("SoftmaxGrad", limit), rows, rowGrain(cols), softmaxGradTask{cols, dx, ldd, dy, ldg, y, ldy})
}

type softmaxGradTask struct {
	cols int
	dx   []float32
	ldd  int
	dy   []float32
	ldg  int
	y    []float32
	ldy  int
}

var softmaxGradTasks tasks[softmaxGradTask, *softmaxGradTask]

// Range does the rows lo to hi.
func (t *softmaxGradTask) Range(lo, hi int) {
	if t.cols == 0 {
		return
	}
	// A row wider than a block would keep the processor for too long.
	if t.cols <= block && asm.SoftmaxGrad(cpu.Active(), hi-lo, t.cols, unsafe.SliceData(t.dx[lo*t.ldd:]), t.ldd,
		unsafe.SliceData(t.dy[lo*t.ldg:]), t.ldg, unsafe.SliceData(t.y[lo*t.ldy:]), t.ldy) {
		return
	}
	for i := lo; i < hi; i++ {
		dx, dy, y := t.dx[i*t.ldd:][:t.cols], t.dy[i*t.ldg:][:t.cols], t.y[i*t.ldy:][:t.cols]
		var acc [lanes]float64
		for j, d := range dy {
			acc[j%lanes] += float64(float64(d) * float64(y[j]))
		}
		sum := float32(tree(&acc))
		for j, d := range dy {
			dx[j] = y[j] * (d - sum)
		}
	}
}
