package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lockstep-go/lockstep/internal/philox"
)

// keeps tells whether the mask keeps element j of row i, from the address in the doc of
// Dropout.
func keeps(m DropoutMask, i, j int) bool {
	block := philox.Block([2]uint32{uint32(m.Seed), uint32(m.Seed >> 32)}, [4]uint32{uint32(j/32*8 + j%8), m.Row + uint32(i), m.Stream, m.Step})
	return float64(block[j%32/8]>>1) >= math.Round(m.Rate*(1<<31))
}

// wordsOf is what a task draws for rows rows of so many words, from column lo on.
func wordsOf(m DropoutMask, rows, lo, step int) []uint32 {
	words := new(randomWords)
	for i := range words {
		words[i] = 0xdead
	}
	task := dropoutTask{mask: m}
	task.random(words, 0, rows, lo, step)
	return words[:]
}

// TestRandomWords compares with package philox, and with the vectors that Random123
// publishes (tests/kat_vectors).
func TestRandomWords(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, c := range []struct {
			counter [4]uint32
			key     uint64
			want    [4]uint32
		}{
			{[4]uint32{}, 0, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
			{[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 1<<64 - 1, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
			{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
		} {
			m := DropoutMask{Seed: c.key, Row: c.counter[1], Stream: c.counter[2], Step: c.counter[3]}
			lo := uint64(c.counter[0]/8) * 32
			if lo > math.MaxInt {
				continue // no row of a 32-bit machine is that wide
			}
			words := wordsOf(m, 1, int(lo), 32)
			for w, want := range c.want {
				if got := words[w*8+int(c.counter[0]%8)]; got != want {
					t.Errorf("counter %08x, key %016x: word %d is %08x, want %08x", c.counter, c.key, w, got, want)
				}
			}
		}
		r := rand.New(rand.NewPCG(14, 1))
		for _, s := range []struct{ rows, groups int }{{1, 1}, {1, 2}, {2, 1}, {3, 3}, {5, 6}, {32, 1}, {1, 32}} {
			m := DropoutMask{Seed: r.Uint64(), Stream: r.Uint32(), Step: r.Uint32(), Row: -uint32(s.rows / 2)}
			lo := r.IntN(1<<20) * len(randomWords{})
			words := wordsOf(m, s.rows, lo, 32*s.groups)
			for i, got := range words {
				want := uint32(0xdead) // not written
				if row, j := i/(32*s.groups), lo+i%(32*s.groups); row < s.rows {
					want = philox.Block([2]uint32{uint32(m.Seed), uint32(m.Seed >> 32)}, [4]uint32{uint32(j/32*8 + j%8), m.Row + uint32(row), m.Stream, m.Step})[j%32/8]
				}
				if got != want {
					t.Fatalf("%d rows of %d groups from column %d: word %d is %08x, want %08x", s.rows, s.groups, lo, i, got, want)
				}
			}
		}
	})
}

// TestDropoutCut: the parts of a batch are what the whole is, wherever it is cut.
func TestDropoutCut(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(14, 2))
		for _, cols := range []int{1, 31, 32, 33, 100, 4100, block + 40} {
			const rows = 7
			x := kindNamed("normal").values(r, rows*cols)
			whole, parts := make([]float32, len(x)), make([]float32, len(x))
			Dropout(rows, cols, whole, cols, x, cols, testMask, 2)
			for cut := range rows + 1 {
				clear(parts)
				Dropout(cut, cols, parts, cols, x, cols, testMask, 2, 2)
				rest := testMask
				rest.Row += uint32(cut)
				Dropout(rows-cut, cols, parts[cut*cols:], cols, x[cut*cols:], cols, rest, 2, 1)
				if !slices.Equal(bitsOf(parts), bitsOf(whole)) {
					t.Fatalf("%d columns: cut before row %d, the parts are not the whole", cols, cut)
				}
			}
		}
	})
}

// TestDropoutSpecials: what is dropped is +0, whatever it was; what is kept is x·scale,
// and rates next to 0 and 1 keep all and nothing.
func TestDropoutSpecials(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachISA(t, func(t *testing.T) {
		const rows, cols = 9, 77
		for _, rate := range []float64{0, 0x1p-33, 0x1p-31, 0.25, 0.5, 0.999, math.Nextafter(1, 0)} {
			for _, special := range []float32{inf, -inf, nan, -1, math.Float32frombits(1 << 31), 0x1p-149} {
				m := DropoutMask{Rate: rate, Seed: 3, Stream: 1, Step: 2}
				x := slices.Repeat([]float32{special}, rows*cols)
				Dropout(rows, cols, x, cols, x, cols, m, 2)
				dropped := 0
				for e, got := range x {
					want := special * 2
					if !keeps(m, e/cols, e%cols) {
						want = 0
						dropped++
					}
					if !same(got, want) {
						t.Fatalf("rate %g, %g times 2: [%d, %d] = %s, want %s", rate, special, e/cols, e%cols, show(got), show(want))
					}
				}
				if n := len(x); rate < 0x1p-30 && dropped > 0 || rate > 1-0x1p-40 && dropped < n {
					t.Fatalf("rate %g: %d of %d elements were dropped", rate, dropped, n)
				}
			}
		}
	})
}

// TestDropoutRate counts: of n elements, the part that is dropped lies within five
// standard deviations of the rate, for every column's place among the words too.
func TestDropoutRate(t *testing.T) {
	for _, rate := range []float64{0.1, 0.5, 0.9} {
		const rows, cols = 2000, 64
		x := slices.Repeat([]float32{1}, rows*cols)
		Dropout(rows, cols, x, cols, x, cols, DropoutMask{Rate: rate, Seed: 11}, 1)
		var all int
		for j := range cols {
			dropped := 0
			for i := range rows {
				if x[i*cols+j] == 0 {
					dropped++
				}
			}
			all += dropped
			if off := float64(dropped) - rate*rows; math.Abs(off) > 5*math.Sqrt(rate*(1-rate)*rows) {
				t.Errorf("rate %g: %d of %d elements of column %d were dropped", rate, dropped, rows, j)
			}
		}
		if off := float64(all) - rate*rows*cols; math.Abs(off) > 5*math.Sqrt(rate*(1-rate)*rows*cols) {
			t.Errorf("rate %g: %d of %d elements were dropped", rate, all, rows*cols)
		}
	}
}

// TestDropoutAddress: each part of the address matters.
func TestDropoutAddress(t *testing.T) {
	base := DropoutMask{Rate: 0.5, Seed: 1}
	seen := map[string]string{}
	for _, c := range []struct {
		what  string
		spoil func(m *DropoutMask)
	}{
		{"nothing", func(m *DropoutMask) {}},
		{"seed, low", func(m *DropoutMask) { m.Seed++ }},
		{"seed, high", func(m *DropoutMask) { m.Seed += 1 << 32 }},
		{"stream", func(m *DropoutMask) { m.Stream++ }},
		{"step", func(m *DropoutMask) { m.Step++ }},
		{"row", func(m *DropoutMask) { m.Row++ }},
	} {
		m := base
		c.spoil(&m)
		x := slices.Repeat([]float32{1}, 64)
		Dropout(1, 64, x, 64, x, 64, m, 1)
		key := fmt.Sprint(x)
		if other, ok := seen[key]; ok {
			t.Errorf("another %s gives the mask that another %s gives", c.what, other)
		}
		seen[key] = c.what
	}
}

func TestDropoutPanics(t *testing.T) {
	for _, rate := range []float64{-1, math.Nextafter(0, -1), 1, 2, math.NaN(), math.Inf(1), math.Inf(-1)} {
		x := []float32{1, 2, 3}
		wantPanic(t, fmt.Sprint("rate ", rate), func() { Dropout(1, 3, x, 3, x, 3, DropoutMask{Rate: rate}, 1) }, "kernels.Dropout: ", "mask.Rate = "+fmt.Sprint(rate), "less than 1")
		unchanged(t, fmt.Sprint("rate ", rate), "x", x, []float32{1, 2, 3})
	}
}
