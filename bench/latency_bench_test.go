package main

import (
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

// BenchmarkLatency reports what the program's other goroutines feel while each kind of
// kernel keeps all processors in assembly: how long a forced garbage collection stops the
// world, each of its two times, and how long a goroutine that could run waits for a
// processor. Go's own loop, which the scheduler can interrupt anywhere, is the yardstick:
// what it takes is the machine's and the scheduler's doing. Where other programs want the
// processors, so are all but the lowest numbers: a tenth of the stops are as short as p10.
//
// The longest stops are not assembly's: the same kernels in plain Go, by
// LOCKSTEP_ISA=portable, take as long. While a kernel's threads come and go, the system
// at times has two of them take turns on one processor, a slice of some milliseconds each.
func BenchmarkLatency(b *testing.B) {
	b.Run("Go's own loop", func(b *testing.B) {
		benchmarkLatency(b, runtime.GOMAXPROCS(0), func() { runtime.KeepAlive(multiply(3, 1<<20)) })
	})
	for _, k := range latencyKernels() {
		b.Run(strings.ReplaceAll(k.name, " ", "_"), func(b *testing.B) { benchmarkLatency(b, 1, k.run) })
	}
}

type latencyKernel struct {
	name string
	run  func()
}

// latencyKernels are calls of every kernel, on long vectors, and on matrices of usual
// and of few columns.
func latencyKernels() (list []latencyKernel) {
	const n = 1 << 21
	add := func(name string, run func()) { list = append(list, latencyKernel{name, run}) }
	var v [5][]float32
	for i := range v {
		v[i] = make([]float32, n)
		for j := range v[i] {
			v[i][j] = float32((j+i)%17)/17 + 0.1
		}
	}
	dst, x, y, z, w := v[0], v[1], v[2], v[3], v[4]

	add("Exp", func() { kernels.Exp(dst, x) })
	add("Log", func() { kernels.Log(dst, x) })
	for _, act := range []kernels.Activation{
		kernels.Identity, kernels.ActReLU, kernels.ActSigmoid, kernels.ActTanh, kernels.ActSoftplus, kernels.ActGELU,
		kernels.ActGELUTanh, kernels.ActSiLU, kernels.ActLeakyReLU(0.01), kernels.ActELU(1),
	} {
		add("Activate "+act.String(), func() { kernels.Activate(act, dst, x) })
		add("Derive "+act.String(), func() { kernels.Derive(act, dst, x, y) })
	}
	add("Lerp", func() { kernels.Lerp(dst, x, 0.3) })
	add("Scale", func() { kernels.Scale(dst, x, 0.3) })
	add("Factored", func() { kernels.Factored(dst, x, y, 0.7, 1e-3) })
	add("InverseRoot", func() { kernels.InverseRoot(dst, x, 1e-5) })
	add("SumSquares", func() { kernels.SumSquares(x) })
	add("SumAbs", func() { kernels.SumAbs(x) })
	squares := make([]float64, n)
	add("AddSquares", func() { kernels.AddSquares(squares, x) })
	add("Adjust", func() { kernels.Adjust(x, dst, y, kernels.GradCoef{Scale: 0.5}) })
	add("SquaredError", func() { kernels.SquaredError(dst, x, y, 1) })
	add("AbsoluteError", func() { kernels.AbsoluteError(dst, x, y, 1) })
	add("HuberError", func() { kernels.HuberError(dst, x, y, 0.3, 1) })
	add("LogisticError", func() { kernels.LogisticError(dst, x, y, 1) })
	for _, name := range optim.Names() {
		rule, err := optim.New(name, []optim.Tensor{{Rows: n / 100, Cols: 100}}, nil)
		if err != nil {
			panic(err)
		}
		params, grads := make([]float32, n/100*100), x[:n/100*100]
		add("update "+name, func() {
			if err := rule.Step(params, grads); err != nil {
				panic(err)
			}
		})
	}

	for _, cols := range []int{1, 10, 1000} {
		rows := n / cols
		add := func(name string, run func()) { add(fmt.Sprintf("%s, %d columns", name, cols), run) }
		loss, label := make([]float64, rows), make([]int32, rows)
		mean, inverse := z[:rows], w[:rows]
		params := [4][]float32{}
		for i := range params {
			params[i] = slices.Repeat([]float32{0.5}, cols)
		}
		a, b, c, d := params[0], params[1], params[2], params[3]
		add("Softmax", func() { kernels.Softmax(rows, cols, dst, cols, x, cols) })
		add("SoftmaxGrad", func() { kernels.SoftmaxGrad(rows, cols, dst, cols, x, cols, y, cols) })
		add("SoftmaxCrossEntropy", func() { kernels.SoftmaxCrossEntropy(rows, cols, loss, dst, cols, x, cols, label, 1) })
		add("SoftCrossEntropy", func() { kernels.SoftCrossEntropy(rows, cols, loss, dst, cols, x, cols, y, cols, 1) })
		add("Moments", func() { kernels.Moments(rows, cols, c, d, x, cols) })
		add("Normalize", func() { kernels.Normalize(rows, cols, dst, cols, x, cols, a, b, a, b) })
		add("NormalizeGrad", func() { kernels.NormalizeGrad(rows, cols, dst, cols, c, d, x, cols, y, cols, a, b, a) })
		add("LayerNorm", func() { kernels.LayerNorm(rows, cols, dst, cols, x, cols, a, b, nil, nil, 1e-5) })
		add("LayerNormGrad", func() { kernels.LayerNormGrad(rows, cols, dst, cols, x, cols, y, cols, mean, inverse, a) })
		add("LayerNormParams", func() { kernels.LayerNormParams(rows, cols, c, d, x, cols, y, cols, mean, inverse) })
		add("Dropout", func() { kernels.Dropout(rows, cols, dst, cols, x, cols, kernels.DropoutMask{Rate: 0.5}, 2) })
		add("SumRows", func() { kernels.SumRows(rows, cols, c, x, cols) })
		add("AddRows", func() { kernels.AddRows(rows, cols, d, x, cols) })
	}

	for _, s := range []shape{
		{m: 1024, n: 1024, k: 1024}, {m: 1024, n: 1024, k: 1024, tA: kernels.Trans}, {m: 1024, n: 1024, k: 1024, tB: kernels.Trans},
		{m: 1024, n: 1024, k: 1024, tA: kernels.Trans, tB: kernels.Trans},
		{m: 8192, n: 10, k: 1024}, {m: 10, n: 8192, k: 1024}, {m: 1, n: 8192, k: 8192}, {m: 8192, n: 1, k: 8192}, {m: 1, n: 8192, k: 8192, tB: kernels.Trans},
		{m: 10, n: 10, k: 1 << 18}, {m: 10, n: 10, k: 1 << 18, tA: kernels.Trans}, {m: 1, n: 1, k: 1 << 20},
	} {
		product := &here{p: newProblem(s)}
		add("product "+s.String(), product.once)
	}
	for _, act := range []kernels.Activation{kernels.ActTanh, kernels.ActGELU} {
		product := &here{p: newProblem(shape{m: 1024, n: 1024, k: 64}), ep: kernels.Epilogue{Act: act}}
		add("product with "+act.String(), product.once)
	}
	return list
}

// benchmarkLatency runs f all the time, on so many goroutines.
func benchmarkLatency(b *testing.B, goroutines int, f func()) {
	f()
	var busy sync.WaitGroup
	var stop atomic.Bool
	for range goroutines {
		busy.Go(func() {
			for !stop.Load() {
				f()
			}
		})
	}
	const stops, waits = "/sched/pauses/total/gc:seconds", "/sched/latencies:seconds"
	stopped, waited := histogram(stops), histogram(waits)
	for b.Loop() {
		runtime.GC()
		runtime.Gosched()
	}
	stop.Store(true)
	busy.Wait()
	for _, m := range []struct {
		name   string
		before *metrics.Float64Histogram
		unit   string
	}{{stops, stopped, "STW"}, {waits, waited, "wait"}} {
		after := histogram(m.name)
		for i := range after.Counts {
			after.Counts[i] -= m.before.Counts[i]
		}
		b.ReportMetric(1e6*quantile(after.Buckets, after.Counts, 0.1), m.unit+"-p10-µs")
		b.ReportMetric(1e6*quantile(after.Buckets, after.Counts, 0.5), m.unit+"-p50-µs")
		b.ReportMetric(1e6*quantile(after.Buckets, after.Counts, 1), m.unit+"-max-µs")
	}
}

// histogram returns one of the runtime's: how long the world stopped for garbage
// collection, from the decision until it ran again, or how long goroutines waited.
func histogram(name string) *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

// quantile returns an upper bound for the q-quantile: where the bucket ends that
// it is in. The buckets are a fifth wide or so.
func quantile(buckets []float64, counts []uint64, q float64) float64 {
	total := uint64(0)
	for _, n := range counts {
		total += n
	}
	rank := max(1, uint64(math.Ceil(q*float64(total))))
	for i, n := range counts {
		if n >= rank {
			return buckets[i+1]
		}
		rank -= n
	}
	return math.NaN()
}
