package nn

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-go/lockstep/internal/philox"
)

// Init chooses the initial weights of an affine layer: normal deviates with a
// standard deviation by the numbers of its inputs and outputs.
type Init struct {
	std func(in, out int) float64
}

// He is the standard deviation √(2/in), for layers before a ReLU.
//
// Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.
func He() Init {
	return Init{func(in, out int) float64 { return math.Sqrt(2 / float64(in)) }}
}

// Xavier is the standard deviation √(1/in), which Deep Learning from Scratch,
// section 6.2.2, gives this name. The paper's own is [Glorot].
func Xavier() Init { return LeCun() }

// LeCun is the standard deviation √(1/in), the same as [Xavier].
//
// Source: LeCun, Bottou, Orr and Müller, Efficient backprop, 1998, equation 16.
func LeCun() Init {
	return Init{func(in, out int) float64 { return math.Sqrt(1 / float64(in)) }}
}

// Glorot is the standard deviation √(2/(in+out)), which other libraries call
// Xavier's.
//
// Source: Glorot and Bengio, Understanding the difficulty of training deep
// feedforward neural networks, 2010, equation 12.
func Glorot() Init {
	return Init{func(in, out int) float64 { return math.Sqrt(2 / float64(in+out)) }}
}

// Std is the same standard deviation for every layer. It panics if that is not
// positive and finite.
func Std(std float64) Init {
	if err := checkStd(std); err != nil {
		panic(fmt.Sprintf("nn.Std: %v", err))
	}
	return Init{func(in, out int) float64 { return std }}
}

func checkStd(std float64) error {
	if !(std > 0 && std < math.MaxFloat32) {
		return fmt.Errorf("std = %v, want above 0 and below %v", std, math.MaxFloat32)
	}
	return nil
}

// Init sets each weight to a normal deviate times its layer's standard
// deviation, rounded once to float32, and each bias to zero. The seed and the
// weight's index in the parameters choose the deviate.
func (n *Net) Init(init Init, seed uint64) {
	clear(n.params)
	deviates := philox.Stream{Seed: seed, Purpose: philox.Init}
	var z [256]float64
	for _, v := range n.views {
		if len(v.Shape) != 2 {
			continue
		}
		std := init.std(v.Shape[0], v.Shape[1])
		position := uint64(v.Offset)
		for w := range slices.Chunk(v.Of(n.params), len(z)) {
			deviates.Normals(z[:len(w)], position)
			for i := range w {
				w[i] = float32(std * z[i])
			}
			position += uint64(len(w))
		}
	}
}

type initByName struct {
	name   string
	option string // which it needs, or none
	new    func(value float64) Init
}

// inits are the initial values by name.
var inits = []initByName{
	{"he", "", func(float64) Init { return He() }},
	{"xavier", "", func(float64) Init { return Xavier() }},
	{"lecun", "", func(float64) Init { return LeCun() }},
	{"glorot", "", func(float64) Init { return Glorot() }},
	{"std", "std", Std},
}

// Inits returns the names that [NewInit] takes.
func Inits() []string {
	names := make([]string, len(inits))
	for i, x := range inits {
		names[i] = x.name
	}
	return names
}

// NewInit returns the named initial values. The one called std needs an option
// of that name, the others take none. An unknown name or option and a value out
// of range are errors that say what is valid.
func NewInit(name string, options map[string]float64) (Init, error) {
	i := slices.IndexFunc(inits, func(x initByName) bool { return x.name == name })
	if i < 0 {
		return Init{}, fmt.Errorf("nn: unknown initial values %q, want one of %s", name, strings.Join(Inits(), ", "))
	}
	x := inits[i]
	for _, option := range slices.Sorted(maps.Keys(options)) {
		switch {
		case x.option == "":
			return Init{}, fmt.Errorf("nn: initial values %s: unknown option %q, it takes none", name, option)
		case x.option != option:
			return Init{}, fmt.Errorf("nn: initial values %s: unknown option %q, want %s", name, option, x.option)
		}
	}
	value := options[x.option]
	if x.option != "" {
		if err := checkStd(value); err != nil {
			return Init{}, fmt.Errorf("nn: initial values %s: %w", name, err)
		}
	}
	return x.new(value), nil
}
