package vec

import (
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// assembly is a lowered program: one function, and the data that it reads.
type assembly struct {
	fn   *ir.Function
	data []*ir.Global
}

// lowering is what the lowerings of all instruction sets share: the function
// being built, and the virtual registers of the allocator that stand for the
// program's.
type lowering struct {
	p    *Program
	fn   *ir.Function
	vecs []reg.VecVirtual
	regs []reg.GPVirtual
	pool *reg.Collection
	next int // for labels of the lowering's own
}

func newLowering(p *Program) (*lowering, error) {
	l := &lowering{p: p, fn: ir.NewFunction(p.FuncName()), pool: reg.NewCollection()}
	sig, err := gotypes.ParseSignatureInPackage(asmPackage(), "func"+p.signature())
	if err != nil {
		return nil, err
	}
	l.fn.SetSignature(sig)
	l.fn.AllocLocal(p.local)
	l.fn.Doc = p.Doc
	for range p.regs {
		l.regs = append(l.regs, l.pool.GP64())
	}
	return l, nil
}

// asmPackage is the package asm as far as signatures need it: it has a type Gemm.
func asmPackage() *types.Package {
	pkg := types.NewPackage("asm", "asm")
	name := types.NewTypeName(token.NoPos, pkg, "Gemm", nil)
	types.NewNamed(name, types.NewStruct(nil, nil), nil)
	pkg.Scope().Insert(name)
	return pkg
}

// FuncName is the name of the assembly function.
func (p *Program) FuncName() string { return p.Name + p.Target.Name }

// signature is the parameter list as Go has it.
func (p *Program) signature() string {
	var s []string
	for i, q := range p.Params {
		if i+1 < len(p.Params) && p.Params[i+1].Type == q.Type {
			s = append(s, q.Name)
		} else {
			s = append(s, q.Name+" "+string(q.Type))
		}
	}
	return "(" + strings.Join(s, ", ") + ")"
}

// add appends an instruction of the lowering's own: in are read, out is
// written.
func (l *lowering) add(opcode string, operands, in, out []operand.Op) {
	l.fn.AddInstruction(&ir.Instruction{Opcode: opcode, Operands: operands, Inputs: in, Outputs: out})
}

// arg is the memory operand of a parameter.
func (l *lowering) arg(name string) operand.Mem {
	b, err := l.fn.Signature.Params().Lookup(name).Resolve()
	if err != nil {
		panic(fmt.Sprintf("vec: %s: parameter %s: %v", l.fn.Name, name, err))
	}
	return b.Addr
}

// frame is the memory operand of size bytes at the top of the frame.
func frame(size int) operand.Mem {
	return operand.Mem{Symbol: operand.Symbol{Name: "local"}, Disp: -size, Base: reg.StackPointer}
}

func label(id int) operand.LabelRef { return operand.LabelRef(fmt.Sprintf("l%d", id)) }

// own is a new label of the lowering's own.
func (l *lowering) own() operand.LabelRef {
	l.next++
	return operand.LabelRef(fmt.Sprintf("part%d", l.next))
}

func (l *lowering) here(ref operand.LabelRef) { l.fn.AddLabel(ir.Label(ref)) }

// isConst tells whether vector register v is a constant.
func (p *Program) isConst(v int) (constant, bool) {
	for _, c := range p.consts {
		if c.v.id == v {
			return c, true
		}
	}
	return constant{}, false
}

// hot tells whether an innermost loop uses a constant.
func (p *Program) hot(c constant) bool {
	start := map[int]int{} // of the labels
	inner := 0             // where the last loop ended
	for at, i := range p.code {
		switch i.op {
		case opLabel:
			start[i.label] = at
		case opLoop:
			if start[i.label] < inner {
				continue // holds another loop
			}
			inner = at
			for _, j := range p.code[start[i.label]:at] {
				if j.reads(c.v) {
					return true
				}
			}
		}
	}
	return false
}

// loads tells whether the instruction loads vectors that may be tails.
func (i inst) loads() bool {
	return i.op == opLoad || i.op == opLoadElse || i.op == opLoadColumns
}

// reads tells whether the instruction has the vector v among its sources.
func (i inst) reads(v V) bool {
	if i.op >= opLoad && i.op != opLoadElse && i.op != opStore && i.op != opStoreLane {
		return false // its sources are general registers
	}
	return slices.Contains(i.args, v.id)
}
