package vec

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// words are the instructions that Go's assembler lacks, with zeros for the
// registers: d in bits 0 to 4, n from bit 5, m from bit 16. Source: Arm
// Architecture Reference Manual, C7.2. A test decodes each word that is printed
// and compares it with its comment.
var words = map[string]uint32{
	"fadd.4s": 0x4e20d400, "fadd.2s": 0x0e20d400, "fadd.2d": 0x4e60d400,
	"fsub.4s": 0x4ea0d400, "fsub.2s": 0x0ea0d400, "fsub.2d": 0x4ee0d400,
	"fmul.4s": 0x6e20dc00, "fmul.2s": 0x2e20dc00, "fmul.2d": 0x6e60dc00,
	"fdiv.4s": 0x6e20fc00, "fdiv.2s": 0x2e20fc00, "fdiv.2d": 0x6e60fc00,
	"fsqrt.4s": 0x6ea1f800, "fsqrt.2s": 0x2ea1f800, "fsqrt.2d": 0x6ee1f800,
	"fcmgt.4s": 0x6ea0e400, "fcmgt.2s": 0x2ea0e400, "fcmgt.2d": 0x6ee0e400,
	"fcmlt.4s": 0x4ea0e800, "fcmlt.2s": 0x0ea0e800, "fcmlt.2d": 0x4ee0e800,
	"faddp.2d": 0x6e60d400,
	"fcvtl.2d": 0x0e617800,
	"fcvtn.2s": 0x0e616800,
	"xtn.2s":   0x0ea12800,
	"umull.2d": 0x2ea0c000,
	"bic.16b":  0x4e601c00, "bic.8b": 0x0e601c00,
	// The lane is in bits 21 and 11.
	"fmla.s[0]": 0x4f801000, "fmla.s[1]": 0x4fa01000, "fmla.s[2]": 0x4f801800, "fmla.s[3]": 0x4fa01800,
}

// printNEON prints an allocated function in Go's arm64 assembly. Register i of
// avo's families stands for V i and R i; avo's general registers are those of
// amd64, so that the ones which arm64 or Go keeps for itself (R16 to R18, R27 to
// R30) do not come up.
func printNEON(fn *ir.Function) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n// %s\nTEXT ·%s(SB), $%d-%d\n", fn.Stub(), fn.Name, fn.FrameBytes(), fn.ArgumentBytes())
	for _, node := range fn.Nodes {
		switch n := node.(type) {
		case ir.Label:
			fmt.Fprintf(&b, "%s:\n", n)
		case *ir.Comment:
			for _, line := range n.Lines {
				fmt.Fprintf(&b, "\t// %s\n", line)
			}
		case *ir.Instruction:
			fmt.Fprintf(&b, "\t%s\n", neonText(n))
		}
	}
	return b.String()
}

func physical(o operand.Op) int { return int(reg.ToPhysical(o.(reg.Register)).PhysicalIndex()) }

func neonText(i *ir.Instruction) string {
	opcode, arrangement, _ := strings.Cut(i.Opcode, ".")
	ops := i.Operands
	if word, ok := words[i.Opcode]; ok {
		return wordText(word, opcode, arrangement, ops)
	}
	if i.IsBranch {
		// The label goes last in Go; TBZ and TBNZ have the bit's number first.
		text := []string{}
		for k := len(ops) - 1; k >= 0; k-- {
			text = append(text, neonOperand(ops[k], "", false))
		}
		return opcode + " " + strings.Join(text, ", ")
	}
	var text []string
	for k, o := range ops {
		text = append(text, neonOperand(o, arrangement, strings.HasPrefix(opcode, "F")))
		switch {
		case opcode == "VLD1R" && k == 1:
			text[k] = "[" + text[k] + "]"
		case strings.HasPrefix(arrangement, "<<") && k == 0:
			text[k] += arrangement
		case opcode == "PRFM":
			text[k] += ", " + arrangement
		case opcode == "MOVD" && arrangement == "ADDRESS" && k == 0:
			text[k] = "$" + text[k]
		}
	}
	return strings.TrimSpace(opcode + " " + strings.Join(text, ", "))
}

// neonOperand prints an operand; scalar names a vector register as F, which is
// how Go spells it in moves.
func neonOperand(o operand.Op, arrangement string, scalar bool) string {
	switch o := o.(type) {
	case reg.Register:
		switch {
		case o.Kind() != reg.KindVector:
			return fmt.Sprintf("R%d", physical(o))
		case scalar:
			return fmt.Sprintf("F%d", physical(o))
		default:
			return fmt.Sprintf("V%d.%s", physical(o), arrangement)
		}
	case operand.Mem:
		if o.Symbol.Name != "" {
			base := "FP"
			if o.Base == reg.StackPointer {
				base = "SP"
			}
			return fmt.Sprintf("%s%+d(%s)", o.Symbol.Name, o.Disp, base)
		}
		if o.Disp == 0 {
			return fmt.Sprintf("(R%d)", physical(o.Base))
		}
		return fmt.Sprintf("%d(R%d)", o.Disp, physical(o.Base))
	case operand.LabelRef:
		return string(o)
	case operand.U64:
		return fmt.Sprintf("$%#x", uint64(o))
	default:
		return o.Asm()
	}
}

// wordText prints an encoded instruction with the processor's own assembly as
// its comment. The operands come in Go's order, so the last one is d, the one
// before it n, and the first of three m.
func wordText(word uint32, opcode, arrangement string, ops []operand.Op) string {
	var r []int
	for _, o := range ops {
		r = append(r, physical(o))
	}
	d, n := r[len(r)-1], r[len(r)-2]
	word |= uint32(d) | uint32(n)<<5
	text := fmt.Sprintf("%s v%d.%s, v%d.%s", opcode, d, arrangement, n, arrangement)
	switch {
	case opcode == "fcvtl":
		text = fmt.Sprintf("fcvtl v%d.2d, v%d.2s", d, n)
	case opcode == "fcvtn":
		text = fmt.Sprintf("fcvtn v%d.2s, v%d.2d", d, n)
	case opcode == "xtn":
		text = fmt.Sprintf("xtn v%d.2s, v%d.2d", d, n)
	case opcode == "umull":
		word |= uint32(r[0]) << 16
		text = fmt.Sprintf("umull v%d.2d, v%d.2s, v%d.2s", d, n, r[0])
	case opcode == "fmla":
		word |= uint32(r[0]) << 16
		text = fmt.Sprintf("fmla v%d.4s, v%d.4s, v%d.%s", d, n, r[0], arrangement)
	case opcode == "fcmlt":
		text += ", #0.0"
	case len(r) == 3:
		word |= uint32(r[0]) << 16
		text += fmt.Sprintf(", v%d.%s", r[0], arrangement)
	}
	return fmt.Sprintf("WORD $0x%08x // %s", word, text)
}
