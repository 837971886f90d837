//go:build unix

// Package guard hands tests memory that ends, or begins, exactly at a page that
// must not be touched, so that a kernel which reads or writes one element too
// many faults instead of passing.
package guard

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// page is a multiple of every page size in use (4, 16 and 64 KiB). The system's
// own answer would not do: under an emulator it may be smaller than the host's,
// which is what protects.
const page = 64 << 10

// Slice returns n zeroed elements that end at an inaccessible page (end true)
// or begin right after one (end false). The other side is guarded too, but only
// to the page. T must hold no pointers: the collector does not look here. The
// memory goes back when the test ends.
func Slice[T any](tb testing.TB, n int, end bool) []T {
	tb.Helper()
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	mem := guarded(tb, size)
	if end {
		mem = unsafe.Add(mem, -size&(page-1))
	}
	return unsafe.Slice((*T)(mem), n)
}

// guarded maps the pages that size bytes need between two inaccessible ones and
// returns where they begin.
func guarded(tb testing.TB, size int) unsafe.Pointer {
	tb.Helper()
	usable := (size + page - 1) &^ (page - 1)
	mem, err := unix.Mmap(-1, 0, usable+2*page, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		tb.Fatalf("guard: mmap of %d bytes: %v", usable+2*page, err)
	}
	tb.Cleanup(func() {
		if err := unix.Munmap(mem); err != nil {
			tb.Errorf("guard: munmap: %v", err)
		}
	})
	if usable > 0 {
		if err := unix.Mprotect(mem[page:page+usable], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			tb.Fatalf("guard: mprotect of %d bytes: %v", usable, err)
		}
	}
	return unsafe.Pointer(&mem[page])
}
