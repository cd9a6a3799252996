package vfs

import (
	"sync"
	"sync/atomic"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A Filesystem is one instance of a Type: what mounts show (a super block).
type Filesystem struct {
	sys    *System
	typ    *Type
	inode  Inode // the root's; it also speaks for the whole
	root   *Dentry
	dev    uint64
	hidden bool   // kernel-internal: names are shown as they are
	base   string // where the root is in what it is a part of; "" if it is the whole
	user   *auth.UserNamespace
	stack  int      // how many filesystems it lies on
	on     *diskUse // the block device that it lies on; nil: on none

	refs     atomic.Int64  // mounts, and what keeps it otherwise
	readOnly atomic.Bool   // all of it, whatever the mounts say
	flags    atomic.Uint64 // MS_SYNCHRONOUS, MS_DIRSYNC, MS_MANDLOCK, MS_LAZYTIME: told, not obeyed
	writers  atomic.Int64  // files that are open for writing
	watches  atomic.Int32  // watches of it and on its inodes and mounts: 0 is the fast path
	askers   atomic.Int32  // of those, by groups that can forbid
	marks    watchList     // on the whole of it
	locked   atomic.Int32  // inodes with file locks: 0 is the fast path
	text     textTable
	renames  atomic.Uint64 // changes of directories' places, for d_path
	rename   lock.Mutex[lock.Rename]

	mu     sync.Mutex
	states map[Inode]*inodeState // protected by mu
}

// NewFilesystem makes a filesystem of type t for c, who must be privileged in the user
// namespace that it will belong to (EPERM). It has one reference, the caller's.
func (s *System) NewFilesystem(c Ctx, t *Type, a *NewArgs) (*Filesystem, error) {
	user := a.user
	if !a.chosen {
		user = t.ownerFor(c)
	}
	if err := t.mayMake(c, user); err != nil {
		return nil, err
	}
	a.System = s
	if t.Flags&OnDisk != 0 {
		if fs, err := s.onDisk(c, t, a); fs != nil || err != nil {
			return fs, err
		}
	}
	root, err := t.New(c, a)
	if err != nil {
		return nil, err
	}
	fs := s.NewFilesystemOf(t, root)
	if fs.stack > maxStack {
		fs.DecRef()
		return nil, linux.EINVAL
	}
	fs.user = user
	fs.setReadOnly(a.Flags&linux.MS_RDONLY != 0)
	return fs, nil
}

// NewFilesystemOf makes a filesystem of a root inode (held once, handed over) that
// the caller has made: at boot, for what needs more than options. It has one
// reference, the caller's.
func (s *System) NewFilesystemOf(t *Type, root Inode) *Filesystem {
	return s.newFilesystem(t, root, nil)
}

// newFilesystem is NewFilesystemOf, on a block device unless on is nil, which it takes
// over.
func (s *System) newFilesystem(t *Type, root Inode, on *diskUse) *Filesystem {
	fs := &Filesystem{sys: s, typ: t, inode: root, on: on, states: map[Inode]*inodeState{}}
	fs.setReadOnly(false)
	fs.countStack()
	if x, ok := root.(Devicer); ok {
		fs.dev = x.Device()
	} else if on != nil {
		fs.dev = on.disk().Number()
	} else {
		fs.dev = s.NewDev()
	}
	d, err := newDentry(s.internl, fs, nil, "/", root)
	if err != nil {
		// A root that can't be looked at is a directory without names.
		d = &Dentry{fs: fs, node: root, typ: linux.S_IFDIR}
		d.place.Store(&place{name: "/"})
		d.refs.Store(1)
	}
	fs.root = d
	fs.refs.Store(1)
	if x, ok := root.(Starter); ok {
		x.Start(fs)
	}
	s.mu.Lock()
	s.fss[fs] = struct{}{}
	s.listSettlersLocked()
	s.mu.Unlock()
	return fs
}

// setReadOnly says whether writing is allowed, if the type can do it at all.
func (fs *Filesystem) setReadOnly(ro bool) { fs.readOnly.Store(ro || fs.typ.Flags&ReadOnly != 0) }

// NewDev is a device number for what has no device.
func (s *System) NewDev() uint64 { return linux.Makedev(0, s.lastDev.Add(1)+20) }

// Dev is the device number that stat shows.
func (fs *Filesystem) Dev() uint64 { return fs.dev }

// Type is the filesystem's type.
func (fs *Filesystem) Type() *Type { return fs.typ }

// System is the virtual filesystem that fs is part of.
func (fs *Filesystem) System() *System { return fs.sys }

// PartOf says that fs is what lies at the path base of something larger, which is not
// there otherwise: /proc/pid/mountinfo shows it so. fs is not mounted yet.
func (fs *Filesystem) PartOf(base string) { fs.base = base }

// RootInode is the root's inode.
func (fs *Filesystem) RootInode() Inode { return fs.inode }

// IncRef and DecRef count references; with the last, fs shuts down.
func (fs *Filesystem) IncRef() { fs.refs.Add(1) }

// DecRef undoes IncRef.
func (fs *Filesystem) DecRef() {
	if fs.refs.Add(-1) != 0 {
		return
	}
	fs.sys.mu.Lock()
	delete(fs.sys.fss, fs)
	fs.sys.listSettlersLocked()
	fs.sys.mu.Unlock()
	fs.unmounted()
	fs.root.shrink()
	if x, ok := fs.inode.(Shutter); ok {
		x.Shutdown()
	}
	fs.leaveDisk()
	fs.root.unhashed.Store(true)
	fs.root.unref()
}

// Forget makes the cache give up the name that path leads to from the root, and all
// below it that nobody uses: the filesystem knows that it will not come back. A lookup
// that has begun before is waited for, so that it can't bring the name in again. What
// something is mounted on stays.
func (fs *Filesystem) Forget(path ...string) {
	if !fs.root.tryRef() {
		return
	}
	fs.root.forget(path, func(d *Dentry, name string) *Dentry {
		d.dir.op.Lock()
		defer d.dir.op.Unlock()
		x := d.child(name)
		if x != nil && x.mounted.Load() != 0 {
			x.unref()
			x = nil
		}
		return x
	})
}

// Sync writes back: syncfs(2).
func (fs *Filesystem) Sync(c Ctx) error {
	if x, ok := fs.inode.(FSSyncer); ok {
		return x.SyncFS(c)
	}
	return nil
}

// Statfs is statfs(2) of the filesystem seen through mnt (nil: unmounted).
func (fs *Filesystem) Statfs(c Ctx, mnt *Mount) (linux.Statfs, error) {
	st := linux.Statfs{Type: fs.typ.Magic, Bsize: 4096}
	if x, ok := fs.inode.(Statfser); ok {
		var err error
		if st, err = x.Statfs(c); err != nil {
			return st, err
		}
	}
	if st.Type == 0 {
		st.Type = fs.typ.Magic
	}
	if st.Frsize == 0 {
		st.Frsize = st.Bsize
	}
	if st.Namelen == 0 {
		st.Namelen = linux.NAME_MAX
	}
	if st.Fsid == [2]int32{} {
		st.Fsid = [2]int32{int32(fs.dev), int32(fs.dev >> 32)}
	}
	st.Flags |= linux.ST_VALID
	if mnt != nil {
		st.Flags |= mnt.statFlags()
	}
	if fs.readOnly.Load() {
		st.Flags |= linux.ST_RDONLY
	}
	return st, nil
}

// Flags is the filesystem's own flags: MS_RDONLY, MS_SYNCHRONOUS, MS_DIRSYNC…
func (fs *Filesystem) Flags() linux.MountFlags {
	f := linux.MountFlags(fs.flags.Load())
	if fs.readOnly.Load() {
		f |= linux.MS_RDONLY
	}
	return f
}

// showFlags is what /proc/mounts shows of them.
func (fs *Filesystem) showFlags() string {
	f, o := fs.Flags(), "rw"
	if f&linux.MS_RDONLY != 0 {
		o = "ro"
	}
	for _, x := range [...]struct {
		f linux.MountFlags
		s string
	}{
		{linux.MS_SYNCHRONOUS, ",sync"}, {linux.MS_DIRSYNC, ",dirsync"},
		{linux.MS_MANDLOCK, ",mand"}, {linux.MS_LAZYTIME, ",lazytime"},
	} {
		if f&x.f != 0 {
			o += x.s
		}
	}
	return o
}

// options are the type's own, as /proc/mounts shows them.
func (fs *Filesystem) options() string {
	if x, ok := fs.inode.(Shower); ok {
		return x.ShowOptions()
	}
	return ""
}

// An inodeState is what vfs keeps about an inode that is locked, watched, open as a
// FIFO or bound to a socket; most have none.
type inodeState struct {
	node    Inode // held
	users   int   // protected by the filesystem's mu
	locks   fileLocks
	watches watchList
	slot    Slot
	bound   any // protected by the filesystem's mu
}

// state returns i's state, with one more user. It is made if mk says so, else nil
// if there is none.
func (fs *Filesystem) state(i Inode, mk bool) *inodeState {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	st := fs.states[i]
	if st == nil {
		if !mk {
			return nil
		}
		holdInode(i)
		st = &inodeState{node: i}
		fs.states[i] = st
	}
	st.users++
	return st
}

// putState gives a use of st back.
func (fs *Filesystem) putState(st *inodeState) {
	fs.mu.Lock()
	st.users--
	gone := st.users == 0
	if gone {
		delete(fs.states, st.node)
	}
	fs.mu.Unlock()
	if gone {
		dropInode(st.node)
	}
}
