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
	raw      unix.PtraceRegs // registers at the last stop, with what load changed
	dirty    bool            // raw differs from what the host has
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
	if err := getRegs(t.tid, &t.raw); err != nil {
		return fmt.Errorf("ptrace: read stub's registers: %w", err)
	}
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
// until it stops, and leaves the registers it stopped with in regs. The
// guest's are in t.raw, for the next resume to put back.
func (t *thread) inject(regs *unix.PtraceRegs) error {
	regs.Rip = stubText
	regs.Eflags = 0x202
	regs.Orig_rax = ^uint64(0)
	regs.Cs, regs.Ss, regs.Ds, regs.Es, regs.Fs, regs.Gs = t.raw.Cs, t.raw.Ss, t.raw.Ds, t.raw.Es, t.raw.Fs, t.raw.Gs
	if regs.Cs != userCS {
		regs.Cs = userCS // a guest that has switched to 32-bit code
	}
	t.dirty = true
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
	if err := getRegs(t.tid, regs); err != nil {
		return fmt.Errorf("ptrace: read stub's registers: %w", err)
	}
	return nil
}

// call makes the tracee do one host system call.
func (t *thread) call(nr uint64, args ...uint64) (uint64, error) {
	var a [6]uint64
	copy(a[:], args)
	regs := unix.PtraceRegs{
		Rax: nr, Rdi: a[0], Rsi: a[1], Rdx: a[2], R10: a[3], R8: a[4], R9: a[5], R15: stubOne,
	}
	if err := t.inject(&regs); err != nil {
		return 0, err
	}
	return result(regs.Rax)
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
	if err := t.inject(&regs); err != nil {
		return 0, err
	}
	v, err := result(regs.Rax)
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

// put writes raw to the tracee if it changed.
func (t *thread) put() error {
	if !t.dirty {
		return nil
	}
	err := setRegs(t.tid, &t.raw)
	if err == unix.EIO {
		err = t.putEach()
	}
	if err != nil {
		return fmt.Errorf("ptrace: set registers: %w", err)
	}
	t.dirty = false
	return nil
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
