//go:build !race && !asan && !msan

// Package sanitize tells the race detector and the address and memory sanitizers what
// memory assembly reads and writes, which they do not see by themselves. Without them,
// its functions do nothing.
package sanitize

import "unsafe"

// Enabled tells whether this is a build with one of them.
const Enabled = false

// Read says that n bytes from p on are read.
func Read(p unsafe.Pointer, n int) {}

// Write says that n bytes from p on are written.
func Write(p unsafe.Pointer, n int) {}
