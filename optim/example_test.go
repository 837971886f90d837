package optim_test

import (
	"errors"
	"fmt"
	"math"

	"github.com/lockstep-go/lockstep/optim"
)

// Thirty steps towards the minimum of x²/20 + y², by the gradient (x/10, 2y).
func Example() {
	p, g := []float32{-7, 2}, make([]float32, 2)
	opt := optim.NewMomentum(len(p), optim.MomentumOptions{LR: 0.1})
	for range 30 {
		g[0], g[1] = p[0]/10, 2*p[1]
		if err := opt.Step(p, g); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Printf("%.3f\n", p)
	// Output: [0.896 0.088]
}

// A rule chosen when the program runs.
func ExampleNew() {
	opt, err := optim.New("rmsprop", optim.Vector(1000), map[string]float64{"lr": 0.001, "rho": 0.9})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(opt.Name())

	_, err = optim.New("sgd", optim.Vector(1000), map[string]float64{"lr": -1})
	fmt.Println(err)
	// Output:
	// rmsprop
	// optim: sgd: lr = -1, want above 0 and below 3.4028234663852886e+38
}

func ExampleNames() {
	fmt.Println(optim.Names())
	// Output: [sgd momentum nesterov nesterov-velocity-first adagrad rmsprop adam torch-sgd torch-adagrad torch-rmsprop torch-adam amsgrad adamw adadelta adamax nadam radam rprop asgd lion lamb lars adafactor muon]
}

// Gradients clipped to a norm of 1. Of one that is no number, the step says where.
func ExampleGuard() {
	p, g := []float32{1, 1}, []float32{30, 40}
	opt := optim.NewSGD(len(p), optim.SGDOptions{LR: 0.1, Common: optim.Common{Guard: optim.Guard{ClipNorm: 1}}})
	if err := opt.Step(p, g); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%.3f\n", p)

	g[1] = float32(math.NaN())
	err := opt.Step(p, g)
	fmt.Println(err, errors.Is(err, optim.ErrNotFinite))
	// Output:
	// [0.940 0.920]
	// optim: sgd: step 2: gradient 1 of 2 is NaN: not finite true
}

// A training that goes on where another one stopped.
func ExampleRule_SetState() {
	p, g := []float32{-7, 2}, make([]float32, 2)
	gradient := func() { g[0], g[1] = p[0]/10, 2*p[1] }
	first := optim.NewAdam(len(p), optim.AdamOptions{LR: 0.3})
	for range 10 {
		gradient()
		if err := first.Step(p, g); err != nil {
			fmt.Println(err)
		}
	}
	second := optim.NewAdam(len(p), optim.AdamOptions{LR: 0.3})
	if err := second.SetState(first.State()); err != nil {
		fmt.Println(err)
	}
	gradient()
	if err := second.Step(p, g); err != nil {
		fmt.Println(err)
	}
	fmt.Println(second.State().Steps, "steps")

	fmt.Println(optim.NewSGD(len(p), optim.SGDOptions{}).SetState(first.State()))
	// Output:
	// 11 steps
	// optim: sgd: state of "adam", want one of "sgd"
}

// The mean of what the parameters have been.
func ExampleNewEMA() {
	p, g := []float32{1}, []float32{1}
	opt := optim.NewSGD(len(p), optim.SGDOptions{LR: 0.1})
	mean := optim.NewEMA(len(p), 0.5)
	mean.Update(p)
	for range 3 {
		if err := opt.Step(p, g); err != nil {
			fmt.Println(err)
		}
		mean.Update(p)
	}
	fmt.Printf("%.4f %.4f\n", p, mean.Params())
	// Output: [0.7000] [0.7875]
}

// Slow weights that follow Adam's.
func ExampleNewLookahead() {
	p, g := []float32{-7, 2}, make([]float32, 2)
	adam := optim.NewAdam(len(p), optim.AdamOptions{LR: 0.3})
	opt := optim.NewLookahead(len(p), adam, optim.LookaheadOptions{})
	for range 30 {
		g[0], g[1] = p[0]/10, 2*p[1]
		if err := opt.Step(p, g); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Printf("%.2f after %d steps\n", p, opt.State().Steps)
	// Output: [-2.86 -0.17] after 30 steps
}

// Weights decay, biases do not. The gradients are zero, so this is all that they do.
func ExampleSpare() {
	layout := []optim.Tensor{{Rows: 2, Cols: 2}, {Rows: 1, Cols: 2}}
	opt := optim.Spare(optim.Guard{ClipNorm: 1}, layout, func(layout []optim.Tensor, spared bool) *optim.Rule {
		o := optim.SGDOptions{LR: 0.5, Common: optim.Common{Decay: 0.5}}
		if spared {
			o.Decay = 0
		}
		return optim.NewSGD(optim.Size(layout), o)
	})
	p := []float32{4, 4, 4, 4, 1, 1}
	if err := opt.Step(p, make([]float32, 6)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(p)
	// Output: [3 3 3 3 1 1]
}
