//go:build race

package sanitize

import (
	"runtime"
	"unsafe"
)

const Enabled = true

func Read(p unsafe.Pointer, n int)  { runtime.RaceReadRange(p, n) }
func Write(p unsafe.Pointer, n int) { runtime.RaceWriteRange(p, n) }
