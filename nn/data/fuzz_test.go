package data_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/nn/data"
)

// The most that deflate expands to.
const expansion = 1032

// bounded reads, and wants no more memory for it than some times the bytes of the file.
func bounded(t *testing.T, size, times int, read func() error) error {
	t.Helper()
	before := allocated()
	err := read()
	if grown := allocated() - before; grown > 1<<20+uint64(size)*uint64(times) {
		t.Errorf("%d bytes were allocated for a file of %d", grown, size)
	}
	if err != nil && (strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "data.")) {
		t.Errorf("error %q, want one line that begins with the function", err)
	}
	return err
}

// whole wants an array as large as its shape says.
func whole(t *testing.T, a *data.Array) {
	t.Helper()
	n := 1
	for _, d := range a.Shape {
		n *= d
	}
	if n != len(a.X) {
		t.Errorf("%d numbers of the shape %v", len(a.X), a.Shape)
	}
}

func FuzzReadIDX(f *testing.F) {
	for _, c := range idxFiles {
		f.Add(c.file)
		f.Add(compressed(c.file))
	}
	f.Add(idxFile(0x803, []uint32{60000, 28, 28}, 1, 2, 3))
	f.Add(idxFile(0xe04, slices.Repeat([]uint32{math.MaxUint32}, 4)))
	f.Fuzz(func(t *testing.T, b []byte) {
		times := 10
		if bytes.HasPrefix(b, []byte("\x1f\x8b")) {
			times *= expansion
		}
		var a *data.Array
		if err := bounded(t, len(b), times, func() (err error) { a, err = data.ReadIDX(bytes.NewReader(b)); return err }); err == nil {
			whole(t, a)
		}
	})
}

func FuzzReadNpy(f *testing.F) {
	for _, a := range loadGolden(f).Read {
		f.Add(a.Npy)
	}
	f.Add(npyFile("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 1))
	f.Add(npyFile(`{"shape":(2L,1,),"fortran_order":True,"descr":">i2"}`, 1, 2, 3, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a *data.Array
		if bounded(t, len(b), 20, func() (err error) { a, err = data.ReadNpy(bytes.NewReader(b)); return err }) != nil {
			return
		}
		whole(t, a)
		var again bytes.Buffer
		if err := a.WriteNpy(&again); err != nil {
			t.Fatal(err)
		}
		back, err := data.ReadNpy(&again)
		if err != nil {
			t.Fatal(err)
		}
		sameArray(t, "written and read", back, a)
	})
}

func FuzzReadNpz(f *testing.F) {
	for _, a := range loadGolden(f).Npz {
		f.Add(a.Npz)
	}
	f.Add(zipped(f, "a.npy", string(npyFile("{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", 1, 2, 3)), "b", ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		var arrays map[string]*data.Array
		if bounded(t, len(b), 20*expansion, func() (err error) {
			arrays, err = data.ReadNpz(bytes.NewReader(b), int64(len(b)))
			return err
		}) != nil {
			return
		}
		for _, a := range arrays {
			whole(t, a)
		}
	})
}

// FuzzReadCSV: what is read has whole rows of finite numbers, and its Prep reads the same
// of the same file.
func FuzzReadCSV(f *testing.F) {
	for _, text := range []string{
		people, "1,2\n3,4\n", "a;b\n1;x\n2;y\n", "\ufeffa\tb\r\n1\t2\r\n", "a|b|c\nx|1e300|1\ny|-1e300|2\n", "a,b\n,NA\n",
		"\"a\n\",b\n\"1\",\" 2 \"\n", "k,y\n0.1,1\n0.1,1\n0.1,2\n0.1,2\n", "a,b\n1,2\n\xff,3\n", loadGolden(f).CSV.Text,
	} {
		f.Add(text, "", byte(0))
		f.Add(text, "1", byte(1))
		f.Add(text, "b", byte(0xfe))
	}
	f.Fuzz(func(t *testing.T, text, target string, flags byte) {
		o := data.CSVOptions{
			Comma: []rune{0, ',', ';', '\t', '|', ' ', 'x', '"'}[flags&7], Header: data.Header(flags >> 3 & 3 % 3),
			Task: []data.Task{data.DetectTask, data.Classification, data.Regression, data.DetectTask}[flags>>5&3], RawTargets: flags&0x80 != 0,
		}
		if target != "" {
			o.Targets = strings.Split(target, ",")
			o.Categorical = o.Targets[1:]
		}
		// A row of two bytes can have a hundred inputs.
		times := 800
		d, p, err := (*nn.Data)(nil), (*data.Prep)(nil), error(nil)
		if bounded(t, len(text), times, func() error {
			d, p, err = data.ReadCSV(strings.NewReader(text), o)
			return err
		}) != nil {
			return
		}
		if d.Rows < 1 || p.In() < 1 || len(d.X) != d.Rows*p.In() || len(p.Inputs()) != p.In() ||
			p.Classes() == nil && len(d.Targets) != d.Rows*p.Out() || p.Classes() != nil && len(d.Labels) != d.Rows {
			t.Fatalf("%d rows, %d inputs, %d labels, %d targets for %d inputs and %d outputs", d.Rows, len(d.X), len(d.Labels), len(d.Targets), p.In(), p.Out())
		}
		for _, v := range append(slices.Clone(d.X), d.Targets...) {
			if v-v != 0 {
				t.Fatalf("an input or target is %v", v)
			}
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		q := new(data.Prep)
		if err := json.Unmarshal(b, q); err != nil {
			t.Fatal(err)
		}
		again, err := q.Read(strings.NewReader(text))
		if err != nil || !slices.Equal(again.X, d.X) || !slices.Equal(again.Labels, d.Labels) || !slices.Equal(again.Targets, d.Targets) {
			t.Errorf("read again: %+v, error %v, want %+v", again, err, d)
		}
		inputs, err := q.ReadInputs(strings.NewReader(text))
		if err != nil || !slices.Equal(inputs.X, d.X) {
			t.Errorf("inputs read again: %+v, error %v, want %v", inputs, err, d.X)
		}
	})
}

// FuzzPrep: a Prep from anywhere reads, or says what is wrong.
func FuzzPrep(f *testing.F) {
	_, p, err := data.ReadCSV(strings.NewReader(people), data.CSVOptions{})
	if err != nil {
		f.Fatal(err)
	}
	b, err := json.Marshal(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, people)
	f.Add([]byte(`{"comma":";","columns":[{"name":"1","role":"input","std":1e-300},{"role":"target","name":"2"},{"name":"3","role":"ignored"}]}`), "1;2;3\n4;5;6\n")
	f.Add([]byte(`{"comma":",","columns":[{"name":"1","role":"input","std":1},{"role":"target","name":"2"}]}`), "1\n2\n")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		p := new(data.Prep)
		if json.Unmarshal(b, p) != nil {
			return
		}
		read := map[bool]func() (*nn.Data, error){
			false: func() (*nn.Data, error) { return p.ReadInputs(strings.NewReader(text)) },
			true:  func() (*nn.Data, error) { return p.Read(strings.NewReader(text)) },
		}
		for targets, read := range read {
			var d *nn.Data
			times := 800 + 40*(p.In()+p.Out()) + 400*len(p.Columns)
			if bounded(t, len(text)+len(b), times, func() (err error) { d, err = read(); return err }) != nil {
				continue
			}
			if len(d.X) != d.Rows*p.In() || targets && len(d.Labels)+len(d.Targets) != d.Rows*len(targetsOf(p)) {
				t.Errorf("%d rows, %d inputs, %d labels, %d targets", d.Rows, len(d.X), len(d.Labels), len(d.Targets))
			}
		}
	})
}

func targetsOf(p *data.Prep) (names []string) {
	for _, c := range p.Columns {
		if c.Role == data.Target {
			names = append(names, c.Name)
		}
	}
	return names
}
