package nn

import (
	"fmt"
	"strings"

	"github.com/lockstep-go/lockstep/kernels"
)

// Layer describes a layer of a network: [Affine], [ReLU], [Sigmoid], [Tanh], or
// what [NewActivation] returns.
type Layer struct {
	out int                // of an affine layer
	act kernels.Activation // of an activation; Identity says that it is affine
}

// Affine is the layer y = x·W + b with out outputs.
func Affine(out int) Layer { return Layer{out: out} }

// ReLU is the activation that is 0 where 0 > x, else x.
func ReLU() Layer { return Layer{act: kernels.ActReLU} }

// Sigmoid is the activation 1/(1 + e^-x).
func Sigmoid() Layer { return Layer{act: kernels.ActSigmoid} }

// Tanh is the activation tanh x.
func Tanh() Layer { return Layer{act: kernels.ActTanh} }

// activations are the activations by name.
var activations = []struct {
	name  string
	layer Layer
}{
	{"relu", ReLU()},
	{"sigmoid", Sigmoid()},
	{"tanh", Tanh()},
}

// Activations returns the names that [NewActivation] takes.
func Activations() []string {
	names := make([]string, len(activations))
	for i, a := range activations {
		names[i] = a.name
	}
	return names
}

// NewActivation returns the named activation. An unknown name is an error that
// says which there are.
func NewActivation(name string) (Layer, error) {
	for _, a := range activations {
		if a.name == name {
			return a.layer, nil
		}
	}
	return Layer{}, fmt.Errorf("nn: unknown activation %q, want one of %s", name, strings.Join(Activations(), ", "))
}
