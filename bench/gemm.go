package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/lockstep-go/lockstep/kernels"
)

// gemm times products of matrices here, in OpenBLAS and in BLIS: a round here
// and a round there by turns, so that all meet the same weather on the machine,
// and a fast round counts.
type gemm struct {
	Threads  int     `default:"1" help:"Threads, on each side."`
	Rounds   int     `default:"50" help:"Rounds on each side of each product."`
	Shapes   []shape `placeholder:"SHAPE,..." help:"Products: 128x100x784:NT for M, N, K and which operands are transposed; 128x100x784:NT+1 has rows that lie 1 element further apart. Default: those of a multi-layer perceptron and some squares, each without and with +1."`
	Coretype string  `placeholder:"OPENBLAS/BLIS" help:"Processor types whose kernels OpenBLAS and BLIS shall use, as in Haswell/zen3, the default if Lockstep uses AVX2; or native, to leave that to them."`
	OpenBLAS string  `name:"openblas" default:"libopenblas.so" help:"Shared library of OpenBLAS."`
	BLIS     string  `name:"blis" default:"libblis.so" help:"Shared library of BLIS."`
	CC       string  `name:"cc" default:"cc" help:"C compiler, for the program that calls them."`
}

// avx2Coretype names the fastest of these libraries' AVX2 kernels. OpenBLAS itself
// chooses its ZEN on AMD's processors, which was slower than Haswell on a Zen 4.
const avx2Coretype = "Haswell/zen3"

// Validate is called by kong.
func (g *gemm) Validate() error {
	if g.Threads < 1 {
		return fmt.Errorf("--threads: %d, want at least 1", g.Threads)
	}
	if g.Rounds < 1 {
		return fmt.Errorf("--rounds: %d, want at least 1", g.Rounds)
	}
	openblas, blis, two := strings.Cut(g.Coretype, "/")
	if g.Coretype != "" && g.Coretype != "native" && (!two || openblas == "" || blis == "") {
		return fmt.Errorf("--coretype: %q, want native or two names as in %s", g.Coretype, avx2Coretype)
	}
	if _, err := exec.LookPath(g.CC); err != nil {
		return fmt.Errorf("--cc: want a C compiler (Debian: gcc): %w", err)
	}
	return nil
}

// Run is called by kong.
func (g *gemm) Run(ctx context.Context, to console) error {
	shapes := g.Shapes
	if len(shapes) == 0 {
		shapes = allShapes()
	}
	if g.Coretype == "" {
		g.Coretype = "native"
		if kernels.ISA() == "avx2" {
			g.Coretype = avx2Coretype
		}
	}
	openblas, blis, err := startBLAS(ctx, g)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	err = g.compare(ctx, to.out, shapes, []multiplier{&here{threads: kernels.Threads(g.Threads)}, openblas, blis})
	return cmp.Or(ctx.Err(), err, openblas.stop(), blis.stop())
}

// A multiplier multiplies matrices, in this process or in another.
type multiplier interface {
	String() string // its name
	about() string  // what it runs
	pid() int
	// multiply takes the problem over and returns C, the rows as far apart as
	// the problem says.
	multiply(p *problem) ([]float32, error)
	// time computes the product taken over reps times more.
	time(reps int) (lap, error)
}

// compare races the multipliers, Lockstep first, and prints the table.
func (g *gemm) compare(ctx context.Context, out io.Writer, shapes []shape, all []multiplier) error {
	measure, how := newProductMeter(g.Threads)
	fmt.Fprintf(out, "threads: %d; rounds: %d, of up to 5 laps each of which the fastest counts, and of the rounds the third fastest; processor types asked for: %s; cycles: %s\n", g.Threads, g.Rounds, g.Coretype, how)
	for _, m := range all {
		fmt.Fprintf(out, "%v: %s\n", m, m.about())
	}
	fmt.Fprintf(out, "\n%-20s %9s %9s %9s %7s\n", "MxNxK:op(A)op(B)", "Lockstep", "OpenBLAS", "BLIS", "ratio")
	worst, worstShape := math.Inf(1), shape{}
	var logs [2]float64 // sums over the perceptron's shapes, without and with padding
	var counts [2]int
	unit := ""
	for _, s := range shapes {
		var speeds [3]float64
		var err error
		if speeds, unit, err = g.race(ctx, s, all, measure); err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
		ratio := speeds[0] / max(speeds[1], speeds[2])
		if ratio < worst {
			worst, worstShape = ratio, s
		}
		if !s.square() {
			kind := min(1, s.pad)
			logs[kind] += math.Log(ratio)
			counts[kind]++
		}
		fmt.Fprintf(out, "%-20v %9.2f %9.2f %9.2f %7.3f\n", s, speeds[0], speeds[1], speeds[2], ratio)
	}
	fmt.Fprintf(out, "\n%s; ratio: Lockstep by the better of the others.\n", unit)
	for kind, name := range []string{"dense", "padded"} {
		if counts[kind] > 0 {
			fmt.Fprintf(out, "geometric mean of the ratio over the %d %s shapes that are not cubes: %.3f\n",
				counts[kind], name, math.Exp(logs[kind]/float64(counts[kind])))
		}
	}
	_, err := fmt.Fprintf(out, "worst ratio: %.3f at %v\n", worst, worstShape)
	return err
}

// race returns the speeds, and their unit.
func (g *gemm) race(ctx context.Context, s shape, all []multiplier, measure meter) (speeds [3]float64, unit string, err error) {
	p := newProblem(s)
	var first []float32
	for _, m := range all {
		c, err := m.multiply(p)
		if err != nil {
			return speeds, "", err
		}
		if first == nil {
			first = slices.Clone(c)
		}
		if err := p.compare(first, c); err != nil {
			return speeds, "", fmt.Errorf("%v: %w", m, err)
		}
	}
	var rounds [3][]float64
	order := []int{0, 1, 2}
	for range g.Rounds {
		for _, i := range order {
			if g.Threads > 1 {
				time.Sleep(rest)
			}
			speed, u, err := round(all[i], s, measure)
			if err != nil {
				return speeds, "", err
			}
			rounds[i], unit = append(rounds[i], speed), u
		}
		slices.Reverse(order) // so that none always comes after the same other
		if ctx.Err() != nil {
			return speeds, "", ctx.Err()
		}
	}
	for i := range speeds {
		speeds[i] = fast(rounds[i])
	}
	return speeds, unit, nil
}

// rest is a time after which idle threads of all sides have gone to sleep: those of
// OpenBLAS look for work for 2^26 cycles and would keep a processor from the next.
const rest = 50 * time.Millisecond

// round returns the speed of the fastest of some laps of products of a shape, and
// its unit. A lap is as short as the clock allows, for something interrupts the
// processor now and then.
func round(m multiplier, s shape, measure meter) (speed float64, unit string, err error) {
	const warm, lapped = 2e8, 4e7 // 2 ms and 0.4 ms, in floating-point operations
	laps := 5
	if s.flops() > warm {
		laps = 1 // one product is longer than a lap
	}
	// Fetches what others have put out of the caches.
	if _, err := m.time(max(1, int(warm/s.flops()))); err != nil {
		return 0, "", err
	}
	reps := max(1, int(lapped/s.flops()))
	for range laps {
		cycles, l, err := measure(m.pid(), func() (lap, error) { return m.time(reps) })
		if err != nil {
			return 0, "", err
		}
		now := s.flops() * float64(reps) / l.Elapsed / 1e9
		unit = "GFLOPS"
		if cycles > 0 {
			now, unit = s.flops()*float64(reps)/cycles, "flop/cycle"
		}
		speed = max(speed, now)
	}
	return speed, unit, nil
}

// fast returns the third fastest speed, or the slowest if there are fewer. The
// fastest is not to be trusted: on virtual machines the kernel sometimes takes a
// process's time for time that the host has stolen.
func fast(speeds []float64) float64 {
	slices.Sort(speeds)
	return speeds[max(0, len(speeds)-3)]
}

// newProductMeter returns the best meter that the machine has for laps whose User
// is all of their processor time, and what it does.
func newProductMeter(threads int) (meter, string) {
	if threads > 1 {
		return noCycles, "not for several threads, since those of waiting are among them"
	}
	counter, err := countCycles(os.Getpid())
	if err == nil {
		counter.close()
		return countedCycles, "counted by the processor"
	}
	if runtime.GOARCH == "amd64" && processorTime() > 0 {
		return estimatedCycles, fmt.Sprintf("an ESTIMATE, processor seconds by the clock rate of a chain of multiplications, since no counter can be read (%v)", err)
	}
	return noCycles, fmt.Sprintf("not known (%v)", err)
}

// here is Lockstep as a multiplier.
type here struct {
	threads kernels.Threads
	ep      kernels.Epilogue
	p       *problem
}

func (h *here) String() string { return "Lockstep" }

func (h *here) about() string { return kernels.ISA() }

func (h *here) pid() int { return os.Getpid() }

func (h *here) multiply(p *problem) ([]float32, error) {
	h.p = p
	h.once()
	return p.block[p.c:], nil
}

func (h *here) time(reps int) (lap, error) {
	used, start := processorTime(), time.Now()
	for range reps {
		h.once()
	}
	return lap{Elapsed: time.Since(start).Seconds(), User: (processorTime() - used).Seconds()}, nil
}

func (h *here) once() {
	p := h.p
	kernels.GemmFused(p.tA, p.tB, p.m, p.n, p.k, 1, p.block, p.lda, p.block[p.b:p.c], p.ldb, 0, p.block[p.c:], p.ldc, h.ep, h.threads)
}

// shape is one of a product of matrices: C, m×n, from op(A), m×k, and op(B), k×n,
// whose rows lie pad elements further apart than they have to.
type shape struct {
	m, n, k int
	tA, tB  kernels.Transpose
	pad     int
}

// gemmShapes are those of layers of multi-layer perceptrons: forward (NN), the
// gradients of the weights (TN) and of the inputs (NT), and then cubes.
var gemmShapes = []shape{
	{m: 128, n: 100, k: 784},
	{m: 784, n: 100, k: 128, tA: kernels.Trans},
	{m: 128, n: 100, k: 100},
	{m: 100, n: 100, k: 128, tA: kernels.Trans},
	{m: 128, n: 100, k: 100, tB: kernels.Trans},
	{m: 128, n: 10, k: 100},
	{m: 100, n: 10, k: 128, tA: kernels.Trans},
	{m: 128, n: 100, k: 10, tB: kernels.Trans},
	{m: 32, n: 512, k: 784},
	{m: 8, n: 512, k: 512},
	{m: 1, n: 512, k: 784},
	{m: 1, n: 512, k: 784, tB: kernels.Trans},
	{m: 128, n: 1, k: 100},
	{m: 16, n: 512, k: 784, tB: kernels.Trans},
	{m: 256, n: 1024, k: 1024},
	{m: 256, n: 1024, k: 1024, tB: kernels.Trans},
	{m: 1024, n: 1024, k: 256, tA: kernels.Trans},
	{m: 64, n: 64, k: 64},
	{m: 128, n: 128, k: 128},
	{m: 256, n: 256, k: 256},
	{m: 512, n: 512, k: 512},
	{m: 1024, n: 1024, k: 1024},
	{m: 2048, n: 2048, k: 2048},
}

// allShapes returns gemmShapes without and with odd strides.
func allShapes() []shape {
	shapes := slices.Clone(gemmShapes)
	for _, s := range gemmShapes {
		s.pad = 1
		shapes = append(shapes, s)
	}
	return shapes
}

func (s shape) flops() float64 { return 2 * float64(s.m) * float64(s.n) * float64(s.k) }

func (s shape) square() bool { return s.m == s.n && s.n == s.k }

func (s shape) String() string {
	letter := map[kernels.Transpose]string{kernels.NoTrans: "N", kernels.Trans: "T"}
	text := fmt.Sprintf("%dx%dx%d:%s%s", s.m, s.n, s.k, letter[s.tA], letter[s.tB])
	if s.pad > 0 {
		text += fmt.Sprintf("+%d", s.pad)
	}
	return text
}

// UnmarshalText is called by kong. It reads what String writes.
func (s *shape) UnmarshalText(text []byte) error {
	const maxEdge = 1 << 13
	sizes, rest, _ := strings.Cut(string(text), ":")
	ops, pad, padded := strings.Cut(rest, "+")
	numbers := strings.Split(sizes, "x")
	places := []*int{&s.m, &s.n, &s.k}
	if padded {
		numbers, places = append(numbers, pad), append(places, &s.pad)
	}
	err := error(nil)
	if len(numbers) != len(places) || !slices.Contains([]string{"NN", "NT", "TN", "TT"}, ops) {
		err = errors.New("not of this form")
	}
	for i := 0; err == nil && i < len(places); i++ {
		if *places[i], err = strconv.Atoi(numbers[i]); err == nil && (*places[i] < 1 || *places[i] > maxEdge) {
			err = strconv.ErrRange
		}
	}
	if err != nil {
		return fmt.Errorf("%q, want MxNxK:NN (or NT, TN, TT) or MxNxK:NN+PAD, with numbers of 1 to %d", text, maxEdge)
	}
	s.tA, s.tB = ops[0] == 'T', ops[1] == 'T'
	return nil
}

// problem is a product of matrices of normal deviates. They lie one after the
// other in a block that starts at a page, each from the start of a cache line on:
// A from 0, B from b and C from c on.
type problem struct {
	shape
	block         []float32
	b, c          int
	lda, ldb, ldc int
}

func newProblem(s shape) *problem {
	p := &problem{shape: s}
	rowsA, colsA, rowsB, colsB := s.m, s.k, s.k, s.n
	if s.tA {
		rowsA, colsA = colsA, rowsA
	}
	if s.tB {
		rowsB, colsB = colsB, rowsB
	}
	p.lda, p.ldb, p.ldc = colsA+s.pad, colsB+s.pad, s.n+s.pad
	const line, page = 16, 1024 // in elements
	lines := func(n int) int { return (n + line - 1) / line * line }
	p.b = lines(rowsA * p.lda)
	p.c = p.b + lines(rowsB*p.ldb)
	end := p.c + s.m*p.ldc
	p.block = make([]float32, end+page)
	past := int(uintptr(unsafe.Pointer(&p.block[0])) / 4 % page)
	p.block = p.block[page-past:][:end]
	random := rand.New(rand.NewPCG(1, 2))
	for i := range p.c {
		p.block[i] = float32(random.NormFloat64())
	}
	return p
}

// compare wants the same C twice but for rounding.
func (p *problem) compare(want, got []float32) error {
	tolerance := 1e-4 * math.Sqrt(float64(p.k)) // an element of C has a standard deviation of √k
	for i := range p.m {
		for j := range p.n {
			w, g := want[i*p.ldc+j], got[i*p.ldc+j]
			if !(math.Abs(float64(w)-float64(g)) <= tolerance) {
				return fmt.Errorf("C[%d,%d] is %v and %v in Lockstep: not the same product", i, j, g, w)
			}
		}
	}
	return nil
}
