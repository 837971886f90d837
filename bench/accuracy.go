package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-go/lockstep/kernels"
)

// accuracy compares the functions of one vector with float64, at every float32 there is.
type accuracy struct {
	Functions []function `placeholder:"NAME,..." help:"Functions, of ${functions}. Default: all."`
	Range     span       `placeholder:"FROM:TO" help:"Numbers from FROM to TO, as in --range=-1:0.5, instead of all 2^32 patterns."`
	Threads   int        `default:"${threads}" help:"Threads."`
}

// Validate is called by kong.
func (a *accuracy) Validate() error {
	if a.Threads < 1 {
		return fmt.Errorf("--threads: %d, want at least 1", a.Threads)
	}
	return nil
}

// Run is called by kong. It fails if a function breaks its promise.
func (a *accuracy) Run(ctx context.Context, to console) error {
	if len(a.Functions) == 0 {
		a.Functions = functions
	}
	s := a.Range
	if s == (span{}) {
		s.last = math.MaxUint32
	}
	fmt.Fprintf(to.out, "%s, %d patterns, %d threads; the results beside those of package math in float64\n\n", kernels.ISA(), uint64(s.last)-uint64(s.first)+1, a.Threads)
	fmt.Fprintf(to.out, "%-11s %11s %-28s %12s %9s %9s %-12s %8s\n", "function", "worst, ulps", "at", "misrounded", "monotone", "specials", "SHA-256", "seconds")
	var broken error
	for _, f := range a.Functions {
		begun := time.Now()
		r := sweep(ctx, &f, s, a.Threads)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		worst, at := "0.5", "-" // as far as a well-rounded result may be off
		if r.worst.found {
			worst, at = fmt.Sprintf("%.5f", r.worst.off), fmt.Sprintf("%.9g (%#08x)", r.worst.x, math.Float32bits(r.worst.x))
		}
		monotone, specials := "-", "right"
		if f.monotone {
			monotone = "yes"
		}
		if r.falls.found {
			monotone = "NO"
		}
		if r.special.found {
			specials = "WRONG"
		}
		fmt.Fprintf(to.out, "%-11s %11s %-28s %12d %9s %9s %.12s %8.1f\n", f.name, worst, at, r.misrounded, monotone, specials, r.sha256, time.Since(begun).Seconds())
		broken = cmp.Or(broken, r.check(f.name))
	}
	return broken
}

// function is a kernel of one vector, and what it is to compute.
type function struct {
	name string
	run  func(dst, x []float32)
	// reference is in float64, with terms that do not cancel, so that its own error
	// is less than 2^-16 ulp of float32.
	reference func(x float64) float64
	ends      [4]float32 // the results at -Inf, -0, +0 and +Inf
	monotone  bool       // it never falls
}

// allowed is the error that the kernels promise, in ulps.
const allowed = 0.51

var inf32, negZero = float32(math.Inf(1)), float32(math.Copysign(0, -1))

var functions = []function{
	{"exp", func(dst, x []float32) { kernels.Exp(dst, x, 1) }, math.Exp, [4]float32{0, 1, 1, inf32}, true},
	{"log", func(dst, x []float32) { kernels.Log(dst, x, 1) }, math.Log, [4]float32{float32(math.NaN()), -inf32, -inf32, inf32}, true},
	{"tanh", activation(kernels.ActTanh), math.Tanh, [4]float32{-1, negZero, 0, 1}, true},
	{"sigmoid", activation(kernels.ActSigmoid), func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, [4]float32{0, 0.5, 0.5, 1}, true},
	{"softplus", activation(kernels.ActSoftplus), func(x float64) float64 {
		return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
	}, [4]float32{0, math.Ln2, math.Ln2, inf32}, true},
	{"ELU", activation(kernels.ActELU(1)), func(x float64) float64 {
		if x > 0 {
			return x
		}
		return math.Expm1(x)
	}, [4]float32{-1, negZero, 0, inf32}, true},
	{"SiLU", activation(kernels.ActSiLU), func(x float64) float64 { return x / (1 + math.Exp(-x)) }, [4]float32{negZero, negZero, 0, inf32}, false},
	{"GELU", activation(kernels.ActGELU), func(x float64) float64 { return x * (math.Erfc(-x/math.Sqrt2) / 2) }, [4]float32{negZero, negZero, 0, inf32}, false},
	{"GELU-tanh", activation(kernels.ActGELUTanh), func(x float64) float64 {
		return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}, [4]float32{negZero, negZero, 0, inf32}, false},
}

func activation(act kernels.Activation) func(dst, x []float32) {
	return func(dst, x []float32) { kernels.Activate(act, dst, x, 1) }
}

// functionNames are for --help and for messages.
func functionNames() string {
	var names []string
	for _, f := range functions {
		names = append(names, f.name)
	}
	return strings.Join(names, ",")
}

// UnmarshalText is called by kong.
func (f *function) UnmarshalText(text []byte) error {
	for _, known := range functions {
		if strings.EqualFold(known.name, string(text)) {
			*f = known
			return nil
		}
	}
	return fmt.Errorf("%q, want one of %s", text, functionNames())
}

// span is a range of ranks, both ends included.
type span struct{ first, last uint32 }

// UnmarshalText is called by kong.
func (s *span) UnmarshalText(text []byte) error {
	from, to, _ := strings.Cut(string(text), ":")
	a, errA := strconv.ParseFloat(from, 32)
	b, errB := strconv.ParseFloat(to, 32)
	if errA != nil || errB != nil || !(a <= b) {
		return fmt.Errorf("%q, want FROM:TO, two numbers in order", text)
	}
	*s = span{rankOf(float32(a)), rankOf(float32(b))}
	return nil
}

// rankOf counts the float32 patterns below x, from the NaNs with a sign over -Inf, -0, +0
// and +Inf to the other NaNs; ranked is the pattern of a rank.
func rankOf(x float32) uint32 {
	bits := math.Float32bits(x)
	if bits>>31 == 1 {
		return ^bits
	}
	return bits | 1<<31
}

func ranked(rank uint32) float32 {
	if rank>>31 == 0 {
		return math.Float32frombits(^rank)
	}
	return math.Float32frombits(rank &^ (1 << 31))
}

// finding is a number at which something is seen, and the result there.
type finding struct {
	found bool
	x, y  float32
}

// lower replaces f if g is further down.
func (f *finding) lower(g finding) {
	if g.found && (!f.found || rankOf(g.x) < rankOf(f.x)) {
		*f = g
	}
}

// offence is a finding with its error in ulps.
type offence struct {
	off float64
	finding
}

// replace replaces o if p is worse, or as bad and further down.
func (o *offence) replace(p offence) {
	if p.off > o.off {
		*o = p
	} else if p.off == o.off {
		o.lower(p.finding)
	}
}

// findings is what a sweep sees.
type findings struct {
	misrounded uint64  // results that are not the reference, rounded to float32
	worst      offence // of these, with the largest error
	falls      finding // the first result that is less than the one before, if none shall be
	special    finding // the first wrong result for NaN, an infinity or a zero, or zero with the wrong sign
	sha256     string  // of all results, as float32 and little-endian
}

func (r *findings) merge(s *findings) {
	r.misrounded += s.misrounded
	r.worst.replace(s.worst)
	r.falls.lower(s.falls)
	r.special.lower(s.special)
}

// check returns an error if a promise is broken.
func (r *findings) check(name string) error {
	switch {
	case r.special.found:
		return fmt.Errorf("%s(%v) = %v", name, r.special.x, r.special.y)
	case !(r.worst.off <= allowed):
		return fmt.Errorf("%s(%v) = %v, off by %.5f ulps, at most %v are promised", name, r.worst.x, r.worst.y, r.worst.off, allowed)
	case r.falls.found:
		return fmt.Errorf("%s(%v) = %v is less than the result of the number before", name, r.falls.x, r.falls.y)
	}
	return nil
}

// part is how many numbers of a sweep a thread takes at a time.
const part = 1 << 16

// sweep runs a function over a span.
func sweep(ctx context.Context, f *function, s span, threads int) *findings {
	parts := int((uint64(s.last)-uint64(s.first))/part) + 1
	sums := make([][sha256.Size]byte, parts)
	total := &findings{}
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range threads {
		wg.Go(func() {
			p, seen := newPartMemory(), &findings{}
			for {
				i := int(next.Add(1)) - 1
				if i >= parts || ctx.Err() != nil {
					break
				}
				from := uint64(s.first) + uint64(i)*part
				p.run(f, from, min(part, int(uint64(s.last)+1-from)), i > 0, seen)
				p.hash.Sum(sums[i][:0])
			}
			mu.Lock()
			total.merge(seen)
			mu.Unlock()
		})
	}
	wg.Wait()
	all := sha256.New()
	for i := range sums {
		all.Write(sums[i][:])
	}
	total.sha256 = fmt.Sprintf("%x", all.Sum(nil))
	return total
}

// partMemory is the memory for a part, and for the number before it.
type partMemory struct {
	x, y  []float32
	bytes []byte
	hash  hash.Hash
}

func newPartMemory() *partMemory {
	return &partMemory{make([]float32, part+1), make([]float32, part+1), make([]byte, 0, 4*part), sha256.New()}
}

// run does n numbers from a rank on. With before, the number before them counts too in
// whether the function falls.
func (p *partMemory) run(f *function, from uint64, n int, before bool, seen *findings) {
	if before {
		from, n = from-1, n+1
	}
	x, y := p.x[:n], p.y[:n]
	for i := range x {
		x[i] = ranked(uint32(from) + uint32(i))
	}
	f.run(y, x)
	p.bytes = p.bytes[:0]
	for i, x := range x {
		y := y[i]
		if f.monotone && i > 0 && y < p.y[i-1] {
			seen.falls.lower(finding{true, x, y})
		}
		if before && i == 0 {
			continue
		}
		if y == y {
			p.bytes = binary.LittleEndian.AppendUint32(p.bytes, math.Float32bits(y))
		} else {
			p.bytes = binary.LittleEndian.AppendUint32(p.bytes, 0x7fc00000)
		}
		if want, special := f.special(x); special {
			if math.Float32bits(y) != math.Float32bits(want) && (y == y || want == want) {
				seen.special.lower(finding{true, x, y})
			}
			continue
		}
		want := f.reference(float64(x))
		if want == want && math.Signbit(want) != math.Signbit(float64(y)) {
			seen.special.lower(finding{true, x, y})
		}
		if y == float32(want) || y != y && want != want {
			continue // off by half an ulp at most
		}
		seen.misrounded++
		seen.worst.replace(offence{ulps(y, want), finding{true, x, y}})
	}
	p.hash.Reset()
	p.hash.Write(p.bytes)
}

// special returns the result that x has by definition, if it has one.
func (f *function) special(x float32) (want float32, special bool) {
	switch {
	case x != x:
		return x, true
	case x == 0 && math.Signbit(float64(x)):
		return f.ends[1], true
	case x == 0:
		return f.ends[2], true
	case x == -inf32:
		return f.ends[0], true
	case x == inf32:
		return f.ends[3], true
	}
	return 0, false
}

// ulps is how far got is from want, in units of want's last place as float32. An infinity
// counts as 2^128.
func ulps(got float32, want float64) float64 {
	g := max(-0x1p128, min(float64(got), 0x1p128)) // NaN stays
	w := max(-0x1p128, min(want, 0x1p128))
	switch {
	case g == w || g != g && w != w:
		return 0
	case g != g || w != w:
		return math.Inf(1)
	}
	exponent := int(math.Float64bits(w)>>52&0x7ff) - 1023
	return math.Abs(g-w) / math.Float64frombits(uint64(max(-149, exponent-23)+1023)<<52)
}
