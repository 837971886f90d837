package kernels_test

import (
	"fmt"

	"github.com/lockstep-go/lockstep/kernels"
)

// A step of Adam on a trainer's own slices.
func ExampleAdam() {
	params, grads := []float32{1, 2, 3}, []float32{0.1, 0, -0.1}
	m, v := make([]float32, 3), make([]float32, 3)
	kernels.Adam(params, m, v, grads, kernels.AdamCoef{
		LR:            0.001 * 0.0316227766 / 0.1, // η·√(1-β2ᵗ)/(1-β1ᵗ) with t = 1
		OneMinusBeta1: 0.1, OneMinusBeta2: 0.001, Eps: 1e-7,
	})
	fmt.Println(params)
	// Output: [0.999 2 3.001]
}

// A dense layer: y = relu(x·Wᵀ + b), W as PyTorch has it, in one pass.
func ExampleGemmFused() {
	const rows, in, out = 2, 3, 2
	x := []float32{1, 2, 3, 4, 5, 6}      // rows×in
	w := []float32{1, 0, -1, 0.5, 0.5, 0} // out×in
	b := []float32{1, -2}
	y := make([]float32, rows*out)
	kernels.GemmFused(kernels.NoTrans, kernels.Trans, rows, out, in, 1, x, in, w, in, 0, y, out,
		kernels.Epilogue{Bias: b, Act: kernels.ActReLU})
	fmt.Println(y)
	// Output: [0 0 0 2.5]
}

// A row of the loss of a classifier, and its gradient.
func ExampleSoftmaxCrossEntropy() {
	x := []float32{2, 1, 0}
	loss, grad := make([]float64, 1), make([]float32, 3)
	kernels.SoftmaxCrossEntropy(1, 3, loss, grad, 3, x, 3, []int32{0}, 1)
	fmt.Printf("%.4f %.4f\n", loss, grad)
	// Output: [0.4076] [-0.3348 0.2447 0.0900]
}

// The same kernels without assembly, to compare.
func ExampleSetISA() {
	was := kernels.ISA()
	defer kernels.SetISA(was)
	if err := kernels.SetISA("portable"); err != nil {
		fmt.Println(err)
		return
	}
	y := make([]float32, 2)
	kernels.Activate(kernels.ActTanh, y, []float32{0.5, -1})
	fmt.Println(kernels.ISA(), y)
	// Output: portable [0.46211717 -0.7615942]
}
