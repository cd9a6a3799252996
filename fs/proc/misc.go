package proc

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// text makes the Show of a file that always says the same.
func text(s string) func(*process, vfs.Ctx, *bytes.Buffer) error {
	return func(_ *process, _ vfs.Ctx, w *bytes.Buffer) error {
		w.WriteString(s)
		return nil
	}
}

// ignoreWrite takes a setting that changes nothing here.
func ignoreWrite(*process, vfs.Ctx, []byte) error { return nil }

// noAttr is a security attribute without a security module.
func noAttr(*process, vfs.Ctx, *bytes.Buffer) error { return linux.EINVAL }

func noAttrStore(*process, vfs.Ctx, []byte) error { return linux.EINVAL }

// storedInt is the number that a write contains: EINVAL.
func storedInt(data []byte, base int) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimRight(strings.TrimSpace(string(data)), "\x00"), base, 64)
	if err != nil {
		return 0, linux.EINVAL
	}
	return n, nil
}

func showCgroup(_ *process, _ vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString("0::/\n")
	return nil
}

func showAutogroup(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "/autogroup-%d nice 0\n", p.ids().session)
	return nil
}

// showIO is /proc/pid/io, proc_pid_io(5). What reaches the disk is not counted.
func showIO(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	var c kernel.IOCounters
	count := p.g.AddIO
	if p.t != nil {
		count = p.t.AddIO
	}
	count(&c)
	fmt.Fprintf(w, "rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
		c.ReadBytes.Load(), c.WrittenBytes.Load(), c.Reads.Load(), c.Writes.Load())
	return nil
}

// Out-of-memory priorities, proc_pid_oom_score_adj(5).
const (
	oomScoreMin = -1000
	oomScoreMax = 1000
	oomAdjMax   = 15
	oomNever    = -17
)

func showOOMScore(p *process, c vfs.Ctx, w *bytes.Buffer) error {
	score := int64(0)
	if n, ok := p.g.Badness(); ok {
		total, _ := p.fs.memoryUse(c)
		// Linux: thousandths of all memory, and two thirds more of what is adjusted.
		score = max(0, (oomScoreMax+n*oomScoreMax/max(int64(total/page), 1))*2/3)
	}
	fmt.Fprintf(w, "%d\n", score)
	return nil
}

func showOOMScoreAdj(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "%d\n", p.g.OOMAdjust())
	return nil
}

func storeOOMScoreAdj(p *process, c vfs.Ctx, data []byte) error {
	n, err := storedInt(data, 0)
	if err != nil || n < oomScoreMin || n > oomScoreMax {
		return linux.EINVAL
	}
	return p.adjust(c, int32(n))
}

// adjust changes the priority: to make a process safer than it is takes
// CAP_SYS_RESOURCE.
func (p *process) adjust(c vfs.Ctx, n int32) error {
	if n < p.g.OOMAdjust() && !c.Creds().Capable(auth.CapSysResource) {
		return linux.EACCES
	}
	p.g.SetOOMAdjust(n)
	return nil
}

// showOOMAdj and storeOOMAdj are the older scale, -17 to 15.
func showOOMAdj(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	n := p.g.OOMAdjust()
	old := n * -oomNever / oomScoreMax
	if n == oomScoreMax {
		old = oomAdjMax
	}
	fmt.Fprintf(w, "%d\n", min(old, oomAdjMax))
	return nil
}

func storeOOMAdj(p *process, c vfs.Ctx, data []byte) error {
	n, err := storedInt(data, 0)
	if err != nil || n < oomNever || n > oomAdjMax {
		return linux.EINVAL
	}
	if n == oomAdjMax {
		return p.adjust(c, oomScoreMax)
	}
	return p.adjust(c, int32(n*oomScoreMax/-oomNever))
}

func showPersonality(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "%08x\n", p.task().Personality())
	return nil
}

// mayTimerslack is who may see and set a thread's timer slack: itself, and those
// with CAP_SYS_NICE: EPERM.
func (p *process) mayTimerslack(c vfs.Ctx) error {
	if t := caller(c); t != nil && t != p.task() && !c.Creds().HasCapIn(p.task().Creds().UserNS, auth.CapSysNice) {
		return linux.EPERM
	}
	return nil
}

// showTimerslack is a thread's own timer slack; others' is as it is at first.
func showTimerslack(p *process, c vfs.Ctx, w *bytes.Buffer) error {
	if err := p.mayTimerslack(c); err != nil {
		return err
	}
	if t := caller(c); t != nil && t == p.task() {
		fmt.Fprintln(w, t.TimerSlack())
		return nil
	}
	w.WriteString("50000\n")
	return nil
}

func storeTimerslack(p *process, c vfs.Ctx, data []byte) error {
	if err := p.mayTimerslack(c); err != nil {
		return err
	}
	n, err := storedInt(data, 10)
	if err != nil || n < 0 {
		return linux.EINVAL
	}
	if t := caller(c); t != nil && t == p.task() {
		t.SetTimerSlack(uint64(n))
	}
	return nil
}

// showTimers lists no POSIX timers: the file is for checkpointing tools.
func showTimers(*process, vfs.Ctx, *bytes.Buffer) error { return nil }

// showSyscall is /proc/pid/syscall of a task whose registers are not at hand.
func showSyscall(_ *process, _ vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString("running\n")
	return nil
}

// showSchedstat is run time, waiting time (not known) and turns.
func showSchedstat(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	user, system, _, _ := p.times()
	fmt.Fprintf(w, "%d 0 %d\n", user+system, p.task().Rusage().Nvcsw)
	return nil
}

// showSched is /proc/pid/sched.
func showSched(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	t := p.task()
	s, r := t.Sched(), t.Rusage()
	user, system, _, _ := p.times()
	fmt.Fprintf(w, "%s (%d, #threads: %d)\n%s\n", t.Name(), t.PID().In(p.fs.ns), p.g.Threads(), strings.Repeat("-", 67))
	line := func(name string, v any) { fmt.Fprintf(w, "%-45s:%21v\n", name, v) }
	ms := func(ns int64) string { return fmt.Sprintf("%d.%06d", ns/1e6, ns%1e6) }
	line("se.exec_start", ms(t.StartTime()-p.fs.boot))
	line("se.vruntime", ms(user+system))
	line("se.sum_exec_runtime", ms(user+system))
	line("se.nr_migrations", 0)
	line("nr_switches", r.Nvcsw+r.Nivcsw)
	line("nr_voluntary_switches", r.Nvcsw)
	line("nr_involuntary_switches", r.Nivcsw)
	line("policy", s.Policy)
	line("prio", priority(s)+100)
	return nil
}

// clearRefs takes what may be written to clear_refs; nothing here keeps count of
// references.
func clearRefs(_ *process, _ vfs.Ctx, data []byte) error {
	if n, err := storedInt(data, 10); err != nil || n < 1 || n > 5 {
		return linux.EINVAL
	}
	return nil
}

// showChildren is /proc/pid/task/tid/children: here all children of the process
// belong to its leader.
func showChildren(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	if p.t != p.g.Leader() {
		return nil
	}
	for _, g := range p.g.ChildGroups() {
		if n := g.PID().In(p.fs.ns); n != 0 {
			fmt.Fprintf(w, "%d ", n)
		}
	}
	return nil
}

// showCoreFilter and storeCoreFilter are what goes into a core file, core(5).
func showCoreFilter(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "%08x\n", uint32(p.g.CoreFilter()))
	return nil
}

func storeCoreFilter(p *process, _ vfs.Ctx, data []byte) error {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(data)), 0, 32)
	if err != nil {
		return linux.EINVAL
	}
	p.g.SetCoreFilter(linux.CoreFilter(n) & linux.CoreAll)
	return nil
}
