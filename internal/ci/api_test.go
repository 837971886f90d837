package ci

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write api.txt anew")

// public are the packages whose face users build on.
var public = []string{"kernels", "kernels/gonumblas", "optim", "nn", "nn/data"}

// TestAPI: the public face is what api.txt says, so that a change of it is seen and meant.
func TestAPI(t *testing.T) {
	var face bytes.Buffer
	for _, dir := range public {
		fmt.Fprintf(&face, "package %s\n\n", dir)
		if err := api(&face, filepath.Join("../..", dir)); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile("api.txt", face.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("api.txt")
	if err != nil {
		t.Fatal(err)
	}
	if missing, more := difference(string(want), face.String()), difference(face.String(), string(want)); len(missing)+len(more) > 0 {
		t.Errorf("the public face has changed; if that is meant: go test ./internal/ci -run API -update\n- %s\n+ %s", strings.Join(missing, "\n- "), strings.Join(more, "\n+ "))
	} else if string(want) != face.String() {
		t.Error("the order of the public face has changed; if that is meant: go test ./internal/ci -run API -update")
	}
}

// difference is the lines of a that b lacks.
func difference(a, b string) (lines []string) {
	count := map[string]int{}
	for line := range strings.Lines(b) {
		count[line]++
	}
	for line := range strings.Lines(a) {
		if count[line]--; count[line] < 0 && line != "\n" {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// api writes the exported declarations of a package, without comments and bodies.
func api(w *bytes.Buffer, dir string) error {
	context := build.Default
	context.GOOS, context.GOARCH, context.CgoEnabled = "linux", "amd64", false
	pkg, err := context.ImportDir(dir, 0)
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range pkg.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	d, err := doc.NewFromFiles(fset, files, dir)
	if err != nil {
		return err
	}
	show := func(n ast.Node) {
		if f, ok := n.(*ast.FuncDecl); ok {
			f.Body = nil
		}
		printer.Fprint(w, fset, n)
		w.WriteString("\n\n")
	}
	values := func(list ...[]*doc.Value) {
		for _, l := range list {
			for _, v := range l {
				show(v.Decl)
			}
		}
	}
	functions := func(list ...[]*doc.Func) {
		for _, l := range list {
			for _, f := range l {
				show(f.Decl)
			}
		}
	}
	values(d.Consts, d.Vars)
	functions(d.Funcs)
	for _, t := range d.Types {
		show(t.Decl)
		values(t.Consts, t.Vars)
		functions(t.Funcs, t.Methods)
	}
	return nil
}

func TestDifference(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"x\ny\n", "x\ny\n", ""},
		{"x\ny\n", "y\n", "x"},
		{"x\nx\n", "x\n", "x"},
		{"", "x\n", ""},
	} {
		if got := strings.Join(difference(c.a, c.b), ","); got != c.want {
			t.Errorf("difference(%q, %q) = %q, want %q", c.a, c.b, got, c.want)
		}
	}
}
