// Package det has float64 Exp, Log, Pow, Sin and Cos that give the same bits on
// every architecture. Those of package math do not: they use assembly on some
// architectures and fused multiply-adds on others.
//
// Only +, -, *, /, comparisons and operations on the bit pattern are used, and
// every product that feeds an addition is rounded by a conversion, which forbids
// the compiler to fuse the two. The polynomials are Taylor series, cut where the
// next term is far below the last bit, so that no coefficient needs a source.
// Where one float64 does not carry enough digits, a number is the unevaluated sum
// hi + lo of two, with |lo| at most half an ulp of hi (Dekker, "A floating-point
// technique for extending the available precision", 1971).
//
// Errors are in units in the last place (ulp) of the result.
package det

import "math"

// twoSum returns s = a + b rounded, and its error e: a + b = s + e exactly.
// (Knuth, TAOCP vol. 2, 4.2.2, theorem B.)
func twoSum(a, b float64) (s, e float64) {
	s = a + b
	t := s - a
	return s, (a - (s - t)) + (b - t)
}

// fastTwoSum is twoSum for a = 0 or |a| >= |b|.
func fastTwoSum(a, b float64) (s, e float64) {
	s = a + b
	return s, b - (s - a)
}

// twoProd returns p = a * b rounded, and its error e to within 2^-105 of p.
// Both factors are cut into an upper part of 26 bits and the rest, so that the
// partial products are exact but for the last.
func twoProd(a, b float64) (p, e float64) {
	p = float64(a * b)
	ah, bh := upper(a), upper(b)
	al, bl := a-ah, b-bh
	e = float64(ah*bh) - p
	e += float64(ah * bl)
	e += float64(al * bh)
	e += float64(al * bl)
	return p, e
}

// upper returns x with the lower 27 bits of its mantissa cleared.
func upper(x float64) float64 {
	return math.Float64frombits(math.Float64bits(x) &^ (1<<27 - 1))
}

// exp2i returns 2^k for -1022 <= k <= 1023.
func exp2i(k int) float64 {
	return math.Float64frombits(uint64(k+1023) << 52)
}
