package data_test

import (
	"bytes"
	"fmt"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/nn/data"
)

// A model of PyTorch,
//
//	model = torch.nn.Sequential(
//	    torch.nn.Linear(5, 6), torch.nn.BatchNorm1d(6), torch.nn.SiLU(), torch.nn.Linear(6, 3))
//	safetensors.torch.save_file(model.half().state_dict(), "torch_f16.safetensors")
//
// predicts here.
func ExampleReadTorchFile() {
	layers, err := nn.ParseLayers("6,batchnorm:0.9:1e-5:1,silu,3")
	if err != nil {
		fmt.Println(err)
		return
	}
	net, err := nn.New(5, layers...)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := data.ReadTorchFile("testdata/torch_f16.safetensors", net, ""); err != nil {
		fmt.Println(err)
		return
	}
	y := make([]float32, net.Out())
	net.Predictor(1).Predict(y, []float32{1, 2, 3, 4, 5}, 1)
	fmt.Printf("%.3f\n", y)

	// Layers that are not the model's are an error that names what does not fit.
	wider := nn.MustNew(5, append(layers[:3], nn.Affine(4))...)
	fmt.Println(data.ReadTorchFile("testdata/torch_f16.safetensors", wider, ""))
	// Output:
	// [-0.415 0.286 -0.431]
	// data: reading testdata/torch_f16.safetensors: there is "3.weight" of shape 3×6, want 4×6, "3.bias" of shape 3, want 4 (the layers are 5 inputs,6,batchnorm:0.9:1e-05:1,silu,4)
}

// A network goes to PyTorch: its parameters as a file, and its layers as Python.
func ExampleWriteTorch() {
	net := nn.MustNew(784, nn.Affine(100), nn.ReLU(), nn.Affine(10))
	net.Init(nn.He(), 1)
	var file bytes.Buffer
	if err := data.WriteTorch(&file, net, ""); err != nil {
		fmt.Println(err)
		return
	}
	module, err := data.TorchSequential(net.In(), net.Layers())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(module)

	tensors, metadata, err := data.ReadSafetensors(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(metadata)
	for _, t := range tensors {
		fmt.Println(t.Name, t.DType, t.Shape)
	}
	// Output:
	// torch.nn.Sequential(torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))
	// map[format:pt]
	// 0.bias F32 [100]
	// 0.weight F32 [100 784]
	// 2.bias F32 [10]
	// 2.weight F32 [10 100]
}

// A network of two inputs for onnxruntime, which takes them as they are measured.
func ExampleWriteONNX() {
	net := nn.MustNew(2, nn.Affine(16), nn.ReLU(), nn.Affine(3), nn.Softmax())
	net.Init(nn.He(), 1)
	var file bytes.Buffer
	err := data.WriteONNX(&file, net, data.ONNXOptions{
		Mean: []float32{170, 65},
		Std:  []float32{9, 12},
	})
	fmt.Println(file.Len() > 4*net.NumParams(), err)
	// Output: true <nil>
}
