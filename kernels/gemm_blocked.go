package kernels

import (
	"math/bits"
	"runtime"
	"sync"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
)

// The loops around the micro-kernel, from the outside in. All of them may be
// cut anywhere without changing a bit: k goes on where it stopped, since C holds
// the exact accumulators.
//
//  5. columns, blocks of gemmNC or a few more
//  4. k, blocks of at most gemmKC
//  3. rows, blocks of at most gemmMC
//  2. columns, panels as wide as a tile
//  1. rows, tiles: in assembly
//
// A panel of B is packed by the tile that needs it first, or copied by tiles of the panel
// before. It stays in L2, from where a tile reads it as fast as it multiplies, as does most
// of a block of A, which is read for each panel. Where there are several blocks of rows, the
// panels of a block of columns are kept, in L3, 8 MiB for each thread; else there are two in
// turns. Longer blocks of k were faster than panels that fit into L1: C is read and written
// less often, and its rows are far apart. Blocks of 128 to 512 rows, and of 1024 columns, were
// as fast within the noise of 1 to 2 %.
const (
	gemmNC = 2048
	gemmMC = 256
	gemmKC = 1024
	// Of A packed with its rows side by side: a longer row would have each step of k on
	// another page.
	gemmKCTogether = 512
	// Where B is not packed, the rows of a longer block would compete for few sets
	// of L2.
	gemmKCDirect = 384
)

// gemmCall is the greatest number of multiply-adds in a call of a micro-kernel:
// some 50 µs, since it is not pre-empted. Fewer columns than gemmCallCols count as so
// many: the kernel may have to wait for A's rows from memory.
const (
	gemmCall     = 1 << 21
	gemmCallCols = 32
)

// gemmCallRow is gemmCall for a product of one row, in which each multiply-add may have
// to wait for an element of B from memory, and in a narrow one for a whole cache line.
const gemmCallRow = 1 << 17

// gemmTask is a product cut into blocks of C, rows by columns.
type gemmTask struct {
	gemm
	isa        cpu.ISA
	rows, cols int // of a block
}

var gemmTasks tasks[gemmTask, *gemmTask]

// run does the product.
func (g *gemm) run(threads int) {
	if g.m == 0 || g.n == 0 {
		return
	}
	if g.alpha == 0 {
		g.k = 0
	}
	isa := cpu.Active()
	if threads != 1 {
		if rows, cols := g.cut(isa, threads); rows < g.m || cols < g.n {
			gemmTasks.run(threads, ceil(g.m, rows)*ceil(g.n, cols), 1, gemmTask{*g, isa, rows, cols})
			return
		}
	}
	g.compute(isa, false)
}

func ceil(a, b int) int { return (a + b - 1) / b }

// piece cuts left evenly into the fewest pieces of at most limit, and returns the
// first.
func piece(left, limit int) int {
	if left <= limit {
		return left
	}
	return ceil(left, ceil(left, limit))
}

// minBlock is the number of multiply-adds below which a block is not worth
// handing to another thread: some 2 µs.
const minBlock = 1 << 17

// cut chooses blocks for threads: strips of rows or of columns, as the longest
// strip with what it packs is shorter. Strips of rows pack B each, which takes as
// long as some 4 rows more; strips of columns are whole vectors and, if they pack
// A, take as long as 8 columns more. There is one a thread, or two if they are long
// enough for the packing not to matter, so that a thread which is held up can be
// helped. Where B is not packed, or transposed, this is an approximation.
func (g *gemm) cut(isa cpu.ISA, threads int) (rows, cols int) {
	work := float64(g.m) * float64(g.n) * float64(max(1, g.k))
	if work < 2*minBlock {
		return g.m, g.n
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if threads == 1 {
		return g.m, g.n
	}
	parts := int(min(float64(threads), work/minBlock))
	if work/float64(threads) >= 64*minBlock {
		parts = 2 * threads
	}
	shape := asm.GemmShapeOf(isa)
	lanes := max(shape.Lanes, 1) // none in the portable loop
	rows, cols = ceil(g.m, parts), ceil(ceil(g.n, parts), lanes)*lanes
	packedRows, packedCols := 4, 0
	if packA, _ := g.packs(&shape); packA {
		packedCols = 8
	}
	if float64(rows+packedRows)*float64(g.n) < float64(g.m)*float64(cols+packedCols) {
		return rows, g.n
	}
	return g.m, cols
}

// Range does the blocks lo to hi.
func (t *gemmTask) Range(lo, hi int) {
	down := ceil(t.m, t.rows)
	for b := lo; b < hi; b++ {
		i, j := b%down*t.rows, b/down*t.cols
		g := t.gemm
		g.slice(i, min(t.m, i+t.rows), j, min(t.n, j+t.cols))
		g.compute(t.isa, t.up(b))
	}
}

// up tells whether block b is done from its last row up: of strips of rows, every other
// one is, so that two threads begin where their strips meet and end far from each other (of
// strips of more than gemmMC rows, each block of rows is done up).
// For some 12 KiB beyond the place where a thread ends a panel, the processor has fetched
// C for it, and another thread that writes there has to get the lines back: of two threads
// that both went down, the second took a fifth longer for 128×100×100, where the way from
// core to core was long.
func (t *gemmTask) up(b int) bool { return t.rows < t.m && b%2 == 0 }

// fewColumns are done by AVX2's tiles where there is AVX-512: in one vector or a narrow
// tile, while of AVX-512's vector most lanes would be idle. A processor that does 512 bits
// in two halves would lose a third of its time on ten columns.
const fewColumns = 10

// compute does the product on the goroutine that calls, from the last row up if there is
// a choice.
func (g *gemm) compute(isa cpu.ISA, up bool) {
	if isa == cpu.AVX512 && g.n <= fewColumns {
		isa = cpu.AVX2
	}
	shape := asm.GemmShapeOf(isa)
	switch {
	case shape.Lanes == 0:
		gemmPortable(g.tA, g.tB, g.m, g.n, g.k, g.alpha, g.a, g.lda, g.b, g.ldb, g.beta, g.c, g.ldc, &g.ep)
	case g.k > 0 && g.m == 1:
		g.row(isa)
	case g.thin(&shape):
		g.transposed(isa, &shape)
	default:
		g.blocked(isa, &shape, up && !shape.Together)
	}
}

// slice makes g the product that gives rows i0 to i1 and columns j0 to j1 of C.
func (g *gemm) slice(i0, i1, j0, j1 int) {
	g.m, g.n = i1-i0, j1-j0
	if g.k > 0 {
		g.a = g.a[g.atA(i0, 0):]
		g.b = g.b[g.atB(0, j0):]
	}
	g.c = g.c[i0*g.ldc+j0:]
	if g.ep.Bias != nil {
		g.ep.Bias = g.ep.Bias[j0:j1]
	}
	if g.ep.Deriv != Identity {
		g.ep.Y = g.ep.Y[i0*g.ep.LdY+j0:]
	}
}

// atA and atB are the places of op(A)[i,p] and op(B)[p,j].
func (g *gemm) atA(i, p int) int {
	if g.tA {
		return p*g.lda + i
	}
	return i*g.lda + p
}

func (g *gemm) atB(p, j int) int {
	if g.tB {
		return j*g.ldb + p
	}
	return p*g.ldb + j
}

// gemmScratch holds the packed blocks between calls.
var gemmScratch sync.Pool

type scratch struct{ a, b, c []float32 }

func getScratch() *scratch {
	if s, _ := gemmScratch.Get().(*scratch); s != nil {
		return s
	}
	return new(scratch)
}

// room gives x the length n, in new memory if it has too little, and returns it.
func room(x *[]float32, n int) []float32 {
	if cap(*x) < n {
		*x = make([]float32, n)
	}
	*x = (*x)[:n]
	return *x
}

// blocked does the product with the micro-kernels of isa, up if each block of rows is to
// be done from its last row up. Rows that have to lie together cannot.
func (g *gemm) blocked(isa cpu.ISA, shape *asm.GemmShape, up bool) {
	g.scale()
	packA, packB := g.packs(shape)
	var s *scratch
	if packA || packB || g.n%shape.Lanes != 0 { // then the last panel is padded
		s = getScratch()
	}
	kcMost := gemmKC
	if packA && shape.Together {
		kcMost = gemmKCTogether
	}
	if !packB {
		kcMost = gemmKCDirect
	}
	b := &gemmBlock{isa: isa, shape: *shape, packB: packB, up: up, rows: piece(g.m, gemmMC), scratch: s}
	b.keep = b.rows < g.m
	for end := 0; end < g.n; {
		b.j0, b.j1 = end, g.n
		if b.keep {
			b.j1 = min(g.n, end+gemmNC)
		}
		for b.p0 = 0; b.p0 == 0 || b.p0 < g.k; b.p0 += max(1, b.kc) {
			b.kc = piece(g.k-b.p0, kcMost)
			for b.i0 = 0; b.i0 < g.m; b.i0 += b.mc {
				b.mc = piece(g.m-b.i0, gemmMC)
				switch {
				case b.kc == 0:
				case packA:
					b.a = g.packA(b)
				case bool(g.tA):
					b.a = operand{&g.a[g.atA(b.i0, b.p0)], 4, 4 * g.lda}
				default:
					b.a = operand{&g.a[g.atA(b.i0, b.p0)], 4 * g.lda, 4}
				}
				end = g.panels(b) // the same for all rows and k
			}
		}
	}
	if s != nil {
		gemmScratch.Put(s)
	}
	g.finish()
}

// gemmBlock is a block of rows, columns and k on its way through the loops.
type gemmBlock struct {
	isa       cpu.ISA
	shape     asm.GemmShape
	packB, up bool
	rows      int // of the first block: for all, a panel has the form that is best for these
	i0, mc    int // rows
	p0, kc    int // k
	j0, j1    int // columns, up to the end of the panel that reaches or passes j1
	a         operand
	scratch   *scratch
	keep      bool // all packed panels, for the other blocks of rows
	place     int  // in the scratch, of the panel in turn
	packed    bool // it is there
}

// panels does a block, one panel after the other, and returns the column after its last.
func (g *gemm) panels(b *gemmBlock) int {
	p := new(panel)
	b.place, b.packed = 0, b.i0 > 0
	next := g.form(b.isa, &b.shape, g.n-b.j0, b.rows)
	for j := b.j0; ; {
		p.form, p.rows = next, b.mc
		p.args.A, p.args.AStride, p.args.AStep, p.args.K = b.a.at, b.a.stride, b.a.step, b.kc
		p.args.C, p.args.CStride, p.args.Cols = &g.c[b.i0*g.ldc+j], 4*g.ldc, p.last
		more := j+p.cols < b.j1
		if more {
			next = g.form(b.isa, &b.shape, g.n-j-p.cols, b.rows)
		}
		if b.kc > 0 {
			g.takeB(b, p, j, more, &next)
		}
		switch {
		case b.p0 > 0 || g.beta != 0:
			p.args.Start = asm.StartC
		case g.ep.Bias != nil:
			p.args.Start, p.args.Bias = asm.StartBias, &g.ep.Bias[j]
		}
		if b.p0+b.kc == g.k {
			g.end(&p.args, b.i0, j)
		}
		if b.up {
			p.turn()
		}
		p.run()
		j += p.cols
		if !more {
			return j
		}
		if b.packed = b.i0 > 0 || p.next.copied(); b.packed || b.keep {
			b.place = b.after(p)
		}
	}
}

// after is the place of the panel after p in the scratch: behind p's if all are kept, else the
// other of two, so that it can be copied to while p's is read.
func (b *gemmBlock) after(p *panel) int {
	if b.keep {
		return b.place + p.width*b.kc
	}
	return b.kc*3*b.shape.Lanes - b.place
}

// takeB says from where the panel of column j takes B, and packs it or says where to. If
// there are more panels, it also says what the tiles fetch or copy of the next one.
func (g *gemm) takeB(b *gemmBlock, p *panel, j int, more bool, next *form) {
	args := &p.args
	args.Pack, p.next, p.fetched = nil, fetch{}, 0
	pack := b.packB || p.padded // only when it packs, the kernel heeds the end of a row
	var packed []float32
	if pack {
		cols := 3 * b.shape.Lanes // of a panel
		if b.keep {
			cols = min(g.n, gemmNC)
		}
		packed = room(&b.scratch.b, b.kc*(cols+3*b.shape.Lanes)) // another one, or what the last has beyond
	}
	if bool(g.tB) && !b.packed {
		kc := b.kc
		if g.m <= 32 {
			kc = transKC
		}
		for k := 0; k < b.kc; k += kc {
			asm.PackTrans(b.isa, &packed[b.place+k*p.width], 4*p.width, &g.b[g.atB(b.p0+k, j)], 4*g.ldb, p.cols, min(kc, b.kc-k))
		}
	}
	if pack && (b.packed || bool(g.tB)) {
		args.B, args.BStep = &packed[b.place], 4*p.width
	} else {
		args.B, args.BStep = &g.b[g.atB(b.p0, j)], 4*g.ldb
		if pack {
			args.Pack, args.AheadRows = &packed[b.place], 0
			if j == b.j0 { // no tile before could fetch it
				args.AheadRows = 1
			}
		}
	}
	switch {
	case !more:
	case pack && b.i0 > 0:
		p.next = fetch{at: uintptr(unsafe.Pointer(&packed[b.after(p)])), step: 4 * p.width, rows: b.kc, fast: true}
	case !bool(g.tB):
		p.next = fetch{at: uintptr(unsafe.Pointer(&g.b[g.atB(b.p0, j+p.cols)])), step: 4 * g.ldb, rows: b.kc, fast: pack}
		if pack && p.copies(b, next) {
			p.next.to = &packed[b.after(p)]
		}
	}
}

// scale multiplies C by beta, where the kernels cannot take it as it is.
func (g *gemm) scale() {
	if g.beta == 0 || g.beta == 1 {
		return
	}
	for i := range g.m {
		scaleRow(g.c[i*g.ldc:][:g.n], g.beta)
	}
}

func scaleRow(x []float32, by float32) {
	for i := range x {
		x[i] *= by
	}
}

// finish does the activation or the derivative that the kernels leave.
func (g *gemm) finish() {
	g.pass(g.ep.Act > ActReLU, g.ep.Deriv != Identity && !g.derivesInTile())
}

// pass does the activation or the derivative.
func (g *gemm) pass(act, deriv bool) {
	if !act && !deriv {
		return
	}
	m, n := g.m, g.n
	if g.ldc == n && (act || g.ep.LdY == n) {
		m, n = 1, m*n // each call costs about a hundred cycles
	}
	for i := range m {
		row := g.c[i*g.ldc:][:n]
		for j := 0; j < n; j += block {
			part := row[j:min(j+block, n)]
			if act {
				activate(g.ep.Act, part, part)
			} else {
				derive(g.ep.Deriv, part, part, g.ep.Y[i*g.ep.LdY+j:][:len(part)])
			}
		}
	}
}

// derivesInTile tells whether the kernels do the derivative, in registers.
func (g *gemm) derivesInTile() bool { return g.ep.Deriv == ActReLU }

// A transposed B is packed in pieces of transKC steps of k, which the strips that its lanes
// make fill side by side while they are in L1: 2×512×784 took a fifth longer in one piece.
// With more than 32 rows it did not matter, or took longer, since the processor foresees a short
// piece less. For one row the pieces are transNC columns wide.
const (
	transKC = 128
	transNC = 48
)

// row does a product of one row, some steps of k at a time over all columns: B
// is read in the order in which it lies, and C is read and written for each of them. If B is
// transposed, the kernel goes along k with four groups of columns at once; if there are too
// few columns for that, or if their stride maps them to few sets of L1, where the lines
// would not stay for the next steps, it is packed piece by piece.
func (g *gemm) row(isa cpu.ISA) {
	lanes := min(asm.GemmShapeOf(isa).Lanes, 8) // of a group
	grouped := bool(g.tB) && g.n >= lanes && g.ldb%512 != 0
	packed := bool(g.tB) && !grouped
	cols, kc := 2048, g.k // so many columns of C stay in L1
	switch {
	case grouped:
		cols, kc = 4*lanes, gemmCallRow/(4*lanes)
	case packed:
		cols, kc = transNC, transKC
	}
	g.scale()
	a, aStep := g.a, 1
	if g.tA {
		aStep = g.lda
	}
	var s *scratch
	line := g.alpha != 1 || grouped && aStep != 1
	if line || packed {
		s = getScratch()
		defer gemmScratch.Put(s)
	}
	if line {
		a = room(&s.a, g.k)
		for p := range a {
			a[p] = g.a[p*aStep]
		}
		if aStep = 1; g.alpha != 1 {
			scaleRow(a, g.alpha)
		}
	}
	if packed {
		room(&s.b, cols*kc)
	}
	for j := 0; j < g.n; {
		c := g.c[j:min(j+cols, g.n)]
		if left := g.n - j - len(c); grouped && left > 0 {
			c = c[:len(c)-max(0, lanes-left)] // leaves a whole group
		}
		switch {
		case g.beta != 0:
		case g.ep.Bias != nil:
			copy(c, g.ep.Bias[j:])
		default:
			clear(c)
		}
		args := &asm.Gemm{AStep: 4 * aStep, BStep: 4 * g.ldb, C: &c[0], Cols: len(c)}
		for p0 := 0; p0 < g.k; p0 += kc {
			p1 := min(p0+kc, g.k)
			if grouped {
				g.rowGroups(isa, lanes, j, c, a[p0:p1], p0)
				continue
			}
			if packed {
				args.BStep = 4 * cols
				asm.PackTrans(isa, &s.b[0], args.BStep, &g.b[g.atB(p0, j)], 4*g.ldb, len(c), p1-p0)
			}
			for p := p0; p < p1; {
				args.A = &a[p*aStep]
				if packed {
					args.B = &s.b[(p-p0)*cols]
				} else {
					args.B = &g.b[g.atB(p, j)]
				}
				steps := asm.RowSteps(isa, p1-p)
				args.K = min(p1-p, gemmCallRow/max(gemmCallCols, args.Cols)) / steps * steps
				p += args.K
				asm.GemmRow(isa, steps, args)
			}
		}
		if g.end(args, 0, j); args.End != asm.EndNone {
			asm.GemmRowEnd(isa, args)
		}
		j += len(c)
	}
	g.finish()
}

// rowGroups does len(a) steps of k from p on for a row's columns c from j on, at least as many
// as a group has, in four groups: they overlap if there are fewer columns than four have.
func (g *gemm) rowGroups(isa cpu.ISA, lanes, j int, c, a []float32, p int) {
	group := func(i int) (b, to *float32) {
		at := min(i*lanes, len(c)-lanes)
		return &g.b[g.atB(p, j+at)], &c[at]
	}
	b0, c0 := group(0)
	b1, c1 := group(1)
	b2, c2 := group(2)
	b3, c3 := group(3)
	asm.GemvTrans(isa, len(a), &a[0], b0, b1, b2, b3, 4*g.ldb, c0, c1, c2, c3)
}

// thin tells whether a product of few columns is faster as its transpose, since its vectors
// would be half empty. A single column is, since it becomes a single row, but for a few rows
// of A that would have to be transposed. Several are not for a short k, nor, where A, along
// whose rows the lanes would lie, has to be transposed just for that, for more columns than
// half a vector's or where a panel of A would be too long for L1. Nor is it faster than a
// narrow tile without an idle lane, as for ten columns, while A stays in L2 and if there are
// enough rows for the transpose to have no advantage in its few tiles: 24.6 against 22.9 flop
// a cycle for 100×10×128 with A transposed.
func (g *gemm) thin(shape *asm.GemmShape) bool {
	lanes := shape.Lanes
	if g.n == 1 {
		return g.k > 0 && g.alpha == 1 && (bool(g.tA) || g.m > lanes)
	}
	if g.n >= 2*lanes || g.n%lanes == 0 || g.m < min(4*lanes, 32) || g.k < max(16, 48*g.n/lanes) || g.alpha != 1 {
		return false
	}
	if g.part(shape, g.n, g.m) == g.n-lanes && g.m >= 64 && g.m*g.k <= 1<<16 {
		return false
	}
	return bool(g.tA) || shape.Together || g.n <= lanes/2 && g.k >= 384/lanes && g.k <= 320
}

// transposed does a product as its transpose: the lanes lie along its rows.
func (g *gemm) transposed(isa cpu.ISA, shape *asm.GemmShape) {
	const rows = 480 // at a time
	s := getScratch()
	for i0 := 0; i0 < g.m; i0 += rows {
		m := min(rows, g.m-i0)
		pitch := ceil(m, 16)*16 + 16 // as in packA
		c := room(&s.c, g.n*pitch)
		part := *g
		part.slice(i0, i0+m, 0, g.n)
		t := &gemm{
			tA: !g.tB, tB: !g.tA, m: g.n, n: m, k: g.k, alpha: 1,
			a: g.b, lda: g.ldb, b: part.a, ldb: g.lda,
			beta: g.beta, c: c, ldc: pitch,
			ep: Epilogue{Act: g.ep.Act},
		}
		inPlace := g.n == 1 && g.ldc == 1 // a column without gaps is a row
		switch {
		case inPlace:
			t.c = part.c
		case g.beta != 0:
			asm.PackTrans(isa, &c[0], 4*pitch, &part.c[0], 4*g.ldc, m, g.n)
		}
		if g.ep.Bias != nil { // to start from
			t.beta = 1
			for i, x := range g.ep.Bias {
				row := t.c[i*pitch:][:m]
				for j := range row {
					row[j] = x
				}
			}
		}
		if g.n == 1 {
			t.row(isa)
		} else {
			t.blocked(isa, shape, false)
		}
		if !inPlace {
			asm.CopyTrans(isa, &part.c[0], 4*g.ldc, &c[0], 4*pitch, g.n, m)
		}
		part.pass(false, g.ep.Deriv != Identity)
	}
	gemmScratch.Put(s)
}

// operand is how the micro-kernel walks A, in bytes: from a row to the next, and
// from one k to the next.
type operand struct {
	at           *float32
	stride, step int
}

// packs says which operands are copied to where they lie close together.
//
// B always if it is transposed, since the kernel wants it along a row. Else if some tiles
// share the copy, the more of them the sooner: if its rows lie across cache lines, which
// took the large tiles a third longer; if its stride maps its rows to few sets of the
// cache; or if it is too large for L1. The first tile makes the copy as it reads, and takes
// longer for it: while m is 16 or less, B in L2 and L3 is as good without, and up to a
// sixth faster.
//
// A if alpha has to be multiplied in, if the kernel wants its rows side by side and
// they are not, or if it is transposed and the steps of k are so far apart that each is
// another page, or lie in few sets of the cache: 512×512×512 took a fifth longer.
func (g *gemm) packs(shape *asm.GemmShape) (a, b bool) {
	a = g.alpha != 1 || shape.Together && !bool(g.tA) ||
		bool(g.tA) && g.n > 64 && (g.lda >= 1024 || g.lda >= 512 && g.lda%256 == 0)
	large, across := g.n*g.k > 1<<13, g.ldb%8 != 0
	switch {
	case bool(g.tB):
		b = true
	case g.m <= shape.Heights[2]: // mostly one tile
	case g.m <= 8:
		b = large && across || g.ldb%1024 == 0
	case g.m <= 16:
		b = across || g.ldb%1024 == 0
	default:
		b = large || across || g.ldb%256 == 0
	}
	return a, b
}

// form is the shape of a panel and of its tiles.
type form struct {
	isa                cpu.ISA
	vecs, part, height int  // of a tile: vectors, columns more of a narrow one, rows
	few                bool // as the instruction set's shape has it
	cols, last         int  // of C, and those of its last vector or of a narrow tile's part
	width              int  // from a row of packed B to the next, in elements
	padded             bool // B has no elements for some lanes
}

// form gives the form of a panel of some rows, where left columns are left: three vectors
// wide, two where a single one would be left over or where one or two higher tiles do all
// rows, since each tile has to read B, and a narrow one at the end where that pays. A few
// columns more than whole vectors of AVX-512 are left to AVX2's tiles.
func (g *gemm) form(isa cpu.ISA, shape *asm.GemmShape, left, rows int) form {
	vecs := ceil(left, shape.Lanes)
	if rest := left % shape.Lanes; isa == cpu.AVX512 && 0 < rest && rest <= fewColumns {
		if vecs--; vecs == 0 {
			narrower := asm.GemmShapeOf(cpu.AVX2)
			isa, shape = cpu.AVX2, &narrower
			vecs = ceil(left, shape.Lanes)
		}
	}
	lanes := shape.Lanes
	part := g.part(shape, left, rows)
	if part > 0 && vecs == 2 {
		return form{
			isa: isa, vecs: 1, part: part, height: shape.Narrow, few: true,
			cols: left, last: left - lanes, width: 2 * lanes, padded: left < lanes+part,
		}
	}
	if part > 0 {
		vecs -= 2 // what the narrow one will leave
	}
	high := shape.Heights[2]
	switch {
	case vecs == 4 || vecs > 4 && rows <= 2*high && ceil(rows, high) < ceil(rows, shape.Heights[3]):
		vecs = 2
	case vecs > 4:
		vecs = 3
	}
	width := vecs * lanes
	cols := min(left, width)
	return form{
		isa: isa, vecs: vecs, height: shape.Heights[vecs], few: shape.Few[vecs],
		cols: cols, last: cols - (vecs-1)*lanes, width: width, padded: cols < width,
	}
}

// part is how many columns the narrow tile has besides a vector that is to do the last
// of the columns left, or 0 if there shall be none. It is worth it where most lanes of
// another vector would be idle; but not for a short k, since a tile takes some 25 cycles
// longer to begin and to end, nor where few rows are left over, since the shorter narrow
// tiles take as long as some of twice their height.
func (g *gemm) part(shape *asm.GemmShape, left, rows int) int {
	lanes, narrow := shape.Lanes, shape.Narrow
	if narrow == 0 || left < lanes || g.k < 16 || rows%narrow != 0 && rows < 4*narrow || g.derivesInTile() {
		return 0
	}
	switch rest := left % lanes; {
	case rest == 0 || rest > lanes/2:
		return 0
	case rest <= lanes/4:
		return lanes / 4
	}
	return lanes / 2
}

// end sets what becomes of finished elements, from row i and column j on.
func (g *gemm) end(args *asm.Gemm, i, j int) {
	if g.ep.Act == ActReLU {
		args.End = asm.EndReLU
	}
	if g.derivesInTile() {
		args.End = asm.EndDeriveReLU
		args.Y, args.YStride = &g.ep.Y[i*g.ep.LdY+j], 4*g.ep.LdY
	}
}

// panel is a panel of C to be computed, and what is wanted afterwards.
type panel struct {
	form
	rows    int // of C, in the order in which they are done
	args    asm.Gemm
	next    fetch // the next panel of B
	fetched int   // rows of C
}

// fetch is memory to be fetched ahead: rows, step bytes apart. Its address is a number, also of
// what is copied: the product holds the array, and has it on the heap, since gemmTasks keep it.
type fetch struct {
	at         uintptr
	step, rows int
	fast       bool     // as many rows at a time as it takes to fetch all, since they are packed
	to         *float32 // if not nil, they are copied to there, as a packed panel
}

// copies tells whether the tiles can copy a next panel of the given form: if it is whole and
// as wide as this one, and there are enough tiles for it, all of which heed Copy.
func (p *panel) copies(b *gemmBlock, next *form) bool {
	if p.rows <= 2*p.height || next.vecs != p.vecs || next.isa != p.isa || next.padded {
		return false
	}
	lowest, least := 1, b.shape.Copying[p.vecs]
	if !p.few {
		lowest = p.rows / ceil(p.rows, p.height)
	}
	return least > 0 && lowest >= least
}

// copied tells whether all is where it was to be copied to.
func (f *fetch) copied() bool { return f.to != nil && f.rows <= 0 }

// run does the tiles, one after the other, the rows split evenly over the fewest tiles
// if there are all heights. The first one packs B, if it has to be.
func (p *panel) run() {
	args := &p.args
	left := ceil(p.rows, p.height) // tiles
	low := p.rows / left
	more := p.rows - low*left // tiles are one row higher
	limit := p.rows           // in a call
	if work := max(gemmCallCols, p.width) * max(1, args.K); work*p.rows > gemmCall {
		limit = max(p.height, gemmCall/work)
	}
	for done := 0; ; {
		height, t := low, left
		switch {
		case p.few:
			for height = p.height; height > p.rows-done; {
				height = 1 << (bits.Len(uint(height-1)) - 1)
			}
			t = (p.rows - done) / height
		case more > 0:
			height, t = low+1, more
		}
		if t*height > limit {
			t = limit / height
		}
		if args.Pack != nil {
			t = 1
		} else {
			t = p.ahead(done, height, t)
		}
		args.Tiles = t
		asm.GemmTile(p.isa, height, p.vecs, p.part, args)
		left, more = left-t, more-t
		if done+height*t == p.rows {
			return
		}
		if args.Pack != nil {
			args.B, args.BStep, args.Pack = args.Pack, 4*p.width, nil
		}
		// The places move on only now, so that no pointer leaves its slice.
		down := height * t
		done += down
		args.A = forward(args.A, down*args.AStride)
		args.C = forward(args.C, down*args.CStride)
		args.Y = forward(args.Y, down*args.YStride)
	}
}

// turn has the rows done from the last one up.
func (p *panel) turn() {
	args, last := &p.args, p.rows-1
	args.A, args.AStride = forward(args.A, last*args.AStride), -args.AStride
	args.C, args.CStride = forward(args.C, last*args.CStride), -args.CStride
	args.Y, args.YStride = forward(args.Y, last*args.YStride), -args.YStride
}

// forward is the element some bytes behind p's, or before it. As a sum of numbers, not as
// unsafe.Add: in tests with the race detector, this has the compiler's checkptr see
// to it that the two lie in one allocation.
func forward(p *float32, bytes int) *float32 {
	return (*float32)(unsafe.Pointer(uintptr(unsafe.Pointer(p)) + uintptr(bytes)))
}

// ahead says what the next t tiles fetch ahead, or how many fewer than t of them
// shall fetch it: first the rows of C after them, if they do not overtake the
// fetching, and then the next panel of B. Both are far apart in memory, so the
// processor does not foresee them. The last of a kind begins early enough to end
// with it: what is beyond may be another thread's. Only of B, while it is copied, some rows
// beyond are fetched as well.
func (p *panel) ahead(done, height, t int) int {
	args := &p.args
	args.AheadRows, args.Copy = 0, nil
	each := ceil(args.K, asm.AheadEvery) // rows a tile
	from := max(p.fetched, done+height)
	switch {
	case each >= height && from < p.rows && done+height+each <= p.rows:
		from = min(from, p.rows-each)
		t = min(t, (p.rows-from)/each)
		args.Ahead = uintptr(unsafe.Pointer(args.C)) + uintptr((from-done)*args.CStride)
		args.AheadStep, args.AheadRows = args.CStride, 1
		p.fetched = from + t*each
	case each > 0 && p.next.rows > 0:
		args.AheadRows = 1
		if p.next.fast {
			args.AheadRows = min(ceil(p.next.rows, each*t), 8)
			each *= args.AheadRows
		}
		back := max(0, each-p.next.rows)
		t = min(t, max(1, p.next.rows/each))
		args.Ahead, args.AheadStep = p.next.at-uintptr(back*p.next.step), p.next.step
		if p.next.to != nil {
			args.Copy = forward(p.next.to, 4*p.width*(args.K-p.next.rows-back))
		}
		p.next.at += uintptr(t * each * p.next.step)
		p.next.rows -= t * each
	}
	return t
}

// packA copies a block of op(A), times alpha, to the scratch: one row after the other, or
// side by side if the kernel wants them so.
func (g *gemm) packA(b *gemmBlock) operand {
	const rows = 32 // that a call transposes: whole vectors, and no longer than is good
	together := b.shape.Together
	lines, length := b.mc, b.kc
	if together {
		lines, length = b.kc, b.mc
	}
	// 16 floats more than whole cache lines: the lines of one column fall into
	// different sets.
	pitch := ceil(length, 16)*16 + 16
	dst := room(&b.scratch.a, lines*pitch)
	first := g.atA(b.i0, b.p0)
	if together == bool(g.tA) {
		for l := range lines {
			copy(dst[l*pitch:][:length], g.a[first+l*g.lda:])
		}
	} else {
		for l := 0; l < length; l += rows {
			asm.PackTrans(b.isa, &dst[l], 4*pitch, &g.a[first+l*g.lda], 4*g.lda, min(rows, length-l), lines)
		}
	}
	if g.alpha != 1 {
		for l := range lines {
			scaleRow(dst[l*pitch:][:length], g.alpha)
		}
	}
	if together {
		return operand{&dst[0], 4, 4 * pitch}
	}
	return operand{&dst[0], 4 * pitch, 4}
}
