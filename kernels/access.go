package kernels

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/internal/sanitize"
)

// reads and writes tell the race detector and the sanitizers what a call does to
// vectors: those see no access of assembly. Each kernel says so once, after its checks.
// Without them, nothing of this is compiled in.
func reads[T any](vectors ...[]T) {
	if sanitize.Enabled {
		for _, x := range vectors {
			if len(x) > 0 {
				sanitize.Read(unsafe.Pointer(&x[0]), len(x)*int(unsafe.Sizeof(x[0])))
			}
		}
	}
}

func writes[T any](vectors ...[]T) {
	if sanitize.Enabled {
		for _, x := range vectors {
			if len(x) > 0 {
				sanitize.Write(unsafe.Pointer(&x[0]), len(x)*int(unsafe.Sizeof(x[0])))
			}
		}
	}
}

// reads and writes of a matrix leave out what lies between its rows.
func (m *matrix) reads()  { m.each(sanitize.Read) }
func (m *matrix) writes() { m.each(sanitize.Write) }

func (m *matrix) each(f func(p unsafe.Pointer, n int)) {
	if sanitize.Enabled && m.cols > 0 {
		for i := range m.rows {
			f(unsafe.Add(m.x, i*m.stride*m.size), m.cols*m.size)
		}
	}
}
