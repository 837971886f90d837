package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"github.com/lockstep-go/lockstep/gen/vec"
)

// tile is the shape of a micro-kernel: rows × vecs vectors of C stay in
// registers while k runs. The last vector of C has 1 to Lanes columns, unless the
// tile is a narrow one with part columns more.
type tile struct{ rows, vecs, part int }

func (t tile) name() string {
	if t.part > 0 {
		return fmt.Sprintf("gemm%dx%dplus%d", t.rows, t.vecs, t.part)
	}
	return fmt.Sprintf("gemm%dx%d", t.rows, t.vecs)
}

// program describes the tile's micro-kernel.
func (t tile) program(target *vec.Target) *vec.Program {
	if t.part > 0 {
		return narrowProgram(target, t)
	}
	return gemmProgram(target, t)
}

// heights are the greatest numbers of rows for each width in vectors. The
// accumulators, a row of B and one element of A have to fit into the vector
// registers: 16 on AVX2, 32 on AVX-512 and NEON.
var heights = map[*vec.Target]map[int]int{
	vec.AVX2:   {1: 12, 2: 6, 3: 4},
	vec.AVX512: {1: 8, 2: 8, 3: 9},
	vec.NEON:   {1: 8, 2: 8, 3: 8},
}

// few tells, for each width in vectors, where there are tiles of the greatest height and
// of the powers of two below it; elsewhere there are all heights, so that rows can be
// split evenly. Where there are 32 registers, a tile of half the height still has enough
// accumulators to keep the multiply-adds going, and one vector is the width of what is
// left over at the right.
var few = map[*vec.Target][4]bool{
	vec.AVX2:   {1: true},
	vec.AVX512: {1: true, 2: true, 3: true},
	vec.NEON:   {1: true, 2: true, 3: true},
}

// packs tells whether the tile may be the first that does a panel, and so has to pack it.
// Of the narrow ones the highest always is. Single rows never are: one row of C, and one
// column as its transpose, is done by the row kernels.
func (t tile) packs(target *vec.Target) bool {
	if t.part > 0 {
		return t.rows == narrowRows[target][0]
	}
	return t.rows > 1
}

// unrolls tells whether the tile's loop over k does some steps in a round. AVX2's large
// tiles have 19 instructions for 12 multiply-adds, which take 6 cycles, and 4 or more to
// go on to the next step: no matter for a thread that has a core to itself, but of two
// that share one, each has half of the instructions that it can take. On a Zen 3 whose
// other thread was busy, rounds made the large tiles 4 to 11 % faster. The instructions of
// AVX-512 do twice as much, and most of NEON's processors do not share a core.
func (t tile) unrolls(target *vec.Target) bool {
	return target == vec.AVX2 && t.part == 0 && t.vecs > 1 && t.rows*t.vecs >= 8
}

// copying are, for each width in vectors, the least numbers of rows of the tiles that heed
// Copy. AVX2's lower ones do not occur where there are enough tiles for copying to pay. One
// vector is the width of what is left over, and NEON has not been measured.
var copying = map[*vec.Target][4]int{
	vec.AVX2:   {2: 4, 3: 3},
	vec.AVX512: {2: 1, 3: 1},
}

// copies tells whether the tile heeds Copy.
func (t tile) copies(target *vec.Target) bool {
	least := copying[target][t.vecs]
	return t.part == 0 && least > 0 && t.rows >= least
}

// packsFar tells whether the tile can fetch what it packs: the one that packs the first
// panel of most products. The panels after it have been copied or fetched by tiles of the
// one before; to fetch these again took a twelfth of the time of 8×512×512 with odd strides.
func (t tile) packsFar(target *vec.Target) bool {
	return target.GOARCH == "amd64" && t.vecs == 3 && t.rows == heights[target][3]
}

// tiles lists the micro-kernels of a target.
func tiles(t *vec.Target) []tile {
	var list []tile
	for _, vecs := range widths(t) {
		for rows := heights[t][vecs]; rows > 0; {
			list = append(list, tile{rows, vecs, 0})
			rows--
			if few[t][vecs] && rows > 0 {
				rows = 1 << (bits.Len(uint(rows)) - 1)
			}
		}
	}
	return append(list, narrowTiles(t)...)
}

// widths lists the widths of a target's tiles in vectors.
func widths(t *vec.Target) []int {
	return slices.Sorted(maps.Keys(heights[t]))
}

// gemmFields are the arguments of a micro-kernel, 8 bytes each.
var gemmFields = []struct{ name, typ, doc string }{
	{"A", "*float32", "the first row's first element"},
	{"B", "*float32", "the panel; every row of it is whole vectors wide, unless Pack is set"},
	{"Pack", "*float32", "if not nil, where to copy the panel: one row after the other, padded with zeros to whole vectors"},
	{"C", "*float32", ""},
	{"Bias", "*float32", "for StartBias: one for each column"},
	{"Y", "*float32", "for EndDeriveReLU: the results of the activation"},
	{"Copy", "*float32", "if not nil, where to copy the rows at Ahead, one after the other; rows a little further on are fetched then, as a whole"},
	{"Ahead", "uintptr", "what to fetch for later, unless Pack is set: of rows as long as the panel's, the first and the last element"},
	{"AStride", "int", "from one row of A to the next, in bytes; less than 0 where the rows go up"},
	{"AStep", "int", "from one k to the next in A, in bytes"},
	{"BStep", "int", "from one k to the next in B, in bytes"},
	{"CStride", "int", "from one row of C to the next, in bytes"},
	{"YStride", "int", "from one row of Y to the next, in bytes"},
	{"AheadStep", "int", "from one row at Ahead to the next, in bytes"},
	{"AheadRows", "int", "how many of these in every AheadEvery steps of k; with Pack set and if not 0, the highest tile of three vectors fetches what it packs"},
	{"K", "int", "of GemmRow, a multiple of its steps and not 0"},
	{"Tiles", "int", "how many tiles to do, of the rows after each other; at least 1"},
	{"Cols", "int", "columns of the last vector, 1 to a whole one"},
	{"Start", "int", "where the accumulators start"},
	{"End", "int", "what is done to them at the end"},
}

// aheadEvery is the number of steps of k before each of which some rows are fetched ahead,
// by the lines of their first and their last element, or copied. A line from memory takes some 500
// cycles and a core waits for no more than about 24 at a time: there is one in 21 cycles,
// while 16 steps of the large tiles take 96. From L3, several rows come in that time.
const aheadEvery = 16

// line is the size of a cache line in bytes.
const line = 64

// copyAhead is how many rows before a row is packed or copied its lines are fetched. In a
// stride of many KiB, those of more rows would compete for few sets of the cache.
const copyAhead = 8

// The values of the fields Start and End.
var (
	gemmStarts = []string{"StartZero", "StartC", "StartBias"}
	gemmEnds   = []string{"EndNone", "EndReLU", "EndDeriveReLU"}
)

// gemmField is the place of a field of the arguments at g.
func gemmField(g vec.R, name string) vec.Mem {
	for i, f := range gemmFields {
		if f.name == name {
			return g.At(8 * i)
		}
	}
	panic("no field " + name)
}

func indexOf(list []string, name string) int {
	for i, s := range list {
		if s == name {
			return i
		}
	}
	panic("no " + name)
}

// gemmProgram describes a micro-kernel:
//
//	c = 0, C or the bias
//	c = fma(A[i,p], B[p,j], c)  for p = 0 … K-1
//	C = c, through ReLU or times its derivative
func gemmProgram(target *vec.Target, t tile) *vec.Program {
	p := vec.New(target, t.name(), false, []vec.Param{{Name: "args", Type: vec.PtrGemm}},
		fmt.Sprintf("%s is the micro-kernel for tiles of %d rows and %d vectors.", t.name(), t.rows, t.vecs))
	g := p.Param("args")
	field := func(name string) vec.Mem { return gemmField(g, name) }
	width := p.Lanes * 4
	each := func(row vec.R, f func(j int, m vec.Mem)) {
		for j := range t.vecs {
			f(j, row.At(j*width))
		}
	}
	var last *vec.Tail
	tail := func() { last = p.NewTail(p.LoadR(field("Cols"))) }
	// vectors calls f for the vectors of a row, the last one as a tail.
	vectors := func(row vec.R, f func(j int, m vec.Mem)) {
		each(row, func(j int, m vec.Mem) {
			if j == t.vecs-1 {
				p.InTail(last, func() { f(j, m) })
			} else {
				f(j, m)
			}
		})
	}
	acc := make([][]vec.V, t.rows)
	for i := range acc {
		acc[i] = make([]vec.V, t.vecs)
		for j := range acc[i] {
			acc[i][j] = p.Vec(32)
		}
	}
	// rowsOf calls f for each row of a tile of C or Y.
	rowsOf := func(first vec.R, stride vec.Mem, f func(i int, row vec.R)) {
		row, by := p.Copy(first), p.LoadR(stride)
		for i := range t.rows {
			if i > 0 {
				p.AddR(row, by)
			}
			f(i, row)
		}
	}

	// The current tile's places in A, C and Y, in the frame: the registers are
	// needed for k.
	local := func(i int) vec.Mem { return p.Frame(128, 8*i) }
	const atA, atC, atY, atAhead, left, atCopy = 0, 1, 2, 3, 4, 5
	places := []string{atA: "A", atC: "C", atY: "Y", atAhead: "Ahead", left: "Tiles"}
	if t.copies(target) {
		places = append(places, "Copy")
	}
	for i, name := range places {
		p.StoreR(local(i), p.LoadR(field(name)))
	}

	next := p.NewLabel()
	p.Here(next)

	tail()
	fromC, fromBias, started := p.NewLabel(), p.NewLabel(), p.NewLabel()
	start := p.LoadR(field("Start"))
	p.JumpEqual(start, indexOf(gemmStarts, "StartC"), fromC)
	p.JumpEqual(start, indexOf(gemmStarts, "StartBias"), fromBias)
	for i := range acc {
		for j := range acc[i] {
			p.Zero(acc[i][j])
		}
	}
	p.Jump(started)
	p.Here(fromC)
	rowsOf(p.LoadR(local(atC)), field("CStride"), func(i int, row vec.R) {
		vectors(row, func(j int, m vec.Mem) { p.LoadTo(acc[i][j], m) })
	})
	p.Jump(started)
	p.Here(fromBias)
	vectors(p.LoadR(field("Bias")), func(j int, m vec.Mem) {
		p.LoadTo(acc[0][j], m)
		for i := 1; i < t.rows; i++ {
			p.Set(acc[i][j], acc[0][j])
		}
	})
	p.Here(started)

	aStride := p.LoadR(field("AStride"))
	a := p.NewColumn(p.LoadR(local(atA)), aStride, t.rows)
	aStep := p.LoadR(field("AStep"))
	s := steps{atAhead: local(atAhead), pitch: t.vecs * p.Lanes, cols: t.vecs * p.Lanes, packFar: t.packsFar(target)}
	if t.packs(target) {
		s.pack = func(b, pack vec.R) []vec.V {
			row := make([]vec.V, t.vecs)
			vectors(b, func(j int, m vec.Mem) { row[j] = p.Load(32, m) })
			each(pack, func(j int, m vec.Mem) { p.Store(m, row[j]) })
			return row
		}
	}
	s.load = func(b vec.Mem) []vec.V {
		row := make([]vec.V, t.vecs)
		for j := range row {
			row[j] = p.Load(32, b.Plus(j*width))
		}
		return row
	}
	s.step = func(row []vec.V) {
		a.Load()
		for i := range t.rows {
			a.FMA(i, acc[i], row)
		}
		a.Advance(aStep)
	}
	if t.copies(target) {
		s.atCopy = local(atCopy)
		s.copy = func(to, from vec.R) {
			for j, x := range s.load(from.At(0)) {
				p.Store(to.At(j*width), x)
			}
		}
	}
	if t.unrolls(target) {
		s.unroll = func() (rounds func(n, b, bStep vec.R), rest func()) {
			apart := a.Apart(aStep)
			rounds = func(n, b, bStep vec.R) {
				apart.Begin()
				p.Loop(n, func() {
					for q := range vec.Round {
						row := s.load(b.At(0).Times(bStep, q%2))
						if q%2 == 1 {
							p.AddTimes(b, bStep, 2)
						}
						for i := range t.rows {
							x := p.LoadSplat(32, apart.At(i, q))
							for j := range row {
								p.FMA(acc[i][j], x, row[j])
							}
						}
					}
					apart.Advance()
				})
			}
			return rounds, func() { p.LoadRTo(aStride, field("AStride")) } // which the rounds leave no register for
		}
	}
	s.describe(p, g)

	tail() // once more, so that the loops have its registers
	store := p.NewLabel()
	end := p.LoadR(field("End"))
	p.JumpZero(end, store)
	relu := p.NewLabel()
	p.JumpEqual(end, indexOf(gemmEnds, "EndReLU"), relu)
	rowsOf(p.LoadR(local(atY)), field("YStride"), func(i int, row vec.R) {
		vectors(row, func(j int, m vec.Mem) { p.Set(acc[i][j], deriveReLU(p, acc[i][j], p.Load(32, m))) })
	})
	p.Jump(store)
	p.Here(relu)
	zero := reluZero(p)
	for i := range acc {
		for j := range acc[i] {
			p.Set(acc[i][j], p.Max(zero, acc[i][j]))
		}
	}
	p.Here(store)
	whole, stored := p.NewLabel(), p.NewLabel()
	c, cStride := p.LoadR(local(atC)), field("CStride")
	cols := p.LoadR(field("Cols"))
	p.JumpEqual(cols, p.Lanes, whole)
	if !target.Masks { // then a short tail takes less code
		last = p.NewShortTail(cols)
	}
	rowsOf(c, cStride, func(i int, row vec.R) {
		vectors(row, func(j int, m vec.Mem) { p.Store(m, acc[i][j]) })
	})
	p.Jump(stored)
	p.Here(whole)
	rowsOf(c, cStride, func(i int, row vec.R) {
		each(row, func(j int, m vec.Mem) { p.Store(m, acc[i][j]) })
	})
	p.Here(stored)

	done := p.NewLabel()
	tilesLeft := p.LoadR(local(left))
	p.AddI(tilesLeft, -1)
	p.JumpZero(tilesLeft, done)
	p.StoreR(local(left), tilesLeft)
	for _, x := range []struct {
		at     int
		stride string
	}{{atA, "AStride"}, {atC, "CStride"}, {atY, "YStride"}} {
		at, by := p.LoadR(local(x.at)), p.LoadR(field(x.stride))
		p.AddTimes(at, by, t.rows)
		p.StoreR(local(x.at), at)
	}
	p.Jump(next)
	p.Here(done)
	p.Return()
	return p
}

// reluZero is the zero of many maxima: a constant, but on AVX2 a register, since VMAXPS would
// have to load the constant each time.
func reluZero(p *vec.Program) vec.V {
	if p.Target != vec.AVX2 {
		return p.F32(0)
	}
	zero := p.Vec(32)
	p.Zero(zero)
	return zero
}

// steps are what a tile does for the steps of k.
type steps struct {
	atAhead vec.Mem // where the place stands that is fetched ahead
	atCopy  vec.Mem // where the place stands that it is copied to
	cols    int     // of the panel
	pitch   int     // elements from a row of the packed panel to the next

	copy func(to, from vec.R)        // copies a row, if the tile can
	pack func(b, pack vec.R) []vec.V // reads a row of B and packs it, if the tile can
	load func(b vec.Mem) []vec.V     // reads a row that may be read as a whole
	step func(row []vec.V)           // multiplies, adds, and goes on to the next step in A

	packFar bool // whether rows of B that are packed are fetched before if AheadRows is not 0

	// If not nil: prepares rounds of vec.Round steps, and returns what does n of them and
	// what has to be done before the rest.
	unroll func() (rounds func(n, b, bStep vec.R), rest func())
}

// describe describes the loops over k.
func (s *steps) describe(p *vec.Program, g vec.R) {
	finish, packed := p.NewLabel(), p.NewLabel()
	k := p.LoadR(gemmField(g, "K"))
	p.JumpZero(k, finish)
	b, bStep := p.LoadR(gemmField(g, "B")), p.LoadR(gemmField(g, "BStep"))
	if s.pack != nil {
		to := p.LoadR(gemmField(g, "Pack"))
		p.JumpZero(to, packed)
		pack := func() {
			row := s.pack(b, to)
			p.AddI(to, 4*s.pitch)
			p.AddR(b, bStep)
			s.step(row)
		}
		if s.packFar {
			near := p.NewLabel()
			p.JumpZero(p.LoadR(gemmField(g, "AheadRows")), near)
			p.Loop(k, func() {
				s.fetch(p, b.At(0).Times(bStep, copyAhead), line)
				pack()
			})
			p.Jump(finish)
			p.Here(near)
		}
		p.Loop(k, pack)
		p.Jump(finish)
		p.Here(packed)
	}
	one := func() {
		row := s.load(b.At(0))
		p.AddR(b, bStep)
		s.step(row)
	}
	var rounds func(n, b, bStep vec.R)
	var rest func()
	if s.unroll != nil {
		rounds, rest = s.unroll()
	}
	stretch, some, short := p.NewLabel(), p.NewLabel(), p.NewLabel()
	n := p.Reg()
	p.Here(stretch)
	s.lookAhead(p, g, n)
	p.JumpLess(k, aheadEvery, short)
	p.AddI(k, -aheadEvery)
	if rounds != nil {
		p.MovI(n, aheadEvery/vec.Round)
		rounds(n, b, bStep)
		p.JumpZero(k, finish)
		p.Jump(stretch)
		p.Here(short)
		rest()
		p.Loop(k, one)
	} else {
		p.MovI(n, aheadEvery)
		p.Here(some)
		p.Loop(n, one)
		p.JumpZero(k, finish)
		p.Jump(stretch)
		p.Here(short)
		p.Mov(n, k)
		p.MovI(k, 0)
		p.Jump(some)
	}
	p.Here(finish)
}

// fetch fetches a row as long as the panel's: a line in so many bytes, and the last element's.
func (s *steps) fetch(p *vec.Program, row vec.Mem, every int) {
	for at := 0; at < 4*s.cols-4; at += every {
		p.Prefetch(row.Plus(at))
	}
	p.Prefetch(row.Plus(4*s.cols - 4))
}

// lookAhead describes what is done before each stretch of k for later: rows are fetched, or
// copied. It uses n.
func (s *steps) lookAhead(p *vec.Program, g, n vec.R) {
	p.LoadRTo(n, gemmField(g, "AheadRows"))
	fetched, none := p.NewLabel(), p.NewLabel()
	p.JumpZero(n, none)
	ahead, aheadStep := p.LoadR(s.atAhead), p.LoadR(gemmField(g, "AheadStep"))
	if s.copy != nil {
		only, to := p.NewLabel(), p.LoadR(s.atCopy)
		p.JumpZero(to, only)
		p.Loop(n, func() {
			s.fetch(p, ahead.At(0).Times(aheadStep, copyAhead), line)
			s.copy(to, ahead)
			p.AddI(to, 4*s.pitch)
			p.AddR(ahead, aheadStep)
		})
		p.StoreR(s.atCopy, to)
		p.Jump(fetched)
		p.Here(only)
	}
	p.Loop(n, func() {
		s.fetch(p, ahead.At(0), 4*s.cols)
		p.AddR(ahead, aheadStep)
	})
	p.Here(fetched)
	p.StoreR(s.atAhead, ahead)
	p.Here(none)
}

// gemvSteps are the numbers of steps of k that the row kernels do in one pass
// over the columns, as many as there are general registers for.
var gemvSteps = map[*vec.Target][]int{
	vec.AVX2:   {8, 4, 2, 1},
	vec.AVX512: {8, 4, 2, 1},
	vec.NEON:   {4, 2, 1},
}

// gemvProgram describes the kernel for a single row of C by a B whose rows lie along it,
// which is better done a few steps of k at a time over all columns: B is read along its
// rows, and each element once.
//
//	c = fma(A[p], B[p,j], c)  for p = 0 … K-1
//
// for Cols columns, at least 1, and a K that is a multiple of steps and not 0. The loop
// has few instructions besides the multiply-adds, so that the processor sees far ahead to
// the next lines of B: mostly it waits for these.
func gemvProgram(target *vec.Target, steps int) *vec.Program {
	p := vec.New(target, fmt.Sprintf("gemv%d", steps), false, []vec.Param{{Name: "args", Type: vec.PtrGemm}},
		fmt.Sprintf("gemv%d does args.K steps of k, %d at a time, for args.Cols columns of one row of C.", steps, steps))
	g := p.Param("args")
	field := func(name string) vec.Mem { return gemmField(g, name) }
	local := func(i int) vec.Mem { return p.Frame(128, 8*i) }
	const atA, atB, left = 0, 1, 2
	for i, name := range []string{atA: "A", atB: "B", left: "K"} {
		p.StoreR(local(i), p.LoadR(field(name)))
	}

	next := p.NewLabel()
	p.Here(next)
	at, aStep := p.LoadR(local(atA)), p.LoadR(field("AStep"))
	a := make([]vec.V, steps)
	for i := range a {
		a[i] = p.LoadSplat(32, at.At(0))
		p.AddR(at, aStep)
	}
	p.StoreR(local(atA), at)
	rows := []vec.R{p.LoadR(local(atB))}
	bStep := p.LoadR(field("BStep"))
	for len(rows) <= steps {
		row := p.Copy(rows[len(rows)-1])
		p.AddR(row, bStep)
		rows = append(rows, row)
	}
	p.StoreR(local(atB), rows[steps])
	rows[steps] = p.LoadR(field("C"))
	walk := p.NewWalk(rows)
	body := func() {
		acc := p.Load(32, walk.At(steps))
		for i := range a {
			p.FMA(acc, a[i], p.Load(32, walk.At(i)))
		}
		p.Store(walk.At(steps), acc)
	}
	rest, done := p.NewLabel(), p.NewLabel()
	vectors := p.LoadR(field("Cols"))
	p.ShrI(vectors, bits.TrailingZeros(uint(p.Lanes)))
	p.JumpZero(vectors, rest)
	p.Loop(vectors, func() {
		body()
		walk.Advance(4 * p.Lanes)
	})
	p.Here(rest)
	cols := p.LoadR(field("Cols"))
	p.AndI(cols, p.Lanes-1)
	p.JumpZero(cols, done)
	p.InTail(p.NewTail(cols), body)
	p.Here(done)
	k := p.LoadR(local(left))
	p.AddI(k, -steps)
	p.StoreR(local(left), k)
	finished := p.NewLabel()
	p.JumpZero(k, finished)
	p.Jump(next)
	p.Here(finished)

	p.Return()
	return p
}

// gemvEndProgram describes what is done at the end to args.Cols elements of a row of C:
// args.End, which is not EndNone.
func gemvEndProgram(target *vec.Target) *vec.Program {
	p := vec.New(target, "gemvEnd", false, []vec.Param{{Name: "args", Type: vec.PtrGemm}},
		"gemvEnd does args.End to args.Cols elements of one row of C.")
	g := p.Param("args")
	field := func(name string) vec.R { return p.LoadR(gemmField(g, name)) }
	relu, end := p.NewLabel(), p.NewLabel()
	how, n := field("End"), field("Cols")
	c, y := p.Stream(32, field("C")), p.Stream(32, field("Y"))
	p.JumpEqual(how, indexOf(gemmEnds, "EndReLU"), relu)
	p.Each(n, []*vec.Stream{c, y}, func() { p.Store(c.At(), deriveReLU(p, p.Load(32, c.At()), p.Load(32, y.At()))) })
	p.Jump(end)
	p.Here(relu)
	p.Each(n, []*vec.Stream{c}, func() { p.Store(c.At(), p.Max(p.F32(0), p.Load(32, c.At()))) })
	p.Here(end)
	p.Return()
	return p
}

// packs are the transposing copies, to a panel and from one, and the row kernel that transposes
// B as it reads it.
var packs = []kernel{
	{
		name: "PackTrans",
		doc: []string{
			"PackTrans transposes rows rows of k elements, stride bytes apart, in strips of as",
			"many as a vector has lanes: element q of row p of dst is element p of row q of",
			"src. The rows of dst are step bytes apart and whole vectors long; what is beyond",
			"the last row of src repeats it.",
		},
		params: transposeParams,
		lanes:  8, // there are no pointers for more rows
		body:   func(p *vec.Program) { transpose(p, false) },
	},
	{
		name: "CopyTrans",
		doc: []string{
			"CopyTrans is PackTrans, but the rows of dst are rows elements long.",
		},
		params: transposeParams,
		lanes:  8,
		body:   func(p *vec.Program) { transpose(p, true) },
	},
	{
		name: "GemvTrans",
		doc: []string{
			"GemvTrans does k steps of k for four groups of as many columns of one row of C as a",
			"vector has lanes, at most 8: element q of group i at ci starts from C, and has the row",
			"of B that is q times bStride bytes behind bi. Groups may overlap.",
		},
		params: vec.Params("k int, a, b0, b1, b2, b3 *float32, bStride int, c0, c1, c2, c3 *float32"),
		lanes:  8,
		body:   gemvTrans,
	},
}

// gemvTrans describes a row of C by a transposed B, whose elements come together by their
// columns as they are read. There are four groups, since each waits for its one sum; two of
// them share what is read of A.
func gemvTrans(p *vec.Program) {
	const groups, steps = 4, 4
	// In the frame, for each group: its sums, and the places in C and B.
	atC, atB, record := 4*p.Lanes, 4*p.Lanes+8, 4*p.Lanes+16
	frame := p.Local(max(128, groups*record))
	a, stride := p.Param("a"), p.Param("bStride")
	acc := make([]vec.V, groups)
	first := make([]vec.R, groups)
	for g := range groups {
		c := p.Param(fmt.Sprintf("c%d", g))
		p.StoreR(frame.At(g*record+atC), c)
		acc[g] = p.Load(32, c.At(0))
		first[g] = p.Param(fmt.Sprintf("b%d", g))
	}
	b := p.NewGroups(first, stride, p.Lanes)
	columns := func(b *vec.Groups, g int) []vec.V {
		rows := make([]vec.Mem, p.Lanes)
		for i := range rows {
			rows[i] = b.At(g, i)
		}
		return p.LoadColumns(steps, rows)
	}
	four, round := p.RegI(4), p.RegI(4*steps)
	column := p.NewColumn(a, four, steps)
	rounds, rest := p.Param("k"), p.NewLabel()
	p.ShrI(rounds, bits.TrailingZeros(steps))
	p.JumpZero(rounds, rest)
	p.Loop(rounds, func() {
		column.Load()
		for g := 0; g < groups; g += 2 {
			left, right := columns(b, g), columns(b, g+1)
			for i := range steps {
				column.FMA(i, acc[g:g+2], []vec.V{left[i], right[i]})
			}
		}
		column.Advance(round)
		b.Advance(4 * steps)
	})
	p.Here(rest)
	k, whole, end := p.Param("k"), p.NewLabel(), p.NewLabel()
	p.AndI(k, steps-1)
	p.JumpZero(k, whole)
	for g := range groups {
		p.Store(frame.At(g*record), acc[g])
		p.StoreR(frame.At(g*record+atB), first[g])
	}
	tail := p.NewTail(k)
	at := p.Reg()
	group := p.NewGroups([]vec.R{at}, stride, p.Lanes)
	p.Loop(p.RegI(groups), func() {
		sum, last := p.Load(32, frame.At(0)), []vec.V{}
		p.LoadRTo(at, frame.At(atB))
		p.InTail(tail, func() { last = columns(group, 0) })
		left, done := p.Copy(k), p.NewLabel()
		for i, v := range last[:steps-1] {
			p.FMA(sum, p.LoadSplat(32, a.At(4*i)), v)
			p.AddI(left, -1)
			p.JumpZero(left, done)
		}
		p.Here(done)
		p.Store(p.LoadR(frame.At(atC)).At(0), sum)
		p.AddI(frame, record)
	})
	p.Jump(end)
	p.Here(whole)
	for g := range groups {
		p.Store(p.LoadR(frame.At(g*record+atC)).At(0), acc[g])
	}
	p.Here(end)
}

var transposeParams = vec.Params("dst *float32, step int, src *float32, stride, rows, k int")

// transpose describes the transposition, whole strips first.
func transpose(p *vec.Program, exact bool) {
	rows, last, end := p.Param("rows"), p.NewLabel(), p.NewLabel()
	dst, step := p.Param("dst"), p.Param("step")
	src, stride := p.Param("src"), p.Param("stride")
	strip := p.NewLabel()
	p.Here(strip)
	p.JumpLess(rows, p.Lanes, last)
	from := p.NewRows(p.Copy(src), stride, p.Lanes)
	at := make([]vec.Mem, p.Lanes)
	for q := range at {
		at[q] = from.At(q)
	}
	transposeStrip(p, dst, step, at, from.Pointers(), nil)
	p.AddI(dst, 4*p.Lanes)
	p.AddTimes(src, stride, p.Lanes)
	p.AddI(rows, -p.Lanes)
	p.Jump(strip)

	p.Here(last)
	p.JumpZero(rows, end)
	pointers := []vec.R{src}
	for q := 1; q < p.Lanes; q++ {
		// From row rows on, the pointers stay at the last one.
		repeat, on := p.NewLabel(), p.NewLabel()
		p.JumpEqual(rows, q, repeat)
		p.Jump(on)
		p.Here(repeat)
		p.MovI(stride, 0)
		p.Here(on)
		next := p.Copy(pointers[q-1])
		p.AddR(next, stride)
		pointers = append(pointers, next)
	}
	for q := range at {
		at[q] = pointers[q].At(0)
	}
	var edge *vec.Tail
	if exact {
		edge = p.NewTail(rows)
	}
	transposeStrip(p, dst, step, at, pointers, edge)
	p.Here(end)
}

// transposeStrip describes the transposition of the rows at, which the pointers
// lead to. With an edge, only so many elements of each result are written.
func transposeStrip(p *vec.Program, dst, step vec.R, at []vec.Mem, pointers []vec.R, edge *vec.Tail) {
	put := func(m vec.Mem, v vec.V) {
		if edge != nil {
			p.InTail(edge, func() { p.Store(m, v) })
		} else {
			p.Store(m, v)
		}
	}
	rest, end := p.NewLabel(), p.NewLabel()
	to := p.Copy(dst)
	whole := p.Param("k")
	p.ShrI(whole, bits.TrailingZeros(uint(p.Lanes)))
	p.JumpZero(whole, rest)
	p.Loop(whole, func() {
		for _, v := range p.LoadColumns(p.Lanes, at) {
			put(to.At(0), v)
			p.AddR(to, step)
		}
		for _, r := range pointers {
			p.AddI(r, 4*p.Lanes)
		}
	})
	p.Here(rest)
	k := p.Param("k")
	p.AndI(k, p.Lanes-1)
	p.JumpZero(k, end)
	var last []vec.V
	p.InTail(p.NewTail(k), func() { last = p.LoadColumns(p.Lanes, at) })
	for _, v := range last[:p.Lanes-1] {
		put(to.At(0), v)
		p.AddR(to, step)
		p.AddI(k, -1)
		p.JumpZero(k, end)
	}
	p.Here(end)
}

// gemmTypes writes the arguments' type and the constants.
func gemmTypes() []byte {
	var b bytes.Buffer
	b.WriteString(vec.Header + "\npackage asm\n\n// Gemm holds the arguments of a GEMM micro-kernel.\ntype Gemm struct {\n")
	for _, f := range gemmFields {
		fmt.Fprintf(&b, "%s %s // %s\n", f.name, f.typ, f.doc)
	}
	b.WriteString(`}

// GemmShape tells what micro-kernels an instruction set has; without any it is zero.
type GemmShape struct {
	Lanes    int    // of a vector
	Heights  [4]int // the greatest number of rows for each width in vectors
	Narrow   int    // that of the narrow tiles, and then there are its halves down to 1; or 0
	Few      [4]bool // for each width in vectors: there are the greatest height and the powers of two below it, not all heights
	Copying  [4]int // for each width in vectors, the least number of rows of a tile that heeds Gemm.Copy, or 0
	Together bool   // the rows of A have to lie side by side, AStride being the size of an element
}
`)
	b.WriteString("\n// Where the accumulators start: from zero, C, or the bias.\nconst (\n" + strings.Join(gemmStarts, "\n") + "\n)\n")
	fmt.Fprintf(&b, "\n// AheadEvery is the number of steps of k before which AheadRows rows are fetched ahead.\nconst AheadEvery = %d\n", aheadEvery)
	b.WriteString("\n// What is done to the accumulators at the end: nothing, ReLU, or the product with\n// its derivative.\nconst (\n" + strings.Join(gemmEnds, "\n") + "\n)\n")
	s := strings.Replace(b.String(), gemmStarts[0]+"\n", gemmStarts[0]+" = iota\n", 1)
	s = strings.Replace(s, gemmEnds[0]+"\n", gemmEnds[0]+" = iota\n", 1)
	return []byte(strings.ReplaceAll(s, " // \n", "\n"))
}

// gemmDispatch writes GemmTile, RowSteps, GemmRow, GemmRowEnd and GemmShapeOf for an
// architecture.
func gemmDispatch(arch string) string {
	var b strings.Builder
	b.WriteString(`
// GemmTile runs the micro-kernel for tiles of the given number of rows, vectors and
// columns more, which only a narrow one has: args.Cols is how many.
func GemmTile(isa cpu.ISA, rows, vecs, part int, args *Gemm) {
	switch isa {
`)
	for _, t := range targets {
		if t.GOARCH != arch {
			continue
		}
		fmt.Fprintf(&b, "case cpu.%s:\nswitch (part*4+vecs)*16 + rows {\n", t.isa)
		for _, q := range tiles(t.Target) {
			fmt.Fprintf(&b, "case %d:\n%s%s(args)\n", (q.part*4+q.vecs)*16+q.rows, q.name(), t.Name)
		}
		b.WriteString("}\n")
	}
	b.WriteString(`}
}

// RowSteps is the number of steps of k that GemmRow does at a time if left are left.
func RowSteps(isa cpu.ISA, left int) int {
	switch isa {
`)
	for _, t := range targets {
		if t.GOARCH != arch {
			continue
		}
		fmt.Fprintf(&b, "case cpu.%s:\nswitch {\n", t.isa)
		for _, n := range gemvSteps[t.Target] {
			fmt.Fprintf(&b, "case left >= %d:\nreturn %d\n", n, n)
		}
		b.WriteString("}\n")
	}
	b.WriteString(`}
	return 0
}

// GemmRow does args.K steps of k, steps at a time, for args.Cols columns of one row of C,
// starting from C. It heeds neither args.Start nor args.End.
func GemmRow(isa cpu.ISA, steps int, args *Gemm) {
	switch isa {
`)
	for _, t := range targets {
		if t.GOARCH != arch {
			continue
		}
		fmt.Fprintf(&b, "case cpu.%s:\nswitch steps {\n", t.isa)
		for _, n := range gemvSteps[t.Target] {
			fmt.Fprintf(&b, "case %d:\ngemv%d%s(args)\n", n, n, t.Name)
		}
		b.WriteString("}\n")
	}
	b.WriteString(`}
}

// GemmRowEnd does what args.End says, which is not EndNone, to args.Cols elements of one row
// of C.
func GemmRowEnd(isa cpu.ISA, args *Gemm) {
	switch isa {
`)
	for _, t := range targets {
		if t.GOARCH == arch {
			fmt.Fprintf(&b, "case cpu.%s:\ngemvEnd%s(args)\n", t.isa, t.Name)
		}
	}
	b.WriteString(`}
}

// GemmShapeOf tells what micro-kernels there are.
func GemmShapeOf(isa cpu.ISA) GemmShape {
	switch isa {
`)
	for _, t := range targets {
		if t.GOARCH != arch {
			continue
		}
		fmt.Fprintf(&b, "case cpu.%s:\nreturn GemmShape{Lanes: %d, Heights: [4]int{", t.isa, t.Bytes/4)
		for _, w := range widths(t.Target) {
			fmt.Fprintf(&b, "%d: %d,", w, heights[t.Target][w])
		}
		fmt.Fprintf(&b, "}, Narrow: %d, Few: %#v, Copying: %#v, Together: %v}\n", slices.Max(append(narrowRows[t.Target], 0)), few[t.Target], copying[t.Target], t.ColumnsTogether)
	}
	b.WriteString("}\nreturn GemmShape{}\n}\n")
	return b.String()
}
