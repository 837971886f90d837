package vec

import (
	"fmt"
	"math/bits"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// neon lowers a program to arm64's NEON. avo knows no arm64, but its allocator
// and passes only ask which registers an instruction reads and writes; so the
// instructions are made here, on avo's virtual registers, and printed by
// printNEON. An opcode carries the arrangement of its vectors: "VADD.S4" is Go's
// mnemonic, while "fadd.4s", in lower case, is the processor's, for an
// instruction that Go's assembler lacks. Operands come in Go's order, the
// destination last. The first constants that an innermost loop uses live in
// registers; the others are made where they are used.
type neon struct {
	*lowering
	hoisted map[int]bool // constants, by their register in the program
}

// hoistedMost is how many constants live in registers, of 32.
const hoistedMost = 20

func lowerNEON(p *Program) (*assembly, error) {
	base, err := newLowering(p)
	if err != nil {
		return nil, err
	}
	l := &neon{base, map[int]bool{}}
	for range p.vecs {
		l.vecs = append(l.vecs, l.pool.XMM())
	}
	for _, c := range p.consts {
		if p.hot(c) && len(l.hoisted) < hoistedMost {
			l.hoisted[c.v.id] = true
			l.constant(c, l.vecs[c.v.id])
		}
	}
	for _, i := range p.code {
		l.inst(i)
	}
	return &assembly{fn: l.fn}, nil
}

// arrange names the arrangement of a vector in Go's way: S4 or D2, or S2 for
// 32-bit elements in a program with 64-bit ones.
func (l *neon) arrange(bits int) string {
	return fmt.Sprintf("%c%d", two(bits, 'S', 'D'), l.p.Lanes)
}

// bytes names the arrangement of the same vector as bytes.
func (l *neon) bytes(bits int) string { return fmt.Sprintf("B%d", bits*l.p.Lanes/8) }

// arm names an arrangement in the processor's way.
func arm(arrangement string) string {
	return arrangement[1:] + string(arrangement[0]|0x20)
}

// set appends an instruction that reads src and writes dst.
func (l *neon) set(opcode string, dst reg.Register, src ...operand.Op) {
	l.add(opcode, append(src[:len(src):len(src)], dst), src, []operand.Op{dst})
}

// update appends an instruction that reads src and dst and writes dst.
func (l *neon) update(opcode string, dst reg.Register, src ...operand.Op) {
	l.add(opcode, append(src[:len(src):len(src)], dst), append(src[:len(src):len(src)], dst), []operand.Op{dst})
}

// out appends an instruction that reads src and writes the memory m.
func (l *neon) out(opcode string, src reg.Register, m operand.Mem) {
	l.add(opcode, []operand.Op{src, m}, []operand.Op{src, m}, nil)
}

// branch appends a jump; an unconditional one has no sources.
func (l *neon) branch(opcode string, to operand.LabelRef, src ...operand.Op) {
	l.fn.AddInstruction(&ir.Instruction{Opcode: opcode, Operands: append([]operand.Op{to}, src...), Inputs: src,
		IsBranch: true, IsConditional: opcode != "B"})
}

// constant puts c into v.
func (l *neon) constant(c constant, v reg.VecVirtual) {
	if c.bits == 0 {
		l.add("VEOR.B16", []operand.Op{v, v, v}, nil, []operand.Op{v})
		return
	}
	r := l.pool.GP64()
	l.set("MOVD", r, operand.U64(c.bits))
	l.set("VDUP."+l.arrange(c.v.bits), v, r)
}

// value returns the register of a vector that an instruction reads.
func (l *neon) value(v int) reg.VecVirtual {
	c, ok := l.p.isConst(v)
	if !ok || l.hoisted[v] {
		return l.vecs[v]
	}
	r := l.pool.XMM()
	l.constant(c, r)
	return r
}

func (l *neon) mem(m Mem) operand.Mem {
	if m.frame != 0 {
		return frame(m.frame).Offset(m.Off)
	}
	if m.Scale != 0 {
		panic("vec: " + l.fn.Name + ": an index on arm64")
	}
	return operand.Mem{Base: l.regs[m.Base.id], Disp: m.Off}
}

func (l *neon) inst(i inst) {
	v := func(k int) reg.VecVirtual { return l.value(i.args[k]) }
	var d reg.VecVirtual
	if i.dst < len(l.vecs) {
		d = l.vecs[i.dst]
	}
	t, b := "", ""
	if i.bits != 0 {
		t, b = l.arrange(i.bits), l.bytes(i.bits)
	}
	float := map[op]string{opAdd: "fadd.", opSub: "fsub.", opMul: "fmul.", opDiv: "fdiv."}
	logic := map[op]string{opAnd: "VAND.", opOr: "VORR.", opXor: "VEOR."}
	integer := map[op]string{opIAdd: "VADD.", opISub: "VSUB."}
	switch i.op {
	case opAdd, opSub, opMul, opDiv:
		l.set(float[i.op]+arm(t), d, v(1), v(0))
	case opAnd, opOr, opXor:
		l.set(logic[i.op]+b, d, v(1), v(0))
	case opIAdd, opISub:
		l.set(integer[i.op]+t, d, v(1), v(0))
	case opIMul:
		l.set("umull.2d", d, l.lower(i.args[1], v(1)), l.lower(i.args[0], v(0)))
	case opShl:
		l.set("VSHL."+t, d, operand.U8(i.imm), v(0))
	case opShr:
		l.set("VUSHR."+t, d, operand.U8(i.imm), v(0))
	case opSqrt:
		l.set("fsqrt."+arm(t), d, v(0))
	case opGt:
		l.set("fcmgt."+arm(t), d, v(1), v(0))
	case opMin:
		l.set("fcmgt."+arm(t), d, v(0), v(1))
		l.update("VBSL."+b, d, v(1), v(0))
	case opMax:
		if c, ok := l.p.isConst(i.args[0]); ok && c.bits == 0 {
			l.set("fcmlt."+arm(t), d, v(1))
			l.set("bic."+arm(b), d, d, v(1))
			return
		}
		l.set("fcmgt."+arm(t), d, v(1), v(0))
		l.update("VBSL."+b, d, v(1), v(0))
	case opSelect:
		l.set("VMOV."+b, d, v(0))
		l.update("VBSL."+b, d, v(2), v(1))
	case opFMA:
		l.update("VFMLA."+t, d, v(2), v(1))
	case opFMALane:
		l.update(fmt.Sprintf("fmla.s[%d]", i.imm), d, v(2), v(1))
	case opWiden:
		l.set("fcvtl.2d", d, v(0))
	case opNarrow:
		l.set("fcvtn.2s", d, v(0))
	case opZero:
		l.add("VEOR.B16", []operand.Op{d, d, d}, nil, []operand.Op{d})
	case opCopy:
		l.set("VMOV.B16", d, v(0))
	case opFoldAdd:
		if t != "D2" {
			panic("vec: " + l.fn.Name + ": no sum over lanes of " + t)
		}
		l.set("faddp.2d", d, v(0), v(0))
	case opFoldMax:
		if t != "S2" {
			panic("vec: " + l.fn.Name + ": no maximum over lanes of " + t)
		}
		swapped := l.pool.XMM()
		l.set("VREV64.S2", swapped, v(0))
		l.set("fcmgt.2s", d, swapped, v(0))
		l.update("VBSL.B8", d, swapped, v(0))
	case opLoadColumns:
		// Interleave neighbouring rows, then the pairs.
		var r, t [4]reg.VecVirtual
		for k := range r {
			r[k], t[k] = l.pool.XMM(), l.pool.XMM()
			l.load(inst{bits: 32, mem: i.mems[k], tail: i.tail}, r[k])
		}
		for k := 0; k < 4; k += 2 {
			l.set("VTRN1.S4", t[k], r[k+1], r[k])
			l.set("VTRN2.S4", t[k+1], r[k+1], r[k])
		}
		for k := range 2 {
			l.set("VTRN1.D2", l.vecs[i.outs[k]], t[k+2], t[k])
			l.set("VTRN2.D2", l.vecs[i.outs[k+2]], t[k+2], t[k])
		}
	case opLoad:
		l.load(i, d)
	case opLoadSome:
		// A move clears what it does not reach, so the third of three comes by
		// itself.
		m := l.mem(i.mem)
		switch i.imm {
		case 3:
			l.set(move(8), d, m)
			l.update("VLD1.S[2]", d, operand.Mem{Base: l.address(m.Offset(8))})
		default:
			l.set(move(4*i.imm), d, m)
		}
	case opLoadElse:
		if l.p.Lanes != 2 {
			panic("vec: " + l.fn.Name + ": no filled load of " + t)
		}
		// The tail of two lanes is one, and the load leaves the other alone.
		l.set("VMOV.B16", d, v(0))
		l.update("VLD1."+t[:1]+"[0]", d, operand.Mem{Base: l.address(l.mem(i.mem))})
	case opStore:
		l.store(i, v(0))
	case opLoadSplat:
		m := l.mem(i.mem)
		l.set("VLD1R."+t, d, operand.Mem{Base: l.address(m)})
	case opStoreLane:
		l.out(two(i.bits, "FMOVS", "FMOVD"), v(0), l.mem(i.mem))
	case opPrefetch:
		m := operand.Mem{Base: l.address(l.mem(i.mem))}
		l.add("PRFM.PLDL1KEEP", []operand.Op{m}, []operand.Op{m}, nil)
	case opParamSplat:
		r := l.pool.GP64()
		l.set("MOVWU", r, l.arg(i.text))
		l.set("VDUP."+t, d, r)
	case opIntSplat:
		r := l.pool.GP64()
		l.set("MOVD", r, l.arg(i.text))
		l.set("VDUP."+t, d, r)
	default:
		l.general(i)
	}
}

// lower returns a register with the low halves of v's 64-bit lanes side by side. A
// constant whose halves are equal has them there.
func (l *neon) lower(id int, v reg.VecVirtual) reg.VecVirtual {
	if c, ok := l.p.isConst(id); ok && c.bits>>32 == c.bits&(1<<32-1) {
		return v
	}
	d := l.pool.XMM()
	l.set("xtn.2s", d, v)
	return d
}

// address returns a register that holds m's address.
func (l *neon) address(m operand.Mem) reg.Register {
	if m.Disp == 0 {
		return m.Base
	}
	r := l.pool.GP64()
	l.set("ADD", r, operand.I32(m.Disp), m.Base)
	return r
}

// move names the move of the given number of bytes between a vector register
// and memory.
func move(bytes int) string {
	return map[int]string{16: "FMOVQ", 8: "FMOVD", 4: "FMOVS"}[bytes]
}

// load reads a tail by its parts, a half and a quarter of a register; the moves
// clear the lanes that they do not reach.
func (l *neon) load(i inst, d reg.VecVirtual) {
	m := l.mem(i.mem)
	l.parts(i, func(bytes int) { l.set(move(bytes), d, m) },
		func() { l.update("VLD1.S[2]", d, operand.Mem{Base: l.address(m.Offset(8))}) })
}

func (l *neon) store(i inst, s reg.VecVirtual) {
	m := l.mem(i.mem)
	l.parts(i, func(bytes int) { l.out(move(bytes), s, m) },
		func() { l.out("VST1.S[2]", s, operand.Mem{Base: l.address(m.Offset(8))}) })
}

// parts moves a vector, or its tail: first moves that many bytes, third the third
// element of three.
func (l *neon) parts(i inst, first func(bytes int), third func()) {
	size := i.bits * l.p.Lanes / 8
	if i.tail == nil {
		first(size)
		return
	}
	n, whole, end := l.regs[i.tail.n.id], l.own(), l.own()
	if !i.tail.short {
		l.branch("TBNZ", whole, n, operand.U8(bits.TrailingZeros(uint(l.p.Lanes))))
	}
	if l.p.Lanes == 4 {
		pair := l.own()
		l.branch("TBNZ", pair, n, operand.U8(1))
		first(4)
		l.branch("B", end)
		l.here(pair)
		first(8)
		l.branch("TBZ", end, n, operand.U8(0))
		third()
	} else {
		first(size / 2)
	}
	if !i.tail.short {
		l.branch("B", end)
		l.here(whole)
		first(size)
	}
	l.here(end)
}

func (l *neon) general(i inst) {
	var d, s reg.GPVirtual
	if i.dst < len(l.regs) && len(l.regs) > 0 {
		d = l.regs[i.dst]
	}
	if len(i.args) > 0 {
		s = l.regs[i.args[len(i.args)-1]]
	}
	switch i.op {
	case opParam:
		l.set("MOVD", d, l.arg(i.text))
	case opMov:
		l.set("MOVD", d, s)
	case opMovI:
		l.set("MOVD", d, operand.I32(i.imm))
	case opAddR:
		if i.imm == 0 {
			l.update("ADD", d, s)
		} else {
			l.update(fmt.Sprintf("ADD.<<%d", i.imm), d, s)
		}
	case opSubR:
		l.update("SUB", d, s)
	case opAddI:
		l.update("ADD", d, operand.I32(i.imm))
	case opAndI:
		l.update("AND", d, operand.I32(i.imm))
	case opShlI:
		l.update("LSL", d, operand.U8(i.imm))
	case opShrI:
		l.update("LSR", d, operand.U8(i.imm))
	case opLoadR:
		l.set("MOVD", d, l.mem(i.mem))
	case opLoadR32:
		l.set("MOVW", d, l.mem(i.mem))
	case opStoreR:
		l.out("MOVD", s, l.mem(i.mem))
	case opLocal:
		l.set("MOVD.ADDRESS", d, frame(i.imm))
	case opTail: // the count is all it takes
	case opLabel:
		l.here(label(i.label))
	case opJump:
		l.branch("B", label(i.label))
	case opJZ:
		l.branch("CBZ", label(i.label), s)
	case opJNone:
		l.add("TST", []operand.Op{operand.I32(i.imm), s}, []operand.Op{s}, nil)
		l.branch("BEQ", label(i.label))
	case opJEq:
		l.add("CMP", []operand.Op{operand.I32(i.imm), s}, []operand.Op{s}, nil)
		l.branch("BEQ", label(i.label))
	case opJLt:
		l.add("CMP", []operand.Op{operand.I32(i.imm), s}, []operand.Op{s}, nil)
		l.branch("BLT", label(i.label))
	case opLoop:
		l.update("SUB", d, operand.I32(1))
		l.branch("CBNZ", label(i.label), d)
	case opReturn:
		l.fn.AddInstruction(&ir.Instruction{Opcode: "RET", IsTerminal: true})
	case opComment:
		l.fn.AddComment(i.text)
	default:
		panic(fmt.Sprintf("vec: %s: no %s", l.fn.Name, i.op))
	}
}
