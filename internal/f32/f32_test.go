package f32

import (
	"math"
	"math/big"
	"testing"

	"github.com/lockstep-go/lockstep/internal/f32/f32test"
)

// exactFMA works x*y + z out in integers: as a multiple of 2^-298, the last place of
// the smallest product.
func exactFMA(x, y, z float32) float32 {
	if !finite(x) || !finite(y) || !finite(z) {
		return float32(float64(x)*float64(y) + float64(z)) // infinite or NaN: nothing is rounded
	}
	mx, ex := split(x)
	my, ey := split(y)
	mz, ez := split(z)
	sum := new(big.Int).Lsh(big.NewInt(mx*my), uint(ex+ey+298))
	sum.Add(sum, new(big.Int).Lsh(big.NewInt(mz), uint(ez+298)))
	if sum.Sign() == 0 {
		return float32(float64(x)*float64(y)) + z // the signs of zeros, as in any addition
	}
	negative := sum.Sign() < 0
	sum.Abs(sum)
	// Keep 24 bits, but none below 2^-149; what is cut off decides.
	cut := uint(max(sum.BitLen()-24, 298-149))
	kept := new(big.Int).Rsh(sum, cut)
	rest := new(big.Int).Sub(sum, new(big.Int).Lsh(kept, cut))
	half := new(big.Int).Lsh(big.NewInt(1), cut-1)
	m := kept.Int64()
	if c := rest.Cmp(half); c > 0 || c == 0 && m&1 == 1 {
		m++
	}
	v := float32(math.Ldexp(float64(m), int(cut)-298)) // exact, or 2^128 and infinite
	if negative {
		return -v
	}
	return v
}

func finite(x float32) bool { return x-x == 0 }

// split returns m and e with x = m 2^e and e >= -149.
func split(x float32) (m int64, e int) {
	b := math.Float32bits(x)
	m, e = int64(b&(1<<23-1)), int(b>>23&255)
	if e > 0 {
		m |= 1 << 23
	} else {
		e = 1
	}
	if b>>31 != 0 {
		m = -m
	}
	return m, e - 150
}

func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func TestFMA(t *testing.T) {
	count, twice := 0, 0
	f32test.Cases(1, func(x, y, z float32) bool {
		got, want := FMA(x, y, z), exactFMA(x, y, z)
		if !same(got, want) {
			t.Errorf("FMA(%x, %x, %x) = %x, want %x", x, y, z, got, want)
		}
		if !same(float32(math.FMA(float64(x), float64(y), float64(z))), want) {
			twice++
		}
		count++
		return count < 400_000 && !t.Failed()
	})
	// The cases are worth their name only if many tell one rounding from two.
	if twice < count/50 {
		t.Errorf("%d of %d cases are rounded wrongly by rounding twice, want 2%%", twice, count)
	}
}

// TestFMAByHand has cases worked out on paper.
func TestFMAByHand(t *testing.T) {
	zero := math.Float32frombits(1 << 31)
	inf := float32(math.Inf(1))
	for _, c := range []struct{ x, y, z, want float32 }{
		{1 - 0x1p-23, 1 + 0x1p-23, 0x1p24 + 2, 0x1p24 + 2}, // 2^24 + 3 - 2^-46, below the tie that rounds up
		{1, 1, 0x1p24 + 2, 0x1p24 + 4},                     // the tie
		{1 + 0x1p-23, 1, 0x1p24, 0x1p24 + 2},               // above a tie that rounds down
		{0x1p-75, 0x1p-75, 0, 0},                           // a tie at half the smallest subnormal
		{0x1p-75, 0x1p-75 * (1 + 0x1p-23), 0, 0x1p-149},    // above it
		{0x1p-75, 0x1p-75, 0x1p-149, 0x1p-148},             // a tie that rounds up
		{0x1p-140, -0x1p-140, 0x1.8p-148, 0x1.8p-148},      // far below the last place
		{0x1p-76, 0x1p-76, -0x1p-149, -0x1p-149},           // -3/4 of the smallest
		{0x1p64, 0x1p64, -0x1p104, 0x1.fffffep127},         // 2^128 - 2^104, the largest
		{0x1p64, 0x1p64, -0x1p103, inf},                    // a tie with 2^128
		{0x1p64, 0x1p64, -0x1.000002p103, 0x1.fffffep127},  // below it
		{0x1p127, 4, -inf, -inf},                           //
		{1, -1, 1, 0},                                      // an exact zero is positive
		{zero, 1, zero, zero},                              // but for two negative ones
		{zero, 1, 0, 0},                                    //
		{-0x1p-100, 0x1p-100, 0, zero},                     // underflow keeps its sign
	} {
		if got := FMA(c.x, c.y, c.z); !same(got, c.want) {
			t.Errorf("FMA(%x, %x, %x) = %x, want %x", c.x, c.y, c.z, got, c.want)
		}
	}
}

func BenchmarkFMA(b *testing.B) {
	acc := float32(0)
	for i := range b.N {
		acc = FMA(0.999, acc, float32(i&7))
	}
	if acc != acc {
		b.Fatal("NaN")
	}
}
