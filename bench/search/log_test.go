package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestResume cuts logs: what goes on from there finds the same and ends with the same log,
// and evaluates no more than what was cut off. That of a small search is cut at every byte,
// the others around the ends of lines and within lines.
func TestResume(t *testing.T) {
	for _, method := range Methods() {
		path := filepath.Join(t.TempDir(), "log")
		o := Options{Method: method, Space: space, Trials: 33, Epochs: 3, Seed: 11, Workers: 1, Log: path, About: "a <patchy> bowl"}
		if method == Halving {
			o.Trials = 4
		}
		evaluations := 0
		counted := func(ctx context.Context, t Trial) (float64, []float64, error) {
			evaluations++
			return patchy(ctx, t)
		}
		want := fmt.Sprint(run(t, o, counted))
		whole, all := read(t, path), evaluations
		for cut := range whole {
			if near := whole[max(0, cut-1):min(cut+2, len(whole))]; method != Halving && cut%50 > 0 && !bytes.Contains(near, []byte("\n")) {
				continue
			}
			if err := os.WriteFile(path, whole[:cut], 0o666); err != nil {
				t.Fatal(err)
			}
			evaluations = 0
			if got := fmt.Sprint(run(t, o, counted)); got != want {
				t.Fatalf("%s, cut at %d: finds\n%s\nwant\n%s", method, cut, got, want)
			}
			if got := read(t, path); !bytes.Equal(got, whole) {
				t.Fatalf("%s, cut at %d: the log is\n%s\nwant\n%s", method, cut, got, whole)
			}
			if kept := max(0, bytes.Count(whole[:cut], []byte("\n"))-1); evaluations != all-kept {
				t.Fatalf("%s, cut at %d: %d evaluations of %d, want all but the log's %d", method, cut, evaluations, all, kept)
			}
		}
		long := fmt.Sprintf("%s{%01000d", whole, 0) // no line to come covers it
		if err := os.WriteFile(path, []byte(long), 0o666); err != nil {
			t.Fatal(err)
		}
		if run(t, o, counted); !bytes.Equal(read(t, path), whole) {
			t.Errorf("%s: half a line after the last stays in the log", method)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWrongLog(t *testing.T) {
	o := Options{Method: TPE, Space: space, Trials: 4, Epochs: 2, Seed: 11, Workers: 1, Log: filepath.Join(t.TempDir(), "log"), About: "a bowl"}
	run(t, o, bowl)
	text := string(read(t, o.Log))
	first, rest, _ := strings.Cut(text, "\n")
	second, _, _ := strings.Cut(rest, "\n")
	begins := "search: " + o.Log + ": the log begins with "
	change := func(f func(*Options)) Options {
		p := o
		f(&p)
		return p
	}
	for _, c := range []struct {
		name, text string
		o          Options
		want       string
	}{
		{"another method", text, change(func(o *Options) { o.Method = Random }), begins},
		{"another space", text, change(func(o *Options) { o.Space = space[:1] }), begins},
		{"another range", text, change(func(o *Options) { o.Space = []Parameter{space[0], {"rate", 1e-6, 1e-3, true}} }), begins},
		{"more trials", text, change(func(o *Options) { o.Trials++ }), begins},
		{"more epochs", text, change(func(o *Options) { o.Epochs++ }), begins},
		{"another seed", text, change(func(o *Options) { o.Seed++ }), begins},
		{"another objective", text, change(func(o *Options) { o.About = "a plate" }), begins},
		{"another version", strings.Replace(text, `"search":1`, `"search":2`, 1), o, begins + `"{\"search\":2,`},
		{"another file", "some text\nthat is no log\n", o, begins + `"some text", want that of this search: ` + first},
		{"another file of half a line", "some text", o, begins},
		{"an empty first line", "\n" + text, o, begins},
		{"no JSON", text + "some text\n", o, "search: " + o.Log + `: line 6: "some text\n": `},
		{"an empty line", first + "\n\n" + rest, o, "search: " + o.Log + `: line 2: "\n": `},
		{"other JSON", first + "\n{}\n", o, "search: " + o.Log + `: line 2: "{}\n": it would be written otherwise, want an evaluation as the search writes it`},
		{"the first line twice", first + "\n" + first + "\n", o, "search: " + o.Log + ": line 2: "},
		{"a number that is none", first + "\n" + strings.Replace(second, `"score":`, `"score":"Nan","was":`, 1) + "\n", o, "search: " + o.Log + ": line 2: "},
		{"an evaluation twice", text + second + "\n", o, "search: " + o.Log + ": line 6: trial 0 with 2 epochs again, want it once"},
		{"other values", first + "\n" + strings.Replace(second, `"values":[`, `"values":[1,`, 1) + "\n", o, "search: " + o.Log + ": trial 0 with 2 epochs has the values [1 "},
		{"an evaluation too many", text + strings.Replace(second, `"trial":0`, `"trial":4`, 1) + "\n", o, "search: " + o.Log + ": 1 evaluations are none of this search's"},
	} {
		if err := os.WriteFile(o.Log, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		trials, err := Run(t.Context(), c.o, bowl)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || trials != nil {
			t.Errorf("%s: %d trials and the error %v, want %s", c.name, len(trials), err, c.want)
		}
		if got := string(read(t, o.Log)); c.name != "other values" && got != c.text {
			t.Errorf("%s: the refused log was changed to\n%s", c.name, got)
		}
	}
}

// TestLogInUse begins a search with the log of one that runs.
func TestLogInUse(t *testing.T) {
	o := Options{Method: Random, Space: space, Trials: 3, Epochs: 1, Workers: 1, Log: filepath.Join(t.TempDir(), "log")}
	run(t, o, func(ctx context.Context, trial Trial) (float64, []float64, error) {
		_, err := Run(ctx, o, bowl)
		if want := "search: " + o.Log + ": the log of another search that runs, want one at a time"; err == nil || err.Error() != want {
			t.Errorf("a second search with the log: %v, want %s", err, want)
		}
		return bowl(ctx, trial)
	})
	run(t, o, func(context.Context, Trial) (float64, []float64, error) { return 0, nil, errors.New("called again") })
}

func TestNumberJSON(t *testing.T) {
	for _, f := range []float64{0, math.Copysign(0, -1), 0.1, -1e-300, 5e-324, math.MaxFloat64, 1e21, math.Inf(1), math.Inf(-1), math.NaN()} {
		text, err := number(f).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var n number
		if err := n.UnmarshalJSON(text); err != nil || math.Float64bits(float64(n)) != math.Float64bits(f) {
			t.Errorf("%v is written as %s and read as %v (%v)", f, text, n, err)
		}
	}
}

// TestLogFails writes to a file that is open for reading: no line follows one that may be there
// in part.
func TestLogFails(t *testing.T) {
	l, err := openLog(Options{Method: Random, Space: space, Trials: 3, Epochs: 1, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	open := l.file
	if l.file, err = os.Open(l.path); err != nil {
		t.Fatal(err)
	}
	one := &trial{Trial: Trial{Values: []float64{1, 2}}}
	first := l.add(one)
	l.file.Close()
	l.file = open
	if second := l.add(one); first == nil || second != first {
		t.Errorf("adding fails with %v and then %v, want the same error", first, second)
	}
	if lines := bytes.Count(read(t, l.path), []byte("\n")); lines != 1 {
		t.Errorf("the log has %d lines, want only the first", lines)
	}
}

// FuzzParseLog: whatever a file has, parseLog keeps lines that the search writes alike, and
// refuses what does not begin with its first line.
func FuzzParseLog(f *testing.F) {
	first := []byte("{\"search\":1}\n")
	for _, text := range []string{
		"", `{"sea`, string(first), "some text", "\n",
		`{"trial":0,"epochs":2,"values":[0.5,1e-7],"score":0.25,"curve":[0.1,"NaN","-Inf","+Inf"]}` + "\n",
		`{"trial":7,"epochs":2,"values":null,"score":"NaN","curve":null}` + "\n" + `{"trial":8,"epo`,
	} {
		f.Add([]byte(text))
		f.Add(append(bytes.Clone(first), text...))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, whole, err := parseLog(text, first)
		if err != nil {
			if entries != nil || whole != 0 {
				t.Errorf("%d entries in %d bytes with the error %v", len(entries), whole, err)
			}
			return
		}
		if bytes.Contains(text[whole:], []byte("\n")) || whole > 0 && text[whole-1] != '\n' {
			t.Fatalf("%q: keeps %d bytes, want all whole lines", text, whole)
		}
		if whole == 0 {
			if len(entries) > 0 || !bytes.HasPrefix(first, text) {
				t.Errorf("%q: is taken for the beginning of a log with %d entries", text, len(entries))
			}
			return
		}
		size := len(first)
		for _, e := range entries {
			line, err := e.line()
			if err != nil || !bytes.Contains(text[:whole], line) {
				t.Errorf("the entry %s (%v) is not in %q", line, err, text[:whole])
			}
			size += len(line)
		}
		if size != whole || !bytes.HasPrefix(text, first) {
			t.Errorf("%q: %d bytes of entries and first line, want %d", text, size, whole)
		}
	})
}
