//go:build !purego

package cpu

// detect: NEON is part of arm64's baseline.
func detect() []ISA { return []ISA{NEON} }
