package sandbox

import (
	"math"

	"github.com/opencontainers/cgroups"

	"garrison/runsc/cgroup"
	"garrison/runsc/container"
	"garrison/runsc/control"
)

// Stats is what container id uses. Where it has a cgroup, processor time, memory and
// block I/O are the host's figures of all that is in it, the sandbox's kernel
// included; where not, they are the guest's alone, as far as its kernel knows them, and
// so they are for a container in the sandbox of another, whose cgroup has the kernel in it.
// Tasks are the guest's, and so is how often it has met its limit of memory.
func Stats(store container.Store, id string) (*cgroups.Stats, error) {
	c, err := running(store, id)
	if err != nil {
		return nil, err
	}
	a, err := request(c, &control.Request{ID: id, Stats: &control.Stats{}}, requestTimeout)
	if err != nil {
		return nil, err
	}
	use, limits := a.Use, cgroup.LimitsOf(c.Resources)
	if use == nil {
		use = new(control.Use)
	}
	s := cgroups.NewStats()
	if len(c.Cgroups) > 0 {
		g, err := openCgroup(c)
		if err != nil {
			return nil, err
		}
		if s, err = g.Stats(); err != nil {
			return nil, err
		}
	}
	if len(c.Cgroups) == 0 || c.Pod != "" {
		guestOnly(s, use, &limits)
	}
	s.MemoryStats.Usage.Failcnt += use.OOMKills
	s.PidsStats = cgroups.PidsStats{Current: use.Tasks, Limit: limits.Pids}
	return s, nil
}

// unlimited is what a cgroup of version 1 says of memory without a limit.
const unlimited = math.MaxInt64 &^ 0xfff

func guestOnly(s *cgroups.Stats, use *control.Use, limits *control.Limits) {
	user, system := uint64(use.UserNanos), uint64(use.SystemNanos)
	s.CpuStats.CpuUsage = cgroups.CpuUsage{TotalUsage: user + system, UsageInUsermode: user, UsageInKernelmode: system}
	s.MemoryStats.Usage = cgroups.MemoryData{Usage: use.Memory, Limit: limits.Memory}
	if limits.Memory == 0 {
		s.MemoryStats.Usage.Limit = unlimited
	}
}
