package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// rowArgs are the arguments of a kernel that works row by row.
type rowArgs struct {
	rows, cols int
	dst        []float32
	ldd        int
	x          []float32
	ldx        int
	loss       []float64
	label      []int32
	target     []float32
	ldt        int
}

// rowKernel is such a kernel. All tests of them walk the table below.
type rowKernel struct {
	name          string // the function and, after a space, its variant
	dst, loss     bool   // what it computes
	label, target bool   // what it compares with
	run           func(a rowArgs, limit ...Threads)
}

const crossEntropyScale = float32(1) / 3

var rowKernels = []rowKernel{
	{"Softmax", true, false, false, false, func(a rowArgs, limit ...Threads) {
		Softmax(a.rows, a.cols, a.dst, a.ldd, a.x, a.ldx, limit...)
	}},
	{"SoftmaxCrossEntropy loss", false, true, true, false, func(a rowArgs, limit ...Threads) {
		SoftmaxCrossEntropy(a.rows, a.cols, a.loss, nil, 0, a.x, a.ldx, a.label, crossEntropyScale, limit...)
	}},
	{"SoftmaxCrossEntropy gradient", true, true, true, false, func(a rowArgs, limit ...Threads) {
		SoftmaxCrossEntropy(a.rows, a.cols, a.loss, a.dst, a.ldd, a.x, a.ldx, a.label, crossEntropyScale, limit...)
	}},
	{"SoftCrossEntropy loss", false, true, false, true, func(a rowArgs, limit ...Threads) {
		SoftCrossEntropy(a.rows, a.cols, a.loss, nil, 0, a.x, a.ldx, a.target, a.ldt, crossEntropyScale, limit...)
	}},
	{"SoftCrossEntropy gradient", true, true, false, true, func(a rowArgs, limit ...Threads) {
		SoftCrossEntropy(a.rows, a.cols, a.loss, a.dst, a.ldd, a.x, a.ldx, a.target, a.ldt, crossEntropyScale, limit...)
	}},
}

// fn is how panics begin.
func (k *rowKernel) fn() string { return panicPrefix(k.name) }

// eachRowKernel runs f as a subtest for every row of the table under every
// instruction set.
func eachRowKernel(t *testing.T, f func(t *testing.T, k *rowKernel, r *rand.Rand)) {
	eachISA(t, func(t *testing.T) {
		for i := range rowKernels {
			k := &rowKernels[i]
			t.Run(k.name, func(t *testing.T) { f(t, k, rand.New(rand.NewPCG(4, uint64(i)))) })
		}
	})
}

// newRowArgs draws the arguments of a call: what lies between the rows is
// poison, and so is what is to be overwritten.
func newRowArgs(r *rand.Rand, kind kind, rows, cols int) rowArgs {
	a := rowArgs{rows: rows, cols: cols, ldd: max(1, cols+r.IntN(4)), ldx: max(1, cols+r.IntN(4)), ldt: max(1, cols+r.IntN(4))}
	a.x, a.target = poisoned(rows, cols, a.ldx), poisoned(rows, cols, a.ldt)
	for i := range rows {
		if cols > 0 {
			copy(a.x[i*a.ldx:][:cols], kind.values(r, cols))
			copy(a.target[i*a.ldt:][:cols], kind.values(r, cols))
			if r.IntN(2) == 0 { // as with class weights
				for j := range cols {
					if r.IntN(3) > 0 {
						a.target[i*a.ldt+j] = 0
					}
				}
			}
		}
	}
	a.dst = poisoned(rows, cols, a.ldd)
	a.loss = slices.Repeat([]float64{-1}, rows)
	a.label = make([]int32, rows)
	for i := range a.label {
		a.label[i] = int32(r.IntN(max(1, cols)))
	}
	return a
}

// poisoned is memory for rows × cols elements, no more than it takes.
func poisoned(rows, cols, ld int) []float32 {
	if rows == 0 || cols == 0 {
		return []float32{}
	}
	return slices.Repeat([]float32{poison}, (rows-1)*ld+cols)
}

func (a rowArgs) clone() rowArgs {
	a.dst, a.x, a.loss = slices.Clone(a.dst), slices.Clone(a.x), slices.Clone(a.loss)
	a.label, a.target = slices.Clone(a.label), slices.Clone(a.target)
	return a
}

// check compares a call with what it should give and leave. The offsets are
// elements from a multiple of 64 bytes.
func (k *rowKernel) check(t *testing.T, what string, in, want rowArgs, inPlace bool, offDst, offX, offTarget int, limit ...Threads) {
	t.Helper()
	what = fmt.Sprintf("%s: %s, %d×%d, ldd %d, ldx %d, ldt %d, in place %v, offsets %d, %d and %d, threads %d", k.name, what, in.rows, in.cols, in.ldd, in.ldx, in.ldt, inPlace, offDst, offX, offTarget, limit)
	got := in
	var spilledX, spilledDst func() (int, bool)
	got.x, spilledX = place(in.x, offX)
	if inPlace {
		got.dst, spilledDst = got.x, spilledX
	} else {
		got.dst, spilledDst = place(in.dst, offDst)
	}
	var spilledTarget func() (int, bool)
	got.target, spilledTarget = place(in.target, offTarget)
	sentinel := slices.Repeat([]float64{7}, in.rows+4)
	got.loss = sentinel[2 : 2+in.rows]
	copy(got.loss, in.loss)
	got.label = slices.Clone(in.label)
	k.run(got, limit...)
	for _, spilled := range []func() (int, bool){spilledX, spilledDst, spilledTarget} {
		if at, ok := spilled(); ok {
			t.Fatalf("%s: element %d of a matrix was written", what, at)
		}
	}
	if !inPlace {
		unchanged(t, what, "x", got.x, in.x)
	}
	unchanged(t, what, "target", got.target, in.target)
	if !slices.Equal(got.label, in.label) {
		t.Fatalf("%s: labels were written: %d, had been %d", what, got.label, in.label)
	}
	if sentinel[0] != 7 || sentinel[1] != 7 || sentinel[in.rows+2] != 7 || sentinel[in.rows+3] != 7 {
		t.Fatalf("%s: losses were written beyond the rows", what)
	}
	for i := range want.dst {
		if !same(got.dst[i], want.dst[i]) {
			t.Fatalf("%s: [%d, %d] = %s, want %s", what, i/in.ldd, i%in.ldd, show(got.dst[i]), show(want.dst[i]))
		}
		if i%in.ldd >= in.cols && math.Float32bits(got.dst[i]) != math.Float32bits(poison) {
			t.Fatalf("%s: what lies between the rows was written, behind row %d", what, i/in.ldd)
		}
	}
	for i := range want.loss {
		if !same64(got.loss[i], want.loss[i]) {
			t.Fatalf("%s: loss[%d] = %g (%#x), want %g (%#x)", what, i, got.loss[i], math.Float64bits(got.loss[i]), want.loss[i], math.Float64bits(want.loss[i]))
		}
	}
}

// TestRowBits compares with the portable loop: all short widths, wide rows and
// many rows with several threads.
func TestRowBits(t *testing.T) {
	eachRowKernel(t, func(t *testing.T, k *rowKernel, r *rand.Rand) {
		compare := func(rows, cols int, kind kind, limits ...Threads) {
			in := newRowArgs(r, kind, rows, cols)
			inPlace := k.dst && r.IntN(4) == 0
			if inPlace {
				in.ldd = in.ldx
				in.dst = in.x
			}
			want := in.clone()
			if inPlace {
				want.dst = want.x
			}
			onPortable(t, func() { k.run(want, 1) })
			for _, limit := range limits {
				k.check(t, kind.name, in, want, inPlace, r.IntN(16), r.IntN(16), r.IntN(16), limit)
			}
		}
		for cols := range 133 {
			if cols == 0 && k.label {
				continue // none is valid
			}
			for rows := range 4 {
				for _, kind := range kinds() {
					compare(rows, cols, kind, 1)
				}
			}
		}
		for cols := 1; cols < 10; cols++ { // blocks of short rows
			for _, rows := range []int{31, 32, 33, 67} {
				for _, name := range []string{"normal", "mixed"} {
					compare(rows, cols, kindNamed(name), 1)
				}
			}
		}
		sizes, limits := [][2]int{{3000, 10}, {300, 100}, {5, 5000}, {2, block - 1}, {2, block}, {2, block + 1}}, []Threads{1, 2, 3, 8}
		if testing.Short() {
			sizes, limits = [][2]int{{1700, 10}, {2, block + 1}}, []Threads{1, 3}
		}
		// A coefficient that is off in its last bit shows in few sums.
		sizes = append(sizes, [2]int{8000, 3}, [2]int{4000, 7})
		for _, s := range sizes {
			for _, name := range []string{"normal", "mixed"} {
				compare(s[0], s[1], kindNamed(name), limits...)
			}
		}
	})
}

// TestRowValues compares with the formula, in float64.
func TestRowValues(t *testing.T) {
	const (
		ulps      = 1.51    // of the softmax
		lossBound = 0x1p-33 // of 1 + the loss
	)
	eachRowKernel(t, func(t *testing.T, k *rowKernel, r *rand.Rand) {
		tries := 600
		if testing.Short() {
			tries = 150
		}
		var worst, worstLoss float64
		for try := range tries {
			rows, cols := 8, 1+r.IntN(1+try)
			spread := math.Ldexp(1, r.IntN(10)-3)
			a := newRowArgs(r, kindNamed("normal"), rows, cols)
			for i := range a.x {
				a.x[i] *= float32(spread)
			}
			if k.target {
				for i := range a.target {
					a.target[i] = abs(a.target[i])
				}
			}
			k.run(a)
			for i := range rows {
				row := a.x[i*a.ldx:][:cols]
				top := float64(slices.Max(row))
				target := make([]float32, cols)
				if k.target {
					copy(target, a.target[i*a.ldt:])
				} else {
					target[a.label[i]] = 1
				}
				var sum, weight, dot float64
				for j, x := range row {
					sum += math.Exp(float64(x) - top)
					weight += float64(target[j])
					dot += float64(target[j]) * (float64(x) - top)
				}
				if k.loss {
					want := weight*math.Log(sum) - dot
					off := math.Abs(a.loss[i]-want) / (1 + want)
					worstLoss = max(worstLoss, off)
					if !(off <= lossBound) {
						t.Fatalf("%s: %d columns: loss %g, want %g, off by %g of 1 more, at most %g is allowed", k.name, cols, a.loss[i], want, off, lossBound)
					}
				}
				if !k.dst {
					continue
				}
				for j, x := range row {
					y := math.Exp(float64(x)-top) / sum
					want, bound := y, ulps*ulp32(y)
					if k.loss {
						difference := y*weight - float64(target[j])
						want = difference * float64(crossEntropyScale)
						// The error of the softmax but for its last rounding, and the
						// roundings of y·Σt, of the difference and of the product.
						bound = (ulps-0.5)*ulp32(y)*weight + 0.5*ulp32(y*weight) + 0.5*ulp32(difference)
						bound = float64(crossEntropyScale)*bound + 0.5*ulp32(want)
					}
					got := a.dst[i*a.ldd+j]
					off := math.Abs(float64(got) - want)
					worst = max(worst, off/bound)
					if !(off <= bound) {
						t.Fatalf("%s: %d columns: [%d, %d] = %g, want %g, off by %g, at most %g is allowed", k.name, cols, i, j, got, want, off, bound)
					}
				}
			}
		}
		t.Logf("%s: at worst %.3f of the bound; the loss %.2g of 1 more", k.name, worst, worstLoss)
	})
}

// TestRowAlone computes each row by itself.
func TestRowAlone(t *testing.T) {
	eachRowKernel(t, func(t *testing.T, k *rowKernel, r *rand.Rand) {
		for _, cols := range []int{1, 10, 37, 100} {
			const rows = 9
			in := newRowArgs(r, kindNamed("mixed"), rows, cols)
			all := in.clone()
			k.run(all)
			for i := range rows {
				one := rowArgs{rows: 1, cols: cols, ldd: cols, ldx: cols, dst: make([]float32, cols), x: in.x[i*in.ldx:][:cols], loss: make([]float64, 1), label: in.label[i : i+1], target: in.target[i*in.ldt:][:cols], ldt: cols}
				k.run(one)
				if k.loss && !same64(one.loss[0], all.loss[i]) {
					t.Fatalf("%s, %d columns: loss of row %d alone %g, among others %g", k.name, cols, i, one.loss[0], all.loss[i])
				}
				for j, got := range one.dst {
					if k.dst && !same(got, all.dst[i*in.ldd+j]) {
						t.Fatalf("%s, %d columns: [%d, %d] alone %s, among others %s", k.name, cols, i, j, show(got), show(all.dst[i*in.ldd+j]))
					}
				}
			}
		}
	})
}

// TestRowSpecials has the results that must come out exactly.
func TestRowSpecials(t *testing.T) {
	const largest = math.MaxFloat32
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	cases := []struct {
		x, y []float32
		loss []float64 // with each label
	}{
		{[]float32{3}, []float32{1}, []float64{0}},
		{[]float32{-largest}, []float32{1}, []float64{0}},
		{[]float32{7, 7, 7, 7}, []float32{0.25, 0.25, 0.25, 0.25}, nil},
		{[]float32{largest, -largest}, []float32{1, 0}, []float64{0, 2 * largest}},
		{[]float32{-inf, 5}, []float32{0, 1}, []float64{math.Inf(1), 0}},
		{[]float32{1, nan, 2}, []float32{nan, nan, nan}, []float64{math.NaN(), math.NaN(), math.NaN()}},
		{[]float32{1, inf}, []float32{nan, nan}, []float64{math.NaN(), math.NaN()}},
		{[]float32{inf, -inf}, []float32{nan, nan}, []float64{math.NaN(), math.NaN()}},
		{[]float32{-inf, -inf}, []float32{nan, nan}, []float64{math.NaN(), math.NaN()}},
		{[]float32{nan}, []float32{nan}, []float64{math.NaN()}},
	}
	eachRowKernel(t, func(t *testing.T, k *rowKernel, r *rand.Rand) {
		for _, c := range cases {
			for label := range c.x {
				a := rowArgs{rows: 1, cols: len(c.x), dst: make([]float32, len(c.x)), ldd: len(c.x), x: c.x, ldx: len(c.x), loss: make([]float64, 1), label: []int32{int32(label)}, target: make([]float32, len(c.x)), ldt: len(c.x)}
				a.target[label] = 1
				k.run(a)
				for j, got := range a.dst {
					want := c.y[j]
					if k.loss {
						if j == label {
							want--
						}
						want *= crossEntropyScale
					}
					if k.dst && !same(got, want) {
						t.Errorf("%s of %g, label %d: [%d] = %s, want %s", k.name, c.x, label, j, show(got), show(want))
					}
				}
				if k.loss && c.loss != nil && !same64(a.loss[0], c.loss[label]) {
					t.Errorf("%s of %g, label %d: loss %g, want %g", k.name, c.x, label, a.loss[0], c.loss[label])
				}
			}
		}
	})
}

// TestRowPanics makes one mistake at a time in a call for 3 rows of 5 columns.
func TestRowPanics(t *testing.T) {
	dst, loss, label, target := rowKernel{dst: true}, rowKernel{loss: true}, rowKernel{label: true}, rowKernel{target: true}
	for _, c := range []struct {
		what  string
		of    rowKernel // what a kernel has to compute for this to be a mistake
		spoil func(a *rowArgs)
		parts []string
	}{
		{"rows", rowKernel{}, func(a *rowArgs) { a.rows = -1 }, []string{"rows = -1"}},
		{"columns", rowKernel{}, func(a *rowArgs) { a.cols = -1 }, []string{"cols = -1"}},
		{"narrow x", rowKernel{}, func(a *rowArgs) { a.ldx = 4 }, []string{"ldx = 4", "5"}},
		{"narrow dst", dst, func(a *rowArgs) { a.ldd = 4 }, []string{"ld", " = 4", "5"}},
		{"short x", rowKernel{}, func(a *rowArgs) { a.x = a.x[:len(a.x)-1] }, []string{"len(x) = 18", "3 rows", "stride 7", "width 5"}},
		{"short dst", dst, func(a *rowArgs) { a.dst = a.dst[:len(a.dst)-1] }, []string{"len(", " = 16", "3 rows", "stride 6", "width 5"}},
		{"empty dst", dst, func(a *rowArgs) { a.dst = []float32{} }, []string{"len(", " = 0", "3 rows"}},
		{"huge rows", rowKernel{}, func(a *rowArgs) { a.rows = math.MaxInt }, []string{fmt.Sprint(math.MaxInt)}},
		{"huge stride", rowKernel{}, func(a *rowArgs) { a.ldx = math.MaxInt/2 + 2 }, []string{"len(x) = 19", fmt.Sprint(math.MaxInt/2 + 2)}},
		{"huge columns", rowKernel{}, func(a *rowArgs) { a.cols = math.MaxInt }, []string{fmt.Sprint(math.MaxInt)}},
		{"losses", loss, func(a *rowArgs) { a.loss = a.loss[:2] }, []string{"len(loss) = 2", "rows = 3"}},
		{"labels", label, func(a *rowArgs) { a.label = append(a.label, 0) }, []string{"len(label) = 4", "rows = 3"}},
		{"negative label", label, func(a *rowArgs) { a.label[1] = -1 }, []string{"label[1] = -1", "4"}},
		{"large label", label, func(a *rowArgs) { a.label[2] = 5 }, []string{"label[2] = 5", "4"}},
		{"dst one after x", dst, func(a *rowArgs) { a.x = append(a.x, 0); a.dst, a.ldd = a.x[1:], a.ldx }, []string{"x (3×5, stride 7)", "(3×5, stride 7) share"}},
		{"dst is x with another stride", dst, func(a *rowArgs) { a.dst = a.x }, []string{"x (3×5, stride 7)", "(3×5, stride 6)"}},
		{"dst begins with x's last element", dst, func(a *rowArgs) {
			a.x = append(a.x, make([]float32, 17)...)
			a.dst = a.x[18:]
		}, []string{"x (3×5, stride 7)", "(3×5, stride 6)"}},
		{"loss in x", loss, func(a *rowArgs) { a.loss = reinterpret[float64](a.x[8:], 3) }, []string{"loss", "x (3×5, stride 7)"}},
		{"loss in dst", rowKernel{dst: true, loss: true}, func(a *rowArgs) { a.loss = reinterpret[float64](a.dst[8:], 3) }, []string{"loss", "grad (3×5, stride 6)"}},
		{"label in dst", rowKernel{dst: true, label: true}, func(a *rowArgs) { a.label = reinterpret[int32](a.dst[4:], 3) }, []string{"label", "grad (3×5, stride 6)"}},
		{"narrow target", target, func(a *rowArgs) { a.ldt = 4 }, []string{"ldt = 4", "5"}},
		{"short target", target, func(a *rowArgs) { a.target = a.target[:len(a.target)-1] }, []string{"len(target) = 20", "3 rows", "stride 8", "width 5"}},
		{"no target", target, func(a *rowArgs) { a.target = nil }, []string{"len(target) = 0", "3 rows"}},
		{"huge stride of target", target, func(a *rowArgs) { a.ldt = math.MaxInt/2 + 2 }, []string{"len(target) = 21", fmt.Sprint(math.MaxInt/2 + 2)}},
		{"loss in target", target, func(a *rowArgs) { a.loss = reinterpret[float64](a.target[8:], 3) }, []string{"loss", "target (3×5, stride 8)"}},
		{"dst is target", rowKernel{dst: true, target: true}, func(a *rowArgs) { a.dst, a.ldd = a.target, a.ldt }, []string{"grad (3×5, stride 8)", "target (3×5, stride 8)"}},
		{"dst one after target", rowKernel{dst: true, target: true}, func(a *rowArgs) { a.dst = a.target[1:] }, []string{"grad (3×5, stride 6)", "target (3×5, stride 8)"}},
		{"label in loss", label, func(a *rowArgs) { a.label = reinterpret[int32](a.loss[1:], 3) }, []string{"loss (len 3) and label (len 3) share"}},
		{"label begins in loss", label, func(a *rowArgs) {
			room := make([]float64, 5)
			a.loss, a.label = room[:3], reinterpret[int32](room, 8)[5:8]
		}, []string{"loss (len 3) and label (len 3) share"}},
	} {
		for _, k := range rowKernels {
			if c.of.dst && !k.dst || c.of.loss && !k.loss || c.of.label && !k.label || c.of.target && !k.target {
				continue
			}
			a := rowArgs{rows: 3, cols: 5, dst: make([]float32, 17), ldd: 6, x: make([]float32, 19), ldx: 7, loss: make([]float64, 3), label: make([]int32, 3), target: make([]float32, 21), ldt: 8}
			c.spoil(&a)
			before := a.clone()
			what := k.name + ": " + c.what
			wantPanic(t, what, func() { k.run(a) }, append(c.parts, k.fn())...)
			unchanged(t, what, "dst", a.dst, before.dst)
			unchanged(t, what, "x", a.x, before.x)
			unchanged(t, what, "target", a.target, before.target)
			if !slices.Equal(a.loss, before.loss) {
				t.Errorf("%s: the losses were written", what)
			}
		}
	}
}

// TestSoftCrossEntropyOfLabels: a target of 1 at the label and 0 elsewhere gives the
// bits of SoftmaxCrossEntropy.
func TestSoftCrossEntropyOfLabels(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(4, 100))
		for _, kind := range kinds() {
			for _, cols := range []int{1, 2, 10, 37, 1000} {
				const rows = 5
				a := newRowArgs(r, kind, rows, cols)
				for i := range rows {
					clear(a.target[i*a.ldt:][:cols])
					a.target[i*a.ldt+int(a.label[i])] = 1
				}
				b := a.clone()
				SoftmaxCrossEntropy(rows, cols, a.loss, a.dst, a.ldd, a.x, a.ldx, a.label, 0.3)
				SoftCrossEntropy(rows, cols, b.loss, b.dst, b.ldd, b.x, b.ldx, b.target, b.ldt, 0.3)
				for i := range rows {
					if !same64(a.loss[i], b.loss[i]) {
						t.Fatalf("%s, %d columns: loss[%d] = %g, want %g", kind.name, cols, i, b.loss[i], a.loss[i])
					}
				}
				for i := range a.dst {
					if !same(a.dst[i], b.dst[i]) {
						t.Fatalf("%s, %d columns: [%d, %d] = %s, want %s", kind.name, cols, i/a.ldd, i%a.ldd, show(b.dst[i]), show(a.dst[i]))
					}
				}
			}
		}
	})
}

// TestSoftCrossEntropySpecials has the results that must come out exactly.
func TestSoftCrossEntropySpecials(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		x, target, grad []float32
		loss            float64
	}{
		{nil, nil, nil, 0},
		{[]float32{1, 2}, []float32{0, 0}, []float32{0, 0}, 0},
		{[]float32{-inf, 5}, []float32{0, 3}, []float32{0, 0}, 0}, // 0·-Inf is 0
		{[]float32{-inf, 5}, []float32{-0.5, 0}, []float32{0.5, -0.5}, math.Inf(-1)},
		{[]float32{-inf, 5}, []float32{0.25, 0.75}, []float32{-0.25, 0.25}, math.Inf(1)},
		{[]float32{7, 7, 7, 7}, []float32{0, 4, 0, 0}, []float32{1, -3, 1, 1}, 8 * math.Ln2},
		{[]float32{7, 7}, []float32{1, -1}, []float32{-1, 1}, 0},
		{[]float32{-math.MaxFloat32, math.MaxFloat32}, []float32{0.5, 0.5}, []float32{-0.5, 0.5}, math.MaxFloat32},
		{[]float32{1, nan}, []float32{1, 0}, []float32{nan, nan}, math.NaN()},
		{[]float32{1, nan}, []float32{0, 0}, []float32{nan, nan}, math.NaN()},
		{[]float32{1, inf}, []float32{1, 0}, []float32{nan, nan}, math.NaN()},
		{[]float32{-inf, -inf}, []float32{1, 0}, []float32{nan, nan}, math.NaN()},
		{[]float32{1, 2}, []float32{1, nan}, []float32{nan, nan}, math.NaN()},
	} {
		eachISA(t, func(t *testing.T) {
			n := len(c.x)
			grad, loss := make([]float32, n), []float64{5}
			SoftCrossEntropy(1, n, loss, grad, max(1, n), c.x, max(1, n), c.target, max(1, n), 1)
			for j, got := range grad {
				if !same(got, c.grad[j]) {
					t.Errorf("x %g, target %g: grad[%d] = %s, want %s", c.x, c.target, j, show(got), show(c.grad[j]))
				}
			}
			if !same64(loss[0], c.loss) {
				t.Errorf("x %g, target %g: loss %g, want %g", c.x, c.target, loss[0], c.loss)
			}
		})
	}
}

func TestRowsDoNotAllocate(t *testing.T) {
	eachRowKernel(t, func(t *testing.T, k *rowKernel, r *rand.Rand) {
		for _, rows := range []int{1, 1000} { // a block, and two
			a := newRowArgs(r, kindNamed("normal"), rows, 10)
			for _, limit := range [][]Threads{{1}, {2}} {
				wantNoAllocation(t, fmt.Sprintf("%s: %d rows, threads %d", k.name, rows, limit), func() { k.run(a, limit...) })
			}
		}
	})
}
