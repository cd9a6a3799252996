package ptrace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A thread is one host thread of a stub. Its methods but kill may be used only
// on the OS thread that seized it, and while it is stopped.
type thread struct {
	pid, tid int
	raw      unix.PtraceRegs // the guest's registers at the last stop
	known    bool            // raw is what the host has, so that put can compare
	unnamed  bool            // its space's slot has names that it is still to show
}

// errKilled says that something outside the platform ended a stub.
var errKilled = errors.New("ptrace: stub process was killed")

// seize attaches the calling OS thread as the tracer, and waits until the
// tracee, which sleeps in the stub's text or is on its way there, has stopped.
func (t *thread) seize() error {
	const options = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD
	if err := ptrace(unix.PTRACE_SEIZE, t.tid, 0, options); err != nil {
		return fmt.Errorf("ptrace: seize stub: %w", err)
	}
	if err := ptrace(unix.PTRACE_INTERRUPT, t.tid, 0, 0); err != nil {
		return fmt.Errorf("ptrace: interrupt stub: %w", err)
	}
	for {
		ws, err := t.wait()
		if err != nil {
			return err
		}
		if int(ws>>16) == ptraceEventStop {
			break
		}
		if err := ptrace(unix.PTRACE_CONT, t.tid, 0, 0); err != nil {
			return fmt.Errorf("ptrace: continue stub: %w", err)
		}
	}
	return t.get()
}

// get reads the registers the tracee stopped with.
func (t *thread) get() error {
	if err := getRegs(t.tid, &t.raw); err != nil {
		return fmt.Errorf("ptrace: read registers: %w", err)
	}
	t.known = true
	return nil
}

// wait sleeps until the tracee stops; errKilled, wrapped, says that it ended.
func (t *thread) wait() (unix.WaitStatus, error) {
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(t.tid, &ws, unix.WALL, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECHILD:
			return 0, errKilled
		case err != nil:
			return 0, fmt.Errorf("ptrace: wait: %w", err)
		case ws.Signaled():
			return ws, fmt.Errorf("%w by signal %d", errKilled, int(ws.Signal()))
		case ws.Exited():
			return ws, fmt.Errorf("%w: exit status %d", errKilled, ws.ExitStatus())
		}
		return ws, nil
	}
}

// inject runs the stub's text with regs, from which segments are taken over,
// until it stops. The guest's are in t.raw, for the next resume to put back.
func (t *thread) inject(regs *unix.PtraceRegs) error {
	regs.Rip = stubText
	regs.Eflags = 0x202
	regs.Orig_rax = ^uint64(0)
	regs.Cs, regs.Ss, regs.Ds, regs.Es, regs.Fs, regs.Gs = t.raw.Cs, t.raw.Ss, t.raw.Ds, t.raw.Es, t.raw.Fs, t.raw.Gs
	if regs.Cs != userCS {
		regs.Cs = userCS // a guest that has switched to 32-bit code
	}
	t.known = false
	if err := setRegs(t.tid, regs); err != nil {
		return fmt.Errorf("ptrace: set stub's registers: %w", err)
	}
	for {
		if err := ptrace(unix.PTRACE_CONT, t.tid, 0, 0); err != nil {
			return fmt.Errorf("ptrace: continue stub: %w", err)
		}
		ws, err := t.wait()
		if err != nil {
			return err
		}
		// Anything else is a signal from outside, or an interrupt for the
		// guest, which the Context still remembers.
		if ws.StopSignal() == unix.SIGTRAP && ws>>16 == 0 {
			break
		}
		if s := ws.StopSignal(); ws>>16 == 0 && (s == unix.SIGSEGV || s == unix.SIGBUS || s == unix.SIGILL) {
			return fmt.Errorf("ptrace: stub crashed with signal %d", int(s))
		}
	}
	return nil
}

// injected runs the stub's text like inject, and returns its RAX at the stop.
func (t *thread) injected(regs *unix.PtraceRegs) (uint64, error) {
	if err := t.inject(regs); err != nil {
		return 0, err
	}
	rax, err := peekUser(t.tid, userRAX)
	if err != nil {
		return 0, fmt.Errorf("ptrace: read stub's registers: %w", err)
	}
	return result(rax)
}

// call makes the tracee do one host system call.
func (t *thread) call(nr uint64, args ...uint64) (uint64, error) {
	var a [6]uint64
	copy(a[:], args)
	regs := unix.PtraceRegs{
		Rax: nr, Rdi: a[0], Rsi: a[1], Rdx: a[2], R10: a[3], R8: a[4], R9: a[5], R15: stubOne,
	}
	return t.injected(&regs)
}

// clone makes the tracee clone itself. For a new process, slot is the offset of
// its operations page in the control memory; for a thread it is negative.
func (t *thread) clone(flags uint64, slot int64) (tid int, err error) {
	control := uint64(stubControl)
	if slot < 0 {
		control = ^uint64(0)
	}
	regs := unix.PtraceRegs{
		Rax: unix.SYS_CLONE, Rdi: flags, R15: stubClone,
		Rbx: control, Rbp: uint64(slot), R12: stubOps,
	}
	v, err := t.injected(&regs)
	if err != nil {
		return 0, fmt.Errorf("ptrace: clone stub: %w", err)
	}
	return int(v), nil
}

// exit lets the thread go, to end by itself: untraced, it does nothing but the
// exit that its registers ask for.
func (t *thread) exit() error {
	regs := t.raw
	regs.Rax, regs.Rdi, regs.R15 = unix.SYS_EXIT, 0, stubOne
	regs.Rip, regs.Eflags, regs.Orig_rax, regs.Cs = stubText, 0x202, ^uint64(0), userCS
	regs.Fs_base, regs.Gs_base = 0, 0
	if err := setRegs(t.tid, &regs); err != nil {
		return err
	}
	return ptrace(unix.PTRACE_DETACH, t.tid, 0, 0)
}

// result splits what a host system call left in RAX.
func result(rax uint64) (uint64, error) {
	if rax > ^uint64(4095) {
		return 0, unix.Errno(-rax)
	}
	return rax, nil
}

// put makes the host's registers those in next, which differ from raw, what
// the host has, by what the guest was answered. For the usual few that is
// cheaper one by one.
func (t *thread) put(next *unix.PtraceRegs) error {
	if t.known && t.putFew(next) {
		return nil
	}
	t.raw = *next
	// The host must not take RAX for the result of a call it may restart.
	t.raw.Orig_rax = ^uint64(0)
	err := setRegs(t.tid, &t.raw)
	if err == unix.EIO {
		err = t.putEach()
	}
	if err != nil {
		return fmt.Errorf("ptrace: set registers: %w", err)
	}
	t.known = true
	return nil
}

// putFew writes up to two changed registers, and reports whether that was all.
func (t *thread) putFew(next *unix.PtraceRegs) bool {
	const origRAX, limit = 15, 2
	have, want := regWords(&t.raw), regWords(next)
	var changed [limit]int
	n := 0
	for i := range have {
		if have[i] == want[i] || i == origRAX {
			continue
		}
		if n == limit {
			return false
		}
		changed[n] = i
		n++
	}
	// ORIG_RAX may stay as it is, unless RAX looks like -ERESTARTSYS and such.
	const restartFirst, restartLast = 512, 516
	if r := -next.Rax; r >= restartFirst && r <= restartLast && t.raw.Orig_rax != ^uint64(0) {
		return false
	}
	for _, i := range changed[:n] {
		if ptrace(unix.PTRACE_POKEUSR, t.tid, uintptr(8*i), uintptr(want[i])) != nil {
			return false
		}
		have[i] = want[i]
	}
	return true
}

// putEach writes the registers one by one, except segment bases that the host
// refuses: a guest can load its own FS and GS base with kernel addresses
// (WRFSBASE), which then are still in place, but may not be written again.
func (t *thread) putEach() error {
	const fsBase, gsBase = 21, 22 // indices in struct user_regs_struct
	for i, word := range regWords(&t.raw) {
		err := ptrace(unix.PTRACE_POKEUSR, t.tid, uintptr(8*i), uintptr(word))
		if err != nil && i != fsBase && i != gsBase {
			return err
		}
	}
	return nil
}

// reap waits for the end of a host thread or process that has been killed or
// is exiting, and takes it off the host's table.
func reap(tid int) {
	var ws unix.WaitStatus
	for {
		pid, err := unix.Wait4(tid, &ws, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		// A last stop may be reported before the end.
		if err != nil || pid == tid && (ws.Exited() || ws.Signaled()) {
			return
		}
	}
}
