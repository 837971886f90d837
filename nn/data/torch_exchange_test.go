//go:build exchange

package data_test

import (
	"context"
	"encoding/binary"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lockstep-go/lockstep/internal/mnist"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/nn/data"
	"github.com/lockstep-go/lockstep/optim"
)

var python = flag.String("python", "python3", "a python that has torch, safetensors, onnx and onnxruntime, for TestExchange")

// Networks that are trained on MNIST predict the same in PyTorch and in onnxruntime, for the
// whole test set, and those that PyTorch trains predict the same here:
//
//	go test -tags exchange -run TestExchange -v -python …/bin/python .
//
// testdata/torch_exchange.py is the other side. It needs what is not in this module, so
// there is a tag for it.
func TestExchange(t *testing.T) {
	train, test, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	in := test.Width * test.Height
	dir := t.TempDir()
	write := func(name string, x []float32) {
		t.Helper()
		b := make([]byte, 0, 4*len(x))
		for _, v := range x {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("train.f32", train.Images[:20000*in])
	write("test.f32", test.Images)
	labels := make([]byte, 20000)
	for i := range labels {
		labels[i] = byte(train.Labels[i])
	}
	if err := os.WriteFile(filepath.Join(dir, "train.u8"), labels, 0o644); err != nil {
		t.Fatal(err)
	}

	// Each pixel less its mean and divided by its deviation, which the ONNX file does itself.
	var o data.ONNXOptions
	for j := range in {
		var sum, squares float64
		for i := range 20000 {
			v := float64(train.Images[i*in+j])
			sum += v
			squares += v * v
		}
		mean := sum / 20000
		o.Mean = append(o.Mean, float32(mean))
		o.Std = append(o.Std, float32(math.Sqrt(max(0, squares/20000-mean*mean)+0.01)))
	}

	cases := []struct {
		name, layers string
		o            data.ONNXOptions
	}{
		{"plain", "100,relu,10", data.ONNXOptions{}},
		{"deep", "256,batchnorm:0.9:1e-5:1,gelu,dropout:0.2,100,layernorm,silu,10", o},
	}
	nets := map[string]*nn.Net{}
	for _, c := range cases {
		net := parsed(t, in, c.layers)
		net.Init(nn.He(), 1)
		trainer := &nn.Trainer{
			Net: net, Loss: nn.SoftmaxCrossEntropy{}, Epochs: 2, Seed: 1,
			Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{}),
		}
		set := &nn.Data{Rows: 20000, X: preprocessed(train.Images[:20000*in], c.o, in), Labels: train.Labels[:20000]}
		if _, err := trainer.Fit(context.Background(), set); err != nil {
			t.Fatal(err)
		}
		nets[c.name] = net
		x := preprocessed(test.Images, c.o, in)
		y := predict(net, x)
		t.Logf("%s: accuracy %.4f", c.name, nn.Accuracy(y, &nn.Data{Rows: test.Rows, Labels: test.Labels}))
		module, err := data.TorchSequential(in, net.Layers())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, c.name+".py"), []byte(module), 0o644); err != nil {
			t.Fatal(err)
		}
		write(c.name+".x.f32", x)
		write(c.name+".y.f32", y)
		if err := data.WriteTorchFile(filepath.Join(dir, c.name+".safetensors"), net, ""); err != nil {
			t.Fatal(err)
		}
		if err := data.WriteONNXFile(filepath.Join(dir, c.name+".onnx"), net, c.o); err != nil {
			t.Fatal(err)
		}
	}

	command := exec.Command(*python, filepath.Join("testdata", "torch_exchange.py"), dir)
	out, err := command.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}

	for _, c := range cases {
		net := parsed(t, in, c.layers)
		if err := data.ReadTorchFile(filepath.Join(dir, c.name+".torch.safetensors"), net, "layers."); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, c.name+".torch.y.f32"))
		if err != nil {
			t.Fatal(err)
		}
		theirs := make([]float32, len(b)/4)
		for i := range theirs {
			theirs[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		y := predict(net, preprocessed(test.Images, c.o, in))
		other := 0
		for i := range test.Rows {
			if nn.Argmax(y[10*i:][:10]) != nn.Argmax(theirs[10*i:][:10]) {
				other++
			}
		}
		worst := farthest(t, y, theirs)
		t.Logf("%s of PyTorch, here: accuracy %.4f, largest difference %.3g, %d other classes", c.name, nn.Accuracy(y, &nn.Data{Rows: test.Rows, Labels: test.Labels}), worst, other)
		if !(worst <= 1e-4) || other > 0 {
			t.Errorf("%s: PyTorch's network differs here by %v, want at most 1e-4, with %d other classes, want none", c.name, worst, other)
		}
	}
}
