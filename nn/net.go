package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

// Net is a multi-layer perceptron: its parameters, their gradients, and the
// memory that [Net.Forward] and [Net.Backward] work in.
type Net struct {
	stages        []stage
	params, grads []float32
	views         []View

	// Of the last Forward.
	x    []float32
	rows int

	dz [2][]float32 // the gradient on its way back, by turns
}

// stage is an affine layer with the activation behind it, or an activation that
// has no affine layer before it.
type stage struct {
	in, out      int
	affine       bool
	act          kernels.Activation
	w, b, dw, db []float32 // parts of the flat vectors
	y            []float32 // rows×out: the result of the last Forward
}

// View is a named part of the flat vectors.
type View struct {
	Name   string // W1, b1, W2, …: the weights and biases of the affine layers
	Shape  []int  // in×out for weights, out for biases
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
	const maxParams = math.MaxInt / 4 // as many as have countable bytes
	if in < 1 {
		return nil, fmt.Errorf("nn.New: in = %d, want at least 1", in)
	}
	if len(layers) == 0 {
		return nil, errors.New("nn.New: no layers, want at least 1")
	}
	net := new(Net)
	size := 0
	for i, l := range layers {
		last := len(net.stages) - 1
		switch {
		case l.act != kernels.Identity && last >= 0 && net.stages[last].act == kernels.Identity:
			net.stages[last].act = l.act
		case l.act != kernels.Identity:
			net.stages = append(net.stages, stage{in: in, out: in, act: l.act})
		case l.out < 1:
			return nil, fmt.Errorf("nn.New: layer %d is Affine(%d), want at least 1 output", i+1, l.out)
		case l.out > (maxParams-size)/(in+1):
			return nil, fmt.Errorf("nn.New: layer %d is Affine(%d) of %d inputs: more parameters than a slice can hold", i+1, l.out, in)
		default:
			net.stages = append(net.stages, stage{in: in, out: l.out, affine: true})
			size += (in + 1) * l.out
			in = l.out
		}
	}

	net.params, net.grads = make([]float32, size), make([]float32, size)
	offset := 0
	for i := range net.stages {
		s := &net.stages[i]
		if !s.affine {
			continue
		}
		number := len(net.views)/2 + 1
		w := View{fmt.Sprint("W", number), []int{s.in, s.out}, offset}
		b := View{fmt.Sprint("b", number), []int{s.out}, offset + s.in*s.out}
		net.views = append(net.views, w, b)
		s.w, s.dw = w.Of(net.params), w.Of(net.grads)
		s.b, s.db = b.Of(net.params), b.Of(net.grads)
		offset = b.Offset + s.out
	}
	return net, nil
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
func (n *Net) In() int { return n.stages[0].in }

// Out returns the number of outputs.
func (n *Net) Out() int { return n.stages[len(n.stages)-1].out }

// NumParams returns the number of parameters.
func (n *Net) NumParams() int { return len(n.params) }

// Params returns the parameters themselves, not a copy; see the package doc for
// their layout.
func (n *Net) Params() []float32 { return n.params }

// Grads returns the gradients that the last Backward left, in the layout of the
// parameters. They are the network's own too.
func (n *Net) Grads() []float32 { return n.grads }

// Views returns the parts of the parameters and gradients, in their order.
func (n *Net) Views() []View { return slices.Clone(n.views) }

// Layout returns the shapes of the parts, in their order, for the optimizers that go by
// them. The weights of the first and of the last affine layer are Outer.
func (n *Net) Layout() []optim.Tensor {
	var layout []optim.Tensor
	for i := range n.stages {
		if s := &n.stages[i]; s.affine {
			outer := len(layout) == 0 || len(layout)+2 == len(n.views)
			layout = append(layout, optim.Tensor{Rows: s.in, Cols: s.out, Outer: outer}, optim.Tensor{Rows: 1, Cols: s.out})
		}
	}
	return layout
}

// Forward returns the outputs for each row of x:
//
//	y = act(x·W + b)
//
// for each affine layer. The result belongs to the network and holds until its
// next use; Backward needs it, and x, unchanged.
//
// Shapes: x: rows×In, the result: rows×Out.
func (n *Net) Forward(x []float32, rows int, limit ...kernels.Threads) []float32 {
	wantMatrix("Net.Forward", "x", len(x), rows, n.In())
	n.x, n.rows = x, rows
	for i := range n.stages {
		s := &n.stages[i]
		s.y = resize(s.y, rows*s.out)
		s.forward(s.y, x, rows, limit...)
		x = s.y
	}
	return x
}

func (s *stage) forward(y, x []float32, rows int, limit ...kernels.Threads) {
	if !s.affine {
		kernels.Activate(s.act, y, x, limit...)
		return
	}
	kernels.GemmFused(kernels.NoTrans, kernels.NoTrans, rows, s.out, s.in, 1, x, s.in, s.w, s.out, 0, y, s.out,
		kernels.Epilogue{Bias: s.b, Act: s.act}, limit...)
}

// Backward sets Grads to the gradients of a loss with respect to the
// parameters, given dy, that with respect to the outputs of the last Forward.
// From the last affine layer to the first, with dz the gradient before its
// activation:
//
//	dW = xᵀ·dz
//	db = Σ dz over the rows, in their order
//	dx = dz·Wᵀ, times the derivative of the activation that gave x
//
// Nothing is computed for the inputs of the network.
//
// Shapes: dy: rows×Out.
func (n *Net) Backward(dy []float32, limit ...kernels.Threads) {
	last := len(n.stages) - 1
	wantMatrix("Net.Backward", "dy", len(dy), n.rows, n.Out())
	dz := dy
	if s := &n.stages[last]; s.act != kernels.Identity {
		dz = n.scratch(last)
		kernels.Derive(s.act, dz, dy, s.y, limit...)
	}
	for i := last; i > 0; i-- {
		s, before := &n.stages[i], &n.stages[i-1]
		s.backward(dz, before.y, n.rows, limit...)
		dx := n.scratch(i - 1)
		if s.affine {
			kernels.GemmFused(kernels.NoTrans, kernels.Trans, n.rows, s.in, s.out, 1, dz, s.out, s.w, s.out, 0, dx, s.in,
				kernels.Epilogue{Deriv: before.act, Y: before.y, LdY: s.in}, limit...)
		} else {
			kernels.Derive(before.act, dx, dz, before.y, limit...)
		}
		dz = dx
	}
	n.stages[0].backward(dz, n.x, n.rows, limit...)
}

// backward sets the gradients of the parameters.
func (s *stage) backward(dz, x []float32, rows int, limit ...kernels.Threads) {
	if !s.affine {
		return
	}
	kernels.Gemm(kernels.Trans, kernels.NoTrans, s.in, s.out, rows, 1, x, s.in, dz, s.out, 0, s.dw, s.out, limit...)
	kernels.SumRows(rows, s.out, s.db, dz, s.out, limit...)
}

// scratch returns the memory for the gradient at the outputs of stage i.
func (n *Net) scratch(i int) []float32 {
	dz := &n.dz[i%2]
	*dz = resize(*dz, n.rows*n.stages[i].out)
	return *dz
}

// Predictor computes the outputs of a network in memory of its own, so that each
// of many goroutines can have one. It uses the network's parameters as they are
// at the moment; nothing may change them meanwhile.
type Predictor struct {
	net *Net
	max int
	y   [2][]float32
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
// bits whatever the other rows, and those of [Net.Forward].
//
// Shapes: dst: rows×Out; x: rows×In, rows being any number. Aliasing: none.
func (p *Predictor) Predict(dst, x []float32, rows int, limit ...kernels.Threads) {
	in, out := p.net.In(), p.net.Out()
	wantMatrix("Predictor.Predict", "x", len(x), rows, in)
	wantMatrix("Predictor.Predict", "dst", len(dst), rows, out)
	last := len(p.net.stages) - 1
	for ; rows > 0; rows -= p.max {
		some := min(rows, p.max)
		x0 := x[:some*in]
		for i := range p.net.stages[:last] {
			y := &p.y[i%2]
			*y = resize(*y, some*p.net.stages[i].out)
			p.net.stages[i].forward(*y, x0, some, limit...)
			x0 = *y
		}
		p.net.stages[last].forward(dst[:some*out], x0, some, limit...)
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
