package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// fake names the variable that makes the test's program an llvm-mca. Its value
// says how that one behaves.
const fake = "FAKE_LLVM_MCA"

func TestMain(m *testing.M) {
	how := os.Getenv(fake)
	if how == "" {
		os.Exit(m.Run())
	}
	if slices.Contains(os.Args, "--version") {
		fmt.Println("Some LLVM version 1.2.3\n  Optimized build.")
		os.Exit(0)
	}
	// Two multiply-adds a cycle, in loops so much per cent of it.
	text, _ := io.ReadAll(os.Stdin)
	cycles := 500 * strings.Count(string(text), "fm")
	if bytes.Contains(text, []byte("jne")) || bytes.Contains(text, []byte("cbnz")) {
		switch how {
		case "95.2":
			cycles = cycles * 105 / 100
		case "94.3":
			cycles = cycles * 106 / 100
		}
	}
	switch {
	case how == "ignores" && slices.Contains(os.Args, "-mcpu=neoverse-v1"):
		fmt.Fprintln(os.Stderr, "'neoverse-v1' is not a recognized processor for this target (ignoring processor)")
		cycles = 1
	case how == "fails":
		fmt.Fprintln(os.Stderr, "unrecognized instruction mnemonic")
		os.Exit(1)
	}
	fmt.Printf(report, cycles)
	os.Exit(0)
}

// report has the parts of llvm-mca's that matter, and a few others.
const report = `{
  "CodeRegions": [
    {
      "Instructions": ["addq\t%%rbx, %%rdx"],
      "Name": "",
      "SummaryView": {
        "BlockRThroughput": 6,
        "DispatchWidth": 6,
        "IPC": 4.1597337770382694,
        "Instructions": 25000,
        "Iterations": 1000,
        "TotalCycles": %d,
        "uOpsPerCycle": 4.1597337770382694
      }
    }
  ],
  "TargetInfo": {"CPUName": "znver3"}
}
`

func TestAsk(t *testing.T) {
	t.Chdir("../../..")
	for _, c := range []struct {
		how, want string // the error, and what is printed besides
		printed   []string
	}{
		{"95.2", "", []string{"Some LLVM version 1.2.3\n", "znver3    gemm6x2AVX2", "znver3    gemm4x3AVX2",
			"skylake-avx512  gemm9x3AVX512", "icelake-server  gemm9x3AVX512", "znver4  gemm9x3AVX512", "neoverse-n1    gemm8x3NEON", "neoverse-v1    gemm8x3NEON", "95.2 %"}},
		{"94.3", "7 of 7 loops below 95 %", []string{"94.3 %"}},
		{"ignores", "gemm8x3NEON on neoverse-v1: ", nil},
		{"fails", "unrecognized instruction mnemonic", nil},
	} {
		t.Setenv(fake, c.how)
		var out bytes.Buffer
		err := ask(&out, os.Args[0])
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.how, err, c.want)
		}
		for _, s := range c.printed {
			if !strings.Contains(out.String(), s) {
				t.Errorf("%s: no %q in\n%s", c.how, s, &out)
			}
		}
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := ask(io.Discard, ""); err == nil || !strings.Contains(err.Error(), "install Debian's package llvm-19") {
		t.Errorf("no llvm-mca: error %v, want one that says what to install", err)
	}
	if err := ask(io.Discard, "other-mca"); err == nil || !strings.Contains(err.Error(), `"other-mca"`) {
		t.Errorf("no other-mca: error %v, want one that names it", err)
	}
	if err := run(io.Discard, t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "in the root of the repository") {
		t.Errorf("no assembly: error %v, want one that says where to run this", err)
	}
}

func TestFind(t *testing.T) {
	dir, exe := t.TempDir(), ""
	if runtime.GOOS == "windows" {
		exe = ".exe"
	}
	t.Setenv("PATH", dir)
	for _, c := range []struct{ named, want string }{ // the second finds both
		{"", "llvm-mca"},
		{"", "llvm-mca-19"},
		{"llvm-mca", "llvm-mca"},
	} {
		want := filepath.Join(dir, c.want+exe)
		if err := os.WriteFile(want, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if got, err := find(c.named); err != nil || got != want {
			t.Errorf("-llvm-mca %q: found %s, error %v, want %s", c.named, got, err, want)
		}
	}
}

func TestParse(t *testing.T) {
	if got, err := parse(fmt.Appendf(nil, report, 6010)); err != nil || got != 6.01 {
		t.Errorf("%v cycles, error %v, want 6.01", got, err)
	}
	for _, bad := range []string{"", "Iterations: 100", `{}`, `{"CodeRegions": [{}]}`,
		`{"CodeRegions": [{"SummaryView": {"TotalCycles": 1}}]}`, fmt.Sprintf(report, 0)} {
		if got, err := parse([]byte(bad)); err == nil {
			t.Errorf("%q: %v cycles, want an error", bad, got)
		}
	}
}

// TestTiles: the loops that are in the tree can be found and translated.
func TestTiles(t *testing.T) {
	for _, tile := range tiles {
		text, err := os.ReadFile("../../../asm/" + tile.file)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := innerLoop(string(text), tile.function)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tile.syntax.translate(lines); err != nil {
			t.Errorf("%s: %v", tile.function, err)
		}
		// A step of k, or some of them, times rows times vectors.
		var rows, vectors int
		if _, err := fmt.Sscanf(tile.function, "gemm%dx%d", &rows, &vectors); err != nil {
			t.Fatal(err)
		}
		if n := countFMAs(lines); n == 0 || n%(rows*vectors) != 0 {
			t.Errorf("%s: %d multiply-adds in the loop, want a multiple of %d", tile.function, n, rows*vectors)
		}
	}
}

// text has a function with the loops a, b and c in the loop l0, and two others
// around it.
const text = `
TEXT ·before(SB), $128-8
l1:
	VFMADD231PS Y1, Y2, Y3
	JNE         l1
	RET

// func tile(args *Gemm)
TEXT ·tile(SB), $128-8
	MOVQ args+0(FP), AX

l0:
	CMPQ CX, $0x00000001
	JEQ  l5

l1:
	VFMADD231PS Y0, Y0, Y0
	DECQ        DX
	JNE         l1

l2:
	VMOVUPS      -32(DX), Y12
	ADDQ         $+64, DX
	VBROADCASTSS (SI)(DI*2), Y14
	VFMADD231PS  Y12, Y14, Y0
	VFMADD231PS  Y12, Y14, Y1
	DECQ         CX
	JNE          l2

l3:
	VADDPS Y0, Y1, Y2
	DECQ   CX
	JNE    l3
	JMP    l0

l5:
	VZEROUPPER
	RET

TEXT ·tileedge(SB), $128-8
l2:
	VFMADD231PS Y0, Y1, Y2
	VFMADD231PS Y0, Y1, Y3
	VFMADD231PS Y0, Y1, Y4
	JNE         l2
	RET
`

func TestInnerLoop(t *testing.T) {
	got, err := innerLoop(text, "tile")
	want := []string{
		"VMOVUPS -32(DX), Y12",
		"ADDQ $+64, DX",
		"VBROADCASTSS (SI)(DI*2), Y14",
		"VFMADD231PS Y12, Y14, Y0",
		"VFMADD231PS Y12, Y14, Y1",
		"DECQ CX",
		"JNE l2",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, error %v, want %q", got, err, want)
	}
	if got, err := innerLoop(text, "til"); err == nil {
		t.Errorf("a function that is not there has the loop %q", got)
	}
	if got, err := innerLoop(strings.ReplaceAll(text, "VFMADD", "VADD"), "tile"); err == nil {
		t.Errorf("a function without multiply-adds has the loop %q", got)
	}
}

func TestTranslate(t *testing.T) {
	for _, c := range []struct {
		syntax   *syntax
		from, to string // to is empty for what is refused
	}{
		{&amd64, "VMOVUPS (DX), Y12", "vmovups (%rdx), %ymm12"},
		{&amd64, "VMOVUPS -32(R8), X9", "vmovups -32(%r8), %xmm9"},
		{&amd64, "VBROADCASTSS (SI), Y14", "vbroadcastss (%rsi), %ymm14"},
		{&amd64, "VBROADCASTSS (SI)(DI*1), Y14", "vbroadcastss (%rsi,%rdi,1), %ymm14"},
		{&amd64, "VBROADCASTSS 4(R8)(BP*2), Y14", "vbroadcastss 4(%r8,%rbp,2), %ymm14"},
		{&amd64, "VFMADD231PS Y12, Y14, Y0", "vfmadd231ps %ymm12, %ymm14, %ymm0"},
		{&amd64, "VFMADD231PS (SI), Z12, Z30", "vfmadd231ps (%rsi), %zmm12, %zmm30"},
		{&amd64, "ADDQ BX, DX", "addq %rbx, %rdx"},
		{&amd64, "ADDQ $+64, R15", "addq $64, %r15"},
		{&amd64, "DECQ CX", "decq %rcx"},
		{&amd64, "JNE l6", "jne l6"},
		{&amd64, "CMPQ CX, $0x00000001", ""},
		{&amd64, "VANDPS c256_7fffffff<>+0(SB), Y1, Y2", ""},
		{&amd64, "JMP l6", ""},

		{&arm64, "FMOVQ (R2), F24", "ldr q24, [x2, #0]"},
		{&arm64, "FMOVQ 16(R2), F25", "ldr q25, [x2, #16]"},
		{&arm64, "FMOVQ -16(R12), F2", "ldr q2, [x12, #-16]"},
		{&arm64, "WORD $0x4fbc1357 // fmla v23.4s, v26.4s, v28.s[3]", "fmla v23.4s, v26.4s, v28.s[3]"},
		{&arm64, "ADD R3, R2", "add x2, x2, x3"},
		{&arm64, "ADD $+16, R2", "add x2, x2, #16"},
		{&arm64, "SUB $+1, R1", "sub x1, x1, #1"},
		{&arm64, "CBNZ R1, l6", "cbnz x1, l6"},
		{&arm64, "FMOVQ F0, (R1)", ""},
		{&arm64, "ADD R3, R2, R1", ""},
		{&arm64, "VFMLA V0.S4, V1.S4, V2.S4", ""},
	} {
		got, err := c.syntax.translate([]string{c.from})
		if c.to == "" {
			if err == nil || !strings.Contains(err.Error(), c.from) {
				t.Errorf("%s: %q, error %v, want one that names the line", c.from, got, err)
			}
		} else if err != nil || got != c.to+"\n" {
			t.Errorf("%s: %q, error %v, want %q", c.from, got, err, c.to)
		}
	}
}

func TestIndependent(t *testing.T) {
	for _, c := range []struct {
		syntax      *syntax
		first, last string
	}{
		{&amd64, "vfmadd231ps %ymm14, %ymm15, %ymm0\n", "\nvfmadd231ps %ymm14, %ymm15, %ymm13\n"},
		{&arm64, "fmla v0.4s, v30.4s, v31.s[0]\n", "\nfmla v29.4s, v30.4s, v31.s[0]\n"},
	} {
		got := c.syntax.independent()
		if n := strings.Count(got, "\n"); n != c.syntax.accumulators || !strings.HasPrefix(got, c.first) || !strings.HasSuffix(got, c.last) {
			t.Errorf("%d lines, want %d from %q to %q:\n%s", n, c.syntax.accumulators, c.first, c.last, got)
		}
	}
}
