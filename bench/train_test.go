package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn/data"
)

// benchWith runs the command and wants its exit status.
func benchWith(t *testing.T, want int, args ...string) (out, message string) {
	t.Helper()
	status, out, message := bench(args...)
	if status != want {
		t.Fatalf("bench %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), status, want, out, message)
	}
	return out, message
}

// flowers writes a CSV of 120 rows and three classes that can be told apart.
func flowers(t *testing.T, dir string) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("length,width,colour,species\n")
	for i := range 120 {
		c := i % 3
		fmt.Fprintf(&b, "%.2f,%.2f,%s,%s\n", float64(3*c)+r.NormFloat64()/3, float64(-c)+r.NormFloat64()/3,
			[]string{"blue", "white"}[r.IntN(2)], []string{"iris", "poppy", "rose"}[c])
	}
	return writeTo(t, filepath.Join(dir, "flowers.csv"), b.String())
}

// houses writes a CSV of 200 rows with a price that a line gives.
func houses(t *testing.T, dir string) string {
	r := rand.New(rand.NewPCG(1, 3))
	var b strings.Builder
	b.WriteString("rooms;area;price\n")
	for range 200 {
		rooms, area := 1+r.IntN(5), 30+70*r.Float64()
		fmt.Fprintf(&b, "%d;%.1f;%.0f\n", rooms, area, 2000*area+10000*float64(rooms))
	}
	return writeTo(t, filepath.Join(dir, "houses.csv"), b.String())
}

func writeTo(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTrainCSV trains on classes and on numbers, with nothing but the file named, saves,
// and asks the saved network.
func TestTrainCSV(t *testing.T) {
	dir := t.TempDir()
	classes, numbers := flowers(t, dir), houses(t, dir)
	model := filepath.Join(dir, "flowers.safetensors")
	out, _ := benchWith(t, 0, "train", "--data", classes, "--save", model)
	if !strings.Contains(out, "on what was held out: accuracy 1.0000 of 24") || !strings.Contains(out, "4 inputs, layers 64,relu,64,relu,3;") {
		t.Errorf("train: %s", out)
	}
	if again, _ := benchWith(t, 0, "train", "--data", classes, "--threads", "1"); hashIn(t, again) != hashIn(t, out) {
		t.Error("another number of threads, other weights")
	}
	if out, _ := benchWith(t, 0, "eval", model, "--data", classes); !strings.Contains(out, "accuracy 1.0000 of 120") ||
		!regexp.MustCompile(`(?m)^ *poppy +0 +40 +0 *$`).MatchString(out) {
		t.Errorf("eval: %s", out)
	}
	news := writeTo(t, filepath.Join(dir, "new.csv"), "width,colour,length\n0,blue,0\n-2,white,6\n")
	if out, _ := benchWith(t, 0, "predict", model, news); !regexp.MustCompile(`^iris,(1\.0|0\.9)\d*\nrose,(1\.0|0\.9)\d*\n$`).MatchString(out) {
		t.Errorf("predict: %q, want an iris and a rose", out)
	}
	out, _ = benchWith(t, 0, "inspect", model)
	for _, want := range []string{"lockstep.layers  64,relu,64,relu,3", "0.weight         F32 [64 4]", `"categories":["iris","poppy","rose"]`} {
		if !strings.Contains(out, want) {
			t.Errorf("inspect: %s\nwant %s in it", out, want)
		}
	}

	model = filepath.Join(dir, "houses.safetensors")
	out, _ = benchWith(t, 0, "train", "--data", numbers, "--save", model)
	var r2, mae float64
	if _, err := fmt.Sscanf(out[strings.Index(out, "R² 0.9")+len("R² "):], "%f", &r2); err != nil || r2 < 0.99 {
		t.Errorf("train: R² %v, error %v\n%s", r2, err, out)
	}
	if _, err := fmt.Sscanf(out[strings.LastIndex(out, "mean absolute error ")+len("mean absolute error "):], "%f", &mae); err != nil || mae < 10 || mae > 5000 {
		t.Errorf("train: mean absolute error %v in the file's units, error %v\n%s", mae, err, out)
	}
	news = writeTo(t, filepath.Join(dir, "new.csv"), "rooms;area\n3;60\n")
	out, _ = benchWith(t, 0, "predict", model, news)
	var price float64
	if _, err := fmt.Sscan(out, &price); err != nil || math.Abs(price-150000) > 10000 {
		t.Errorf("predict: %q, want about 150000", out)
	}
	if out, _ := benchWith(t, 0, "inspect", numbers); !strings.Contains(out, "200 rows  2 inputs, 1 outputs") || !strings.Contains(out, "price     target: mean") {
		t.Errorf("inspect: %s", out)
	}
}

// hashIn is the hash of the weights in what train has printed.
func hashIn(t *testing.T, out string) string {
	t.Helper()
	m := regexp.MustCompile(`SHA-256 ([0-9a-f]{12})`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no hash in %s", out)
	}
	return m[1]
}

// TestTrainNpz trains on arrays, of classes and of numbers.
func TestTrainNpz(t *testing.T) {
	dir := t.TempDir()
	x, labels, targets := &data.Array{Shape: []int{60, 2}}, &data.Array{Shape: []int{60}}, &data.Array{Shape: []int{60, 2}}
	for i := range 60 {
		a, b := float32(i%10)/10, float32(i/10)/6
		x.X = append(x.X, a, b)
		labels.X = append(labels.X, float32(i%2))
		targets.X = append(targets.X, a+b, a-b)
	}
	for _, test := range []struct {
		y    *data.Array
		want string
	}{{labels, "accuracy"}, {targets, "R² 0.9"}} {
		path := filepath.Join(dir, "a.npz")
		if err := data.WriteNpzFile(path, map[string]*data.Array{"x": x, "y": test.y}); err != nil {
			t.Fatal(err)
		}
		model := filepath.Join(dir, "a.safetensors")
		if out, _ := benchWith(t, 0, "train", "--data", path, "--save", model); !strings.Contains(out, "held out: "+test.want) {
			t.Errorf("train: %s\nwant %s", out, test.want)
		}
		npy := filepath.Join(dir, "x.npy")
		if err := x.WriteNpyFile(npy); err != nil {
			t.Fatal(err)
		}
		if out, _ := benchWith(t, 0, "predict", model, npy); strings.Count(out, "\n") != 60 {
			t.Errorf("predict: %d lines, want 60", strings.Count(out, "\n"))
		}
		if out, _ := benchWith(t, 0, "inspect", path); !strings.Contains(out, "x  [60 2]") {
			t.Errorf("inspect: %s", out)
		}
	}
}

// TestTrainResume: a run that stopped after some epochs ends in the same bits.
func TestTrainResume(t *testing.T) {
	dir := t.TempDir()
	file, checkpoint := flowers(t, dir), filepath.Join(dir, "run.ckpt")
	common := []string{"train", "--data", file, "--schedule", "none", "--layers", "16,batchnorm,relu,dropout:0.2"}
	whole, _ := benchWith(t, 0, append(common, "--epochs", "6")...)
	benchWith(t, 0, append(common, "--epochs", "3", "--checkpoint", checkpoint)...)
	rest, _ := benchWith(t, 0, append(common, "--epochs", "6", "--checkpoint", checkpoint, "--resume")...)
	if hashIn(t, rest) != hashIn(t, whole) {
		t.Errorf("resumed: %s, at once: %s", hashIn(t, rest), hashIn(t, whole))
	}
	if out, _ := benchWith(t, 0, "inspect", checkpoint); !strings.Contains(out, "layers      16,batchnorm:0.9:1e-06:0,relu,dropout:0.2,3") {
		t.Errorf("inspect: %s", out)
	}
}

func TestVersion(t *testing.T) {
	if out, _ := benchWith(t, 0, "version"); !strings.Contains(out, "instruction set") || !strings.Contains(out, "self-check passed") {
		t.Errorf("version: %s", out)
	}
}

// TestMistakes: each is one line that says what was wrong and what was expected, with 2 for
// the command line and 1 for the rest, and no file is left.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	file := flowers(t, dir)
	missing := writeTo(t, filepath.Join(dir, "missing.csv"), "a,b\n1,x\n,y\n2,x\n3,y\n")
	model := filepath.Join(dir, "m.safetensors")
	benchWith(t, 0, "train", "--data", file, "--epochs", "1", "--save", model)
	strange := writeTo(t, filepath.Join(dir, "strange.csv"), "length,width,colour\n1,2,green\n")
	save := filepath.Join(dir, "none.safetensors")
	for _, test := range []struct {
		status int
		args   []string
		want   string
	}{
		{2, []string{"train", "--epochs", "x"}, "--epochs"},
		{2, []string{"train", "--batch=-1"}, "--batch -1"},
		{2, []string{"train", "--holdout", "1"}, "--holdout: 1, want from 0 to below 1"},
		{2, []string{"train", "--resume"}, "--resume: want a --checkpoint"},
		{2, []string{"train", "--lr", "0.1"}, "unknown flag --lr"},
		{2, []string{"predict", model}, "expected \"<data>\""},
		{1, []string{"train", "--data", filepath.Join(dir, "nothing.csv")}, "nothing.csv"},
		{1, []string{"train", "--data", dir + "/m.safetensors"}, "want a file that ends with .csv"},
		{1, []string{"train", "--data", file, "--target", "colour,price"}, `"price"`},
		{1, []string{"train", "--data", missing}, "line 3"},
		{2, []string{"train", "--data", file, "--layers", "64,relux"}, `--layers: nn: unknown layer "relux", want one of`},
		{2, []string{"train", "--data", file, "--optimizer", "adamm"}, `--optimizer: optim: unknown optimizer "adamm", want one of`},
		{2, []string{"train", "--data", file, "--optimizer", "adam:rate=1"}, `unknown option "rate", want one of`},
		{2, []string{"train", "--data", file, "--optimizer", "adam:lr"}, `"lr" in "adam:lr", want OPTION=NUMBER`},
		{2, []string{"train", "--data", file, "--schedule", "cosin"}, `--schedule: optim: unknown schedule "cosin", want one of`},
		{1, []string{"train", "--data", file, "--loss", "huber"}, "--loss: huber, want softmax-cross-entropy for classes"},
		{1, []string{"train", "--data", file, "--holdout", "0.001"}, "--holdout: 0.001 of 120 samples"},
		{1, []string{"train", "--data", file, "--epochs", "1", "--layers", "8,dropout-book:0.1", "--save", save}, "PyTorch does not have"},
		{1, []string{"train", "--target", "x"}, "--target: x, want a CSV"},
		{1, []string{"eval", model}, "784 inputs and 10 outputs, want the network's 4 and 3"},
		{1, []string{"eval", file}, "flowers.csv"},
		{1, []string{"predict", model, strange}, `"green"`},
		{1, []string{"inspect", filepath.Join(dir, "none.ckpt")}, "none.ckpt"},
	} {
		_, message := benchWith(t, test.status, test.args...)
		if !strings.HasPrefix(message, "bench: ") || !strings.Contains(message, test.want) || strings.Count(message, "\n") != 1 {
			t.Errorf("%v: %q, want one line with %s", test.args, message, test.want)
		}
	}
	if _, err := os.Stat(save); err == nil {
		t.Error("a network that could not be saved has left a file")
	}
}
