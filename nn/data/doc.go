// Package data reads and writes the files that training data and networks come in.
//
//   - CSV: [ReadCSV] makes inputs, labels and targets out of columns of numbers and of
//     categories, and a [Prep] that makes the same inputs of a later file.
//   - NumPy: [ReadNpy], [ReadNpz], [Array.WriteNpy], [WriteNpz].
//   - IDX, plain or gzip, as MNIST has it: [ReadImages], [ReadIDX].
//   - safetensors: [ReadSafetensors], [WriteSafetensors]; and a network of nn as the state of
//     a torch.nn.Sequential, both ways: [ReadTorch], [WriteTorch].
//   - ONNX, written: [WriteONNX].
//
// What is in memory needs no reader: an [nn.Data] of slices, or of an [Array],
// see [WithLabels] and [WithTargets].
//
// # Errors
//
// All that is wrong with a file is an error, never a panic: it is one line that says what
// was expected and what was found, and begins with the path where there is one. Memory is
// allocated for what a file holds, not for what its header announces; but a compressed
// file, or a CSV of short categories, can justify some hundred times its own size.
//
// Reading is deterministic: the same file is the same bits on every machine.
package data
