package nn

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-go/lockstep/kernels"
)

// Layer describes a layer of a network: what [Affine], [ReLU] and the other
// functions below return, and [ParseLayer].
type Layer struct {
	kind kind
	out  int        // of an affine layer
	args [3]float64 // as layerKinds has them
}

type kind uint8

const (
	kindAffine kind = iota // first, so that Layer{} is an affine layer without outputs
	kindReLU
	kindLeakyReLU
	kindELU
	kindGELU
	kindGELUTanh
	kindSiLU
	kindSigmoid
	kindTanh
	kindSoftplus
	kindSoftmax
	kindBatchNorm
	kindLayerNorm
	kindDropout
	kindBookDropout
)

// layerKind is the name of a kind and its arguments.
type layerKind struct {
	name string
	args []layerArg
}

var layerKinds = [...]layerKind{
	kindAffine:      {"affine", nil},
	kindReLU:        {"relu", nil},
	kindLeakyReLU:   {"leakyrelu", []layerArg{{"slope", 0.01, 0, math.MaxFloat32}}},
	kindELU:         {"elu", []layerArg{{"alpha", 1, 0, math.MaxFloat32}}},
	kindGELU:        {"gelu", nil},
	kindGELUTanh:    {"gelu-tanh", nil},
	kindSiLU:        {"silu", nil},
	kindSigmoid:     {"sigmoid", nil},
	kindTanh:        {"tanh", nil},
	kindSoftplus:    {"softplus", nil},
	kindSoftmax:     {"softmax", nil},
	kindBatchNorm:   {"batchnorm", []layerArg{{"momentum", 0.9, 0, 1}, {"eps", 1e-6, smallest, math.MaxFloat32}, {"unbiased", 0, 0, 1}}},
	kindLayerNorm:   {"layernorm", []layerArg{{"eps", 1e-5, smallest, math.MaxFloat32}}},
	kindDropout:     {"dropout", []layerArg{{"rate", 0.5, 0, maxRate}}},
	kindBookDropout: {"dropout-book", []layerArg{{"rate", 0.5, 0, maxRate}}},
}

// maxRate is the largest rate of dropout: of 2³¹ numbers at least one stays.
const maxRate = 1 - 0x1p-31

// smallest is the least that is above zero as a float32.
const smallest = math.SmallestNonzeroFloat32

// layerArg is an argument of a layer: a number from lo to hi.
type layerArg struct {
	name         string
	defaultValue float64
	lo, hi       float64
}

// Affine is the layer y = x·W + b with out outputs.
func Affine(out int) Layer { return Layer{out: out} }

// ReLU is the activation that is 0 where 0 > x, else x.
func ReLU() Layer { return Layer{kind: kindReLU} }

// LeakyReLU is the activation that is slope·x where 0 > x, else x; PyTorch's slope
// is 0.01.
func LeakyReLU(slope float64) Layer { return Layer{kind: kindLeakyReLU, args: [3]float64{slope}} }

// ELU is the activation that is x where x > 0, else alpha·(e^x - 1); the paper's alpha
// is 1.
//
// Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning
// by exponential linear units, 2015.
func ELU(alpha float64) Layer { return Layer{kind: kindELU, args: [3]float64{alpha}} }

// GELU is the activation x·Φ(x), with Φ the distribution function of a normal deviate;
// GELUTanh is the approximation of it by tanh.
//
// Source: Hendrycks and Gimpel, Gaussian error linear units, 2016.
func GELU() Layer     { return Layer{kind: kindGELU} }
func GELUTanh() Layer { return Layer{kind: kindGELUTanh} }

// SiLU is the activation x/(1 + e^-x), also called swish.
func SiLU() Layer { return Layer{kind: kindSiLU} }

// Sigmoid is the activation 1/(1 + e^-x).
func Sigmoid() Layer { return Layer{kind: kindSigmoid} }

// Tanh is the activation tanh x.
func Tanh() Layer { return Layer{kind: kindTanh} }

// Softplus is the activation ln(1 + e^x).
func Softplus() Layer { return Layer{kind: kindSoftplus} }

// Softmax turns each row into probabilities, e^x[j]/Σ e^x. The loss
// [SoftmaxCrossEntropy] has one built in and wants none before it.
func Softmax() Layer { return Layer{kind: kindSoftmax} }

// BatchNormOptions are the options of [BatchNorm]. PyTorch's form is
// BatchNormOptions{Eps: 1e-5, Unbiased: true}; its momentum is one minus this one.
type BatchNormOptions struct {
	Momentum float64 // of the running mean and variance, below 1; 0 stands for 0.9
	Eps      float64 // 0 stands for 1e-6
	Unbiased bool    // the running variance is that of rows-1
}

// BatchNorm normalises each column over the rows of the batch:
//
//	h = (x - mean)/√(variance + eps)
//	y = h·gamma + beta
//
// with the variance over the number of rows. Training keeps running means of both,
//
//	running = Momentum·running + (1-Momentum)·batch
//
// which prediction normalises by. With a batch of one row h is zero, and only the running
// mean takes it in. See
// [kernels.Normalize] and [kernels.NormalizeGrad] for the arithmetic.
//
// Source: Ioffe and Szegedy, Batch normalization, 2015; the defaults are those of Deep
// Learning from Scratch, section 6.3.
func BatchNorm(o BatchNormOptions) Layer {
	l := of(kindBatchNorm, o.Momentum, o.Eps)
	if o.Unbiased {
		l.args[2] = 1
	}
	return l
}

// LayerNorm normalises each row,
//
//	h = (x - mean)/√(variance + eps)
//	y = h·gamma + beta
//
// with the row's own mean and variance. An eps of 0 stands for 1e-5. See
// [kernels.LayerNorm] for the arithmetic.
//
// Source: Ba, Kiros and Hinton, Layer normalization, 2016.
func LayerNorm(eps float64) Layer { return of(kindLayerNorm, eps) }

// Dropout puts zero in the place of each input with probability rate in training, and
// divides the others by 1 - rate; prediction leaves all as they are. The seed and
// the step of the pass, the number of the layer, the row and the column choose what is
// dropped; see [Net.DropoutAt].
//
// Source: Srivastava et al., Dropout: a simple way to prevent neural networks from
// overfitting, 2014, in the form that divides in training.
func Dropout(rate float64) Layer { return Layer{kind: kindDropout, args: [3]float64{rate}} }

// BookDropout is [Dropout] as Deep Learning from Scratch, section 6.4.3, has it:
// training leaves what is kept as it is, and prediction multiplies by 1 - rate.
func BookDropout(rate float64) Layer { return Layer{kind: kindBookDropout, args: [3]float64{rate}} }

// of makes a layer, with the default of each argument that is zero.
func of(k kind, args ...float64) Layer {
	l := Layer{kind: k}
	for i, a := range layerKinds[k].args {
		if l.args[i] = a.defaultValue; i < len(args) && args[i] != 0 {
			l.args[i] = args[i]
		}
	}
	return l
}

// check wants the arguments in their ranges.
func (l Layer) check() error {
	if l.kind == kindAffine && l.out < 1 {
		return fmt.Errorf("Affine(%d), want at least 1 output", l.out)
	}
	for i, a := range layerKinds[l.kind].args {
		if v := l.args[i]; !(v >= a.lo && v <= a.hi) {
			return fmt.Errorf("%s with %s = %v, want from %v to %v", layerKinds[l.kind].name, a.name, v, a.lo, a.hi)
		}
	}
	if l.kind == kindBatchNorm {
		if l.args[0] == 1 {
			return fmt.Errorf("batchnorm with momentum = 1, want below 1")
		}
		if u := l.args[2]; u != 0 && u != 1 {
			return fmt.Errorf("batchnorm with unbiased = %v, want 0 or 1", u)
		}
	}
	return nil
}

// activation is the layer as an activation, or Identity if it is none.
func (l Layer) activation() kernels.Activation {
	switch l.kind {
	case kindReLU:
		return kernels.ActReLU
	case kindLeakyReLU:
		return kernels.ActLeakyReLU(float32(l.args[0]))
	case kindELU:
		return kernels.ActELU(float32(l.args[0]))
	case kindGELU:
		return kernels.ActGELU
	case kindGELUTanh:
		return kernels.ActGELUTanh
	case kindSiLU:
		return kernels.ActSiLU
	case kindSigmoid:
		return kernels.ActSigmoid
	case kindTanh:
		return kernels.ActTanh
	case kindSoftplus:
		return kernels.ActSoftplus
	}
	return kernels.Identity
}

// String returns the text that [ParseLayer] reads the layer from.
func (l Layer) String() string {
	if l.kind == kindAffine {
		return strconv.Itoa(l.out)
	}
	k := layerKinds[l.kind]
	text := k.name
	for i := range k.args {
		text += ":" + strconv.FormatFloat(l.args[i], 'g', -1, 64)
	}
	return text
}

// LayerNames returns the forms that [ParseLayer] takes.
func LayerNames() []string {
	names := []string{"N"}
	for _, k := range layerKinds[1:] {
		name := k.name
		for _, a := range k.args {
			name += "[:" + strings.ToUpper(a.name)
		}
		names = append(names, name+strings.Repeat("]", len(k.args)))
	}
	return names
}

// Activations returns the names of the activations, as [ParseLayer] takes them.
func Activations() []string {
	var names []string
	for k := kindReLU; k <= kindSoftplus; k++ {
		names = append(names, layerKinds[k].name)
	}
	return names
}

// ParseLayer reads a layer from a text such as 100, relu, elu:0.5 or
// batchnorm:0.9:1e-5: a number for an affine layer of so many outputs, else a name and,
// behind colons, its arguments, in the order of the functions' or options'; those left out
// are at their defaults. Other text is an error that says what is valid.
func ParseLayer(text string) (Layer, error) {
	fields := strings.Split(strings.TrimSpace(text), ":")
	if out, err := strconv.Atoi(fields[0]); err == nil && len(fields) == 1 {
		l := Affine(out)
		if err := l.check(); err != nil {
			return Layer{}, fmt.Errorf("nn: layer %q: %w", text, err)
		}
		return l, nil
	}
	i := slices.IndexFunc(layerKinds[1:], func(k layerKind) bool { return k.name == fields[0] })
	if i < 0 {
		return Layer{}, fmt.Errorf("nn: unknown layer %q, want one of %s", text, strings.Join(LayerNames(), ", "))
	}
	k := kind(i + 1)
	l := of(k)
	if most := len(layerKinds[k].args); len(fields)-1 > most {
		return Layer{}, fmt.Errorf("nn: layer %q: %d arguments, want at most %d", text, len(fields)-1, most)
	}
	for i, field := range fields[1:] {
		v, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return Layer{}, fmt.Errorf("nn: layer %q: %s is %q, want a number", text, layerKinds[k].args[i].name, field)
		}
		l.args[i] = v
	}
	if err := l.check(); err != nil {
		return Layer{}, fmt.Errorf("nn: layer %q: %w", text, err)
	}
	return l, nil
}

// ParseLayers reads layers with commas between, as in 256,relu,dropout:0.2,10.
func ParseLayers(text string) ([]Layer, error) {
	var layers []Layer
	for _, field := range strings.Split(text, ",") {
		l, err := ParseLayer(field)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}
