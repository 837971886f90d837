// Command nofma lists the code that the compiler makes of the named packages
// and fails where it fused a product with an addition or subtraction: such code
// rounds once where the same source rounds twice on another machine. The cure
// is to convert the product, float32(x*y) + z, which the language does not let
// the compiler look through.
//
//	nofma ./kernels/... ./nn/...
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// allowed names the functions that may hold a fused instruction, as the listing
// spells them, each with the reason.
var allowed = map[string]string{}

// architectures are those for which the compiler fuses, amd64 from GOAMD64=v3.
var architectures = []string{"arm64", "riscv64", "s390x", "amd64"}

// fused matches the scalar and the vector forms:
//
//	arm64    FMADDS  FMSUBD   FNMADDS  FNMSUBD
//	riscv64  FMADDS  FMSUBD   FNMADDS  FNMSUBD
//	s390x    FMADDS  FMSUB    WFMADB   WFMSDB  VFMADB
//	amd64    VFMADD231SS  VFMSUB213SD  VFNMADD132PS
var fused = regexp.MustCompile(`^(V?FN?M(ADD|SUB)|[VW]FN?M[AS][DS]B)`)

// The lines of a listing that matter:
//
//	# example.org/pkg
//	example.org/pkg.Dot STEXT size=64 args=0x38 locals=0x0
//		0x0010 00016 (dot.go:9)	FMADDS	F0, F2, F1, F0
var (
	packageLine     = regexp.MustCompile(`^# (\S+)`)
	functionLine    = regexp.MustCompile(`^(\S.*) STEXT `)
	instructionLine = regexp.MustCompile(`^\t0x[0-9a-f]+ \d+ \((.*?)\)\t([A-Z][A-Z0-9.]*)(.*)`)
	symbolLine      = regexp.MustCompile(`^\S.* size=\d+`)
)

// finding is one fused instruction.
type finding struct {
	function, position, instruction string
}

// listing is what was seen of the code for one architecture.
type listing struct {
	functions    map[string]int // by package
	instructions int
	fused        []finding
	messages     []string // lines that belong to no listing: the compiler's errors
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: nofma package...")
		os.Exit(2)
	}
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "nofma:", err)
		os.Exit(1)
	}
}

// run checks the packages on every architecture and reports to w.
func run(w io.Writer, patterns []string) error {
	bad := 0
	unused := maps.Clone(allowed)
	for _, arch := range architectures {
		l, err := list(arch, patterns)
		if err != nil {
			return err
		}
		n := 0
		for _, f := range l.fused {
			delete(unused, f.function)
			if allowed[f.function] == "" {
				fmt.Fprintf(w, "%s: %s: %s in %s\n", arch, f.position, f.instruction, f.function)
				n++
			}
		}
		fmt.Fprintf(w, "%s: %d packages, %d instructions, %d fused outside the allow-list\n",
			arch, len(l.functions), l.instructions, n)
		bad += n
	}
	if bad > 0 {
		return fmt.Errorf("%d fused instructions: write float32(x*y) + z or float64(x*y) - z", bad)
	}
	if len(unused) > 0 {
		return fmt.Errorf("the allow-list names functions without a fused instruction: %q", slices.Sorted(maps.Keys(unused)))
	}
	return nil
}

// list compiles the packages for arch and reads the listing. It is an error if
// a package that has Go files shows no code: then the listing was not understood.
func list(arch string, patterns []string) (*listing, error) {
	goCommand := func(args ...string) *exec.Cmd {
		cmd := exec.Command("go", append(args, patterns...)...)
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "GOAMD64=v3", "CGO_ENABLED=0")
		return cmd
	}

	names := goCommand("list", "-f", "{{if .GoFiles}}{{.ImportPath}}{{end}}")
	names.Stderr = os.Stderr
	out, err := names.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: go list: %w", arch, err)
	}
	packages := strings.Fields(string(out))
	if len(packages) == 0 {
		return nil, fmt.Errorf("%s: no package with Go files among %q", arch, patterns)
	}

	// The go command keeps the compiler's output and replays it, so that a
	// package found in the build cache is listed too.
	build := goCommand("build", "-gcflags=-S")
	stderr, err := build.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := build.Start(); err != nil {
		return nil, err
	}
	l, err := read(stderr)
	if err := errors.Join(err, build.Wait()); err != nil {
		return nil, fmt.Errorf("%s: go build -gcflags=-S: %w\n%s", arch, err, strings.Join(l.messages, "\n"))
	}
	for _, p := range packages {
		if l.functions[p] == 0 {
			return nil, fmt.Errorf("%s: the listing shows no function of package %s", arch, p)
		}
	}
	return l, nil
}

// read reads a listing as the go command prints it.
func read(r io.Reader) (*listing, error) {
	l := &listing{functions: map[string]int{}}
	pkg, function := "", ""
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return l, nil
		} else if err != nil {
			return l, err
		}
		line = strings.TrimSuffix(line, "\n")
		if m := instructionLine.FindStringSubmatch(line); m != nil {
			l.instructions++
			position, mnemonic := m[1], m[2]
			if mnemonic == "TEXT" {
				l.functions[pkg]++
			}
			if fused.MatchString(mnemonic) {
				l.fused = append(l.fused, finding{function, position, mnemonic + strings.ReplaceAll(m[3], "\t", " ")})
			}
		} else if m := functionLine.FindStringSubmatch(line); m != nil {
			function = m[1]
		} else if m := packageLine.FindStringSubmatch(line); m != nil {
			pkg = m[1]
		} else if !strings.HasPrefix(line, "\t") && !symbolLine.MatchString(line) {
			l.messages = append(l.messages, line)
		}
	}
}
