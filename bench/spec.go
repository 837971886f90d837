package main

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-go/lockstep/internal/mnist"
	"github.com/lockstep-go/lockstep/nn"
)

// spec is a network of affine layers and ReLU, and a batch size.
type spec struct {
	name   string
	widths []int // the inputs first
	batch  int
}

// allSpecs are those that --nets all stands for: of three sizes on MNIST, and three
// that are so small that a step is mostly not arithmetic.
var allSpecs = []string{
	"784-100x4-10/128", "784-512x2-10/128", "784-1024x3-10/256",
	"4-32-16-4/64", "2-32x2-2/32", "24-8-2/1",
}

// parseSpec reads widths with dashes between, 100x4 being 100 four times, and behind a
// slash the batch size.
func parseSpec(name string) (spec, error) {
	s := spec{name: name}
	widths, batch, _ := strings.Cut(name, "/")
	for part := range strings.SplitSeq(widths, "-") {
		width, times, repeated := strings.Cut(part, "x")
		n, some := size(width), 1
		if repeated {
			some = min(size(times), 1000)
		}
		if n == 0 || some == 0 {
			return s, errSpec
		}
		s.widths = append(s.widths, slices.Repeat([]int{n}, some)...)
	}
	if s.batch = size(batch); s.batch == 0 || len(s.widths) < 2 || s.widths[len(s.widths)-1] < 2 {
		return s, errSpec
	}
	return s, nil
}

var errSpec = errors.New("want all, or widths and a batch size as in 784-100x4-10/128")

// size reads a number of 1 to maxSize; it returns 0 if the text is none.
func size(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxSize {
		return 0
	}
	return n
}

// batches returns some batches, of samples of the set where that has as many pixels
// and classes as the network inputs and outputs, or else of random numbers.
func (s spec) batches(set *mnist.Set, seed uint64) []nn.Data {
	in, classes := s.widths[0], s.widths[len(s.widths)-1]
	batches := make([]nn.Data, max(1, min(50, 1<<24/(s.batch*in))))
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range batches {
		b := &batches[i]
		if in == set.Width*set.Height && classes == set.Classes {
			b.Draw(samples(set), s.batch, seed, uint32(i))
			continue
		}
		b.Rows, b.X, b.Labels = s.batch, make([]float32, s.batch*in), make([]int32, s.batch)
		for j := range b.X {
			b.X[j] = random.Float32()
		}
		for j := range b.Labels {
			b.Labels[j] = int32(random.IntN(classes))
		}
	}
	return batches
}
