package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
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
		uniform bool
		std     func(in, out float64) float64
	}{
		{"he", nil, nn.He(), false, func(in, out float64) float64 { return math.Sqrt(2 / in) }},
		{"he-uniform", nil, nn.HeUniform(), true, func(in, out float64) float64 { return math.Sqrt(2 / in) }},
		{"xavier", nil, nn.Xavier(), false, func(in, out float64) float64 { return math.Sqrt(1 / in) }},
		{"lecun", nil, nn.LeCun(), false, func(in, out float64) float64 { return math.Sqrt(1 / in) }},
		{"lecun-uniform", nil, nn.LeCunUniform(), true, func(in, out float64) float64 { return math.Sqrt(1 / in) }},
		{"glorot", nil, nn.Glorot(), false, func(in, out float64) float64 { return math.Sqrt(2 / (in + out)) }},
		{"glorot-uniform", nil, nn.GlorotUniform(), true, func(in, out float64) float64 { return math.Sqrt(2 / (in + out)) }},
		{"std", map[string]float64{"std": 0.01}, nn.Std(0.01), false, func(in, out float64) float64 { return 0.01 }},
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
				want := float32(std * stream.Normal(uint64(v.Offset+i)))
				if test.uniform {
					want = float32(math.Sqrt(3) * std * (float64(2*stream.Float64(uint64(v.Offset+i))) - 1))
				}
				if w != want {
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
	if got, want := nn.Inits(), []string{"he", "he-uniform", "xavier", "lecun", "lecun-uniform", "glorot", "glorot-uniform", "std", "orthogonal"}; !slices.Equal(got, want) {
		t.Errorf("Inits() = %v, want %v", got, want)
	}
}

// TestOrthogonal: the columns, or the rows where they are fewer, are orthonormal times the
// gain, to a float32's rounding.
func TestOrthogonal(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {5, 5}, {60, 20}, {20, 60}, {1, 7}, {7, 1}} {
		in, out := size[0], size[1]
		const gain = 1.5
		net := nn.MustNew(in, nn.Affine(out))
		net.Init(nn.Orthogonal(gain), 3)
		w := net.Views()[0].Of(net.Params())
		count, length, next, step := out, in, 1, out
		if in < out {
			count, length, next, step = in, out, out, 1
		}
		for a := range count {
			for b := range count {
				var got, want float64
				for i := range length {
					got += float64(w[a*next+i*step]) * float64(w[b*next+i*step])
				}
				if a == b {
					want = gain * gain
				}
				if !(math.Abs(got-want) < 1e-6) {
					t.Fatalf("%d×%d: vectors %d and %d have the product %v, want %v", in, out, a, b, got, want)
				}
			}
		}
		named, err := nn.NewInit("orthogonal", map[string]float64{"gain": gain})
		if err != nil {
			t.Fatal(err)
		}
		again := nn.MustNew(in, nn.Affine(out))
		again.Init(named, 3)
		if !sameBits(again.Params(), net.Params()) {
			t.Errorf("%d×%d: not the same weights by name", in, out)
		}
	}
}

// TestInitNorms: gammas are one, betas zero, running means zero and variances one.
func TestInitNorms(t *testing.T) {
	net := newNet(t, 3, "batchnorm,4,layernorm,batchnorm,2")
	fillNormal(rand.New(rand.NewPCG(1, 1)), net.Params())
	fillNormal(rand.New(rand.NewPCG(1, 1)), net.Stats())
	net.Init(nn.He(), 1)
	for _, v := range net.Views() {
		want := float32(0)
		switch v.Name[:1] {
		case "W":
			continue
		case "g":
			want = 1
		}
		for i, w := range v.Of(net.Params()) {
			if w != want {
				t.Errorf("%s[%d] = %v, want %v", v.Name, i, w, want)
			}
		}
	}
	if want := []float32{0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1}; !slices.Equal(net.Stats(), want) {
		t.Errorf("running statistics %v, want %v", net.Stats(), want)
	}
}

func TestInitErrors(t *testing.T) {
	for _, test := range []struct {
		name    string
		options map[string]float64
		want    string
	}{
		{"kaiming", nil, `nn: unknown initial values "kaiming", want one of he, he-uniform, xavier, lecun, lecun-uniform, glorot, glorot-uniform, std, orthogonal`},
		{"he", map[string]float64{"gain": 2}, `nn: initial values he: unknown option "gain", it takes none`},
		{"std", map[string]float64{"std": 1, "mean": 2}, `nn: initial values std: unknown option "mean", want std`},
		{"std", nil, "nn: initial values std: std = 0, want above 0 and below 3.4028234663852886e+38"},
		{"std", map[string]float64{"std": math.Inf(1)}, "nn: initial values std: std = +Inf, want above 0 and below 3.4028234663852886e+38"},
	} {
		if _, err := nn.NewInit(test.name, test.options); fmt.Sprint(err) != test.want {
			t.Errorf("NewInit(%q, %v): error %v, want %s", test.name, test.options, err, test.want)
		}
	}
	if _, err := nn.NewInit("orthogonal", map[string]float64{"gain": -2}); fmt.Sprint(err) != "nn: initial values orthogonal: gain = -2, want above 0 and below 3.4028234663852886e+38" {
		t.Errorf("NewInit(orthogonal, gain -2): error %v", err)
	}
	wantPanic(t, "nn.Net.Init: init is the zero Init", func() { nn.MustNew(1, nn.Affine(1)).Init(nn.Init{}, 1) })
	wantPanic(t, "nn.Orthogonal: gain = 0, want above 0", func() { nn.Orthogonal(0) })
	for _, std := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		wantPanic(t, fmt.Sprintf("nn.Std: std = %v, want above 0", std), func() { nn.Std(std) })
	}
}
