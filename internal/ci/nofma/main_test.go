package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// forms are the ways to write a product next to a sign. %[1]s is the type.
var forms = []struct{ name, bare, wrapped string }{
	{"AddLeft", "x*y + z", "%[1]s(x*y) + z"},
	{"AddRight", "z + x*y", "z + %[1]s(x*y)"},
	{"AddInlined", "sum(x*y, z)", "sum(%[1]s(x*y), z)"},
	{"SubLeft", "x*y - z", "%[1]s(x*y) - z"},
	{"SubRight", "z - x*y", "z - %[1]s(x*y)"},
}

// plant makes a module of one package that writes every form bare, wrapped or
// both, and enters it.
func plant(t *testing.T, bare, wrapped bool) {
	t.Helper()
	t.Chdir(t.TempDir())
	var src strings.Builder
	src.WriteString("package planted\n\nfunc sum[T float32 | float64](a, b T) T { return a + b }\n")
	for _, typ := range []string{"float32", "float64"} {
		for _, f := range forms {
			const function = "func %s%s(x, y, z %[2]s) %[2]s { return %[3]s }\n"
			if bare {
				fmt.Fprintf(&src, function, "Bare"+f.name, typ, f.bare)
			}
			if wrapped {
				fmt.Fprintf(&src, function, "Wrapped"+f.name, typ, fmt.Sprintf(f.wrapped, typ))
			}
		}
	}
	write(t, "go.mod", "module planted\n\ngo 1.25.0\n")
	write(t, "planted.go", src.String())
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBareProductIsCaught(t *testing.T) {
	plant(t, true, true)
	var out bytes.Buffer
	if err := run(&out, []string{"."}); err == nil {
		t.Error("run accepts a package with bare products")
	}

	// Every compiler that fuses does so with every sum; which differences it
	// fuses depends on the instructions that the machine has.
	must := map[string][]string{
		"arm64":   {"AddLeft", "AddRight", "AddInlined", "SubLeft", "SubRight"},
		"riscv64": {"AddLeft", "AddRight", "AddInlined", "SubLeft", "SubRight"},
		"s390x":   {"AddLeft", "AddRight", "AddInlined", "SubLeft"},
		"amd64":   {"AddLeft", "AddRight", "AddInlined"},
	}
	for _, arch := range architectures {
		// Twice: the second listing comes out of the build cache.
		for range 2 {
			l, err := list(arch, []string{"."})
			if err != nil {
				t.Fatal(err)
			}
			var caught []string
			for _, f := range l.fused {
				caught = append(caught, f.function)
				if !strings.HasPrefix(f.function, "planted.Bare") {
					t.Errorf("%s: caught %s in %s", arch, f.instruction, f.function)
				}
				if line := fmt.Sprintf("%s: %s: %s in %s\n", arch, f.position, f.instruction, f.function); !strings.Contains(out.String(), line) {
					t.Errorf("run does not report %q", line)
				}
			}
			for _, typ := range []string{"float32", "float64"} {
				for _, form := range must[arch] {
					if want := "planted.Bare" + form + typ; !slices.Contains(caught, want) {
						t.Errorf("%s: %s was not caught among %q", arch, want, caught)
					}
				}
			}
		}
	}
}

func TestWrappedProductPasses(t *testing.T) {
	plant(t, false, true)
	var out bytes.Buffer
	if err := run(&out, []string{"."}); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	for _, arch := range architectures {
		if want := arch + ": 1 packages, "; !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in the report:\n%s", want, &out)
		}
	}
}

func TestAllowList(t *testing.T) {
	plant(t, true, false)
	defer func(old map[string]string) { allowed = old }(allowed)
	allowed = map[string]string{}
	for _, typ := range []string{"float32", "float64"} {
		for _, f := range forms {
			allowed["planted.Bare"+f.name+typ] = "planted"
		}
	}
	if err := run(&bytes.Buffer{}, []string{"."}); err != nil {
		t.Errorf("with every function allowed: %v", err)
	}
	allowed["planted.Gone"] = "planted"
	if err := run(&bytes.Buffer{}, []string{"."}); err == nil || !strings.Contains(err.Error(), "planted.Gone") {
		t.Errorf("with an entry for a function that is not there: error %v, want one that names it", err)
	}
}

// TestSeenTooLittle: nothing to check is not the same as nothing found.
func TestSeenTooLittle(t *testing.T) {
	plant(t, false, true)
	write(t, "planted.go", "package planted\n\nconst Pi = 3\n")
	if err := run(&bytes.Buffer{}, []string{"."}); err == nil || !strings.Contains(err.Error(), "no function of package planted") {
		t.Errorf("a package without code: error %v", err)
	}
	write(t, "planted.go", "package planted\n\nfunc F() int { return \"\" }\n")
	if err := run(&bytes.Buffer{}, []string{"."}); err == nil || !strings.Contains(err.Error(), "planted.go:3") {
		t.Errorf("a package that does not compile: error %v, want the compiler's", err)
	}
	if err := os.Remove("planted.go"); err != nil {
		t.Fatal(err)
	}
	if err := run(&bytes.Buffer{}, []string{"./..."}); err == nil {
		t.Error("no package at all: no error")
	}
}

// TestMnemonics: the compiler uses only some of the fused instructions today.
func TestMnemonics(t *testing.T) {
	for _, m := range []string{
		"FMADDS", "FMADDD", "FMSUBS", "FMSUBD", "FNMADDS", "FNMADDD", "FNMSUBS", "FNMSUBD", // arm64, riscv64
		"FMADD", "FMSUB", "WFMADB", "WFMASB", "WFMSDB", "WFMSSB", "WFNMADB", "WFNMSSB", "VFMADB", "VFMSDB", // s390x
		"VFMADD231SS", "VFMADD132SD", "VFMSUB213SD", "VFNMADD231SS", "VFNMSUB231PD", "VFMADDSUB213PS", // amd64
	} {
		if !fused.MatchString(m) {
			t.Errorf("%s does not count as fused", m)
		}
	}
	for _, m := range []string{"FMULS", "FMULD", "FNMULS", "FMOVD", "FADDS", "FSUB", "VMULPS", "VADDSD", "MULSS", "FMAXS", "FNEGD", "WFMDB", "VFMDB"} {
		if fused.MatchString(m) {
			t.Errorf("%s counts as fused", m)
		}
	}
}
