package boot

import (
	"fmt"
	"strconv"
	"strings"

	"garrison/fs/cgroupfs"
	"garrison/runsc/control"
	"garrison/sentry/kernel"
)

// limit keeps the container to l from now on. What is not the sentry's to enforce
// (the size of the page file, time on processors) is only shown.
func (s *sandbox) limit(l *control.Limits) error {
	cpus, err := parseCPUs(l.CPUs)
	if err != nil {
		return fmt.Errorf("cpuset %q: %w", l.CPUs, err)
	}
	s.limits.Store(l)
	s.container.SetTaskLimit(l.Pids)
	s.container.SetCPUs(cpus)
	return nil
}

// update is limit for a container that runs already.
func (s *sandbox) update(l *control.Limits) (*control.Use, error) {
	if err := s.limit(l); err != nil {
		return nil, err
	}
	s.kernel.SetMemory(s.memory())
	return s.use(), nil
}

// shownLimits is what cgroup files show of the container's limits.
func (s *sandbox) shownLimits(*kernel.Container) cgroupfs.Limits {
	return cgroupfs.Limits(*s.limits.Load())
}

// memory is how much memory the guest is told of: its limit, or the host's.
func (s *sandbox) memory() uint64 {
	if n := s.limits.Load().Memory; n != 0 {
		return min(n, hostMemory())
	}
	return hostMemory()
}

// use is what the container uses.
func (s *sandbox) use() *control.Use {
	u := &control.Use{OOMKills: s.container.OutOfMemories(), Tasks: s.container.Tasks().Now}
	u.UserNanos, u.SystemNanos = s.container.CPUTime()
	u.Memory, _ = s.pages.Usage() // fstat(2) of an open file does not fail
	return u
}

// parseCPUs reads a list of processors, as cpuset(7) has it: "0-2,5". None at all is
// none.
func parseCPUs(list string) (set kernel.CPUSet, err error) {
	if list == "" {
		return set, nil
	}
	for _, part := range strings.Split(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return set, err
		}
		to, err := strconv.ParseUint(last, 10, 16)
		if err != nil {
			return set, err
		}
		if from > to || to >= uint64(len(set)*64) {
			return set, fmt.Errorf("%s is no range of processors", part)
		}
		for n := from; n <= to; n++ {
			set[n/64] |= 1 << (n % 64)
		}
	}
	return set, nil
}
