package ptrace

import (
	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

// vsyscallPage holds three entries, 1 KiB apart, whose only act is a system
// call (or its emulation by the host) and a return.
const vsyscallPage = 0xffffffffff600000

// siginfo codes that tell signals apart.
const (
	siKernel   = 0x80
	segvMapErr = 1
	segvAccErr = 2
	busAdrAln  = 1
	busAdrErr  = 2
	sysSeccomp = 1
	trapBrkpt  = 1
	fpeIntDiv  = 1
)

// Numbers of the processor's exceptions.
const (
	trapDivide     = 0
	trapDebug      = 1
	trapBreakpoint = 3
	trapOpcode     = 6
	trapGeneral    = 13
	trapPage       = 14
	trapX87        = 16
	trapAlignment  = 17
	trapSIMD       = 19
)

// event says what the stop ws means for the guest, whose registers it stores
// in regs. happened is false for stops that are none of its business.
func (c *Context) event(ws unix.WaitStatus, regs *arch.Regs) (ev platform.Event, happened bool, err error) {
	t := &c.thread
	store(regs, &t.raw)
	sig := ws.StopSignal()
	switch {
	case sig == syscallStop:
		return c.syscall(regs), true, nil
	}
	// What is left there of an earlier call is not the guest's.
	regs.OrigRAX = ^uint64(0)
	switch {
	case ws>>16 != 0: // a stop from outside, which a resume ends
		return ev, false, nil
	case sig == interruptSignal:
		// Without the flag it is late, or a Barrier's.
		return platform.Event{Kind: platform.Interrupted}, c.interrupted.Swap(false), nil
	case sig == unix.SIGSEGV, sig == unix.SIGBUS, sig == unix.SIGFPE, sig == unix.SIGILL, sig == unix.SIGTRAP, sig == unix.SIGSYS:
	default: // a signal from outside: not for the guest
		return ev, false, nil
	}
	var info siginfo
	if err := getSiginfo(t.tid, &info); err != nil {
		return ev, false, err
	}
	if info.code <= 0 {
		return ev, false, nil // sent by a process, so from outside
	}
	ev = platform.Event{Kind: platform.Signal, Addr: arch.Addr(info.addr), Signal: info.signo, Code: info.code}
	switch sig {
	case unix.SIGSYS:
		if info.code == sysSeccomp {
			// The host has done the return already, and nothing else.
			return vsyscall(regs, uint64(info.nr), info.addr), true, nil
		}
	case unix.SIGSEGV:
		if ev, ok, err := c.vsyscallFault(regs, info.addr); ok || err != nil {
			return ev, ok, err
		}
		if info.code == segvMapErr || info.code == segvAccErr {
			ev.Kind = platform.Fault
		}
	case unix.SIGBUS:
		if info.code == busAdrErr {
			ev.Kind = platform.Fault
		}
	case unix.SIGTRAP:
		if c.step && info.code != siKernel && info.code != trapBrkpt {
			return platform.Event{Kind: platform.Stepped}, true, nil
		}
	}
	ev.Trap, ev.Error = trap(info.signo, info.code)
	return ev, true, nil
}

// syscall is the event of a stop at a system call. A call by way of int 0x80
// or from 32-bit code is refused as on a Linux without 32-bit emulation.
func (c *Context) syscall(regs *arch.Regs) platform.Event {
	// The syscall instruction leaves the address behind it in RCX.
	if regs.RCX == regs.RIP && c.thread.raw.Cs == userCS {
		return platform.Event{Kind: platform.Syscall}
	}
	if a, err := syscallArch(c.thread.tid); err == nil && a == unix.AUDIT_ARCH_X86_64 {
		return platform.Event{Kind: platform.Syscall}
	}
	regs.RIP -= 2
	regs.RAX, regs.OrigRAX = regs.OrigRAX, ^uint64(0)
	return platform.Event{Kind: platform.Signal, Signal: int32(unix.SIGSEGV), Code: siKernel, Trap: trapGeneral}
}

// vsyscall makes regs those of the system call nr, as made by the instruction
// that called the vsyscall page at at.
func vsyscall(regs *arch.Regs, nr, at uint64) platform.Event {
	enosys := int64(unix.ENOSYS)
	regs.OrigRAX, regs.RAX = nr, uint64(-enosys)
	return platform.Event{Kind: platform.Syscall, Addr: arch.Addr(at)}
}

// vsyscallFault does for a host without a vsyscall page what others do: a jump
// to one of the entries is the system call and a return.
func (c *Context) vsyscallFault(regs *arch.Regs, addr uint64) (ev platform.Event, ok bool, err error) {
	if addr != regs.RIP || addr&^0xc00 != vsyscallPage {
		return ev, false, nil
	}
	entries := [4]uint64{unix.SYS_GETTIMEOFDAY, unix.SYS_TIME, unix.SYS_GETCPU, ^uint64(0)}
	nr := entries[addr>>10&3]
	back, err := peek(c.thread.tid, regs.RSP)
	if nr == ^uint64(0) || err != nil {
		return ev, false, nil // the fault is the guest's own
	}
	regs.RIP = back
	regs.RSP += 8
	return vsyscall(regs, nr, addr), true, nil
}

// trap returns the exception that raises a signal, and its error code as far
// as it is known: that a page fault came from user code.
func trap(signo, code int32) (number, errorCode uint64) {
	switch unix.Signal(signo) {
	case unix.SIGSEGV:
		if code == siKernel {
			return trapGeneral, 0
		}
		return trapPage, 4
	case unix.SIGBUS:
		if code == busAdrAln {
			return trapAlignment, 0
		}
		return trapPage, 4
	case unix.SIGFPE:
		if code == fpeIntDiv {
			return trapDivide, 0
		}
		return trapSIMD, 0
	case unix.SIGILL:
		return trapOpcode, 0
	case unix.SIGTRAP:
		if code == siKernel || code == trapBrkpt {
			return trapBreakpoint, 0
		}
		return trapDebug, 0
	}
	return 0, 0
}
