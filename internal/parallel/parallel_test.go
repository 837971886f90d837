package parallel

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counts notes how often each element was done and the blocks it came in.
type counts struct {
	done   []atomic.Int32
	grain  int
	broken atomic.Bool
	work   int
}

func (c *counts) Range(lo, hi int) {
	if lo%c.grain != 0 || hi != min(len(c.done), lo+c.grain) {
		c.broken.Store(true)
	}
	for i := lo; i < hi; i++ {
		c.done[i].Add(1)
	}
	for i := range c.work {
		_ = i
	}
}

func check(t *testing.T, threads, n, grain, work int) {
	t.Helper()
	c := &counts{done: make([]atomic.Int32, n), grain: grain, work: work}
	Run(threads, n, grain, c)
	for i := range c.done {
		if got := c.done[i].Load(); got != 1 {
			t.Errorf("threads %d, n %d, grain %d: element %d was done %d times", threads, n, grain, i, got)
			return
		}
	}
	if c.broken.Load() {
		t.Errorf("threads %d, n %d, grain %d: the range was not cut at multiples of the grain", threads, n, grain)
	}
}

func TestRun(t *testing.T) {
	for _, threads := range []int{-1, 0, 1, 2, 3, 8, 100, 1 << 20} {
		for _, n := range []int{0, 1, 2, 7, 8, 9, 1000} {
			for _, grain := range []int{1, 3, 8, 2000} {
				check(t, threads, n, grain, 0)
			}
		}
	}
}

// TestManyCallers has more callers than slots, more threads than processors,
// and processors that change under them.
func TestManyCallers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for g := range 3 * len(slots) {
		wg.Go(func() {
			for i := range 200 {
				check(t, 1+(g+i)%9, 1+(g*i)%300, 1+i%7, i%3*1000)
			}
		})
	}
	for i := range 50 {
		runtime.GOMAXPROCS(1 + i%8)
		time.Sleep(time.Millisecond)
	}
	wg.Wait()
}

// slow makes the caller wait for a worker for longer than it spins.
type slow struct{ caller, worker atomic.Int32 }

func (s *slow) Range(lo, hi int) {
	if lo == 0 {
		s.caller.Add(1)
		for s.worker.Load() == 0 {
			runtime.Gosched()
		}
		return
	}
	s.worker.Add(1)
	time.Sleep(5 * time.Millisecond)
	s.caller.Add(1)
}

func TestCallerSleeps(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	for range 20 {
		s := &slow{}
		Run(2, 2, 1, s)
		if s.caller.Load() != 2 {
			t.Fatal("Run returned before the worker was done")
		}
	}
}

func TestWorkersLeave(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	check(t, 4, 1000, 1, 1000)
	for deadline := time.Now().Add(10 * time.Second); workers.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d workers are still there after ten idle seconds", workers.Load())
		}
	}
	if idle.Load() != 0 {
		t.Fatalf("%d workers count as idle with none there", idle.Load())
	}
}

// TestBubble starts workers inside of a synctest bubble and uses them from
// outside, and the other way round; the runtime would kill the program or the
// bubble would never end if they shared a channel.
func TestBubble(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	stop := make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				check(t, 3, 200, 1, 200)
			}
		}
	})
	for i := range 20 {
		t.Run(fmt.Sprint("bubble", i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				check(t, 4, 200, 1, 200)
				time.Sleep(time.Hour)
				check(t, 4, 200, 1, 200)
			})
		})
	}
	close(stop)
	wg.Wait()
}

type failing struct{}

func (failing) Range(lo, hi int) {
	if lo == 0 {
		panic("failing")
	}
}

// failingCaller fails on the caller's goroutine, and counts the workers at work.
type failingCaller struct{ inside atomic.Int32 }

func (f *failingCaller) Range(lo, hi int) {
	if bytes.Contains(debug.Stack(), []byte("parallel.Run(")) {
		for i := 0; f.inside.Load() == 0 && i < 1000; i++ {
			runtime.Gosched()
		}
		panic("failing")
	}
	f.inside.Add(1)
	defer f.inside.Add(-1)
	runtime.Gosched()
}

// TestPanicBesideWorkers: when the panic of a caller comes out, no worker is at its work
// any more, and the slot is free.
func TestPanicBesideWorkers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	helped := 0
	for range 40 {
		f := &failingCaller{}
		func() {
			defer func() {
				if recover() != "failing" {
					t.Fatal("the panic got lost")
				}
				if n := f.inside.Load(); n != 0 {
					t.Fatalf("%d workers are still at work", n)
				}
			}()
			Run(4, 10000, 1, f)
		}()
		if idle.Load() > 0 {
			helped++
		}
	}
	if helped == 0 {
		t.Error("no worker came")
	}
	for i := range slots {
		if slots[i].taken.Load() {
			t.Errorf("slot %d is still taken", i)
		}
	}
	check(t, 4, 1000, 1, 0)
}

// TestPanic: a caller that panics gives its slot back. With one processor there
// are no workers, so the panic is the caller's own.
func TestPanic(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for workers.Load() != 0 {
		runtime.Gosched()
	}
	for range 3 * len(slots) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic got lost")
				}
			}()
			Run(4, 10, 1, failing{})
		}()
	}
	for i := range slots {
		if slots[i].taken.Load() {
			t.Errorf("slot %d is still taken", i)
		}
	}
	check(t, 4, 1000, 1, 0)
}

func TestNoAllocation(t *testing.T) {
	c := &counts{done: make([]atomic.Int32, 1000), grain: 10}
	if n := testing.AllocsPerRun(100, func() { Run(2, len(c.done), c.grain, c) }); n != 0 {
		t.Errorf("%v allocations a call, want none", n)
	}
}

func BenchmarkRun(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprint("threads", threads), func(b *testing.B) {
			c := &counts{done: make([]atomic.Int32, 2), grain: 1}
			for b.Loop() {
				Run(threads, 2, 1, c)
			}
		})
	}
}
