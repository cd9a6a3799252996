// Package memfile is the memory of a container's guests: one sparse host file
// whose pages are mapped into guests and, in large chunks, into the sentry.
//
// Offsets are plentiful and memory is not: ranges are reserved liberally, in
// arenas; memory comes when a page is touched and goes back to the host soon
// after the last reference, many pages in one call. A page that was freed is
// used again only by who is sure to be the only one that may still see it: an
// arena knows the address spaces that ever mapped a part of it (its holders),
// and its offsets serve others only when every one of them is gone.
package memfile

import (
	"fmt"
	"math/bits"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/sentry/interval"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A Range is a range of offsets in a File, page aligned.
type Range = interval.Range[uint64]

const (
	// arenaUnit is what arenas are multiples of: one page table's worth, so
	// that neighbours share nothing.
	arenaUnit = 2 << 20

	// maxOffset bounds offsets; the directory of chunks is made for it.
	maxOffset = 1 << 50

	// flushBytes of freed pages are given back at once, fewer after flushDelay.
	flushBytes = 16 << 20
	flushDelay = 50 * time.Millisecond
)

// A File is the page file of one container. Its methods may be called from any
// goroutine.
type File struct {
	fd, ro  int
	windows directory
	timer   *time.Timer // runs tick
	cooler  *time.Timer // runs cool

	// flushing serialises Flush; taken before mu.
	flushing chan struct{}

	mu     lock.Mutex[lock.Pages]
	size   uint64                          // of the host file; protected by mu, as all below
	uses   interval.Map[uint64, use]       // pages that can't be allocated
	dirty  interval.Map[uint64, set]       // pages without references whose memory is still there
	late   [2][]lateRef                    // references to give up with the next tick of the timer, or the one after it
	arenas interval.Map[uint64, arenaSlot] // every arena
	pins   []Range                         // ranges that host calls are using
	dirtyN uint64                          // bytes in dirty
	doomed []*Arena                        // closed, to be punched whole and forgotten
	stale  interval.Map[uint64, set]       // pages that have no use now, and are to be cleared when they are allocated
	lent   interval.Map[uint64, set]       // pages that had memory when they were allocated
	warm   []oldArena                      // closed, to serve again; who came last is last
	warmN  uint64                          // bytes of stale pages in warm
	armed  bool                            // timer is running

	inherited []oldArena // that were warm and have an owner again
	cooling   bool       // cooler is running
	unused    uint64     // what warmUsage found,
	asked     time.Time  // and when

	closed bool
}

// set is the value of an interval.Map that is only a set.
type set = interval.Plain[uint64, struct{}]

// A use says why pages can't be allocated: they have n references, or none,
// but memory (dirty), or were punched while others might see them (spent).
type use struct {
	n     int32
	spent bool
}

// Split implements interval.Value.
func (u use) Split(Range, uint64) use { return u }

// Join implements interval.Value.
func (u use) Join(_, _ Range, o use) (use, bool) { return u, u == o }

var _ platform.File = (*File)(nil)

// New returns the File on the descriptor fd of an empty file on a tmpfs
// (memfd_create or the container's private mount), and on readOnly, a second
// description of the same file opened O_RDONLY. It owns both from then on.
func New(fd, readOnly int) (*File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("page file: %w", err)
	}
	f := &File{fd: fd, ro: readOnly, size: uint64(st.Size), flushing: make(chan struct{}, 1)}
	f.timer = time.AfterFunc(time.Hour, f.tick)
	f.timer.Stop()
	f.cooler = time.AfterFunc(time.Hour, f.cool)
	f.cooler.Stop()
	return f, nil
}

// FD implements platform.File: the descriptor for pages that a guest may write.
func (f *File) FD() int { return f.fd }

// ReadOnly is the platform.File through which pages that a guest must not
// write are mapped, so that no mprotect makes them writable. It is always the
// same value.
func (f *File) ReadOnly() platform.File { return readOnly{f} }

type readOnly struct{ f *File }

// FD implements platform.File.
func (r readOnly) FD() int { return r.f.ro }

// IncRef adds a reference to each page of r; each has one already.
func (f *File) IncRef(r Range) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uses.Update(r, func(_ Range, u *use) { u.n++ })
}

// IncRefs is IncRef of many ranges.
func (f *File) IncRefs(rs []Range) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rs {
		f.uses.Update(r, func(_ Range, u *use) { u.n++ })
	}
}

// DecRef gives up a reference to each page of r. The memory of pages that have
// none left goes back to the host a little later, in batches.
func (f *File) DecRef(r Range) { f.DecRefs([]Range{r}) }

// DecRefLate is DecRef for pages that the address space's other threads may still
// read until the host has been told otherwise: it takes effect after flushDelay
// at the earliest, and not before settled says that this has happened, whoever else
// gives up the pages meanwhile.
func (f *File) DecRefLate(r Range, settled func() bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late[0] = append(f.late[0], lateRef{r, settled})
	f.armLocked()
}

// DecRefs is DecRef of many ranges.
func (f *File) DecRefs(rs []Range) {
	f.mu.Lock()
	flush := f.decRefsLocked(rs) && f.scheduleLocked()
	f.mu.Unlock()
	if flush {
		f.Flush()
	}
}

// decRefsLocked gives up references; last says that there are pages that have none left.
func (f *File) decRefsLocked(rs []Range) (last bool) {
	for _, r := range rs {
		gone := false
		f.uses.Update(r, func(er Range, u *use) {
			if u.n--; u.n == 0 {
				gone = true
				f.lent.Remove(er, nil)
				f.dirty.Insert(er, set{})
				f.dirtyN += er.Len()
			}
		})
		if gone {
			last = true
			for _, s := range f.arenas.In(r) {
				f.doomLocked(s.Arena)
			}
		}
	}
	return last
}

// scheduleLocked sees to it that dirty pages are flushed in time; it is true if
// the caller should, now.
func (f *File) scheduleLocked() bool {
	if f.dirtyN >= flushBytes {
		return true
	}
	f.armLocked()
	return false
}

func (f *File) armLocked() {
	if !f.armed && !f.closed {
		f.armed = true
		f.timer.Reset(flushDelay)
	}
}

// Exclusive reports whether h's owner alone has references to all pages of r,
// one each, and no other address space can still see them.
func (f *File) Exclusive(r Range, h *Holder) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.arenas.In(r) {
		if s.holders != 1 || !h.has(s.Arena) {
			return false
		}
	}
	for _, u := range f.uses.In(r) {
		if u.n != 1 {
			return false
		}
	}
	return true
}

// Pin keeps the memory of r from being given to anyone else while a host call
// uses it, whatever happens to its references. Unpin must follow soon.
func (f *File) Pin(r Range) {
	f.mu.Lock()
	f.pins = append(f.pins, r)
	f.mu.Unlock()
}

// Unpin undoes one Pin of r.
func (f *File) Unpin(r Range) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.pins {
		if f.pins[i] == r {
			last := len(f.pins) - 1
			f.pins[i], f.pins = f.pins[last], f.pins[:last]
			return
		}
	}
}

func (f *File) pinnedLocked(r Range) bool {
	for _, p := range f.pins {
		if p.Overlaps(r) {
			return true
		}
	}
	return false
}

// Clear makes the bytes of r, which has references, zero by giving their memory
// back to the host.
func (f *File) Clear(r Range) error { return f.punch(r) }

// Populate gives each page of r memory now. An error means that there is not enough.
func (f *File) Populate(r Range) error {
	for {
		err := unix.Fallocate(f.fd, unix.FALLOC_FL_KEEP_SIZE, int64(r.Start), int64(r.Len()))
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return err
		}
	}
	f.mu.Lock()
	f.lent.Remove(r, nil)
	f.mu.Unlock()
	// The memory is there, but the host clears a page, and only then counts it as present,
	// when it is first touched.
	for at := r.Start; at < r.End; {
		b := f.Bytes(at, r.End-at)
		if b == nil {
			return unix.ENOMEM
		}
		switch err := unix.Madvise(b, unix.MADV_POPULATE_WRITE); err {
		case nil, unix.EINVAL: // a host that can't
		case unix.EINTR, unix.EAGAIN:
			continue
		default:
			return err
		}
		unix.Madvise(b, unix.MADV_DONTNEED) //nolint:errcheck // the sentry's own view goes, to come as it is needed
		at += uint64(len(b))
	}
	return nil
}

func (f *File) punch(r Range) error {
	for {
		err := unix.Fallocate(f.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(r.Start), int64(r.Len()))
		if err != unix.EINTR {
			return err
		}
	}
}

// Usage is the number of bytes of memory that the file uses, but for what is warm.
func (f *File) Usage() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return 0, err
	}
	n := uint64(st.Blocks) * 512
	return n - min(n, f.warmUsage()), nil
}

// growLocked makes the host file reach end.
func (f *File) growLocked(end uint64) error {
	if end <= f.size {
		return nil
	}
	size := max(uint64(1)<<bits.Len64(end-1), chunkSize)
	if err := unix.Ftruncate(f.fd, int64(size)); err != nil {
		return linux.ENOMEM
	}
	f.size = size
	return nil
}

// Reserved is the number of bytes of offsets in arenas.
func (f *File) Reserved() (n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.arenas.All() {
		n += r.Len()
	}
	return n
}
