package data

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-go/lockstep/nn"
)

// CSVOptions say what [ReadCSV] is to make of a file. The zero value finds out what it can
// from the file.
//
// A column is named by its name in the header, or by its number: from 1 on, or from the
// last, -1, backwards. Without a header the numbers are the names.
type CSVOptions struct {
	Comma  rune   // between the fields; 0 stands for the one of comma, semicolon, tab and | that the first line has most often
	Header Header // whether the first line is names

	Targets []string // the columns to predict; nil stands for the last one
	Task    Task     // what they are
	Ignore  []string // the columns to leave out

	// Categorical are columns of numbers, such as postal codes, to take as categories.
	Categorical []string

	// MaxCategories is how many different texts a column of categories or classes may have,
	// since each becomes an input or an output; 0 stands for 100.
	MaxCategories int

	// Missing are the texts that stand for a missing value; nil stands for the empty text,
	// ?, NA, N/A, #N/A, NaN, nan, NULL and null.
	Missing []string

	// RawTargets leaves the targets of a regression as they are.
	RawTargets bool
}

var missing = []string{"", "?", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"}

// Header says whether the first line of a CSV is the names of the columns.
type Header int

const (
	// DetectHeader takes the first line for names if its fields are different from each
	// other, none is a number, and not each of them occurs in its column again.
	DetectHeader Header = iota
	WithHeader
	WithoutHeader
)

// Task is what there is to predict.
type Task string

const (
	// DetectTask is Classification if there is one target and it is not numbers, or whole
	// numbers of 20 different values or fewer which occur twice or more on average. It is
	// else Regression.
	DetectTask     Task = ""
	Classification Task = "classification"
	Regression     Task = "regression"
)

// Role is what a column is for.
type Role string

const (
	Input   Role = "input"
	Target  Role = "target"
	Ignored Role = "ignored"
)

// Column is what a [Prep] knows of a column.
type Column struct {
	Name string `json:"name"`
	Role Role   `json:"role"`

	// Of categories, or of classes if it is the target: the texts, sorted, as numbers if all
	// are. Nil for numbers.
	Categories []string `json:"categories,omitempty"`

	// Of numbers: the mean, and the standard deviation (of all rows: the sum of squares is
	// divided by their number). A standard deviation of 0 makes every number 0.
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"`
}

// Prep is how rows of a CSV become samples. [ReadCSV] finds it; kept beside the network,
// as the JSON that encoding/json makes of it, it turns later rows into the same inputs.
//
// The inputs are in the order of the columns. One of numbers is one input,
//
//	x = float32((v - Mean)/Std)
//
// in float64. One of categories is as many inputs as it has categories: 1 for the row's, 0
// for the others. Space at the ends of a field does not count.
type Prep struct {
	Comma   string   `json:"comma"`  // between the fields
	Header  bool     `json:"header"` // the first line is names
	Missing []string `json:"missing"`
	Columns []Column `json:"columns"` // as they were in the file, left to right
}

// In returns the number of inputs.
func (p *Prep) In() int {
	n := 0
	for _, c := range p.Columns {
		switch {
		case c.Role != Input:
		case c.Categories != nil:
			n += len(c.Categories)
		default:
			n++
		}
	}
	return n
}

// Out returns the number of outputs that a network should have: one for each class or
// each target.
func (p *Prep) Out() int {
	if classes := p.Classes(); classes != nil {
		return len(classes)
	}
	return len(p.targets())
}

// Classes returns the names of the classes, whose indices are the labels; or nil for a
// regression.
func (p *Prep) Classes() []string {
	for _, c := range p.targets() {
		return c.Categories
	}
	return nil
}

// Inputs returns the names of the inputs: of a column of numbers its name, of one of
// categories its name, =, and the category.
func (p *Prep) Inputs() []string {
	var names []string
	for _, c := range p.Columns {
		switch {
		case c.Role != Input:
		case c.Categories == nil:
			names = append(names, c.Name)
		default:
			for _, category := range c.Categories {
				names = append(names, c.Name+"="+category)
			}
		}
	}
	return names
}

func (p *Prep) targets() []*Column {
	var targets []*Column
	for i := range p.Columns {
		if c := &p.Columns[i]; c.Role == Target {
			targets = append(targets, c)
		}
	}
	return targets
}

// Unscale turns outputs of a network that was trained on the standardised targets of a
// regression into those of the file, in place:
//
//	y = float32(y·Std + Mean)
//
// in float64.
//
// Shapes: y: rows×Out.
//
// It panics if the length of y is another or there are classes.
func (p *Prep) Unscale(y []float32) {
	targets := p.targets()
	if len(targets) == 0 || p.Classes() != nil || len(y)%len(targets) != 0 {
		panic(fmt.Sprintf("data.Prep.Unscale: len(y) = %d, want a multiple of the %d targets, and %d classes, want none", len(y), len(targets), len(p.Classes())))
	}
	for i, v := range y {
		c := targets[i%len(targets)]
		y[i] = float32(float64(float64(v)*c.Std) + c.Mean)
	}
}

// ReadCSV reads samples out of comma-separated values, and finds how to make inputs and
// targets of the columns. Numbers are standardised to a mean of 0 and a standard
// deviation of 1, categories become one input each; see [Prep]. A column is numbers if all
// its fields are. The target is either classes, whose indices are the labels, or numbers,
// which are standardised too, unless RawTargets; [Prep.Unscale] undoes that. Several
// targets are numbers.
//
// Fields may be quoted, as RFC 4180 has it; empty lines do not count.
//
// It is an error, which names the line, from 1 on, and the column, if a row has too few or
// too many fields, a value is missing, a field is not UTF-8, a number is beyond float64, a
// column is mostly numbers but not all of it, or has too many categories; and if options
// name columns that there are not, or no input or no row is left.
func ReadCSV(r io.Reader, o CSVOptions) (*nn.Data, *Prep, error) {
	d, p, err := readCSV(r, o)
	if err != nil {
		return nil, nil, fmt.Errorf("data.ReadCSV: %w", err)
	}
	return d, p, nil
}

// ReadCSVFile is [ReadCSV] from a file.
func ReadCSVFile(path string, o CSVOptions) (d *nn.Data, p *Prep, err error) {
	err = fromFile(path, func(f *os.File, _ int64) error {
		d, p, err = readCSV(f, o)
		return err
	})
	return d, p, err
}

func readCSV(r io.Reader, o CSVOptions) (*nn.Data, *Prep, error) {
	if o.MaxCategories <= 0 {
		o.MaxCategories = 100
	}
	if o.Missing == nil {
		o.Missing = missing
	}
	f := &fit{options: o}
	comma, err := scanCSV(r, o.Comma, false, func(line int, row []string) error {
		f.lines = append(f.lines, line)
		f.rows = append(f.rows, row)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	p, err := f.prep(comma)
	if err != nil {
		return nil, nil, err
	}
	rows, in, most := len(f.rows), p.In(), math.MaxInt/16
	if in > most/rows {
		return nil, nil, fmt.Errorf("%d rows of %d inputs, want a product of at most %d", rows, in, most)
	}
	e, err := p.encoder(true, f.names, len(p.Columns))
	if err != nil {
		return nil, nil, err
	}
	d := &nn.Data{X: make([]float32, 0, rows*in)}
	for i, row := range f.rows {
		if err := e.add(d, f.lines[i], row); err != nil {
			return nil, nil, err
		}
	}
	return d, p, nil
}

// Read reads further samples, with their targets, of a file with the columns that ReadCSV
// found: where there is a header, in any order and with others between them; else at the
// same places.
//
// The errors are those of [ReadCSV], that a column is not there, a number is none, and that
// a category or class is unknown; and what is wrong with the Prep itself, which may come
// from a file.
func (p *Prep) Read(r io.Reader) (*nn.Data, error) {
	d, err := p.read(r, true)
	if err != nil {
		return nil, fmt.Errorf("data.Prep.Read: %w", err)
	}
	return d, nil
}

// ReadFile is [Prep.Read] from a file.
func (p *Prep) ReadFile(path string) (d *nn.Data, err error) {
	err = fromFile(path, func(f *os.File, _ int64) error {
		d, err = p.read(f, true)
		return err
	})
	return d, err
}

// ReadInputs is [Prep.Read] without the targets: their columns may be missing, and are not
// looked at if they are there.
func (p *Prep) ReadInputs(r io.Reader) (*nn.Data, error) {
	d, err := p.read(r, false)
	if err != nil {
		return nil, fmt.Errorf("data.Prep.ReadInputs: %w", err)
	}
	return d, nil
}

// ReadInputsFile is [Prep.ReadInputs] from a file.
func (p *Prep) ReadInputsFile(path string) (d *nn.Data, err error) {
	err = fromFile(path, func(f *os.File, _ int64) error {
		d, err = p.read(f, false)
		return err
	})
	return d, err
}

func (p *Prep) read(r io.Reader, targets bool) (*nn.Data, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("the Prep: %w", err)
	}
	comma, _ := utf8.DecodeRuneInString(p.Comma)
	d := new(nn.Data)
	var e *encoder
	_, err := scanCSV(r, comma, true, func(line int, row []string) (err error) {
		if e != nil {
			return e.add(d, line, row)
		}
		if p.Header {
			e, err = p.encoder(targets, slices.Clone(row), len(row))
			return err
		}
		if e, err = p.encoder(targets, nil, len(row)); err != nil {
			return err
		}
		return e.add(d, line, row)
	})
	if err == nil && d.Rows == 0 {
		err = errNoRows
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

var errNoRows = errors.New("no rows, want at least one")

// maxFields bounds what a line of nothing but commas can cost.
const maxFields = 1 << 16

// fieldError says where something is wrong.
func fieldError(line int, column, format string, args ...any) error {
	return fmt.Errorf("line %d, column %s: %w", line, short(column), fmt.Errorf(format, args...))
}

// scanCSV hands row by row on, all of one length, and each with the line that it begins
// in. It returns the comma that it was given or, if that is 0, detected. With reuse the
// next row may be in the memory of this one.
func scanCSV(r io.Reader, comma rune, reuse bool, row func(line int, row []string) error) (rune, error) {
	const ahead = 1 << 16
	b := bufio.NewReaderSize(r, ahead)
	if start, _ := b.Peek(3); string(start) == "\ufeff" {
		b.Discard(len(start))
	} else if len(start) > 1 && (string(start[:2]) == "\xff\xfe" || string(start[:2]) == "\xfe\xff") {
		return 0, errors.New("expected UTF-8, found UTF-16")
	}
	if comma == 0 {
		start, _ := b.Peek(ahead)
		comma = detectComma(start)
	}
	c := csv.NewReader(b)
	c.Comma = comma
	c.FieldsPerRecord = -1
	c.ReuseRecord = reuse
	// Which would take empty fields between tabs away.
	c.TrimLeadingSpace = comma != '\t' && comma != ' '
	width, first := 0, 0
	for {
		fields, err := c.Read()
		if err == io.EOF {
			return comma, nil
		}
		if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
			return 0, fmt.Errorf("line %d: %w", parse.Line, parse.Err)
		}
		if err != nil {
			return 0, err
		}
		line, _ := c.FieldPos(0)
		if width == 0 {
			if width, first = len(fields), line; width > maxFields {
				return 0, fmt.Errorf("line %d: expected at most %d fields, found %d", line, maxFields, width)
			}
		}
		if len(fields) != width {
			return 0, fmt.Errorf("line %d: expected %d fields with %q between them, as line %d has, found %d", line, width, comma, first, len(fields))
		}
		for i, f := range fields {
			if !utf8.ValidString(f) {
				return 0, fieldError(line, strconv.Itoa(i+1), "expected UTF-8, found %s", short(f))
			}
			fields[i] = strings.TrimSpace(f)
		}
		if err := row(line, fields); err != nil {
			return 0, err
		}
	}
}

// detectComma returns the separator that the first line has most often outside of quotes.
func detectComma(text []byte) rune {
	const candidates = ",;\t|"
	text = bytes.TrimLeft(text, "\r\n")
	var counts [len(candidates)]int
	quoted := false
	for _, b := range text {
		if b == '\n' && !quoted {
			break
		}
		if b == '"' {
			quoted = !quoted
		}
		if i := strings.IndexByte(candidates, b); i >= 0 && !quoted {
			counts[i]++
		}
	}
	return rune(candidates[slices.Index(counts[:], slices.Max(counts[:]))])
}

// number reads a decimal number. One beyond float64 is infinite.
func number(s string) (v float64, ok bool) {
	for i := range len(s) {
		if strings.IndexByte("0123456789+-.eE", s[i]) < 0 {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil || errors.Is(err, strconv.ErrRange)
}

// fit is a file from which a Prep is found.
type fit struct {
	options CSVOptions
	rows    [][]string
	lines   []int
	names   []string
}

// prep finds how to make samples of the rows, and takes the header off them.
func (f *fit) prep(comma rune) (*Prep, error) {
	o := &f.options
	if len(f.rows) == 0 {
		return nil, errNoRows
	}
	p := &Prep{Comma: string(comma), Missing: slices.Clone(o.Missing), Columns: make([]Column, len(f.rows[0]))}
	switch o.Header {
	case WithHeader:
		p.Header = true
	case DetectHeader:
		p.Header = f.headed()
	}
	if p.Header {
		f.names = f.rows[0]
		f.rows, f.lines = f.rows[1:], f.lines[1:]
	}
	f.names = columnNames(f.names, len(p.Columns))
	if len(f.rows) == 0 {
		return nil, fmt.Errorf("%w below the names of the columns", errNoRows)
	}
	byName := make(map[string]int, len(f.names))
	for i, name := range f.names {
		if j, ok := byName[name]; ok {
			return nil, fmt.Errorf("columns %d and %d have the same name %s, want another for each", j+1, i+1, short(name))
		}
		byName[name] = i
		p.Columns[i] = Column{Name: name, Role: Input}
	}
	if len(o.Targets) == 0 {
		o.Targets = []string{"-1"}
	}
	categorical := make([]bool, len(p.Columns))
	for _, option := range []struct {
		name    string
		columns []string
		set     func(i int)
	}{
		{"Targets", o.Targets, func(i int) { p.Columns[i].Role = Target }},
		{"Ignore", o.Ignore, func(i int) { p.Columns[i].Role = Ignored }},
		{"Categorical", o.Categorical, func(i int) { categorical[i] = true }},
	} {
		for _, name := range option.columns {
			i, err := findColumn(name, f.names, byName)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", option.name, err)
			}
			if option.name == "Ignore" && p.Columns[i].Role == Target {
				return nil, fmt.Errorf("column %s is a target, and to be ignored; want one of both", short(f.names[i]))
			}
			option.set(i)
		}
	}
	if p.In() == 0 {
		return nil, fmt.Errorf("no columns for inputs out of %s with %q between them", shorts(f.names), comma)
	}
	if err := f.checkMissing(p); err != nil {
		return nil, err
	}
	several := len(p.targets()) > 1
	for i := range p.Columns {
		var err error
		switch c := &p.Columns[i]; c.Role {
		case Input:
			err = f.input(c, i, categorical[i])
		case Target:
			err = f.target(c, i, categorical[i], several)
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// columnNames names the columns without a name by their numbers.
func columnNames(header []string, n int) []string {
	names := make([]string, n)
	copy(names, header)
	for i, name := range names {
		if name == "" {
			names[i] = strconv.Itoa(i + 1)
		}
	}
	return names
}

// findColumn returns the index of a column of a name, or a number from either end.
func findColumn(name string, names []string, byName map[string]int) (int, error) {
	if i, ok := byName[name]; ok {
		return i, nil
	}
	n, err := strconv.Atoi(name)
	if n < 0 {
		n += len(names) + 1
	}
	if err != nil || n < 1 || n > len(names) {
		return 0, fmt.Errorf("no column %s, want one of %s or a number up to %d", short(name), shorts(names), len(names))
	}
	return n - 1, nil
}

// headed reports whether the first line looks like names.
func (f *fit) headed() bool {
	first := f.rows[0]
	seen := make(map[string]bool, len(first))
	for _, name := range first {
		if _, ok := number(name); ok || seen[name] {
			return false
		}
		seen[name] = name != ""
	}
	for j, name := range first {
		if !slices.ContainsFunc(f.rows[1:], func(row []string) bool { return row[j] == name }) {
			return true
		}
	}
	return false
}

func (f *fit) checkMissing(p *Prep) error {
	for i, row := range f.rows {
		for j, v := range row {
			if p.Columns[j].Role != Ignored && slices.Contains(p.Missing, v) {
				return missingError(f.lines[i], f.names[j], v)
			}
		}
	}
	return nil
}

func missingError(line int, column, v string) error {
	return fieldError(line, column, "expected a value, found %s, which stands for a missing one", short(v))
}

// input finds how to make inputs of a column.
func (f *fit) input(c *Column, at int, categorical bool) (err error) {
	if !categorical {
		if categorical, err = f.texts(at); err != nil {
			return err
		}
	}
	if categorical {
		c.Categories, err = f.categories(at)
		return err
	}
	c.Mean, c.Std, err = f.moments(at)
	return err
}

// target finds how to make labels or targets of a column.
func (f *fit) target(c *Column, at int, categorical, several bool) (err error) {
	task := f.options.Task
	switch {
	case task == DetectTask && several:
		task = Regression
	case task == DetectTask && categorical:
		task = Classification
	case task == DetectTask:
		if task, err = f.task(at); err != nil {
			return err
		}
	case task == Classification && several:
		return errors.New("several targets, want one for a classification")
	case task != Classification && task != Regression:
		return fmt.Errorf("Task = %q, want %q, %q or %q", task, DetectTask, Classification, Regression)
	}
	if task == Classification {
		if c.Categories, err = f.categories(at); err == nil && len(c.Categories) < 2 {
			err = fmt.Errorf("column %s: all rows are of class %s, want two classes or more", short(c.Name), shorts(c.Categories))
		}
		return err
	}
	if c.Mean, c.Std, err = f.moments(at); err == nil && f.options.RawTargets {
		c.Mean, c.Std = 0, 1
	}
	return err
}

// texts reports whether a column is not numbers. It is an error if about half of it or
// more is, for then the others are likely to be mistakes.
func (f *fit) texts(at int) (bool, error) {
	numbers, other := 0, -1
	for i, row := range f.rows {
		if _, ok := number(row[at]); ok {
			numbers++
		} else if other < 0 {
			other = i
		}
	}
	if other >= 0 && numbers >= len(f.rows)-numbers {
		return false, fieldError(f.lines[other], f.names[at],
			"expected a number, as in %d of %d rows, found %s; if these are categories, list the column in Categorical", numbers, len(f.rows), short(f.rows[other][at]))
	}
	return other >= 0, nil
}

// task finds what a single target is; see DetectTask.
func (f *fit) task(at int) (Task, error) {
	texts, err := f.texts(at)
	if err != nil || texts {
		return Classification, err
	}
	const most = 20
	different := map[float64]bool{}
	for _, row := range f.rows {
		v, _ := number(row[at])
		if different[v] = true; v != math.Trunc(v) || len(different) > most {
			return Regression, nil
		}
	}
	if 2*len(different) > len(f.rows) {
		return Regression, nil
	}
	return Classification, nil
}

// categories returns the different texts of a column, sorted.
func (f *fit) categories(at int) ([]string, error) {
	seen := map[string]bool{}
	all := []string{}
	numbers := true
	for i, row := range f.rows {
		text := row[at]
		if seen[text] {
			continue
		}
		if len(all) == f.options.MaxCategories {
			return nil, fieldError(f.lines[i], f.names[at], "%s is the category number %d, want at most %d; list the column in Ignore, or raise MaxCategories", short(text), len(all)+1, len(all))
		}
		seen[text] = true
		all = append(all, text)
		_, ok := number(text)
		numbers = numbers && ok
	}
	slices.SortFunc(all, func(a, b string) int {
		if numbers {
			v, _ := number(a)
			w, _ := number(b)
			if v != w {
				return cmp.Compare(v, w)
			}
		}
		return strings.Compare(a, b)
	})
	return all, nil
}

// moments returns the mean and the standard deviation of a column of numbers: sums in
// order and in float64, that of the squares about the mean.
func (f *fit) moments(at int) (mean, std float64, err error) {
	least, most := math.Inf(1), math.Inf(-1)
	var sum float64
	for i, row := range f.rows {
		v, ok := number(row[at])
		if !ok || math.IsInf(v, 0) {
			return 0, 0, numberError(f.lines[i], f.names[at], row[at])
		}
		sum += v
		least, most = min(least, v), max(most, v)
	}
	if least == most {
		return least, 0, nil
	}
	n := float64(len(f.rows))
	mean = sum / n
	sum = 0
	for _, row := range f.rows {
		v, _ := number(row[at])
		d := v - mean
		sum += float64(d * d)
	}
	std = math.Sqrt(sum / n)
	if math.IsInf(mean, 0) || math.IsInf(std, 0) || math.IsNaN(std) {
		return 0, 0, fmt.Errorf("column %s: numbers from %v to %v, want none so large that their squares are beyond float64", short(f.names[at]), least, most)
	}
	return mean, std, nil
}

func numberError(line int, column, text string) error {
	if _, ok := number(text); ok {
		return fieldError(line, column, "expected a number up to %v, found %s", math.MaxFloat64, short(text))
	}
	return fieldError(line, column, "expected a number, found %s", short(text))
}

// check returns what is wrong with a Prep that may come from anywhere.
func (p *Prep) check() error {
	if comma, size := utf8.DecodeRuneInString(p.Comma); size != len(p.Comma) || size == 0 || comma == utf8.RuneError {
		return fmt.Errorf("comma %s, want one character", short(p.Comma))
	}
	names := make(map[string]bool, len(p.Columns))
	inputs, targets, classes := 0, 0, 0
	for i := range p.Columns {
		c := &p.Columns[i]
		if c.Name == "" || names[c.Name] {
			return fmt.Errorf("column %d is called %s, want a name of its own", i+1, short(c.Name))
		}
		names[c.Name] = true
		switch c.Role {
		case Input:
			inputs++
		case Target:
			targets++
			if c.Categories != nil {
				classes++
			}
		case Ignored:
			continue
		default:
			return fmt.Errorf("column %s: role %s, want %q, %q or %q", short(c.Name), short(string(c.Role)), Input, Target, Ignored)
		}
		if c.Categories == nil {
			if !(c.Std >= 0) || math.IsInf(c.Std, 0) || math.IsInf(c.Mean, 0) || math.IsNaN(c.Mean) {
				return fmt.Errorf("column %s: mean %v and standard deviation %v, want finite ones, and that of at least 0", short(c.Name), c.Mean, c.Std)
			}
			continue
		}
		seen := make(map[string]bool, len(c.Categories))
		for _, category := range c.Categories {
			if seen[category] {
				return fmt.Errorf("column %s: category %s twice", short(c.Name), short(category))
			}
			seen[category] = true
		}
		if len(seen) == 0 {
			return fmt.Errorf("column %s: no categories, want at least one", short(c.Name))
		}
	}
	if inputs == 0 || targets == 0 || classes > 0 && targets > 1 {
		return fmt.Errorf("%d inputs and %d targets, want at least one of each, and with classes one target", inputs, targets)
	}
	return nil
}

// encoder makes samples of rows.
type encoder struct {
	missing []string
	fields  []encoded
}

// encoded is a field that a sample needs.
type encoded struct {
	*Column
	at    int            // in the row
	index map[string]int // of a category
}

// encoder finds the columns in rows of a header or, where that is nil, a length.
func (p *Prep) encoder(targets bool, header []string, n int) (*encoder, error) {
	header = columnNames(header, n)
	at := make(map[string][]int, n)
	for i, name := range header {
		at[name] = append(at[name], i)
	}
	e := &encoder{missing: p.Missing}
	bare := n != len(p.Columns) // no targets in a file without header
	if !p.Header && bare && (targets || n != len(p.Columns)-len(p.targets())) {
		without := ""
		if !targets {
			without = fmt.Sprintf(", or %d without the targets", len(p.Columns)-len(p.targets()))
		}
		return nil, fmt.Errorf("expected rows of %d fields with %q between them%s, found %d", len(p.Columns), p.Comma, without, n)
	}
	place := 0 // of the column in a file without header
	for i := range p.Columns {
		c := &p.Columns[i]
		here := place
		if c.Role != Target || !bare {
			place++
		}
		if c.Role == Ignored || c.Role == Target && !targets {
			continue
		}
		if p.Header {
			places := at[c.Name]
			if len(places) != 1 {
				return nil, fmt.Errorf("expected a column %s, found %d of that name in %s with %q between them", short(c.Name), len(places), shorts(header), p.Comma)
			}
			here = places[0]
		}
		f := encoded{Column: c, at: here}
		if c.Categories != nil {
			f.index = make(map[string]int, len(c.Categories))
			for k, category := range c.Categories {
				f.index[category] = k
			}
		}
		e.fields = append(e.fields, f)
	}
	return e, nil
}

// add makes a sample of a row.
func (e *encoder) add(d *nn.Data, line int, row []string) error {
	for i := range e.fields {
		f := &e.fields[i]
		text := row[f.at]
		if slices.Contains(e.missing, text) {
			return missingError(line, f.Name, text)
		}
		if f.index != nil {
			k, ok := f.index[text]
			switch {
			case !ok && f.Role == Target:
				return fieldError(line, f.Name, "expected a class out of %s, found %s", shorts(f.Categories), short(text))
			case !ok:
				return fieldError(line, f.Name, "expected a category out of %s, found %s", shorts(f.Categories), short(text))
			case f.Role == Target:
				d.Labels = append(d.Labels, int32(k))
			default:
				from := len(d.X)
				d.X = append(d.X, make([]float32, len(f.Categories))...)
				d.X[from+k] = 1
			}
			continue
		}
		v, ok := number(text)
		if !ok || math.IsInf(v, 0) {
			return numberError(line, f.Name, text)
		}
		var x float32
		if f.Std > 0 {
			x = float32((v - f.Mean) / f.Std)
		}
		if math.IsInf(float64(x), 0) {
			return fieldError(line, f.Name, "expected a number near the others, whose mean is %v and standard deviation %v, found %s", f.Mean, f.Std, short(text))
		}
		if f.Role == Target {
			d.Targets = append(d.Targets, x)
		} else {
			d.X = append(d.X, x)
		}
	}
	d.Rows++
	return nil
}
