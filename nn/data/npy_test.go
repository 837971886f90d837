package data_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lockstep-go/lockstep/nn/data"
)

// npyFile makes an .npy file of version 1.
func npyFile(header string, elems ...byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(header)))
	return append(append(b, header...), elems...)
}

// TestReadNpyHeader reads headers that NumPy may have written once or others write.
func TestReadNpyHeader(t *testing.T) {
	for _, c := range []struct {
		header string
		shape  []int
	}{
		{`{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }`, []int{2}},
		{`{"shape":(2,),"fortran_order":True,"descr":"<f4"}`, []int{2}},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 1L)}  \n", []int{2, 1}},
		{"{ 'shape' : ( 1 , 2 , ) , 'fortran_order' : False ,\n'descr' : '<f4' , }\t\n\n", []int{1, 2}},
	} {
		a, err := data.ReadNpy(bytes.NewReader(npyFile(c.header, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0)))
		if err != nil {
			t.Errorf("%s: %v", c.header, err)
			continue
		}
		sameArray(t, c.header, a, &data.Array{Shape: c.shape, X: []float32{1, -2}})
	}
}

func TestReadNpyErrors(t *testing.T) {
	header := func(descr, shape string) []byte {
		return npyFile("{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + ", }\n")
	}
	v2 := func(length uint32) []byte {
		return binary.LittleEndian.AppendUint32([]byte("\x93NUMPY\x02\x00"), length)
	}
	product := onInts("want a product of at most", "a dimension from 0 to 2147483647")
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, `first bytes "\x93NUMPY" of an .npy file, found ""`},
		{"foreign", []byte("PK\x03\x04 and more"), `first bytes "\x93NUMPY" of an .npy file, found "PK\x03\x04 a"`},
		{"magic only", []byte("\x93NUMPY\x01"), "the length of the header: unexpected EOF"},
		{"version 2 cut", []byte("\x93NUMPY\x02\x00\x01\x00"), "the length of the header: unexpected EOF"},
		{"version 4", []byte("\x93NUMPY\x04\x00\x01\x00"), "version 1, 2 or 3 of the format, found 4.0"},
		{"version 0", []byte("\x93NUMPY\x00\x01\x01\x00"), "found 0.1"},
		{"header of 4 GB", v2(math.MaxUint32), "header of at most 65536 bytes, found 4294967295"},
		{"header cut", v2(60000), "header of 60000 bytes, found 0: unexpected EOF"},
		{"no dictionary", npyFile("hello"), `header: expected "{", found "hello"`},
		{"empty header", npyFile(""), `expected "{", found ""`},
		{"no keys", npyFile("{}"), `expected the key "descr", found none`},
		{"no shape", npyFile("{'descr': '<f4', 'fortran_order': False}"), `expected the key "shape", found none`},
		{"another key", npyFile("{'descr': '<f4', 'order': 1}"), `found "order"`},
		{"a key twice", npyFile("{'descr': '<f4', 'descr': '<f4'}"), `each key once, found "descr" again`},
		{"not closed", npyFile("{'descr': '<f4'"), `expected "}", found ""`},
		{"something behind", npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x"), `expected its end, found "x"`},
		{"no colon", npyFile("{'descr' '<f4'}"), `expected ":", found "'<f4'}"`},
		{"string not closed", npyFile("{'descr"), "expected a string of one line"},
		{"escape", npyFile(`{'de\x73cr': '<f4'}`), "without a backslash"},
		{"number for a key", npyFile("{1: 2}"), `expected a string, found "1: 2}"`},
		{"order", npyFile("{'fortran_order': 0}"), `expected "False", found "0}"`},
		{"record", header("[('a', '<f4'), ('b', '<i4')]", "(1,)"), "expected one type for all elements, found a record"},
		{"deep nesting", npyFile("{'descr': " + strings.Repeat("[", 60000)), "found a record"},
		{"many opened", npyFile(strings.Repeat("{", 65000)), "expected a string, found"},
		{"complex", header("'<c8'", "(1,)"), `found "<c8"`},
		{"object", header("'|O'", "(1,)"), `found "|O"`},
		{"text", header("'<U3'", "(1,)"), `found "<U3"`},
		{"float128", header("'<f16'", "(1,)"), `found "<f16"`},
		{"native", header("'=f4'", "(1,)"), `found "=f4"`},
		{"no order", header("'|f4'", "(1,)"), `found "|f4"`},
		{"odd size", header("'<f3'", "(1,)"), `found "<f3"`},
		{"across names", header("'<2 '", "(1,)"), `found "<2 "`},
		{"a number as shape", header("'<f4'", "3"), `expected "(", found "3`},
		{"parentheses", header("'<f4'", "(3)"), `expected ",", found ")`},
		{"negative", header("'<f4'", "(-1,)"), "a dimension from 0 to"},
		{"float", header("'<f4'", "(1.5,)"), `found ".5`},
		{"2^63", header("'<f4'", "(9223372036854775808,)"), "a dimension from 0 to"},
		{"2^63-1", header("'<f4'", "(9223372036854775807,)"), product},
		{"product 2^64", header("'<f4'", "(4294967296, 4294967296)"), product},
		{"product hidden by 0", header("'<f4'", "(0, 4294967296, 4294967296)"), product},
		{"shape not closed", npyFile("{'shape': (1, 2"), `expected ")", found ""`},
		{"65 dimensions", header("'<f4'", "("+strings.Repeat("1,", 65)+")"), "at most 64 dimensions"},
		{"20,000 dimensions", header("'<f4'", "("+strings.Repeat("1,", 20000)+")"), "at most 64 dimensions"},
		{"1 EB", header("'<f8'", "(1000000000, 100000000)"), ""},
		{"one too few", npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 1, 2, 3, 4, 5), ""},
	} {
		refused(t, c.name, len(c.file), func() error { _, err := data.ReadNpy(bytes.NewReader(c.file)); return err }, "data.ReadNpy: ", c.want)
		path := file(t, "a.npy", c.file)
		refused(t, c.name, len(c.file), func() error { _, err := data.ReadNpyFile(path); return err }, "data: "+path+": ", c.want)
	}
	large := npyFile("{'descr': '>f8', 'fortran_order': False, 'shape': ()}", binary.BigEndian.AppendUint64(nil, math.Float64bits(1e39))...)
	refused(t, "beyond float32", len(large), func() error { _, err := data.ReadNpy(bytes.NewReader(large)); return err }, "element 0 is 1e+39, want no number beyond")

	short := npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 1, 2, 3, 4, 5)
	refused(t, "cut", len(short), func() error { _, err := data.ReadNpy(bytes.NewReader(short)); return err }, "expected 2 elements of 4 bytes, found 1: unexpected EOF")
	endless := npyFile("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,)}", make([]byte, 1<<18)...)
	refused(t, "more than there is", len(endless), func() error { _, err := data.ReadNpy(bytes.NewReader(endless)); return err }, onInts("expected 1000000000000 elements of 1 bytes, found 262144", "a dimension from 0 to 2147483647"))
	path := file(t, "short.npy", short)
	refused(t, "cut file", len(short), func() error { _, err := data.ReadNpyFile(path); return err }, "expected 8 bytes of elements for the shape [2] of <f4, found 5")
	path = file(t, "long.npy", append(short, 1, 2, 3, 4))
	refused(t, "long file", len(short), func() error { _, err := data.ReadNpyFile(path); return err }, "expected 8 bytes of elements for the shape [2] of <f4, found 9")
}

// TestReadNpyLarge reads more than a buffer of the reader, in pieces.
func TestReadNpyLarge(t *testing.T) {
	a := &data.Array{Shape: []int{101, 1009}, X: make([]float32, 101*1009)}
	for i := range a.X {
		a.X[i] = float32(i) / 7
	}
	var b bytes.Buffer
	if err := a.WriteNpy(&b); err != nil {
		t.Fatal(err)
	}
	got, err := data.ReadNpy(iotest.HalfReader(bytes.NewReader(b.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	sameArray(t, "large", got, a)
	boom := errors.New("boom")
	if _, err := data.ReadNpy(io.MultiReader(bytes.NewReader(b.Bytes()[:1000]), iotest.ErrReader(boom))); !errors.Is(err, boom) {
		t.Errorf("error %v, want the reader's", err)
	}
}

func TestWriteNpyErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		a    *data.Array
		want string
	}{
		{"too few", &data.Array{Shape: []int{2, 3}, X: make([]float32, 5)}, "len(X) = 5, want the 6 of the shape [2 3]"},
		{"negative", &data.Array{Shape: []int{-1, 0}}, "want dimensions of at least 0"},
		{"negative after 0", &data.Array{Shape: []int{0, -1}}, "want dimensions of at least 0"},
		{"overflow", &data.Array{Shape: []int{math.MaxInt, 4}}, "want a product of at most"},
		{"65 dimensions", &data.Array{Shape: slices.Repeat([]int{1}, 65), X: make([]float32, 1)}, "65 dimensions, want at most 64"},
	} {
		var b bytes.Buffer
		refused(t, c.name, 0, func() error { return c.a.WriteNpy(&b) }, "data.Array.WriteNpy: ", c.want)
		refused(t, c.name, 0, func() error { return data.WriteNpz(&b, map[string]*data.Array{"bad": c.a}) }, `data.WriteNpz: array "bad": `, c.want)
		if b.Len() > 0 {
			t.Errorf("%s: %d bytes were written", c.name, b.Len())
		}
		path := file(t, "kept.npy", []byte("kept"))
		refused(t, c.name, 0, func() error { return c.a.WriteNpyFile(path) }, "data: writing "+path, c.want)
		if got, err := os.ReadFile(path); string(got) != "kept" {
			t.Errorf("%s: the file is now %q, %v", c.name, got, err)
		}
		if _, err := os.Stat(path + ".tmp"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a temporary file is left: %v", c.name, err)
		}
	}
	a := &data.Array{X: []float32{1}}
	refused(t, "no directory", 0, func() error { return a.WriteNpyFile(filepath.Join(t.TempDir(), "no", "a.npy")) }, "data: writing ", "no such file")
	for name, arrays := range map[string]map[string]*data.Array{"no name": {"": a}, "no array": {"a": nil}} {
		refused(t, name, 0, func() error { return data.WriteNpz(io.Discard, arrays) }, "want a name and an array")
	}
	if err := data.WriteNpz(full{}, map[string]*data.Array{"a": a}); !errors.Is(err, errFull) {
		t.Errorf("WriteNpz: error %v, want the writer's", err)
	}
	if err := a.WriteNpy(full{}); !errors.Is(err, errFull) {
		t.Errorf("WriteNpy: error %v, want the writer's", err)
	}
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestNpzRoundTrip(t *testing.T) {
	arrays := map[string]*data.Array{
		"x":       {Shape: []int{2, 2}, X: []float32{1, 2, 3, float32(math.Inf(1))}},
		"a/b":     {Shape: []int{}, X: []float32{-1}},
		"odd.npy": {Shape: []int{0, 3}},
		"é":       {Shape: []int{1}, X: []float32{7}},
	}
	path := filepath.Join(t.TempDir(), "a.npz")
	if err := data.WriteNpzFile(path, arrays); err != nil {
		t.Fatal(err)
	}
	got, err := data.ReadNpzFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(arrays) {
		t.Errorf("%d arrays, want %d", len(got), len(arrays))
	}
	for name, want := range arrays {
		if got[name] == nil {
			t.Errorf("no array %q", name)
			continue
		}
		sameArray(t, name, got[name], want)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var second bytes.Buffer
	if err := data.WriteNpz(&second, got); err != nil || !bytes.Equal(first, second.Bytes()) {
		t.Errorf("written again it is another file, error %v", err)
	}
}

// zipped makes a zip file of one entry after the other.
func zipped(t testing.TB, entries ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		w, err := z.Create(entries[i])
		if err == nil {
			_, err = io.WriteString(w, entries[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadNpzErrors(t *testing.T) {
	one := string(npyFile("{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", 1, 2, 3))
	good := zipped(t, "a.npy", one)
	crc := slices.Clone(good)
	crc[bytes.LastIndex(crc, []byte("PK\x01\x02"))+16] ^= 1
	// The central directory names the same content under 26 names.
	overlapping := func() []byte {
		at := bytes.LastIndex(good, []byte("PK\x01\x02"))
		end := bytes.LastIndex(good, []byte("PK\x05\x06"))
		entry := good[at:end]
		b := slices.Clone(good[:at])
		for i := range 26 {
			e := slices.Clone(entry)
			e[46] = 'a' + byte(i)
			b = append(b, e...)
		}
		tail := slices.Clone(good[end:])
		binary.LittleEndian.PutUint16(tail[8:], 26)
		binary.LittleEndian.PutUint16(tail[10:], 26)
		binary.LittleEndian.PutUint32(tail[12:], uint32(26*len(entry)))
		return append(b, tail...)
	}()
	huge := func(size uint32) []byte {
		b := slices.Clone(good)
		binary.LittleEndian.PutUint32(b[bytes.LastIndex(b, []byte("PK\x01\x02"))+24:], size)
		return b
	}
	for _, c := range []struct {
		name  string
		file  []byte
		names []string
		want  string
	}{
		{"empty", nil, nil, "expected a zip file: zip: not a valid zip file"},
		{"an .npy", []byte(one), nil, "expected a zip file"},
		{"cut", good[:len(good)-1], nil, "expected a zip file"},
		{"no such name", good, []string{"b"}, `expected an array "b", found "a"`},
		{"name with .npy", good, []string{"a.npy"}, `expected an array "a.npy", found "a"`},
		{"another file in it", zipped(t, "a.npy", one, "readme.txt", "hello, there"), nil, `array "readme.txt": expected the first bytes`},
		{"a name twice", zipped(t, "a.npy", one, "a", one), nil, `each name once, found "a" twice`},
		{"more behind the array", zipped(t, "a.npy", one+"x"), nil, "expected 3 bytes of elements for the shape [3] of |u1, found 4"},
		{"less", zipped(t, "a.npy", one[:len(one)-1]), nil, "expected 3 bytes of elements"},
		{"checksum", crc, nil, `array "a": `},
		{"overlapping", overlapping, nil, "expected arrays that do not overlap"},
		{"more than there is", huge(1 << 31), nil, "expected 3 bytes of elements"},
	} {
		refused(t, c.name, len(c.file), func() error {
			_, err := data.ReadNpz(bytes.NewReader(c.file), int64(len(c.file)), c.names...)
			return err
		}, "data.ReadNpz: ", c.want)
		path := file(t, "a.npz", c.file)
		refused(t, c.name, len(c.file), func() error { _, err := data.ReadNpzFile(path, c.names...); return err }, "data: "+path+": ", c.want)
	}
}
