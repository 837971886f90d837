package nn_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/lockstep-go/lockstep/internal/philox"
	"github.com/lockstep-go/lockstep/nn"
)

// TestInit: every weight is its address' deviate times the standard deviation of
// its layer, every bias is zero, and the deviates look standard normal.
func TestInit(t *testing.T) {
	const in, hidden, out, seed = 300, 200, 33, 5
	for _, test := range []struct {
		name    string
		options map[string]float64
		init    nn.Init
		std     func(in, out float64) float64
	}{
		{"he", nil, nn.He(), func(in, out float64) float64 { return math.Sqrt(2 / in) }},
		{"xavier", nil, nn.Xavier(), func(in, out float64) float64 { return math.Sqrt(1 / in) }},
		{"lecun", nil, nn.LeCun(), func(in, out float64) float64 { return math.Sqrt(1 / in) }},
		{"glorot", nil, nn.Glorot(), func(in, out float64) float64 { return math.Sqrt(2 / (in + out)) }},
		{"std", map[string]float64{"std": 0.01}, nn.Std(0.01), func(in, out float64) float64 { return 0.01 }},
	} {
		named, err := nn.NewInit(test.name, test.options)
		if err != nil {
			t.Fatal(err)
		}
		net := nn.MustNew(in, nn.Affine(hidden), nn.ReLU(), nn.Affine(out))
		for i := range net.Params() {
			net.Params()[i] = float32(math.NaN()) // what was there must not matter
		}
		net.Init(test.init, seed)
		byName := nn.MustNew(in, nn.Affine(hidden), nn.ReLU(), nn.Affine(out))
		byName.Init(named, seed)
		if !sameBits(net.Params(), byName.Params()) {
			t.Errorf("%s: not the same weights by name", test.name)
		}

		stream := philox.Stream{Seed: seed, Purpose: philox.Init}
		var count, sum, squares float64
		for _, v := range net.Views() {
			for i, w := range v.Of(net.Params()) {
				if len(v.Shape) == 1 {
					if math.Float32bits(w) != 0 {
						t.Fatalf("%s: %s[%d] = %v, want 0", test.name, v.Name, i, w)
					}
					continue
				}
				std := test.std(float64(v.Shape[0]), float64(v.Shape[1]))
				if want := float32(std * stream.Normal(uint64(v.Offset+i))); w != want {
					t.Fatalf("%s: %s[%d] = %v, want %v", test.name, v.Name, i, w, want)
				}
				z := float64(w) / std
				count, sum, squares = count+1, sum+z, squares+z*z
			}
		}
		// Five standard errors of each.
		if mean := sum / count; !(math.Abs(mean) < 5/math.Sqrt(count)) {
			t.Errorf("%s: the mean of %v deviates is %v", test.name, count, mean)
		}
		if std := math.Sqrt(squares / count); !(math.Abs(std-1) < 5/math.Sqrt(2*count)) {
			t.Errorf("%s: the standard deviation of %v deviates is %v", test.name, count, std)
		}

		byName.Init(test.init, seed+1)
		if sameBits(net.Params(), byName.Params()) {
			t.Errorf("%s: another seed gives the same weights", test.name)
		}
	}
	if got, want := nn.Inits(), []string{"he", "xavier", "lecun", "glorot", "std"}; !slices.Equal(got, want) {
		t.Errorf("Inits() = %v, want %v", got, want)
	}
}

func TestInitErrors(t *testing.T) {
	for _, test := range []struct {
		name    string
		options map[string]float64
		want    string
	}{
		{"kaiming", nil, `nn: unknown initial values "kaiming", want one of he, xavier, lecun, glorot, std`},
		{"he", map[string]float64{"gain": 2}, `nn: initial values he: unknown option "gain", it takes none`},
		{"std", map[string]float64{"std": 1, "mean": 2}, `nn: initial values std: unknown option "mean", want std`},
		{"std", nil, "nn: initial values std: std = 0, want above 0 and below 3.4028234663852886e+38"},
		{"std", map[string]float64{"std": math.Inf(1)}, "nn: initial values std: std = +Inf, want above 0 and below 3.4028234663852886e+38"},
	} {
		if _, err := nn.NewInit(test.name, test.options); fmt.Sprint(err) != test.want {
			t.Errorf("NewInit(%q, %v): error %v, want %s", test.name, test.options, err, test.want)
		}
	}
	for _, std := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		wantPanic(t, fmt.Sprintf("nn.Std: std = %v, want above 0", std), func() { nn.Std(std) })
	}
}
