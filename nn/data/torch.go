package data

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-go/lockstep/nn"
)

// layerParts is a layer of a network with what belongs to it.
type layerParts struct {
	kind    string // as nn.ParseLayer has it, and affine
	args    []float64
	in, out int
	params  [2][]float32 // W and b, or gamma and beta
	stats   [2][]float32 // of a batchnorm: mean and variance
}

// parseLayer returns the name and the arguments of a layer, and how many outputs it makes of in.
func parseLayer(l nn.Layer, in int) (kind string, args []float64, out int) {
	fields := strings.Split(l.String(), ":")
	if n, err := strconv.Atoi(fields[0]); err == nil {
		return "affine", nil, n
	}
	for _, field := range fields[1:] {
		v, err := strconv.ParseFloat(field, 64)
		if err != nil {
			panic(fmt.Sprintf("data: layer %s: %v", l, err)) // it does not read what it wrote
		}
		args = append(args, v)
	}
	return fields[0], args, in
}

// partsOf returns the layers of a network with their parameters and running statistics, which
// are the network's own.
func partsOf(net *nn.Net) []layerParts {
	views, params, stats, width := net.Views(), net.Params(), net.Stats(), net.In()
	var parts []layerParts
	for _, l := range net.Layers() {
		p := layerParts{in: width}
		p.kind, p.args, p.out = parseLayer(l, width)
		switch p.kind {
		case "affine", "batchnorm", "layernorm":
			p.params = [2][]float32{views[0].Of(params), views[1].Of(params)}
			views = views[2:]
		}
		if p.kind == "batchnorm" {
			p.stats = [2][]float32{stats[:width:width], stats[width:][:width:width]}
			stats = stats[2*width:]
		}
		width = p.out
		parts = append(parts, p)
	}
	return parts
}

// torchTensor is a tensor of a state_dict and where in the network it is from.
type torchTensor struct {
	name    string
	shape   []int
	of      []float32
	swapped bool // of is a matrix that has the shape the other way round
	count   bool // a number without which a file can be: num_batches_tracked, not of the network
}

// torchTensors lists the tensors of a network in the order of a state_dict.
func torchTensors(net *nn.Net, prefix string) ([]torchTensor, error) {
	var list []torchTensor
	for k, p := range partsOf(net) {
		add := func(name string, of []float32) {
			list = append(list, torchTensor{name: fmt.Sprintf("%s%d.%s", prefix, k, name), shape: []int{len(of)}, of: of})
		}
		switch p.kind {
		case "affine":
			add("weight", p.params[0])
			w := &list[len(list)-1]
			w.shape, w.swapped = []int{p.out, p.in}, true
			add("bias", p.params[1])
		case "layernorm", "batchnorm":
			add("weight", p.params[0])
			add("bias", p.params[1])
			if p.kind == "batchnorm" {
				add("running_mean", p.stats[0])
				add("running_var", p.stats[1])
				add("num_batches_tracked", nil)
				n := &list[len(list)-1]
				n.shape, n.count = []int{}, true
			}
		case "dropout-book":
			return nil, fmt.Errorf("layer %d is %s, which PyTorch does not have; dropout divides in training instead", k+1, net.Layers()[k])
		}
	}
	return list, nil
}

// StateDict returns the parameters and running statistics of a network as the state_dict of
// PyTorch's torch.nn.Sequential of the same layers, which [TorchSequential] writes down. Each
// name has prefix before it, such as "layers."; k counts the layers from 0, be they with
// parameters or without:
//
//	affine     k.weight, out×in: W transposed; k.bias
//	layernorm  k.weight: gamma; k.bias: beta
//	batchnorm  the same, k.running_mean, k.running_var, and k.num_batches_tracked, an integer
//	           that is 0: the network does not count them, and PyTorch needs none
//
// The tensors are copies. A dropout-book, which PyTorch does not have, is an error.
func StateDict(net *nn.Net, prefix string) ([]Tensor, error) {
	tensors, err := stateDict(net, prefix)
	if err != nil {
		return nil, fmt.Errorf("data.StateDict: %w", err)
	}
	return tensors, nil
}

func stateDict(net *nn.Net, prefix string) ([]Tensor, error) {
	list, err := torchTensors(net, prefix)
	if err != nil {
		return nil, err
	}
	var tensors []Tensor
	for _, l := range list {
		t := Tensor{Name: l.name, DType: "F32", Shape: l.shape}
		switch {
		case l.count:
			t.DType, t.Ints = "I64", []int64{0}
		case l.swapped:
			t.Data = make([]float32, len(l.of))
			swap(t.Data, l.of, l.shape[1], l.shape[0])
		default:
			t.Data = slices.Clone(l.of)
		}
		tensors = append(tensors, t)
	}
	return tensors, nil
}

// swap sets dst to the transpose of x, which is rows×cols.
func swap(dst, x []float32, rows, cols int) {
	const block = 32 // of both, so that the lines stay in the cache
	for i0 := 0; i0 < rows; i0 += block {
		for j0 := 0; j0 < cols; j0 += block {
			for i := i0; i < min(i0+block, rows); i++ {
				for j := j0; j < min(j0+block, cols); j++ {
					dst[j*rows+i] = x[i*cols+j]
				}
			}
		}
	}
}

// LoadStateDict sets the parameters and running statistics of a network to those of a
// PyTorch model, under the names and with the shapes of [StateDict]. Tensors whose names do
// not begin with prefix are left alone; all others must be the network's, and all of the
// network must be there, but for num_batches_tracked, which is not used. Otherwise the error names
// the tensors and the shapes that the layers want, and the network stays as it is.
//
// The tensors do not say which activations the model has, nor an eps: the layers of net must
// have those of the model. PyTorch's BatchNorm1d without options is the layer
// batchnorm:0.9:1e-5:1, its LayerNorm is layernorm.
func LoadStateDict(net *nn.Net, tensors []Tensor, prefix string) error {
	if err := loadStateDict(net, tensors, prefix); err != nil {
		return fmt.Errorf("data.LoadStateDict: %w", err)
	}
	return nil
}

func loadStateDict(net *nn.Net, tensors []Tensor, prefix string) error {
	list, err := torchTensors(net, prefix)
	if err != nil {
		return err
	}
	byName := map[string]*Tensor{}
	var superfluous, missing, wrong []string
	for i := range tensors {
		t := &tensors[i]
		switch {
		case !strings.HasPrefix(t.Name, prefix):
		case byName[t.Name] != nil:
			return fmt.Errorf("two tensors of the name %q", clipped(t.Name))
		case !slices.ContainsFunc(list, func(l torchTensor) bool { return l.name == t.Name }):
			superfluous = append(superfluous, fmt.Sprintf("%q of shape %s", clipped(t.Name), shapeText(t.Shape)))
		default:
			byName[t.Name] = t
		}
	}
	for _, l := range list {
		t := byName[l.name]
		switch {
		case t == nil && !l.count:
			missing = append(missing, fmt.Sprintf("%q of shape %s", l.name, shapeText(l.shape)))
		case t == nil:
		case (t.Ints != nil) != l.count:
			wrong = append(wrong, fmt.Sprintf("%q with elements of type %s, want %s", l.name, t.DType, map[bool]string{false: "F32", true: "I64"}[l.count]))
		case !l.count && (!slices.Equal(t.Shape, l.shape) || len(t.Data) != len(l.of)):
			wrong = append(wrong, fmt.Sprintf("%q of shape %s, want %s", l.name, shapeText(t.Shape), shapeText(l.shape)))
		}
	}
	var problems []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"there is no ", missing}, {"there is ", wrong}, {"the layers do not have ", superfluous}} {
		if len(p.names) > 0 {
			problems = append(problems, p.what+listed(p.names))
		}
	}
	if len(problems) > 0 {
		of := "the layers are " + layersText(net)
		if len(byName) == 0 && len(tensors) > 0 {
			of += fmt.Sprintf(", and no name begins with the prefix %q and one of their numbers", prefix)
		}
		return fmt.Errorf("%s (%s)", strings.Join(problems, "; "), of)
	}
	for _, l := range list {
		switch {
		case l.count:
		case l.swapped:
			swap(l.of, byName[l.name].Data, l.shape[0], l.shape[1])
		default:
			copy(l.of, byName[l.name].Data)
		}
	}
	return nil
}

// shapeText is a shape as text: 10×100, or a number alone.
func shapeText(shape []int) string {
	if len(shape) == 0 {
		return "()"
	}
	var text []string
	for _, n := range shape {
		text = append(text, strconv.Itoa(n))
	}
	return strings.Join(text, "×")
}

// listed has the first few of some names.
func listed(names []string) string {
	const most = 6
	if n := len(names); n > most {
		names = append(names[:most:most], fmt.Sprintf("%d more", n-most))
	}
	return strings.Join(names, ", ")
}

// layersText is the inputs and the layers of a network.
func layersText(net *nn.Net) string {
	text := fmt.Sprintf("%d inputs", net.In())
	for _, l := range net.Layers() {
		text += "," + l.String()
	}
	return text
}

// WriteTorch writes the [StateDict] of a network as a safetensors file, which PyTorch loads
// with
//
//	model.load_state_dict(safetensors.torch.load_file(path))
func WriteTorch(w io.Writer, net *nn.Net, prefix string) error {
	if err := writeTorch(w, net, prefix); err != nil {
		return fmt.Errorf("data.WriteTorch: %w", err)
	}
	return nil
}

func writeTorch(w io.Writer, net *nn.Net, prefix string) error {
	tensors, err := stateDict(net, prefix)
	if err != nil {
		return err
	}
	return writeSafetensors(w, tensors, map[string]string{"format": "pt"})
}

// WriteTorchFile is [WriteTorch] to a file, as [WriteSafetensorsFile].
func WriteTorchFile(path string, net *nn.Net, prefix string) error {
	return toFile(path, func(w io.Writer) error { return writeTorch(w, net, prefix) })
}

// ReadTorch fills a network with a safetensors file, as [LoadStateDict]. PyTorch writes one
// with
//
//	safetensors.torch.save_file(model.state_dict(), path)
//
// What torch.save writes is not read.
func ReadTorch(r io.Reader, net *nn.Net, prefix string) error {
	tensors, _, err := ReadSafetensors(r)
	if err != nil {
		return err
	}
	if err := loadStateDict(net, tensors, prefix); err != nil {
		return fmt.Errorf("data.ReadTorch: %w", err)
	}
	return nil
}

// ReadTorchFile is [ReadTorch] from a file.
func ReadTorchFile(path string, net *nn.Net, prefix string) error {
	tensors, _, err := readSafetensorsFile(path)
	if err == nil {
		err = loadStateDict(net, tensors, prefix)
	}
	if err != nil {
		return fmt.Errorf("data: reading %s: %w", path, err)
	}
	return nil
}

// TorchSequential returns the Python expression of PyTorch's module with the same layers,
// torch.nn.Sequential(torch.nn.Linear(784, 100), torch.nn.ReLU(), …). It predicts the same
// when it is in eval mode. In training a batchnorm is PyTorch's only if it is unbiased.
//
// A dropout-book, which PyTorch does not have, is an error.
func TorchSequential(in int, layers []nn.Layer) (string, error) {
	var modules []string
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for i, l := range layers {
		kind, args, out := parseLayer(l, in)
		m := ""
		switch kind {
		case "affine":
			m = fmt.Sprintf("Linear(%d, %d)", in, out)
		case "relu":
			m = "ReLU()"
		case "leakyrelu":
			m = fmt.Sprintf("LeakyReLU(%s)", number(args[0]))
		case "elu":
			m = fmt.Sprintf("ELU(%s)", number(args[0]))
		case "gelu":
			m = "GELU()"
		case "gelu-tanh":
			m = "GELU(approximate='tanh')"
		case "silu":
			m = "SiLU()"
		case "sigmoid":
			m = "Sigmoid()"
		case "tanh":
			m = "Tanh()"
		case "softplus":
			m = "Softplus()"
		case "softmax":
			m = "Softmax(dim=1)"
		case "batchnorm":
			// One minus 0.9 is 0.1 in the float32 that the step is done in.
			momentum := strconv.FormatFloat(1-args[0], 'g', -1, 32)
			m = fmt.Sprintf("BatchNorm1d(%d, eps=%s, momentum=%s)", in, number(args[1]), momentum)
		case "layernorm":
			m = fmt.Sprintf("LayerNorm(%d, eps=%s)", in, number(args[0]))
		case "dropout":
			m = fmt.Sprintf("Dropout(%s)", number(args[0]))
		case "dropout-book":
			return "", fmt.Errorf("data.TorchSequential: layer %d is %s, which PyTorch does not have", i+1, l)
		default:
			return "", fmt.Errorf("data.TorchSequential: layer %d is %s, which is not known here", i+1, l)
		}
		modules = append(modules, "torch.nn."+m)
		in = out
	}
	return "torch.nn.Sequential(" + strings.Join(modules, ", ") + ")", nil
}
