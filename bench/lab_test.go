package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// pageChapter is what a test sees of an experiment on the page.
type pageChapter struct {
	figures, tables int
	text            string
	claims          []claim
}

// readPage reads a page of the lab, and wants all that is in it to be of its own.
func readPage(t *testing.T, dir string) map[string]*pageChapter {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, foreign := range []string{"http:", "https:", "<script", "@import", "url(", "<?xml"} {
		if strings.Contains(string(content), foreign) {
			t.Errorf("the page has %q", foreign)
		}
	}
	chapters := map[string]*pageChapter{}
	ids := map[string]bool{}
	var referred, row []string
	at := &pageChapter{}
	decoder := xml.NewDecoder(strings.NewReader(string(content)))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("index.html: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				switch a.Name.Local {
				case "id":
					if ids[a.Value] {
						t.Errorf("two elements with the id %q", a.Value)
					}
					ids[a.Value] = true
					if token.Name.Local == "section" {
						at = &pageChapter{}
						chapters[a.Value] = at
					}
				case "href", "aria-labelledby":
					if a.Value != "data:," {
						referred = append(referred, strings.TrimPrefix(a.Value, "#"))
					}
				case "src", "srcset", "data":
					t.Errorf("an element %s with %s=%q", token.Name.Local, a.Name.Local, a.Value)
				case "class":
					if token.Name.Local == "td" {
						at.claims = append(at.claims, claim{row[0], row[1], a.Value})
					}
				}
			}
			switch token.Name.Local {
			case "svg":
				at.figures++
			case "table":
				at.tables++
			case "tr":
				row = nil
			}
		case xml.CharData:
			at.text += string(token) + "\n"
			row = append(row, string(token))
		}
	}
	for _, id := range referred {
		if !ids[id] {
			t.Errorf("a reference to %q, which is not there", id)
		}
	}
	return chapters
}

var wholeHash = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// TestLab does all experiments, but small and on a small set, with one thread and with
// three.
func TestLab(t *testing.T) {
	set := writeSet(t)
	hashes := map[string][]string{}
	for _, threads := range []string{"1", "3"} {
		out := filepath.Join(t.TempDir(), "not", "there")
		status, stdout, stderr := bench("lab", "--quick", "--data", set, "--out", out, "--threads", threads, "--steps", "12", "--epochs", "3", "--trials", "7")
		if status != 0 || stderr != "" {
			t.Fatalf("threads %s: status %d, stderr %q", threads, status, stderr)
		}
		chapters := readPage(t, out)
		var pictures []string
		for _, e := range experiments {
			c := chapters[e.name]
			if c == nil {
				t.Errorf("threads %s: no section %s", threads, e.name)
				continue
			}
			found := wholeHash.FindAllString(c.text, -1)
			if c.figures < 1 || c.tables < 3 || len(found) < 2 {
				t.Errorf("threads %s, %s: %d figures, %d tables, %d hashes, want at least 1, 3 and 2", threads, e.name, c.figures, c.tables, len(found))
			}
			if first := hashes[e.name]; first != nil && !slices.Equal(found, first) {
				t.Errorf("%s: hashes %q with one thread, %q with %s", e.name, first, found, threads)
			}
			hashes[e.name] = found
			for _, want := range append(slices.Clone(e.text), "expected", "measured", "Done in ") {
				if !strings.Contains(c.text, want) {
					t.Errorf("threads %s, %s: no %q on the page", threads, e.name, want)
				}
			}
			if !strings.Contains(stdout, e.title) || !strings.Contains(chapters["times"].text, e.name) {
				t.Errorf("threads %s, %s: not in the output or the table of times", threads, e.name)
			}
		}
		entries, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		figures := 0
		for _, c := range chapters {
			figures += c.figures
		}
		for _, e := range entries {
			if name := e.Name(); name != "index.html" {
				pictures = append(pictures, name)
				checkPNG(t, filepath.Join(out, name))
			}
		}
		if len(pictures) != figures || figures < len(experiments) {
			t.Errorf("threads %s: files %q, want a PNG of each of the %d figures", threads, pictures, figures)
		}
	}
}

// checkPNG wants a picture with some ink.
func checkPNG(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	size, ink := picture.Bounds().Size(), 0
	for y := range size.Y {
		for x := range size.X {
			if r, _, _, _ := picture.At(x, y).RGBA(); r < 0x8000 {
				ink++
			}
		}
	}
	if size.X < 700 || ink < size.X*size.Y/200 {
		t.Errorf("%s: %v pixels, %d of them dark", path, size, ink)
	}
}

// TestLabOnly does one experiment, which is the one that the main job does.
func TestLabOnly(t *testing.T) {
	set, out := writeSet(t), t.TempDir()
	common := []string{"--data", set, "--steps", "102", "--seed", "5", "--out", out}
	for _, command := range [][]string{{"lab", "optimizers"}, {"compare"}} {
		if status, _, stderr := bench(append(command, common...)...); status != 0 {
			t.Fatalf("%s: status %d, stderr %q", command[0], status, stderr)
		}
	}
	chapters := readPage(t, out)
	if len(chapters) != 2 || chapters["optimizers"] == nil {
		t.Fatalf("%d sections, want one and the times", len(chapters))
	}
	content, err := os.ReadFile(filepath.Join(out, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var res results
	if err := json.Unmarshal(content, &res); err != nil {
		t.Fatal(err)
	}
	for _, r := range res.Runs {
		for _, want := range []string{
			r.ParamsSHA256, fmt.Sprintf("%.4f", r.FinalLoss), fmt.Sprintf("%.4f", r.TestAccuracy),
			fmt.Sprintf("\n%.3f", r.Losses[0][1]), fmt.Sprintf("\n%.3f", r.Losses[100][1]),
		} {
			if !strings.Contains(chapters["optimizers"].text, want) {
				t.Errorf("%s: no %q on the page, which compare has", r.Optimizer, want)
			}
		}
	}
}

// TestLabOutcomes does the small version, and wants what holds with any seed.
func TestLabOutcomes(t *testing.T) {
	if testing.Short() {
		t.Skip("15 seconds of a processor")
	}
	out := t.TempDir()
	if status, stdout, stderr := bench("lab", "--quick", "--seed", "6", "--out", out); status != 0 {
		t.Fatalf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	chapters := readPage(t, out)
	judged := checkVerdicts(t, chapters)
	if judged < 14 {
		t.Errorf("%d expectations judged, want at least 14", judged)
	}
	if !strings.Contains(chapters["batchnorm"].text, "diverged") {
		t.Error("batchnorm: no run diverged")
	}
}

// checkVerdicts wants every judged expectation to hold, and returns how many there are.
func checkVerdicts(t *testing.T, chapters map[string]*pageChapter) (judged int) {
	t.Helper()
	for name, c := range chapters {
		for _, claim := range c.claims {
			switch claim.Verdict {
			case "yes":
				judged++
			case "no":
				t.Errorf("%s: expected: %s; measured: %s", name, claim.Expected, claim.Measured)
			}
		}
	}
	return judged
}

func TestLabMisuse(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"race", []string{`"race"`, "trajectories, optimizers"}},
		{"decay decay", []string{`"decay" twice`}},
		{"--steps=-1", []string{"--steps: -1", "at least 1"}},
		{"--epochs=-1", []string{"--epochs", "at least 1"}},
		{"--trials=-1", []string{"--trials", "at least 1"}},
		{"--threads 0", []string{"--threads: 0", "at least 1"}},
		{"--method grid", []string{"--method", "random", "tpe"}},
		{"--data nowhere", []string{"--data", "nowhere", "directory"}},
	} {
		status, stdout, stderr := bench(append([]string{"lab"}, strings.Fields(c.args)...)...)
		if status != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, stdout %q, stderr %q, want 2 and one line of a message", c.args, status, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: message %q has no %q", c.args, stderr, want)
			}
		}
	}
}

// TestLabSearchLog: a search that goes on from its log says the same.
func TestLabSearchLog(t *testing.T) {
	set, log := writeSet(t), filepath.Join(t.TempDir(), "log")
	var pages []string
	var sizes []int64
	for _, args := range []string{"", "--log " + log, "--log " + log} {
		out := t.TempDir()
		status, _, stderr := bench(append(strings.Fields("lab search --method tpe --trials 12 --epochs 2 --data "+set+" --out "+out), strings.Fields(args)...)...)
		if status != 0 {
			t.Fatalf("%q: status %d, stderr %q", args, status, stderr)
		}
		if args != "" {
			info, err := os.Stat(log)
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, info.Size())
		}
		pages = append(pages, strings.Join(wholeHash.FindAllString(readPage(t, out)["search"].text, -1), "\n"))
	}
	if sizes[0] == 0 || sizes[1] != sizes[0] {
		t.Errorf("the log has %d bytes, want some, and no more when there is nothing left to do", sizes)
	}
	if pages[0] != pages[1] || pages[1] != pages[2] {
		t.Errorf("hashes without a log, with it, and from it:\n%s", strings.Join(pages, "\n\n"))
	}
}

// TestLabInterrupt: an interrupted lab says so, and leaves no page.
func TestLabInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	set, out := writeSet(t), t.TempDir()
	var stderr strings.Builder
	stdout := writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), labOptimizers.title) {
			cancel()
		}
		return len(p), nil
	})
	if status := run(ctx, []string{"lab", "--data", set, "--out", out}, console{stdout, &stderr}); status != 130 || stderr.String() != "bench: interrupted\n" {
		t.Errorf("status %d, stderr %q, want 130 and that it was interrupted", status, stderr.String())
	}
	if _, err := os.Stat(filepath.Join(out, "index.html")); err == nil {
		t.Error("there is a page")
	}
}

// TestLessonDiverges: that ends the run and is no failure.
func TestLessonDiverges(t *testing.T) {
	net := nn.MustNew(2, nn.Affine(2))
	net.Init(nn.He(), 1)
	s := &lesson{net: net, rule: sgd(net, 1e38, optim.Common{}), set: &nn.Data{Rows: 2, X: []float32{1, 2, 3, 4}, Labels: []int32{0, 1}}, batch: 2}
	kept := s.epochs(50, s.set)
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.diverged < 1 || s.diverged > 10 || len(kept.train) != s.diverged || len(kept.test) != s.diverged {
		t.Errorf("diverged at step %d with %d and %d accuracies", s.diverged, len(kept.train), len(kept.test))
	}
}

// TestEpochs: the first accuracies are those after the first update.
func TestEpochs(t *testing.T) {
	set := &nn.Data{Rows: 6, X: []float32{0, 1, 2, 3, 4, 5}, Labels: []int32{0, 0, 0, 1, 1, 1}}
	net := nn.MustNew(1, nn.Affine(2))
	s := &lesson{net: net, rule: sgd(net, 1, optim.Common{}), set: set, batch: 2, seed: 1}
	kept := s.epochs(4, nil)
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.steps != 10 || len(kept.train) != 4 || kept.test != nil {
		t.Errorf("%d steps, %d and %d accuracies, want 10, 4 and 0", s.steps, len(kept.train), len(kept.test))
	}
	again := nn.MustNew(1, nn.Affine(2))
	trainer := &nn.Trainer{Net: again, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: sgd(again, 1, optim.Common{}), Seed: 1, Batch: 2, WithReplacement: true}
	for i, accuracy := range kept.train {
		trainer.Steps = 3*i + 1
		if _, err := trainer.Fit(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		if want := nn.Accuracy(predict(again, set, 1), set); accuracy != want {
			t.Errorf("epoch %d: accuracy %v, want %v as after step %d", i, accuracy, want, trainer.Steps)
		}
	}
}

// TestNeuronDescent compares the way down the loss surface with the formula.
func TestNeuronDescent(t *testing.T) {
	path, _, err := descend(t.Context(), 30)
	if err != nil {
		t.Fatal(err)
	}
	w, b := 1.9, 0.7
	for i, at := range path {
		if math.Abs(at.X-w) > 1e-5 || math.Abs(at.Y-b) > 1e-5 {
			t.Fatalf("step %d: (%v, %v), want (%v, %v)", i, at.X, at.Y, w, b)
		}
		const h = 1e-6
		slope := (neuron(w+h, b) - neuron(w-h, b)) / (2 * h) // that of b is the same
		w, b = w-10*slope, b-10*slope
	}
}

func TestAtMost(t *testing.T) {
	for _, c := range []struct {
		n, low, high float64
		want         string
	}{
		{5, 0, 1, "0 0.2 0.4 0.6 0.8 1"}, {5, 0, 7, "0 2 4 6"}, {5, 0, 19, "0 5 10 15"}, {5, 0, 200, "0 50 100 150 200"},
		{4, -1, 1, "-1 -0.5 0 0.5 1"}, {4, 0, 1, "0 0.5 1"}, {10, 0, 2000, "0 200 400 600 800 1000 1200 1400 1600 1800 2000"},
	} {
		var labels []string
		for _, tick := range atMost(c.n)(c.low, c.high) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("atMost(%v)(%v, %v): %s, want %s", c.n, c.low, c.high, got, c.want)
		}
	}
}
