package main

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
)

// BenchmarkGemm times the shapes of the command gemm. GFLOPS is the mean;
// flop/cycle, with one thread, is the third best of 50 rounds.
func BenchmarkGemm(b *testing.B) {
	_, how := newProductMeter(1)
	fmt.Println("cycles:", how) // a configuration line of the benchmark format
	for _, s := range allShapes() {
		for _, threads := range []kernels.Threads{1, 2} {
			b.Run(fmt.Sprintf("%v/threads=%d", s, threads), func(b *testing.B) {
				benchmarkProduct(b, &here{threads: threads, p: newProblem(s)})
			})
		}
	}
}

// BenchmarkGemmThreads times each shape on one thread and on two, a lap here and a
// lap there by turns, and reports the ratio of the times: of the fastest laps, and
// the median over the pairs.
func BenchmarkGemmThreads(b *testing.B) {
	const lapped, pairs = 1e8, 101 // flop a lap, at least
	for _, s := range gemmShapes {
		b.Run(s.String(), func(b *testing.B) {
			p := newProblem(s)
			reps := max(1, int(lapped/s.flops()))
			var ratios []float64
			best := [2]float64{math.Inf(1), math.Inf(1)}
			for b.Loop() {
				ratios = ratios[:0]
				for range max(11, min(pairs, int(pairs*lapped/s.flops()))) {
					var times [2]float64
					for i := range times {
						h := &here{threads: kernels.Threads(i + 1), p: p}
						h.once() // wakes the worker
						l, err := h.time(reps)
						if err != nil {
							b.Fatal(err)
						}
						times[i] = l.Elapsed
						best[i] = min(best[i], l.Elapsed)
					}
					ratios = append(ratios, times[0]/times[1])
				}
			}
			slices.Sort(ratios)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(best[0]/best[1], "best-ratio")
			b.ReportMetric(ratios[len(ratios)/2], "median-ratio")
		})
	}
}

// BenchmarkGemmEpilogue times what a layer does to its sums, forward, and to the
// gradients of its inputs, backward.
func BenchmarkGemmEpilogue(b *testing.B) {
	forward := newProblem(shape{m: 128, n: 100, k: 784})
	bias := forward.block[:forward.n]
	backward := newProblem(shape{m: 128, n: 100, k: 100, tB: kernels.Trans})
	y := forward.block[:backward.m*backward.n]
	for _, c := range []struct {
		name string
		p    *problem
		ep   kernels.Epilogue
	}{
		{"none", forward, kernels.Epilogue{}},
		{"bias", forward, kernels.Epilogue{Bias: bias}},
		{"bias+ReLU", forward, kernels.Epilogue{Bias: bias, Act: kernels.ActReLU}},
		{"bias+sigmoid", forward, kernels.Epilogue{Bias: bias, Act: kernels.ActSigmoid}},
		{"bias+tanh", forward, kernels.Epilogue{Bias: bias, Act: kernels.ActTanh}},
		{"none", backward, kernels.Epilogue{}},
		{"derivative of ReLU", backward, kernels.Epilogue{Deriv: kernels.ActReLU, Y: y, LdY: backward.n}},
		{"derivative of sigmoid", backward, kernels.Epilogue{Deriv: kernels.ActSigmoid, Y: y, LdY: backward.n}},
		{"derivative of tanh", backward, kernels.Epilogue{Deriv: kernels.ActTanh, Y: y, LdY: backward.n}},
	} {
		b.Run(fmt.Sprintf("%v/%s", c.p.shape, c.name), func(b *testing.B) { benchmarkProduct(b, &here{threads: 1, ep: c.ep, p: c.p}) })
	}
}

func benchmarkProduct(b *testing.B, h *here) {
	for b.Loop() {
		h.once()
	}
	b.ReportMetric(h.p.flops()*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")

	measure, _ := newProductMeter(int(h.threads))
	var rounds []float64
	for range 50 {
		speed, unit, err := round(h, h.p.shape, measure)
		if err != nil {
			b.Fatal(err)
		}
		if unit != "flop/cycle" {
			return
		}
		rounds = append(rounds, speed)
	}
	b.ReportMetric(fast(rounds), "flop/cycle")
}
