package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
)

// TestFaults: every fault has a place in the assembly of today, changes it, and
// assembles.
func TestFaults(t *testing.T) {
	dir, err := asmDir()
	if err != nil {
		t.Fatal(err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	include := filepath.Join(strings.TrimSpace(string(root)), "pkg", "include")
	for isa, home := range goarch {
		count := 0
		families := map[string]bool{}
		for _, f := range list(isa) {
			p, err := plant(dir, isa, f)
			if err != nil {
				t.Error(err)
				continue
			}
			count++
			families[filepath.Base(p.file)] = true
			before, err := os.ReadFile(p.file)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(p.text, before) || p.before == p.after {
				t.Errorf("%s, %s: nothing changes", p.place, p.kind)
			}
			file := filepath.Join(t.TempDir(), "planted.s")
			if err := os.WriteFile(file, functionAlone(string(p.text), f.on(isa)), 0o666); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "tool", "asm", "-p", "asm", "-I", include, "-o", os.DevNull, file)
			cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+home.name)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v\n%s", p.place, p.kind, err, out)
			}
		}
		files, err := filepath.Glob(filepath.Join(dir, "*_"+isa+"_*.s"))
		if err != nil || len(families) != len(files) || len(files) == 0 {
			t.Errorf("%s: faults in %d of %d files (error %v)", isa, len(families), len(files), err)
		}
		if count < 30 {
			t.Errorf("%s: %d faults, want 30", isa, count)
		}
	}
	for isa := range kinds {
		for kind := range kinds[isa] {
			if !slices.ContainsFunc(list(isa), func(f fault) bool { return f.kind == kind }) {
				t.Errorf("%s: no fault is of the kind %q", isa, kind)
			}
		}
	}
}

// functionAlone is a file with one of its functions, and its data.
func functionAlone(text, name string) []byte {
	var b strings.Builder
	in := false
	for _, line := range strings.SplitAfter(text, "\n") {
		if strings.HasPrefix(line, "TEXT ") {
			in = strings.HasPrefix(line, "TEXT ·"+name+"(SB)")
		}
		if in || strings.HasPrefix(line, "#include") || strings.HasPrefix(line, "DATA ") || strings.HasPrefix(line, "GLOBL ") {
			b.WriteString(line)
		}
	}
	return []byte(b.String())
}

// TestPlace: a fault that finds no place is an error.
func TestPlace(t *testing.T) {
	dir, err := asmDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fault
		want string
	}{
		{fault{"sgd", "operands of div swapped", 0}, "fits 0 instructions of sgd"},
		{fault{"sgd", "operands of sub swapped", 50}, "instructions of sgd, want number 50"},
		{fault{"sgd", "operands of sub swapped", -50}, "instructions of sgd, want number -50"},
		{fault{"sdg", "operands of sub swapped", 0}, "no function sdg"},
	} {
		for isa := range kinds {
			if _, err := plant(dir, isa, c.fault); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %v: error %v, want one that says %q", isa, c.fault, err, c.want)
			}
		}
	}
}

// TestRun plants one fault and lets a test catch it, and a test that cannot.
func TestRun(t *testing.T) {
	have := kernels.ISAs()
	isa := have[len(have)-1]
	none := isa == "portable"
	if none {
		isa = "avx2" // not to be had here, which must not look like success
	}
	const catches, misses = "-run=^TestVectorBits$/^(avx2|avx512|neon)$/^SGD$", "-run=^TestSumRowsPanics$"
	for _, c := range []struct{ run, caught, failure string }{
		{catches, "TestVectorBits/" + isa + "/SGD", ""},
		{misses, "NOT CAUGHT", "1 of 1 faults were not caught"},
		{"-run=^$", "", "no test ran"},
	} {
		if none {
			c.caught, c.failure = "", "without a fault"
		}
		var out bytes.Buffer
		err := run(&out, isa, 1, "-short", c.run, module+"kernels")
		if c.failure == "" && err != nil || c.failure != "" && (err == nil || !strings.Contains(err.Error(), c.failure)) {
			t.Errorf("%s: error %v, want one that says %q", c.run, err, c.failure)
		}
		if c.caught != "" && !strings.Contains(out.String(), "\n"+fmt.Sprintf("%-45s  ", c.caught)+"operands of sub swapped") {
			t.Errorf("%s: no line of the fault caught by %q:\n%s", c.run, c.caught, &out)
		}
	}
}

func TestRead(t *testing.T) {
	const (
		run  = `{"Action":"run","Test":"TestA"}` + "\n"
		pass = `{"Action":"pass","Test":"TestA"}` + "\n"
		next = `{"Action":"run","Test":"TestB"}` + "\n"
		fail = `{"Action":"fail","Test":"TestB"}` + "\n"
		end  = `{"Action":"fail"}` + "\n"
	)
	for _, c := range []struct {
		events, failed string
		ran            int
		built          bool
	}{
		{run + pass + `{"Action":"pass"}`, "", 1, true},
		{run + pass + next + fail + end, "TestB", 2, true},
		{run + next + fail + `{"Action":"fail","Test":"TestA"}` + "\n" + end, "TestB", 2, true},
		{run + pass + next + "fatal error: fault\n" + end, "TestB (crash)", 2, true},
		{run + pass + end, "", 1, true},
		{`{"Action":"build-fail"}` + "\n" + end, "", 0, false},
	} {
		failed, _, ran, built := read(strings.NewReader(c.events))
		if failed != c.failed || ran != c.ran || built != c.built {
			t.Errorf("%s: failed %q, ran %d, built %v, want %q, %d, %v", c.events, failed, ran, built, c.failed, c.ran, c.built)
		}
	}
}
