package data

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/lockstep-go/lockstep/nn"
)

// The versions that the files are in. The operator set is the first one with
// LayerNormalization; the version of the format is the one that came with it.
const (
	onnxOpset     = 17
	onnxIRVersion = 8
)

// ONNXOptions are the options of [WriteONNX].
type ONNXOptions struct {
	// Mean and Std, unless nil, are a number for each input: the file's network is that of
	// (x - Mean)/Std.
	Mean, Std []float32
}

// WriteONNX writes a network for prediction as an ONNX file: of IR version 8 and with operator
// set 17, which onnxruntime has since 1.12. The input "x" is N×In and the output "y" N×Out,
// in float32, with any N. The layers become these operators:
//
//	Mean, Std              Sub, Div
//	affine                 Gemm
//	relu, leakyrelu, elu   Relu, LeakyRelu, Elu
//	sigmoid, tanh          Sigmoid, Tanh
//	softplus, softmax      Softplus, Softmax
//	gelu                   x·(erf(x·√½)·½ + ½): Mul, Erf, Mul, Add, Mul
//	gelu-tanh              x·sigmoid(x·(c·x² + d)), which is the same in other words: Mul, Mul, Add, Mul, Sigmoid, Mul
//	silu                   x·sigmoid(x): Sigmoid, Mul
//	batchnorm              BatchNormalization, by the running statistics
//	layernorm              LayerNormalization
//	dropout                nothing
//	dropout-book           Mul by 1 - rate
//
// Parameters have the names of [nn.Net.Views], and the running statistics mean1, variance1,
// and so on by the number of the normalisation. The same network gives the same bytes.
//
// Mean or Std of another length, or a Std that is not above 0, is an error, and so is a
// network of 2 GiB, more than the format can hold. Then nothing is written.
func WriteONNX(w io.Writer, net *nn.Net, o ONNXOptions) error {
	if err := writeONNX(w, net, o); err != nil {
		return fmt.Errorf("data.WriteONNX: %w", err)
	}
	return nil
}

// WriteONNXFile is [WriteONNX] to a file, as [WriteSafetensorsFile].
func WriteONNXFile(path string, net *nn.Net, o ONNXOptions) error {
	return toFile(path, func(w io.Writer) error { return writeONNX(w, net, o) })
}

func writeONNX(w io.Writer, net *nn.Net, o ONNXOptions) error {
	for _, v := range []struct {
		name string
		of   []float32
	}{{"Mean", o.Mean}, {"Std", o.Std}} {
		if v.of != nil && len(v.of) != net.In() {
			return fmt.Errorf("len(%s) = %d, want %d, one for each input", v.name, len(v.of), net.In())
		}
	}
	for i, s := range o.Std {
		if !(s > 0) {
			return fmt.Errorf("Std[%d] = %v, want above 0", i, s)
		}
	}
	if size := 4 * (uint64(net.NumParams()) + uint64(len(net.Stats()))); size > math.MaxInt32 {
		return fmt.Errorf("parameters of %d bytes, want at most %d", size, math.MaxInt32)
	}
	model := onnxModel(net, o)
	if model.size > math.MaxInt32 {
		return fmt.Errorf("a network of %d bytes, want at most %d", model.size, math.MaxInt32)
	}
	b := bufio.NewWriterSize(w, 1<<16)
	for _, part := range model.parts {
		if _, err := b.Write(part); err != nil {
			return err
		}
	}
	return b.Flush()
}

// onnxModel returns the ModelProto of a network. The numbers of the fields are those of
// onnx.proto.
func onnxModel(net *nn.Net, o ONNXOptions) *proto {
	g := &onnxGraph{at: "x"}
	if o.Mean != nil {
		g.step("Sub", nil, g.values("mean", o.Mean, len(o.Mean)))
	}
	if o.Std != nil {
		g.step("Div", nil, g.values("std", o.Std, len(o.Std)))
	}
	affines, norms := 0, 0
	for _, p := range partsOf(net) {
		switch p.kind {
		case "affine":
			affines++
			w := g.values(fmt.Sprint("W", affines), p.params[0], p.in, p.out)
			g.step("Gemm", nil, w, g.values(fmt.Sprint("b", affines), p.params[1], p.out))
		case "batchnorm", "layernorm":
			norms++
			own := []string{
				g.values(fmt.Sprint("gamma", norms), p.params[0], p.in),
				g.values(fmt.Sprint("beta", norms), p.params[1], p.in),
			}
			if p.kind == "layernorm" {
				g.step("LayerNormalization", floatAttribute("epsilon", p.args[0]), own...)
				break
			}
			own = append(own, g.values(fmt.Sprint("mean", norms), p.stats[0], p.in), g.values(fmt.Sprint("variance", norms), p.stats[1], p.in))
			g.step("BatchNormalization", floatAttribute("epsilon", p.args[1]), own...)
		case "relu":
			g.step("Relu", nil)
		case "leakyrelu":
			g.step("LeakyRelu", floatAttribute("alpha", p.args[0]))
		case "elu":
			g.step("Elu", floatAttribute("alpha", p.args[0]))
		case "sigmoid":
			g.step("Sigmoid", nil)
		case "tanh":
			g.step("Tanh", nil)
		case "softplus":
			g.step("Softplus", nil)
		case "softmax":
			g.step("Softmax", nil) // over the last axis
		case "gelu":
			x := g.at
			half := g.number("half", 0.5)
			g.step("Mul", nil, g.number("sqrt_half", math.Sqrt2/2))
			g.step("Erf", nil)
			g.step("Mul", nil, half)
			g.step("Add", nil, half)
			g.step("Mul", nil, x)
		case "gelu-tanh":
			// ½·(1 + tanh u) is sigmoid(2·u), with u = √(2/π)·(x + 0.044715·x³).
			root := 2 * math.Sqrt(2/math.Pi)
			x := g.at
			g.step("Mul", nil, x)
			g.step("Mul", nil, g.number("gelu_c", 0.044715*root))
			g.step("Add", nil, g.number("gelu_d", root))
			g.step("Mul", nil, x)
			g.step("Sigmoid", nil)
			g.step("Mul", nil, x)
		case "silu":
			x := g.at
			g.step("Sigmoid", nil)
			g.step("Mul", nil, x)
		case "dropout-book":
			g.step("Mul", nil, g.number(fmt.Sprint("kept", len(g.nodes)+1), 1-p.args[0]))
		case "dropout":
		default:
			panic(fmt.Sprintf("data.WriteONNX: layer %s has no operators", p.kind))
		}
	}
	if len(g.nodes) == 0 {
		g.step("Identity", nil)
	}
	g.nodes[len(g.nodes)-1].output = "y"

	graph := new(proto)
	for i, n := range g.nodes {
		graph.message(1, n.proto(fmt.Sprint(n.op, i+1)))
	}
	graph.text(2, "net")
	for _, v := range g.initializers {
		graph.message(5, v)
	}
	graph.text(10, layersText(net))
	graph.message(11, valueInfo("x", net.In()))
	graph.message(12, valueInfo("y", net.Out()))

	opset := new(proto)
	opset.text(1, "") // the domain of the standard
	opset.varint(2, onnxOpset)
	model := new(proto)
	model.varint(1, onnxIRVersion)
	model.text(2, "lockstep")
	model.message(7, graph)
	model.message(8, opset)
	return model
}

// onnxGraph is a graph on its way: a chain of nodes.
type onnxGraph struct {
	at           string // the value that the next node is for
	nodes        []onnxNode
	initializers []*proto
	names        map[string]bool // of the initializers
}

// onnxNode is an operation.
type onnxNode struct {
	op        string
	inputs    []string
	output    string
	attribute *proto
}

// step adds a node for the value at hand and others.
func (g *onnxGraph) step(op string, attribute *proto, others ...string) {
	n := onnxNode{op: op, inputs: append([]string{g.at}, others...), output: fmt.Sprint("h", len(g.nodes)+1), attribute: attribute}
	g.nodes = append(g.nodes, n)
	g.at = n.output
}

// values adds a constant, unless there is one of the name, and returns its name.
func (g *onnxGraph) values(name string, x []float32, shape ...int) string {
	if g.names[name] {
		return name
	}
	if g.names == nil {
		g.names = map[string]bool{}
	}
	g.names[name] = true
	t := new(proto) // TensorProto
	for _, n := range shape {
		t.varint(1, uint64(n))
	}
	t.varint(2, 1) // FLOAT
	t.text(8, name)
	t.bytes(9, appendFloats(make([]byte, 0, 4*len(x)), x))
	g.initializers = append(g.initializers, t)
	return name
}

// number adds a single one.
func (g *onnxGraph) number(name string, v float64) string {
	return g.values(name, []float32{float32(v)})
}

// proto returns the NodeProto.
func (n *onnxNode) proto(name string) *proto {
	p := new(proto)
	for _, in := range n.inputs {
		p.text(1, in)
	}
	p.text(2, n.output)
	p.text(3, name)
	p.text(4, n.op)
	if n.attribute != nil {
		p.message(5, n.attribute)
	}
	return p
}

// floatAttribute returns an AttributeProto.
func floatAttribute(name string, v float64) *proto {
	p := new(proto)
	p.text(1, name)
	p.float(2, float32(v))
	p.varint(20, 1) // FLOAT
	return p
}

// valueInfo returns the ValueInfoProto of a matrix with N rows.
func valueInfo(name string, cols int) *proto {
	dims, n, m := new(proto), new(proto), new(proto)
	n.text(2, "N")
	m.varint(1, uint64(cols))
	dims.message(1, n)
	dims.message(1, m)
	tensor := new(proto)
	tensor.varint(1, 1) // FLOAT
	tensor.message(2, dims)
	of := new(proto)
	of.message(1, tensor)
	p := new(proto)
	p.text(1, name)
	p.message(2, of)
	return p
}

// proto is a message of protocol buffers: its bytes in parts, so that a large one is not
// copied into another that has it.
type proto struct {
	parts [][]byte
	size  int
}

func (p *proto) add(part []byte) {
	p.parts = append(p.parts, part)
	p.size += len(part)
}

// tag adds the number of a field and how its value is written.
func (p *proto) tag(field, wire int) {
	p.add(binary.AppendUvarint(nil, uint64(field<<3|wire)))
}

func (p *proto) varint(field int, v uint64) {
	p.tag(field, 0)
	p.add(binary.AppendUvarint(nil, v))
}

func (p *proto) float(field int, v float32) {
	p.tag(field, 5)
	p.add(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
}

func (p *proto) bytes(field int, b []byte) {
	p.tag(field, 2)
	p.add(binary.AppendUvarint(nil, uint64(len(b))))
	p.add(b)
}

func (p *proto) text(field int, s string) { p.bytes(field, []byte(s)) }

func (p *proto) message(field int, m *proto) {
	p.tag(field, 2)
	p.add(binary.AppendUvarint(nil, uint64(m.size)))
	p.parts = append(p.parts, m.parts...)
	p.size += m.size
}
