package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

// A meter runs f and returns the cycles that the process pid, with all its
// threads, spends in user mode meanwhile; 0 if it cannot know. The lap that f
// returns is the work of that process.
type meter func(pid int, f func() (lap, error)) (cycles float64, l lap, err error)

// newMeter returns the best meter that the machine has, and what it does.
func newMeter() (meter, string) {
	counter, err := countCycles(os.Getpid())
	if err == nil {
		counter.close()
		return countedCycles, "counted by the processor"
	}
	if runtime.GOARCH == "amd64" && processorTime() > 0 {
		return estimatedCycles, fmt.Sprintf("an ESTIMATE, user-mode seconds by the clock rate of a chain of multiplications, since no counter can be read (%v)", err)
	}
	return noCycles, fmt.Sprintf("not known (%v)", err)
}

func countedCycles(pid int, f func() (lap, error)) (float64, lap, error) {
	counter, err := countCycles(pid)
	if err != nil {
		return 0, lap{}, err
	}
	defer counter.close()
	l, err := f()
	if err != nil {
		return 0, l, err
	}
	cycles, err := counter.read()
	return float64(cycles), l, err
}

func estimatedCycles(_ int, f func() (lap, error)) (float64, lap, error) {
	before := clockRate()
	l, err := f()
	return l.User * max(before, clockRate()), l, err
}

func noCycles(_ int, f func() (lap, error)) (float64, lap, error) {
	l, err := f()
	return 0, l, err
}

// clockRate returns the cycles per second of an amd64 processor: the latency of
// its 64-bit multiplication has been 3 cycles for many generations, Intel's and
// AMD's (Fog, Instruction tables). It takes the fastest of some tries, the
// others have been interrupted.
func clockRate() float64 {
	const multiplications, latency = 20_000, 3
	fastest := time.Hour
	for range 20 {
		start := time.Now()
		product = multiply(product|1, multiplications)
		fastest = min(fastest, time.Since(start))
	}
	return multiplications * latency / fastest.Seconds()
}

// product keeps the multiplications from being optimized away.
var product uint64

//go:noinline
func multiply(x uint64, n int) uint64 {
	factor := x
	for range n {
		x *= factor
	}
	return x
}
