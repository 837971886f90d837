package nn

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
)

// Hash returns the SHA-256 of a flat vector as little-endian float32, each NaN
// being written as 0x7FC00000. Equal hashes of the parameters say that two
// training runs ended in the same bits, on whatever machines.
func Hash(flat []float32) [sha256.Size]byte {
	h := sha256.New()
	var buf [4096]byte
	for chunk := range slices.Chunk(flat, len(buf)/4) {
		h.Write(appendFloats(buf[:0], chunk))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// appendFloats writes numbers as hashes and files have them.
func appendFloats(b []byte, x []float32) []byte {
	for _, v := range x {
		bits := math.Float32bits(v)
		if v != v {
			bits = 0x7FC00000
		}
		b = binary.LittleEndian.AppendUint32(b, bits)
	}
	return b
}
