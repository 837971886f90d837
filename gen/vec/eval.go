package vec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/lockstep-go/lockstep/internal/f32"
)

// Args are the arguments of a program, by the names of its parameters. A
// pointer is a slice, which stands for the address of its first element. The same
// slice may be there twice; others share no element.
//
//	Int         int
//	Float32     float32
//	PtrFloat32  []float32
//	PtrFloat64  []float64
//	PtrInt32    []int32
//	PtrUint32   []uint32
//	PtrGemm     []any with an int or a slice for each field
type Args map[string]any

// Eval runs the program in Go, on any machine, and changes the slices as the
// assembly would. It returns an error that names the instruction if one reads or
// writes outside of the slices, uses a register that holds no value, or is one
// that the targets do differently: a tail that is empty or longer than a vector,
// a mask that is not all ones or zeros. A program that runs on for too long is
// an error too. Each Prefetch calls the functions with the parameter's name, or its
// name and the field's number, and the offset from there in bytes.
func (p *Program) Eval(args Args, prefetched ...func(name string, off int)) (err error) {
	m := &machine{p: p, prefetched: prefetched, values: map[string]int{}, vecs: make([][]uint64, len(p.vecs)),
		regs: map[int]int{}, labels: map[int]int{}, counts: map[*Tail]int{}}
	if len(args) != len(p.Params) {
		return fmt.Errorf("%s: %d arguments, want %d", p.FuncName(), len(args), len(p.Params))
	}
	for _, q := range p.Params {
		if m.values[q.Name], err = m.value(q.Name, q.Type, args[q.Name]); err != nil {
			return err
		}
	}
	for _, c := range p.consts {
		lanes := m.set(c.v.id)
		for k := range lanes {
			lanes[k] = c.bits
		}
	}
	for at, i := range p.code {
		if i.op == opLabel {
			m.labels[i.label] = at
		}
	}
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(fault)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%s: instruction %d (%s): %s", p.FuncName(), m.pc, p.code[m.pc].op, string(f))
		}
	}()
	m.run()
	for _, a := range m.arrays {
		if a.slice != nil {
			if _, err := binary.Decode(a.bytes, binary.LittleEndian, a.slice); err != nil {
				return err
			}
		}
	}
	return nil
}

// budget is how many instructions a program may run.
const budget = 1 << 22

// machine is the state of an evaluation. Vectors hold a lane's bits in each
// word. An address has its array's number in the upper half.
type machine struct {
	p      *Program
	values map[string]int // of the parameters; a float32 as its bits
	vecs   [][]uint64     // nil before the first write
	regs   map[int]int
	arrays []*array
	labels map[int]int
	counts map[*Tail]int // of elements, since NewTail
	pc     int

	prefetched []func(name string, off int)
}

// array is a piece of memory: a slice among the arguments, or the frame, which
// has no slice.
type array struct {
	name  string
	first unsafe.Pointer
	slice any
	bytes []byte
}

// fault is what a program did wrong.
type fault string

func (m *machine) fail(format string, args ...any) { panic(fault(fmt.Sprintf(format, args...))) }

// base is the address of array number i: far from others' in both directions.
func base(i int) int { return (i+1)<<32 | 1<<31 }

// value is what the parameter or field of the given name holds.
func (m *machine) value(name string, want Type, x any) (int, error) {
	var v int
	var got Type
	switch x := x.(type) {
	case int:
		got, v = Int, x
	case float32:
		got, v = Float32, int(math.Float32bits(x))
	case []float32:
		got, v = PtrFloat32, m.array(name, unsafe.Pointer(unsafe.SliceData(x)), x)
	case []float64:
		got, v = PtrFloat64, m.array(name, unsafe.Pointer(unsafe.SliceData(x)), x)
	case []int32:
		got, v = PtrInt32, m.array(name, unsafe.Pointer(unsafe.SliceData(x)), x)
	case []uint32:
		got, v = PtrUint32, m.array(name, unsafe.Pointer(unsafe.SliceData(x)), x)
	case []any:
		fields := make([]uint64, len(x))
		for i, f := range x {
			w, err := m.value(fmt.Sprintf("%s[%d]", name, i), "", f)
			if err != nil {
				return 0, err
			}
			fields[i] = uint64(w)
		}
		got, v = PtrGemm, m.array(name, unsafe.Pointer(unsafe.SliceData(fields)), fields)
	}
	if got == "" || want != "" && got != want {
		return 0, fmt.Errorf("%s: argument %s is a %T, want a %s", m.p.FuncName(), name, x, want)
	}
	return v, nil
}

// array adds a slice to the memory, if it is not there, and returns its address.
func (m *machine) array(name string, first unsafe.Pointer, slice any) int {
	if first == nil {
		return 0
	}
	bytes, err := binary.Append(nil, binary.LittleEndian, slice)
	if err != nil {
		panic(err) // value knows the types
	}
	for i, a := range m.arrays {
		if a.first == first && len(a.bytes) == len(bytes) {
			return base(i)
		}
	}
	m.arrays = append(m.arrays, &array{name, first, slice, bytes})
	return base(len(m.arrays) - 1)
}

// memory is the size bytes at an address.
func (m *machine) memory(at Mem, size int) []byte {
	a, off := m.place(at, size)
	return a.bytes[off : off+size]
}

// place is where the size bytes at an address are.
func (m *machine) place(at Mem, size int) (a *array, off int) {
	var address int
	if at.frame != 0 {
		address = m.frame(at.frame) + at.Off
	} else {
		address = m.reg(at.Base.id) + at.Off
	}
	if at.Scale != 0 {
		address += m.reg(at.Index.id) * at.Scale
	}
	i := address>>32 - 1
	if i < 0 || i >= len(m.arrays) {
		m.fail("%d bytes at the address %#x, where nothing is", size, address)
	}
	a, off = m.arrays[i], address-base(i)
	if off < 0 || off+size > len(a.bytes) {
		m.fail("%d bytes at %s%+d, which has %d", size, a.name, off, len(a.bytes))
	}
	return a, off
}

// reg is the general register that an instruction reads.
func (m *machine) reg(id int) int {
	x, ok := m.regs[id]
	if !ok {
		m.fail("register %d holds no value", id)
	}
	return x
}

// vec is the vector that an instruction reads.
func (m *machine) vec(id int) []uint64 {
	if m.vecs[id] == nil {
		m.fail("vector %d holds no value", id)
	}
	return m.vecs[id]
}

// set is the vector that an instruction writes, lane by lane.
func (m *machine) set(id int) []uint64 {
	if m.vecs[id] == nil {
		m.vecs[id] = make([]uint64, m.p.Lanes)
	}
	return m.vecs[id]
}

// count is the number of lanes that a load or store reaches.
func (m *machine) count(t *Tail) int {
	if t == nil {
		return m.p.Lanes
	}
	n, ok := m.counts[t]
	if now := m.reg(t.n.id); !ok || n != now {
		m.fail("the tail's count is %d, but was %d at NewTail", now, n)
	}
	return n
}

// jump goes on behind a label.
func (m *machine) jump(label int) {
	at, ok := m.labels[label]
	if !ok {
		m.fail("label %d is nowhere", label)
	}
	m.pc = at
}

func (m *machine) run() {
	for steps := 0; ; steps++ {
		if steps == budget {
			m.fail("still running after %d instructions", budget)
		}
		if m.pc == len(m.p.code) {
			m.pc--
			m.fail("the program ends here, without Return")
		}
		i := m.p.code[m.pc]
		if i.op == opReturn {
			return
		}
		if i.op < opLoad {
			m.lanewise(i)
		} else if i.op < opParam {
			m.move(i)
		} else {
			m.general(i)
		}
		m.pc++
	}
}

// lanewise runs an instruction on vector registers.
func (m *machine) lanewise(i inst) {
	var a, b, c []uint64
	for k, from := range []*[]uint64{&a, &b, &c} {
		if k < len(i.args) {
			*from = m.vec(i.args[k])
		}
	}
	switch d := m.set(i.dst); i.op {
	case opZero:
		clear(d)
	case opCopy:
		copy(d, a)
	case opFoldAdd, opFoldMax:
		with := opAdd
		if i.op == opFoldMax {
			with = opMax
		}
		x := slices.Clone(a)
		for n := len(x) / 2; n > 0; n /= 2 {
			for k := range n {
				x[k] = lane(with, i.bits, x[k], x[k+n])
			}
		}
		for k := range d {
			d[k] = x[0]
		}
	case opFMALane:
		for k := range d {
			d[k] = uint64(math.Float32bits(f32.FMA(f32of(b[k]), f32of(c[i.imm]), f32of(a[k]))))
		}
	case opFMA:
		for k := range d {
			if i.bits == 32 {
				d[k] = uint64(math.Float32bits(f32.FMA(f32of(b[k]), f32of(c[k]), f32of(a[k]))))
			} else {
				d[k] = math.Float64bits(math.FMA(f64of(b[k]), f64of(c[k]), f64of(a[k])))
			}
		}
	case opBlend:
		for k := range d {
			if d[k] = a[k]; i.imm>>k&1 == 1 {
				d[k] = b[k]
			}
		}
	case opSelect:
		for k := range d {
			switch a[k] {
			case 1<<i.bits - 1:
				d[k] = b[k]
			case 0:
				d[k] = c[k]
			default:
				m.fail("lane %d of the mask is %#x", k, a[k])
			}
		}
	case opWiden:
		for k := range d {
			d[k] = math.Float64bits(float64(f32of(a[k])))
		}
	case opNarrow:
		for k := range d {
			d[k] = uint64(math.Float32bits(float32(f64of(a[k]))))
		}
	case opShl:
		for k := range d {
			d[k] = a[k] << i.imm & (1<<i.bits - 1)
		}
	case opShr:
		for k := range d {
			d[k] = a[k] >> i.imm
		}
	default:
		if b == nil {
			b = a // the square root has one operand
		}
		for k := range d {
			d[k] = lane(i.op, i.bits, a[k], b[k])
		}
	}
}

func f32of(lane uint64) float32 { return math.Float32frombits(uint32(lane)) }
func f64of(lane uint64) float64 { return math.Float64frombits(lane) }

// lane is the result of a lane's operation.
func lane(o op, bits int, x, y uint64) uint64 {
	switch o {
	case opAnd:
		return x & y
	case opOr:
		return x | y
	case opXor:
		return x ^ y
	case opIAdd:
		return (x + y) & (1<<bits - 1)
	case opISub:
		return (x - y) & (1<<bits - 1)
	case opIMul:
		return x & (1<<32 - 1) * (y & (1<<32 - 1))
	case opGt:
		if bits == 32 && f32of(x) > f32of(y) || bits == 64 && f64of(x) > f64of(y) {
			return 1<<bits - 1
		}
		return 0
	}
	if bits == 32 {
		return uint64(math.Float32bits(arithmetic(o, f32of(x), f32of(y))))
	}
	return math.Float64bits(arithmetic(o, f64of(x), f64of(y)))
}

func arithmetic[T float32 | float64](o op, a, b T) T {
	switch o {
	case opAdd:
		return a + b
	case opSub:
		return a - b
	case opMul:
		return T(a * b)
	case opDiv:
		return a / b
	case opSqrt:
		return T(math.Sqrt(float64(a))) // right for float32 as well: twice the bits and more
	case opMin:
		if a < b {
			return a
		}
		return b
	case opMax:
		if a > b {
			return a
		}
		return b
	}
	panic(fault("Eval does not know it"))
}

// get and put move an element between memory and a lane.
func get(b []byte, k, bits int) uint64 {
	if bits == 32 {
		return uint64(binary.LittleEndian.Uint32(b[4*k:]))
	}
	return binary.LittleEndian.Uint64(b[8*k:])
}

func put(b []byte, k, bits int, x uint64) {
	if bits == 32 {
		binary.LittleEndian.PutUint32(b[4*k:], uint32(x))
	} else {
		binary.LittleEndian.PutUint64(b[8*k:], x)
	}
}

// move runs an instruction between memory and vector registers.
func (m *machine) move(i inst) {
	switch i.op {
	case opLoad, opLoadElse, opLoadSome:
		n := m.count(i.tail)
		if i.op == opLoadSome {
			n = i.imm
		}
		b := m.memory(i.mem, n*i.bits/8)
		d := m.set(i.dst)
		clear(d)
		if i.op == opLoadElse {
			copy(d, m.vec(i.args[0]))
		}
		for k := range n {
			d[k] = get(b, k, i.bits)
		}
	case opLoadColumns:
		n := min(m.count(i.tail), len(i.outs))
		for _, id := range i.outs {
			clear(m.set(id))
		}
		for row, at := range i.mems {
			b := m.memory(at, n*i.bits/8)
			for column, out := range i.outs[:n] {
				m.set(out)[row] = get(b, column, i.bits)
			}
		}
	case opStore:
		n := m.count(i.tail)
		b, a := m.memory(i.mem, n*i.bits/8), m.vec(i.args[0])
		for k := range n {
			put(b, k, i.bits, a[k])
		}
	case opStoreLane:
		put(m.memory(i.mem, i.bits/8), 0, i.bits, m.vec(i.args[0])[0])
	case opLoadSplat, opParamSplat, opIntSplat:
		var x uint64
		if i.op == opLoadSplat {
			x = get(m.memory(i.mem, i.bits/8), 0, i.bits)
		} else {
			x = uint64(m.values[i.text]) & (1<<i.bits - 1)
		}
		d := m.set(i.dst)
		for k := range d {
			d[k] = x
		}
	case opLoadRepeat:
		b := m.memory(i.mem, i.imm*i.bits/8)
		d := m.set(i.dst)
		for k := range d {
			d[k] = get(b, k%i.imm, i.bits)
		}
	case opPrefetch:
		a, off := m.place(i.mem, 1) // elsewhere it would do no harm, but no good either
		for _, f := range m.prefetched {
			f(a.name, off)
		}
	default:
		m.fail("Eval does not know it")
	}
}

// general runs an instruction on general registers.
func (m *machine) general(i inst) {
	var s int
	if len(i.args) > 0 {
		s = m.reg(i.args[len(i.args)-1])
	}
	switch i.op {
	case opParam:
		m.regs[i.dst] = m.values[i.text]
	case opMov:
		m.regs[i.dst] = s
	case opMovI:
		m.regs[i.dst] = i.imm
	case opAddR:
		m.regs[i.dst] = m.reg(i.dst) + s<<i.imm
	case opSubR:
		m.regs[i.dst] = m.reg(i.dst) - s
	case opAddI:
		m.regs[i.dst] = s + i.imm
	case opAndI:
		m.regs[i.dst] = s & i.imm
	case opShlI:
		m.regs[i.dst] = s << i.imm
	case opShrI:
		m.regs[i.dst] = int(uint(s) >> i.imm)
	case opLoadR:
		m.regs[i.dst] = int(get(m.memory(i.mem, 8), 0, 64))
	case opLoadR32:
		m.regs[i.dst] = int(int32(get(m.memory(i.mem, 4), 0, 32)))
	case opStoreR:
		put(m.memory(i.mem, 8), 0, 64, uint64(s))
	case opLocal:
		m.regs[i.dst] = m.frame(i.imm)
	case opTail:
		n := m.reg(i.tail.n.id)
		most := m.p.Lanes
		if i.tail.short {
			most--
		}
		if n < 1 || n > most {
			m.fail("a tail of %d elements, want 1 to %d", n, most)
		}
		m.counts[i.tail] = n
	case opLabel, opComment:
	case opJump:
		m.jump(i.label)
	case opJZ:
		if s == 0 {
			m.jump(i.label)
		}
	case opJNone:
		if s&i.imm == 0 {
			m.jump(i.label)
		}
	case opJEq:
		if s == i.imm {
			m.jump(i.label)
		}
	case opJLt:
		if s < i.imm {
			m.jump(i.label)
		}
	case opLoop:
		if s < 1 {
			m.fail("the loop's count is %d at the end of a round", s)
		}
		m.regs[i.dst] = s - 1
		if s > 1 {
			m.jump(i.label)
		}
	default:
		m.fail("Eval does not know it")
	}
}

// frame is the address of the frame, which begins as NaNs.
func (m *machine) frame(size int) int {
	for i, a := range m.arrays {
		if a.slice == nil {
			if size != len(a.bytes) {
				m.fail("a frame of %d bytes, but it has %d", size, len(a.bytes))
			}
			return base(i)
		}
	}
	bytes := make([]byte, size)
	for i := range bytes {
		bytes[i] = 0xff
	}
	m.arrays = append(m.arrays, &array{name: "the frame", bytes: bytes})
	return base(len(m.arrays) - 1)
}
