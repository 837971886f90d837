// Package vec describes kernels as programs over lanes, once, and lowers them to
// the instruction sets that Lockstep runs on. A program knows how many lanes a
// vector has on its target and nothing else about it.
//
// A program is a list of simple instructions on any number of virtual
// registers: vectors of 32-bit or 64-bit elements, and general registers for
// pointers and counts. Generate turns it into assembly; Eval runs it in Go.
package vec

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// Target is an instruction set.
type Target struct {
	Name   string // as the generated files and functions spell it
	GOARCH string
	Bytes  int // of a vector register

	// ColumnsTogether says that GEMM's micro-kernels want the elements of a
	// column of A side by side.
	ColumnsTogether bool

	// Masks says that a tail is loaded and stored by one instruction, with a mask.
	Masks bool

	inTurns   int  // vectors that EachInTurns does together: as many as there are registers for in exp
	staggered bool // each of these is at another place of the body

	lower func(*Program) (*assembly, error)
}

// The targets, by the name of their files.
var (
	AVX2   = &Target{Name: "AVX2", GOARCH: "amd64", Bytes: 32, inTurns: 4, staggered: true, lower: lowerAVX2}
	AVX512 = &Target{Name: "AVX512", GOARCH: "amd64", Bytes: 64, Masks: true, inTurns: 4, lower: lowerAVX512}
	NEON   = &Target{Name: "NEON", GOARCH: "arm64", Bytes: 16, ColumnsTogether: true, inTurns: 2, lower: lowerNEON}
)

// Program is the body of one assembly function.
type Program struct {
	Target *Target
	Name   string
	Doc    []string // for the comment above the function, if no exported function has its name
	Params []Param

	// Lanes is the number of elements that a vector holds: of the widest type
	// of the program. In a program with 64-bit elements, a vector of 32-bit
	// elements fills half a register.
	Lanes int

	wide   bool // has 64-bit elements
	code   []inst
	consts []constant
	vecs   []int // element bits of each vector register
	regs   int   // number of general registers
	labels int
	local  int // bytes of the frame
	tail   *Tail
}

// Type is the type of a parameter.
type Type string

// The types of parameters. They are the Go types of the function's signature.
const (
	Int        Type = "int"
	Float32    Type = "float32"
	PtrFloat32 Type = "*float32"
	PtrFloat64 Type = "*float64"
	PtrInt32   Type = "*int32"
	PtrUint32  Type = "*uint32"
	PtrGemm    Type = "*Gemm" // the arguments of a GEMM micro-kernel
)

// Param is a parameter of the assembly function.
type Param struct {
	Name string
	Type Type
}

// V is a vector register, R a general one.
type (
	V struct{ id, bits int }
	R struct{ id int }
)

// Mem is an address: Base + Index·Scale + Off bytes. The index is for amd64.
type Mem struct {
	Base  R
	Off   int
	Index R
	Scale int // 0 for none, or 1, 2, 4 or 8
	frame int // if not 0, Base is that many bytes below the top of the frame
}

// At is the address r + off.
func (r R) At(off int) Mem { return Mem{Base: r, Off: off} }

// Times is the address n times index further on, for an address without one and n = 0, 1, 2,
// 4 or 8.
func (m Mem) Times(index R, n int) Mem {
	if m.Scale != 0 || n > 8 || n&(n-1) != 0 {
		panic(fmt.Sprintf("vec: an address with %d times an index and %d times another", m.Scale, n))
	}
	m.Index, m.Scale = index, n
	return m
}

// Plus is the address off bytes further on.
func (m Mem) Plus(off int) Mem {
	m.Off += off
	return m
}

type op int

const (
	opAdd op = iota
	opSub
	opMul
	opDiv
	opSqrt
	opMin
	opMax
	opFMA
	opFMALane
	opAnd
	opOr
	opXor
	opIAdd
	opISub
	opIMul
	opShl
	opShr
	opGt
	opSelect
	opWiden
	opNarrow
	opZero
	opCopy
	opFoldAdd
	opFoldMax
	opBlend

	opLoad
	opLoadSome
	opLoadElse
	opLoadColumns
	opStore
	opLoadSplat
	opLoadRepeat
	opStoreLane
	opPrefetch
	opParamSplat
	opIntSplat

	opParam
	opMov
	opMovI
	opAddR
	opSubR
	opAddI
	opAndI
	opShlI
	opShrI
	opLoadR
	opLoadR32
	opStoreR
	opLocal
	opTail

	opLabel
	opJump
	opJZ
	opJNone
	opJEq
	opJLt
	opLoop
	opReturn
	opComment
)

var opNames = map[op]string{
	opAdd: "add", opSub: "sub", opMul: "mul", opDiv: "div", opSqrt: "sqrt", opMin: "min", opMax: "max", opFMA: "fma", opFMALane: "fmalane",
	opAnd: "and", opOr: "or", opXor: "xor", opIAdd: "iadd", opISub: "isub", opIMul: "imul", opShl: "shl", opShr: "shr",
	opGt: "gt", opSelect: "select", opWiden: "widen", opNarrow: "narrow", opZero: "zero", opCopy: "copy", opFoldAdd: "foldadd", opFoldMax: "foldmax", opBlend: "blend",
	opLoad: "load", opLoadSome: "loadsome", opLoadElse: "loadelse", opLoadColumns: "loadcolumns", opStore: "store", opLoadSplat: "loadsplat", opLoadRepeat: "loadrepeat", opStoreLane: "storelane", opPrefetch: "prefetch", opParamSplat: "paramsplat", opIntSplat: "intsplat",
	opParam: "param", opMov: "mov", opMovI: "movi", opAddR: "addr", opSubR: "subr", opAddI: "addi", opAndI: "andi", opShlI: "shli", opShrI: "shri",
	opLoadR: "loadr", opLoadR32: "loadr32", opStoreR: "storer", opLocal: "local", opTail: "tail",
	opLabel: "label", opJump: "jump", opJZ: "jz", opJNone: "jnone", opJEq: "jeq", opJLt: "jlt", opLoop: "loop", opReturn: "return", opComment: "comment",
}

func (o op) String() string { return opNames[o] }

// inst is an instruction. dst and args are ids of vector or general registers,
// as the op has it.
type inst struct {
	op    op
	bits  int // of the elements
	dst   int
	outs  []int // the destinations of opLoadColumns
	mems  []Mem // its sources
	args  []int
	mem   Mem
	imm   int
	tail  *Tail
	label int
	text  string // a parameter's name, or a comment
}

type constant struct {
	v    V
	bits uint64
}

// Tail stands for the elements after the last whole vector: at least 1, at most
// Lanes, or fewer than Lanes if it is short.
type Tail struct {
	n      R // how many
	short  bool
	p4, p8 R // AVX2: where the mask of 4-byte and 8-byte elements lies
}

// Header is the first line of every generated file, as Go's tools expect it.
const Header = "// Code generated by go generate ./gen. DO NOT EDIT.\n"

func (p *Program) emit(i inst) { p.code = append(p.code, i) }

// Params reads a list of parameters as Go spells it.
func Params(list string) []Param {
	var params []Param
	untyped := 0 // parameters at the end that wait for their type
	for _, field := range strings.Split(list, ",") {
		words := strings.Fields(field)
		params = append(params, Param{Name: words[0]})
		untyped++
		if len(words) == 2 {
			for i := range untyped {
				params[len(params)-1-i].Type = Type(words[1])
			}
			untyped = 0
		}
	}
	return params
}

// New starts a program. wide says that it uses 64-bit elements.
func New(t *Target, name string, wide bool, params []Param, doc ...string) *Program {
	p := &Program{Target: t, Name: name, Doc: doc, Params: params, Lanes: t.Bytes / 4, wide: wide, local: 128}
	if wide {
		p.Lanes = t.Bytes / 8
	}
	return p
}

// Vec returns a new vector register.
func (p *Program) Vec(bits int) V {
	p.vecs = append(p.vecs, bits)
	return V{len(p.vecs) - 1, bits}
}

// Reg returns a new general register.
func (p *Program) Reg() R {
	p.regs++
	return R{p.regs - 1}
}

func (p *Program) op2(o op, a, b V) V {
	if a.bits != b.bits {
		panic(fmt.Sprintf("vec: %s of %d-bit and %d-bit elements", o, a.bits, b.bits))
	}
	d := p.Vec(a.bits)
	p.emit(inst{op: o, bits: a.bits, dst: d.id, args: []int{a.id, b.id}})
	return d
}

func (p *Program) op1(o op, bits int, a V, imm int) V {
	d := p.Vec(bits)
	p.emit(inst{op: o, bits: a.bits, dst: d.id, args: []int{a.id}, imm: imm})
	return d
}

// The arithmetic of a lane, each operation rounded once.
func (p *Program) Add(a, b V) V { return p.op2(opAdd, a, b) }
func (p *Program) Sub(a, b V) V { return p.op2(opSub, a, b) }
func (p *Program) Mul(a, b V) V { return p.op2(opMul, a, b) }
func (p *Program) Div(a, b V) V { return p.op2(opDiv, a, b) }
func (p *Program) Sqrt(a V) V   { return p.op1(opSqrt, a.bits, a, 0) }

// Min is a where a < b, else b; Max is a where a > b, else b. So b comes out
// where one is NaN, and where both are zero.
func (p *Program) Min(a, b V) V { return p.op2(opMin, a, b) }
func (p *Program) Max(a, b V) V { return p.op2(opMax, a, b) }

// Gt gives all ones where a > b, else all zeros.
func (p *Program) Gt(a, b V) V { return p.op2(opGt, a, b) }

// Select is a where mask is all ones, b where it is zero.
func (p *Program) Select(mask, a, b V) V {
	d := p.Vec(a.bits)
	p.emit(inst{op: opSelect, bits: a.bits, dst: d.id, args: []int{mask.id, a.id, b.id}})
	return d
}

// Blend takes the lanes of b whose bits are set, and a's for the others.
func (p *Program) Blend(a, b V, lanes int) V {
	d := p.op2(opBlend, a, b)
	p.code[len(p.code)-1].imm = lanes
	return d
}

// The operations on the bit pattern.
func (p *Program) And(a, b V) V        { return p.op2(opAnd, a, b) }
func (p *Program) Or(a, b V) V         { return p.op2(opOr, a, b) }
func (p *Program) Xor(a, b V) V        { return p.op2(opXor, a, b) }
func (p *Program) IAdd(a, b V) V       { return p.op2(opIAdd, a, b) }
func (p *Program) ISub(a, b V) V       { return p.op2(opISub, a, b) }
func (p *Program) Shl(a V, bits int) V { return p.op1(opShl, a.bits, a, bits) }
func (p *Program) Shr(a V, bits int) V { return p.op1(opShr, a.bits, a, bits) }

// IMul is the 64-bit product of the low halves of 64-bit elements, as unsigned
// numbers; the high halves may be anything. A constant best has its low half in
// both.
func (p *Program) IMul(a, b V) V { return p.op2(opIMul, a, b) }

// Widen turns float32 into float64, Narrow float64 into float32.
func (p *Program) Widen(a V) V  { return p.op1(opWiden, 64, a, 0) }
func (p *Program) Narrow(a V) V { return p.op1(opNarrow, 32, a, 0) }

// FMA sets acc to fma(a, b, acc), rounded once.
func (p *Program) FMA(acc, a, b V) {
	p.emit(inst{op: opFMA, bits: acc.bits, dst: acc.id, args: []int{acc.id, a.id, b.id}})
}

// Zero sets d to zero.
func (p *Program) Zero(d V) { p.emit(inst{op: opZero, bits: d.bits, dst: d.id}) }

// Set copies a into d.
func (p *Program) Set(d, a V) {
	p.emit(inst{op: opCopy, bits: a.bits, dst: d.id, args: []int{a.id}})
}

// FoldAdd adds up the lanes, the upper half to the lower half until one is left,
// and gives the sum in all lanes. FoldMax gives the greatest lane in all lanes;
// no lane may be NaN.
func (p *Program) FoldAdd(a V) V { return p.op1(opFoldAdd, a.bits, a, 0) }
func (p *Program) FoldMax(a V) V { return p.op1(opFoldMax, a.bits, a, 0) }

func (p *Program) constant(bits int, x uint64) V {
	for _, c := range p.consts {
		if c.v.bits == bits && c.bits == x {
			return c.v
		}
	}
	c := constant{p.Vec(bits), x}
	p.consts = append(p.consts, c)
	return c.v
}

// The constants, the same in all lanes: a float32, a float64, a bit pattern.
func (p *Program) F32(x float32) V        { return p.constant(32, uint64(math.Float32bits(x))) }
func (p *Program) F64(x float64) V        { return p.constant(64, math.Float64bits(x)) }
func (p *Program) Bits(n int, x uint64) V { return p.constant(n, x) }

// Splat is a float32 parameter in all lanes.
func (p *Program) Splat(name string) V {
	d := p.Vec(32)
	p.emit(inst{op: opParamSplat, bits: 32, dst: d.id, text: name})
	return d
}

// SplatInt is an int parameter in all lanes, cut to their size.
func (p *Program) SplatInt(bits int, name string) V {
	d := p.Vec(bits)
	p.emit(inst{op: opIntSplat, bits: bits, dst: d.id, text: name})
	return d
}

// LoadColumns reads n columns of 32-bit elements, as many as lanes or 4, from Lanes rows at
// these addresses. Inside of InTail, it reads the tail of each row alone, and the other
// columns are zero.
func (p *Program) LoadColumns(n int, rows []Mem) []V {
	i := inst{op: opLoadColumns, bits: 32, tail: p.tail, mems: slices.Clone(rows)}
	var columns []V
	for range n {
		c := p.Vec(32)
		i.outs = append(i.outs, c.id)
		columns = append(columns, c)
	}
	p.emit(i)
	return columns
}

// Load reads a vector. Inside of InTail, it reads the tail alone, and the other
// lanes are zero.
func (p *Program) Load(bits int, m Mem) V {
	d := p.Vec(bits)
	p.LoadTo(d, m)
	return d
}

// LoadTo is Load into a register that is there.
func (p *Program) LoadTo(d V, m Mem) {
	p.emit(inst{op: opLoad, bits: d.bits, dst: d.id, mem: m, tail: p.tail})
}

// LoadElse is Load, but inside of InTail the other lanes are those of fill.
func (p *Program) LoadElse(bits int, m Mem, fill V) V {
	if p.tail == nil {
		return p.Load(bits, m)
	}
	d := p.Vec(bits)
	p.emit(inst{op: opLoadElse, bits: bits, dst: d.id, args: []int{fill.id}, mem: m, tail: p.tail})
	return d
}

// Store writes a vector. Inside of InTail, it writes the tail alone.
func (p *Program) Store(m Mem, a V) {
	p.emit(inst{op: opStore, bits: a.bits, args: []int{a.id}, mem: m, tail: p.tail})
}

// LoadSplat reads one element into all lanes.
func (p *Program) LoadSplat(bits int, m Mem) V {
	d := p.Vec(bits)
	p.emit(inst{op: opLoadSplat, bits: bits, dst: d.id, mem: m})
	return d
}

// LoadRepeat reads n 32-bit elements, half a vector or a quarter, and repeats them
// over the lanes.
func (p *Program) LoadRepeat(n int, m Mem) V {
	d := p.Vec(32)
	p.emit(inst{op: opLoadRepeat, bits: 32, dst: d.id, mem: m, imm: n})
	return d
}

// StoreLane writes the first lane.
func (p *Program) StoreLane(m Mem, a V) {
	p.emit(inst{op: opStoreLane, bits: a.bits, args: []int{a.id}, mem: m})
}

// Prefetch asks for the cache line at an address.
func (p *Program) Prefetch(m Mem) { p.emit(inst{op: opPrefetch, mem: m}) }

// NewTail makes a tail of n elements.
func (p *Program) NewTail(n R) *Tail {
	t := &Tail{n: n, p4: p.Reg(), p8: p.Reg()}
	p.emit(inst{op: opTail, tail: t})
	return t
}

// NewShortTail makes a tail of n elements that are fewer than Lanes, for which the
// code is shorter.
func (p *Program) NewShortTail(n R) *Tail {
	t := p.NewTail(n)
	t.short = true
	return t
}

// InTail runs f with loads and stores that touch the tail alone.
func (p *Program) InTail(t *Tail, f func()) {
	outer := p.tail
	p.tail = t
	f()
	p.tail = outer
}

// Param reads a pointer or an int.
func (p *Program) Param(name string) R {
	d := p.Reg()
	p.emit(inst{op: opParam, dst: d.id, text: name})
	return d
}

// The general registers: dst = src, dst += src, and so on.
func (p *Program) Mov(dst, src R)  { p.emit(inst{op: opMov, dst: dst.id, args: []int{src.id}}) }
func (p *Program) AddR(dst, src R) { p.AddTimes(dst, src, 1) }

// AddTimes adds src to dst n times: 8, 4, 2 or 1 times in one instruction.
func (p *Program) AddTimes(dst, src R, n int) {
	for n > 0 {
		shift := min(3, bits.Len(uint(n))-1)
		p.emit(inst{op: opAddR, dst: dst.id, args: []int{dst.id, src.id}, imm: shift})
		n -= 1 << shift
	}
}
func (p *Program) SubR(dst, src R) {
	p.emit(inst{op: opSubR, dst: dst.id, args: []int{dst.id, src.id}})
}
func (p *Program) AddI(dst R, imm int) {
	p.emit(inst{op: opAddI, dst: dst.id, args: []int{dst.id}, imm: imm})
}
func (p *Program) AndI(dst R, imm int) {
	p.emit(inst{op: opAndI, dst: dst.id, args: []int{dst.id}, imm: imm})
}
func (p *Program) ShlI(dst R, imm int) {
	p.emit(inst{op: opShlI, dst: dst.id, args: []int{dst.id}, imm: imm})
}
func (p *Program) ShrI(dst R, imm int) {
	p.emit(inst{op: opShrI, dst: dst.id, args: []int{dst.id}, imm: imm})
}
func (p *Program) LoadRTo(dst R, m Mem) { p.emit(inst{op: opLoadR, dst: dst.id, mem: m}) }
func (p *Program) StoreR(m Mem, src R)  { p.emit(inst{op: opStoreR, args: []int{src.id}, mem: m}) }

// LoadR reads 64 bits, LoadR32 a signed 32-bit number.
func (p *Program) LoadR(m Mem) R {
	d := p.Reg()
	p.LoadRTo(d, m)
	return d
}

func (p *Program) LoadR32(m Mem) R {
	d := p.Reg()
	p.emit(inst{op: opLoadR32, dst: d.id, mem: m})
	return d
}

// RegI gives a new register with a number.
func (p *Program) RegI(x int) R {
	d := p.Reg()
	p.MovI(d, x)
	return d
}

// MovI sets dst to a number of 32 bits.
func (p *Program) MovI(dst R, x int) {
	if x < 0 || x > math.MaxUint32 {
		panic(fmt.Sprintf("vec: %s: move of %d, want 32 bits", p.Name, x))
	}
	p.emit(inst{op: opMovI, dst: dst.id, imm: x})
}

// Copy gives a new register with the value of src.
func (p *Program) Copy(src R) R {
	d := p.Reg()
	p.Mov(d, src)
	return d
}

// Rows are pointers to the elements of some rows, for reading them to all lanes.
type Rows struct {
	p       *Program
	ptr     []R
	stride  R
	grouped bool
}

// NewRows starts at base, one row each stride bytes.
func (p *Program) NewRows(base, stride R, rows int) *Rows {
	r := &Rows{p: p, ptr: []R{base}, stride: stride, grouped: p.Target.GOARCH == "amd64"}
	step := 1
	if r.grouped {
		step = 3 // amd64 adds an index times 1 or 2
	}
	for i := step; i < rows; i += step {
		next := p.Copy(r.ptr[len(r.ptr)-1])
		p.AddTimes(next, stride, step)
		r.ptr = append(r.ptr, next)
	}
	return r
}

// At is the element of row i.
func (r *Rows) At(i int) Mem {
	if !r.grouped {
		return r.ptr[i].At(0)
	}
	return r.ptr[i/3].At(0).Times(r.stride, i%3)
}

// Pointers are the registers that the addresses are made of.
func (r *Rows) Pointers() []R { return r.ptr }

// Advance moves all rows on by the same number of bytes.
func (r *Rows) Advance(by R) {
	for _, p := range r.ptr {
		r.p.AddR(p, by)
	}
}

// Groups are groups of rows, each from a base on and all as far apart. On amd64, the odd
// multiples of the stride are kept for all groups.
type Groups struct {
	p     *Program
	bases []R
	odd   map[int]R
}

// NewGroups starts at the bases, with up to 8 rows each, stride bytes apart.
func (p *Program) NewGroups(bases []R, stride R, rows int) *Groups {
	g := &Groups{p: p, bases: bases, odd: map[int]R{1: stride}}
	for odd := 3; odd < rows && p.Target.GOARCH == "amd64"; odd += 2 {
		g.odd[odd] = p.Copy(g.odd[odd-2])
		p.AddTimes(g.odd[odd], stride, 2)
	}
	return g
}

// At is where row i of a group stands.
func (g *Groups) At(group, i int) Mem {
	base := g.bases[group]
	if i == 0 {
		return base.At(0)
	}
	if g.p.Target.GOARCH != "amd64" {
		row := g.p.Copy(base)
		g.p.AddTimes(row, g.odd[1], i)
		return row.At(0)
	}
	times := i & -i
	return base.At(0).Times(g.odd[i/times], times)
}

// Advance moves all rows on by so many bytes.
func (g *Groups) Advance(bytes int) {
	for _, base := range g.bases {
		g.p.AddI(base, bytes)
	}
}

// Column reads the elements of a column of A one after the other, for FMAColumn.
// amd64 loads each to all lanes, from rows that are any stride apart; arm64 loads
// a vector of them and multiplies by one of its lanes, so they have to lie
// together.
type Column struct {
	p     *Program
	rows  *Rows // amd64
	at    R     // arm64
	n     int
	lanes []V
}

// NewColumn starts at the column of n elements at base.
func (p *Program) NewColumn(base, stride R, n int) *Column {
	if p.Target.ColumnsTogether {
		return &Column{p: p, at: base, n: n}
	}
	return &Column{p: p, rows: p.NewRows(base, stride, n), n: n}
}

// Load reads the column.
func (c *Column) Load() {
	if c.rows != nil {
		return // each element when its turn comes: one register does for all
	}
	c.lanes = nil
	for i := 0; i < c.n; i += c.p.Lanes {
		v := c.p.Vec(32)
		// Of the last elements, no more may be read than there are.
		c.p.emit(inst{op: opLoadSome, bits: 32, dst: v.id, mem: c.at.At(4 * i), imm: min(c.p.Lanes, c.n-i)})
		c.lanes = append(c.lanes, v)
	}
}

// FMA sets each acc to fma(element i, b, acc).
func (c *Column) FMA(i int, acc, b []V) {
	if c.rows != nil {
		a := c.p.LoadSplat(32, c.rows.At(i))
		for j := range b {
			c.p.FMA(acc[j], a, b[j])
		}
		return
	}
	a := c.lanes[i/c.p.Lanes]
	for j := range b {
		c.p.emit(inst{op: opFMALane, bits: 32, dst: acc[j].id, args: []int{acc[j].id, b[j].id, a.id}, imm: i % c.p.Lanes})
	}
}

// Advance moves on to the next column.
func (c *Column) Advance(by R) {
	if c.rows != nil {
		c.rows.Advance(by)
	} else {
		c.p.AddR(c.at, by)
	}
}

// Walk goes along some rows side by side: on amd64 by one index, on arm64 by each
// pointer.
type Walk struct {
	p     *Program
	rows  []R
	index []R // one, or none
}

// NewWalk starts at the rows' first elements. It uses the pointers up.
func (p *Program) NewWalk(rows []R) *Walk {
	w := &Walk{p: p, rows: rows}
	if p.Target.GOARCH == "amd64" {
		w.index = []R{p.RegI(0)}
	}
	return w
}

// At is where the walk stands in row i.
func (w *Walk) At(i int) Mem {
	m := w.rows[i].At(0)
	if len(w.index) > 0 {
		m = m.Times(w.index[0], 1)
	}
	return m
}

// Advance goes on by so many bytes.
func (w *Walk) Advance(bytes int) {
	moves := w.index
	if len(moves) == 0 {
		moves = w.rows
	}
	for _, r := range moves {
		w.p.AddI(r, bytes)
	}
}

// Round is how many steps there are in a round of Apart.
const Round = 4

// Apart is a column that is read for a round of steps before it goes on. Each of its rows
// has a pointer of its own, and the index counts the steps. For amd64.
type Apart struct {
	p          *Program
	ptr        []R
	by, thrice R
}

// Apart is the column where it stands, whose steps are by bytes. The column goes on with
// it; but once that goes on by itself, this is void.
func (c *Column) Apart(by R) *Apart {
	a := &Apart{p: c.p, by: by}
	for i := range c.n {
		ptr := c.rows.ptr[i/3]
		if i%3 > 0 {
			ptr = c.p.Copy(a.ptr[i-1])
			c.p.AddR(ptr, c.rows.stride)
		}
		a.ptr = append(a.ptr, ptr)
	}
	return a
}

// Begin has to come before the loop over rounds.
func (a *Apart) Begin() {
	a.thrice = a.p.Copy(a.by)
	a.p.AddTimes(a.thrice, a.by, 2)
}

// At is the element of row i in a step of the round.
func (a *Apart) At(i, step int) Mem {
	if step == 3 {
		return a.ptr[i].At(0).Times(a.thrice, 1)
	}
	return a.ptr[i].At(0).Times(a.by, step)
}

// Advance goes on to the next round.
func (a *Apart) Advance() {
	for _, ptr := range a.ptr {
		a.p.AddTimes(ptr, a.by, Round)
	}
}

// Local gives the address of size bytes of the frame. A program has at most one.
func (p *Program) Local(size int) R {
	p.local = max(p.local, size)
	d := p.Reg()
	p.emit(inst{op: opLocal, dst: d.id, imm: size})
	return d
}

// Frame is an address in the frame, off bytes from where Local begins. Loads to all
// lanes and prefetches do not take it.
func (p *Program) Frame(size, off int) Mem {
	p.local = max(p.local, size)
	return Mem{Off: off, frame: size}
}

// Label is a place to jump to.
type Label struct{ id int }

// NewLabel returns a label that Here puts in its place.
func (p *Program) NewLabel() Label {
	p.labels++
	return Label{p.labels - 1}
}

// Here is where l is; Jump goes there, always, or if r is zero, or if it is
// equal to a number.
func (p *Program) Here(l Label)          { p.emit(inst{op: opLabel, label: l.id}) }
func (p *Program) Jump(l Label)          { p.emit(inst{op: opJump, label: l.id}) }
func (p *Program) JumpZero(r R, l Label) { p.emit(inst{op: opJZ, args: []int{r.id}, label: l.id}) }
func (p *Program) JumpEqual(r R, x int, l Label) {
	p.emit(inst{op: opJEq, args: []int{r.id}, imm: x, label: l.id})
}

// JumpNone goes to l if r has none of the bits of mask.
func (p *Program) JumpNone(r R, mask int, l Label) {
	p.emit(inst{op: opJNone, args: []int{r.id}, imm: mask, label: l.id})
}

// JumpLess goes to l if r is less than a number.
func (p *Program) JumpLess(r R, x int, l Label) {
	p.emit(inst{op: opJLt, args: []int{r.id}, imm: x, label: l.id})
}

// Loop runs body n times, n being at least 1, and leaves n zero.
func (p *Program) Loop(n R, body func()) {
	top := p.NewLabel()
	p.Here(top)
	body()
	p.emit(inst{op: opLoop, dst: n.id, args: []int{n.id}, label: top.id})
}

// Return ends the function.
func (p *Program) Return() { p.emit(inst{op: opReturn}) }

// Comment is printed between the instructions.
func (p *Program) Comment(text string) { p.emit(inst{op: opComment, text: text}) }
