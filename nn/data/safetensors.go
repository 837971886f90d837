package data

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/bits"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The file of safetensors:
//
//	8 bytes  the length of the header
//	header   JSON: the type, the shape and the place of each tensor, by its name
//	tensors  the elements, by rows, one tensor right behind the other
//
// All numbers are little-endian. See https://github.com/huggingface/safetensors.

// maxTensorHeader bounds what a file can make the reader parse: some ten thousand tensors.
const maxTensorHeader = 1 << 20

// maxDims is as many dimensions as PyTorch's tensors can have.
const maxDims = 64

// metadataKey is what the header has that is no tensor.
const metadataKey = "__metadata__"

// Tensor is a tensor with a name, of a safetensors file.
type Tensor struct {
	Name  string
	DType string // of the file that it was read from, such as F16; WriteSafetensors does not use it
	Shape []int  // none for a single number
	Data  []float32
	Ints  []int64 // instead of Data, and not nil, in a tensor of integers
}

// tensorTypes are the types that the reader takes, and the bytes of an element.
var tensorTypes = []struct {
	name string
	size int
}{{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4}}

// ReadSafetensors reads a safetensors file: the tensors in the order of their places, and what
// the header has under __metadata__, nil if it has none.
//
// Elements of type F32, F16 and BF16 are read as they are, those of type F64 are rounded to
// the nearest float32, which is Inf for one that is too large. I64 and I32 become Ints. A
// tensor of another type is an error.
//
// A file that is damaged is an error too, and so is one that the format forbids: with a name
// twice, or tensors that overlap, leave a gap, do not have the bytes that their type and
// shape want or end before the file does. The header may have 1 MiB. Memory is taken for
// what the file has, not for what it says that it has.
func ReadSafetensors(r io.Reader) (tensors []Tensor, metadata map[string]string, err error) {
	size := int64(-1)
	if r, ok := r.(interface{ Len() int }); ok { // bytes.Reader and others
		size = int64(r.Len())
	}
	tensors, metadata, err = readSafetensors(r, size)
	if err != nil {
		return nil, nil, fmt.Errorf("data.ReadSafetensors: %w", err)
	}
	return tensors, metadata, nil
}

// ReadSafetensorsFile is [ReadSafetensors] from a file.
func ReadSafetensorsFile(path string) (tensors []Tensor, metadata map[string]string, err error) {
	tensors, metadata, err = readSafetensorsFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("data: reading %s: %w", path, err)
	}
	return tensors, metadata, nil
}

func readSafetensorsFile(path string) ([]Tensor, map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	defer f.Close()
	size := int64(-1)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return readSafetensors(f, size)
}

// withoutPath is what went wrong with a file, for a message that has its path already.
func withoutPath(err error) error {
	if e := (*os.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// readSafetensors reads a file of so many bytes, or of any number if size is negative.
func readSafetensors(r io.Reader, size int64) ([]Tensor, map[string]string, error) {
	var start [8]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, nil, fmt.Errorf("the length of the header, %d bytes: %w", len(start), atEnd(err))
	}
	n := binary.LittleEndian.Uint64(start[:])
	switch {
	case string(start[:4]) == "PK\x03\x04":
		return nil, nil, errors.New("a zip archive, as torch.save writes, want a safetensors file")
	case n > maxTensorHeader:
		return nil, nil, fmt.Errorf("a header of %d bytes, want at most %d; is it a safetensors file?", n, maxTensorHeader)
	case size >= 0 && int64(n) > size-int64(len(start)):
		return nil, nil, fmt.Errorf("a header of %d bytes in a file of %d", n, size)
	}
	var text bytes.Buffer
	if _, err := io.CopyN(&text, r, int64(n)); err != nil {
		return nil, nil, fmt.Errorf("the header of %d bytes: %w", n, atEnd(err))
	}
	places, metadata, err := parseTensorHeader(text.Bytes())
	if err != nil {
		return nil, nil, fmt.Errorf("the header: %w", err)
	}
	end, err := checkPlaces(places)
	if err != nil {
		return nil, nil, err
	}
	if has := size - int64(len(start)) - int64(n); size >= 0 && has != end {
		return nil, nil, fmt.Errorf("the tensors have %d bytes in the header, and %d in the file", end, has)
	}
	tensors := make([]Tensor, len(places))
	buf := make([]byte, 1<<15)
	for i, p := range places {
		tensors[i] = Tensor{Name: p.name, DType: p.dtype, Shape: p.shape}
		if err := tensors[i].read(r, p, size >= 0, buf); err != nil {
			return nil, nil, fmt.Errorf("tensor %q of %d bytes: %w", clipped(p.name), p.end-p.begin, atEnd(err))
		}
	}
	switch _, err := io.ReadFull(r, buf[:1]); err {
	case io.EOF:
		return tensors, metadata, nil
	case nil:
		return nil, nil, errors.New("there is something behind the last tensor")
	default:
		return nil, nil, err
	}
}

// clipped is a name short enough to read, whatever a file has for one.
func clipped(name string) string {
	const most = 100
	if len(name) > most {
		return strings.ToValidUTF8(name[:most], "") + "…"
	}
	return name
}

// atEnd is the error of a reader that has to have more.
func atEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// place is what the header says of a tensor.
type place struct {
	name, dtype string
	size        int // of an element
	shape       []int
	begin, end  int64
}

// elements is how many the shape has.
func (p *place) elements() (int64, bool) {
	n := uint64(1)
	for _, s := range p.shape {
		hi, lo := bits.Mul64(n, uint64(s))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, false
		}
		n = lo
	}
	return int64(n), true
}

// checkPlaces puts the tensors in the order of their places, and wants each to begin where the
// one before ends. It returns where the last one ends.
func checkPlaces(places []place) (end int64, err error) {
	for i := range places {
		p := &places[i]
		if p.end < p.begin {
			return 0, fmt.Errorf("tensor %q begins at %d and ends at %d", clipped(p.name), p.begin, p.end)
		}
		n, ok := p.elements()
		if hi, want := bits.Mul64(uint64(n), uint64(p.size)); !ok || hi != 0 || want > math.MaxInt {
			return 0, fmt.Errorf("tensor %q of shape %v has more elements than a slice can hold", clipped(p.name), p.shape)
		}
		if want := n * int64(p.size); p.end-p.begin != want {
			return 0, fmt.Errorf("tensor %q has %d bytes, want the %d of %s and shape %v", clipped(p.name), p.end-p.begin, want, p.dtype, p.shape)
		}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	for _, p := range places {
		switch {
		case p.begin < end:
			return 0, fmt.Errorf("tensor %q begins at %d, inside another that ends at %d", clipped(p.name), p.begin, end)
		case p.begin > end:
			return 0, fmt.Errorf("tensor %q begins at %d, want %d, where the one before ends", clipped(p.name), p.begin, end)
		}
		end = p.end
	}
	return end, nil
}

// read reads the elements. The memory for them is taken at once if there are as many, known by
// the size of the file, else as they come.
func (t *Tensor) read(r io.Reader, p place, there bool, buf []byte) error {
	left := p.end - p.begin
	integer := p.dtype[0] == 'I'
	n := 0
	if there {
		n = int(left) / p.size
	}
	if integer {
		t.Ints = make([]int64, 0, n)
	} else {
		t.Data = make([]float32, 0, n)
	}
	for left > 0 {
		b := buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		left -= int64(len(b))
		for ; len(b) > 0; b = b[p.size:] {
			switch p.dtype {
			case "F32":
				t.Data = append(t.Data, math.Float32frombits(binary.LittleEndian.Uint32(b)))
			case "F64":
				t.Data = append(t.Data, float32(math.Float64frombits(binary.LittleEndian.Uint64(b))))
			case "F16":
				t.Data = append(t.Data, half(binary.LittleEndian.Uint16(b)))
			case "BF16":
				t.Data = append(t.Data, math.Float32frombits(uint32(binary.LittleEndian.Uint16(b))<<16))
			case "I64":
				t.Ints = append(t.Ints, int64(binary.LittleEndian.Uint64(b)))
			case "I32":
				t.Ints = append(t.Ints, int64(int32(binary.LittleEndian.Uint32(b))))
			}
		}
	}
	return nil
}

// parseTensorHeader parses the header. It knows no more of JSON than the format has: so a
// name twice is an error, and nothing nests.
func parseTensorHeader(text []byte) (places []place, metadata map[string]string, err error) {
	if !utf8.Valid(text) {
		return nil, nil, errors.New("it is not UTF-8")
	}
	s := &jsonScanner{text: text}
	names := map[string]bool{}
	if len(text) > 0 && text[0] != '{' { // not even a space
		s.fail("%q, want {", text[0])
	}
	s.object(func(name string) {
		if names[name] {
			s.fail("the name %q twice", name)
			return
		}
		names[name] = true
		if name == metadataKey {
			metadata = s.metadata()
			return
		}
		if p := s.place(name); s.err == nil {
			places = append(places, p)
		}
	})
	if s.skip(); s.err == nil && s.at < len(text) {
		s.fail("%q behind the end", text[s.at])
	}
	return places, metadata, s.err
}

// metadata parses an object of strings.
func (s *jsonScanner) metadata() map[string]string {
	m := map[string]string{}
	s.object(func(key string) {
		if _, twice := m[key]; twice {
			s.fail("the key %q twice in %s", key, metadataKey)
			return
		}
		m[key] = s.string()
	})
	return m
}

// place parses what is said of a tensor.
func (s *jsonScanner) place(name string) place {
	p := place{name: name}
	keys := [...]string{"dtype", "shape", "data_offsets"}
	var seen [len(keys)]bool
	s.object(func(key string) {
		if i := slices.Index(keys[:], key); i >= 0 {
			if seen[i] {
				s.fail("%q twice in tensor %q", key, name)
				return
			}
			seen[i] = true
		}
		switch key {
		case "dtype":
			p.dtype = s.string()
			for _, t := range tensorTypes {
				if t.name == p.dtype {
					p.size = t.size
				}
			}
			if p.size == 0 && s.err == nil {
				var names []string
				for _, t := range tensorTypes {
					names = append(names, t.name)
				}
				s.fail("tensor %q has dtype %q, want one of %s", name, p.dtype, strings.Join(names, ", "))
			}
		case "shape":
			p.shape = []int{}
			s.array(func() {
				n := s.number()
				switch {
				case n > math.MaxInt:
					s.fail("tensor %q has a dimension of %d, more than a slice can hold", name, n)
				case len(p.shape) == maxDims:
					s.fail("tensor %q has more than %d dimensions", name, maxDims)
				}
				p.shape = append(p.shape, int(n))
			})
		case "data_offsets":
			n := 0
			s.array(func() {
				p.begin, p.end = p.end, s.number()
				n++
			})
			if n != 2 {
				s.fail("tensor %q has %d data_offsets, want 2", name, n)
			}
		default:
			s.fail("tensor %q has %q, want dtype, shape and data_offsets", name, key)
		}
	})
	if i := slices.Index(seen[:], false); i >= 0 {
		s.fail("tensor %q has no %s", name, keys[i])
	}
	return p
}

// jsonScanner goes through the JSON of a header. After an error it stays where it is.
type jsonScanner struct {
	text []byte
	at   int
	err  error
}

// fail sets the error, if there is none yet.
func (s *jsonScanner) fail(format string, args ...any) {
	if s.err != nil {
		return
	}
	for i, a := range args {
		if name, ok := a.(string); ok {
			args[i] = clipped(name)
		}
	}
	s.err = fmt.Errorf("byte %d: %s", s.at, fmt.Sprintf(format, args...))
}

// skip goes over spaces.
func (s *jsonScanner) skip() {
	for s.at < len(s.text) && strings.IndexByte(" \t\n\r", s.text[s.at]) >= 0 {
		s.at++
	}
}

// want goes over one of the characters, and returns it.
func (s *jsonScanner) want(one string) byte {
	if s.err != nil {
		return 0
	}
	s.skip()
	if s.at == len(s.text) {
		s.fail("the end, want %s", strings.Join(strings.Split(one, ""), " or "))
		return 0
	}
	c := s.text[s.at]
	if strings.IndexByte(one, c) < 0 {
		s.fail("%q, want %s", c, strings.Join(strings.Split(one, ""), " or "))
		return 0
	}
	s.at++
	return c
}

// is says whether c comes next.
func (s *jsonScanner) is(c byte) bool {
	s.skip()
	return s.err == nil && s.at < len(s.text) && s.text[s.at] == c
}

// object parses an object, with value called at each value.
func (s *jsonScanner) object(value func(key string)) {
	s.want("{")
	if s.is('}') {
		s.at++
		return
	}
	for s.err == nil {
		key := s.string()
		s.want(":")
		if s.err == nil {
			value(key)
		}
		if s.want(",}") == '}' {
			return
		}
	}
}

// array parses an array.
func (s *jsonScanner) array(value func()) {
	s.want("[")
	if s.is(']') {
		s.at++
		return
	}
	for s.err == nil {
		value()
		if s.want(",]") == ']' {
			return
		}
	}
}

// string parses a string.
func (s *jsonScanner) string() string {
	if s.want(`"`); s.err != nil {
		return ""
	}
	start := s.at
	escaped := false
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			raw := s.text[start:s.at]
			s.at++
			if !escaped {
				return string(raw)
			}
			var text string
			if err := json.Unmarshal(s.text[start-1:s.at], &text); err != nil {
				s.fail("a string: %v", err)
			}
			return text
		case c == '\\':
			escaped = true
			s.at++ // what is escaped is no end
		case c < ' ':
			s.fail("%q in a string", c)
			return ""
		}
	}
	s.at = len(s.text)
	s.fail("the end, in a string")
	return ""
}

// number parses a whole number from 0 to 2⁶³-1.
func (s *jsonScanner) number() int64 {
	s.skip()
	start := s.at
	for s.err == nil && s.at < len(s.text) && strings.IndexByte("+-.0123456789Ee", s.text[s.at]) >= 0 && s.at < start+20 { // the longest has 19
		s.at++
	}
	text := s.text[start:s.at]
	n, err := strconv.ParseUint(string(text), 10, 63)
	if err != nil || len(text) > 1 && text[0] == '0' {
		s.fail("%q, want a whole number from 0 to %d", text, int64(math.MaxInt64))
	}
	return int64(n)
}

// WriteSafetensors writes a safetensors file: Data as F32, Ints as I64, and metadata, unless
// that is nil, under __metadata__. The same tensors give the same bytes in whatever order
// they are, and those of the Python library: the integers come first, and by their names.
//
// A name twice, or a shape that does not fit the elements, is an error, and nothing is
// written.
func WriteSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	if err := writeSafetensors(w, tensors, metadata); err != nil {
		return fmt.Errorf("data.WriteSafetensors: %w", err)
	}
	return nil
}

func writeSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b Tensor) int {
		if (a.Ints != nil) != (b.Ints != nil) {
			if a.Ints != nil {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	header, err := tensorHeader(tensors, metadata)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<16)
	buf := binary.LittleEndian.AppendUint64(make([]byte, 0, 1<<14), uint64(len(header)))
	if _, err := b.Write(append(buf, header...)); err != nil {
		return err
	}
	for _, t := range tensors {
		for x := range slices.Chunk(t.Ints, 1<<11) {
			buf = buf[:0]
			for _, v := range x {
				buf = binary.LittleEndian.AppendUint64(buf, uint64(v))
			}
			if _, err := b.Write(buf); err != nil {
				return err
			}
		}
		for x := range slices.Chunk(t.Data, 1<<12) {
			if _, err := b.Write(appendFloats(buf[:0], x)); err != nil {
				return err
			}
		}
	}
	return b.Flush()
}

// appendFloats appends the bytes of x.
func appendFloats(b []byte, x []float32) []byte {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// tensorHeader returns the header for tensors in the order of their places.
func tensorHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	h := []byte{'{'}
	if metadata != nil {
		h = append(appendQuoted(h, metadataKey), ":{"...)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
				return nil, fmt.Errorf("the metadata %q: %q is not UTF-8", key, metadata[key])
			}
			if i > 0 {
				h = append(h, ',')
			}
			h = appendQuoted(append(appendQuoted(h, key), ':'), metadata[key])
		}
		h = append(h, '}')
	}
	names := map[string]bool{}
	var offset int64
	for _, t := range tensors {
		p := place{shape: t.Shape}
		n, dtype, size := len(t.Data), "F32", 4
		if t.Ints != nil {
			n, dtype, size = len(t.Ints), "I64", 8
		}
		want, ok := p.elements()
		switch {
		case t.Name == metadataKey || !utf8.ValidString(t.Name):
			return nil, fmt.Errorf("a tensor of the name %q, which the format does not allow", t.Name)
		case names[t.Name]:
			return nil, fmt.Errorf("two tensors of the name %q", t.Name)
		case t.Ints != nil && t.Data != nil:
			return nil, fmt.Errorf("tensor %q has Data and Ints, want one of them", t.Name)
		case slices.ContainsFunc(t.Shape, func(n int) bool { return n < 0 }) || !ok || int64(n) != want:
			return nil, fmt.Errorf("tensor %q has %d elements, want those of shape %v", t.Name, n, t.Shape)
		}
		names[t.Name] = true
		if len(h) > 1 {
			h = append(h, ',')
		}
		h = append(appendQuoted(h, t.Name), `:{"dtype":"`...)
		h = append(append(h, dtype...), `","shape":[`...)
		for i, s := range t.Shape {
			if i > 0 {
				h = append(h, ',')
			}
			h = strconv.AppendInt(h, int64(s), 10)
		}
		h = strconv.AppendInt(append(h, `],"data_offsets":[`...), offset, 10)
		offset += int64(n * size)
		h = append(strconv.AppendInt(append(h, ','), offset, 10), "]}"...)
	}
	h = append(h, '}')
	for len(h)%8 != 0 { // so that the elements are aligned
		h = append(h, ' ')
	}
	if len(h) > maxTensorHeader {
		return nil, fmt.Errorf("a header of %d bytes, want at most %d", len(h), maxTensorHeader)
	}
	return h, nil
}

// appendQuoted appends a string of JSON.
func appendQuoted(b []byte, text string) []byte {
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	e.Encode(text) // of a string there is no error
	return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}

// WriteSafetensorsFile is [WriteSafetensors] to a file. Where writing fails, no file is left,
// or the one that was there before.
func WriteSafetensorsFile(path string, tensors []Tensor, metadata map[string]string) error {
	return toFile(path, func(w io.Writer) error { return writeSafetensors(w, tensors, metadata) })
}
