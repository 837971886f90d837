//go:build !purego

package cpu

import "github.com/klauspost/cpuid/v2"

// detect asks for FMA besides AVX2, since the GEMM kernels use both, and for the parts
// of AVX-512 that the kernels use. cpuid reports none of them unless the operating
// system saves the registers (OSXSAVE, XCR0).
func detect() (have []ISA) {
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3) {
		have = append(have, AVX2)
		if cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.BMI2) {
			have = append(have, AVX512)
		}
	}
	return have
}
