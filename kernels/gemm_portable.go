package kernels

import (
	"math"
	"sync"

	"github.com/lockstep-go/lockstep/internal/f32"
)

// The blocks of the portable GEMM: kc steps of k by nc columns of B, converted to
// float64, take 64 KiB.
const (
	portableKC = 128
	portableNC = 64
	portableNR = 4
)

// portablePanel is kc steps of nr columns of B, side by side.
type portablePanel [portableKC][portableNR]float64

type portableScratch struct {
	a [portableKC]float64 // kc steps of a row of alpha·op(A)
	b [portableNC / portableNR]portablePanel
}

var portableScratches = sync.Pool{New: func() any { return new(portableScratch) }}

// gemmPortable is [GemmFused] in plain Go, without the checks and on one thread.
//
// It is the meaning of the kernel: every element of C is a chain of fused
// multiply-adds in order of p. The blocks change no bit, since between two blocks
// of k an element waits in C as the float32 that it is.
func gemmPortable(tA, tB Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int, ep *Epilogue) {
	s := portableScratches.Get().(*portableScratch)
	defer portableScratches.Put(s)
	if alpha == 0 {
		k = 0
	}
	for j := 0; j < n; j += portableNC {
		nc := min(portableNC, n-j)
		for i := range m {
			row := c[i*ldc+j:][:nc]
			switch {
			case ep.Bias != nil:
				copy(row, ep.Bias[j:])
			case beta == 0:
				clear(row)
			case beta != 1:
				for x := range row {
					row[x] *= beta
				}
			}
		}
		for p := 0; p < k; p += portableKC {
			kc := min(portableKC, k-p)
			s.packB(tB, b, ldb, p, kc, j, nc)
			for i := range m {
				s.packA(tA, alpha, a, lda, i, p, kc)
				row := c[i*ldc+j:][:nc]
				for x := 0; x < nc; x += portableNR {
					microTile(s.a[:kc], s.b[x/portableNR][:kc], row[x:min(x+portableNR, nc)])
				}
			}
		}
		for i := range m {
			row := c[i*ldc+j:][:nc]
			if ep.Act != Identity {
				activate(ep.Act, row, row)
			}
			if ep.Deriv != Identity {
				derive(ep.Deriv, row, row, ep.Y[i*ep.LdY+j:][:nc])
			}
		}
	}
}

// packA sets s.a to alpha·op(A)[i, p:p+kc].
func (s *portableScratch) packA(t Transpose, alpha float32, a []float32, lda, i, p, kc int) {
	first, step := i*lda+p, 1
	if t {
		first, step = p*lda+i, lda
	}
	for q := range kc {
		s.a[q] = float64(float32(alpha * a[first+q*step])) // 1·a is a
	}
}

// packB sets s.b to op(B)[p:p+kc, j:j+nc]. What the last panel has beyond these
// columns stays what it was: the lanes that it goes to are not stored.
func (s *portableScratch) packB(t Transpose, b []float32, ldb, p, kc, j, nc int) {
	rowStep, colStep := ldb, 1
	if t {
		rowStep, colStep = 1, ldb
	}
	for x := 0; x < nc; x += portableNR {
		panel := &s.b[x/portableNR]
		for q := range kc {
			first := (p+q)*rowStep + (j+x)*colStep
			for y := range min(portableNR, nc-x) {
				panel[q][y] = float64(b[first+y*colStep])
			}
		}
	}
}

// microTile goes on with the chains of up to four neighbours in a row of C:
// c[x] = fma(a[q], b[q][x], c[x]) for q = 0 … len(a)-1.
//
// The product of two float32 is exact in float64. Its sum with c, rounded to
// float64 and again to float32, is the fused result except where misrounds says
// so, which is hardly ever: f32.FMA then does the step over.
func microTile(a []float64, b [][portableNR]float64, c []float32) {
	var acc [portableNR]float64
	for x, v := range c {
		acc[x] = float64(v)
	}
	c0, c1, c2, c3 := acc[0], acc[1], acc[2], acc[3]
	b = b[:len(a)]
	for q, a := range a {
		b := &b[q]
		s0, s1, s2, s3 := float64(a*b[0])+c0, float64(a*b[1])+c1, float64(a*b[2])+c2, float64(a*b[3])+c3
		if misrounds(s0) || misrounds(s1) || misrounds(s2) || misrounds(s3) {
			s0, s1, s2, s3 = fma(a, b[0], c0), fma(a, b[1], c1), fma(a, b[2], c2), fma(a, b[3], c3)
		}
		c0, c1, c2, c3 = float64(float32(s0)), float64(float32(s1)), float64(float32(s2)), float64(float32(s3))
	}
	acc = [portableNR]float64{c0, c1, c2, c3}
	for x := range c {
		c[x] = float32(acc[x])
	}
}

// misrounds reports whether an inexact sum that was rounded to s may go wrong when
// s is rounded to float32: s is a tie between two float32, which the exact sum need
// not be. Ties are the float64 whose 29 bits too many are 10…0; below the smallest
// normal float32, where ties are elsewhere, it is true of every s but zero.
func misrounds(s float64) bool {
	const smallestNormal = 0x3810000000000000 // the bits of 2^-126
	u := math.Float64bits(s)
	return u<<(64-29) == 1<<63 || u<<1-1 < smallestNormal<<1-1 // in u<<1 the sign is gone
}

// fma is f32.FMA for float32 that are kept as float64.
func fma(a, b, c float64) float64 {
	return float64(f32.FMA(float32(a), float32(b), float32(c)))
}
