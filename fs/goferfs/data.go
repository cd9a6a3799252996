package goferfs

import (
	"math"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/list"
	"garrison/sentry/lock"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// data is the bytes of a regular file: its descriptors, and who maps it. It is what
// mmap(2) shows, an mm.Mappable.
type data struct {
	mm.MappingSet
	n *node

	// appending is held while a write goes to the end, for that moves the position of
	// the host's descriptor.
	appending lock.Mutex[lock.Inode]

	opens atomic.Int32     // open files; changes with fs.mu held
	along bool             // opened along with another, and not asked for yet; protected by fs.mu
	fresh atomic.Bool      // opened to be made, and had no descriptor yet; changes with fs.mu held
	place list.Elem[*data] // in fs.idle; protected by fs.mu

	dropped atomic.Bool // its descriptors were closed; changes with mu held

	mu     lock.Mutex[lock.FileData]
	ro, rw *descriptor // either, both or none; rw serves for reading too
	upper  bool        // the host's overlayfs has copied the file up, or never will
	noexec int8        // 1: the host's mount forbids execution; -1: it does not; 0: not known
}

// bytes is the data of a regular file.
func (n *node) bytes() *data {
	if d := n.data.Load(); d != nil {
		return d
	}
	d := &data{n: n}
	d.place.Value = d
	if n.data.CompareAndSwap(nil, d) {
		return d
	}
	return n.data.Load()
}

// current is a descriptor to use now, referenced, or nil if there is none.
func (d *data) current(write bool) *descriptor {
	d.mu.Lock()
	defer d.mu.Unlock()
	fd := d.rw
	if fd == nil && !write {
		fd = d.ro
	}
	if fd != nil {
		fd.IncRef()
	}
	return fd
}

// open counts one more open file, and sees to it that there is a descriptor for it.
func (d *data) open(c vfs.Ctx, mode wire.OpenMode) error {
	fs := d.n.fs
	fs.mu.Lock()
	if d.along {
		fs.reading.used++
	}
	fs.unidleLocked(d)
	d.opens.Add(1)
	fs.mu.Unlock()
	err := d.acquire(c, mode)
	if err != nil {
		d.close()
	}
	return err
}

// openLater counts one more open file, which gets a descriptor when it needs one.
func (d *data) openLater() {
	fs := d.n.fs
	fs.mu.Lock()
	d.fresh.Store(true)
	d.opens.Add(1)
	fs.mu.Unlock()
}

// openMade is called before somebody waits for the attributes of a file. If it is open and the
// host is yet to make it, a descriptor comes in the same message: what asks for attributes
// then, as stdio and Python do before they write, would want one next. What goes wrong is told
// to who needs it.
func (n *node) openMade(c vfs.Ctx) {
	d := n.data.Load()
	if d == nil || n.making.Load() == nil || !d.fresh.Load() || !d.isOpen() {
		return
	}
	if fd, err := d.use(c, true); err == nil {
		fd.DecRef()
	}
}

// use is a descriptor for an open file, referenced, after all that was put off.
func (d *data) use(c vfs.Ctx, write bool) (*descriptor, error) {
	if d.n.making.Load() == nil {
		if err := d.n.settled(c); err != nil {
			return nil, err
		}
	}
	fd := d.current(write)
	if fd == nil { // it was opened before the host had it
		if err := d.acquire(c, wire.OpenWrite); err == linux.EBADF {
			return nil, linux.EIO // the host did not make it
		} else if err != nil {
			return nil, err
		}
		fd = d.current(write)
	}
	if fd == nil {
		return nil, linux.EIO
	}
	return fd, nil
}

// close counts one open file less. The descriptors stay, for the next to open it.
func (d *data) close() {
	fs, gone := d.n.fs, d.n.gone()
	d.mu.Lock()
	none := d.ro == nil && d.rw == nil
	d.mu.Unlock()
	fs.mu.Lock()
	open := d.opens.Add(-1)
	if i := fs.inodes[d.n.id]; open == 0 && !gone && !none && i != nil && i.base() == d.n {
		fs.idle.PushFront(&d.place)
		fs.idles++
	}
	over := fs.idles > maxIdle
	idle := open == 0 && !d.place.Linked()
	fs.mu.Unlock()
	if idle {
		d.discard()
	}
	if over {
		fs.trimIdle(maxIdle)
	}
}

// isOpen reports whether somebody has the file open.
func (d *data) isOpen() bool {
	return d.opens.Load() > 0
}

// unidleLocked takes d off the list of what may be closed. fs.mu is held.
func (fs *filesystem) unidleLocked(d *data) {
	d.along = false
	if d.place.Linked() {
		d.place.Remove()
		fs.idles--
	}
}

// trimIdle closes what was open longest ago, until only keep files are left.
func (fs *filesystem) trimIdle(keep int) {
	for {
		fs.mu.Lock()
		if fs.idles <= keep {
			fs.mu.Unlock()
			return
		}
		d := fs.idle.Back().Value
		fs.unidleLocked(d)
		fs.mu.Unlock()
		if d.n.look.Load() {
			_ = d.n.refresh(nil) // while it costs no round trip
		}
		d.discard()
	}
}

// discard closes the descriptors, unless the file is open.
func (d *data) discard() {
	if d.isOpen() {
		return
	}
	// Whoever opens it just now finds none and asks for another.
	d.mu.Lock()
	ro, rw := d.ro, d.rw
	d.ro, d.rw = nil, nil
	if ro != nil || rw != nil {
		d.dropped.Store(true)
	}
	d.mu.Unlock()
	for _, fd := range []*descriptor{ro, rw} {
		if fd != nil {
			fd.DecRef()
		}
	}
}

// acquire gets a descriptor for mode, if there is none yet, and truncates.
func (d *data) acquire(c vfs.Ctx, mode wire.OpenMode) error {
	write := mode&wire.OpenWrite != 0
	if fd := d.current(write); fd != nil {
		defer fd.DecRef()
		if mode&wire.OpenTruncate != 0 {
			return d.truncate(c, fd, 0)
		}
		return nil
	}
	if mode == wire.OpenRead {
		if done, err := d.openAlong(c); done || err != nil {
			return err
		}
	}
	ver := d.n.version()
	a, fd, err := d.n.openHost(c, mode)
	if err != nil {
		return err
	}
	d.n.store(a, ver)
	d.install(fd)
	if mode&wire.OpenTruncate != 0 {
		d.n.cutMappings(0)
	}
	return nil
}

// openHost asks the gofer for a descriptor. If this process has no room for it, those
// that are only kept make way.
func (n *node) openHost(c vfs.Ctx, mode wire.OpenMode) (*wire.Attr, *descriptor, error) {
	fs := n.fs
	for try := range 2 {
		var r wire.AttrResp
		var fds wire.FDs
		if err := n.callFirst(c, &wire.OpenReq{ID: n.id, Mode: mode}, &r, &fds); err != nil {
			return nil, nil, err
		}
		fd := fds.Take()
		fds.Close()
		if fd >= 0 {
			return &r.Attr, fs.newDescriptor(fd, mode&wire.OpenWrite != 0), nil
		}
		if try == 0 {
			fs.trimIdle(0)
		}
	}
	return nil, nil, linux.ENFILE
}

// install puts a new descriptor to use. One for writing replaces one for reading,
// which on the host's overlayfs may by now show a file of the past.
func (d *data) install(fd *descriptor) {
	mayMove := d.n.mayCopyUp()
	d.n.fs.mu.Lock()
	d.fresh.Store(false)
	d.n.fs.mu.Unlock()
	var drop *descriptor
	moved := false
	d.mu.Lock()
	d.dropped.Store(false)
	switch {
	case fd.write && d.rw == nil:
		d.rw, drop, d.ro = fd, d.ro, nil
		moved = !d.upper && drop != nil && mayMove
		d.upper = true
	case !fd.write && d.rw == nil && d.ro == nil:
		d.ro = fd
	default:
		drop = fd // somebody else was faster
	}
	d.mu.Unlock()
	if drop != nil {
		drop.DecRef()
	}
	if moved {
		d.Invalidate(d, 0, lastPage, false)
	}
}

// isLower reports whether the host's overlayfs may still copy the file up.
func (d *data) isLower() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.upper
}

// lastPage is the end of all files, page aligned.
const lastPage = math.MaxInt64 &^ arch.PageMask

// mayCopyUp reports whether the host keeps the file on overlayfs, or might.
func (n *node) mayCopyUp() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fs.overlay || n.attr.Dev != n.fs.dev
}

// copiedUp is called after the gofer changed what makes overlayfs copy a file up: a
// descriptor for reading that is older than that shows the old file, for ever.
func (n *node) copiedUp(c vfs.Ctx) error {
	d := n.data.Load()
	if d == nil || !n.mayCopyUp() {
		return nil
	}
	d.mu.Lock()
	old := d.ro
	done := d.upper
	d.upper = true
	d.mu.Unlock()
	if done || old == nil {
		return nil
	}
	if !d.isOpen() && !d.Mapped() {
		d.discard()
		return nil
	}
	_, fd, err := n.openHost(c, wire.OpenRead)
	if err != nil {
		return err
	}
	d.mu.Lock()
	if d.ro == old {
		d.ro = fd
	} else {
		old = fd
	}
	d.mu.Unlock()
	old.DecRef()
	d.Invalidate(d, 0, lastPage, false)
	return nil
}

// truncateHere sets the size by the descriptor at hand, if that is all that is asked.
func (n *node) truncateHere(c vfs.Ctx, size int64, mask vfs.AttrMask) (done bool, err error) {
	d := n.data.Load()
	if d == nil || mask&^(vfs.SetSize|vfs.SetMtime) != 0 {
		return false, nil
	}
	fd := d.current(true)
	if fd == nil {
		return false, nil
	}
	defer fd.DecRef()
	return true, d.truncate(c, fd, size)
}

// truncate sets the size by a descriptor.
func (d *data) truncate(c vfs.Ctx, fd *descriptor, size int64) error {
	if err := d.n.settled(c); err != nil {
		return err
	}
	for {
		err := unix.Ftruncate(fd.fd, size)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		d.n.wrote()
		d.n.cutMappings(size)
		return nil
	}
}

// wrote notes that the host has changed the attributes by what we did.
func (n *node) wrote() { n.look.Store(true) }

// cutMappings takes what lies beyond the new size away from who maps it.
func (n *node) cutMappings(size int64) {
	if d := n.data.Load(); d != nil && d.Mapped() {
		d.Invalidate(d, (uint64(size)+arch.PageMask)&^arch.PageMask, lastPage, true)
	}
}

// gone reports whether the file has lost its last name.
func (n *node) gone() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.removed
}
