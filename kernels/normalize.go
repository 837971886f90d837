package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// strip is how many columns the kernels that add up columns keep their sums for at
// once, and stripRows how many rows of a strip one call of assembly does. Between
// the calls the sums are in memory, so that any number of rows gives the same bits.
const (
	strip     = 64
	stripRows = block / strip
)

// stripGrain is how many columns make a block: whole strips.
func stripGrain(rows int) int { return max(1, stripRows/max(1, rows)) * strip }

// Moments computes the mean and the variance of each column of x:
//
//	mean[j] = (Σ x[i][j])/rows
//	variance[j] = (Σ (x[i][j] - mean[j])²)/rows
//
// The variance is the biased one, which batch normalisation uses.
//
// Shapes: mean, variance: cols; x: rows×cols, ldx >= cols. Aliasing: none.
// Numerics: in float64, in the order of the rows, the variance with the mean before
// its rounding; both rounded once. Panics also if there are columns, but no row.
func Moments(rows, cols int, mean, variance []float32, x []float32, ldx int, limit ...Threads) {
	const fn = "Moments"
	wantSize(fn, "rows", rows)
	wantSize(fn, "cols", cols)
	if rows == 0 && cols > 0 {
		panic(fmt.Sprintf("kernels.%s: rows = 0, want at least 1 for the mean of each of cols = %d columns", fn, cols))
	}
	wantLen(fn, "mean", len(mean), "cols", cols)
	wantLen(fn, "variance", len(variance), "cols", cols)
	wantMatrix(fn, "x", len(x), rows, cols, "ldx", ldx)
	wantApart(fn, "mean", mean, "variance", variance)
	mx := matrixOf("x", x, rows, cols, ldx)
	wantMatricesApart(fn, matrixOf("mean", mean, 1, cols, cols), mx)
	wantMatricesApart(fn, matrixOf("variance", variance, 1, cols, cols), mx)
	mx.reads()
	writes(mean, variance)
	momentsTasks.run(threads(fn, limit), cols, stripGrain(rows), momentsTask{rows, mean, variance, x, ldx})
}

type momentsTask struct {
	rows           int
	mean, variance []float32
	x              []float32
	ldx            int
}

var momentsTasks tasks[momentsTask, *momentsTask]

// Range does the columns lo to hi.
func (t *momentsTask) Range(lo, hi int) {
	for ; lo < hi; lo += strip {
		t.strip(lo, min(hi, lo+strip))
	}
}

func (t *momentsTask) strip(lo, hi int) {
	var sums, squares, means [strip]float64
	cols, n := hi-lo, float64(t.rows)
	for i := 0; i < t.rows; i += stripRows {
		columnSums(min(stripRows, t.rows-i), cols, &sums, t.x[i*t.ldx+lo:], t.ldx)
	}
	for j := range cols {
		means[j] = sums[j] / n
		t.mean[lo+j] = float32(means[j])
	}
	for i := 0; i < t.rows; i += stripRows {
		columnSquares(min(stripRows, t.rows-i), cols, &squares, &means, t.x[i*t.ldx+lo:], t.ldx)
	}
	for j := range cols {
		t.variance[lo+j] = float32(squares[j] / n)
	}
}

// columnSums adds rows to the sums of their columns.
func columnSums(rows, cols int, sums *[strip]float64, x []float32, ldx int) {
	if asm.ColumnSums(cpu.Active(), rows, cols, &sums[0], unsafe.SliceData(x), ldx) {
		return
	}
	for i := range rows {
		for j, x := range x[i*ldx:][:cols] {
			sums[j] += float64(x)
		}
	}
}

// columnSquares adds the squared distances from the means to the sums.
func columnSquares(rows, cols int, sums, mean *[strip]float64, x []float32, ldx int) {
	if asm.ColumnSquares(cpu.Active(), rows, cols, &sums[0], &mean[0], unsafe.SliceData(x), ldx) {
		return
	}
	for i := range rows {
		for j, x := range x[i*ldx:][:cols] {
			d := float64(x) - mean[j]
			sums[j] += float64(d * d)
		}
	}
}

// InverseRoot computes dst[i] = 1/√(x[i] + eps): the factor that a variance x stands
// for.
//
// Numerics: in float64, rounded once, within 0.51 ulp. Where x + eps is 0 the result
// is +Inf, or -Inf if both are -0; where it is less, NaN.
//
// Shapes: dst and x have the same length. Aliasing: dst may be x.
func InverseRoot(dst, x []float32, eps float32, limit ...Threads) {
	wantMap("InverseRoot", dst, x)
	task, most := inverseRootTask{dst, x, eps}, threads("InverseRoot", limit)
	reads(x)
	writes(dst)
	if len(dst) <= block {
		task.Range(0, len(dst))
		return
	}
	inverseRootTasks.run(most, len(dst), block, task)
}

type inverseRootTask struct {
	dst, x []float32
	eps    float32
}

var inverseRootTasks tasks[inverseRootTask, *inverseRootTask]

// Range does the elements lo to hi.
func (t *inverseRootTask) Range(lo, hi int) {
	dst, x, eps := t.dst[lo:hi], t.x[lo:hi], t.eps
	if asm.InverseRoot(cpu.Active(), len(dst), unsafe.SliceData(dst), unsafe.SliceData(x), eps) {
		return
	}
	for i, x := range x {
		dst[i] = float32(inverseRoot(float64(x), eps))
	}
}

// inverseRoot is 1/√(x + eps).
func inverseRoot(x float64, eps float32) float64 { return 1 / math.Sqrt(x+float64(eps)) }

// Normalize shifts and scales each column of x twice, which is batch normalisation
// with the means and the [InverseRoot] of the variances:
//
//	dst[i][j] = ((x[i][j] - mean[j])·inverse[j])·gain[j] + bias[j]
//
// Shapes: dst: rows×cols, ldd >= cols; x: rows×cols, ldx >= cols; mean, inverse,
// gain, bias: cols. Aliasing: dst may be x, with the same stride. Source: Ioffe and
// Szegedy, Batch normalization: accelerating deep network training by reducing
// internal covariate shift, 2015, algorithm 1.
func Normalize(rows, cols int, dst []float32, ldd int, x []float32, ldx int, mean, inverse, gain, bias []float32, limit ...Threads) {
	const fn = "Normalize"
	wantRows(fn, rows, cols, "dst", dst, "ldd", ldd, x, ldx)
	wantLen(fn, "mean", len(mean), "cols", cols)
	wantLen(fn, "inverse", len(inverse), "cols", cols)
	wantLen(fn, "gain", len(gain), "cols", cols)
	wantLen(fn, "bias", len(bias), "cols", cols)
	md := matrixOf("dst", dst, rows, cols, ldd)
	wantMatricesApart(fn, md, matrixOf("mean", mean, 1, cols, cols))
	wantMatricesApart(fn, md, matrixOf("inverse", inverse, 1, cols, cols))
	wantMatricesApart(fn, md, matrixOf("gain", gain, 1, cols, cols))
	wantMatricesApart(fn, md, matrixOf("bias", bias, 1, cols, cols))
	matrixOf("x", x, rows, cols, ldx).reads()
	reads(mean, inverse, gain, bias)
	md.writes()
	n, grain := cutMatrix(rows, cols)
	normalizeTasks.run(threads(fn, limit), n, grain, normalizeTask{cols, dst, ldd, x, ldx, mean, inverse, gain, bias})
}

// cutMatrix cuts a matrix of which every element is computed by itself into n pieces, of
// which grain make a block: rows, or parts of a row that is longer than a block.
func cutMatrix(rows, cols int) (n, grain int) {
	if cols <= block {
		return rows, rowGrain(cols)
	}
	return rows * ceil(cols, block), 1
}

// cutOut gives what the pieces lo to hi are: rows i to end, columns j to last.
func cutOut(cols, lo, hi int) (i, end, j, last int) {
	if cols <= block {
		return lo, hi, 0, cols
	}
	each := ceil(cols, block)
	i, j = lo/each, lo%each*block
	return i, i + 1, j, min(cols, j+block)
}

type normalizeTask struct {
	cols                      int
	dst                       []float32
	ldd                       int
	x                         []float32
	ldx                       int
	mean, inverse, gain, bias []float32
}

var normalizeTasks tasks[normalizeTask, *normalizeTask]

// Range does the pieces lo to hi.
func (t *normalizeTask) Range(lo, hi int) {
	if t.cols == 0 {
		return
	}
	i, end, from, to := cutOut(t.cols, lo, hi)
	mean, inverse, gain, bias := t.mean[from:to], t.inverse[from:to], t.gain[from:to], t.bias[from:to]
	if asm.Normalize(cpu.Active(), end-i, to-from, unsafe.SliceData(t.dst[i*t.ldd+from:]), t.ldd, unsafe.SliceData(t.x[i*t.ldx+from:]), t.ldx,
		unsafe.SliceData(mean), unsafe.SliceData(inverse), unsafe.SliceData(gain), unsafe.SliceData(bias)) {
		return
	}
	for ; i < end; i++ {
		dst, x := t.dst[i*t.ldd:][from:to], t.x[i*t.ldx:][from:to]
		for j, x := range x {
			h := (x - mean[j]) * inverse[j]
			dst[j] = float32(h*gain[j]) + bias[j]
		}
	}
}

// NormalizeGrad is the backward pass of batch normalisation in training: dy is the
// gradient of what [Normalize] gave for x, with the mean and the inverse root that
// belong to x. With h = (x - mean)·inverse, for each column:
//
//	b = Σ dy, a = Σ dy·h
//	dbias = b, dgain = a
//	dx = (gain·inverse)·((dy - b/rows) - h·(a/rows))
//
// With dx nil, only the sums are computed.
//
// Shapes: dx: rows×cols, ldd >= cols, or nil; dy: rows×cols, ldg >= cols; x:
// rows×cols, ldx >= cols; dgain, dbias, mean, inverse, gain: cols. Aliasing: dx may be
// dy or x, with the same stride. Numerics: the sums in float64, in the order of the
// rows, of h in float32; b, a, b/rows and a/rows are rounded once, the rest is
// float32. Source: as for Normalize, section 3.
func NormalizeGrad(rows, cols int, dx []float32, ldd int, dgain, dbias []float32, dy []float32, ldg int, x []float32, ldx int, mean, inverse, gain []float32, limit ...Threads) {
	const fn = "NormalizeGrad"
	wantSize(fn, "rows", rows)
	wantSize(fn, "cols", cols)
	wantLen(fn, "dgain", len(dgain), "cols", cols)
	wantLen(fn, "dbias", len(dbias), "cols", cols)
	wantMatrix(fn, "dy", len(dy), rows, cols, "ldg", ldg)
	wantMatrix(fn, "x", len(x), rows, cols, "ldx", ldx)
	wantLen(fn, "mean", len(mean), "cols", cols)
	wantLen(fn, "inverse", len(inverse), "cols", cols)
	wantLen(fn, "gain", len(gain), "cols", cols)
	mdy, mx := matrixOf("dy", dy, rows, cols, ldg), matrixOf("x", x, rows, cols, ldx)
	in := [...]*matrix{matrixOf("mean", mean, 1, cols, cols), matrixOf("inverse", inverse, 1, cols, cols), matrixOf("gain", gain, 1, cols, cols)}
	out := [...]*matrix{matrixOf("dgain", dgain, 1, cols, cols), matrixOf("dbias", dbias, 1, cols, cols), {}}
	if dx != nil {
		wantMatrix(fn, "dx", len(dx), rows, cols, "ldd", ldd)
		out[2] = matrixOf("dx", dx, rows, cols, ldd)
		wantMatricesSameOrApart(fn, out[2], mdy)
		wantMatricesSameOrApart(fn, out[2], mx)
	}
	for i, o := range out {
		for _, m := range in {
			wantMatricesApart(fn, o, m)
		}
		for _, other := range out[:i] {
			wantMatricesApart(fn, o, other)
		}
		if i < 2 {
			wantMatricesApart(fn, o, mdy)
			wantMatricesApart(fn, o, mx)
		}
	}
	mdy.reads()
	mx.reads()
	reads(mean, inverse, gain)
	writes(dgain, dbias)
	out[2].writes()
	normalizeGradTasks.run(threads(fn, limit), cols, stripGrain(rows), normalizeGradTask{rows, dx, ldd, dgain, dbias, dy, ldg, x, ldx, mean, inverse, gain})
}

type normalizeGradTask struct {
	rows                int
	dx                  []float32
	ldd                 int
	dgain, dbias        []float32
	dy                  []float32
	ldg                 int
	x                   []float32
	ldx                 int
	mean, inverse, gain []float32
}

var normalizeGradTasks tasks[normalizeGradTask, *normalizeGradTask]

// Range does the columns lo to hi.
func (t *normalizeGradTask) Range(lo, hi int) {
	for ; lo < hi; lo += strip {
		t.strip(lo, min(hi, lo+strip))
	}
}

func (t *normalizeGradTask) strip(lo, hi int) {
	var a, b [strip]float64
	for i := 0; i < t.rows; i += stripRows {
		t.sums(i, min(t.rows, i+stripRows), lo, hi, &a, &b)
	}
	var meanA, meanB [strip]float32
	for j := range hi - lo {
		t.dgain[lo+j], t.dbias[lo+j] = float32(a[j]), float32(b[j])
		meanA[j], meanB[j] = float32(a[j]/float64(t.rows)), float32(b[j]/float64(t.rows))
	}
	if t.dx == nil {
		return
	}
	for i := 0; i < t.rows; i += stripRows {
		t.grad(i, min(t.rows, i+stripRows), lo, hi, &meanA, &meanB)
	}
}

// sums adds the rows i to end of the columns lo to hi to a and b.
func (t *normalizeGradTask) sums(i, end, lo, hi int, a, b *[strip]float64) {
	mean, inverse := t.mean[lo:hi], t.inverse[lo:hi]
	if asm.NormalizeSums(cpu.Active(), end-i, hi-lo, &a[0], &b[0], unsafe.SliceData(t.dy[i*t.ldg+lo:]), t.ldg, unsafe.SliceData(t.x[i*t.ldx+lo:]), t.ldx,
		unsafe.SliceData(mean), unsafe.SliceData(inverse)) {
		return
	}
	for ; i < end; i++ {
		dy, x := t.dy[i*t.ldg:][lo:hi], t.x[i*t.ldx:][lo:hi]
		for j, d := range dy {
			h := (x[j] - mean[j]) * inverse[j]
			a[j] += float64(float64(d) * float64(h))
			b[j] += float64(d)
		}
	}
}

// grad computes the rows i to end of the columns lo to hi of dx from the means of the
// products and of the gradient.
func (t *normalizeGradTask) grad(i, end, lo, hi int, a, b *[strip]float32) {
	mean, inverse, gain := t.mean[lo:hi], t.inverse[lo:hi], t.gain[lo:hi]
	if asm.NormalizeGrad(cpu.Active(), end-i, hi-lo, unsafe.SliceData(t.dx[i*t.ldd+lo:]), t.ldd,
		unsafe.SliceData(t.dy[i*t.ldg+lo:]), t.ldg, unsafe.SliceData(t.x[i*t.ldx+lo:]), t.ldx,
		unsafe.SliceData(mean), unsafe.SliceData(inverse), unsafe.SliceData(gain), &a[0], &b[0]) {
		return
	}
	for ; i < end; i++ {
		dx, dy, x := t.dx[i*t.ldd:][lo:hi], t.dy[i*t.ldg:][lo:hi], t.x[i*t.ldx:][lo:hi]
		for j, d := range dy {
			h := (x[j] - mean[j]) * inverse[j]
			dx[j] = float32(gain[j]*inverse[j]) * ((d - b[j]) - float32(h*a[j]))
		}
	}
}

// LayerNorm normalises each row of x, then scales and shifts its elements:
//
//	mean[i] = (Σ x[i][j])/cols
//	inverse[i] = 1/√((Σ (x[i][j] - mean[i])²)/cols + eps)
//	dst[i][j] = ((x[i][j] - mean[i])·inverse[i])·gain[j] + bias[j]
//
// The means and the inverse roots are for the backward pass; both may be nil.
//
// Shapes: dst: rows×cols, ldd >= cols; x: rows×cols, ldx >= cols; gain, bias: cols;
// mean, inverse: rows, or nil. Aliasing: dst may be x, with the same stride.
// Numerics: the sums in float64, by 32 accumulators, that of the squares with the
// mean before its rounding; mean and inverse are rounded once, the last line is
// float32. A row with a NaN or an infinity becomes NaN. Panics also if there are
// rows, but no column. Source: Ba, Kiros and Hinton, Layer normalization, 2016.
func LayerNorm(rows, cols int, dst []float32, ldd int, x []float32, ldx int, gain, bias []float32, mean, inverse []float32, eps float32, limit ...Threads) {
	const fn = "LayerNorm"
	wantRows(fn, rows, cols, "dst", dst, "ldd", ldd, x, ldx)
	if cols == 0 && rows > 0 {
		panic(fmt.Sprintf("kernels.%s: cols = 0, want at least 1 for the mean of each of rows = %d rows", fn, rows))
	}
	wantLen(fn, "gain", len(gain), "cols", cols)
	wantLen(fn, "bias", len(bias), "cols", cols)
	md, mx := matrixOf("dst", dst, rows, cols, ldd), matrixOf("x", x, rows, cols, ldx)
	mg, mb := matrixOf("gain", gain, 1, cols, cols), matrixOf("bias", bias, 1, cols, cols)
	wantMatricesApart(fn, md, mg)
	wantMatricesApart(fn, md, mb)
	if mean != nil || inverse != nil {
		wantLen(fn, "mean", len(mean), "rows", rows)
		wantLen(fn, "inverse", len(inverse), "rows", rows)
		wantApart(fn, "mean", mean, "inverse", inverse)
		for _, out := range [...]*matrix{matrixOf("mean", mean, 1, rows, rows), matrixOf("inverse", inverse, 1, rows, rows)} {
			for _, m := range [...]*matrix{md, mx, mg, mb} {
				wantMatricesApart(fn, out, m)
			}
		}
	}
	mx.reads()
	reads(gain, bias)
	md.writes()
	writes(mean, inverse)
	layerNormTasks.run(threads(fn, limit), rows, rowGrain(cols), layerNormTask{cols, dst, ldd, x, ldx, gain, bias, mean, inverse, eps})
}

type layerNormTask struct {
	cols          int
	dst           []float32
	ldd           int
	x             []float32
	ldx           int
	gain, bias    []float32
	mean, inverse []float32
	eps           float32
}

var layerNormTasks tasks[layerNormTask, *layerNormTask]

// Range does the rows lo to hi.
func (t *layerNormTask) Range(lo, hi int) {
	// A row wider than a block would keep the processor for too long.
	if t.cols <= block && t.asm(lo, hi) {
		return
	}
	for i := lo; i < hi; i++ {
		t.row(i)
	}
}

func (t *layerNormTask) asm(lo, hi int) bool {
	var mean, inverse *float32
	if t.mean != nil {
		mean, inverse = unsafe.SliceData(t.mean[lo:]), unsafe.SliceData(t.inverse[lo:])
	}
	return asm.LayerNorm(cpu.Active(), hi-lo, t.cols, unsafe.SliceData(t.dst[lo*t.ldd:]), t.ldd, unsafe.SliceData(t.x[lo*t.ldx:]), t.ldx,
		unsafe.SliceData(t.gain), unsafe.SliceData(t.bias), mean, inverse, t.eps, float32(t.cols))
}

func (t *layerNormTask) row(i int) {
	dst, x, n := t.dst[i*t.ldd:][:t.cols], t.x[i*t.ldx:][:t.cols], float64(t.cols)
	var acc [lanes]float64
	for j, x := range x {
		acc[j%lanes] += float64(x)
	}
	m := tree(&acc) / n
	clear(acc[:])
	for j, x := range x {
		d := float64(x) - m
		acc[j%lanes] += float64(d * d)
	}
	mean, inverse := float32(m), float32(inverseRoot(tree(&acc)/n, t.eps))
	if t.mean != nil {
		t.mean[i], t.inverse[i] = mean, inverse
	}
	for j, x := range x {
		h := (x - mean) * inverse
		dst[j] = float32(h*t.gain[j]) + t.bias[j]
	}
}

// LayerNormGrad is the backward pass of [LayerNorm] with respect to x, given the
// gradient dy of its result. With g = dy·gain and h = (x - mean[i])·inverse[i], for
// each row:
//
//	b = (Σ g)/cols, a = (Σ g·h)/cols
//	dx = inverse[i]·((g - b) - h·a)
//
// Shapes: dx: rows×cols, ldd >= cols; dy: rows×cols, ldg >= cols; x: rows×cols,
// ldx >= cols; mean, inverse: rows; gain: cols. Aliasing: dx may be dy or x, with the
// same stride. Numerics: the sums in float64, by 32 accumulators, of g and h in
// float32; a and b are rounded once, the rest is float32. Source: as for LayerNorm.
func LayerNormGrad(rows, cols int, dx []float32, ldd int, dy []float32, ldg int, x []float32, ldx int, mean, inverse, gain []float32, limit ...Threads) {
	const fn = "LayerNormGrad"
	wantGradRows(fn, rows, cols, dx, ldd, dy, ldg, "x", x, "ldx", ldx)
	wantLen(fn, "mean", len(mean), "rows", rows)
	wantLen(fn, "inverse", len(inverse), "rows", rows)
	wantLen(fn, "gain", len(gain), "cols", cols)
	md := matrixOf("dx", dx, rows, cols, ldd)
	wantMatricesApart(fn, md, matrixOf("mean", mean, 1, rows, rows))
	wantMatricesApart(fn, md, matrixOf("inverse", inverse, 1, rows, rows))
	wantMatricesApart(fn, md, matrixOf("gain", gain, 1, cols, cols))
	matrixOf("dy", dy, rows, cols, ldg).reads()
	matrixOf("x", x, rows, cols, ldx).reads()
	reads(mean, inverse, gain)
	md.writes()
	layerNormGradTasks.run(threads(fn, limit), rows, rowGrain(cols), layerNormGradTask{cols, dx, ldd, dy, ldg, x, ldx, mean, inverse, gain})
}

type layerNormGradTask struct {
	cols                int
	dx                  []float32
	ldd                 int
	dy                  []float32
	ldg                 int
	x                   []float32
	ldx                 int
	mean, inverse, gain []float32
}

var layerNormGradTasks tasks[layerNormGradTask, *layerNormGradTask]

// Range does the rows lo to hi.
func (t *layerNormGradTask) Range(lo, hi int) {
	if t.cols == 0 {
		return
	}
	// A row wider than a block would keep the processor for too long.
	if t.cols <= block && asm.LayerNormGrad(cpu.Active(), hi-lo, t.cols, unsafe.SliceData(t.dx[lo*t.ldd:]), t.ldd,
		unsafe.SliceData(t.dy[lo*t.ldg:]), t.ldg, unsafe.SliceData(t.x[lo*t.ldx:]), t.ldx,
		unsafe.SliceData(t.mean[lo:]), unsafe.SliceData(t.inverse[lo:]), unsafe.SliceData(t.gain), float32(t.cols)) {
		return
	}
	for i := lo; i < hi; i++ {
		t.row(i)
	}
}

func (t *layerNormGradTask) row(i int) {
	dx, dy, x := t.dx[i*t.ldd:][:t.cols], t.dy[i*t.ldg:][:t.cols], t.x[i*t.ldx:][:t.cols]
	mean, inverse, gain := t.mean[i], t.inverse[i], t.gain
	var sumB, sumA [lanes]float64
	for j, d := range dy {
		g, h := float32(d*gain[j]), (x[j]-mean)*inverse
		sumB[j%lanes] += float64(g)
		sumA[j%lanes] += float64(float64(g) * float64(h))
	}
	b, a := float32(tree(&sumB)/float64(t.cols)), float32(tree(&sumA)/float64(t.cols))
	for j, d := range dy {
		g, h := float32(d*gain[j]), (x[j]-mean)*inverse
		dx[j] = inverse * ((g - b) - float32(h*a))
	}
}

// LayerNormParams adds the gradients of the parameters of [LayerNorm] to dgain and
// dbias, in the order of the rows. With h = (x[i][j] - mean[i])·inverse[i]:
//
//	dgain[j] = dgain[j] + dy[i][j]·h
//	dbias[j] = dbias[j] + dy[i][j]
//
// So the parts of a batch, one after the other, give what the whole gives.
//
// Shapes: dgain, dbias: cols; dy: rows×cols, ldg >= cols; x: rows×cols, ldx >= cols;
// mean, inverse: rows. Aliasing: none. Source: as for LayerNorm.
func LayerNormParams(rows, cols int, dgain, dbias []float32, dy []float32, ldg int, x []float32, ldx int, mean, inverse []float32, limit ...Threads) {
	const fn = "LayerNormParams"
	wantSize(fn, "rows", rows)
	wantSize(fn, "cols", cols)
	wantLen(fn, "dgain", len(dgain), "cols", cols)
	wantLen(fn, "dbias", len(dbias), "cols", cols)
	wantMatrix(fn, "dy", len(dy), rows, cols, "ldg", ldg)
	wantMatrix(fn, "x", len(x), rows, cols, "ldx", ldx)
	wantLen(fn, "mean", len(mean), "rows", rows)
	wantLen(fn, "inverse", len(inverse), "rows", rows)
	wantApart(fn, "dgain", dgain, "dbias", dbias)
	for _, out := range [...]*matrix{matrixOf("dgain", dgain, 1, cols, cols), matrixOf("dbias", dbias, 1, cols, cols)} {
		for _, m := range [...]*matrix{matrixOf("dy", dy, rows, cols, ldg), matrixOf("x", x, rows, cols, ldx),
			matrixOf("mean", mean, 1, rows, rows), matrixOf("inverse", inverse, 1, rows, rows)} {
			wantMatricesApart(fn, out, m)
		}
	}
	matrixOf("dy", dy, rows, cols, ldg).reads()
	matrixOf("x", x, rows, cols, ldx).reads()
	reads(mean, inverse)
	writes(dgain, dbias)
	layerNormParamsTasks.run(threads(fn, limit), cols, stripGrain(rows), layerNormParamsTask{rows, dgain, dbias, dy, ldg, x, ldx, mean, inverse})
}

type layerNormParamsTask struct {
	rows          int
	dgain, dbias  []float32
	dy            []float32
	ldg           int
	x             []float32
	ldx           int
	mean, inverse []float32
}

var layerNormParamsTasks tasks[layerNormParamsTask, *layerNormParamsTask]

// Range does the columns lo to hi.
func (t *layerNormParamsTask) Range(lo, hi int) {
	each := max(1, block/(hi-lo)) // rows in a call
	for i := 0; i < t.rows; i += each {
		t.part(i, min(t.rows, i+each), lo, hi)
	}
}

// part does the rows i to end of the columns lo to hi.
func (t *layerNormParamsTask) part(i, end, lo, hi int) {
	dgain, dbias := t.dgain[lo:hi], t.dbias[lo:hi]
	if asm.LayerNormParams(cpu.Active(), end-i, hi-lo, unsafe.SliceData(dgain), unsafe.SliceData(dbias),
		unsafe.SliceData(t.dy[i*t.ldg+lo:]), t.ldg, unsafe.SliceData(t.x[i*t.ldx+lo:]), t.ldx,
		unsafe.SliceData(t.mean[i:]), unsafe.SliceData(t.inverse[i:])) {
		return
	}
	for ; i < end; i++ {
		dy, x, mean, inverse := t.dy[i*t.ldg:][lo:hi], t.x[i*t.ldx:][lo:hi], t.mean[i], t.inverse[i]
		for j, d := range dy {
			h := (x[j] - mean) * inverse
			dgain[j] += float32(d * h)
			dbias[j] += d
		}
	}
}
