//go:build asan

package sanitize

import (
	"runtime"
	"unsafe"
)

const Enabled = true

func Read(p unsafe.Pointer, n int)  { runtime.ASanRead(p, n) }
func Write(p unsafe.Pointer, n int) { runtime.ASanWrite(p, n) }
