package shim

import (
	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
)

// A metrics reads what a container has used of the host, its sandbox's kernel
// included: it is what the limits of its cgroup are compared with. The message is
// io.containerd.cgroups.v1.Metrics or v2's, which clients know by its type.
type metrics func() (any, error)

// loadMetrics finds the cgroup that pid is in, or returns nil.
func loadMetrics(pid int) metrics {
	if cgroups.Mode() == cgroups.Unified {
		path, err := cgroup2.PidGroupPath(pid)
		if err != nil {
			return nil
		}
		g, err := cgroup2.Load(path)
		if err != nil {
			return nil
		}
		return func() (any, error) { return g.Stat() }
	}
	g, err := cgroup1.Load(cgroup1.PidPath(pid))
	if err != nil {
		return nil
	}
	return func() (any, error) { return g.Stat(cgroup1.IgnoreNotExist) }
}
