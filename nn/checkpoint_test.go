package nn_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/nn"
	"github.com/lockstep-go/lockstep/optim"
)

// resumable makes the trainers of TestResume, with everything that has a state.
var resumable = []struct {
	name  string
	build func(net *nn.Net, t *nn.Trainer)
}{
	{"sgd", func(net *nn.Net, t *nn.Trainer) {
		t.Optimizer = optim.NewSGD(net.NumParams(), optim.SGDOptions{})
	}},
	{"adam, cosine, clipped", func(net *nn.Net, t *nn.Trainer) {
		t.Optimizer = optim.NewAdam(net.NumParams(), optim.AdamOptions{Common: optim.Common{Guard: optim.Guard{ClipNorm: 0.5}, L2: 0.01}})
		t.Schedule = optim.WarmupCosine(3, 12, 0)
	}},
	{"plateau, patience", func(net *nn.Net, t *nn.Trainer) {
		t.Optimizer = optim.NewMomentum(net.NumParams(), optim.MomentumOptions{LR: 0.5})
		t.Schedule = optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{Patience: 1, Factor: 0.5})
		t.Patience, t.EvalEvery = 2, 2
	}},
	{"lookahead around groups, metrics", func(net *nn.Net, t *nn.Trainer) {
		groups := optim.Spare(optim.Guard{}, net.Layout(), func(layout []optim.Tensor, spared bool) *optim.Rule {
			return optim.NewNAdam(optim.Size(layout), optim.NAdamOptions{})
		})
		t.Optimizer = optim.NewLookahead(net.NumParams(), groups, optim.LookaheadOptions{K: 4})
		t.Metrics = []nn.Metric{{Name: "accuracy", Of: nn.Accuracy}, {Name: "top", Of: nn.TopK(2)}}
		t.WithReplacement = true
	}},
}

// newResumable makes a trainer of 15 steps, its network at the initial weights.
func newResumable(build func(net *nn.Net, t *nn.Trainer), validation *nn.Data) *nn.Trainer {
	net := nn.MustNew(4, nn.Affine(8), nn.BatchNorm(nn.BatchNormOptions{}), nn.GELU(), nn.Dropout(0.3), nn.Affine(3))
	net.Init(nn.He(), 1)
	t := &nn.Trainer{Net: net, Loss: nn.SoftmaxCrossEntropy{}, Seed: 5, Batch: 16, Epochs: 5, Validation: validation}
	build(net, t)
	return t
}

func sets() (train, validation *nn.Data) {
	r := rand.New(rand.NewPCG(1, 9))
	return newData(r, 40, 4, 3), newData(r, 30, 4, 3)
}

// TestResume: a run that was saved after any step and goes on in a new trainer ends in the
// same bits, and the same history, as one that never stopped.
func TestResume(t *testing.T) {
	train, validation := sets()
	for _, test := range resumable {
		whole := newResumable(test.build, validation)
		var saved [][]byte
		whole.OnStep = func(nn.Progress) error {
			var b bytes.Buffer
			if err := whole.Save(&b); err != nil {
				return err
			}
			saved = append(saved, b.Bytes())
			return nil
		}
		var start bytes.Buffer
		if err := whole.Save(&start); err != nil {
			t.Fatal(err)
		}
		saved = append(saved, start.Bytes())
		want, err := whole.Fit(t.Context(), train)
		if err != nil {
			t.Fatal(err)
		}
		for i, file := range saved {
			again := newResumable(test.build, validation)
			fillNormal(rand.New(rand.NewPCG(3, 3)), again.Net.Params()) // what was there must not matter
			if err := again.Load(bytes.NewReader(file)); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			if again.Done() != i {
				t.Errorf("%s: %d steps are done after loading, want %d", test.name, again.Done(), i)
			}
			var b bytes.Buffer
			if err := again.Save(&b); err != nil || !bytes.Equal(b.Bytes(), file) {
				t.Errorf("%s: saved again after step %d, error %v, other bytes", test.name, i, err)
			}
			got, err := again.Fit(t.Context(), train)
			if err != nil {
				t.Fatal(err)
			}
			if !sameBits(again.Net.Params(), whole.Net.Params()) || !sameBits(again.Net.Stats(), whole.Net.Stats()) {
				t.Errorf("%s: resumed after step %d: other bits than without a stop", test.name, i)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: resumed after step %d: the history is %+v, want %+v", test.name, i, got, want)
			}
		}
	}
}

// TestSaveNet: a network comes back from its own file and from a trainer's.
func TestSaveNet(t *testing.T) {
	for _, layers := range nets {
		net := newNet(t, 5, layers)
		fillNormal(rand.New(rand.NewPCG(1, 4)), net.Params())
		fillNormal(rand.New(rand.NewPCG(1, 5)), net.Stats())
		trainer := &nn.Trainer{Net: net, Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{})}
		for _, save := range []func(io.Writer) error{net.Save, trainer.Save} {
			var b bytes.Buffer
			if err := save(&b); err != nil {
				t.Fatal(err)
			}
			got, err := nn.Load(&b)
			if err != nil {
				t.Fatalf("%s: %v", layers, err)
			}
			if got.In() != 5 || fmt.Sprint(got.Layers()) != fmt.Sprint(net.Layers()) || !sameBits(got.Params(), net.Params()) || !sameBits(got.Stats(), net.Stats()) {
				t.Errorf("%s: came back as %d inputs and %v, or with other bits", layers, got.In(), got.Layers())
			}
		}
	}
}

// savedFile is a small checkpoint, and a trainer like the one that saved it.
func savedFile(t testing.TB) ([]byte, func() *nn.Trainer) {
	build := func() *nn.Trainer {
		net := nn.MustNew(2, nn.Affine(2), nn.BatchNorm(nn.BatchNormOptions{}))
		net.Init(nn.He(), 1)
		return &nn.Trainer{Net: net, Loss: nn.MeanSquaredError{}, Optimizer: optim.NewAdam(net.NumParams(), optim.AdamOptions{}), Batch: 2, Epochs: 1}
	}
	trainer := build()
	set := &nn.Data{Rows: 4, X: xor.X, Targets: make([]float32, 8)}
	if _, err := trainer.Fit(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := trainer.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), build
}

// TestDamaged: a file with a byte changed, missing or too many is refused, and changes
// nothing.
func TestDamaged(t *testing.T) {
	file, build := savedFile(t)
	trainer := build()
	before := append([]float32{}, trainer.Net.Params()...)
	refused := func(what string, b []byte) {
		t.Helper()
		if err := trainer.Load(bytes.NewReader(b)); err == nil {
			t.Fatalf("%s: no error", what)
		}
		if net, err := nn.Load(bytes.NewReader(b)); err == nil || net != nil {
			t.Fatalf("%s: no error of Load", what)
		}
		if !sameBits(trainer.Net.Params(), before) || trainer.Done() != 0 {
			t.Fatalf("%s: the trainer has changed", what)
		}
	}
	for i := range file {
		for _, bit := range []byte{1, 0x80} {
			b := bytes.Clone(file)
			b[i] ^= bit
			refused(fmt.Sprintf("byte %d of %d changed", i, len(file)), b)
		}
		refused(fmt.Sprintf("%d of %d bytes", i, len(file)), file[:i])
	}
	refused("a byte too many", append(bytes.Clone(file), 0))
	if err := trainer.Load(bytes.NewReader(file)); err != nil || trainer.Done() != 2 {
		t.Errorf("the file as it was: error %v, %d steps, want 2", err, trainer.Done())
	}
}

// forge makes a file of a header and sections with a right sum at its end.
func forge(header string, rest []byte) []byte {
	b := append([]byte("LOCKSTP1"), make([]byte, 8)...)
	binary.LittleEndian.PutUint64(b[8:], uint64(len(header)))
	b = append(append(b, header...), rest...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// TestHostile: headers that lie are refused with what is wrong, in little memory.
func TestHostile(t *testing.T) {
	file, build := savedFile(t)
	size := binary.LittleEndian.Uint64(file[8:])
	header, rest := string(file[16:16+size]), file[16+size:len(file)-sha256.Size]
	if !bytes.Equal(forge(header, rest), file) {
		t.Fatal("the test forges another file than Save writes")
	}
	replaced := func(old, new string) []byte {
		if !strings.Contains(header, old) {
			t.Fatalf("the header %s has no %s", header, old)
		}
		return forge(strings.Replace(header, old, new, 1), rest)
	}
	huge := append([]byte("LOCKSTP1"), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)
	for _, test := range []struct {
		file []byte
		want string
	}{
		{nil, "the first 16 bytes: unexpected EOF"},
		{[]byte("GIF89a, and more of it"), `it begins with "GIF89a, ", want "LOCKSTP1"`},
		{huge, "a header of 9223372036854775807 bytes, want at most"},
		{forge("{", nil), "the header: unexpected end of JSON"},
		{forge(strings.Repeat("[", 1<<20), nil), "the header: "},
		{forge(`{"in":1,"layers":["100000000"],"sections":[]}`, nil), `no section "params"`},
		{forge(`{"in":1,"layers":["1"],"sections":[{"name":"params","bits":32,"len":`+fmt.Sprint(math.MaxInt)+`}]}`, nil), "elements are missing: unexpected EOF"},
		{forge(`{"in":1,"layers":["1"],"sections":[{"name":"params","bits":32,"len":-1}]}`, nil), "-1 elements of 32 bits"},
		{forge(`{"in":1,"layers":["1"],"sections":[{"name":"params","bits":16,"len":1}]}`, nil), "1 elements of 16 bits"},
		{forge(`{"in":1,"layers":["1"],"sections":[{"name":"params","bits":32,"len":1}]}`, make([]byte, 4)), `section "params" has 1 elements of 32 bits, want 2 of 32`},
		{forge(`{"in":0,"layers":["1"],"sections":[]}`, nil), "in = 0, want at least 1"},
		{forge(`{"in":1,"layers":["swish"],"sections":[]}`, nil), `layer 1 of 1: nn: unknown layer "swish"`},
		{forge(`{"in":1,"sections":[]}`, nil), "no layers"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := nn.Load(bytes.NewReader(test.file))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Load of %.80q: error %v, want %s", test.file, err, test.want)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20+20*uint64(len(test.file)) {
			t.Errorf("Load of %.80q: %d bytes were allocated for a file of %d", test.file, grown, len(test.file))
		}
	}
	for _, test := range []struct {
		file   []byte
		change func(*nn.Trainer)
		want   string
	}{
		{replaced(`"in":2`, `"in":3`), nil, "a network of 3 inputs and the layers 2,batchnorm:0.9:1e-06:0, want 2 and 2,batchnorm:0.9:1e-06:0"},
		{replaced(`"layers":["2"`, `"layers":["3"`), nil, "the layers 3,"},
		{file, func(t *nn.Trainer) { t.Seed = 9 }, "Seed = 0, Batch = 2, WithReplacement = false, want 9, 2, false"},
		{file, func(t *nn.Trainer) { t.Batch = 9 }, "Batch = 2"},
		{file, func(t *nn.Trainer) { t.WithReplacement = true }, "WithReplacement = false"},
		{file, func(t *nn.Trainer) { t.Metrics = []nn.Metric{{Name: "r2"}} }, `the metrics [], want ["r2"]`},
		{file, func(t *nn.Trainer) { t.Optimizer = optim.NewSGD(t.Net.NumParams(), optim.SGDOptions{}) }, `state of "adam", want one of "sgd"`},
		{file, func(t *nn.Trainer) {
			t.Schedule = optim.NewReduceLROnPlateau(optim.ReduceLROnPlateauOptions{})
		}, "a state of ReduceLROnPlateau: false, want true"},
		{replaced(`"steps":2`, `"steps":-2`), nil, "steps = -2"},
		{replaced(`"baseLR":0.001`, `"baseLR":1e300`), nil, "baseLR = 1e+300"},
		{replaced(`"best":-1`, `"best":7`), nil, "best = 7, want -1 or one of 1 evaluations"},
		{replaced(`"optimizer/m"`, `"optimizer/x"`), nil, `no section "optimizer/x"`},
		{replaced(`"lr":0.001`, `"lr":-1`), nil, "LR = -1"},
		{forge(header[:strings.Index(header, `"trainer"`)]+`"sections":`+header[strings.Index(header, `"sections":`)+11:], rest), nil, "a network alone, want a trainer's checkpoint"},
	} {
		trainer := build()
		if test.change != nil {
			test.change(trainer)
		}
		before := append([]float32{}, trainer.Net.Params()...)
		err := trainer.Load(bytes.NewReader(test.file))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
		if !sameBits(trainer.Net.Params(), before) || trainer.Done() != 0 || trainer.Optimizer.State().Steps != 0 {
			t.Errorf("%s: the trainer has changed", test.want)
		}
	}
}

// TestSavedNaN: files have one NaN, whichever there was.
func TestSavedNaN(t *testing.T) {
	save := func(nan float32) []byte {
		net := nn.MustNew(1, nn.Affine(1))
		net.Params()[0] = nan
		var b bytes.Buffer
		if err := net.Save(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	one, other := save(float32(math.NaN())), save(math.Float32frombits(0xFFFFFFFF))
	if !bytes.Equal(one, other) || !bytes.Contains(one, []byte{0, 0, 0xC0, 0x7F}) {
		t.Error("another NaN makes another file")
	}
}

// TestSaveFile: the file is the old one or the new one, and nothing stays beside it.
func TestSaveFile(t *testing.T) {
	file, build := savedFile(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "run.ckpt")
	trainer := build()
	if err := trainer.Load(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	only := func(want []byte) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if len(entries) != 1 || err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v in the directory and %d bytes, error %v; want the file alone, of %d bytes", entries, len(got), err, len(want))
		}
	}
	if err := os.WriteFile(path, []byte("the old one, which is longer than the new one is"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".tmp", []byte("left by a process that was killed"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := trainer.SaveFile(path); err != nil {
		t.Fatal(err)
	}
	only(file)
	again := build()
	if err := again.LoadFile(path); err != nil || again.Done() != 2 {
		t.Errorf("LoadFile: error %v, %d steps, want 2", err, again.Done())
	}
	if net, err := nn.LoadFile(path); err != nil || !sameBits(net.Params(), trainer.Net.Params()) {
		t.Errorf("nn.LoadFile: error %v, or other bits", err)
	}

	// A state that cannot be written: JSON has no NaN.
	trainer.Optimizer = unsavable{trainer.Optimizer}
	if err := trainer.SaveFile(path); err == nil || !strings.Contains(err.Error(), "saving "+path) {
		t.Errorf("error %v, want one that names the file", err)
	}
	only(file)

	for _, bad := range []string{filepath.Join(dir, "missing", "run.ckpt"), dir} {
		trainer := build()
		if err := trainer.SaveFile(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("SaveFile(%s): error %v, want one that names it", bad, err)
		}
		if err := trainer.LoadFile(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("LoadFile(%s): error %v, want one that names it", bad, err)
		}
		if _, err := nn.LoadFile(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("nn.LoadFile(%s): error %v, want one that names it", bad, err)
		}
		if _, err := os.Stat(bad + ".tmp"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("SaveFile(%s) left something behind: %v", bad, err)
		}
	}
	only(file)
}

// unsavable is an optimizer with a rate that is none.
type unsavable struct{ optim.Optimizer }

func (u unsavable) State() optim.State {
	s := u.Optimizer.State()
	s.LR = math.NaN()
	return s
}

// FuzzLoad: whatever the bytes, an error or a network, and no panic.
func FuzzLoad(f *testing.F) {
	file, build := savedFile(f)
	f.Add(file)
	f.Add(forge(`{"in":1,"layers":["1"],"sections":[{"name":"params","bits":32,"len":2},{"name":"stats","bits":32,"len":0}]}`, make([]byte, 8)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 48 && bytes.HasPrefix(b, []byte("LOCKSTP1")) { // let damage come further than the sum
			sum := sha256.Sum256(b[:len(b)-32])
			b = append(b[:len(b)-32:len(b)-32], sum[:]...)
		}
		if net, err := nn.Load(bytes.NewReader(b)); err == nil && 4*net.NumParams() > len(b) {
			t.Errorf("%d parameters of a file of %d bytes", net.NumParams(), len(b))
		}
		build().Load(bytes.NewReader(b))
	})
}
