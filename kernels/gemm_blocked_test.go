package kernels

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// These are the rules that change no bit of a product, so that no other test sees
// them broken.

func TestPiece(t *testing.T) {
	for _, c := range []struct{ left, limit, want int }{
		{0, 5, 0}, {1, 5, 1}, {5, 5, 5}, {6, 5, 3}, {7, 5, 4}, {10, 5, 5}, {11, 5, 4}, {784, 1024, 784}, {1025, 1024, 513}, {2049, 1024, 683},
	} {
		if got := piece(c.left, c.limit); got != c.want {
			t.Errorf("piece(%d, %d) = %d, want %d", c.left, c.limit, got, c.want)
		}
	}
}

// TestPacks goes along both sides of each rule.
func TestPacks(t *testing.T) {
	for _, c := range []struct {
		what     string
		g        gemm
		together bool
		a, b     bool
	}{
		{"small B", gemm{m: 64, n: 64, k: 128, alpha: 1, lda: 128, ldb: 64}, false, false, false},
		{"larger B", gemm{m: 64, n: 64, k: 129, alpha: 1, lda: 129, ldb: 64}, false, false, true},
		{"small B, across lines", gemm{m: 9, n: 10, k: 16, alpha: 1, lda: 16, ldb: 10}, false, false, true},
		{"such, and few rows", gemm{m: 8, n: 10, k: 16, alpha: 1, lda: 16, ldb: 10}, false, false, false},
		{"larger B, fewer rows", gemm{m: 17, n: 512, k: 512, alpha: 1, lda: 512, ldb: 520}, false, false, true},
		{"such, and too few", gemm{m: 16, n: 512, k: 512, alpha: 1, lda: 512, ldb: 520}, false, false, false},
		{"larger B, across lines", gemm{m: 7, n: 512, k: 512, alpha: 1, lda: 512, ldb: 513}, false, false, true},
		{"such, and one tile", gemm{m: 6, n: 512, k: 512, alpha: 1, lda: 512, ldb: 513}, false, false, false},
		{"a stride of few sets", gemm{m: 17, n: 16, k: 16, alpha: 1, lda: 16, ldb: 256}, false, false, true},
		{"few sets, and few rows", gemm{m: 16, n: 16, k: 16, alpha: 1, lda: 16, ldb: 256}, false, false, false},
		{"a stride of very few sets", gemm{m: 16, n: 16, k: 16, alpha: 1, lda: 16, ldb: 1024}, false, false, true},
		{"such, and fewer rows", gemm{m: 7, n: 16, k: 16, alpha: 1, lda: 16, ldb: 1024}, false, false, true},
		{"very few sets, and one tile", gemm{m: 6, n: 16, k: 16, alpha: 1, lda: 16, ldb: 1024}, false, false, false},
		{"B transposed", gemm{tB: true, m: 2, n: 8, k: 8, alpha: 1, lda: 8, ldb: 8}, false, false, true},
		{"alpha", gemm{m: 2, n: 8, k: 8, alpha: 2, lda: 8, ldb: 8}, false, true, false},
		{"far rows", gemm{m: 64, n: 65, k: 8, alpha: 1, lda: 4096, ldb: 72}, false, false, false},
		{"far steps", gemm{tA: true, m: 64, n: 65, k: 8, alpha: 1, lda: 1024, ldb: 72}, false, true, false},
		{"near steps", gemm{tA: true, m: 64, n: 65, k: 8, alpha: 1, lda: 1023, ldb: 72}, false, false, false},
		{"steps in few sets", gemm{tA: true, m: 64, n: 65, k: 8, alpha: 1, lda: 512, ldb: 72}, false, true, false},
		{"nearer steps", gemm{tA: true, m: 64, n: 65, k: 8, alpha: 1, lda: 256, ldb: 72}, false, false, false},
		{"far steps for few columns", gemm{tA: true, m: 64, n: 64, k: 8, alpha: 1, lda: 1024, ldb: 64}, false, false, false},
		{"rows together", gemm{m: 2, n: 8, k: 8, alpha: 1, lda: 8, ldb: 8}, true, true, false},
		{"rows together already", gemm{tA: true, m: 2, n: 8, k: 8, alpha: 1, lda: 8, ldb: 8}, true, false, false},
	} {
		if a, b := c.g.packs(&asm.GemmShape{Heights: [4]int{2: 6}, Together: c.together}); a != c.a || b != c.b {
			t.Errorf("%s: packs A %v and B %v, want %v and %v", c.what, a, b, c.a, c.b)
		}
	}
}

// TestThin goes along both sides of each rule.
func TestThin(t *testing.T) {
	for _, c := range []struct {
		what     string
		g        gemm
		together bool
		want     bool
	}{
		{"a column", gemm{m: 9, n: 1, k: 1, alpha: 1}, false, true},
		{"such, and few rows", gemm{m: 8, n: 1, k: 100, alpha: 1}, false, false},
		{"such, and alpha", gemm{m: 9, n: 1, k: 1, alpha: 2}, false, false},
		{"such, and no k", gemm{m: 9, n: 1, k: 0, alpha: 1}, false, false},
		{"such, and A transposed", gemm{tA: true, m: 2, n: 1, k: 1, alpha: 1}, false, true},
		{"few columns", gemm{m: 32, n: 4, k: 48, alpha: 1}, false, true},
		{"few rows", gemm{m: 31, n: 4, k: 48, alpha: 1}, false, false},
		{"more than half a vector", gemm{m: 32, n: 5, k: 48, alpha: 1}, false, false},
		{"a short k", gemm{m: 32, n: 4, k: 47, alpha: 1}, false, false},
		{"a long k", gemm{m: 32, n: 4, k: 320, alpha: 1}, false, true},
		{"too long a k", gemm{m: 32, n: 4, k: 321, alpha: 1}, false, false},
		{"alpha", gemm{m: 32, n: 4, k: 48, alpha: 2}, false, false},
		{"A transposed", gemm{tA: true, m: 32, n: 15, k: 90, alpha: 1}, false, true},
		{"such, and a short k", gemm{tA: true, m: 32, n: 15, k: 89, alpha: 1}, false, false},
		{"such, for two columns", gemm{tA: true, m: 32, n: 2, k: 16, alpha: 1}, false, true},
		{"such, and too short a k", gemm{tA: true, m: 32, n: 2, k: 15, alpha: 1}, false, false},
		{"such, and a long k", gemm{tA: true, m: 32, n: 2, k: 1000, alpha: 1}, false, true},
		{"such, and whole vectors", gemm{tA: true, m: 32, n: 8, k: 100, alpha: 1}, false, false},
		{"such, and more than two", gemm{tA: true, m: 32, n: 17, k: 200, alpha: 1}, false, false},
		{"rows together", gemm{m: 32, n: 15, k: 90, alpha: 1}, true, true},
		{"a narrow tile", gemm{tA: true, m: 64, n: 10, k: 1024, alpha: 1}, false, false},
		{"such, with an idle lane", gemm{tA: true, m: 64, n: 9, k: 1024, alpha: 1}, false, true},
		{"such, and few rows", gemm{tA: true, m: 63, n: 10, k: 1024, alpha: 1}, false, true},
		{"such, and too large an A", gemm{tA: true, m: 64, n: 10, k: 1025, alpha: 1}, false, true},
	} {
		if got := c.g.thin(&asm.GemmShape{Lanes: 8, Narrow: 8, Together: c.together}); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// TestUp: of strips of rows every other one, of strips of columns none.
func TestUp(t *testing.T) {
	for _, c := range []struct {
		rows, cols int
		want       []bool
	}{
		{30, 50, []bool{true, false, true, false}},
		{100, 25, []bool{false, false}},
		{100, 50, []bool{false}},
	} {
		task := gemmTask{gemm: gemm{m: 100, n: 50}, rows: c.rows, cols: c.cols}
		for b, want := range c.want {
			if got := task.up(b); got != want {
				t.Errorf("%d×%d of 100×50, block %d: %v, want %v", c.rows, c.cols, b, got, want)
			}
		}
	}
}

// TestTurn: the last row is the first, of all three matrices.
func TestTurn(t *testing.T) {
	a, c, y := make([]float32, 50), make([]float32, 60), make([]float32, 70)
	p := &panel{rows: 7}
	p.args.A, p.args.AStride = &a[1], 4*5
	p.args.C, p.args.CStride = &c[2], 4*6
	p.args.Y, p.args.YStride = &y[3], 4*9
	p.turn()
	want := asm.Gemm{A: &a[1+6*5], AStride: -4 * 5, C: &c[2+6*6], CStride: -4 * 6, Y: &y[3+6*9], YStride: -4 * 9}
	if p.args != want {
		t.Errorf("%+v, want %+v", p.args, want)
	}
}

// TestPanels: how columns are cut into panels, where a whole vector has 8 lanes and the
// highest narrow tile 8 rows: the widths in elements, and what a narrow one has more.
func TestPanels(t *testing.T) {
	shape := asm.GemmShapeOf(cpu.AVX2)
	if shape.Narrow == 0 { // another architecture
		active, g := asm.GemmShapeOf(cpu.Active()), gemm{m: 128, n: 10, k: 100}
		if part := g.part(&active, g.n, g.m); part != 0 {
			t.Errorf("a narrow tile with %d columns more, where there is none", part)
		}
		return
	}
	for _, c := range []struct {
		what   string
		g      gemm
		panels []int
		part   int // of the last one
	}{
		{"less than a vector", gemm{m: 128, n: 2, k: 100}, []int{2}, 0},
		{"ten classes", gemm{m: 128, n: 10, k: 100}, []int{10}, 2},
		{"eleven", gemm{m: 128, n: 11, k: 100}, []int{11}, 4},
		{"most lanes of another vector", gemm{m: 128, n: 13, k: 100}, []int{13}, 0},
		{"a vector between", gemm{m: 128, n: 20, k: 100}, []int{8, 12}, 4},
		{"a hundred", gemm{m: 128, n: 100, k: 100}, []int{24, 24, 24, 16, 12}, 4},
		{"whole vectors", gemm{m: 128, n: 32, k: 100}, []int{16, 16}, 0},
		{"short k", gemm{m: 128, n: 100, k: 15}, []int{24, 24, 24, 16, 12}, 0},
		{"few rows left over", gemm{m: 31, n: 10, k: 100}, []int{10}, 0},
		{"whole tiles of rows", gemm{m: 24, n: 10, k: 100}, []int{10}, 2},
		{"a high tile", gemm{m: 6, n: 100, k: 100}, []int{16, 16, 16, 16, 16, 20}, 0},
		{"two of them", gemm{m: 9, n: 64, k: 100}, []int{16, 16, 16, 16}, 0},
		{"no fewer than low ones", gemm{m: 8, n: 64, k: 100}, []int{24, 24, 16}, 0},
		{"three of them", gemm{m: 13, n: 64, k: 100}, []int{24, 24, 16}, 0},
		{"a derivative", gemm{m: 128, n: 10, k: 100, ep: Epilogue{Deriv: ActReLU}}, []int{10}, 0},
	} {
		var panels []int
		part, left := 0, c.g.n
		for left > 0 && len(panels) < c.g.n {
			p := c.g.form(cpu.AVX2, &shape, left, c.g.m)
			if part != 0 {
				t.Errorf("%s: a panel after the narrow one", c.what)
			}
			panels, part = append(panels, p.cols), p.part
			left -= p.cols
			if want := p.cols == p.vecs*8+p.part; p.padded == want {
				t.Errorf("%s: a panel of %d columns is padded: %v", c.what, p.cols, p.padded)
			}
		}
		if !slices.Equal(panels, c.panels) || part != c.part {
			t.Errorf("%s: panels of %d columns and the last with %d more than vectors, want %d and %d", c.what, panels, part, c.panels, c.part)
		}
	}

	// AVX-512, and where AVX2's tiles do the last panel.
	wide := asm.GemmShapeOf(cpu.AVX512)
	for _, c := range []struct {
		n      int
		panels []int
		last   cpu.ISA
	}{
		{4, []int{4}, cpu.AVX2},
		{10, []int{10}, cpu.AVX2},
		{11, []int{11}, cpu.AVX512},
		{16, []int{16}, cpu.AVX512},
		{26, []int{16, 10}, cpu.AVX2},
		{27, []int{27}, cpu.AVX512},
		{64, []int{32, 32}, cpu.AVX512},
		{65, []int{32, 32, 1}, cpu.AVX2},
		{100, []int{48, 48, 4}, cpu.AVX2},
		{112, []int{48, 32, 32}, cpu.AVX512},
	} {
		g := gemm{m: 128, n: c.n, k: 100}
		var panels []int
		var p form
		for left := c.n; left > 0; left -= p.cols {
			p = g.form(cpu.AVX512, &wide, left, g.m)
			panels = append(panels, p.cols)
		}
		if !slices.Equal(panels, c.panels) || p.isa != c.last {
			t.Errorf("AVX-512, %d columns: panels of %d, the last by %v, want %d, %v", c.n, panels, p.isa, c.panels, c.last)
		}
	}
}

// TestCut: products are cut along the side that is said, into as many blocks.
func TestCut(t *testing.T) {
	for _, c := range []struct {
		what       string
		g          gemm
		threads    int
		down, over int // blocks
	}{
		{"small", gemm{m: 32, n: 64, k: 127}, 2, 1, 1},
		{"one thread", gemm{m: 1024, n: 1024, k: 1024}, 1, 1, 1},
		{"few columns", gemm{tA: true, m: 5000, n: 11, k: 64}, 2, 2, 1},
		{"few rows", gemm{m: 8, n: 512, k: 512}, 2, 1, 2},
		{"a row", gemm{m: 1, n: 512, k: 784}, 2, 1, 2},
		{"large: two blocks a thread", gemm{m: 512, n: 2048, k: 512}, 3, 1, 6},
		{"work for three of eight threads", gemm{m: 16, n: 256, k: 96}, 8, 1, 3},
	} {
		for _, isa := range []cpu.ISA{cpu.Portable, cpu.AVX2, cpu.NEON} { // where there is no such assembly, as Portable
			g := c.g
			g.alpha, g.lda, g.ldb = 1, max(g.m, g.k), g.n
			rows, cols := g.cut(isa, c.threads)
			if down, over := ceil(g.m, rows), ceil(g.n, cols); down != c.down || over != c.over {
				t.Errorf("%s, %v: %d blocks down and %d over, want %d and %d", c.what, isa, down, over, c.down, c.over)
			}
			if lanes := asm.GemmShapeOf(isa).Lanes; cols != g.n && cols%max(1, lanes) != 0 {
				t.Errorf("%s, %v: blocks of %d columns, want whole vectors of %d", c.what, isa, cols, lanes)
			}
		}
	}
}

// TestAhead plays a panel's tiles: what they fetch is below the tile that fetches
// it and not beyond the end, little of it twice, and all of it if there is time.
func TestAhead(t *testing.T) {
	const step, bStep, far = 400, 800, 1 << 30
	for _, how := range []string{"slow", "fast", "copied"} {
		fast := how != "slow"
		for _, height := range []int{1, 3, 4, 12} {
			for _, k := range []int{0, 1, 10, 16, 17, 48, 64, 100, 784, 1024} {
				for _, rows := range []int{1, 4, -4, 11, -11, 32, 100, -100, 1024, -1024} { // or up
					first, cStep := 0, step
					if rows < 0 {
						rows = -rows
						first, cStep = rows-1, -step
					}
					c := make([]float32, rows*step/4)
					p := panel{form: form{height: height, width: 16}, rows: rows, next: fetch{at: far, step: bStep, rows: k, fast: fast}}
					packed := make([]float32, k*p.width+1)
					if how == "copied" {
						p.next.to = &packed[0]
					}
					p.args.K, p.args.CStride = k, cStep
					most := 0 // rows that a tile fetches
					var rowsOfC, rowsOfB []int
					for done := 0; done < rows; {
						p.args.C = &c[(first*step+done*cStep)/4]
						left := ceil(rows-done, height)
						tiles := p.ahead(done, height, left)
						if tiles < 1 || tiles > left {
							t.Fatalf("height %d, k %d, rows %d: %d tiles of %d", height, k, rows, tiles, left)
						}
						tileRows := ceil(k, asm.AheadEvery) * p.args.AheadRows
						most = max(most, tileRows)
						if p.args.AheadRows > 1 && (!fast || p.args.AheadStep != bStep || p.args.AheadRows > 8) {
							t.Fatalf("height %d, k %d, rows %d: %d rows at a time, %d bytes apart", height, k, rows, p.args.AheadRows, p.args.AheadStep)
						}
						for i := range tiles * tileRows {
							at := p.args.Ahead + uintptr(i*p.args.AheadStep)
							switch {
							case p.args.AheadStep == cStep:
								rowsOfC = append(rowsOfC, int(at-uintptr(unsafe.Pointer(&c[first*step/4])))/cStep)
								if row := rowsOfC[len(rowsOfC)-1]; row < done+(i/tileRows+1)*height {
									t.Fatalf("height %d, k %d, rows %d: row %d of C is fetched while the tile at row %d runs", height, k, rows, row, done+i/tileRows*height)
								}
							case p.args.AheadStep == bStep:
								rowsOfB = append(rowsOfB, int(at-far)/bStep)
								if how == "copied" && p.args.Copy != &packed[rowsOfB[len(rowsOfB)-1-i]*p.width] {
									t.Fatalf("height %d, k %d, rows %d: row %d of B goes elsewhere", height, k, rows, rowsOfB[len(rowsOfB)-1-i])
								}
							default:
								t.Fatalf("a step of %d", p.args.AheadStep)
							}
						}
						done = min(rows, done+tiles*height)
					}
					if last := k - 1; p.next.copied() != (how == "copied" && (k == 0 || slices.Contains(rowsOfB, last))) {
						t.Errorf("height %d, k %d, rows %d: copied: %v, of B the rows %v", height, k, rows, p.next.copied(), rowsOfB)
					}
					for what, list := range map[string][]int{"C": rowsOfC, "B": rowsOfB} {
						limit := map[string]int{"C": rows, "B": k}[what]
						twice := 0
						for i, row := range list {
							if row < 0 || row >= limit || i > 0 && row > list[i-1]+1 && what == "B" {
								t.Fatalf("height %d, k %d, rows %d: fetched rows %v of %s, of %d", height, k, rows, list, what, limit)
							}
							if i > 0 && row <= list[i-1] {
								twice += list[i-1] - row + 1
							}
						}
						if twice >= max(1, most) {
							t.Errorf("height %d, k %d, rows %d: %d rows of %s fetched twice: %v", height, k, rows, twice, what, list)
						}
					}
					if fast && rows == 32 && height == 4 && k > 100 && !slices.Contains(rowsOfB, k-1) {
						t.Errorf("height %d, k %d, rows %d: fetched rows %v of B, want all", height, k, rows, rowsOfB)
					}
					if tiles, each := ceil(rows, height), ceil(k, asm.AheadEvery); each > 2*height && tiles > 4+2*ceil(rows+k, each) {
						if !slices.Contains(rowsOfC, rows-1) || !slices.Contains(rowsOfB, 0) || !slices.Contains(rowsOfB, k-1) {
							t.Errorf("height %d, k %d, rows %d: fetched rows %v of C and %v of B", height, k, rows, rowsOfC, rowsOfB)
						}
					}
				}
			}
		}
	}
}

// TestCopies: what panel the tiles copy.
func TestCopies(t *testing.T) {
	b := &gemmBlock{isa: cpu.AVX2, shape: asm.GemmShape{Copying: [4]int{2: 4, 3: 3}}}
	for _, c := range []struct {
		what       string
		this, next form
		rows       int
		want       bool
	}{
		{"three tiles", form{isa: cpu.AVX2, vecs: 3, height: 4}, form{isa: cpu.AVX2, vecs: 3}, 9, true},
		{"two tiles", form{isa: cpu.AVX2, vecs: 3, height: 4}, form{isa: cpu.AVX2, vecs: 3}, 8, false},
		{"three of six rows", form{isa: cpu.AVX2, vecs: 2, height: 6}, form{isa: cpu.AVX2, vecs: 2}, 13, true},
		{"too low", form{isa: cpu.AVX2, vecs: 3, height: 3}, form{isa: cpu.AVX2, vecs: 3}, 8, false},
		{"as low as one row", form{isa: cpu.AVX2, vecs: 3, height: 4, few: true}, form{isa: cpu.AVX2, vecs: 3}, 100, false},
		{"one vector", form{isa: cpu.AVX2, vecs: 1, height: 4}, form{isa: cpu.AVX2, vecs: 1}, 100, false},
		{"a narrower one", form{isa: cpu.AVX2, vecs: 3, height: 4}, form{isa: cpu.AVX2, vecs: 2}, 100, false},
		{"a padded one", form{isa: cpu.AVX2, vecs: 3, height: 4}, form{isa: cpu.AVX2, vecs: 3, padded: true}, 100, false},
		{"others' tiles next", form{isa: cpu.AVX2, vecs: 3, height: 4}, form{isa: cpu.AVX512, vecs: 3}, 100, false},
	} {
		p := panel{form: c.this, rows: c.rows}
		if got := p.copies(b, &c.next); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	// Of few heights, as AVX-512 has them, the lowest is one row.
	b.shape.Copying[3] = 1
	p := panel{form: form{isa: cpu.AVX2, vecs: 3, height: 9, few: true}, rows: 19}
	if next := p.form; !p.copies(b, &next) {
		t.Errorf("tiles of a single row heed Copy, but are not used")
	}
}

// A place that leaves its slice is seen by the garbage collector while it marks, and
// by checkptr, which the race detector's tests have. With several blocks both of rows
// and of k, the tiles step over the rows of Y in the last block of k alone.
func TestGemmPlaces(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		if asm.GemmShapeOf(cpu.Active()).Lanes == 0 {
			return // no tiles
		}
		r := rand.New(rand.NewPCG(5, 14))
		marked, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(marked)
			for {
				select {
				case <-done:
					return
				default:
					runtime.GC()
				}
			}
		}()
		defer func() { close(done); <-marked }()
		for _, n := range []int{9, 70} {
			for _, tr := range transposes {
				g := &product{gemm{tA: tr[0], tB: tr[1], m: gemmMC + 1, n: n, k: gemmKC + 1, alpha: -1, ldc: n}}
				_, g.lda = g.storedA()
				_, g.ldb = g.storedB()
				g.ep.Deriv, g.ep.LdY = ActReLU, n+1
				for i := range 6 {
					g.operands(r, kindNamed("normal")) // anew, since what lies behind Y matters
					g.call(g.c, Threads(1+i%2))
				}
			}
		}
	})
}
