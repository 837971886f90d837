package kernels

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	xcpu "golang.org/x/sys/cpu"
)

// testISAEnv says which instruction set is the best of this machine, where that is not
// what the architecture has.
const testISAEnv = "LOCKSTEP_TEST_ISA"

// TestISAs fails where the tests of this package would compare the portable loops with
// themselves alone or leave out AVX-512 where there is one, and where another instruction
// set is picked than should be. An amd64 machine without AVX2 passes only if that is said:
// LOCKSTEP_TEST_ISA=portable.
func TestISAs(t *testing.T) {
	all := []string{"portable"}
	switch runtime.GOARCH {
	case "amd64":
		all = append(all, "avx2")
		if xcpu.X86.HasAVX512F && xcpu.X86.HasAVX512DQ && xcpu.X86.HasAVX512VL {
			all = append(all, "avx512")
		}
	case "arm64":
		all = append(all, "neon")
	}
	want := all
	if slices.Contains(buildTags(t), "purego") {
		want = all[:1]
	} else if best := os.Getenv(testISAEnv); best != "" {
		want = all[:slices.Index(all, best)+1]
	}
	if got := ISAs(); !slices.Equal(got, want) {
		t.Errorf("ISAs() = %q, want %q", got, want)
	}
	useISA(t, "")
	if got := ISA(); got != want[len(want)-1] {
		t.Errorf("ISA() = %q, want %q", got, want[len(want)-1])
	}
}

func buildTags(t *testing.T) []string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("the test was built without build information, which says with what tags")
	}
	for _, s := range info.Settings {
		if s.Key == "-tags" {
			return strings.Split(s.Value, ",")
		}
	}
	return nil
}

func TestSetISA(t *testing.T) {
	useISA(t, "portable")
	for _, name := range append(ISAs(), "") {
		want := name
		if name == "" {
			want = ISAs()[len(ISAs())-1]
		}
		if err := SetISA(name); err != nil || ISA() != want {
			t.Errorf("SetISA(%q): error %v, ISA() = %q, want %q", name, err, ISA(), want)
		}
	}
	before := ISA()
	for _, name := range []string{"sse9", "AVX2", "portable "} {
		err := SetISA(name)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) || !strings.Contains(err.Error(), strings.Join(ISAs(), ", ")) {
			t.Errorf("SetISA(%q): error %v, want one that names it and %q", name, err, ISAs())
		}
		if ISA() != before {
			t.Errorf("SetISA(%q) failed and changed the instruction set from %s to %s", name, before, ISA())
		}
	}
}

func TestSelfCheck(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		if err := SelfCheck(); err != nil {
			t.Error(err)
		}
	})
}

// TestConcurrent calls all kernels from many goroutines, with several limits of
// threads, while each changes the instruction set of all and another the number of
// processors, and while some calls are mistakes, whose panics leave the others alone.
func TestConcurrent(t *testing.T) {
	useISA(t, ISA())
	r := rand.New(rand.NewPCG(8, 1))
	var calls []func() error // each on memory of its own
	add := func(call func() error) { calls = append(calls, call) }
	limit := func() Threads { return pick[Threads](r, 0, 1, 2, 3, 8) }
	for _, n := range []int{100, block + 77, 3*block + 1} {
		for i := range vectorKernels {
			k := &vectorKernels[i]
			in := k.draw(r, kindNamed("normal"), n)
			want, wantSum := k.portable(t, in)
			threads := limit()
			add(func() error {
				v := make([][]float32, len(in))
				for i := range in {
					v[i] = slices.Clone(in[i])
				}
				sum := k.run(v, threads)
				for i := range v {
					for e := range v[i] {
						if !same(v[i][e], want[i][e]) {
							return fmt.Errorf("%s: n %d, threads %d: %s[%d] = %s, want %s", k.name, n, threads, k.vectors()[i].name, e, show(v[i][e]), show(want[i][e]))
						}
					}
				}
				if !same64(sum, wantSum) {
					return fmt.Errorf("%s: n %d, threads %d: result %g, want %g", k.name, n, threads, sum, wantSum)
				}
				return nil
			})
		}
	}
	squares, wantSquares := kindNamed("normal").values(r, block+77), make([]float64, block+77)
	onPortable(t, func() { AddSquares(wantSquares, squares, 1) })
	add(func() error {
		acc := make([]float64, len(squares))
		if AddSquares(acc, squares, 3); !slices.Equal(acc, wantSquares) {
			return fmt.Errorf("AddSquares: threads 3: wrong result")
		}
		return nil
	})
	for i := range rowKernels {
		k := &rowKernels[i]
		in := newRowArgs(r, kindNamed("normal"), 2000, 20)
		want := in.clone()
		onPortable(t, func() { k.run(want, 1) })
		threads := limit()
		add(func() error {
			got := in.clone()
			k.run(got, threads)
			if !slices.Equal(bitsOf(got.dst), bitsOf(want.dst)) || !slices.Equal(got.loss, want.loss) {
				return fmt.Errorf("%s: threads %d: wrong result", k.name, threads)
			}
			return nil
		})
	}
	for i := range matrixKernels {
		k := &matrixKernels[i]
		in := k.draw(r, kindNamed("normal"), 400, 100)
		want := in.clone()
		onPortable(t, func() { k.run(want, 1) })
		threads := limit()
		add(func() error {
			got := in.clone()
			k.run(got, threads)
			for i, arg := range k.arguments() {
				if !slices.Equal(bitsOf(got.v[i]), bitsOf(want.v[i])) {
					return fmt.Errorf("%s: threads %d: wrong %s", k.name, threads, arg.name)
				}
			}
			return nil
		})
	}
	for i := range 12 {
		tr := transposes[i%4]
		g := newProduct(r, kindNamed("normal"), tr[0], tr[1], 1+r.IntN(120), 1+r.IntN(80), 1+r.IntN(100))
		want := g.portable(t)
		threads := limit()
		add(func() error {
			c := slices.Clone(g.c)
			g.call(c, threads)
			for i := range c {
				if !same(c[i], want[i]) {
					return fmt.Errorf("%v, threads %d: C[%d, %d] = %s, want %s", g, threads, i/g.ldc, i%g.ldc, show(c[i]), show(want[i]))
				}
			}
			return nil
		})
	}

	long, short := make([]float32, 3*block), make([]float32, 3*block-1)
	for what, call := range map[string]func(){
		"Scale":      func() { Scale(long, short, 2) },
		"SumSquares": func() { SumSquares(long, -1) },
		"Softmax":    func() { Softmax(3, block, long, block, short, block) },
		"Gemm":       func() { Gemm(NoTrans, NoTrans, 150, 150, 150, 1, long, 150, long[1:], 150, 1, long[2:], 150) },
	} {
		add(func() (err error) {
			defer func() {
				if p := recover(); p == nil {
					err = fmt.Errorf("%s: no panic for a call that is a mistake", what)
				}
			}()
			call()
			return nil
		})
	}

	rounds := 20
	if testing.Short() {
		rounds = 1
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	end, changing := make(chan bool), make(chan bool)
	go func() {
		defer close(changing)
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
				runtime.GOMAXPROCS(1 + i%4)
			}
		}
	}()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(9, uint64(w)))
			for range rounds {
				for _, i := range r.Perm(len(calls)) {
					if err := SetISA(pick(r, ISAs()...)); err != nil {
						t.Error(err)
					}
					if err := calls[i](); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	close(end)
	<-changing
	if slices.ContainsFunc(long, func(x float32) bool { return x != 0 }) {
		t.Error("a call that is a mistake has written")
	}
}
