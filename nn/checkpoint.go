package nn

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/lockstep-go/lockstep/internal/file"
	"github.com/lockstep-go/lockstep/optim"
)

// The file of a network or a training run:
//
//	8 bytes   magic, with the version of the format
//	8 bytes   the length of the header
//	header    JSON: what is there, and the sizes of the sections
//	sections  the vectors, one after the other: float32 or float64
//	32 bytes  SHA-256 of all before
//
// All numbers are little-endian, so a file is the same on every machine.
const magic = "LOCKSTP1"

// maxHeader bounds what a damaged length can make a reader ask for.
const maxHeader = 1 << 22

// header is the JSON at the start of a file.
type header struct {
	In       int       `json:"in"`
	Layers   []string  `json:"layers"`
	Trainer  *position `json:"trainer,omitempty"`
	Sections []section `json:"sections"`
}

// section is a vector of the file.
type section struct {
	Name string `json:"name"`
	Bits int    `json:"bits"` // of an element, 32 or 64
	Len  int    `json:"len"`

	f32 []float32
	f64 []float64
}

// position is what a trainer has besides its vectors. A number that may be NaN or Inf is
// its bit pattern.
type position struct {
	Seed            uint64    `json:"seed"`
	Batch           int       `json:"batch"`
	Micro           int       `json:"micro"`
	WithReplacement bool      `json:"withReplacement"`
	Steps           int       `json:"steps"`
	BaseLR          float64   `json:"baseLR"`
	Based           bool      `json:"based"`
	Sum             uint64    `json:"sum"`
	Count           int       `json:"count"`
	Bad             int       `json:"bad"`
	Best            int       `json:"best"`
	Stopped         bool      `json:"stopped"`
	Metrics         []string  `json:"metrics"`
	Plateau         *plateau  `json:"plateau,omitempty"`
	Optimizer       optimizer `json:"optimizer"`
}

// plateau is an optim.PlateauState.
type plateau struct {
	Best       uint64 `json:"best"`
	NumBad     int    `json:"numBad"`
	Cooldown   int    `json:"cooldown"`
	Reductions int    `json:"reductions"`
}

// optimizer is an optim.State but for its vectors, which are sections of the names.
type optimizer struct {
	Rule    string             `json:"rule"`
	Version int                `json:"version"`
	Steps   int                `json:"steps"`
	LR      float64            `json:"lr"`
	Numbers map[string]float64 `json:"numbers,omitempty"`
	Vectors map[string]string  `json:"vectors,omitempty"`
	Parts   []optimizer        `json:"parts,omitempty"`
}

// The sections besides those of the optimizer.
const (
	paramsSection      = "params"
	statsSection       = "stats"
	bestSection        = "best"
	lossesSection      = "losses"
	evaluationsSection = "evaluations"
)

// fixed is how many numbers an evaluation has besides its metrics.
const fixed = 5

func (h *header) add32(name string, x []float32) {
	h.Sections = append(h.Sections, section{Name: name, Bits: 32, Len: len(x), f32: x})
}

func (h *header) add64(name string, x []float64) {
	h.Sections = append(h.Sections, section{Name: name, Bits: 64, Len: len(x), f64: x})
}

// find returns the section of a name, with so many bits and, unless n is negative, elements.
func (h *header) find(name string, bits, n int) (*section, error) {
	for i := range h.Sections {
		if s := &h.Sections[i]; s.Name == name {
			if s.Bits != bits || n >= 0 && s.Len != n {
				return nil, fmt.Errorf("section %q has %d elements of %d bits, want %d of %d", name, s.Len, s.Bits, n, bits)
			}
			return s, nil
		}
	}
	return nil, fmt.Errorf("no section %q, want one", name)
}

func (n *Net) header() *header {
	h := &header{In: n.in}
	for _, l := range n.layers {
		h.Layers = append(h.Layers, l.String())
	}
	h.add32(paramsSection, n.params)
	h.add32(statsSection, n.stats)
	return h
}

// Save writes the network: its layers, parameters and running statistics.
func (n *Net) Save(w io.Writer) error { return n.header().write(w) }

// SaveFile is Save to a file, as [Trainer.SaveFile].
func (n *Net) SaveFile(path string) error { return saveFile(path, n.Save) }

// Load reads a network that [Net.Save] has written, or that of a trainer's checkpoint. A
// file that is damaged or none of these is an error.
func Load(r io.Reader) (*Net, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, fmt.Errorf("nn.Load: %w", err)
	}
	n, err := h.net()
	if err != nil {
		return nil, fmt.Errorf("nn.Load: %w", err)
	}
	return n, nil
}

// LoadFile is [Load] from a file.
func LoadFile(path string) (*Net, error) {
	var n *Net
	err := loadFile(path, func(r io.Reader) (err error) {
		n, err = Load(r)
		return err
	})
	return n, err
}

func (h *header) net() (*Net, error) {
	var layers []Layer
	for i, text := range h.Layers {
		l, err := ParseLayer(text)
		if err != nil {
			return nil, fmt.Errorf("layer %d of %d: %w", i+1, len(h.Layers), err)
		}
		layers = append(layers, l)
	}
	// Before there is memory for it: what the file holds is known to be there.
	size, err := countParams(h.In, layers)
	if err != nil {
		return nil, err
	}
	params, err := h.find(paramsSection, 32, size)
	if err != nil {
		return nil, err
	}
	n, err := New(h.In, layers...)
	if err != nil {
		return nil, err
	}
	stats, err := h.find(statsSection, 32, len(n.stats))
	if err != nil {
		return nil, err
	}
	copy(n.params, params.f32)
	copy(n.stats, stats.f32)
	return n, nil
}

// Save writes all that the steps to come depend on: the network, the optimizer's state, the
// position, with which the random numbers are known, the schedule's base and, of a
// [optim.ReduceLROnPlateau], its state, the history and the best weights so far.
// Training that goes on from there, for as many steps and with the same evaluations, ends in
// the same bits as one that never stopped.
func (t *Trainer) Save(w io.Writer) error {
	h := t.Net.header()
	p := &position{
		Seed: t.Seed, Batch: t.Batch, Micro: t.Micro, WithReplacement: t.WithReplacement,
		Steps: t.steps, BaseLR: t.baseLR, Based: t.based, Sum: math.Float64bits(t.sum), Count: t.count,
		Bad: t.bad, Best: t.history.Best, Stopped: t.history.Stopped, Metrics: []string{},
	}
	if len(t.history.Evaluations) == 0 {
		p.Best = -1
	}
	for _, m := range t.Metrics {
		p.Metrics = append(p.Metrics, m.Name)
	}
	if s, ok := t.Schedule.(*optim.ReduceLROnPlateau); ok {
		state := s.State()
		p.Plateau = &plateau{math.Float64bits(state.Best), state.NumBad, state.Cooldown, state.Reductions}
	}
	p.Optimizer = h.addOptimizer("optimizer", t.Optimizer.State())
	h.Trainer = p
	h.add32(bestSection, t.best)
	h.add64(lossesSection, t.history.Losses)
	var evaluations []float64
	for _, e := range t.history.Evaluations {
		best := 0.0
		if e.Best {
			best = 1
		}
		evaluations = append(append(evaluations, float64(e.Step), e.TrainLoss, e.Validation, e.LR, best), e.Metrics...)
	}
	h.add64(evaluationsSection, evaluations)
	return h.write(w)
}

// addOptimizer adds the sections of an optimizer's state, their names starting with name.
func (h *header) addOptimizer(name string, s optim.State) optimizer {
	o := optimizer{Rule: s.Rule, Version: s.Version, Steps: s.Steps, LR: s.LR, Numbers: s.Numbers, Vectors: map[string]string{}}
	for _, v := range slices.Sorted(maps.Keys(s.Vectors)) {
		o.Vectors[v] = name + "/" + v
		h.add32(o.Vectors[v], s.Vectors[v])
	}
	for i, part := range s.Parts {
		o.Parts = append(o.Parts, h.addOptimizer(fmt.Sprintf("%s/%d", name, i), part))
	}
	return o
}

// optimizer is the state that addOptimizer was given.
func (h *header) optimizer(o optimizer) (optim.State, error) {
	s := optim.State{Rule: o.Rule, Version: o.Version, Steps: o.Steps, LR: o.LR, Numbers: o.Numbers, Vectors: map[string][]float32{}}
	for v, name := range o.Vectors {
		at, err := h.find(name, 32, -1)
		if err != nil {
			return s, err
		}
		s.Vectors[v] = at.f32
	}
	for _, part := range o.Parts {
		p, err := h.optimizer(part)
		if err != nil {
			return s, err
		}
		s.Parts = append(s.Parts, p)
	}
	return s, nil
}

// SaveFile is Save to a file: to a temporary one beside it, path with .tmp behind, which is
// synced and takes its place at once. So at any moment the file is whole, the old one or
// the new one, and where writing fails, the old one stays.
func (t *Trainer) SaveFile(path string) error { return saveFile(path, t.Save) }

// Load goes on from what [Trainer.Save] has written. The trainer must have been made as that
// one was: the layers, the optimizer, Seed, Batch, WithReplacement, Metrics and, where
// there is BatchNorm, Micro are compared.
// A file of another one, or one that is damaged, is an error that says what was wanted, and
// changes nothing.
func (t *Trainer) Load(r io.Reader) error {
	h, err := readHeader(r)
	if err == nil {
		err = t.restore(h)
	}
	if err != nil {
		return fmt.Errorf("nn.Trainer.Load: %w", err)
	}
	return nil
}

// LoadFile is Load from a file.
func (t *Trainer) LoadFile(path string) error { return loadFile(path, t.Load) }

func (t *Trainer) restore(h *header) error {
	own, p := t.Net.header(), h.Trainer
	var metrics []string
	for _, m := range t.Metrics {
		metrics = append(metrics, m.Name)
	}
	switch {
	case p == nil:
		return errors.New("a network alone, want a trainer's checkpoint")
	case h.In != own.In || !slices.Equal(h.Layers, own.Layers):
		return fmt.Errorf("a network of %d inputs and the layers %s, want %d and %s", h.In, strings.Join(h.Layers, ","), own.In, strings.Join(own.Layers, ","))
	case p.Seed != t.Seed || p.Batch != t.Batch || p.WithReplacement != t.WithReplacement:
		return fmt.Errorf("Seed = %d, Batch = %d, WithReplacement = %v, want %d, %d, %v", p.Seed, p.Batch, p.WithReplacement, t.Seed, t.Batch, t.WithReplacement)
	case p.Micro != t.Micro && len(t.Net.stats) > 0:
		return fmt.Errorf("Micro = %d, want %d: it changes what BatchNorm does", p.Micro, t.Micro)
	case !slices.Equal(p.Metrics, metrics):
		return fmt.Errorf("the metrics %q, want %q", p.Metrics, metrics)
	case p.Steps < 0 || p.Count < 0 || p.Bad < 0 || !(p.BaseLR >= 0 && p.BaseLR <= math.MaxFloat32):
		return fmt.Errorf("steps = %d, count = %d, bad = %d, baseLR = %v, want all at least 0", p.Steps, p.Count, p.Bad, p.BaseLR)
	}
	params, err := h.find(paramsSection, 32, len(t.Net.params))
	if err != nil {
		return err
	}
	stats, err := h.find(statsSection, 32, len(t.Net.stats))
	if err != nil {
		return err
	}
	best, err := h.find(bestSection, 32, -1)
	if err != nil {
		return err
	}
	if best.Len != 0 && best.Len != params.Len+stats.Len {
		return fmt.Errorf("section %q has %d elements, want 0 or %d", best.Name, best.Len, params.Len+stats.Len)
	}
	losses, err := h.find(lossesSection, 64, -1)
	if err != nil {
		return err
	}
	history := History{Losses: losses.f64, Best: p.Best, Stopped: p.Stopped}
	if history.Evaluations, err = h.evaluations(len(metrics)); err != nil {
		return err
	}
	if p.Best < -1 || p.Best >= len(history.Evaluations) {
		return fmt.Errorf("best = %d, want -1 or one of %d evaluations", p.Best, len(history.Evaluations))
	}
	optimizer, err := h.optimizer(p.Optimizer)
	if err != nil {
		return err
	}
	if err := t.setStates(optimizer, p.Plateau); err != nil {
		return err
	}
	copy(t.Net.params, params.f32)
	copy(t.Net.stats, stats.f32)
	t.state = state{
		steps: p.Steps, baseLR: p.BaseLR, based: p.Based, history: history,
		sum: math.Float64frombits(p.Sum), count: p.Count, bad: p.Bad, best: best.f32,
	}
	return nil
}

// evaluations are those of the history.
func (h *header) evaluations(metrics int) ([]Evaluation, error) {
	s, err := h.find(evaluationsSection, 64, -1)
	if err != nil {
		return nil, err
	}
	if s.Len%(fixed+metrics) != 0 {
		return nil, fmt.Errorf("section %q has %d elements, want a multiple of %d", s.Name, s.Len, fixed+metrics)
	}
	var list []Evaluation
	for x := range slices.Chunk(s.f64, fixed+metrics) {
		if !(x[0] >= 0 && x[0] < 1<<53) {
			return nil, fmt.Errorf("an evaluation at step %v, want at least 0", x[0])
		}
		e := Evaluation{Step: int(x[0]), TrainLoss: x[1], Validation: x[2], LR: x[3], Best: x[4] != 0}
		if metrics > 0 {
			e.Metrics = x[fixed:]
		}
		list = append(list, e)
	}
	return list, nil
}

// setStates sets the optimizer's state and the schedule's, both or none.
func (t *Trainer) setStates(state optim.State, p *plateau) error {
	s, ok := t.Schedule.(*optim.ReduceLROnPlateau)
	if ok != (p != nil) {
		return fmt.Errorf("a state of ReduceLROnPlateau: %v, want %v", p != nil, ok)
	}
	if !ok {
		return t.Optimizer.SetState(state)
	}
	before := s.State()
	if err := s.SetState(optim.PlateauState{Best: math.Float64frombits(p.Best), NumBad: p.NumBad, Cooldown: p.Cooldown, Reductions: p.Reductions}); err != nil {
		return err
	}
	err := t.Optimizer.SetState(state)
	if err != nil {
		return errors.Join(err, s.SetState(before))
	}
	return nil
}

// write writes a file.
func (h *header) write(w io.Writer) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("nn: header: %w", err)
	}
	if len(text) > maxHeader {
		return fmt.Errorf("nn: header of %d bytes, want at most %d", len(text), maxHeader)
	}
	sum := sha256.New()
	b := bufio.NewWriterSize(w, 1<<16)
	to := io.MultiWriter(b, sum)
	buf := append(make([]byte, 0, 1<<14), magic...)
	buf = append(binary.LittleEndian.AppendUint64(buf, uint64(len(text))), text...)
	if _, err := to.Write(buf); err != nil {
		return err
	}
	for i := range h.Sections {
		s := &h.Sections[i]
		for x := range slices.Chunk(s.f32, 1<<11) {
			if _, err := to.Write(appendFloats(buf[:0], x)); err != nil {
				return err
			}
		}
		for x := range slices.Chunk(s.f64, 1<<11) {
			buf = buf[:0]
			for _, v := range x {
				if v != v {
					v = math.NaN() // whichever it was
				}
				buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(v))
			}
			if _, err := to.Write(buf); err != nil {
				return err
			}
		}
	}
	if _, err := b.Write(sum.Sum(nil)); err != nil {
		return err
	}
	return b.Flush()
}

// readHeader reads a file with its sections, and checks its sum. It takes no more memory
// than the file has bytes, whatever it says.
func readHeader(r io.Reader) (*header, error) {
	sum := sha256.New()
	from := io.TeeReader(bufio.NewReaderSize(r, 1<<16), sum)
	start := make([]byte, len(magic)+8)
	if _, err := io.ReadFull(from, start); err != nil {
		return nil, fmt.Errorf("the first %d bytes: %w", len(start), unexpected(err))
	}
	if got := string(start[:len(magic)]); got != magic {
		return nil, fmt.Errorf("it begins with %q, want %q", got, magic)
	}
	size := binary.LittleEndian.Uint64(start[len(magic):])
	if size > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes, want at most %d", size, maxHeader)
	}
	var text bytes.Buffer
	if _, err := io.CopyN(&text, from, int64(size)); err != nil {
		return nil, fmt.Errorf("the header of %d bytes: %w", size, unexpected(err))
	}
	h := new(header)
	if err := json.Unmarshal(text.Bytes(), h); err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	for i := range h.Sections {
		if err := h.Sections[i].read(from); err != nil {
			return nil, fmt.Errorf("section %q: %w", h.Sections[i].Name, err)
		}
	}
	want := sum.Sum(nil)
	got := make([]byte, len(want)+1)
	n, err := io.ReadFull(from, got)
	switch {
	case err == nil:
		return nil, errors.New("there is something behind the end")
	case n < len(want):
		return nil, fmt.Errorf("the SHA-256 at the end: %w", unexpected(err))
	case !bytes.Equal(got[:n], want):
		return nil, fmt.Errorf("it is damaged: its SHA-256 is %x, want the %x at its end", want, got[:n])
	}
	return h, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// read reads the vector of a section.
func (s *section) read(r io.Reader) error {
	if s.Bits != 32 && s.Bits != 64 || s.Len < 0 {
		return fmt.Errorf("%d elements of %d bits, want at least 0 of 32 or 64", s.Len, s.Bits)
	}
	var buf [1 << 14]byte
	size := s.Bits / 8
	for left := s.Len; left > 0; {
		some := min(left, len(buf)/size)
		b := buf[:some*size]
		if _, err := io.ReadFull(r, b); err != nil {
			return fmt.Errorf("%d of %d elements are missing: %w", left, s.Len, unexpected(err))
		}
		for ; len(b) > 0; b = b[size:] {
			if size == 4 {
				s.f32 = append(s.f32, math.Float32frombits(binary.LittleEndian.Uint32(b)))
			} else {
				s.f64 = append(s.f64, math.Float64frombits(binary.LittleEndian.Uint64(b)))
			}
		}
		left -= some
	}
	return nil
}

// saveFile puts what save writes in the place of a file, or leaves the file as it is.
func saveFile(path string, save func(io.Writer) error) error {
	if err := file.Replace(path, save); err != nil {
		return fmt.Errorf("nn: saving %s: %w", path, err)
	}
	return nil
}

func loadFile(path string, load func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("nn: loading: %w", err)
	}
	defer f.Close()
	if err := load(f); err != nil {
		return fmt.Errorf("nn: loading %s: %w", path, err)
	}
	return nil
}
