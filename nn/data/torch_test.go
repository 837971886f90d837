package data_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/nn/data"
)

// modelCases is what testdata/torch.py and onnx.py wrote.
type modelCases struct {
	Versions map[string]string
	Rows     int
	Cases    []modelCase
}

// modelCase is a file, inputs, and what PyTorch or onnxruntime computes.
type modelCase struct {
	File, SHA256   string
	In             int
	Layers, Prefix string
	Tensors        int
	X, Y           []float32
}

// readCases reads the cases of a file and checks the sums of the files that it names.
func readCases(t *testing.T, name string) modelCases {
	t.Helper()
	var f modelCases
	if err := json.Unmarshal(readModelFile(t, name), &f); err != nil {
		t.Fatal(name, err)
	}
	for _, c := range f.Cases {
		if sum := fmt.Sprintf("%x", sha256.Sum256(readModelFile(t, c.File))); sum != c.SHA256 {
			t.Fatalf("%s: SHA-256 is %s, %s has %s", c.File, sum, name, c.SHA256)
		}
	}
	return f
}

func readModelFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parsed makes a network of layers as text.
func parsed(t *testing.T, in int, text string) *nn.Net {
	t.Helper()
	layers, err := nn.ParseLayers(text)
	if err != nil {
		t.Fatal(err)
	}
	net, err := nn.New(in, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// filled is a network with random numbers in the place of all that starts as 0 or 1.
func filled(t *testing.T, in int, text string) *nn.Net {
	t.Helper()
	net := parsed(t, in, text)
	net.Init(nn.He(), 1)
	random := uint32(12345)
	next := func() float32 {
		random = random*1664525 + 1013904223
		return float32(random>>8)/(1<<24) - 0.5
	}
	for _, v := range net.Views() {
		if len(v.Shape) == 1 {
			for i, p := range v.Of(net.Params()) {
				v.Of(net.Params())[i] = p + next()
			}
		}
	}
	for i := range net.Stats() {
		net.Stats()[i] = next() + 0.75
	}
	return net
}

// predict returns the outputs for the rows of x.
func predict(net *nn.Net, x []float32) []float32 {
	rows := len(x) / net.In()
	y := make([]float32, rows*net.Out())
	net.Predictor(rows).Predict(y, x, rows)
	return y
}

// farthest is the largest difference of two vectors.
func farthest(t *testing.T, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d outputs, want %d", len(got), len(want))
	}
	worst := 0.0
	for i := range got {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if !(d <= worst) {
			worst = d
		}
	}
	return worst
}

// PyTorch's models, as the safetensors library saved them, predict here what they do there.
func TestReadTorch(t *testing.T) {
	f := readCases(t, "torch.json")
	t.Log(f.Versions)
	for _, c := range f.Cases {
		net := parsed(t, c.In, c.Layers)
		tensors, metadata, err := data.ReadSafetensors(bytes.NewReader(readModelFile(t, c.File)))
		if err != nil || len(tensors) != c.Tensors {
			t.Errorf("%s: %d tensors, error %v, want %d", c.File, len(tensors), err, c.Tensors)
			continue
		}
		if want := strings.Contains(c.File, "every") || strings.Contains(c.File, "prefix"); want != (metadata["format"] == "pt") {
			t.Errorf("%s: metadata %v", c.File, metadata)
		}
		if err := data.ReadTorch(bytes.NewReader(readModelFile(t, c.File)), net, c.Prefix); err != nil {
			t.Errorf("%s: %v", c.File, err)
			continue
		}
		worst := farthest(t, predict(net, c.X), c.Y)
		t.Logf("%s: largest difference %.3g", c.File, worst)
		if !(worst <= 1e-6) {
			t.Errorf("%s: outputs differ from PyTorch's by %v, want at most 1e-6", c.File, worst)
		}

		// From the file too, and without a byte of the numbers changed.
		again := parsed(t, c.In, c.Layers)
		if err := data.ReadTorchFile(filepath.Join("testdata", c.File), again, c.Prefix); err != nil {
			t.Errorf("%s: %v", c.File, err)
		} else if nn.Hash(again.Params()) != nn.Hash(net.Params()) || nn.Hash(again.Stats()) != nn.Hash(net.Stats()) {
			t.Errorf("%s: another network from the path", c.File)
		}
	}
}

// What is written has the bytes that the safetensors library writes for the same model.
func TestWriteTorch(t *testing.T) {
	written := 0
	for _, c := range readCases(t, "torch.json").Cases {
		if !strings.Contains(c.File, "every") {
			continue
		}
		written++
		net := parsed(t, c.In, c.Layers)
		want := readModelFile(t, c.File)
		if err := data.ReadTorch(bytes.NewReader(want), net, c.Prefix); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := data.WriteTorch(&got, net, c.Prefix); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: %d bytes are not the %d of the library:\n%.300q\n%.300q", c.File, got.Len(), len(want), got.Bytes(), want)
		}
		path := filepath.Join(t.TempDir(), "net.safetensors")
		if err := data.WriteTorchFile(path, net, c.Prefix); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s: %d other bytes in the file, error %v", c.File, len(b), err)
		}
		if _, err := os.Stat(path + ".tmp"); err == nil {
			t.Errorf("%s: the temporary file is left", c.File)
		}
	}
	if written != 1 {
		t.Errorf("%d files compared, want 1", written)
	}
}

// The names and the layout, number by number.
func TestStateDict(t *testing.T) {
	net := parsed(t, 2, "3,relu,batchnorm,dropout,1,layernorm")
	for i := range net.Params() {
		net.Params()[i] = float32(i)
	}
	for i := range net.Stats() {
		net.Stats()[i] = float32(100 + i)
	}
	tensors, err := data.StateDict(net, "a.")
	if err != nil {
		t.Fatal(err)
	}
	// W1 is 0 to 5 as 2×3, b1 6 to 8, gamma1 9 to 11, beta1 12 to 14, W2 15 to 17, b2 18,
	// gamma2 19, beta2 20.
	want := []data.Tensor{
		{Name: "a.0.weight", DType: "F32", Shape: []int{3, 2}, Data: []float32{0, 3, 1, 4, 2, 5}},
		{Name: "a.0.bias", DType: "F32", Shape: []int{3}, Data: []float32{6, 7, 8}},
		{Name: "a.2.weight", DType: "F32", Shape: []int{3}, Data: []float32{9, 10, 11}},
		{Name: "a.2.bias", DType: "F32", Shape: []int{3}, Data: []float32{12, 13, 14}},
		{Name: "a.2.running_mean", DType: "F32", Shape: []int{3}, Data: []float32{100, 101, 102}},
		{Name: "a.2.running_var", DType: "F32", Shape: []int{3}, Data: []float32{103, 104, 105}},
		{Name: "a.2.num_batches_tracked", DType: "I64", Shape: []int{}, Ints: []int64{0}},
		{Name: "a.4.weight", DType: "F32", Shape: []int{1, 3}, Data: []float32{15, 16, 17}},
		{Name: "a.4.bias", DType: "F32", Shape: []int{1}, Data: []float32{18}},
		{Name: "a.5.weight", DType: "F32", Shape: []int{1}, Data: []float32{19}},
		{Name: "a.5.bias", DType: "F32", Shape: []int{1}, Data: []float32{20}},
	}
	if got, want := fmt.Sprintf("%+v", tensors), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("it is\n%s, want\n%s", got, want)
	}

	// The tensors are copies.
	for _, x := range tensors {
		clear(x.Data)
	}
	if net.Params()[20] != 20 || net.Params()[5] != 5 || net.Stats()[5] != 105 {
		t.Error("what was returned is the network's own memory")
	}
}

// A network of a size that no block divides comes back as it was, from tensors in any order and
// without the number of batches.
func TestLoadStateDict(t *testing.T) {
	const layers = "70,batchnorm,relu,33,layernorm,softmax"
	net := filled(t, 45, layers)
	tensors, err := data.StateDict(net, "net.")
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(tensors)
	tensors = slices.DeleteFunc(tensors, func(x data.Tensor) bool { return x.Ints != nil })
	tensors = append(tensors, data.Tensor{Name: "other", Shape: []int{1}, Data: []float32{7}})
	got := parsed(t, 45, layers)
	if err := data.LoadStateDict(got, tensors, "net."); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Params(), net.Params()) || !slices.Equal(got.Stats(), net.Stats()) {
		t.Error("another network came back")
	}
}

// What does not fit is named, and changes nothing.
func TestLoadStateDictErrors(t *testing.T) {
	const layers = "4,batchnorm,relu,2"
	vector := func(name string, shape ...int) data.Tensor {
		size := 1
		for _, n := range shape {
			size *= n
		}
		return data.Tensor{Name: name, DType: "F32", Shape: shape, Data: make([]float32, size)}
	}
	without := func(name string, more ...data.Tensor) []data.Tensor {
		tensors, err := data.StateDict(filled(t, 3, layers), "")
		if err != nil {
			t.Fatal(err)
		}
		return append(slices.DeleteFunc(tensors, func(x data.Tensor) bool { return x.Name == name }), more...)
	}
	var prefixed []data.Tensor
	for _, x := range without("") {
		x.Name = "layers." + x.Name
		prefixed = append(prefixed, x)
	}
	for _, c := range []struct {
		what    string
		tensors []data.Tensor
		prefix  string
		want    []string
	}{
		{"missing", without("1.running_var"), "", []string{`there is no "1.running_var" of shape 4 (the layers are 3 inputs,4,batchnorm:0.9:1e-06:0,relu,2)`}},
		{"superfluous", without("", vector("4.weight", 5, 2)), "", []string{`the layers do not have "4.weight" of shape 5×2`}},
		{"another number", without("3.bias", vector("4.bias", 2)), "", []string{`there is no "3.bias" of shape 2; the layers do not have "4.bias" of shape 2`}},
		{"the other way round", without("0.weight", vector("0.weight", 3, 4)), "", []string{`there is "0.weight" of shape 3×4, want 4×3`}},
		{"other inputs", without("0.weight", vector("0.weight", 4, 5)), "", []string{`there is "0.weight" of shape 4×5, want 4×3`}},
		{"too many dimensions", without("0.bias", vector("0.bias", 4, 1)), "", []string{`there is "0.bias" of shape 4×1, want 4`}},
		{"a number", without("0.bias", vector("0.bias")), "", []string{`there is "0.bias" of shape (), want 4`}},
		{"too few elements", without("0.bias", data.Tensor{Name: "0.bias", Shape: []int{4}}), "", []string{`there is "0.bias" of shape 4`}},
		{"integers", without("0.bias", data.Tensor{Name: "0.bias", DType: "I64", Shape: []int{4}, Ints: make([]int64, 4)}), "", []string{`there is "0.bias" with elements of type I64, want F32`}},
		{"a count of floats", without("1.num_batches_tracked", vector("1.num_batches_tracked")), "", []string{`"1.num_batches_tracked" with elements of type F32, want I64`}},
		{"twice", without("", vector("0.bias", 4)), "", []string{`two tensors of the name "0.bias"`}},
		{"without the prefix", prefixed, "", []string{`there is no "0.weight" of shape 4×3, "0.bias" of shape 4, `, "2 more", `do not have "layers.0.weight" of shape 4×3`, `no name begins with the prefix ""`}},
		{"with another prefix", without(""), "layers.", []string{`there is no "layers.0.weight" of shape 4×3, `, `no name begins with the prefix "layers."`}},
		{"nothing", nil, "", []string{`there is no "0.weight" of shape 4×3`}},
	} {
		net := filled(t, 3, layers)
		params, stats := slices.Clone(net.Params()), slices.Clone(net.Stats())
		for i := range net.Params() { // of the tensors it has other numbers
			params[i]++
			net.Params()[i]++
		}
		err := data.LoadStateDict(net, c.tensors, c.prefix)
		if err == nil {
			t.Errorf("%s: no error", c.what)
			continue
		}
		for _, want := range append(c.want, "data.LoadStateDict: ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q, want one with %q", c.what, err, want)
			}
		}
		if !slices.Equal(net.Params(), params) || !slices.Equal(net.Stats(), stats) {
			t.Errorf("%s: the network changed", c.what)
		}
	}

	// PyTorch has no such layer, so there is nothing to read or to write.
	book := filled(t, 3, "4,dropout-book,2")
	for what, err := range map[string]error{
		"StateDict":     func() error { _, err := data.StateDict(book, ""); return err }(),
		"LoadStateDict": data.LoadStateDict(book, nil, ""),
		"WriteTorch":    data.WriteTorch(new(bytes.Buffer), book, ""),
	} {
		if err == nil || !strings.Contains(err.Error(), "data."+what+": layer 2 is dropout-book:0.5, which PyTorch does not have") {
			t.Errorf("%s: dropout-book: error %v", what, err)
		}
	}
}

func TestTorchSequential(t *testing.T) {
	layers, err := nn.ParseLayers("8,batchnorm:0.9:1e-5:1,relu,leakyrelu:0.2,elu,gelu,gelu-tanh,silu,sigmoid,tanh,softplus,7,layernorm,dropout:0.2,softmax")
	if err != nil {
		t.Fatal(err)
	}
	got, err := data.TorchSequential(6, layers)
	want := "torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8, eps=1e-05, momentum=0.1), torch.nn.ReLU(), torch.nn.LeakyReLU(0.2), " +
		"torch.nn.ELU(1), torch.nn.GELU(), torch.nn.GELU(approximate='tanh'), torch.nn.SiLU(), torch.nn.Sigmoid(), torch.nn.Tanh(), torch.nn.Softplus(), " +
		"torch.nn.Linear(8, 7), torch.nn.LayerNorm(7, eps=1e-05), torch.nn.Dropout(0.2), torch.nn.Softmax(dim=1))"
	if got != want || err != nil {
		t.Errorf("it is\n%s, error %v, want\n%s", got, err, want)
	}
	for _, name := range append(nn.Activations(), "softmax", "batchnorm", "layernorm", "dropout", "3") {
		if l, _ := nn.ParseLayer(name); true {
			if text, err := data.TorchSequential(3, []nn.Layer{l}); err != nil {
				t.Errorf("%s: %q, error %v", name, text, err)
			}
		}
	}
	if text, err := data.TorchSequential(3, []nn.Layer{nn.BookDropout(0.5)}); err == nil {
		t.Errorf("dropout-book is %q, want an error", text)
	}
}
