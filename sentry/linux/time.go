package linux

import "time"

// Timespec is struct timespec.
type Timespec struct{ Sec, Nsec int64 }

// Timeval is struct timeval.
type Timeval struct{ Sec, Usec int64 }

// NsecToTimespec is n nanoseconds as a Timespec; Nsec is never negative.
func NsecToTimespec(n int64) Timespec {
	s := n / 1e9
	if n %= 1e9; n < 0 {
		n, s = n+1e9, s-1
	}
	return Timespec{s, n}
}

// Nano is t in nanoseconds, saturating.
func (t Timespec) Nano() int64 {
	const limit = int64(^uint64(0)>>1) / 1e9
	switch {
	case t.Sec >= limit:
		return int64(^uint64(0) >> 1)
	case t.Sec <= -limit:
		return -int64(^uint64(0)>>1) - 1
	}
	return t.Sec*1e9 + t.Nsec
}

// Valid reports whether t is a time that Linux accepts as a timeout.
func (t Timespec) Valid() bool { return t.Sec >= 0 && uint64(t.Nsec) < 1e9 }

// Duration is t as a time.Duration, saturating.
func (t Timespec) Duration() time.Duration { return time.Duration(t.Nano()) }

// Timespec is t in nanoseconds.
func (t Timeval) Timespec() Timespec { return Timespec{t.Sec, t.Usec * 1000} }

// Timeval is t rounded down to microseconds.
func (t Timespec) Timeval() Timeval { return Timeval{t.Sec, t.Nsec / 1000} }
