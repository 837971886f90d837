package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/lockstep-go/lockstep/gen/vec"
)

// lanes is what the description of an elementwise kernel works with: the vector
// of each stream that is at hand, and the scalars.
type lanes struct {
	*vec.Program
	streams map[string]*vec.Stream
	scalars map[string]vec.V

	correction divisor // the scalar rootCorrection of the rules that have it

	puts *[]put // of the body under way
}

// put is what will be written to a stream.
type put struct {
	stream string
	v      vec.V
}

// divisor is a scalar to divide by: its reciprocal, and itself with the other sign.
type divisor struct{ inverse, minus vec.V }

// Get reads the lanes of a stream.
func (l lanes) Get(stream string) vec.V { return l.Load(32, l.streams[stream].At()) }

// Put writes the lanes of a stream when the body has ended: until then Get gives the old
// ones, and v must not be changed.
func (l lanes) Put(stream string, v vec.V) { *l.puts = append(*l.puts, put{stream, v}) }

// readThenWrite does body, and then writes what it has put: the processor takes a load
// behind a store for dependent on it if they agree in the low 12 bits of their addresses,
// as long vectors often do. AdamW on 25 million parameters took 3 to 30 % longer with m
// written before v was read.
func (l lanes) readThenWrite(body func(l lanes)) {
	body(l)
	for _, x := range *l.puts {
		l.Store(l.streams[x.stream].At(), x.v)
	}
	*l.puts = nil
}

// Scalar is a parameter in all lanes.
func (l lanes) Scalar(name string) vec.V { return l.scalars[name] }

// Over is x / by to the last bit, for a normal x, +0, +Inf or NaN and a divisor of
// middling size: the quotient from the rounded reciprocal, corrected by what is left of
// x, which takes far less time than to divide. That it always rounds as division does
// is in Brisebarre, Muller and Raina, Accelerating correctly rounded floating-point
// division when the divisor is known in advance, 2004.
func (l lanes) Over(x vec.V, by divisor) vec.V {
	q, left := l.Mul(x, by.inverse), l.Vec(32)
	l.Set(left, x)
	l.FMA(left, q, by.minus)
	l.FMA(q, left, by.inverse)
	return l.Select(l.Gt(x, l.F32(math.MaxFloat32)), x, q) // Inf leaves NaN
}

// divisor makes one of c.
func (l lanes) divisor(c vec.V) divisor {
	return divisor{l.Div(l.F32(1), c), l.Sub(l.F32(0), c)}
}

// elementwise describes a kernel over n elements of float32 streams. doc is its
// formula.
func elementwise(name, streams, scalars, doc string, body func(l lanes)) kernel {
	k := kernel{name: name, params: []vec.Param{{Name: "n", Type: vec.Int}}}
	k.doc = []string{fmt.Sprintf("%s does, for each of n elements of %s:", name, strings.Join(strings.Fields(streams), ", ")), ""}
	for _, line := range strings.Split(strings.TrimSpace(doc), "\n") {
		k.doc = append(k.doc, "\t"+strings.TrimSpace(line))
	}
	for _, s := range strings.Fields(streams) {
		k.params = append(k.params, vec.Param{Name: s, Type: vec.PtrFloat32})
	}
	for _, s := range strings.Fields(scalars) {
		k.params = append(k.params, vec.Param{Name: s, Type: vec.Float32})
	}
	k.body = func(p *vec.Program) {
		l, n, list := startElementwise(p, streams, scalars)
		p.Each(n, list, func() { l.readThenWrite(body) })
	}
	return k
}

// startElementwise reads the parameters of an elementwise kernel.
func startElementwise(p *vec.Program, streams, scalars string) (l lanes, n vec.R, list []*vec.Stream) {
	l = lanes{Program: p, streams: map[string]*vec.Stream{}, scalars: map[string]vec.V{}, puts: new([]put)}
	n = p.Param("n")
	for _, s := range strings.Fields(streams) {
		l.streams[s] = p.Stream(32, p.Param(s))
		list = append(list, l.streams[s])
	}
	for _, s := range strings.Fields(scalars) {
		l.scalars[s] = p.Splat(s)
	}
	return l, n, list
}

// long describes a kernel with a long body in float64 lanes, which is in the code
// once: the first stream is written, the others are read.
func long(name, streams, scalars, doc string, body func(l lanes)) kernel {
	return writesFirst((*vec.Program).EachOnce, name, streams, scalars, doc, body)
}

// inTurns is long for a kernel that is used so much that its body is in the code a few
// times more, to do vectors in turns.
func inTurns(name, streams, scalars, doc string, body func(l lanes)) kernel {
	return writesFirst((*vec.Program).EachInTurns, name, streams, scalars, doc, body)
}

func writesFirst(each func(p *vec.Program, n vec.R, dst *vec.Stream, from []*vec.Stream, body func()), name, streams, scalars, doc string, body func(l lanes)) kernel {
	k := wide(elementwise(name, streams, scalars, doc, body))
	k.body = func(p *vec.Program) {
		l, n, list := startElementwise(p, streams, scalars)
		each(p, n, list[0], list[1:], func() { l.readThenWrite(body) })
	}
	return k
}

// wide describes an elementwise kernel that computes in float64 lanes.
func wide(k kernel) kernel {
	k.wide = true
	return k
}
