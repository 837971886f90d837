package main

import (
	"fmt"
	"regexp"
	"slices"
)

// faultsAVX512 are planted besides those that AVX2 and NEON have too.
var faultsAVX512 = []fault{
	{"sgd", "tail's mask one lane short", 0},
	{"sgd", "tail's mask one lane short", -1},
	{"sgd", "store's mask lost", 0},
	{"sgd", "load's mask lost", 1},
	{"sgd", "other lanes kept", 2},
	{"sgd", "short round taken for long", 0},
	{"momentum", "tail's mask lost", 1},
	{"nesterov", "another mask", 1},
	{"nesterovVelocityFirst", "store's mask lost", -1},
	{"adaGrad", "load's mask lost", -1},
	{"adam", "tail's mask one lane short", 1},
	{"adam", "store's mask lost", 2},
	{"adamW", "another mask", -1},
	{"lion", "other lanes kept", 4},
	{"lion", "other lanes kept", -1},
	{"torchRMSpropCenteredMomentum", "store's mask lost", 3},
	{"rAdam", "another mask", 0},
	{"rprop", "another mask", 2},
	{"rprop", "another mask", 5},
	{"rprop", "other lanes kept", -2},
	{"rprop", "short round taken for long", 0},
	{"lamb", "load's mask lost", 2},
	{"adjust", "tail's mask lost", -1},
	{"muon", "store's mask lost", 1},

	{"exp", "tail's mask one lane short", 0},
	{"exp", "tail's mask one lane short", -1},
	{"exp", "load's mask lost", 0},
	{"log", "another mask", 2},
	{"log", "tail's mask lost", -1},
	{"reLU", "tail's mask one lane short", 0},
	{"sigmoid", "store's mask lost", 0},
	{"leakyReLU", "another mask", 0},
	{"elu", "short round taken for long", 0},
	{"softplus", "another mask", -1},
	{"siLU", "tail's mask lost", -1},
	{"geluTanh", "load's mask lost", 0},
	{"deriveReLU", "other lanes kept", 0},
	{"deriveGELU", "store's mask lost", 0},
	{"deriveSiLU", "load's mask lost", 1},
	{"scale", "store's mask lost", 0},
	{"factored", "tail's mask one lane short", -1},

	{"softmax", "other lanes zeroed", 0},
	{"softmax", "tail's mask one lane short", 1},
	{"softmax", "half of a fold lost", 0},
	{"softmax", "half of a fold lost", 1},
	{"softmax", "half of a fold lost", 2},
	{"softmax", "store's mask lost", 0},
	{"crossEntropy", "other lanes zeroed", 0},
	{"crossEntropy", "round too many", 0},
	{"crossEntropyGrad", "store's mask lost", -1},
	{"crossEntropyGrad", "load's mask lost", 0},
	{"softCrossEntropy", "half of a fold lost", -1},
	{"softCrossEntropy", "other lanes kept", 2},
	{"huberError", "tail's mask lost", -1},
	{"logisticError", "other lanes kept", 2},
	{"logisticError", "other lanes kept", 3},
	{"logisticError", "another mask", 0},
	{"logisticError", "another mask", 2},
	{"logisticError", "another mask", -1},
	{"sumAbs", "store's mask lost", 0},
	{"sumSquares", "tail's mask one lane short", -1},
	{"softmaxGrad", "short round taken for long", 0},
	{"addSquares", "load's mask lost", 0},

	{"columnSums", "tail's mask lost", 0},
	{"columnSums", "load's mask lost", 1},
	{"columnSquares", "load's mask lost", 2},
	{"normalize", "tail's mask one lane short", 0},
	{"normalizeSums", "load's mask lost", 3},
	{"normalizeGrad", "store's mask lost", -1},
	{"layerNorm", "half of a fold lost", 0},
	{"layerNorm", "half of a fold lost", -1},
	{"layerNorm", "store's mask lost", 0},
	{"layerNorm", "tail's mask one lane short", -1},
	{"layerNormGrad", "load's mask lost", 1},
	{"layerNormGrad", "short round taken for long", 0},
	{"layerNormParams", "tail's mask lost", 0},

	{"dropout", "tail's mask one lane short", 0},
	{"dropout", "load's mask lost", 1},
	{"dropout", "store's mask lost", 0},

	{"gemm9x3", "accumulation lost", 0},
	{"gemm9x3", "accumulation lost", -1},
	{"gemm9x3", "multiply-add split", 4},
	{"gemm9x3", "another row of A", 0},
	{"gemm9x3", "another row of A", -1},
	{"gemm9x3", "zeroing lost", 26},
	{"gemm9x3", "wrong offset", 0},
	{"gemm9x3", "wrong offset", -1},
	{"gemm9x3", "tail's mask one lane short", 0},
	{"gemm9x3", "tail's mask lost", 0},
	{"gemm9x3", "load's mask lost", 8},
	{"gemm9x3", "load's mask lost", 9},
	{"gemm9x3", "load's mask lost", 10},
	{"gemm9x3", "store's mask lost", 4},
	{"gemm9x3", "other lanes kept", -1},
	{"gemm9x3", "another mask", -1},
	{"gemm9x3", "start of C lost", 0},
	{"gemm9x3", "start of the bias lost", 0},
	{"gemm9x3", "step to the next row lost", 3},
	{"gemm9x3", "operands of greater swapped", -1},
	{"gemm9x3", "operands of max swapped", 0},
	{"gemm9x3", "stretch of k miscounted", 0},
	{"gemm9x3", "round too few", 0},
	{"gemm9x3", "round too few", 1},
	{"gemm9x3", "round too few", 2},
	{"gemm9x3", "round too few", -1},
	{"gemm8x3", "another row of A", -1},
	{"gemm4x2", "another mask", 2},
	{"gemm2x3", "load's mask lost", -1},
	{"gemm1x3", "other lanes kept", -1},
	{"gemm1x2", "store's mask lost", 0},
	{"gemm1x1", "tail's mask lost", 0},
	{"gemm8x1", "store's mask lost", 0},
	{"gemv4", "tail's mask one lane short", 0},
	{"gemv4", "load's mask lost", 4},
	{"gemv4", "store's mask lost", 0},
	{"gemvEnd", "other lanes kept", 0},
	{"gemvEnd", "other lanes kept", 3},
	{"gemvEnd", "another mask", 7},
	{"gemv2", "load's mask lost", 0},
	{"gemv1", "tail's mask lost", 0},
	{"gemv1", "accumulation lost", -1},
}

// kindsAVX512 are AVX-512's mistakes. They have AVX2's names where AVX2 has the like: a
// loop whose last round may be short, by a mask, is the counterpart of a loop and its
// tail. Those of masks are its own.
var kindsAVX512 = map[string]edit{
	"copied vector lost":     copiedVectorLost,
	"rows copied too close":  rowsCopiedTooClose,
	"place of the copy lost": placeOfTheCopyLost,

	"another register":            registers(`^(V(?:ADD|SUB|MUL|DIV|MIN|MAX|AND|OR)P[SD](?:\.BCST)? .*, [XYZ])(\d+)$`, 32),
	"operands of sub swapped":     replace(`^(VSUBP[SD]) ([XYZ]\d+), ([XYZ]\d+),`, "$1 $3, $2,"),
	"operands of div swapped":     replace(`^(VDIVP[SD]) ([XYZ]\d+), ([XYZ]\d+),`, "$1 $3, $2,"),
	"operands of min swapped":     replace(`^(VMINP[SD]) ([XYZ]\d+), ([XYZ]\d+),`, "$1 $3, $2,"),
	"operands of max swapped":     replace(`^(VMAXP[SD]) ([XYZ]\d+), ([XYZ]\d+),`, "$1 $3, $2,"),
	"operands of select swapped":  replace(`^(VBLENDMP[SD]) ([XYZ]\d+), ([XYZ]\d+),`, "$1 $3, $2,"),
	"operands of greater swapped": replace(`^(VCMPP[SD](?:\.BCST)?) \$0x1e,`, "$1 $$0x11,"), // less
	"product and sum fused":       fusedAVX512,
	"multiply-add split":          splitAVX512,
	"order of products":           productsAVX512,

	"option forced":              replace2(`^(TESTQ \$\w+, \w+)\nJEQ l\d+$`, "$1"),
	"option overlooked":          replace(`^TESTQ \$0x0000000f,`, "TESTQ $$0x0000000e,"),
	"tail dropped":               either(replace(`^ANDQ \$\+(?:15|31), (\w+)$`, "XORQ $1, $1"), masked("8")),
	"tail one element short":     either(add(-1, `^ANDQ \$\+(15|31),`), masked("2")),
	"tail's mask one lane short": replace(`^(BZHIQ .*, (\w+))$`, "$1\nSHRQ $$1, $2"),
	"tail's mask lost":           replace(`^BZHIQ .*`, ""),
	"short round taken for long": replace2(`^CMPQ (\w+), \$0x000000(?:10|08)\n(JLT \w+)$`, "CMPQ $1, $$7\n$2"),
	"store's mask lost":          replace(`^(VMOVUP[SD] [XYZ]\d+), K\d, `, "$1, "),
	"load's mask lost":           replace(`^(VMOVUP[SD])\.Z (\S+\)), K\d, `, "$1 $2, "),
	"other lanes kept":           replace(`^(VMOVUP[SD]|VBROADCASTS[SD])\.Z (.*, K\d, )`, "$1 $2"),
	"other lanes zeroed":         replace(`^(VMOVUP[SD]) (\S+\), K\d, )`, "$1.Z $2"),
	"another mask":               otherMask,

	"round too few":                  either(replace2(`^DECQ (\w+)\nJNE (\w+)$`, "DECQ $1\nCMPQ $1, $$1\nJGT $2"), masked("17")),
	"round too many":                 either(replace2(`^DECQ (\w+)\nJNE (\w+)$`, "DECQ $1\nJGE $2"), masked("-7")),
	"step too short":                 either(add(-4, `^ADDQ \$\+(32|64),`), add(4, `^ADDQ \$(-8|-16),`)),
	"stretch of k miscounted":        add(1, `^ADDQ \$(-16), `),
	"turn miscounted":                add(8, `^ADDQ \$(-32), `),
	"pass miscounted":                add(2, `^ADDQ \$(-4), `),
	"wrong circle":                   replace(`^ANDQ \$\+255,`, "ANDQ $$+127,"),
	"wrong offset":                   add(4, `^V\w+(?:\.Z)? (\d+)\(\w+\), `),
	"multiple of a step too small":   multipleAMD64,
	"another row of A":               replace(`^(VBROADCASTSS|VFMADD231PS\.BCST)( \(\w+\)\(\w+)\*1\)`, "$1$2*2)"),
	"another field of the arguments": add(8, `^MOVQ (\d+)\(\w+\), `),

	"half of a fold lost":             replace(`^(VEXTRACTF\w+) \$0x01,`, "$1 $$0x00,"),
	"operands of integer sub swapped": replace(`^(VPSUB[DQ]) ([XYZ]\d+), ([XYZ]\d+),`, "$1 $3, $2,"),
	"shift too short":                 replace(`^(VPS[LR]L[DQ]) \$0x34,`, "$1 $$0x33,"),
	"constant off in its last bit":    constantAVX2(`3f800000`),
	"coefficient off in its last bit": constantAVX2(`[0-9a-f]{13}([1-9a-f]..|.[1-9a-f].|..[1-9a-f])`),

	"store lost":                replace(`^VMOVUP[SD] [XYZ]\d+, (?:K\d, )?\(\w+\)$`, ""),
	"square root lost":          replace(`^VSQRT.*`, ""),
	"clamp lost":                replace(`^V(MIN|MAX).*`, ""),
	"accumulation lost":         replace(`^VFMADD.*`, ""),
	"mask lost":                 replace(`^VANDPS .*`, ""),
	"zeroing lost":              replace(`^VPXORD .*`, ""),
	"start of C lost":           replace2(`^(CMPQ \w+, \$0x00000001)\nJEQ \w+$`, "$1"),
	"start of the bias lost":    replace2(`^(CMPQ \w+, \$0x00000002)\nJEQ \w+$`, "$1"),
	"step to the next row lost": replace2(`^ADDQ \w+, \w+\n(VMOVUPS Z\d+, .*)$`, "$1"),
}

// masked ends a loop with a short round once fewer elements are left.
func masked(left string) edit {
	return replace2(`^(CMPQ \w+), \$0x00000001\n(JLT \w+)$`, "$1, $$"+left+"\n$2")
}

// either is the first of two edits that can be made.
func either(a, b edit) edit {
	return func(code []string, i int) (string, int, string, bool) {
		if text, lines, end, ok := a(code, i); ok {
			return text, lines, end, true
		}
		return b(code, i)
	}
}

const spareAVX512 = 31

// A product, a sum and a multiply-add: the first source may be an element in memory that
// is repeated.
var (
	mulAVX512  = regexp.MustCompile(`^VMULP([SD])(\.BCST)? (\S+), ([XYZ]\d+), ([XYZ]\d+)$`)
	sumAVX512  = regexp.MustCompile(`^V(ADD|SUB)P[SD](\.BCST)? (\S+), ([XYZ]\d+), ([XYZ]\d+)$`)
	loadAVX512 = regexp.MustCompile(`^VBROADCASTS[SD] c\d+_\w+<>`)
	fmaAVX512  = regexp.MustCompile(`^VFMADD231P([SD])(\.BCST)? (\S+), (Z\d+), (Z\d+)$`)
	maskAVX512 = regexp.MustCompile(`\bK[1-7]\b`)
)

// fusedAVX512 is fusedAVX2 for AVX-512.
func fusedAVX512(code []string, i int) (string, int, string, bool) {
	next := code[i+1:]
	load := ""
	if len(next) > 1 && loadAVX512.MatchString(next[0]) {
		load, next = next[0]+"\n", next[1:]
	}
	if len(next) == 0 || uses(code, spareAVX512) {
		return "", 0, "", false
	}
	m, s := mulAVX512.FindStringSubmatch(code[i]), sumAVX512.FindStringSubmatch(next[0])
	if m == nil || s == nil {
		return "", 0, "", false
	}
	move, op, c := "VMOVUPS", "VFMADD", s[4]
	if s[1] == "SUB" {
		op = "VFNMADD"
	}
	switch {
	case s[3] == m[5]:
	case s[4] == m[5] && s[1] == "ADD":
		c = s[3]
		if s[2] != "" {
			move = "VBROADCASTS" + m[1]
		}
	default:
		return "", 0, "", false
	}
	free := fmt.Sprint(m[5][:1], spareAVX512)
	text := fmt.Sprintf("%s %s, %s\n%s231P%s%s %s, %s, %[3]s\nVMOVUPS %[3]s, %[9]s", move, c, free, op, m[1], m[2], m[3], m[4], s[5])
	return load + text, len(code) - i - len(next) + 1, "", true
}

// splitAVX512 is splitAVX2 for AVX-512.
func splitAVX512(code []string, i int) (string, int, string, bool) {
	m := fmaAVX512.FindStringSubmatch(code[i])
	if m == nil || uses(code, spareAVX512) {
		return "", 0, "", false
	}
	return fmt.Sprintf("VMULP%s%s %s, %s, Z%[6]d\nVADDP%[1]s Z%[6]d, %[5]s, %[5]s", m[1], m[2], m[3], m[4], m[5], spareAVX512), 1, "", true
}

// productsAVX512 is productsAVX2 for AVX-512.
func productsAVX512(code []string, i int) (string, int, string, bool) {
	if i+1 == len(code) || uses(code, spareAVX512) {
		return "", 0, "", false
	}
	m, s := mulAVX512.FindStringSubmatch(code[i]), mulAVX512.FindStringSubmatch(code[i+1])
	if m == nil || s == nil || s[3] != m[5] {
		return "", 0, "", false
	}
	free := fmt.Sprint(m[5][:1], spareAVX512)
	return fmt.Sprintf("VMULP%s%s %s, %s, %s\nVMULP%[1]s %[5]s, %[6]s, %[7]s", m[1], m[2], m[3], s[4], free, m[4], s[5]), 2, "", true
}

// otherMask takes the next mask that the function has.
func otherMask(code []string, i int) (string, int, string, bool) {
	old := maskAVX512.FindString(code[i])
	var masks []string
	for _, line := range code {
		masks = append(masks, maskAVX512.FindAllString(line, -1)...)
	}
	slices.Sort(masks)
	masks = slices.Compact(masks)
	if old == "" || len(masks) < 2 {
		return "", 0, "", false
	}
	other := masks[(slices.Index(masks, old)+1)%len(masks)]
	return maskAVX512.ReplaceAllString(code[i], other), 1, "", true
}
