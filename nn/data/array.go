package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/lockstep-go/lockstep/internal/file"
	"github.com/lockstep-go/lockstep/nn"
)

// Array is numbers with a shape.
type Array struct {
	Shape []int     // the dimensions, none of them for a single number
	X     []float32 // row-major, as many as the product of the dimensions
}

// check returns an error unless the array has as many numbers as its shape says.
func (a *Array) check() error {
	n, err := product(a.Shape)
	if err == nil && n != len(a.X) {
		err = fmt.Errorf("len(X) = %d, want the %d of the shape %v", len(a.X), n, a.Shape)
	}
	return err
}

// product multiplies dimensions. Those that are not 0 must not overflow, so that the
// product of some of them does not either.
func product(shape []int) (int, error) {
	const most = math.MaxInt / 16 // as float64, or a file of them, still in the address space
	n, zero := 1, false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, fmt.Errorf("the shape %v, want dimensions of at least 0", shape)
		case d == 0:
			zero = true
		case d > most/n:
			return 0, fmt.Errorf("the shape %v, want a product of at most %d", shape, most)
		default:
			n *= d
		}
	}
	if zero {
		n = 0
	}
	return n, nil
}

// Labels returns the numbers as labels. It is an error if one is not a whole number from
// 0 to 2²⁴-1, up to which a float32 is exact.
func (a *Array) Labels() ([]int32, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, fmt.Errorf("data.Array.Labels: %w", err)
	}
	return labels, nil
}

func (a *Array) labels() ([]int32, error) {
	labels := make([]int32, len(a.X))
	for i, v := range a.X {
		if !(v >= 0 && v < 1<<24) || v != float32(int32(v)) {
			return nil, fmt.Errorf("label %d of %d is %v, want a whole number from 0 to %d", i+1, len(a.X), v, 1<<24-1)
		}
		labels[i] = int32(v)
	}
	return labels, nil
}

// WithLabels makes samples of inputs and labels. The first dimension of each is the
// samples; a sample's inputs are the rest of x's. The inputs are not copied.
//
// Shapes: x: Rows×…; labels: Rows, or Rows×1.
//
// It is an error if the shapes are others, x has no inputs, or [Array.Labels] finds one.
func WithLabels(x, labels *Array) (*nn.Data, error) {
	d, err := withInputs(x, labels, "labels")
	if err == nil && len(labels.X) != d.Rows {
		err = fmt.Errorf("labels of the shape %v, want one for each of the %d rows", labels.Shape, d.Rows)
	}
	if err == nil {
		d.Labels, err = labels.labels()
	}
	if err != nil {
		return nil, fmt.Errorf("data.WithLabels: %w", err)
	}
	return d, nil
}

// WithTargets makes samples of inputs and targets. The first dimension of each is the
// samples; a sample's inputs and its targets are the rest. Neither is copied.
//
// Shapes: x: Rows×…; targets: Rows×…, or Rows.
//
// It is an error if the shapes are others, or x has no inputs or targets no numbers.
func WithTargets(x, targets *Array) (*nn.Data, error) {
	d, err := withInputs(x, targets, "targets")
	if err == nil && len(targets.X) == 0 {
		err = fmt.Errorf("targets of the shape %v, want at least one for each of the %d rows", targets.Shape, d.Rows)
	}
	if err != nil {
		return nil, fmt.Errorf("data.WithTargets: %w", err)
	}
	d.Targets = targets.X
	return d, nil
}

// withInputs makes samples of the inputs, and checks that there are as many of y.
func withInputs(x, y *Array, what string) (*nn.Data, error) {
	if err := x.check(); err != nil {
		return nil, fmt.Errorf("inputs: %w", err)
	}
	if err := y.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if len(x.Shape) == 0 || len(x.X) == 0 {
		return nil, fmt.Errorf("inputs of the shape %v, want at least one row and one column", x.Shape)
	}
	if len(y.Shape) == 0 || y.Shape[0] != x.Shape[0] {
		return nil, fmt.Errorf("%s of the shape %v, want %d rows as the inputs have in %v", what, y.Shape, x.Shape[0], x.Shape)
	}
	return &nn.Data{Rows: x.Shape[0], X: x.X}, nil
}

// element is how a number lies in a file.
type element struct {
	kind  byte // 'f', 'i', 'u' or 'b', as NumPy has it
	size  int  // bytes
	order binary.ByteOrder
}

// decode appends the numbers of b, which are the elements from number at on, to dst. Each
// is rounded once. A number too large for float32 is an error.
func (e element) decode(dst []float32, b []byte, at int) ([]float32, error) {
	for i := 0; i < len(b); i += e.size {
		var v float32
		switch p := b[i:]; {
		case e.kind == 'b':
			if p[0] != 0 {
				v = 1
			}
		case e.kind == 'u' && e.size == 1:
			v = float32(p[0])
		case e.kind == 'u' && e.size == 2:
			v = float32(e.order.Uint16(p))
		case e.kind == 'u' && e.size == 4:
			v = float32(e.order.Uint32(p))
		case e.kind == 'u':
			v = float32(e.order.Uint64(p))
		case e.kind == 'i' && e.size == 1:
			v = float32(int8(p[0]))
		case e.kind == 'i' && e.size == 2:
			v = float32(int16(e.order.Uint16(p)))
		case e.kind == 'i' && e.size == 4:
			v = float32(int32(e.order.Uint32(p)))
		case e.kind == 'i':
			v = float32(int64(e.order.Uint64(p)))
		case e.size == 2:
			v = half(e.order.Uint16(p))
		case e.size == 4:
			v = math.Float32frombits(e.order.Uint32(p))
		default:
			wide := math.Float64frombits(e.order.Uint64(p))
			v = float32(wide)
			if wide != wide {
				v = math.Float32frombits(0x7fc00000) // whichever it was
			}
			if math.IsInf(float64(v), 0) && !math.IsInf(wide, 0) {
				return nil, fmt.Errorf("element %d is %v, want no number beyond the largest float32, %v", at+i/8, wide, float32(math.MaxFloat32))
			}
		}
		dst = append(dst, v)
	}
	return dst, nil
}

// half returns the number that a float16 is. A NaN keeps its sign and the bits of its
// payload, as a conversion by the processor would but for making it quiet.
func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0:
		v := float32(fraction) / (1 << 24) // exact
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// read reads n elements. It takes memory as they arrive.
func (e element) read(r io.Reader, n int) ([]float32, error) {
	var buf [1 << 14]byte
	x := make([]float32, 0, min(n, len(buf)))
	for len(x) < n {
		some := min(n-len(x), len(buf)/e.size)
		b := buf[:some*e.size]
		if got, err := io.ReadFull(r, b); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("expected %d elements of %d bytes, found %d: %w", n, e.size, len(x)+got/e.size, err)
		}
		if cap(x)-len(x) < some {
			x = append(make([]float32, 0, min(n, 2*cap(x))), x...)
		}
		var err error
		if x, err = e.decode(x, b, len(x)); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// fromFile hands a file to read, and says in its errors which it was.
func fromFile(path string, read func(f *os.File, size int64) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("expected a file, found a directory")
	}
	if err == nil {
		size := info.Size()
		if !info.Mode().IsRegular() {
			size = -1
		}
		err = read(f, size)
	}
	if err != nil {
		return fmt.Errorf("data: %s: %w", path, err)
	}
	return nil
}

// toFile puts what write writes in the place of a file, or leaves the file as it is.
func toFile(path string, write func(io.Writer) error) error {
	if err := file.Replace(path, write); err != nil {
		return fmt.Errorf("data: writing %s: %w", path, withoutPath(err))
	}
	return nil
}

// short quotes text for an error, and no more of it than helps.
func short(text string) string {
	const most = 40
	runes := []rune(text[:min(len(text), 4*most)])
	if len(runes) <= most && len(text) <= 4*most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q…", string(runes[:min(len(runes), most)]))
}

// shorts quotes the first of several texts for an error.
func shorts(texts []string) string {
	const most = 12
	s := ""
	for i, t := range texts[:min(len(texts), most)] {
		if i > 0 {
			s += ", "
		}
		s += short(t)
	}
	if len(texts) > most {
		s += fmt.Sprintf(" and %d more", len(texts)-most)
	}
	return s
}
