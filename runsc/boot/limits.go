package boot

import (
	"fmt"
	"strconv"
	"strings"

	"garrison/runsc/control"
	"garrison/runsc/spec"
	"garrison/sentry/kernel"
)

// limit keeps the container to l from now on. What is not the sentry's to enforce
// (the size of the page file, time on processors) is only shown.
func (ct *container) limit(l *control.Limits) error {
	cpus, err := parseCPUs(l.CPUs)
	if err != nil {
		return fmt.Errorf("cpuset %q: %w", l.CPUs, err)
	}
	ct.limits.Store(l)
	ct.guest.SetTaskLimit(l.Pids)
	ct.guest.SetCPUs(cpus)
	return nil
}

// update is limit for a container that runs already.
func (ct *container) update(l *control.Limits) (*control.Use, error) {
	if err := ct.limit(l); err != nil {
		return nil, err
	}
	ct.setMemory()
	return ct.use(), nil
}

// setMemory has the kernel say how much memory there is: as much as any container may
// have. The limits of a pod are those of its first container.
func (s *sandbox) setMemory() {
	var most uint64
	s.mu.Lock()
	for _, ct := range s.containers {
		if spec.Pod(ct.doc.Spec) == "" {
			most = max(most, ct.memory())
		}
	}
	s.mu.Unlock()
	if most != 0 { // of a pod whose first container has ended, the limit stays
		s.kernel.SetMemory(most)
	}
}

// memory is how much memory the container is told of: its limit, or the host's.
func (ct *container) memory() uint64 {
	if n := ct.limits.Load().Memory; n != 0 {
		return min(n, hostMemory())
	}
	return hostMemory()
}

// use is what the container uses.
func (ct *container) use() *control.Use {
	u := &control.Use{OOMKills: ct.guest.OutOfMemories(), Tasks: ct.guest.Tasks().Now}
	u.UserNanos, u.SystemNanos = ct.guest.CPUTime()
	u.Memory, _ = ct.pages.Usage() // fstat(2) of an open file does not fail
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
