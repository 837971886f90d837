package kernels

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/lockstep-go/lockstep/internal/parallel"
)

// Threads, as the last argument of a call, limits the threads that the call
// runs on; at most one may be given. Zero stands for GOMAXPROCS, as does
// leaving it out. It changes the speed and no bit.
type Threads int

// threads returns the limit that the caller of fn asked for, or 0 for GOMAXPROCS.
func threads(fn string, limit []Threads) int {
	if len(limit) > 1 {
		panic(fmt.Sprintf("kernels.%s: %d limits of threads given, want at most 1", fn, len(limit)))
	}
	if len(limit) == 0 {
		return 0
	}
	if limit[0] < 0 {
		panic(fmt.Sprintf("kernels.%s: limit of threads = %d, want at least 0", fn, limit[0]))
	}
	return int(limit[0])
}

// block is how many elements of a vector one call of an assembly kernel does.
// It is a constant because reductions are cut at it, and small because
// assembly is not preempted: the slowest kernels need some 20 µs for it.
const block = 1 << 14

// tasks keeps the arguments of calls that are spread over threads: a goroutine
// makes its argument escape, and a call should allocate nothing.
type tasks[T any, P interface {
	*T
	parallel.Ranger
}] struct{ free sync.Pool }

// run calls args.Range for n elements in blocks of grain, on that many threads or,
// for 0, GOMAXPROCS.
func (ts *tasks[T, P]) run(threads, n, grain int, args T) {
	t, _ := ts.free.Get().(*T)
	if t == nil {
		t = new(T)
	}
	*t = args
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	parallel.Run(threads, n, grain, P(t))
	*t = *new(T)
	ts.free.Put(t)
}
