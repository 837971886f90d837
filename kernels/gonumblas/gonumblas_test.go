package gonumblas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/lockstep-go/lockstep/internal/f32"
)

var (
	transposes = []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans}
	alphas     = []float32{1, 0, -0.3}
	betas      = []float32{0, 1, 0.7}
)

// nan marks what may not be read.
var nan = float32(math.NaN())

// matrix draws a matrix no larger than it has to be, with NaN between its rows.
func matrix(r *rand.Rand, rows, cols, ld int) []float32 {
	if rows == 0 || cols == 0 {
		return nil
	}
	x := slices.Repeat([]float32{nan}, (rows-1)*ld+cols)
	for i := range rows {
		for j := range cols {
			x[i*ld+j] = float32(r.NormFloat64())
		}
	}
	return x
}

// at gives an element of op(x).
func at(t blas.Transpose, x []float32, ld, i, j int) float32 {
	if t != blas.NoTrans {
		i, j = j, i
	}
	return x[i*ld+j]
}

// chain gives what c becomes: beta·c, and then the products of alpha·a with b one
// by one, rounded once each.
func chain(alpha, beta, c float32, k int, a, b func(p int) float32) float32 {
	switch beta {
	case 0:
		c = 0
	case 1:
	default:
		c = beta * c
	}
	for p := 0; p < k && alpha != 0; p++ {
		c = f32.FMA(float32(alpha*a(p)), b(p), c)
	}
	return c
}

// compare reports the first element of got that has other bits than in want; NaN
// equals NaN.
func compare(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestSgemm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][3]int{
		{1, 1, 1}, {2, 3, 4}, {7, 17, 5}, {13, 1, 9}, {1, 40, 11}, {19, 50, 37}, {65, 9, 3},
		{0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {0, 0, 0},
	} {
		m, n, k := size[0], size[1], size[2]
		for _, tA := range transposes {
			for _, tB := range transposes {
				for _, alpha := range alphas {
					for _, beta := range betas {
						ra, ca, rb, cb := m, k, k, n
						if tA != blas.NoTrans {
							ra, ca = k, m
						}
						if tB != blas.NoTrans {
							rb, cb = n, k
						}
						lda, ldb, ldc := max(1, ca)+r.IntN(3), max(1, cb)+r.IntN(3), max(1, n)+r.IntN(3)
						what := fmt.Sprintf("%c%c %d×%d×%d, alpha %v, lda %d, ldb %d, beta %v, ldc %d", tA, tB, m, n, k, alpha, lda, ldb, beta, ldc)

						a, b, c := matrix(r, ra, ca, lda), matrix(r, rb, cb, ldb), matrix(r, m, n, ldc)
						if m*n == 0 { // no slice is looked at
							a, b, c = nil, nil, nil
						} else if k == 0 { // gonum wants room for the starts of empty rows
							a, b = make([]float32, m*lda), make([]float32, n*ldb)
						}
						if alpha == 0 {
							a, b = slices.Repeat([]float32{nan}, len(a)), slices.Repeat([]float32{nan}, len(b))
						}
						if beta == 0 {
							c = slices.Repeat([]float32{nan}, len(c))
						}
						want := slices.Clone(c)
						for i := range m {
							for j := range n {
								want[i*ldc+j] = chain(alpha, beta, c[i*ldc+j], k,
									func(p int) float32 { return at(tA, a, lda, i, p) },
									func(p int) float32 { return at(tB, b, ldb, p, j) })
							}
						}
						Implementation{}.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
						compare(t, what, c, want)
					}
				}
			}
		}
	}
}

// TestSgemv: a chain for each element where the product is a row times a matrix,
// gonum's own bits elsewhere.
func TestSgemv(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, size := range [][2]int{{1, 1}, {5, 3}, {3, 40}, {90, 9}, {70, 33}, {0, 3}, {3, 0}} {
		m, n := size[0], size[1]
		for _, tA := range transposes {
			for _, alpha := range alphas {
				for _, beta := range betas {
					for _, inc := range [][2]int{{1, 1}, {3, 1}, {-1, 1}, {1, 2}, {2, -1}} {
						incX, incY := inc[0], inc[1]
						lda := max(1, n) + r.IntN(3)
						what := fmt.Sprintf("%c %d×%d, alpha %v, lda %d, incX %d, beta %v, incY %d", tA, m, n, alpha, lda, incX, beta, incY)

						lenX, lenY := m, n
						if tA == blas.NoTrans {
							lenX, lenY = n, m
						}
						a := matrix(r, m, n, lda)
						x, y := matrix(r, lenX, 1, max(incX, -incX)), matrix(r, lenY, 1, max(incY, -incY))
						row := tA != blas.NoTrans && incX > 0 && incY == 1
						if row && beta == 0 {
							y = slices.Repeat([]float32{nan}, len(y))
						}
						want := slices.Clone(y)
						switch {
						case !row:
							gonum.Implementation{}.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, want, incY)
						case m > 0: // otherwise BLAS leaves y as it is, whatever beta
							for j := range want {
								want[j] = chain(alpha, beta, y[j], m,
									func(p int) float32 { return x[p*incX] },
									func(p int) float32 { return a[p*lda+j] })
							}
						}
						Implementation{}.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, y, incY)
						compare(t, what, y, want)
					}
				}
			}
		}
	}
}

// panics returns what f panics with, or nil.
func panics(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// TestMisuse: what gonum refuses is refused with its words.
func TestMisuse(t *testing.T) {
	const no, tr = blas.NoTrans, blas.Trans
	s := func(n int) []float32 { return make([]float32, n) }
	for _, c := range []struct {
		name string
		call func(blas.Float32)
	}{
		{"Sgemm: transpose of A", func(f blas.Float32) { f.Sgemm('x', no, 2, 3, 4, 1, s(8), 4, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: transpose of B", func(f blas.Float32) { f.Sgemm(no, 0, 2, 3, 4, 1, s(8), 4, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: m", func(f blas.Float32) { f.Sgemm(no, no, -1, 3, 4, 1, s(8), 4, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: n", func(f blas.Float32) { f.Sgemm(no, no, 2, -1, 4, 1, s(8), 4, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: k", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, -1, 1, s(8), 4, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: k, m = 0", func(f blas.Float32) { f.Sgemm(no, no, 0, 3, -1, 1, s(8), 4, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: lda", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, 4, 1, s(8), 3, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: lda, transposed", func(f blas.Float32) { f.Sgemm(tr, no, 2, 3, 4, 1, s(8), 1, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: lda = 0, k = 0", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, 0, 1, nil, 0, nil, 3, 0, s(6), 3) }},
		{"Sgemm: ldb", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, 4, 1, s(8), 4, s(12), 2, 0, s(6), 3) }},
		{"Sgemm: ldb, transposed", func(f blas.Float32) { f.Sgemm(no, tr, 2, 3, 4, 1, s(8), 4, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: ldc", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, 4, 1, s(8), 4, s(12), 3, 0, s(6), 2) }},
		{"Sgemm: ldc, n = 0", func(f blas.Float32) { f.Sgemm(no, no, 2, 0, 4, 1, s(8), 4, nil, 1, 0, nil, 0) }},
		{"Sgemm: length of A", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, 4, 1, s(7), 4, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: length of A, transposed", func(f blas.Float32) { f.Sgemm(tr, no, 2, 3, 4, 1, s(10), 3, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: length of A, alpha = 0", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, 4, 0, s(7), 4, s(12), 3, 0, s(6), 3) }},
		{"Sgemm: length of A, k = 0", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, 0, 1, nil, 4, nil, 3, 0, s(6), 3) }},
		{"Sgemm: length of B", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, 4, 1, s(8), 4, s(11), 3, 0, s(6), 3) }},
		{"Sgemm: length of B, transposed", func(f blas.Float32) { f.Sgemm(no, tr, 2, 3, 4, 1, s(8), 4, s(13), 5, 0, s(6), 3) }},
		{"Sgemm: length of C", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, 4, 1, s(8), 4, s(12), 3, 0, s(5), 3) }},
		{"Sgemm: two mistakes", func(f blas.Float32) { f.Sgemm(no, no, 2, 3, 4, 1, nil, 4, s(12), 3, 0, s(6), 2) }},

		{"Sgemv: transpose", func(f blas.Float32) { f.Sgemv('x', 2, 3, 1, s(6), 3, s(2), 1, 0, s(3), 1) }},
		{"Sgemv: m", func(f blas.Float32) { f.Sgemv(tr, -1, 3, 1, s(6), 3, s(2), 1, 0, s(3), 1) }},
		{"Sgemv: n", func(f blas.Float32) { f.Sgemv(tr, 2, -1, 1, s(6), 3, s(2), 1, 0, s(3), 1) }},
		{"Sgemv: lda", func(f blas.Float32) { f.Sgemv(tr, 2, 3, 1, s(6), 2, s(2), 1, 0, s(3), 1) }},
		{"Sgemv: incX", func(f blas.Float32) { f.Sgemv(tr, 2, 3, 1, s(6), 3, s(2), 0, 0, s(3), 1) }},
		{"Sgemv: incY", func(f blas.Float32) { f.Sgemv(tr, 2, 3, 1, s(6), 3, s(2), 1, 0, s(3), 0) }},
		{"Sgemv: length of x", func(f blas.Float32) { f.Sgemv(tr, 2, 3, 1, s(6), 3, s(1), 1, 0, s(3), 1) }},
		{"Sgemv: length of x, incX = 3", func(f blas.Float32) { f.Sgemv(tr, 2, 3, 1, s(6), 3, s(3), 3, 0, s(3), 1) }},
		{"Sgemv: length of y", func(f blas.Float32) { f.Sgemv(tr, 2, 3, 1, s(6), 3, s(2), 1, 0, s(2), 1) }},
		{"Sgemv: length of A", func(f blas.Float32) { f.Sgemv(tr, 2, 3, 1, s(5), 3, s(2), 1, 0, s(3), 1) }},
		{"Sgemv: length of A, not transposed", func(f blas.Float32) { f.Sgemv(no, 2, 3, 1, s(5), 3, s(3), 1, 0, s(2), 1) }},
	} {
		want := panics(func() { c.call(gonum.Implementation{}) })
		if want == nil {
			t.Errorf("%s: gonum does not panic", c.name)
		}
		if got := panics(func() { c.call(Implementation{}) }); got != want {
			t.Errorf("%s: panic %v, want gonum's %v", c.name, got, want)
		}
	}
}

// TestRefused: what gonum lets pass and package kernels does not.
func TestRefused(t *testing.T) {
	x := make([]float32, 64)
	for _, c := range []struct {
		name, want string
		call       func(Implementation)
	}{
		{"Sgemm: C in A", "share elements", func(f Implementation) {
			f.Sgemm(blas.NoTrans, blas.NoTrans, 2, 2, 2, 1, x[:4], 2, x[16:20], 2, 0, x[3:7], 2)
		}},
		{"Sgemm: C in B", "share elements", func(f Implementation) {
			f.Sgemm(blas.NoTrans, blas.NoTrans, 2, 2, 2, 1, x[:4], 2, x[16:20], 2, 0, x[16:20], 2)
		}},
		{"Sgemv: y in x", "share elements", func(f Implementation) {
			f.Sgemv(blas.Trans, 2, 2, 1, x[:4], 2, x[16:18], 1, 0, x[17:19], 1)
		}},
		{"Sgemm: (m-1)·lda wraps", "len(a) = 64", func(f Implementation) {
			f.Sgemm(blas.NoTrans, blas.NoTrans, math.MaxInt/2+1, 1, 1, 1, x, 4, x, 1, 0, x, 4)
		}},
	} {
		got := panics(func() { c.call(Implementation{}) })
		if s, ok := got.(string); !ok || !strings.HasPrefix(s, "kernels.Gemm: ") || !strings.Contains(s, c.want) {
			t.Errorf("%s: panic %v, want one of kernels.Gemm with %q", c.name, got, c.want)
		}
	}
}

func BenchmarkSgemm(b *testing.B) {
	for _, n := range []int{128, 256, 512} {
		x, y, z := filled(n*n), filled(n*n), filled(n*n)
		both(b, fmt.Sprint(n), 2*n*n*n, func(f blas.Float32) {
			f.Sgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, x, n, y, n, 0, z, n)
		})
	}
}

func BenchmarkSgemvTrans(b *testing.B) {
	for _, s := range [][2]int{{10, 10}, {32, 32}, {100, 100}, {784, 100}, {512, 784}} {
		m, n := s[0], s[1]
		a, x, y := filled(m*n), filled(m), filled(n)
		both(b, fmt.Sprintf("%dx%d", m, n), 2*m*n, func(f blas.Float32) {
			f.Sgemv(blas.Trans, m, n, 1, a, n, x, 1, 0, y, 1)
		})
	}
}

// both times a call of so many floating-point operations here and in gonum.
func both(b *testing.B, name string, flop int, call func(blas.Float32)) {
	for _, impl := range []blas.Float32{Implementation{}, gonum.Implementation{}} {
		b.Run(fmt.Sprintf("%s/%T", name, impl), func(b *testing.B) {
			for b.Loop() {
				call(impl)
			}
			b.ReportMetric(float64(flop)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
		})
	}
}

func filled(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	return x
}
