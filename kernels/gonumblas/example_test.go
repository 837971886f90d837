package gonumblas_test

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/lockstep-go/lockstep/kernels/gonumblas"
)

func Example() {
	blas32.Use(gonumblas.Implementation{})

	a := blas32.General{Rows: 2, Cols: 3, Stride: 3, Data: []float32{
		1, 2, 3,
		4, 5, 6,
	}}
	b := blas32.General{Rows: 3, Cols: 2, Stride: 2, Data: []float32{
		1, 0,
		0, 1,
		1, 1,
	}}
	c := blas32.General{Rows: 2, Cols: 2, Stride: 2, Data: make([]float32, 4)}
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, a, b, 0, c)
	fmt.Println(c.Data)

	y := blas32.Vector{N: 3, Inc: 1, Data: make([]float32, 3)}
	blas32.Gemv(blas.Trans, 1, a, blas32.Vector{N: 2, Inc: 1, Data: []float32{1, 10}}, 0, y)
	fmt.Println(y.Data)
	// Output:
	// [4 5 10 11]
	// [41 52 63]
}
