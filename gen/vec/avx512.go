package vec

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// avx512 lowers a program to AVX-512 (F, DQ, VL) through avo's instructions. A vector
// of the program's widest type is a Z register; in a program with 64-bit elements those
// of 32 bits are Y registers. Constants are one element in memory, which the instruction that uses it repeats. A
// tail is a mask, and so is a comparison that only selects.
type avx512 struct {
	*amd64
	tails map[*Tail]reg.OpmaskVirtual
	masks map[int]reg.OpmaskVirtual // of comparisons, by their register in the program

	// GEMM's elements of A: those that the multiply-adds repeat, and how many there have
	// been since the last label.
	elements map[int]Mem
	count    int
}

func lowerAVX512(p *Program) (*assembly, error) {
	base, err := newAMD64(p)
	if err != nil {
		return nil, err
	}
	l := &avx512{amd64: base, tails: map[*Tail]reg.OpmaskVirtual{}, masks: map[int]reg.OpmaskVirtual{}, elements: map[int]Mem{}}
	for _, i := range p.code {
		if i.op == opGt {
			l.masks[i.dst] = l.pool.K()
		}
	}
	for at, i := range p.code {
		if !l.element(i, p.code[at+1:]) && !l.stays(at) {
			l.inst(i)
		}
	}
	return &assembly{l.fn, l.list}, nil
}

// element tells whether an instruction loads an element to all lanes that the
// multiply-adds right behind it had better repeat themselves. A load to all lanes takes one of
// the places for arithmetic in llvm-mca's model of Zen 4, and repeating takes a load for
// each multiply-add, of which Skylake does no more than two a cycle: of four elements of
// a wide tile, three are repeated.
func (l *avx512) element(i inst, next []inst) bool {
	if i.op == opLabel {
		l.count = 0
	}
	if i.op != opLoadSplat {
		return false
	}
	uses := 0
	for uses < len(next) && next[uses].op == opFMA && next[uses].args[1] == i.dst {
		uses++
	}
	if uses == 0 {
		return false
	}
	l.count++
	if uses > 1 && l.count%4 == 0 {
		return false
	}
	l.elements[i.dst] = i.mem
	return true
}

// constant returns the memory that holds a constant once, or twice if it has 32 bits.
func (l *avx512) constant(c constant) operand.Mem {
	low, high := uint32(c.bits), uint32(c.bits>>32)
	if c.v.bits == 32 {
		high = low
	}
	return l.global(fmt.Sprintf("c%d_%0*x", c.v.bits, c.v.bits/4, c.bits), []uint32{low, high})
}

// reg returns a vector operand in a register.
func (l *avx512) reg(v int) reg.VecVirtual {
	c, ok := l.p.isConst(v)
	if !ok {
		return l.vecs[v]
	}
	r := l.like(v)
	l.splat(c.v.bits, l.constant(c), r)
	return r
}

func (l *avx512) splat(bits int, m operand.Mem, d reg.VecVirtual) {
	l.do(two(bits, x86.VBROADCASTSS, x86.VBROADCASTSD)(m, d))
}

// choose appends an instruction whose first source is the vector v: in its form for an
// element in memory if v is a constant.
func (l *avx512) choose(bits int, vector, repeated pair, before []operand.Op, v int, after ...operand.Op) {
	f, src := vector, operand.Op(l.vecs[v])
	if c, ok := l.p.isConst(v); ok {
		f, src = repeated, l.constant(c)
	}
	l.do(f.of(bits)(slices.Concat(before, []operand.Op{src}, after)...))
}

func (l *avx512) inst(i inst) {
	var d reg.VecVirtual
	if i.dst < len(l.vecs) {
		d = l.vecs[i.dst]
	}
	moves := pair{x86.VMOVUPS, x86.VMOVUPD}.of(i.bits)
	if f, ok := lanewise[i.op]; ok {
		a, b := i.args[0], i.args[1]
		if _, ok := l.p.isConst(a); ok && commutes[i.op] || l.mask(i) == b {
			a, b = b, a
		}
		if l.mask(i) == a { // b where the comparison holds, else 0
			if c, ok := l.p.isConst(b); ok {
				l.do(two(i.bits, x86.VBROADCASTSS_Z, x86.VBROADCASTSD_Z)(l.constant(c), l.masks[a], d))
			} else {
				l.do(two(i.bits, x86.VMOVUPS_Z, x86.VMOVUPD_Z)(l.vecs[b], l.masks[a], d))
			}
			return
		}
		x := l.reg(a)
		l.choose(i.bits, f.vector, f.repeated, nil, b, x, d)
		return
	}
	switch i.op {
	case opSqrt:
		l.do(two(i.bits, x86.VSQRTPS, x86.VSQRTPD)(l.reg(i.args[0]), d))
	case opFMA:
		fma := two(i.bits, x86.VFMADD231PS, x86.VFMADD231PD)
		m, stays := l.memory[i.args[2]]
		element, repeated := l.elements[i.args[1]]
		switch {
		case stays && repeated:
			panic(fmt.Sprintf("vec: %s: a multiply-add with both factors in memory", l.fn.Name))
		case stays:
			l.do(fma(l.mem(m), l.reg(i.args[1]), d))
		case repeated:
			l.do(two(i.bits, x86.VFMADD231PS_BCST, x86.VFMADD231PD_BCST)(l.mem(element), l.vecs[i.args[2]], d))
		default:
			l.do(fma(l.reg(i.args[2]), l.reg(i.args[1]), d))
		}
	case opShl:
		l.do(two(i.bits, x86.VPSLLD, x86.VPSLLQ)(operand.U8(i.imm), l.reg(i.args[0]), d))
	case opShr:
		l.do(two(i.bits, x86.VPSRLD, x86.VPSRLQ)(operand.U8(i.imm), l.reg(i.args[0]), d))
	case opGt:
		l.greater(i)
	case opSelect:
		if l.mask(i) >= 0 {
			other := l.reg(i.args[2])
			l.choose(i.bits, pair{x86.VBLENDMPS, x86.VBLENDMPD}, pair{x86.VBLENDMPS_BCST, x86.VBLENDMPD_BCST}, nil, i.args[1], other, l.masks[i.args[0]], d)
			return
		}
		const firstWhereMask = 0xca // the truth table of mask ? first : second
		a, b := l.reg(i.args[1]), l.reg(i.args[2])
		l.do(x86.VMOVUPS(l.vecs[i.args[0]], d))
		l.do(x86.VPTERNLOGD(operand.U8(firstWhereMask), b, a, d))
	case opWiden:
		l.do(x86.VCVTPS2PD(l.reg(i.args[0]), d))
	case opNarrow:
		l.do(x86.VCVTPD2PS(l.reg(i.args[0]), d))
	case opZero:
		l.do(x86.VPXORD(d, d, d))
	case opCopy:
		if c, ok := l.p.isConst(i.args[0]); ok {
			l.splat(i.bits, l.constant(c), d)
		} else {
			l.do(x86.VMOVUPS(l.vecs[i.args[0]], d))
		}
	case opFoldAdd, opFoldMax:
		l.fold(i)
	case opLoad:
		if i.tail == nil {
			l.do(x86.VMOVUPS(l.mem(i.mem), d))
		} else {
			l.do(two(i.bits, x86.VMOVUPS_Z, x86.VMOVUPD_Z)(l.mem(i.mem), l.tails[i.tail], d))
		}
	case opLoadElse:
		l.do(x86.VMOVUPS(l.reg(i.args[0]), d))
		l.do(moves(l.mem(i.mem), l.tails[i.tail], d))
	case opStore:
		a := l.reg(i.args[0])
		if i.tail == nil {
			l.do(x86.VMOVUPS(a, l.mem(i.mem)))
		} else {
			l.do(moves(a, l.tails[i.tail], l.mem(i.mem)))
		}
	case opLoadSplat:
		l.splat(i.bits, l.mem(i.mem), d)
	case opParamSplat:
		l.splat(i.bits, l.arg(i.text), d)
	case opIntSplat:
		l.do(two(i.bits, x86.VPBROADCASTD, x86.VPBROADCASTQ)(l.arg(i.text), d))
	case opStoreLane:
		l.do(two(i.bits, x86.VMOVSS, x86.VMOVSD)(l.reg(i.args[0]).AsX(), l.mem(i.mem)))
	case opTail:
		l.tail(i.tail)
	default:
		l.general(i)
	}
}

// mask is the comparison that an instruction takes as a mask, or less than 0.
func (l *avx512) mask(i inst) int {
	for at, v := range i.args {
		if (i.op == opAnd || i.op == opSelect && at == 0) && l.masks[v] != nil {
			return v
		}
	}
	return -1
}

// greater compares into a mask, and if there are uses that take none, also into a
// vector.
func (l *avx512) greater(i inst) {
	const greaterOrderedQuiet = 0x1e
	k, x := l.masks[i.dst], l.reg(i.args[0])
	l.choose(i.bits, pair{x86.VCMPPS, x86.VCMPPD}, pair{x86.VCMPPS_BCST, x86.VCMPPD_BCST}, []operand.Op{operand.U8(greaterOrderedQuiet)}, i.args[1], x, k)
	if slices.ContainsFunc(l.p.code, func(j inst) bool { return j.reads(V{id: i.dst}) && l.mask(j) != i.dst }) {
		l.do(two(i.bits, x86.VPMOVM2D, x86.VPMOVM2Q)(k, l.vecs[i.dst]))
	}
}

// tail makes the mask of the first n lanes.
func (l *avx512) tail(t *Tail) {
	if l.tails[t] == nil {
		l.tails[t] = l.pool.K()
	}
	ones := l.pool.GP64()
	l.do(x86.MOVQ(operand.I32(-1), ones))
	l.do(x86.BZHIQ(l.regs[t.n.id], ones, ones))
	l.do(x86.KMOVW(ones.As32(), l.tails[t]))
}

func (l *avx512) fold(i inst) {
	a, d := l.reg(i.args[0]), l.vecs[i.dst]
	y, x, other := l.pool.YMM(), l.pool.XMM(), l.pool.XMM()
	const swapPairs, swapNeighbours = 0x4e, 0xb1
	switch {
	case i.op == opFoldAdd && i.bits == 64 && l.p.Lanes == 8:
		l.do(x86.VEXTRACTF64X4(operand.U8(1), a, y))
		l.do(x86.VADDPD(y, a.AsY(), y))
		l.do(x86.VEXTRACTF32X4(operand.U8(1), y, x))
		l.do(x86.VADDPD(x, y.AsX(), x))
		l.do(x86.VPERMILPD(operand.U8(1), x, other))
		l.do(x86.VADDPD(other, x, x))
		l.do(x86.VBROADCASTSD(x, d))
	case i.op == opFoldMax && i.bits == 32 && l.p.Lanes == 8:
		l.do(x86.VEXTRACTF32X4(operand.U8(1), a, x))
		l.do(x86.VMAXPS(x, a.AsX(), x))
		l.do(x86.VPERMILPS(operand.U8(swapPairs), x, other))
		l.do(x86.VMAXPS(x, other, x))
		l.do(x86.VPERMILPS(operand.U8(swapNeighbours), x, other))
		l.do(x86.VMAXPS(x, other, x))
		l.do(x86.VBROADCASTSS(x, d))
	default:
		panic(fmt.Sprintf("vec: %s: no %s of %d lanes of %d bits", l.fn.Name, i.op, l.p.Lanes, i.bits))
	}
}
