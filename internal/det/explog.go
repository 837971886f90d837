package det

import "math"

// ln 2 = ln2Hi + ln2Lo. ln2Hi is a multiple of 2^-42, as is the first part of
// each entry of logTable: k*ln2Hi, and its sum with a table entry, are exact for
// every exponent k of a float64.
const (
	ln2Hi = 0x1.62e42fefa38p-01
	ln2Lo = 0x1.ef35793c7673p-45
)

// round52 is 1.5 * 2^52: x + round52 - round52 is x rounded to an integer, half
// to even, for |x| < 2^51.
const round52 = 0x1.8p52

// Exp returns e^x within 1 ulp.
//
// Special cases:
//
//	Exp(+Inf) = +Inf
//	Exp(-Inf) = 0
//	Exp(NaN) = NaN
//
// Results above the largest float64 are +Inf, those below half the smallest are 0.
func Exp(x float64) float64 {
	if x != x {
		return x
	}
	return expSum(x, 0)
}

// expSum returns e^(hi+lo) within 1 ulp for |lo| <= ulp(hi); hi is not NaN.
func expSum(hi, lo float64) float64 {
	if hi > 710 {
		return math.Inf(1)
	}
	if hi < -746 {
		return 0
	}
	// hi + lo = k ln 2 + r + rl, |r| <= ln(2)/2. k*ln2Hi and the first difference
	// are exact.
	k := float64(float64(hi*(1/math.Ln2))+round52) - round52
	d := hi - float64(k*ln2Hi)
	r, rl := fastTwoSum(d, lo-float64(k*ln2Lo))

	// p = e^r - 1 - r, the terms of even and of odd order by Horner's rule each.
	z := float64(r * r)
	even := 1.0 / 87178291200
	even = float64(even*z) + 1.0/479001600
	even = float64(even*z) + 1.0/3628800
	even = float64(even*z) + 1.0/40320
	even = float64(even*z) + 1.0/720
	even = float64(even*z) + 1.0/24
	even = float64(even*z) + 1.0/2
	odd := 1.0 / 6227020800
	odd = float64(odd*z) + 1.0/39916800
	odd = float64(odd*z) + 1.0/362880
	odd = float64(odd*z) + 1.0/5040
	odd = float64(odd*z) + 1.0/120
	odd = float64(odd*z) + 1.0/6
	p := float64(z*even) + float64(z*float64(r*odd))

	// e^(r+rl) = 1 + r + p + rl e^r; y is in [0.7, 1.42].
	s, e := fastTwoSum(1, r)
	y := s + (e + (p + float64(rl*s)))

	// y * 2^k in two steps, since 2^k alone may not be a float64. The first is exact.
	ki := int(k)
	return float64(float64(y*exp2i(ki/2)) * exp2i(ki-ki/2))
}

// Log returns the natural logarithm of x within 1 ulp.
//
// Special cases:
//
//	Log(+Inf) = +Inf
//	Log(±0) = -Inf
//	Log(x < 0) = NaN
//	Log(NaN) = NaN
func Log(x float64) float64 {
	switch {
	case x != x || x > math.MaxFloat64:
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	hi, _ := logSum(x)
	return hi
}

// logSum returns the natural logarithm of a finite x > 0 as hi + lo, with a
// relative error below 2^-64.
//
// x = 2^k m with m in [45/64, 45/32); c is m rounded to a multiple of 1/32, and
//
//	log x = k log 2 + log c + log(m/c),
//	log(m/c) = 2 atanh q = 2q + 2/3 q³ + 2/5 q⁵ + …, q = (m-c)/(m+c), |q| < 0.0113.
//
// Near x = 1, k = 0 and log c = 0, so nothing cancels.
func logSum(x float64) (hi, lo float64) {
	k := 0
	if x < 0x1p-1022 {
		x *= 0x1p54
		k = -54
	}
	const first = 0x3FE68000_00000000 // the bits of 45/64
	b := math.Float64bits(x)
	e := int64(b-first) >> 52
	k += int(e)
	m := math.Float64frombits(b - uint64(e)<<52)
	j := int(float64(m*32) + 0.5)
	c := float64(float64(j) / 32) // the compiler multiplies by 1/32
	t := &logTable[j-23]

	// q + ql = (m-c)/(m+c): the quotient and, divided once more, its remainder.
	num := m - c // exact
	den, denLo := twoSum(m, c)
	q := num / den
	qd, qdLo := twoProd(q, den)
	ql := ((num - qd) - qdLo - float64(q*denLo)) / den

	z := float64(q * q)
	p := 2.0 / 11
	p = float64(p*z) + 2.0/9
	p = float64(p*z) + 2.0/7
	p = float64(p*z) + 2.0/5
	p = float64(p*z) + 2.0/3
	p = float64(float64(p*z) * q)

	kf := float64(k)
	a := float64(kf*ln2Hi) + t[0] // exact
	s, sLo := fastTwoSum(a, float64(2*q))
	sLo += p + (float64(2*ql) + (float64(kf*ln2Lo) + t[1]))
	return fastTwoSum(s, sLo)
}

// logTable[j-23] is log(j/32) in two parts, the first a multiple of 2^-42, worked
// out to 400 bits with mpmath.
var logTable = [...][2]float64{
	{-0x1.522ae0738ap-02, -0x1.ebe708164c759p-45}, // log(23/32)
	{-0x1.269621134ep-02, 0x1.1b61f10522625p-44},  // log(24/32)
	{-0x1.f991c6cb3cp-03, 0x1.90d04cd7cc834p-44},  // log(25/32)
	{-0x1.a93ed3c8aep-03, 0x1.8724350562169p-45},  // log(26/32)
	{-0x1.5bf406b544p-03, 0x1.27023eb68981cp-46},  // log(27/32)
	{-0x1.1178e8227ep-03, -0x1.1ef78ce2d07f2p-45}, // log(28/32)
	{-0x1.9335e5d594p-04, -0x1.3115c3abd47dap-45}, // log(29/32)
	{-0x1.08598b59e4p-04, 0x1.7e5dd7009902cp-46},  // log(30/32)
	{-0x1.0415d89e78p-05, 0x1.dddc7f461c516p-44},  // log(31/32)
	{0, 0}, // log(32/32)
	{0x1.f829b0e78p-06, 0x1.980267c7e09e4p-45},   // log(33/32)
	{0x1.f0a30c0118p-05, -0x1.d599e83368e91p-45}, // log(34/32)
	{0x1.6f0d28ae58p-04, -0x1.4b4641b664613p-44}, // log(35/32)
	{0x1.e27076e2bp-04, -0x1.a342c2af0003cp-45},  // log(36/32)
	{0x1.29552f82p-03, -0x1.5b967f4471dfcp-44},   // log(37/32)
	{0x1.5ff3070a7ap-03, -0x1.8586f183bebf2p-44}, // log(38/32)
	{0x1.9525a9cf46p-03, -0x1.297137d9f158fp-44}, // log(39/32)
	{0x1.c8ff7c79aap-03, -0x1.7794f689f8434p-45}, // log(40/32)
	{0x1.fb9186d5e4p-03, -0x1.d572aab993c87p-47}, // log(41/32)
	{0x1.1675cababap-02, 0x1.8380e731f55c4p-44},  // log(42/32)
	{0x1.2e8e2bae12p-02, -0x1.67b1e99b72bd8p-45}, // log(43/32)
	{0x1.4618bc21c6p-02, -0x1.3d82f484c84ccp-46}, // log(44/32)
	{0x1.5d1bdbf581p-02, -0x1.8d6bdc9c7c238p-44}, // log(45/32)
}

// Pow returns x^y within 1 ulp.
//
// Special cases, in order, are those of math.Pow:
//
//	Pow(x, ±0) = 1 for any x
//	Pow(1, y) = 1 for any y
//	Pow(NaN, y) = NaN
//	Pow(x, NaN) = NaN
//	Pow(±0, y) = ±Inf for y an odd integer < 0
//	Pow(±0, -Inf) = +Inf
//	Pow(±0, +Inf) = +0
//	Pow(±0, y) = +Inf for finite y < 0 and not an odd integer
//	Pow(±0, y) = ±0 for y an odd integer > 0
//	Pow(±0, y) = +0 for finite y > 0 and not an odd integer
//	Pow(-1, ±Inf) = 1
//	Pow(x, +Inf) = +Inf for |x| > 1
//	Pow(x, -Inf) = +0 for |x| > 1
//	Pow(x, +Inf) = +0 for |x| < 1
//	Pow(x, -Inf) = +Inf for |x| < 1
//	Pow(+Inf, y) = +Inf for y > 0
//	Pow(+Inf, y) = +0 for y < 0
//	Pow(-Inf, y) = Pow(-0, -y)
//	Pow(x, y) = NaN for finite x < 0 and finite non-integer y
func Pow(x, y float64) float64 {
	switch {
	case y == 0 || x == 1:
		return 1
	case x != x || y != y:
		return math.NaN()
	}
	a, sign := math.Abs(x), 1.0
	if math.Signbit(x) {
		integer, odd := parity(y)
		if odd {
			sign = -1
		} else if !integer && 0 < a && a <= math.MaxFloat64 {
			return math.NaN()
		}
	}
	switch {
	case a == 1:
		return sign
	case a == 0 || a > math.MaxFloat64 || math.Abs(y) > math.MaxFloat64:
		if (a > 1) == (y > 0) {
			return sign * math.Inf(1)
		}
		return sign * 0
	}
	hi, lo := logSum(a)
	if p := float64(y * hi); p > 710 || p < -746 { // and the product could overflow
		return sign * expSum(p, 0)
	}
	p, e := twoProd(y, hi)
	return sign * expSum(p, e+float64(y*lo))
}

// parity reports whether y, which is not NaN, is an integer (infinities count as
// even ones), and whether it is an odd one.
func parity(y float64) (integer, odd bool) {
	if math.Abs(y) >= 1<<53 {
		return true, false
	}
	i := int64(y)
	return float64(i) == y, i&1 == 1 && float64(i) == y
}
