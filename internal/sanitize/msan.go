//go:build msan

package sanitize

import (
	"runtime"
	"unsafe"
)

const Enabled = true

func Read(p unsafe.Pointer, n int)  { runtime.MSanRead(p, n) }
func Write(p unsafe.Pointer, n int) { runtime.MSanWrite(p, n) }
