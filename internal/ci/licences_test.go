package ci

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// licencePhrases are what the text of a licence has and those of the others have not.
var licencePhrases = map[string]string{
	"MIT":          `Permission is hereby granted, free of charge`,
	"BSD-3-Clause": `(?s)Redistributions of source code must retain.*(Neither the name|may not be used to endorse)`,
	"CC-BY-4.0":    `Creative Commons Attribution 4\.0`,
	"FTL or GPL":   `FreeType License`,
}

// TestLicences: licences.txt has every module that some package here is built from, and
// the licence that its own text says.
func TestLicences(t *testing.T) {
	text, err := os.ReadFile("licences.txt")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(text)) {
		path, licence, _ := strings.Cut(strings.TrimSpace(line), " ")
		listed[path] = strings.TrimSpace(licence)
	}
	out, err := exec.Command("go", "list", "-deps", "-test", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", "../../...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	modules := slices.Compact(slices.Sorted(strings.Lines(string(out))))
	for _, line := range modules {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if path == "" {
			continue
		}
		phrase := licencePhrases[listed[path]]
		if phrase == "" {
			t.Errorf("licences.txt has no line for %s, or one with a licence that is not known: %q", path, listed[path])
			continue
		}
		delete(listed, path)
		var files []string
		for _, name := range []string{"LICENSE*", "COPYING*"} {
			found, err := filepath.Glob(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, found...)
		}
		var own []byte
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			own = append(own, b...)
		}
		if !regexp.MustCompile(phrase).Match(own) {
			t.Errorf("%s: its %d files named LICENSE or COPYING do not say what licences.txt says", path, len(files))
		}
	}
	for path := range listed {
		t.Errorf("licences.txt has %s, of which nothing here is built", path)
	}
}
