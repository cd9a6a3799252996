package cgroup

import (
	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/runsc/control"
)

// LimitsOf are the limits of linux.resources, which may be nil, as the sentry knows
// them: version 2's, whatever the host has.
func LimitsOf(r *specs.LinuxResources) (l control.Limits) {
	if r == nil {
		return l
	}
	if m := r.Memory; m != nil {
		l.Memory, l.MemoryLow = positive(m.Limit), positive(m.Reservation)
		l.Swap = swapBeside(l.Memory, m.Swap)
	}
	if c := r.CPU; c != nil {
		l.CPUQuota, l.CPUPeriod, l.CPUBurst = positive(c.Quota), positive(c.Period), positive(c.Burst)
		l.CPUWeight = cgroups.ConvertCPUSharesToCgroupV2Value(positive(c.Shares))
		l.CPUIdle = c.Idle != nil && *c.Idle == 1
		l.CPUs, l.Mems = c.Cpus, c.Mems
	}
	if r.Pids != nil {
		l.Pids = positive(r.Pids.Limit)
	}
	return l
}

// positive is *n, or 0 if that is nil or no limit.
func positive[T int64 | uint64](n *T) uint64 {
	if n == nil || *n <= 0 {
		return 0
	}
	return uint64(*n)
}

// swapBeside is how much of both, memory and swap together, is swap alone.
func swapBeside(memory uint64, both *int64) uint64 {
	sum := positive(both)
	switch {
	case memory == 0 || sum == 0:
		return 0
	case sum <= memory:
		return control.NoSwap
	}
	return sum - memory
}
