package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
)

// TestParseLayer: each layer has a text that it is read from again, with the defaults that
// the docs promise.
func TestParseLayer(t *testing.T) {
	for _, test := range []struct {
		text  string
		layer nn.Layer
		long  string // with all arguments
	}{
		{"100", nn.Affine(100), "100"},
		{" relu ", nn.ReLU(), "relu"},
		{"leakyrelu", nn.LeakyReLU(0.01), "leakyrelu:0.01"},
		{"leakyrelu:0.2", nn.LeakyReLU(0.2), "leakyrelu:0.2"},
		{"elu", nn.ELU(1), "elu:1"},
		{"gelu", nn.GELU(), "gelu"},
		{"gelu-tanh", nn.GELUTanh(), "gelu-tanh"},
		{"silu", nn.SiLU(), "silu"},
		{"sigmoid", nn.Sigmoid(), "sigmoid"},
		{"tanh", nn.Tanh(), "tanh"},
		{"softplus", nn.Softplus(), "softplus"},
		{"softmax", nn.Softmax(), "softmax"},
		{"batchnorm", nn.BatchNorm(nn.BatchNormOptions{}), "batchnorm:0.9:1e-06:0"},
		{"batchnorm:0.8", nn.BatchNorm(nn.BatchNormOptions{Momentum: 0.8}), "batchnorm:0.8:1e-06:0"},
		{"batchnorm:0.9:1e-5:1", nn.BatchNorm(nn.BatchNormOptions{Eps: 1e-5, Unbiased: true}), "batchnorm:0.9:1e-05:1"},
		{"layernorm", nn.LayerNorm(0), "layernorm:1e-05"},
		{"dropout:0.2", nn.Dropout(0.2), "dropout:0.2"},
		{"dropout-book:0", nn.BookDropout(0), "dropout-book:0"},
	} {
		got, err := nn.ParseLayer(test.text)
		if err != nil || got != test.layer || got.String() != test.long {
			t.Errorf("ParseLayer(%q) = %v, error %v, want %v", test.text, got, err, test.long)
		}
		if again, err := nn.ParseLayer(got.String()); err != nil || again != got {
			t.Errorf("ParseLayer(%q) = %v, error %v", got, again, err)
		}
	}
	for _, name := range append(nn.Activations(), "softmax") {
		if _, err := nn.ParseLayer(name); err != nil {
			t.Error(err)
		}
	}
	for _, test := range []struct{ text, want string }{
		{"swish", `nn: unknown layer "swish", want one of N, relu, leakyrelu[:SLOPE], elu[:ALPHA], gelu,`},
		{"", `nn: unknown layer ""`},
		{"0", `nn: layer "0": Affine(0), want at least 1 output`},
		{"-5", `nn: layer "-5": Affine(-5)`},
		{"10:3", `nn: unknown layer "10:3"`},
		{"affine", `nn: unknown layer "affine"`},
		{"relu:1", `nn: layer "relu:1": 1 arguments, want at most 0`},
		{"dropout:x", `nn: layer "dropout:x": rate is "x", want a number`},
		{"dropout:1", `nn: layer "dropout:1": dropout with rate = 1, want from 0 to`},
		{"dropout:NaN", `rate = NaN`},
		{"batchnorm:0.9:1e-6:2", `unbiased = 2, want from 0 to 1`},
		{"batchnorm:0.9:1e-6:0.5", `unbiased = 0.5, want 0 or 1`},
		{"elu:-1", `elu with alpha = -1`},
		{"layernorm:0", `layernorm with eps = 0, want from 1.4`},
	} {
		if _, err := nn.ParseLayer(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("ParseLayer(%q): error %v, want %s", test.text, err, test.want)
		}
		if _, err := nn.ParseLayers("5,relu," + test.text); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("ParseLayers(5,relu,%s): error %v, want %s", test.text, err, test.want)
		}
	}
}

// TestBatchNormStats: the running statistics go by the formula, biased or not, and
// prediction normalises by them.
func TestBatchNormStats(t *testing.T) {
	const rows, width = 6, 3
	for _, o := range []nn.BatchNormOptions{{}, {Momentum: 0.6, Eps: 0.25}, {Unbiased: true, Eps: 1e-3}} {
		net := nn.MustNew(width, nn.BatchNorm(o))
		rng := rand.New(rand.NewPCG(1, 13))
		net.Init(nn.He(), 1)
		fillNormal(rng, net.Params())
		momentum, eps := 0.9, 1e-6
		if o.Momentum != 0 {
			momentum = o.Momentum
		}
		if o.Eps != 0 {
			eps = o.Eps
		}
		mean, variance := make([]float64, width), []float64{1, 1, 1}
		x := make([]float32, rows*width)
		for range 4 {
			fillNormal(rng, x)
			net.Forward(x, rows)
			net.Backward(make([]float32, rows*width))
			for j := range width {
				var m, v float64
				for i := range rows {
					m += float64(x[i*width+j]) / rows
				}
				for i := range rows {
					d := float64(x[i*width+j]) - m
					v += d * d / rows
				}
				if o.Unbiased {
					v *= rows / (rows - 1.0)
				}
				mean[j] = momentum*mean[j] + (1-momentum)*m
				variance[j] = momentum*variance[j] + (1-momentum)*v
			}
		}
		near := func(what string, got float32, want float64) {
			if !(math.Abs(float64(got)-want) <= 1e-6*max(1, math.Abs(want))) {
				t.Errorf("%+v: %s is %v, want %v", o, what, got, want)
			}
		}
		y := make([]float32, rows*width)
		net.Predictor(4).Predict(y, x, rows)
		gamma, beta := net.Params()[:width], net.Params()[width:]
		for j := range width {
			near(fmt.Sprint("running mean ", j), net.Stats()[j], mean[j])
			near(fmt.Sprint("running variance ", j), net.Stats()[width+j], variance[j])
			for i := range rows {
				h := (float64(x[i*width+j]) - mean[j]) / math.Sqrt(variance[j]+eps)
				near(fmt.Sprintf("prediction %d, %d", i, j), y[i*width+j], h*float64(gamma[j])+float64(beta[j]))
			}
		}
		before := slices.Clone(net.Stats())
		net.Predictor(4).Predict(y, x, rows)
		if !sameBits(before, net.Stats()) {
			t.Errorf("%+v: a prediction changed the running statistics", o)
		}
	}
}

// TestBatchNormOfOne: a batch of one row, or none, has finite results.
func TestBatchNormOfOne(t *testing.T) {
	net := nn.MustNew(2, nn.Affine(3), nn.BatchNorm(nn.BatchNormOptions{Unbiased: true}), nn.Affine(1))
	net.Init(nn.He(), 1)
	for i, b := range net.Views()[3].Of(net.Params()) {
		net.Views()[3].Of(net.Params())[i] = b + float32(i)
	}
	one := slices.Clone(net.Forward([]float32{1, 2}, 1))
	net.Backward([]float32{1})
	for i, v := range slices.Concat(one, net.Grads(), net.Stats()) {
		if v-v != 0 {
			t.Fatalf("number %d of outputs, gradients and statistics is %v", i, v)
		}
	}
	for i, g := range net.Views()[0].Of(net.Grads()) {
		if g != 0 {
			t.Errorf("the gradient of W1[%d] is %v, want 0: the outputs do not depend on it", i, g)
		}
	}
	if variances := net.Stats()[3:]; !slices.Equal(variances, []float32{1, 1, 1}) || net.Stats()[0] == 0 {
		t.Errorf("running statistics %v, want the mean changed and the variances of 1 as they were", net.Stats())
	}
	before := slices.Clone(net.Stats())
	net.Forward(nil, 0)
	net.Backward(nil)
	if !sameBits(before, net.Stats()) || slices.ContainsFunc(net.Grads(), func(g float32) bool { return g != 0 }) {
		t.Error("a batch without rows changed the running statistics, or has gradients")
	}
}

// TestDropout: in training each input is dropped as often as the rate says, anew in each
// pass, and the others keep the mean; prediction keeps it too.
func TestDropout(t *testing.T) {
	const rows, width = 200, 100
	x := make([]float32, rows*width)
	for i := range x {
		x[i] = 1
	}
	for _, test := range []struct {
		layer             nn.Layer
		rate              float64
		kept, predictions float32
	}{
		{nn.Dropout(0.3), 0.3, float32(1 / (1 - 0.3)), 1},
		{nn.BookDropout(0.3), 0.3, 1, float32(1 - 0.3)},
		{nn.Dropout(0), 0, 1, 1},
	} {
		net := nn.MustNew(width, test.layer)
		first := slices.Clone(net.Forward(x, rows))
		dropped := 0.0
		for i, v := range first {
			if v == 0 {
				dropped++
			} else if v != test.kept {
				t.Fatalf("%v: output %d is %v, want 0 or %v", test.layer, i, v, test.kept)
			}
		}
		if got, n := dropped/float64(len(x)), float64(len(x)); math.Abs(got-test.rate) > 5*math.Sqrt(test.rate*(1-test.rate)/n) {
			t.Errorf("%v: %v of all were dropped", test.layer, got)
		}
		if second := net.Forward(x, rows); test.rate > 0 && sameBits(first, second) {
			t.Errorf("%v: two passes dropped the same", test.layer)
		}
		net.DropoutAt(0, 0, 0)
		if again := net.Forward(x, rows); !sameBits(first, again) {
			t.Errorf("%v: DropoutAt the first pass dropped otherwise", test.layer)
		}
		net.DropoutAt(1, 0, 0)
		if other := net.Forward(x, rows); test.rate > 0 && sameBits(first, other) {
			t.Errorf("%v: another seed dropped the same", test.layer)
		}
		y := make([]float32, len(x))
		net.Predictor(64).Predict(y, x, rows)
		if slices.ContainsFunc(y, func(v float32) bool { return v != test.predictions }) {
			t.Errorf("%v: predictions are not all %v", test.layer, test.predictions)
		}
	}

	// Two dropouts of a network drop independently of each other.
	const rate = 0.5
	net := nn.MustNew(width, nn.BookDropout(rate), nn.BookDropout(rate))
	both := 0.0
	for _, v := range net.Forward(x, rows) {
		both += float64(v)
	}
	if n := float64(len(x)); math.Abs(both/n-rate*rate) > 5*math.Sqrt(rate*rate*(1-rate*rate)/n) {
		t.Errorf("two dropouts of one half keep %v of all, want a quarter", both/n)
	}
}
