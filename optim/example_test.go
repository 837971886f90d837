package optim_test

import (
	"fmt"

	"github.com/lockstep-go/lockstep/optim"
)

// Thirty steps towards the minimum of x²/20 + y², by the gradient (x/10, 2y).
func Example() {
	p, g := []float32{-7, 2}, make([]float32, 2)
	opt := optim.NewMomentum(len(p), optim.MomentumOptions{LR: 0.1})
	for range 30 {
		g[0], g[1] = p[0]/10, 2*p[1]
		opt.Step(p, g)
	}
	fmt.Printf("%.3f\n", p)
	// Output: [0.896 0.088]
}

// A rule chosen when the program runs.
func ExampleNew() {
	opt, err := optim.New("rmsprop", 1000, map[string]float64{"lr": 0.001, "rho": 0.9})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(opt.Name())

	_, err = optim.New("sgd", 1000, map[string]float64{"lr": -1})
	fmt.Println(err)
	// Output:
	// rmsprop
	// optim: sgd: lr = -1, want above 0 and below 3.4028234663852886e+38
}

func ExampleNames() {
	fmt.Println(optim.Names())
	// Output: [sgd momentum nesterov nesterov-velocity-first adagrad rmsprop adam adamw lion]
}
