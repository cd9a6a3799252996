package cgroup

import (
	"errors"
	"fmt"
	"maps"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Merge is old with what change asks for. What change leaves out, and what is zero or
// empty in it, stays as it was: so runc's update has it. Neither is changed.
func Merge(old, change *specs.LinuxResources) *specs.LinuxResources {
	r := copyOf(old)
	if m := change.Memory; m != nil {
		r.Memory = copyOf(r.Memory)
		take(&r.Memory.Limit, m.Limit)
		take(&r.Memory.Reservation, m.Reservation)
		take(&r.Memory.Swap, m.Swap)
		take(&r.Memory.CheckBeforeUpdate, m.CheckBeforeUpdate)
		if m.Limit != nil && *m.Limit == -1 && (m.Swap == nil || *m.Swap == 0) {
			r.Memory.Swap = m.Limit // a limit on memory and swap together would be one on memory
		}
	}
	if c := change.CPU; c != nil {
		r.CPU = copyOf(r.CPU)
		take(&r.CPU.Shares, c.Shares)
		take(&r.CPU.Quota, c.Quota)
		take(&r.CPU.Period, c.Period)
		take(&r.CPU.RealtimeRuntime, c.RealtimeRuntime)
		take(&r.CPU.RealtimePeriod, c.RealtimePeriod)
		if c.Burst != nil { // none and not idle are wishes, too
			r.CPU.Burst = c.Burst
		}
		if c.Idle != nil {
			r.CPU.Idle = c.Idle
		}
		if c.Cpus != "" {
			r.CPU.Cpus = c.Cpus
		}
		if c.Mems != "" {
			r.CPU.Mems = c.Mems
		}
	}
	if p := change.Pids; p != nil {
		r.Pids = copyOf(r.Pids)
		take(&r.Pids.Limit, p.Limit)
	}
	if b := change.BlockIO; b != nil {
		r.BlockIO = copyOf(r.BlockIO)
		take(&r.BlockIO.Weight, b.Weight)
	}
	if len(change.Unified) > 0 {
		r.Unified = maps.Clone(r.Unified)
		if r.Unified == nil {
			r.Unified = map[string]string{}
		}
		maps.Copy(r.Unified, change.Unified)
	}
	return r
}

// copyOf is a copy of *p, or of its zero value.
func copyOf[T any](p *T) *T {
	v := new(T)
	if p != nil {
		*v = *p
	}
	return v
}

// take replaces *field unless value is nothing.
func take[T comparable](field **T, value *T) {
	var zero T
	if value != nil && *value != zero {
		*field = value
	}
}

// Widest is r with the limits of memory and tasks as they were in old where those are
// higher: what the host has to allow while a guest goes from the one to the other.
func Widest(old, r *specs.LinuxResources) *specs.LinuxResources {
	w := copyOf(r)
	if r.Memory != nil {
		was := copyOf(copyOf(old).Memory)
		w.Memory = copyOf(r.Memory)
		w.Memory.Limit, w.Memory.Swap = higher(was.Limit, r.Memory.Limit), higher(was.Swap, r.Memory.Swap)
	}
	if r.Pids != nil {
		w.Pids = &specs.LinuxPids{Limit: higher(copyOf(copyOf(old).Pids).Limit, r.Pids.Limit)}
	}
	return w
}

// higher is the higher of two limits; none at all is the highest.
func higher(was, is *int64) *int64 {
	if positive(was) == 0 || positive(is) != 0 && *was >= *is {
		return was
	}
	return is
}

// Check refuses limits that contradict each other or their own ranges.
// A weight of 0 is none: dockerd sends it with every update.
func Check(r *specs.LinuxResources) error {
	if m := r.Memory; m != nil && positive(m.Limit) != 0 && positive(m.Swap) != 0 && *m.Swap < *m.Limit {
		return fmt.Errorf("memory and swap together (%d bytes) can't be less than memory (%d bytes)", *m.Swap, *m.Limit)
	}
	if b := r.BlockIO; b != nil && b.Weight != nil && *b.Weight != 0 && (*b.Weight < 10 || *b.Weight > 1000) {
		return fmt.Errorf("blkio weight %d: must be from 10 to 1000", *b.Weight)
	}
	return nil
}

// ErrNoGroup is why some limits can't be had.
var ErrNoGroup = errors.New("only memory and pids can be limited: the container has no cgroup on the host, as its config.json named none")

// WithoutGroup is nil if the sentry alone can hold a container to r.
func WithoutGroup(r *specs.LinuxResources) error {
	if *copyOf(r.CPU) != (specs.LinuxCPU{}) || r.BlockIO != nil && r.BlockIO.Weight != nil ||
		len(r.Unified) > 0 || copyOf(r.Memory).Reservation != nil {
		return ErrNoGroup
	}
	return nil
}

// Restore is old with the host's defaults where r has a limit that old has not: what
// undoes r. Only a cpuset, whose default is that of the cgroup above, is not undone.
func Restore(old, r *specs.LinuxResources) *specs.LinuxResources {
	none, shares, period := int64(-1), uint64(1024), uint64(100_000)
	out := copyOf(old)
	if m := r.Memory; m != nil {
		out.Memory = copyOf(out.Memory)
		fill(&out.Memory.Limit, m.Limit, &none)
		fill(&out.Memory.Reservation, m.Reservation, &none)
		fill(&out.Memory.Swap, m.Swap, &none)
	}
	if c := r.CPU; c != nil {
		out.CPU = copyOf(out.CPU)
		fill(&out.CPU.Shares, c.Shares, &shares)
		fill(&out.CPU.Quota, c.Quota, &none)
		fill(&out.CPU.Period, c.Period, &period)
	}
	if p := r.Pids; p != nil {
		out.Pids = copyOf(out.Pids)
		fill(&out.Pids.Limit, p.Limit, &none)
	}
	return out
}

// fill sets *field to standard if other has it and *field has not.
func fill[T any](field **T, other, standard *T) {
	if *field == nil && other != nil {
		*field = standard
	}
}
