package data

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// An .npy file is the six bytes of npyMagic, two of the version, the length of the header
// as little-endian uint16 or, from version 2 on, uint32, the header, which is a Python
// dictionary, and the elements. Source: NEP 1 and numpy.lib.format.
const npyMagic = "\x93NUMPY"

const (
	maxNpyHeader = 1 << 16 // enough for any array that is no record; NumPy reads up to 10,000 bytes
	maxNpyDims   = 64      // as NumPy has it
)

// ReadNpy reads one array in NumPy's .npy format, versions 1 to 3, in C or Fortran order
// and either byte order, of type float16, float32, float64, bool or any integer; each
// number is rounded once to float32. It reads nothing behind the array, so that what
// several numpy.save wrote into one file is read by as many calls.
//
// It is an error if the file is no .npy file, has another type or more than 64 dimensions,
// ends too early, or a float64 is beyond float32.
func ReadNpy(r io.Reader) (*Array, error) {
	a, err := readNpy(r, -1)
	if err != nil {
		return nil, fmt.Errorf("data.ReadNpy: %w", err)
	}
	return a, nil
}

// ReadNpyFile reads an array as [ReadNpy] does, from a file that has one. More behind it
// is an error too.
func ReadNpyFile(path string) (a *Array, err error) {
	err = fromFile(path, func(f *os.File, size int64) error {
		a, err = readNpy(f, size)
		return err
	})
	return a, err
}

// readNpy reads an array out of a file of so many bytes, or where size is negative, as
// many as it needs.
func readNpy(r io.Reader, size int64) (*Array, error) {
	var start [12]byte
	n, err := io.ReadFull(r, start[:10])
	if got := start[:min(n, len(npyMagic))]; string(got) != npyMagic[:len(got)] || n < len(npyMagic) {
		return nil, fmt.Errorf("expected the first bytes %q of an .npy file, found %q", npyMagic, got)
	}
	if err != nil {
		return nil, fmt.Errorf("expected the length of the header: %w", io.ErrUnexpectedEOF)
	}
	begin, length := int64(10), uint32(binary.LittleEndian.Uint16(start[8:]))
	switch start[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, start[10:]); err != nil {
			return nil, fmt.Errorf("expected the length of the header: %w", io.ErrUnexpectedEOF)
		}
		begin, length = 12, binary.LittleEndian.Uint32(start[8:])
	default:
		return nil, fmt.Errorf("expected version 1, 2 or 3 of the format, found %d.%d", start[6], start[7])
	}
	if length > maxNpyHeader {
		return nil, fmt.Errorf("expected a header of at most %d bytes, found %d", maxNpyHeader, length)
	}
	text := make([]byte, length)
	if n, err := io.ReadFull(r, text); err != nil {
		return nil, fmt.Errorf("expected a header of %d bytes, found %d: %w", length, n, io.ErrUnexpectedEOF)
	}
	h, err := parseNpyHeader(string(text))
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	count, err := product(h.shape)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	want := int64(count) * int64(h.size)
	if have := size - begin - int64(length); size >= 0 && have != want {
		return nil, fmt.Errorf("expected %d bytes of elements for the shape %v of %s, found %d", want, h.shape, h.descr, have)
	}
	a := &Array{Shape: h.shape}
	if a.X, err = h.read(r, count); err != nil {
		return nil, fmt.Errorf("shape %v of %s: %w", h.shape, h.descr, err)
	}
	if h.fortran {
		a.X = fromFortran(a.X, a.Shape)
	}
	return a, nil
}

// fromFortran puts numbers whose first dimension varies fastest into row-major order.
func fromFortran(x []float32, shape []int) []float32 {
	if len(shape) < 2 || len(x) == 0 {
		return x
	}
	strides := make([]int, len(shape))
	stride := 1
	for k, d := range shape {
		strides[k] = stride
		stride *= d
	}
	last := len(shape) - 1
	y := make([]float32, 0, len(x))
	at := make([]int, len(shape)) // of the row, but for its last index
	for from := 0; len(y) < len(x); {
		for j := range shape[last] {
			y = append(y, x[from+j*strides[last]])
		}
		for k := last - 1; k >= 0; k-- {
			at[k]++
			from += strides[k]
			if at[k] < shape[k] {
				break
			}
			from -= at[k] * strides[k]
			at[k] = 0
		}
	}
	return y
}

// npyHeader is what a header says.
type npyHeader struct {
	element
	descr   string
	fortran bool
	shape   []int
}

// parseNpyHeader reads the dictionary of a header: the keys descr, fortran_order and shape,
// in any order and each once. Nothing else of Python is understood.
func parseNpyHeader(text string) (*npyHeader, error) {
	p := &npyParser{text: text}
	h := new(npyHeader)
	seen := map[string]bool{}
	if err := p.want("{"); err != nil {
		return nil, err
	}
	for !p.skip("}") {
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		if seen[key] {
			return nil, fmt.Errorf("expected each key once, found %s again", short(key))
		}
		seen[key] = true
		if err := p.want(":"); err != nil {
			return nil, err
		}
		switch key {
		case "descr":
			if h.descr, err = p.string(); err == nil {
				h.element, err = parseDescr(h.descr)
			}
		case "fortran_order":
			h.fortran = p.skip("True")
			if !h.fortran {
				err = p.want("False")
			}
		case "shape":
			h.shape, err = p.tuple()
		default:
			err = fmt.Errorf("expected the keys descr, fortran_order and shape, found %s", short(key))
		}
		if err != nil {
			return nil, err
		}
		if !p.skip(",") {
			if err := p.want("}"); err != nil {
				return nil, err
			}
			break
		}
	}
	if p.space(); p.text != "" {
		return nil, fmt.Errorf("expected its end, found %s", short(p.text))
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			return nil, fmt.Errorf("expected the key %q, found none", key)
		}
	}
	return h, nil
}

// parseDescr reads the name of a type: its byte order, kind and size.
func parseDescr(descr string) (element, error) {
	err := fmt.Errorf("expected elements of float16 to 64, int8 to 64, uint8 to 64 or bool, such as \"<f4\", found %s", short(descr))
	if len(descr) != 3 {
		return element{}, err
	}
	e := element{kind: descr[1], size: int(descr[2] - '0'), order: binary.LittleEndian}
	switch {
	case descr[0] == '>':
		e.order = binary.BigEndian
	case descr[0] == '|' && e.size != 1 || !strings.Contains("<|", descr[:1]):
		return element{}, err
	}
	if !slices.Contains([]string{"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}, descr[1:]) {
		return element{}, err
	}
	return e, nil
}

// npyParser takes the tokens of a header off its text.
type npyParser struct{ text string }

func (p *npyParser) space() { p.text = strings.TrimLeft(p.text, " \t\r\n") }

// skip takes a token if it is there.
func (p *npyParser) skip(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.text, token)
	p.text = rest
	return ok
}

// want takes a token.
func (p *npyParser) want(token string) error {
	if !p.skip(token) {
		return fmt.Errorf("expected %q, found %s", token, short(p.text))
	}
	return nil
}

// string takes a string, which has no escapes.
func (p *npyParser) string() (string, error) {
	for _, quote := range []string{"'", `"`} {
		if p.skip(quote) {
			s, rest, ok := strings.Cut(p.text, quote)
			if !ok || strings.ContainsAny(s, "\\\n") {
				return "", fmt.Errorf("expected a string of one line without a backslash, found %s", short(p.text))
			}
			p.text = rest
			return s, nil
		}
	}
	if strings.HasPrefix(p.text, "[") {
		return "", fmt.Errorf("expected one type for all elements, found a record %s", short(p.text))
	}
	return "", fmt.Errorf("expected a string, found %s", short(p.text))
}

// tuple takes a shape. Python 2 wrote an L behind a long number.
func (p *npyParser) tuple() ([]int, error) {
	shape := []int{}
	if err := p.want("("); err != nil {
		return nil, err
	}
	for !p.skip(")") {
		p.space()
		digits := p.text[:len(p.text)-len(strings.TrimLeft(p.text, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			return nil, fmt.Errorf("expected a dimension from 0 to %d, found %s", math.MaxInt, short(p.text))
		}
		p.text = p.text[len(digits):]
		if shape = append(shape, n); len(shape) > maxNpyDims {
			return nil, fmt.Errorf("expected at most %d dimensions, found more", maxNpyDims)
		}
		p.skip("L")
		if p.skip(",") {
			continue
		}
		// In Python (2) is no tuple.
		if len(shape) == 1 {
			return nil, fmt.Errorf("expected %q, found %s", ",", short(p.text))
		}
		if err := p.want(")"); err != nil {
			return nil, err
		}
		break
	}
	return shape, nil
}

// WriteNpy writes the array in NumPy's .npy format, version 1, as float32 in C order: the
// bytes that numpy.save writes.
//
// It is an error if X has not as many numbers as Shape says, or Shape more than 64
// dimensions, as NumPy has at most; then nothing is written.
func (a *Array) WriteNpy(w io.Writer) error {
	if err := a.writeNpy(w); err != nil {
		return fmt.Errorf("data.Array.WriteNpy: %w", err)
	}
	return nil
}

// WriteNpyFile is [Array.WriteNpy] to a file, which stays as it was if there is an error.
func (a *Array) WriteNpyFile(path string) error { return toFile(path, a.writeNpy) }

func (a *Array) writeNpy(w io.Writer) error {
	if err := a.checkNpy(); err != nil {
		return err
	}
	shape := ""
	for i, d := range a.Shape {
		if i > 0 {
			shape += " "
		}
		shape += strconv.Itoa(d) + ","
	}
	if len(a.Shape) > 1 {
		shape = strings.TrimSuffix(shape, ",")
	}
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape)
	// NumPy leaves room for a first dimension of 21 digits, and aligns the elements.
	if len(a.Shape) > 0 {
		header += strings.Repeat(" ", 21-len(strconv.Itoa(a.Shape[0])))
	}
	const align = 64
	header += strings.Repeat(" ", align-(10+len(header)+1)%align) + "\n"
	b := append(make([]byte, 0, 1<<14), npyMagic+"\x01\x00"...)
	b = append(binary.LittleEndian.AppendUint16(b, uint16(len(header))), header...)
	for _, v := range a.X {
		if len(b)+4 > cap(b) {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	_, err := w.Write(b)
	return err
}

// checkNpy returns an error unless the array can be written.
func (a *Array) checkNpy() error {
	if len(a.Shape) > maxNpyDims {
		return fmt.Errorf("%d dimensions, want at most %d", len(a.Shape), maxNpyDims)
	}
	return a.check()
}

// ReadNpz reads arrays out of NumPy's .npz format, a zip file of .npy files, stored or
// compressed: those of the names, without .npy, or where there is no name, all of them.
// size is the length of the file.
//
// It is an error if the file is no zip file or damaged, there is no array of a name or two
// of one, or [ReadNpy] finds one.
func ReadNpz(r io.ReaderAt, size int64, names ...string) (map[string]*Array, error) {
	arrays, err := readNpz(r, size, names)
	if err != nil {
		return nil, fmt.Errorf("data.ReadNpz: %w", err)
	}
	return arrays, nil
}

// ReadNpzFile is [ReadNpz] from a file.
func ReadNpzFile(path string, names ...string) (arrays map[string]*Array, err error) {
	err = fromFile(path, func(f *os.File, size int64) error {
		if size < 0 {
			return errors.New("expected a file that can be read from any place, found none")
		}
		arrays, err = readNpz(f, size, names)
		return err
	})
	return arrays, err
}

func readNpz(r io.ReaderAt, size int64, names []string) (map[string]*Array, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("expected a zip file: %w", err)
	}
	files := make(map[string]*zip.File)
	for _, f := range z.File {
		name := strings.TrimSuffix(f.Name, ".npy")
		if files[name] != nil {
			return nil, fmt.Errorf("expected each name once, found %s twice", short(name))
		}
		files[name] = f
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(files))
	}
	arrays := make(map[string]*Array)
	left := uint64(size)
	for _, name := range names {
		f := files[name]
		switch {
		case f == nil:
			return nil, fmt.Errorf("expected an array %s, found %s", short(name), shorts(slices.Sorted(maps.Keys(files))))
		case arrays[name] != nil:
			continue
		case f.CompressedSize64 > left:
			// Else a small file could have one content under many names.
			return nil, fmt.Errorf("array %s: expected arrays that do not overlap, found %d bytes behind the last", short(name), f.CompressedSize64)
		}
		left -= f.CompressedSize64
		if arrays[name], err = readZipped(f); err != nil {
			return nil, fmt.Errorf("array %s: %w", short(name), err)
		}
	}
	return arrays, nil
}

// readZipped reads an array in a zip file to its end, where the checksum is.
func readZipped(f *zip.File) (*Array, error) {
	if f.UncompressedSize64 > math.MaxInt64 {
		return nil, fmt.Errorf("expected at most %d bytes, found %d", int64(math.MaxInt64), f.UncompressedSize64)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	a, err := readNpy(r, int64(f.UncompressedSize64))
	if err != nil {
		return nil, err
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return nil, fmt.Errorf("expected the end of a file of %d bytes: found %d more, %v", f.UncompressedSize64, n, err)
	}
	return a, nil
}

// WriteNpz writes arrays in NumPy's .npz format, uncompressed as by numpy.savez, in the
// order of their names. The bytes depend on nothing else.
//
// It is an error if [Array.WriteNpy] finds one, or a name is empty.
func WriteNpz(w io.Writer, arrays map[string]*Array) error {
	if err := writeNpz(w, arrays); err != nil {
		return fmt.Errorf("data.WriteNpz: %w", err)
	}
	return nil
}

// WriteNpzFile is [WriteNpz] to a file, which stays as it was if there is an error.
func WriteNpzFile(path string, arrays map[string]*Array) error {
	return toFile(path, func(w io.Writer) error { return writeNpz(w, arrays) })
}

func writeNpz(w io.Writer, arrays map[string]*Array) error {
	names := slices.Sorted(maps.Keys(arrays))
	for _, name := range names {
		if name == "" || arrays[name] == nil {
			return fmt.Errorf("array %q, want a name and an array", name)
		}
		if err := arrays[name].checkNpy(); err != nil {
			return fmt.Errorf("array %s: %w", short(name), err)
		}
	}
	z := zip.NewWriter(w)
	for _, name := range names {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err == nil {
			err = arrays[name].writeNpy(f)
		}
		if err != nil {
			return fmt.Errorf("array %s: %w", short(name), err)
		}
	}
	return z.Close()
}
