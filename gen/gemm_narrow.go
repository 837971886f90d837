package main

import (
	"fmt"

	"github.com/lockstep-go/lockstep/gen/vec"
)

// narrowRows are the heights of the narrow tiles: of one vector and part columns
// more, where part is a half or a quarter of the lanes. The part's columns of some
// rows share a vector: of a whole one most lanes would be idle, which is a third of
// the work on the ten classes of MNIST.
var narrowRows = map[*vec.Target][]int{vec.AVX2: {8, 4, 2, 1}}

// narrowTiles lists the narrow micro-kernels of a target.
func narrowTiles(t *vec.Target) []tile {
	var list []tile
	for _, part := range []int{t.Bytes / 16, t.Bytes / 8} {
		for _, rows := range narrowRows[t] {
			list = append(list, tile{rows, 1, part})
		}
	}
	return list
}

// narrowProgram describes a narrow micro-kernel: that of gemmProgram, without the
// derivatives. Row i has a vector of C and, in lanes i·part to (i+1)·part of the vectors in
// rest, 1 to part elements more.
func narrowProgram(target *vec.Target, t tile) *vec.Program {
	p := vec.New(target, t.name(), false, []vec.Param{{Name: "args", Type: vec.PtrGemm}},
		fmt.Sprintf("%s is the micro-kernel for tiles of %d rows, a vector and %d columns more.", t.name(), t.rows, t.part))
	g := p.Param("args")
	field := func(name string) vec.Mem { return gemmField(g, name) }
	width, together := 4*p.Lanes, p.Lanes/t.part
	acc := make([]vec.V, t.rows)
	rest := make([]vec.V, (t.rows+together-1)/together)
	for i := range acc {
		acc[i] = p.Vec(32)
	}
	for i := range rest {
		rest[i] = p.Vec(32)
	}
	last := p.NewTail(p.LoadR(field("Cols")))

	// In the frame: the current tile's places, and the elements of rest in their
	// order, behind which a vector may reach.
	const atA, atC, atAhead, left, parts = 0, 8, 16, 24, 32
	frame := max(128, parts+width*(len(rest)+1))
	local := func(off int) vec.Mem { return p.Frame(frame, off) }
	part := func(i int) vec.Mem { return local(parts + 4*t.part*i) }
	for _, x := range []struct {
		at   int
		name string
	}{{atA, "A"}, {atC, "C"}, {atAhead, "Ahead"}, {left, "Tiles"}} {
		p.StoreR(local(x.at), p.LoadR(field(x.name)))
	}
	eachRow := func(f func(i int, row vec.R)) {
		row, by := p.LoadR(local(atC)), p.LoadR(field("CStride"))
		for i := range t.rows {
			if i > 0 {
				p.AddR(row, by)
			}
			f(i, row)
		}
	}

	next := p.NewLabel()
	p.Here(next)
	fromC, fromBias, started := p.NewLabel(), p.NewLabel(), p.NewLabel()
	start := p.LoadR(field("Start"))
	p.JumpEqual(start, indexOf(gemmStarts, "StartC"), fromC)
	p.JumpEqual(start, indexOf(gemmStarts, "StartBias"), fromBias)
	for _, v := range append(acc[:len(acc):len(acc)], rest...) {
		p.Zero(v)
	}
	p.Jump(started)
	p.Here(fromC)
	eachRow(func(i int, row vec.R) {
		p.LoadTo(acc[i], row.At(0))
		var v vec.V
		p.InTail(last, func() { v = p.Load(32, row.At(width)) })
		p.Store(part(i), v) // with zeros behind it, which the next row overwrites
	})
	for i := range rest {
		p.LoadTo(rest[i], part(i*together))
	}
	p.Jump(started)
	p.Here(fromBias)
	bias := p.LoadR(field("Bias"))
	p.LoadTo(acc[0], bias.At(0))
	p.InTail(last, func() { p.LoadTo(rest[0], bias.At(width)) })
	p.Store(part(0), rest[0])
	p.Set(rest[0], p.LoadRepeat(t.part, part(0)))
	for _, list := range [][]vec.V{acc, rest} {
		for _, v := range list[1:] {
			p.Set(v, list[0])
		}
	}
	p.Here(started)

	a := p.NewRows(p.LoadR(local(atA)), p.LoadR(field("AStride")), t.rows)
	aStep := p.LoadR(field("AStep"))
	s := steps{atAhead: local(atAhead), cols: p.Lanes + t.part, pitch: 2 * p.Lanes}
	if t.packs(target) {
		s.pack = func(b, pack vec.R) []vec.V {
			x := p.Load(32, b.At(0))
			var y vec.V
			p.InTail(last, func() { y = p.Load(32, b.At(width)) })
			p.Store(pack.At(0), x)
			p.Store(pack.At(width), y)
			return []vec.V{x, p.LoadRepeat(t.part, pack.At(width))}
		}
	}
	s.load = func(b vec.Mem) []vec.V {
		return []vec.V{p.Load(32, b), p.LoadRepeat(t.part, b.Plus(width))}
	}
	s.step = func(b []vec.V) {
		for i := range rest {
			var mixed vec.V
			for q := 0; q < together && i*together+q < t.rows; q++ {
				row := i*together + q
				x := p.LoadSplat(32, a.At(row))
				p.FMA(acc[row], x, b[0])
				if q == 0 {
					mixed = x
				} else {
					mixed = p.Blend(mixed, x, (1<<t.part-1)<<(q*t.part))
				}
			}
			p.FMA(rest[i], mixed, b[1])
		}
		a.Advance(aStep)
	}
	s.describe(p, g)

	store, whole, stored := p.NewLabel(), p.NewLabel(), p.NewLabel()
	end := p.LoadR(field("End"))
	p.JumpZero(end, store)
	zero := reluZero(p)
	for _, v := range append(acc[:len(acc):len(acc)], rest...) {
		p.Set(v, p.Max(zero, v))
	}
	p.Here(store)
	for i, v := range rest {
		p.Store(part(i*together), v)
	}
	p.JumpEqual(p.LoadR(field("Cols")), t.part, whole)
	eachRow(func(i int, row vec.R) {
		p.Store(row.At(0), acc[i])
		p.InTail(last, func() { p.Store(row.At(width), p.Load(32, part(i))) })
	})
	p.Jump(stored)
	p.Here(whole)
	eachRow(func(i int, row vec.R) {
		p.Store(row.At(0), acc[i])
		for off := 0; off < 4*t.part; off += 8 {
			m := part(i)
			m.Off += off
			p.StoreR(row.At(width+off), p.LoadR(m))
		}
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
	}{{atA, "AStride"}, {atC, "CStride"}} {
		at, by := p.LoadR(local(x.at)), p.LoadR(field(x.stride))
		p.AddTimes(at, by, t.rows)
		p.StoreR(local(x.at), at)
	}
	p.Jump(next)
	p.Here(done)
	p.Return()
	return p
}
