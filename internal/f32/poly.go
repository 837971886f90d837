package f32

// The constants of exp and log, which the portable loops and the generated
// kernels share. Both functions are computed in float64 lanes and rounded once
// to float32, so an error of 2^-33 costs 0.002 ulp. The coefficients are minimax
// fits by Remez exchange.
const (
	// Shift is 1.5·2^52: adding it to |x| < 2^51 leaves x, rounded to an
	// integer, in the low bits; subtracting it again gives the integer.
	Shift = 0x1.8p52

	Log2E = 0x1.71547652b82fep0  // 1/ln 2
	Ln2   = 0x1.62e42fefa39efp-1 // ln 2

	// (eʳ - 1 - r)/r² for |r| <= ln 2 / 2; relative error of eʳ: 2^-34.1.
	Exp0 = 0x1.0000003a23742p-1
	Exp1 = 0x1.555554433c3ecp-3
	Exp2 = 0x1.55548dc49937bp-5
	Exp3 = 0x1.111270b2ef32ap-7
	Exp4 = 0x1.6d8d06d57f43fp-10
	Exp5 = 0x1.9f08962453604p-13

	// (2·atanh s - 2·s)/s³ as a polynomial in s², for |s| up to
	// (√2-1)/(√2+1); relative error of the logarithm: 2^-37.6.
	Log0 = 0x1.555554fd93849p-1
	Log1 = 0x1.999a7a9ca3c14p-2
	Log2 = 0x1.2438d2dc7ee36p-2
	Log3 = 0x1.e2f722346f853p-3

	// SqrtHalf is √½, where the mantissa's range begins, as a bit pattern.
	SqrtHalf = 0x3FE6A09E667F3BCD
)
