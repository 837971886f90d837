package det

import "math"

// maxAngle bounds the arguments of Sin and Cos: the reduction by pi/2 is exact
// enough up to here, and no caller needs more.
const maxAngle = 1 << 20

// Sin returns the sine of x, in radians, within 1 ulp for |x| <= 2^20.
//
// Special cases:
//
//	Sin(±0) = ±0
//	Sin(x) = NaN for |x| > 2^20, ±Inf and NaN
func Sin(x float64) float64 {
	if !(math.Abs(x) <= maxAngle) {
		return math.NaN()
	}
	if math.Abs(x) < 0x1p-27 { // x - x³/6 rounds to x, and -0 stays
		return x
	}
	return quadrant(reduce(x))
}

// Cos returns the cosine of x, in radians, within 1 ulp for |x| <= 2^20.
//
// Special cases:
//
//	Cos(x) = NaN for |x| > 2^20, ±Inf and NaN
func Cos(x float64) float64 {
	if !(math.Abs(x) <= maxAngle) {
		return math.NaN()
	}
	n, r, rl := reduce(x)
	return quadrant(n+1, r, rl)
}

// quadrant returns sin(n pi/2 + r + rl).
func quadrant(n int64, r, rl float64) float64 {
	var v float64
	if n&1 == 0 {
		v = sin(r, rl)
	} else {
		v = cos(r, rl)
	}
	if n&2 != 0 {
		return -v
	}
	return v
}

// reduce returns n and r + rl with x = n pi/2 + r + rl and |r| <= pi/4, for
// |x| <= 2^20 (Cody and Waite, "Software Manual for the Elementary Functions",
// 1980).
//
// pi/2 comes in three parts of 33 bits, so that their products with n (20 bits)
// are exact, and a rest: 2^-157 in all, where no float64 up to 2^20 is nearer to
// a multiple of pi/2 than about 2^-60.
func reduce(x float64) (n int64, r, rl float64) {
	const (
		p1 = 0x1.921fb544p+00
		p2 = 0x1.0b4611a6p-34
		p3 = 0x1.3198a2ep-69
		p4 = 0x1.b839a252049c1p-104
	)
	nf := float64(float64(x*(2/math.Pi))+round52) - round52
	r = x - float64(nf*p1) // exact
	r, e2 := twoSum(r, -float64(nf*p2))
	r, e3 := twoSum(r, -float64(nf*p3))
	r, rl = fastTwoSum(r, e2+e3-float64(nf*p4))
	return int64(nf), r, rl
}

// sin returns sin(r + rl) for |r| <= pi/4, |rl| <= ulp(r):
// r + (rl (1 - r²/2) - r³/6 + r⁵/120 - …).
func sin(r, rl float64) float64 {
	z := float64(r * r)
	p := 1.0 / 355687428096000
	p = float64(p*z) - 1.0/1307674368000
	p = float64(p*z) + 1.0/6227020800
	p = float64(p*z) - 1.0/39916800
	p = float64(p*z) + 1.0/362880
	p = float64(p*z) - 1.0/5040
	p = float64(p*z) + 1.0/120
	p = float64(p*z) - 1.0/6
	return r + (float64(p*float64(z*r)) + float64(rl*(1-float64(z/2))))
}

// cos returns cos(r + rl) for |r| <= pi/4, |rl| <= ulp(r):
// 1 - r²/2 with its rounding error, + (r⁴/24 - r⁶/720 + … - r rl).
func cos(r, rl float64) float64 {
	z := float64(r * r)
	p := -1.0 / 6402373705728000
	p = float64(p*z) + 1.0/20922789888000
	p = float64(p*z) - 1.0/87178291200
	p = float64(p*z) + 1.0/479001600
	p = float64(p*z) - 1.0/3628800
	p = float64(p*z) + 1.0/40320
	p = float64(p*z) - 1.0/720
	p = float64(p*z) + 1.0/24
	s, e := fastTwoSum(1, -float64(z/2))
	return s + (e + (float64(float64(p*z)*z) - float64(r*rl)))
}
