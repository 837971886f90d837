package data_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn/data"
)

// people have a number, which is 3 ± 1, categories and classes.
const people = `age,city,"eye, left",class
2,Ulm,blue,yes
4,"Bonn",green,no
4,Ulm,brown,no
2,Bonn,blue,yes
`

func TestReadCSV(t *testing.T) {
	cities := data.Column{Name: "city", Role: data.Input, Categories: []string{"Bonn", "Ulm"}}
	for _, c := range []struct {
		name, text      string
		options         data.CSVOptions
		columns         []data.Column
		rows            int
		x, targets      []float32
		labels          []int32
		comma           string
		header          bool
		out             int
		classes, inputs []string
	}{
		{
			name: "classes", text: people,
			columns: []data.Column{
				{Name: "age", Role: data.Input, Mean: 3, Std: 1}, cities,
				{Name: "eye, left", Role: data.Input, Categories: []string{"blue", "brown", "green"}},
				{Name: "class", Role: data.Target, Categories: []string{"no", "yes"}},
			},
			rows: 4, x: []float32{-1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 0, -1, 1, 0, 1, 0, 0}, labels: []int32{1, 0, 0, 1},
			comma: ",", header: true, out: 2, classes: []string{"no", "yes"},
			inputs: []string{"age", "city=Bonn", "city=Ulm", "eye, left=blue", "eye, left=brown", "eye, left=green"},
		},
		{
			name: "a target in the middle, columns ignored", text: people,
			options: data.CSVOptions{Targets: []string{"city"}, Ignore: []string{"-1", "3"}},
			columns: []data.Column{
				{Name: "age", Role: data.Input, Mean: 3, Std: 1},
				{Name: "city", Role: data.Target, Categories: []string{"Bonn", "Ulm"}},
				{Name: "eye, left", Role: data.Ignored}, {Name: "class", Role: data.Ignored},
			},
			rows: 4, x: []float32{-1, 1, 1, -1}, labels: []int32{1, 0, 1, 0},
			comma: ",", header: true, out: 2, classes: []string{"Bonn", "Ulm"}, inputs: []string{"age"},
		},
		{
			name: "two targets, semicolons, BOM, CRLF, space and empty lines", text: "\ufeff\r\n a ; b;c \r\n\r\n1; \"2\";10\r\n 3 ;6;10 \r\n\r\n",
			options: data.CSVOptions{Targets: []string{"c", "1"}},
			columns: []data.Column{
				{Name: "a", Role: data.Target, Mean: 2, Std: 1}, {Name: "b", Role: data.Input, Mean: 4, Std: 2}, {Name: "c", Role: data.Target, Mean: 10},
			},
			rows: 2, x: []float32{-1, 1}, targets: []float32{-1, 0, 1, 0}, comma: ";", header: true, out: 2, inputs: []string{"b"},
		},
		{
			name: "raw targets without header, tabs with an empty field", text: "1\t\t5.5\n3\t\t6.5\n",
			options: data.CSVOptions{Ignore: []string{"2"}, RawTargets: true},
			columns: []data.Column{{Name: "1", Role: data.Input, Mean: 2, Std: 1}, {Name: "2", Role: data.Ignored}, {Name: "3", Role: data.Target, Std: 1}},
			rows:    2, x: []float32{-1, 1}, targets: []float32{5.5, 6.5}, comma: "\t", out: 1, inputs: []string{"1"},
		},
		{
			name: "whole numbers for classes, in their order", text: "a|y\n1|10\n2|9\n1|-1\n2|9\n1|10\n2|-1\n",
			columns: []data.Column{{Name: "a", Role: data.Input, Mean: 1.5, Std: 0.5}, {Name: "y", Role: data.Target, Categories: []string{"-1", "9", "10"}}},
			rows:    6, x: []float32{-1, 1, -1, 1, -1, 1}, labels: []int32{2, 1, 0, 1, 2, 0}, comma: "|", header: true, out: 3, classes: []string{"-1", "9", "10"}, inputs: []string{"a"},
		},
		{
			name: "the same as numbers, and numbers for categories", text: "a,y\n10,1\n9,-1\n10,-1\n9,1\n",
			options: data.CSVOptions{Task: data.Regression, Categorical: []string{"a"}},
			columns: []data.Column{{Name: "a", Role: data.Input, Categories: []string{"9", "10"}}, {Name: "y", Role: data.Target, Std: 1}},
			rows:    4, x: []float32{0, 1, 1, 0, 0, 1, 1, 0}, targets: []float32{1, -1, -1, 1}, comma: ",", header: true, out: 1, inputs: []string{"a=9", "a=10"},
		},
		{
			name: "missing values of one's own, a column that does not vary", text: "k,c,y\n0.1,NA,1\n0.1,?,2\n0.1,NA,4\n",
			options: data.CSVOptions{Missing: []string{"-"}, Task: data.Classification},
			columns: []data.Column{{Name: "k", Role: data.Input, Mean: 0.1}, {Name: "c", Role: data.Input, Categories: []string{"?", "NA"}}, {Name: "y", Role: data.Target, Categories: []string{"1", "2", "4"}}},
			rows:    3, x: []float32{0, 0, 1, 0, 1, 0, 0, 0, 1}, labels: []int32{0, 1, 2}, comma: ",", header: true, out: 3, classes: []string{"1", "2", "4"}, inputs: []string{"k", "c=?", "c=NA"},
		},
	} {
		o := c.options
		d, p, err := data.ReadCSV(strings.NewReader(c.text), o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !reflect.DeepEqual(p.Columns, c.columns) {
			t.Errorf("%s: columns\n%+v, want\n%+v", c.name, p.Columns, c.columns)
		}
		if d.Rows != c.rows || !slices.Equal(d.X, c.x) || !slices.Equal(d.Targets, c.targets) || !slices.Equal(d.Labels, c.labels) {
			t.Errorf("%s: %+v, want %d rows of %v, targets %v, labels %v", c.name, d, c.rows, c.x, c.targets, c.labels)
		}
		if p.Comma != c.comma || p.Header != c.header || p.Out() != c.out || p.In()*c.rows != len(c.x) || !slices.Equal(p.Classes(), c.classes) || !slices.Equal(p.Inputs(), c.inputs) {
			t.Errorf("%s: comma %q, header %v, %d inputs %q, %d outputs, classes %q", c.name, p.Comma, p.Header, p.In(), p.Inputs(), p.Out(), p.Classes())
		}

		// The Prep, through JSON, makes the same of the same file.
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		q := new(data.Prep)
		if err := json.Unmarshal(text, q); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p, q) {
			t.Errorf("%s: from JSON\n%+v, want\n%+v", c.name, q, p)
		}
		again, err := q.ReadFile(file(t, "a.csv", []byte(c.text)))
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("%s: read again: %+v, error %v, want %+v", c.name, again, err, d)
		}
		again, err = q.ReadInputsFile(file(t, "a.csv", []byte(c.text)))
		if err != nil || again.Rows != d.Rows || !slices.Equal(again.X, d.X) || again.Labels != nil || again.Targets != nil {
			t.Errorf("%s: inputs read again: %+v, error %v", c.name, again, err)
		}
		from, prep, err := data.ReadCSVFile(file(t, "a.csv", []byte(c.text)), c.options)
		if err != nil || !reflect.DeepEqual(from, d) || !reflect.DeepEqual(prep, p) {
			t.Errorf("%s: from a file: %+v, %+v, error %v", c.name, from, prep, err)
		}
	}
}

// TestDetect: what the first line and the target are taken for.
func TestDetect(t *testing.T) {
	numbers := func(n, different int, format string) string {
		var b strings.Builder
		b.WriteString("x,y\n")
		for i := range n {
			fmt.Fprintf(&b, "%d,"+format+"\n", i, i%different)
		}
		return b.String()
	}
	for _, c := range []struct {
		name, text string
		header     bool
		out        int
		classes    bool
	}{
		{"names above numbers", "a,b\n1,2.5\n2,3.5\n", true, 1, false},
		{"numbers only", "1,2.5\n2,3.5\n", false, 1, false},
		{"a number in the first line", "a,2.5\nb,3.5\n", false, 1, false},
		{"texts that all occur again", "a,b\nc,d\na,d\nc,b\n", false, 2, true},
		{"texts of which one does not", "a,b\nc,d\na,d\nc,c\n", true, 2, true},
		{"the same text twice", "a,a\na,b\na,b\n", false, 2, true},
		{"two unnamed columns", ",,b\n1,2,2.5\n2,3,3.5\n", true, 1, false},
		{"commas in quotes", "\"a;;;b\",c\n1,2.5\n2,3.5\n", true, 1, false},
		{"an unnamed column", ",b\n1,2.5\n2,3.5\n", true, 1, false},
		{"20 whole numbers, twice each", numbers(40, 20, "%d"), true, 20, true},
		{"20 whole numbers, not twice each", numbers(39, 20, "%d"), true, 1, false},
		{"21 whole numbers", numbers(84, 21, "%d"), true, 1, false},
		{"whole numbers with a point", numbers(40, 4, "%d.0"), true, 4, true},
		{"halves", numbers(40, 4, "%d.5"), true, 1, false},
	} {
		d, p, err := data.ReadCSV(strings.NewReader(c.text), data.CSVOptions{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if p.Header != c.header || p.Out() != c.out || (p.Classes() != nil) != c.classes {
			t.Errorf("%s: header %v, %d outputs, classes %q, want %v, %d, %v", c.name, p.Header, p.Out(), p.Classes(), c.header, c.out, c.classes)
		}
		rows := strings.Count(c.text, "\n")
		if c.header {
			rows--
		}
		if d.Rows != rows {
			t.Errorf("%s: %d rows, want %d", c.name, d.Rows, rows)
		}
	}
	for h, rows := range map[data.Header]int{data.WithHeader: 2, data.WithoutHeader: 3} {
		if d, _, err := data.ReadCSV(strings.NewReader("a,2\nb,3\na,2\n"), data.CSVOptions{Header: h, Task: data.Regression}); err != nil || d.Rows != rows {
			t.Errorf("header %v: %+v, error %v, want %d rows", h, d, err, rows)
		}
	}
	if d, p, err := data.ReadCSV(strings.NewReader("a;b,c\n1;2,3\n"), data.CSVOptions{Comma: ';', Ignore: []string{"b,c"}, Targets: []string{"a"}}); err == nil {
		t.Errorf("no inputs: %+v, %+v", d, p)
	}
}

func TestReadCSVErrors(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	var many strings.Builder
	for i := range 200 {
		fmt.Fprintf(&many, "n%d,1.5\n", i)
	}
	for _, c := range []struct {
		name, text string
		options    data.CSVOptions
		want       string
	}{
		{"empty", "", data.CSVOptions{}, "no rows"},
		{"empty lines", "\n\n", data.CSVOptions{}, "no rows"},
		{"names only", "a,b\n", data.CSVOptions{}, "no rows, want at least one below the names"},
		{"too few fields", "a,b\n1,2\n\n3\n", data.CSVOptions{}, "line 4: expected 2 fields with ',' between them, as line 1 has, found 1"},
		{"too many fields", "a,b\n1,\"2\n\n3\"\n1,2,3\n", data.CSVOptions{}, "line 5: expected 2 fields with ',' between them, as line 1 has, found 3"},
		{"quote within", "a,b\n1,2\"\n", data.CSVOptions{}, `line 2: bare " in non-quoted`},
		{"quote not closed", "a,b\n1,\"2\n", data.CSVOptions{}, `line 2: extraneous or missing "`},
		{"no comma", "a\n1\n", data.CSVOptions{}, `no columns for inputs out of "a" with ',' between them`},
		{"missing", "a,b\n1,2\n3,\n", data.CSVOptions{}, `line 3, column "b": expected a value, found "", which stands for a missing one`},
		{"NA", "a,b\nNA,2\n3,\n", data.CSVOptions{}, `line 2, column "a": expected a value, found "NA"`},
		{"one's own", "a,b\n1,2\n-9,3\n", data.CSVOptions{Missing: []string{"-9"}}, `line 3, column "a": expected a value, found "-9"`},
		{"mistyped", "a,b\n1,2\n3,4\n5x,6\n", data.CSVOptions{}, `line 4, column "a": expected a number, as in 2 of 3 rows, found "5x"; if these are categories, list the column in Categorical`},
		{"mistyped target", "a,b\n1,2\n3,4\n5,6e\n", data.CSVOptions{}, `line 4, column "b": expected a number, as in 2 of 3 rows, found "6e"`},
		{"texts to regress on", "a,b\n1,x\n3,y\n", data.CSVOptions{Task: data.Regression}, `line 2, column "b": expected a number, found "x"`},
		{"hexadecimal", "a,b\n1,0x1p3\n3,4\n", data.CSVOptions{}, `found "0x1p3"`},
		{"infinite", "a,b\ninf,1\n3,4\n", data.CSVOptions{}, `found "inf"`},
		{"beyond float64", "a,b\n1e999,1\n3,4\n", data.CSVOptions{}, `line 2, column "a": expected a number up to 1.7976931348623157e+308, found "1e999"`},
		{"squares beyond float64", "a,b\n1e300,1\n3,4\n", data.CSVOptions{}, `column "a": numbers from 3 to 1e+300, want none so large`},
		{"sum beyond float64", "a,b\n1.7e308,1\n1.6e308,4\n", data.CSVOptions{}, `column "a": numbers from 1.6e+308`},
		{"raw targets beyond float32", "a,b\n1,1e39\n3,4\n", data.CSVOptions{RawTargets: true}, `line 2, column "b": expected a number near the others`},
		{"one class", "a,b\n1,x\n3,x\n", data.CSVOptions{}, `column "b": all rows are of class "x"`},
		{"not UTF-8", "a,b\n1,2\n3,\xff\n", data.CSVOptions{}, `line 3, column "2": expected UTF-8, found "\xff"`},
		{"UTF-16", "\xff\xfea\x00,\x00b\x00", data.CSVOptions{}, "expected UTF-8, found UTF-16"},
		{"gzip", string(compressed([]byte(people))), data.CSVOptions{}, ""},
		{"two columns of a name", "a,b,a\n1,2,3\n", data.CSVOptions{Header: data.WithHeader}, `columns 1 and 3 have the same name "a"`},
		{"no such target", people, data.CSVOptions{Targets: []string{"klass"}}, `Targets: no column "klass", want one of "age", "city", "eye, left", "class" or a number up to 4`},
		{"number 0", people, data.CSVOptions{Targets: []string{"0"}}, `no column "0"`},
		{"number 5", people, data.CSVOptions{Ignore: []string{"5"}}, `Ignore: no column "5"`},
		{"number -5", people, data.CSVOptions{Categorical: []string{"-5"}}, `Categorical: no column "-5"`},
		{"a target ignored", people, data.CSVOptions{Ignore: []string{"class"}}, `column "class" is a target, and to be ignored`},
		{"no inputs", people, data.CSVOptions{Ignore: []string{"1", "2", "3"}}, "no columns for inputs"},
		{"classes of two targets", people, data.CSVOptions{Targets: []string{"1", "2"}, Task: data.Classification}, "several targets, want one for a classification"},
		{"another task", people, data.CSVOptions{Task: "guess"}, `Task = "guess", want "", "classification" or "regression"`},
		{"names for inputs", many.String(), data.CSVOptions{}, `line 101, column "1": "n100" is the category number 101, want at most 100`},
		{"three categories", people, data.CSVOptions{MaxCategories: 2}, `line 4, column "eye, left": "brown" is the category number 3, want at most 2`},
		{"a quote for a comma", people, data.CSVOptions{Comma: '"'}, "invalid field or comment delimiter"},
		{"a long field", "a,b\n1," + long + "\n2,3\n", data.CSVOptions{}, `found "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"…`},
		{"many columns", strings.Repeat(",", 1<<20), data.CSVOptions{}, "line 1: expected at most 65536 fields, found 1048577"},
	} {
		refused(t, c.name, 20*len(c.text), func() error { _, _, err := data.ReadCSV(strings.NewReader(c.text), c.options); return err }, "data.ReadCSV: ", c.want)
		path := file(t, "a.csv", []byte(c.text))
		refused(t, c.name, 20*len(c.text), func() error { _, _, err := data.ReadCSVFile(path, c.options); return err }, "data: "+path+": ", c.want)
	}
	absent := filepath.Join(t.TempDir(), "absent.csv")
	refused(t, "absent", 0, func() error { _, _, err := data.ReadCSVFile(absent, data.CSVOptions{}); return err }, absent)
}

// TestPrep reads later files.
func TestPrep(t *testing.T) {
	_, named, err := data.ReadCSV(strings.NewReader(people), data.CSVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, placed, err := data.ReadCSV(strings.NewReader("0,a,x,-\n4,b,y,-\n"), data.CSVOptions{Targets: []string{"2"}, Ignore: []string{"4"}})
	if err != nil {
		t.Fatal(err)
	}
	_, constant, err := data.ReadCSV(strings.NewReader("k,y\n7,1.5\n7,2.5\n"), data.CSVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	named.Missing[0] = "changed" // which must change no other
	if _, _, err := data.ReadCSV(strings.NewReader("a,b\n,2\nx,4\n"), data.CSVOptions{}); err == nil {
		t.Error("a missing value was read after another Prep was changed")
	}
	named.Missing[0] = ""
	for _, c := range []struct {
		name string
		prep *data.Prep
		text string
		x    []float32
	}{
		{"another order, and other columns", named, "id,\"eye, left\",city,age\n7,green,Bonn,3.5\n", []float32{0.5, 1, 0, 0, 0, 1}},
		{"an empty target", named, "age,city,class,\"eye, left\"\n3,Ulm,,brown\n", []float32{0, 0, 1, 0, 1, 0}},
		{"a column that did not vary", constant, "k\n7\n1e300\n", []float32{0, 0}},
		{"places, with the target", placed, "3,?,y,\n", []float32{0.5, 0, 1}},
		{"places, without the target", placed, "3,y,9\n1,x,9\n", []float32{0.5, 0, 1, -0.5, 1, 0}},
	} {
		d, err := c.prep.ReadInputs(strings.NewReader(c.text))
		if err != nil || d.Rows*c.prep.In() != len(c.x) || !slices.Equal(d.X, c.x) || d.Labels != nil || d.Targets != nil {
			t.Errorf("%s: %+v, error %v, want %v", c.name, d, err, c.x)
		}
	}
	for _, c := range []struct {
		name string
		prep *data.Prep
		text string
		want string
	}{
		{"empty", named, "", "no rows"},
		{"names only", named, "age,city,\"eye, left\",class\n", "no rows"},
		{"no header", named, "2,Ulm,blue,yes\n", `expected a column "age", found 0 of that name in "2", "Ulm", "blue", "yes" with "," between them`},
		{"another comma", named, "age;city\n1;Ulm\n", `expected a column "age", found 0 of that name in "age;city"`},
		{"a column twice", named, "age,age,city,\"eye, left\"\n1,1,Ulm,blue\n", `expected a column "age", found 2`},
		{"a new category", named, "age,city,\"eye, left\"\n1,Köln,blue\n", `line 2, column "city": expected a category out of "Bonn", "Ulm", found "Köln"`},
		{"missing", named, "age,city,\"eye, left\"\n1,Ulm,\n", `line 2, column "eye, left": expected a value, found ""`},
		{"no number", named, "age,city,\"eye, left\"\n1,Ulm,blue\nold,Ulm,blue\n", `line 3, column "age": expected a number, found "old"`},
		{"beyond float32", named, "age,city,\"eye, left\"\n1e40,Ulm,blue\n", `line 2, column "age": expected a number near the others, whose mean is 3 and standard deviation 1, found "1e40"`},
		{"beyond float64 where all are 0", constant, "k\n1e999\n", `line 2, column "k": expected a number up to`},
		{"too few fields", named, "age,city,\"eye, left\"\n1,Ulm\n", "line 2: expected 3 fields"},
		{"too few places", placed, "1,a\n", `expected rows of 4 fields with "," between them, or 3 without the targets, found 2`},
	} {
		refused(t, c.name, len(c.text), func() error { _, err := c.prep.ReadInputs(strings.NewReader(c.text)); return err }, "data.Prep.ReadInputs: ", c.want)
		path := file(t, "a.csv", []byte(c.text))
		refused(t, c.name, len(c.text), func() error { _, err := c.prep.ReadInputsFile(path); return err }, "data: "+path+": ", c.want)
	}
	for _, c := range []struct {
		name string
		prep *data.Prep
		text string
		want string
	}{
		{"no target", named, "age,city,\"eye, left\"\n1,Ulm,blue\n", `expected a column "class", found 0`},
		{"missing target", named, "age,city,\"eye, left\",class\n1,Ulm,blue,\n", `line 2, column "class": expected a value`},
		{"a new class", named, "age,city,\"eye, left\",class\n1,Ulm,blue,maybe\n", `line 2, column "class": expected a class out of "no", "yes", found "maybe"`},
		{"no target at its place", placed, "1,x,9\n", `expected rows of 4 fields with "," between them, found 3`},
	} {
		refused(t, c.name, len(c.text), func() error { _, err := c.prep.Read(strings.NewReader(c.text)); return err }, "data.Prep.Read: ", c.want)
	}
}

// TestPrepCheck: a Prep can come from a file that somebody else has written.
func TestPrepCheck(t *testing.T) {
	good := `{"comma":",","header":true,"missing":[""],"columns":[{"name":"a","role":"input","mean":0,"std":1},{"name":"b","role":"target","mean":0,"std":1}]}`
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""},
		{`","`, `""`, `comma "", want one character`},
		{`","`, `", "`, `comma ", ", want one character`},
		{`","`, "\"\xff\"", `want one character`},
		{`"name":"a"`, `"name":""`, `column 1 is called "", want a name of its own`},
		{`"name":"a"`, `"name":"b"`, `column 2 is called "b", want a name of its own`},
		{`"role":"input"`, `"role":"x"`, `column "a": role "x", want "input", "target" or "ignored"`},
		{`"role":"input"`, `"role":"ignored"`, "0 inputs and 1 targets"},
		{`"role":"target"`, `"role":"input"`, "2 inputs and 0 targets"},
		{`"std":1}]`, `"std":-1}]`, `column "b": mean 0 and standard deviation -1, want`},
		{`"role":"input"`, `"role":"input","categories":[]`, `column "a": no categories`},
		{`"role":"input"`, `"role":"input","categories":["x","x"]`, `column "a": category "x" twice`},
		{`"role":"input"`, `"role":"target","categories":["x","y"]`, "0 inputs and 2 targets"},
		{`"columns":[`, `"columns":[{"name":"c","role":"target","categories":["x","y"]},`, "1 inputs and 2 targets, want at least one of each, and with classes one target"},
	} {
		p := new(data.Prep)
		if err := json.Unmarshal([]byte(strings.Replace(good, c.old, c.new, 1)), p); err != nil {
			t.Fatal(err)
		}
		read := func() error { _, err := p.Read(strings.NewReader("a,b\n1,2\n")); return err }
		if c.want == "" {
			if err := read(); err != nil {
				t.Error(err)
			}
			continue
		}
		refused(t, c.new, len(good), read, "data.Prep.Read: the Prep: ", c.want)
	}
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		p := &data.Prep{Comma: ",", Columns: []data.Column{{Name: "a", Role: data.Input, Mean: v, Std: 1}, {Name: "b", Role: data.Target, Std: 1}}}
		refused(t, "mean", 0, func() error { _, err := p.Read(strings.NewReader("1,2\n")); return err }, "want finite ones")
		p.Columns[0].Mean, p.Columns[0].Std = 0, v
		refused(t, "std", 0, func() error { _, err := p.Read(strings.NewReader("1,2\n")); return err }, "want finite ones")
	}
}

func TestUnscale(t *testing.T) {
	text := "x,a,b\n1,-5,7\n2,1000.5,7\n3,12,7\n"
	d, p, err := data.ReadCSV(strings.NewReader(text), data.CSVOptions{Targets: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	p.Unscale(d.Targets)
	for i, want := range []float64{-5, 7, 1000.5, 7, 12, 7} {
		if got := float64(d.Targets[i]); math.Abs(got-want) > 1e-4 {
			t.Errorf("target %d: %v, want %v", i, got, want)
		}
	}
	panics := func(name string, p *data.Prep, n int, want string) {
		defer func() {
			if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
				t.Errorf("%s: panic %s, want %s", name, got, want)
			}
		}()
		p.Unscale(make([]float32, n))
	}
	panics("length", p, 3, "data.Prep.Unscale: len(y) = 3, want a multiple of the 2 targets")
	_, classes, err := data.ReadCSV(strings.NewReader(people), data.CSVOptions{})
	if err != nil {
		t.Fatal(err)
	}
	panics("classes", classes, 2, "2 classes, want none")
}
