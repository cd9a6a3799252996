package proc

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

// showUptime is seconds since the kernel began, and those that processors idled,
// to the hundredth.
func showUptime(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	up := fs.k.Uptime()
	if t := caller(c); t != nil {
		up += t.TimeOffset(linux.CLOCK_BOOTTIME)
	}
	user, system := fs.busy()
	idle := max(0, up*int64(fs.k.CPUs())-user-system)
	fmt.Fprintf(w, "%d.%02d %d.%02d\n", up/1e9, up/tick%100, idle/1e9, idle/tick%100)
	return nil
}

// busy is the processor time of all processes that are there, in nanoseconds.
func (fs *FS) busy() (user, system int64) {
	for _, g := range fs.k.Groups(fs.k.RootPIDNS()) {
		u, s := g.CPUTime()
		cu, cs := g.ChildrenTime()
		user, system = user+u+cu, system+s+cs
	}
	return user, system
}

// showLoadavg is /proc/loadavg, proc_loadavg(5).
func showLoadavg(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	s := fs.k.Stats()
	l := fs.conf.Params.load.update(fs.k.Uptime(), max(0, s.Running))
	fmt.Fprintf(w, "%.2f %.2f %.2f %d/%d %d\n", l[0], l[1], l[2], max(1, s.Running), max(1, s.Tasks), s.LastPID)
	return nil
}

// A loadAverage is the three averages. Nobody counts every 5 s: each reading
// takes what runs then to have run since the last one.
type loadAverage struct {
	mu   lock.Mutex[lock.Leaf]
	last int64      // protected by mu: nanoseconds
	avg  [3]float64 // protected by mu
}

// loadPeriods is what the averages are over, in nanoseconds.
var loadPeriods = [3]float64{60e9, 300e9, 900e9}

func (l *loadAverage) update(now int64, running int) [3]float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	dt := float64(now - l.last)
	l.last = now
	for i, period := range loadPeriods {
		decay := math.Exp(-dt / period)
		l.avg[i] = l.avg[i]*decay + float64(running)*(1-decay)
	}
	return l.avg
}

// showKernelStat is /proc/stat, proc_stat(5). Time is shared out evenly among the
// processors: the host's scheduler is not asked.
func showKernelStat(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	n := int64(fs.k.CPUs())
	user, system := fs.busy()
	idle := max(0, fs.k.Uptime()*n-user-system)
	line := func(name string, share int64) {
		fmt.Fprintf(w, "%s %d 0 %d %d 0 0 0 0 0 0\n", name, user/tick/share, system/tick/share, idle/tick/share)
	}
	line("cpu ", 1)
	for i := range n {
		line(fmt.Sprintf("cpu%d", i), n)
	}
	s := fs.k.Stats()
	fmt.Fprintf(w, "intr 0\nctxt %d\nbtime %d\nprocesses %d\nprocs_running %d\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		fs.switches(), fs.k.BootTime()/1e9, s.Forks, max(1, s.Running))
	return nil
}

// switches is the sleeps of all processes.
func (fs *FS) switches() (n int64) {
	for _, g := range fs.k.Groups(fs.k.RootPIDNS()) {
		n += g.Rusage().Nvcsw
	}
	return n
}

func showKernelSchedstat(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "version 17\ntimestamp %d\n", fs.k.Uptime()/tick)
	for i := range fs.k.CPUs() {
		fmt.Fprintf(w, "cpu%d 0 0 0 0 0 0 0 0 0\n", i)
	}
	return nil
}

// cpuColumns is the head of a table with a column for each processor.
func (fs *FS) cpuColumns(w *bytes.Buffer, margin, width int) {
	w.WriteString(strings.Repeat(" ", margin))
	for i := range fs.k.CPUs() {
		fmt.Fprintf(w, "%-*s", width, fmt.Sprintf("CPU%d", i))
	}
	w.WriteByte('\n')
}

func showInterrupts(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	fs.cpuColumns(w, 11, 11)
	return nil
}

func showSoftirqs(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	fs.cpuColumns(w, 20, 11)
	for _, name := range [...]string{"HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"} {
		fmt.Fprintf(w, "%12s:", name)
		for range fs.k.CPUs() {
			fmt.Fprintf(w, " %10d", 0)
		}
		w.WriteByte('\n')
	}
	return nil
}

// memoryUse is how much memory there is and is used, in bytes.
func (fs *FS) memoryUse(c vfs.Ctx) (total, used uint64) {
	if fs.conf.Memory != nil {
		return fs.conf.Memory(c)
	}
	total = fs.k.Memory()
	for _, x := range fs.k.Containers() {
		if n, err := x.Memory.Usage(); err == nil {
			used += n
		}
	}
	return total, min(used, total)
}

// showMeminfo is /proc/meminfo, proc_meminfo(5).
func showMeminfo(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	total, used := fs.memoryUse(c)
	free := total - used
	line := func(name string, n uint64) { fmt.Fprintf(w, "%-16s%8d kB\n", name+":", n>>10) }
	zero := func(names ...string) {
		for _, n := range names {
			line(n, 0)
		}
	}
	line("MemTotal", total)
	line("MemFree", free)
	line("MemAvailable", free)
	zero("Buffers", "Cached", "SwapCached")
	line("Active", used)
	zero("Inactive")
	line("Active(anon)", used)
	zero("Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable", "Mlocked", "SwapTotal", "SwapFree",
		"Zswap", "Zswapped", "Dirty", "Writeback")
	line("AnonPages", used)
	zero("Mapped", "Shmem", "KReclaimable", "Slab", "SReclaimable", "SUnreclaim", "KernelStack", "PageTables",
		"SecPageTables", "NFS_Unstable", "Bounce", "WritebackTmp")
	line("CommitLimit", total)
	line("Committed_AS", used)
	line("VmallocTotal", 1<<45-1<<10)
	zero("VmallocUsed", "VmallocChunk", "Percpu", "AnonHugePages", "ShmemHugePages", "ShmemPmdMapped",
		"FileHugePages", "FilePmdMapped")
	w.WriteString("HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n" +
		"Hugepagesize:       2048 kB\nHugetlb:               0 kB\n")
	line("DirectMap4k", total)
	zero("DirectMap2M", "DirectMap1G")
	return nil
}

// vmCounters is the lines of /proc/vmstat that vmstat(8) and others look for.
const vmCounters = `nr_zone_inactive_anon nr_zone_active_anon nr_zone_inactive_file nr_zone_active_file nr_zone_unevictable
nr_zone_write_pending nr_mlock nr_zspages nr_free_cma nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file
nr_unevictable nr_slab_reclaimable nr_slab_unreclaimable nr_isolated_anon nr_isolated_file nr_anon_pages nr_mapped
nr_file_pages nr_dirty nr_writeback nr_shmem nr_anon_transparent_hugepages nr_vmscan_write nr_dirtied nr_written
nr_kernel_stack nr_page_table_pages pgpgin pgpgout pswpin pswpout pgalloc_dma pgalloc_dma32 pgalloc_normal pgfree
pgactivate pgdeactivate pgfault pgmajfault pgrefill pgsteal_kswapd pgsteal_direct pgscan_kswapd pgscan_direct
pginodesteal slabs_scanned kswapd_inodesteal pageoutrun pgrotated drop_pagecache drop_slab oom_kill thp_fault_alloc`

func showVMStat(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	total, used := fs.memoryUse(c)
	fmt.Fprintf(w, "nr_free_pages %d\n", (total-used)/page)
	for name := range strings.FieldsSeq(vmCounters) {
		n := uint64(0)
		switch name {
		case "nr_anon_pages", "nr_active_anon":
			n = used / page
		case "pgfault":
			for _, g := range fs.k.Groups(fs.k.RootPIDNS()) {
				n += uint64(g.Rusage().Minflt)
			}
		}
		fmt.Fprintf(w, "%s %d\n", name, n)
	}
	return nil
}

func showZoneinfo(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	total, used := fs.memoryUse(c)
	fmt.Fprintf(w, "Node 0, zone   Normal\n  pages free     %d\n        boost    0\n        min      0\n        low      0\n"+
		"        high     0\n        spanned  %d\n        present  %d\n        managed  %d\n",
		(total-used)/page, total/page, total/page, total/page)
	return nil
}
