// Package ci holds the checks of the source that need no machine but the
// reader's; its subdirectories hold the tools of .ci/run.
package ci

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/lockstep-go/lockstep"

// rooms are the libraries' top-level directories. A package imports only from its
// own room and from those before it.
var rooms = []string{"internal", "asm", "kernels", "optim", "nn"}

// dependencies are the modules that a user of kernels, optim and nn takes in.
var dependencies = []string{"github.com/klauspost/cpuid/v2", "golang.org/x/sys"}

// exactMath is what code on the way to a weight may use of package math: every
// function here has one possible result on all machines. The others differ
// between architectures, or are not float32's own (FMA).
var exactMath = strings.Fields(`
	Abs Ceil Copysign Floor Frexp Inf IsInf IsNaN Ldexp Modf NaN Round RoundToEven Signbit Sqrt Trunc
	Float32bits Float32frombits Float64bits Float64frombits
	MaxFloat32 SmallestNonzeroFloat32 MaxFloat64 SmallestNonzeroFloat64
	MaxInt MinInt MaxInt8 MinInt8 MaxInt16 MinInt16 MaxInt32 MinInt32 MaxInt64 MinInt64
	MaxUint MaxUint8 MaxUint16 MaxUint32 MaxUint64
	E Pi Phi Sqrt2 SqrtE SqrtPi SqrtPhi Ln2 Log2E Ln10 Log10E
`)

// TestDependencies follows the imports of kernels, optim and nn through the
// module, in the files of every platform, and finds nothing but the rooms below,
// the standard library and dependencies.
func TestDependencies(t *testing.T) {
	fset := token.NewFileSet()
	packages := parseModule(t, fset)
	var todo []string
	for dir := range packages {
		// The plug-in for gonum is for those who have gonum.
		if slices.Contains([]string{"kernels", "optim", "nn"}, room(dir)) && dir != "kernels/gonumblas" {
			todo = append(todo, dir)
		}
	}
	seen := map[string]bool{}
	for len(todo) > 0 {
		dir := todo[0]
		todo = todo[1:]
		if seen[dir] {
			continue
		}
		seen[dir] = true
		for _, f := range packages[dir] {
			for _, spec := range f.Imports {
				imported := importPath(spec)
				if own, ok := strings.CutPrefix(imported, module+"/"); ok && below(own, dir) {
					todo = append(todo, own)
				} else if !dependencyAllowed(imported) {
					t.Errorf("%v: imports %s", fset.Position(spec.Pos()), imported)
				}
			}
		}
	}
	for _, dir := range []string{"kernels", "optim", "nn", "asm", "internal/cpu", "internal/f32", "internal/det", "internal/parallel"} {
		if !seen[dir] || len(packages[dir]) == 0 {
			t.Errorf("%s is not among the packages that were read", dir)
		}
	}
}

// TestExactMath reads what lies on the way to a weight: the libraries but the
// packages for tests, which are named so.
func TestExactMath(t *testing.T) {
	fset := token.NewFileSet()
	files, uses := map[string]int{}, 0
	for dir, source := range parseModule(t, fset) {
		if !slices.Contains(rooms, room(dir)) || strings.HasSuffix(dir, "test") {
			continue
		}
		files[room(dir)] += len(source)
		for _, f := range source {
			used, complaints := mathUse(fset, f)
			uses += used
			for _, c := range complaints {
				t.Error(c)
			}
		}
	}
	for _, r := range rooms {
		if files[r] < 2 {
			t.Errorf("only %d files of %s were read", files[r], r)
		}
	}
	if uses < 10 {
		t.Errorf("only %d uses of package math were seen", uses)
	}
}

func TestExactMathSeesPlanted(t *testing.T) {
	for _, c := range []struct {
		source string
		want   string // what the complaint names, empty for none
	}{
		{`import "math"; var x = math.Sqrt(2) + math.Pi + float64(math.Float32bits(1))`, ""},
		{`import "math/bits"; var x = bits.Len(3)`, ""},
		{`import "math"; var x = math.Exp(2)`, "math.Exp"},
		{`import "math"; func f(x float64) float64 { return 1 + math.FMA(x, x, x) }`, "math.FMA"},
		{`import "math"; var f = math.Tanh`, "math.Tanh"},
		{`import m "math"; var x = m.Pow(2, 3)`, "math.Pow"},
		{`import . "math"; var x = Log(2)`, `imports "math" without a name`},
		{`import "math/rand"; var x = rand.Int()`, "math/rand"},
		{`import "math/rand/v2"; var x = rand.Int()`, "math/rand/v2"},
		{`import "math/cmplx"; var x = cmplx.Abs(2)`, "math/cmplx"},
		{`type maths struct{ Exp int }; var math maths; var x = math.Exp`, ""},
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "planted.go", "package planted\n"+c.source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		_, complaints := mathUse(fset, f)
		switch {
		case c.want == "" && len(complaints) > 0:
			t.Errorf("%s: complaints %q", c.source, complaints)
		case c.want != "" && (len(complaints) != 1 || !strings.Contains(complaints[0], c.want)):
			t.Errorf("%s: complaints %q, want one of %s", c.source, complaints, c.want)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		imported, importer string
		want               bool
	}{
		{"kernels", "optim", true},
		{"internal/f32", "kernels", true},
		{"internal/det", "internal/f32", true},
		{"nn/data", "nn", true},
		{"nn", "optim", false},
		{"kernels", "internal/f32", false},
		{"bench", "nn", false},
		{"gen/vec", "kernels", false},
	} {
		if got := below(c.imported, c.importer); got != c.want {
			t.Errorf("%s imports %s: allowed %v, want %v", c.importer, c.imported, got, c.want)
		}
	}
}

func TestDependencyAllowed(t *testing.T) {
	for imported, want := range map[string]bool{
		"math":                              true,
		"crypto/sha256":                     true,
		"github.com/klauspost/cpuid/v2":     true,
		"golang.org/x/sys/unix":             true,
		"golang.org/x/sysx":                 false,
		"golang.org/x/term":                 false,
		"gonum.org/v1/gonum/blas":           false,
		"github.com/klauspost/cpuid/v2beta": false,
		"C":                                 false,
	} {
		if got := dependencyAllowed(imported); got != want {
			t.Errorf("%s: allowed %v, want %v", imported, got, want)
		}
	}
}

// below reports whether a package of the module may import another.
func below(imported, importer string) bool {
	i := slices.Index(rooms, room(imported))
	return i >= 0 && i <= slices.Index(rooms, room(importer))
}

// dependencyAllowed reports whether the import path, which is not the module's
// own, is of the standard library or of the named dependencies.
func dependencyAllowed(imported string) bool {
	if host, _, _ := strings.Cut(imported, "/"); !strings.Contains(host, ".") {
		return imported != "C"
	}
	return slices.ContainsFunc(dependencies, func(d string) bool {
		return imported == d || strings.HasPrefix(imported, d+"/")
	})
}

// mathUse counts the uses of package math in a file and complains about those
// that are not exact, and about the random numbers of the standard library.
func mathUse(fset *token.FileSet, f *ast.File) (used int, complaints []string) {
	complain := func(at ast.Node, format string, args ...any) {
		complaints = append(complaints, fmt.Sprintf("%v: ", fset.Position(at.Pos()))+fmt.Sprintf(format, args...))
	}
	name := ""
	for _, spec := range f.Imports {
		switch imported := importPath(spec); {
		case imported == "math" && spec.Name == nil:
			name = "math"
		case imported == "math" && spec.Name.Name == ".":
			complain(spec, "imports %q without a name", imported)
		case imported == "math":
			name = spec.Name.Name
		case imported != "math/bits" && strings.HasPrefix(imported, "math/"):
			complain(spec, "imports %s", imported)
		}
	}
	if name == "" {
		return used, complaints
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == name {
			used++
			if !slices.Contains(exactMath, sel.Sel.Name) {
				complain(sel, "math.%s is not exact on every machine", sel.Sel.Name)
			}
		}
		return true
	})
	return used, complaints
}

// parseModule parses every Go file of the module but tests and what they build, in
// testdata, and returns the files by directory.
func parseModule(t *testing.T, fset *token.FileSet) map[string][]*ast.File {
	t.Helper()
	packages := map[string][]*ast.File{}
	err := fs.WalkDir(os.DirFS("../.."), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(fset, filepath.Join("../..", name), nil, parser.SkipObjectResolution)
		dir := path.Dir(name)
		packages[dir] = append(packages[dir], f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// room returns the top-level directory that dir is or lies in.
func room(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

func importPath(spec *ast.ImportSpec) string {
	// The parser has made sure that it is a quoted string.
	p, _ := strconv.Unquote(spec.Path.Value)
	return p
}
