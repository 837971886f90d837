package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/lockstep-go/lockstep/asm"
	"github.com/lockstep-go/lockstep/internal/cpu"
	"github.com/lockstep-go/lockstep/internal/philox"
)

// DropoutMask says which elements of a matrix [Dropout] keeps.
type DropoutMask struct {
	Rate float64 // the part that is dropped, in [0, 1)
	Seed uint64

	// The address of the first row's random numbers. Row i has Row + i, which goes
	// on from 0 behind 2³²-1.
	Stream, Step, Row uint32
}

// Dropout multiplies the elements that mask keeps by scale and sets the others to 0:
//
//	dst[i][j] = x[i][j]·scale where [i][j] is kept, else 0
//
// The scale is 1/(1 - Rate) for activations whose mean stays as it was. With the
// gradient for x, the same call is the backward pass.
//
// An element is kept if half its random word, rounded down, is at least Rate·2³¹,
// rounded to an integer. The words are those of Philox4x32-10: element j of row i has
// word (j mod 32)/8 of the block with the key Seed, low word first, and the counter
//
//	{(j/32)·8 + j mod 8, Row + i, Stream, Step}
//
// So a row's choice depends on its address alone, and the parts of a batch get what
// the whole gets if Row moves on with them.
//
// Shapes: dst: rows×cols, ldd >= cols; x: rows×cols, ldx >= cols. Aliasing: dst may
// be x, with the same stride. Numerics: what is dropped is +0 whatever it was, NaN
// and infinities too. Panics also if Rate is not in [0, 1). Source: Srivastava et
// al., Dropout: a simple way to prevent neural networks from overfitting, 2014;
// Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011.
func Dropout(rows, cols int, dst []float32, ldd int, x []float32, ldx int, mask DropoutMask, scale float32, limit ...Threads) {
	const fn = "Dropout"
	wantRows(fn, rows, cols, "dst", dst, "ldd", ldd, x, ldx)
	if !(mask.Rate >= 0 && mask.Rate < 1) {
		panic(fmt.Sprintf("kernels.%s: mask.Rate = %v, want at least 0 and less than 1", fn, mask.Rate))
	}
	matrixOf("x", x, rows, cols, ldx).reads()
	matrixOf("dst", dst, rows, cols, ldd).writes()
	n, grain := cutMatrix(rows, cols)
	dropoutTasks.run(threads(fn, limit), n, grain, dropoutTask{cols, dst, ldd, x, ldx, mask, uint32(math.Round(mask.Rate * 0x1p31)), scale})
}

type dropoutTask struct {
	cols      int
	dst       []float32
	ldd       int
	x         []float32
	ldx       int
	mask      DropoutMask
	threshold uint32 // of half a word
	scale     float32
}

var dropoutTasks tasks[dropoutTask, *dropoutTask]

// Random words come in groups: word w of each of eight blocks at place 8·w.
const (
	groupBlocks = 8
	groupWords  = 4 * groupBlocks
)

// randomWords are what a call of assembly writes and the next one reads: few enough
// for the stack, and to stay near the processor.
type randomWords [1 << 10]uint32

// Range does the pieces lo to hi.
func (t *dropoutTask) Range(lo, hi int) {
	if t.cols == 0 {
		return
	}
	i, end, from, to := cutOut(t.cols, lo, hi)
	var words randomWords
	for j := from; j < to; j += len(words) {
		last := min(to, j+len(words))
		each := len(words) / (ceil(last-j, groupWords) * groupWords) // rows at once
		for r := i; r < end; r += each {
			t.part(&words, r, min(end, r+each), j, last)
		}
	}
}

// part does the rows i to end of the columns lo to hi. The words of the rows have
// room in words, and lo is a multiple of a group.
func (t *dropoutTask) part(words *randomWords, i, end, lo, hi int) {
	step := ceil(hi-lo, groupWords) * groupWords
	t.random(words, i, end, lo, step)
	if asm.Dropout(cpu.Active(), end-i, hi-lo, unsafe.SliceData(t.dst[i*t.ldd+lo:]), t.ldd, unsafe.SliceData(t.x[i*t.ldx+lo:]), t.ldx,
		&words[0], step, int(t.threshold), t.scale) {
		return
	}
	for r := i; r < end; r++ {
		dst, x, words := t.dst[r*t.ldd:][lo:hi], t.x[r*t.ldx:][lo:hi], words[(r-i)*step:]
		for j, x := range x {
			if words[j]/2 >= t.threshold {
				dst[j] = x * t.scale
			} else {
				dst[j] = 0
			}
		}
	}
}

// random draws step words for each of the rows i to end, from column lo on.
func (t *dropoutTask) random(words *randomWords, i, end, lo, step int) {
	m := &t.mask
	key := [2]uint32{uint32(m.Seed), uint32(m.Seed >> 32)}
	// No counter wraps in this part: its columns lie between multiples of 1024, so the
	// counters lie between multiples of 256, which 2³² is one of.
	var counter [groupBlocks]uint32
	for b := range counter {
		counter[b] = uint32(lo/groupWords*groupBlocks + b)
	}
	row := m.Row + uint32(i)
	if asm.Philox(cpu.Active(), end-i, step/groupWords, &words[0], &counter[0], int(key[0]), int(key[1]), int(row), int(m.Stream), int(m.Step)) {
		return
	}
	for r := range uint32(end - i) {
		for g := range step / groupWords {
			group := words[int(r)*step+g*groupWords:][:groupWords]
			for b, c := range counter {
				block := philox.Block(key, [4]uint32{c + uint32(g*groupBlocks), row + r, m.Stream, m.Step})
				for w, x := range block {
					group[w*groupBlocks+b] = x
				}
			}
		}
	}
}
