// Package nn trains multi-layer perceptrons in float32.
//
// A network is affine layers, activations, normalisations and dropouts. All its
// parameters are one flat vector and all its gradients another of the same layout, so a
// step of an optimizer is one call, and package optim works on them as they are:
//
//	net := nn.MustNew(784, nn.Affine(100), nn.ReLU(), nn.Affine(10))
//	net.Init(nn.He(), seed)
//	trainer := &nn.Trainer{
//		Net:       net,
//		Loss:      nn.SoftmaxCrossEntropy{},
//		Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{}),
//	}
//	history, err := trainer.Fit(ctx, train)
//
// [Trainer] has the habits of training: epochs or steps, validation, metrics, early
// stopping, schedules, accumulated gradients, callbacks, checkpoints. A loop of one's
// own needs none of it: [Net.Forward], [MeanLoss], [Net.Backward] and the optimizer's
// Step are the pieces. [Predictor] serves what was trained.
//
// # The flat layout
//
// Layer by layer: of an affine layer the weights W, in×out and row-major, then the biases
// b; of a normalisation gamma and then beta; nothing between them. [Net.Views] names the
// parts. The running statistics of [BatchNorm] are a vector of their own, [Net.Stats].
//
// # The same bits everywhere
//
// Initial weights, batches, what is dropped, and every step of a training run have the
// same bits on every machine, whatever its instruction set and whatever the number of
// threads; [Hash] makes that a number to compare. A row of a prediction does not
// depend on the other rows that were computed with it. Gradients accumulated over the
// parts of a batch have the bits of the whole batch's, but for BatchNorm. A run that goes
// on from a checkpoint, [Trainer.Save], ends in the bits of one that never stopped. See
// package kernels for the arithmetic.
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
