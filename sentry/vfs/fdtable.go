package vfs

import (
	"math/bits"
	"sync/atomic"

	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// An FD is a file descriptor.
type FD int32

// An FDTable is a process's descriptors (struct files_struct), shared with
// CLONE_FILES. Get takes no lock. An FDTable is the owner of its process's record locks.
type FDTable struct {
	users atomic.Int32

	// slots is replaced as a whole to grow; a slot changes with mu held.
	slots atomic.Pointer[[]fdSlot]

	mu      lock.Mutex[lock.FDTable]
	used    []uint64 // a bit each; protected by mu
	cloexec []uint64 // a bit each; protected by mu
	next    int      // no descriptor below is free; protected by mu
}

type fdSlot struct {
	d atomic.Pointer[FileDescription]
}

// NewFDTable is an empty table with one user.
func NewFDTable() *FDTable {
	t := &FDTable{}
	t.users.Store(1)
	t.slots.Store(new([]fdSlot))
	return t
}

// Get returns the file of fd, held: EBADF, also for files opened with O_PATH.
func (t *FDTable) Get(fd FD) (*FileDescription, error) {
	d, err := t.GetPath(fd)
	if err == nil && d.IsPath() {
		d.refs.Add(-1) // the table has another
		return nil, linux.EBADF
	}
	return d, err
}

// GetPath is Get for calls that take O_PATH files too.
func (t *FDTable) GetPath(fd FD) (*FileDescription, error) {
	for {
		d := t.peek(fd)
		if d == nil {
			return nil, linux.EBADF
		}
		if !d.tryRef() {
			continue // closed just now: the slot has changed
		}
		if t.peek(fd) == d {
			return d, nil
		}
		d.DecRef()
	}
}

func (t *FDTable) peek(fd FD) *FileDescription {
	s := *t.slots.Load()
	if uint(fd) >= uint(len(s)) {
		return nil
	}
	return s[fd].d.Load()
}

// growLocked makes room for descriptor fd.
func (t *FDTable) growLocked(fd int) {
	old := *t.slots.Load()
	if fd < len(old) {
		return
	}
	n := max(64, 2*len(old), (fd+64)&^63)
	s := make([]fdSlot, n)
	for i := range old {
		s[i].d.Store(old[i].d.Load())
	}
	t.used = append(t.used, make([]uint64, n/64-len(t.used))...)
	t.cloexec = append(t.cloexec, make([]uint64, n/64-len(t.cloexec))...)
	t.slots.Store(&s)
}

// freeLocked is the lowest free descriptor from lowest on.
func (t *FDTable) freeLocked(lowest int) int {
	from := max(lowest, t.next)
	for w := from / 64; w < len(t.used); w++ {
		free := ^t.used[w]
		if w == from/64 {
			free &= ^uint64(0) << (from % 64)
		}
		if free != 0 {
			return w*64 + bits.TrailingZeros64(free)
		}
	}
	return max(from, len(t.used)*64)
}

// setLocked puts d, held for the table, at fd, and returns what was there.
func (t *FDTable) setLocked(fd int, d *FileDescription, cloexec bool) (old *FileDescription) {
	t.growLocked(fd)
	w, bit := fd/64, uint64(1)<<(fd%64)
	t.cloexec[w] &^= bit
	if d == nil {
		t.used[w] &^= bit
		t.next = min(t.next, fd)
	} else {
		t.used[w] |= bit
		if cloexec {
			t.cloexec[w] |= bit
		}
		if fd == t.next {
			t.next++
		}
	}
	return (*t.slots.Load())[fd].d.Swap(d)
}

func limitOf(c Ctx) int { return int(min(c.Limit(limits.NOFile), 1<<30)) }

// Install puts d at the lowest free descriptor from lowest on, below RLIMIT_NOFILE:
// EMFILE, or EINVAL if lowest is not below the limit. It takes its own reference.
func (t *FDTable) Install(c Ctx, d *FileDescription, lowest FD, cloexec bool) (FD, error) {
	limit := limitOf(c)
	if lowest < 0 || int(lowest) >= limit {
		if lowest != 0 {
			return -1, linux.EINVAL
		}
		return -1, linux.EMFILE
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fd := t.freeLocked(int(lowest))
	if fd >= limit {
		return -1, linux.EMFILE
	}
	d.IncRef()
	t.setLocked(fd, d, cloexec)
	return FD(fd), nil
}

// Full reports whether Install at the lowest would give EMFILE: for a call that must not
// go on if its result can't have a descriptor (accept(2)).
func (t *FDTable) Full(c Ctx) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.freeLocked(0) >= limitOf(c)
}

// InstallAll puts all at the lowest free descriptors, or none.
func (t *FDTable) InstallAll(c Ctx, cloexec bool, ds ...*FileDescription) ([]FD, error) {
	limit := limitOf(c)
	t.mu.Lock()
	defer t.mu.Unlock()
	fds := make([]FD, 0, len(ds))
	for _, d := range ds {
		fd := t.freeLocked(0)
		if fd >= limit {
			for _, x := range fds {
				t.setLocked(int(x), nil, false).refs.Add(-1) // the caller has another
			}
			return nil, linux.EMFILE
		}
		d.IncRef()
		t.setLocked(fd, d, cloexec)
		fds = append(fds, FD(fd))
	}
	return fds, nil
}

// Replace puts d at fd and closes what was there: dup2(2). EBADF beyond the limit.
func (t *FDTable) Replace(c Ctx, fd FD, d *FileDescription, cloexec bool) error {
	if fd < 0 || int(fd) >= limitOf(c) {
		return linux.EBADF
	}
	d.IncRef()
	t.mu.Lock()
	old := t.setLocked(int(fd), d, cloexec)
	t.mu.Unlock()
	if old != nil {
		t.closed(c, old) // its error is lost, as on Linux
	}
	return nil
}

// closed does what close(2) does with the file of a descriptor that is free now.
func (t *FDTable) closed(c Ctx, d *FileDescription) (err error) {
	if !d.IsPath() {
		if x, ok := d.file.(Flusher); ok {
			err = x.Flush(c)
		}
		d.DropRecordLocks(t)
	}
	d.Release(c)
	return err
}

// Close is close(2).
func (t *FDTable) Close(c Ctx, fd FD) error {
	t.mu.Lock()
	d := t.peek(fd)
	if d == nil {
		t.mu.Unlock()
		return linux.EBADF
	}
	t.setLocked(int(fd), nil, false)
	t.mu.Unlock()
	return t.closed(c, d)
}

// CloseRange is close_range(2) without CLOSE_RANGE_UNSHARE: what it does to first to
// last, both included, is to mark them close-on-exec or to close them.
func (t *FDTable) CloseRange(c Ctx, first, last uint32, cloexec bool) {
	t.closeIf(c, func(fd int) bool {
		if uint32(fd) < first || uint32(fd) > last {
			return false
		}
		if cloexec {
			t.cloexec[fd/64] |= 1 << (fd % 64)
		}
		return !cloexec
	})
}

// CloseOnExec closes what is marked so.
func (t *FDTable) CloseOnExec(c Ctx) {
	t.closeIf(c, func(fd int) bool { return t.cloexec[fd/64]>>(fd%64)&1 != 0 })
}

// closeIf closes the descriptors that which, called with mu held, chooses.
func (t *FDTable) closeIf(c Ctx, which func(fd int) bool) {
	var ds []*FileDescription
	t.mu.Lock()
	for w := range t.used {
		for left := t.used[w]; left != 0; left &= left - 1 {
			fd := w*64 + bits.TrailingZeros64(left)
			if which(fd) {
				ds = append(ds, t.setLocked(fd, nil, false))
			}
		}
	}
	t.mu.Unlock()
	for _, d := range ds {
		t.closed(c, d)
	}
}

// CloExec is fcntl(F_GETFD): EBADF.
func (t *FDTable) CloExec(fd FD) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peek(fd) == nil {
		return false, linux.EBADF
	}
	return t.cloexec[fd/64]>>(fd%64)&1 != 0, nil
}

// SetCloExec is fcntl(F_SETFD): EBADF.
func (t *FDTable) SetCloExec(fd FD, on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peek(fd) == nil {
		return linux.EBADF
	}
	t.cloexec[fd/64] &^= 1 << (fd % 64)
	if on {
		t.cloexec[fd/64] |= 1 << (fd % 64)
	}
	return nil
}

// Copy is a copy with one user: fork(2).
func (t *FDTable) Copy() *FDTable { return t.CopyBelow(1 << 31) }

// CopyBelow is a copy of the descriptors below n: close_range(2) with
// CLOSE_RANGE_UNSHARE.
func (t *FDTable) CopyBelow(n int) *FDTable {
	x := NewFDTable()
	t.mu.Lock()
	defer t.mu.Unlock()
	x.used = append([]uint64(nil), t.used...)
	x.cloexec = append([]uint64(nil), t.cloexec...)
	x.next = min(t.next, n)
	old := *t.slots.Load()
	s := make([]fdSlot, len(old))
	for i := range old {
		d := old[i].d.Load()
		switch {
		case d == nil:
		case i >= n:
			x.used[i/64] &^= 1 << (i % 64)
			x.cloexec[i/64] &^= 1 << (i % 64)
		default:
			d.IncRef()
			s[i].d.Store(d)
		}
	}
	x.slots.Store(&s)
	return x
}

// IncRef counts one more task: CLONE_FILES.
func (t *FDTable) IncRef() { t.users.Add(1) }

// DecRef counts one less; with the last all is closed.
func (t *FDTable) DecRef(c Ctx) {
	if t.users.Add(-1) == 0 {
		t.closeIf(c, func(int) bool { return true })
	}
}

// Users is how many tasks share it.
func (t *FDTable) Users() int { return int(t.users.Load()) }

// FDs is the descriptors in use, in order, for /proc/pid/fd.
func (t *FDTable) FDs() (fds []FD) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for w, left := range t.used {
		for ; left != 0; left &= left - 1 {
			fds = append(fds, FD(w*64+bits.TrailingZeros64(left)))
		}
	}
	return fds
}

// Size is how many descriptors there is room for: FDSize in /proc/pid/status.
func (t *FDTable) Size() int { return len(*t.slots.Load()) }
