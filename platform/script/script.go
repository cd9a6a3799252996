package script

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// DefaultBase is where a script's program is loaded unless Script.Base says
// otherwise.
const DefaultBase = 0x400000

// FailureStatus is the exit status of a program one of whose steps failed.
const FailureStatus = 127

// ReportSize is the length of a failure report, see Script.Error.
const ReportSize = 8

// A Script is a list of steps, run in order. The zero value is an empty script
// that reports to nobody; a script that runs off its end exits with status 0.
// A Script must not be used by several goroutines at once.
type Script struct {
	// Base is the page-aligned address the program is loaded at; 0 means
	// DefaultBase.
	Base uint64

	steps  []step
	labels []int // index of the step each label stands before, -1 when not placed
	blobs  []blob
	size   uint64 // bytes used by blobs
	report int    // descriptor + 1; 0 is none
}

// A step is one instruction of the interpreter, before addresses are known.
type step struct {
	what   string
	op     opcode
	nr     uintptr
	args   [6]Arg
	keep   bool
	ignore []syscall.Errno
	retry  []syscall.Errno
	target int // label + 1; 0 is none
}

// A blob is a piece of the data segment.
type blob struct {
	off, n uint64
	data   []byte // nil: zeroes
	vector []int  // or: pointers to these blobs, then NULL
}

// An opcode says what the interpreter does with a step's arguments.
type opcode uint8

// The operations, as interpret_amd64.s knows them.
const (
	opCall opcode = iota
	opIfEqual
	opIfNotEqual
	opAdd
	opAnd
	opOr
	opXor
	opShiftLeft
	opStore32
	opStore64
)

// ReportTo makes a failing step write its report to descriptor fd before the
// program exits.
func (s *Script) ReportTo(fd int) { s.report = fd + 1 }

// Call appends the system call nr with up to six arguments. what names it in
// errors ("mount /proc"). Unless the Step says otherwise, a call that fails
// writes a report, and ends the program with FailureStatus.
func (s *Script) Call(what string, nr uintptr, args ...Arg) Step {
	return s.add(step{what: what, op: opCall, nr: nr}, args...)
}

// Exit appends exit_group(status).
func (s *Script) Exit(status Arg) {
	s.Call("exit", syscall.SYS_EXIT_GROUP, status)
}

func (s *Script) add(st step, args ...Arg) Step {
	copy(st.args[:], args)
	s.steps = append(s.steps, st)
	return Step{s, len(s.steps) - 1}
}

// A Step is a handle on a step of a script, to refine it or to use its result.
type Step struct {
	s *Script
	i int
}

// Ignore makes the script go on when the call fails with one of errnos (at
// most 4); its result is then the negated errno.
func (p Step) Ignore(errnos ...syscall.Errno) Step {
	st := &p.s.steps[p.i]
	st.ignore = append(st.ignore, errnos...)
	return p
}

// Retry makes the script do the call again while it fails with one of errnos
// (at most 4).
func (p Step) Retry(errnos ...syscall.Errno) Step {
	st := &p.s.steps[p.i]
	st.retry = append(st.retry, errnos...)
	return p
}

// Keep makes the script go on whatever the call returns; a failure's result is
// the negated errno.
func (p Step) Keep() Step {
	p.s.steps[p.i].keep = true
	return p
}

// OnError makes the script go on at l when the call fails.
func (p Step) OnError(l Label) Step {
	p.s.steps[p.i].target = int(l)
	return p
}

// A Label is a place in a script that If, Jump and OnError go to.
type Label int

// NewLabel returns a label that Place has yet to put somewhere.
func (s *Script) NewLabel() Label {
	s.labels = append(s.labels, -1)
	return Label(len(s.labels))
}

// Place makes l stand before the step that is appended next.
func (s *Script) Place(l Label) { s.labels[l-1] = len(s.steps) }

// IfEqual goes to l when a and b are equal as 64-bit values.
func (s *Script) IfEqual(a, b Arg, l Label) {
	s.add(step{what: "if equal", op: opIfEqual, target: int(l)}, a, b)
}

// IfNotEqual goes to l when a and b differ.
func (s *Script) IfNotEqual(a, b Arg, l Label) {
	s.add(step{what: "if not equal", op: opIfNotEqual, target: int(l)}, a, b)
}

// Jump goes to l.
func (s *Script) Jump(l Label) { s.IfEqual(Int(0), Int(0), l) }

// Add's result is a + b.
func (s *Script) Add(a, b Arg) Step { return s.add(step{what: "add", op: opAdd}, a, b) }

// And's result is a & b.
func (s *Script) And(a, b Arg) Step { return s.add(step{what: "and", op: opAnd}, a, b) }

// Or's result is a | b.
func (s *Script) Or(a, b Arg) Step { return s.add(step{what: "or", op: opOr}, a, b) }

// Xor's result is a ^ b.
func (s *Script) Xor(a, b Arg) Step { return s.add(step{what: "xor", op: opXor}, a, b) }

// ShiftLeft's result is a << (b mod 64).
func (s *Script) ShiftLeft(a, b Arg) Step {
	return s.add(step{what: "shift left", op: opShiftLeft}, a, b)
}

// Store32 writes the low half of v at address to.
func (s *Script) Store32(to, v Arg) { s.add(step{what: "store", op: opStore32}, to, v) }

// Store64 writes v at address to.
func (s *Script) Store64(to, v Arg) { s.add(step{what: "store", op: opStore64}, to, v) }

// Error is the error that a report written by a failing step stands for: the
// step's name and errno, which errors.Is finds. An empty report, from a script
// that did not fail, is nil.
func (s *Script) Error(report []byte) error {
	if len(report) == 0 {
		return nil
	}
	if len(report) < ReportSize {
		return errors.New("script: truncated failure report")
	}
	i := binary.LittleEndian.Uint32(report)
	errno := syscall.Errno(binary.LittleEndian.Uint32(report[4:]))
	if int(i) >= len(s.steps) {
		return fmt.Errorf("script: failure report for step %d of %d: %w", i, len(s.steps), errno)
	}
	return fmt.Errorf("%s: %w", s.steps[i].what, errno)
}
