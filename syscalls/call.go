// Package syscalls is the system calls: one file per manual page, one line per
// call in the table. A call is a typed Go function; its table line derives the
// decoding of arguments, the text of a trace and the support table from the
// function's signature.
package syscalls

import (
	"fmt"
	"reflect"
	"strings"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// arg is what a register can carry. The conversion from the 64-bit register
// sign- or zero-extends as the C type of the parameter does.
type arg interface {
	~int32 | ~uint32 | ~int64 | ~uint64 | ~int16 | ~uint16
}

// res is what a call returns in RAX.
type res interface {
	~int | ~int32 | ~uint32 | ~int64 | ~uint64
}

func result[R res](r R, err error) (uint64, error) { return uint64(r), err }

func call0[R res](name string, fn func(*kernel.Task) (R, error)) kernel.Syscall {
	return entry(name, func(t *kernel.Task, _ *[6]uint64) (uint64, error) { return result(fn(t)) })
}

// constant makes c one that the platform may answer.
func constant(c kernel.Syscall) kernel.Syscall {
	c.Constant = true
	return c
}

func call1[A arg, R res](name string, fn func(*kernel.Task, A) (R, error)) kernel.Syscall {
	return entry(name, func(t *kernel.Task, a *[6]uint64) (uint64, error) { return result(fn(t, A(a[0]))) }, of[A]())
}

func call2[A, B arg, R res](name string, fn func(*kernel.Task, A, B) (R, error)) kernel.Syscall {
	return entry(name, func(t *kernel.Task, a *[6]uint64) (uint64, error) {
		return result(fn(t, A(a[0]), B(a[1])))
	}, of[A](), of[B]())
}

func call3[A, B, C arg, R res](name string, fn func(*kernel.Task, A, B, C) (R, error)) kernel.Syscall {
	return entry(name, func(t *kernel.Task, a *[6]uint64) (uint64, error) {
		return result(fn(t, A(a[0]), B(a[1]), C(a[2])))
	}, of[A](), of[B](), of[C]())
}

func call4[A, B, C, D arg, R res](name string, fn func(*kernel.Task, A, B, C, D) (R, error)) kernel.Syscall {
	return entry(name, func(t *kernel.Task, a *[6]uint64) (uint64, error) {
		return result(fn(t, A(a[0]), B(a[1]), C(a[2]), D(a[3])))
	}, of[A](), of[B](), of[C](), of[D]())
}

func call5[A, B, C, D, E arg, R res](name string, fn func(*kernel.Task, A, B, C, D, E) (R, error)) kernel.Syscall {
	return entry(name, func(t *kernel.Task, a *[6]uint64) (uint64, error) {
		return result(fn(t, A(a[0]), B(a[1]), C(a[2]), D(a[3]), E(a[4])))
	}, of[A](), of[B](), of[C](), of[D](), of[E]())
}

func call6[A, B, C, D, E, F arg, R res](name string, fn func(*kernel.Task, A, B, C, D, E, F) (R, error)) kernel.Syscall {
	return entry(name, func(t *kernel.Task, a *[6]uint64) (uint64, error) {
		return result(fn(t, A(a[0]), B(a[1]), C(a[2]), D(a[3]), E(a[4]), F(a[5])))
	}, of[A](), of[B](), of[C](), of[D](), of[E](), of[F]())
}

// raw is for the few calls that replace the task's registers: fn sees the
// registers' values as they are.
func raw(name string, fn kernel.SyscallFn, args ...parameter) kernel.Syscall {
	return entry(name, fn, args...)
}

// refuse is a call that answers as a Linux without the feature does: built
// without its option, or for a machine that lacks what it is for.
func refuse(name string, errno linux.Errno, why string) kernel.Syscall {
	e := entry(name, func(*kernel.Task, *[6]uint64) (uint64, error) { return 0, errno })
	e.Refused, e.Why = errno, why
	return e
}

// A parameter is what is known of one argument.
type parameter struct {
	of   reflect.Type
	show func(*kernel.Task, uint64) string // for a trace
}

func of[A arg]() parameter { return parameter{reflect.TypeFor[A](), show[A]} }

func entry(name string, fn kernel.SyscallFn, args ...parameter) kernel.Syscall {
	c := kernel.Syscall{Name: name, Fn: fn, Trace: trace(name, args)}
	for i, a := range args {
		c.Args[i] = a.of
	}
	return c
}

// show formats one argument; a type with a Trace method formats itself.
func show[A arg](t *kernel.Task, v uint64) string {
	x := A(v)
	if s, ok := any(x).(interface{ Trace(*kernel.Task) string }); ok {
		return s.Trace(t)
	}
	if s, ok := any(x).(fmt.Stringer); ok {
		return s.String()
	}
	if v > 1<<20 && v < 1<<63 {
		return fmt.Sprintf("%#x", v)
	}
	return fmt.Sprint(x)
}

func trace(name string, args []parameter) func(*kernel.Task, *[6]uint64) string {
	return func(t *kernel.Task, a *[6]uint64) string {
		s := make([]string, len(args))
		for i := range args {
			s[i] = args[i].show(t, a[i])
		}
		return name + "(" + strings.Join(s, ", ") + ")"
	}
}
