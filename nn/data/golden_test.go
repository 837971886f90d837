package data_test

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn/data"
)

// goldenJSON is what testdata/golden.py wrote.
//
//go:embed testdata/golden.json
var goldenJSON []byte

//go:embed testdata/golden.py
var goldenScript []byte

// numbers are those of an array, as NumPy has them in float32.
type numbers struct {
	Shape []int
	X     []byte
}

type golden struct {
	Numpy   string
	Read    []goldenArray
	Written []goldenArray
	Npz     []struct {
		Name   string
		Npz    []byte
		Arrays map[string]numbers
	}
	CSV struct {
		Text      string
		Mean, Std []float64
		numbers
	}
}

type goldenArray struct {
	Name string
	Npy  []byte
	numbers
}

func loadGolden(t testing.TB) *golden {
	t.Helper()
	for _, file := range []struct {
		name, sum string
		text      []byte
	}{
		{"golden.json", "9565489074d7bc67f861c1d219198da575bb8f1d44e56dca1ff5dd4d1c936a20", goldenJSON},
		{"golden.py", "042654ba93f4ab44724a00d92b7e884d06c8815ba76a61e74de5fd3e47540acf", goldenScript},
	} {
		if got := fmt.Sprintf("%x", sha256.Sum256(file.text)); got != file.sum {
			t.Errorf("testdata/%s has the SHA-256 %s, want %s", file.name, got, file.sum)
		}
	}
	g := new(golden)
	if err := json.Unmarshal(goldenJSON, g); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(g.Numpy, "2.") || len(g.Read) != 57 || len(g.Written) != 10 || len(g.Npz) != 2 {
		t.Errorf("%d, %d and %d files of NumPy %s, want 57, 10 and 2 of 2", len(g.Read), len(g.Written), len(g.Npz), g.Numpy)
	}
	return g
}

// array returns the numbers.
func (n numbers) array() *data.Array {
	a := &data.Array{Shape: n.Shape}
	for b := n.X; len(b) > 0; b = b[4:] {
		a.X = append(a.X, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return a
}

// sameArray compares shapes and bits; every NaN is one.
func sameArray(t *testing.T, name string, got, want *data.Array) {
	t.Helper()
	if got.Shape == nil || !slices.Equal(got.Shape, want.Shape) || len(got.X) != len(want.X) {
		t.Errorf("%s: %d numbers of the shape %v, want %d of %v", name, len(got.X), got.Shape, len(want.X), want.Shape)
		return
	}
	for i, v := range got.X {
		w := want.X[i]
		if math.Float32bits(v) != math.Float32bits(w) && (v == v || w == w) {
			t.Errorf("%s: number %d is %v (%08x), want %v (%08x)", name, i, v, math.Float32bits(v), w, math.Float32bits(w))
		}
	}
}

// TestReadNpyGolden reads what NumPy wrote, alone and with more behind it.
func TestReadNpyGolden(t *testing.T) {
	for _, f := range loadGolden(t).Read {
		r := bytes.NewReader(append(slices.Clone(f.Npy), "more"...))
		a, err := data.ReadNpy(r)
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		sameArray(t, f.Name, a, f.array())
		if r.Len() != 4 {
			t.Errorf("%s: %d bytes behind the array are left, want 4", f.Name, r.Len())
		}
	}
}

// TestWriteNpyGolden writes the bytes that NumPy did.
func TestWriteNpyGolden(t *testing.T) {
	for _, f := range loadGolden(t).Written {
		var b bytes.Buffer
		if err := f.array().WriteNpy(&b); err != nil {
			t.Errorf("shape %v: %v", f.Shape, err)
		} else if !bytes.Equal(b.Bytes(), f.Npy) {
			t.Errorf("shape %v: wrote\n%q, want\n%q", f.Shape, b.Bytes(), f.Npy)
		}
	}
}

func TestReadNpzGolden(t *testing.T) {
	for _, f := range loadGolden(t).Npz {
		path := filepath.Join(t.TempDir(), "a.npz")
		if err := os.WriteFile(path, f.Npz, 0o666); err != nil {
			t.Fatal(err)
		}
		all, err := data.ReadNpzFile(path)
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		if names := slices.Sorted(maps.Keys(all)); !slices.Equal(names, []string{"dir/ü", "labels", "x"}) {
			t.Errorf("%s: the arrays %q", f.Name, names)
		}
		for name, want := range f.Arrays {
			sameArray(t, f.Name+": "+name, all[name], want.array())
			one, err := data.ReadNpz(bytes.NewReader(f.Npz), int64(len(f.Npz)), name, name)
			if err != nil || len(one) != 1 {
				t.Errorf("%s: %s: %d arrays, error %v", f.Name, name, len(one), err)
				continue
			}
			sameArray(t, f.Name+": only "+name, one[name], want.array())
		}
	}
}

// TestCSVGolden standardises as NumPy does, whose sums are in another order.
func TestCSVGolden(t *testing.T) {
	g := loadGolden(t).CSV
	d, p, err := data.ReadCSV(strings.NewReader(g.Text), data.CSVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	near := func(a, b, bound float64) bool { return math.Abs(a-b) <= bound*max(1, math.Abs(b)) }
	for i := range g.Mean {
		c := p.Columns[i]
		if !near(c.Mean, g.Mean[i], 1e-15) || !near(c.Std, g.Std[i], 1e-14) {
			t.Errorf("column %s: mean %v and standard deviation %v, want %v and %v", c.Name, c.Mean, c.Std, g.Mean[i], g.Std[i])
		}
	}
	want := g.array()
	if len(d.X) != len(want.X) || p.In() != want.Shape[1] {
		t.Fatalf("%d inputs, %d a row, want %d of the shape %v", len(d.X), p.In(), len(want.X), want.Shape)
	}
	for i, v := range d.X {
		bound := 1e-7
		if i%p.In() == 1 {
			bound = 1e-6 // the mean of numbers near 1e9, of which an ulp is 1e-7
		}
		if !near(float64(v), float64(want.X[i]), bound) {
			t.Errorf("row %d, input %d: %v, want %v", i/p.In(), i%p.In(), v, want.X[i])
		}
	}
}
