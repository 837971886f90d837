// Command plant shows that the tests of package kernels catch mistakes in the
// generated assembly. It plants them one at a time, without touching a file of
// the tree, runs the tests, and prints which test caught each. It fails if one
// is not caught.
//
//	go run ./internal/ci/plant -isa avx2
//	go run ./internal/ci/plant -isa avx512
//	go run ./internal/ci/plant -isa neon -n 10
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

const module = "github.com/lockstep-go/lockstep/"

// quick are the tests that are tried first: they take seconds, also in an emulator, and
// catch most.
const quick = "-run=^(TestConcurrent|TestGemmBits|TestRandomWords)$"

// goarch is where an instruction set is at home, and what runs its programs
// elsewhere.
var goarch = map[string]struct{ name, emulator string }{
	"avx2":   {"amd64", "qemu-x86_64-static"},
	"avx512": {"amd64", "qemu-x86_64-static"}, // which lacks AVX-512: an error
	"neon":   {"arm64", "qemu-aarch64-static"},
}

func main() {
	isa := flag.String("isa", "avx2", "the `name` of the instruction set")
	n := flag.Int("n", len(faults)+len(faultsAVX512), "plant this `number` of faults, spread over the list")
	flag.Parse()
	if _, ok := goarch[*isa]; !ok || flag.NArg() > 0 || *n < 1 {
		fmt.Fprintln(os.Stderr, "usage: plant [-isa avx2|avx512|neon] [-n number]")
		os.Exit(2)
	}
	// No fault is in the portable loops and in other assembly, so their own tests are
	// left out.
	others := "portable"
	for name := range goarch {
		if name != *isa {
			others += "|" + name
		}
	}
	if err := run(os.Stdout, *isa, *n, "-short", "-failfast", "-skip=Portable|Test/^("+others+")$", module+"kernels"); err != nil {
		fmt.Fprintln(os.Stderr, "plant:", err)
		os.Exit(1)
	}
}

// run plants n faults, tries go test with args on each, and reports to w.
func run(w io.Writer, isa string, n int, args ...string) error {
	dir, err := asmDir()
	if err != nil {
		return err
	}
	var all []*planted
	for _, f := range list(isa) {
		p, err := plant(dir, isa, f)
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	n = min(n, len(all))
	for i := range n {
		all[i] = all[i*len(all)/n]
	}
	all = all[:n]

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if name, output, err := tests(ctx, isa, nil, args); err != nil || name != "" {
		return fmt.Errorf("without a fault: failed test %q, error %v:\n%s", name, err, output)
	}
	slots := make(chan bool, runtime.GOMAXPROCS(0))
	for _, p := range all {
		go func() {
			defer close(p.done)
			slots <- true
			defer func() { <-slots }()
			if p.caught, p.output, p.err = tests(ctx, isa, p, slices.Insert(slices.Clone(args), 0, quick)); p.caught == "" && p.err == nil {
				p.caught, p.output, p.err = tests(ctx, isa, p, args)
			}
		}()
	}
	const columns = "%-45s  %-31s  %-46s  %s\n"
	fmt.Fprintf(w, columns, "caught by", "fault", "place", "line -> what it becomes")
	missed := 0
	for _, p := range all {
		<-p.done
		if p.err != nil {
			return fmt.Errorf("%s in %s: %w\n%s", p.kind, p.place, p.err, p.output)
		}
		if p.caught == "" {
			p.caught = "NOT CAUGHT"
			missed++
		}
		fmt.Fprintf(w, columns, p.caught, p.kind, p.place, p.before+" -> "+p.after)
	}
	fmt.Fprintf(w, "%s: %d faults planted, %d caught\n", isa, len(all), len(all)-missed)
	if missed > 0 {
		return fmt.Errorf("%d of %d faults were not caught", missed, len(all))
	}
	return nil
}

// asmDir is where package asm lies.
func asmDir() (string, error) {
	cmd := exec.Command("go", "list", "-f", "{{.Dir}}", module+"asm")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// planted is a fault in its place.
type planted struct {
	kind, place   string // place is file:line and the function
	before, after string
	file          string // its path
	text          []byte // with the fault

	done   chan bool // closed when the rest is known
	caught string    // by this test
	output string
	err    error
}

var instructionLine = regexp.MustCompile(`^\t[A-Z]`)

// plant finds the place of a fault in the assembly files and makes it.
func plant(dir, isa string, f fault) (*planted, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_"+isa+"_"+goarch[isa].name+".s"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, "TEXT ·"+f.on(isa)+"(SB)") {
				return f.plantIn(isa, file, lines, i)
			}
		}
	}
	return nil, fmt.Errorf("no function %s for %s in %s", f.function, isa, dir)
}

// plantIn makes the fault in the function that begins in lines[text].
func (f fault) plantIn(isa, file string, lines []string, text int) (*planted, error) {
	var code []string // instructions with single spaces
	var at []int      // their lines
	for i := text + 1; i < len(lines) && !strings.HasPrefix(lines[i], "TEXT ") && !strings.HasPrefix(lines[i], "//"); i++ {
		if instructionLine.MatchString(lines[i]) {
			code = append(code, strings.Join(strings.Fields(lines[i]), " "))
			at = append(at, i)
		}
	}
	var found []*planted
	for i := range code {
		changed, count, end, ok := kinds[isa][f.kind](code, i)
		if !ok || at[i+count-1] != at[i]+count-1 { // a label in between
			continue
		}
		before := strings.Join(code[i:i+count], "\n")
		with := append([]string{}, lines[:at[i]]...)
		for _, l := range strings.Split(changed, "\n") {
			with = append(with, "\t"+l)
		}
		with = append(with, lines[at[i]+count:]...)
		if changed == "" {
			changed = "(nothing)"
		}
		show := func(s string) string { return strings.ReplaceAll(s, "\n", "; ") }
		found = append(found, &planted{
			kind: f.kind, place: fmt.Sprintf("%s:%d %s", filepath.Base(file), at[i]+1, strings.TrimSuffix(f.on(isa), strings.ToUpper(isa))),
			before: show(before), after: show(changed), file: file, text: []byte(strings.Join(with, "\n") + end),
			done: make(chan bool),
		})
	}
	n := f.n
	if n < 0 {
		n += len(found)
	}
	if n < 0 || n >= len(found) {
		return nil, fmt.Errorf("%s: %q fits %d instructions of %s, want number %d: adapt the list of faults", filepath.Base(file), f.kind, len(found), f.function, f.n)
	}
	return found[n], nil
}

// tests runs go test with a fault in place, or none. It returns the first test
// that fails, if any, and what it printed. A test that does not end counts as
// failing, a package that does not build as an error.
func tests(ctx context.Context, isa string, p *planted, args []string) (failed, output string, err error) {
	home := goarch[isa]
	command := []string{"test", "-json", "-vet=off", "-count=1", "-timeout=5m"}
	if home.name != runtime.GOARCH {
		command = append(command, "-exec="+home.emulator)
	}
	if p != nil {
		dir, err := os.MkdirTemp("", "plant")
		if err != nil {
			return "", "", err
		}
		defer os.RemoveAll(dir)
		text, overlay := filepath.Join(dir, "planted.s"), filepath.Join(dir, "overlay.json")
		replace, err := json.Marshal(map[string]map[string]string{"Replace": {p.file: text}})
		if err != nil {
			return "", "", err
		}
		if err := os.WriteFile(text, p.text, 0o666); err != nil {
			return "", "", err
		}
		if err := os.WriteFile(overlay, replace, 0o666); err != nil {
			return "", "", err
		}
		command = append(command, "-overlay="+overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(command, args...)...)
	// A machine without the instruction set must not pass.
	cmd.Env = append(os.Environ(), "GOARCH="+home.name, "CGO_ENABLED=0", "LOCKSTEP_ISA="+isa)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", "", err
	}
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	failed, output, ran, built := read(stdout)
	switch err := cmd.Wait(); {
	case !built || ran == 0:
		return "", output + stderr.String(), fmt.Errorf("no test ran: %v", err)
	case err != nil && failed == "":
		return "", output + stderr.String(), fmt.Errorf("go test failed, but no test did: %v", err)
	}
	return failed, output, nil
}

// read takes the events of go test -json; see go doc test2json.
func read(r io.Reader) (failed, output string, ran int, built bool) {
	var text strings.Builder
	running := ""
	built = true
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadString('\n')
		var e struct{ Action, Test, Output string }
		if json.Unmarshal([]byte(line), &e) == nil {
			switch {
			case e.Action == "run":
				ran++
				running = e.Test
			case e.Action == "pass" && e.Test == running:
				running = ""
			case e.Action == "fail" && e.Test != "" && failed == "":
				failed = e.Test
			case e.Action == "fail" && e.Test == "" && failed == "" && running != "":
				failed = running + " (crash)"
			case e.Action == "build-fail":
				built = false
			}
			if failed == "" && text.Len() < 4000 {
				text.WriteString(e.Output)
			}
		}
		if err != nil {
			return failed, text.String(), ran, built
		}
	}
}
