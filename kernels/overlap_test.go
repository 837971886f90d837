package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestVectorOverlap and TestGemmOverlap have the other kernels.

// overlapCall is a call of a kernel whose operands can be laid anywhere.
type overlapCall struct {
	name string
	ops  []*overlapOperand
	same []int // the operands that the first one may be
	run  func()
}

// overlapOperand is a matrix, or a vector as a matrix of one row.
type overlapOperand struct {
	name       string
	rows, cols int
	ld         int
	words      int // of 4 bytes, of an element
	written    bool
	label      bool                        // its elements are small integers
	lay        func(mem []float32, ld int) // puts it there
}

// size is how many words it takes, with what lies between its rows.
func (o *overlapOperand) size() int { return ((o.rows-1)*o.ld + o.cols) * o.words }

// each calls f for each word of its elements, counted from its first.
func (o *overlapOperand) each(f func(word int)) {
	for i := range o.rows {
		for w := range o.cols * o.words {
			f(i*o.ld*o.words + w)
		}
	}
}

func overlapCalls(r *rand.Rand) (calls []overlapCall) {
	const rows, cols = 3, 4
	normal := kindNamed("normal")
	for i := range matrixKernels {
		k := &matrixKernels[i]
		a := k.draw(r, normal, rows, cols)
		c := overlapCall{name: k.name, run: func() { k.run(a, 1) }}
		for i, arg := range k.arguments() {
			m, n := arg.size(rows, cols)
			c.ops = append(c.ops, &overlapOperand{name: arg.name, rows: m, cols: n, words: 1, written: arg.written,
				lay: func(mem []float32, ld int) { a.v[i], a.ld[i] = mem, ld }})
		}
		for _, name := range strings.Fields(k.inPlace) {
			c.same = append(c.same, k.index(name))
		}
		calls = append(calls, c)
	}
	for i := range rowKernels {
		k := &rowKernels[i]
		a := newRowArgs(r, normal, rows, cols)
		c := overlapCall{name: k.name, run: func() { k.run(a, 1) }}
		if k.dst {
			c.same = []int{1}
			c.ops = append(c.ops, &overlapOperand{name: "dst", rows: rows, cols: cols, words: 1, written: true,
				lay: func(mem []float32, ld int) { a.dst, a.ldd = mem, ld }})
		}
		c.ops = append(c.ops, &overlapOperand{name: "x", rows: rows, cols: cols, words: 1,
			lay: func(mem []float32, ld int) { a.x, a.ldx = mem, ld }})
		if k.loss {
			c.ops = append(c.ops, &overlapOperand{name: "loss", rows: 1, cols: rows, words: 2, written: true,
				lay: func(mem []float32, ld int) { a.loss = reinterpret[float64](mem, rows) }})
		}
		if k.label {
			c.ops = append(c.ops, &overlapOperand{name: "label", rows: 1, cols: rows, words: 1, label: true,
				lay: func(mem []float32, ld int) { a.label = reinterpret[int32](mem, rows) }})
		}
		if k.target {
			c.ops = append(c.ops, &overlapOperand{name: "target", rows: rows, cols: cols, words: 1,
				lay: func(mem []float32, ld int) { a.target, a.ldt = mem, ld }})
		}
		calls = append(calls, c)
	}
	for name, f := range map[string]func(rows, cols int, dst, x []float32, ldx int, limit ...Threads){"SumRows": SumRows, "AddRows": AddRows} {
		var dst, x []float32
		var ldx int
		calls = append(calls, overlapCall{name: name, run: func() { f(rows, cols, dst, x, ldx, 1) }, ops: []*overlapOperand{
			{name: "dst", rows: 1, cols: cols, words: 1, written: true, lay: func(mem []float32, ld int) { dst = mem }},
			{name: "x", rows: rows, cols: cols, words: 1, lay: func(mem []float32, ld int) { x, ldx = mem, ld }},
		}})
	}
	var acc []float64
	var x []float32
	return append(calls, overlapCall{name: "AddSquares", run: func() { AddSquares(acc, x, 1) }, ops: []*overlapOperand{
		{name: "acc", rows: 1, cols: 9, words: 2, written: true, lay: func(mem []float32, ld int) { acc = reinterpret[float64](mem, 9) }},
		{name: "x", rows: 1, cols: 9, words: 1, lay: func(mem []float32, ld int) { x = mem }},
	}})
}

// TestOverlap lays each operand that is written and each other one into one array, at
// every distance, with several strides. Those that share an element are refused, unless
// the first is one that it may be; others, between the rows of each other too, give what
// they give apart.
func TestOverlap(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 1))
	outcomes := map[string]int{}
	eachAsm(t, func() {
		for _, c := range overlapCalls(r) {
			for i, a := range c.ops {
				for j, b := range c.ops {
					if i == j || !a.written || b.written && i > j {
						continue
					}
					for _, ld := range [][2]int{{0, 0}, {3, 3}, {5, 5}, {1, 4}} {
						a.ld, b.ld = a.cols+ld[0], b.cols+ld[1]
						if ld[0] == ld[1] {
							a.ld = max(a.ld, b.ld)
							b.ld = a.ld
						}
						step := max(a.words, b.words)
						for d := -a.size() / step * step; d <= b.size(); d += step {
							outcomes[c.overlap(t, r, i, j, d)]++
						}
					}
				}
			}
		}
	})
	t.Log(outcomes)
	for _, o := range []string{"refused", "the same", "apart"} {
		if outcomes[o] < 30 {
			t.Errorf("%d calls were %s, want at least 30", outcomes[o], o)
		}
	}
}

// overlap lays operand i d words after operand j, both into one array and everything else
// apart, and tells what became of it.
func (c *overlapCall) overlap(t *testing.T, r *rand.Rand, i, j, d int) (outcome string) {
	t.Helper()
	a, b := c.ops[i], c.ops[j]
	array := slices.Concat(make([]float32, 2), kindNamed("normal").values(r, 2*(a.size()+b.size())+40))
	atB := a.size()/2*2 + 8
	atA := atB + d
	for _, o := range c.ops {
		if o != a && o != b {
			o.ld = o.cols
			mem := kindNamed("normal").values(r, o.size())
			if o.label {
				clear(mem)
			}
			o.lay(mem, o.ld)
		}
	}
	if b.label {
		b.each(func(w int) { array[atB+w] = math.Float32frombits(1) })
	}
	shared := 0
	taken := map[int]bool{}
	b.each(func(w int) { taken[atB+w] = true })
	a.each(func(w int) {
		if taken[atA+w] {
			shared++
		}
	})
	what := fmt.Sprintf("%s: %s (%d×%d, stride %d) %d words after %s (%d×%d, stride %d)", c.name, a.name, a.rows, a.cols, a.ld, d, b.name, b.rows, b.cols, b.ld)
	before := slices.Clone(array)
	a.lay(array[atA:][:a.size()], a.ld)
	b.lay(array[atB:][:b.size()], b.ld)
	same := i == 0 && slices.Contains(c.same, j) && d == 0 && a.ld == b.ld
	if shared > 0 && !same {
		wantPanic(t, what, c.run, panicPrefix(c.name), "share")
		unchanged(t, what, "the array", array, before)
		return "refused"
	}

	// On copies.
	of := func(at int, o *overlapOperand) []float32 {
		mem := make([]float32, o.size()+2)[:o.size()] // so long that it begins at a multiple of 8 bytes
		copy(mem, array[at:])
		return mem
	}
	copyA, copyB := of(atA, a), of(atB, b)
	a.lay(copyA, a.ld)
	b.lay(copyB, b.ld)
	c.run()
	want := slices.Clone(before)
	if b.written {
		b.each(func(w int) { want[atB+w] = copyB[w] })
	}
	a.each(func(w int) { want[atA+w] = copyA[w] })

	a.lay(array[atA:][:a.size()], a.ld)
	b.lay(array[atB:][:b.size()], b.ld)
	c.run()
	unchanged(t, what, "the array, against what copies give,", array, want)
	if same {
		return "the same"
	}
	return "apart"
}
