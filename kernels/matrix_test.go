package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// matrixKernel is a kernel over matrices of one size, and vectors that have an element
// for each of their rows or columns. All tests of such kernels walk the table below: a
// kernel is tested once it has its row there.
type matrixKernel struct {
	name string // the function and, after a space, its variant

	// args are the arguments in order: * behind those that it writes, + behind those
	// that it adds to. After the colon, c stands for an element for each column, r
	// for each row, and anything else for a matrix, whose stride has that name.
	args    string
	inPlace string // what the first argument may be
	least   string // rows or cols if there must be one, unless there is nothing else either
	cut     string // rows if each is computed by itself, cols if each column is, or nothing

	run func(a matrixCall, limit ...Threads)

	// oracle computes, in float64, what is written, and how far from it the kernel
	// may be.
	oracle func(a matrixCall) (want, bound []oracleMatrix)
}

// matrixCall is a call of such a kernel: the vectors by their place among its
// arguments, with their strides.
type matrixCall struct {
	rows, cols int
	v          [][]float32
	ld         []int
}

// oracleMatrix has the elements of an argument, row by row, without gaps.
type oracleMatrix []float64

// matrixArg is an argument.
type matrixArg struct {
	name, stride   string // of the matrix
	written, added bool
	shape          byte // m, c or r
}

func (k *matrixKernel) arguments() (list []matrixArg) {
	for _, s := range strings.Fields(k.args) {
		name, shape, _ := strings.Cut(s, ":")
		a := matrixArg{name: strings.TrimRight(name, "*+"), written: strings.ContainsAny(name, "*+"), added: strings.Contains(name, "+"), shape: shape[0]}
		if len(shape) > 1 {
			a.stride, a.shape = shape, 'm'
		}
		list = append(list, a)
	}
	return list
}

// size gives the rows and columns of an argument.
func (a matrixArg) size(rows, cols int) (int, int) {
	switch a.shape {
	case 'c':
		return 1, cols
	case 'r':
		return 1, rows
	}
	return rows, cols
}

// at is element [i, j] of argument n, which is a matrix.
func (a matrixCall) at(n, i, j int) float64 { return float64(a.v[n][i*a.ld[n]+j]) }

// el is element i of argument n, which is a vector.
func (a matrixCall) el(n, i int) float64 { return float64(a.v[n][i]) }

const (
	testEps   = float32(1e-3)
	testScale = float32(1.25)
)

var testMask = DropoutMask{Rate: 0.3, Seed: 0x123456789abcdef, Stream: 5, Step: 1<<32 - 1, Row: 1<<32 - 2}

var matrixKernels = []matrixKernel{
	{
		name: "Moments", args: "mean*:c variance*:c x:ldx", least: "rows", cut: "cols",
		run: func(a matrixCall, limit ...Threads) {
			Moments(a.rows, a.cols, a.v[0], a.v[1], a.v[2], a.ld[2], limit...)
		},
		oracle: func(a matrixCall) (want, bound []oracleMatrix) {
			want, bound = oracles(a, a.cols, a.cols)
			n := float64(a.rows)
			for j := range a.cols {
				var sum, size, squares float64
				for i := range a.rows {
					sum += a.at(2, i, j)
					size += math.Abs(a.at(2, i, j))
				}
				for i := range a.rows {
					d := a.at(2, i, j) - sum/n
					squares += d * d
				}
				want[0][j], bound[0][j] = sum/n, 0.5*ulp32(sum/n)+0x1p-52*size
				want[1][j], bound[1][j] = squares/n, 0.51*ulp32(squares/n)+0x1p-50*squares
			}
			return want, bound
		},
	},
	{
		name: "Normalize", args: "dst*:ldd x:ldx mean:c inverse:c gain:c bias:c", inPlace: "x", cut: "rows",
		run: func(a matrixCall, limit ...Threads) {
			Normalize(a.rows, a.cols, a.v[0], a.ld[0], a.v[1], a.ld[1], a.v[2], a.v[3], a.v[4], a.v[5], limit...)
		},
		oracle: func(a matrixCall) (want, bound []oracleMatrix) {
			want, bound = oracles(a, a.rows*a.cols)
			for i := range a.rows {
				for j := range a.cols {
					h, size := oracleNormal(a.at(1, i, j), a.el(2, j), a.el(3, j))
					e := i*a.cols + j
					want[0][e] = h*a.el(4, j) + a.el(5, j)
					bound[0][e] = 4 * 0x1p-24 * (size*math.Abs(a.el(4, j)) + math.Abs(a.el(5, j)))
				}
			}
			return want, bound
		},
	},
	{
		name: "NormalizeGrad", args: "dx*:ldd dgain*:c dbias*:c dy:ldg x:ldx mean:c inverse:c gain:c", inPlace: "dy x", cut: "cols",
		run: func(a matrixCall, limit ...Threads) {
			NormalizeGrad(a.rows, a.cols, a.v[0], a.ld[0], a.v[1], a.v[2], a.v[3], a.ld[3], a.v[4], a.ld[4], a.v[5], a.v[6], a.v[7], limit...)
		},
		oracle: func(a matrixCall) (want, bound []oracleMatrix) {
			want, bound = oracles(a, a.rows*a.cols, a.cols, a.cols)
			n := float64(a.rows)
			for j := range a.cols {
				mean, inverse, gain := a.el(5, j), a.el(6, j), a.el(7, j)
				var sumA, sizeA, sumB, sizeB float64
				for i := range a.rows {
					h, size := oracleNormal(a.at(4, i, j), mean, inverse)
					dy := a.at(3, i, j)
					sumA, sizeA, sumB, sizeB = sumA+dy*h, sizeA+math.Abs(dy)*size, sumB+dy, sizeB+math.Abs(dy)
				}
				want[1][j], bound[1][j] = sumA, 0.5*ulp32(sumA)+3*0x1p-24*sizeA
				want[2][j], bound[2][j] = sumB, 0.5*ulp32(sumB)+n*0x1p-52*sizeB
				for i := range a.rows {
					h, size := oracleNormal(a.at(4, i, j), mean, inverse)
					dy := a.at(3, i, j)
					e := i*a.cols + j
					want[0][e] = gain * inverse * (dy - sumB/n - h*sumA/n)
					bound[0][e] = 10 * 0x1p-24 * math.Abs(gain*inverse) * (math.Abs(dy) + sizeB/n + size*sizeA/n)
				}
			}
			return want, bound
		},
	},
	{
		name: "NormalizeGrad sums", args: "dgain*:c dbias*:c dy:ldg x:ldx mean:c inverse:c gain:c", cut: "cols",
		run: func(a matrixCall, limit ...Threads) {
			NormalizeGrad(a.rows, a.cols, nil, 0, a.v[0], a.v[1], a.v[2], a.ld[2], a.v[3], a.ld[3], a.v[4], a.v[5], a.v[6], limit...)
		},
	},
	{
		name: "LayerNorm", args: "dst*:ldd x:ldx gain:c bias:c mean*:r inverse*:r", inPlace: "x", least: "cols", cut: "rows",
		run: func(a matrixCall, limit ...Threads) {
			LayerNorm(a.rows, a.cols, a.v[0], a.ld[0], a.v[1], a.ld[1], a.v[2], a.v[3], a.v[4], a.v[5], testEps, limit...)
		},
		oracle: func(a matrixCall) (want, bound []oracleMatrix) {
			want, bound = oracles(a, a.rows*a.cols, 0, 0, 0, a.rows, a.rows)
			n := float64(a.cols)
			for i := range a.rows {
				var sum, size, squares float64
				for j := range a.cols {
					sum += a.at(1, i, j)
					size += math.Abs(a.at(1, i, j))
				}
				mean := sum / n
				for j := range a.cols {
					d := a.at(1, i, j) - mean
					squares += d * d
				}
				inverse := 1 / math.Sqrt(squares/n+float64(testEps))
				want[4][i], bound[4][i] = mean, 0.5*ulp32(mean)+0x1p-52*size
				want[5][i], bound[5][i] = inverse, 0.51*ulp32(inverse)
				for j := range a.cols {
					h, size := oracleNormal(a.at(1, i, j), mean, inverse)
					e := i*a.cols + j
					want[0][e] = h*a.el(2, j) + a.el(3, j)
					bound[0][e] = 6 * 0x1p-24 * (size*math.Abs(a.el(2, j)) + math.Abs(a.el(3, j)))
				}
			}
			return want, bound
		},
	},
	{
		name: "LayerNorm alone", args: "dst*:ldd x:ldx gain:c bias:c", inPlace: "x", least: "cols", cut: "rows",
		run: func(a matrixCall, limit ...Threads) {
			LayerNorm(a.rows, a.cols, a.v[0], a.ld[0], a.v[1], a.ld[1], a.v[2], a.v[3], nil, nil, testEps, limit...)
		},
	},
	{
		name: "LayerNormGrad", args: "dx*:ldd dy:ldg x:ldx mean:r inverse:r gain:c", inPlace: "dy x", cut: "rows",
		run: func(a matrixCall, limit ...Threads) {
			LayerNormGrad(a.rows, a.cols, a.v[0], a.ld[0], a.v[1], a.ld[1], a.v[2], a.ld[2], a.v[3], a.v[4], a.v[5], limit...)
		},
		oracle: func(a matrixCall) (want, bound []oracleMatrix) {
			want, bound = oracles(a, a.rows*a.cols)
			n := float64(a.cols)
			for i := range a.rows {
				mean, inverse := a.el(3, i), a.el(4, i)
				var sumA, sizeA, sumB, sizeB float64
				for j := range a.cols {
					h, size := oracleNormal(a.at(2, i, j), mean, inverse)
					g := a.at(1, i, j) * a.el(5, j)
					sumA, sizeA, sumB, sizeB = sumA+g*h, sizeA+math.Abs(g)*size, sumB+g, sizeB+math.Abs(g)
				}
				for j := range a.cols {
					h, size := oracleNormal(a.at(2, i, j), mean, inverse)
					g := a.at(1, i, j) * a.el(5, j)
					e := i*a.cols + j
					want[0][e] = inverse * (g - sumB/n - h*sumA/n)
					bound[0][e] = 11 * 0x1p-24 * math.Abs(inverse) * (math.Abs(g) + sizeB/n + size*sizeA/n)
				}
			}
			return want, bound
		},
	},
	{
		name: "LayerNormParams", args: "dgain+:c dbias+:c dy:ldg x:ldx mean:r inverse:r", cut: "cols",
		run: func(a matrixCall, limit ...Threads) {
			LayerNormParams(a.rows, a.cols, a.v[0], a.v[1], a.v[2], a.ld[2], a.v[3], a.ld[3], a.v[4], a.v[5], limit...)
		},
		oracle: func(a matrixCall) (want, bound []oracleMatrix) {
			want, bound = oracles(a, a.cols, a.cols)
			for j := range a.cols {
				sumA, sumB := a.el(0, j), a.el(1, j)
				sizeA, sizeB := math.Abs(sumA), math.Abs(sumB)
				for i := range a.rows {
					h, size := oracleNormal(a.at(3, i, j), a.el(4, i), a.el(5, i))
					dy := a.at(2, i, j)
					sumA, sizeA, sumB, sizeB = sumA+dy*h, sizeA+math.Abs(dy)*size, sumB+dy, sizeB+math.Abs(dy)
				}
				want[0][j], bound[0][j] = sumA, float64(a.rows+3)*0x1p-24*sizeA
				want[1][j], bound[1][j] = sumB, float64(a.rows)*0x1p-24*sizeB
			}
			return want, bound
		},
	},
	{
		name: "SoftmaxGrad", args: "dx*:ldd dy:ldg y:ldy", inPlace: "dy y", cut: "rows",
		run: func(a matrixCall, limit ...Threads) {
			SoftmaxGrad(a.rows, a.cols, a.v[0], a.ld[0], a.v[1], a.ld[1], a.v[2], a.ld[2], limit...)
		},
		oracle: func(a matrixCall) (want, bound []oracleMatrix) {
			want, bound = oracles(a, a.rows*a.cols)
			for i := range a.rows {
				var sum, size float64
				for j := range a.cols {
					sum += a.at(1, i, j) * a.at(2, i, j)
					size += math.Abs(a.at(1, i, j) * a.at(2, i, j))
				}
				for j := range a.cols {
					dy, y := a.at(1, i, j), a.at(2, i, j)
					want[0][i*a.cols+j] = y * (dy - sum)
					bound[0][i*a.cols+j] = 3 * 0x1p-24 * math.Abs(y) * (math.Abs(dy) + size)
				}
			}
			return want, bound
		},
	},
	{
		name: "Dropout", args: "dst*:ldd x:ldx", inPlace: "x",
		run: func(a matrixCall, limit ...Threads) {
			Dropout(a.rows, a.cols, a.v[0], a.ld[0], a.v[1], a.ld[1], testMask, testScale, limit...)
		},
		oracle: func(a matrixCall) (want, bound []oracleMatrix) {
			want, bound = oracles(a, a.rows*a.cols)
			for i := range a.rows {
				for j := range a.cols {
					if keeps(testMask, i, j) {
						e := i*a.cols + j
						want[0][e] = a.at(1, i, j) * float64(testScale)
						bound[0][e] = 0.5 * ulp32(want[0][e])
					}
				}
			}
			return want, bound
		},
	},
}

// oracles makes room for what a kernel writes: so many elements of each argument.
func oracles(a matrixCall, sizes ...int) (want, bound []oracleMatrix) {
	want, bound = make([]oracleMatrix, len(a.v)), make([]oracleMatrix, len(a.v))
	for i, n := range sizes {
		want[i], bound[i] = make(oracleMatrix, n), make(oracleMatrix, n)
	}
	return want, bound
}

// oracleNormal is (x - mean)·inverse, and its size if nothing cancels.
func oracleNormal(x, mean, inverse float64) (h, size float64) {
	return (x - mean) * inverse, (math.Abs(x) + math.Abs(mean)) * math.Abs(inverse)
}

// fn is how panics begin.
func (k *matrixKernel) fn() string { return panicPrefix(k.name) }

// takes tells whether a call of that size is allowed.
func (k *matrixKernel) takes(rows, cols int) bool {
	return k.least == "" || k.least == "rows" && (rows > 0 || cols == 0) || k.least == "cols" && (cols > 0 || rows == 0)
}

// eachMatrixKernel runs f as a subtest for every row of the table under every
// instruction set.
func eachMatrixKernel(t *testing.T, f func(t *testing.T, k *matrixKernel, r *rand.Rand)) {
	eachISA(t, func(t *testing.T) {
		for i := range matrixKernels {
			k := &matrixKernels[i]
			t.Run(k.name, func(t *testing.T) { f(t, k, rand.New(rand.NewPCG(12, uint64(i)))) })
		}
	})
}

// draw makes the arguments of a call: what lies between rows is poison, and so is what
// is to be overwritten.
func (k *matrixKernel) draw(r *rand.Rand, kind kind, rows, cols int) matrixCall {
	a := matrixCall{rows: rows, cols: cols}
	for _, arg := range k.arguments() {
		m, n := arg.size(rows, cols)
		ld := n
		if arg.shape == 'm' {
			ld = max(1, n+r.IntN(4))
		}
		v := poisoned(m, n, ld)
		if len(v) > 0 && (!arg.written || arg.added) {
			for i := range m {
				copy(v[i*ld:][:n], kind.values(r, n))
			}
		}
		a.v, a.ld = append(a.v, v), append(a.ld, ld)
	}
	return a
}

func (a matrixCall) clone() matrixCall {
	v := make([][]float32, len(a.v))
	for i := range v {
		v[i] = slices.Clone(a.v[i])
	}
	a.v, a.ld = v, slices.Clone(a.ld)
	return a
}

// index is the place of the argument called name.
func (k *matrixKernel) index(name string) int {
	return slices.IndexFunc(k.arguments(), func(a matrixArg) bool { return a.name == name })
}

// check compares a call with what the portable loop gives. Argument i lies off[i]
// elements after a multiple of 64 bytes; the first one is the one called first, if any.
func (k *matrixKernel) check(t *testing.T, what string, in matrixCall, first string, r *rand.Rand, limits ...Threads) {
	t.Helper()
	alias := -1
	if first != "" {
		alias = k.index(first)
		in = in.clone()
		in.v[0], in.ld[0] = in.v[alias], in.ld[alias]
	}
	want := in.clone()
	if alias >= 0 {
		want.v[0] = want.v[alias]
	}
	onPortable(t, func() { k.run(want, 1) })
	for _, limit := range limits {
		got := in.clone()
		spilled := make([]func() (int, bool), len(got.v))
		off := make([]int, len(got.v))
		for i := range got.v {
			off[i] = r.IntN(16)
			got.v[i], spilled[i] = place(in.v[i], off[i])
		}
		if alias >= 0 {
			got.v[0], spilled[0] = got.v[alias], spilled[alias]
		}
		k.run(got, limit)
		where := fmt.Sprintf("%s: %s, %d×%d, strides %d, offsets %d, first argument %q, threads %d", k.name, what, in.rows, in.cols, in.ld, off, first, limit)
		for i, arg := range k.arguments() {
			if at, ok := spilled[i](); ok {
				t.Fatalf("%s: %s[%d] was written", where, arg.name, at)
			}
			if !arg.written && i != alias {
				unchanged(t, where, arg.name, got.v[i], in.v[i])
				continue
			}
			_, cols := arg.size(in.rows, in.cols)
			for e, x := range got.v[i] {
				row, col := e/max(1, in.ld[i]), e%max(1, in.ld[i])
				if !same(x, want.v[i][e]) {
					t.Fatalf("%s: %s[%d, %d] = %s, want %s", where, arg.name, row, col, show(x), show(want.v[i][e]))
				}
				if col >= cols && math.Float32bits(x) != math.Float32bits(poison) {
					t.Fatalf("%s: %s: what lies between the rows was written, behind row %d", where, arg.name, row)
				}
			}
		}
	}
}

// cancelling are numbers so far apart that a sum in float64 depends on its order.
var cancelling = sync.OnceValue(func() kind {
	r := rand.New(rand.NewPCG(1, 3))
	x := make([]float32, 1<<12)
	for i := range x {
		x[i] = float32(math.Ldexp(pick(r, -1.0, 1, 1.5), pick(r, 0, 28, 56)))
	}
	return kind{"cancelling", x}
})

// TestMatrixBits compares with the portable loop: all short widths, and sizes around
// the blocks and strips with several threads.
func TestMatrixBits(t *testing.T) {
	eachMatrixKernel(t, func(t *testing.T, k *matrixKernel, r *rand.Rand) {
		places := append(strings.Fields(k.inPlace), "", "", "")
		for cols := range 133 {
			for rows := range 5 {
				for which, kind := range append(kinds(), cancelling()) {
					if testing.Short() && (cols+rows+which)%3 != 0 || !k.takes(rows, cols) {
						continue
					}
					k.check(t, kind.name, k.draw(r, kind, rows, cols), pick(r, places...), r, 1)
				}
			}
		}
		sizes := [][2]int{{3000, 10}, {300, 100}, {stripRows - 1, strip}, {stripRows, strip + 1}, {2*stripRows + 1, 2*strip - 1}, {5, 5000},
			{1, 3*strip*stripRows + 7}, {2, block - 1}, {2, block}, {2, block + 1}}
		limits := []Threads{1, 2, 3, 8}
		if testing.Short() {
			sizes, limits = [][2]int{{stripRows + 1, strip + 9}, {2, block + 1}}, []Threads{1, 3}
		}
		for _, s := range sizes {
			for _, name := range []string{"normal", "mixed"} {
				k.check(t, name, k.draw(r, kindNamed(name), s[0], s[1]), pick(r, places...), r, limits...)
			}
		}
	})
}

// TestMatrixValues compares with the formula, in float64.
func TestMatrixValues(t *testing.T) {
	eachMatrixKernel(t, func(t *testing.T, k *matrixKernel, r *rand.Rand) {
		if k.oracle == nil {
			return // another row has it
		}
		tries := 200
		if testing.Short() {
			tries = 60
		}
		var worst float64
		for try := range tries {
			a := k.draw(r, kindNamed("normal"), 1+r.IntN(1+try/2), 1+r.IntN(1+try))
			for i := range a.v {
				factor := float32(math.Ldexp(1, r.IntN(8)-4))
				for e := range a.v[i] {
					a.v[i][e] *= factor
				}
			}
			want, bound := k.oracle(a)
			k.run(a)
			for i, arg := range k.arguments() {
				if !arg.written {
					continue
				}
				m, n := arg.size(a.rows, a.cols)
				if len(want[i]) != m*n {
					t.Fatalf("%s: no oracle for %s", k.name, arg.name)
				}
				for e, w := range want[i] {
					got := float64(a.v[i][e/n*a.ld[i]+e%n])
					off, most := math.Abs(got-w), bound[i][e]+0x1p-140
					if !(off <= most) {
						t.Fatalf("%s, %d×%d: %s[%d, %d] = %g, want %g, off by %g, at most %g is allowed", k.name, a.rows, a.cols, arg.name, e/n, e%n, got, w, off, most)
					}
					worst = max(worst, off/most)
				}
			}
		}
		t.Logf("%s: at worst %.3f of the bound", k.name, worst)
	})
}

// TestMatrixCut computes each row, or each column, by itself.
func TestMatrixCut(t *testing.T) {
	eachMatrixKernel(t, func(t *testing.T, k *matrixKernel, r *rand.Rand) {
		if k.cut == "" {
			return
		}
		for _, s := range [][2]int{{9, 1}, {7, 10}, {5, 37}, {3, 100}} {
			all := k.draw(r, kindNamed("mixed"), s[0], s[1])
			n := all.rows
			if k.cut == "cols" {
				n = all.cols
			}
			parts := all.clone()
			k.run(all)
			for c := range n {
				one := matrixCall{rows: 1, cols: all.cols, ld: all.ld}
				if k.cut == "cols" {
					one.rows, one.cols = all.rows, 1
				}
				for i, arg := range k.arguments() {
					v := parts.v[i]
					switch {
					case arg.shape == 'm' && k.cut == "rows":
						v = v[c*all.ld[i]:][:all.cols]
					case arg.shape == 'm':
						v = v[c:]
					case arg.shape == k.cut[0]:
						v = v[c : c+1]
					}
					one.v = append(one.v, v)
				}
				k.run(one)
			}
			for i, arg := range k.arguments() {
				for e := range all.v[i] {
					if !same(parts.v[i][e], all.v[i][e]) {
						t.Fatalf("%s, %d×%d: %s[%d] with each of the %s alone %s, among others %s", k.name, all.rows, all.cols, arg.name, e, k.cut, show(parts.v[i][e]), show(all.v[i][e]))
					}
				}
			}
		}
	})
}

// TestMatrixPanics makes one mistake at a time in a call for 3 rows of 5 columns.
func TestMatrixPanics(t *testing.T) {
	for n := range matrixKernels {
		k := &matrixKernels[n]
		r := rand.New(rand.NewPCG(13, uint64(n)))
		try := func(what string, spoil func(a *matrixCall), parts ...string) {
			t.Helper()
			a := k.draw(r, kindNamed("normal"), 3, 5)
			for i, arg := range k.arguments() {
				if arg.shape == 'm' { // strides that all differ
					a.ld[i] = 6 + i
					a.v[i] = make([]float32, 2*a.ld[i]+5)
				}
			}
			spoil(&a)
			before := a.clone()
			what = k.name + ": " + what
			wantPanic(t, what, func() { k.run(a) }, append(parts, k.fn())...)
			for i, arg := range k.arguments() {
				unchanged(t, what, arg.name, a.v[i], before.v[i])
			}
		}
		try("rows", func(a *matrixCall) { a.rows = -1 }, "rows = -1")
		try("columns", func(a *matrixCall) { a.cols = -1 }, "cols = -1")
		try("huge rows", func(a *matrixCall) { a.rows = math.MaxInt }, fmt.Sprint(math.MaxInt))
		try("huge columns", func(a *matrixCall) { a.cols = math.MaxInt }, fmt.Sprint(math.MaxInt))
		for i, arg := range k.arguments() {
			switch arg.shape {
			case 'm':
				try("short "+arg.name, func(a *matrixCall) { a.v[i] = a.v[i][:len(a.v[i])-1] }, fmt.Sprintf("len(%s) = %d", arg.name, 2*(6+i)+4), "3 rows", fmt.Sprint("stride ", 6+i), "width 5")
				try("empty "+arg.name, func(a *matrixCall) { a.v[i] = []float32{} }, "len("+arg.name+") = 0", "3 rows")
				try("narrow "+arg.name, func(a *matrixCall) { a.ld[i] = 4 }, arg.stride+" = 4", "5", arg.name)
				try("huge stride of "+arg.name, func(a *matrixCall) { a.ld[i] = math.MaxInt/2 + 2 }, fmt.Sprint(math.MaxInt/2+2), "len("+arg.name+")")
			default:
				want, name := 5, "cols"
				if arg.shape == 'r' {
					want, name = 3, "rows"
				}
				for _, length := range []int{0, want - 1, want + 1} {
					try(arg.name, func(a *matrixCall) { a.v[i] = make([]float32, length) }, fmt.Sprintf("len(%s) = %d", arg.name, length), fmt.Sprintf("%s = %d", name, want))
				}
			}
			for j, other := range k.arguments() {
				if i == j || !arg.written {
					continue
				}
				lay := func(a *matrixCall, at int) {
					room := make([]float32, len(a.v[i])+len(a.v[j]))
					a.v[j] = room[:len(a.v[j])]
					a.v[i] = room[at:][:len(a.v[i])]
				}
				parts := []string{arg.name + " (", other.name + " (", "share"}
				what := arg.name + " begins in " + other.name
				try(what, func(a *matrixCall) { lay(a, len(a.v[j])-1) }, parts...)
				try(what+", at its second element", func(a *matrixCall) { lay(a, 1) }, parts...)
				try(what+", at its first, with another stride", func(a *matrixCall) { lay(a, 0) }, parts...)
				if arg.shape == 'm' && other.shape == 'm' && (i != 0 || !slices.Contains(strings.Fields(k.inPlace), other.name)) {
					try(arg.name+" is "+other.name, func(a *matrixCall) { a.v[i], a.ld[i] = a.v[j], a.ld[j] }, parts...)
				}
			}
		}
		if k.least != "" {
			try("nothing to take the mean of", func(a *matrixCall) {
				*a = k.draw(r, kindNamed("normal"), 3, 0)
				if k.least == "rows" {
					*a = k.draw(r, kindNamed("normal"), 0, 3)
				}
			}, k.least+" = 0", "at least 1")
		}
		a := k.draw(r, kindNamed("normal"), 3, 5)
		wantPanic(t, k.name+": threads", func() { k.run(a, -1) }, k.fn(), "-1")
		wantPanic(t, k.name+": threads", func() { k.run(a, 1, 2) }, k.fn(), "2 limits")
	}
}

// TestMatrixBetween: a matrix may lie between the rows of another.
func TestMatrixBetween(t *testing.T) {
	eachMatrixKernel(t, func(t *testing.T, k *matrixKernel, r *rand.Rand) {
		const rows, cols = 4, 5
		a := k.draw(r, kindNamed("normal"), rows, cols)
		var room []float32
		at := 0
		for i, arg := range k.arguments() {
			if arg.shape != 'm' {
				continue
			}
			if room == nil {
				room = make([]float32, 4*cols*rows)
			}
			old, ld := a.v[i], a.ld[i]
			a.v[i], a.ld[i] = room[at:], 4*cols
			for row := range rows {
				copy(a.v[i][row*4*cols:][:cols], old[row*ld:][:cols])
			}
			at += cols
		}
		want := a.clone() // apart
		k.run(want)
		k.run(a)
		for i, arg := range k.arguments() {
			for e := range rows * cols {
				at := e/cols*a.ld[i] + e%cols
				if arg.written && at < len(a.v[i]) && !same(a.v[i][at], want.v[i][at]) {
					t.Fatalf("%s: %s[%d] = %s, want %s", k.name, arg.name, at, show(a.v[i][at]), show(want.v[i][at]))
				}
			}
		}
	})
}

func TestMatricesDoNotAllocate(t *testing.T) {
	eachMatrixKernel(t, func(t *testing.T, k *matrixKernel, r *rand.Rand) {
		for _, rows := range []int{1, 2000} {
			a := k.draw(r, kindNamed("normal"), rows, 100)
			for _, limit := range [][]Threads{{1}, {2}} {
				wantNoAllocation(t, fmt.Sprintf("%s: %d rows, threads %d", k.name, rows, limit), func() { k.run(a, limit...) })
			}
		}
	})
}
