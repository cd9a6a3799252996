// Package ktime is the sandbox's clocks and the timers that run on them. A
// moment is a number of nanoseconds since its clock's epoch; deadlines are
// absolute, so that a checkpoint can keep them.
package ktime

import (
	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
)

// A Clock tells a time that goes on by itself. CPU clocks are not Clocks: they
// belong to a process and stand still when it does.
type Clock interface {
	// Now is the nanoseconds since the clock's epoch.
	Now() int64
	// ID is the clock's number in clock_gettime(2).
	ID() linux.ClockID
}

// Clocks is the clocks of one sandbox. It has no state of its own: the host
// tells the time, and the guest's vDSO asks the host as well.
type Clocks struct {
	Realtime  Realtime
	Monotonic Monotonic
	Boottime  Boottime
}

// Clock finds a clock by its number; nil if timers and sleeps can't use it.
// The alarm clocks wake no suspended machine here: they are their plain twins.
func (c *Clocks) Clock(id linux.ClockID) Clock {
	switch id {
	case linux.CLOCK_REALTIME, linux.CLOCK_REALTIME_ALARM, linux.CLOCK_TAI:
		return &c.Realtime
	case linux.CLOCK_MONOTONIC:
		return &c.Monotonic
	case linux.CLOCK_BOOTTIME, linux.CLOCK_BOOTTIME_ALARM:
		return &c.Boottime
	}
	return nil
}

// Read tells the time of any clock but the CPU clocks; ok is false for a number
// that names none.
func (c *Clocks) Read(id linux.ClockID) (now int64, ok bool) {
	switch id {
	case linux.CLOCK_MONOTONIC_RAW, linux.CLOCK_REALTIME_COARSE, linux.CLOCK_MONOTONIC_COARSE, linux.CLOCK_TAI:
		return host(int32(id)), true
	}
	if k := c.Clock(id); k != nil {
		return k.Now(), true
	}
	return 0, false
}

// Resolution is what clock_getres(2) says of a clock that Read knows.
func Resolution(id linux.ClockID) int64 {
	switch id {
	case linux.CLOCK_REALTIME_COARSE, linux.CLOCK_MONOTONIC_COARSE:
		return 4_000_000
	}
	return 1
}

// Realtime is CLOCK_REALTIME.
type Realtime struct{ _ byte }

// Monotonic is CLOCK_MONOTONIC.
type Monotonic struct{ _ byte }

// Boottime is CLOCK_BOOTTIME.
type Boottime struct{ _ byte }

// Now implements Clock.
func (*Realtime) Now() int64 { return walltime() }

// ID implements Clock.
func (*Realtime) ID() linux.ClockID { return linux.CLOCK_REALTIME }

// Now implements Clock.
func (*Monotonic) Now() int64 { return Nanotime() }

// ID implements Clock.
func (*Monotonic) ID() linux.ClockID { return linux.CLOCK_MONOTONIC }

// Now implements Clock.
func (*Boottime) Now() int64 { return host(unix.CLOCK_BOOTTIME) }

// ID implements Clock.
func (*Boottime) ID() linux.ClockID { return linux.CLOCK_BOOTTIME }

// host asks the host. The clocks asked for exist on every Linux that can run a
// sandbox, so that an error is not possible.
func host(id int32) int64 {
	var ts unix.Timespec
	if unix.ClockGettime(id, &ts) != nil {
		return 0
	}
	return ts.Nano()
}

// A Deadline is a moment on a clock. The zero Deadline never comes.
type Deadline struct {
	Clock Clock
	At    int64
}

// After is the Deadline d nanoseconds from now; negative is now, and what
// overflows never comes.
func After(c Clock, d int64) Deadline {
	at := c.Now() + max(d, 0)
	if at < 0 {
		return Deadline{}
	}
	return Deadline{c, at}
}

// Never reports whether d does not come.
func (d Deadline) Never() bool { return d.Clock == nil }

// Left is the nanoseconds until d, not negative; a large number if d never comes.
func (d Deadline) Left() int64 {
	if d.Clock == nil {
		return 1<<63 - 1
	}
	return max(d.At-d.Clock.Now(), 0)
}

// Passed reports whether d has come.
func (d Deadline) Passed() bool { return d.Clock != nil && d.Clock.Now() >= d.At }
