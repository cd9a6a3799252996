package kernel

import (
	"encoding/binary"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// debugRegs are a tracee's debug registers, which no platform can load: while one
// is enabled the task runs step by step, and looks after each. Breakpoints and
// watches for writes work so, slowly; a write of what is there already is not seen.
// It is the tracer's while the task is frozen, else the task's own.
type debugRegs struct {
	addr    [4]uint64
	status  uint64
	control uint64
	seen    [4]uint64 // what was last at addr, of what is watched for writes
}

// Debug registers that are not addresses.
const (
	debugStatus  = 6
	debugControl = 7
	debugStepped = 1 << 14 // in the status: after a single step
)

// Kinds of a debug register's condition.
const (
	debugExec = iota
	debugWrite
	debugIO
	debugAccess
)

// enabled reports whether address i is looked out for, with its kind and its
// length in bytes.
func (d *debugRegs) enabled(i int) (kind, length int, on bool) {
	bits := d.control >> (16 + 4*i) & 0xf
	return int(bits & 3), [...]int{1, 2, 8, 4}[bits>>2], d.control>>(2*i)&3 != 0
}

// check is what Linux says of the registers: EINVAL; ENOSPC for a condition that
// stepping does not find.
func (d *debugRegs) check() error {
	for i, a := range d.addr {
		kind, length, on := d.enabled(i)
		switch {
		case !on:
		case kind == debugIO, kind == debugExec && length != 1, a&uint64(length-1) != 0, a >= userEnd:
			return linux.EINVAL
		case kind == debugAccess:
			return linux.ENOSPC
		}
	}
	return nil
}

// DebugReg is the debug register i as PTRACE_PEEKUSR shows it.
func (x Tracee) DebugReg(i int) uint64 {
	d := &x.trace.debug
	switch {
	case i < len(d.addr):
		return d.addr[i]
	case i == debugStatus:
		return d.status
	case i == debugControl:
		return d.control
	}
	return 0
}

// SetDebugReg is PTRACE_POKEUSR of a debug register. EINVAL, ENOSPC, EIO.
func (x Tracee) SetDebugReg(i int, v uint64) error {
	d := x.trace.debug
	switch {
	case i < len(d.addr):
		if v >= userEnd {
			return linux.EINVAL
		}
		d.addr[i] = v
	case i == debugStatus:
		d.status = v
	case i == debugControl:
		d.control = v
	default:
		return linux.EIO
	}
	if err := d.check(); err != nil {
		return err
	}
	x.trace.debug = d
	x.lookAtWatched()
	g := &x.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	on := x.trace.on.Load() &^ traceDebug
	if d.control&0xff != 0 {
		on |= traceDebug
	}
	x.trace.on.Store(on)
	return nil
}

// lookAtWatched notes what is where t's debug registers watch for writes, and
// returns those that were written since, as the status has them.
func (t *Task) lookAtWatched() (hit uint64) {
	d := &t.trace.debug
	for i, a := range d.addr {
		kind, length, on := d.enabled(i)
		if !on || kind != debugWrite {
			continue
		}
		var b [8]byte
		t.CopyIn(b[:length], arch.Addr(a)) //nolint:errcheck // what is not there is nothing
		v := binary.LittleEndian.Uint64(b[:])
		if v != d.seen[i] {
			hit |= 1 << i
		}
		d.seen[i] = v
	}
	return hit
}

// stepped is what t, a tracee, does after an instruction: the SIGTRAP of its step or
// of its debug registers, if there is to be one.
func (t *Task) stepped() {
	on, d := t.trace.on.Load(), &t.trace.debug
	if on&(traceStep|traceDebug) == 0 { // its tracer has gone meanwhile
		t.ctx.Step(false)
		return
	}
	info := &linux.SigInfo{Signo: int32(linux.SIGTRAP), Code: linux.TRAP_HWBKPT}
	hit := uint64(0)
	if on&traceDebug != 0 {
		hit = t.lookAtWatched()
		for i, a := range d.addr {
			if kind, _, on := d.enabled(i); on && kind == debugExec && a == t.regs.RIP {
				hit |= 1 << i
			}
		}
		d.status |= hit
	}
	if on&traceStep != 0 {
		d.status |= debugStepped
		info.Code = linux.TRAP_TRACE
	} else if hit == 0 {
		return
	}
	info.SetAddr(t.regs.RIP)
	t.ForceSignal(info)
}

// dropDebug forgets t's debug registers: execve(2).
func (t *Task) dropDebug() {
	if t.trace.on.Load()&traceDebug == 0 {
		return
	}
	g := &t.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	t.trace.debug = debugRegs{}
	t.trace.on.And(^traceDebug)
}
