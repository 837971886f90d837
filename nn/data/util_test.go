package data_test

import (
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// onInts is a text of errors where an int has 64 bits, or 32.
func onInts(of64, of32 string) string {
	if math.MaxInt == math.MaxInt32 {
		return of32
	}
	return of64
}

// refused wants an error of one line with all of the texts, from a reader of size bytes,
// in little memory and time.
func refused(t *testing.T, name string, size int, read func() error, texts ...string) {
	t.Helper()
	start := time.Now()
	before := allocated()
	err := read()
	grown, took := allocated()-before, time.Since(start)
	if err == nil {
		t.Errorf("%s: no error, want %q", name, texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error %q, want %q in it", name, err, text)
		}
	}
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000 {
		t.Errorf("%s: error %q, want one line", name, err)
	}
	if grown > 1<<20+20*uint64(size) {
		t.Errorf("%s: %d bytes were allocated for a file of %d", name, grown, size)
	}
	t.Logf("%s: %v, %d bytes: %v", name, took, grown, err)
}

// allocated returns how many bytes have been allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// file writes a file of the name in a directory of its own.
func file(t testing.TB, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func compressed(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(content)
	z.Close()
	return b.Bytes()
}
