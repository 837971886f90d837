package vec_test

import (
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/gen/vec"
)

// TestEvalRefuses has a program for each thing that Eval must not let pass.
func TestEvalRefuses(t *testing.T) {
	x := func() vec.Args { return vec.Args{"n": 3, "x": make([]float32, 8)} }
	for _, c := range []struct {
		name, want string
		args       vec.Args
		body       func(p *vec.Program, n, x vec.R)
	}{
		{"load beyond the end", "16 bytes at x+20, which has 32", x(), func(p *vec.Program, n, x vec.R) {
			p.Load(32, x.At(20))
		}},
		{"load before the start", "4 bytes at x-4, which has 32", x(), func(p *vec.Program, n, x vec.R) {
			p.LoadSplat(32, x.At(-4))
		}},
		{"store beyond the end", "(store): 16 bytes at x+32", x(), func(p *vec.Program, n, x vec.R) {
			p.Store(x.At(32), p.F32(1))
		}},
		{"tail beyond the end", "(store): 12 bytes at x+24", x(), func(p *vec.Program, n, x vec.R) {
			p.InTail(p.NewTail(n), func() { p.Store(x.At(24), p.F32(1)) })
		}},
		{"number for an address", "where nothing is", x(), func(p *vec.Program, n, x vec.R) {
			p.Load(32, n.At(0))
		}},
		{"empty tail", "a tail of 0 elements, want 1 to 4", x(), func(p *vec.Program, n, x vec.R) {
			p.AddI(n, -3)
			p.NewTail(n)
		}},
		{"long tail", "a tail of 5 elements, want 1 to 4", x(), func(p *vec.Program, n, x vec.R) {
			p.AddI(n, 2)
			p.NewTail(n)
		}},
		{"short tail that is whole", "a tail of 4 elements, want 1 to 3", x(), func(p *vec.Program, n, x vec.R) {
			p.AddI(n, 1)
			p.NewShortTail(n)
		}},
		{"count of a tail that changed", "count is 2, but was 3", x(), func(p *vec.Program, n, x vec.R) {
			tail := p.NewTail(n)
			p.AddI(n, -1)
			p.InTail(tail, func() { p.Load(32, x.At(0)) })
		}},
		{"vector without a value", "holds no value", x(), func(p *vec.Program, n, x vec.R) {
			p.Store(x.At(0), p.Vec(32))
		}},
		{"register without a value", "holds no value", x(), func(p *vec.Program, n, x vec.R) {
			p.AddR(n, p.Reg())
		}},
		{"half a mask", "of the mask is 0x3f800000", x(), func(p *vec.Program, n, x vec.R) {
			p.Select(p.F32(1), p.F32(2), p.F32(3))
		}},
		{"loop without a round", "the loop's count is 0", x(), func(p *vec.Program, n, x vec.R) {
			p.AddI(n, -3)
			p.Loop(n, func() {})
		}},
		{"jump to nowhere", "is nowhere", x(), func(p *vec.Program, n, x vec.R) {
			p.Jump(p.NewLabel())
		}},
		{"endless loop", "still running", x(), func(p *vec.Program, n, x vec.R) {
			top := p.NewLabel()
			p.Here(top)
			p.Jump(top)
		}},
		{"frame as it was found", "where nothing is", x(), func(p *vec.Program, n, x vec.R) {
			p.Load(32, p.LoadR(p.Local(128).At(0)).At(0))
		}},
		{"one argument too few", "1 arguments, want 2", vec.Args{"n": 3}, func(p *vec.Program, n, x vec.R) {}},
		{"argument that is missing", "argument x is a <nil>, want a *float32", vec.Args{"n": 3, "y": 4}, func(p *vec.Program, n, x vec.R) {}},
		{"argument of another type", "want a *float32", vec.Args{"n": 3, "x": make([]float64, 8)}, func(p *vec.Program, n, x vec.R) {}},
	} {
		p := vec.New(vec.NEON, "bad", false, vec.Params("n int, x *float32"))
		c.body(p, p.Param("n"), p.Param("x"))
		p.Return()
		if err := p.Eval(c.args); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "badNEON") {
			t.Errorf("%s: error %v, want one that says %q and names the program", c.name, err, c.want)
		}
	}
	p := vec.New(vec.NEON, "bad", false, nil)
	p.Comment("no Return")
	if err := p.Eval(vec.Args{}); err == nil || !strings.Contains(err.Error(), "without Return") {
		t.Errorf("no Return: error %v", err)
	}
}

// TestEvalTail: a tail's store leaves the rest alone, and its load gives zeros.
func TestEvalTail(t *testing.T) {
	for _, target := range []*vec.Target{vec.AVX2, vec.AVX512, vec.NEON} {
		for n := 1; n <= target.Bytes/4; n++ {
			p := vec.New(target, "tail", false, vec.Params("n int, x, y *float32"))
			x, y := p.Param("x"), p.Param("y")
			var v vec.V
			p.InTail(p.NewTail(p.Param("n")), func() {
				v = p.Load(32, x.At(0))
				p.Store(x.At(0), p.F32(7))
			})
			p.Store(y.At(0), v)
			p.Return()
			in, out := make([]float32, 16), make([]float32, target.Bytes/4)
			for i := range in {
				in[i] = float32(1 + i)
			}
			if err := p.Eval(vec.Args{"n": n, "x": in, "y": out}); err != nil {
				t.Error(err)
			}
			for i, got := range in {
				want := float32(1 + i)
				if i < n {
					want = 7
				}
				if got != want {
					t.Errorf("%s, tail of %d: element %d is %v, want %v", target.Name, n, i, got, want)
				}
			}
			for i, got := range out {
				want := float32(1 + i)
				if i >= n {
					want = 0
				}
				if got != want {
					t.Errorf("%s, tail of %d: lane %d is %v, want %v", target.Name, n, i, got, want)
				}
			}
		}
	}
}

// TestStays: a multiply-add reads a vector from memory itself only if it alone wants it.
func TestStays(t *testing.T) {
	for _, c := range []struct {
		what string
		want bool
		body func(p *vec.Program, acc, a vec.V, m vec.Mem)
	}{
		{"a product with a vector", true, func(p *vec.Program, acc, a vec.V, m vec.Mem) { p.FMA(acc, a, p.Load(32, m)) }},
		{"a square", false, func(p *vec.Program, acc, a vec.V, m vec.Mem) { x := p.Load(32, m); p.FMA(acc, x, x) }},
		{"the sum, too", false, func(p *vec.Program, acc, a vec.V, m vec.Mem) { x := p.Load(32, m); p.FMA(x, a, x) }},
		{"used again", false, func(p *vec.Program, acc, a vec.V, m vec.Mem) { x := p.Load(32, m); p.FMA(acc, a, x); p.FMA(acc, x, a) }},
		{"used in the next round", false, func(p *vec.Program, acc, a vec.V, m vec.Mem) {
			x := p.Vec(32)
			p.Zero(x)
			p.Loop(p.RegI(2), func() {
				p.Store(m, x)
				p.LoadTo(x, m)
				p.FMA(acc, a, x)
			})
		}},
		{"an instruction between", false, func(p *vec.Program, acc, a vec.V, m vec.Mem) { x := p.Load(32, m); p.Store(m, a); p.FMA(acc, a, x) }},
		{"a tail", false, func(p *vec.Program, acc, a vec.V, m vec.Mem) {
			p.InTail(p.NewTail(p.RegI(3)), func() { p.FMA(acc, a, p.Load(32, m)) })
		}},
	} {
		for _, target := range []*vec.Target{vec.AVX2, vec.AVX512} {
			p := vec.New(target, "f", false, vec.Params("x *float32"))
			m := p.Param("x").At(0)
			acc, a := p.Vec(32), p.Vec(32)
			p.Zero(acc)
			p.Zero(a)
			c.body(p, acc, a, m)
			p.Store(m, acc)
			p.Return()
			text, err := vec.Assemble(target, []*vec.Program{p})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(text), "VFMADD231PS ("); got != c.want {
				t.Errorf("%s, %s: read by the multiply-add: %v, want %v\n%s", target.Name, c.what, got, c.want, text)
			}
		}
	}
}
