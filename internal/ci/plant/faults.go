package main

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/arch/arm64/arm64asm"
)

// fault is one mistake in one assembly function.
type fault struct {
	function string // without the instruction set at the end; or AVX2's/the others', as in gemm6x2/gemm8x2
	kind     string
	n        int // of the instructions that the kind applies to, this one; -1 is the last
}

// on is the function's name on an instruction set, in whole.
func (f fault) on(isa string) string {
	name, other, two := strings.Cut(f.function, "/")
	if two && isa != "avx2" {
		name = other
	}
	return name + strings.ToUpper(isa)
}

// list is what is planted on an instruction set: faults of the kinds that it has. AVX-512
// has no Philox of its own, and no transposition.
func list(isa string) []fault {
	all := faults
	if isa == "avx512" {
		all = slices.Concat(faults, faultsAVX512)
	}
	return slices.DeleteFunc(slices.Clone(all), func(f fault) bool {
		return kinds[isa][f.kind] == nil || isa == "avx512" && slices.Contains([]string{"philox", "gemvTrans"}, f.function)
	})
}

// faults are those that are the same on all instruction sets.
var faults = []fault{
	{"sgd", "operands of sub swapped", 3},
	{"sgd", "product and sum fused", 0},
	{"sgd", "tail dropped", 0},
	{"sgd", "round too many", 0},
	{"sgd", "operands of greater swapped", 1},
	{"sgd", "operands of min swapped", 0},
	{"sgd", "clamp lost", 0},
	{"sgd", "clamp lost", -1},
	{"momentum", "option forced", 3},
	{"nesterov", "option overlooked", 0},
	{"lion", "option overlooked", -1},
	{"nesterov", "tail dropped", 0},
	{"rmSprop", "option forced", -1},
	{"momentum", "another register", 1},
	{"momentum", "tail one element short", 0},
	{"nesterov", "product and sum fused", 0},
	{"nesterovVelocityFirst", "store lost", 0},
	{"adaGrad", "operands of div swapped", 0},
	{"adaGrad", "square root lost", 1},
	{"rmSprop", "order of products", 0},
	{"rmSprop", "step too short", 1},
	{"adam", "product and sum fused", 1},
	{"adam", "another register", -1},
	{"adamW", "operands of div swapped", 2},
	{"adamW", "square root lost", 0},
	{"adamW", "accumulation lost", -1},
	{"adamW", "operands of greater swapped", 2},
	{"lion", "operands of greater swapped", -1},
	{"lion", "operands of sub swapped", -2},
	{"heavyBall", "operands of sub swapped", 3},
	{"heavyBallNesterov", "product and sum fused", 5},
	{"torchRMSprop", "step too short", 1},
	{"torchRMSpropCentered", "square root lost", 1},
	{"torchRMSpropMomentum", "operands of div swapped", 1},
	{"torchRMSpropCenteredMomentum", "product and sum fused", 7},
	{"torchRMSpropCenteredMomentum", "operands of sub swapped", -2},
	{"adadelta", "operands of div swapped", 1},
	{"adadelta", "square root lost", -1},
	{"amsGrad", "clamp lost", 3},
	{"amsGrad", "operands of div swapped", 2},
	{"amsGrad", "accumulation lost", 0},
	{"adamax", "clamp lost", 3},
	{"adamax", "operands of div swapped", -1},
	{"nAdam", "product and sum fused", 6},
	{"nAdam", "square root lost", -1},
	{"rAdam", "operands of select swapped", 1},
	{"rAdam", "operands of greater swapped", -3},
	{"rprop", "operands of select swapped", 3},
	{"rprop", "operands of greater swapped", 7},
	{"rprop", "operands of min swapped", 2},
	{"asgd", "product and sum fused", 4},
	{"lamb", "product and sum fused", -1},
	{"lamb", "operands of div swapped", 2},
	{"lamb", "operands of select swapped", 0},
	{"muon", "operands of sub swapped", 5},
	{"muon", "tail one element short", 0},
	{"adjust", "option forced", 4},
	{"adjust", "store lost", 2},

	{"exp", "operands of min swapped", 0},
	{"exp", "clamp lost", 0},
	{"exp", "clamp lost", -1},
	{"exp", "shift too short", 0},
	{"exp", "wrong offset", 0},
	{"log", "operands of greater swapped", 0},
	{"log", "operands of select swapped", 1},
	{"log", "another register", 4},
	{"reLU", "operands of max swapped", 0},
	{"sigmoid", "operands of div swapped", 0},
	{"sigmoid", "clamp lost", 1},
	{"sigmoid", "turn miscounted", 0},
	{"tanh", "turn miscounted", -1},
	{"tanh", "another register", -4},
	{"tanh", "clamp lost", 0},
	{"tanh", "tail one element short", 0},
	{"leakyReLU", "operands of greater swapped", 0},
	{"leakyReLU", "operands of select swapped", 0},
	{"leakyReLU", "tail dropped", 0},
	{"elu", "clamp lost", 0},
	{"elu", "clamp lost", 1},
	{"elu", "operands of select swapped", -1},
	{"elu", "operands of sub swapped", -1},
	{"elu", "another register", -2},
	{"softplus", "clamp lost", 0},
	{"softplus", "operands of greater swapped", 0},
	{"softplus", "operands of sub swapped", -1},
	{"softplus", "tail one element short", 0},
	{"gelu", "clamp lost", 0},
	{"gelu", "clamp lost", 1},
	{"gelu", "operands of select swapped", -1},
	{"gelu", "operands of sub swapped", 0},
	{"gelu", "step too short", 2},
	{"geluTanh", "clamp lost", 0},
	{"geluTanh", "clamp lost", 1},
	{"geluTanh", "tail dropped", 0},
	{"siLU", "clamp lost", 0},
	{"siLU", "clamp lost", 1},
	{"siLU", "operands of div swapped", 0},
	{"siLU", "round too many", 0},
	{"siLU", "shift too short", 0},
	{"deriveReLU", "operands of greater swapped", 1},
	{"deriveSigmoid", "order of products", 0},
	{"deriveTanh", "product and sum fused", 0},
	{"deriveLeakyReLU", "operands of greater swapped", 0},
	{"deriveLeakyReLU", "operands of select swapped", -1},
	{"deriveELU", "operands of greater swapped", 0},
	{"deriveELU", "operands of select swapped", 0},
	{"deriveSoftplus", "operands of sub swapped", -1},
	{"deriveSoftplus", "clamp lost", 0},
	{"deriveSoftplus", "clamp lost", 1},
	{"deriveGELU", "clamp lost", 0},
	{"deriveGELU", "clamp lost", 1},
	{"deriveGELU", "another register", -1},
	{"deriveGELU", "step too short", -1},
	{"deriveGELUTanh", "operands of sub swapped", -1},
	{"deriveGELUTanh", "clamp lost", 1},
	{"deriveGELUTanh", "tail one element short", 0},
	{"deriveSiLU", "clamp lost", 0},
	{"deriveSiLU", "operands of div swapped", 0},
	{"lerp", "product and sum fused", 0},
	{"scale", "tail dropped", 0},
	{"scale", "another register", 0},
	{"factored", "clamp lost", 0},
	{"factored", "operands of div swapped", -1},

	{"softmax", "round too many", 0},
	{"softmax", "round too few", 1},
	{"crossEntropy", "coefficient off in its last bit", 1},
	{"crossEntropy", "product and sum fused", 1},
	{"crossEntropy", "tail's mask one lane short", 0},
	{"crossEntropyGrad", "coefficient off in its last bit", 3},
	{"crossEntropyGrad", "wrong circle", 0},
	{"crossEntropyGrad", "operands of sub swapped", -1},
	{"softCrossEntropy", "wrong circle", 0},
	{"softCrossEntropy", "operands of greater swapped", 0},
	{"softCrossEntropy", "product and sum fused", -1},
	{"softCrossEntropy", "coefficient off in its last bit", 2},
	{"softCrossEntropy", "operands of sub swapped", -2},
	{"softCrossEntropy", "tail's mask one lane short", -2},
	{"softCrossEntropy", "step too short", 2},
	{"squaredError", "tail's mask one lane short", 1},
	{"squaredErrorGrad", "wrong circle", 0},
	{"absoluteError", "operands of greater swapped", 0},
	{"absoluteError", "operands of select swapped", 0},
	{"absoluteError", "constant off in its last bit", 0},
	{"huberError", "operands of min swapped", 0},
	{"huberError", "clamp lost", 0},
	{"huberError", "clamp lost", 1},
	{"huberError", "operands of sub swapped", 1},
	{"logisticError", "operands of div swapped", 1},
	{"logisticError", "operands of select swapped", 0},
	{"logisticError", "operands of select swapped", 2},
	{"logisticError", "operands of greater swapped", 1},
	{"logisticError", "operands of greater swapped", 2},
	{"logisticError", "clamp lost", 0},
	{"logisticError", "coefficient off in its last bit", 2},
	{"logisticError", "product and sum fused", -1},
	{"logisticError", "wrong circle", 0},
	{"sumAbs", "wrong circle", 0},
	{"sumAbs", "tail one element short", 0},
	{"sumSquares", "wrong circle", 0},
	{"sumSquares", "tail one element short", 0},
	{"addSquares", "step too short", 1},
	{"addSquares", "tail dropped", 0},

	{"softmaxGrad", "operands of sub swapped", 0},
	{"softmaxGrad", "round too few", 1},
	{"softmaxGrad", "tail's mask one lane short", 0},

	{"columnSums", "round too few", 0},
	{"columnSums", "store lost", 0},
	{"columnSums", "another register", -1},
	{"columnSquares", "product and sum fused", 0},
	{"columnSquares", "tail's mask one lane short", 0},
	{"inverseRoot", "square root lost", 0},
	{"inverseRoot", "operands of div swapped", 0},
	{"normalize", "operands of sub swapped", 0},
	{"normalize", "product and sum fused", 0},
	{"normalize", "tail dropped", 0},
	{"normalizeSums", "operands of sub swapped", 0},
	{"normalizeSums", "round too many", 1},
	{"normalizeGrad", "operands of sub swapped", 1},
	{"normalizeGrad", "product and sum fused", 0},
	{"normalizeGrad", "step too short", 0},
	{"normalizeGrad", "another register", -1},
	{"layerNorm", "operands of div swapped", 0},
	{"layerNorm", "square root lost", 0},
	{"layerNorm", "product and sum fused", 1},
	{"layerNorm", "product and sum fused", -1},
	{"layerNorm", "stretch of a row skipped", 0},
	{"layerNormGrad", "another register", 5},
	{"layerNormGrad", "product and sum fused", -1},
	{"layerNormGrad", "operands of div swapped", 1},
	{"layerNormGrad", "stretch of a row skipped", -1},
	{"layerNormParams", "product and sum fused", 0},
	{"layerNormParams", "round too few", 1},

	{"philox", "coefficient off in its last bit", 0},
	{"philox", "coefficient off in its last bit", -1},
	{"philox", "product of integers lost", 7},
	{"philox", "half of a lane misplaced", 3},
	{"philox", "half of a lane misplaced", -1},
	{"philox", "round too few", -1},
	{"dropout", "operands of integer sub swapped", 0},
	{"dropout", "mask lost", 0},
	{"dropout", "tail one element short", 0},

	{"packTrans", "wrong interleaving", 3},
	{"copyTrans", "wrong test of the tail", 4},
	{"gemvTrans", "wrong interleaving", 0},
	{"gemvTrans", "wrong interleaving", -1},
	{"gemvTrans", "lanes blended otherwise", 5},
	{"gemvTrans", "accumulation lost", 0},
	{"gemvTrans", "accumulation lost", -1},
	{"gemvTrans", "multiple of a step too small", 0},
	{"gemvTrans", "step too short", 0},
	{"gemvTrans", "step too short", 3},
	{"gemvTrans", "round too few", 0},
	{"gemvTrans", "round too few", -1},
	{"gemvTrans", "tail one element short", 0},
	{"gemvTrans", "another row of A", 0},
	{"gemvTrans", "another field of the arguments", -1},
	{"gemm6x2/gemm8x2", "store lost", 0},
	{"gemm4x3/gemm8x3", "wrong offset", 2},

	{"gemm6x2/gemm8x2", "accumulation lost", 5},
	{"gemm6x2/gemm8x2", "multiply-add split", 0},
	{"gemm4x3/gemm8x3", "another row of A", 0},
	{"gemm4x3/gemm8x3", "round too few", 0},
	{"gemm5x2/gemm8x3", "round too few", -1},
	{"gemm6x2/gemm8x2", "round too few", -1},
	{"gemm4x3/gemm9x3", "copied vector lost", -1},
	{"gemm6x2/gemm8x2", "rows copied too close", -1},
	{"gemm3x3/gemm4x3", "place of the copy lost", -1},
	{"gemm4x2/gemm2x2", "place of the copy lost", -1},
	{"gemm4x3/gemm8x3", "multiple of a step too small", 0},
	{"gemm4x3/gemm8x3", "multiple of a step too small", 1},
	{"gemm4x3/gemm8x2", "multiple of a step too small", 2},
	{"gemm3x3/gemm8x2", "multiple of a step too small", -1},
	{"gemm3x3/gemm8x2", "multiple of a step too small", -2},
	{"gemm3x3/gemm8x2", "multiple of a step too small", -3},
	{"gemm6x2", "round too short", 1},
	{"gemm4x3", "another step of the round", 1},
	{"gemm4x2", "another step of the round", -2},
	{"gemm6x2", "rounds miscounted", 0},
	{"gemm3x3/gemm4x3", "accumulation lost", -1},
	{"gemm5x2/gemm4x2", "stretch of k miscounted", 0},
	{"gemm3x3/gemm4x3", "another field of the arguments", 6},
	{"gemm2x1", "tail's mask one lane short", 0},
	{"gemm2x2", "wrong test of the tail", -1},
	{"gemm3x2/gemm2x2", "step to the next row lost", -1},
	{"gemm4x2", "zeroing lost", 3},
	{"gemm12x1/gemm8x1", "start of C lost", 0},
	{"gemm5x2/gemm4x2", "start of the bias lost", 0},
	{"gemm4x1", "operands of greater swapped", 0},
	{"gemm6x2/gemm8x2", "operands of max swapped", 2},
	{"gemm8x1plus2", "lanes blended otherwise", 0},
	{"gemm4x1plus4", "lanes blended otherwise", -1},
	{"gemm8x1plus2", "columns of the part lost", 1},
	{"gemm8x1plus4", "columns of the part lost", -1},
	{"gemm1x1plus4", "part of C lost", 0},
	{"gemm8x1plus2", "part of C lost", -1},
	{"gemm12x1/gemm8x1", "accumulation lost", -1},
	{"gemm8x1/gemm4x1", "zeroing lost", -1},
	{"gemm2x3", "wrong offset", 0},
	{"gemm1x1", "tail's mask one lane short", 0},
	{"gemm2x2/gemm1x2", "round too many", -1},
	{"gemm2x1plus4", "lanes blended otherwise", -1},
	{"gemv1", "tail dropped", 0},
	{"gemv8/gemv4", "pass miscounted", 0},
	{"gemv8/gemv4", "accumulation lost", 5},
	{"gemv4", "accumulation lost", 1},
	{"gemv2", "tail dropped", 0},
	{"gemv8/gemv4", "step too short", 0},
	{"gemvEnd", "operands of greater swapped", 0},
	{"gemvEnd", "operands of greater swapped", -1},
	{"gemvEnd", "operands of max swapped", 0},
	{"gemvEnd", "step too short", 1},
	{"gemvEnd", "tail dropped", -1},
}

// Mistakes in what copies rows ahead, which the tiles of amd64 do.
var (
	copiedVectorLost   = replace2(`^VMOVUPS [YZ]\d+, \d+\(\w+\)\n(ADDQ \$\+\d+, \w+)$`, "$1")
	rowsCopiedTooClose = add(-4, `^ADDQ \$\+(64|96|128|192), `)
	placeOfTheCopyLost = replace(`^MOVQ \w+, local-88\(SP\)$`, "")
)

// edit makes a mistake in line i of a function's code. It gives what takes the
// place of how many lines, and what is added at the end of the file; ok is false
// if the mistake cannot be made there.
type edit func(code []string, i int) (text string, lines int, end string, ok bool)

// kinds are the mistakes for each instruction set. A name that ends in "lost"
// stands for an instruction that is missing.
var kinds = map[string]map[string]edit{
	"avx512": kindsAVX512,

	"avx2": {
		"another register":            registers(`^(V(?:ADD|SUB|MUL|DIV|MIN|MAX|AND|OR)P[SD] .*, [XY])(\d+)$`, 16),
		"operands of sub swapped":     replace(`^(VSUBP[SD]) ([XY]\d+), ([XY]\d+),`, "$1 $3, $2,"),
		"operands of div swapped":     replace(`^(VDIVP[SD]) ([XY]\d+), ([XY]\d+),`, "$1 $3, $2,"),
		"operands of min swapped":     replace(`^(VMINP[SD]) ([XY]\d+), ([XY]\d+),`, "$1 $3, $2,"),
		"operands of max swapped":     replace(`^(VMAXP[SD]) ([XY]\d+), ([XY]\d+),`, "$1 $3, $2,"),
		"operands of select swapped":  replace(`^(VBLENDVP[SD] [XY]\d+), ([XY]\d+), ([XY]\d+),`, "$1, $3, $2,"),
		"operands of greater swapped": replace(`^(VCMPP[SD]) \$0x1e,`, "$1 $$0x11,"), // less
		"product and sum fused":       fusedAVX2,
		"multiply-add split":          splitAVX2,
		"order of products":           productsAVX2,

		"option forced":                  replace2(`^(TESTQ \$\w+, \w+)\nJEQ l\d+$`, "$1"),
		"option overlooked":              replace(`^TESTQ \$0x0000000f,`, "TESTQ $$0x0000000e,"),
		"tail dropped":                   replace(`^ANDQ \$\+[37], (\w+)$`, "XORQ $1, $1"),
		"tail one element short":         add(-1, `^ANDQ \$\+(7|3),`),
		"tail's mask one lane short":     replace(`tailmask<>\+32\(SB\)`, "tailmask<>+36(SB)"),
		"wrong test of the tail":         replace(`^TESTQ \$0x00000001,`, "TESTQ $$0x00000002,"),
		"round too few":                  replace2(`^DECQ (\w+)\nJNE (\w+)$`, "DECQ $1\nCMPQ $1, $$1\nJGT $2"),
		"round too many":                 replace2(`^DECQ (\w+)\nJNE (\w+)$`, "DECQ $1\nJGE $2"),
		"step too short":                 add(-4, `^ADDQ \$\+(16|32),`),
		"stretch of k miscounted":        add(1, `^ADDQ \$(-16), `),
		"turn miscounted":                add(4, `^ADDQ \$(-16), `),
		"pass miscounted":                add(4, `^ADDQ \$(-8), `),
		"wrong circle":                   replace(`^ANDQ \$\+255,`, "ANDQ $$+127,"),
		"wrong offset":                   add(4, `^V\w+ (\d+)\(\w+\), `),
		"another row of A":               replace(`^(VBROADCASTSS \(\w+\)\(\w+)\*1\)`, "$1*2)"),
		"another step of the round":      replace(`^(VBROADCASTSS \(\w+\)\(\w+)\*2\)`, "$1*1)"),
		"rounds miscounted":              replace(`^MOVQ \$\+4, `, "MOVQ $$3, "),
		"round too short":                replace(`^LEAQ (\(\w+\)\(\w+)\*4\), `, "LEAQ $1*2), "),
		"multiple of a step too small":   multipleAMD64,
		"another field of the arguments": add(8, `^MOVQ (\d+)\(\w+\), `),

		"stretch of a row skipped":        replace(`^CMPQ (\w+), \$0x00000080$`, "CMPQ $1, $$0x00000040"),
		"half of a lane misplaced":        replace(`^(VPS[LR]LQ) \$0x20,`, "$1 $$0x1f,"),
		"operands of integer sub swapped": replace(`^(VPSUB[DQ]) ([XY]\d+), ([XY]\d+),`, "$1 $3, $2,"),
		"shift too short":                 replace(`^(VPS[LR]L[DQ]) \$0x34,`, "$1 $$0x33,"),
		"wrong interleaving":              replace(`^VUNPCKL`, "VUNPCKH"),
		"constant off in its last bit":    constantAVX2(`3f800000`),
		"coefficient off in its last bit": constantAVX2(`[0-9a-f]{13}([1-9a-f]..|.[1-9a-f].|..[1-9a-f])`),

		"copied vector lost":     copiedVectorLost,
		"rows copied too close":  rowsCopiedTooClose,
		"place of the copy lost": placeOfTheCopyLost,

		"lanes blended otherwise":  replace(`^VBLENDPS \$0x(.)(.)`, "VBLENDPS $$0x$2$1"),
		"columns of the part lost": replace(`^VBROADCAST(SD|F128) .*`, ""),
		"part of C lost":           replace(`^MOVQ \w+, (32|40)\(\w+\)$`, ""),

		"store lost":                replace(`^VMOVUPS [XY]\d+, \(\w+\)$`, ""),
		"square root lost":          replace(`^VSQRT.*`, ""),
		"clamp lost":                replace(`^V(MIN|MAX).*`, ""),
		"accumulation lost":         replace(`^VFMADD.*`, ""),
		"mask lost":                 replace(`^VANDPS .*`, ""),
		"product of integers lost":  replace(`^VPMULUDQ .*`, ""),
		"zeroing lost":              replace(`^VXORPS .*`, ""),
		"start of C lost":           replace2(`^(CMPQ \w+, \$0x00000001)\nJEQ \w+$`, "$1"),
		"start of the bias lost":    replace2(`^(CMPQ \w+, \$0x00000002)\nJEQ \w+$`, "$1"),
		"step to the next row lost": replace2(`^ADDQ \w+, \w+\n(VMOVUPS [XY]\d+, .*)$`, "$1"),
	},

	"neon": {
		"another register":            words(`^(fadd|fsub|fmul|fdiv) `, func(w uint32) uint32 { return w&^31 | (w+1)&31 }),
		"operands of sub swapped":     words(`^fsub `, swap),
		"operands of div swapped":     words(`^fdiv `, swap),
		"operands of max swapped":     words(`^bic `, swap),
		"operands of select swapped":  replace(`^VBSL (\S+), (\S+),`, "VBSL $2, $1,"),
		"operands of greater swapped": words(`^fcmgt `, swap),
		"product and sum fused":       fusedNEON,
		"multiply-add split":          splitNEON,
		"order of products":           productsNEON,

		"option forced":                  replace2(`^(TST .*)\nBEQ l\d+$`, "$1"),
		"option overlooked":              replace(`^TST \$\+15,`, "TST $$14,"),
		"tail dropped":                   replace(`^AND \$\+[13], (\w+)$`, "MOVD $$0, $1"),
		"tail one element short":         add(-1, `^AND \$\+(3|1),`),
		"wrong test of the tail":         replace(`^TBZ \$0x00,`, "TBZ $$0x01,"),
		"round too few":                  replace2(`^SUB \$\+1, (\w+)\nCBNZ \w+, (\w+)$`, "SUB $$1, $1\nCMP $$1, $1\nBGT $2"),
		"round too many":                 replace2(`^SUB \$\+1, (\w+)\nCBNZ \w+, (\w+)$`, "SUB $$1, $1\nCMP $$0, $1\nBGE $2"),
		"step too short":                 add(-4, `^ADD \$\+(16|8), \w+$`),
		"stretch of k miscounted":        add(1, `^ADD \$(-16), `),
		"turn miscounted":                add(2, `^ADD \$(-4), `),
		"pass miscounted":                add(2, `^ADD \$(-4), `),
		"wrong circle":                   replace(`^AND \$\+255,`, "AND $$+127,"),
		"wrong offset":                   add(4, `^FMOV[QD] (\d+)\(\w+\), `),
		"multiple of a step too small":   replace(`^ADD (\w+)<<\d, `, "ADD $1, "),
		"another row of A":               words(`^fmla .*\.s\[`, func(w uint32) uint32 { return w ^ 1<<21 }),
		"another field of the arguments": add(8, `^MOVD (\d+)\(\w+\), `),

		"stretch of a row skipped":        replace(`^CMP \$\+128, (\w+)$`, "CMP $$96, $1"),
		"half of a lane misplaced":        replace(`^(V(?:SHL|USHR)) \$0x20,`, "$1 $$0x1f,"),
		"operands of integer sub swapped": replace(`^(VSUB) (V\S+), (V\S+),`, "$1 $3, $2,"),
		"shift too short":                 replace(`^(V(?:SHL|USHR)) \$0x34,`, "$1 $$0x33,"),
		"wrong interleaving":              replace(`^VTRN1`, "VTRN2"),
		"constant off in its last bit":    constantNEON(`3f800000`),
		"coefficient off in its last bit": constantNEON(`[0-9a-f]{13}([1-9a-f]..|.[1-9a-f].|..[1-9a-f])`),

		"store lost":                replace(`^FMOVQ F\d+, \(\w+\)$`, ""),
		"square root lost":          replace(`^WORD .* // fsqrt .*`, ""),
		"clamp lost":                replace(`^VBSL .*`, ""),
		"accumulation lost":         replace(`^(VFMLA|WORD .* // fmla) .*`, ""),
		"mask lost":                 replace(`^VAND .*`, ""),
		"product of integers lost":  replace(`^WORD .* // umull .*`, ""),
		"zeroing lost":              replace(`^VEOR V\d+\.B16, V\d+\.B16, V\d+\.B16$`, ""),
		"start of C lost":           replace2(`^(CMP \$\+1, \w+)\nBEQ \w+$`, "$1"),
		"start of the bias lost":    replace2(`^(CMP \$\+2, \w+)\nBEQ \w+$`, "$1"),
		"step to the next row lost": replace2(`^ADD \w+, \w+\n(FMOVQ F\d+, .*)$`, "$1"),
	},
}

// replace changes what a pattern matches in a line.
func replace(pattern, with string) edit {
	re := regexp.MustCompile(pattern)
	return func(code []string, i int) (string, int, string, bool) {
		text := re.ReplaceAllString(code[i], with)
		return text, 1, "", text != code[i]
	}
}

// multipleAMD64 adds a step once, instead of some times.
var multipleAMD64 = replace(`^LEAQ (\(\w+\)\(\w+)\*[248]\), `, "LEAQ $1*1), ")

// replace2 is replace for two lines.
func replace2(pattern, with string) edit {
	re := regexp.MustCompile(pattern)
	return func(code []string, i int) (string, int, string, bool) {
		if i+1 == len(code) {
			return "", 0, "", false
		}
		old := code[i] + "\n" + code[i+1]
		text := re.ReplaceAllString(old, with)
		return text, 2, "", text != old
	}
}

// add adds to the number that a pattern captures in a line.
func add(delta int, pattern string) edit {
	re := regexp.MustCompile(pattern)
	return func(code []string, i int) (string, int, string, bool) {
		m := re.FindStringSubmatchIndex(code[i])
		if m == nil {
			return "", 0, "", false
		}
		x, _ := strconv.Atoi(code[i][m[2]:m[3]])
		return fmt.Sprintf("%s%d%s", code[i][:m[2]], x+delta, code[i][m[3]:]), 1, "", true
	}
}

// registers replaces the destination's number by the next one.
func registers(pattern string, count int) edit {
	re := regexp.MustCompile(pattern)
	return func(code []string, i int) (string, int, string, bool) {
		m := re.FindStringSubmatch(code[i])
		if m == nil {
			return "", 0, "", false
		}
		n, _ := strconv.Atoi(m[2])
		return fmt.Sprintf("%s%d", m[1], (n+1)%count), 1, "", true
	}
}

// The registers that some mistakes need for themselves, and that the code around
// must not use.
const spareAVX2, spareNEON = 15, 31

// uses tells whether the code uses the vector register of that number.
func uses(code []string, number int) bool {
	re := regexp.MustCompile(fmt.Sprintf(`\b[XYZVFv]%d\b`, number))
	return slices.ContainsFunc(code, re.MatchString)
}

var (
	mulAVX2  = regexp.MustCompile(`^VMULP([SD]) (\S+), ([XY]\d+), ([XY]\d+)$`)
	sumAVX2  = regexp.MustCompile(`^V(ADD|SUB)P[SD] (\S+), ([XY]\d+), ([XY]\d+)$`)
	loadAVX2 = regexp.MustCompile(`^VMOVUPS c\d+_\w+<>`)
	fmaAVX2  = regexp.MustCompile(`^VFMADD231P([SD]) (\S+), (Y\d+), (Y\d+)$`)
)

// fusedAVX2 makes a product and the sum or difference behind it one
// multiply-add.
func fusedAVX2(code []string, i int) (string, int, string, bool) {
	if uses(code, spareAVX2) {
		return "", 0, "", false
	}
	next := code[i+1:]
	load := ""
	if len(next) > 1 && loadAVX2.MatchString(next[0]) {
		load, next = next[0]+"\n", next[1:]
	}
	if len(next) == 0 {
		return "", 0, "", false
	}
	m, s := mulAVX2.FindStringSubmatch(code[i]), sumAVX2.FindStringSubmatch(next[0])
	if m == nil || s == nil {
		return "", 0, "", false
	}
	op, c := "VFMADD", s[3]
	if s[1] == "SUB" {
		op = "VFNMADD"
	}
	switch {
	case s[2] == m[4]:
	case s[3] == m[4] && s[1] == "ADD":
		c = s[2]
	default:
		return "", 0, "", false
	}
	free := fmt.Sprint(m[4][:1], spareAVX2)
	text := fmt.Sprintf("VMOVUPS %s, %s\n%s231P%s %s, %s, %[2]s\nVMOVUPS %[2]s, %[7]s", c, free, op, m[1], m[2], m[3], s[4])
	return load + text, len(code) - i - len(next) + 1, "", true
}

// splitAVX2 makes a multiply-add a product and a sum.
func splitAVX2(code []string, i int) (string, int, string, bool) {
	m := fmaAVX2.FindStringSubmatch(code[i])
	if m == nil || uses(code, spareAVX2) {
		return "", 0, "", false
	}
	return fmt.Sprintf("VMULP%s %s, %s, Y%[5]d\nVADDP%[1]s Y%[5]d, %[4]s, %[4]s", m[1], m[2], m[3], m[4], spareAVX2), 1, "", true
}

// productsAVX2 makes (x·y)·z y·(x·z).
func productsAVX2(code []string, i int) (string, int, string, bool) {
	if i+1 == len(code) || uses(code, spareAVX2) {
		return "", 0, "", false
	}
	m, s := mulAVX2.FindStringSubmatch(code[i]), mulAVX2.FindStringSubmatch(code[i+1])
	if m == nil || s == nil || s[2] != m[4] {
		return "", 0, "", false
	}
	free := fmt.Sprint(m[4][:1], spareAVX2)
	return fmt.Sprintf("VMULP%s %s, %s, %s\nVMULP%[1]s %[4]s, %[5]s, %[6]s", m[1], m[2], s[3], free, m[3], s[4]), 2, "", true
}

// constantAVX2 reads a constant of its own instead of one whose bits a pattern
// matches.
func constantAVX2(pattern string) edit {
	re := regexp.MustCompile(`c(\d+)_(` + pattern + `)<>\+0\(SB\)`)
	return func(code []string, i int) (string, int, string, bool) {
		m := re.FindStringSubmatch(code[i])
		if m == nil {
			return "", 0, "", false
		}
		size, _ := strconv.Atoi(m[1])
		bits, _ := strconv.ParseUint(m[2], 16, 64)
		bits ^= 1
		width := 4 * len(m[2]) // of an element
		end := ""
		for at := 0; at < size; at += 32 {
			end += fmt.Sprintf("DATA planted<>+%d(SB)/4, $%#08x\n", at/8, uint32(bits>>(at%width)))
		}
		end += fmt.Sprintf("GLOBL planted<>(SB), RODATA|NOPTR, $%d\n", size/8)
		return re.ReplaceAllString(code[i], "planted<>+0(SB)"), 1, end, true
	}
}

func constantNEON(pattern string) edit {
	re := regexp.MustCompile(`^MOVD \$0x(` + pattern + `), (R\d+)$`)
	return func(code []string, i int) (string, int, string, bool) {
		m := re.FindStringSubmatch(code[i])
		if m == nil {
			return "", 0, "", false
		}
		bits, _ := strconv.ParseUint(m[1], 16, 64)
		return fmt.Sprintf("MOVD $%#x, %s", bits^1, m[len(m)-1]), 1, "", true
	}
}

var wordLine = regexp.MustCompile(`^WORD \$(0x[0-9a-f]+) // (.*)$`)

// word reads an encoded instruction.
func word(line string) (w uint32, text string, ok bool) {
	m := wordLine.FindStringSubmatch(line)
	if m == nil {
		return 0, "", false
	}
	x, err := strconv.ParseUint(m[1], 0, 32)
	return uint32(x), m[2], err == nil
}

// wordText writes one, with what it stands for.
func wordText(w uint32) string {
	text := "nothing"
	if i, err := arm64asm.Decode(binary.LittleEndian.AppendUint32(nil, w)); err == nil {
		text = strings.ToLower(i.String())
	}
	return fmt.Sprintf("WORD $0x%08x // %s", w, text)
}

// words changes the encoded instructions whose text a pattern matches.
func words(pattern string, f func(w uint32) uint32) edit {
	re := regexp.MustCompile(pattern)
	return func(code []string, i int) (string, int, string, bool) {
		w, text, ok := word(code[i])
		if !ok || !re.MatchString(text) || f(w) == w {
			return "", 0, "", false
		}
		return wordText(f(w)), 1, "", true
	}
}

// Where an encoded instruction has its registers, and the bits that tell the
// length of its vectors and the size of their elements.
const rd, rn, rm, arrangement = 0, 5, 16, 1<<30 | 1<<22

// Encodings of instructions on two float32 without their registers; see package
// vec.
const (
	fmul, fadd, fmla, fmls = 0x2e20dc00, 0x0e20d400, 0x0e20cc00, 0x0ea0cc00
	move                   = 0x4ea01c00 // orr vd.16b, vn.16b, vm.16b
)

func field(w uint32, at int) uint32 { return w >> at & 31 }

// with adds registers to an encoding.
func with(w, vm, vn, vd uint32) uint32 { return w | vm<<rm | vn<<rn | vd<<rd }

// swap exchanges the registers that an instruction reads.
func swap(w uint32) uint32 { return with(w&^(31<<rn|31<<rm), field(w, rn), field(w, rm), 0) }

func fusedNEON(code []string, i int) (string, int, string, bool) {
	if i+1 == len(code) || uses(code, spareNEON) {
		return "", 0, "", false
	}
	mul, product, ok := word(code[i])
	add, sum, ok2 := word(code[i+1])
	if !ok || !ok2 || !strings.HasPrefix(product, "fmul ") || strings.Contains(product, "[") ||
		!strings.HasPrefix(sum, "fadd ") && !strings.HasPrefix(sum, "fsub ") {
		return "", 0, "", false
	}
	op, c := uint32(fmla), field(add, rn)
	if strings.HasPrefix(sum, "fsub ") {
		op = fmls
	}
	switch {
	case field(add, rm) == field(mul, rd):
	case field(add, rn) == field(mul, rd) && op == fmla:
		c = field(add, rm)
	default:
		return "", 0, "", false
	}
	return strings.Join([]string{
		wordText(with(move, c, c, spareNEON)),
		wordText(with(op|mul&arrangement, field(mul, rm), field(mul, rn), spareNEON)),
		wordText(with(move, spareNEON, spareNEON, field(add, rd))),
	}, "\n"), 2, "", true
}

func splitNEON(code []string, i int) (string, int, string, bool) {
	w, text, ok := word(code[i])
	if !ok || !strings.HasPrefix(text, "fmla ") || uses(code, spareNEON) {
		return "", 0, "", false
	}
	const byElement = 1 << 15 // fmla by element is this much less than fmul by element
	acc := field(w, rd)
	return wordText(w&^31|byElement|spareNEON) + "\n" + wordText(with(fadd|w&(1<<30), spareNEON, acc, acc)), 1, "", true
}

func productsNEON(code []string, i int) (string, int, string, bool) {
	if i+1 == len(code) || uses(code, spareNEON) {
		return "", 0, "", false
	}
	first, text, ok := word(code[i])
	second, text2, ok2 := word(code[i+1])
	if !ok || !ok2 || !strings.HasPrefix(text, "fmul ") || !strings.HasPrefix(text2, "fmul ") || field(second, rm) != field(first, rd) {
		return "", 0, "", false
	}
	op := uint32(fmul) | first&arrangement
	return wordText(with(op, field(second, rn), field(first, rm), spareNEON)) + "\n" +
		wordText(with(op, spareNEON, field(first, rn), field(second, rd))), 2, "", true
}
