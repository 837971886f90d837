package mnist

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	trainImages = "train-images-idx3-ubyte"
	trainLabels = "train-labels-idx1-ubyte"
	testImages  = "t10k-images-idx3-ubyte"
	testLabels  = "t10k-labels-idx1-ubyte"
)

func TestEmbedded(t *testing.T) {
	content := make(files)
	// The published hashes of the uncompressed files.
	for name, want := range map[string]string{
		trainImages: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
		trainLabels: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
		testImages:  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
		testLabels:  "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
	} {
		content[name] = uncompressed(t, name)
		sum := sha256.Sum256(content[name])
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s: SHA-256 is %s, want %s", name, got, want)
		}
	}

	train, test, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, images string
		set          *Set
		rows         int
		first        []int32
		perLabel     []int
	}{
		{
			"train", trainImages, train, 60000,
			[]int32{5, 0, 4, 1, 9, 2, 1, 3, 1, 4},
			[]int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949},
		},
		{
			"test", testImages, test, 10000,
			[]int32{7, 2, 1, 0, 4, 1, 4, 9, 5, 9},
			[]int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009},
		},
	} {
		s := c.set
		if s.Rows != c.rows || s.Width != 28 || s.Height != 28 || s.Classes != 10 || len(s.Labels) != c.rows {
			t.Errorf("%s: %d rows of %d×%d in %d classes with %d labels, want %d rows of 28×28 in 10 classes",
				c.name, s.Rows, s.Width, s.Height, s.Classes, len(s.Labels), c.rows)
			continue
		}
		if got := s.Labels[:10]; !slices.Equal(got, c.first) {
			t.Errorf("%s: first labels %d, want %d", c.name, got, c.first)
		}
		perLabel := make([]int, s.Classes)
		for _, label := range s.Labels {
			perLabel[label]++
		}
		if !slices.Equal(perLabel, c.perLabel) {
			t.Errorf("%s: images of each label %d, want %d", c.name, perLabel, c.perLabel)
		}
		checkPixels(t, c.name, s, content[c.images][16:])
	}
}

// uncompressed returns the content of an embedded file.
func uncompressed(t *testing.T, name string) []byte {
	t.Helper()
	f, err := embedded.Open("data/" + name + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func checkPixels(t *testing.T, name string, s *Set, want []byte) {
	t.Helper()
	if len(s.Images) != len(want) {
		t.Errorf("%s: %d pixels, want %d", name, len(s.Images), len(want))
		return
	}
	for i, b := range want {
		if s.Images[i] != float32(b)/255 {
			t.Errorf("%s: pixel %d is %v, want float32(%d)/255", name, i, s.Images[i], b)
			return
		}
	}
}

// files is the content of a directory.
type files map[string][]byte

// idxFile returns an IDX file.
func idxFile(magic uint32, dims []uint32, elems []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, elems...)
}

func compressed(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(content)
	z.Close()
	return b.Bytes()
}

// small returns a set of 2 training images and 1 test image, 128 wide and 2
// high; the first training image has every pixel value.
func small() files {
	pixels := make([]byte, 512)
	for i := range pixels {
		pixels[i] = byte(i ^ i>>8)
	}
	return files{
		trainImages: idxFile(0x803, []uint32{2, 2, 128}, pixels),
		trainLabels: idxFile(0x801, []uint32{2}, []byte{0, 255}),
		testImages:  idxFile(0x803, []uint32{1, 2, 128}, pixels[256:]),
		testLabels:  idxFile(0x801, []uint32{1}, []byte{254}),
	}
}

func (f files) compress(names ...string) files {
	for _, name := range names {
		f[name+".gz"] = compressed(f[name])
		delete(f, name)
	}
	return f
}

func (f files) write(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range f {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	both := small()
	both[trainLabels+".gz"] = []byte("not read")
	trailing := small().compress(testLabels)
	trailing[testLabels+".gz"] = append(trailing[testLabels+".gz"], compressed(nil)...)
	for name, f := range map[string]files{
		"plain":                small(),
		"compressed":           small().compress(slices.Collect(maps.Keys(small()))...),
		"mixed":                small().compress(trainImages, testLabels),
		"plain beside .gz":     both,
		"several gzip members": trailing,
	} {
		t.Run(name, func(t *testing.T) {
			train, test, err := Load(f.write(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []*Set{train, test} {
				if s.Width != 128 || s.Height != 2 || s.Classes != 256 {
					t.Errorf("images of %d×%d in %d classes, want 128×2 in 256", s.Width, s.Height, s.Classes)
				}
			}
			if train.Rows != 2 || test.Rows != 1 {
				t.Errorf("%d and %d rows, want 2 and 1", train.Rows, test.Rows)
			}
			if !slices.Equal(train.Labels, []int32{0, 255}) || !slices.Equal(test.Labels, []int32{254}) {
				t.Errorf("labels %d and %d, want [0 255] and [254]", train.Labels, test.Labels)
			}
			checkPixels(t, "train", train, small()[trainImages][16:])
			checkPixels(t, "test", test, small()[testImages][16:])
		})
	}
}

func TestLoadErrors(t *testing.T) {
	images, labels := small()[trainImages], small()[trainLabels]
	// flip returns a compressed file with the byte at i changed, counted from
	// the end where i < 0.
	flip := func(content []byte, i int) []byte {
		z := compressed(content)
		if i < 0 {
			i += len(z)
		}
		z[i] ^= 0xff
		return z
	}
	cut := func(b []byte, n int) []byte { return b[:len(b)-n] }

	// Each case replaces or, with nil, removes one file of a good set. The error
	// must be one line that has the file's name and every text of want.
	for _, c := range []struct {
		name, file string
		content    []byte
		want       []string
	}{
		{"missing images", trainImages, nil, []string{trainImages + ".gz", "found neither"}},
		{"missing labels", testLabels, nil, []string{testLabels + ".gz", "found neither"}},
		{"empty", trainImages, []byte{}, []string{"header of 16 bytes", "found 0"}},
		{"less than a magic number", trainImages, images[:3], []string{"header of 16 bytes", "found 3"}},
		{"truncated header of images", trainImages, images[:15], []string{"header of 16 bytes", "found 15"}},
		{"truncated header of labels", testLabels, labels[:7], []string{"header of 8 bytes", "found 7"}},
		{"no images", testImages, images[:16], []string{"expected 528 bytes", "[2 2 128]", "found 16"}},
		{"truncated images", trainImages, cut(images, 1), []string{"expected 528 bytes", "[2 2 128]", "found 527"}},
		{"truncated labels", trainLabels, cut(labels, 1), []string{"expected 10 bytes", "[2]", "found 9"}},
		{"oversized images", trainImages, append(slices.Clip(images), 0), []string{"expected 528 bytes", "[2 2 128]", "found 529"}},
		{"oversized labels", testLabels, append(slices.Clip(labels), labels...), []string{"expected 10 bytes", "[2]", "found 20"}},
		{"labels as images", testImages, labels, []string{"expected the magic number 0x00000803 (images)", "found 0x00000801 (labels)"}},
		{"images as labels", testLabels, images, []string{"expected the magic number 0x00000801 (labels)", "found 0x00000803 (images)"}},
		{"foreign", trainImages, []byte("GIF89a"), []string{"0x00000803 (images)", "found 0x47494638 (neither images nor labels)"}},
		{"compressed without .gz", trainImages, compressed(images), []string{"0x00000803 (images)", "found 0x1f8b0800"}},
		{"little-endian", trainLabels, []byte{1, 8, 0, 0, 2, 0, 0, 0, 0, 1}, []string{"0x00000801 (labels)", "found 0x01080000"}},
		{"IDX of float32", trainLabels, idxFile(0xd01, []uint32{1}, make([]byte, 4)), []string{"0x00000801 (labels)", "found 0x00000d01"}},
		{"zero rows", trainImages, idxFile(0x803, []uint32{0, 28, 28}, nil), []string{"above zero", "[0 28 28]"}},
		{"zero height", trainImages, idxFile(0x803, []uint32{2, 0, 28}, nil), []string{"above zero", "[2 0 28]"}},
		{"zero width", trainImages, idxFile(0x803, []uint32{2, 28, 0}, nil), []string{"above zero", "[2 28 0]"}},
		{"zero labels", testLabels, idxFile(0x801, []uint32{0}, nil), []string{"above zero", "[0]"}},
		{"product past 2^64", trainImages, idxFile(0x803, []uint32{1<<32 - 1, 1<<32 - 1, 1<<32 - 1}, nil), []string{"product is at most", "[4294967295 4294967295 4294967295]"}},
		{"product 2^64, wrapping to 0", trainImages, idxFile(0x803, []uint32{1 << 22, 1 << 21, 1 << 21}, nil), []string{"product is at most", "[4194304 2097152 2097152]"}},
		{"product 2^62", trainImages, idxFile(0x803, []uint32{1 << 30, 1 << 30, 4}, nil), []string{"product is at most", "[1073741824 1073741824 4]"}},
		{"large header, no data", trainImages, idxFile(0x803, []uint32{500, 1000, 1000}, []byte{1}), []string{"expected 500000016 bytes", "found 17"}},
		{"more labels than images", trainLabels, idxFile(0x801, []uint32{3}, make([]byte, 3)), []string{"expected 2 labels", trainImages, "found 3"}},
		{"fewer labels than images", trainLabels, idxFile(0x801, []uint32{1}, make([]byte, 1)), []string{"expected 2 labels", trainImages, "found 1"}},
		{"more test labels than images", testLabels, idxFile(0x801, []uint32{3}, make([]byte, 3)), []string{"expected 1 labels", testImages, "found 3"}},
		{"other width", testImages, idxFile(0x803, []uint32{1, 2, 127}, make([]byte, 254)), []string{"128×2", trainImages, "found 127×2"}},
		{"other height", testImages, idxFile(0x803, []uint32{1, 1, 128}, make([]byte, 128)), []string{"128×2", trainImages, "found 128×1"}},
		{"label beyond the training set's", trainLabels, idxFile(0x801, []uint32{2}, []byte{3, 253}), []string{testLabels, "labels up to 253", "found 254 at index 0"}},

		{"gzip: empty", trainImages + ".gz", []byte{}, []string{"gzip header", "EOF"}},
		{"gzip: foreign", trainImages + ".gz", images, []string{"gzip header", "gzip: invalid header"}},
		{"gzip: header cut", trainImages + ".gz", compressed(images)[:9], []string{"gzip header", "unexpected EOF"}},
		{"gzip: no content", trainImages + ".gz", compressed(nil), []string{"header of 16 bytes", "found 0"}},
		{"gzip: damaged", trainImages + ".gz", flip(images, 10), []string{"header of 16 bytes", "flate: corrupt input"}},
		{"gzip: damaged CRC", trainImages + ".gz", flip(images, -8), []string{"end after 528 bytes", "gzip: invalid checksum"}},
		{"gzip: damaged length", testLabels + ".gz", flip(small()[testLabels], -1), []string{"end after 9 bytes", "gzip: invalid checksum"}},
		{"gzip: trailer cut", trainImages + ".gz", cut(compressed(images), 1), []string{"end after 528 bytes", "unexpected EOF"}},
		{"gzip: stream cut", trainImages + ".gz", cut(compressed(images), 20), []string{"expected 528 bytes", "unexpected EOF"}},
		{"gzip: trailing bytes", trainImages + ".gz", append(compressed(images), "more"...), []string{"end after 528 bytes", "unexpected EOF"}},
		{"gzip: truncated content", trainImages + ".gz", compressed(cut(images, 1)), []string{"expected 528 bytes", "found 527"}},
		{"gzip: oversized content", trainImages + ".gz", compressed(append(slices.Clip(images), 0)), []string{"expected 528 bytes", "found 529"}},
		{"gzip: labels as images", trainImages + ".gz", compressed(labels), []string{"0x00000803 (images)", "found 0x00000801 (labels)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := small()
			delete(f, strings.TrimSuffix(c.file, ".gz"))
			if c.content != nil {
				f[c.file] = c.content
			}
			checkError(t, f, append(c.want, c.file))
		})
		if c.content == nil || strings.HasSuffix(c.file, ".gz") {
			continue
		}
		t.Run(c.name+", compressed", func(t *testing.T) {
			f := small()
			f[c.file] = c.content
			checkError(t, f.compress(c.file), append(c.want, c.file+".gz"))
		})
	}

	t.Run("no directory", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "absent")
		if _, _, err := Load(dir); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("error %v, want one that names %s", err, dir)
		}
	})
	t.Run("a directory in a file's place", func(t *testing.T) {
		f := small()
		delete(f, testImages)
		dir := f.write(t)
		path := filepath.Join(dir, testImages)
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Load(dir); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want one that names %s", err, path)
		}
	})
}

// checkError loads f, wants an error with all of the texts, and wants little
// memory to be allocated on the way to it.
func checkError(t *testing.T, f files, texts []string) {
	t.Helper()
	dir := f.write(t)
	before := allocated()
	train, test, err := Load(dir)
	if grown := allocated() - before; grown > 4<<20 {
		t.Errorf("%d bytes were allocated for files of about 1 kB", grown)
	}
	if err == nil {
		t.Fatal("no error")
	}
	if train != nil || test != nil {
		t.Error("a set was returned beside the error")
	}
	msg := err.Error()
	for _, text := range append(texts, "mnist: "+dir) {
		if !strings.Contains(msg, text) {
			t.Errorf("error %q does not contain %q", msg, text)
		}
	}
	if strings.Contains(msg, "\n") {
		t.Errorf("error %q has more than one line", msg)
	}
}

// allocated returns how many bytes have been allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// FuzzIDX reads arbitrary files as plain ones and as compressed ones. The files
// are read concurrently, so coverage varies from run to run and minimizing has
// no end: use -fuzzminimizetime=0x.
func FuzzIDX(f *testing.F) {
	images, labels := small()[trainImages], small()[trainLabels]
	large := idxFile(0x803, []uint32{60000, 28, 28}, make([]byte, 100))
	for _, seed := range [][2][]byte{
		{images, labels},
		{images[:100], labels},
		{large, labels},
		{idxFile(0x803, []uint32{1<<32 - 1, 1<<32 - 1, 1<<32 - 1}, nil), labels},
		{labels, images},
		{nil, nil},
	} {
		f.Add(seed[0], seed[1], false)
		f.Add(compressed(seed[0]), compressed(seed[1]), true)
	}
	f.Fuzz(func(t *testing.T, images, labels []byte, gz bool) {
		suffix, content := "", len(images)+len(labels)
		if gz {
			suffix, content = ".gz", content*1032 // the most that deflate expands to
		}
		before := allocated()
		train, test, err := load(fstest.MapFS{
			trainImages + suffix: {Data: images},
			trainLabels + suffix: {Data: labels},
			testImages + suffix:  {Data: images},
			testLabels + suffix:  {Data: labels},
		}, "dir")
		// Both sets have the content as bytes and as float32 or int32; the rest is
		// for a chunk and a gzip reader per file.
		if grown := allocated() - before; grown > uint64(2*5*content)+4<<20 {
			t.Errorf("%d bytes were allocated for at most %d bytes of content", grown, content)
		}
		if err != nil {
			if train != nil || test != nil {
				t.Errorf("a set was returned beside the error %v", err)
			}
			if msg := err.Error(); !strings.HasPrefix(msg, "mnist: "+filepath.Join("dir", "t")) || strings.Contains(msg, "\n") {
				t.Errorf("error %q is not one line that names a file", msg)
			}
			return
		}
		for _, s := range []*Set{train, test} {
			if s.Rows < 1 || s.Width < 1 || s.Height < 1 || len(s.Labels) != s.Rows || len(s.Images) != s.Rows*s.Width*s.Height {
				t.Errorf("%d rows of %d×%d with %d pixels and %d labels", s.Rows, s.Width, s.Height, len(s.Images), len(s.Labels))
			}
			if !gz && (len(images) != 16+len(s.Images) || len(labels) != 8+len(s.Labels)) {
				t.Errorf("%d pixels and %d labels out of files of %d and %d bytes", len(s.Images), len(s.Labels), len(images), len(labels))
			}
			if s.Classes != int(slices.Max(s.Labels))+1 {
				t.Errorf("%d classes with the largest label %d", s.Classes, slices.Max(s.Labels))
			}
		}
	})
}
