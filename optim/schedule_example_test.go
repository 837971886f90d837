package optim_test

import (
	"fmt"

	"github.com/lockstep-go/lockstep/optim"
)

// The rate before each step of a run.
func ExampleWarmupCosine() {
	schedule := optim.WarmupCosine(3, 6, 0.001)
	var rates [10]float64
	for step := range rates {
		rates[step] = schedule.LR(0.1, step)
	}
	fmt.Printf("%.4f\n", rates)
	// Output: [0.0250 0.0500 0.0750 0.1000 0.0934 0.0753 0.0505 0.0258 0.0076 0.0010]
}

// A warm-up, and then a tenth of the rate after each 4 steps.
func ExampleSequentialLR() {
	schedule := optim.SequentialLR([]int{3}, optim.LinearLR(0.25, 1, 3), optim.StepLR(4, 0.1))
	var rates [12]float64
	for step := range rates {
		rates[step] = schedule.LR(0.1, step)
	}
	fmt.Printf("%.3f\n", rates)
	// Output: [0.025 0.050 0.075 0.100 0.100 0.100 0.100 0.010 0.010 0.010 0.010 0.001]
}

// A schedule chosen when the program runs.
func ExampleNewSchedule() {
	schedule, err := optim.NewSchedule("cosine", map[string]float64{"tmax": 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f\n", schedule.LR(0.1, 3))

	_, err = optim.NewSchedule("exponential", map[string]float64{"gamma": -1})
	fmt.Println(err)
	// Output:
	// 0.015
	// optim: schedule exponential: gamma = -1, want above 0 and at most 3.4028234663852886e+38
}

// The rate is halved after two losses in a row that are not the lowest.
func ExampleReduceLROnPlateau() {
	plateau := optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{Factor: 0.5, Patience: 1})
	var rates []float64
	for epoch, loss := range []float64{2, 1, 1.1, 1, 0.9, 0.95, 0.91} {
		plateau.Observe(loss)
		rates = append(rates, plateau.LR(0.1, epoch))
	}
	fmt.Println(rates)
	// Output: [0.1 0.1 0.1 0.05 0.05 0.05 0.025]
}
