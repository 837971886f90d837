package vec

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// Assemble lowers the programs to one file of Go assembly.
func Assemble(t *Target, programs []*Program) ([]byte, error) {
	file := ir.NewFile()
	data := map[string]*ir.Global{}
	for _, p := range programs {
		a, err := t.lower(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.FuncName(), err)
		}
		file.AddSection(a.fn)
		for _, g := range a.data {
			data[g.Symbol.Name] = g
		}
		// One function at a time, so that an error names it.
		one := ir.NewFile()
		one.AddSection(a.fn)
		if err := passes(t).Execute(one); err != nil {
			return nil, fmt.Errorf("%s: %w", p.FuncName(), err)
		}
	}
	var b bytes.Buffer
	b.WriteString(Header + "\n//go:build !purego\n\n#include \"textflag.h\"\n")
	if t == NEON {
		for i, fn := range file.Functions() {
			writeDoc(&b, programs[i])
			b.WriteString(strings.TrimPrefix(printNEON(fn), "\n"))
		}
		return b.Bytes(), nil
	}
	for i, fn := range file.Functions() {
		one := ir.NewFile()
		one.AddSection(fn)
		text, err := printer.NewGoAsm(printer.Config{Name: "gen"}).Print(one)
		if err != nil {
			return nil, err
		}
		_, body, found := bytes.Cut(text, []byte("\n\n")) // without the printer's own header
		if !found {
			return nil, fmt.Errorf("%s: the printer's output has no header", fn.Name)
		}
		writeDoc(&b, programs[i])
		b.Write(bytes.ReplaceAll(body, []byte("\n\n"), []byte("\n"))) // as on arm64, no blank lines before labels
	}
	var names []string
	for name := range data {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		g := data[name]
		b.WriteByte('\n')
		for _, d := range g.Data {
			fmt.Fprintf(&b, "DATA %s<>+%d(SB)/8, %s\n", g.Symbol.Name, d.Offset, d.Value.Asm())
		}
		fmt.Fprintf(&b, "GLOBL %s<>(SB), %s, $%d\n", g.Symbol.Name, (attr.RODATA | attr.NOPTR).Asm(), g.Size)
	}
	return b.Bytes(), nil
}

func writeDoc(b *bytes.Buffer, p *Program) {
	b.WriteByte('\n')
	for _, line := range p.Doc {
		b.WriteString(strings.TrimRight("// "+line, " ") + "\n")
	}
	if len(p.Doc) > 0 {
		b.WriteString("//\n")
	}
}

// passes are avo's: all that do not depend on amd64, and for amd64 the rest.
func passes(t *Target) pass.Interface {
	if t.GOARCH == "amd64" {
		return pass.Concat(pass.Compile, pass.FunctionPass(pruneSelfCopies))
	}
	return pass.Concat(
		pass.Verify,
		pass.FunctionPass(pass.PruneJumpToFollowingLabel),
		pass.FunctionPass(pass.PruneDanglingLabels),
		pass.FunctionPass(pass.LabelTarget),
		pass.FunctionPass(pass.CFG),
		pass.FunctionPass(pass.Liveness),
		pass.FunctionPass(pass.AllocateRegisters),
		pass.FunctionPass(pass.BindRegisters),
		pass.FunctionPass(pass.VerifyAllocation),
		pass.FunctionPass(pruneSelfCopies),
	)
}

// pruneSelfCopies removes the copies of a register to itself, which the allocator leaves
// where source and destination could share one.
func pruneSelfCopies(fn *ir.Function) error {
	fn.Nodes = slices.DeleteFunc(fn.Nodes, func(n ir.Node) bool {
		i, ok := n.(*ir.Instruction)
		return ok && len(i.Operands) == 2 && slices.Contains(copies, i.Opcode) && i.Operands[0] == i.Operands[1]
	})
	return nil
}

// copies are the instructions that copy a register, and have other uses.
var copies = []string{"VMOVUPS", "MOVQ", "VMOV.B16", "MOVD"}

// Stubs declares the functions of the programs for Go. What each does, the exported function
// of its name says, or the assembly above its code where there is none.
func Stubs(programs []*Program) []byte {
	var b bytes.Buffer
	b.WriteString(Header + "\n//go:build !purego\n\npackage asm\n")
	for _, p := range programs {
		fmt.Fprintf(&b, "\n//go:noescape\nfunc %s%s\n", p.FuncName(), p.signature())
	}
	return b.Bytes()
}
