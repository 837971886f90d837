package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"

	"github.com/lockstep-go/lockstep/gen/vec"
)

// TestGenerate: the same files each time, and those that are in the tree.
func TestGenerate(t *testing.T) {
	files := generated(t)
	again, err := build()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if !bytes.Equal(text, again[name]) {
			t.Errorf("%s: the second run differs from the first", name)
		}
	}
	for _, w := range stale(t, "../asm", files) {
		t.Errorf("asm: %s", w)
	}
	lines := 0
	for _, text := range files {
		lines += bytes.Count(text, []byte("\n"))
	}
	t.Logf("%d lines in asm", lines)
	if lines >= mostLines {
		t.Errorf("%d lines in asm, want fewer than %d", lines, mostLines)
	}
}

// mostLines keeps the source from drowning in what is generated from it.
const mostLines = 60_000

// stale returns in what a directory differs from the generated files and doc.go.
func stale(t *testing.T, dir string, files map[string][]byte) (wrong []string) {
	t.Helper()
	for name, text := range files {
		if have, err := os.ReadFile(filepath.Join(dir, name)); err != nil {
			wrong = append(wrong, err.Error())
		} else if !bytes.Equal(have, text) {
			wrong = append(wrong, name+" is not what go generate ./gen writes")
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()] == nil && e.Name() != "doc.go" {
			wrong = append(wrong, e.Name()+" is neither generated nor doc.go")
		}
	}
	return wrong
}

func TestStaleRefuses(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{"a.s": []byte("a\n"), "b.s": []byte("b\n")}
	for _, c := range []struct{ name, text, want string }{
		{"a.s", "a\n", "no such file"}, // without b.s
		{"b.s", "b\n", ""},
		{"doc.go", "package asm\n", ""},
		{"b.s", "c\n", "b.s is not what"},
		{"b.s", "b\n", ""},
		{"c.s", "c\n", "c.s is neither"},
	} {
		if err := os.WriteFile(filepath.Join(dir, c.name), []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		wrong := stale(t, dir, files)
		if got := strings.Join(wrong, "; "); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s = %q: complaints %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

// rules say what the files of an instruction set may hold: a set has a row, and all
// checks of the text and of the machine code go by it.
type rules struct {
	suffix, goarch string // of the files
	instructions   string
	operand        *regexp.Regexp
	beforeReturn   string   // what stands before each RET, if anything
	features       []string // which instructions with a VEX prefix may need; see feature
	evex           bool     // whether instructions may have an EVEX prefix
}

var sets = []*rules{&avx2, &avx512, &neon}

// rulesOf is the row for a file.
func rulesOf(t *testing.T, name string) *rules {
	t.Helper()
	for _, r := range sets {
		if strings.HasSuffix(name, r.suffix) {
			return r
		}
	}
	t.Fatalf("%s: no instruction set has such files", name)
	return nil
}

// guards are what internal/cpu asks a processor for before it picks AVX2, and besides
// before it picks AVX-512. AVX is part of AVX2; the instructions of avx2 are those of
// these three, and integer ones.
var guards = []string{"AVX2", "FMA3", "AVX512F", "AVX512DQ", "AVX512VL", "BMI2"}

var avx2 = rules{
	suffix: "_avx2_amd64.s", goarch: "amd64", features: []string{"AVX", "AVX2", "FMA3"},
	instructions: `
		ADDQ ANDQ CMPQ DECQ JEQ JLT JMP JNE LEAQ MOVLQSX MOVQ PREFETCHT0 RET SHLQ SHRQ SUBQ TESTQ

		VADDPD VADDPS VANDPD VANDPS VBLENDPS VBLENDVPD VBLENDVPS VBROADCASTF128 VBROADCASTSD VBROADCASTSS VCMPPD VCMPPS
		VCVTPD2PSY VCVTPS2PD VDIVPD VDIVPS VEXTRACTF128 VINSERTF128 VMASKMOVPD VMASKMOVPS
		VMAXPD VMAXPS VMINPD VMINPS VMOVAPS VMOVSD VMOVSS VMOVUPS VMULPD VMULPS VORPD VORPS
		VPERM2F128 VPERMILPD VPERMILPS VSHUFPS VSQRTPD VSQRTPS VSUBPD VSUBPS VUNPCKHPD VUNPCKHPS
		VUNPCKLPD VUNPCKLPS VXORPD VXORPS VZEROUPPER

		VMOVD VPADDD VPADDQ VPBROADCASTD VPMULUDQ VPSLLD VPSLLQ VPSRLD VPSRLQ VPSUBD VPSUBQ

		VFMADD231PD VFMADD231PS`,
	// Not SP; BP is saved by the code that Go puts before a frame.
	operand: operands(`(AX|BX|CX|DX|SI|DI|BP|R[89]|R1[0-5])`, `[XY](\d|1[0-5])`,
		`-?\d*\(REG\)(\(REG\*[1248]\))?`, `\w+<>\+\d+\(SB\)`, `local-\d+\(SP\)`),
	beforeReturn: "VZEROUPPER",
}

// avx512 has, in this order, the integer instructions, BZHIQ being BMI2's, those of
// AVX-512F, which with registers narrower than Z are AVX-512VL's, and those of
// AVX-512DQ.
var avx512 = rules{
	suffix: "_avx512_amd64.s", goarch: "amd64", features: append([]string{"AVX"}, guards...),
	instructions: `
		ADDQ ANDQ BZHIQ CMPQ DECQ JEQ JLT JMP JNE LEAQ MOVLQSX MOVQ PREFETCHT0 RET SHLQ SHRQ SUBQ TESTQ

		KMOVW VADDPD VADDPD.BCST VADDPS VBLENDMPD VBLENDMPD.BCST VBLENDMPS VBLENDMPS.BCST
		VBROADCASTSD VBROADCASTSD.Z VBROADCASTSS VCMPPD VCMPPD.BCST VCMPPS VCMPPS.BCST VCVTPD2PS VCVTPS2PD
		VDIVPD VDIVPS VEXTRACTF32X4 VEXTRACTF64X4 VFMADD231PS VFMADD231PS.BCST VMAXPD VMAXPS VMAXPS.BCST VMINPD VMINPS
		VMOVSD VMOVSS VMOVUPD VMOVUPD.Z VMOVUPS VMOVUPS.Z VMULPD VMULPD.BCST VMULPS
		VPADDQ VPADDQ.BCST VPBROADCASTD VPERMILPD VPERMILPS VPSLLQ VPSRLD VPSRLQ VPSUBD VPSUBD.BCST VPSUBQ.BCST
		VPTERNLOGD VPXORD VSQRTPD VSQRTPS VSUBPD VSUBPD.BCST VSUBPS VSUBPS.BCST VZEROUPPER

		VANDPD.BCST VANDPS VANDPS.BCST VORPD VORPD.BCST VORPS VORPS.BCST VPMOVM2D VXORPD VXORPS VXORPS.BCST`,
	// Of the masks, not K0, which as one stands for none.
	operand: operands(`(AX|BX|CX|DX|SI|DI|BP|R[89]|R1[0-5])`, `[XYZ](\d|[12]\d|3[01])`, `K[1-7]`,
		`-?\d*\(REG\)(\(REG\*[1248]\))?`, `\w+<>\+\d+\(SB\)`, `local-\d+\(SP\)`),
	beforeReturn: "VZEROUPPER",
	evex:         true,
}

var neon = rules{
	suffix: "_neon_arm64.s", goarch: "arm64",
	instructions: `
		ADD AND B BEQ BLT CBNZ CBZ CMP LSL LSR MOVD MOVW MOVWU PRFM RET SUB TBNZ TBZ TST
		FMOVD FMOVQ FMOVS VADD VAND VBSL VDUP VEOR VFMLA VLD1 VLD1R VMOV VORR VREV64
		VSHL VST1 VSUB VTRN1 VTRN2 VUSHR WORD`,
	// Not R16 to R18 and R26 to R30, which belong to the linker, the system and Go.
	operand: operands(`R(\d|1[0-5]|19|2[0-5])`, `F(\d|[12]\d|3[01])`, `V(\d|[12]\d|3[01])\.([BSD]\d+|[SD]\[\d\])`,
		`\[V(\d|[12]\d|3[01])\.[SD]\d\]`, `REG<<[123]`, `-?\d*\(REG\)`, `\$?local-\d+\(SP\)`, `PLDL1KEEP`),
}

// operands matches an operand in one of the given forms, the first of which is
// a general register and called REG in the others, or an immediate, a parameter
// or a label.
func operands(reg string, forms ...string) *regexp.Regexp {
	all := strings.Join(append([]string{reg, `\$[+-]?(0x[0-9a-f]+|\d+)`, `\w+\+\d+\(FP\)`, `[a-z]+\d+`}, forms...), "|")
	return regexp.MustCompile("^(" + strings.ReplaceAll(all, "REG", reg) + ")$")
}

var (
	textLine   = regexp.MustCompile(`^TEXT ·(\w+)\(SB\), \$(\d+)-\d+$`)
	notCode    = regexp.MustCompile(`^(//.*|#include "textflag.h"|\w+:|DATA .*|GLOBL \w+<>\(SB\), RODATA\|NOPTR, \$\d+|\t// .*|)$`)
	localPlace = regexp.MustCompile(`local-(\d+)\(SP\)`)
	wordLine   = regexp.MustCompile(`^WORD \$(0x[0-9a-f]{8}) // (.*)$`)
)

// check returns what is wrong with the text of an assembly file, and the number
// of its functions.
func (r *rules) check(text string) (functions int, wrong []string) {
	allowed := strings.Fields(r.instructions)
	function, frame, before := "no function", 0, ""
	complain := func(line, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%s: %q: ", function, strings.TrimSpace(line))+fmt.Sprintf(format, args...))
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "TEXT") {
			// A flag, which could be NOSPLIT, does not match.
			m := textLine.FindStringSubmatch(line)
			if m == nil {
				complain(line, "not a function as it should be")
				continue
			}
			functions++
			function = m[1]
			frame, _ = strconv.Atoi(m[2])
			if frame < 128 {
				complain(line, "a frame of %d bytes, want at least 128, for the stack check", frame)
			}
			continue
		}
		if notCode.MatchString(line) {
			continue
		}
		code := strings.TrimSpace(line)
		mnemonic, list, _ := strings.Cut(code, " ")
		if !slices.Contains(allowed, mnemonic) {
			complain(line, "not an instruction that may be used")
		}
		if mnemonic == "WORD" {
			if got, err := decode(code); err != nil {
				complain(line, "%v", err)
			} else if got != "" {
				complain(line, "the word stands for %q", got)
			}
			list = ""
		}
		for _, o := range strings.Split(list, ",") {
			o = strings.TrimSpace(o)
			if o != "" && !r.operand.MatchString(o) {
				complain(line, "operand %s", o)
			}
			if m := localPlace.FindStringSubmatch(o); m != nil {
				if n, _ := strconv.Atoi(m[1]); n > frame {
					complain(line, "%d bytes below the top of a frame of %d", n, frame)
				}
			}
		}
		if mnemonic == "RET" && r.beforeReturn != "" && before != r.beforeReturn {
			complain(line, "comes after %s, want %s", before, r.beforeReturn)
		}
		before = mnemonic
	}
	return functions, wrong
}

// decode compares an encoded instruction with its comment, and returns what it
// stands for if that is something else.
func decode(line string) (string, error) {
	m := wordLine.FindStringSubmatch(line)
	if m == nil {
		return "", fmt.Errorf("not a word of eight digits with a comment")
	}
	word, err := strconv.ParseUint(m[1], 0, 32)
	if err != nil {
		return "", err
	}
	i, err := arm64asm.Decode(binary.LittleEndian.AppendUint32(nil, uint32(word)))
	if err != nil {
		return "", err
	}
	got := strings.ToLower(i.String())
	if i.Op == arm64asm.FCMLT {
		got = strings.TrimSuffix(got, "#0") + "#0.0"
	}
	if got == m[2] {
		got = ""
	}
	return got, nil
}

// TestText holds the generated assembly against the rules.
func TestText(t *testing.T) {
	for name, text := range generated(t) {
		if strings.HasSuffix(name, ".s") {
			functions, wrong := rulesOf(t, name).check(string(text))
			if functions == 0 {
				t.Errorf("%s: no function", name)
			}
			for _, w := range wrong {
				t.Errorf("%s: %s", name, w)
			}
		}
	}
}

// TestTextRefuses has a text for everything that the rules forbid.
func TestTextRefuses(t *testing.T) {
	amd64 := func(body string) string {
		return "TEXT ·fAVX2(SB), $128-8\n\tMOVQ args+0(FP), AX\n" + body + "\n\tVZEROUPPER\n\tRET\n"
	}
	arm64 := func(body string) string {
		return "TEXT ·fNEON(SB), $128-8\n\tMOVD args+0(FP), R0\n" + body + "\n\tRET\n"
	}
	for _, c := range []struct {
		*rules
		text, want string
	}{
		{&avx2, amd64("\tVADDPS (AX), Y15, Y0"), ""},
		{&avx2, amd64("\tVADDPS Y16, Y1, Y0"), "operand Y16"},
		{&avx2, amd64("\tVMOVUPS X16, (AX)"), "operand X16"},
		{&avx2, amd64("\tVADDPS Z0, Z1, Z2"), "operand Z0"},
		{&avx2, amd64("\tVADDPS Y0, Y1, K1, Y2"), "operand K1"},
		{&avx2, amd64("\tVADDPS.BCST (AX), Y1, Y2"), "not an instruction"},
		{&avx2, amd64("\tVRCPPS Y0, Y1"), "not an instruction"},
		{&avx2, amd64("\tVPTERNLOGD $1, Y0, Y1, Y2"), "not an instruction"},
		{&avx2, amd64("\tADDPS X0, X1"), "not an instruction"},
		{&avx2, amd64("\tCALL ·g(SB)"), "not an instruction"},
		{&avx2, amd64("\tPUSHQ AX"), "not an instruction"},
		{&avx2, amd64("\tSUBQ $8, SP"), "operand SP"},
		{&avx2, amd64("\tMOVQ AX, -8(SP)"), "operand -8(SP)"},
		{&avx2, amd64("\tLEAQ local-136(SP), AX"), "136 bytes below"},
		{&avx2, amd64("\tMOVQ ·x(SB), AX"), "operand ·x(SB)"},
		{&avx2, "TEXT ·fAVX2(SB), $128-8\n\tRET\n", "want VZEROUPPER"},
		{&avx2, "TEXT ·fAVX2(SB), $128-8\n\tVZEROUPPER\n\tVMOVUPS (AX), Y0\n\tRET\n", "want VZEROUPPER"},
		{&avx2, "TEXT ·fAVX2(SB), $120-8\n\tVZEROUPPER\n\tRET\n", "a frame of 120 bytes"},
		{&avx2, "TEXT ·fAVX2(SB), NOSPLIT, $128-8\n\tVZEROUPPER\n\tRET\n", "not a function"},

		{&avx512, amd64("\tVADDPS Z31, Z1, Z0"), ""},
		{&avx512, amd64("\tVMOVUPS.Z (AX), K1, Z0"), ""},
		{&avx512, amd64("\tVMOVUPS.Z (AX), K0, Z0"), "operand K0"},
		{&avx512, amd64("\tVRCP14PS Z0, Z1"), "not an instruction"},
		{&avx512, amd64("\tVRSQRT28PS Z0, Z1"), "not an instruction"},
		{&avx512, amd64("\tVADDPS.RZ_SAE Z0, Z1, Z2"), "not an instruction"},
		{&avx512, amd64("\tVPMULLQ Z0, Z1, Z2"), "not an instruction"},
		{&avx512, amd64("\tVPERMB Z0, Z1, Z2"), "not an instruction"},
		{&avx512, amd64("\tSUBQ $8, SP"), "operand SP"},
		{&avx512, "TEXT ·fAVX512(SB), $128-8\n\tRET\n", "want VZEROUPPER"},

		{&neon, arm64("\tWORD $0x6e22dc02 // fmul v2.4s, v0.4s, v2.4s"), ""},
		{&neon, arm64("\tWORD $0x6e22dc02 // fmul v2.4s, v0.4s, v3.4s"), `stands for "fmul v2.4s, v0.4s, v2.4s"`},
		{&neon, arm64("\tWORD $0x6e22dc02"), "with a comment"},
		{&neon, arm64("\tWORD $0xffffffff // fmul v2.4s, v0.4s, v2.4s"), "unknown instruction"},
		{&neon, arm64("\tADD $8, RSP"), "operand RSP"},
		{&neon, arm64("\tMOVD R1, 8(RSP)"), "operand 8(RSP)"},
		{&neon, arm64("\tMOVD R1, R18"), "operand R18"},
		{&neon, arm64("\tMOVD R1, R26"), "operand R26"},
		{&neon, arm64("\tMOVD R1, R27"), "operand R27"},
		{&neon, arm64("\tFMOVQ F0, (R28)"), "operand (R28)"},
		{&neon, arm64("\tMOVD R1, g"), "operand g"},
		{&neon, arm64("\tMOVD R29, R1"), "operand R29"},
		{&neon, arm64("\tMOVD R30, R1"), "operand R30"},
		{&neon, arm64("\tMOVD $local-136(SP), R1"), "136 bytes below"},
		{&neon, arm64("\tMOVD local-136(SP), R1"), "136 bytes below"},
		{&neon, arm64("\tBL ·g(SB)"), "not an instruction"},
		{&neon, arm64("\tFMADDS F0, F1, F2, F3"), "not an instruction"},
		{&neon, "TEXT ·fNEON(SB), NOSPLIT, $128-8\n\tRET\n", "not a function"},
		{&neon, "TEXT ·fNEON(SB), $0-8\n\tRET\n", "a frame of 0 bytes"},
	} {
		_, wrong := c.check(c.text)
		if got := strings.Join(wrong, "; "); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%q: complaints %q, want %q", c.text, got, c.want)
		}
	}
}

// TestWordsRefuse flips each bit of a word for each of the encoded instructions.
func TestWordsRefuse(t *testing.T) {
	seen := map[string]bool{}
	for name, text := range generated(t) {
		for _, m := range regexp.MustCompile(`WORD \$(0x\w+) // ((\w+) v\d+(\.\w+).*)`).FindAllStringSubmatch(string(text), -1) {
			if seen[m[3]+m[4]] {
				continue
			}
			seen[m[3]+m[4]] = true
			word, err := strconv.ParseUint(m[1], 0, 32)
			if err != nil {
				t.Fatal(err)
			}
			for bit := range 32 {
				line := fmt.Sprintf("WORD $%#08x // %s", word^1<<bit, m[2])
				if got, err := decode(line); got == "" && err == nil {
					t.Errorf("%s: %s, bit %d flipped, passes", name, m[0], bit)
				}
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d kinds of encoded instructions, want more", len(seen))
	}
}

// The lines of the assembler's listing that matter:
//
//	asm.sgdAVX2 STEXT asm size=257 args=0x1c locals=0x88 funcid=0x0 align=0x0
//		0x004e 00078 (update.s:24)	VMOVUPS	(CX), Y1
//		0x0000 64 4c 8b 34 25 00 00 00 00 4c 8d 64 24 f8 4d 3b  dL.4%....L.d$.M;
var (
	listedFunction    = regexp.MustCompile(`^asm\.(\w+) STEXT `)
	listedInstruction = regexp.MustCompile(`^\t0x[0-9a-f]{4,} (\d+) \(.*?:(\d+)\)\t([A-Z][A-Z0-9.]*)\t?(.*)`)
	listedBytes       = regexp.MustCompile(`^\t0x[0-9a-f]{4,} ((?:[0-9a-f]{2} ){1,16}) `)
)

// vexOpcodes are the instructions with a VEX prefix that are known, by what they need:
// the opcode map, the number of the prefix that is part of the opcode, and the opcodes
// (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2). It is another
// table than that of the names, so that a name which the assembler encodes as something
// else is seen.
var vexOpcodes = []struct {
	feature   string
	table, pp byte
	opcodes   string
}{
	{"AVX", 1, 0, "10 11 14 15 28 29 51 54 56 57 58 59 5a 5c 5d 5e 5f 77 c2 c6"},
	{"AVX", 1, 1, "14 15 51 54 56 57 58 59 5a 5c 5d 5e 5f 6e 7e c2 c6"},
	{"AVX", 1, 2, "10 11"},
	{"AVX", 1, 3, "10 11"},
	{"AVX512F", 1, 0, "92"},                            // into a mask
	{"AVX2", 1, 1, "72 73 d2 d3 d4 f2 f3 f4 fa fb fe"}, // on integers; of 128 bits, AVX
	{"BMI2", 2, 0, "f5"},
	{"AVX", 2, 1, "0c 0d 1a 2c 2d 2e 2f"},
	{"AVX2", 2, 1, "18 19 58 59"}, // broadcasts; 18 and 19 from memory, AVX
	{"FMA3", 2, 1, "96 97 98 99 9a 9b 9c 9d 9e 9f a6 a7 a8 a9 aa ab ac ad ae af b6 b7 b8 b9 ba bb bc bd be bf"},
	{"AVX", 3, 1, "04 05 06 0c 0d 18 19 4a 4b"},
}

// feature is what an instruction with a VEX prefix needs, or a word for that it is none
// of those that are known.
func feature(code []byte) string {
	if len(code) < 5 {
		code = append(slices.Clone(code), make([]byte, 5)...)
	}
	table, last, opcode := byte(1), code[1], code[2]
	if code[0] == 0xc4 {
		table, last, opcode = code[1]&31, code[2], code[3]
	}
	for _, known := range vexOpcodes {
		if known.table == table && known.pp == last&3 && slices.Contains(strings.Fields(known.opcodes), fmt.Sprintf("%02x", opcode)) {
			return known.feature
		}
	}
	return "an unknown feature"
}

// reserved are the registers of arm64 that belong to the system, to Go and to the frame.
var reserved = regexp.MustCompile(`\b[XW](18|28|29|30)\b`)

// machine returns what is wrong with the machine code that the assembler makes of
// a text, and the number of its functions.
func (r *rules) machine(t *testing.T, text string) (functions int, wrong []string) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "a.s")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "tool", "asm", "-S", "-p", "asm", "-I", filepath.Join(strings.TrimSpace(string(root)), "pkg", "include"),
		"-o", filepath.Join(dir, "a.o"), file)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+r.goarch)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}

	type instruction struct {
		at         int
		line, text string
	}
	var function string
	var code []byte
	var list []instruction
	checked := false // whether the function looks at the stack's limit, which makes it a safe point
	finish := func() {
		if function != "" {
			functions++
			if !checked {
				wrong = append(wrong, function+": no stack check")
			}
		}
		// What the assembler adds has the line of TEXT or of RET.
		added := map[string]bool{}
		for n, i := range list {
			if strings.HasPrefix(i.text, "TEXT") || strings.HasPrefix(i.text, "RET") {
				added[i.line] = true
			}
			// Before each return the frame is given back, and on amd64 the caller's BP.
			back := map[string]string{"amd64": "POPQ BP", "arm64": "ADD $"}[r.goarch]
			if strings.HasPrefix(i.text, "RET") && (list[n-1].line != i.line || !strings.HasPrefix(list[n-1].text, back)) {
				wrong = append(wrong, fmt.Sprintf("%s: %s: comes after %s, want %s", function, i.text, list[n-1].text, back))
			}
		}
		for _, i := range list {
			if strings.HasPrefix(i.text, "TEXT") {
				continue
			}
			if i.at >= len(code) {
				wrong = append(wrong, fmt.Sprintf("%s: %s: not among the %d bytes of code", function, i.text, len(code)))
				continue
			}
			complain := func(format string, args ...any) {
				wrong = append(wrong, fmt.Sprintf("%s: %s: ", function, i.text)+fmt.Sprintf(format, args...))
			}
			if r.goarch == "arm64" {
				// What it does not decode is a WORD's business.
				if d, err := arm64asm.Decode(code[i.at:]); err == nil && !added[i.line] && reserved.MatchString(d.String()) {
					complain("%v uses a register that is not the kernel's", d)
				}
				continue
			}
			// AVX, AVX2 and FMA have the prefixes C4 and C5, AVX-512 has 62.
			switch b := code[i.at]; {
			case b == 0xc4 || b == 0xc5:
				if f := feature(code[i.at:]); !slices.Contains(r.features, f) {
					complain("%x needs %s, and %q are asked for", code[i.at:min(len(code), i.at+5)], f, r.features)
				}
			case b == 0x62 && !r.evex, b != 0x62 && strings.HasPrefix(i.text, "V"):
				complain("begins with the byte %02x, not with a prefix that it may have", b)
			}
		}
		code, list, checked = nil, nil, false
	}
	for _, line := range strings.Split(string(out), "\n") {
		if m := listedFunction.FindStringSubmatch(line); m != nil {
			finish()
			function = m[1]
		} else if m := listedInstruction.FindStringSubmatch(line); m != nil {
			checked = checked || strings.Contains(m[4], "runtime.morestack_noctxt")
			if at, _ := strconv.Atoi(m[1]); m[3] != "PCDATA" && m[3] != "FUNCDATA" && m[3] != "NOP" {
				list = append(list, instruction{at, m[2], strings.TrimSpace(m[3] + " " + m[4])})
			}
		} else if m := listedBytes.FindStringSubmatch(line); m != nil {
			b, err := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			code = append(code, b...)
		} else if regexp.MustCompile(`^\S+ S\w+ `).MatchString(line) {
			finish() // data
			function = ""
		}
	}
	finish()
	return functions, wrong
}

// TestMachineCode looks at the bytes that Go's assembler makes: each instruction is
// encoded as one that the guard has asked for, each function has a safe point, and what
// belongs to the caller, the system and Go stays as it was.
func TestMachineCode(t *testing.T) {
	for name, text := range generated(t) {
		if !strings.HasSuffix(name, ".s") {
			continue
		}
		functions, wrong := rulesOf(t, name).machine(t, string(text))
		if want := bytes.Count(text, []byte("\nTEXT ")); functions != want || want == 0 {
			t.Errorf("%s: %d functions in the listing, want %d", name, functions, want)
		}
		for _, w := range wrong {
			t.Errorf("%s: %s", name, w)
		}
	}
}

func TestMachineCodeRefuses(t *testing.T) {
	for body, want := range map[string]string{
		"VADDPS Y15, Y1, Y2":                 "",
		"VADDPS Y16, Y1, Y2":                 "begins with the byte 62",
		"VADDPS Y0, Y1, K1, Y2":              "begins with the byte 62",
		"VMOVUPS 32(AX), X31":                "begins with the byte 62",
		"VPTERNLOGD $1, Y0, Y1, Y2":          "begins with the byte 62",
		"VADDPS.BCST (AX), Y1, Y2":           "begins with the byte 62",
		"BYTE $0x62; BYTE $0; BYTE $0; NOP":  "begins with the byte 62",
		"BYTE $0x0f; BYTE $0x58; BYTE $0xc1": "", // ADDPS: not our matter here
	} {
		text := "TEXT ·f(SB), $128-8\n\t" + strings.ReplaceAll(body, "; ", "\n\t") + "\n\tRET\n"
		_, wrong := avx2.machine(t, text)
		if got := strings.Join(wrong, "; "); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: complaints %q, want %q", body, got, want)
		}
	}
	for _, r := range sets {
		text := "#include \"textflag.h\"\nTEXT ·f(SB), NOSPLIT, $128-8\n\tRET\n"
		if _, wrong := r.machine(t, text); len(wrong) != 1 || !strings.Contains(wrong[0], "no stack check") {
			t.Errorf("%s: NOSPLIT: complaints %q", r.suffix, wrong)
		}
	}
}

// TestGuard: the processor is asked for what the rules allow, no less.
func TestGuard(t *testing.T) {
	text, err := os.ReadFile("../internal/cpu/cpu_amd64.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`cpuid\.([A-Z0-9]+)[,)]`).FindAllSubmatch(text, -1) {
		got = append(got, string(m[1]))
	}
	if !slices.Equal(got, guards) {
		t.Errorf("internal/cpu asks for %q, want %q", got, guards)
	}
}

// dispatched returns what is wrong with the calls of a target's functions in a
// file: they stand behind the guard of one of the instruction sets, or nowhere. It adds
// the functions that are called to called.
func dispatched(t *testing.T, target string, isas []string, text string, called map[string]bool) (wrong []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "asm.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n ast.Node, guarded bool)
	walk = func(n ast.Node, guarded bool) {
		ast.Inspect(n, func(c ast.Node) bool {
			switch c := c.(type) {
			case *ast.FuncDecl:
				if c.Body != nil {
					walk(c.Body, guarded)
				}
				return false // its own name is not a use of it
			case *ast.SwitchStmt:
				tag, _ := c.Tag.(*ast.Ident)
				if tag == nil || tag.Name != "isa" {
					return true
				}
				for _, s := range c.Body.List {
					clause := s.(*ast.CaseClause)
					here := guarded
					if len(clause.List) == 1 {
						sel, _ := clause.List[0].(*ast.SelectorExpr)
						here = guarded || sel != nil && fmt.Sprint(sel.X) == "cpu" && slices.Contains(isas, sel.Sel.Name)
					}
					for _, b := range clause.Body {
						walk(b, here)
					}
				}
				return false
			case *ast.Ident:
				if strings.HasSuffix(c.Name, target) && c.Name != target {
					called[c.Name] = true
					if !guarded {
						wrong = append(wrong, fmt.Sprintf("%s is used outside of case cpu.%s", c.Name, strings.Join(isas, ", ")))
					}
				}
			}
			return true
		})
	}
	walk(file, false)
	return wrong
}

// handedOn returns what is wrong with the calls in those functions of a file that pick an
// instruction set for one kernel: for the target they call the kernel of their own name,
// with their own parameters in order, or AVX2's for AVX-512.
func handedOn(t *testing.T, target, text string) (functions int, wrong []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "asm.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Type.Results == nil || fmt.Sprint(f.Type.Results.List[0].Type) != "bool" {
			continue
		}
		var params []string
		for _, field := range f.Type.Params.List[1:] { // without isa
			for _, name := range field.Names {
				params = append(params, name.Name)
			}
		}
		call := func(target string) string { return fmt.Sprintf("%s%s%v", lowerFirst(f.Name.Name), target, params) }
		ast.Inspect(f.Body, func(n ast.Node) bool {
			clause, ok := n.(*ast.CaseClause)
			if !ok || len(clause.List) != 1 || fmt.Sprint(clause.List[0]) != fmt.Sprintf("&{cpu %s}", target) {
				return true
			}
			for _, s := range clause.Body {
				if e, ok := s.(*ast.ExprStmt); ok {
					functions++
					c := e.X.(*ast.CallExpr)
					got := fmt.Sprintf("%v%v", c.Fun, c.Args)
					if got != call(target) && !(target == "AVX512" && got == call("AVX2")) {
						wrong = append(wrong, fmt.Sprintf("%s calls %s, want %s", f.Name.Name, got, call(target)))
					}
				}
			}
			return false
		})
	}
	return functions, wrong
}

// TestDispatch: each assembly function has a stub with the parameters of its
// description, and is called behind its guard by the function of its name.
func TestDispatch(t *testing.T) {
	files := generated(t)
	for _, target := range targets {
		suffix := strings.ToLower(target.Name) + "_" + target.GOARCH
		described := map[string][]vec.Param{}
		for _, d := range descriptions(target.Target) {
			described[d.program.FuncName()] = d.program.Params
		}
		isas := []string{target.isa}
		if target.Target == vec.AVX2 {
			isas = append(isas, "AVX512") // for which a processor has to have AVX2 as well
		}
		var assembled []string
		called := map[string]bool{}
		for name, text := range files {
			if strings.HasSuffix(name, suffix+".s") {
				for _, m := range regexp.MustCompile(`(?m)^TEXT ·(\w+)`).FindAllStringSubmatch(string(text), -1) {
					assembled = append(assembled, m[1])
				}
			} else if strings.HasSuffix(name, ".go") {
				for _, w := range dispatched(t, target.Name, isas, string(text), called) {
					t.Errorf("asm/%s: %s", name, w)
				}
			}
		}
		functions, wrong := handedOn(t, target.Name, string(files["dispatch_"+target.GOARCH+".go"]))
		for _, w := range wrong {
			t.Errorf("asm: %s", w)
		}
		want := 0
		for _, f := range families {
			want += len(f.kernels)
		}
		if functions != want {
			t.Errorf("asm: %d calls in the functions of kernels for %s, want %d", functions, target.Name, want)
		}
		stubs := "stubs_" + suffix + ".go"
		declared := declarations(t, string(files[stubs]))
		for _, name := range assembled {
			if want := described[name]; want == nil || !slices.Equal(declared[name], want) {
				t.Errorf("asm/%s: %s has the parameters %v, want %v", stubs, name, declared[name], want)
			}
			if !called[name] {
				t.Errorf("asm: %s is called nowhere", name)
			}
		}
		if len(declared) != len(assembled) || len(described) != len(assembled) {
			t.Errorf("asm/%s: %d functions, want %d for as many assembled ones and %d descriptions", stubs, len(declared), len(assembled), len(described))
		}
	}
}

// declarations are the functions of a file with their parameters.
func declarations(t *testing.T, text string) map[string][]vec.Param {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "stubs.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string][]vec.Param{}
	for _, d := range file.Decls {
		f := d.(*ast.FuncDecl)
		params := []vec.Param{}
		for _, field := range f.Type.Params.List {
			for _, name := range field.Names {
				typ := text[field.Type.Pos()-file.FileStart : field.Type.End()-file.FileStart]
				params = append(params, vec.Param{Name: name.Name, Type: vec.Type(typ)})
			}
		}
		declared[f.Name.Name] = params
	}
	return declared
}

func TestDispatchRefuses(t *testing.T) {
	for body, want := range map[string]string{
		"switch isa {\ncase cpu.AVX2:\nfAVX2()\n}":                           "",
		"switch isa {\ncase cpu.AVX2:\nswitch n {\ncase 1:\nfAVX2()\n}\n}":   "",
		"switch isa {\ncase cpu.NEON:\nfAVX2()\n}":                           "fAVX2 is used outside of case cpu.AVX2",
		"switch isa {\ncase cpu.AVX2, cpu.NEON:\nfAVX2()\n}":                 "fAVX2 is used outside",
		"switch isa {\ndefault:\nfAVX2()\n}":                                 "fAVX2 is used outside",
		"switch n {\ncase cpu.AVX2:\nfAVX2()\n}":                             "fAVX2 is used outside",
		"if isa == cpu.AVX2 {\nfAVX2()\n}":                                   "fAVX2 is used outside",
		"g := fAVX2\nswitch isa {\ncase cpu.AVX2:\ng()\n}":                   "fAVX2 is used outside",
		"switch isa {\ncase cpu.AVX2:\nfAVX2()\n}\nif n > 1 {\nfAVX2()\n}\n": "fAVX2 is used outside",
	} {
		text := "package asm\nfunc F(isa cpu.ISA, n int) {\n" + body + "\n}\n"
		wrong := dispatched(t, "AVX2", []string{"AVX2"}, text, map[string]bool{})
		if got := strings.Join(wrong, "; "); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%q: complaints %q, want %q", body, got, want)
		}
	}
}

// vet returns what go vet says of a copy of package asm on an architecture, with another
// text in place of a file's, if any. Its check asmdecl compares the assembly with the stubs.
func vet(t *testing.T, goarch, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"asm", "internal/cpu"} {
		if err := os.CopyFS(filepath.Join(dir, d), os.DirFS(filepath.Join("..", d))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join("..", file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if name != "" {
		if err := os.WriteFile(filepath.Join(dir, "asm", name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "vet", "-asmdecl", "./asm")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+goarch, "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("%v: %v", cmd, err)
	}
	return string(out)
}

func TestVet(t *testing.T) {
	for _, r := range sets {
		if got := vet(t, r.goarch, "", ""); got != "" {
			t.Errorf("%s: %s", r.goarch, got)
		}
	}
}

// TestPlanted makes mistakes in copies of the generated files, one for each thing that
// is checked.
func TestPlanted(t *testing.T) {
	text := func(t *testing.T, name, text string) []string { _, wrong := rulesOf(t, name).check(text); return wrong }
	code := func(t *testing.T, name, text string) []string {
		_, wrong := rulesOf(t, name).machine(t, text)
		return wrong
	}
	decl := func(t *testing.T, name, text string) []string {
		goarch := "arm64"
		if strings.Contains(name, "amd64") {
			goarch = "amd64"
		}
		if said := vet(t, goarch, name, text); said != "" {
			return []string{said}
		}
		return nil
	}
	guarded := func(t *testing.T, name, text string) []string {
		return dispatched(t, "AVX2", []string{"AVX2", "AVX512"}, text, map[string]bool{})
	}
	calls := func(t *testing.T, name, text string) []string { _, wrong := handedOn(t, "AVX2", text); return wrong }
	for _, c := range []struct {
		file, pattern, with string
		check               func(t *testing.T, name, text string) []string
		want                string
	}{
		{"update_avx2_amd64.s", `(TEXT .*SB\)), `, "$1, NOSPLIT, ", text, "not a function as it should be"},
		{"update_avx2_amd64.s", `(TEXT .*SB\)), `, "$1, NOSPLIT, ", code, "no stack check"},
		{"update_avx2_amd64.s", `, \$128-`, ", $$120-", text, "a frame of 120 bytes"},
		{"update_avx2_amd64.s", `, \$128-`, ", NOFRAME, $$0-", code, "want POPQ BP"},
		{"update_avx2_amd64.s", `\tVZEROUPPER\n`, "", text, "want VZEROUPPER"},
		{"math_avx2_amd64.s", `(VMOVUPS .*), Y\d+`, "$1, Y16", text, "operand Y16"},
		{"math_avx2_amd64.s", `(VMOVUPS .*), Y\d+`, "$1, Y16", code, "begins with the byte 62"},
		{"math_avx2_amd64.s", `VADDPD .*, (Y\d+)`, "VHADDPD Y0, Y1, $1", text, "not an instruction"},
		{"math_avx2_amd64.s", `VADDPD .*, (Y\d+)`, "VHADDPD Y0, Y1, $1", code, "needs an unknown feature"},
		{"math_avx2_amd64.s", `VADDPD .*, (Y\d+)`, "VCVTPH2PS X0, $1", code, "needs an unknown feature"},
		{"math_avx2_amd64.s", `DECQ .*`, "SHLXQ AX, AX, AX", code, "needs an unknown feature"},
		{"math_avx2_amd64.s", `DECQ (.*)`, "MOVQ $1, SP", text, "operand SP"},
		{"math_avx2_amd64.s", `x\+16\(FP\)`, "x+24(FP)", decl, "invalid offset x+24(FP)"},
		{"math_avx2_amd64.s", `, \$128-24`, ", $$128-32", decl, "wrong argument size 32"},
		{"stubs_avx2_amd64.go", `func expAVX2\(n int,`, "func expAVX2(n int32,", decl, "expAVX2"},
		{"stubs_avx2_amd64.go", `func expAVX2\(n int, dst`, "func expAVX2(n int, out", decl, "unknown variable dst"},
		{"dispatch_amd64.go", `\texpAVX2\(`, "\tlogAVX2(", calls, "Exp calls logAVX2"},
		{"dispatch_amd64.go", `\texpAVX2\(n, dst, x\)`, "\texpAVX2(n, x, dst)", calls, "Exp calls expAVX2[n x dst]"},
		{"dispatch_amd64.go", `case cpu.AVX2:`, "case cpu.Portable:", guarded, "outside of case cpu.AVX2"},
		{"math_neon_arm64.s", `(TEXT .*SB\)), `, "$1, NOSPLIT, ", text, "not a function as it should be"},
		{"math_neon_arm64.s", `(TEXT .*SB\)), `, "$1, NOSPLIT, ", code, "no stack check"},
		{"math_neon_arm64.s", `, \$\d+-`, ", $$0-", text, "a frame of 0 bytes"},
		{"math_neon_arm64.s", `, \$\d+-`, ", NOFRAME, $$0-", code, "want ADD $"},
		{"math_neon_arm64.s", `(WORD .* v\d+)\.4s`, "$1.2s", text, "the word stands for"},
		{"math_neon_arm64.s", `WORD .* //`, "WORD $$0x00000000 //", text, "unknown instruction"},
		{"math_neon_arm64.s", `MOVD (.*), R\d+`, "MOVD $1, R29", text, "operand R29"},
		{"math_neon_arm64.s", `MOVD (.*), R\d+`, "MOVD $1, R29", code, "a register that is not the kernel's"},
		{"math_neon_arm64.s", `MOVD (.*), R\d+`, "MOVD $1, g", code, "a register that is not the kernel's"},
		{"math_neon_arm64.s", `x\+16\(FP\)`, "x+8(FP)", decl, "invalid offset x+8(FP)"},
		{"stubs_neon_arm64.go", `func expNEON\(n int,`, "func expNEON(n int32,", decl, "expNEON"},
	} {
		before := string(generated(t)[c.file])
		if wrong := c.check(t, c.file, before); len(wrong) > 0 {
			t.Errorf("%s: complaints %q", c.file, wrong)
		}
		re, first := regexp.MustCompile(c.pattern), true
		after := re.ReplaceAllStringFunc(before, func(old string) string {
			if !first {
				return old
			}
			first = false
			return re.ReplaceAllString(old, c.with)
		})
		if after == before {
			t.Errorf("%s has no %s", c.file, c.pattern)
			continue
		}
		if wrong := c.check(t, c.file, after); !strings.Contains(strings.Join(wrong, "; "), c.want) {
			t.Errorf("%s with %s instead of %s: complaints %q, want %q", c.file, c.with, c.pattern, wrong, c.want)
		}
	}
}
