package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The fuzzers walk the tables that the tests walk. They choose the kernel, the sizes
// and the bits of the numbers; the seed chooses strides, alignment and where each
// number goes.

// fuzzed is the kind of numbers whose bits are in b.
func fuzzed(b []byte) kind {
	x := []float32{1}
	for ; len(b) >= 4; b = b[4:] {
		x = append(x, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return kind{"fuzzed", x}
}

// fuzzSeeds gives f numbers of every kind.
func fuzzSeeds(add func(i int, seed uint64, numbers []byte)) {
	r := rand.New(rand.NewPCG(15, 1))
	for i, k := range kinds() {
		var b []byte
		for _, x := range k.values(r, 24) {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		add(i, r.Uint64(), b)
	}
}

// eachAsm runs f under every instruction set but the plain loops, which it compares
// with, or under these where there is no other.
func eachAsm(t *testing.T, f func()) {
	t.Helper()
	before := ISA()
	all := ISAs()
	for _, isa := range all[min(1, len(all)-1):] {
		if err := SetISA(isa); err != nil {
			t.Fatal(err)
		}
		f()
	}
	if err := SetISA(before); err != nil {
		t.Fatal(err)
	}
}

// fuzzLength is mostly short, and one time in sixteen more than a block.
func fuzzLength(n uint16) int {
	if n >= 15<<12 {
		return block + int(n)&(1<<12-1)
	}
	return int(n) % 600
}

func FuzzVectors(f *testing.F) {
	fuzzSeeds(func(i int, seed uint64, numbers []byte) {
		f.Add(uint16(i*29), uint16(37*i), seed, numbers)
		f.Add(uint16(i*31+200), uint16(15<<12+i), seed, numbers)
	})
	f.Fuzz(func(t *testing.T, which, n uint16, seed uint64, numbers []byte) {
		k := &vectorKernels[int(which)%len(vectorKernels)]
		r := rand.New(rand.NewPCG(seed, 1))
		in := k.draw(r, fuzzed(numbers), fuzzLength(n))
		off := make([]int, len(in))
		for i := range off {
			off[i] = r.IntN(16)
		}
		want, sum := k.portable(t, in)
		eachAsm(t, func() {
			k.check(t, ISA(), in, off, want, sum, pick[Threads](r, 1, 2, 3))
			if k.inPlace {
				v, _ := place(in[0], off[0])
				same := slices.Repeat([][]float32{v}, len(in))
				k.sameInPlace(t, ISA()+": all the same", same)
			}
		})
	})
}

func FuzzRows(f *testing.F) {
	fuzzSeeds(func(i int, seed uint64, numbers []byte) {
		f.Add(uint8(i), uint8(i), uint16(i*13), seed, numbers)
	})
	f.Fuzz(func(t *testing.T, which, rows uint8, cols uint16, seed uint64, numbers []byte) {
		k := &rowKernels[int(which)%len(rowKernels)]
		r := rand.New(rand.NewPCG(seed, 2))
		in := newRowArgs(r, fuzzed(numbers), int(rows)%20, max(1, fuzzLength(cols)))
		inPlace := k.dst && r.IntN(3) == 0
		if inPlace {
			in.dst, in.ldd = in.x, in.ldx
		}
		want := in.clone()
		if inPlace {
			want.dst = want.x
		}
		onPortable(t, func() { k.run(want, 1) })
		eachAsm(t, func() {
			k.check(t, ISA(), in, want, inPlace, r.IntN(16), r.IntN(16), r.IntN(16), pick[Threads](r, 1, 2, 3))
		})
	})
}

func FuzzMatrices(f *testing.F) {
	fuzzSeeds(func(i int, seed uint64, numbers []byte) {
		f.Add(uint8(i), uint16(i), uint16(i*13), seed, numbers)
		f.Add(uint8(i), uint16(stripRows+i), uint16(i), seed, numbers)
	})
	f.Fuzz(func(t *testing.T, which uint8, rows, cols uint16, seed uint64, numbers []byte) {
		k := &matrixKernels[int(which)%len(matrixKernels)]
		r := rand.New(rand.NewPCG(seed, 3))
		m, n := int(rows)%(2*stripRows), fuzzLength(cols)
		for m*n > 2*block {
			m /= 2
		}
		if !k.takes(m, n) {
			return
		}
		first := pick(r, append(strings.Fields(k.inPlace), "", "")...)
		in := k.draw(r, fuzzed(numbers), m, n)
		eachAsm(t, func() { k.check(t, ISA(), in, first, r, pick[Threads](r, 1, 2, 3)) })
	})
}

// FuzzDropout compares with the plain loop and with the address in the doc.
func FuzzDropout(f *testing.F) {
	fuzzSeeds(func(i int, seed uint64, numbers []byte) {
		f.Add(uint8(i), uint16(i*33), float64(i)/8, seed, uint32(i), uint32(seed), uint32(seed>>32), numbers)
	})
	f.Fuzz(func(t *testing.T, rows uint8, cols uint16, rate float64, seed uint64, stream, step, row uint32, numbers []byte) {
		if !(rate >= 0 && rate < 1) {
			return // TestDropoutPanics
		}
		mask := DropoutMask{Rate: rate, Seed: seed, Stream: stream, Step: step, Row: row}
		k := matrixKernel{
			name: fmt.Sprintf("Dropout %+v", mask), args: "dst*:ldd x:ldx",
			run: func(a matrixCall, limit ...Threads) {
				Dropout(a.rows, a.cols, a.v[0], a.ld[0], a.v[1], a.ld[1], mask, testScale, limit...)
			},
		}
		r := rand.New(rand.NewPCG(seed, 4))
		in := k.draw(r, fuzzed(numbers), int(rows)%20, fuzzLength(cols))
		eachAsm(t, func() { k.check(t, ISA(), in, "", r, pick[Threads](r, 1, 2, 3)) })
		onPortable(t, func() { k.run(in, 1) })
		for i := range in.rows {
			for j := range in.cols {
				want := float32(0)
				if keeps(mask, i, j) {
					want = in.v[1][i*in.ld[1]+j] * testScale
				}
				if got := in.v[0][i*in.ld[0]+j]; !same(got, want) {
					t.Fatalf("%s: [%d, %d] = %s, want %s", k.name, i, j, show(got), show(want))
				}
			}
		}
	})
}

// FuzzSums compares SumRows, AddRows and AddSquares with the loops in their docs.
func FuzzSums(f *testing.F) {
	fuzzSeeds(func(i int, seed uint64, numbers []byte) { f.Add(uint16(i*5), uint16(i*7), seed, numbers) })
	f.Fuzz(func(t *testing.T, rows, cols uint16, seed uint64, numbers []byte) {
		r, kind := rand.New(rand.NewPCG(seed, 5)), fuzzed(numbers)
		m, n := int(rows)%1500, fuzzLength(cols)
		for m*n > 2*block {
			m /= 2
		}
		ldx := max(1, n+r.IntN(4))
		x, start := stored(r, kind, m, n, ldx, true), kind.values(r, n)
		sums, squares := slices.Clone(start), make([]float64, n)
		for i := range m {
			for j := range n {
				sums[j] += x[i*ldx+j]
			}
		}
		for j, x := range start {
			squares[j] = float64(j) + float64(float64(x)*float64(x))
		}
		eachAsm(t, func() {
			limit := pick[Threads](r, 1, 2, 3)
			dst, spilled := place(start, r.IntN(16))
			AddRows(m, n, dst, x, ldx, limit)
			for j, got := range dst {
				if !same(got, sums[j]) {
					t.Fatalf("AddRows of %d×%d: dst[%d] = %s, want %s", m, n, j, show(got), show(sums[j]))
				}
			}
			again, spilledAgain := place(start, r.IntN(16))
			SumRows(min(m, 1), n, again, x, ldx, limit)
			if m > 0 {
				AddRows(m-1, n, again, x[min(len(x), ldx):], ldx, limit)
			}
			SumRows(m, n, dst, x, ldx, limit)
			for j := range dst {
				if !same(dst[j], again[j]) {
					t.Fatalf("SumRows of %d×%d: dst[%d] = %s, row by row %s", m, n, j, show(dst[j]), show(again[j]))
				}
			}
			for _, s := range []func() (int, bool){spilled, spilledAgain} {
				if at, ok := s(); ok {
					t.Fatalf("%d×%d: dst[%d] was written", m, n, at)
				}
			}
			acc := make([]float64, n)
			for j := range acc {
				acc[j] = float64(j)
			}
			AddSquares(acc, start, limit)
			for j, got := range acc {
				if !same64(got, squares[j]) {
					t.Fatalf("AddSquares: acc[%d] = %g, want %g", j, got, squares[j])
				}
			}
		})
	})
}

// laid is where an operand lies in the one array of a fuzzed product.
type laid struct {
	name                 string
	from, size           int // of the slice
	rows, cols, ld       int
	ldName               string
	vector, used, absent bool // has no stride; is read or written; is nil
}

// fits tells whether rows × cols elements lie within the slice, by arithmetic that does
// not wrap.
func (l laid) fits() bool {
	return l.rows == 0 || l.cols == 0 || float64(l.rows-1)*float64(l.ld)+float64(l.cols) <= float64(l.size)
}

// mark sets the places of its elements in m, and tells whether one of them was set.
func (l laid) mark(m []bool) (shared bool) {
	if l.rows == 0 || l.cols == 0 {
		return false
	}
	for i := range l.rows {
		for j := range l.cols {
			at := l.from + i*l.ld + j
			shared = shared || m[at]
			m[at] = true
		}
	}
	return shared
}

// FuzzGemm lays the operands of a product into one array, and spoils some calls. What
// is legal gives the bits that the plain loops give on copies that lie apart, and leaves
// all but C as it was; what is not panics, names an argument that is wrong, and leaves
// everything.
func FuzzGemm(f *testing.F) {
	fuzzSeeds(func(i int, seed uint64, numbers []byte) {
		for spoil := range uint8(9) {
			f.Add(uint8(i*7), uint8(i*11), uint8(i*5), seed+uint64(spoil), spoil, int16(i*int(spoil)-9), numbers)
		}
	})
	f.Fuzz(func(t *testing.T, m, n, k uint8, seed uint64, spoil uint8, by int16, numbers []byte) {
		r, kind := rand.New(rand.NewPCG(seed, 6)), fuzzed(numbers)
		g := newProduct(r, kind, Transpose(r.IntN(2) == 0), Transpose(r.IntN(2) == 0), int(m)%70, int(n)%70, int(k)%70)
		beta := g.beta
		if r.IntN(8) == 0 {
			g.alpha, beta = kind.values(r, 1)[0], kind.values(r, 1)[0]
		}
		if g.ep.Bias == nil {
			g.beta = beta
		}

		// The operands lie apart, one behind the other.
		ra, ca := g.storedA()
		rb, cb := g.storedB()
		const c = 2
		ops := []*laid{
			{name: "a", rows: ra, cols: ca, ld: g.lda, ldName: "lda", used: true},
			{name: "b", rows: rb, cols: cb, ld: g.ldb, ldName: "ldb", used: true},
			{name: "c", rows: g.m, cols: g.n, ld: g.ldc, ldName: "ldc", used: true},
			{name: "ep.Bias", rows: 1, cols: g.n, vector: true, used: g.ep.Bias != nil, absent: g.ep.Bias == nil},
			{name: "ep.Y", rows: g.m, cols: g.n, ld: g.ep.LdY, ldName: "ep.LdY", used: g.ep.Deriv != Identity, absent: g.ep.Deriv == Identity},
		}
		for i, o := range ops {
			o.size = max(0, (o.rows-1)*o.ld+o.cols)
			o.from = 40000
			if i > 0 {
				o.from = ops[i-1].from + ops[i-1].size + 8
			}
		}
		wrong := map[string]bool{} // what the panic may say
		if g.ep.Bias != nil && g.beta != 0 {
			wrong["beta = "] = true
		}
		o := ops[r.IntN(len(ops))]
		switch spoil % 16 {
		case 1: // over C, somewhere
			if o != ops[c] {
				o.from = ops[c].from + int(by)%(2*max(o.size, ops[c].size)+1)
			}
		case 2: // between the rows of C, or over them
			if o != ops[c] && !o.vector {
				o.ld = max(1, o.cols) + ops[c].cols
				ops[c].ld = o.ld
				o.size, ops[c].size = max(0, (o.rows-1)*o.ld+o.cols), max(0, (ops[c].rows-1)*o.ld+ops[c].cols)
				o.from = ops[c].from + int(by)%(2*o.ld)
			}
		case 3: // a shorter slice
			o.size = max(0, o.size-1-int(uint16(by))%8)
		case 4: // another stride
			o.ld += int(by) % 8
		case 5: // a stride that is far out
			o.ld = pick(r, math.MaxInt, math.MinInt, math.MaxInt/2+1, math.MaxInt/4+1, 1<<(uintBits/2)) + int(by)%2
		case 6: // a size that is none, or far out
			size := pick(r, -1, math.MinInt, math.MaxInt-1, 1<<(uintBits/2)) + int(by)&1
			switch r.IntN(3) {
			case 0:
				g.m = size
			case 1:
				g.n = size
			case 2:
				g.k = size
			}
			ops[0].rows, ops[0].cols = g.storedA()
			ops[1].rows, ops[1].cols = g.storedB()
			ops[2].rows, ops[2].cols, ops[3].cols, ops[4].rows, ops[4].cols = g.m, g.n, g.n, g.m, g.n
		case 7: // an activation that is none
			if by < 0 || by > int16(ActSiLU) {
				a := Activation(uint16(by)) << 8
				if r.IntN(2) == 0 {
					g.ep.Act = a
					wrong["ep.Act = "] = !a.valid() || g.ep.Deriv != Identity && a != Identity
				} else {
					g.ep.Deriv = a
					wrong["ep.Deriv = "] = !a.valid() || g.ep.Act != Identity && a != Identity
					ops[4].used = a != Identity
				}
			}
		case 8: // an activation and a derivative
			g.ep.Act, g.ep.Deriv = ActReLU, ActTanh
			wrong["ep.Act = "], ops[4].used = true, true
		}

		for name, size := range map[string]int{"m = ": g.m, "n = ": g.n, "k = ": g.k} {
			wrong[name] = size < 0
		}
		sound := g.m >= 0 && g.n >= 0 && g.k >= 0
		for _, o := range ops {
			if !o.used || !sound {
				continue
			}
			switch {
			case o.vector:
				wrong["len("+o.name+")"] = o.size != o.cols
			case o.ld < max(1, o.cols):
				wrong[o.ldName+" = "] = true
			default:
				wrong["len("+o.name+")"] = !o.fits()
			}
		}
		illegal := func() (names []string) {
			for name, is := range wrong {
				if is {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			return names
		}
		array := kind.values(r, 120000)
		if len(illegal()) == 0 {
			for _, o := range ops {
				if o.name != "c" && o.used {
					places := make([]bool, len(array))
					ops[c].mark(places)
					wrong[" and "+o.name+" ("] = o.mark(places)
				}
			}
		}
		slice := func(o *laid) []float32 {
			if o.absent {
				return nil
			}
			return array[o.from:][:o.size:o.size]
		}
		g.a, g.b, g.c, g.ep.Bias, g.ep.Y = slice(ops[0]), slice(ops[1]), slice(ops[2]), slice(ops[3]), slice(ops[4])
		g.lda, g.ldb, g.ldc, g.ep.LdY = ops[0].ld, ops[1].ld, ops[2].ld, ops[4].ld
		what := g.String()
		for _, o := range ops {
			what += fmt.Sprintf("; %+v", *o)
		}
		before := slices.Clone(array)

		if names := illegal(); len(names) > 0 {
			message := func() (said any) {
				defer func() { said = recover() }()
				g.call(g.c, 2)
				return nil
			}()
			if text, _ := message.(string); !strings.HasPrefix(text, "kernels.GemmFused: ") || !slices.ContainsFunc(names, func(n string) bool { return strings.Contains(text, n) }) {
				t.Fatalf("%s: panic %v, want one that says one of %q", what, message, names)
			}
			unchanged(t, what, "the array", array, before)
			return
		}
		apart := *g
		apart.a, apart.b, apart.ep.Bias, apart.ep.Y = slices.Clone(g.a), slices.Clone(g.b), slices.Clone(g.ep.Bias), slices.Clone(g.ep.Y)
		want := apart.portable(t)
		eachAsm(t, func() {
			copy(array, before)
			g.call(g.c, pick[Threads](r, 1, 2, 3))
			for at := range g.c {
				if i, j := at/g.ldc, at%g.ldc; j < g.n && i < g.m {
					if !same(g.c[at], want[at]) {
						t.Fatalf("%s: %s: C[%d, %d] = %s, want %s", ISA(), what, i, j, show(g.c[at]), show(want[at]))
					}
					g.c[at] = before[ops[c].from+at]
				}
			}
			unchanged(t, ISA()+": "+what, "the array around C", array, before)
		})
	})
}
