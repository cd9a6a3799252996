// Package timerfd is timers that are read, timerfd_create(2).
package timerfd

import (
	"encoding/binary"
	"fmt"

	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A File is a timerfd. Expirations are counted when somebody looks, from the clock
// itself; the timer only wakes who waits.
type File struct {
	wait.Queue
	id    linux.ClockID // as it was asked for
	clock ktime.Clock
	alarm *ktime.Timer

	mu    lock.Mutex[lock.Socket] // outside the timer's own lock
	set   ktime.Setting           // protected by mu: At is the next expiration
	ticks uint64                  // protected by mu: expirations not yet read
	flags uint32                  // protected by mu: those of timerfd_settime
}

// New returns a timerfd on c, which timerfd_create called id.
func New(c ktime.Clock, id linux.ClockID) *File {
	f := &File{id: id, clock: c}
	f.alarm = ktime.NewTimer(c, f)
	return f
}

var (
	_ vfs.File       = (*File)(nil)
	_ vfs.Streamer   = (*File)(nil)
	_ vfs.Seeker     = (*File)(nil)
	_ vfs.FDInfoer   = (*File)(nil)
	_ wait.Object    = (*File)(nil)
	_ ktime.Listener = (*File)(nil)
)

// Stream implements vfs.Streamer.
func (f *File) Stream() {}

// Seek implements vfs.Seeker: it does nothing, with success.
func (f *File) Seek(_ vfs.Ctx, cur, _ int64, _ int) (int64, error) { return cur, nil }

// Expired implements ktime.Listener.
func (f *File) Expired(*ktime.Timer, uint64) { f.Notify(wait.Readable) }

// advance counts the expirations up to now. mu is held.
func (f *File) advance() {
	now := f.clock.Now()
	if f.set.At == 0 || now < f.set.At {
		return
	}
	if f.set.Interval <= 0 {
		f.set.At = 0
		f.ticks++
		return
	}
	n := (now-f.set.At)/f.set.Interval + 1
	f.ticks += uint64(n)
	f.set.At += n * f.set.Interval
}

// left is the setting with At relative to now. mu is held.
func (f *File) left() ktime.Setting {
	s := f.set
	if s.At != 0 {
		s.At = max(s.At-f.clock.Now(), 1)
	}
	return s
}

// Set is timerfd_settime(2): At is a moment on the clock, 0 disarms. It returns the
// setting before, with At relative. flags is for /proc.
func (f *File) Set(s ktime.Setting, flags uint32) (old ktime.Setting) {
	f.mu.Lock()
	f.advance()
	old = f.left()
	f.set, f.ticks, f.flags = s, 0, flags
	f.alarm.Set(s)
	f.mu.Unlock()
	return old
}

// Get is timerfd_gettime(2): the setting with At relative to now.
func (f *File) Get() ktime.Setting {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.advance()
	return f.left()
}

// Clock is what f runs on.
func (f *File) Clock() ktime.Clock { return f.clock }

// Read implements vfs.File: the count of expirations since the last read; EAGAIN if
// there was none. The clock is never set, so that TFD_TIMER_CANCEL_ON_SET never
// cancels.
func (f *File) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	if dst.Len() < 8 {
		return 0, linux.EINVAL
	}
	f.mu.Lock()
	f.advance()
	n := f.ticks
	f.ticks = 0
	f.mu.Unlock()
	if n == 0 {
		return 0, linux.EAGAIN
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	if _, err := dst.CopyOut(b[:]); err != nil {
		return 0, err
	}
	return 8, nil
}

// Write implements vfs.File.
func (f *File) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Close implements vfs.File.
func (f *File) Close(vfs.Ctx) { f.alarm.Stop() }

// Ready implements wait.Object.
func (f *File) Ready(e wait.Events) wait.Events {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.advance(); f.ticks == 0 {
		return 0
	}
	return wait.Readable & e
}

// FDInfo implements vfs.FDInfoer.
func (f *File) FDInfo(vfs.Ctx) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.advance()
	s := f.left()
	at, every := linux.NsecToTimespec(s.At), linux.NsecToTimespec(s.Interval)
	return fmt.Sprintf("clockid: %d\nticks: %d\nsettime flags: 0%o\nit_value: (%d, %d)\nit_interval: (%d, %d)\n",
		f.id, f.ticks, f.flags, at.Sec, at.Nsec, every.Sec, every.Nsec)
}
