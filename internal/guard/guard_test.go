//go:build unix

package guard

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"unsafe"
)

func TestSlice(t *testing.T) {
	lengths := []int{0, 1, 2, 7, 8, 31, 32, 300, 1023, 1024, 1025, 16383, 16384, 16385, 100_003}
	for _, n := range lengths {
		for _, end := range []bool{true, false} {
			t.Run(fmt.Sprintf("n=%d,end=%v", n, end), func(t *testing.T) {
				check[float32](t, n, end)
				check[float64](t, n, end)
				check[int32](t, n, end)
				check[uint8](t, n, end)
			})
		}
	}
}

// check uses every element of a guarded slice and sees the one beyond it fault.
func check[T float32 | float64 | int32 | uint8](t *testing.T, n int, end bool) {
	t.Helper()
	s := Slice[T](t, n, end)
	if len(s) != n || cap(s) != n {
		t.Fatalf("%T: len %d, cap %d, want %d", s, len(s), cap(s), n)
	}
	for i := range s {
		if s[i] != 0 {
			t.Fatalf("%T: element %d is %v, want 0", s, i, s[i])
		}
		s[i] = 1
	}
	beyond := -1
	if end {
		beyond = n
	}
	p := (*T)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(s)), beyond*int(unsafe.Sizeof(*new(T)))))
	if !faults(func() { *p = 1 }) {
		t.Errorf("%T: writing element %d of %d did not fault", s, beyond, n)
	}
	if !faults(func() { runtime.KeepAlive(*p) }) {
		t.Errorf("%T: reading element %d of %d did not fault", s, beyond, n)
	}
}

// faults reports whether access touches memory that it must not.
func faults(access func()) (faulted bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			_, faulted = r.(interface{ Addr() uintptr })
		}
	}()
	access()
	return false
}
