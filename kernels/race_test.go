//go:build race

package kernels

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// racingEnv makes TestRaces the program that races.
const racingEnv = "LOCKSTEP_TEST_RACING"

// TestRaces runs a program that uses the memory of each kernel's call from another
// goroutine. The race detector has to report each use of an element that the call
// writes, and each write of one that it reads, and nothing else: assembly is not
// invisible to it, and no call claims more than it touches.
func TestRaces(t *testing.T) {
	if os.Getenv(racingEnv) != "" {
		eachAsm(t, racing)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestRaces$")
	cmd.Env = append(os.Environ(), racingEnv+"=1", "GORACE=suppress_equal_stacks=0 halt_on_error=0 history_size=7")
	out, _ := cmd.CombinedOutput() // races make it fail
	sections := regexp.MustCompile(`(?m)^racing: `).Split(string(out), -1)
	counts := map[string]int{}
	for _, s := range sections[1:] {
		line, report, _ := strings.Cut(s, "\n")
		want, what, _ := strings.Cut(line, ": ")
		counts[want]++
		got := "none"
		if strings.Contains(report, "WARNING: DATA RACE") {
			got = "race"
		}
		if got != want {
			t.Errorf("%s: %s was reported, want %s", what, got, want)
		}
	}
	t.Logf("%d races, %d uses that are none", counts["race"], counts["none"])
	if least := 500; counts["race"] < least || counts["none"] < least {
		t.Errorf("the program went through %d races and %d uses that are none, want at least %d of each; its output ends with\n%s", counts["race"], counts["none"], least, out[max(0, len(out)-2000):])
	}
}

// use calls a kernel and uses memory at the same time, as far as the race detector
// knows; want is what it is to report.
func use(want, what string, call, other func()) {
	fmt.Fprintf(os.Stderr, "racing: %s: %s: %s\n", want, ISA(), what)
	for range 3 { // the race detector remembers four uses of a place, and forgets at random
		var both, end sync.WaitGroup
		both.Add(2)
		for _, f := range []func(){call, other} {
			end.Go(func() {
				f()
				both.Done()
				both.Wait() // what a goroutine did that has ended may be forgotten
			})
		}
		end.Wait()
	}
}

// useVector uses element e of a vector in the way that races with the kernel; before,
// if the kernel only reads it, in the way that does not: an element that was in a race
// is never in another.
func useVector[T any](what string, call func(), x []T, e int, written bool) {
	if written {
		use("race", what+", read", call, func() { _ = x[e] })
		return
	}
	use("none", what+", read", call, func() { _ = x[e] })
	use("race", what+", written", call, func() { x[e] = *new(T) })
}

// useBeside writes elements that a call has no business with.
func useBeside[T any](what string, call func(), x []T, elements ...int) {
	use("none", what, call, func() {
		for _, e := range elements {
			x[e] = *new(T)
		}
	})
}

func racing() {
	r := rand.New(rand.NewPCG(16, 1))
	normal := kindNamed("normal")
	for i := range vectorKernels {
		k := &vectorKernels[i]
		n, limit := 37, Threads(1)
		if i%8 == 0 {
			n, limit = block+5, 2
		}
		v, whole := make([][]float32, len(k.vectors())), make([][]float32, len(k.vectors()))
		for i := range v {
			whole[i] = normal.values(r, n+2)
			v[i] = whole[i][1 : n+1]
		}
		call := func() { k.run(v, limit) }
		for i, s := range k.vectors() {
			useBeside(k.name+": beside "+s.name, call, whole[i], 0, n+1)
			useVector(k.name+": "+s.name, call, v[i], pick(r, 0, n/2, n-1), s.written)
		}
	}
	for i := range rowKernels {
		k := &rowKernels[i]
		const rows, cols = 3, 20
		a := newRowArgs(r, normal, rows, cols)
		a.ldd, a.ldx, a.ldt = cols+1, cols+2, cols+3
		a.dst, a.x, a.target = normal.values(r, rows*a.ldd), normal.values(r, rows*a.ldx), normal.values(r, rows*a.ldt)
		call := func() { k.run(a, 1) }
		useBeside(k.name+": between rows of x", call, a.x, cols, 2*a.ldx-1)
		useBeside(k.name+": between rows of dst", call, a.dst, cols, 2*a.ldd-1)
		useBeside(k.name+": between rows of target", call, a.target, cols, 2*a.ldt-1)
		useVector(k.name+": x", call, a.x, a.ldx+pick(r, 0, cols-1), false)
		if k.dst {
			useVector(k.name+": dst", call, a.dst, a.ldd+pick(r, 0, cols-1), true)
		}
		if k.loss {
			useVector(k.name+": loss", call, a.loss, pick(r, 0, rows-1), true)
		}
		if k.label {
			useVector(k.name+": label", call, a.label, pick(r, 0, rows-1), false)
		}
		if k.target {
			useVector(k.name+": target", call, a.target, a.ldt+pick(r, 0, cols-1), false)
		}
	}
	for i := range matrixKernels {
		k := &matrixKernels[i]
		const rows, cols = 4, 21
		a := k.draw(r, normal, rows, cols)
		for i, arg := range k.arguments() {
			if arg.shape == 'm' {
				a.ld[i] = cols + 1 + i
				a.v[i] = normal.values(r, rows*a.ld[i])
			}
		}
		call := func() { k.run(a, 1) }
		for i, arg := range k.arguments() {
			m, n := arg.size(rows, cols)
			if arg.shape == 'm' {
				useBeside(k.name+": between rows of "+arg.name, call, a.v[i], n, 2*a.ld[i]-1)
			}
			useVector(k.name+": "+arg.name, call, a.v[i], (m-1)*a.ld[i]+pick(r, 0, n-1), arg.written)
		}
	}
	for _, tr := range transposes {
		for _, size := range [][3]int{{1, 20, 9}, {9, 43, 20}, {40, 9, 20}} {
			g := &product{gemm{tA: tr[0], tB: tr[1], m: size[0], n: size[1], k: size[2], alpha: 1}}
			_, ca := g.storedA()
			_, cb := g.storedB()
			g.lda, g.ldb, g.ldc = ca+1, cb+2, g.n+3
			g.ep = Epilogue{Bias: []float32{}, Deriv: pickActivation(r), LdY: g.n + 4}
			if g.ep.Deriv == Identity {
				g.ep.Deriv = ActTanh
			}
			for _, beta := range []float32{0, 1} {
				if g.beta = beta; beta != 0 {
					g.ep.Bias = nil
				}
				g.operands(r, normal)
				call := func() { g.call(g.c, 1) }
				what := g.String()
				if g.m > 1 {
					useBeside(what+": between rows of C", call, g.c, g.n, 2*g.ldc-1)
					useBeside(what+": between rows of Y", call, g.ep.Y, g.n, 2*g.ep.LdY-1)
				}
				useVector(what+": A", call, g.a, pick(r, 0, len(g.a)-1), false)
				useVector(what+": B", call, g.b, pick(r, 0, len(g.b)-1), false)
				useVector(what+": C", call, g.c, pick(r, 0, len(g.c)-1), true)
				useVector(what+": Y", call, g.ep.Y, pick(r, 0, len(g.ep.Y)-1), false)
				if beta == 0 {
					useVector(what+": bias", call, g.ep.Bias, pick(r, 0, g.n-1), false)
				}
			}
			for _, nothing := range []func(){func() { g.alpha = 0 }, func() { g.k, g.alpha = 0, 1 }} {
				nothing()
				g.operands(r, normal)
				a, b := append(g.a, 0), append(g.b, 0) // which are poison, or empty
				g.a, g.b = a, b
				use("none", g.String()+": A and B, which are not read", func() { g.call(g.c, 1) }, func() { a[0], b[0] = 1, 1 })
			}
		}
	}
	const rows, cols, ldx = 3, 19, 21
	for name, f := range map[string]func(rows, cols int, dst, x []float32, ldx int, limit ...Threads){"SumRows": SumRows, "AddRows": AddRows} {
		x, dst := normal.values(r, rows*ldx), make([]float32, cols)
		call := func() { f(rows, cols, dst, x, ldx, 1) }
		useBeside(name+": between rows of x", call, x, cols, ldx-1)
		useVector(name+": x", call, x, ldx+pick(r, 0, cols-1), false)
		useVector(name+": dst", call, dst, pick(r, 0, cols-1), true)
	}
	x, acc := normal.values(r, cols+1), make([]float64, cols)
	call := func() { AddSquares(acc, x[:cols], 1) }
	useBeside("AddSquares: beside x", call, x, cols)
	useVector("AddSquares: x", call, x, cols-1, false)
	useVector("AddSquares: acc", call, acc, cols-1, true)
}
