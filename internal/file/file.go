// Package file replaces files whole.
package file

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// Replace puts what write writes in the place of the file at path, or leaves that as it
// is: it writes to a temporary file beside it, path with .tmp behind, which is synced and
// renamed, and then syncs the directory. So the file is whole at any moment, and after an
// error or the end of a process at most a .tmp is there, which the next Replace takes over.
func Replace(path string, write func(io.Writer) error) (err error) {
	temporary := path + ".tmp"
	f, err := os.Create(temporary)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(temporary)
		}
	}()
	b := bufio.NewWriterSize(f, 1<<16)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename last. Windows has no such thing.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
