package shim

import (
	"context"
	"errors"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup1/stats"
	"github.com/containerd/cgroups/v3/cgroup2"
	runc "github.com/containerd/go-runc"
)

// A metrics reads what a container has used. The message is
// io.containerd.cgroups.v1.Metrics or v2's, which clients know by its type.
type metrics func(context.Context) (any, error)

// cgroupMetrics are of the cgroup that pid is in: what is used of the host, the
// sandbox's kernel included, as that is what the cgroup's limits are compared with.
// They are nil if there is no cgroup.
func cgroupMetrics(pid int) metrics {
	if cgroups.Mode() == cgroups.Unified {
		path, err := cgroup2.PidGroupPath(pid)
		if err != nil {
			return nil
		}
		g, err := cgroup2.Load(path)
		if err != nil {
			return nil
		}
		return func(context.Context) (any, error) { return g.Stat() }
	}
	g, err := cgroup1.Load(cgroup1.PidPath(pid))
	if err != nil {
		return nil
	}
	return func(context.Context) (any, error) { return g.Stat(cgroup1.IgnoreNotExist) }
}

// metrics are what runsc says of container id, whose sandbox is in the cgroup of another.
func (r *runtime) metrics(id string) metrics {
	return func(ctx context.Context) (any, error) {
		var s *runc.Stats
		err := r.do(func(c *runc.Runc) (err error) {
			s, err = c.Stats(ctx, id)
			return err
		})
		if err == nil && s == nil {
			err = errors.New("runsc events: no figures")
		}
		if err != nil {
			return nil, err
		}
		return metricsOf(s), nil
	}
}

func metricsOf(s *runc.Stats) *stats.Metrics {
	entry := func(m runc.MemoryEntry) *stats.MemoryEntry {
		return &stats.MemoryEntry{Limit: m.Limit, Usage: m.Usage, Max: m.Max, Failcnt: m.Failcnt}
	}
	use, held := &s.Cpu.Usage, &s.Cpu.Throttling
	return &stats.Metrics{
		Pids: &stats.PidsStat{Current: s.Pids.Current, Limit: s.Pids.Limit},
		CPU: &stats.CPUStat{
			Usage:      &stats.CPUUsage{Total: use.Total, Kernel: use.Kernel, User: use.User, PerCPU: use.Percpu},
			Throttling: &stats.Throttle{Periods: held.Periods, ThrottledPeriods: held.ThrottledPeriods, ThrottledTime: held.ThrottledTime},
		},
		Memory: &stats.MemoryStat{
			Usage: entry(s.Memory.Usage), Swap: entry(s.Memory.Swap), Kernel: entry(s.Memory.Kernel), KernelTCP: entry(s.Memory.KernelTCP),
			Cache: s.Memory.Cache, TotalRSS: s.Memory.Raw["total_rss"], TotalInactiveFile: s.Memory.Raw["total_inactive_file"],
		},
	}
}
