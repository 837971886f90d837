package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// standIn, in the environment, makes the test binary a Python: it behaves as the
// value says.
const standIn = "LOCKSTEP_TEST_PYTHON"

func TestMain(m *testing.M) {
	switch os.Getenv(standIn) {
	case "":
		os.Exit(m.Run())
	case "without PyTorch":
		fmt.Fprintln(os.Stderr, "Traceback\nPyTorch is needed")
		os.Exit(1)
	case "silent":
	case "wrong":
		trainAsPython(1)
	case "right":
		trainAsPython(0)
	case "updates":
		updateAsPython()
	}
}

// trainAsPython does what torch_step.py does, from the same arguments and files,
// and says losses that are wrong by so much.
func trainAsPython(wrong float64) {
	log.SetFlags(0)
	if os.Args[1] != "-c" || !strings.Contains(os.Args[2], "import torch") {
		log.Fatalf("arguments %.20q", os.Args[1:])
	}
	dir, rule := os.Args[3], os.Args[4]
	var sizes []int
	for _, arg := range os.Args[5:] {
		n, err := strconv.Atoi(arg)
		if err != nil {
			log.Fatal(err)
		}
		sizes = append(sizes, n)
	}
	threads, batch, widths := sizes[0], sizes[1], sizes[2:]
	if os.Getenv("OMP_NUM_THREADS") != fmt.Sprint(threads) || os.Getenv("OPENBLAS_NUM_THREADS") != fmt.Sprint(threads) {
		log.Fatal("the libraries are not limited in their threads")
	}
	var layers []nn.Layer
	for _, width := range widths[1:] {
		layers = append(layers, nn.Affine(width), nn.ReLU())
	}
	net := nn.MustNew(widths[0], layers[:len(layers)-1]...)
	read(dir, "params.f32", net.Params())
	x := make([]float32, 50*batch*widths[0])
	labels := make([]int32, 50*batch)
	read(dir, "batches.f32", x)
	read(dir, "labels.i32", labels)
	optimizer, err := optim.New(rule, net.Layout(), nil)
	if err != nil {
		log.Fatal(err)
	}
	trainer := nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: optimizer}
	step := 0
	for {
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
			l.Last = wrong + loss
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
	set := writeSet(t)
	t.Setenv("TMPDIR", t.TempDir())
	for _, c := range []struct {
		python string
		status int
		want   string // a pattern in the output, of either kind
	}{
		{"right", 0, `sgd +1 +PyTorch +500000\.0 +500000\.0 `},
		{"right", 0, `adam +2 +PyTorch +500000\.0 +500000\.0 `},
		{"right", 0, `cycles/step: .*\.\n$`},
		{"wrong", 1, `sgd: the loss of the first batch .* not train the same network`},
		{"without PyTorch", 1, `: PyTorch is needed\n$`},
		{"silent", 1, `no answer from`},
	} {
		t.Setenv(standIn, c.python)
		status, stdout, stderr := bench("versus", "--python", self, "--data", set, "--hidden", "9,8", "--batch", "6",
			"--rounds", "3", "--steps", "20")
		if status != c.status {
			t.Errorf("%s: status %d, want %d; %s", c.python, status, c.status, stderr)
		}
		if !regexp.MustCompile(c.want).MatchString(stdout + stderr) {
			t.Errorf("%s: no %q in the output\n%s%s", c.python, c.want, stdout, stderr)
		}
		if c.python == "right" {
			checkLosses(t, stdout)
		}
	}
	if entries, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(entries) > 0 {
		t.Errorf("files left behind: %v (%v)", entries, err)
	}
}

// checkLosses wants the same first and last losses on both sides, since the
// stand-in trains as we do.
func checkLosses(t *testing.T, table string) {
	t.Helper()
	lines := regexp.MustCompile(`(?m)^(\w+ +\d) +(Lockstep|PyTorch) .* (\d\.\d+ +\d\.\d+)$`).FindAllStringSubmatch(table, -1)
	if len(lines) != 8 {
		t.Fatalf("%d lines with losses, want 8\n%s", len(lines), table)
	}
	for i := 0; i < len(lines); i += 2 {
		if lines[i][1] != lines[i+1][1] || lines[i][3] != lines[i+1][3] {
			t.Errorf("%s: losses %s and %s", lines[i][1], lines[i][3], lines[i+1][3])
		}
	}
}
