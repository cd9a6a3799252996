package systrap

import (
	"fmt"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

// siginfo codes that tell signals apart.
const (
	siKernel   = 0x80
	segvMapErr = 1
	segvAccErr = 2
	busAdrErr  = 2
	sysSeccomp = 1
	trapBrkpt  = 1
)

// sysUretprobe is the number of uretprobe(2).
const sysUretprobe = 335

// trapGeneral is the number of the processor's general protection exception.
const trapGeneral = 13

// Bits of a page fault's error code.
const (
	faultWrite = 1 << 1
	faultExec  = 1 << 4
)

// event says what the stub has told, and stores the guest's registers in regs.
// happened is false for what is none of the guest's business.
func (c *Context) event(regs *arch.Regs) (ev platform.Event, happened bool, err error) {
	t := c.thread
	if t.region.page.gate != 0 {
		c.counts.came(countGateSpin, c.watched)
		return c.gateEvent(regs), true, nil
	}
	f, err := t.look()
	if err != nil {
		return ev, false, err
	}
	c.counts.came(countTrapSpin, c.watched)
	if f.rip-stubSolo < arch.PageSize {
		return ev, false, fmt.Errorf("systrap: signal at %#x, which nobody was sent to", f.rip)
	}
	if c.p.gate.contains(f.rip) {
		return platform.Event{Kind: platform.Interrupted}, c.inGate(&f, regs), nil
	}
	f.store(regs, c.step)
	regs.FSBase, regs.GSBase = t.fs, t.guestGS()
	regs.OrigRAX = ^uint64(0)
	sig := unix.Signal(f.signo)
	switch {
	case sig == unix.SIGSYS && f.code == sysSeccomp:
		ev = syscallEvent(&f, regs)
		c.site, c.siteNr = regs.RIP, regs.OrigRAX
		ev.Hot = c.hot.note(c.site)
		return ev, true, nil
	case sig == interruptSignal:
		// Without the flag it is late, or a Barrier's.
		return platform.Event{Kind: platform.Interrupted}, c.interrupted.Swap(false), nil
	case f.code <= 0:
		return ev, false, nil // sent by a process, so from outside
	}
	ev, happened = c.signalEvent(&f, regs)
	return ev, happened, nil
}

// signalEvent is the event of a signal that the guest's own instruction raised.
func (c *Context) signalEvent(f *sigframe, regs *arch.Regs) (ev platform.Event, happened bool) {
	ev = platform.Event{
		Kind: platform.Signal, Addr: arch.Addr(f.addr), Signal: f.signo, Code: f.code, Trap: f.trap, Error: f.err,
	}
	switch unix.Signal(f.signo) {
	case unix.SIGSEGV:
		if f.code == segvMapErr || f.code == segvAccErr {
			ev.Kind, ev.Access = platform.Fault, faultAccess(f.err)
			c.counts.add(countFault)
		}
	case unix.SIGBUS:
		if f.code == busAdrErr {
			ev.Kind, ev.Access = platform.Fault, faultAccess(f.err)
			c.counts.add(countFault)
		}
	case unix.SIGTRAP:
		if c.step && f.code != siKernel && f.code != trapBrkpt {
			return platform.Event{Kind: platform.Stepped}, true
		}
	case unix.SIGILL:
		if f.code == siKernel {
			// uretprobe(2) and uprobe(2), which no filter sees, away from where
			// the host itself calls them. The number is lost.
			f.rax, f.arch = sysUretprobe, unix.AUDIT_ARCH_X86_64
			return syscallEvent(f, regs), true
		}
	case unix.SIGFPE, unix.SIGSYS:
	default: // no signal that the stub's handler is for: the guest made it up
		return ev, false
	}
	return ev, true
}

// faultAccess is what a page fault's error code says was attempted.
func faultAccess(code uint64) arch.Access {
	switch {
	case code&faultWrite != 0:
		return arch.Write
	case code&faultExec != 0:
		return arch.Exec
	}
	return arch.Read
}

// vsyscallPage holds three entries, 1 KiB apart, whose only act is a system
// call.
const vsyscallPage = 0xffffffffff600000

// syscallEvent is the event of a system call. One by way of int 0x80 or from
// 32-bit code is refused as on a Linux without 32-bit emulation. A call to the
// vsyscall page comes from where it returns to: the host has done the return.
func syscallEvent(f *sigframe, regs *arch.Regs) platform.Event {
	if f.arch != unix.AUDIT_ARCH_X86_64 {
		regs.RIP -= 2
		return platform.Event{Kind: platform.Signal, Signal: int32(unix.SIGSEGV), Code: siKernel, Trap: trapGeneral}
	}
	enosys := int64(unix.ENOSYS)
	regs.OrigRAX, regs.RAX = f.rax, uint64(-enosys)
	ev := platform.Event{Kind: platform.Syscall}
	if f.addr&^0xc00 == vsyscallPage {
		ev.Addr = arch.Addr(f.addr)
	}
	return ev
}
