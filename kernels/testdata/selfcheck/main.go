// Command selfcheck changes the floating-point state by C, as somebody's cgo code might,
// and prints what [kernels.SelfCheck] says then. The test builds and runs it.
//
//	selfcheck [STATE [PLACE]]
//
// STATE is flush-to-zero, denormals-are-zero, fast-math (both), up, down or
// towards-zero. PLACE is the thread that calls SelfCheck, which is the default; before,
// where a constructor changes the state before Go starts, as in programs linked with
// -ffast-math; or elsewhere, another thread.
package main

/*
#cgo LDFLAGS: -lm
#include <fenv.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static void change(const char *state) {
    if (!strcmp(state, "up"))
        fesetround(FE_UPWARD);
    else if (!strcmp(state, "down"))
        fesetround(FE_DOWNWARD);
    else if (!strcmp(state, "towards-zero"))
        fesetround(FE_TOWARDZERO);
#if defined(__x86_64__)
    else if (!strcmp(state, "flush-to-zero"))
        _mm_setcsr(_mm_getcsr() | 1 << 15);
    else if (!strcmp(state, "denormals-are-zero"))
        _mm_setcsr(_mm_getcsr() | 1 << 6);
    else if (!strcmp(state, "fast-math"))
        _mm_setcsr(_mm_getcsr() | 1 << 15 | 1 << 6);
#elif defined(__aarch64__)
    else { // one bit for operands and results
        uint64_t fpcr;
        __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
        __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | 1 << 24));
    }
#endif
}

// glibc hands the arguments to constructors.
__attribute__((constructor)) static void before(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[2], "before"))
        change(argv[1]);
}
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/lockstep-go/lockstep/kernels"
)

func main() {
	runtime.LockOSThread()
	args := append(os.Args[1:], "", "")
	state, place := args[0], args[1]
	change := func() { C.change(C.CString(state)) }
	switch {
	case state == "" || place == "before":
	case place == "elsewhere":
		changed := make(chan bool)
		go func() {
			runtime.LockOSThread() // and is not unlocked, so that the thread ends with this
			change()
			changed <- true
		}()
		<-changed
	default:
		change()
	}

	// By every instruction set, here and on threads that start now.
	for _, isa := range kernels.ISAs() {
		err := kernels.SetISA(isa)
		if err == nil {
			err = kernels.SelfCheck()
		}
		fmt.Println(isa, err)
	}
	if place == "before" {
		var wg sync.WaitGroup
		results := make([]error, 8)
		for i := range results {
			wg.Go(func() {
				runtime.LockOSThread()
				results[i] = kernels.SelfCheck()
			})
		}
		wg.Wait()
		for _, err := range results {
			fmt.Println("thread", err)
		}
	}
}
