package philox

import (
	"math"
	"slices"
	"testing"
)

// TestKnownAnswers has the three vectors that Random123 publishes for philox4x32
// with 10 rounds (tests/kat_vectors).
func TestKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := Block(c.key, c.ctr); got != c.want {
			t.Errorf("Block(%08x, %08x) = %08x, want %08x", c.key, c.ctr, got, c.want)
		}
	}
}

// TestValues has what another implementation, in Python integers and mpmath with
// 200 bits, gives at a few addresses.
func TestValues(t *testing.T) {
	const n = 1000003
	for _, c := range []struct {
		s      Stream
		pos    uint64
		bits   uint64
		index  int
		normal float64
	}{
		{Stream{0, 0, 0}, 0, 0xe169c58d6627e8d5, 880522, -0.3976675384441821243341327},
		{Stream{1, Init, 0}, 0, 0xe50a0ebce3e80670, 894687, -0.1136801970449693024310928},
		{Stream{1, Init, 0}, 1, 0xb615aa2795f222c0, 711270, -0.4578696352040144810133816},
		{Stream{1, Batch, 7}, 12345, 0xb0e0d5e331a1a110, 690932, -0.6513288874308270798414674},
		{Stream{0x0123456789abcdef, Batch, 0xffffffff}, 0xfedcba9876543210, 0xdf9dff4ddda10a0f, 873507, -0.5117218000620113601097972},
		{Stream{1, Init, 0}, 1<<64 - 1, 0xa2cc9959677160bf, 635936, -1.099954220046513612957011},
		{Stream{42, Init, 3}, 1 << 33, 0xca102cd0dbf1f79d, 789311, -0.5005502069539823478745066},
		{Stream{1, Init, 0}, 227172, 0x9e4870e5d99e, 9, 4.478651364148591612038378},     // u1 is 2^-16.6: its last bit shows
		{Stream{1, Init, 0}, 93161, 0x43f70063c3e1, 4, 0.00002685152780293371046757744}, // and so does that of u2
	} {
		if got := c.s.Uint64(c.pos); got != c.bits {
			t.Errorf("%+v: Uint64(%d) = %#x, want %#x", c.s, c.pos, got, c.bits)
		}
		if got := c.s.Index(c.pos, n); got != c.index {
			t.Errorf("%+v: Index(%d, %d) = %d, want %d", c.s, c.pos, n, got, c.index)
		}
		if got, want := c.s.Float64(c.pos), math.Ldexp(float64(c.bits>>11), -53); got != want {
			t.Errorf("%+v: Float64(%d) = %v, want %v", c.s, c.pos, got, want)
		}
		if got := c.s.Normal(c.pos); math.Abs(got-c.normal) > 1e-14*math.Abs(c.normal) {
			t.Errorf("%+v: Normal(%d) = %.17g, want %.25g", c.s, c.pos, got, c.normal)
		}
	}
}

// TestAddressing checks that the numbers of neighbouring addresses are all different.
func TestAddressing(t *testing.T) {
	seen := map[uint64]Stream{}
	at := map[uint64]uint64{}
	for _, seed := range []uint64{0, 1, 2, 1 << 32, 1 << 63} {
		for _, purpose := range []Purpose{Init, Batch} {
			for _, step := range []uint32{0, 1, 2, 1 << 31} {
				for _, pos := range []uint64{0, 1, 2, 3, 1 << 32, 1 << 33, 1 << 34, 1<<64 - 1} {
					s := Stream{seed, purpose, step}
					v := s.Uint64(pos)
					if o, ok := seen[v]; ok {
						t.Errorf("%+v at %d equals %+v at %d", s, pos, o, at[v])
					}
					seen[v], at[v] = s, pos
				}
			}
		}
	}
}

func TestNormalsIsNormal(t *testing.T) {
	s := Stream{Seed: 9, Purpose: Init, Step: 1}
	for _, first := range []uint64{0, 1, 6, 1<<32 - 3} {
		for n := range 8 {
			dst := make([]float64, n+1)
			dst[n] = 123
			s.Normals(dst[:n], first)
			for i, v := range dst[:n] {
				if want := s.Normal(first + uint64(i)); v != want {
					t.Errorf("Normals of length %d from %d: value %d is %v, want %v", n, first, i, v, want)
				}
			}
			if dst[n] != 123 {
				t.Errorf("Normals of length %d from %d wrote past the end", n, first)
			}
		}
	}
}

// ks returns the largest distance between the distribution of x, which it sorts,
// and cdf (Kolmogorov and Smirnov).
func ks(x []float64, cdf func(float64) float64) float64 {
	slices.Sort(x)
	d, n := 0.0, float64(len(x))
	for i, v := range x {
		c := cdf(v)
		d = max(d, math.Abs(c-float64(i)/n), math.Abs(c-float64(i+1)/n))
	}
	return d
}

// Where a bound below is a number of standard errors, it is 4: with its fixed
// seed the test gives one verdict, and a wrong distribution is far outside.

func TestNormalMoments(t *testing.T) {
	const n = 200_000
	x := make([]float64, n)
	Stream{Seed: 2, Purpose: Init}.Normals(x, 0)
	var m [5]float64
	var pairs float64
	for i, v := range x {
		for k := range m {
			m[k] += math.Pow(v, float64(k)) / n
		}
		if i%2 == 1 {
			pairs += x[i-1] * v / (n / 2)
		}
	}
	root := math.Sqrt(n)
	for _, c := range []struct {
		name             string
		got, want, error float64
	}{
		{"mean", m[1], 0, 1 / root},
		{"variance", m[2], 1, math.Sqrt(2) / root},
		{"skewness", m[3], 0, math.Sqrt(15) / root},
		{"fourth moment", m[4], 3, math.Sqrt(96) / root},
		{"correlation of the two from a block", pairs, 0, math.Sqrt(2) / root},
	} {
		if math.Abs(c.got-c.want) > 4*c.error {
			t.Errorf("%s is %.5f, want %g within %.5f", c.name, c.got, c.want, 4*c.error)
		}
	}
	d := ks(x, func(v float64) float64 { return math.Erfc(-v/math.Sqrt2) / 2 })
	if bound := 1.95 / root; d > bound { // exceeded by chance once in 1000
		t.Errorf("distance from the normal distribution is %.5f, want at most %.5f", d, bound)
	}
}

func TestUniform(t *testing.T) {
	const n = 100_000
	s := Stream{Seed: 3, Purpose: Batch, Step: 5}
	x := make([]float64, n)
	for i := range x {
		x[i] = s.Float64(uint64(i))
		if x[i] < 0 || x[i] >= 1 {
			t.Fatalf("Float64(%d) = %v, want it in [0, 1)", i, x[i])
		}
	}
	if d, bound := ks(x, func(v float64) float64 { return v }), 1.95/math.Sqrt(n); d > bound {
		t.Errorf("Float64: distance from the uniform distribution is %.5f, want at most %.5f", d, bound)
	}

	const cells = 7
	var count [cells]float64
	for i := range n {
		count[s.Index(uint64(i), cells)]++
	}
	for c, k := range count {
		if e := math.Sqrt(n / cells); math.Abs(k-n/cells) > 4*e {
			t.Errorf("Index(…, %d) gave %d %g times in %d, want %d within %.0f", cells, c, k, n, n/cells, 4*e)
		}
	}
	if got := s.Index(1, 1); got != 0 {
		t.Errorf("Index(1, 1) = %d, want 0", got)
	}
	if got := s.Index(1, math.MaxInt); got < 0 {
		t.Errorf("Index(1, MaxInt) = %d, want it in range", got)
	}
}

func TestIndexPanics(t *testing.T) {
	for n, want := range map[int]string{
		0:  "philox: Index: n is 0, want at least 1",
		-3: "philox: Index: n is -3, want at least 1",
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("Index(0, %d) panicked with %v, want %q", n, got, want)
				}
			}()
			Stream{}.Index(0, n)
		}()
	}
}

func BenchmarkNormals(b *testing.B) {
	dst := make([]float64, 4096)
	for range b.N {
		Stream{Seed: 1}.Normals(dst, 0)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(dst)), "ns/normal")
}

func BenchmarkNormal(b *testing.B) {
	for i := range b.N {
		Stream{Seed: 1}.Normal(uint64(i))
	}
}
