package kernels

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// TestMakeAdvises: the system knows that huge pages are wanted. Emulators do not pass
// the advice on, so this is amd64's alone.
func TestMakeAdvises(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Log("this system has no huge pages to ask for")
		return
	}
	for _, n := range []int{1 << 22, 1<<22 + 12345} {
		x := Make(n)
		if !advised(t, uintptr(unsafe.Pointer(&x[n/2]))) {
			t.Errorf("Make(%d): the mapping lacks the flag hg, want it", n)
		}
	}
}

// advised tells whether the mapping that holds p has the flag of huge pages.
func advised(t *testing.T, p uintptr) bool {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			in = from <= p && p < to
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && in {
			return strings.Contains(flags+" ", " hg ")
		}
	}
	t.Fatalf("no mapping holds %#x", p)
	return false
}
