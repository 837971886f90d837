// Package philox has the counter-based random numbers of the module: Philox4x32-10
// (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// SC11).
//
// A number is a pure function of its address (seed, purpose, step, position), so
// none depends on the order of the calls, on threads or on the machine.
package philox

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/lockstep-go/lockstep/internal/det"
)

// Block returns the four words of Philox4x32-10 for a key and a counter.
func Block(key [2]uint32, ctr [4]uint32) [4]uint32 {
	const (
		m0, m1 = 0xD2511F53, 0xCD9E8D57 // multipliers
		w0, w1 = 0x9E3779B9, 0xBB67AE85 // key increments: the golden ratio, sqrt(3)-1
	)
	k0, k1 := key[0], key[1]
	c0, c1, c2, c3 := ctr[0], ctr[1], ctr[2], ctr[3]
	for range 10 {
		p0, p1 := m0*uint64(c0), m1*uint64(c2)
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += w0
		k1 += w1
	}
	return [4]uint32{c0, c1, c2, c3}
}

// Purpose keeps the numbers that one seed gives to different ends apart. The
// values are part of the weights' hashes: they never change.
type Purpose uint32

const (
	Init    Purpose = 0       // initial weights
	Batch   Purpose = 1       // choice of the samples in a batch
	Shuffle Purpose = 2       // the order of the samples in an epoch
	Split   Purpose = 3       // choice of the samples to hold out
	Search  Purpose = 4       // the proposals of a search for options
	Dropout Purpose = 1 << 16 // and above, one for each layer: what is dropped
)

// Stream is the sequence of random numbers of one seed, purpose and step. Every
// method is addressed by a position. One 64-bit number belongs to each position,
// except that Normal uses a whole block, two of them, for two positions.
type Stream struct {
	Seed    uint64
	Purpose Purpose
	Step    uint32
}

// block returns block n as two 64-bit words, the earlier 32 bits low.
//
// The key is the seed and the counter is {n, n >> 32, Purpose, Step}, low word first.
func (s Stream) block(n uint64) (w0, w1 uint64) {
	b := Block(
		[2]uint32{uint32(s.Seed), uint32(s.Seed >> 32)},
		[4]uint32{uint32(n), uint32(n >> 32), uint32(s.Purpose), s.Step})
	return uint64(b[1])<<32 | uint64(b[0]), uint64(b[3])<<32 | uint64(b[2])
}

// Uint64 returns 64 uniform bits: word pos%2 of block pos/2.
func (s Stream) Uint64(pos uint64) uint64 {
	w0, w1 := s.block(pos / 2)
	if pos%2 == 0 {
		return w0
	}
	return w1
}

// Index returns an integer in [0, n): the high 64 bits of Uint64(pos) * n. The
// probability of each differs from 1/n by less than 2^-64.
//
// It panics unless n > 0.
func (s Stream) Index(pos uint64, n int) int {
	if n <= 0 {
		panic(fmt.Sprintf("philox: Index: n is %d, want at least 1", n))
	}
	hi, _ := bits.Mul64(s.Uint64(pos), uint64(n))
	return int(hi)
}

// Float64 returns a multiple of 2^-53 in [0, 1): the upper 53 bits of Uint64(pos).
func (s Stream) Float64(pos uint64) float64 {
	return unit(s.Uint64(pos) >> 11)
}

// unit returns n * 2^-53, exact for n <= 2^53.
func unit(n uint64) float64 { return float64(n) * 0x1p-53 }

// Normal returns a standard normal deviate by the method of Box and Muller ("A
// note on the generation of random normal deviates", 1958). Block pos/2 gives
// u1 in (0, 1] and u2 in [0, 1), multiples of 2^-53, and
//
//	sqrt(-2 ln u1) cos(2 pi u2) for even pos,
//	sqrt(-2 ln u1) sin(2 pi u2) for odd pos.
//
// No value is beyond 8.6.
func (s Stream) Normal(pos uint64) float64 {
	radius, angle := s.polar(pos / 2)
	if pos%2 == 0 {
		return radius * det.Cos(angle)
	}
	return radius * det.Sin(angle)
}

// Normals sets dst[i] to Normal(first + i), in little more than half the time.
func (s Stream) Normals(dst []float64, first uint64) {
	if len(dst) > 0 && first%2 == 1 {
		dst[0] = s.Normal(first)
		dst, first = dst[1:], first+1
	}
	for ; len(dst) >= 2; dst, first = dst[2:], first+2 {
		radius, angle := s.polar(first / 2)
		dst[0] = radius * det.Cos(angle)
		dst[1] = radius * det.Sin(angle)
	}
	if len(dst) > 0 {
		dst[0] = s.Normal(first)
	}
}

// polar returns the two factors of the deviates of block n.
func (s Stream) polar(n uint64) (radius, angle float64) {
	w0, w1 := s.block(n)
	return math.Sqrt(-2 * det.Log(unit(w0>>11+1))), float64(2 * math.Pi * unit(w1>>11))
}
