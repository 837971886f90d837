package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestInverseRootSpecials has the results that must come out exactly.
func TestInverseRootSpecials(t *testing.T) {
	nan, inf, zero := float32(math.NaN()), float32(math.Inf(1)), math.Float32frombits(1<<31) // -0
	eachISA(t, func(t *testing.T) {
		for _, c := range []struct{ x, eps, want float32 }{
			{4, 0, 0.5}, {3, 1, 0.5}, {0, 0, inf}, {zero, 0, inf}, {zero, zero, -inf}, {inf, 1, 0}, {nan, 1, nan}, {-1, 0, nan}, {-1, 1, inf},
			{0x1p-149, 0, float32(1 / math.Sqrt(0x1p-149))}, {math.MaxFloat32, math.MaxFloat32, float32(1 / math.Sqrt(2*math.MaxFloat32))}, {1, nan, nan},
		} {
			for _, n := range []int{1, 3, 9} {
				x := slices.Repeat([]float32{c.x}, n)
				InverseRoot(x, x, c.eps)
				for i, got := range x {
					if !same(got, c.want) {
						t.Errorf("InverseRoot of %s with eps %g: [%d] = %s, want %s", show(c.x), c.eps, i, show(got), show(c.want))
					}
				}
			}
		}
	})
}

// TestMomentsConstant: the mean of equal elements is that element, and their variance
// is 0, however many they are.
func TestMomentsConstant(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, c := range []float32{0, 1, -3, math.MaxFloat32, 0x1p-149} {
			for _, rows := range []int{1, 2, 3 * stripRows} {
				x, mean, variance := slices.Repeat([]float32{c}, rows*5), make([]float32, 5), make([]float32, 5)
				Moments(rows, 5, mean, variance, x, 5)
				for j := range mean {
					if mean[j] != c || variance[j] != 0 {
						t.Errorf("%d times %g: mean %g, variance %g", rows, c, mean[j], variance[j])
					}
				}
			}
		}
	})
}

// TestColumnSums compares the sums in float64, before their rounding hides what is
// off in the last places.
func TestColumnSums(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 3))
		normal := kindNamed("normal")
		for cols := range strip + 1 {
			for _, rows := range []int{1, 2, 5} {
				x, dy, mean, inverse := normal.values(r, rows*cols), normal.values(r, rows*cols), normal.values(r, cols), normal.values(r, cols)
				var start, center [strip]float64
				for j := range cols {
					start[j], center[j] = r.NormFloat64(), r.NormFloat64()
				}
				all := func() (sums [4][strip]float64) {
					sums = [4][strip]float64{start, start, start, start}
					if cols > 0 {
						columnSums(rows, cols, &sums[0], x, cols)
						columnSquares(rows, cols, &sums[1], &center, x, cols)
						task := normalizeGradTask{dy: dy, ldg: cols, x: x, ldx: cols, mean: mean, inverse: inverse}
						task.sums(0, rows, 0, cols, &sums[2], &sums[3])
					}
					return sums
				}
				var want [4][strip]float64
				onPortable(t, func() { want = all() })
				for n, got := range all() {
					if got != want[n] {
						t.Fatalf("%d×%d: sum %d is %v, want %v", rows, cols, n, got, want[n])
					}
				}
			}
		}
	})
}

// TestLayerNormRounding has rows whose variance is 2 but for the errors of rounding in
// float64, since their mean is a third more than an integer, and takes 2 away again:
// what is left shows how each square was rounded.
func TestLayerNormRounding(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 4))
		seen := map[float32]bool{}
		for times := 1; times <= 20; times++ {
			for range 20 {
				x := slices.Repeat([]float32{4, 1, -1, -1, 0, 0, 0, 0, 0}, times)
				r.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
				shift := float32(r.IntN(100))
				for i := range x {
					x[i] += shift
				}
				n, c := len(x), make([]float32, len(x))
				norm := func() (mean, inverse [1]float32) {
					LayerNorm(1, n, make([]float32, n), n, x, n, c, c, mean[:], inverse[:], -2)
					return mean, inverse
				}
				var want [1]float32
				onPortable(t, func() { _, want = norm() })
				if _, got := norm(); !same(got[0], want[0]) {
					t.Fatalf("%d columns: inverse %s, want %s", n, show(got[0]), show(want[0]))
				}
				seen[want[0]] = true
			}
		}
		if len(seen) < 5 {
			t.Errorf("no more than %d different errors of rounding", len(seen))
		}
	})
}

// TestLayerNormParamsParts adds up a batch in two parts, cut anywhere, and in single
// rows.
func TestLayerNormParamsParts(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 1))
		k := &matrixKernels[slices.IndexFunc(matrixKernels, func(k matrixKernel) bool { return k.name == "LayerNormParams" })]
		for _, s := range [][2]int{{9, 1}, {9, 37}, {2*stripRows + 3, 70}} {
			all := k.draw(r, kindNamed("normal"), s[0], s[1])
			from := func(a matrixCall, i, end int) matrixCall {
				a.rows = end - i
				a.v = slices.Clone(a.v)
				for n, arg := range k.arguments() {
					switch arg.shape {
					case 'm':
						a.v[n] = a.v[n][i*a.ld[n]:]
					case 'r':
						a.v[n] = a.v[n][i:end]
					}
				}
				return a
			}
			want := all.clone()
			k.run(want)
			compare := func(got matrixCall, cut int) {
				t.Helper()
				for n := range 2 {
					if !slices.Equal(bitsOf(got.v[n]), bitsOf(want.v[n])) {
						t.Fatalf("%d×%d: cut before row %d, the parts do not give what the whole gives", s[0], s[1], cut)
					}
				}
			}
			for cut := 1; cut < all.rows; cut += 1 + cut/8 {
				got := all.clone()
				k.run(from(got, 0, cut), 2)
				k.run(from(got, cut, all.rows), 1)
				compare(got, cut)
			}
			got := all.clone()
			for i := range all.rows {
				k.run(from(got, i, i+1))
			}
			compare(got, -1)
		}
	})
}

// TestNormalizationGradients compares the gradients with the central differences of
// the formulas in float64, of Σ w·y with random weights w.
func TestNormalizationGradients(t *testing.T) {
	const rows, cols, eps = 6, 7, 0.125
	type matrix = []float64
	// normalised is x after the mean and the root of the variance of the n elements
	// from which at(i, j) = i+j·step for each of m vectors of them.
	normalised := func(x matrix, vectors, n, vectorStep, step int) matrix {
		h := make(matrix, len(x))
		for v := range vectors {
			var mean, variance float64
			for e := range n {
				mean += x[v*vectorStep+e*step] / float64(n)
			}
			for e := range n {
				d := x[v*vectorStep+e*step] - mean
				variance += d * d / float64(n)
			}
			for e := range n {
				h[v*vectorStep+e*step] = (x[v*vectorStep+e*step] - mean) / math.Sqrt(variance+eps)
			}
		}
		return h
	}
	batch := func(x, gain, bias matrix) matrix {
		y := normalised(x, cols, rows, 1, cols)
		for e := range y {
			y[e] = y[e]*gain[e%cols] + bias[e%cols]
		}
		return y
	}
	layer := func(x, gain, bias matrix) matrix {
		y := normalised(x, rows, cols, cols, 1)
		for e := range y {
			y[e] = y[e]*gain[e%cols] + bias[e%cols]
		}
		return y
	}
	softmax := func(x, _, _ matrix) matrix {
		y := make(matrix, len(x))
		for i := range rows {
			var sum float64
			for j := range cols {
				sum += math.Exp(x[i*cols+j])
			}
			for j := range cols {
				y[i*cols+j] = math.Exp(x[i*cols+j]) / sum
			}
		}
		return y
	}
	r := rand.New(rand.NewPCG(15, 2))
	normal := kindNamed("normal")
	x, w, gain, bias := normal.values(r, rows*cols), normal.values(r, rows*cols), normal.values(r, cols), normal.values(r, cols)
	wide := func(x []float32) matrix {
		y := make(matrix, len(x))
		for i := range x {
			y[i] = float64(x[i])
		}
		return y
	}
	numeric := func(f func(x, gain, bias matrix) matrix, of int) matrix {
		const step = 0x1p-16
		args := []matrix{wide(x), wide(gain), wide(bias)}
		loss := func() (sum float64) {
			for e, y := range f(args[0], args[1], args[2]) {
				sum += float64(w[e]) * y
			}
			return sum
		}
		d := make(matrix, len(args[of]))
		for e, at := range args[of] {
			args[of][e] = at + step
			above := loss()
			args[of][e] = at - step
			d[e] = (above - loss()) / (2 * step)
			args[of][e] = at
		}
		return d
	}
	eachISA(t, func(t *testing.T) {
		compare := func(what string, got []float32, want matrix) {
			t.Helper()
			for e := range want {
				if off := math.Abs(float64(got[e]) - want[e]); !(off <= 1e-5) {
					t.Errorf("%s: element %d is %g, the central difference %g", what, e, got[e], want[e])
				}
			}
		}
		dx, dgain, dbias := make([]float32, rows*cols), make([]float32, cols), make([]float32, cols)

		mean, inverse := make([]float32, cols), make([]float32, cols)
		Moments(rows, cols, mean, inverse, x, cols)
		InverseRoot(inverse, inverse, eps)
		NormalizeGrad(rows, cols, dx, cols, dgain, dbias, w, cols, x, cols, mean, inverse, gain)
		compare("NormalizeGrad: dx", dx, numeric(batch, 0))
		compare("NormalizeGrad: dgain", dgain, numeric(batch, 1))
		compare("NormalizeGrad: dbias", dbias, numeric(batch, 2))
		y := make([]float32, rows*cols)
		Normalize(rows, cols, y, cols, x, cols, mean, inverse, gain, bias)
		compare("Normalize", y, batch(wide(x), wide(gain), wide(bias)))

		clear(dgain)
		clear(dbias)
		mean, inverse = make([]float32, rows), make([]float32, rows)
		LayerNorm(rows, cols, y, cols, x, cols, gain, bias, mean, inverse, eps)
		compare("LayerNorm", y, layer(wide(x), wide(gain), wide(bias)))
		LayerNormGrad(rows, cols, dx, cols, w, cols, x, cols, mean, inverse, gain)
		LayerNormParams(rows, cols, dgain, dbias, w, cols, x, cols, mean, inverse)
		compare("LayerNormGrad", dx, numeric(layer, 0))
		compare("LayerNormParams: dgain", dgain, numeric(layer, 1))
		compare("LayerNormParams: dbias", dbias, numeric(layer, 2))

		Softmax(rows, cols, y, cols, x, cols)
		SoftmaxGrad(rows, cols, dx, cols, w, cols, y, cols)
		compare("SoftmaxGrad", dx, numeric(softmax, 0))
	})
}

// TestLayerNormSpecials: a row with a NaN or an infinity becomes NaN and leaves the
// others alone; only one of mean and inverse is a mistake.
func TestLayerNormSpecials(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachISA(t, func(t *testing.T) {
		for _, cols := range []int{1, 5, 40} {
			for _, special := range []float32{nan, inf, -inf} {
				x := slices.Repeat([]float32{2}, 3*cols)
				x[cols+cols/2] = special
				gain, bias := slices.Repeat([]float32{3}, cols), slices.Repeat([]float32{7}, cols)
				mean, inverse := make([]float32, 3), make([]float32, 3)
				LayerNorm(3, cols, x, cols, x, cols, gain, bias, mean, inverse, 0.25)
				for e, got := range x {
					want := float32(7)
					if e/cols == 1 {
						want = nan
					}
					if !same(got, want) {
						t.Fatalf("%d columns, row 1 with %g: [%d, %d] = %s, want %s", cols, special, e/cols, e%cols, show(got), show(want))
					}
				}
				for i := range mean {
					if i != 1 && (mean[i] != 2 || inverse[i] != 2) || i == 1 && inverse[i] == inverse[i] {
						t.Fatalf("%d columns, row 1 with %g: mean[%d] = %g, inverse %g", cols, special, i, mean[i], inverse[i])
					}
				}
			}
		}
	})
	x, c, rows := make([]float32, 6), make([]float32, 3), make([]float32, 2)
	wantPanic(t, "no inverse", func() { LayerNorm(2, 3, x, 3, x, 3, c, c, rows, nil, 1) }, "kernels.LayerNorm: ", "len(inverse) = 0", "rows = 2")
	wantPanic(t, "no mean", func() { LayerNorm(2, 3, x, 3, x, 3, c, c, nil, rows, 1) }, "kernels.LayerNorm: ", "len(mean) = 0", "rows = 2")
}

// TestNormalizeGradWithoutRows: sums over nothing are 0.
func TestNormalizeGradWithoutRows(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		c, dgain, dbias := make([]float32, 70), slices.Repeat([]float32{5}, 70), slices.Repeat([]float32{5}, 70)
		NormalizeGrad(0, 70, []float32{}, 70, dgain, dbias, nil, 70, nil, 70, c, c, c)
		for j := range c {
			if dgain[j] != 0 || dbias[j] != 0 {
				t.Fatalf("no rows: dgain[%d] = %g, dbias %g, want 0", j, dgain[j], dbias[j])
			}
		}
	})
}
