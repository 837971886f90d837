//go:build !purego

package cpu

import "github.com/klauspost/cpuid/v2"

// detect asks for FMA besides AVX2, since the GEMM kernels use both. cpuid
// reports neither unless the operating system saves the registers (OSXSAVE,
// XCR0).
func detect() []ISA {
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3) {
		return []ISA{AVX2}
	}
	return nil
}
