// Package mnist holds the MNIST database of handwritten digits and reads it, or
// another set in the same four IDX files, from a directory.
//
// MNIST is 60,000 training and 10,000 test images of 28×28 grey pixels, each
// with its digit: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based
// Learning Applied to Document Recognition", Proc. IEEE 86(11), 1998. The
// original files from http://yann.lecun.com/exdb/mnist/ are embedded as gzip:
// they add 11.4 MB to a binary and become 220 MB of float32 pixels. Yann LeCun
// and Corinna Cortes hold their copyright and license them under CC BY-SA 3.0;
// data/LICENSE has the notice.
package mnist

import (
	"compress/gzip"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// The notice is embedded too, so that it goes where the data go.
//
//go:embed data/*.gz data/LICENSE
var embedded embed.FS

// Set is a set of labelled images.
type Set struct {
	Rows    int // number of images
	Width   int // pixels
	Height  int // pixels
	Classes int // 1 + the largest label of the training set

	Images []float32 // Rows × (Width·Height), row-major; a pixel is float32(byte)/255
	Labels []int32   // Rows, each in [0, Classes)
}

// Embedded returns the embedded MNIST database. Every call decodes it anew.
func Embedded() (train, test *Set, err error) {
	data, err := fs.Sub(embedded, "data")
	if err != nil {
		return nil, nil, fmt.Errorf("mnist: %w", err)
	}
	return load(data, "embedded")
}

// Load returns the set in the files train-images-idx3-ubyte,
// train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte of
// dir. Each may be compressed, with .gz after its name; a plain file is
// preferred to a compressed one beside it. An error names the file at fault,
// what was expected of it and what was found; memory is allocated for the bytes
// that a file has, not for those that its header announces.
func Load(dir string) (train, test *Set, err error) {
	return load(os.DirFS(dir), dir)
}

// load reads the four files of fsys, which errors place in dir.
func load(fsys fs.FS, dir string) (train, test *Set, err error) {
	names := [4]string{
		"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
		"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
	}
	var paths [4]string
	for i, name := range names {
		if names[i], err = find(fsys, name); err != nil {
			return nil, nil, fmt.Errorf("mnist: %s: %w", dir, err)
		}
		paths[i] = filepath.Join(dir, names[i])
	}

	train, test = new(Set), new(Set)
	var wg sync.WaitGroup
	var errs [4]error
	for i, read := range [4]func(io.Reader) error{
		train.readImages, train.readLabels, test.readImages, test.readLabels,
	} {
		wg.Go(func() { errs[i] = readFile(fsys, names[i], read) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, nil, fmt.Errorf("mnist: %s: %w", paths[i], err)
		}
	}

	for i, set := range [2]*Set{train, test} {
		if len(set.Labels) != set.Rows {
			return nil, nil, fmt.Errorf("mnist: %s: expected %d labels, as many as %s has images, found %d",
				paths[2*i+1], set.Rows, names[2*i], len(set.Labels))
		}
	}
	if test.Width != train.Width || test.Height != train.Height {
		return nil, nil, fmt.Errorf("mnist: %s: expected images of %d×%d pixels, as in %s, found %d×%d",
			paths[2], train.Width, train.Height, names[0], test.Width, test.Height)
	}
	largest := slices.Max(train.Labels)
	for i, label := range test.Labels {
		if label > largest {
			return nil, nil, fmt.Errorf("mnist: %s: expected labels up to %d, the largest in %s, found %d at index %d",
				paths[3], largest, names[1], label, i)
		}
	}
	train.Classes = int(largest) + 1
	test.Classes = train.Classes
	return train, test, nil
}

// find returns name, or name.gz where only that exists.
func find(fsys fs.FS, name string) (string, error) {
	for _, n := range []string{name, name + ".gz"} {
		if _, err := fs.Stat(fsys, n); !errors.Is(err, fs.ErrNotExist) {
			return n, err
		}
	}
	return "", fmt.Errorf("expected a file %s or %s.gz, found neither", name, name)
}

// readFile hands the uncompressed content of a file to read.
func readFile(fsys fs.FS, name string, read func(io.Reader) error) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if !strings.HasSuffix(name, ".gz") {
		return read(f)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("expected a gzip header: %w", err)
	}
	if err := read(z); err != nil {
		return fmt.Errorf("uncompressed: %w", err)
	}
	return nil
}

func (s *Set) readImages(r io.Reader) error {
	dims, chunks, err := readIDX(r, imagesMagic)
	if err != nil {
		return err
	}
	s.Rows, s.Height, s.Width = dims[0], dims[1], dims[2]

	var pixels [256]float32
	for b := range pixels {
		pixels[b] = float32(b) / 255
	}
	s.Images = make([]float32, s.Rows*s.Height*s.Width)
	rest := s.Images
	for _, chunk := range chunks {
		for i, b := range chunk {
			rest[i] = pixels[b]
		}
		rest = rest[len(chunk):]
	}
	return nil
}

func (s *Set) readLabels(r io.Reader) error {
	dims, chunks, err := readIDX(r, labelsMagic)
	if err != nil {
		return err
	}
	s.Labels = make([]int32, 0, dims[0])
	for _, chunk := range chunks {
		for _, b := range chunk {
			s.Labels = append(s.Labels, int32(b))
		}
	}
	return nil
}

// An IDX file starts with two zero bytes, the element type (8: unsigned byte)
// and the number of dimensions; then follow the dimensions as big-endian uint32,
// and the elements in row-major order.
const (
	imagesMagic = 0x00000803
	labelsMagic = 0x00000801
)

func magicString(magic uint32) string {
	switch magic {
	case imagesMagic:
		return "0x00000803 (images)"
	case labelsMagic:
		return "0x00000801 (labels)"
	}
	return fmt.Sprintf("0x%08x (neither images nor labels)", magic)
}

// readIDX reads an IDX file of unsigned bytes to its end. Its elements come in
// chunks, each allocated only once the one before it is full, so that a header
// alone cannot make readIDX allocate more than one chunk.
func readIDX(r io.Reader, magic uint32) (dims []int, chunks [][]byte, err error) {
	const (
		chunkLen = 1 << 18
		maxElems = math.MaxInt / 4 // as float32 they still fit the address space
	)
	dims = make([]int, magic&0xff)
	header := make([]byte, 4+4*len(dims))
	n, err := io.ReadFull(r, header)
	// Before the length: a foreign file may be shorter than the header.
	if found := binary.BigEndian.Uint32(header); n >= 4 && found != magic {
		return nil, nil, fmt.Errorf("expected the magic number %s, found %s", magicString(magic), magicString(found))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("expected a header of %d bytes, found %d: %w", len(header), n, err)
	}

	sizes := make([]uint32, len(dims))
	if _, err := binary.Decode(header[4:], binary.BigEndian, sizes); err != nil {
		return nil, nil, err
	}
	elems := 1
	for i, size := range sizes {
		if size == 0 {
			return nil, nil, fmt.Errorf("expected dimensions above zero, found %d", sizes)
		}
		if uint64(size) > uint64(maxElems/elems) {
			return nil, nil, fmt.Errorf("expected dimensions whose product is at most %d, found %d", maxElems, sizes)
		}
		dims[i] = int(size)
		elems *= dims[i]
	}

	want, have := len(header)+elems, len(header)
	for have < want {
		chunk := make([]byte, min(want-have, chunkLen))
		n, err := io.ReadFull(r, chunk)
		have += n
		if err != nil {
			return nil, nil, fmt.Errorf("expected %d bytes for the dimensions %d, found %d: %w", want, sizes, have, err)
		}
		chunks = append(chunks, chunk)
	}
	// Reading on to the end also makes gzip compare its checksum.
	extra, err := io.Copy(io.Discard, r)
	if err != nil {
		return nil, nil, fmt.Errorf("expected the end after %d bytes, found: %w", want, err)
	}
	if extra > 0 {
		return nil, nil, fmt.Errorf("expected %d bytes for the dimensions %d, found %d", want, sizes, int64(want)+extra)
	}
	return dims, chunks, nil
}
