package main

import (
	"fmt"
	"regexp"
	"strings"
)

// syntax is how to say in GNU assembly what a loop says in Go's.
type syntax struct {
	triple   string         // LLVM's name of the architecture
	rewrites []rewrite      // done one after the other to a line of Go's assembly
	line     *regexp.Regexp // what must come out, in lower case

	// A multiply-add of the kind that the loops use, with a place for the
	// number of the accumulator, and how many accumulators there are besides
	// its two sources: more than the latency takes, so that none waits.
	fma          string
	accumulators int
}

type rewrite struct {
	from *regexp.Regexp
	to   string
}

// attOperand is a register, a constant, a place in memory or a label.
const attOperand = `(%[a-z]+\d*|\$\d+|-?\d*\(%\w+(,%\w+,[1248])?\)(\{1to16\})?|l\d+)`

// Go's order of operands is AT&T's in all instructions but comparisons.
var amd64 = syntax{
	triple: "x86_64",
	rewrites: []rewrite{
		{regexp.MustCompile(`^(\w+)\.BCST (\S+),`), `$1 $2{1to16},`},
		{regexp.MustCompile(`\b([ABCD]X|[SD]I|BP)\b`), `%r$1`},
		{regexp.MustCompile(`\b(R\d+)\b`), `%$1`},
		{regexp.MustCompile(`\b([XYZ])(\d+)\b`), `%${1}mm$2`},
		{regexp.MustCompile(`\)\((%\w+)\*(\d)\)`), `,$1,$2)`},
		{regexp.MustCompile(`\$\+`), `$$`},
	},
	line:         regexp.MustCompile(`^(v\w+|addq|subq|leaq|decq|jne) ` + attOperand + `(, ` + attOperand + `)*$`),
	fma:          "vfmadd231ps %%ymm14, %%ymm15, %%ymm%d",
	accumulators: 14,
}

// wide is amd64 with 32 registers of 512 bits.
var wide = syntax{
	triple:       amd64.triple,
	rewrites:     amd64.rewrites,
	line:         amd64.line,
	fma:          "vfmadd231ps %%zmm30, %%zmm31, %%zmm%d",
	accumulators: 30,
}

var arm64 = syntax{
	triple: "aarch64",
	rewrites: []rewrite{
		{regexp.MustCompile(`^WORD \$0x\w+ // `), ``}, // the comment is the instruction
		{regexp.MustCompile(` \(R`), ` 0(R`},
		{regexp.MustCompile(`^FMOVQ (-?\d+)\(R(\d+)\), F(\d+)$`), `LDR Q$3, [X$2, #$1]`},
		{regexp.MustCompile(`^ADD R(\d+), R(\d+)$`), `ADD X$2, X$2, X$1`},
		{regexp.MustCompile(`^(ADD|SUB) \$\+?(\d+), R(\d+)$`), `$1 X$3, X$3, #$2`},
		{regexp.MustCompile(`^CBNZ R(\d+), `), `CBNZ X$1, `},
	},
	line: regexp.MustCompile(`^(fmla v\d+\.4s, v\d+\.4s, v\d+\.s\[[0-3]\]|ldr q\d+, \[x\d+, #-?\d+\]` +
		`|(add|sub) x\d+, x\d+, (x\d+|#\d+)|cbnz x\d+, l\d+)$`),
	fma:          "fmla v%d.4s, v30.4s, v31.s[0]",
	accumulators: 30,
}

// translate turns lines as innerLoop gives them into GNU assembly.
func (s *syntax) translate(lines []string) (string, error) {
	var b strings.Builder
	for _, line := range lines {
		out := line
		for _, r := range s.rewrites {
			out = r.from.ReplaceAllString(out, r.to)
		}
		if out = strings.ToLower(out); !s.line.MatchString(out) {
			return "", fmt.Errorf("no rule for %q: it became %q", line, out)
		}
		fmt.Fprintln(&b, out)
	}
	return b.String(), nil
}

// independent is a block of multiply-adds, one for each accumulator.
func (s *syntax) independent() string {
	var b strings.Builder
	for i := range s.accumulators {
		fmt.Fprintf(&b, s.fma+"\n", i)
	}
	return b.String()
}

// fma matches the fused multiply-adds of both architectures.
var fma = regexp.MustCompile(`^(VFMADD[\w.]+|WORD \$0x\w+ // fmla) `)

func countFMAs(lines []string) int {
	n := 0
	for _, line := range lines {
		if fma.MatchString(line) {
			n++
		}
	}
	return n
}

// innerLoop finds a function in the text of an assembly file, and in it, of the
// loops that hold no other loop, the one with the most multiply-adds; the last of
// several, since the one that packs comes before the one that does not; of a tile that does
// some steps of k in a round, the one over rounds. It returns
// the lines between the label and the branch back to it, the branch included,
// with single spaces.
func innerLoop(text, function string) ([]string, error) {
	_, body, found := strings.Cut(text, "\nTEXT ·"+function+"(SB)")
	if !found {
		return nil, fmt.Errorf("no function %s", function)
	}
	body, _, _ = strings.Cut(body, "\nTEXT ")

	var lines, best []string
	labels := map[string]int{} // where they stand in lines
	inner := -1                // the start of the loop found last; one that starts before it holds it
	for line := range strings.Lines(body) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if label, ok := strings.CutSuffix(words[0], ":"); ok {
			labels[label] = len(lines)
			continue
		}
		lines = append(lines, strings.Join(words, " "))
		start, back := labels[words[len(words)-1]] // only branches name a label
		if !back || start <= inner {
			continue
		}
		inner = start
		if loop := lines[start:]; countFMAs(loop) > 0 && countFMAs(loop) >= countFMAs(best) {
			best = loop
		}
	}
	if best == nil {
		return nil, fmt.Errorf("function %s has no loop with multiply-adds", function)
	}
	return best, nil
}
