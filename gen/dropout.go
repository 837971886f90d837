package main

import "github.com/lockstep-go/lockstep/gen/vec"

var dropouts = []kernel{
	{
		name: "Philox",
		doc: []string{
			"Philox writes, for each of rows rows, groups groups of 32 words: word w of the",
			"blocks of Philox4x32-10 for the key (key0, key1) and the counters",
			"",
			"\tcounter[i] + 8·group, row + the row's number, stream, step",
			"",
			"at place 8·w + i. No counter[i] + 8·groups may be more than 2³² + 7.",
		},
		params: vec.Params("rows, groups int, words, counter *uint32, key0, key1, row, stream, step int"),
		wide:   true,
		lanes:  4, // a group's 8 counters, two to a lane
		body:   randomWords,
	},
	{
		name: "Dropout",
		doc: []string{
			"Dropout does, for each of rows rows of cols elements, strides in elements:",
			"",
			"\tdst = x·scale where word/2 >= threshold, else 0",
		},
		params: vec.Params("rows, cols int, dst *float32, ldd int, x *float32, ldx int, words *uint32, step, threshold int, scale float32"),
		body:   dropout,
	},
}

// randomWords describes the random words. A lane of 64 bits holds a word in its lower
// half, and anything in its upper one. One vector has the even counters, its
// neighbour the odd ones, so that the two together are words in order.
func randomWords(p *vec.Program) {
	const group = 8 // counters
	words, row := p.Param("words"), p.Vec(64)
	p.Set(row, p.SplatInt(64, "row"))
	both := func(x uint64) vec.V { return p.Bits(64, x<<32|x) }
	p.Loop(p.Param("rows"), func() {
		c := p.Load(64, p.Param("counter").At(0)) // even counters below, odd ones above
		p.Loop(p.Param("groups"), func() {
			part := func() {
				key := [2]vec.V{p.SplatInt(64, "key0"), p.SplatInt(64, "key1")}
				stream, step := p.SplatInt(64, "stream"), p.SplatInt(64, "step")
				blocks := [2][4]vec.V{{c, row, stream, step}, {p.Shr(c, 32), row, stream, step}}
				for round := range 10 {
					if round > 0 {
						key[0], key[1] = p.IAdd(key[0], both(0x9E3779B9)), p.IAdd(key[1], both(0xBB67AE85))
					}
					for b, w := range blocks {
						p0, p1 := p.IMul(w[0], both(0xD2511F53)), p.IMul(w[2], both(0xCD9E8D57))
						blocks[b] = [4]vec.V{p.Xor(p.Xor(p.Shr(p1, 32), w[1]), key[0]), p1, p.Xor(p.Xor(p.Shr(p0, 32), w[3]), key[1]), p0}
					}
				}
				for w := range 4 {
					even := p.And(blocks[0][w], p.Bits(64, 1<<32-1))
					p.Store(words.At(4*group*w), p.Or(even, p.Shl(blocks[1][w], 32)))
				}
				p.AddI(words, 4*2*p.Lanes)
				p.Set(c, p.IAdd(c, both(uint64(2*p.Lanes))))
			}
			if parts := group / (2 * p.Lanes); parts > 1 {
				p.Loop(p.RegI(parts), part)
			} else {
				part()
			}
			p.AddI(words, 4*3*group)
		})
		p.Set(row, p.IAdd(row, p.Bits(64, 1)))
	})
}

// dropout describes the choice. Half a word less than the threshold gives a
// negative difference, of which the sign becomes a mask.
func dropout(p *vec.Program) {
	dst, x, words := p.Param("dst"), p.Param("x"), p.Param("words")
	scale, threshold := p.Splat("scale"), p.SplatInt(32, "threshold")
	to, from, random := p.Stream(32, dst), p.Stream(32, x), p.Stream(32, words)
	eachRow(p, func() {
		alongRow(p, []*vec.Stream{to, from, random}, nil, func([]vec.V) {
			dropped := p.Shr(p.ISub(p.Shr(p.Load(32, random.At()), 1), threshold), 31)
			kept := p.ISub(dropped, p.Bits(32, 1))
			p.Store(to.At(), p.And(kept, p.Mul(p.Load(32, from.At()), scale)))
		})
		nextRow(p, dst, "ldd")
		nextRow(p, x, "ldx")
		nextRow(p, words, "step")
	})
}
