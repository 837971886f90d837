package main

import (
	"fmt"
	"strings"

	"github.com/lockstep-go/lockstep/gen/vec"
)

// lanes is what the description of an elementwise kernel works with: the vector
// of each stream that is at hand, and the scalars.
type lanes struct {
	*vec.Program
	streams map[string]*vec.Stream
	scalars map[string]vec.V
}

// Get reads the lanes of a stream.
func (l lanes) Get(stream string) vec.V { return l.Load(32, l.streams[stream].At()) }

// Put writes the lanes of a stream.
func (l lanes) Put(stream string, v vec.V) { l.Store(l.streams[stream].At(), v) }

// Scalar is a parameter in all lanes.
func (l lanes) Scalar(name string) vec.V { return l.scalars[name] }

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
		p.Each(n, list, func() { body(l) })
	}
	return k
}

// startElementwise reads the parameters of an elementwise kernel.
func startElementwise(p *vec.Program, streams, scalars string) (l lanes, n vec.R, list []*vec.Stream) {
	l = lanes{p, map[string]*vec.Stream{}, map[string]vec.V{}}
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
	k := wide(elementwise(name, streams, scalars, doc, body))
	k.body = func(p *vec.Program) {
		l, n, list := startElementwise(p, streams, scalars)
		p.EachOnce(n, list[0], list[1:], func() { body(l) })
	}
	return k
}

// wide describes an elementwise kernel that computes in float64 lanes.
func wide(k kernel) kernel {
	k.wide = true
	return k
}
