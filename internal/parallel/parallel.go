// Package parallel spreads the blocks of a range over goroutines.
//
// There are no workers until a call wants some, and a worker that finds
// nothing to do for a short while leaves; so importing the package starts
// nothing and an idle program runs nothing. A worker waits by looking, never by
// parking on a channel or a condition variable: those belong to the
// testing/synctest bubble that made them, and workers serve callers inside and
// outside of bubbles alike. It looks for longer than the gaps between the
// kernels of a training step, so that a step starts no goroutine.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Ranger does the elements lo to hi of its work. Calls for different blocks
// run at the same time.
type Ranger interface {
	Range(lo, hi int)
}

// Run cuts [0, n) into blocks of grain elements (the last may be shorter) and
// calls r.Range for each, on the calling goroutine and at most threads-1
// others. The cut does not depend on threads. It returns when all is done.
func Run(threads, n, grain int, r Ranger) {
	blocks := (n + grain - 1) / grain
	if threads = min(threads, blocks, maxThreads); threads > 1 {
		for i := range slots {
			if j := &slots[i]; j.taken.CompareAndSwap(false, true) {
				j.run(threads, n, grain, blocks, r)
				return
			}
		}
	}
	for lo := 0; lo < n; lo += grain {
		r.Range(lo, min(n, lo+grain))
	}
}

// maxThreads keeps the count of seats within its bits of the state.
const maxThreads = 1 << 12

// slots are the calls under way. They are reused and never freed, so a worker
// may look at one at any moment. A call that finds all taken runs alone.
var slots [16]job

// job is a call under way. The fields up to blocks are written before there are
// seats and read only by those who took one.
type job struct {
	taken atomic.Bool // belongs to a caller

	r                Ranger
	n, grain, blocks int

	next  atomic.Int64  // the next block to be done
	state atomic.Uint64 // seats still free, workers inside, and whether the caller sleeps
	done  sync.Mutex    // held by the caller; the last worker unlocks it if the caller sleeps

	_ [64]byte // keeps the next slot off these cache lines
}

// The parts of a job's state, together in one word so that a worker comes in
// by one compare-and-swap and only where there is a seat.
const (
	inside   = 1
	seat     = 1 << 16
	sleeping = 1 << 32

	seatMask = sleeping - seat
)

// How often a worker looks for work before it leaves, some 500 µs, and how often a
// caller looks for the end of it before it sleeps, some 50 µs. To get a sleeping
// processor going takes up to 100 µs: a worker that left sooner would come too
// late for one call and be gone before the next.
const (
	workerLooks = 50_000
	callerLooks = 100_000
)

// workerJobs is after how many calls a worker leaves though there is more to do; the next
// call starts another. One that was started in a testing/synctest bubble belongs to it, and
// the bubble's clock stands still for as long as callers outside keep it busy.
const workerJobs = 256

func (j *job) run(threads, n, grain, blocks int, r Ranger) {
	j.r, j.n, j.grain, j.blocks = r, n, grain, blocks
	j.next.Store(0)
	defer j.finish() // also when r.Range panics
	j.state.Store(uint64(threads-1) * seat)
	hire(threads - 1)
	j.work()
}

// work does blocks until there are none left.
func (j *job) work() {
	for {
		b := int(j.next.Add(1)) - 1
		if b >= j.blocks {
			return
		}
		lo := b * j.grain
		j.r.Range(lo, min(j.n, lo+j.grain))
	}
}

// finish takes back the seats, waits for the workers inside, and frees the
// slot.
func (j *job) finish() {
	j.next.Store(int64(j.blocks))
	j.state.And(^uint64(seatMask))
	for i := 0; j.state.Load() != 0; i++ {
		if i == callerLooks {
			j.done.Lock()
			if j.state.Or(sleeping) != 0 {
				j.done.Lock() // until the last worker unlocks it
			}
			j.done.Unlock()
			j.state.Store(0)
		}
	}
	j.r = nil
	j.taken.Store(false)
}

// join takes a seat in j if there is one.
func (j *job) join() bool {
	for s := j.state.Load(); s&seatMask != 0; s = j.state.Load() {
		if j.state.CompareAndSwap(s, s-seat+inside) {
			return true
		}
	}
	return false
}

func (j *job) leave() {
	if s := j.state.Add(^uint64(0)); s == sleeping {
		j.done.Unlock()
	}
}

var (
	workers atomic.Int64 // goroutines in work
	idle    atomic.Int64 // those of them that look for a job
)

// hire starts workers if fewer than want are idle, but never more than there
// are processors beside the caller's.
func hire(want int) {
	limit := int64(runtime.GOMAXPROCS(0) - 1)
	for missing := int64(want) - idle.Load(); missing > 0; missing-- {
		if workers.Add(1) > limit {
			workers.Add(-1)
			return
		}
		go work()
	}
}

func work() {
	idle.Add(1)
	jobs := 0
	for look := 0; look < workerLooks && jobs < workerJobs; look++ {
		for i := range slots {
			if j := &slots[i]; j.join() {
				idle.Add(-1)
				j.work()
				j.leave()
				idle.Add(1)
				look = 0
				jobs++
			}
		}
		if look%256 == 255 {
			runtime.Gosched()
		}
	}
	idle.Add(-1)
	workers.Add(-1)
}
