package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// standIn, in the environment, makes the test binary another program: it behaves as the
// value says.
const standIn = "LOCKSTEP_TEST_PROGRAM"

func TestMain(m *testing.M) {
	switch how := os.Getenv(standIn); how {
	case "":
		os.Exit(m.Run())
	case "without PyTorch":
		fmt.Fprintln(os.Stderr, "Traceback\nPyTorch is needed")
		os.Exit(1)
	case "silent":
	case "updates":
		updateAsPython()
	case "bench":
		main()
	case "vectors", "wrong vectors", "vectors without SLEEF":
		vectorAsHelper(how)
	case "forgets", "litters", "fails", "wavers":
		dieAsVictim(how)
	default:
		helpVersus(how)
	}
}

// helpVersus does what step.py and the program in peer do, from the same arguments and
// files, and what `go build` does. How says what is wrong with the losses.
func helpVersus(how string) {
	log.SetFlags(0)
	args := os.Args[1:]
	switch {
	case args[0] == "build":
		if how == "no modules" {
			fmt.Println("go: downloading\ngo: no network")
			os.Exit(1)
		}
		if _, err := os.Stat(filepath.Join(args[2], "go.mod")); args[1] != "-C" || args[3] != "-o" || err != nil {
			log.Fatalf("arguments %q (%v)", args, err)
		}
		self, err := os.Executable()
		if err == nil {
			err = os.Symlink(self, args[4])
		}
		if err != nil {
			log.Fatal(err)
		}
		return
	case args[0] == "-c":
		if !strings.Contains(args[1], "import torch") || !slices.Contains([]string{"pytorch", "scikit-learn"}, args[2]) {
			log.Fatalf("arguments %.20q", args)
		}
		args = args[3:]
	}
	dir, rule := args[0], args[1]
	var sizes []int
	for _, arg := range args[2:] {
		n, err := strconv.Atoi(arg)
		if err != nil {
			log.Fatal(err)
		}
		sizes = append(sizes, n)
	}
	threads, batch, widths := sizes[0], sizes[1], sizes[2:]
	for _, name := range []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOMAXPROCS"} {
		if os.Getenv(name) != fmt.Sprint(threads) {
			log.Fatalf("%s is %q, want %d", name, os.Getenv(name), threads)
		}
	}
	net, err := network(widths, 0)
	if err != nil {
		log.Fatal(err)
	}
	read(dir, "params.f32", net.Params())
	x := make([]float32, 50*batch*widths[0])
	labels := make([]int32, 50*batch)
	read(dir, "inputs.f32", x)
	read(dir, "labels.i32", labels)
	optimizer, err := optim.New(rule, net.Layout(), nil)
	if err != nil {
		log.Fatal(err)
	}
	trainer := nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optimizer}
	fmt.Printf(`{"version": "9.9", "form": "fast", "differs": %v}`+"\n", how == "other outputs")
	for step := 0; ; {
		var steps int
		if _, err := fmt.Scanln(&steps); err != nil {
			return
		}
		l := lap{Elapsed: 0.5 * float64(steps), User: 0.25 * float64(steps)}
		for i := range steps {
			at := step % 50 * batch
			loss, err := trainer.Step(&nn.Data{Rows: batch, X: x[at*widths[0]:][:batch*widths[0]], Labels: labels[at:][:batch]})
			if err != nil {
				log.Fatal(err)
			}
			if how == "wrong" || step > 0 && (how == "drifting" || how == "other outputs") {
				loss++
			}
			l.Last = loss
			step++
			if i == 0 {
				l.First = l.Last
			}
		}
		json.NewEncoder(os.Stdout).Encode(l)
	}
}

// read fills values with a file that has just so many.
func read(dir, name string, values any) {
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		log.Fatal(err)
	}
	if len(content) != binary.Size(values) {
		log.Fatalf("%s has %d bytes, want %d", name, len(content), binary.Size(values))
	}
	if err := binary.Read(bytes.NewReader(content), binary.NativeEndian, values); err != nil {
		log.Fatal(err)
	}
}

func TestVersus(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	set, bin := writeSet(t), t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "go")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	t.Setenv("TMPDIR", t.TempDir())
	t.Chdir("..") // the root of the repository
	const both = "pytorch,spago"
	for _, c := range []struct {
		program, against string
		status           int
		want             string // a pattern in the output, of either kind
	}{
		{"right", both, 0, `\n30-9-8-4/6 +sgd +1 +Lockstep .* 1\.00 +1\.00\n30-9-8-4/6 +sgd +1 +PyTorch fast +500000\.00 +500000\.00 .*\n.* spaGO fast +500000\.00 +500000\.00 .*\n`},
		{"right", both, 0, `\n30-9-8-4/6 +adam +2 +Lockstep .*\n.* PyTorch .*\n.* spaGO .*\n5-7x2-3/4 +sgd +1 +Lockstep `},
		{"right", both, 0, `\n5-7x2-3/4 +adam +2 +spaGO fast .*\n\nratio: .* PyTorch 9\.9, spaGO 9\.9\.\ncycles/step: .*\.\n$`},
		{"right", "scikit-learn", 0, `sgd +1 +scikit-learn fast +500000\.00 `},
		{"other outputs", "scikit-learn", 0, `sgd +1 +scikit-learn fast +500000\.00 `},
		{"wrong", "pytorch", 1, `30-9-8-4/6, sgd: the loss of the first batch .* not train the same network`},
		{"drifting", "pytorch", 1, `30-9-8-4/6, sgd: the loss after 9 steps .* PyTorch fast: they do not train alike`},
		{"without PyTorch", "pytorch", 1, `: PyTorch is needed\n$`},
		{"silent", "pytorch", 1, `no answer from`},
		{"no modules", "spago", 1, `go build -C bench/peer: exit status 1: go: no network\n$`},
	} {
		t.Setenv(standIn, c.program)
		status, stdout, stderr := bench("versus", "--python", self, "--data", set, "--nets", "30-9-8-4/6,5-7x2-3/4", "--against", c.against,
			"--rounds", "2", "--lap", "1ms")
		if status != c.status {
			t.Errorf("%s, %s: status %d, want %d; %s", c.program, c.against, status, c.status, stderr)
		}
		if !regexp.MustCompile(c.want).MatchString(stdout + stderr) {
			t.Errorf("%s, %s: no %q in the output\n%s%s", c.program, c.against, c.want, stdout, stderr)
		}
	}
	if entries, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(entries) > 0 {
		t.Errorf("files left behind: %v (%v)", entries, err)
	}
	t.Chdir(t.TempDir())
	if status, _, stderr := bench("versus", "--against", "spago"); status != 2 || !strings.Contains(stderr, "--against: spago, want to be started in the root") {
		t.Errorf("in another directory: status %d, %s", status, stderr)
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	report(&out, spec{name: "2-2/1"}, "sgd", 2, []*racer{
		{name: "Lockstep", micros: []float64{4, 2, 8}, cycles: []float64{5, 9, 7}},
		{name: "Other", micros: []float64{12, 10, 11}, cycles: []float64{1, 2, 30}},
	})
	got := strings.Join(strings.Fields(out.String()), " ")
	if want := "2-2/1 sgd 2 Lockstep 4.00 2.00 7 1.00 1.00 2-2/1 sgd 2 Other 11.00 10.00 2 2.75 5.00"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseSpec(t *testing.T) {
	for name, want := range map[string]string{
		"784-100x4-10/128": "[784 100 100 100 100 10] 128",
		"24-8-2/1":         "[24 8 2] 1",
		"3-65536/65536":    "[3 65536] 65536",
		"2x3/4":            "[2 2 2] 4",
	} {
		if s, err := parseSpec(name); err != nil || fmt.Sprint(s.widths, s.batch) != want || s.name != name {
			t.Errorf("%s: %s %v %d (%v), want %s", name, s.name, s.widths, s.batch, err, want)
		}
	}
	for _, name := range []string{"", "784", "784/128", "784-10", "784-10/", "784-10/0", "784-0-10/1", "784--10/1", "784-65537-10/1",
		"784-10x0-10/1", "784-10x-10/1", "784-x2-10/1", "784-1/1", "784-10/65537", "784-10/1/1", "a-10/1"} {
		if s, err := parseSpec(name); err == nil {
			t.Errorf("%q: %v, want an error", name, s)
		}
	}
	for _, name := range allSpecs {
		if _, err := parseSpec(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBatches: from the set where that fits, and random otherwise, the same each time.
func TestBatches(t *testing.T) {
	train, _, err := (&source{Data: writeSet(t)}).load()
	if err != nil {
		t.Fatal(err)
	}
	var drawn nn.Data
	for _, c := range []struct {
		name string
		set  bool
	}{{"30-4/6", true}, {"30-5/6", false}, {"29-4/6", false}, {"2-3/1000", false}} {
		s, err := parseSpec(c.name)
		if err != nil {
			t.Fatal(err)
		}
		batches, again := s.batches(train, 3), s.batches(train, 3)
		seen := map[int32]bool{}
		for i, b := range batches {
			if b.Rows != s.batch || len(b.X) != s.batch*s.widths[0] || len(b.Labels) != s.batch {
				t.Fatalf("%s: batch %d has %d rows, %d inputs, %d labels", c.name, i, b.Rows, len(b.X), len(b.Labels))
			}
			if !slices.Equal(b.X, again[i].X) || !slices.Equal(b.Labels, again[i].Labels) {
				t.Errorf("%s: batch %d is another one the second time", c.name, i)
			}
			if i > 0 && slices.Equal(b.X, batches[0].X) {
				t.Errorf("%s: batch %d is the first one", c.name, i)
			}
			drawn.Draw(samples(train), s.batch, 3, uint32(i))
			if got := slices.Equal(b.X, drawn.X) && slices.Equal(b.Labels, drawn.Labels); got != c.set {
				t.Errorf("%s: batch %d is of the set: %v, want %v", c.name, i, got, c.set)
			}
			for _, label := range b.Labels {
				seen[label] = true
			}
		}
		if len(batches) != 50 || len(seen) != s.widths[len(s.widths)-1] {
			t.Errorf("%s: %d batches with %d classes, want 50 with %d", c.name, len(batches), len(seen), s.widths[len(s.widths)-1])
		}
	}
}

// TestCalibrate: a side's rounds take so long whatever its speed, the first steps of which
// are slow.
func TestCalibrate(t *testing.T) {
	for _, c := range []struct {
		perStep float64 // seconds
		want    int
	}{{1e-6, 50_000}, {1e-3, 50}, {0.02, 2}, {1, 1}} {
		calls := 0
		r := &racer{train: func(steps int) (lap, error) {
			calls++
			if calls == 1 {
				return lap{Elapsed: 10 * c.perStep * float64(steps)}, nil
			}
			return lap{Elapsed: c.perStep * float64(steps)}, nil
		}}
		if err := r.calibrate(50 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if ratio := float64(r.steps) / float64(c.want); math.Abs(math.Log2(ratio)) > 1.1 || r.warmup < 1 || r.warmup > max(1, r.steps/4) {
			t.Errorf("%v s a step: %d steps after %d, want about %d", c.perStep, r.steps, r.warmup, c.want)
		}
	}
	broken := &racer{train: func(int) (lap, error) { return lap{}, io.ErrUnexpectedEOF }}
	if err := broken.calibrate(time.Second); err != io.ErrUnexpectedEOF {
		t.Errorf("error %v, want that of the training", err)
	}
}
