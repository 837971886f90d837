package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
)

// newNet makes the network of a text.
func newNet(t testing.TB, in int, layers string) *nn.Net {
	t.Helper()
	list, err := nn.ParseLayers(layers)
	if err != nil {
		t.Fatal(err)
	}
	net, err := nn.New(in, list...)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// fillNormal sets x to normal deviates.
func fillNormal(rng *rand.Rand, x []float32) {
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
}

// newData makes samples for a network, with labels and targets.
func newData(rng *rand.Rand, rows, in, out int) *nn.Data {
	d := &nn.Data{Rows: rows, X: make([]float32, rows*in), Labels: make([]int32, rows), Targets: make([]float32, rows*out)}
	fillNormal(rng, d.X)
	fillNormal(rng, d.Targets)
	for i := range d.Labels {
		d.Labels[i] = rng.Int32N(int32(out))
	}
	return d
}

// TestPredict: a row's outputs have the bits of the row alone, whatever batch it
// comes in and whatever batches the predictor works in; and of Forward.
func TestPredict(t *testing.T) {
	const in, most = 5, 9
	rng := rand.New(rand.NewPCG(1, 2))
	for _, layers := range nets {
		net := newNet(t, in, layers)
		fillNormal(rng, net.Params())
		for i := range net.Stats() {
			net.Stats()[i] = 0.1 + rng.Float32()
		}
		out := net.Out()
		x := make([]float32, most*in)
		fillNormal(rng, x)
		x[3*in] = float32(math.NaN()) // must stay in its row
		want := make([]float32, most*out)
		single := net.Predictor(1)
		for i := range most {
			single.Predict(want[i*out:][:out], x[i*in:][:in], 1)
		}
		for rows := range most + 1 {
			dst := make([]float32, rows*out)
			for _, max := range []int{1, 2, 4, 5, 9, 100} {
				clear(dst)
				net.Predictor(max).Predict(dst, x[:rows*in], rows)
				if !sameBits(dst, want[:rows*out]) {
					t.Fatalf("%v: %d rows by at most %d: %v, one by one %v", layers, rows, max, dst, want[:rows*out])
				}
			}
			if strings.Contains(layers, "batchnorm") || strings.Contains(layers, "dropout") {
				continue // which do otherwise in training
			}
			if y := net.Forward(x[:rows*in], rows); !sameBits(y, want[:rows*out]) {
				t.Fatalf("%v: Forward of %d rows: %v, one by one %v", layers, rows, y, want[:rows*out])
			}
		}
	}
}

// TestPredictConcurrent has many goroutines predict at once, and the network
// itself at work meanwhile; the race detector watches.
func TestPredictConcurrent(t *testing.T) {
	const in, rows = 20, 30
	rng := rand.New(rand.NewPCG(1, 3))
	net := nn.MustNew(in, nn.Affine(30), nn.Tanh(), nn.Affine(30), nn.ReLU(), nn.Affine(3))
	fillNormal(rng, net.Params())
	x := make([]float32, rows*in)
	fillNormal(rng, x)
	want := slices.Clone(net.Forward(x, rows))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			p := net.Predictor(7)
			for range 20 {
				dst := make([]float32, len(want))
				p.Predict(dst, x, rows)
				if !sameBits(dst, want) {
					t.Error("a prediction changed with others at work")
				}
			}
		})
	}
	for range 20 {
		net.Backward(net.Forward(x, rows))
	}
	wg.Wait()
}

// sameBits compares by bits, all NaN being one.
func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(a, b float32) bool {
		return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
	})
}

// TestLayout: the flat vector is W1, b1, W2, b2, … without gaps, W being in×out
// and row-major.
func TestLayout(t *testing.T) {
	net := nn.MustNew(2, nn.Tanh(), nn.Affine(3), nn.ReLU(), nn.Affine(1))
	want := []nn.View{{"W1", []int{2, 3}, 0}, {"b1", []int{3}, 6}, {"W2", []int{3, 1}, 9}, {"b2", []int{1}, 12}}
	if got := net.Views(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("views %v, want %v", got, want)
	}
	if net.In() != 2 || net.Out() != 1 || net.NumParams() != 13 || len(net.Params()) != 13 || len(net.Grads()) != 13 {
		t.Errorf("In, Out, NumParams, len(Params), len(Grads) = %d, %d, %d, %d, %d, want 2, 1, 13, 13, 13",
			net.In(), net.Out(), net.NumParams(), len(net.Params()), len(net.Grads()))
	}

	plain := nn.MustNew(2, nn.Affine(3))
	copy(plain.Params(), []float32{1, 2, 3, 4, 5, 6, 7, 8, 9})
	y := plain.Forward([]float32{10, 100}, 1)
	if want := []float32{10 + 400 + 7, 20 + 500 + 8, 30 + 600 + 9}; !slices.Equal(y, want) {
		t.Errorf("x·W + b = %v, want %v", y, want)
	}
	plain.Backward([]float32{1, 2, 3})
	if want := []float32{10, 20, 30, 100, 200, 300, 1, 2, 3}; !slices.Equal(plain.Grads(), want) {
		t.Errorf("gradients %v, want %v", plain.Grads(), want)
	}
}

func TestCountParams(t *testing.T) {
	for _, layers := range nets {
		net := newNet(t, 5, layers)
		if n, err := nn.CountParams(5, net.Layers()...); err != nil || n != net.NumParams() {
			t.Errorf("%s: CountParams = %d, error %v, want %d", layers, n, err, net.NumParams())
		}
	}
}

func TestNewErrors(t *testing.T) {
	for _, test := range []struct {
		in     int
		layers []nn.Layer
		want   string
	}{
		{0, []nn.Layer{nn.Affine(1)}, "nn.New: in = 0, want at least 1"},
		{3, nil, "nn.New: no layers, want at least 1"},
		{3, []nn.Layer{nn.Affine(2), nn.ReLU(), nn.Affine(0)}, "nn.New: layer 3 is Affine(0), want at least 1 output"},
		{3, []nn.Layer{{}}, "nn.New: layer 1 is Affine(0), want at least 1 output"},
		{3, []nn.Layer{nn.Affine(-2)}, "nn.New: layer 1 is Affine(-2), want at least 1 output"},
		{3, []nn.Layer{nn.LeakyReLU(-1)}, "nn.New: layer 1 is leakyrelu with slope = -1, want from 0 to"},
		{3, []nn.Layer{nn.ELU(math.NaN())}, "elu with alpha = NaN"},
		{3, []nn.Layer{nn.Affine(2), nn.Dropout(1)}, "nn.New: layer 2 is dropout with rate = 1, want from 0 to"},
		{3, []nn.Layer{nn.BatchNorm(nn.BatchNormOptions{Momentum: 1})}, "batchnorm with momentum = 1, want below 1"},
		{3, []nn.Layer{nn.BatchNorm(nn.BatchNormOptions{Eps: -1})}, "batchnorm with eps = -1"},
		{3, []nn.Layer{nn.LayerNorm(math.Inf(1))}, "layernorm with eps = +Inf"},
		{math.MaxInt / 4, []nn.Layer{nn.BatchNorm(nn.BatchNormOptions{})}, "more parameters than a slice can hold"},
		{math.MaxInt, []nn.Layer{nn.Affine(1)}, "more parameters than a slice can hold"},
		{1 << 20, []nn.Layer{nn.Affine(math.MaxInt/4>>20 + 1)}, "more parameters than a slice can hold"},
		{1, []nn.Layer{nn.Affine(math.MaxInt / 8), nn.Affine(1)}, "layer 2 is Affine(1) of"},
	} {
		net, err := nn.New(test.in, test.layers...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%d, %v): error %v, want %s", test.in, test.layers, err, test.want)
		}
		if net != nil {
			t.Errorf("New(%d, %v) returned a network besides an error", test.in, test.layers)
		}
		if n, err := nn.CountParams(test.in, test.layers...); err == nil || n != 0 {
			t.Errorf("CountParams(%d, %v) = %d, error %v", test.in, test.layers, n, err)
		}
	}
}

func TestNetPanics(t *testing.T) {
	net := nn.MustNew(2, nn.Affine(3))
	for _, test := range []struct {
		do   func()
		want string
	}{
		{func() { nn.MustNew(0, nn.ReLU()) }, "nn.New: in = 0"},
		{func() { net.Forward(make([]float32, 5), 2) }, "nn.Net.Forward: len(x) = 5, want 2 rows of 2"},
		{func() { net.Forward(make([]float32, 4), 1) }, "nn.Net.Forward: len(x) = 4, want 1 rows of 2"},
		{func() { net.Forward(nil, -1) }, "nn.Net.Forward: len(x) = 0, want -1 rows of 2"},
		{func() { net.Forward(nil, math.MinInt) }, "nn.Net.Forward: len(x) = 0"},
		{func() { net.Forward(make([]float32, 4), 2); net.Backward(make([]float32, 3)) }, "nn.Net.Backward: len(dy) = 3, want 2 rows of 3"},
		{func() { nn.MustNew(2, nn.Affine(3)).Backward(make([]float32, 3)) }, "nn.Net.Backward: len(dy) = 3, want 0 rows of 3"},
		{func() { net.Predictor(0) }, "nn.Net.Predictor: max = 0, want at least 1"},
		{func() { net.Predictor(1).Predict(make([]float32, 6), make([]float32, 6), 2) }, "nn.Predictor.Predict: len(x) = 6, want 2 rows of 2"},
		{func() { net.Predictor(1).Predict(make([]float32, 5), make([]float32, 4), 2) }, "nn.Predictor.Predict: len(dst) = 5, want 2 rows of 3"},
	} {
		wantPanic(t, test.want, test.do)
	}
}

func wantPanic(t *testing.T, want string, do func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
			t.Errorf("panic %s, want %s", got, want)
		}
	}()
	do()
}
