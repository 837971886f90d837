// Package kernels holds float32 kernels for training small networks: fused
// optimizer updates, GEMM with a fused epilogue, activations, softmax and
// losses, batch and layer normalisation, dropout. Each is generated assembly where
// there is some for the processor and a plain Go loop elsewhere, and both give the
// same bits.
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
// Slices go in and slices are changed; nothing is kept. Very long ones are best made
// by [Make]. Lengths, strides and overlap are checked before anything is written, and
// a mistake panics with the function, the argument and both numbers. Where nothing
// else is said, the vectors of a call have the same length and no two share an
// element, except that dst may be exactly one of the other arguments.
//
// What may overlap is what only is read, and what this table says; anything else is
// refused. Two matrices overlap if they share an element: rows that lie between the
// other's rows are apart.
//
//	kernel                              exactly the same, with the same stride
//	Activate, Exp, Factored,            dst and any of the others
//	InverseRoot, Lerp, Log, Scale
//	Derive                              dst and grad, dst and y
//	AbsoluteError, HuberError,          grad and y (LogisticError: x), grad and target
//	LogisticError, SquaredError
//	Softmax, Dropout,                   dst and x
//	Normalize, LayerNorm
//	SoftmaxCrossEntropy,                grad and x
//	SoftCrossEntropy
//	SoftmaxGrad                         dx and dy, dx and y
//	NormalizeGrad, LayerNormGrad        dx and dy, dx and x
//	update rules, Gemm, GemmFused,      nothing
//	SumRows, AddRows, AddSquares,
//	Moments, LayerNormParams
//
// [Gemm]'s A and B may overlap in any way, since both are read. The labels of
// [SoftmaxCrossEntropy] lie apart even from x.
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
// [ISA] tells which one is in use: avx512, avx2, neon or portable. The environment
// variable LOCKSTEP_ISA or [SetISA] forces another; the build tag purego leaves
// the assembly out.
package kernels
