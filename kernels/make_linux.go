package kernels

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseHuge asks for huge pages in x. Without them all works as well, so that an error
// is of no interest.
func adviseHuge(x []float32) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(x)))
	skip := -start & uintptr(os.Getpagesize()-1) // advice is for whole pages
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
	_ = unix.Madvise(bytes[skip:], unix.MADV_HUGEPAGE)
}
