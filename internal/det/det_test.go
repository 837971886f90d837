package det

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// The reference is worked out in big.Float with prec bits, by series that share
// nothing with the code under test.
const prec = 320

func bf(x float64) *big.Float              { return new(big.Float).SetPrec(prec).SetFloat64(x) }
func bz() *big.Float                       { return new(big.Float).SetPrec(prec) }
func add(x, y *big.Float) *big.Float       { return bz().Add(x, y) }
func sub(x, y *big.Float) *big.Float       { return bz().Sub(x, y) }
func mul(x, y *big.Float) *big.Float       { return bz().Mul(x, y) }
func quo(x, y *big.Float) *big.Float       { return bz().Quo(x, y) }
func scale(x *big.Float, e int) *big.Float { return bz().SetMantExp(x, e) }

// negligible reports whether adding t to sum changes nothing.
func negligible(t, sum *big.Float) bool {
	return t.Sign() == 0 || sum.Sign() != 0 && t.MantExp(nil) < sum.MantExp(nil)-prec
}

// series sums first * Π ratio(1)…ratio(i) over i, ratio(i) = x / den(i).
func series(first, x *big.Float, den func(i int) float64) *big.Float {
	sum, t := first, first
	for i := 1; !negligible(t, sum); i++ {
		t = quo(mul(t, x), bf(den(i)))
		sum = add(sum, t)
	}
	return sum
}

// atanh returns atanh q for sign = 1, arctan q for sign = -1: q ± q³/3 + q⁵/5 ± ….
func atanh(q *big.Float, sign float64) *big.Float {
	z, sum, t := mul(mul(q, q), bf(sign)), q, q
	for i := 3.0; !negligible(t, sum); i += 2 {
		t = mul(t, z)
		sum = add(sum, quo(t, bf(i)))
	}
	return sum
}

var (
	bigLn2 = scale(atanh(quo(bf(1), bf(3)), 1), 1)
	// Machin: pi/4 = 4 arctan(1/5) - arctan(1/239).
	bigPi = scale(sub(scale(atanh(quo(bf(1), bf(5)), -1), 2), atanh(quo(bf(1), bf(239)), -1)), 2)
)

func bigExp(x *big.Float) *big.Float {
	const halvings = 24
	sum := series(bf(1), scale(x, -halvings), func(i int) float64 { return float64(i) })
	for range halvings {
		sum = mul(sum, sum)
	}
	return sum
}

func bigLog(x *big.Float) *big.Float {
	m := bz()
	e := x.MantExp(m)
	if m.Cmp(bf(0.75)) < 0 {
		m, e = scale(m, 1), e-1
	}
	q := quo(sub(m, bf(1)), add(m, bf(1)))
	return add(mul(bf(float64(e)), bigLn2), scale(atanh(q, 1), 1))
}

// bigSin returns sin(x + quarter * pi/2).
func bigSin(x *big.Float, quarter int) *big.Float {
	halfPi := scale(bigPi, -1)
	n, _ := quo(x, halfPi).Int64()
	r := sub(x, mul(halfPi, bf(float64(n))))
	z := mul(mul(r, r), bf(-1))
	var v *big.Float
	n = (n + int64(quarter)) & 3
	if n&1 == 0 {
		v = series(r, z, func(i int) float64 { return float64(2*i) * float64(2*i+1) })
	} else {
		v = series(bf(1), z, func(i int) float64 { return float64(2*i-1) * float64(2*i) })
	}
	if n&2 != 0 {
		v.Neg(v)
	}
	return v
}

func bigPow(x, y float64) *big.Float {
	return bigExp(mul(bf(y), bigLog(bf(x))))
}

// ulps returns |got - want| in units of the last place of a float64 near want.
// Infinity is right only where want rounds to it.
func ulps(got float64, want *big.Float) float64 {
	if nearest, _ := want.Float64(); got == nearest {
		if math.IsInf(got, 0) || got == 0 {
			return 0
		}
	} else if math.IsNaN(got) || math.IsInf(got, 0) || want.Sign() == 0 {
		return math.Inf(1)
	}
	e := max(want.MantExp(nil)-53, -1074)
	d, _ := scale(sub(bf(got), want), -e).Float64()
	return math.Abs(d)
}

// around returns the neighbours of each x, n on either side.
func around(n int, xs ...float64) []float64 {
	var all []float64
	for _, x := range xs {
		lo, hi := x, x
		all = append(all, x)
		for range n {
			lo, hi = math.Nextafter(lo, math.Inf(-1)), math.Nextafter(hi, math.Inf(1))
			all = append(all, lo, hi)
		}
	}
	return all
}

func spread(r *rand.Rand, n int, lo, hi float64) []float64 {
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = lo + (hi-lo)*r.Float64()
	}
	return xs
}

// patterns returns finite float64s of either sign with every exponent alike.
func patterns(r *rand.Rand, n int) []float64 {
	xs := make([]float64, 0, n)
	for len(xs) < n {
		if x := math.Float64frombits(r.Uint64()); x-x == 0 {
			xs = append(xs, x)
		}
	}
	return xs
}

func abs(xs []float64) []float64 {
	for i, x := range xs {
		xs[i] = math.Abs(x)
	}
	return xs
}

func expInputs(r *rand.Rand, n int) []float64 {
	xs := spread(r, n, -746, 710)
	xs = append(xs, spread(r, n/2, -1, 1)...)
	xs = append(xs, spread(r, n/4, -746, -708)...) // subnormal results
	for k := -1074.0; k < 1025; k += 31 {          // where the reduction changes its k
		xs = append(xs, around(1, (k+0.5)*math.Ln2)...)
	}
	xs = append(xs, around(3, 0x1p-53, -0x1p-54, 709.782712893384, -745.1332191019411, -708.3964185322641, 1, -1, math.Ln2/2)...)
	return append(xs, 0, math.Copysign(0, -1), 5e-324, -5e-324)
}

func logInputs(r *rand.Rand, n int) []float64 {
	xs := abs(patterns(r, n))
	xs = append(xs, spread(r, n, 0.5, 2)...)
	xs = append(xs, spread(r, n/4, 1-0x1p-20, 1+0x1p-20)...)
	for j := 22.5; j <= 46; j += 0.5 { // where the table's index changes
		xs = append(xs, around(2, j/32)...)
	}
	xs = append(xs, around(4, 1, math.Sqrt2, math.Sqrt2/2, math.E, 10, 0x1p-1022)...)
	return append(xs, 5e-324, 1e-323, 0x1p-1023, math.MaxFloat64)
}

func angleInputs(r *rand.Rand, n int) []float64 {
	xs := spread(r, n, -maxAngle, maxAngle)
	xs = append(xs, spread(r, n, -7, 7)...)
	for e := -60; e < 20; e++ {
		x := math.Ldexp(1+r.Float64(), e)
		xs = append(xs, x, -x)
	}
	for range n / 4 { // near multiples of pi/4
		k := float64(r.IntN(2670000))
		xs = append(xs, around(1, min(k*(math.Pi/4), maxAngle-1))...)
	}
	// For each binade up to 2^20 the float64 nearest to a multiple of pi/2, from the
	// continued fractions of 2^e/(pi/2).
	xs = append(xs,
		0x1.921fb54442d18p+0, 0x1.921fb54442d18p+1, 0x1.2d97c7f3321d2p+2, 0x1.2d97c7f3321d2p+3,
		0x1.dd85a7410f58dp+4, 0x1.6c6cbc45dc8dep+5, 0x1.6c6cbc45dc8dep+6, 0x1.6c6cbc45dc8dep+7,
		0x1.6c6cbc45dc8dep+8, 0x1.6c6cbc45dc8dep+9, 0x1.6c6cbc45dc8dep+10, 0x1.6c6cbc45dc8dep+11,
		0x1.6c6cbc45dc8dep+12, 0x1.6c6cbc45dc8dep+13, 0x1.635e3d74befcap+14, 0x1.67e57cdd4dc54p+15,
		0x1.65a1dd290660fp+16, 0x1.bf9b3c6059d24p+17, 0x1.39c6fd67805a7p+18, 0x1.39c6fd67805a7p+19)
	return append(xs, maxAngle, -maxAngle, 0, math.Copysign(0, -1), 5e-324, 0x1p-27, -0x1p-28)
}

// powInputs are finite, with x > 0 and a result that is neither zero nor infinite.
func powInputs(r *rand.Rand, n int) [][2]float64 {
	var in [][2]float64
	put := func(x, y float64) {
		if v := y * math.Log(x); x > 0 && x < math.Inf(1) && y-y == 0 && v > -745 && v < 709.7 {
			in = append(in, [2]float64{x, y})
		}
	}
	for range n {
		put(r.Float64()*10, (r.Float64()-0.5)*200)
		x := math.Float64frombits(r.Uint64() >> 1)
		put(x, (r.Float64()-0.5)*2*745/math.Log(x))                               // any x, any result
		put(1+(r.Float64()-0.5)*0x1p-10, math.Ldexp(r.Float64()-0.5, r.IntN(64))) // x near 1, large y
		put(r.Float64(), math.Ldexp(r.Float64(), -r.IntN(1000)))
		// Decay rates to the power of a step count.
		put(1-math.Pow(10, -1-5*r.Float64()), float64(r.IntN(10_000_000)))
	}
	for _, beta := range []float64{0.5, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 0.999999} {
		for step := 1; step <= 10_000_000; step += 1 + step/7 {
			put(beta, float64(step))
		}
	}
	for _, x := range around(2, 1, 0.5, 2, math.E, 10, 0x1p-1022) {
		for _, y := range []float64{0.5, -0.5, 1, -1, 2, 3, -3, 1.0 / 3, 1e10, 1e-300, 5e-324, 0x1p53, -0x1p61} {
			put(x, y)
		}
	}
	return in
}

// TestReference checks the series themselves against digits published everywhere.
func TestReference(t *testing.T) {
	for _, c := range []struct {
		name string
		got  *big.Float
		want string
	}{
		{"ln 2", bigLn2, "0.69314718055994530941723212145817656807550013436026"},
		{"pi", bigPi, "3.1415926535897932384626433832795028841971693993751"},
		{"e", bigExp(bf(1)), "2.7182818284590452353602874713526624977572470937000"},
		{"ln 10", bigLog(bf(10)), "2.3025850929940456840179914546843642076011014886288"},
		{"sin 1", bigSin(bf(1), 0), "0.84147098480789650665250232163029899962256306079837"},
		{"cos 1", bigSin(bf(1), 1), "0.54030230586813971740093660744297660373231042061792"},
		{"sqrt 2", bigPow(2, 0.5), "1.4142135623730950488016887242096980785696718753769"},
	} {
		want, _, err := big.ParseFloat(c.want, 10, prec, big.ToNearestEven)
		if err != nil {
			t.Fatal(err)
		}
		if d := sub(c.got, want); d.Sign() != 0 && d.MantExp(nil) > -160 {
			t.Errorf("%s = %.50g, want %s", c.name, c.got, c.want)
		}
	}
}

// TestErrorBounds holds every function to its documented 1 ulp.
func TestErrorBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 1000
	worst := func(name string, f func(float64) float64, ref func(x *big.Float) *big.Float, xs []float64) {
		var most, at float64
		for _, x := range xs {
			want := ref(bf(x))
			u := ulps(f(x), want)
			if u > 1 {
				t.Errorf("%s(%x) = %x, want %.20g: off by %.3f ulp", name, x, f(x), want, u)
			}
			if u > most {
				most, at = u, x
			}
		}
		t.Logf("%s: at most %.3f ulp, at %x, over %d points", name, most, at, len(xs))
	}
	worst("Exp", Exp, bigExp, expInputs(r, n))
	worst("Log", Log, bigLog, logInputs(r, n))
	worst("Sin", Sin, func(x *big.Float) *big.Float { return bigSin(x, 0) }, angleInputs(r, n))
	worst("Cos", Cos, func(x *big.Float) *big.Float { return bigSin(x, 1) }, angleInputs(r, n))

	var most float64
	var at [2]float64
	in := powInputs(r, n/2)
	for _, p := range in {
		want := bigPow(p[0], p[1])
		u := ulps(Pow(p[0], p[1]), want)
		if u > 1 {
			t.Errorf("Pow(%x, %x) = %x, want %.20g: off by %.3f ulp", p[0], p[1], Pow(p[0], p[1]), want, u)
		}
		if u > most {
			most, at = u, p
		}
	}
	t.Logf("Pow: at most %.3f ulp, at %x, over %d points", most, at, len(in))
}

// TestLogTable works the table out again.
func TestLogTable(t *testing.T) {
	for i, e := range logTable {
		want := bigLog(quo(bf(float64(i+23)), bf(32)))
		if d := sub(sub(want, bf(e[0])), bf(e[1])); d.Sign() != 0 && d.MantExp(nil) > -95 {
			t.Errorf("log(%d/32) is off by %.3g", i+23, d)
		}
		if g := e[0] * (1 << 42); g != math.Trunc(g) {
			t.Errorf("log(%d/32): %x is no multiple of 2^-42", i+23, e[0])
		}
	}
}

// TestAgainstMath compares with package math, itself within an ulp or so, over
// many more points than the reference has time for.
func TestAgainstMath(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const n = 20_000
	near := func(name string, bound, got, want float64, in ...float64) {
		if u := ulps(got, bf(want)); u > bound {
			t.Errorf("%s(%x) = %x, package math has %x", name, in, got, want)
		}
	}
	for _, x := range expInputs(r, n) {
		if v := math.Exp(x); v >= 0x1p-1022 && v <= math.MaxFloat64 { // math.Exp flushes subnormals on arm64
			near("Exp", 2, Exp(x), v, x)
		}
	}
	for _, x := range logInputs(r, n) {
		if x >= 0x1p-1022 { // math.Log is wrong for subnormal x on amd64
			near("Log", 2, Log(x), math.Log(x), x)
		}
	}
	for _, x := range spread(r, n, -7, 7) {
		near("Sin", 2, Sin(x), math.Sin(x), x)
		near("Cos", 2, Cos(x), math.Cos(x), x)
	}
	for range n { // math.Pow multiplies its way up and loses digits
		x, y := r.Float64()*10, (r.Float64()-0.5)*20
		near("Pow", 10, Pow(x, y), math.Pow(x, y), x, y)
	}
}

// TestSpecials holds the special cases, Pow's over all pairs, to package math.
func TestSpecials(t *testing.T) {
	inf, nan, zero := math.Inf(1), math.NaN(), math.Copysign(0, -1)
	same := func(name string, got, want float64, in ...float64) {
		t.Helper()
		if math.Float64bits(got) != math.Float64bits(want) && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%s(%v) = %v, want %v", name, in, got, want)
		}
	}
	for _, x := range []float64{0, zero, inf, -inf, nan, 1, 710, 1e300, -746, -1e300} {
		same("Exp", Exp(x), math.Exp(x), x)
	}
	for _, x := range []float64{0, zero, inf, -inf, nan, 1, -1, -5e-324, -math.MaxFloat64} {
		same("Log", Log(x), math.Log(x), x)
	}
	for _, x := range []float64{inf, -inf, nan, math.Nextafter(maxAngle, inf), -maxAngle - 1, 1e300} {
		same("Sin", Sin(x), nan, x)
		same("Cos", Cos(x), nan, x)
	}
	same("Sin", Sin(0), 0, 0)
	same("Sin", Sin(zero), zero, zero)
	same("Sin", Sin(-5e-324), -5e-324, -5e-324)
	same("Cos", Cos(0), 1, 0)
	same("Cos", Cos(zero), 1, zero)

	xs := []float64{0, 1, 2, 3, 0.5, 1.5, inf, nan, 5e-324, math.MaxFloat64, 0x1p52 + 1, 0x1p53, 0x1p53 - 1, 0x1p63, 1 - 0x1p-53, 1 + 0x1p-52}
	for _, x := range xs {
		xs = append(xs, -x)
	}
	for _, x := range xs {
		for _, y := range xs {
			want := math.Pow(x, y)
			if want-want == 0 && want != 0 && x-x == 0 && y-y == 0 { // not special, and math.Pow is far off
				want = math.Copysign(Pow(math.Abs(x), y), want)
			}
			same("Pow", Pow(x, y), want, x, y)
		}
	}
}

// TestBits is the promise of the package: the bits of each result over thousands
// of inputs, the same wherever the test runs.
func TestBits(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const n = 2000
	// The inputs are made from bits by exact steps alone.
	fixed := func(lo, hi float64) []float64 {
		xs := make([]float64, n)
		for i := range xs {
			xs[i] = lo + float64((hi-lo)*float64(r.Uint64()>>11)*0x1p-53)
		}
		return xs
	}
	sum := func(values func(yield func(float64))) string {
		h := sha256.New()
		values(func(v float64) {
			b := math.Float64bits(v)
			if v != v {
				b = 0x7FF8000000000000
			}
			h.Write(binary.LittleEndian.AppendUint64(nil, b))
		})
		return hex.EncodeToString(h.Sum(nil))
	}
	each := func(f func(float64) float64, sets ...[]float64) string {
		return sum(func(yield func(float64)) {
			for _, xs := range sets {
				for _, x := range xs {
					yield(f(x))
				}
			}
		})
	}
	edge := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 5e-324, 1, -1, maxAngle, 710, -745, 0x1.6c6cbc45dc8dep+5}
	any := patterns(r, n)
	wide, unit, turn, small := fixed(-746, 710), fixed(0, 2), fixed(-8, 8), fixed(-0x1p-9, 0x1p-9)
	far := fixed(-maxAngle, maxAngle)
	pow := sum(func(yield func(float64)) {
		for i := range n {
			yield(Pow(unit[i], turn[i]*64))
			yield(Pow(1+small[i], far[i]))
			yield(Pow(math.Abs(any[i]), turn[i]))
		}
		for step := 1; step < 10_000_000; step += 1 + step/50 {
			yield(Pow(0.9, float64(step)))
			yield(Pow(0.999, float64(step)))
		}
		for _, x := range edge {
			for _, y := range edge {
				yield(Pow(x, y))
			}
		}
	})
	for _, c := range []struct{ name, got, want string }{
		{"Exp", each(Exp, edge, wide, turn, small, any), "75a239736b6e74fd73566c4c0e159840ed150a03c90f6c66d765d307bd225b61"},
		{"Log", each(Log, edge, unit, wide, any), "95d6ecee0a1410997a954427f8c2106cd76eaf0c8953a1c6092aab7ae4c538f5"},
		{"Sin", each(Sin, edge, turn, far, any), "aad12a3c14a1e709bf20981053e03b55a605d79ef0e83070fdb2529e6aa6ef62"},
		{"Cos", each(Cos, edge, turn, far, any), "0f39d7cffa2d5fdabf9ce65103ab1b97426a7c52777b4e62d60a08d24c419535"},
		{"Pow", pow, "a38b482c5e398180ef9a2b5843b585d3a3a995dd59a1a7d2323594fdee99716a"},
	} {
		if c.got != c.want {
			t.Errorf("%s: the results hash to %s, want %s", c.name, c.got, c.want)
		}
	}
}

func Benchmark(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	xs := spread(r, 1024, 0.01, 0.99)
	for _, f := range []struct {
		name string
		f    func(float64) float64
	}{
		{"Exp", Exp}, {"Log", Log}, {"Sin", Sin}, {"Cos", Cos},
		{"Pow", func(x float64) float64 { return Pow(x, 1000*x) }},
	} {
		b.Run(f.name, func(b *testing.B) {
			var sink float64
			for i := range b.N {
				sink += f.f(xs[i&1023])
			}
			if sink == 0 {
				b.Fatal("all results are zero")
			}
		})
	}
}
