package vec

import (
	"fmt"
	"math/bits"
	"slices"
)

// Stream walks along a vector in memory, Lanes elements at a time.
type Stream struct {
	p     R
	bits  int
	ahead int // bytes from p to where it stands, where vectors are done in turns

	// An accumulator's place goes round in a circle of round elements from
	// base on, by way of its offset.
	base, off R
	round     int
}

// Stream starts at the element that ptr points to.
func (p *Program) Stream(bits int, ptr R) *Stream { return &Stream{p: ptr, bits: bits} }

// Circle is a stream over n float64 from base on that starts again at the end:
// element i of a vector goes with element i mod n of it.
func (p *Program) Circle(base R, n int) *Stream {
	return &Stream{p: p.Copy(base), bits: 64, base: base, off: p.RegI(0), round: n}
}

// At is where the stream stands.
func (s *Stream) At() Mem { return s.p.At(s.ahead) }

func (p *Program) advance(s *Stream) {
	step := p.Lanes * s.bits / 8
	if s.round == 0 {
		p.AddI(s.p, step)
		return
	}
	p.AddI(s.off, step)
	p.AndI(s.off, s.round*s.bits/8-1)
	p.Mov(s.p, s.base)
	p.AddR(s.p, s.off)
}

// Each runs body for n elements, a vector at a time, and then, if elements are
// left, once in their tail. n is used up; the streams advance.
func (p *Program) Each(n R, streams []*Stream, body func()) {
	if p.Target.Masks && p.wide { // it computes so long that masks do not matter
		p.EachMasked(n, streams, body)
		return
	}
	rest, end := p.NewLabel(), p.NewLabel()
	p.vectors(n, streams, rest, body)
	p.rest(n, end, body)
}

// EachOnce is Each for a long body, which is in the code once: a tail is copied to
// the frame, goes through the loop there as a vector, and what comes out is copied
// from there. dst is the stream that is written, from are those that are read.
func (p *Program) EachOnce(n R, dst *Stream, from []*Stream, body func()) {
	if p.Target.Masks {
		p.EachMasked(n, append(from[:len(from):len(from)], dst), body)
		return
	}
	again, rest, first, end := p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel()
	frame, tail, out := p.Local(128), p.RegI(0), p.RegI(0)
	vectors := p.Copy(n)
	p.ShrI(vectors, bits.TrailingZeros(uint(p.Lanes)))
	p.JumpZero(vectors, rest)
	p.Loop(vectors, func() {
		p.Here(again)
		body()
		for _, s := range from {
			p.advance(s)
		}
		p.advance(dst)
	})
	p.Here(rest)
	p.JumpZero(tail, first)
	p.Comment("the tail is done")
	v := p.Load(dst.bits, frame.At(0))
	p.InTail(p.NewTail(tail), func() { p.Store(out.At(0), v) })
	p.Jump(end)

	p.Here(first)
	p.AndI(n, p.Lanes-1)
	p.JumpZero(n, end)
	p.Mov(tail, n)
	t := p.NewTail(n)
	for i, s := range from {
		var v V
		p.InTail(t, func() { v = p.Load(s.bits, s.At()) })
		at := frame.At((i + 1) * p.Lanes * s.bits / 8)
		p.Store(at, v)
		p.Mov(s.p, frame)
		p.AddI(s.p, at.Off)
	}
	p.Mov(out, dst.p)
	p.Mov(dst.p, frame)
	p.MovI(vectors, 1)
	p.Jump(again)
	p.Here(end)
}

// EachInTurns is EachOnce for a body without branches whose instructions wait for each
// other: while there are some vectors left, it does one instruction for each of them
// before the next one. Of one vector after the other, so many instructions wait in the
// processor's schedulers that it does not see far enough ahead. Where the target has them
// staggered, each vector is at another place of the body, and the next round does the rest
// of it: then fewer registers are in use at a time, so that there can be more vectors. The
// body is in the code once more for each of them, or twice.
func (p *Program) EachInTurns(n R, dst *Stream, from []*Stream, body func()) {
	together := p.Target.inTurns
	step := together * p.Lanes
	top, last, rest := p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.JumpLess(n, step, rest)
	streams := append(from[:len(from):len(from)], dst)
	start := len(p.code)
	var each [][]inst
	for i := range together {
		for _, s := range streams {
			s.ahead = i * p.Lanes * s.bits / 8
		}
		body()
		each = append(each, slices.Clone(p.code[start:]))
		p.code = p.code[:start]
	}
	for _, s := range streams {
		s.ahead = 0
	}
	length := len(each[0])
	for _, i := range each[0] {
		if i.op >= opLabel {
			panic(fmt.Sprintf("vec: %s: %s in a body that is done in turns", p.Name, i.op))
		}
	}
	// round emits what a round does: the ends of vectors from the one before, and beginnings.
	round := func(ends, begins bool) {
		for at := range length {
			for i, code := range each {
				late := 0
				if p.Target.staggered {
					late = i * length / together
				}
				if q := at - late; q >= 0 && begins {
					p.emit(code[q])
				} else if q < 0 && ends {
					p.emit(behind(code[q+length], streams, step))
				}
			}
		}
		if begins {
			for _, s := range streams {
				p.AddI(s.p, step*s.bits/8)
			}
			p.AddI(n, -step)
			p.JumpLess(n, step, last)
		}
	}
	if p.Target.staggered {
		round(false, true)
	}
	p.Here(top)
	round(true, true)
	p.Jump(top)
	p.Here(last)
	round(true, false)
	p.Here(rest)
	p.EachOnce(n, dst, from, body)
}

// behind is an instruction for a place n elements behind where the streams stand.
func behind(i inst, streams []*Stream, n int) inst {
	if i.op == opLoad || i.op == opStore {
		for _, s := range streams {
			if i.mem.Base == s.p {
				i.mem.Off -= n * s.bits / 8
			}
		}
	}
	return i
}

// EachMasked is Each where all loads and stores of body have a mask, for targets whose
// tails are masks: that of all lanes, until fewer elements are left.
func (p *Program) EachMasked(n R, streams []*Stream, body func()) {
	top, part, masked, end := p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel()
	count := p.RegI(p.Lanes)
	t := p.NewTail(count)
	p.JumpZero(n, end)
	p.Here(top)
	p.JumpLess(n, p.Lanes, part)
	p.Here(masked)
	p.InTail(t, body)
	for _, s := range streams {
		p.advance(s)
	}
	p.AddI(n, -p.Lanes)
	p.JumpLess(n, 1, end)
	p.Jump(top)
	p.Here(part)
	p.Mov(count, n)
	p.emit(inst{op: opTail, tail: t})
	p.Jump(masked)
	p.Here(end)
}

// EachVector is the part of Each before the tail, EachRest the tail: with them,
// several loops can share one.
func (p *Program) EachVector(n R, streams []*Stream, body func()) {
	p.vectors(n, streams, p.NewLabel(), body)
}
func (p *Program) EachRest(n R, body func()) { p.rest(n, p.NewLabel(), body) }

func (p *Program) vectors(n R, streams []*Stream, rest Label, body func()) {
	vectors := p.Copy(n)
	p.ShrI(vectors, bits.TrailingZeros(uint(p.Lanes)))
	p.JumpZero(vectors, rest)
	p.Loop(vectors, func() {
		body()
		for _, s := range streams {
			p.advance(s)
		}
	})
	p.Here(rest)
}

func (p *Program) rest(n R, end Label, body func()) {
	p.AndI(n, p.Lanes-1)
	p.JumpZero(n, end)
	p.InTail(p.NewShortTail(n), body)
	p.Here(end)
}
