// Package asm holds the generated assembly of Lockstep's kernels and the
// functions that pick the instruction set.
//
// It is no public interface: its functions take unchecked pointers and counts,
// and may change with any release. Package kernels has the checked ones.
//
// A function that returns a bool says whether there was a kernel for the
// instruction set; if not, nothing has been done. All but this file is written
// by go generate ./gen.
package asm
