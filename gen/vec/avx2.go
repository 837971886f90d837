package vec

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// avx2 lowers a program to AVX2 and FMA through avo's instructions. A vector of
// the program's widest type is a Y register; in a program with 64-bit elements
// those of 32 bits are X registers. Constants are memory operands.
type avx2 struct{ *amd64 }

func lowerAVX2(p *Program) (*assembly, error) {
	base, err := newAMD64(p)
	if err != nil {
		return nil, err
	}
	l := &avx2{base}
	for at, i := range p.code {
		if !l.stays(at) {
			l.inst(i)
		}
	}
	return &assembly{l.fn, l.list}, nil
}

// constant returns the memory that holds a constant in all lanes.
func (l *avx2) constant(c constant) operand.Mem {
	words := make([]uint32, l.p.Lanes*c.v.bits/32)
	for i := range words {
		words[i] = uint32(c.bits >> (32 * i % c.v.bits))
	}
	name := fmt.Sprintf("c%d_%0*x", c.v.bits*l.p.Lanes, c.v.bits/4, c.bits)
	return l.global(name, words)
}

// src returns a vector operand that may be in memory.
func (l *avx2) src(v int) operand.Op {
	if c, ok := l.p.isConst(v); ok {
		return l.constant(c)
	}
	if m, ok := l.memory[v]; ok {
		return l.mem(m)
	}
	return l.vecs[v]
}

// reg returns a vector operand in a register.
func (l *avx2) reg(v int) reg.VecVirtual {
	c, ok := l.p.isConst(v)
	if !ok {
		return l.vecs[v]
	}
	r := l.like(v)
	l.do(x86.VMOVUPS(l.constant(c), r))
	return r
}

func (l *avx2) inst(i inst) {
	if f, ok := lanewise[i.op]; ok {
		a, b := i.args[0], i.args[1]
		if _, ok := l.p.isConst(a); ok && commutes[i.op] {
			a, b = b, a
		}
		x := l.reg(a)
		l.do(f.vector.of(i.bits)(l.src(b), x, l.vecs[i.dst]))
		return
	}
	switch i.op {
	case opSqrt:
		l.do(two(i.bits, x86.VSQRTPS, x86.VSQRTPD)(l.src(i.args[0]), l.vecs[i.dst]))
	case opFMA:
		l.do(two(i.bits, x86.VFMADD231PS, x86.VFMADD231PD)(l.src(i.args[2]), l.reg(i.args[1]), l.vecs[i.dst]))
	case opShl:
		l.do(two(i.bits, x86.VPSLLD, x86.VPSLLQ)(operand.U8(i.imm), l.reg(i.args[0]), l.vecs[i.dst]))
	case opShr:
		l.do(two(i.bits, x86.VPSRLD, x86.VPSRLQ)(operand.U8(i.imm), l.reg(i.args[0]), l.vecs[i.dst]))
	case opGt:
		const greaterOrderedQuiet = 0x1e
		l.do(two(i.bits, x86.VCMPPS, x86.VCMPPD)(operand.U8(greaterOrderedQuiet), l.src(i.args[1]), l.reg(i.args[0]), l.vecs[i.dst]))
	case opSelect:
		l.do(two(i.bits, x86.VBLENDVPS, x86.VBLENDVPD)(l.vecs[i.args[0]], l.src(i.args[1]), l.reg(i.args[2]), l.vecs[i.dst]))
	case opBlend:
		l.do(x86.VBLENDPS(operand.U8(i.imm), l.reg(i.args[1]), l.reg(i.args[0]), l.vecs[i.dst]))
	case opWiden:
		l.do(x86.VCVTPS2PD(l.src(i.args[0]), l.vecs[i.dst]))
	case opNarrow:
		l.do(x86.VCVTPD2PSY(l.reg(i.args[0]), l.vecs[i.dst]))
	case opZero:
		d := l.vecs[i.dst]
		l.do(x86.VXORPS(d, d, d))
	case opCopy:
		l.do(x86.VMOVUPS(l.src(i.args[0]), l.vecs[i.dst]))
	case opFoldAdd, opFoldMax:
		l.fold(i)
	case opLoad:
		l.load(i)
	case opLoadColumns:
		l.columns(i)
	case opLoadElse:
		m := l.like(i.dst)
		l.mask(i.tail, i.bits, m)
		l.do(two(i.bits, x86.VMASKMOVPS, x86.VMASKMOVPD)(l.mem(i.mem), m, l.vecs[i.dst]))
		l.do(two(i.bits, x86.VBLENDVPS, x86.VBLENDVPD)(m, l.vecs[i.dst], l.reg(i.args[0]), l.vecs[i.dst]))
	case opStore:
		l.store(i)
	case opLoadSplat:
		l.splat(i.bits, l.mem(i.mem), l.vecs[i.dst])
	case opLoadRepeat:
		if i.imm == 2 {
			l.do(x86.VBROADCASTSD(l.mem(i.mem), l.vecs[i.dst]))
		} else {
			l.do(x86.VBROADCASTF128(l.mem(i.mem), l.vecs[i.dst]))
		}
	case opParamSplat:
		l.splat(i.bits, l.arg(i.text), l.vecs[i.dst])
	case opIntSplat:
		if i.bits == 64 {
			l.splat(64, l.arg(i.text), l.vecs[i.dst])
			return
		}
		r, x := l.pool.GP64(), l.pool.XMM()
		l.do(x86.MOVQ(l.arg(i.text), r))
		l.do(x86.VMOVD(r.As32(), x))
		l.do(x86.VPBROADCASTD(x, l.vecs[i.dst]))
	case opStoreLane:
		l.do(two(i.bits, x86.VMOVSS, x86.VMOVSD)(l.reg(i.args[0]).AsX(), l.mem(i.mem)))
	case opTail:
		l.tail(i.tail)
	default:
		l.general(i)
	}
}

// splat loads an element to all lanes. Four float64 come from memory as such;
// there is no form for two, and a program has no use for it.
func (l *avx2) splat(bits int, m operand.Mem, d reg.VecVirtual) {
	l.do(two(bits, x86.VBROADCASTSS, x86.VBROADCASTSD)(m, d))
}

func (l *avx2) fold(i inst) {
	a, d := l.reg(i.args[0]), l.vecs[i.dst]
	if i.op == opFoldAdd && i.bits == 64 {
		x, y := l.pool.XMM(), l.pool.XMM()
		l.do(x86.VEXTRACTF128(operand.U8(1), a, x))
		l.do(x86.VADDPD(x, a.AsX(), x))
		l.do(x86.VPERMILPD(operand.U8(1), x, y))
		l.do(x86.VADDPD(y, x, x))
		l.do(x86.VBROADCASTSD(x, d))
		return
	}
	if i.op == opFoldMax && i.bits == 32 && l.p.Lanes == 4 {
		const swapPairs, swapNeighbours = 0x4e, 0xb1
		x, y := l.pool.XMM(), l.pool.XMM()
		l.do(x86.VPERMILPS(operand.U8(swapPairs), a, x))
		l.do(x86.VMAXPS(x, a, y))
		l.do(x86.VPERMILPS(operand.U8(swapNeighbours), y, x))
		l.do(x86.VMAXPS(x, y, d))
		return
	}
	panic(fmt.Sprintf("vec: %s: no %s of %d-bit elements", l.fn.Name, i.op, i.bits))
}

// columns brings rows k and k+4 together, four columns in the lower half of a
// register and the same of the other row in the upper half, and interleaves
// neighbouring rows, then pairs of them. There are ports for two shuffles a cycle,
// but for four blends, and a broadcast is no more than a load: so there are no more
// than 12 shuffles, and the 16 loads are what it takes. For four columns, the left ones, it
// is half of that.
func (l *avx2) columns(i inst) {
	const upper = 0xf0
	var quarter [8]reg.VecVirtual // k: the left of rows k and k+4; k+4: the right
	for k := range 4 {
		left, right := l.pool.YMM(), l.pool.YMM()
		quarter[k], quarter[k+4] = left, right
		if i.tail == nil {
			for h, q := range []reg.VecVirtual{left, right}[:len(i.outs)/4] {
				half, twice := l.pool.YMM(), l.pool.YMM()
				l.do(x86.VMOVUPS(l.mem(i.mems[k]).Offset(16*h), half.AsX()))
				l.do(x86.VBROADCASTF128(l.mem(i.mems[k+4]).Offset(16*h), twice))
				l.do(x86.VBLENDPS(operand.U8(upper), twice, half, q))
			}
			continue
		}
		mask, a, b := l.pool.YMM(), l.pool.YMM(), l.pool.YMM()
		l.mask(i.tail, 32, mask)
		l.do(x86.VMASKMOVPS(l.mem(i.mems[k]), mask, a))
		l.do(x86.VMASKMOVPS(l.mem(i.mems[k+4]), mask, b))
		const lowHalves, highHalves = 0x20, 0x31
		l.do(x86.VPERM2F128(operand.U8(lowHalves), b, a, left))
		if len(i.outs) > 4 {
			l.do(x86.VPERM2F128(operand.U8(highHalves), b, a, right))
		}
	}
	for k := 0; k < len(i.outs); k += 4 {
		var pair [4]reg.VecVirtual
		for h := range 2 {
			pair[h], pair[h+2] = l.pool.YMM(), l.pool.YMM()
			l.do(x86.VUNPCKLPS(quarter[k+2*h+1], quarter[k+2*h], pair[h]))
			l.do(x86.VUNPCKHPS(quarter[k+2*h+1], quarter[k+2*h], pair[h+2]))
		}
		// Of two pairs, the middle halves change places.
		const middle, upperPairs, lowerPairs = 0x4e, 0xcc, 0x33
		for h := range 2 {
			a, b, ends := pair[2*h], pair[2*h+1], l.pool.YMM()
			l.do(x86.VSHUFPS(operand.U8(middle), b, a, ends))
			l.do(x86.VBLENDPS(operand.U8(upperPairs), ends, a, l.vecs[i.outs[k+2*h]]))
			l.do(x86.VBLENDPS(operand.U8(lowerPairs), ends, b, l.vecs[i.outs[k+2*h+1]]))
		}
	}
}

// mask loads the mask of a tail for elements of the given size into r.
func (l *avx2) mask(t *Tail, bits int, r reg.VecVirtual) {
	l.do(x86.VMOVUPS(operand.Mem{Base: l.regs[two(bits, t.p4, t.p8).id]}, r))
}

func (l *avx2) load(i inst) {
	d := l.vecs[i.dst]
	if i.tail == nil {
		l.do(x86.VMOVUPS(l.mem(i.mem), d))
		return
	}
	m := l.like(i.dst)
	l.mask(i.tail, i.bits, m)
	l.do(two(i.bits, x86.VMASKMOVPS, x86.VMASKMOVPD)(l.mem(i.mem), m, d))
}

// store writes a tail in parts of 4, 2 and 1 words of 8 bytes or of 4: a masked
// store takes longer than all of them.
func (l *avx2) store(i inst) {
	a, m := l.reg(i.args[0]), l.mem(i.mem)
	if i.tail == nil {
		l.do(x86.VMOVUPS(a, m))
		return
	}
	n, end, whole := l.regs[i.tail.n.id], l.own(), l.own()
	if !i.tail.short {
		l.do(x86.CMPQ(n, operand.U32(l.p.Lanes)))
		l.do(x86.JEQ(whole))
	}
	at := l.pool.GP64()
	l.do(x86.LEAQ(m, at))
	m = operand.Mem{Base: at}
	x := l.pool.XMM()
	l.do(x86.VMOVAPS(a.AsX(), x))
	if i.bits*l.p.Lanes == 256 {
		lower := l.own()
		l.do(x86.TESTQ(operand.U32(128/i.bits), n))
		l.do(x86.JEQ(lower))
		l.do(x86.VMOVUPS(x, m))
		l.do(x86.VEXTRACTF128(operand.U8(1), a, x))
		l.do(x86.ADDQ(operand.I32(16), at))
		l.here(lower)
	}
	if i.bits == 32 {
		lower := l.own()
		l.do(x86.TESTQ(operand.U32(2), n))
		l.do(x86.JEQ(lower))
		l.do(x86.VMOVSD(x, m))
		l.do(x86.VPERMILPD(operand.U8(1), x, x))
		l.do(x86.ADDQ(operand.I32(8), at))
		l.here(lower)
	}
	l.do(x86.TESTQ(operand.U32(1), n))
	l.do(x86.JEQ(end))
	l.do(two(i.bits, x86.VMOVSS, x86.VMOVSD)(x, m))
	if !i.tail.short {
		l.do(x86.JMP(end))
		l.here(whole)
		l.do(x86.VMOVUPS(a, l.mem(i.mem)))
	}
	l.here(end)
}

// tail works out where the masks that loads want lie: in a row of eight words of ones
// and eight of zeros, those of n elements begin n elements before the zeros.
func (l *avx2) tail(t *Tail) {
	words := make([]uint32, 16)
	for i := range 8 {
		words[i] = 1<<32 - 1
	}
	table := l.global("tailmask", words)
	for _, m := range []struct {
		p     R
		bytes int
	}{{t.p4, 4}, {t.p8, 8}} {
		if !slices.ContainsFunc(l.p.code, func(i inst) bool { return i.loads() && i.tail == t && i.bits == 8*m.bytes }) {
			continue
		}
		n := l.pool.GP64()
		l.do(x86.MOVQ(l.regs[t.n.id], n))
		l.do(x86.SHLQ(operand.U8(bits.TrailingZeros(uint(m.bytes))), n))
		l.do(x86.LEAQ(table.Offset(32), l.regs[m.p.id]))
		l.do(x86.SUBQ(n, l.regs[m.p.id]))
	}
}
