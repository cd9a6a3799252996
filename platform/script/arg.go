package script

// An Arg is an argument of a step: a constant, the address of something in the
// program's data, or a value found out when the step runs.
type Arg struct {
	kind  argKind
	value uint64 // constant, or offset into blob
	blob  int    // index of a blob, for argBlob and the loads
	step  int    // index of a step, for argResult and argResultAddress
}

type argKind uint8

const (
	argInt argKind = iota
	argBlob
	argResult
	argResultAddress
	argLoad32
	argLoad64
)

// Int is a constant.
func Int(v uintptr) Arg { return Arg{value: uint64(v)} }

// Signed is a constant that may be negative, such as AT_FDCWD.
func Signed(v int) Arg { return Arg{value: uint64(int64(v))} }

// Result is what step p returned, when it last ran.
func (p Step) Result() Arg { return Arg{kind: argResult, step: p.i} }

// Address is the address of p's 64-bit result.
func (p Step) Address() Arg { return Arg{kind: argResultAddress, step: p.i} }

// String is the address of v with a NUL behind it.
func (s *Script) String(v string) Arg { return s.Bytes(append([]byte(v), 0)) }

// Bytes is the address of a writable copy of b, aligned to 16 bytes.
func (s *Script) Bytes(b []byte) Arg {
	return Arg{kind: argBlob, blob: s.place(blob{data: b, n: uint64(len(b))})}
}

// Strings is the address of a NULL-terminated vector of pointers to the given
// strings, as execve takes it.
func (s *Script) Strings(v []string) Arg {
	vector := make([]int, len(v))
	for i, e := range v {
		vector[i] = s.String(e).blob
	}
	return Arg{kind: argBlob, blob: s.place(blob{vector: vector, n: 8 * uint64(len(v)+1)})}
}

// A Buffer is zeroed space in the program's data that steps share.
type Buffer struct{ blob int }

// Buffer returns n bytes of zeroes, aligned to 16 bytes.
func (s *Script) Buffer(n uint64) Buffer { return Buffer{s.place(blob{n: n})} }

// At is the address of the buffer's byte off.
func (b Buffer) At(off uint64) Arg { return Arg{kind: argBlob, blob: b.blob, value: off} }

// Load32 is the 32-bit value at byte off when the step runs, zero extended.
func (b Buffer) Load32(off uint64) Arg { return Arg{kind: argLoad32, blob: b.blob, value: off} }

// Load64 is the 64-bit value at byte off when the step runs.
func (b Buffer) Load64(off uint64) Arg { return Arg{kind: argLoad64, blob: b.blob, value: off} }

func (s *Script) place(b blob) int {
	b.off = s.size
	s.size += (max(b.n, 1) + 15) &^ 15
	s.blobs = append(s.blobs, b)
	return len(s.blobs) - 1
}
