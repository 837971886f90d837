package data_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-go/lockstep/nn/data"
)

// safetensorsFile is a file of a header and what follows it.
func safetensorsFile(header string, elements ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), elements...)
}

// streamedModel hides how much a reader has.
type streamedModel struct{ io.Reader }

// Each type, each kind of number, by the bits.
func TestReadSafetensors(t *testing.T) {
	var elements []byte
	for _, v := range []float64{1.5, 1 + 0x1p-24, 1 + 3*0x1p-24, 1e300, -0x1p-149, 0x1p-150} {
		elements = binary.LittleEndian.AppendUint64(elements, math.Float64bits(v))
	}
	for _, v := range []uint32{0x80000000, 0x7f800000, 0x7fc00001, 1} {
		elements = binary.LittleEndian.AppendUint32(elements, v)
	}
	for _, v := range []uint16{0x3fc0, 0x8000, 0xff80, 0x0001} {
		elements = binary.LittleEndian.AppendUint16(elements, v)
	}
	elements = binary.LittleEndian.AppendUint64(elements, 1<<63)
	for _, v := range []uint32{math.MaxUint32, math.MaxInt32} {
		elements = binary.LittleEndian.AppendUint32(elements, v)
	}
	// The names are neither in the order of the places nor without escapes, there are spaces,
	// and keys in another order.
	b := safetensorsFile(`{ "\u00e9\"":{"data_offsets":[72,80],"shape":[],"dtype":"I64"},
	"f64" : {"dtype":"F64","shape":[ 3 , 2 ],"data_offsets":[0,48]},"f32":{"dtype":"F32","shape":[4,1],"data_offsets":[48,64]},
	"none":{"dtype":"F16","shape":[5,0],"data_offsets":[72,72]},"__metadata__":{"a":"b","":""},
	"bf16":{"dtype":"BF16","shape":[4],"data_offsets":[64,72]},"i32":{"dtype":"I32","shape":[2],"data_offsets":[80,88]}}    `, elements...)
	bitsOf := func(x []float32) (b []uint32) {
		for _, v := range x {
			b = append(b, math.Float32bits(v))
		}
		return b
	}
	want := []struct {
		data.Tensor
		bits []uint32
	}{
		{data.Tensor{Name: "f64", DType: "F64", Shape: []int{3, 2}}, bitsOf([]float32{1.5, 1, 1 + 0x1p-22, float32(math.Inf(1)), -0x1p-149, 0})},
		{data.Tensor{Name: "f32", DType: "F32", Shape: []int{4, 1}}, []uint32{0x80000000, 0x7f800000, 0x7fc00001, 1}},
		{data.Tensor{Name: "bf16", DType: "BF16", Shape: []int{4}}, []uint32{0x3fc00000, 0x80000000, 0xff800000, 0x00010000}},
		{data.Tensor{Name: "none", DType: "F16", Shape: []int{5, 0}}, nil},
		{data.Tensor{Name: "é\"", DType: "I64", Shape: []int{}, Ints: []int64{math.MinInt64}}, nil},
		{data.Tensor{Name: "i32", DType: "I32", Shape: []int{2}, Ints: []int64{-1, math.MaxInt32}}, nil},
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	for how, read := range map[string]func() ([]data.Tensor, map[string]string, error){
		"in memory": func() ([]data.Tensor, map[string]string, error) { return data.ReadSafetensors(bytes.NewReader(b)) },
		"streamed": func() ([]data.Tensor, map[string]string, error) {
			return data.ReadSafetensors(streamedModel{bytes.NewReader(b)})
		},
		"a file": func() ([]data.Tensor, map[string]string, error) { return data.ReadSafetensorsFile(path) },
	} {
		got, metadata, err := read()
		if err != nil {
			t.Errorf("%s: %v", how, err)
			continue
		}
		if !reflect.DeepEqual(metadata, map[string]string{"a": "b", "": ""}) {
			t.Errorf("%s: metadata %q", how, metadata)
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d tensors, want %d", how, len(got), len(want))
			continue
		}
		for i, w := range want {
			g := got[i]
			if bits := bitsOf(g.Data); !slices.Equal(bits, w.bits) {
				t.Errorf("%s: %s is %#x, want %#x", how, g.Name, bits, w.bits)
			}
			if (g.Data == nil) != (w.Ints != nil) {
				t.Errorf("%s: %s: Data is %v, Ints %v", how, g.Name, g.Data, g.Ints)
			}
			g.Data = nil
			if !reflect.DeepEqual(g, w.Tensor) {
				t.Errorf("%s: tensor %d is %#v, want %#v", how, i, g, w.Tensor)
			}
		}
	}

	if got, metadata, err := data.ReadSafetensors(bytes.NewReader(safetensorsFile("{}"))); len(got) != 0 || metadata != nil || err != nil {
		t.Errorf("an empty file: %v, %v, error %v", got, metadata, err)
	}
}

// Every binary16, against its definition.
func TestReadSafetensorsHalf(t *testing.T) {
	var elements []byte
	for h := range 1 << 16 {
		elements = binary.LittleEndian.AppendUint16(elements, uint16(h))
	}
	got, _, err := data.ReadSafetensors(bytes.NewReader(safetensorsFile(`{"h":{"dtype":"F16","shape":[65536],"data_offsets":[0,131072]}}`, elements...)))
	if err != nil {
		t.Fatal(err)
	}
	for h, v := range got[0].Data {
		exponent, fraction := h>>10&31, float64(h&1023)
		want := math.Ldexp(1+fraction/1024, exponent-15)
		switch {
		case exponent == 0:
			want = math.Ldexp(fraction/1024, -14)
		case exponent == 31 && fraction == 0:
			want = math.Inf(1)
		case exponent == 31:
			want = math.NaN()
		}
		if h>>15 == 1 {
			want = -want
		}
		if float64(v) != want && !(v != v && want != want) || math.Float32bits(v)>>31 != uint32(h>>15) {
			t.Fatalf("%#04x is %v, want %v", h, v, want)
		}
	}
}

// hostileSafetensors are files that are not safetensors, and a part of what the error says.
func hostileSafetensors() []struct{ what, want, file string } {
	file := func(header string, elements int) string {
		return string(safetensorsFile(header, make([]byte, elements)...))
	}
	one := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"a":{"dtype":"%s","shape":[%s],"data_offsets":[%s]}}`, dtype, shape, offsets)
	}
	two := func(first, second string) string {
		return fmt.Sprintf(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[%s]},"b":{"dtype":"F32","shape":[2],"data_offsets":[%s]}}`, first, second)
	}
	long := strings.Repeat("x", 1<<20-100)
	var many strings.Builder
	for i := range 15000 {
		fmt.Fprintf(&many, `"%d":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]},`, i, 4*i, 4*i+4)
	}
	length := func(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }
	list := []struct{ what, want, file string }{
		{"nothing", "the length of the header, 8 bytes: unexpected EOF", ""},
		{"seven bytes", "the length of the header, 8 bytes: unexpected EOF", "1234567"},
		{"a header near 2⁶³", "a header of 9223372036854775807 bytes, want at most 1048576", length(math.MaxInt64) + "{}"},
		{"a header near 2⁶⁴", "a header of 18446744073709551615 bytes, want at most 1048576", length(math.MaxUint64) + "{}"},
		{"100 MB of JSON", "a header of 100000000 bytes, want at most 1048576", length(100000000) + strings.Repeat(" ", 1<<16)},
		{"a header that is not there", "header of 1048576 bytes", length(1<<20) + "{}"},
		{"a pickle", "a zip archive, as torch.save writes", "PK\x03\x04\x00\x00\x08\x08\x00\x00"},
		{"no header", "byte 0: the end, want {", length(0)},
		{"no object", "byte 0: '[', want {", file("[]", 0)},
		{"a space first", "byte 0: ' ', want {", file(" {}", 0)},
		{"no UTF-8", "it is not UTF-8", file("{\"\xff\":1}", 0)},
		{"no end", "the end, want , or }", file(one("F32", "1", "0,4")[:len(one("F32", "1", "0,4"))-1], 4)},
		{"an open string", "the end, in a string", file(`{"abc`, 0)},
		{"an open escape", "the end, in a string", file(`{"abc\`, 0)},
		{"a bad escape", "a string: invalid", file(`{"a\q":{}}`, 0)},
		{"a line in a string", `'\n' in a string`, file("{\"a\n\":{}}", 0)},
		{"two objects", "byte 2: '{' behind the end", file("{}{}", 0)},
		{"a comma", "want \"", file("{,}", 0)},
		{"a comma at the end", "'}', want \"", file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},}`, 4)},
		{"deep nesting", "'[', want {", file(`{"a":`+strings.Repeat("[", 1<<20-100), 0)},
		{"deep nesting of shapes", `"", want a whole number`, file(`{"a":{"shape":`+strings.Repeat("[", 1<<20-100), 0)},
		{"deep nesting of objects", "'{', want \"", file(`{"a":`+strings.Repeat("{", 1<<20-100), 0)},
		{"deep nesting of tensors", `tensor "a" has "a", want dtype, shape and data_offsets`, file(strings.Repeat(`{"a":`, 1<<17), 0)},
		{"null", "'n', want {", file(`{"a":null}`, 0)},
		{"a name twice", `the name "a" twice`, file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}`, 8)},
		{"a name twice, escaped", `the name "a" twice`, file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}`, 8)},
		{"metadata twice", `the name "__metadata__" twice`, file(`{"__metadata__":{},"__metadata__":{}}`, 0)},
		{"a key of metadata twice", `the key "k" twice in __metadata__`, file(`{"__metadata__":{"k":"1","k":"2"}}`, 0)},
		{"metadata of numbers", `'1', want "`, file(`{"__metadata__":{"k":1}}`, 0)},
		{"dtype twice", `"dtype" twice in tensor "a"`, file(`{"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4)},
		{"no dtype", `tensor "a" has no dtype`, file(`{"a":{"shape":[],"data_offsets":[0,4]}}`, 4)},
		{"no shape", `tensor "a" has no shape`, file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4)},
		{"no data_offsets", `tensor "a" has no data_offsets`, file(`{"a":{"dtype":"F32","shape":[]}}`, 4)},
		{"another key", `tensor "a" has "strides", want dtype, shape and data_offsets`, file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"strides":[]}}`, 4)},
		{"another type", `tensor "a" has dtype "U8", want one of F64, F32, F16, BF16, I64, I32`, file(one("U8", "4", "0,4"), 4)},
		{"no type", `tensor "a" has dtype ""`, file(one("", "4", "0,4"), 4)},
		{"one offset", `tensor "a" has 1 data_offsets, want 2`, file(one("F32", "", "0"), 4)},
		{"three offsets", `tensor "a" has 3 data_offsets, want 2`, file(one("F32", "", "0,4,8"), 4)},
		{"no offsets", `tensor "a" has 0 data_offsets, want 2`, file(one("F32", "", ""), 4)},
		{"a negative offset", `"-4", want a whole number from 0 to 9223372036854775807`, file(one("F32", "", "-4,0"), 4)},
		{"a negative dimension", `"-1", want a whole number`, file(one("F32", "-1", "0,4"), 4)},
		{"a fraction", `"1.0", want a whole number`, file(one("F32", "1.0", "0,4"), 4)},
		{"an exponent", `"1e0", want a whole number`, file(one("F32", "1e0", "0,4"), 4)},
		{"a leading zero", `"01", want a whole number`, file(one("F32", "01", "0,4"), 4)},
		{"a text for a number", `"", want a whole number`, file(one("F32", `"1"`, "0,4"), 4)},
		{"an offset of 2⁶³", `"9223372036854775808", want a whole number`, file(one("F32", "", "0,9223372036854775808"), 4)},
		{"a number of a million digits", `want a whole number`, file(one("F32", "", "0,"+strings.Repeat("9", 1<<20-100)), 4)},
		{"offsets the other way round", `tensor "a" begins at 4 and ends at 0`, file(one("F32", "", "4,0"), 4)},
		{"offsets near 2⁶³", `tensor "a" has 4 bytes, want the 8 of F32 and shape [2]`, file(one("F32", "2", "9223372036854775800,9223372036854775804"), 4)},
		{"offsets near 2⁶³ that fit", `tensor "a" begins at 9223372036854775800, want 0`, file(one("F32", "1", "9223372036854775800,9223372036854775804"), 4)},
		{"too few bytes for the shape", `tensor "a" has 4 bytes, want the 8 of F32 and shape [2]`, file(one("F32", "2", "0,4"), 4)},
		{"too many bytes for the shape", `tensor "a" has 8 bytes, want the 4 of F32 and shape [1]`, file(one("F32", "1", "0,8"), 8)},
		{"a shape of 2⁶⁴ elements", `tensor "a" of shape [4294967296 4294967296] has more elements`, file(one("F32", "4294967296,4294967296", "0,0"), 0)},
		{"a shape of 2⁶² elements", `has more elements than a slice can hold`, file(one("F32", "2147483648,2147483648", "0,0"), 0)},
		{"a shape of 2⁶¹ elements and as many bytes in the header", `9223372036854775800 bytes`, file(one("F64", "1152921504606846975", "0,9223372036854775800"), 0)},
		{"an overlap", `tensor "b" begins at 4, inside another that ends at 8`, file(two("0,8", "4,12"), 12)},
		{"the same place", `tensor "b" begins at 0, inside another that ends at 8`, file(two("0,8", "0,8"), 8)},
		{"an empty one inside another", `tensor "a" begins at 4, inside another that ends at 8`, file(strings.Replace(two("4,4", "0,8"), "[2]", "[0]", 1), 8)},
		{"a gap", `tensor "b" begins at 12, want 8`, file(two("0,8", "12,20"), 20)},
		{"a gap at the start", `tensor "a" begins at 4, want 0`, file(two("4,12", "12,20"), 20)},
		{"too little", "bytes", file(two("0,8", "8,16"), 12)},
		{"nothing behind the header", "", file(one("F32", "1000000000", "0,4000000000"), 0)},
		{"trailing bytes", "", file(two("0,8", "8,16"), 17)},
		{"a name of a megabyte", "xxx…", file(`{"`+long+`":{"dtype":"F31"}}`, 0)},
		{"a shape of 65 dimensions", `tensor "a" has more than 64 dimensions`, file(one("F32", "2"+strings.Repeat(",1", 64), "0,4"), 4)},
		{"many tensors, and one too many", `the name "7" twice`, file("{"+many.String()+`"7":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 60004)},
		{"many tensors without data", "", file("{"+strings.TrimSuffix(many.String(), ",")+"}", 16)},
	}
	return list
}

// What is wrong is said, without a panic and without memory for what is not there.
func TestReadSafetensorsErrors(t *testing.T) {
	for _, c := range hostileSafetensors() {
		if math.MaxInt == math.MaxInt32 && strings.Contains(c.what, "2⁶") {
			continue // refused as too large before
		}
		for how, r := range map[string]io.Reader{"in memory": strings.NewReader(c.file), "streamed": streamedModel{strings.NewReader(c.file)}} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			tensors, _, err := data.ReadSafetensors(r)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("%s, %s: no error", c.what, how)
				continue
			}
			if took > time.Millisecond {
				t.Logf("%s, %s: a file of %d bytes took %v", c.what, how, len(c.file), took)
			}
			if text := err.Error(); !strings.Contains(text, c.want) || !strings.HasPrefix(text, "data.ReadSafetensors: ") || len(text) > 600 {
				t.Errorf("%s, %s: error %q, want one with %q", c.what, how, text, c.want)
			}
			if tensors != nil {
				t.Errorf("%s, %s: %d tensors with an error", c.what, how, len(tensors))
			}
			// The text grows by doubling; a place in the list and in the set of names is
			// larger than the text that it is from, by less than 16 times.
			if got, most := after.TotalAlloc-before.TotalAlloc, uint64(20*len(c.file)+1<<17); got > most {
				t.Errorf("%s, %s: %d bytes allocated for a file of %d, want at most %d", c.what, how, got, len(c.file), most)
			}
		}
	}
}

// A file that ends anywhere is an error, and so is what its reader says.
func TestReadSafetensorsTruncated(t *testing.T) {
	whole := readModelFile(t, "torch_f16.safetensors")
	for n := range whole {
		for how, r := range map[string]io.Reader{"in memory": bytes.NewReader(whole[:n]), "streamed": streamedModel{bytes.NewReader(whole[:n])}} {
			if _, _, err := data.ReadSafetensors(r); err == nil {
				t.Errorf("%d of %d bytes, %s: no error", n, len(whole), how)
			} else if how == "streamed" && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d of %d bytes, %s: error %v, want %v in it", n, len(whole), how, err, io.ErrUnexpectedEOF)
			}
		}
		broken := io.MultiReader(bytes.NewReader(whole[:n]), full{})
		if _, _, err := data.ReadSafetensors(broken); !errors.Is(err, errFull) {
			t.Errorf("%d bytes and an error: %v, want that", n, err)
		}
	}
	if _, _, err := data.ReadSafetensors(io.MultiReader(bytes.NewReader(whole), full{})); !errors.Is(err, errFull) {
		t.Errorf("an error behind the end: %v, want that", err)
	}
	if _, _, err := data.ReadSafetensors(streamedModel{bytes.NewReader(append(slices.Clone(whole), 0))}); err == nil || !strings.Contains(err.Error(), "behind the last tensor") {
		t.Errorf("a byte more: error %v", err)
	}
	if _, _, err := data.ReadSafetensors(bytes.NewReader(append(slices.Clone(whole), 0))); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in the header, and %d in the file", len(whole)+1-8-int(whole[0])-256*int(whole[1]))) {
		t.Errorf("a byte more, in memory: error %v", err)
	}
	if _, _, err := data.ReadSafetensors(bytes.NewReader(whole[:100])); err == nil || !strings.Contains(err.Error(), " in a file of 100") {
		t.Errorf("100 bytes, in memory: error %v", err)
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if _, _, err := data.ReadSafetensorsFile(path); !errors.Is(err, os.ErrNotExist) || strings.Count(err.Error(), path) != 1 {
		t.Errorf("no file: error %v", err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := data.ReadSafetensorsFile(path); err == nil || !strings.Contains(err.Error(), "data: reading "+path+": the tensors have ") {
		t.Errorf("a file that is cut off: error %v", err)
	}
}

func (full) Read([]byte) (int, error) { return 0, errFull }

// The bytes do not depend on the order, and are read as what was written.
func TestWriteSafetensors(t *testing.T) {
	large := make([]float32, 10007)
	for i := range large {
		large[i] = float32(i) / 3
	}
	tensors := []data.Tensor{
		{Name: "b", Shape: []int{}, Data: []float32{float32(math.Inf(-1))}},
		{Name: "a/<&>\"\\\n", Shape: []int{10007, 1}, Data: large},
		{Name: "n", Shape: []int{2}, Ints: []int64{math.MinInt64, 7}},
		{Name: "", Shape: []int{0, 3}, Data: []float32{}},
	}
	metadata := map[string]string{"z": "1", "a": "ü", "format": "pt"}
	var first bytes.Buffer
	if err := data.WriteSafetensors(&first, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	if size := binary.LittleEndian.Uint64(first.Bytes()); size%8 != 0 || first.Bytes()[8+size-1] != ' ' && first.Bytes()[8+size-1] != '}' {
		t.Errorf("a header of %d bytes, want a multiple of 8", size)
	}
	if name := `"a/<&>\"\\\n"`; !strings.Contains(first.String(), name) {
		t.Errorf("the header %.300q, want it with the name %s, as the library writes it", first.String(), name)
	}
	reversed := slices.Clone(tensors)
	slices.Reverse(reversed)
	var second bytes.Buffer
	if err := data.WriteSafetensors(&second, reversed, metadata); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("other bytes in another order")
	}
	if tensors[0].Name != "b" || reversed[0].Name != "" {
		t.Error("the caller's tensors were sorted")
	}
	got, m, err := data.ReadSafetensors(&first)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m, metadata) {
		t.Errorf("metadata %q, want %q", m, metadata)
	}
	want := []data.Tensor{tensors[2], tensors[3], tensors[1], tensors[0]}
	for i := range want {
		want[i].DType = []string{"I64", "F32", "F32", "F32"}[i]
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%.300v came back, want %.300v", got, want)
	}
}

func TestWriteSafetensorsErrors(t *testing.T) {
	one := []float32{1}
	for _, c := range []struct {
		what    string
		tensors []data.Tensor
		meta    map[string]string
		want    string
	}{
		{"a name twice", []data.Tensor{{Name: "a", Data: one}, {Name: "a", Data: one}}, nil, `two tensors of the name "a"`},
		{"metadata as a name", []data.Tensor{{Name: "__metadata__", Data: one}}, nil, `a tensor of the name "__metadata__"`},
		{"a name that is not UTF-8", []data.Tensor{{Name: "\xff", Data: one}}, nil, `a tensor of the name "\xff"`},
		{"metadata that are not UTF-8", nil, map[string]string{"a": "\xff"}, `"\xff" is not UTF-8`},
		{"a shape", []data.Tensor{{Name: "a", Shape: []int{2}, Data: one}}, nil, `tensor "a" has 1 elements, want those of shape [2]`},
		{"a negative shape", []data.Tensor{{Name: "a", Shape: []int{-1, -1}, Data: one}}, nil, `tensor "a" has 1 elements, want those of shape [-1 -1]`},
		{"a negative shape of nothing", []data.Tensor{{Name: "a", Shape: []int{0, -1}, Data: one[:0]}}, nil, `tensor "a" has 0 elements, want those of shape [0 -1]`},
		{"a shape that overflows", []data.Tensor{{Name: "a", Shape: []int{math.MaxInt, math.MaxInt}, Data: one}}, nil, `tensor "a" has 1 elements`},
		{"both", []data.Tensor{{Name: "a", Data: one, Ints: []int64{1}}}, nil, `tensor "a" has Data and Ints`},
		{"a header that cannot be read", []data.Tensor{{Name: strings.Repeat("a", 1<<20), Data: one}}, nil, "want at most 1048576"},
	} {
		var b bytes.Buffer
		if err := data.WriteSafetensors(&b, c.tensors, c.meta); err == nil || !strings.Contains(err.Error(), c.want) || b.Len() > 0 {
			t.Errorf("%s: error %.300v and %d bytes, want %q and none", c.what, err, b.Len(), c.want)
		}
	}
	large := []data.Tensor{{Name: "a", Shape: []int{1 << 16}, Data: make([]float32, 1<<16)}, {Name: "b", Shape: []int{1 << 16}, Ints: make([]int64, 1<<16)}}
	for i := range large {
		if err := data.WriteSafetensors(full{}, large[i:][:1], nil); !errors.Is(err, errFull) {
			t.Errorf("error %v, want the writer's", err)
		}
	}
	path := filepath.Join(t.TempDir(), "x")
	if err := data.WriteSafetensorsFile(path, []data.Tensor{{Name: "a"}}, nil); err == nil || !strings.Contains(err.Error(), "data: writing "+path+": tensor") {
		t.Errorf("error %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) > 0 {
		t.Errorf("%v is left, error %v", entries, err)
	}
	if err := data.WriteSafetensorsFile(path, large, nil); err != nil {
		t.Error(err)
	} else if got, _, err := data.ReadSafetensorsFile(path); err != nil || len(got) != 2 {
		t.Errorf("%d tensors, error %v", len(got), err)
	}
}

// Whatever a file has, the reader says what is wrong or returns no more than is there; and what
// it returns can be written and is read again.
func FuzzReadSafetensors(f *testing.F) {
	for _, name := range []string{"torch_f16.safetensors", "torch_f64.safetensors"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, c := range hostileSafetensors() {
		if len(c.file) < 1<<12 {
			f.Add([]byte(c.file))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tensors, metadata, err := data.ReadSafetensors(bytes.NewReader(b))
		others, _, err2 := data.ReadSafetensors(streamedModel{bytes.NewReader(b)})
		if (err == nil) != (err2 == nil) {
			t.Fatalf("in memory the error is %v, streamed %v", err, err2)
		}
		if err != nil {
			return
		}
		if got, want := fmt.Sprint(others), fmt.Sprint(tensors); got != want {
			t.Fatalf("streamed it is\n%s, in memory\n%s", got, want)
		}
		elements := 0
		for _, x := range tensors {
			size := 1
			for _, n := range x.Shape {
				size *= n
			}
			if n := len(x.Data) + len(x.Ints); n != size {
				t.Fatalf("%q has %d elements, its shape %v %d", x.Name, n, x.Shape, size)
			}
			elements += size
		}
		if 2*elements > len(b) {
			t.Fatalf("%d elements from %d bytes", elements, len(b))
		}
		var again bytes.Buffer
		if err := data.WriteSafetensors(&again, tensors, metadata); err != nil {
			t.Fatal(err)
		}
		first := bytes.Clone(again.Bytes())
		same, m, err := data.ReadSafetensors(&again)
		if err != nil || fmt.Sprint(m) != fmt.Sprint(metadata) || len(same) != len(tensors) {
			t.Fatalf("written and read it is %v, %v, error %v, want %v", same, m, err, tensors)
		}
		var third bytes.Buffer
		if err := data.WriteSafetensors(&third, same, m); err != nil || !bytes.Equal(third.Bytes(), first) {
			t.Fatalf("written again it has other bytes, error %v", err)
		}
	})
}
