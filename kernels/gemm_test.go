package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// product is a call of GemmFused.
type product struct{ gemm }

// call runs a product through the public function, C in c.
func (g *product) call(c []float32, limit ...Threads) {
	GemmFused(g.tA, g.tB, g.m, g.n, g.k, g.alpha, g.a, g.lda, g.b, g.ldb, g.beta, c, g.ldc, g.ep, limit...)
}

// String tells products apart.
func (g *product) String() string {
	return fmt.Sprintf("tA %v, tB %v, %d×%d×%d, alpha %v, lda %d, ldb %d, beta %v, ldc %d, bias %v, act %v, derivative %v, ldy %d",
		g.tA, g.tB, g.m, g.n, g.k, g.alpha, g.lda, g.ldb, g.beta, g.ldc, g.ep.Bias != nil, g.ep.Act, g.ep.Deriv, g.ep.LdY)
}

// storedA and storedB are the sizes of the matrices before the transpose.
func (g *product) storedA() (rows, cols int) {
	if g.tA {
		return g.k, g.m
	}
	return g.m, g.k
}

func (g *product) storedB() (rows, cols int) {
	if g.tB {
		return g.n, g.k
	}
	return g.k, g.n
}

// stored draws a matrix, no larger than it has to be, with poison between its
// rows, and at times behind the last. With read false, all of it is poison.
func stored(r *rand.Rand, kind kind, rows, cols, ld int, read bool) []float32 {
	x := poisoned(rows, cols, ld)
	if r.IntN(2) == 0 {
		x = slices.Concat(x, slices.Repeat([]float32{poison}, ld+margin))[:len(x):len(x)]
	}
	if read && cols > 0 {
		for i := range rows {
			copy(x[i*ld:], kind.values(r, cols))
		}
	}
	return x
}

// operands draws what a product of g's sizes, strides and scalars reads.
func (g *product) operands(r *rand.Rand, kind kind) {
	read := g.k > 0 && g.alpha != 0
	rows, cols := g.storedA()
	g.a = stored(r, kind, rows, cols, g.lda, read)
	rows, cols = g.storedB()
	g.b = stored(r, kind, rows, cols, g.ldb, read)
	g.c = stored(r, kind, g.m, g.n, g.ldc, g.beta != 0)
	if g.ep.Bias != nil {
		g.ep.Bias = kind.values(r, g.n)
	}
	if g.ep.Deriv != Identity {
		g.ep.Y = stored(r, kind, g.m, g.n, g.ep.LdY, true)
	}
}

// newProduct draws everything about a product but its sizes.
func newProduct(r *rand.Rand, kind kind, tA, tB Transpose, m, n, k int) *product {
	g := &product{gemm{tA: tA, tB: tB, m: m, n: n, k: k, alpha: pick[float32](r, 1, 1, 0, -1, 0.3), beta: pick[float32](r, 0, 0, 1, 0.7)}}
	more := func() int { return pick(r, 0, 0, 1, 3) }
	_, ca := g.storedA()
	_, cb := g.storedB()
	g.lda, g.ldb, g.ldc, g.ep.LdY = max(1, ca)+more(), max(1, cb)+more(), max(1, n)+more(), max(1, n)+more()
	if g.beta == 0 && r.IntN(2) == 0 {
		g.ep.Bias = []float32{}
	}
	if r.IntN(2) == 0 {
		g.ep.Deriv = pickActivation(r)
	} else {
		g.ep.Act = pickActivation(r)
	}
	g.operands(r, kind)
	return g
}

// portable gives what C has to be.
func (g *product) portable(t *testing.T) []float32 {
	t.Helper()
	c := slices.Clone(g.c)
	onPortable(t, func() { g.call(c, 1) })
	return c
}

// compare runs a product and compares C with what it has to be, and all else with
// what it was.
func (g *product) compare(t *testing.T, what string, want []float32, off int, limit ...Threads) {
	t.Helper()
	c, spilled := place(g.c, off)
	a, b := slices.Clone(g.a), slices.Clone(g.b)
	g.call(c, limit...)
	if at, ok := spilled(); ok {
		t.Fatalf("%s: %v, threads %d: C[%d] was written, of %d", what, g, limit, at, len(c))
	}
	for i, got := range c {
		if row, col := i/g.ldc, i%g.ldc; col >= g.n && math.Float32bits(got) != math.Float32bits(poison) {
			t.Fatalf("%s: %v, threads %d: what lies between the rows of C was written, %d behind row %d", what, g, limit, col-g.n, row)
		} else if !same(got, want[i]) {
			t.Fatalf("%s: %v, threads %d: C[%d, %d] = %s, want %s", what, g, limit, row, col, show(got), show(want[i]))
		}
	}
	unchanged(t, fmt.Sprintf("%s: %v", what, g), "A", g.a, a)
	unchanged(t, fmt.Sprintf("%s: %v", what, g), "B", g.b, b)
}

// tallest is the greatest height of a tile under the instruction set in use.
func tallest() int {
	heights := asm.GemmShapeOf(cpu.Active()).Heights
	return max(1, slices.Max(heights[:]))
}

// transposes are all pairs.
var transposes = [][2]Transpose{{NoTrans, NoTrans}, {NoTrans, Trans}, {Trans, NoTrans}, {Trans, Trans}}

// compareAll compares with the portable loop: with all transposes, two kinds of
// numbers, and the smallest strides or those given.
func compareAll(t *testing.T, r *rand.Rand, m, n, k int, ld ...int) {
	t.Helper()
	for _, tr := range transposes {
		for _, name := range []string{"normal", "few bits"} {
			g := newProduct(r, kindNamed(name), tr[0], tr[1], m, n, k)
			if len(ld) > 0 {
				g.lda, g.ldb = ld[0], ld[1]
				g.operands(r, kindNamed(name))
			}
			g.compare(t, name, g.portable(t), r.IntN(16), 1)
		}
	}
}

// compareStarts compares, with all transposes and from all kinds of start values,
// what needs no product with alpha: the ways for single rows and for few columns
// do without.
func compareStarts(t *testing.T, r *rand.Rand, m, n, k int, ld ...int) {
	t.Helper()
	normal := kindNamed("normal")
	for _, tr := range transposes {
		for start, beta := range []float32{0, 1, 0.7, 0} {
			g := newProduct(r, normal, tr[0], tr[1], m, n, k)
			g.alpha, g.beta, g.ep.Bias = 1, beta, nil
			if start == 3 {
				g.ep.Bias = []float32{}
			}
			if len(ld) > 0 {
				g.lda, g.ldb = ld[0], ld[1]
			}
			g.operands(r, normal)
			g.compare(t, "normal", g.portable(t), r.IntN(16), 1)
		}
	}
}

// TestGemmBits compares all small sizes, which are those of every tile and its
// edges.
func TestGemmBits(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 1))
		each := 1 // of so many
		if testing.Short() || ISA() == "portable" {
			each = 16
		}
		for m := range 2*tallest() + 2 {
			for n := range 51 {
				for k := range 10 {
					for _, tr := range transposes {
						if r.IntN(each) == 0 {
							kind := kinds()[r.IntN(len(kinds()))]
							g := newProduct(r, kind, tr[0], tr[1], m, n, k)
							g.compare(t, kind.name, g.portable(t), r.IntN(16), 1)
						}
					}
				}
			}
		}
		// Each tile, each with one lane less, and each with ReLU of NaN and zeros of
		// both signs.
		anyBits := kindNamed("any bits")
		lanes := max(1, asm.GemmShapeOf(cpu.Active()).Lanes)
		for m := 1; m <= tallest(); m++ {
			for vecs := 1; vecs <= 3; vecs++ {
				compareStarts(t, r, m, vecs*lanes, 3)
				compareStarts(t, r, m, vecs*lanes-1, 3)
				for range 8 {
					g := newProduct(r, anyBits, NoTrans, NoTrans, m, vecs*lanes, 3)
					g.alpha, g.ep.Act, g.ep.Deriv = 1, ActReLU, Identity
					g.operands(r, anyBits)
					g.compare(t, anyBits.name, g.portable(t), r.IntN(16), 1)
				}
			}
		}
	})
}

// TestGemmBlocks compares sizes around those of the blocks and around those
// where another way is taken: packing, a single row, the transposed product.
func TestGemmBlocks(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 2))
		short := testing.Short() || ISA() == "portable"
		ms, ns := []int{1, 7, 33}, []int{1, 17, 40}
		ks := []int{gemmKCDirect - 1, gemmKCDirect, gemmKCDirect + 1, 2*gemmKCDirect + 1, gemmKC - 1, gemmKC, gemmKC + 1, 2*gemmKC + 1}
		if short {
			ms, ns, ks = []int{2, 9}, []int{17}, []int{gemmKCDirect + 1, gemmKC + 1}
		}
		for _, m := range ms {
			for _, n := range ns {
				for _, k := range ks {
					compareAll(t, r, m, n, k)
				}
			}
		}
		for _, m := range []int{1, 32, 33, gemmMC - 1, gemmMC, gemmMC + 1, 2*gemmMC + 1, 4*gemmMC + 3} {
			compareAll(t, r, m, 5, 3)
			compareAll(t, r, m, 70, 3, 2304, 256)
		}
		// Several blocks of columns, and of rows that use the same packed panels, and of k.
		over := []int{gemmNC - 1, gemmNC, gemmNC + 1, gemmNC + 47, gemmNC + 49, 2*gemmNC + 70}
		if short {
			over = []int{gemmNC + 49}
		}
		for _, n := range over {
			compareAll(t, r, 2, n, 3)
			compareAll(t, r, gemmMC+2, n, 3)
		}
		compareAll(t, r, gemmMC+1, 9, gemmKCTogether+1)
		if !short {
			compareAll(t, r, 2*gemmMC+1, gemmNC+60, 5, 2304, 2304)
			compareAll(t, r, gemmMC+1, 9, gemmKC+1)
			compareAll(t, r, gemmMC+1, gemmNC+50, gemmKC+1)
		}
		// Several blocks of rows and panels that are not packed but for the last.
		compareAll(t, r, gemmMC+2, 70, 3, 304, 72)
		// Few tiles, the low ones of which copy the rest of the next panel, or are too few for it.
		for m := 12; m < 28; m++ {
			for _, n := range []int{32, 64, 150} {
				if !short || m < 14 || m == 18 || m == 22 {
					compareAll(t, r, m, n, 40, 65, 150)
					compareAll(t, r, m, n, 64, 65, 151)
				}
			}
		}
		for _, n := range []int{63, 64, 65, 500} {
			compareAll(t, r, 3, n, 4)
			compareAll(t, r, 3, n, 4, 1024, 4096)
			compareAll(t, r, 34, n, 3, 1025, 1280)
			compareAll(t, r, 35, n, 33, 767+n%2, 600)
		}
		for _, m := range []int{4, 5, 8, 9, 13} {
			for _, k := range []int{127, 128, 129} {
				if !short || k == 129 {
					compareAll(t, r, m, 64, k)
				}
			}
		}
		tall, wide := []int{479, 480, 481, 484, 488, 489, 496, 961}, []int{2047, 2048, 2049, 4100}
		for m := 15; m < 70; m++ {
			if !short || m%8 == 0 {
				tall = append(tall, m)
			}
		}
		// The narrow tiles, of all heights.
		for _, m := range []int{8, 24, 32, 33, 34, 35, 36, 37, 39, 104} {
			for _, n := range []int{9, 10, 11, 12, 17, 26, 35, 44} {
				if !short || n < 13 {
					compareStarts(t, r, m, n, 16+r.IntN(20))
				}
			}
		}
		for _, m := range tall {
			for n := 1; n < 18; n++ {
				if !short || n%5 == 1 {
					compareStarts(t, r, m, n, r.IntN(6))
					if !short || m == 32 || m == 481 {
						compareStarts(t, r, m, n, max(48, 12*n)+r.IntN(6)) // transposed
					}
				}
			}
		}
		for _, n := range wide {
			for k := range 18 {
				if !short || k%6 == 5 {
					compareStarts(t, r, 1, n, k)
				}
			}
		}
		if !short {
			compareAll(t, r, gemmMC+5, 83, 130)
			compareAll(t, r, 35, 219, gemmKC+3)
		}
	})
}

// TestGemmRow ends single rows in all ways, after all numbers of steps of k that are
// done at a time, several of them, and several calls.
func TestGemmRow(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 13))
		normal := kindNamed("normal")
		for _, k := range []int{1, 2, 4, 8, 12, 24, gemmCallRow/16 + 3} {
			for _, ep := range []Epilogue{{}, {Act: ActReLU}, {Deriv: ActReLU}} {
				for i := range 6 {
					g := newProduct(r, normal, NoTrans, i%2 == 1, 1, 41, k)
					g.ep.Act, g.ep.Deriv = ep.Act, ep.Deriv
					g.operands(r, normal)
					g.compare(t, "normal", g.portable(t), r.IntN(16), 1)
				}
			}
		}
	})
}

// TestGemmTransposed cuts operands that are packed as they are transposed into all numbers
// of pieces: for a row or a column those that are far apart, and for two rows.
func TestGemmTransposed(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 14))
		const apart = 512
		for _, n := range []int{transNC - 1, transNC, transNC + 1, 2*transNC + 3} {
			for _, k := range []int{transKC - 1, transKC, transKC + 1, 2*transKC + 9} {
				if testing.Short() && n != transNC+1 && k != transKC+1 {
					continue
				}
				compareStarts(t, r, 1, n, k, apart, apart)
				compareStarts(t, r, n, 1, k, apart, apart)
				compareStarts(t, r, 2, n, k)
			}
		}
	})
}

// TestGemmSizes compares sizes of all magnitudes.
func TestGemmSizes(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 12))
		most, tries := 100_000, 300
		if testing.Short() || ISA() == "portable" {
			most, tries = 10_000, 50
		}
		size := func() int { return int(math.Exp2(11 * r.Float64())) }
		for range tries {
			m, n, k := size(), size(), size()
			for m*n*k > most {
				m, n, k = size(), size(), size()
			}
			compareAll(t, r, m, n, k)
		}
	})
}

// TestGemmThreads cuts products that are large enough for it.
func TestGemmThreads(t *testing.T) {
	sizes := [][3]int{{101, 67, 103}, {1003, 20, 31}, {9, 2003, 41}, {1, 9001, 60}, {5000, 1, 60}, {70, 70, 0}}
	limits := []Threads{0, 1, 2, 3, 8}
	if testing.Short() {
		sizes, limits = [][3]int{{263, 20, 52}, {5, 1003, 54}}, []Threads{3}
	}
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 3))
		for _, s := range sizes {
			for _, tr := range transposes {
				g := newProduct(r, kindNamed("normal"), tr[0], tr[1], s[0], s[1], s[2])
				drawn := g.ep
				for _, ep := range []Epilogue{drawn, {Deriv: ActReLU, LdY: drawn.LdY}} { // whose Y is cut as C is
					g.ep = ep
					g.operands(r, kindNamed("normal"))
					want := g.portable(t)
					for _, limit := range limits {
						g.compare(t, "normal", want, r.IntN(16), limit)
					}
				}
			}
		}
	})
}

// at is element [i, j] of a matrix that may be transposed.
func at(x []float32, ld int, t Transpose, i, j int) float64 {
	if t {
		i, j = j, i
	}
	return float64(x[i*ld+j])
}

// TestGemmValues compares with sums in float64. Each step of a chain and each of
// the two products with alpha and beta may be wrong by 2^-24 of the sum of the
// magnitudes.
func TestGemmValues(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 4))
		tries := 400
		if testing.Short() {
			tries = 40
		}
		var worst float64
		for range tries {
			m, n, k := 1+r.IntN(50), 1+r.IntN(40), 1+r.IntN(100)
			g := newProduct(r, kindNamed("normal"), Transpose(r.IntN(2) == 0), Transpose(r.IntN(2) == 0), m, n, k)
			if g.alpha == 0 {
				g.alpha = 2
				g.operands(r, kindNamed("normal"))
			}
			g.ep.Act, g.ep.Deriv = Identity, Identity
			c := slices.Clone(g.c)
			g.call(c)
			steps := float64(k)
			for _, scalar := range []float32{g.alpha, g.beta} {
				if scalar != 0 && scalar != 1 {
					steps++
				}
			}
			for i := range m {
				for j := range n {
					var want float64
					switch {
					case g.ep.Bias != nil:
						want = float64(g.ep.Bias[j])
					case g.beta != 0:
						want = float64(g.beta) * float64(g.c[i*g.ldc+j])
					}
					size := math.Abs(want)
					for p := range k {
						x := float64(g.alpha) * at(g.a, g.lda, g.tA, i, p) * at(g.b, g.ldb, g.tB, p, j)
						want += x
						size += math.Abs(x)
					}
					bound := steps * 0x1p-24 * size
					off := math.Abs(float64(c[i*g.ldc+j]) - want)
					worst = max(worst, off/bound)
					if !(off <= bound) {
						t.Fatalf("%v: C[%d, %d] = %g, want %g, off by %g, at most %g is allowed", g, i, j, c[i*g.ldc+j], want, off, bound)
					}
				}
			}
		}
		t.Logf("at worst %.3f of the bound", worst)
	})
}

// TestGemmIdentity multiplies by the identity, which gives the factor exactly.
func TestGemmIdentity(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 5))
		for n := 1; n < 60; n++ {
			unit, x, c := make([]float32, n*n), kindNamed("normal").values(r, n*n), make([]float32, n*n)
			for i := range n {
				unit[i*n+i] = 1
			}
			for _, tr := range transposes {
				for name, call := range map[string]func(){
					"A·I": func() { Gemm(NoTrans, tr[1], n, n, n, 1, x, n, unit, n, 0, c, n) },
					"I·B": func() { Gemm(tr[0], NoTrans, n, n, n, 1, unit, n, x, n, 0, c, n) },
				} {
					call()
					if !slices.Equal(c, x) {
						t.Fatalf("%s is not the factor for %d×%[2]d, transposed %v", name, n, tr)
					}
				}
			}
		}
	})
}

// TestGemmPrefix computes fewer rows, or fewer columns, of the same product.
func TestGemmPrefix(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, tr := range transposes {
			for _, size := range [][3]int{{40, 1, 9}, {40, 7, 30}, {40, 29, 30}, {20, 53, 11}} {
				g := newProduct(r, kindNamed("normal"), tr[0], tr[1], size[0], size[1], size[2])
				all := slices.Clone(g.c)
				g.call(all)
				for m := range g.m {
					part := *g
					part.m = m
					part.checkPrefix(t, all)
				}
				for n := range g.n {
					part := *g
					part.n = n
					if part.ep.Bias != nil {
						part.ep.Bias = part.ep.Bias[:n]
					}
					part.checkPrefix(t, all)
				}
			}
		}
	})
}

// checkPrefix runs a product that is the upper or left part of another, which
// gave all.
func (g *product) checkPrefix(t *testing.T, all []float32) {
	t.Helper()
	c := slices.Clone(g.c)
	g.call(c)
	for i := range g.m {
		for j := range g.n {
			if got, want := c[i*g.ldc+j], all[i*g.ldc+j]; !same(got, want) {
				t.Fatalf("%v: C[%d, %d] = %s, in a larger product %s", g, i, j, show(got), show(want))
			}
		}
	}
}

// TestGemmEpilogue does by separate calls what the epilogue does.
func TestGemmEpilogue(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 7))
		for range 300 {
			g := newProduct(r, kindNamed("mixed"), Transpose(r.IntN(2) == 0), Transpose(r.IntN(2) == 0), 1+r.IntN(15), 1+r.IntN(40), r.IntN(12))
			got, want := slices.Clone(g.c), slices.Clone(g.c)
			g.call(got)
			beta := g.beta
			if g.ep.Bias != nil {
				beta = 1
				for i := range g.m {
					copy(want[i*g.ldc:], g.ep.Bias)
				}
			}
			Gemm(g.tA, g.tB, g.m, g.n, g.k, g.alpha, g.a, g.lda, g.b, g.ldb, beta, want, g.ldc)
			for i := range g.m {
				row := want[i*g.ldc:][:g.n]
				Activate(g.ep.Act, row, row)
				if g.ep.Deriv != Identity {
					Derive(g.ep.Deriv, row, row, g.ep.Y[i*g.ep.LdY:][:g.n])
				}
				for j := range row {
					if !same(got[i*g.ldc+j], row[j]) {
						t.Fatalf("%v: C[%d, %d] = %s, in steps %s", g, i, j, show(got[i*g.ldc+j]), show(row[j]))
					}
				}
			}
		}
	})
}

// TestGemmActivations does the same for every activation and derivative, in products
// that go each of the ways: a single row, tiles, the transposed product, and rows longer
// than a block.
func TestGemmActivations(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 13))
		normal := kindNamed("normal")
		sizes := [][3]int{{1, 37, 5}, {9, 43, 20}, {40, 9, 20}, {66, 3, 50}, {1, block + 9, 1}, {2, block + 9, 1}}
		if testing.Short() {
			sizes = sizes[:5]
		}
		for _, size := range sizes {
			m, n, k := size[0], size[1], size[2]
			for i, act := range activations {
				for _, derive := range []bool{false, true} {
					// Rows apart, together, and of C alone.
					g := &product{gemm{m: m, n: n, k: k, alpha: 1, lda: k, ldb: n, ldc: n + []int{1, 0, 0}[i%3]}}
					if g.ep.Act = act; derive {
						g.ep = Epilogue{Deriv: act, LdY: n + []int{2, 0, 2}[i%3]}
					}
					g.operands(r, normal)
					want := slices.Clone(g.c)
					Gemm(g.tA, g.tB, m, n, k, 1, g.a, g.lda, g.b, g.ldb, 0, want, g.ldc)
					for i := range m {
						row := want[i*g.ldc:][:n]
						Activate(g.ep.Act, row, row)
						if g.ep.Deriv != Identity {
							Derive(act, row, row, g.ep.Y[i*g.ep.LdY:][:n])
						}
					}
					g.compare(t, "normal", want, r.IntN(16), 1)
				}
			}
		}
	})
}

// TestGemmOverlap lays C over another operand in one array, anywhere, and counts
// the elements that they share.
func TestGemmOverlap(t *testing.T) {
	type place struct{ from, rows, cols, ld int }
	elements := func(p place) map[int]bool {
		all := map[int]bool{}
		for i := range p.rows {
			for j := range p.cols {
				all[p.from+i*p.ld+j] = true
			}
		}
		return all
	}
	r := rand.New(rand.NewPCG(5, 8))
	var outcomes [4][2]int
	for range 20000 {
		m, n, k := 1+r.IntN(4), 1+r.IntN(4), 1+r.IntN(4)
		g := &product{gemm{tA: Transpose(r.IntN(2) == 0), tB: Transpose(r.IntN(2) == 0), m: m, n: n, k: k, alpha: 1, ldc: n + r.IntN(8)}}
		other := r.IntN(len(outcomes))
		p := place{rows: 1, cols: n, from: r.IntN(40)}
		switch other {
		case 0:
			p.rows, p.cols = g.storedA()
		case 1:
			p.rows, p.cols = g.storedB()
		case 2:
			p.rows = m
		}
		p.ld = p.cols + r.IntN(8)
		if r.IntN(2) == 0 { // equal strides, where rows can go between rows
			g.ldc = max(g.ldc, p.cols)
			p.ld = g.ldc
		}
		c := place{r.IntN(40), m, n, g.ldc}
		_, ca := g.storedA()
		_, cb := g.storedB()
		g.lda, g.ldb = ca, cb
		g.operands(r, kindNamed("normal"))
		array := kindNamed("normal").values(r, 100)
		of := func(p place) []float32 { return array[p.from:][:(p.rows-1)*p.ld+p.cols] }
		g.c = of(c)
		name := [...]string{"a", "b", "ep.Y", "ep.Bias"}[other]
		switch other {
		case 0:
			g.a, g.lda = of(p), p.ld
		case 1:
			g.b, g.ldb = of(p), p.ld
		case 2:
			g.ep.Deriv, g.ep.Y, g.ep.LdY = ActTanh, of(p), p.ld
		case 3:
			g.ep.Bias = of(p)
		}
		shared := 0
		theirs := elements(p)
		for e := range elements(c) {
			if theirs[e] {
				shared = 1
			}
		}
		outcomes[other][shared]++
		what := fmt.Sprintf("%v: C %+v, %s %+v", g, c, name, p)
		before := slices.Clone(array)
		if shared == 1 {
			wantPanic(t, what, func() { g.call(g.c) }, "kernels.GemmFused: ",
				fmt.Sprintf("c (%d×%d, stride %d)", m, n, g.ldc), fmt.Sprintf("%s (%d×%d, stride", name, p.rows, p.cols), "share")
			unchanged(t, what, "the array", array, before)
			continue
		}
		apart := *g
		apart.a, apart.b, apart.ep.Bias, apart.ep.Y = slices.Clone(g.a), slices.Clone(g.b), slices.Clone(g.ep.Bias), slices.Clone(g.ep.Y)
		want := slices.Clone(g.c)
		apart.call(want)
		g.call(g.c)
		for e := range elements(c) {
			if !same(array[e], want[e-c.from]) {
				t.Fatalf("%s: C[%d] = %s, apart %s", what, e-c.from, show(array[e]), show(want[e-c.from]))
			}
			before[e] = array[e]
		}
		unchanged(t, what, "the array around C", array, before)
	}
	for i, o := range outcomes {
		if o[0] < 100 || o[1] < 100 {
			t.Errorf("operand %d: %d cases apart, %d overlapping, want at least 100 of each", i, o[0], o[1])
		}
	}
}

// TestGemmSharedFactors multiplies a matrix by itself: A and B may overlap.
func TestGemmSharedFactors(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 9))
		const n = 19
		x := kindNamed("normal").values(r, n*n)
		for _, tr := range transposes {
			got, want := make([]float32, n*n), make([]float32, n*n)
			Gemm(tr[0], tr[1], n, n, n, 1, x, n, x, n, 0, got, n)
			Gemm(tr[0], tr[1], n, n, n, 1, x, n, slices.Clone(x), n, 0, want, n)
			unchanged(t, fmt.Sprint(tr), "C", got, want)
		}
	})
}

// TestGemmPanics makes one mistake at a time.
func TestGemmPanics(t *testing.T) {
	const huge = math.MaxInt
	for _, c := range []struct {
		what  string
		spoil func(g *product)
		parts []string
	}{
		{"m", func(g *product) { g.m = -1 }, []string{"m = -1"}},
		{"n", func(g *product) { g.n = -2 }, []string{"n = -2"}},
		{"k", func(g *product) { g.k = -3 }, []string{"k = -3"}},
		{"least m", func(g *product) { g.m = math.MinInt }, []string{fmt.Sprint("m = ", math.MinInt)}},
		{"lda", func(g *product) { g.lda = 4 }, []string{"lda = 4", "5"}},
		{"ldb", func(g *product) { g.ldb = 3 }, []string{"ldb = 3", "4"}},
		{"ldc", func(g *product) { g.ldc = 3 }, []string{"ldc = 3", "4"}},
		{"negative lda", func(g *product) { g.lda = -5 }, []string{"lda = -5", "5"}},
		{"lda of an empty matrix", func(g *product) { g.k, g.lda = 0, 0 }, []string{"lda = 0", "1"}},
		{"ldc of an empty matrix", func(g *product) { g.n, g.ldc = 0, 0 }, []string{"ldc = 0", "1"}},
		{"lda transposed", func(g *product) { g.tA, g.lda = Trans, 2 }, []string{"lda = 2", "3"}},
		{"ldb transposed", func(g *product) { g.tB, g.ldb = Trans, 4 }, []string{"ldb = 4", "5"}},
		{"short a", func(g *product) { g.a = g.a[:16] }, []string{"len(a) = 16", "3 rows", "stride 6", "width 5"}},
		{"short b", func(g *product) { g.b = g.b[:23] }, []string{"len(b) = 23", "5 rows", "stride 5", "width 4"}},
		{"short c", func(g *product) { g.c = g.c[:13] }, []string{"len(c) = 13", "3 rows", "stride 5", "width 4"}},
		{"no a", func(g *product) { g.a = nil }, []string{"len(a) = 0"}},
		{"huge m", func(g *product) { g.m = huge }, []string{fmt.Sprint(huge)}},
		{"huge n", func(g *product) { g.n = huge }, []string{fmt.Sprint(huge)}},
		{"huge k", func(g *product) { g.k = huge }, []string{fmt.Sprint(huge)}},
		{"huge n and strides", func(g *product) { g.n, g.ldb, g.ldc = huge, huge, huge }, []string{fmt.Sprint(huge)}},
		{"a's size wraps to 0", func(g *product) { g.m, g.lda = 1<<(uintBits/2)+1, 1<<(uintBits/2) }, []string{"len(a) = 17", fmt.Sprint(1 << (uintBits / 2))}},
		{"b's size wraps to 0", func(g *product) { g.k, g.tA, g.lda, g.ldb, g.m = 1<<(uintBits/2)+1, Trans, 1, 1<<(uintBits/2), 0 }, []string{"len(b) = 24", fmt.Sprint(1 << (uintBits / 2))}},
		{"huge lda", func(g *product) { g.lda = huge }, []string{"len(a) = 17", fmt.Sprint(huge)}},
		{"huge ldb", func(g *product) { g.ldb = huge/4 + 1 }, []string{"len(b) = 24", fmt.Sprint(huge/4 + 1)}},
		{"huge ldc", func(g *product) { g.ldc = huge/2 + 1 }, []string{"len(c) = 14", fmt.Sprint(huge/2 + 1)}},
		{"c is a", func(g *product) { g.a = make([]float32, 17); g.c = g.a }, []string{"c (3×4, stride 5)", "a (3×5, stride 6)"}},
		{"c is b", func(g *product) { g.c = g.b }, []string{"c (3×4, stride 5)", "b (5×4, stride 5)"}},
		{"c is b, not read", func(g *product) { g.c = g.b; g.alpha = 0 }, []string{"c (3×4, stride 5)", "b (5×4, stride 5)"}},
		{"bias", func(g *product) { g.ep.Bias = make([]float32, 3) }, []string{"len(ep.Bias) = 3", "n = 4"}},
		{"no bias", func(g *product) { g.ep.Bias = []float32{} }, []string{"len(ep.Bias) = 0", "n = 4"}},
		{"bias and beta", func(g *product) { g.ep.Bias = make([]float32, 4); g.beta = 1 }, []string{"beta = 1", "0", "4"}},
		{"bias in c", func(g *product) { g.ep.Bias = g.c[6:10] }, []string{"c (3×4, stride 5)", "ep.Bias (1×4, stride 4)"}},
		{"act", func(g *product) { g.ep.Act = 8 << 8 }, []string{"ep.Act = 0x800", "7"}},
		{"derivative", func(g *product) { g.ep.Deriv = 200 }, []string{"ep.Deriv = 0xc8", "7"}},
		{"both", func(g *product) { g.ep.Act, g.ep.Deriv, g.ep.Y, g.ep.LdY = ActReLU, ActTanh, make([]float32, 12), 4 }, []string{"ep.Act = ReLU", "ep.Deriv = tanh"}},
		{"ldy", func(g *product) { g.ep.Deriv, g.ep.Y, g.ep.LdY = ActTanh, make([]float32, 12), 3 }, []string{"ep.LdY = 3", "4"}},
		{"short y", func(g *product) { g.ep.Deriv, g.ep.Y, g.ep.LdY = ActTanh, make([]float32, 11), 4 }, []string{"len(ep.Y) = 11", "3 rows", "stride 4", "width 4"}},
		{"no y", func(g *product) { g.ep.Deriv, g.ep.LdY = ActTanh, 4 }, []string{"len(ep.Y) = 0"}},
		{"y in c", func(g *product) { g.ep.Deriv, g.ep.Y, g.ep.LdY = ActTanh, g.c, 5 }, []string{"c (3×4, stride 5)", "ep.Y (3×4, stride 5)"}},
	} {
		g := &product{gemm{m: 3, n: 4, k: 5, alpha: 1, lda: 6, ldb: 5, ldc: 5}}
		g.operands(rand.New(rand.NewPCG(1, 1)), kindNamed("normal"))
		c.spoil(g)
		a, b, cc := slices.Clone(g.a), slices.Clone(g.b), slices.Clone(g.c)
		wantPanic(t, c.what, func() { g.call(g.c) }, append(c.parts, "kernels.GemmFused: ")...)
		if g.ep.Bias == nil && g.ep.Act == Identity && g.ep.Deriv == Identity {
			wantPanic(t, c.what, func() {
				Gemm(g.tA, g.tB, g.m, g.n, g.k, g.alpha, g.a, g.lda, g.b, g.ldb, g.beta, g.c, g.ldc)
			}, append(c.parts, "kernels.Gemm: ")...)
		}
		unchanged(t, c.what, "A", g.a, a)
		unchanged(t, c.what, "B", g.b, b)
		unchanged(t, c.what, "C", g.c, cc)
	}
	wantPanic(t, "threads", func() { Gemm(NoTrans, NoTrans, 0, 0, 0, 1, nil, 1, nil, 1, 0, nil, 1, -1) }, "kernels.Gemm: ", "-1")
	wantPanic(t, "threads", func() { GemmFused(NoTrans, NoTrans, 0, 0, 0, 1, nil, 1, nil, 1, 0, nil, 1, Epilogue{}, 1, 1) }, "kernels.GemmFused: ", "2")
}

const uintBits = 32 << (^uint(0) >> 63)

// TestGemmHugeEmpty has matrices without elements and with sizes and strides
// that must not be multiplied.
func TestGemmHugeEmpty(t *testing.T) {
	const huge = math.MaxInt
	eachISA(t, func(t *testing.T) {
		Gemm(NoTrans, NoTrans, huge, 0, 0, 1, nil, huge, nil, huge, 0, nil, huge)
		Gemm(NoTrans, NoTrans, 0, huge, 0, 1, nil, huge, nil, huge, 0, nil, huge)
		Gemm(Trans, Trans, 0, 0, huge, 1, nil, huge, nil, huge, 1, nil, huge)
		c := []float32{1, 2, 3}
		Gemm(NoTrans, NoTrans, 1, 3, 0, 1, nil, huge, nil, huge, 1, c, huge)
		Gemm(NoTrans, NoTrans, 1, 3, 1, 1, []float32{2}, huge, []float32{1, 1, 1}, huge, 1, c, huge)
		if want := []float32{3, 4, 5}; !slices.Equal(c, want) {
			t.Errorf("C = %g, want %g", c, want)
		}
	})
}

// TestSumRows compares SumRows and AddRows with the loops in their docs.
func TestSumRows(t *testing.T) {
	sizes := [][2]int{{2, 3000}, {128, 1100}, {700, 33}, {3000, 90}, {gemmKC + 1, 40}}
	if testing.Short() {
		sizes = [][2]int{{2, 300}, {gemmKC + 1, 9}}
	}
	for rows := range 6 {
		for cols := range 70 {
			sizes = append(sizes, [2]int{rows, cols})
		}
	}
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 10))
		for _, size := range sizes {
			rows, cols := size[0], size[1]
			for _, kind := range kinds() {
				ldx := max(1, cols+r.IntN(3))
				x := stored(r, kind, rows, cols, ldx, true)
				start := kind.values(r, cols)
				wantSum, wantAdd := make([]float32, cols), slices.Clone(start)
				for i := range rows {
					for j := range cols {
						wantSum[j] += x[i*ldx+j]
						wantAdd[j] += x[i*ldx+j]
					}
				}
				for _, limit := range []Threads{1, 2, 3, 8} {
					for _, c := range []struct {
						name string
						f    func(rows, cols int, dst, x []float32, ldx int, limit ...Threads)
						want []float32
					}{{"SumRows", SumRows, wantSum}, {"AddRows", AddRows, wantAdd}} {
						dst, spilled := place(start, r.IntN(16))
						c.f(rows, cols, dst, x, ldx, limit)
						what := fmt.Sprintf("%s of %s, %d×%d, ldx %d, threads %d", c.name, kind.name, rows, cols, ldx, limit)
						for j, got := range dst {
							if !same(got, c.want[j]) {
								t.Fatalf("%s: dst[%d] = %s, want %s", what, j, show(got), show(c.want[j]))
							}
						}
						if at, ok := spilled(); ok {
							t.Fatalf("%s: dst[%d] was written", what, at)
						}
					}
				}
			}
		}
	})
}

// TestAddRows: SumRows of the first rows and AddRows of the rest, at every cut, is
// SumRows of all.
func TestAddRows(t *testing.T) {
	sizes := [][2]int{{1, 1}, {2, 7}, {5, 33}, {9, 100}, {40, 10}, {gemmKC + 3, 17}}
	if testing.Short() {
		sizes = [][2]int{{1, 1}, {5, 33}, {40, 10}}
	}
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 12))
		for _, size := range sizes {
			rows, cols := size[0], size[1]
			for _, kind := range kinds() {
				ldx := cols + r.IntN(3)
				x := stored(r, kind, rows, cols, ldx, true)
				want := make([]float32, cols)
				SumRows(rows, cols, want, x, ldx)
				for cut := range rows + 1 {
					dst := kind.values(r, cols)
					SumRows(cut, cols, dst, x, ldx, 1)
					if cut < rows {
						AddRows(rows-cut, cols, dst, x[cut*ldx:], ldx, 1)
					}
					for j, got := range dst {
						if !same(got, want[j]) {
							t.Fatalf("%s, %d×%d, cut at row %d: dst[%d] = %s, want %s", kind.name, rows, cols, cut, j, show(got), show(want[j]))
						}
					}
				}
			}
		}
	})
}

func TestSumRowsPanics(t *testing.T) {
	x, dst := make([]float32, 17), make([]float32, 5)
	for _, c := range []struct {
		what       string
		rows, cols int
		dst, x     []float32
		ldx        int
		parts      []string
	}{
		{"rows", -1, 5, dst, x, 6, []string{"rows = -1"}},
		{"cols", 3, -1, dst, x, 6, []string{"cols = -1"}},
		{"dst", 3, 5, dst[:4], x, 6, []string{"len(dst) = 4", "cols = 5"}},
		{"ldx", 3, 5, dst, x, 4, []string{"ldx = 4", "5"}},
		{"ldx of an empty matrix", 0, 0, nil, nil, 0, []string{"ldx = 0", "1"}},
		{"short x", 3, 5, dst, x[:16], 6, []string{"len(x) = 16", "3 rows", "stride 6", "width 5"}},
		{"huge rows", math.MaxInt, 5, dst, x, 6, []string{fmt.Sprint(math.MaxInt)}},
		{"huge stride", 3, 5, dst, x, math.MaxInt, []string{"len(x) = 17", fmt.Sprint(math.MaxInt)}},
		{"overlap", 3, 5, x[4:9], x, 6, []string{"dst (1×5, stride 5)", "x (3×5, stride 6)"}},
	} {
		wantPanic(t, c.what, func() { SumRows(c.rows, c.cols, c.dst, c.x, c.ldx) }, append(c.parts, "kernels.SumRows: ")...)
		wantPanic(t, c.what, func() { AddRows(c.rows, c.cols, c.dst, c.x, c.ldx) }, append(c.parts, "kernels.AddRows: ")...)
	}
	between := make([]float32, 16)
	SumRows(2, 4, between[4:8], between, 8) // between the rows of x is no overlap
}

func TestGemmDoesNotAllocate(t *testing.T) {
	sizes := [][3]int{{0, 0, 0}, {5, 7, 9}, {70, 80, 90}, {40, 1000, 20}, {1, 70, 80}, {1000, 5, 6}}
	if testing.Short() {
		sizes = [][3]int{{5, 7, 9}, {100, 5, 6}, {30, 110, 100}}
	}
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 11))
		for _, size := range sizes {
			for _, tr := range transposes {
				g := newProduct(r, kindNamed("normal"), tr[0], tr[1], size[0], size[1], size[2])
				for _, limit := range [][]Threads{{1}, {2}} {
					wantNoAllocation(t, fmt.Sprintf("%v, threads %d", g, limit), func() { g.call(g.c, limit...) })
				}
			}
		}
		x, sums := make([]float32, 9000), make([]float32, 30)
		wantNoAllocation(t, "SumRows", func() { SumRows(300, 30, sums, x, 30) })
		wantNoAllocation(t, "AddRows", func() { AddRows(300, 30, sums, x, 30) })
	})
}
