package cpu

import (
	"runtime"
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	defer Set("")
	for _, isa := range Available() {
		if err := Set(isa.String()); err != nil || Active() != isa {
			t.Errorf("Set(%q): active %v, error %v", isa, Active(), err)
		}
	}
	before := Active()
	for name, want := range map[string]string{
		"sse9":                  "unknown",
		missing(runtime.GOARCH): "not available",
		strings.ToUpper("avx2"): "unknown",
		Portable.String() + " ": "unknown",
		"portable,avx2":         "unknown",
	} {
		if err := Set(name); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "portable") {
			t.Errorf("Set(%q): error %v, want one that says %q and lists what there is", name, err, want)
		}
	}
	if Active() != before {
		t.Errorf("a failed Set changed the instruction set from %v to %v", before, Active())
	}
	if err := Set(""); err != nil || Active() != Available()[len(Available())-1] {
		t.Errorf("Set(\"\"): active %v, error %v, want the best of %v", Active(), err, Available())
	}
}

// missing names an instruction set that arch cannot have.
func missing(arch string) string {
	if arch == "arm64" {
		return AVX2.String()
	}
	return NEON.String()
}
