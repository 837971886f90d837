// Package nn trains multi-layer perceptrons in float32.
//
// A network is affine layers and activations. All its parameters are one flat
// vector and all its gradients another of the same layout, so a step of an
// optimizer is one call, and package optim works on them as they are:
//
//	net := nn.MustNew(784, nn.Affine(100), nn.ReLU(), nn.Affine(10))
//	net.Init(nn.He(), seed)
//	trainer := &nn.Trainer{
//		Net:       net,
//		Loss:      nn.SoftmaxCrossEntropy,
//		Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{}),
//	}
//	losses, err := trainer.Fit(ctx, train)
//
// # The flat layout
//
// Layer by layer, first the weights W, in×out and row-major, then the biases b;
// nothing between them. [Net.Views] names the parts.
//
// # The same bits everywhere
//
// Initial weights, batches, and every step of a training run have the same bits
// on every machine, whatever its instruction set and whatever the number of
// threads; [Hash] makes that a number to compare. A row of a result does not
// depend on the other rows that were computed with it. See package kernels for
// the arithmetic.
//
// # Memory and goroutines
//
// A network, a trainer and a predictor hold the memory that they work in; a
// training step allocates nothing once there has been one with as many rows.
// So each is for one goroutine at a time. To predict on many, each takes a
// [Predictor] of its own; those share the parameters.
//
// A [kernels.Threads] as the last argument limits the threads of a call, as
// it does in package kernels. What is wrong with an argument panics with the
// function, the argument and the numbers.
package nn
