package search

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/gofrs/flock"
)

// header is the first line of a log: what its evaluations depend on.
type header struct {
	Search int         `json:"search"` // version of what the methods propose and of the file
	About  string      `json:"about"`
	Method Method      `json:"method"`
	Space  []Parameter `json:"space"`
	Trials int         `json:"trials"`
	Epochs int         `json:"epochs"`
	Seed   uint64      `json:"seed"`
}

// entry is each other line: an evaluation.
type entry struct {
	Trial  int      `json:"trial"`
	Epochs int      `json:"epochs"`
	Values []number `json:"values"`
	Score  number   `json:"score"`
	Curve  []number `json:"curve"`
}

func (e entry) line() ([]byte, error) {
	text, err := json.Marshal(e)
	return append(text, '\n'), err
}

// number is a float64 that may be NaN or infinite, which JSON has as text.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.AppendQuote(nil, fmt.Sprint(f)), nil
	}
	return json.Marshal(float64(n))
}

func (n *number) UnmarshalJSON(text []byte) error {
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if string(text) == strconv.Quote(fmt.Sprint(f)) {
			*n = number(f)
			return nil
		}
	}
	return json.Unmarshal(text, (*float64)(n))
}

func toNumbers(from []float64) (to []number) {
	for _, f := range from {
		to = append(to, number(f))
	}
	return to
}

func toFloats(from []number) (to []float64) {
	for _, n := range from {
		to = append(to, float64(n))
	}
	return to
}

// log is the file of a search, locked. A nil one has nothing and keeps nothing.
type log struct {
	path    string
	file    *os.File
	lock    *flock.Flock
	entries map[[2]int]entry // by trial and epochs: what is not yet taken
	failed  error            // after a part of a line there must be no other
}

// openLog opens the log of a search and reads it, or begins it.
func openLog(o Options) (_ *log, err error) {
	first, err := json.Marshal(header{1, o.About, o.Method, o.Space, o.Trials, o.Epochs, o.Seed})
	if err != nil {
		return nil, err
	}
	first = append(first, '\n')

	l := &log{path: o.Log, lock: flock.New(o.Log + ".lock")}
	locked, err := l.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the lock of the log %s: %w", o.Log, err)
	}
	if !locked {
		return nil, fmt.Errorf("%s: the log of another search that runs, want one at a time", o.Log)
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.file, err = os.OpenFile(o.Log, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(l.file)
	if err != nil {
		return nil, err
	}
	var whole int
	if l.entries, whole, err = parseLog(text, first); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Log, err)
	}
	if err := l.file.Truncate(int64(whole)); err != nil {
		return nil, err
	}
	if _, err := l.file.Seek(int64(whole), io.SeekStart); err != nil {
		return nil, err
	}
	if whole == 0 {
		_, err = l.file.Write(first)
	}
	return l, err
}

// parseLog reads the lines of a log that begins with first, and returns the length of those
// that are whole.
func parseLog(text, first []byte) (entries map[[2]int]entry, whole int, err error) {
	whole = bytes.LastIndexByte(text, '\n') + 1
	if !bytes.HasPrefix(text, first) && !(whole == 0 && bytes.HasPrefix(first, text)) {
		line, _, _ := bytes.Cut(text, []byte("\n"))
		return nil, 0, fmt.Errorf("the log begins with %.300q, want that of this search: %s", line, bytes.TrimSpace(first))
	}
	entries = map[[2]int]entry{}
	if whole == 0 {
		return entries, 0, nil
	}
	number := 1
	for line := range bytes.Lines(text[len(first):whole]) {
		number++
		var e entry
		err := json.Unmarshal(line, &e)
		if own, _ := e.line(); err == nil && !bytes.Equal(line, own) {
			err = errors.New("it would be written otherwise")
		}
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: %.300q: %w, want an evaluation as the search writes it", number, line, err)
		}
		key := [2]int{e.Trial, e.Epochs}
		if _, twice := entries[key]; twice {
			return nil, 0, fmt.Errorf("line %d: trial %d with %d epochs again, want it once", number, e.Trial, e.Epochs)
		}
		entries[key] = e
	}
	return entries, whole, nil
}

// take sets a trial's score and curve if the log has its evaluation.
func (l *log) take(t *trial) (done bool, err error) {
	if l == nil {
		return false, nil
	}
	key := [2]int{t.Number, t.Epochs}
	e, done := l.entries[key]
	if !done {
		return false, nil
	}
	if values := toFloats(e.Values); !slices.Equal(values, t.Values) {
		return false, fmt.Errorf("%s: trial %d with %d epochs has the values %v, want %v: the objective's scores have changed, or the log", l.path, t.Number, t.Epochs, values, t.Values)
	}
	delete(l.entries, key)
	t.Score, t.Curve = float64(e.Score), toFloats(e.Curve)
	return true, nil
}

// add appends the evaluation of a trial, whole: a line is one write.
func (l *log) add(t *trial) error {
	if l == nil {
		return nil
	}
	if l.failed != nil {
		return l.failed
	}
	line, err := entry{t.Number, t.Epochs, toNumbers(t.Values), number(t.Score), toNumbers(t.Curve)}.line()
	if err != nil {
		return err
	}
	_, l.failed = l.file.Write(line)
	return l.failed
}

// unused is an error if there are evaluations that no round has taken.
func (l *log) unused() error {
	if l == nil || len(l.entries) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d evaluations are none of this search's: the objective's scores have changed, or the log", l.path, len(l.entries))
}

// close closes the file, and then lets others have it. The lock's own file stays: to remove
// it would let two others lock two different ones.
func (l *log) close() error {
	var err error
	if l.file != nil {
		err = l.file.Close()
	}
	return errors.Join(err, l.lock.Unlock())
}
