package f32

// The constants of exp, log and the normal distribution, which the portable
// loops and the generated kernels share. The functions are computed in float64
// lanes and rounded once to float32, so an error of 2^-33 costs 0.002 ulp. The
// coefficients are minimax fits by Remez exchange.
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

	// Root2Less1 is √2-1, up to where ln(1+e) takes e as it is.
	Root2Less1 = 0x1.a827999fcef32p-2

	// With erfc the complementary error function, e^(x²/2)·erfc(x/√2)/2·(x+NormalK)
	// as a polynomial in (x-NormalK)/(x+NormalK), for 0 <= x <= 15; relative
	// error: 2^-34.2.
	NormalK  = 4.25
	Normal0  = 0x1.84e44a080e9f2p-1
	Normal1  = -0x1.4011029e2ef29p-1
	Normal2  = 0x1.ac43d638ae085p-2
	Normal3  = -0x1.c39de271227a4p-3
	Normal4  = 0x1.5d463b14077cp-4
	Normal5  = -0x1.3d2cb8df87563p-6
	Normal6  = -0x1.86c6422042ef2p-11
	Normal7  = 0x1.1a1dd7bc7b102p-9
	Normal8  = -0x1.a66f2dd8b393cp-12
	Normal9  = -0x1.a41c416050d77p-13
	Normal10 = 0x1.24b4632e095fp-14
	Normal11 = 0x1.d3d05394ae99ap-16

	InvRoot2Pi = 0x1.9884533d43651p-2 // 1/√(2π)

	// 2·√(2/π) and 0.044715 times that, of GELU's tanh form.
	GELU0 = 0x1.9884533d43651p0
	GELU1 = 0x1.2444f2a4d8b4bp-4

	// SqrtHalf is √½, where the mantissa's range begins, as a bit pattern.
	SqrtHalf = 0x3FE6A09E667F3BCD
)
