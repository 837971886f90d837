// Package f32test has test cases for single-precision fused multiply-adds.
package f32test

import (
	"math"
	"math/rand/v2"
)

// specials are the values that every operand takes in combination with all others.
var specials = func() []float32 {
	var v []float32
	for _, b := range []uint32{
		0, 1, 2, 3, // zero and the smallest subnormals
		0x007FFFFF, 0x00800000, 0x00800001, // around the smallest normal
		0x1FFFFFFF, 0x20000000, 0x20000001, // around 2^-63, whose square is subnormal
		0x33800000, 0x34000000, // 2^-24, 2^-23
		0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x3FC00000, 0x40000000, // around 1, 1.5, 2
		0x4B800000, 0x4B800001, // 2^24
		0x5F7FFFFF, 0x5F800000, // around 2^64, whose square overflows
		0x7F7FFFFE, 0x7F7FFFFF, // the largest
		0x7F800000,             // Inf
		0x7F800001, 0x7FC00000, // NaN, signalling and quiet
	} {
		v = append(v, math.Float32frombits(b), math.Float32frombits(b|1<<31))
	}
	return v
}()

// Cases yields operands of x*y + z: first all combinations of special values, then
// for ever, from seed, random bit patterns and the cases where a single rounding
// is easily missed: sums at or next to a tie, subnormal results, overflow at the
// last moment, cancellation. It stops where yield returns false.
func Cases(seed uint64, yield func(x, y, z float32) bool) {
	for _, x := range specials {
		for _, y := range specials {
			for _, z := range specials {
				if !yield(x, y, z) {
					return
				}
			}
		}
	}
	g := gen{rand.New(rand.NewPCG(seed, 0))}
	kinds := []func() (x, y, z float32){
		g.patterns, g.ordinary, g.tieBySum, g.tieByProduct, g.subnormal, g.overflow, g.cancel,
	}
	for {
		for _, kind := range kinds {
			if !yield(kind()) {
				return
			}
		}
	}
}

type gen struct{ *rand.Rand }

// float returns a float32 with the given exponent, any sign and a mantissa of
// which, half the time, only a few bits are set.
func (g gen) float(exp int) float32 {
	m := g.Uint32()
	if m>>31 == 0 {
		one, other := g.IntN(24), g.IntN(24)
		m = 1<<one | 1<<other | g.Uint32()&1
	}
	v := math.Ldexp(float64(1<<23|m&(1<<23-1)), exp-23)
	if g.Uint32()&1 == 0 {
		v = -v
	}
	return float32(v)
}

func (g gen) between(lo, hi int) int { return lo + g.IntN(hi-lo+1) }

// nudge moves x by at most two units in the last place.
func (g gen) nudge(x float32) float32 {
	return math.Float32frombits(math.Float32bits(x) + uint32(g.between(-2, 2)))
}

func (g gen) patterns() (x, y, z float32) {
	return math.Float32frombits(g.Uint32()), math.Float32frombits(g.Uint32()), math.Float32frombits(g.Uint32())
}

// ordinary has z within 60 binades of the product.
func (g gen) ordinary() (x, y, z float32) {
	ex, ey := g.between(-60, 60), g.between(-60, 60)
	return g.float(ex), g.float(ey), g.float(min(max(ex+ey+g.between(-30, 30), -126), 127))
}

// tieBySum has a product far below z that is half a unit in z's last place, or a
// little more or less than that.
func (g gen) tieBySum() (x, y, z float32) {
	ez := g.between(-100, 127)
	e := ez - 24
	if g.IntN(4) == 0 {
		e = ez - 25 // z a power of two, its lower neighbour at half the distance
	}
	ex := g.between(max(-126, e-127), min(127, e+126))
	x, y = float32(math.Ldexp(1, ex)), float32(math.Ldexp(1, e-ex))
	if g.Uint32()&1 == 0 {
		x = -x
	}
	z = g.float(ez)
	switch g.IntN(3) {
	case 0: // 2^e (1 - 2^-46): (1 - 2^-23)(1 + 2^-23)
		x, y = x*(1-0x1p-23), y*(1+0x1p-23)
	case 1:
		x, y = g.nudge(x), g.nudge(y)
	}
	return x, y, z
}

// tieByProduct has a product of 48 bits with a tie, or nearly one, at its 25th, and
// z far below it.
func (g gen) tieByProduct() (x, y, z float32) {
	// A 25-bit odd number times a power of two, as a product of two factors.
	f := uint32(3 + 2*g.IntN(1<<11))
	h := (1<<24 + g.Uint32()>>8) / f
	h |= 1
	ex, ey := g.between(-50, 50), g.between(-50, 50)
	x, y = float32(math.Ldexp(float64(f), ex)), float32(math.Ldexp(float64(h), ey))
	if g.IntN(3) == 0 {
		x, y = g.nudge(x), g.nudge(y)
	}
	if g.IntN(4) == 0 {
		return x, y, 0
	}
	_, e := math.Frexp(float64(x) * float64(y))
	return x, y, g.float(max(e-g.between(20, 80), -126))
}

// subnormal has a result below or near the smallest normal, often at a tie.
func (g gen) subnormal() (x, y, z float32) {
	switch g.IntN(4) {
	case 0: // anything small
		e := g.between(-250, -100)
		ex := g.between(max(-126, e-127), min(127, e+126))
		x, y = g.float(ex), g.float(e-ex)
	case 1: // near the smallest subnormal
		e := g.between(-152, -120)
		ex := g.between(e+1, 126)
		x, y = g.float(ex), g.float(e-ex)
	case 2: // an odd multiple of half the smallest subnormal, or next to one
		x = float32(math.Ldexp(float64(2*g.IntN(1<<g.between(0, 11))+1), -75))
		y = float32(math.Ldexp(float64(2*g.IntN(1<<g.between(0, 11))+1), -75))
		if g.Uint32()&1 == 0 {
			x = g.nudge(x)
		}
	case 3: // half the smallest subnormal less its 2^46th part
		ex := g.between(-26, 126)
		x, y = float32(math.Ldexp(1-0x1p-23, ex)), float32(math.Ldexp(1+0x1p-23, -150-ex))
	}
	if g.Uint32()&1 == 0 {
		x = -x
	}
	if g.IntN(4) > 0 {
		z = math.Float32frombits(g.Uint32() & (1<<31 | 1<<g.between(1, 24) - 1))
	}
	return x, y, z
}

// overflow has a sum near the largest float32 and the tie above it.
func (g gen) overflow() (x, y, z float32) {
	e := 103 + g.between(-26, 25)
	ex := g.between(e-127, 127)
	x, y = g.float(ex), g.float(e-ex)
	if g.Uint32()&1 == 0 {
		x, y = float32(math.Ldexp(1, ex)), float32(math.Ldexp(1, e-ex))
	}
	z = math.Float32frombits(0x7F7FFFFF - uint32(g.IntN(3)))
	if g.Uint32()&1 == 0 {
		x, z = -x, -z
	}
	return g.nudge(x), y, z
}

// cancel has z the product, rounded, or next to it, with the opposite sign.
func (g gen) cancel() (x, y, z float32) {
	ex, ey := g.between(-74, 60), g.between(-74, 60)
	x, y = g.float(ex), g.float(ey)
	z = float32(-(float64(x) * float64(y)))
	if g.Uint32()&1 == 0 {
		z = g.nudge(z)
	}
	return x, y, z
}
