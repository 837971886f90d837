package main

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
	"github.com/lockstep-go/lockstep/internal/parallel"
	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

// BenchmarkOptim times a step of each rule on one vector, by turns with a kernel that
// reads and writes as many vectors in the same loop and hardly computes, and with a
// plain copy. Reported are, of the fastest laps but two: cycles a parameter where they
// can be known, the ratio to that kernel, its speed and the copy's. The gradients are
// not looked through; "adam/looking" and "adam/clipping" show what that costs, and
// "adam/subnormal" what state costs that is too small for a normal number.
func BenchmarkOptim(b *testing.B) {
	_, how := newProductMeter(1)
	fmt.Println("cycles:", how) // a configuration line of the benchmark format
	if cpu.Active() == cpu.Portable {
		b.Fatalf("the kernels to compare with are assembly, and %s=%s has none", cpu.EnvISA, kernels.ISA())
	}
	sizes := []int{4_000, 100_000, 1_000_000, 25_000_000}
	unchecked := optim.Common{Guard: optim.Guard{Unchecked: true}}
	for _, name := range optim.Names() {
		benchmarkRule(b, name, sizes, func(n int) *optim.Rule {
			matrix := []optim.Tensor{{Rows: n / 100, Cols: 100}} // Adafactor and Muon do less for a vector
			rule, err := optim.New(name, matrix, map[string]float64{"unchecked": 1})
			if err != nil {
				b.Fatal(err)
			}
			return rule
		}, 1)
	}
	for _, c := range []struct {
		name   string
		common optim.Common
		size   float32 // of the gradients
	}{
		{"adam/looking", optim.Common{}, 1},
		{"adam/clipping", optim.Common{Guard: optim.Guard{ClipNorm: 1}}, 1},
		{"adam/L2", optim.Common{Guard: unchecked.Guard, L2: 0.01}, 1},
		{"adam/subnormal", unchecked, 1e-21},
	} {
		benchmarkRule(b, c.name, sizes, func(n int) *optim.Rule {
			return optim.NewAdam(n, optim.AdamOptions{Common: c.common})
		}, c.size)
	}
}

func benchmarkRule(b *testing.B, name string, sizes []int, rule func(n int) *optim.Rule, size float32) {
	for _, n := range sizes {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/n=%d/threads=%d", name, n, threads), func(b *testing.B) {
				r := rule(n)
				params, grads := kernels.Make(n), kernels.Make(n)
				for i := range params {
					params[i], grads[i] = float32(i%17)/17+0.1, size*float32(i%13-6)
				}
				s := &stream{vectors: [][]float32{params}, grads: grads, threads: threads}
				for _, v := range r.State().Vectors {
					if len(v) == n {
						s.vectors = append(s.vectors, v)
					}
				}
				from, to := kernels.Make(n), kernels.Make(n)
				copy(from, params)
				limit := kernels.Threads(threads)
				step := func() {
					if err := r.Step(params, grads, limit); err != nil {
						b.Fatal(err)
					}
				}
				for b.Loop() {
					step()
				}
				measure, _ := newProductMeter(threads)
				cycles, times := raceLaps(b, n, measure, step, s.run, func() { copy(to, from) })
				if cycles > 0 {
					b.ReportMetric(cycles/float64(n), "cycles/param")
				}
				b.ReportMetric(times[0]/float64(n)*1e9, "ns/param")
				b.ReportMetric(times[0]/times[1], "ratio")
				b.ReportMetric(float64(4*n*(2*len(s.vectors)+1))/times[1]/1e9, "stream-GB/s")
				b.ReportMetric(float64(8*n)/times[2]/1e9, "copy-GB/s")
			})
		}
	}
}

// raceLaps times calls of the functions, a lap here and a lap there by turns, and
// returns the third fastest time of each, and the cycles of the first.
func raceLaps(b *testing.B, n int, measure meter, each ...func()) (cycles float64, times []float64) {
	reps := max(1, 2_000_000/n)
	rounds := min(60, max(8, 200_000_000/n))
	laps := make([][]float64, len(each))
	var counts []float64
	order := []int{0, 1, 2}
	for range rounds {
		slices.Reverse(order) // so that none always comes after the same other
		for _, i := range order {
			f := each[i]
			f() // fetches what the others have put out of the caches
			c, l, err := measure(os.Getpid(), func() (lap, error) {
				used, start := processorTime(), time.Now()
				for range reps {
					f()
				}
				return lap{Elapsed: time.Since(start).Seconds(), User: (processorTime() - used).Seconds()}, nil
			})
			if err != nil {
				b.Fatal(err)
			}
			laps[i] = append(laps[i], l.Elapsed/float64(reps))
			if i == 0 {
				counts = append(counts, c/float64(reps))
			}
		}
	}
	third := func(x []float64) float64 { return slices.Sorted(slices.Values(x))[2] }
	for _, l := range laps {
		times = append(times, third(l))
	}
	return third(counts), times
}

// stream reads and writes vectors as an update rule does.
type stream struct {
	vectors [][]float32
	grads   []float32
	threads int
}

func (s *stream) run() { parallel.Run(s.threads, len(s.grads), 1<<14, s) }

// Range does the elements lo to hi.
func (s *stream) Range(lo, hi int) {
	at := func(i int) *float32 { return &s.vectors[i][lo] }
	isa, n, g := cpu.Active(), hi-lo, &s.grads[lo]
	switch len(s.vectors) {
	case 1:
		asm.Stream2(isa, n, at(0), g)
	case 2:
		asm.Stream3(isa, n, at(0), at(1), g)
	case 3:
		asm.Stream4(isa, n, at(0), at(1), at(2), g)
	case 4:
		asm.Stream5(isa, n, at(0), at(1), at(2), at(3), g)
	default:
		panic(fmt.Sprintf("no kernel for %d vectors", len(s.vectors)))
	}
}
