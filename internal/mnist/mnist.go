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
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/lockstep-go/lockstep/internal/idx"
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
	f, err := idx.Read(r, idx.Images)
	if err != nil {
		return err
	}
	s.Rows, s.Height, s.Width = f.Dims[0], f.Dims[1], f.Dims[2]
	s.Images = f.Pixels()
	return nil
}

func (s *Set) readLabels(r io.Reader) error {
	f, err := idx.Read(r, idx.Labels)
	if err != nil {
		return err
	}
	s.Labels = f.Labels()
	return nil
}
