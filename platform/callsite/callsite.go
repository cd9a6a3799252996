// Package callsite finds system calls in machine code that can be made by a
// jump instead of the SYSCALL instruction, and writes that jump. A site is
// patched so that the instruction itself stays where it is: who jumps to it, or
// restarts the call, still makes a system call; what goes is the instruction
// before it, which is done by the trampoline that the site jumps to.
package callsite

import (
	"bytes"
	"encoding/binary"

	"garrison/platform/arch"
)

// A Site is a system call in a page of code that can be patched.
type Site struct {
	before int // where the instruction before it is, which makes room
	n      int // its length
	hop    int // where a jump of five bytes fits, if not there; else -1
	call   int // where the SYSCALL instruction is
}

const syscallLen, jumpLen, shortJumpLen = 2, 5, 2

// A form is an instruction that stands before SYSCALL in what compilers and
// C libraries make: its first bytes, its length, and whether its last four are
// the call's number. None depends on where it is.
type form struct {
	code   []byte
	n      int
	number bool
}

var forms = []form{
	{[]byte{0xb8}, 5, true},                    // mov $nr, %eax
	{[]byte{0x31, 0xc0}, 2, false},             // xor %eax, %eax: read(2)
	{[]byte{0x4c, 0x8b, 0x4c, 0x24}, 5, false}, // mov d(%rsp), %r9: syscall(3)
	{[]byte{0x48, 0x8b, 0x44, 0x24}, 5, false}, // mov d(%rsp), %rax
	{[]byte{0x44, 0x89, 0xc0}, 3, false},       // mov %r8d, %eax
	{[]byte{0x44, 0x89, 0xc8}, 3, false},       // mov %r9d, %eax
	{[]byte{0x48, 0x89, 0xdf}, 3, false},       // mov %rbx, %rdi: all of Go's
}

// Find returns the site of the SYSCALL instruction that ends at off in page. nr
// is the number that it was executed with.
//
// If the instruction before it is as long as a jump, that goes in its place; if
// it is shorter, a short one, to a gap between functions near by.
func Find(page []byte, off int, nr uint64) (Site, bool) {
	at := off - syscallLen
	if at < 0 || off > len(page) || page[at] != 0x0f || page[at+1] != 0x05 {
		return Site{}, false
	}
	for _, f := range forms {
		from := at - f.n
		// With a prefix it would be another instruction.
		if from < 1 || prefix(page[from-1]) || !bytes.HasPrefix(page[from:], f.code) {
			continue
		}
		if f.number && uint64(binary.LittleEndian.Uint32(page[at-4:])) != nr {
			continue
		}
		s := Site{before: from, n: f.n, hop: -1, call: at}
		if f.n >= jumpLen {
			return s, true
		}
		s.hop = gap(page, from+shortJumpLen)
		return s, s.hop >= 0
	}
	return Site{}, false
}

// prefix reports whether b changes what the instruction behind it is.
func prefix(b byte) bool { return b&0xf0 == 0x40 || b == 0x66 || b == 0xf2 || b == 0xf3 }

// nops are what assemblers fill gaps between functions with, the longest first;
// Go's fills them with int3.
var nops = [][]byte{
	{0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
	{0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
	{0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
	{0x0f, 0x1f, 0x80, 0, 0, 0, 0},
	{0x66, 0x0f, 0x1f, 0x44, 0, 0},
	{0x0f, 0x1f, 0x44, 0, 0},
	{0xcc, 0xcc, 0xcc, 0xcc, 0xcc},
}

// gap is where a jump fits that a short jump which ends at from reaches: behind
// a return, where nothing is executed. It is -1 if there is none.
func gap(page []byte, from int) int {
	const ret = 0xc3
	for i := max(from-128, 1); i <= min(from+127, len(page)-jumpLen); i++ {
		if page[i-1] != ret {
			continue
		}
		for _, nop := range nops {
			if bytes.HasPrefix(page[i:], nop) {
				return i
			}
		}
	}
	return -1
}

// A Trampoline page is code that sites within reach jump to: first the address
// of the gate, then a slot for each site.
const (
	slotSize = 32
	Slots    = arch.PageSize/slotSize - 1
)

// Begin is what a trampoline page starts with.
func Begin(gate arch.Addr) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(gate)) }

// SlotAt is the offset in a trampoline page of slot i.
func SlotAt(i int) int { return (i + 1) * slotSize }

// Reaches reports whether any site in the page of code at code can jump to the
// trampoline page at trampoline, and back.
func Reaches(code, trampoline arch.Addr) bool {
	const reach = 1<<31 - 2*arch.PageSize
	d := int64(trampoline) - int64(code)
	return -reach < d && d < reach
}

// An Edit replaces bytes of a page.
type Edit struct {
	at       int
	old, new []byte
}

// Do makes the edit in page.
func (e *Edit) Do(page []byte) { copy(page[e.at:], e.new) }

// Undo takes it back, if it is still there.
func (e *Edit) Undo(page []byte) {
	if bytes.HasPrefix(page[e.at:], e.new) {
		copy(page[e.at:], e.old)
	}
}

// Patch is what makes the site in page, which is mapped at code, jump to the
// slot at offset slot of the trampoline page at trampoline, and what is to be
// in that slot.
func (s Site) Patch(page []byte, code, trampoline arch.Addr, slot int) (edits []Edit, into []byte) {
	at := trampoline + arch.Addr(slot)
	b := bytes.Clone(page[s.before : s.before+s.n])
	b = append(b, 0x48, 0x8d, 0x0d) // lea d(%rip), %rcx
	b = relative(b, at, code+arch.Addr(s.call+syscallLen))
	b = append(b, 0xff, 0x25) // jmp *d(%rip)
	b = relative(b, at, trampoline)

	edit := func(off int, to []byte) {
		edits = append(edits, Edit{off, bytes.Clone(page[off : off+len(to)]), to})
	}
	from := s.before
	if s.hop >= 0 {
		from = s.hop
		edit(s.before, []byte{0xeb, byte(s.hop - s.before - shortJumpLen)}) // jmp d8
	}
	edit(from, relative([]byte{0xe9}, code+arch.Addr(from), at)) // jmp d
	return edits, b
}

// relative appends the distance to to from the end of the four bytes that are
// appended, for code that begins at start.
func relative(code []byte, start, to arch.Addr) []byte {
	end := start + arch.Addr(len(code)) + 4
	return binary.LittleEndian.AppendUint32(code, uint32(to-end))
}
