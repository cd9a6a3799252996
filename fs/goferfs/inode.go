package goferfs

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

// freshness is how long attributes of a shared mount are believed: as long as one
// walk may take, in which vfs asks for them several times.
const freshness = int64(500 * time.Microsecond)

// start is what now counts from: an arbitrary fixed time.
var start = time.Now()

// now is a monotonic time in nanoseconds.
func now() int64 { return int64(time.Since(start)) }

// An inode is a file of any type here.
type inode interface {
	vfs.Inode
	vfs.Counted
	base() *node
}

// A node is what inodes of all types have in common.
type node struct {
	fs   *filesystem
	id   wire.ID
	typ  linux.FileMode
	ino  atomic.Uint64        // the host's inode number when it was first seen; 0 until it is made
	data atomic.Pointer[data] // of a regular file that was opened; then never changes

	refs  atomic.Int64 // vfs's holds, and the kept listings that name it
	given uint32       // references that the gofer counts for us; protected by fs.mu

	// look says that attr is out of date, because the host changed it on our behalf; ask,
	// that somebody else may have changed it, owners included, which only the gofer sees.
	look, ask atomic.Bool

	above atomic.Pointer[dir] // in whose listing it was last seen; it need not be there any more

	late atomic.Int32 // changes that the host is yet to make
	made atomic.Bool  // the guest has made it

	marked atomic.Bool // ... and may have given it extended attributes

	making atomic.Pointer[making] // the host has not made it yet

	mu      lock.Mutex[lock.Inode]
	attr    wire.Attr
	ver     uint32 // changes of attr, so that a late reply does not undo a later one
	seen    int64  // when attr came; now()
	removed bool   // the last name is gone
	kept    bool   // ... and the gofer keeps the file for us
	bare    bool   // has no extended attributes
	acls    *acls  // what is known of its lists
	failed  error  // why the host refused a change that was put off, for fsync(2)
}

func (n *node) base() *node { return n }

// Hold implements vfs.Counted.
func (n *node) Hold() { n.refs.Add(1) }

// drop gives a reference back. It reports whether that was the last, in which case
// the node is no longer found, its descriptors are closed, and its id is forgotten.
func (n *node) drop() bool {
	for {
		r := n.refs.Load()
		if r <= 1 {
			break
		}
		if n.refs.CompareAndSwap(r, r-1) {
			return false
		}
	}
	fs := n.fs
	fs.mu.Lock()
	if n.refs.Add(-1) > 0 {
		fs.mu.Unlock()
		return false
	}
	if d, err := asDir(fs.inodes[n.id]); err == nil {
		fs.lost = max(fs.lost, d.edits.Load())
	}
	delete(fs.inodes, n.id)
	given := n.given
	d := n.data.Load()
	if d != nil {
		fs.unidleLocked(d)
	}
	fs.mu.Unlock()
	if d != nil {
		d.discard()
	}
	fs.client.Forget(n.id, given)
	n.mu.Lock()
	kept := n.kept
	n.mu.Unlock()
	if kept { // the gofer is all that keeps the file's blocks
		fs.client.FlushSoon()
	}
	return true
}

// Drop implements vfs.Counted.
func (n *node) Drop() { n.drop() }

// version is what store wants, from before the question was asked.
func (n *node) version() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ver
}

// store remembers a as the attributes, unless they have changed since ver: then the
// next who asks looks again.
func (n *node) store(a *wire.Attr, ver uint32) {
	if a.Mode == 0 { // the gofer could not tell
		n.ask.Store(true)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.storeLocked(a, ver) {
		n.ver++
	}
}

// storeLocked is store that leaves ver as it is. It reports whether it has stored.
func (n *node) storeLocked(a *wire.Attr, ver uint32) bool {
	if n.ver != ver {
		n.ask.Store(true)
		return false
	}
	old := n.attr
	n.attr = *a
	if a.Btime == (wire.Time{}) { // fstat(2) tells neither
		n.attr.Btime, n.attr.Flags = old.Btime, old.Flags
	}
	n.seen = now()
	n.bare = a.Flags&wire.AttrBare != 0 || n.bare && !n.fs.shared
	return true
}

// storeAsked is store of attributes that somebody else may have changed, and with them what
// else was known of n.
func (n *node) storeAsked(a *wire.Attr, ver uint32) {
	n.mu.Lock()
	if n.ver == ver && a.Mode != 0 {
		n.bare, n.acls = false, nil
	}
	n.mu.Unlock()
	n.store(a, ver)
}

// confirm is store of attributes that were asked for after n was put in doubt: unless
// they have changed since ver, n no longer is.
func (n *node) confirm(a *wire.Attr, ver uint32) {
	if n.version() != ver {
		return
	}
	n.ask.Store(false)
	n.storeAsked(a, ver)
}

// suspect puts the attributes in doubt, also those that are under way.
func (n *node) suspect() {
	n.mu.Lock()
	n.ver++
	n.mu.Unlock()
	n.ask.Store(true)
}

// stale reports whether the attributes have to be asked for.
func (n *node) stale() bool {
	if n.look.Load() || n.ask.Load() {
		return true
	}
	if d := n.data.Load(); d != nil && d.Mapped() && d.MappedWritable() {
		return true
	}
	if !n.fs.shared {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return now()-n.seen > freshness
}

// refresh asks for the attributes: the descriptor if there is one, else the gofer.
func (n *node) refresh(c vfs.Ctx) error {
	// Before the question: a later change sets them again.
	n.look.Store(false)
	ask := n.ask.Swap(false) || n.fs.shared
	ver := n.version()
	if !ask && n.fstat(ver) {
		return nil
	}
	var r wire.AttrResp
	err := n.fs.call(c, &wire.GetattrReq{ID: n.id, Lists: n.fs.lists.Load()}, &r, nil)
	if (err == linux.ESTALE || err == linux.EBADF) && n.gone() {
		return nil // nothing changes it any more but what we do
	}
	if err != nil {
		n.ask.Store(true)
		return err
	}
	n.storeAsked(&r.Attr, ver)
	return nil
}

// fstat takes the attributes from a descriptor, if there is one. It shows the owners
// as this process's user namespace has them, which does not know them, and what
// overlayfs may have given a new number on copying up: those stay.
func (n *node) fstat(ver uint32) bool {
	d := n.data.Load()
	if d == nil || n.late.Load() > 0 { // looked at after ver: none has been made since
		return false
	}
	fd := d.current(false)
	if fd == nil {
		return false
	}
	defer fd.DecRef()
	a, err := fd.attr()
	if err != nil {
		return false
	}
	n.mu.Lock()
	a.Dev, a.Ino, a.UID, a.GID = n.attr.Dev, n.attr.Ino, n.attr.UID, n.attr.GID
	n.mu.Unlock()
	n.store(&a, ver)
	return true
}

// Attr implements vfs.Inode.
func (n *node) Attr(c vfs.Ctx) (vfs.Attr, error) {
	n.openMade(c)
	if err := n.makeFirst(c); err != nil {
		return vfs.Attr{}, err
	}
	if err := n.settled(c); err != nil {
		return vfs.Attr{}, err
	}
	if n.stale() {
		if err := n.refresh(c); err != nil {
			return vfs.Attr{}, err
		}
	}
	return n.lastAttr(), nil
}

// BasicAttr implements vfs.BasicAttrer: times and sizes are those of some time ago.
func (n *node) BasicAttr(c vfs.Ctx) (vfs.Attr, error) {
	if n.ask.Load() || n.fs.shared && n.stale() || n.look.Load() && n.losesIDs() {
		if err := n.refresh(c); err != nil {
			return vfs.Attr{}, err
		}
	}
	return n.lastAttr(), nil
}

// losesIDs reports whether a write may change the mode.
func (n *node) losesIDs() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return linux.FileMode(n.attr.Mode)&(linux.S_ISUID|linux.S_ISGID) != 0
}

// lastAttr is the attributes as they were last seen.
func (n *node) lastAttr() vfs.Attr {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := &n.attr
	out := vfs.Attr{
		Ino: n.ino.Load(), Mode: linux.FileMode(a.Mode), Nlink: a.Nlink, UID: a.UID, GID: a.GID, Rdev: a.Rdev,
		Size: int64(a.Size), Blocks: a.Blocks, Blksize: a.Blksize,
		Atime: timespec(a.Atime), Mtime: timespec(a.Mtime), Ctime: timespec(a.Ctime), Btime: timespec(a.Btime),
	}
	if a.Dev != n.fs.dev {
		out.Dev = a.Dev // another filesystem of the host, mounted below ours
	}
	return out
}

func timespec(t wire.Time) linux.Timespec { return linux.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)} }

func wireTime(t linux.Timespec) wire.Time { return wire.Time{Sec: t.Sec, Nsec: uint32(t.Nsec)} }

// attrOfStat is st as the wire has it, without the time of birth.
func attrOfStat(st *unix.Stat_t) wire.Attr {
	t := func(t unix.Timespec) wire.Time { return wire.Time{Sec: t.Sec, Nsec: uint32(t.Nsec)} }
	return wire.Attr{
		Dev: st.Dev, Ino: st.Ino, Rdev: st.Rdev, Size: uint64(st.Size), Blocks: uint64(st.Blocks),
		Mode: st.Mode, Nlink: uint32(st.Nlink), UID: st.Uid, GID: st.Gid, Blksize: uint32(st.Blksize),
		Atime: t(st.Atim), Mtime: t(st.Mtim), Ctime: t(st.Ctim),
	}
}

// SetAttr implements vfs.Inode.
func (n *node) SetAttr(c vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) error {
	if n.fs.readOnly {
		return linux.EROFS
	}
	if mask&vfs.SetSize != 0 {
		if n.typ != linux.S_IFREG {
			return linux.EINVAL
		}
		if done, err := n.truncateHere(c, a.Size, mask); done || err != nil {
			return err
		}
	}
	q := wire.SetattrReq{ID: n.id, Mode: uint32(a.Mode.Perm()), UID: a.UID, GID: a.GID, Size: uint64(a.Size),
		Atime: wireTime(a.Atime), Mtime: wireTime(a.Mtime)}
	for m, w := range setMasks {
		if mask&m != 0 {
			q.Mask |= w
		}
	}
	if n.maySetLater(a, mask) && n.setLater(&q, done(c)) {
		return nil
	}
	ver := n.version()
	var r wire.AttrResp
	if err := n.fs.call(c, &q, &r, nil); err != nil {
		return err
	}
	n.storeSet(&r.Attr, ver, a, mask)
	if err := n.copiedUp(c); err != nil {
		return err
	}
	if mask&vfs.SetSize != 0 {
		n.cutMappings(a.Size)
	}
	return nil
}

// storeSet is store of at, which is the attributes since those of a that mask names were set.
func (n *node) storeSet(at *wire.Attr, ver uint32, a *vfs.Attr, mask vfs.AttrMask) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if mask&vfs.SetMode != 0 {
		n.chmodACLLocked(a.Mode)
	}
	if n.storeLocked(at, ver) {
		n.ver++
	}
}

// setMasks translates vfs's bits to the wire's. It is never changed.
var setMasks = map[vfs.AttrMask]wire.SetMask{
	vfs.SetMode: wire.SetMode, vfs.SetUID: wire.SetUID, vfs.SetGID: wire.SetGID,
	vfs.SetSize: wire.SetSize, vfs.SetAtime: wire.SetAtime, vfs.SetMtime: wire.SetMtime,
}

// A symlink is a symbolic link; its target never changes.
type symlink struct {
	node
	target string
}

// Readlink implements vfs.Symlink.
func (s *symlink) Readlink(vfs.Ctx) (string, error) { return s.target, nil }

// Open implements vfs.Inode; vfs never calls it.
func (s *symlink) Open(vfs.Ctx, linux.OpenFlags) (vfs.File, error) { return nil, linux.ELOOP }

// A special is a name of what the sentry itself makes work: a device, a FIFO, a socket.
type special struct{ node }

// Open implements vfs.Inode; vfs never calls it.
func (*special) Open(vfs.Ctx, linux.OpenFlags) (vfs.File, error) { return nil, linux.ENXIO }
