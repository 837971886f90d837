package nn_test

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
)

// torchLayers is what testdata/layers.py wrote.
//
//go:embed testdata/layers.json
var torchLayers []byte

//go:embed testdata/layers.py
var torchLayersScript []byte

// torchFile is what PyTorch's layers and losses compute. A number in place of a vector is
// that of one of Vectors, little-endian bytes.
type torchFile struct {
	Torch    string
	Networks []torchNetwork
	Losses   []torchLoss
	Vectors  [][]byte // in the file in base64
}

// torchNetwork is some layers that start at the parameters, and train without an update.
type torchNetwork struct {
	In      int
	Layers  string // as ParseLayers reads them
	Params  int
	Batches []torchBatch
	Predict *torchBatch
}

type torchBatch struct {
	Rows, X, DY     int
	Y, Grads, Stats torchResult
}

// torchLoss is a loss of outputs, for Labels or, without, Targets.
type torchLoss struct {
	Loss    string
	Options struct {
		Smoothing float64 `json:"label_smoothing"`
		Weight    []float32
		Delta     float64
	}
	Rows, Y    int
	Labels     []int32
	Targets    int
	Mean       [2]float64 // computed in float32 and in float64
	Grad, Each torchResult
}

// torchResult is what float32 computes and, from the same numbers, float64.
type torchResult [2]int

// vector is a float32 one.
func (f *torchFile) vector(i int) []float32 {
	raw := f.Vectors[i]
	x := make([]float32, len(raw)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return x
}

// result returns what float32 and float64 compute.
func (f *torchFile) result(r torchResult) (single, double []float64) {
	single = float64s(f.vector(r[0]))
	double = make([]float64, len(single))
	if raw := f.Vectors[r[1]]; len(raw) == 8*len(double) { // itself
		for i := range double {
			double[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		}
		return single, double
	}
	for i, ulps := range f.vector(r[1]) { // how far it is above
		double[i] = single[i] + float64(ulps)*ulp(single[i])
	}
	return single, double
}

// network makes a network with its parameters.
func (f *torchFile) network(t *testing.T, c *torchNetwork) *nn.Net {
	net, params := newNet(t, c.In, c.Layers), f.vector(c.Params)
	if len(params) != net.NumParams() {
		t.Fatalf("%d,%s: %d parameters, PyTorch has %d", c.In, c.Layers, net.NumParams(), len(params))
	}
	copy(net.Params(), params)
	return net
}

// ulp is the distance between float32 numbers of the size of x.
func ulp(x float64) float64 {
	if x == 0 {
		return 0x1p-149
	}
	return math.Ldexp(1, max(math.Ilogb(x)-23, -149))
}

// torchBounds say how many ulps a result may be away from PyTorch's.
type torchBounds struct {
	double float64 // from what that computes in float64
	single float64 // from what it computes in float32, in ulps of a number of at least least
	least  float64
}

// torchTally is what comparisons have found.
type torchTally struct {
	ours, theirs    float64 // the largest distance from PyTorch's float64: here, and of its own float32
	apart           float64 // the largest distance of these two
	nearer, farther int     // elements that are nearer to PyTorch's float64 than its own float32, and farther
}

func (a *torchTally) add(b torchTally) {
	a.ours, a.theirs, a.apart = max(a.ours, b.ours), max(a.theirs, b.theirs), max(a.apart, b.apart)
	a.nearer, a.farther = a.nearer+b.nearer, a.farther+b.farther
}

func (a torchTally) String() string {
	return fmt.Sprintf("%.3g, PyTorch's float32 %.3g (%.3g apart; %d nearer, %d farther)", a.ours, a.theirs, a.apart, a.nearer, a.farther)
}

// sizeOf says in whose ulps the error of element i is, given PyTorch's float64.
type sizeOf func(double []float64, i int) float64

// itself is the element.
func itself(double []float64, i int) float64 { return math.Abs(double[i]) }

// largestOf is the largest of each width elements.
func largestOf(width int) sizeOf {
	return func(double []float64, i int) float64 {
		part := double[i/width*width:][:width]
		return max(slices.Max(part), -slices.Min(part))
	}
}

// near compares the elements of a vector from first on with PyTorch's.
func (f *torchFile) near(t *testing.T, name string, got []float32, r torchResult, first int, size sizeOf, bound torchBounds) (tally torchTally) {
	t.Helper()
	single, double := f.result(r)
	if len(got) > len(double)-first {
		t.Fatalf("%s: %d elements from the %dth on, PyTorch has %d in all", name, len(got), first, len(double))
	}
	single, double = single[first:][:len(got)], double[first:][:len(got)]
	failed := false
	for i, x := range float64s(got) {
		unit := size(double, i)
		ours, theirs := math.Abs(x-double[i])/ulp(unit), math.Abs(single[i]-double[i])/ulp(unit)
		apart := math.Abs(x-single[i]) / ulp(max(unit, bound.least))
		switch {
		case ours < theirs:
			tally.nearer++
		case ours > theirs:
			tally.farther++
		}
		tally.ours, tally.theirs, tally.apart = max(tally.ours, ours), max(tally.theirs, theirs), max(tally.apart, apart)
		if !failed && !(ours <= bound.double && apart <= bound.single) {
			failed = true
			t.Errorf("%s: element %d is %v, PyTorch has %v in float64 and %v in float32: %.3g and %.3g ulps off, want at most %v and %v",
				name, i, x, double[i], single[i], ours, apart, bound.double, bound.single)
		}
	}
	return tally
}

func loadTorch(t *testing.T) *torchFile {
	for _, file := range []struct {
		name, sum string
		text      []byte
	}{
		{"layers.json", "8ac27aaf54bf0569beb8eb5717ba56c3fc6d9ea47bce6152459477c716cc4ca5", torchLayers},
		{"layers.py", "12647c18c93a3363d4b89ff959b1acafe325a2fba8e53df376eb2788b619ffbe", torchLayersScript},
	} {
		if got := fmt.Sprintf("%x", sha256.Sum256(file.text)); got != file.sum {
			t.Errorf("testdata/%s has the SHA-256 %s, want %s", file.name, got, file.sum)
		}
	}
	f := new(torchFile)
	if err := json.Unmarshal(torchLayers, f); err != nil {
		t.Fatal(err)
	}
	if len(f.Networks) != 85 || len(f.Losses) != 52 {
		t.Errorf("%d networks and %d losses, want 85 and 52", len(f.Networks), len(f.Losses))
	}
	t.Logf("PyTorch %s; largest errors in ulps:", f.Torch)
	return f
}

// torchActivations have the bounds for the results of an activation and for the products
// of its derivative with a gradient, in ulps of the element. The results are to be as near
// as package kernels promises. With fromResult the derivative is computed from the rounded
// result, and where it is near 0 none of its digits may be left, so that the products are
// in ulps of the gradient.
//
// PyTorch's float32 adds small numbers to 1 and so loses their digits. From it, elements
// below 1 are in ulps of 1.
var torchActivations = map[string]struct {
	result, product torchBounds
	fromResult      bool
}{
	"relu":      {torchBounds{0, 0, 0}, torchBounds{0, 0, 0}, false},
	"leakyrelu": {torchBounds{0.5, 0, 0}, torchBounds{0.5, 0, 0}, false},
	"elu":       {torchBounds{0.51, 1, 1}, torchBounds{1, 1, 1}, true},
	"gelu":      {torchBounds{0.51, 8, 1}, torchBounds{1.25, 4, 1}, false},
	"gelu-tanh": {torchBounds{0.51, 2, 1}, torchBounds{1.25, 8, 1}, false},
	"silu":      {torchBounds{0.51, 2, 1}, torchBounds{1.25, 16, 1}, false},
	"sigmoid":   {torchBounds{0.51, 1, 1}, torchBounds{0.5, 1, 1}, true},
	"tanh":      {torchBounds{0.51, 1, 1}, torchBounds{1.5, 1, 1}, true},
	"softplus":  {torchBounds{0.51, 2, 1}, torchBounds{1.5, 2, 1}, false},
}

// TestTorchActivations compares each activation for chosen arguments, alone and behind an
// affine layer without weights, whose biases are the arguments: then its output is the
// activation's result, and the gradient of the biases is dy times its derivative.
//
// In float64, PyTorch's softplus of an x above 20 is x, 2·10⁻⁹ less than ln(1 + e^x).
func TestTorchActivations(t *testing.T) {
	f := loadTorch(t)
	seen := map[string]bool{}
	for _, c := range f.Networks {
		affine, text, _ := strings.Cut(c.Layers, ",")
		name, _, _ := strings.Cut(text, ":")
		if c.In != 1 {
			continue // TestTorchLayers has it
		}
		bounds, ok := torchActivations[name]
		if !ok {
			t.Errorf("%s: no bounds", text)
			continue
		}
		seen[name] = true
		net := f.network(t, &c)
		b := c.Batches[0]
		y := net.Forward(f.vector(b.X), b.Rows)
		results := f.near(t, text+": result", y, b.Y, 0, itself, bounds.result)

		arguments := net.Views()[1].Of(net.Params())
		if alone := newNet(t, net.Out(), text).Forward(arguments, 1); !sameBits(alone, y) {
			t.Errorf("%s: alone it gives %v, behind %s %v", text, alone, affine, y)
		}

		dy := f.vector(b.DY)
		size := itself
		if bounds.fromResult {
			size = func(_ []float64, i int) float64 { return math.Abs(float64(dy[i])) }
		}
		net.Backward(dy)
		var products torchTally
		for _, v := range net.Views() { // those of the weights too, for the input is 1
			products.add(f.near(t, text+": gradient of "+v.Name, v.Of(net.Grads()), b.Grads, v.Offset, size, bounds.product))
		}
		t.Logf("%s: results %v, gradients %v", text, results, products)
	}
	for _, name := range nn.Activations() {
		if !seen[name] {
			t.Errorf("%s: no case", name)
		}
	}
}

// bounds are those of a network's outputs, of gradients and of statistics, and the size
// that the outputs are measured by.
func (c *torchNetwork) bounds(net *nn.Net) (y, grads, stats torchBounds, of sizeOf) {
	rows := c.Batches[0].Rows
	y, grads, stats, of = torchBounds{4, 8, 0}, torchBounds{4, 8, 0}, torchBounds{4, 8, 0}, largestOf(net.Out())
	if rows == 64 {
		grads = torchBounds{8, 16, 0}
	}
	switch {
	case strings.HasPrefix(c.Layers, "softmax"):
		y, of = torchBounds{1.51, 1, 1}, itself // as package kernels promises
	case strings.Contains(c.Layers, "batchnorm"):
		of = largestOf(rows * net.Out())
		if grads.single = 16; rows == 2 {
			y, grads = torchBounds{8, 32, 0}, torchBounds{16, 64, 0}
		}
	case strings.Contains(c.Layers, "layernorm"):
		grads = torchBounds{8, 16, 0}
	}
	return y, grads, stats, of
}

// nearStats compares the running means and variances of each BatchNorm: with those of the
// other columns, or each by itself if there are no other layers.
func (f *torchFile) nearStats(t *testing.T, name string, net *nn.Net, r torchResult, bound torchBounds) (tally torchTally) {
	t.Helper()
	at, norms := 0, 0
	for _, l := range net.Layers() {
		kind, _, _ := strings.Cut(l.String(), ":")
		if !strings.HasSuffix(kind, "norm") {
			continue
		}
		norms++
		if kind == "layernorm" {
			continue
		}
		gamma := fmt.Sprint("gamma", norms)
		width := net.Views()[slices.IndexFunc(net.Views(), func(v nn.View) bool { return v.Name == gamma })].Shape[0]
		size := largestOf(width)
		if len(net.Layers()) == 1 {
			size = itself
		}
		for _, what := range []string{"mean", "variance"} {
			tally.add(f.near(t, fmt.Sprintf("%s: running %s %d", name, what, norms), net.Stats()[at:][:width], r, at, size, bound))
			at += width
		}
	}
	return tally
}

// TestTorchLayers compares the outputs, the gradients and the running statistics of
// networks, for the same parameters and inputs.
//
// Outputs are in ulps of the largest of their row, or of the batch with BatchNorm, which
// mixes the rows; gradients and statistics in those of the largest of their view, but
// gradients in front of a normalisation, which takes most of them away, of the largest of
// all. Each is a sum of products, and may be 4 ulps off, or 8 if it is the gradient over
// 64 rows. A normalisation divides by what may be small, and the errors of what came before
// grow with it: in the gradients of LayerNorm to 8 ulps, and behind BatchNorm over two rows,
// where only the difference of these counts, to 8 in the outputs and 16 in the gradients.
func TestTorchLayers(t *testing.T) {
	f := loadTorch(t)
	seen := map[string]bool{}
	for i, c := range f.Networks {
		for _, text := range strings.Split(c.Layers, ",") {
			name, _, _ := strings.Cut(text, ":")
			seen[name] = true
		}
		if c.In == 1 {
			continue // TestTorchActivations has it
		}
		net := f.network(t, &c)
		bound, gradBound, statsBound, of := c.bounds(net)
		mixed := len(net.Views()) > 2 && strings.Contains(c.Layers, "norm")
		name := fmt.Sprintf("network %d, %d,%s, %d rows", i, c.In, c.Layers, c.Batches[0].Rows)
		var outputs, grads, stats torchTally
		for i, b := range c.Batches {
			name := fmt.Sprintf("%s, batch %d", name, i+1)
			y := net.Forward(f.vector(b.X), b.Rows)
			outputs.add(f.near(t, name+": output", y, b.Y, 0, of, bound))
			for i := range net.Grads() {
				net.Grads()[i] = float32(math.NaN()) // what was there must not matter
			}
			if net.NumParams() > 0 {
				net.Backward(f.vector(b.DY))
			}
			if mixed {
				grads.add(f.near(t, name+": gradient", net.Grads(), b.Grads, 0, largestOf(net.NumParams()), gradBound))
			} else {
				for _, v := range net.Views() {
					g := v.Of(net.Grads())
					grads.add(f.near(t, name+": gradient of "+v.Name, g, b.Grads, v.Offset, largestOf(len(g)), gradBound))
				}
			}
			stats.add(f.nearStats(t, name, net, b.Stats, statsBound))
		}
		report := fmt.Sprintf("%s: outputs %v", name, outputs)
		if net.NumParams() > 0 {
			report += fmt.Sprintf(", gradients %v", grads)
		}
		if b := c.Predict; b != nil {
			y := make([]float32, b.Rows*net.Out())
			net.Predictor(3).Predict(y, f.vector(b.X), b.Rows)
			predictions := f.near(t, name+": prediction", y, b.Y, 0, largestOf(net.Out()), bound)
			report += fmt.Sprintf(", statistics %v, predictions %v", stats, predictions)
		} else if len(net.Stats()) > 0 {
			t.Errorf("%s: no prediction", name)
		}
		t.Log(report)
	}
	for _, text := range nn.LayerNames() {
		if name, _, _ := strings.Cut(text, "["); !seen[name] && name != "N" && !strings.HasPrefix(name, "dropout") {
			t.Errorf("%s: no network has it", name)
		}
	}
}

// torchLosses are our losses for PyTorch's classes.
var torchLosses = map[string]func(c *torchLoss) nn.Loss{
	"CrossEntropyLoss": func(c *torchLoss) nn.Loss {
		return nn.SoftmaxCrossEntropy{Smoothing: c.Options.Smoothing, Weights: c.Options.Weight}
	},
	"BCEWithLogitsLoss": func(*torchLoss) nn.Loss { return nn.BinaryCrossEntropy{} },
	"MSELoss":           func(*torchLoss) nn.Loss { return nn.MeanSquaredError{} },
	"L1Loss":            func(*torchLoss) nn.Loss { return nn.MeanAbsoluteError{} },
	"HuberLoss":         func(c *torchLoss) nn.Loss { return nn.Huber{Delta: c.Options.Delta} },
}

// bounds are those of the gradient, in whose ulps that is, and that of the value, relative
// to PyTorch's in float64.
//
// A difference of output and target is rounded to float32, and so are targets that
// smoothing or class weights have changed. Else the value is computed in float64. A
// gradient of a cross-entropy is the difference of a probability, in float32, and its
// target, so that it is in ulps of the largest.
func (c *torchLoss) bounds() (grad torchBounds, of sizeOf, value float64) {
	switch {
	case c.Loss == "CrossEntropyLoss" && c.Options.Smoothing == 0 && c.Options.Weight == nil || c.Loss == "BCEWithLogitsLoss":
		return torchBounds{2, 8, 0}, largestOf(c.Rows * torchClasses), 1e-10
	case c.Loss == "CrossEntropyLoss":
		return torchBounds{2, 8, 0}, largestOf(c.Rows * torchClasses), 0x1p-23
	}
	return torchBounds{1.5, 1, 0}, itself, 0x1p-23
}

// torchClasses is how many outputs a row of the losses has.
const torchClasses = 4

// TestTorchLosses compares the losses: the mean, its gradient, and the loss of each row.
// The values that PyTorch computes in float32 are to be within 10⁻⁶ of them, or of 1.
func TestTorchLosses(t *testing.T) {
	f := loadTorch(t)
	seen := map[string]bool{}
	for _, c := range f.Losses {
		loss := torchLosses[c.Loss](&c)
		seen[fmt.Sprintf("%T", loss)] = true
		y := f.vector(c.Y)
		data := &nn.Data{Rows: c.Rows, Labels: c.Labels}
		what := "labels"
		if data.Labels == nil {
			data.Targets, what = f.vector(c.Targets), "targets"
		}
		name := fmt.Sprintf("%s %+v, %s, %d rows", c.Loss, c.Options, what, c.Rows)
		gradBound, of, bound := c.bounds()
		var worst, theirs float64
		near := func(what string, got, single, double float64) {
			t.Helper()
			if got != double {
				worst = max(worst, math.Abs(got-double)/math.Abs(double))
			}
			theirs = max(theirs, math.Abs(single-double)/max(1, math.Abs(double)))
			if !(math.Abs(got-double) <= bound*math.Abs(double) && math.Abs(got-single) <= 1e-6*max(1, math.Abs(double))) {
				t.Errorf("%s: %s is %v, PyTorch has %v in float64 and %v in float32, want at most %.2g and 1e-6 between", name, what, got, double, single, bound)
			}
		}

		grad := make([]float32, len(y))
		near("the mean", nn.MeanLoss(loss, grad, y, data), c.Mean[0], c.Mean[1])
		grads := f.near(t, name+": gradient", grad, c.Grad, 0, of, gradBound)
		single, double := f.result(c.Each)
		for i := range c.Rows {
			row := &nn.Data{Rows: 1}
			if data.Labels != nil {
				row.Labels = data.Labels[i:][:1]
			} else {
				row.Targets = data.Targets[i*torchClasses:][:torchClasses]
			}
			near(fmt.Sprint("the loss of row ", i), loss.Sum(nil, y[i*torchClasses:][:torchClasses], row, 1), single[i], double[i])
		}
		t.Logf("%s: values %.2g off, PyTorch's float32 %.2g; gradients in ulps %v", name, worst, theirs, grads)
	}
	for _, name := range nn.Losses() {
		loss, err := nn.NewLoss(name, nil)
		if err != nil || !seen[fmt.Sprintf("%T", loss)] {
			t.Errorf("%s: no case has it, error %v", name, err)
		}
	}
}
