package proc

import (
	"bytes"
	"fmt"
	"math/bits"
	"strings"

	"garrison/sentry/kernel"
	"garrison/sentry/limits"
	"garrison/sentry/vfs"
)

// showStatus is /proc/pid/status, proc_pid_status(5).
func showStatus(p *process, c vfs.Ctx, w *bytes.Buffer) error {
	t := p.task()
	fmt.Fprintf(w, "Name:\t%s\n", escapeName(t.Name()))
	if fs := t.FS(); fs != nil {
		fmt.Fprintf(w, "Umask:\t%04o\n", uint32(fs.Umask()))
	}
	letter, word := p.state()
	i := p.ids()
	fmt.Fprintf(w, "State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n", letter, word, i.tgid, i.pid, i.ppid, p.tracer())
	p.statusIDs(c, w)
	p.statusNumbers(w)
	p.statusMemory(w)
	fmt.Fprintf(w, "CoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff\nThreads:\t%d\n", p.g.Threads())
	p.statusSignals(w)
	p.statusRights(w)
	p.statusPlaces(w)
	r := t.Rusage()
	fmt.Fprintf(w, "voluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t%d\n", r.Nvcsw, r.Nivcsw)
	return nil
}

// tracer is the number of the thread that traces p.
func (p *process) tracer() int32 {
	if t := p.task().Tracer(); t != nil {
		return t.PID().In(p.fs.ns)
	}
	return 0
}

// escapeName makes a name one line.
func escapeName(s string) string {
	return strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(s)
}

func (p *process) statusIDs(c vfs.Ctx, w *bytes.Buffer) {
	t := p.task()
	cr, user := t.Creds(), c.Creds().UserNS
	fmt.Fprintf(w, "Uid:\t%d\t%d\t%d\t%d\nGid:\t%d\t%d\t%d\t%d\n", user.ShowUID(cr.RUID), user.ShowUID(cr.EUID), user.ShowUID(cr.SUID),
		user.ShowUID(cr.FSUID), user.ShowGID(cr.RGID), user.ShowGID(cr.EGID), user.ShowGID(cr.SGID), user.ShowGID(cr.FSGID))
	size := 64
	if fds := t.FDs(); fds != nil {
		if all := fds.FDs(); len(all) > 0 {
			for int(all[len(all)-1]) >= size {
				size *= 2
			}
		}
	} else {
		size = 0
	}
	fmt.Fprintf(w, "FDSize:\t%d\nGroups:\t", size)
	for i, g := range user.ShowGIDs(cr.Groups) {
		if i > 0 {
			w.WriteByte(' ')
		}
		fmt.Fprint(w, g)
	}
	w.WriteString(" \n")
}

// statusNumbers is p's numbers in the mount's namespace and those below it.
func (p *process) statusNumbers(w *bytes.Buffer) {
	line := func(name string, pid *kernel.PID) {
		fmt.Fprintf(w, "%s:", name)
		for _, n := range p.fs.numbers(pid) {
			fmt.Fprintf(w, "\t%d", n)
		}
		w.WriteString("\n")
	}
	line("NStgid", p.g.PID())
	line("NSpid", p.task().PID())
	if g := p.g.ProcessGroup(); g != nil {
		line("NSpgid", g.PID())
		line("NSsid", g.Session().PID())
	}
	w.WriteString("Kthread:\t0\n")
}

// numbers is pid's numbers from the mount's namespace inwards.
func (fs *FS) numbers(pid *kernel.PID) (out []int32) {
	if pid == nil {
		return nil
	}
	for ns := pid.Namespace(); ns != nil; ns = ns.Parent {
		out = append([]int32{pid.In(ns)}, out...)
		if ns == fs.ns {
			return out
		}
	}
	return []int32{0}
}

func (p *process) statusMemory(w *bytes.Buffer) {
	m := p.memory()
	if m == nil {
		return
	}
	s := m.Stats(true)
	m.DecUsers()
	line := func(name string, n uint64) { fmt.Fprintf(w, "%s:\t%8d kB\n", name, n>>10) }
	line("VmPeak", max(s.PeakVM, s.VM))
	line("VmSize", s.VM)
	line("VmLck", s.Locked)
	line("VmPin", s.Pinned)
	line("VmHWM", max(s.PeakRSS, s.RSS))
	line("VmRSS", s.RSS)
	line("RssAnon", s.RSSAnon)
	line("RssFile", s.RSSFile)
	line("RssShmem", s.RSSShmem)
	line("VmData", s.Data)
	line("VmStk", s.Stack)
	line("VmExe", s.Exec)
	line("VmLib", s.Lib)
	line("VmPTE", s.PTE)
	line("VmSwap", 0)
	line("HugetlbPages", 0)
}

func (p *process) statusSignals(w *bytes.Buffer) {
	s := p.task().SignalState()
	fmt.Fprintf(w, "SigQ:\t%d/%d\nSigPnd:\t%016x\nShdPnd:\t%016x\nSigBlk:\t%016x\nSigIgn:\t%016x\nSigCgt:\t%016x\n",
		s.Queued, p.g.Limits().Cur(limits.SigPending), uint64(s.Pending), uint64(s.Shared), uint64(s.Blocked), uint64(s.Ignored), uint64(s.Caught))
}

func (p *process) statusRights(w *bytes.Buffer) {
	cr := p.task().Creds()
	fmt.Fprintf(w, "CapInh:\t%016x\nCapPrm:\t%016x\nCapEff:\t%016x\nCapBnd:\t%016x\nCapAmb:\t%016x\n",
		uint64(cr.Inheritable), uint64(cr.Permitted), uint64(cr.Effective), uint64(cr.Bounding), uint64(cr.Ambient))
	mode, filters := p.task().SeccompMode()
	fmt.Fprintf(w, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%d\n", flag(cr.NoNewPrivs), mode, filters)
	w.WriteString("Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\talways enabled\n")
}

func (p *process) statusPlaces(w *bytes.Buffer) {
	set := p.task().Affinity()
	n := p.fs.k.CPUs()
	fmt.Fprintf(w, "Cpus_allowed:\t%s\nCpus_allowed_list:\t%s\n", cpuMask(&set, n), cpuList(&set, n))
	w.WriteString("Mems_allowed:\t00000000,00000001\nMems_allowed_list:\t0\n")
}

// cpuMask is the processors of set below n, as bitmap_print_to_pagebuf has them:
// groups of 32 bits from the highest.
func cpuMask(set *kernel.CPUSet, n int) string {
	var parts []string
	for i := (n - 1) / 32; i >= 0; i-- {
		word := uint32(set[i/2] >> (32 * (i % 2)))
		if last := n - 32*i; last < 32 {
			word &= 1<<last - 1
		}
		if len(parts) == 0 {
			width := (bits.Len32(uint32(1)<<min(n-32*i-1, 31)) + 3) / 4
			parts = append(parts, fmt.Sprintf("%0*x", width, word))
		} else {
			parts = append(parts, fmt.Sprintf("%08x", word))
		}
	}
	return strings.Join(parts, ",")
}

// cpuList is the same as ranges: "0-3,5".
func cpuList(set *kernel.CPUSet, n int) string {
	var parts []string
	for i := 0; i < n; i++ {
		if set[i/64]>>(i%64)&1 == 0 {
			continue
		}
		first := i
		for i+1 < n && set[(i+1)/64]>>((i+1)%64)&1 != 0 {
			i++
		}
		if first == i {
			parts = append(parts, fmt.Sprint(first))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", first, i))
		}
	}
	return strings.Join(parts, ",")
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}
