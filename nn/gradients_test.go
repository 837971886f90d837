package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/internal/philox"
	"github.com/lockstep-go/lockstep/nn"
)

// The seed, the step and the first row of the dropouts in the tests.
const dropSeed, dropStep, dropRow = 0x123456789abcdef, 7, 3

// oracle computes the outputs for rows of x in training, in float64 from the formulas.
func oracle(layers []nn.Layer, params []float64, x [][]float64) [][]float64 {
	take := func(n int) []float64 {
		part := params[:n]
		params = params[n:]
		return part
	}
	drops := uint32(0)
	for _, l := range layers {
		name, text, _ := strings.Cut(l.String(), ":")
		var args [3]float64
		for i, field := range strings.Split(text, ":") {
			fmt.Sscan(field, &args[i])
		}
		in := len(x[0])
		y := make([][]float64, len(x))
		switch name {
		case "softmax":
			for i, row := range x {
				y[i] = softmax(row)
			}
		case "batchnorm":
			gamma, beta := take(in), take(in)
			for i := range y {
				y[i] = make([]float64, in)
			}
			for j := range in {
				column := make([]float64, len(x))
				for i := range x {
					column[i] = x[i][j]
				}
				for i, h := range normal(column, args[1]) {
					y[i][j] = h*gamma[j] + beta[j]
				}
			}
		case "layernorm":
			gamma, beta := take(in), take(in)
			for i, row := range x {
				y[i] = normal(row, args[0])
				for j := range y[i] {
					y[i][j] = y[i][j]*gamma[j] + beta[j]
				}
			}
		case "dropout", "dropout-book":
			scale := 1.0
			if name == "dropout" {
				scale = 1 / (1 - args[0])
			}
			for i, row := range x {
				y[i] = make([]float64, in)
				for j, v := range row {
					if kept(drops, i, j, args[0]) {
						y[i][j] = v * scale
					}
				}
			}
			drops++
		default:
			var out int
			if fmt.Sscan(name, &out); out > 0 {
				w, b := take(in*out), take(out)
				for i, row := range x {
					y[i] = append([]float64{}, b...)
					for k, v := range row {
						for j := range out {
							y[i][j] += v * w[k*out+j]
						}
					}
				}
				break
			}
			for i, row := range x {
				for _, v := range row {
					y[i] = append(y[i], activate(name, args[0], v))
				}
			}
		}
		x = y
	}
	return x
}

func activate(name string, arg, x float64) float64 {
	switch name {
	case "relu":
		return max(0, x)
	case "leakyrelu":
		if x < 0 {
			return arg * x
		}
		return x
	case "elu":
		if x < 0 {
			return arg * math.Expm1(x)
		}
		return x
	case "gelu":
		return x / 2 * math.Erfc(-x/math.Sqrt2)
	case "gelu-tanh":
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case "silu":
		return x / (1 + math.Exp(-x))
	case "sigmoid":
		return 1 / (1 + math.Exp(-x))
	case "tanh":
		return math.Tanh(x)
	case "softplus":
		return math.Log1p(math.Exp(x))
	}
	panic(name)
}

func softmax(x []float64) []float64 {
	var sum float64
	for _, v := range x {
		sum += math.Exp(v)
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Exp(v) / sum
	}
	return y
}

// normal takes off the mean and divides by the standard deviation.
func normal(x []float64, eps float64) []float64 {
	var mean, variance float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	h := make([]float64, len(x))
	for i, v := range x {
		h[i] = (v - mean) / math.Sqrt(variance+eps)
	}
	return h
}

// kept tells by the documented numbers whether dropout number n keeps an element.
func kept(n uint32, row, col int, rate float64) bool {
	words := philox.Block([2]uint32{dropSeed & (1<<32 - 1), dropSeed >> 32},
		[4]uint32{uint32(col/32*8 + col%8), uint32(dropRow + row), uint32(philox.Dropout) + n, dropStep})
	return float64(words[col%32/8]>>1) >= math.Round(rate*(1<<31))
}

// losses has each loss and its value in float64 for rows of outputs.
var losses = []struct {
	name   string
	loss   nn.Loss
	needs  string // labels, targets, probabilities or binary targets
	oracle func(y [][]float64, data *nn.Data) float64
}{
	{"softmax cross-entropy", nn.SoftmaxCrossEntropy{}, "labels", crossEntropy(0, nil)},
	{"smoothed cross-entropy", nn.SoftmaxCrossEntropy{Smoothing: 0.2}, "labels", crossEntropy(0.2, nil)},
	{"weighted cross-entropy", nn.SoftmaxCrossEntropy{Weights: []float32{0.5, 2, 1, 0, 3, 1, 1}}, "labels", crossEntropy(0, []float32{0.5, 2, 1, 0, 3, 1, 1})},
	{"cross-entropy of probabilities", nn.SoftmaxCrossEntropy{}, "probabilities", crossEntropy(0, nil)},
	{"cross-entropy with all options", nn.SoftmaxCrossEntropy{Smoothing: 0.1, Weights: []float32{0.5, 2, 1, 0.25, 3, 1, 1}}, "probabilities", crossEntropy(0.1, []float32{0.5, 2, 1, 0.25, 3, 1, 1})},
	{"binary cross-entropy", nn.BinaryCrossEntropy{}, "probabilities", elementwise(func(y, t float64) float64 {
		return math.Log1p(math.Exp(y)) - y*t
	})},
	{"mean squared error", nn.MeanSquaredError{}, "targets", elementwise(func(y, t float64) float64 { return (y - t) * (y - t) })},
	{"mean absolute error", nn.MeanAbsoluteError{}, "targets", elementwise(func(y, t float64) float64 { return math.Abs(y - t) })},
	{"Huber", nn.Huber{}, "targets", elementwise(huber(1))},
	{"Huber, narrow", nn.Huber{Delta: 0.25}, "targets", elementwise(huber(0.25))},
}

func huber(delta float64) func(y, t float64) float64 {
	return func(y, t float64) float64 {
		d := math.Abs(y - t)
		if d <= delta {
			return d * d / 2
		}
		return delta * (d - delta/2)
	}
}

func elementwise(f func(y, t float64) float64) func(y [][]float64, data *nn.Data) float64 {
	return func(y [][]float64, data *nn.Data) float64 {
		var sum float64
		for i, row := range y {
			for j, v := range row {
				sum += f(v, float64(data.Targets[i*len(row)+j]))
			}
		}
		return sum / float64(len(data.Targets))
	}
}

func crossEntropy(smoothing float64, weights []float32) func(y [][]float64, data *nn.Data) float64 {
	return func(y [][]float64, data *nn.Data) float64 {
		var sum, total float64
		for i, row := range y {
			p := softmax(row)
			for j := range row {
				var t float64
				if data.Labels == nil {
					t = float64(data.Targets[i*len(row)+j])
				} else if int(data.Labels[i]) == j {
					t = 1
				}
				t = (1-smoothing)*t + smoothing/float64(len(row))
				if weights != nil {
					t *= float64(weights[j])
				}
				sum -= t * math.Log(p[j])
			}
			if weights != nil && data.Labels != nil {
				total += float64(weights[data.Labels[i]])
			} else {
				total++
			}
		}
		return sum / total
	}
}

// dataFor makes samples that a loss can be computed of, for the given number of outputs.
func dataFor(rng *rand.Rand, needs string, rows, in, out int) *nn.Data {
	d := newData(rng, rows, in, out)
	switch needs {
	case "labels":
		d.Targets = nil
		d.Labels[0] = 0 // so that the class of weight 0 is not alone
	case "targets":
		d.Labels = nil
	case "probabilities":
		d.Labels = nil
		for i := range d.Targets {
			d.Targets[i] = rng.Float32()
		}
	}
	return d
}

// weighted gives a loss as many class weights as there are outputs.
func weighted(loss nn.Loss, out int) nn.Loss {
	if l, ok := loss.(nn.SoftmaxCrossEntropy); ok && l.Weights != nil {
		l.Weights = l.Weights[:out]
		return l
	}
	return loss
}

func float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// nets are the networks of the tests, each of 5 inputs and at most 7 outputs.
var nets = []string{
	"3",
	"7,relu,6,relu,4",
	"7,sigmoid,6,sigmoid,4",
	"7,tanh,6,tanh,4",
	"7,6,2",
	"17,tanh,3,sigmoid",
	"6,relu,3,relu",
	"tanh,6,relu,tanh,sigmoid,3",
	"sigmoid,tanh,2,tanh,relu",
	"1,sigmoid,2",
	"7,leakyrelu:0.1,6,elu:0.7,4",
	"7,gelu,6,gelu-tanh,4",
	"7,silu,6,softplus,4",
	"gelu,6,silu,gelu,3,gelu-tanh",
	"leakyrelu,elu,4,elu,softplus",
	"6,softmax,4",
	"6,tanh,softmax,4,softmax",
	"7,batchnorm,relu,6,batchnorm:0.5:0.01:1,tanh,4",
	"batchnorm:0.9:0.1,4,batchnorm:0.9:0.1",
	"layernorm,7,layernorm:0.01,gelu,4",
	"6,silu,layernorm:0.1",
	"7,relu,dropout:0.3,40,tanh,dropout-book:0.2,4",
	"dropout:0.4,4,gelu,dropout:0.1",
	"7,batchnorm:0.9:0.01,gelu,dropout:0.2,6,layernorm:0.01,silu,3",
}

// eachLoss runs f for every network, loss and batch, with a network at random weights. In
// short mode each network has one of the losses, in turn, and small batches.
func eachLoss(t *testing.T, f func(name string, layers []nn.Layer, net *nn.Net, loss nn.Loss, oracle func(y [][]float64, data *nn.Data) float64, data *nn.Data)) {
	for i, text := range nets {
		layers, err := nn.ParseLayers(text)
		if err != nil {
			t.Fatal(err)
		}
		for j, loss := range losses {
			for _, rows := range []int{1, 2, 7, 64} {
				if testing.Short() && (rows == 64 || i > 0 && i%len(losses) != j) || rows == 1 && strings.Contains(text, "batchnorm") {
					continue
				}
				net := newNet(t, 5, text)
				rng := rand.New(rand.NewPCG(uint64(rows), 7))
				net.Init(nn.Std(0.7), 3)
				for _, v := range net.Views() {
					if len(v.Shape) == 1 {
						fillNormal(rng, v.Of(net.Params()))
					}
				}
				f(fmt.Sprintf("%s, %s, batch %d", text, loss.name, rows), layers, net,
					weighted(loss.loss, net.Out()), loss.oracle, dataFor(rng, loss.needs, rows, net.In(), net.Out()))
			}
		}
	}
}

// TestGradients compares the loss and each gradient with float64: the loss with
// the formula's, to 1e-6 of it; the gradients with central differences of the
// formula, to 1e-5 of the largest of their view, or of all where normalisation takes
// most of them away.
func TestGradients(t *testing.T) {
	const (
		step      = 1e-5 // both errors of a central difference are below 1e-9
		lossBound = 2e-6
		gradBound = 1e-5
	)
	var worstLoss, worstGrad float64
	eachLoss(t, func(name string, layers []nn.Layer, net *nn.Net, loss nn.Loss, oracleLoss func(y [][]float64, data *nn.Data) float64, data *nn.Data) {
		net.DropoutAt(dropSeed, dropStep, dropRow)
		y := net.Forward(data.X, data.Rows)
		dy := make([]float32, len(y))
		got := nn.MeanLoss(loss, dy, y, data)
		if without := nn.MeanLoss(loss, nil, y, data); math.Float64bits(without) != math.Float64bits(got) {
			t.Errorf("%s: loss %v without a gradient, %v with", name, without, got)
		}
		for i := range net.Grads() {
			net.Grads()[i] = float32(math.NaN()) // what was there must not matter
		}
		net.Backward(dy)

		params := float64s(net.Params())
		var x [][]float64
		for i := range data.Rows {
			x = append(x, float64s(data.X[i*net.In():][:net.In()]))
		}
		mean := func() float64 { return oracleLoss(oracle(layers, params, x), data) }
		want := mean()
		e := math.Abs(got-want) / math.Abs(want)
		if worstLoss = max(worstLoss, e); !(e <= lossBound) {
			t.Fatalf("%s: loss %v, float64 has %v: relative error %.2g, want at most %g", name, got, want, e, lossBound)
		}

		wants := make([]float64, len(params))
		var largest float64 // of all
		for i := range params {
			was := params[i]
			params[i] = was + step
			above := mean()
			params[i] = was - step
			wants[i] = (above - mean()) / (2 * step)
			params[i] = was
			largest = max(largest, math.Abs(wants[i]))
		}
		for _, v := range net.Views() {
			grads := v.Of(net.Grads())
			var here float64
			for i := range grads {
				here = max(here, math.Abs(wants[v.Offset+i]))
			}
			if strings.Contains(name, "norm") {
				here = largest
			}
			for i, g := range grads {
				if here == 0 && g == 0 {
					continue // units that no row switches on
				}
				want := wants[v.Offset+i]
				e := math.Abs(float64(g)-want) / max(here, 1e-3)
				if worstGrad = max(worstGrad, e); !(e <= gradBound) {
					t.Fatalf("%s: gradient of %s[%d] is %v, float64 has %v: error %.2g of the largest, want at most %g",
						name, v.Name, i, g, want, e, gradBound)
				}
			}
		}
	})
	t.Logf("largest relative error: loss %.2g, gradients %.2g", worstLoss, worstGrad)
}
