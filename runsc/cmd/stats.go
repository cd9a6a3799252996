package cmd

import "github.com/opencontainers/cgroups"

// An event is a line of `events`, in the shapes of runc's.
type event struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

// figures are the data of an event of type "stats".
type figures struct {
	CPU      cpuFigures             `json:"cpu"`
	CPUSet   cpusetFigures          `json:"cpuset"`
	Memory   memoryFigures          `json:"memory"`
	Pids     pidsFigures            `json:"pids"`
	BlockIO  blockFigures           `json:"blkio"`
	Huge     map[string]hugeFigures `json:"hugetlb"`
	IntelRDT struct{}               `json:"intel_rdt"`
	Networks []struct{}             `json:"network_interfaces"` // runc, too, has none: null
}

type cpuFigures struct {
	Usage struct {
		Total        uint64   `json:"total,omitempty"` // nanoseconds, as all
		PerCPU       []uint64 `json:"percpu,omitempty"`
		PerCPUKernel []uint64 `json:"percpu_kernel,omitempty"`
		PerCPUUser   []uint64 `json:"percpu_user,omitempty"`
		Kernel       uint64   `json:"kernel"`
		User         uint64   `json:"user"`
	} `json:"usage"`
	Throttling struct {
		Periods   uint64 `json:"periods,omitempty"`
		Throttled uint64 `json:"throttledPeriods,omitempty"`
		Time      uint64 `json:"throttledTime,omitempty"`
	} `json:"throttling"`
}

type cpusetFigures struct {
	CPUs                  []uint16 `json:"cpus,omitempty"`
	CPUExclusive          uint64   `json:"cpu_exclusive"`
	Mems                  []uint16 `json:"mems,omitempty"`
	MemHardwall           uint64   `json:"mem_hardwall"`
	MemExclusive          uint64   `json:"mem_exclusive"`
	MemoryMigrate         uint64   `json:"memory_migrate"`
	MemorySpreadPage      uint64   `json:"memory_spread_page"`
	MemorySpreadSlab      uint64   `json:"memory_spread_slab"`
	MemoryPressure        uint64   `json:"memory_pressure"`
	SchedLoadBalance      uint64   `json:"sched_load_balance"`
	SchedRelaxDomainLevel int64    `json:"sched_relax_domain_level"`
}

type memoryFigures struct {
	Cache     uint64            `json:"cache,omitempty"`
	Usage     amount            `json:"usage"`
	Swap      amount            `json:"swap"` // memory and swap together
	Kernel    amount            `json:"kernel"`
	KernelTCP amount            `json:"kernelTCP"`
	Raw       map[string]uint64 `json:"raw,omitempty"`
}

// An amount is of memory, in bytes.
type amount struct {
	Limit   uint64 `json:"limit"`
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

type pidsFigures struct {
	Current uint64 `json:"current,omitempty"`
	Limit   uint64 `json:"limit,omitempty"`
}

type blockFigures struct {
	ServiceBytes []blockFigure `json:"ioServiceBytesRecursive,omitempty"`
	Serviced     []blockFigure `json:"ioServicedRecursive,omitempty"`
	Queued       []blockFigure `json:"ioQueueRecursive,omitempty"`
	ServiceTime  []blockFigure `json:"ioServiceTimeRecursive,omitempty"`
	WaitTime     []blockFigure `json:"ioWaitTimeRecursive,omitempty"`
	Merged       []blockFigure `json:"ioMergedRecursive,omitempty"`
	Time         []blockFigure `json:"ioTimeRecursive,omitempty"`
	Sectors      []blockFigure `json:"sectorsRecursive,omitempty"`
}

type blockFigure struct {
	Major uint64 `json:"major,omitempty"`
	Minor uint64 `json:"minor,omitempty"`
	Op    string `json:"op,omitempty"`
	Value uint64 `json:"value,omitempty"`
}

type hugeFigures struct {
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

// statsOf is s in runc's words.
func statsOf(s *cgroups.Stats) *figures {
	f := &figures{
		CPUSet: cpusetFigures(s.CPUSetStats), Pids: pidsFigures(s.PidsStats), Huge: map[string]hugeFigures{},
	}
	u, t := &s.CpuStats.CpuUsage, &s.CpuStats.ThrottlingData
	f.CPU.Usage.Total, f.CPU.Usage.Kernel, f.CPU.Usage.User = u.TotalUsage, u.UsageInKernelmode, u.UsageInUsermode
	f.CPU.Usage.PerCPU, f.CPU.Usage.PerCPUKernel, f.CPU.Usage.PerCPUUser = u.PercpuUsage, u.PercpuUsageInKernelmode, u.PercpuUsageInUsermode
	f.CPU.Throttling.Periods, f.CPU.Throttling.Throttled, f.CPU.Throttling.Time = t.Periods, t.ThrottledPeriods, t.ThrottledTime
	m := &s.MemoryStats
	f.Memory = memoryFigures{
		Cache: m.Cache, Usage: amountOf(m.Usage), Swap: amountOf(m.SwapUsage),
		Kernel: amountOf(m.KernelUsage), KernelTCP: amountOf(m.KernelTCPUsage), Raw: m.Stats,
	}
	b := &s.BlkioStats
	f.BlockIO = blockFigures{
		blocksOf(b.IoServiceBytesRecursive), blocksOf(b.IoServicedRecursive), blocksOf(b.IoQueuedRecursive), blocksOf(b.IoServiceTimeRecursive),
		blocksOf(b.IoWaitTimeRecursive), blocksOf(b.IoMergedRecursive), blocksOf(b.IoTimeRecursive), blocksOf(b.SectorsRecursive),
	}
	for size, h := range s.HugetlbStats {
		f.Huge[size] = hugeFigures{h.Usage, h.MaxUsage, h.Failcnt}
	}
	return f
}

func amountOf(d cgroups.MemoryData) amount { return amount{d.Limit, d.Usage, d.MaxUsage, d.Failcnt} }

func blocksOf(in []cgroups.BlkioStatEntry) (out []blockFigure) {
	for _, e := range in {
		out = append(out, blockFigure(e))
	}
	return out
}
