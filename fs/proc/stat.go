package proc

import (
	"bytes"
	"fmt"

	"garrison/fs/tty"
	"garrison/sentry/kernel"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// tick is a clock tick of 1/100 s in nanoseconds, as sysconf(_SC_CLK_TCK) says.
const tick = 1e7

// page is the page size.
const page = 4096

// ids is p's place among processes, as the mount's namespace numbers them.
type ids struct{ pid, tgid, ppid, pgrp, session int32 }

func (p *process) ids() ids {
	ns := p.fs.ns
	i := ids{pid: p.task().PID().In(ns), tgid: p.g.PID().In(ns)}
	if up := p.g.Parent(); up != nil {
		i.ppid = up.PID().In(ns)
	}
	if g := p.g.ProcessGroup(); g != nil {
		i.pgrp, i.session = g.PID().In(ns), g.Session().PID().In(ns)
	} else {
		i.pgrp, i.session = -1, -1
	}
	return i
}

// memory is p's address space, held, nil in a zombie.
func (p *process) memory() *mm.Space { return p.task().SpaceOf() }

// terminal is the number of p's controlling terminal and the foreground process
// group there, 0 and -1 without one.
func (p *process) terminal() (nr uint64, foreground int32) {
	t, ok := p.g.Terminal().(*tty.Terminal)
	if !ok {
		return 0, -1
	}
	foreground = -1
	if g := p.fs.k.Foreground(t); g != nil {
		foreground = g.In(p.fs.ns)
	}
	return t.Device, foreground
}

// times is processor times in nanoseconds: p's own and its dead children's.
func (p *process) times() (user, system, childUser, childSystem int64) {
	if p.t != nil {
		user, system = p.t.CPUTime()
	} else {
		user, system = p.g.CPUTime()
	}
	childUser, childSystem = p.g.ChildrenTime()
	return
}

// faults is page faults: p's own and its dead children's.
func (p *process) faults() (own, children int64) {
	if p.t != nil {
		own = p.t.Rusage().Minflt
	} else {
		own = p.g.Rusage().Minflt
	}
	return own, p.g.ChildrenRusage().Minflt
}

// state is the letter of ps(1) and the word after it in status.
func (p *process) state() (letter byte, word string) {
	switch s := p.task().RunState(); s {
	case kernel.Running:
		return 'R', "running"
	case kernel.DiskWait:
		return 'D', "disk sleep"
	case kernel.Stopped:
		return 'T', "stopped"
	case kernel.TracingStop:
		return 't', "tracing stop"
	case kernel.Zombie:
		return 'Z', "zombie"
	case kernel.Dead:
		return 'X', "dead"
	}
	return 'S', "sleeping"
}

// priority is a task's priority as stat has it: 20 and nice, or below 0 for
// realtime.
func priority(s kernel.Sched) int32 {
	if s.Policy == linux.SCHED_FIFO || s.Policy == linux.SCHED_RR {
		return -1 - s.Priority
	}
	return 20 + s.Nice
}

// Bits of the flags field of stat (PF_*), <linux/sched.h>.
const (
	pfForkNoExec = 0x40
	pfRandomize  = 0x400000
)

// showStat is /proc/pid/stat, in proc_pid_stat(5)'s numbering.
func showStat(p *process, c vfs.Ctx, w *bytes.Buffer) error {
	t := p.task()
	i, sched := p.ids(), t.Sched()
	nr, foreground := p.terminal()
	letter, _ := p.state()
	user, system, childUser, childSystem := p.times()
	mayLook := p.guard(c, linux.EPERM) == nil

	var stats mm.Stats
	var layout mm.Layout
	if s := p.memory(); s != nil {
		stats = s.Stats(true)
		p.g.Measured(s, stats.PeakRSS, stats.Filled)
		if mayLook {
			layout = s.Layout()
		} else {
			layout.CodeStart, layout.CodeEnd = 1, 1
		}
		s.DecUsers()
	}
	faults, childFaults := p.faults()
	// 1-20
	fmt.Fprintf(w, "%d (%s) %c %d %d %d %d %d %d %d %d 0 0 %d %d %d %d %d %d %d 0 ",
		i.pid, t.Name(), letter, i.ppid, i.pgrp, i.session, nr, foreground, uint32(pfRandomize), faults, childFaults,
		user/tick, system/tick, childUser/tick, childSystem/tick, priority(sched), sched.Nice, p.g.Threads())
	// 22-30: the stack and instruction pointers are not told of a live process
	fmt.Fprintf(w, "%d %d %d %d %d %d %d 0 0 ",
		(t.StartTime()-p.fs.boot)/tick, stats.VM, stats.RSS/page, p.g.Limits().Cur(limits.RSS),
		layout.CodeStart, layout.CodeEnd, layout.StackStart)
	sig := t.SignalState()
	const low = 1<<31 - 1 // these fields are from before there were 64 signals
	// 31-44
	fmt.Fprintf(w, "%d %d %d %d 0 0 0 %d %d %d %d 0 0 0 ",
		uint64(sig.Pending|sig.Shared)&low, uint64(sig.Blocked)&low, uint64(sig.Ignored)&low, uint64(sig.Caught)&low,
		int32(linux.SIGCHLD), 0, sched.Priority, sched.Policy)
	exit := p.exitCode(mayLook)
	// 45-52
	fmt.Fprintf(w, "%d %d %d %d %d %d %d %d\n", layout.DataStart, layout.DataEnd, layout.Brk.Start,
		layout.Args.Start, layout.Args.End, layout.Env.Start, layout.Env.End, exit)
	return nil
}

// exitCode is how p ended, as wait4(2) has it, if it has.
func (p *process) exitCode(mayLook bool) uint32 {
	if !mayLook || !p.g.Exited() {
		return 0
	}
	return uint32(p.g.Status())
}

// showStatm is /proc/pid/statm: pages.
func showStatm(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	var s mm.Stats
	if m := p.memory(); m != nil {
		s = m.Stats(true)
		m.DecUsers()
	}
	fmt.Fprintf(w, "%d %d %d %d 0 %d 0\n", s.VM/page, s.RSS/page, (s.RSSFile+s.RSSShmem)/page, s.Exec/page,
		(s.Data+s.Stack)/page)
	return nil
}
