package data

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/lockstep-go/lockstep/internal/idx"
	"github.com/lockstep-go/lockstep/nn"
)

// elements are those of the types of IDX.
var elements = map[byte]element{
	idx.Uint8:   {'u', 1, binary.BigEndian},
	idx.Int8:    {'i', 1, binary.BigEndian},
	idx.Int16:   {'i', 2, binary.BigEndian},
	idx.Int32:   {'i', 4, binary.BigEndian},
	idx.Float32: {'f', 4, binary.BigEndian},
	idx.Float64: {'f', 8, binary.BigEndian},
}

// ReadIDX reads an IDX file, plain or compressed by gzip, to its end: of any of the types
// of the format, the numbers as they are.
//
// It is an error if the file is no IDX file, has more than 16 dimensions or one that is 0,
// or fewer or more bytes than they say, if a float64 is beyond float32, or if gzip finds
// its content damaged.
func ReadIDX(r io.Reader) (*Array, error) {
	a, err := readIDX(r)
	if err != nil {
		return nil, fmt.Errorf("data.ReadIDX: %w", err)
	}
	return a, nil
}

// ReadIDXFile is [ReadIDX] from a file.
func ReadIDXFile(path string) (a *Array, err error) {
	err = fromFile(path, func(f *os.File, _ int64) error {
		a, err = readIDX(f)
		return err
	})
	return a, err
}

func readIDX(r io.Reader) (*Array, error) {
	f, err := gunzip(r, idx.Any)
	if err != nil {
		return nil, err
	}
	e, n := elements[f.Type], f.Len()
	x := make([]float32, 0, n)
	for _, chunk := range f.Chunks {
		if x, err = e.decode(x, chunk, len(x)); err != nil {
			return nil, err
		}
	}
	return &Array{Shape: f.Dims, X: x}, nil
}

// gunzip reads an IDX file, plain or, which its first two bytes show, compressed.
func gunzip(r io.Reader, magic uint32) (*idx.File, error) {
	b := bufio.NewReader(r)
	if start, _ := b.Peek(2); string(start) != "\x1f\x8b" {
		return idx.Read(b, magic)
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, fmt.Errorf("expected a gzip header: %w", err)
	}
	f, err := idx.Read(z, magic)
	if err != nil {
		return nil, fmt.Errorf("uncompressed: %w", err)
	}
	return f, nil
}

// ReadImages reads the images and the labels of a set such as MNIST, of two IDX files of
// unsigned bytes, plain or compressed by gzip. A pixel is float32(byte)/255.
//
// Shapes: X: images × height·width; Labels: images.
//
// It is an error if a file is not of three dimensions or one, as it should be, the labels
// are not as many as the images, or [ReadIDX] would find one.
func ReadImages(images, labels string) (*nn.Data, error) {
	d := new(nn.Data)
	err := fromFile(images, func(f *os.File, _ int64) error {
		file, err := gunzip(f, idx.Images)
		if err == nil {
			d.Rows, d.X = file.Dims[0], file.Pixels()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = fromFile(labels, func(f *os.File, _ int64) error {
		file, err := gunzip(f, idx.Labels)
		if err != nil {
			return err
		}
		if d.Labels = file.Labels(); len(d.Labels) != d.Rows {
			return fmt.Errorf("expected %d labels, as many as %s has images, found %d", d.Rows, images, len(d.Labels))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}
