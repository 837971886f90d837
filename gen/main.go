// Command gen writes the package asm: run go generate ./gen.
//
// Each kernel is described once, in this package, as a program over lanes;
// package vec lowers it to every instruction set.
package main

//go:generate go run . -out ../asm

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/lockstep-go/lockstep/gen/vec"
)

// kernel is the description of one kernel.
type kernel struct {
	name   string // of the dispatching function; the assembly's starts in lower case
	doc    []string
	params []vec.Param
	wide   bool // has 64-bit elements
	lanes  int  // the most that it is made for, or 0
	body   func(p *vec.Program)
}

// program builds the kernel for a target.
func (k kernel) program(t *vec.Target) *vec.Program {
	p := vec.New(t, lowerFirst(k.name), k.wide, k.params)
	if k.lanes > 0 {
		p.Lanes = min(p.Lanes, k.lanes)
	}
	k.body(p)
	p.Return()
	return p
}

// target is whose function does the kernel on t: one for fewer lanes than t has is the
// same as that of the narrower instruction set.
func (k kernel) target(t *vec.Target) *vec.Target {
	bytes := 4 * k.lanes
	if k.wide {
		bytes = 8 * k.lanes
	}
	if t == vec.AVX512 && k.lanes > 0 && bytes <= vec.AVX2.Bytes {
		return vec.AVX2
	}
	return t
}

// lowerFirst makes an exported name unexported: ReLU becomes relu, AdaGrad
// adaGrad.
func lowerFirst(s string) string {
	n := 0
	for n < len(s) && s[n] >= 'A' && s[n] <= 'Z' {
		n++
	}
	if n > 1 && n < len(s) {
		n-- // the last capital begins the next word
	}
	return strings.ToLower(s[:n]) + s[n:]
}

// families are the files: the kernels of one .s file for each instruction set.
var families = []struct {
	file    string
	kernels []kernel
}{
	{"update", updates},
	{"math", maths},
	{"softmax", softmaxes},
	{"normalize", normalizations},
	{"dropout", dropouts},
	{"pack", packs},
}

var targets = []struct {
	*vec.Target
	isa string // the constant in internal/cpu
}{
	{vec.AVX2, "AVX2"},
	{vec.AVX512, "AVX512"},
	{vec.NEON, "NEON"},
}

func main() {
	out := flag.String("out", "", "the directory to write to")
	flag.Parse()
	if err := generate(*out); err != nil {
		log.Fatal(err)
	}
}

// generate replaces the generated files in dir.
func generate(dir string) error {
	files, err := build()
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if filepath.Base(name) != "doc.go" {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// build makes all files, by name.
func build() (map[string][]byte, error) {
	files := map[string][]byte{}
	put := func(name string, text []byte) error {
		if strings.HasSuffix(name, ".go") {
			formatted, err := format.Source(text)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			text = formatted
		}
		files[name] = text
		return nil
	}
	for _, t := range targets {
		var stubs []*vec.Program
		for _, f := range families {
			var programs []*vec.Program
			for _, k := range f.kernels {
				if k.target(t.Target) == t.Target {
					programs = append(programs, k.program(t.Target))
				}
			}
			if len(programs) == 0 {
				continue
			}
			text, err := vec.Assemble(t.Target, programs)
			if err != nil {
				return nil, err
			}
			name := fmt.Sprintf("%s_%s_%s.s", f.file, strings.ToLower(t.Name), t.GOARCH)
			if err := put(name, text); err != nil {
				return nil, err
			}
			stubs = append(stubs, programs...)
		}
		var programs []*vec.Program
		for _, q := range tiles(t.Target) {
			programs = append(programs, q.program(t.Target))
		}
		for _, n := range gemvSteps[t.Target] {
			programs = append(programs, gemvProgram(t.Target, n))
		}
		programs = append(programs, gemvEndProgram(t.Target))
		text, err := vec.Assemble(t.Target, programs)
		if err != nil {
			return nil, err
		}
		if err := put(fmt.Sprintf("gemm_%s_%s.s", strings.ToLower(t.Name), t.GOARCH), text); err != nil {
			return nil, err
		}
		stubs = append(stubs, programs...)
		if err := put(fmt.Sprintf("stubs_%s_%s.go", strings.ToLower(t.Name), t.GOARCH), vec.Stubs(stubs)); err != nil {
			return nil, err
		}
	}
	for _, arch := range []string{"amd64", "arm64"} {
		if err := put("dispatch_"+arch+".go", dispatch(arch)); err != nil {
			return nil, err
		}
	}
	if err := put("gemm.go", gemmTypes()); err != nil {
		return nil, err
	}
	if err := put("update.go", updateTypes()); err != nil {
		return nil, err
	}
	return files, put("dispatch_other.go", dispatch(""))
}

// dispatch writes the functions that pick the instruction set. Without an
// architecture there is none to pick.
func dispatch(arch string) []byte {
	var b bytes.Buffer
	constraint := "!purego"
	if arch == "" {
		constraint = "purego || !(amd64 || arm64)"
	}
	fmt.Fprintf(&b, "%s\n//go:build %s\n\npackage asm\n\nimport \"github.com/lockstep-go/lockstep/internal/cpu\"\n", vec.Header, constraint)
	for _, f := range families {
		for _, k := range f.kernels {
			b.WriteByte('\n')
			for _, line := range k.doc {
				b.WriteString(strings.TrimRight("// "+line, " ") + "\n")
			}
			var params, args []string
			for _, p := range k.params {
				params = append(params, p.Name+" "+string(p.Type))
				args = append(args, p.Name)
			}
			fmt.Fprintf(&b, "func %s(isa cpu.ISA, %s) bool {\n", k.name, strings.Join(params, ", "))
			if arch != "" {
				b.WriteString("switch isa {\n")
				for _, t := range targets {
					if t.GOARCH == arch {
						fmt.Fprintf(&b, "case cpu.%s:\n%s%s(%s)\n", t.isa, lowerFirst(k.name), k.target(t.Target).Name, strings.Join(args, ", "))
					}
				}
				b.WriteString("default:\nreturn false\n}\nreturn true\n}\n")
			} else {
				b.WriteString("return false\n}\n")
			}
		}
	}
	b.WriteString(gemmDispatch(arch))
	return b.Bytes()
}
