package nn

import "github.com/lockstep-go/lockstep/internal/philox"

// Permutation is the order of the samples in an epoch.
func Permutation(n int, seed uint64, epoch uint32) []int {
	return permute(nil, n, philox.Stream{Seed: seed, Purpose: philox.Shuffle, Step: epoch})
}
