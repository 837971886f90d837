package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// userTime returns the processor time that this process has spent in user mode.
func userTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0 // cannot fail with these arguments
	}
	return time.Duration(usage.Utime.Nano())
}

// cycleCounter counts the cycles that the threads of a process spend in user
// mode, those there are and those they start.
type cycleCounter []int

// countCycles starts a counter, for the process itself where pid is its own. An
// error says that the machine or its administrator does not allow it.
func countCycles(pid int) (cycleCounter, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, err
	}
	var c cycleCounter
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return nil, err
		}
		fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{
			Type:   unix.PERF_TYPE_HARDWARE,
			Config: unix.PERF_COUNT_HW_CPU_CYCLES,
			Size:   uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
			Bits:   unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv | unix.PerfBitInherit,
		}, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err == unix.ESRCH {
			continue // the thread has ended
		}
		if err != nil {
			c.close()
			return nil, fmt.Errorf("perf_event_open: %w", err)
		}
		c = append(c, fd)
	}
	return c, nil
}

// read returns the cycles since the counter was started.
func (c cycleCounter) read() (uint64, error) {
	var sum uint64
	for _, fd := range c {
		var value [8]byte
		if _, err := unix.Read(fd, value[:]); err != nil {
			return 0, fmt.Errorf("reading a performance counter: %w", err)
		}
		sum += binary.NativeEndian.Uint64(value[:])
	}
	return sum, nil
}

func (c cycleCounter) close() {
	for _, fd := range c {
		unix.Close(fd)
	}
}
