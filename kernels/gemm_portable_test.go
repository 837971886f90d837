package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-go/lockstep/internal/f32"
	"github.com/lockstep-go/lockstep/internal/f32/f32test"
)

// gemmByElement is the numeric contract of GEMM word for word.
func gemmByElement(tA, tB Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int, ep *Epilogue) {
	for i := range m {
		for j := range n {
			var v float32
			switch {
			case ep.Bias != nil:
				v = ep.Bias[j]
			case beta == 1:
				v = c[i*ldc+j]
			case beta != 0:
				v = beta * c[i*ldc+j]
			}
			for p := 0; p < k && alpha != 0; p++ {
				x, y := i*lda+p, p*ldb+j
				if tA {
					x = p*lda + i
				}
				if tB {
					y = j*ldb + p
				}
				ax := a[x]
				if alpha != 1 {
					ax = alpha * ax
				}
				v = f32.FMA(ax, b[y], v)
			}
			c[i*ldc+j] = v
		}
		row := c[i*ldc:][:n]
		activate(ep.Act, row, row)
		if ep.Deriv != Identity {
			derive(ep.Deriv, row, row, ep.Y[i*ep.LdY:][:n])
		}
	}
}

// portableValues are kinds of matrix elements.
var portableValues = []struct {
	name string
	f    func(r *rand.Rand) float32
}{
	{"normal", func(r *rand.Rand) float32 { return float32(r.NormFloat64()) }},
	// Sums of products of such numbers are often ties.
	{"few bits", func(r *rand.Rand) float32 {
		return float32(math.Ldexp(float64(r.IntN(1<<13)-1<<12), r.IntN(24)-24))
	}},
	{"small", func(r *rand.Rand) float32 { return float32(math.Ldexp(r.NormFloat64(), -50-r.IntN(40))) }},
	{"any bits", func(r *rand.Rand) float32 { return math.Float32frombits(r.Uint32()) }},
	{"specials", func(r *rand.Rand) float32 {
		s := [...]float32{0, math.Float32frombits(1 << 31), 1, -1, 0x1p-149, -0x1p-126, math.MaxFloat32, 0x1p-74}
		if r.IntN(40) == 0 {
			return float32(math.Inf(r.IntN(2)*2 - 1))
		}
		return s[r.IntN(len(s))]
	}},
}

func TestGemmPortable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	nan := float32(math.NaN())
	pick := func(v ...int) int { return v[r.IntN(len(v))] }
	values := func(n int, f func(*rand.Rand) float32) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = f(r)
		}
		return x
	}
	for try := range 1500 {
		kind := portableValues[try%len(portableValues)]
		m := pick(0, 1, 2, 3, 5, 8, r.IntN(20))
		n := pick(0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 66, 130, r.IntN(150))
		k := pick(0, 1, 2, 3, 127, 128, 129, 257, r.IntN(40), r.IntN(300))
		tA, tB := Transpose(r.IntN(2) == 0), Transpose(r.IntN(2) == 0)
		alpha, beta := []float32{1, 1, 0, -1, 0.3, 0x1p-30, nan}[r.IntN(7)], []float32{0, 0, 1, -1, 0.7, nan}[r.IntN(6)]
		ep := &Epilogue{}
		name := fmt.Sprintf("%s, tA %v, tB %v, %d×%d×%d, alpha %v, beta %v", kind.name, tA, tB, m, n, k, alpha, beta)
		if beta == 0 && r.IntN(2) == 0 {
			ep.Bias = values(n, kind.f)
			name += ", bias"
		}
		switch r.IntN(4) {
		case 0:
			ep.Act = pickActivation(r)
			name += fmt.Sprintf(", act %v", ep.Act)
		case 1:
			ep.Deriv, ep.LdY = pickActivation(r), n+r.IntN(3)
			ep.Y = values(m*ep.LdY, kind.f)
			name += fmt.Sprintf(", derivative %v", ep.Deriv)
		}
		lda, ldb, ldc := k+r.IntN(3), n+r.IntN(3), n+r.IntN(3)
		sizeA, sizeB := m*lda, k*ldb
		if tA {
			lda = m + r.IntN(3)
			sizeA = k * lda
		}
		if tB {
			ldb = k + r.IntN(3)
			sizeB = n * ldb
		}
		a, b := values(sizeA, kind.f), values(sizeB, kind.f)
		if alpha == 0 {
			a, b = nil, nil // not read
		}
		want := values(m*ldc, kind.f)
		if beta == 0 {
			for i := range want {
				want[i] = nan
			}
		}
		got := append([]float32(nil), want...)
		gemmByElement(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, want, ldc, ep)
		gemmPortable(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, got, ldc, ep)
		for i := range want { // what lies between the rows included
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
				t.Fatalf("%s: C[%d, %d] = %x, want %x", name, i/ldc, i%ldc, got[i], want[i])
			}
		}
	}
}

// TestGemmPortableStep puts the cases of the fused multiply-add through each lane
// of the micro-tile.
func TestGemmPortableStep(t *testing.T) {
	count := 0
	f32test.Cases(2, func(x, y, z float32) bool {
		lane := count % portableNR
		var b, c [portableNR]float32
		b[lane], c[lane] = y, z
		gemmPortable(NoTrans, NoTrans, 1, portableNR, 1, 1, []float32{x}, 1, b[:], portableNR, 1, c[:], portableNR, &Epilogue{})
		want := f32.FMA(x, y, z)
		if got := c[lane]; math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
			t.Errorf("lane %d: fma(%x, %x, %x) = %x, want %x", lane, x, y, z, got, want)
		}
		count++
		return count < 400_000 && !t.Failed()
	})
}

func TestGemmPortableDoesNotAllocate(t *testing.T) {
	const n = 70
	a, c := make([]float32, n*n), make([]float32, n*n)
	ep := &Epilogue{}
	if got := testing.AllocsPerRun(50, func() {
		gemmPortable(NoTrans, Trans, n, n, n, 2, a, n, a, n, 0, c, n, ep)
	}); got != 0 {
		t.Errorf("a call allocates %v times, want 0", got)
	}
}

func BenchmarkGemmPortable(b *testing.B) {
	const m, n, k = 128, 100, 784
	r := rand.New(rand.NewPCG(1, 1))
	x, w, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
	for i := range x {
		x[i] = r.Float32()
	}
	for i := range w {
		w[i] = float32(r.NormFloat64())
	}
	for _, v := range []struct {
		name string
		tA   Transpose
		lda  int
		tB   Transpose
		ldb  int
	}{{"NN", NoTrans, k, NoTrans, n}, {"NT", NoTrans, k, Trans, k}, {"TN", Trans, m, NoTrans, n}} {
		b.Run(v.name, func(b *testing.B) {
			for range b.N {
				gemmPortable(v.tA, v.tB, m, n, k, 1, x, v.lda, w, v.ldb, 0, c, n, &Epilogue{})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(m*n*k), "ns/fma")
		})
	}
}
