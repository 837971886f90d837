package data_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn/data"
)

// idxFile makes an IDX file.
func idxFile(magic uint32, dims []uint32, elems ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, elems...)
}

var wideFloat = binary.BigEndian.AppendUint64(nil, math.Float64bits(0.1))

var idxFiles = []struct {
	name string
	file []byte
	want data.Array
}{
	{"uint8", idxFile(0x802, []uint32{2, 3}, 0, 1, 2, 3, 254, 255), data.Array{Shape: []int{2, 3}, X: []float32{0, 1, 2, 3, 254, 255}}},
	{"int8", idxFile(0x901, []uint32{3}, 127, 128, 255), data.Array{Shape: []int{3}, X: []float32{127, -128, -1}}},
	{"int16", idxFile(0xb01, []uint32{2}, 1, 2, 0xff, 0xfe), data.Array{Shape: []int{2}, X: []float32{258, -2}}},
	{"int32", idxFile(0xc03, []uint32{1, 2, 1}, 1, 2, 3, 4, 0x80, 0, 0, 0), data.Array{Shape: []int{1, 2, 1}, X: []float32{1<<24 + 2<<16 + 3<<8 + 4, -1 << 31}}},
	{"float32", idxFile(0xd01, []uint32{1}, 0xc0, 0x20, 0, 0), data.Array{Shape: []int{1}, X: []float32{-2.5}}},
	{"float64", idxFile(0xe01, []uint32{1}, wideFloat...), data.Array{Shape: []int{1}, X: []float32{0.1}}},
}

func TestReadIDX(t *testing.T) {
	large := make([]byte, 3<<18+8) // several chunks
	for i := range large {
		large[i] = byte(i * 7 >> 3)
	}
	for name, content := range map[string][]byte{"plain": idxFile(0xc01, []uint32{uint32(len(large) / 4)}, large...), "gz": compressed(idxFile(0xc01, []uint32{uint32(len(large) / 4)}, large...))} {
		a, err := data.ReadIDX(bytes.NewReader(content))
		if err != nil {
			t.Errorf("large, %s: %v", name, err)
			continue
		}
		for i, v := range a.X {
			if want := float32(int32(binary.BigEndian.Uint32(large[4*i:]))); v != want {
				t.Fatalf("large, %s: number %d is %v, want %v", name, i, v, want)
			}
		}
	}
	for _, c := range idxFiles {
		for _, content := range [][]byte{c.file, compressed(c.file)} {
			a, err := data.ReadIDXFile(file(t, "a.idx", content))
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			sameArray(t, c.name, a, &c.want)
		}
	}
}

func TestReadIDXErrors(t *testing.T) {
	damaged := compressed(idxFiles[0].file)
	damaged[len(damaged)-8]++
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "found 0"},
		{"short", []byte{0, 0, 8}, "found 3"},
		{"foreign", []byte("GIF89a"), "magic number of IDX, two zero bytes"},
		{"no such type", idxFile(0xa01, []uint32{1}, 1), "found 0x00000a01"},
		{"no dimensions", idxFile(0x800, nil, 1), "1 to 16 dimensions, found 0x00000800"},
		{"header cut", idxFile(0x803, []uint32{1, 1}), "expected a header of 16 bytes, found 12"},
		{"17 dimensions", idxFile(0x811, slices.Repeat([]uint32{1}, 17), 1), "1 to 16 dimensions, found 0x00000811"},
		{"16 dimensions", idxFile(0x810, slices.Repeat([]uint32{math.MaxUint32}, 16)), "product is at most"},
		{"dimensions that wrap around to 0", idxFile(0x803, []uint32{1 << 31, 1 << 31, 4}), "product is at most"},
		{"bytes that wrap around", idxFile(0xe03, []uint32{1 << 31, 1 << 29, 1}), "product is at most"},
		{"a zero dimension", idxFile(0x802, []uint32{1, 0}), "above zero"},
		{"2 TB of doubles", idxFile(0xe02, []uint32{1 << 20, 1 << 18}, 1, 2, 3), onInts("expected 2199023255564 bytes", "whose product is at most 134217727")},
		{"cut", idxFiles[0].file[:17], "expected 18 bytes for the dimensions [2 3], found 17"},
		{"a byte more", append(slices.Clone(idxFiles[0].file), 0), "expected 18 bytes for the dimensions [2 3], found 19"},
		{"too large a double", idxFile(0xe01, []uint32{1}, binary.BigEndian.AppendUint64(nil, math.Float64bits(-1e300))...), "element 0 is -1e+300, want no number beyond the largest float32"},
		{"gzip header", []byte("\x1f\x8b, no more"), "expected a gzip header"},
		{"gzip checksum", damaged, "gzip: invalid checksum"},
	} {
		refused(t, c.name, len(c.file), func() error { _, err := data.ReadIDX(bytes.NewReader(c.file)); return err }, "data.ReadIDX: ", c.want)
		path := file(t, "x.idx", c.file)
		refused(t, c.name, len(c.file), func() error { _, err := data.ReadIDXFile(path); return err }, "data: "+path+": ", c.want)
	}
	absent := filepath.Join(t.TempDir(), "absent")
	refused(t, "absent", 0, func() error { _, err := data.ReadIDXFile(absent); return err }, absent)
	refused(t, "a directory", 0, func() error { _, err := data.ReadIDXFile(filepath.Dir(absent)); return err }, filepath.Dir(absent), "a directory")
}

func TestReadImages(t *testing.T) {
	images := idxFile(0x803, []uint32{2, 1, 3}, 0, 1, 2, 127, 128, 255)
	labels := idxFile(0x801, []uint32{2}, 9, 255)
	for _, gz := range []bool{false, true} {
		a, b := images, labels
		if gz {
			a, b = compressed(a), compressed(b)
		}
		d, err := data.ReadImages(file(t, "images", a), file(t, "labels", b))
		if err != nil {
			t.Fatal(err)
		}
		want := []float32{0, float32(1) / 255, float32(2) / 255, float32(127) / 255, float32(128) / 255, 1}
		if d.Rows != 2 || !slices.Equal(d.X, want) || !slices.Equal(d.Labels, []int32{9, 255}) || d.Targets != nil {
			t.Errorf("gzip %v: %+v, want 2 rows of %v", gz, d, want)
		}
	}
	for _, c := range []struct {
		images, labels []byte
		want           []string
	}{
		{labels, labels, []string{"images", "0x00000803 (images)", "found 0x00000801 (labels)"}},
		{images, images, []string{"labels", "0x00000801 (labels)", "found 0x00000803 (images)"}},
		{images, idxFile(0x801, []uint32{1}, 9), []string{"labels", "expected 2 labels, as many as ", "images", "found 1"}},
	} {
		i, l := file(t, "images", c.images), file(t, "labels", c.labels)
		refused(t, strings.Join(c.want, " "), 100, func() error { _, err := data.ReadImages(i, l); return err }, c.want...)
	}
}
