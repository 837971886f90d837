package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

// Net is a multi-layer perceptron: its parameters, their gradients, and the
// memory that [Net.Forward] and [Net.Backward] work in.
type Net struct {
	in            int
	layers        []Layer
	stages        []stage
	steady        []stage // without those that leave a prediction as it is
	params, grads []float32
	stats         []float32
	views         []View

	// Of the last Forward, as the stages' outputs are.
	x    []float32
	ys   [][]float32 // of each stage
	rows int
	pass pass

	next  pass               // of the next Forward
	dz    [2][]float32       // the gradient on its way back, by turns
	limit [2]kernels.Threads // where a call through an interface can keep it without an allocation
}

// View is a named part of the flat vectors.
type View struct {
	Name   string // W1, b1, W2, … of the affine layers; gamma1, beta1, … of those that normalise
	Shape  []int  // in×out for W, else the number of elements
	Offset int
}

// Of returns the part of a flat vector, of parameters or gradients, that v
// names.
func (v View) Of(flat []float32) []float32 {
	size := 1
	for _, n := range v.Shape {
		size *= n
	}
	return flat[v.Offset:][:size:size]
}

// New makes a network of in inputs and the given layers. Its parameters are zero
// until [Net.Init]. An activation right behind an affine layer is computed with
// it, in one pass.
func New(in int, layers ...Layer) (*Net, error) {
	size, err := countParams(in, layers)
	if err != nil {
		return nil, fmt.Errorf("nn.New: %w", err)
	}
	n := &Net{in: in, layers: slices.Clone(layers), params: kernels.Make(size), grads: kernels.Make(size)}
	width, affines, norms, dropouts := in, 0, 0, 0
	for _, l := range layers {
		if act := l.activation(); act != kernels.Identity {
			if len(n.stages) > 0 {
				if s, ok := n.stages[len(n.stages)-1].(*affine); ok && s.act == kernels.Identity {
					s.act = act
					continue
				}
			}
			n.stages = append(n.stages, &activation{width: width, act: act})
			continue
		}
		switch l.kind {
		case kindAffine:
			affines++
			s := &affine{in: width, out: l.out}
			s.w, s.dw = n.part(fmt.Sprint("W", affines), width, l.out)
			s.b, s.db = n.part(fmt.Sprint("b", affines), l.out)
			n.stages = append(n.stages, s)
			width = l.out
		case kindSoftmax:
			n.stages = append(n.stages, &softmax{width: width})
		case kindBatchNorm:
			norms++
			s := &batchNorm{width: width, momentum: l.args[0], eps: float32(l.args[1]), unbiased: l.args[2] != 0}
			s.gamma, s.dgamma = n.part(fmt.Sprint("gamma", norms), width)
			s.beta, s.dbeta = n.part(fmt.Sprint("beta", norms), width)
			s.batchMean, s.batchVariance, s.inverse = make([]float32, width), make([]float32, width), make([]float32, width)
			n.stages = append(n.stages, s)
		case kindLayerNorm:
			norms++
			s := &layerNorm{width: width, eps: float32(l.args[0])}
			s.gamma, s.dgamma = n.part(fmt.Sprint("gamma", norms), width)
			s.beta, s.dbeta = n.part(fmt.Sprint("beta", norms), width)
			n.stages = append(n.stages, s)
		case kindDropout, kindBookDropout:
			s := &dropout{width: width, rate: l.args[0], number: uint32(dropouts), kept: 1, later: 1}
			dropouts++
			if l.kind == kindDropout {
				s.kept = float32(1 / (1 - s.rate))
			} else {
				s.later = float32(1 - s.rate)
			}
			n.stages = append(n.stages, s)
		}
	}
	n.ys = make([][]float32, len(n.stages))
	n.addStats()
	for i, s := range n.stages {
		if d, ok := s.(*dropout); ok && d.later == 1 && (len(n.steady) > 0 || i+1 < len(n.stages)) {
			continue
		}
		n.steady = append(n.steady, s)
	}
	return n, nil
}

// CountParams returns how many parameters [New] would make, or its error: what a text from
// outside asks for, before there is memory for it.
func CountParams(in int, layers ...Layer) (int, error) {
	size, err := countParams(in, layers)
	if err != nil {
		return 0, fmt.Errorf("nn.CountParams: %w", err)
	}
	return size, nil
}

func countParams(in int, layers []Layer) (int, error) {
	const most = math.MaxInt / 4 // as many as have countable bytes
	if in < 1 {
		return 0, fmt.Errorf("in = %d, want at least 1", in)
	}
	if len(layers) == 0 {
		return 0, errors.New("no layers, want at least 1")
	}
	size := 0
	for i, l := range layers {
		if err := l.check(); err != nil {
			return 0, fmt.Errorf("layer %d is %w", i+1, err)
		}
		switch l.kind {
		case kindAffine:
			if l.out > (most-size)/(in+1) {
				return 0, fmt.Errorf("layer %d is Affine(%d) of %d inputs: more parameters than a slice can hold", i+1, l.out, in)
			}
			size += (in + 1) * l.out
			in = l.out
		case kindBatchNorm, kindLayerNorm:
			if in > (most-size)/2 {
				return 0, fmt.Errorf("layer %d normalises %d inputs: more parameters than a slice can hold", i+1, in)
			}
			size += 2 * in
		}
	}
	return size, nil
}

// part gives the next part of the flat vectors a name and a shape.
func (n *Net) part(name string, shape ...int) (params, grads []float32) {
	offset := 0
	if len(n.views) > 0 {
		last := n.views[len(n.views)-1]
		offset = last.Offset + len(last.Of(n.params))
	}
	v := View{name, shape, offset}
	n.views = append(n.views, v)
	return v.Of(n.params), v.Of(n.grads)
}

// addStats makes the running statistics: means of 0 and variances of 1.
func (n *Net) addStats() {
	size := 0
	for _, s := range n.stages {
		if s, ok := s.(*batchNorm); ok {
			size += 2 * s.width
		}
	}
	n.stats = make([]float32, size)
	rest := n.stats
	for _, s := range n.stages {
		if s, ok := s.(*batchNorm); ok {
			s.mean, s.variance, rest = rest[:s.width:s.width], rest[s.width:][:s.width:s.width], rest[2*s.width:]
		}
	}
	n.resetStats()
}

func (n *Net) resetStats() {
	clear(n.stats)
	for _, s := range n.stages {
		if s, ok := s.(*batchNorm); ok {
			for i := range s.variance {
				s.variance[i] = 1
			}
		}
	}
}

// MustNew is [New] for layers that are known to be right: it panics on an error.
func MustNew(in int, layers ...Layer) *Net {
	net, err := New(in, layers...)
	if err != nil {
		panic(err.Error())
	}
	return net
}

// In returns the number of inputs.
func (n *Net) In() int { return n.in }

// Out returns the number of outputs.
func (n *Net) Out() int { return n.stages[len(n.stages)-1].outputs() }

// Layers returns the layers that the network was made of.
func (n *Net) Layers() []Layer { return slices.Clone(n.layers) }

// NumParams returns the number of parameters.
func (n *Net) NumParams() int { return len(n.params) }

// Params returns the parameters themselves, not a copy; see the package doc for
// their layout.
func (n *Net) Params() []float32 { return n.params }

// Grads returns the gradients that the last Backward left, in the layout of the
// parameters. They are the network's own too.
func (n *Net) Grads() []float32 { return n.grads }

// Stats returns the running statistics themselves, not a copy: for each [BatchNorm], the
// means of its columns and then their variances. Training changes them, though no
// optimizer does.
func (n *Net) Stats() []float32 { return n.stats }

// Views returns the parts of the parameters and gradients, in their order.
func (n *Net) Views() []View { return slices.Clone(n.views) }

// Layout returns the shapes of the parts, in their order, for the optimizers that go by
// them. The weights of the first and of the last affine layer are Outer.
func (n *Net) Layout() []optim.Tensor {
	var layout []optim.Tensor
	first, last := -1, -1
	for i, v := range n.views {
		t := optim.Tensor{Rows: 1, Cols: v.Shape[0]}
		if len(v.Shape) == 2 {
			t = optim.Tensor{Rows: v.Shape[0], Cols: v.Shape[1]}
			if last = i; first < 0 {
				first = i
			}
		}
		layout = append(layout, t)
	}
	if first >= 0 {
		layout[first].Outer, layout[last].Outer = true, true
	}
	return layout
}

// threads keeps the limit of a call.
func (n *Net) threads(limit []kernels.Threads) []kernels.Threads {
	return n.limit[:copy(n.limit[:], limit)]
}

// DropoutAt chooses what the dropouts of the next Forward drop: by a seed, the number of
// the step, and row, which of the whole batch's rows is the first of that pass. Without it
// each Forward drops as if its step were the one after the last's.
func (n *Net) DropoutAt(seed uint64, step uint32, row int) {
	n.next = pass{seed: seed, step: step, row: row}
}

// describe names the layers of a stage.
func (n *Net) describe(stage int) string {
	at := -1 // of the stage that a layer is in
	var names []string
	for i, l := range n.layers {
		joined := i > 0 && l.activation() != kernels.Identity && n.layers[i-1].kind == kindAffine
		if !joined {
			at++
		}
		if at == stage {
			names = append(names, l.String())
		}
	}
	return strings.Join(names, ",")
}

// Forward returns the outputs for each row of x in training: dropouts drop, and
// BatchNorm goes by the batch. [Net.Predictor] predicts. The result belongs to the network and holds until its next use; Backward
// needs it, and x, unchanged.
//
// Shapes: x: rows×In, the result: rows×Out.
func (n *Net) Forward(x []float32, rows int, limit ...kernels.Threads) []float32 {
	wantMatrix("Net.Forward", "x", len(x), rows, n.In())
	n.x, n.rows, n.pass = x, rows, n.next
	n.next.step++
	for i, s := range n.stages {
		x = s.forward(x, rows, &n.pass, n.threads(limit))
		n.ys[i] = x
	}
	return x
}

// Backward sets Grads to the gradients of a loss with respect to the
// parameters, given dy, that with respect to the outputs of the last Forward.
// From the last layer to the first; for an affine one, with dz the gradient before its
// activation:
//
//	dW = xᵀ·dz
//	db = Σ dz over the rows, in their order
//	dx = dz·Wᵀ, times the derivative of the activation that gave x
//
// Nothing is computed for the inputs of the network. BatchNorm takes the batch into its
// running statistics.
//
// Shapes: dy: rows×Out.
func (n *Net) Backward(dy []float32, limit ...kernels.Threads) {
	wantMatrix("Net.Backward", "dy", len(dy), n.rows, n.Out())
	n.pass.accumulate = false
	n.backward(dy, n.threads(limit))
}

// Accumulate is Backward, but adds to Grads: after the passes of the parts of a batch in
// their order, the first by Backward, they have the bits that one pass of the
// whole batch gives, if dy is that of the whole batch's loss. Not so with BatchNorm, which
// goes by the rows of each pass.
func (n *Net) Accumulate(dy []float32, limit ...kernels.Threads) {
	wantMatrix("Net.Accumulate", "dy", len(dy), n.rows, n.Out())
	n.pass.accumulate = true
	n.backward(dy, n.threads(limit))
}

func (n *Net) backward(dy []float32, limit []kernels.Threads) {
	last := len(n.stages) - 1
	dz := dy
	if act, of := n.stages[last].activation(); act != kernels.Identity {
		dz = n.scratch(last)
		kernels.Derive(act, dz, dy, of, limit...)
	}
	for i := last; i > 0; i-- {
		dx, x := n.scratch(i-1), n.ys[i-1]
		n.stages[i].backward(dx, dz, x, n.rows, n.stages[i-1], &n.pass, limit)
		dz = dx
	}
	n.stages[0].backward(nil, dz, n.x, n.rows, nil, &n.pass, limit)
}

// scratch returns the memory for the gradient at the outputs of stage i.
func (n *Net) scratch(i int) []float32 {
	dz := &n.dz[i%2]
	*dz = resize(*dz, n.rows*n.stages[i].outputs())
	return *dz
}

// Predictor computes the outputs of a network in memory of its own, so that each
// of many goroutines can have one. It uses the network's parameters and running
// statistics as they are at the moment; nothing may change them meanwhile.
type Predictor struct {
	net     *Net
	max     int
	y       [2][]float32
	scratch []float32
	limit   [2]kernels.Threads // as the network's
}

// Predictor makes a predictor that takes max rows through the network at a
// time. A larger number takes more memory and makes better use of the processor.
func (n *Net) Predictor(max int) *Predictor {
	if max < 1 {
		panic(fmt.Sprintf("nn.Net.Predictor: max = %d, want at least 1", max))
	}
	return &Predictor{net: n, max: max}
}

// Predict sets each row of dst to the outputs for the row of x. It has the same
// bits whatever the other rows; and those of [Net.Forward], if the network has no
// BatchNorm and no dropout, which do otherwise in training.
//
// Shapes: dst: rows×Out; x: rows×In, rows being any number. Aliasing: none.
func (p *Predictor) Predict(dst, x []float32, rows int, limit ...kernels.Threads) {
	in, out := p.net.In(), p.net.Out()
	wantMatrix("Predictor.Predict", "x", len(x), rows, in)
	wantMatrix("Predictor.Predict", "dst", len(dst), rows, out)
	most := p.limit[:copy(p.limit[:], limit)]
	last := len(p.net.steady) - 1
	for ; rows > 0; rows -= p.max {
		some := min(rows, p.max)
		x0 := x[:some*in]
		for i, s := range p.net.steady[:last] {
			y := &p.y[i%2]
			*y = resize(*y, some*s.outputs())
			s.infer(*y, x0, some, &p.scratch, most)
			x0 = *y
		}
		p.net.steady[last].infer(dst[:some*out], x0, some, &p.scratch, most)
		x, dst = x[some*in:], dst[some*out:]
	}
}

// resize returns x with n elements, whatever they are, in new memory if it has
// too little.
func resize[T any](x []T, n int) []T { return slices.Grow(x[:0], n)[:n] }

// wantMatrix panics unless size is rows·cols, cols being at least 1.
func wantMatrix(fn, name string, size, rows, cols int) {
	if rows < 0 || size%cols != 0 || size/cols != rows {
		panic(fmt.Sprintf("nn.%s: len(%s) = %d, want %d rows of %d", fn, name, size, rows, cols))
	}
}
