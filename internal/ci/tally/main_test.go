package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// plant writes a module of one package with the given test file, empty for
// none, and enters it.
func plant(t *testing.T, source string) {
	t.Helper()
	t.Chdir(t.TempDir())
	files := map[string]string{
		"go.mod":     "module planted\n\ngo 1.25.0\n",
		"planted.go": "package planted\n",
	}
	if source != "" {
		files["planted_test.go"] = "package planted\n\n" + source
	}
	for name, content := range files {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRun(t *testing.T) {
	const two = `import "testing"
func TestA(t *testing.T) { t.Run("x", func(*testing.T) {}); t.Run("y", func(*testing.T) {}) }
func TestB(t *testing.T) { println("noise") }
`
	for _, c := range []struct {
		name    string
		source  string
		least   int
		counts  string
		outcome string // the error, empty for none
		shows   string
	}{
		{
			name: "pass", source: two, least: 2,
			counts: "4 passed, 0 failed, 0 skipped", shows: "ok  \tplanted",
		},
		{
			name: "too few", source: two, least: 3,
			counts: "4 passed, 0 failed, 0 skipped", outcome: "2 tests ran, at least 3 were expected",
		},
		{
			name: "no test file", least: 1,
			counts: "0 passed, 0 failed, 0 skipped", outcome: "0 tests ran", shows: "[no test files]",
		},
		{
			name: "skipped", least: 1,
			source: `import "testing"
func TestA(t *testing.T) { t.Run("x", func(t *testing.T) { t.Log("no such machine"); t.SkipNow() }) }
`,
			counts: "1 passed, 0 failed, 1 skipped", outcome: "skipped", shows: "no such machine",
		},
		{
			name: "failed", least: 1,
			source: `import "testing"
func TestA(t *testing.T) { t.Error("three is not four") }
func TestB(t *testing.T) {}
`,
			counts: "1 passed, 1 failed, 0 skipped", outcome: "failed", shows: "three is not four",
		},
		{
			name: "panic", least: 1,
			source: `import "testing"
func TestA(t *testing.T) { t.Run("x", func(t *testing.T) { panic("ouch") }) }
`,
			counts: "0 passed, 2 failed, 0 skipped", outcome: "failed", shows: "panic: ouch",
		},
		{
			// As a fault in assembly does, a panic on another goroutine ends the
			// process before the tests have said how they ended.
			name: "crash", least: 1,
			source: `import "testing"
func TestA(t *testing.T) {}
func TestB(t *testing.T) { t.Run("x", func(t *testing.T) { go panic("ouch"); select {} }) }
`,
			counts: "1 passed, 2 failed, 0 skipped", outcome: "failed", shows: "--- FAIL: TestB/x (did not end)",
		},
		{
			name: "failing main", least: 1,
			source: `import ("os"; "testing")
func TestMain(m *testing.M) { m.Run(); os.Exit(3) }
func TestA(t *testing.T) {}
`,
			counts: "1 passed, 1 failed, 0 skipped", outcome: "failed", shows: "FAIL\tplanted",
		},
		{
			name: "words of an emulator", least: 1,
			source: `import ("os"; "testing")
func TestMain(m *testing.M) { println("the machine is up"); os.Exit(m.Run()) }
func TestA(t *testing.T) {}
`,
			counts: "1 passed, 0 failed, 0 skipped", shows: "the machine is up\nok  \tplanted",
		},
		{
			name: "build error", source: "var _ = undefined\n", least: 1,
			counts: "0 passed, 1 failed, 0 skipped", outcome: "failed", shows: "undefined: undefined",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			plant(t, c.source)
			var out bytes.Buffer
			err := run(&out, c.least, []string{"-count=1", "."})
			if c.outcome == "" && err != nil {
				t.Errorf("error %v", err)
			}
			if c.outcome != "" && (err == nil || !strings.Contains(err.Error(), c.outcome)) {
				t.Errorf("error %v, want %q", err, c.outcome)
			}
			if !strings.HasSuffix(out.String(), "\n"+c.counts+"\n") {
				t.Errorf("the last line is not %q", c.counts)
			}
			if !strings.Contains(out.String(), c.shows) {
				t.Errorf("the output does not show %q", c.shows)
			}
			if t.Failed() {
				t.Logf("output:\n%s", &out)
			}
		})
	}
}

func TestBadArguments(t *testing.T) {
	plant(t, "")
	var out bytes.Buffer
	if err := run(&out, 0, []string{"-mod=nosuch"}); err == nil {
		t.Errorf("go test -mod=nosuch passes:\n%s", &out)
	}
}
