// Command tally runs go test and counts. It fails where go test fails, and also
// if a test was skipped or fewer tests ran than expected, so that a run which
// tested nothing does not pass for success.
//
//	tally -min 12 -- -count=1 -short ./kernels
//
// It shows what go test would, and at the end the number of tests and subtests.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// count is a number of tests by how they ended.
type count struct {
	passed, failed, skipped int
}

func (c count) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
}

// test names a test, or a package's own part where name is empty.
type test struct {
	pkg, name string
}

// tally is what is known of a run.
type tally struct {
	w           io.Writer
	tests, subs count                     // subs has the subtests, and no test is in both
	packages    count                     // failed are those that failed with no test to blame
	output      map[test]*strings.Builder // of what has begun and not ended
	blamed      map[string]bool           // packages of which a test failed
}

func main() {
	least := flag.Int("min", 1, "the `number` of top-level tests that must run")
	flag.Parse()
	if err := run(os.Stdout, *least, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

// run runs go test with args and reports to w.
func run(w io.Writer, least int, args []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	t := &tally{w: w, output: map[test]*strings.Builder{}, blamed: map[string]bool{}}
	t.read(stdout)
	if err := cmd.Wait(); err != nil && t.failed() == 0 {
		t.packages.failed++
		fmt.Fprintf(w, "go test: %v\n", err)
	}

	ran := t.tests.passed + t.tests.failed
	fmt.Fprintf(w, "tests: %v; subtests: %v\n", t.tests, t.subs)
	all := count{
		passed:  t.tests.passed + t.subs.passed,
		failed:  t.failed(),
		skipped: t.tests.skipped + t.subs.skipped,
	}
	fmt.Fprintln(w, all)
	switch {
	case all.failed > 0:
		return errors.New("failed")
	case all.skipped > 0:
		return errors.New("tests were skipped")
	case ran < least:
		return fmt.Errorf("%d tests ran, at least %d were expected", ran, least)
	}
	return nil
}

func (t *tally) failed() int {
	return t.tests.failed + t.subs.failed + t.packages.failed
}

// read takes the events up to the end of r.
func (t *tally) read(r io.Reader) {
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadString('\n')
		var e event
		switch {
		case json.Unmarshal([]byte(line), &e) != nil:
			fmt.Fprint(t.w, line)
		case e.Test == "":
			t.packageEvent(e)
		default:
			t.testEvent(e)
		}
		if err != nil {
			return
		}
	}
}

func (t *tally) testEvent(e event) {
	key := test{e.Package, e.Test}
	c := &t.tests
	if strings.Contains(e.Test, "/") {
		c = &t.subs
	}
	switch e.Action {
	case "run":
		t.output[key] = &strings.Builder{}
	case "output":
		t.append(key, e.Output)
	case "pass":
		c.passed++
		t.take(key)
	case "fail":
		c.failed++
		t.blamed[e.Package] = true
		fmt.Fprint(t.w, t.take(key))
	case "skip":
		c.skipped++
		fmt.Fprint(t.w, t.take(key))
	}
}

func (t *tally) packageEvent(e event) {
	key := test{e.Package, ""}
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.w, e.Output)
	case "output":
		t.append(key, e.Output)
	case "pass", "skip":
		// Besides the last line, which says so, there is what an emulator said.
		fmt.Fprint(t.w, strings.Replace(t.take(key), "PASS\n", "", 1))
	case "fail":
		unfinished := slices.DeleteFunc(slices.Collect(maps.Keys(t.output)), func(k test) bool {
			return k.pkg != e.Package || k.name == ""
		})
		slices.SortFunc(unfinished, func(a, b test) int { return strings.Compare(a.name, b.name) })
		for _, k := range unfinished {
			fmt.Fprintf(t.w, "--- FAIL: %s (did not end)\n", k.name)
			t.testEvent(event{Action: "fail", Package: k.pkg, Test: k.name})
		}
		if !t.blamed[e.Package] {
			t.packages.failed++
		}
		fmt.Fprint(t.w, t.take(key))
	}
}

func (t *tally) append(key test, output string) {
	if strings.HasPrefix(output, "=== ") { // RUN, PAUSE, CONT, NAME
		return
	}
	if t.output[key] == nil {
		t.output[key] = &strings.Builder{}
	}
	t.output[key].WriteString(output)
}

// take returns the output of key, which has ended.
func (t *tally) take(key test) string {
	defer delete(t.output, key)
	if b := t.output[key]; b != nil {
		return b.String()
	}
	return ""
}
