package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-go/lockstep/internal/mnist"
	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// writeSet writes a set of 50 training and 20 test images of 6×5 pixels in 4
// classes: those of a class differ from the others by one bright row.
func writeSet(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, rows := range map[string]uint32{"train": 50, "t10k": 20} {
		images := binary.BigEndian.AppendUint32(nil, 0x803)
		labels := binary.BigEndian.AppendUint32(nil, 0x801)
		for _, n := range []uint32{rows, 6, 5} {
			images = binary.BigEndian.AppendUint32(images, n)
		}
		labels = binary.BigEndian.AppendUint32(labels, rows)
		for i := range rows {
			class := i % 4
			labels = append(labels, byte(class))
			for pixel := range uint32(30) {
				v := byte(i * pixel * 13 % 97)
				if pixel/5 == class {
					v = 255 - v
				}
				images = append(images, v)
			}
		}
		for file, content := range map[string][]byte{"images-idx3": images, "labels-idx1": labels} {
			if err := os.WriteFile(filepath.Join(dir, name+"-"+file+"-ubyte"), content, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// bench runs the command.
func bench(args ...string) (status int, stdout, stderr string) {
	var out, err strings.Builder
	status = run(context.Background(), args, console{&out, &err})
	return status, out.String(), err.String()
}

func TestCompare(t *testing.T) {
	const steps, batch, seed = 130, 16, 7
	set := writeSet(t)
	var hashes [2][]string
	for i, threads := range []int{1, 2} {
		out := filepath.Join(t.TempDir(), "not", "there")
		status, stdout, stderr := bench("--data", set, "--out", out, "--steps", fmt.Sprint(steps), "--batch", fmt.Sprint(batch),
			"--seed", fmt.Sprint(seed), "--threads", fmt.Sprint(threads), "--hidden", "12,8")
		if status != 0 || stderr != "" {
			t.Fatalf("threads %d: status %d, stderr %q", threads, status, stderr)
		}
		entries, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if want := []string{"losses.png", "losses.svg", "results.json"}; !slices.Equal(names, want) {
			t.Errorf("threads %d: files %q, want %q", threads, names, want)
		}
		res := checkJSON(t, filepath.Join(out, "results.json"))
		settings := fmt.Sprint(res.ISA, res.Threads, res.Seed, res.Steps, res.Batch, res.Hidden)
		if want := fmt.Sprint(kernels.ISA(), threads, seed, steps, batch, []int{12, 8}); settings != want {
			t.Errorf("threads %d: results.json says %s, want %s", threads, settings, want)
		}
		var optimizers []string
		for _, r := range res.Runs {
			optimizers = append(optimizers, r.Optimizer)
			hashes[i] = append(hashes[i], r.ParamsSHA256)
			checkRun(t, set, r, steps, batch, seed, []nn.Layer{nn.Affine(12), nn.ReLU(), nn.Affine(8), nn.ReLU(), nn.Affine(4)})
			for _, want := range []string{
				fmt.Sprintf("%-9s iteration     0  loss %.4f", r.Optimizer, r.Losses[0][1]),
				fmt.Sprintf("%.4f", r.FinalLoss),
				r.ParamsSHA256[:12],
			} {
				if !strings.Contains(stdout, want) {
					t.Errorf("threads %d, %s: no %q in the output\n%s", threads, r.Optimizer, want, stdout)
				}
			}
		}
		if want := []string{"sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"}; !slices.Equal(optimizers, want) {
			t.Errorf("threads %d: runs %q, want %q", threads, optimizers, want)
		}
		if !strings.Contains(stdout, "learnt fastest") || !strings.Contains(stdout, "30-12-8-4") {
			t.Errorf("threads %d: the output lacks the network or the winner\n%s", threads, stdout)
		}
		checkPictures(t, out, optimizers)
	}
	if !slices.Equal(hashes[0], hashes[1]) {
		t.Errorf("weights with one thread %q, with two %q", hashes[0], hashes[1])
	}
}

// checkJSON reads results.json and wants exactly the documented fields.
func checkJSON(t *testing.T, path string) results {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var res results
	var fields map[string]any
	for _, v := range []any{&res, &fields} {
		if err := json.Unmarshal(content, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		object map[string]any
		want   string
	}{
		{fields, "batch hidden isa runs seed steps threads"},
		{fields["runs"].([]any)[0].(map[string]any), "final_loss losses optimizer params_sha256 smoothed_loss test_accuracy us_per_step"},
	} {
		var names []string
		for name := range c.object {
			names = append(names, name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: fields %q, want %q", path, got, c.want)
		}
	}
	return res
}

// checkRun wants what package nn gives when it is told to do the same.
func checkRun(t *testing.T, set string, r result, steps, batch int, seed uint64, layers []nn.Layer) {
	t.Helper()
	trainSet, testSet, err := mnist.Load(set)
	if err != nil {
		t.Fatal(err)
	}
	train, test := samples(trainSet), samples(testSet)
	net := nn.MustNew(30, layers...)
	net.Init(nn.He(), seed)
	rule, err := optim.New(r.Optimizer, net.Layout(), nil)
	if err != nil {
		t.Fatal(err)
	}
	trainer := &nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: rule, Steps: 1, Batch: batch, Seed: seed, WithReplacement: true}
	if _, err := trainer.Fit(t.Context(), train); err != nil {
		t.Fatal(err)
	}
	var first nn.Data
	first.Draw(train, batch, seed, 0)
	firstLoss, _ := trainer.Evaluate(&first)

	net.Init(nn.He(), seed)
	if rule, err = optim.New(r.Optimizer, net.Layout(), nil); err != nil {
		t.Fatal(err)
	}
	trainer = &nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: rule, Steps: steps, Batch: batch, Seed: seed, WithReplacement: true}
	if _, err := trainer.Fit(t.Context(), train); err != nil {
		t.Fatal(err)
	}
	if hash := fmt.Sprintf("%x", nn.Hash(net.Params())); r.ParamsSHA256 != hash {
		t.Errorf("%s: params_sha256 %s, want %s", r.Optimizer, r.ParamsSHA256, hash)
	}
	if accuracy := nn.Accuracy(net.Forward(test.X, test.Rows), test); r.TestAccuracy != accuracy {
		t.Errorf("%s: test_accuracy %v, want %v", r.Optimizer, r.TestAccuracy, accuracy)
	}

	if len(r.Losses) != steps {
		t.Fatalf("%s: %d losses, want %d", r.Optimizer, len(r.Losses), steps)
	}
	var losses []float64
	sum := 0.0
	for step, loss := range r.Losses {
		if loss[0] != number(step) {
			t.Errorf("%s: the loss after %d others is said to be that of step %v", r.Optimizer, step, loss[0])
		}
		losses = append(losses, float64(loss[1]))
		if step >= steps-100 {
			sum += float64(loss[1])
		}
	}
	if r.Losses[0][1] != number(firstLoss) {
		t.Errorf("%s: first loss %v, want the one after the update, %v", r.Optimizer, r.Losses[0][1], firstLoss)
	}
	if want := sum / 100; math.Abs(float64(r.FinalLoss)-want) > 1e-12 {
		t.Errorf("%s: final_loss %v, want %v", r.Optimizer, r.FinalLoss, want)
	}
	if want := number(smooth(losses)[steps-1]); r.SmoothedLoss != want {
		t.Errorf("%s: smoothed_loss %v, want %v", r.Optimizer, r.SmoothedLoss, want)
	}
	if r.MicrosStep <= 0 {
		t.Errorf("%s: us_per_step %v", r.Optimizer, r.MicrosStep)
	}
}

func checkPictures(t *testing.T, dir string, names []string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "losses.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X < 1000 || size.Y < 600 {
		t.Errorf("losses.png has %v pixels", size)
	}

	svg, err := os.ReadFile(filepath.Join(dir, "losses.svg"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("losses.svg: %v", err)
		}
		if text, ok := token.(xml.CharData); ok {
			texts[strings.TrimSpace(string(text))] = true
		}
	}
	for _, want := range append(names, "iterations", "loss", "0", "1") {
		if !texts[want] {
			t.Errorf("losses.svg has no text %q", want)
		}
	}
}

// TestEmbedded runs what a newcomer runs, shortened.
func TestEmbedded(t *testing.T) {
	out := t.TempDir()
	status, stdout, stderr := bench("compare", "--steps", "1", "--hidden", "8", "--optimizers", "adam", "--out", out)
	if status != 0 || !strings.Contains(stdout, "MNIST: 784-8-10,") {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

func TestMisuse(t *testing.T) {
	set, empty := writeSet(t), t.TempDir()
	file := filepath.Join(set, "t10k-labels-idx1-ubyte")
	for _, c := range []struct {
		args   string
		isa    string
		status int
		want   []string // in the message
	}{
		{"--steps 0", "", 2, []string{"--steps", "at least 1"}},
		{"--steps many", "", 2, []string{"--steps", "uint"}},
		{"--batch 0", "", 2, []string{"--batch", "1 to 65536"}},
		{"--batch 65537", "", 2, []string{"--batch", "1 to 65536"}},
		{"--threads 0", "", 2, []string{"--threads", "at least 1"}},
		{"--seed=-1", "", 2, []string{"--seed", "uint"}},
		{"--optimizers sgd,adamm", "", 2, []string{"--optimizers", `"adamm"`, "sgd,momentum"}},
		{"--optimizers adam,adam", "", 2, []string{"--optimizers", "twice"}},
		{"--optimizers=", "", 2, []string{"--optimizers", "sgd,momentum"}},
		{"--hidden 10,0", "", 2, []string{"--hidden", "0", "1 to 65536"}},
		{"--hidden 10,x", "", 2, []string{"--hidden", "int", `"x"`}},
		{"--hidden=", "", 2, []string{"--hidden", "one or more"}},
		{"--data " + filepath.Join(empty, "nowhere"), "", 2, []string{"--data", "nowhere", "directory"}},
		{"--data " + file, "", 2, []string{"--data", "ubyte", "directory"}},
		{"--data " + empty, "", 1, []string{empty, "expected a file train-images-idx3-ubyte"}},
		{"--data " + set + " --out " + file, "", 1, []string{"--out", file}},
		{"--faster", "", 2, []string{"--faster"}},
		{"race", "", 2, []string{"race"}},
		{"versus --optimizers lion", "", 2, []string{"--optimizers", "momentum"}},
		{"versus --optimizers=", "", 2, []string{"--optimizers", "one or more"}},
		{"versus --threads 1,0", "", 2, []string{"--threads", "at least 1"}},
		{"versus --rounds 0", "", 2, []string{"--rounds", "at least 1"}},
		{"versus --lap 0s", "", 2, []string{"--lap", "1ms to 1m"}},
		{"versus --nets 784-10", "", 2, []string{"--nets", "784-10", "784-100x4-10/128"}},
		{"versus --nets=", "", 2, []string{"--nets", "nothing"}},
		{"versus --against=", "", 2, []string{"--against", "one or more"}},
		{"versus --against tensorflow", "", 2, []string{"--against", "pytorch"}},
		{"versus --against scikit-learn --optimizers rmsprop", "", 2, []string{"--optimizers", "rmsprop", "sgd,momentum,nesterov,adam"}},
		{"versus --python " + filepath.Join(empty, "python"), "", 2, []string{"--python", "PyTorch"}},
		{"--steps 1", "mmx", 2, []string{"LOCKSTEP_ISA", `"mmx"`, "portable"}},
	} {
		t.Setenv("LOCKSTEP_ISA", c.isa)
		status, stdout, stderr := bench(strings.Fields(c.args)...)
		if status != c.status {
			t.Errorf("%s: status %d, want %d", c.args, status, c.status)
		}
		if stdout != "" || !strings.HasPrefix(stderr, "bench: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: stdout %q, stderr %q, want one line of a message", c.args, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: message %q has no %q", c.args, stderr, want)
			}
		}
	}
}

func TestHelp(t *testing.T) {
	t.Setenv("LOCKSTEP_ISA", "mmx")
	if status, stdout, stderr := bench("compare", "--help"); status != 0 || !strings.Contains(stdout, "--optimizers") || stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	set, out := writeSet(t), t.TempDir()
	var stderr strings.Builder
	// Interrupted by the first line about a loss.
	stdout := writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("iteration")) {
			cancel()
		}
		return len(p), nil
	})
	if status := run(ctx, []string{"--data", set, "--out", out}, console{stdout, &stderr}); status != 130 {
		t.Errorf("status %d, want 130", status)
	}
	if stderr.String() != "bench: interrupted\n" {
		t.Errorf("stderr %q", stderr.String())
	}
	if entries, err := os.ReadDir(out); err != nil || len(entries) > 0 {
		t.Errorf("files %v (%v), want none", entries, err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestSmooth compares with what numpy.kaiser and numpy.convolve give in the
// book's smooth_curve.
func TestSmooth(t *testing.T) {
	for _, c := range []struct{ curve, want []float64 }{
		{
			[]float64{0, 7, 6, 8, 2, 10, 10, 2, 8, 6, 7, 0, 7, 6, 8},
			[]float64{
				5.71709098706, 5.81351745312, 5.9285041578, 6.00948146545, 6.13063564399,
				6.25931578612, 6.25931578612, 6.13063564399, 6.00948146545, 5.9285041578,
				6.12818849681, 5.94587537544, 5.91447344283, 5.87718389298, 5.80634173858,
			},
		},
		{
			[]float64{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5},
			[]float64{
				3.30294750558, 3.07065151642, 3.28745142953, 3.67492391229, 3.83716329014, 4.17426157239,
				4.38902307373, 4.53442704026, 4.5749155228, 4.75348600292, 4.55222288673,
			},
		},
		// Shorter than the book's can be: an average of equal values.
		{[]float64{2}, []float64{2}},
		{[]float64{2, 2}, []float64{2, 2}},
		{[]float64{2, 2, 2, 2, 2}, []float64{2, 2, 2, 2, 2}},
	} {
		got := smooth(c.curve)
		if len(got) != len(c.want) {
			t.Errorf("%v: %d values", c.curve, len(got))
			continue
		}
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-10 {
				t.Errorf("%v: value %d is %v, want %v", c.curve, i, got[i], c.want[i])
			}
		}
	}
}

// TestDiverged: a training that ends in NaN is reported, not a failure.
func TestDiverged(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	res := results{Steps: 3, Runs: []result{
		newResult("lost", []float64{1, inf, nan}, time.Second, 0, strings.Repeat("0", 64)),
		newResult("good", []float64{2, 1, 0.5}, time.Second, 0.5, strings.Repeat("1", 64)),
		newResult("gone", []float64{nan, nan, nan}, time.Second, 0, strings.Repeat("2", 64)),
	}}
	var out strings.Builder
	if err := res.print(&out); err != nil {
		t.Fatal(err)
	}
	if err := res.write(t.TempDir(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if want := "good learnt fastest"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
	got, err := json.Marshal(res.Runs[0].Losses)
	if want := "[[0,1],[1,null],[2,null]]"; err != nil || string(got) != want {
		t.Errorf("losses %s (%v), want %s", got, err, want)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	broken := errors.New("broken")
	for _, c := range []struct {
		content string
		err     error
		want    string
	}{
		{"old", nil, "old"},
		{"half of the n", broken, "old"},
		{"new", nil, "new"},
	} {
		err := writeFile(path, func(w io.Writer) error {
			io.WriteString(w, c.content)
			return c.err
		})
		if !errors.Is(err, c.err) {
			t.Errorf("writing %q: error %v, want %v", c.content, err, c.err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != c.want {
			t.Errorf("after writing %q: %q (%v), want %q", c.content, got, err, c.want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("files %v (%v), want one", entries, err)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		high float64
		want string
	}{
		{1, "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1"},
		{2000, "0 200 400 600 800 1000 1200 1400 1600 1800 2000"},
		{2999, "0 500 1000 1500 2000 2500"},
		{99999, "0 10000 20000 30000 40000 50000 60000 70000 80000 90000"},
	} {
		var labels []string
		for _, tick := range atMost(10)(0, c.high) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("0 to %v: ticks at %s, want %s", c.high, got, c.want)
		}
	}
}
