package kernels

import (
	"slices"
	"testing"
)

func TestMake(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3_000_017} {
		for range 3 { // also memory that was used before
			x := Make(n)
			if len(x) != n || slices.ContainsFunc(x, func(x float32) bool { return x != 0 }) {
				t.Fatalf("Make(%d): %d elements, want as many zeros", n, len(x))
			}
			for i := range x {
				x[i] = float32(i) + 1
			}
		}
	}
}
