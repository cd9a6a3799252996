package cgroup

import specs "github.com/opencontainers/runtime-spec/specs-go"

// Sum is own with as much memory, as many tasks and as much time on processors more as others,
// of which each may be nil, may have: what the cgroup of a container has to allow when it has a
// sandbox in it that is theirs, too. What own does not limit stays so.
func Sum(own *specs.LinuxResources, others ...*specs.LinuxResources) *specs.LinuxResources {
	sum := copyOf(own)
	memory, cpu, pids := copyOf(sum.Memory), copyOf(sum.CPU), copyOf(sum.Pids)
	for _, o := range others {
		o = copyOf(o)
		m, c := copyOf(o.Memory), copyOf(o.CPU)
		memory.Limit, memory.Swap = plus(memory.Limit, m.Limit), plus(memory.Swap, m.Swap)
		if positive(memory.Limit) == 0 && memory.Swap != nil {
			memory.Swap = memory.Limit
		}
		cpu.Quota = plus(cpu.Quota, perPeriod(c, period(cpu)))
		pids.Limit = plus(pids.Limit, copyOf(o.Pids).Limit)
	}
	if sum.Memory != nil {
		sum.Memory = memory
	}
	if sum.CPU != nil {
		sum.CPU = cpu
	}
	if sum.Pids != nil {
		sum.Pids = pids
	}
	return sum
}

// plus adds up two limits, of which none at all is the highest.
func plus(own, other *int64) *int64 {
	none := int64(-1)
	switch {
	case positive(own) == 0:
		return own
	case positive(other) == 0:
		return &none
	}
	sum := *own + *other
	return &sum
}

// period is c's, in microseconds, or the kernel's own.
func period(c *specs.LinuxCPU) uint64 {
	if n := positive(c.Period); n != 0 {
		return n
	}
	return 100_000
}

// perPeriod is c's quota for a period of that many microseconds.
func perPeriod(c *specs.LinuxCPU, length uint64) *int64 {
	if positive(c.Quota) == 0 {
		return nil
	}
	n := int64(uint64(*c.Quota) * length / period(c))
	return &n
}
