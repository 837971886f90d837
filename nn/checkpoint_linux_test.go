package nn_test

import (
	"bytes"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSaveFileFull: where the disk takes no more, there is one clear error, and the old file
// stays. A limit on the size of files stands for the full disk.
func TestSaveFileFull(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run.ckpt")
	old := []byte("the old one")
	if err := os.WriteFile(path, old, 0o666); err != nil {
		t.Fatal(err)
	}
	_, build := savedFile(t)

	signal.Ignore(syscall.SIGXFSZ) // write has an error as well
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 100
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
		t.Fatal(err)
	}
	err := build().SaveFile(path)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if err == nil || !strings.Contains(err.Error(), "nn: saving "+path) || !strings.Contains(err.Error(), "file too large") {
		t.Errorf("error %v, want one that names the file and the reason", err)
	}

	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); len(entries) != 1 || err != nil || !bytes.Equal(got, old) {
		t.Errorf("%v in the directory, the file has %q, error %v; want the old one alone", entries, got, err)
	}
}
