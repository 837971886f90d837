package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// useISA forces an instruction set until the test ends.
func useISA(t *testing.T, name string) {
	t.Helper()
	before := ISA()
	if err := SetISA(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := SetISA(before); err != nil {
			t.Error(err)
		}
	})
}

// eachISA runs f as a subtest under every instruction set.
func eachISA(t *testing.T, f func(t *testing.T)) {
	for _, isa := range ISAs() {
		t.Run(isa, func(t *testing.T) {
			useISA(t, isa)
			f(t)
		})
	}
}

// onPortable runs f on the portable loops.
func onPortable(t *testing.T, f func()) {
	t.Helper()
	before := ISA()
	if err := SetISA("portable"); err != nil {
		t.Fatal(err)
	}
	f()
	if err := SetISA(before); err != nil {
		t.Fatal(err)
	}
}

// pick is one of the values.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// A kind is what the elements of a vector are like.
type kind struct {
	name string
	pool []float32
}

// kinds are those of portableValues and one in which ordinary numbers meet NaN,
// ±Inf, ±0, subnormals and any pattern of bits. Drawing numbers takes longer
// than the kernels do, so they are drawn once.
var kinds = sync.OnceValue(func() []kind {
	r := rand.New(rand.NewPCG(1, 2))
	pool := func(f func(*rand.Rand) float32) []float32 {
		x := make([]float32, 1<<15)
		for i := range x {
			x[i] = f(r)
		}
		return x
	}
	var ks []kind
	for _, v := range portableValues {
		ks = append(ks, kind{v.name, pool(v.f)})
	}
	return append(ks, kind{"mixed", pool(func(r *rand.Rand) float32 {
		switch r.IntN(8) {
		case 0:
			return math.Float32frombits(r.Uint32())
		case 1:
			return math.Float32frombits(r.Uint32() & (1<<31 | 1<<23 - 1))
		case 2:
			return math.Float32frombits(pick[uint32](r, 0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x7F800001) | r.Uint32()<<31)
		}
		return float32(r.NormFloat64())
	})})
})

// kindNamed is the kind of that name.
func kindNamed(name string) kind {
	all := kinds()
	return all[slices.IndexFunc(all, func(k kind) bool { return k.name == name })]
}

// values draws n numbers.
func (k kind) values(r *rand.Rand, n int) []float32 {
	x := make([]float32, 0, n)
	for len(x) < n {
		from := r.IntN(len(k.pool))
		x = append(x, k.pool[from:min(len(k.pool), from+n-len(x))]...)
	}
	return x
}

// poison fills the memory that a kernel has no business with.
var poison = math.Float32frombits(0x7FD0DEAD)

// margin is the number of poisoned elements on either side of a vector.
const margin = 32

// place copies x to memory that is poisoned all around, off elements after a
// multiple of 64 bytes. The function reports the first element around x that
// has changed since, counted from x's first.
func place(x []float32, off int) (v []float32, spilled func() (at int, ok bool)) {
	all := make([]float32, len(x)+2*margin+16+16)
	for i := range all {
		all[i] = poison
	}
	misaligned := int(uintptr(unsafe.Pointer(unsafe.SliceData(all))) % 64 / 4)
	from := margin + (16-misaligned)%16 + off
	v = all[from:][:len(x):len(x)]
	copy(v, x)
	return v, func() (int, bool) {
		for i, p := range all {
			if (i < from || i >= from+len(x)) && math.Float32bits(p) != math.Float32bits(poison) {
				return i - from, true
			}
		}
		return 0, false
	}
}

// same tells whether a and b are equal bit for bit, or both NaN.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func same64(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b
}

// bitsOf is the memory of x as patterns of bits.
func bitsOf(x []float32) []uint32 { return reinterpret[uint32](x, len(x)) }

// unchanged fails the test unless x has the bits that it had.
func unchanged(t *testing.T, what, name string, x, before []float32) {
	t.Helper()
	if slices.Equal(bitsOf(x), bitsOf(before)) {
		return
	}
	for i := range x {
		if bitsOf(x)[i] != bitsOf(before)[i] {
			t.Fatalf("%s: %s[%d] was written: %s, had been %s", what, name, i, show(x[i]), show(before[i]))
		}
	}
}

// show gives a number and its bits.
func show(x float32) string { return fmt.Sprintf("%g (%#08x)", x, math.Float32bits(x)) }

// ulp32 is the distance of the float32 at x.
func ulp32(x float64) float64 {
	_, e := math.Frexp(x)
	return math.Ldexp(1, max(e-24, -149))
}

// ulpsOff is how far got is from want, in units of want's last place. An
// infinity counts as the number that the largest exponent leaves out.
func ulpsOff(got float32, want float64) float64 {
	limit := func(x float64) float64 { return max(-0x1p128, min(x, 0x1p128)) } // NaN stays
	g, w := limit(float64(got)), limit(want)
	switch {
	case g == w || g != g && w != w:
		return 0
	case g != g || w != w:
		return math.Inf(1)
	}
	return math.Abs(g-w) / ulp32(w)
}

// reinterpret gives n elements of another type in the memory of x.
func reinterpret[To, From any](x []From, n int) []To {
	return unsafe.Slice((*To)(unsafe.Pointer(unsafe.SliceData(x))), n)
}

// panicPrefix is how panics begin in a kernel of that name: its first word is
// the function.
func panicPrefix(kernel string) string { return "kernels." + strings.Fields(kernel)[0] + ": " }

// wantPanic runs f, which must panic with a message that contains all the parts.
func wantPanic(t *testing.T, what string, f func(), parts ...string) {
	t.Helper()
	defer func() {
		t.Helper()
		got := recover()
		if got == nil {
			t.Fatalf("%s: no panic, want one that says %q", what, parts)
		}
		message, ok := got.(string)
		if !ok {
			t.Fatalf("%s: panic %v, want one that says %q", what, got, parts)
		}
		for _, p := range parts {
			if !strings.Contains(message, p) {
				t.Fatalf("%s: panic %q, want it to say %q", what, message, p)
			}
		}
	}()
	f()
}
