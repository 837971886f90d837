package nn_test

import (
	"encoding/hex"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/lockstep-go/lockstep/internal/mnist"
	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// The constants below are the SHA-256 of the parameters that a training run ends
// in, on every machine, instruction set and number of threads. The runs are on
// embedded MNIST, with He's initial values, the defaults of each rule, and the
// seed for both weights and batches. They were recorded with the plain Go loops;
// whatever changes one of them breaks the module's promise.
const seed = 1

// small is 784-32-16-10 with ReLU after 20 steps of 16 images.
var small = map[string]string{
	"sgd":                     "77e8e1beb4ea81ea12d02d50fa208e8ceaf221d3eefcabca39d16aee0694779a",
	"momentum":                "dc96acf15ec87a842f094fa6331ca58be4fbb2650bd41bdfcbdeaf328ff72f5f",
	"nesterov":                "50a22d5d909d0beb2d6cbbc8e9bfaa3eacf10961137e4c01be112cc4272dfc19",
	"nesterov-velocity-first": "471c23f3262bfbae901536b8b877f999159657ef79ba4e52e6ab01cf73642688",
	"adagrad":                 "9ab1f84a7712b377bddff7aa8e689f636796ceb32b6a4cdc970d6d9a188beb98",
	"rmsprop":                 "bf3583880b87296af7687196cb14add0aa8e46e46a8a886279ddbfccc3c162f7",
	"adam":                    "0cee4685e02273b89d3b6390d4a525f7a76992fba1f4eb5e2e8cebdea88d8c0a",
	"torch-sgd":               "3c19bea9c53792667b4ef09af841e6f6827c66a9a523df05fc31eb44cb8dfae0",
	"torch-adagrad":           "32bc8c67568b33ea96fa9d1cb5f7f760968dc401ce7852b7145c44b0b7674e0a",
	"torch-rmsprop":           "0967f0aac50e02bf4ee4711dd64209116403a3766392fde3e7655ad44e0deb53",
	"torch-adam":              "b9fa02f0376419b8bc8784f037b708b0a5b18d3117876bba161efb7891f726f9",
	"amsgrad":                 "fdb0620d6145ac2c36f736426d4a373d38f427e2a7d330a92b742a33d1692527",
	"adamw":                   "6cbb6a6e2a460118263446deb5040ac14ef2ae22978b4d277607cb5f86b2db1a",
	"adadelta":                "52d33777f361721182d60df7daa0d281d32d349a4ebdcddf5ccbb15af61da9b2",
	"adamax":                  "64183e03b8030b1c27c42917f0bb35973850c0d807708bed6792b43b224e0a76",
	"nadam":                   "ccca902f8bb4532beab253a39bde143e402bc28e35fd5943ca56ee8cbdafc221",
	"radam":                   "37481a693c788ab7f7b2643488e1fb4781443a0662a38dde4ec935d350bc5841",
	"rprop":                   "575fcdcb5e3897d7c23b1ae437df586fa6507c6e77d8bbfc5f8c2ff6940c3782",
	"asgd":                    "338207573bca2bde14a5b52560a58d51370b4fb88310ea8488b34778e15ae809",
	"lion":                    "5c3eeda9134514d25c16a94fef146f29a0c8353e7473505b5fbc8f5aa6d07139",
	"lamb":                    "667b67d3b5485520a1c4386cc43d4f9c24b35ca30d62ceb4b8da47025f9f7821",
	"lars":                    "f33a4a5b2659281b8f58fcf5cecec1d7e4860d636bd09aa2950992e513190a46",
	"adafactor":               "aacdc3db07a9ae20da895eaf906926f3552cafb4938b3c71f0205f7edc60f0f3",
	"muon":                    "16872abd61a9b6d2744d174629cb9039349d35b8929db8e5cf8081cdbea72c2d",
}

// full is 784-100-100-100-100-10 with ReLU after steps of 128 images by Adam.
var full = []struct {
	steps int
	hash  string
}{
	{2, "d89637ffee5dfa8208790526b9e4a89ab9b562ab04ab829229da0557580eb258"},
	{100, "f3b1cd60ec27c2c88dc536cb0869c6effafe1bc367e068133e54e47e3174bf01"},
}

var threadCounts = []kernels.Threads{1, 2, 3, 8}

// train is the embedded training set.
var train = sync.OnceValues(func() (*nn.Data, error) {
	set, _, err := mnist.Embedded()
	if err != nil {
		return nil, err
	}
	return &nn.Data{Rows: set.Rows, X: set.Images, Labels: set.Labels}, nil
})

// run is a training run under way.
type run struct {
	trainer *nn.Trainer
	batch   nn.Data
	step    int
}

func newRun(t *testing.T, rule string, threads kernels.Threads, layers ...nn.Layer) *run {
	t.Helper()
	net := nn.MustNew(28*28, layers...)
	net.Init(nn.He(), seed)
	opt, err := optim.New(rule, net.Layout(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &run{trainer: &nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Optimizer: opt, Threads: threads}}
}

// until trains up to the given step and returns the parameters' hash.
func (r *run) until(t *testing.T, step, rows int) string {
	t.Helper()
	set, err := train()
	if err != nil {
		t.Fatal(err)
	}
	for ; r.step < step; r.step++ {
		r.batch.Draw(set, rows, seed, uint32(r.step))
		if _, err := r.trainer.Step(&r.batch); err != nil {
			t.Fatal(err)
		}
	}
	hash := nn.Hash(r.trainer.Net.Params())
	return hex.EncodeToString(hash[:])
}

// eachISA runs f as a subtest under every instruction set that there is.
func eachISA(t *testing.T, f func(t *testing.T)) {
	was := kernels.ISA()
	defer kernels.SetISA(was)
	for _, isa := range kernels.ISAs() {
		t.Run(isa, func(t *testing.T) {
			if err := kernels.SetISA(isa); err != nil {
				t.Fatal(err)
			}
			f(t)
		})
	}
}

// TestSmallNetBits runs every rule on every instruction set that there is. In short
// mode all numbers of threads are for a rule that goes by the elements and for one that
// goes by tensors alone: under an emulator each run takes seconds.
func TestSmallNetBits(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, rule := range optim.Names() {
			counts := threadCounts
			if testing.Short() && rule != "adam" && rule != "muon" {
				counts = []kernels.Threads{3}
			}
			for _, threads := range counts {
				r := newRun(t, rule, threads, nn.Affine(32), nn.ReLU(), nn.Affine(16), nn.ReLU(), nn.Affine(10))
				if got := r.until(t, 20, 16); got != small[rule] {
					t.Errorf("%s, threads %d: parameters %s, want %s", rule, threads, got, small[rule])
				}
			}
		}
	})
}

// TestFullNetBits runs the network of the main job on the instruction set in use.
// In short mode it does the first steps only, on three threads: under an emulator
// each takes seconds.
func TestFullNetBits(t *testing.T) {
	counts, until := threadCounts, full
	if testing.Short() {
		counts, until = []kernels.Threads{3}, full[:1]
	}
	for _, threads := range counts {
		r := newRun(t, "adam", threads, nn.Affine(100), nn.ReLU(), nn.Affine(100), nn.ReLU(),
			nn.Affine(100), nn.ReLU(), nn.Affine(100), nn.ReLU(), nn.Affine(10))
		for _, at := range until {
			if got := r.until(t, at.steps, 128); got != at.hash {
				t.Errorf("%s, threads %d: parameters after %d steps %s, want %s", kernels.ISA(), threads, at.steps, got, at.hash)
			}
		}
	}
}

// everything is the SHA-256 of the parameters and the running statistics after
// TestEverythingBits's run.
const everything = "8e6f5a430bdc0d8bf20b8801e50415cdabe2642881a3ca85dffc2b5060df41d7"

// TestEverythingBits runs a network with every layer, trained with all that a trainer
// switches on: shuffled epochs, label smoothing, micro-batches, Adam with clipping and a
// penalty, a schedule, evaluations and the best weights put back.
func TestEverythingBits(t *testing.T) {
	set, err := train()
	if err != nil {
		t.Fatal(err)
	}
	const in = 28 * 28
	few := &nn.Data{Rows: 200, X: set.X[:200*in], Labels: set.Labels[:200]}
	held := &nn.Data{Rows: 100, X: set.X[200*in : 300*in], Labels: set.Labels[200:300]}
	eachISA(t, func(t *testing.T) {
		counts := threadCounts
		if testing.Short() {
			counts = []kernels.Threads{3}
		}
		for _, threads := range counts {
			net := newNet(t, in, "32,batchnorm,relu,dropout:0.1,24,layernorm,gelu,24,silu,24,elu,20,tanh,gelu-tanh,20,softplus,20,leakyrelu,dropout-book:0.1,16,sigmoid,softmax,10")
			net.Init(nn.GlorotUniform(), seed)
			trainer := &nn.Trainer{
				Net: net, Loss: nn.SoftmaxCrossEntropy{Smoothing: 0.1}, Threads: threads, Seed: seed, Batch: 40, Micro: 16, Epochs: 4,
				Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{Common: optim.Common{Guard: optim.Guard{ClipNorm: 1}, L2: 1e-3}}),
				Schedule:  optim.WarmupCosine(5, 20, 0), Validation: held, Patience: 2,
				Metrics: []nn.Metric{{Name: "accuracy", Of: nn.Accuracy}},
			}
			if _, err := trainer.Fit(t.Context(), few); err != nil {
				t.Fatal(err)
			}
			hash := nn.Hash(slices.Concat(net.Params(), net.Stats()))
			if got := hex.EncodeToString(hash[:]); got != everything {
				t.Errorf("threads %d: %s, want %s", threads, got, everything)
			}
		}
	})
}

// TestHash: the bytes are little-endian, and every NaN is 7FC00000. The wanted
// values are those of Python's hashlib and struct.
func TestHash(t *testing.T) {
	long := make([]float32, 5000)
	for i := range long {
		long[i] = float32(i)
	}
	for _, test := range []struct {
		name string
		flat []float32
		want string
	}{
		{"empty", nil, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"1, -2.5, -0, NaN", []float32{1, -2.5, float32(math.Copysign(0, -1)), float32(math.NaN())}, "6a6c0887302de55726ac63cc7d0264974e62a04d1bc5532f4328498c88e0303f"},
		{"another NaN", []float32{1, -2.5, float32(math.Copysign(0, -1)), math.Float32frombits(0xFFFFFFFF)}, "6a6c0887302de55726ac63cc7d0264974e62a04d1bc5532f4328498c88e0303f"},
		{"0 to 4999", long, "8a3ce969e8a58dd8f04cfd9cd2c1aaa8800e4d20bcbf50e743a59044a5e58fdf"},
	} {
		hash := nn.Hash(test.flat)
		if got := hex.EncodeToString(hash[:]); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
