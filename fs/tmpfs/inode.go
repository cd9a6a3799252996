package tmpfs

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

// An inode is what files of all types have.
type inode struct {
	fs   *filesystem
	ino  uint64
	kind linux.FileMode // the type

	// mu also protects a file's pages, and may so be taken to answer a page fault.
	mu     lock.Mutex[lock.FileData]
	attr   vfs.Attr              // protected by mu
	xattrs map[string][]byte     // protected by mu
	xbytes int                   // what xattrs hold; protected by mu
	acls   [vfs.ACLKinds]vfs.ACL // protected by mu
	holds  int                   // vfs's, see vfs.Counted; protected by mu
	gone   bool                  // no name, no hold: given up; protected by mu
}

// A node is an inode of any type.
type node interface {
	vfs.Inode
	base() *inode
	free()
}

func (i *inode) base() *inode { return i }

// free gives up what a file without data has: nothing.
func (i *inode) free() {}

// init makes i a new file, without names, held once.
func (i *inode) init(c vfs.Ctx, fs *filesystem, s *vfs.MakeSpec) {
	now := c.Now()
	i.fs, i.ino, i.kind, i.holds, i.acls = fs, fs.lastIno.Add(1), s.Mode.Type(), 1, s.ACLs
	i.attr = vfs.Attr{
		Ino: i.ino, Mode: s.Mode, UID: s.UID, GID: s.GID, Rdev: s.Rdev, Blksize: arch.PageSize,
		Atime: now, Mtime: now, Ctime: now, Btime: now,
	}
}

// Attr implements vfs.Inode.
func (i *inode) Attr(vfs.Ctx) (vfs.Attr, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.attr, nil
}

// SetAttr implements vfs.Inode, but for the size.
func (i *inode) SetAttr(c vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) error {
	if mask&vfs.SetSize != 0 {
		return linux.EINVAL
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.setLocked(c, a, mask)
	return nil
}

// Open implements vfs.Inode for what vfs opens itself.
func (i *inode) Open(vfs.Ctx, linux.OpenFlags) (vfs.File, error) { return nil, linux.ENXIO }

// TouchAtime implements vfs.Atimer.
func (i *inode) TouchAtime(c vfs.Ctx, strict bool) {
	now := c.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	if vfs.Relatime(&i.attr, now, strict) {
		i.attr.Atime = now
	}
}

// touch notes a change of the names in a directory. i.mu is held.
func (i *inode) touchLocked(now linux.Timespec) { i.attr.Mtime, i.attr.Ctime = now, now }

// Hold implements vfs.Counted.
func (i *inode) Hold() {
	i.mu.Lock()
	i.holds++
	i.mu.Unlock()
}

// drop is Drop of n, whose inode i is.
func (i *inode) drop(n node) {
	i.mu.Lock()
	i.holds--
	i.mu.Unlock()
	i.reap(n)
}

// reap gives n up if it has neither names nor holds.
func (i *inode) reap(n node) {
	i.mu.Lock()
	last := i.holds == 0 && i.attr.Nlink == 0 && !i.gone
	i.gone = i.gone || last
	i.mu.Unlock()
	if last {
		n.free()
		i.fs.inodes.Add(-1)
	}
}

// links changes the number of names by d.
func (i *inode) links(c vfs.Ctx, d int) {
	i.mu.Lock()
	i.attr.Nlink = uint32(int(i.attr.Nlink) + d)
	i.attr.Ctime = c.Now()
	i.mu.Unlock()
}

// A symlink is a symbolic link.
type symlink struct {
	inode
	target string
}

// Readlink implements vfs.Symlink.
func (s *symlink) Readlink(vfs.Ctx) (string, error) { return s.target, nil }

// Drop implements vfs.Counted.
func (s *symlink) Drop() { s.drop(s) }

// A special is a FIFO, a socket's name or a device: vfs opens it.
type special struct{ inode }

// Drop implements vfs.Counted.
func (s *special) Drop() { s.drop(s) }

// maxXattrs bounds what the extended attributes of one file may hold, names included:
// they are the kernel's memory.
const maxXattrs = 256 << 10

// GetXattr implements vfs.Xattr.
func (i *inode) GetXattr(_ vfs.Ctx, name string) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	v, ok := i.xattrs[name]
	if !ok {
		return nil, linux.ENODATA
	}
	return v, nil // never changed once stored
}

// SetXattr implements vfs.Xattr.
func (i *inode) SetXattr(c vfs.Ctx, name string, value []byte, flags int) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	old, ok := i.xattrs[name]
	switch {
	case ok && flags&linux.XATTR_CREATE != 0:
		return linux.EEXIST
	case !ok && flags&linux.XATTR_REPLACE != 0:
		return linux.ENODATA
	}
	n := i.xbytes + len(value) - len(old)
	if !ok {
		n += len(name)
	}
	if n > maxXattrs {
		return linux.ENOSPC
	}
	if i.xattrs == nil {
		i.xattrs = map[string][]byte{}
	}
	i.xattrs[name], i.xbytes = append([]byte{}, value...), n
	i.attr.Ctime = c.Now()
	return nil
}

// ListXattr implements vfs.Xattr.
func (i *inode) ListXattr(vfs.Ctx) ([]string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	names := make([]string, 0, len(i.xattrs)+len(i.acls))
	for kind, acl := range i.acls {
		if acl != nil {
			names = append(names, vfs.ACLKind(kind).Name())
		}
	}
	for n := range i.xattrs {
		names = append(names, n)
	}
	return names, nil
}

// RemoveXattr implements vfs.Xattr.
func (i *inode) RemoveXattr(c vfs.Ctx, name string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	v, ok := i.xattrs[name]
	if !ok {
		return linux.ENODATA
	}
	delete(i.xattrs, name)
	i.xbytes -= len(name) + len(v)
	i.attr.Ctime = c.Now()
	return nil
}
