// Command peer is spaGO's side of `go run ./bench versus --against spago`: the Go
// trainer without cgo that took the least time of those that were tried. It is a module
// of its own, so that no one else takes spaGO in. Not for Windows.
//
// Arguments and files are those of step.py beside it, without the library, and so is
// what goes over standard input and output.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"
	"github.com/nlpodyssey/spago/optimizers/adam"
	"github.com/nlpodyssey/spago/optimizers/sgd"
)

func main() {
	log.SetFlags(0)
	dir, rule := os.Args[1], os.Args[2]
	var sizes []int
	for _, arg := range os.Args[3:] {
		sizes = append(sizes, must(strconv.Atoi(arg)))
	}
	// How many threads there may be, sizes[0], is in GOMAXPROCS too.
	p := newPeer(dir, rule, sizes[1], sizes[2:])

	out := json.NewEncoder(os.Stdout)
	check(out.Encode(map[string]string{"version": version()}))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		steps := must(strconv.Atoi(in.Text()))
		var first, last float64
		user, start := userTime(), time.Now()
		for i := range steps {
			last = p.step()
			if i == 0 {
				first = last
			}
		}
		elapsed := time.Since(start)
		check(out.Encode(map[string]float64{
			"elapsed": elapsed.Seconds(), "user": (userTime() - user).Seconds(), "first": first, "last": last,
		}))
	}
}

// peer trains a network.
type peer struct {
	inputs, targets []mat.Tensor // of each batch
	done            int          // steps
	params          []*nn.Param  // weights, inputs by outputs, and biases, a row, by turns
	column, classes mat.Tensor   // ones, for each sample and for each class
	share           mat.Tensor   // that a sample has in the loss
	update          func(*nn.Param) error
	next            func() // after an update
}

func newPeer(dir, rule string, batch int, widths []int) *peer {
	classes := widths[len(widths)-1]
	p := &peer{
		column: matrix(batch, 1, ones(batch)), classes: matrix(classes, 1, ones(classes)), share: mat.Scalar(1 / float32(batch)),
		next: func() {},
	}
	x, labels := read[float32](dir, "inputs.f32"), read[int32](dir, "labels.i32")
	for ; len(labels) > 0; labels = labels[batch:] {
		p.inputs = append(p.inputs, matrix(batch, widths[0], x))
		x = x[batch*widths[0]:]
		y := make([]float32, batch*classes)
		for row, label := range labels[:batch] {
			y[row*classes+int(label)] = 1
		}
		p.targets = append(p.targets, matrix(batch, classes, y))
	}
	params := read[float32](dir, "params.f32")
	for i, out := range widths[1:] {
		for _, rows := range []int{widths[i], 1} {
			p.params = append(p.params, nn.NewParam(matrix(rows, out, params)))
			params = params[rows*out:]
		}
	}
	switch rule {
	case "sgd":
		p.update = sgd.New[float32](sgd.NewConfig(0.01, 0, false)).OptimizeParams
	case "adam":
		rule := adam.New(adam.NewConfig(0.001, 0.9, 0.999, 1e-7))
		p.update, p.next = rule.OptimizeParams, rule.IncExample
	default:
		log.Fatalf("no update rule %s", rule)
	}
	return p
}

// step trains on the next batch and returns the loss before the update. A batch goes
// through the network as one matrix, samples by features; so the biases are spread over
// the rows by a product, and the cross-entropy is put together from matrices.
func (p *peer) step() float64 {
	i := p.done % len(p.inputs)
	p.done++
	z := p.inputs[i]
	for layer := 0; layer < len(p.params); layer += 2 {
		if layer > 0 {
			z = ag.ReLU(z)
		}
		z = ag.Add(ag.Mul(z, p.params[layer]), ag.Mul(p.column, p.params[layer+1]))
	}
	total, right := ag.Mul(ag.Exp(z), p.classes), ag.Mul(ag.Prod(z, p.targets[i]), p.classes)
	loss := ag.ProdScalar(ag.ReduceSum(ag.Sub(ag.Log(total), right)), p.share)
	value := float64(loss.Value().Item().F32())
	check(ag.Backward(loss))
	var group sync.WaitGroup
	for _, param := range p.params {
		group.Go(func() { check(p.update(param)) })
	}
	group.Wait()
	p.next()
	return value
}

// matrix returns a matrix in the memory of x, or the start of it.
func matrix(rows, cols int, x []float32) *mat.Dense[float32] {
	return mat.NewDense[float32](mat.WithShape(rows, cols), mat.WithBacking(x[:rows*cols:rows*cols]))
}

func ones(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// read returns the numbers of a file.
func read[T any](dir, name string) []T {
	content := must(os.ReadFile(filepath.Join(dir, name)))
	x := make([]T, len(content)/4)
	check(binary.Read(bytes.NewReader(content), binary.NativeEndian, x))
	return x
}

// version returns spaGO's.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/nlpodyssey/spago" {
				return module.Version
			}
		}
	}
	return ""
}

// userTime returns the processor time that this process has spent in user mode.
func userTime() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}
