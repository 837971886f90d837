// Package kernels holds float32 kernels for training small networks: fused
// optimizer updates, GEMM with a fused epilogue, activations, softmax and
// losses, batch and layer normalisation, dropout. Each is generated assembly where there is some for the processor and
// a plain Go loop elsewhere, and both give the same bits.
//
// # The same bits everywhere
//
// A result depends on the arguments alone: not on the processor, the
// instruction set, the number of threads, the alignment of a slice or the
// position of an element in it. The plain Go loop beside each kernel is its
// meaning; its doc comment gives the formula in evaluation order. Arithmetic is
// IEEE-754 binary32, rounded to nearest even, subnormals kept. Where any NaN
// comes out, which NaN it is is not promised.
//
// A host that makes the processor flush subnormals to zero, as cgo code built
// with -ffast-math does when it is loaded, breaks the promise; [SelfCheck]
// finds out.
//
// # Arguments
//
// Slices go in and slices are changed; nothing is kept. Lengths, strides and
// overlap are checked before anything is written, and a mistake panics with the
// function, the argument and both numbers. Where nothing else is said, the
// vectors of a call have the same length and no two share an element, except
// that dst may be exactly one of the other arguments.
//
// In a build with the race detector, a kernel reports what it reads and writes, so that
// a race through assembly is seen like any other; so it does in one with the address or
// the memory sanitizer.
//
// Long vectors are cut into blocks that run on up to GOMAXPROCS threads; a
// [Threads] as the last argument of a call sets another limit. Calls from many
// goroutines at once are fine. A call allocates nothing and starts a goroutine
// only if none of the last moments' is still there.
//
// # Instruction sets
//
// [ISA] tells which one is in use: avx2, neon or portable. The environment
// variable LOCKSTEP_ISA or [SetISA] forces another; the build tag purego leaves
// the assembly out.
package kernels
