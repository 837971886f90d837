package main

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/lockstep-go/lockstep/internal/mnist"
)

// BenchmarkStep times a training step of the networks of the command versus, without the
// other sides. Reported are the mean and, as best-µs, that of the fastest lap of some 2 ms.
func BenchmarkStep(b *testing.B) {
	set, _, err := mnist.Embedded()
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range allSpecs {
		s, err := parseSpec(name)
		if err != nil {
			b.Fatal(err)
		}
		batches := s.batches(set, 1)
		for _, optimizer := range []string{"sgd", "adam"} {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/%s/threads=%d", name, optimizer, threads), func(b *testing.B) {
					here, err := lockstep(s, 1, batches, optimizer, threads)
					if err != nil {
						b.Fatal(err)
					}
					if err := here.calibrate(2 * time.Millisecond); err != nil {
						b.Fatal(err)
					}
					b.ReportAllocs()
					b.ResetTimer()
					best := math.Inf(1)
					for left := b.N; left > 0; left -= here.steps {
						steps := min(here.steps, left)
						l, err := here.train(steps)
						if err != nil {
							b.Fatal(err)
						}
						best = min(best, l.Elapsed/float64(steps))
					}
					b.ReportMetric(best*1e6, "best-µs")
				})
			}
		}
	}
}
