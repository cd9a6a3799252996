package vfs

import (
	"sync"

	"garrison/sentry/linux"
)

// initAnonymous makes the filesystems of files that have no name in any directory.
func (s *System) initAnonymous() {
	s.lastIno.Store(1 << 10)
	root := func(magic int64, name string) *Mount {
		fs := s.NewFilesystemOf(&Type{Name: name, Magic: magic}, NewAnonInode(s, linux.S_IFDIR|0o555))
		fs.hidden = true
		m := s.newMount(fs, fs.root, "none", 0)
		m.internalUse = true
		return m
	}
	s.pipefs = root(linux.PIPEFS_MAGIC, "pipefs")
	s.sockfs = root(linux.SOCKFS_MAGIC, "sockfs")
	s.nsfs = root(linux.NSFS_MAGIC, "nsfs")
	s.nsfs.source = "nsfs"
	s.anonfs = root(linux.ANON_INODE_FS_MAGIC, "anon_inodefs")
	s.anonInode = NewAnonInode(s, 0o600)
}

// NewIno is an inode number for what has no filesystem of its own.
func (s *System) NewIno() uint64 { return s.lastIno.Add(1) }

// AnonInode is the inode of a file that has no name: of a pipe or a socket one of its
// own, of all else a shared one.
type AnonInode struct {
	mu   sync.Mutex
	attr Attr // protected by mu
}

// NewAnonInode makes an AnonInode of type and permissions mode, owned by root.
func NewAnonInode(s *System, mode linux.FileMode) *AnonInode {
	now := s.internl.Now()
	return &AnonInode{attr: Attr{
		Ino: s.NewIno(), Mode: mode, Nlink: 1, Atime: now, Mtime: now, Ctime: now,
	}}
}

// Own makes the inode c's.
func (i *AnonInode) Own(c Ctx) *AnonInode {
	i.attr.UID, i.attr.GID = c.Creds().FSUID, c.Creds().FSGID
	return i
}

// Attr implements Inode.
func (i *AnonInode) Attr(Ctx) (Attr, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.attr, nil
}

// SetAttr implements Inode.
func (i *AnonInode) SetAttr(c Ctx, a *Attr, mask AttrMask) error {
	if mask&SetSize != 0 {
		return linux.EINVAL
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.attr.Set(a, mask)
	i.attr.Ctime = c.Now()
	return nil
}

// Open implements Inode: such a file can't be opened by name.
func (i *AnonInode) Open(Ctx, linux.OpenFlags) (File, error) { return nil, linux.ENXIO }

// Set copies from b what mask names, but for the size.
func (a *Attr) Set(b *Attr, mask AttrMask) {
	if mask&SetMode != 0 {
		a.Mode = a.Mode.Type() | b.Mode.Perm()
	}
	if mask&SetUID != 0 {
		a.UID = b.UID
	}
	if mask&SetGID != 0 {
		a.GID = b.GID
	}
	if mask&SetAtime != 0 {
		a.Atime = b.Atime
	}
	if mask&SetMtime != 0 {
		a.Mtime = b.Mtime
	}
}

// anonPath is a place for node that no directory knows, held.
func (s *System) anonPath(m *Mount, name string, node Inode) Path {
	d, err := newDentry(s.internl, m.fs, nil, name, node)
	if err != nil { // an inode without attributes
		d = &Dentry{fs: m.fs, node: node}
		d.place.Store(&place{name: name})
		d.refs.Store(1)
	}
	d.unhashed.Store(true)
	m.ref()
	return Path{m, d}
}

// NewAnon is a file without a name in any directory, as eventfd(2) and
// epoll_create(2) make them; class is what /proc/pid/fd shows after "anon_inode:", as
// "[eventfd]". It has one reference, the caller's.
func (s *System) NewAnon(c Ctx, f File, class string, flags linux.OpenFlags) *FileDescription {
	p := s.anonPath(s.anonfs, "anon_inode:"+class, s.anonInode)
	defer p.Drop()
	return NewFileDescription(p, f, flags)
}

// NewUnnamed is a held place for an inode (held once, handed over) that no directory
// knows, shown as name in /proc/pid/fd: a descriptor donated by the host.
func (s *System) NewUnnamed(i Inode, name string) Path { return s.anonPath(s.anonfs, name, i) }

// NewNamespaceFile is NewUnnamed for a namespace, which can be mounted: MS_BIND.
func (s *System) NewNamespaceFile(i Inode, name string) Path { return s.anonPath(s.nsfs, name, i) }

// NewSocket is a file of type S_IFSOCK with an inode number of its own.
func (s *System) NewSocket(c Ctx, f File, flags linux.OpenFlags) *FileDescription {
	i := NewAnonInode(s, linux.S_IFSOCK|0o777).Own(c)
	p := s.anonPath(s.sockfs, "socket:["+itoa(int(i.attr.Ino))+"]", i)
	defer p.Drop()
	return NewFileDescription(p, f, flags|linux.O_RDWR)
}

// NewPipe is the two ends of a pipe, on one inode of type S_IFIFO, as mk makes them for
// the inode's slot: opening it again (by /proc/pid/fd) is opening a FIFO.
func (s *System) NewPipe(c Ctx, mk func(*Slot) (r, w File), flags linux.OpenFlags) (r, w *FileDescription) {
	i := NewAnonInode(s, linux.S_IFIFO|0o600).Own(c)
	p := s.anonPath(s.pipefs, "pipe:["+itoa(int(i.attr.Ino))+"]", i)
	defer p.Drop()
	st, _ := s.pipefs.fs.state(i, true), s.pipefs.fs.state(i, true) // a use for each end
	rf, wf := mk(&st.slot)
	r = NewFileDescription(p, rf, flags|linux.O_RDONLY)
	w = NewFileDescription(p, wf, flags|linux.O_WRONLY)
	r.state, w.state = st, st
	return r, w
}

// A Private mount shows a filesystem that no namespace has: memfd_create(2) and shared
// memory live in such a tmpfs.
type Private struct{ mnt *Mount }

// NewPrivate mounts fs privately. fs stays the caller's.
func (s *System) NewPrivate(fs *Filesystem) *Private {
	fs.hidden = true
	m := s.newMount(fs, fs.root, "none", 0)
	m.internalUse = true
	return &Private{m}
}

// Open makes a file of an inode (held once, handed over) without a name; name is what
// /proc/pid/fd shows.
func (p *Private) Open(c Ctx, node Inode, name string, flags linux.OpenFlags) (*FileDescription, error) {
	at := p.mnt.sys.anonPath(p.mnt, name, node)
	defer at.Drop()
	f, err := node.Open(c, flags)
	if err != nil {
		return nil, err
	}
	return NewFileDescription(at, f, flags), nil
}

// Root is the private filesystem's root, held.
func (p *Private) Root() Path { return p.mnt.Root() }

// Drop unmounts it.
func (p *Private) Drop() { p.mnt.unref() }
