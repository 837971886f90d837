package data_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/nn/data"
)

var updateONNX = flag.Bool("update-onnx", false, "write testdata/onnx_*.onnx anew")

// onnxCases are networks of which testdata has the files, and what onnxruntime makes of them.
var onnxCases = []struct {
	name      string
	in        int
	layers    string
	mean, std bool
}{
	{"every", 6, "8,batchnorm:0.9:1e-5:1,relu,dropout:0.2,7,layernorm,gelu,6,leakyrelu:0.2,6,elu:0.7,9,gelu-tanh,5,silu,dropout-book:0.3," +
		"layernorm:0.01,5,tanh,batchnorm:0.75:0.001:1,7,sigmoid,4,softplus,gelu,4,dropout-book:0.2,softmax", true, true},
	{"logits", 5, "6,relu,3", false, false},
	{"mean", 5, "6,silu,3", true, false},
	{"std", 5, "6,elu,1", false, true},
	{"gelu", 4, "gelu", false, false},
	{"gelu-tanh", 4, "gelu-tanh", false, false},
	{"leakyrelu", 4, "leakyrelu", false, false},
	{"elu", 4, "elu:2", false, false},
	{"softplus", 4, "softplus", false, false},
	{"softmax", 4, "softmax", false, false},
	{"batchnorm", 4, "batchnorm:0.9:0.5", false, false},
	{"layernorm", 4, "layernorm:0.5", false, false},
	{"book", 4, "dropout-book:0.3", false, false},
	{"dropout", 4, "dropout", false, false},
}

// onnxOptions has some preprocessing.
func onnxOptions(in int, mean, std bool) data.ONNXOptions {
	var o data.ONNXOptions
	for i := range in {
		if mean {
			o.Mean = append(o.Mean, 0.25*float32(i)-0.5)
		}
		if std {
			o.Std = append(o.Std, 0.5+0.3*float32(i))
		}
	}
	return o
}

// preprocessed is x as the options have it.
func preprocessed(x []float32, o data.ONNXOptions, in int) []float32 {
	x = slices.Clone(x)
	for i := range x {
		if o.Mean != nil {
			x[i] -= o.Mean[i%in]
		}
		if o.Std != nil {
			x[i] /= o.Std[i%in]
		}
	}
	return x
}

// The files are those of testdata, byte by byte; onnx.checker has passed them, and what
// onnxruntime computes with them is what the networks predict.
func TestONNX(t *testing.T) {
	var files []string
	for _, c := range onnxCases {
		net := filled(t, c.in, c.layers)
		var b bytes.Buffer
		if err := data.WriteONNX(&b, net, onnxOptions(c.in, c.mean, c.std)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		file := "onnx_" + c.name + ".onnx"
		files = append(files, file)
		path := filepath.Join("testdata", file)
		if *updateONNX {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if !bytes.Equal(b.Bytes(), readModelFile(t, file)) {
			t.Errorf("%s: other bytes than in testdata", c.name)
		}

		path = filepath.Join(t.TempDir(), file)
		if err := data.WriteONNXFile(path, net, onnxOptions(c.in, c.mean, c.std)); err != nil {
			t.Fatal(err)
		}
		if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, b.Bytes()) {
			t.Errorf("%s: %d other bytes in a file, error %v", c.name, len(again), err)
		}
	}
	if *updateONNX {
		return
	}
	f := readCases(t, "onnx.json")
	t.Log(f.Versions)
	for _, r := range f.Cases {
		i := slices.Index(files, r.File)
		if i < 0 {
			t.Errorf("%s has no case", r.File)
			continue
		}
		files[i] = ""
		c := onnxCases[i]
		x := preprocessed(r.X, onnxOptions(c.in, c.mean, c.std), c.in)
		worst := farthest(t, predict(filled(t, c.in, c.layers), x), r.Y)
		t.Logf("%s: largest difference %.3g", r.File, worst)
		if !(worst <= 2e-6) {
			t.Errorf("%s: outputs differ from onnxruntime's by %v, want at most 2e-6", r.File, worst)
		}
	}
	if left := strings.Join(files, ""); left != "" {
		t.Errorf("onnx.json lacks %s", left)
	}
}

// Each kind of layer is in the case of all.
func TestONNXCases(t *testing.T) {
	for _, name := range nn.LayerNames()[1:] {
		name, _, _ = strings.Cut(name, "[")
		if !strings.Contains(","+onnxCases[0].layers+",", ","+name+",") && !strings.Contains(","+onnxCases[0].layers, ","+name+":") {
			t.Errorf("%s is in no file", name)
		}
	}
}

func TestONNXErrors(t *testing.T) {
	net := parsed(t, 3, "2")
	for _, c := range []struct {
		what string
		o    data.ONNXOptions
		want string
	}{
		{"Mean", data.ONNXOptions{Mean: make([]float32, 2)}, "data.WriteONNX: len(Mean) = 2, want 3, one for each input"},
		{"no Mean", data.ONNXOptions{Mean: []float32{}}, "len(Mean) = 0, want 3"},
		{"Std", data.ONNXOptions{Std: make([]float32, 4)}, "len(Std) = 4, want 3"},
		{"zero", data.ONNXOptions{Std: []float32{1, 0, 1}}, "Std[1] = 0, want above 0"},
		{"not a number", data.ONNXOptions{Std: []float32{1, 1, float32NaN()}}, "Std[2] = NaN, want above 0"},
	} {
		var b bytes.Buffer
		if err := data.WriteONNX(&b, net, c.o); err == nil || !strings.Contains(err.Error(), c.want) || b.Len() > 0 {
			t.Errorf("%s: error %v and %d bytes, want %q and none", c.what, err, b.Len(), c.want)
		}
	}

	// A failed write leaves the file that was there.
	dir := t.TempDir()
	path := filepath.Join(dir, "net.onnx")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := data.WriteONNXFile(path, net, data.ONNXOptions{Mean: []float32{}}); err == nil || !strings.Contains(err.Error(), "data: writing "+path+": len(Mean) = 0") {
		t.Errorf("error %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("the file has %q after an error, want what it had", b)
	}
	if _, err := os.Stat(path + ".tmp"); err == nil {
		t.Error("the temporary file is left")
	}
	if err := data.WriteONNXFile(filepath.Join(dir, "none", "net.onnx"), net, data.ONNXOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one of a directory that is not there", err)
	}
	if err := data.WriteONNX(full{}, net, data.ONNXOptions{}); !errors.Is(err, errFull) {
		t.Errorf("error %v, want the writer's", err)
	}
}

func float32NaN() float32 {
	var zero float32
	return zero / zero
}
