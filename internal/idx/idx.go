// Package idx reads the IDX format, in which MNIST and its likes come.
//
// An IDX file starts with two zero bytes, the type of the elements and the number
// of dimensions; then follow the dimensions as big-endian uint32, and the elements,
// big-endian and in row-major order. Source: http://yann.lecun.com/exdb/mnist/.
package idx

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// The magic numbers, which are the first four bytes, of what [Read] can be asked for.
const (
	Any    uint32 = 0
	Images uint32 = 0x00000803 // unsigned bytes in three dimensions
	Labels uint32 = 0x00000801 // unsigned bytes in one
)

// The types of elements.
const (
	Uint8   = 0x08
	Int8    = 0x09
	Int16   = 0x0b
	Int32   = 0x0c
	Float32 = 0x0d
	Float64 = 0x0e
)

// sizes are the bytes of an element of each type.
var sizes = map[byte]int{Uint8: 1, Int8: 1, Int16: 2, Int32: 4, Float32: 4, Float64: 8}

// File is the content of an IDX file.
type File struct {
	Type byte
	Dims []int // each above zero

	// Chunks are the elements as the file has them, in parts. No element lies in two.
	Chunks [][]byte
}

// Len returns the number of elements.
func (f *File) Len() int {
	n := 1
	for _, d := range f.Dims {
		n *= d
	}
	return n
}

// Pixels returns the elements of a file of unsigned bytes as float32(byte)/255.
func (f *File) Pixels() []float32 {
	var pixels [256]float32
	for b := range pixels {
		pixels[b] = float32(b) / 255
	}
	x := make([]float32, f.Len())
	rest := x
	for _, chunk := range f.Chunks {
		for i, b := range chunk {
			rest[i] = pixels[b]
		}
		rest = rest[len(chunk):]
	}
	return x
}

// Labels returns the elements of a file of unsigned bytes.
func (f *File) Labels() []int32 {
	labels := make([]int32, 0, f.Len())
	for _, chunk := range f.Chunks {
		for _, b := range chunk {
			labels = append(labels, int32(b))
		}
	}
	return labels
}

// magicString shows a magic number, and says which of the two that have names it is.
func magicString(magic uint32) string {
	switch magic {
	case Images:
		return "0x00000803 (images)"
	case Labels:
		return "0x00000801 (labels)"
	}
	return fmt.Sprintf("0x%08x (neither images nor labels)", magic)
}

// Read reads an IDX file to its end. Its elements come in chunks, each allocated
// only once the one before it is full, so that a header alone cannot make Read
// allocate more than one chunk.
func Read(r io.Reader, magic uint32) (*File, error) {
	const (
		chunkLen = 1 << 18
		maxDims  = 16
		maxElems = math.MaxInt / 16 // as float32, and in a file, they still fit the address space
	)
	// The dimensions' number is in the magic number, which is read first where it is
	// not known.
	header := make([]byte, 4, 4+4*maxDims)
	if magic != Any {
		header = header[:4+4*(magic&0xff)]
	}
	n, err := io.ReadFull(r, header)
	found := binary.BigEndian.Uint32(header)
	// Before the length: a foreign file may be shorter than the header.
	if n >= 4 && magic != Any && found != magic {
		return nil, fmt.Errorf("expected the magic number %s, found %s", magicString(magic), magicString(found))
	}
	kind, dims := byte(found>>8), int(found&0xff)
	if n >= 4 && (found>>16 != 0 || sizes[kind] == 0 || dims < 1 || dims > maxDims) {
		return nil, fmt.Errorf("expected a magic number of IDX, two zero bytes, a type out of 08, 09, 0b, 0c, 0d, 0e and 1 to %d dimensions, found 0x%08x", maxDims, found)
	}
	if n >= 4 && magic == Any {
		header = header[:4+4*dims]
		var more int
		more, err = io.ReadFull(r, header[4:])
		n += more
	}
	if err != nil {
		return nil, fmt.Errorf("expected a header of %d bytes, found %d: %w", len(header), n, err)
	}

	f := &File{Type: kind, Dims: make([]int, dims)}
	counts := make([]uint32, dims)
	if _, err := binary.Decode(header[4:], binary.BigEndian, counts); err != nil {
		return nil, err
	}
	elems := 1
	for i, count := range counts {
		if count == 0 {
			return nil, fmt.Errorf("expected dimensions above zero, found %d", counts)
		}
		if uint64(count) > uint64(maxElems/elems) {
			return nil, fmt.Errorf("expected dimensions whose product is at most %d, found %d", maxElems, counts)
		}
		f.Dims[i] = int(count)
		elems *= f.Dims[i]
	}

	want, have := len(header)+elems*sizes[kind], len(header)
	for have < want {
		chunk := make([]byte, min(want-have, chunkLen))
		n, err := io.ReadFull(r, chunk)
		have += n
		if err != nil {
			return nil, fmt.Errorf("expected %d bytes for the dimensions %d, found %d: %w", want, counts, have, err)
		}
		f.Chunks = append(f.Chunks, chunk)
	}
	// Reading on to the end also makes gzip compare its checksum.
	extra, err := io.Copy(io.Discard, r)
	if err != nil {
		return nil, fmt.Errorf("expected the end after %d bytes, found: %w", want, err)
	}
	if extra > 0 {
		return nil, fmt.Errorf("expected %d bytes for the dimensions %d, found %d", want, counts, int64(want)+extra)
	}
	return f, nil
}
