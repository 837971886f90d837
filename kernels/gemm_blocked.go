package kernels

import (
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
//  5. columns of C, blocks of gemmNC: a packed block of B stays in L3
//  4. k, blocks of at most gemmKC: a packed panel of B stays in L1
//  3. rows of C, blocks of at most gemmMC: a block of A stays in L2
//  2. columns, panels as wide as a tile
//  1. rows, tiles: in assembly
const (
	gemmNC = 504
	gemmKC = 384
	gemmMC = 192
)

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
	t := gemmTask{gemm: *g, isa: cpu.Active(), rows: g.m, cols: g.n}
	if threads != 1 {
		t.cut(threads)
	}
	blocks := ceil(t.m, t.rows) * ceil(t.n, t.cols)
	if blocks == 1 {
		t.Range(0, 1)
		return
	}
	gemmTasks.run(threads, blocks, 1, t)
}

func ceil(a, b int) int { return (a + b - 1) / b }

// minBlock is the number of multiply-adds below which a block is not worth
// handing to another thread: some 2 µs.
const minBlock = 1 << 17

// cut chooses blocks for threads: strips of rows or of columns, along the longer
// side, since each packs the other operand for itself. Strips of rows are whole
// tiles, strips of columns whole vectors. There is one a thread, or two if they
// are long enough for the packing not to matter, so that a thread which is held
// up can be helped.
func (t *gemmTask) cut(threads int) {
	work := float64(t.m) * float64(t.n) * float64(max(1, t.k))
	if work < 2*minBlock {
		return
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if threads == 1 {
		return
	}
	parts := int(min(float64(threads), work/minBlock))
	if work/float64(threads) >= 64*minBlock {
		parts = 2 * threads
	}
	lanes, heights, _ := asm.GemmShape(t.isa)
	if t.n > t.m {
		t.cols = ceil(ceil(t.n, parts), max(lanes, 1)) * max(lanes, 1)
	} else {
		height := max(heights[len(heights)-1], 1)
		t.rows = ceil(ceil(t.m, parts), height) * height
	}
}

// Range does the blocks lo to hi.
func (t *gemmTask) Range(lo, hi int) {
	down := ceil(t.m, t.rows)
	for b := lo; b < hi; b++ {
		i, j := b%down*t.rows, b/down*t.cols
		g := t.gemm
		g.slice(i, min(t.m, i+t.rows), j, min(t.n, j+t.cols))
		lanes, _, _ := asm.GemmShape(t.isa)
		switch {
		case lanes == 0:
			gemmPortable(g.tA, g.tB, g.m, g.n, g.k, g.alpha, g.a, g.lda, g.b, g.ldb, g.beta, g.c, g.ldc, &g.ep)
		case g.k > 0 && g.m == 1 && !bool(g.tB):
			g.row(t.isa)
		case g.k > 0 && g.n < 2*lanes && g.n%lanes != 0 && g.m >= 4*lanes && g.alpha == 1:
			g.transposed(t.isa, lanes)
		default:
			g.blocked(t.isa)
		}
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

// blocked does the product with the micro-kernels of isa.
func (g *gemm) blocked(isa cpu.ISA) {
	g.scale()
	lanes, heights, together := asm.GemmShape(isa)
	s := getScratch()
	packA, packB := g.packs(together)
	for j0 := 0; j0 < g.n; j0 += gemmNC {
		j1 := min(g.n, j0+gemmNC)
		for p0 := 0; p0 == 0 || p0 < g.k; {
			kc := ceil(g.k-p0, max(1, ceil(g.k-p0, gemmKC)))
			room(&s.b, ceil(j1-j0, lanes)*lanes*kc)
			for i0 := 0; i0 < g.m; {
				mc := ceil(g.m-i0, ceil(g.m-i0, gemmMC))
				var a operand
				switch {
				case kc == 0:
				case packA:
					a = g.packA(isa, s, lanes, together, i0, mc, p0, kc)
				case bool(g.tA):
					a = operand{&g.a[g.atA(i0, p0)], 4, 4 * g.lda}
				default:
					a = operand{&g.a[g.atA(i0, p0)], 4 * g.lda, 4}
				}
				for j := j0; j < j1; {
					vecs := panelVecs(ceil(j1-j, lanes))
					cols := min(vecs*lanes, j1-j)
					args := asm.Gemm{
						A: a.at, AStride: a.stride, AStep: a.step, K: kc,
						C: &g.c[i0*g.ldc+j], CStride: 4 * g.ldc, Cols: cols - (vecs-1)*lanes,
					}
					edge := args.Cols != lanes
					switch {
					case kc == 0:
					case packB || edge: // the kernel reads whole vectors of B
						// Just before its first use, and to the same place if
						// that is its only one: it is still in L1 then.
						at := (j - j0) * kc
						if g.m <= gemmMC {
							at = 0
						}
						if i0 == 0 {
							g.packB(isa, s.b[at:], lanes, vecs, p0, kc, j, cols)
						}
						args.B, args.BStep = &s.b[at], 4*vecs*lanes
					default:
						args.B, args.BStep = &g.b[g.atB(p0, j)], 4*g.ldb
					}
					switch {
					case p0 > 0 || g.beta != 0:
						args.Start = asm.StartC
					case g.ep.Bias != nil:
						args.Start, args.Bias = asm.StartBias, &g.ep.Bias[j]
					case g.rowBias != nil:
						args.Start, args.Bias = asm.StartRowBias, &g.rowBias[i0]
					}
					if p0+kc == g.k {
						g.end(&args, i0, j)
					}
					rows(isa, &args, mc, heights[vecs], vecs, edge)
					j += cols
				}
				i0 += mc
			}
			p0 += max(1, kc)
		}
	}
	gemmScratch.Put(s)
	g.activate()
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

// activate applies the activations that the kernels leave.
func (g *gemm) activate() {
	if g.ep.Act <= ActReLU {
		return
	}
	for i := range g.m {
		row := g.c[i*g.ldc:][:g.n]
		for len(row) > block {
			activate(g.ep.Act, row[:block], row[:block])
			row = row[block:]
		}
		activate(g.ep.Act, row, row)
	}
}

// row does a product of one row, some steps of k at a time over all columns: B
// is read in the order in which it lies.
func (g *gemm) row(isa cpu.ISA) {
	const cols = 2048 // these of C stay in L1
	g.scale()
	a, aStep := g.a, 1
	if g.tA {
		aStep = g.lda
	}
	if g.alpha != 1 {
		s := getScratch()
		defer gemmScratch.Put(s)
		scaled := room(&s.a, g.k)
		for p := range scaled {
			scaled[p] = g.alpha * a[p*aStep]
		}
		a, aStep = scaled, 1
	}
	for j := 0; j < g.n; j += cols {
		args := asm.Gemm{AStep: 4 * aStep, BStep: 4 * g.ldb, C: &g.c[j], Cols: min(cols, g.n-j)}
		switch {
		case g.beta != 0:
			args.Start = asm.StartC
		case g.ep.Bias != nil:
			args.Start, args.Bias = asm.StartBias, &g.ep.Bias[j]
		}
		for p := 0; p < g.k; {
			args.A, args.B = &a[p*aStep], &g.b[p*g.ldb+j]
			steps := asm.RowSteps(isa, g.k-p)
			if p+steps == g.k {
				g.end(&args, 0, j)
			}
			asm.GemmRow(isa, steps, &args)
			args.Start = asm.StartC
			p += steps
		}
	}
	g.activate()
}

// transposed does a product of few columns as its transpose, so that the lanes
// lie along the many rows: a vector for the columns would be half empty.
func (g *gemm) transposed(isa cpu.ISA, lanes int) {
	const rows = 480 // at a time
	s := getScratch()
	for i0 := 0; i0 < g.m; i0 += rows {
		m := min(rows, g.m-i0)
		pitch := ceil(m, 16)*16 + 16 // as in packA
		c := room(&s.c, g.n*pitch)
		part := *g
		part.slice(i0, i0+m, 0, g.n)
		t := gemm{
			tA: !g.tB, tB: !g.tA, m: g.n, n: m, k: g.k, alpha: 1,
			a: g.b, lda: g.ldb, b: part.a, ldb: g.lda,
			beta: g.beta, c: c, ldc: pitch,
			ep: Epilogue{Act: g.ep.Act}, rowBias: g.ep.Bias,
		}
		if g.beta != 0 {
			for i := 0; i < m; i += lanes {
				asm.PackTrans(isa, &c[i], 4*pitch, &part.c[i*g.ldc], 4*g.ldc, min(lanes, m-i), g.n)
			}
		}
		t.blocked(isa)
		for j := 0; j < g.n; j += lanes {
			asm.CopyTrans(isa, &part.c[j], 4*g.ldc, &c[j*pitch], 4*pitch, min(lanes, g.n-j), m)
		}
		if g.ep.Deriv != Identity {
			for i := range m {
				row := part.c[i*g.ldc:][:g.n]
				derive(g.ep.Deriv, row, row, part.ep.Y[i*g.ep.LdY:][:g.n])
			}
		}
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
// B always if it is transposed, since the kernel wants it along a row. Else if
// enough rows of A share the copy and B is too large for L1, or its stride maps
// its rows to few sets of the cache.
//
// A if its stride, too, would make its rows collide, if alpha has to be
// multiplied in, or if the kernel wants its rows side by side and they are not.
func (g *gemm) packs(together bool) (a, b bool) {
	a = g.alpha != 1 || g.lda >= 1024 && g.n > 64 || together && !bool(g.tA)
	b = bool(g.tB) || g.m > 32 && (g.n*g.k > 1<<13 || g.ldb%256 == 0)
	return a, b
}

// panelVecs is how many vectors the next panel takes if so many are left: three,
// and two where a single one would be left over.
func panelVecs(left int) int {
	switch left {
	case 1, 2, 3:
		return left
	case 4:
		return 2
	}
	return 3
}

// end sets what becomes of finished elements, from row i and column j on.
func (g *gemm) end(args *asm.Gemm, i, j int) {
	if g.ep.Act == ActReLU {
		args.End = asm.EndReLU
	}
	if g.ep.Deriv != Identity {
		args.End = [...]int{ActReLU: asm.EndDeriveReLU, ActSigmoid: asm.EndDeriveSigmoid, ActTanh: asm.EndDeriveTanh}[g.ep.Deriv]
		args.Y, args.YStride = &g.ep.Y[i*g.ep.LdY+j], 4*g.ep.LdY
	}
}

// rows does the tiles of a panel, one below the other: n rows split evenly over
// the fewest tiles of at most height rows.
func rows(isa cpu.ISA, args *asm.Gemm, n, height, vecs int, edge bool) {
	tiles := ceil(n, height)
	low, more := n/tiles, n%tiles
	if more > 0 {
		args.Tiles = more
		asm.GemmTile(isa, low+1, vecs, edge, args)
	}
	if more < tiles {
		// The places move on only now, so that no pointer leaves its slice.
		above := (low + 1) * more
		args.A = (*float32)(unsafe.Add(unsafe.Pointer(args.A), above*args.AStride))
		args.C = (*float32)(unsafe.Add(unsafe.Pointer(args.C), above*args.CStride))
		args.Y = (*float32)(unsafe.Add(unsafe.Pointer(args.Y), above*args.YStride))
		if args.Start == asm.StartRowBias {
			args.Bias = (*float32)(unsafe.Add(unsafe.Pointer(args.Bias), above*4))
		}
		args.Tiles = tiles - more
		asm.GemmTile(isa, low, vecs, edge, args)
	}
}

// packB copies rows p0 to p0+kc of op(B), the cols columns from j on, to dst: the
// vectors of one row lie together, then those of the next.
func (g *gemm) packB(isa cpu.ISA, dst []float32, lanes, vecs, p0, kc, j, cols int) {
	if !g.tB {
		asm.PackRows(isa, vecs, &dst[0], &g.b[g.atB(p0, j)], 4*g.ldb, cols-(vecs-1)*lanes, kc)
		return
	}
	for c := 0; c < cols; c += lanes {
		asm.PackTrans(isa, &dst[c], 4*vecs*lanes, &g.b[g.atB(p0, j+c)], 4*g.ldb, min(lanes, cols-c), kc)
	}
}

// packA copies rows i0 to i0+mc of op(A), columns p0 to p0+kc, times alpha, to
// s.a: in the order in which A has them, or transposed if the kernel wants the
// rows side by side.
func (g *gemm) packA(isa cpu.ISA, s *scratch, lanes int, together bool, i0, mc, p0, kc int) operand {
	lines, length := mc, kc
	if bool(g.tA) || together {
		lines, length = kc, mc
	}
	// 16 floats more than whole cache lines: the lines of one column fall into
	// different sets.
	pitch := ceil(length, 16)*16 + 16
	dst := room(&s.a, lines*pitch)
	first := g.atA(i0, p0)
	if together && !bool(g.tA) {
		for i := 0; i < mc; i += lanes {
			asm.PackTrans(isa, &dst[i], 4*pitch, &g.a[first+i*g.lda], 4*g.lda, min(lanes, mc-i), kc)
		}
	} else {
		for l := range lines {
			copy(dst[l*pitch:][:length], g.a[first+l*g.lda:])
		}
	}
	if g.alpha != 1 {
		for l := range lines {
			scaleRow(dst[l*pitch:][:length], g.alpha)
		}
	}
	if bool(g.tA) || together {
		return operand{&dst[0], 4, 4 * pitch}
	}
	return operand{&dst[0], 4 * pitch, 4}
}
