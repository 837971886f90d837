package nn

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-go/lockstep/internal/philox"
)

// Init chooses the initial weights of an affine layer by the numbers of its inputs and
// outputs: normal or uniform deviates of a standard deviation, or an orthogonal matrix.
type Init struct {
	scale func(in, out int) float64
	fill  func(w []float32, in, out int, scale float64, deviates philox.Stream, first uint64)
}

// He is the standard deviation √(2/in), for layers before a ReLU. HeUniform has the same,
// uniform between -√(6/in) and √(6/in).
//
// Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.
func He() Init        { return Init{he, normal} }
func HeUniform() Init { return Init{he, uniform} }

func he(in, out int) float64 { return math.Sqrt(2 / float64(in)) }

// Xavier is the standard deviation √(1/in), which Deep Learning from Scratch,
// section 6.2.2, gives this name. The paper's own is [Glorot].
func Xavier() Init { return LeCun() }

// LeCun is the standard deviation √(1/in), the same as [Xavier]. LeCunUniform has the same,
// uniform between -√(3/in) and √(3/in).
//
// Source: LeCun, Bottou, Orr and Müller, Efficient backprop, 1998, equation 16.
func LeCun() Init        { return Init{lecun, normal} }
func LeCunUniform() Init { return Init{lecun, uniform} }

func lecun(in, out int) float64 { return math.Sqrt(1 / float64(in)) }

// Glorot is the standard deviation √(2/(in+out)), which other libraries call
// Xavier's. GlorotUniform has the same, uniform between -√(6/(in+out)) and √(6/(in+out)).
//
// Source: Glorot and Bengio, Understanding the difficulty of training deep
// feedforward neural networks, 2010, equations 12 and 16.
func Glorot() Init        { return Init{glorot, normal} }
func GlorotUniform() Init { return Init{glorot, uniform} }

func glorot(in, out int) float64 { return math.Sqrt(2 / float64(in+out)) }

// Std is the same standard deviation for every layer, of normal deviates. It panics if
// that is not positive and finite.
func Std(std float64) Init {
	if err := checkPositive("std", std); err != nil {
		panic(fmt.Sprintf("nn.Std: %v", err))
	}
	return Init{func(in, out int) float64 { return std }, normal}
}

// Orthogonal is gain times a matrix whose columns are orthonormal, or its rows where they
// are fewer: normal deviates made so by the modified method of Gram and Schmidt, done
// twice, in float64. It panics if gain is not positive and finite.
//
// Source: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of
// learning in deep linear neural networks, 2013; and, for doing it twice, Giraud, Langou
// and Rozložník, The loss of orthogonality in the Gram-Schmidt orthogonalization
// process, 2005.
func Orthogonal(gain float64) Init {
	if err := checkPositive("gain", gain); err != nil {
		panic(fmt.Sprintf("nn.Orthogonal: %v", err))
	}
	return Init{func(in, out int) float64 { return gain }, orthogonal}
}

func checkPositive(name string, v float64) error {
	if !(v > 0 && v < math.MaxFloat32) {
		return fmt.Errorf("%s = %v, want above 0 and below %v", name, v, math.MaxFloat32)
	}
	return nil
}

// Init sets each weight as init says, rounded once to float32, each bias and beta to
// zero and each gamma to one, and the running statistics to means of 0 and variances of
// 1. The seed and the weight's index in the parameters choose the deviate.
func (n *Net) Init(init Init, seed uint64) {
	if init.fill == nil {
		panic("nn.Net.Init: init is the zero Init, want what He() or another of these functions returns")
	}
	clear(n.params)
	n.resetStats()
	deviates := philox.Stream{Seed: seed, Purpose: philox.Init}
	for _, v := range n.views {
		w := v.Of(n.params)
		switch {
		case len(v.Shape) == 2:
			in, out := v.Shape[0], v.Shape[1]
			init.fill(w, in, out, init.scale(in, out), deviates, uint64(v.Offset))
		case strings.HasPrefix(v.Name, "gamma"):
			for i := range w {
				w[i] = 1
			}
		}
	}
}

// normal draws from a normal distribution.
func normal(w []float32, _, _ int, std float64, deviates philox.Stream, first uint64) {
	var z [256]float64
	for w := range slices.Chunk(w, len(z)) {
		deviates.Normals(z[:len(w)], first)
		for i := range w {
			w[i] = float32(std * z[i])
		}
		first += uint64(len(w))
	}
}

// uniform draws from -√3·std to √3·std.
func uniform(w []float32, _, _ int, std float64, deviates philox.Stream, first uint64) {
	limit := math.Sqrt(3) * std
	for i := range w {
		w[i] = float32(limit * (float64(2*deviates.Float64(first+uint64(i))) - 1))
	}
}

// orthogonal makes normal deviates orthonormal: the columns, or the rows if they are fewer.
func orthogonal(w []float32, in, out int, gain float64, deviates philox.Stream, first uint64) {
	z := make([]float64, in*out)
	deviates.Normals(z, first)
	// Vector k has its element i at z[k·next + i·step].
	count, length, next, step := out, in, 1, out
	if in < out {
		count, length, next, step = in, out, out, 1
	}
	vectors := make([]float64, len(z)) // one after the other
	for k := range count {
		for i := range length {
			vectors[k*length+i] = z[k*next+i*step]
		}
	}
	for k := range count {
		v := vectors[k*length:][:length]
		for range 2 {
			for j := range k {
				u := vectors[j*length:][:length]
				c := dot(u, v)
				for i := range v {
					v[i] -= float64(c * u[i])
				}
			}
		}
		norm := math.Sqrt(dot(v, v))
		for i := range v {
			v[i] /= norm
		}
	}
	for k := range count {
		for i := range length {
			w[k*next+i*step] = float32(gain * vectors[k*length+i])
		}
	}
}

func dot(x, y []float64) float64 {
	var sum float64
	for i := range x {
		sum += float64(x[i] * y[i])
	}
	return sum
}

type initByName struct {
	name         string
	option       string  // which it takes, or none
	defaultValue float64 // of that, or 0 if it must be given
	new          func(value float64) Init
}

func always(new func() Init) func(float64) Init { return func(float64) Init { return new() } }

// inits are the initial values by name.
var inits = []initByName{
	{"he", "", 0, always(He)},
	{"he-uniform", "", 0, always(HeUniform)},
	{"xavier", "", 0, always(Xavier)},
	{"lecun", "", 0, always(LeCun)},
	{"lecun-uniform", "", 0, always(LeCunUniform)},
	{"glorot", "", 0, always(Glorot)},
	{"glorot-uniform", "", 0, always(GlorotUniform)},
	{"std", "std", 0, Std},
	{"orthogonal", "gain", 1, Orthogonal},
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
// of that name, orthogonal takes the option gain, and the others take none. An unknown name or option and a value out
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
	value, given := options[x.option]
	if !given {
		value = x.defaultValue
	}
	if x.option != "" {
		if err := checkPositive(x.option, value); err != nil {
			return Init{}, fmt.Errorf("nn: initial values %s: %w", name, err)
		}
	}
	return x.new(value), nil
}
