package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// updateAsPython does what torch_update.py does, from the same arguments: at 2 ns a
// parameter by default and 1 ns in the form foreach. There is no form fused.
func updateAsPython() {
	log.SetFlags(0)
	if len(os.Args) != 7 || os.Args[1] != "-c" || !strings.Contains(os.Args[2], "torch.optim") {
		log.Fatalf("arguments %.20q", os.Args[1:])
	}
	form := os.Args[4]
	n, err := strconv.Atoi(os.Args[5])
	if err != nil || os.Getenv("OMP_NUM_THREADS") != os.Args[6] {
		log.Fatal("not so many parameters or threads")
	}
	nanos := map[string]float64{"default": 2, "foreach": 1}[form]
	if nanos == 0 {
		fmt.Println(`{"missing": "there is no such form"}`)
		return
	}
	fmt.Println(`{"version": "9.9"}`)
	for {
		var steps int
		if _, err := fmt.Scanln(&steps); err != nil {
			return
		}
		if err := json.NewEncoder(os.Stdout).Encode(lap{Elapsed: nanos * 1e-9 * float64(n*steps)}); err != nil {
			log.Fatal(err)
		}
	}
}

func TestUpdates(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		python string
		args   []string
		status int
		want   string // a pattern in the output, of either kind
	}{
		{"updates", nil, 0, `(?m)^ +sgd +1000 +1 +0\.\d+ +2\.0000 +1\.0000 +- +\d`},
		{"updates", nil, 0, `(?m)^ +torch-adam +50 +2 +\d+\.\d+ +2\.0000 +1\.0000 +- +\d`},
		{"updates", nil, 0, `PyTorch 9\.9\.`},
		{"without PyTorch", nil, 1, `: PyTorch is needed\n$`},
		{"silent", nil, 1, `no answer from`},
		{"updates", []string{"--sizes", "0"}, 2, `--sizes: \[1000 50 0\], want one or more numbers from 1 to`},
		{"updates", []string{"--threads", "0"}, 2, `--threads: \[0\], want`},
		{"updates", []string{"--rounds", "0"}, 2, `--rounds: 0, want at least 1`},
		{"updates", []string{"--optimizers", "muon"}, 2, `--optimizers.*muon`},
		{"updates", []string{"--python", "/no/such"}, 2, `--python: want a Python that has PyTorch`},
	} {
		t.Setenv(standIn, c.python)
		status, stdout, stderr := bench(append([]string{"updates", "--python", self, "--optimizers", "sgd,torch-adam", "--sizes", "1000,50", "--rounds", "1"}, c.args...)...)
		if status != c.status {
			t.Errorf("%s %v: status %d, want %d; %s", c.python, c.args, status, c.status, stderr)
		}
		if !regexp.MustCompile(c.want).MatchString(stdout + stderr) {
			t.Errorf("%s %v: no %q in the output\n%s%s", c.python, c.args, c.want, stdout, stderr)
		}
	}
}
