// Package eventfd is counters that can be waited for, eventfd(2).
package eventfd

import (
	"encoding/binary"
	"fmt"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A File is an eventfd.
type File struct {
	wait.Queue
	semaphore bool
	id        uint64

	mu    lock.Mutex[lock.Leaf]
	count uint64 // protected by mu
}

// most is the largest value that the counter takes.
const most = ^uint64(0) - 1

// New returns an eventfd with a first value; semaphore is EFD_SEMAPHORE. id is what
// /proc/pid/fdinfo shows.
func New(first uint64, semaphore bool, id uint64) *File {
	return &File{count: first, semaphore: semaphore, id: id}
}

var (
	_ vfs.File     = (*File)(nil)
	_ vfs.Streamer = (*File)(nil)
	_ vfs.Seeker   = (*File)(nil)
	_ vfs.FDInfoer = (*File)(nil)
	_ wait.Object  = (*File)(nil)
)

// Stream implements vfs.Streamer.
func (f *File) Stream() {}

// Seek implements vfs.Seeker: it does nothing, with success.
func (f *File) Seek(_ vfs.Ctx, cur, _ int64, _ int) (int64, error) { return cur, nil }

// Read implements vfs.File: EINVAL for less than eight bytes, EAGAIN at 0.
func (f *File) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	if dst.Len() < 8 {
		return 0, linux.EINVAL
	}
	f.mu.Lock()
	v := f.count
	if v == 0 {
		f.mu.Unlock()
		return 0, linux.EAGAIN
	}
	if f.semaphore {
		v = 1
	}
	f.count -= v
	f.mu.Unlock()
	f.Notify(wait.Writable)
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	_, err := dst.CopyOut(b[:])
	if err != nil {
		return 0, err
	}
	return 8, nil
}

// Write implements vfs.File: it adds to the counter; EAGAIN if that would overflow.
func (f *File) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	if src.Len() != 8 {
		return 0, linux.EINVAL
	}
	var b [8]byte
	if _, err := src.CopyIn(b[:]); err != nil {
		return 0, err
	}
	v := binary.LittleEndian.Uint64(b[:])
	if v > most {
		return 0, linux.EINVAL
	}
	if !f.Add(v) {
		return 0, linux.EAGAIN
	}
	return 8, nil
}

// Add adds v to the counter, and reports whether it had room.
func (f *File) Add(v uint64) bool {
	f.mu.Lock()
	ok := most-f.count >= v
	if ok {
		f.count += v
	}
	f.mu.Unlock()
	if ok {
		f.Notify(wait.Readable)
	}
	return ok
}

// Close implements vfs.File.
func (f *File) Close(vfs.Ctx) { f.Notify(wait.Hup) }

// Ready implements wait.Object.
func (f *File) Ready(e wait.Events) wait.Events {
	f.mu.Lock()
	n := f.count
	f.mu.Unlock()
	var r wait.Events
	if n > 0 {
		r |= wait.Readable
	}
	if n < most {
		r |= wait.Writable
	}
	return r & e
}

// FDInfo implements vfs.FDInfoer.
func (f *File) FDInfo(vfs.Ctx) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := 0
	if f.semaphore {
		s = 1
	}
	return fmt.Sprintf("eventfd-count: %16x\neventfd-id: %d\neventfd-semaphore: %d\n", f.count, f.id, s)
}
