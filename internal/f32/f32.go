// Package f32 has the single-precision fused multiply-add for machines, and Go
// builds, without an instruction for it.
package f32

import "math"

// FMA returns x*y + z, rounded once to float32 (IEEE 754 fusedMultiplyAdd, round to
// nearest even), for all inputs, subnormal results included.
//
// The product of two float32 is exact in float64. Its sum with z is not, and
// rounding that sum again to float32 could end on the other side of a tie. So an
// inexact sum is first rounded to odd: of the two float64 around the exact sum the
// one with the odd mantissa. That one never sits on a tie of the narrower format,
// which therefore rounds as the exact sum would (Boldo and Melquiond, "Emulation of
// a FMA and correctly rounded sums", 2008).
func FMA(x, y, z float32) float32 {
	p := float64(float64(x) * float64(y))
	c := float64(z)
	s := p + c
	// The error of the sum, exactly (Knuth's TwoSum): NaN where s is infinite or NaN.
	t := s - p
	e := (p - (s - t)) + (c - t)
	if b := math.Float64bits(s); b&1 == 0 && (e > 0 || e < 0) {
		if (e > 0) == (s > 0) {
			b++ // away from zero
		} else {
			b--
		}
		s = math.Float64frombits(b)
	}
	return float32(s)
}
