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
	matrixOf("x", x, rows, cols, ldx).reads()
	matrixOf("dst", dst, rows, cols, ldd).writes()
	t := &softmaxTask{cols: cols, dst: dst, ldd: ldd, x: x, ldx: ldx}
	t.run(threads("Softmax", limit), rows)
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
	wantRowLoss(fn, rows, cols, loss, grad, ldg, x, ldx)
	wantLen(fn, "label", len(label), "rows", rows)
	l := matrixOf("label", label, 1, rows, rows)
	wantMatricesApart(fn, l, matrixOf("x", x, rows, cols, ldx))
	if grad != nil {
		wantMatricesApart(fn, l, matrixOf("grad", grad, rows, cols, ldg))
	}
	wantApart(fn, "loss", loss, "label", label)
	for i, l := range label {
		if uint(l) >= uint(cols) { // or negative
			panic(fmt.Sprintf("kernels.%s: label[%d] = %d, want 0 to %d", fn, i, l, cols-1))
		}
	}
	reads(label)
	accessRowLoss(rows, cols, loss, grad, ldg, x, ldx)
	t := &softmaxTask{cols: cols, dst: grad, ldd: ldg, x: x, ldx: ldx, loss: loss, label: label, scale: scale}
	t.run(threads(fn, limit), rows)
}

// SoftCrossEntropy computes, for each row of x and the row t of target, the
// cross-entropy of x's softmax with the weights or probabilities t, and its gradient
// with respect to x times scale:
//
//	loss[i] = (Σ t[j])·ln Σ e^(x[j] - max x) - Σ t[j]·(x[j] - max x)
//	grad[j] = (y[j]·Σ t[j] - t[j])·scale
//
// with y the [Softmax] of the row. A target of 1 at a label and 0 elsewhere gives the
// bits of [SoftmaxCrossEntropy]; w at the label gives the label the weight w; other
// targets smooth the labels or are another network's probabilities. With grad nil,
// only the loss is computed.
//
// Numerics: the loss is computed in float64 throughout; each sum has 32
// accumulators. y[j]·Σt is the exponential rounded to float32, times (Σt)·(1/sum) in
// float64, rounded. Where t is 0, nothing is added, even if x is -Inf. A row of x
// with a NaN or +Inf, or of nothing but -Inf, gets NaN as its loss and all its
// gradients, whatever the target; so does one whose target has a NaN. Without
// columns, the losses are 0.
//
// Shapes: grad: rows×cols, ldg >= cols, or nil; x: rows×cols, ldx >= cols; target:
// rows×cols, ldt >= cols; loss: rows. Aliasing: grad may be x, with the same stride.
func SoftCrossEntropy(rows, cols int, loss []float64, grad []float32, ldg int, x []float32, ldx int, target []float32, ldt int, scale float32, limit ...Threads) {
	const fn = "SoftCrossEntropy"
	wantRowLoss(fn, rows, cols, loss, grad, ldg, x, ldx)
	wantMatrix(fn, "target", len(target), rows, cols, "ldt", ldt)
	mt := matrixOf("target", target, rows, cols, ldt)
	wantMatricesApart(fn, matrixOf("loss", loss, 1, rows, rows), mt)
	if grad != nil {
		wantMatricesApart(fn, matrixOf("grad", grad, rows, cols, ldg), mt)
	}
	mt.reads()
	accessRowLoss(rows, cols, loss, grad, ldg, x, ldx)
	t := &softmaxTask{cols: cols, dst: grad, ldd: ldg, x: x, ldx: ldx, loss: loss, target: target, ldt: ldt, scale: scale}
	t.run(threads(fn, limit), rows)
}

// wantRowLoss checks what a loss of each row has, except for what it compares with.
func wantRowLoss(fn string, rows, cols int, loss []float64, grad []float32, ldg int, x []float32, ldx int) {
	if grad == nil {
		wantRows(fn, rows, cols, "x", x, "ldx", ldx, x, ldx)
	} else {
		wantRows(fn, rows, cols, "grad", grad, "ldg", ldg, x, ldx)
	}
	wantLen(fn, "loss", len(loss), "rows", rows)
	l := matrixOf("loss", loss, 1, rows, rows)
	wantMatricesApart(fn, l, matrixOf("x", x, rows, cols, ldx))
	if grad != nil {
		wantMatricesApart(fn, l, matrixOf("grad", grad, rows, cols, ldg))
	}
}

// accessRowLoss tells what such a loss does to them.
func accessRowLoss(rows, cols int, loss []float64, grad []float32, ldg int, x []float32, ldx int) {
	matrixOf("x", x, rows, cols, ldx).reads()
	if grad != nil {
		matrixOf("grad", grad, rows, cols, ldg).writes()
	}
	writes(loss)
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

// rowGrain is how many rows make a block. One of less than 32 columns takes as long as
// one of 32, or longer: a block of rows of one column, counted by its elements, took
// 0.8 ms.
func rowGrain(cols int) int { return max(1, block/max(lanes, cols)) }

// softmaxTask is a Softmax or, if loss is there, a SoftmaxCrossEntropy with label or
// a SoftCrossEntropy with target.
type softmaxTask struct {
	cols   int
	dst    []float32
	ldd    int
	x      []float32
	ldx    int
	loss   []float64
	label  []int32
	target []float32
	ldt    int
	scale  float32
}

var softmaxTasks tasks[softmaxTask, *softmaxTask]

func (t *softmaxTask) run(threads, rows int) {
	grain := rowGrain(t.cols)
	if rows <= grain {
		t.Range(0, rows)
		return
	}
	softmaxTasks.run(threads, rows, grain, *t)
}

// Range does the rows lo to hi.
func (t *softmaxTask) Range(lo, hi int) {
	if t.cols == 0 {
		if t.loss != nil { // of SoftCrossEntropy: no label is valid
			clear(t.loss[lo:hi])
		}
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
	loss := unsafe.SliceData(t.loss[lo:])
	switch {
	case t.label == nil:
		target := unsafe.SliceData(t.target[lo*t.ldt:])
		if t.dst == nil { // the kernel writes a gradient in any case
			b := blocks.Get().(*[block]float32)
			defer blocks.Put(b)
			return asm.SoftCrossEntropy(isa, rows, t.cols, &b[0], t.cols, x, t.ldx, target, t.ldt, t.scale, loss)
		}
		return asm.SoftCrossEntropy(isa, rows, t.cols, unsafe.SliceData(t.dst[lo*t.ldd:]), t.ldd, x, t.ldx, target, t.ldt, t.scale, loss)
	case t.dst == nil:
		return asm.CrossEntropy(isa, rows, t.cols, x, t.ldx, unsafe.SliceData(t.label[lo:]), loss)
	default:
		return asm.CrossEntropyGrad(isa, rows, t.cols, unsafe.SliceData(t.dst[lo*t.ldd:]), t.ldd, x, t.ldx, unsafe.SliceData(t.label[lo:]), t.scale, loss)
	}
}

func (t *softmaxTask) row(i int) {
	x := t.x[i*t.ldx:][:t.cols]
	top := float32(math.Inf(-1))
	for _, x := range x {
		if x > top {
			top = x
		}
	}
	var y, target []float32
	if t.dst != nil {
		y = t.dst[i*t.ldd:][:t.cols]
	}
	if t.target != nil {
		target = t.target[i*t.ldt:][:t.cols]
	}
	var xAtLabel float32
	if t.label != nil {
		xAtLabel = x[t.label[i]] // y may be x
	}
	var acc, accWeight, accDot [lanes]float64
	for j, x := range x {
		d := float64(x) - float64(top)
		if target != nil {
			w := float64(target[j])
			accWeight[j%lanes] += w
			if w != 0 {
				accDot[j%lanes] += float64(w * d)
			}
		}
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
	factor := 1 / sum
	if t.loss != nil {
		// sum - sum carries a NaN, which log does not.
		lse := log(sum) + (sum - sum)
		if target == nil {
			t.loss[i] = lse - (float64(xAtLabel) - float64(top))
		} else {
			weight := tree(&accWeight)
			t.loss[i] = float64(weight*lse) - tree(&accDot)
			factor = weight * factor
		}
	}
	for j, e := range y {
		y[j] = float32(float64(e) * factor)
		if t.loss == nil {
			continue
		}
		var p float32
		switch {
		case target != nil:
			p = target[j]
		case int32(j) == t.label[i]:
			p = 1
		}
		y[j] = (y[j] - p) * t.scale
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
	matrixOf("dy", dy, rows, cols, ldg).reads()
	matrixOf("y", y, rows, cols, ldy).reads()
	matrixOf("dx", dx, rows, cols, ldd).writes()
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
