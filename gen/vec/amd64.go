package vec

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// amd64 is what the lowerings to AVX2 and AVX-512 share: avo's instructions, data,
// and the general registers.
type amd64 struct {
	*lowering
	data   map[string]*ir.Global
	list   []*ir.Global
	memory map[int]Mem // the vectors that stay there until a multiply-add reads them
}

func newAMD64(p *Program) (*amd64, error) {
	base, err := newLowering(p)
	if err != nil {
		return nil, err
	}
	l := &amd64{lowering: base, data: map[string]*ir.Global{}, memory: map[int]Mem{}}
	for _, bits := range p.vecs {
		l.vecs = append(l.vecs, l.wide(bits*p.Lanes))
	}
	return l, nil
}

// wide returns a new register of so many bits.
func (l *amd64) wide(bits int) reg.VecVirtual {
	switch bits {
	case 128:
		return l.pool.XMM()
	case 256:
		return l.pool.YMM()
	}
	return l.pool.ZMM()
}

// like returns a new register of v's width.
func (l *amd64) like(v int) reg.VecVirtual { return l.wide(l.p.vecs[v] * l.p.Lanes) }

// do appends an instruction made by one of avo's constructors.
func (l *amd64) do(i *ir.Instruction, err error) {
	if err != nil {
		panic(fmt.Sprintf("vec: %s: %v", l.fn.Name, err))
	}
	l.fn.AddInstruction(i)
}

// stays tells whether the instruction at a place loads a vector that only the multiply-add
// behind it wants, which reads it from memory itself.
func (l *amd64) stays(at int) bool {
	code := l.p.code
	i := code[at]
	if i.op != opLoad || i.tail != nil || at+1 == len(code) {
		return false
	}
	if to := code[at+1]; to.op != opFMA || to.args[2] != i.dst || slices.Contains(to.args[:2], i.dst) {
		return false
	}
	for k, other := range code { // also before it, in a loop
		if k != at+1 && other.reads(V{i.dst, i.bits}) {
			return false
		}
	}
	l.memory[i.dst] = i.mem
	return true
}

// two picks the constructor for 32-bit or 64-bit elements.
func two[F any](bits int, f32, f64 F) F {
	if bits == 32 {
		return f32
	}
	return f64
}

// constructor is one of avo's functions that make an instruction.
type constructor = func(...operand.Op) (*ir.Instruction, error)

// pair is an instruction for 32-bit and for 64-bit elements.
type pair [2]constructor

func (p pair) of(bits int) constructor { return two(bits, p[0], p[1]) }

// lanewise are the instructions of two sources, the second of which may be a vector in
// memory, or on AVX-512 an element there that is repeated.
var lanewise = map[op]struct{ vector, repeated pair }{
	opAdd:  {pair{x86.VADDPS, x86.VADDPD}, pair{x86.VADDPS_BCST, x86.VADDPD_BCST}},
	opSub:  {pair{x86.VSUBPS, x86.VSUBPD}, pair{x86.VSUBPS_BCST, x86.VSUBPD_BCST}},
	opMul:  {pair{x86.VMULPS, x86.VMULPD}, pair{x86.VMULPS_BCST, x86.VMULPD_BCST}},
	opDiv:  {pair{x86.VDIVPS, x86.VDIVPD}, pair{x86.VDIVPS_BCST, x86.VDIVPD_BCST}},
	opMin:  {pair{x86.VMINPS, x86.VMINPD}, pair{x86.VMINPS_BCST, x86.VMINPD_BCST}},
	opMax:  {pair{x86.VMAXPS, x86.VMAXPD}, pair{x86.VMAXPS_BCST, x86.VMAXPD_BCST}},
	opAnd:  {pair{x86.VANDPS, x86.VANDPD}, pair{x86.VANDPS_BCST, x86.VANDPD_BCST}},
	opOr:   {pair{x86.VORPS, x86.VORPD}, pair{x86.VORPS_BCST, x86.VORPD_BCST}},
	opXor:  {pair{x86.VXORPS, x86.VXORPD}, pair{x86.VXORPS_BCST, x86.VXORPD_BCST}},
	opIAdd: {pair{x86.VPADDD, x86.VPADDQ}, pair{x86.VPADDD_BCST, x86.VPADDQ_BCST}},
	opISub: {pair{x86.VPSUBD, x86.VPSUBQ}, pair{x86.VPSUBD_BCST, x86.VPSUBQ_BCST}},
	opIMul: {pair{nil, x86.VPMULUDQ}, pair{nil, x86.VPMULUDQ_BCST}},
}

// commutes has those whose sources may change places.
var commutes = map[op]bool{opAdd: true, opMul: true, opAnd: true, opOr: true, opXor: true, opIAdd: true, opIMul: true}

// global returns a read-only symbol with the given words, an even number.
func (l *amd64) global(name string, words []uint32) operand.Mem {
	g := l.data[name]
	if g == nil {
		g = ir.NewStaticGlobal(name)
		g.Attributes = attr.RODATA | attr.NOPTR
		for i := 0; i < len(words); i += 2 {
			g.AddDatum(ir.NewDatum(4*i, operand.U64(uint64(words[i])|uint64(words[i+1])<<32)))
		}
		l.data[name] = g
		l.list = append(l.list, g)
	}
	return g.Base()
}

func (l *amd64) mem(m Mem) operand.Mem {
	if m.frame != 0 {
		return frame(m.frame).Offset(m.Off)
	}
	o := operand.Mem{Base: l.regs[m.Base.id], Disp: m.Off}
	if m.Scale != 0 {
		o.Index, o.Scale = l.regs[m.Index.id], uint8(m.Scale)
	}
	return o
}

func (l *amd64) general(i inst) {
	var d, s reg.GPVirtual
	if i.dst < len(l.regs) && len(l.regs) > 0 {
		d = l.regs[i.dst]
	}
	if len(i.args) > 0 {
		s = l.regs[i.args[len(i.args)-1]]
	}
	switch i.op {
	case opParam:
		l.do(x86.MOVQ(l.arg(i.text), d))
	case opMov:
		l.do(x86.MOVQ(s, d))
	case opMovI:
		l.do(x86.MOVQ(operand.I32(i.imm), d))
	case opAddR:
		if i.imm == 0 {
			l.do(x86.ADDQ(s, d))
		} else {
			l.do(x86.LEAQ(operand.Mem{Base: d, Index: s, Scale: 1 << i.imm}, d))
		}
	case opSubR:
		l.do(x86.SUBQ(s, d))
	case opAddI:
		l.do(x86.ADDQ(operand.I32(i.imm), d))
	case opAndI:
		l.do(x86.ANDQ(operand.I32(i.imm), d))
	case opShlI:
		l.do(x86.SHLQ(operand.U8(i.imm), d))
	case opShrI:
		l.do(x86.SHRQ(operand.U8(i.imm), d))
	case opPrefetch:
		l.do(x86.PREFETCHT0(l.mem(i.mem)))
	case opLoadR:
		l.do(x86.MOVQ(l.mem(i.mem), d))
	case opLoadR32:
		l.do(x86.MOVLQSX(l.mem(i.mem), d))
	case opStoreR:
		l.do(x86.MOVQ(s, l.mem(i.mem)))
	case opLocal:
		l.do(x86.LEAQ(frame(i.imm), d))
	case opLabel:
		l.here(label(i.label))
	case opJump:
		l.do(x86.JMP(label(i.label)))
	case opJZ:
		l.do(x86.TESTQ(s, s))
		l.do(x86.JEQ(label(i.label)))
	case opJNone:
		l.do(x86.TESTQ(operand.U32(i.imm), s))
		l.do(x86.JEQ(label(i.label)))
	case opJEq:
		l.do(x86.CMPQ(s, operand.U32(i.imm)))
		l.do(x86.JEQ(label(i.label)))
	case opJLt:
		l.do(x86.CMPQ(s, operand.U32(i.imm)))
		l.do(x86.JLT(label(i.label)))
	case opLoop:
		l.do(x86.DECQ(d))
		l.do(x86.JNE(label(i.label)))
	case opReturn:
		l.do(x86.VZEROUPPER())
		l.do(x86.RET())
	case opComment:
		l.fn.AddComment(i.text)
	default:
		panic(fmt.Sprintf("vec: %s: no %s", l.fn.Name, i.op))
	}
}
