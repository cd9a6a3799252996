package erofs

import (
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A node is a file in use.
type node interface {
	vfs.Inode
	vfs.Counted
	common() *file
}

// A file is what nodes of all types are.
type file struct {
	inode
	m    *image
	refs int    // protected by m.mu
	drop func() // called when nobody uses it any more; may be nil
}

func (f *file) common() *file { return f }

// Hold implements vfs.Counted.
func (f *file) Hold() {
	f.m.mu.Lock()
	f.refs++
	f.m.mu.Unlock()
}

// Drop implements vfs.Counted.
func (f *file) Drop() {
	f.m.mu.Lock()
	f.refs--
	last := f.refs == 0
	if last {
		delete(f.m.nodes, f.nid)
	}
	f.m.mu.Unlock()
	if last && f.drop != nil {
		f.drop()
	}
}

// node is the file with number nid, held.
func (m *image) node(c vfs.Ctx, nid uint64) (node, error) {
	if n := m.used(nid, nil); n != nil {
		return n, nil
	}
	i, err := m.inode(c, nid)
	if err != nil {
		return nil, err
	}
	f := file{inode: *i, m: m}
	switch i.mode.Type() {
	case linux.S_IFREG:
		r := &regular{file: f}
		r.drop = r.free
		return m.used(nid, r), nil
	case linux.S_IFDIR:
		return m.used(nid, &dir{f}), nil
	case linux.S_IFLNK:
		return m.used(nid, &symlink{f}), nil
	case linux.S_IFCHR, linux.S_IFBLK, linux.S_IFIFO, linux.S_IFSOCK:
		return m.used(nid, &special{f}), nil
	}
	return nil, linux.EUCLEAN
}

// used holds the node with number nid, which becomes n if there is none.
func (m *image) used(nid uint64, n node) node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if have := m.nodes[nid]; have != nil {
		n = have
	} else if n != nil {
		m.nodes[nid] = n
	}
	if n != nil {
		n.common().refs++
	}
	return n
}

// Attr implements vfs.Inode, as Linux shows such files.
func (f *file) Attr(vfs.Ctx) (vfs.Attr, error) {
	a := vfs.Attr{
		Ino: f.nid, Mode: f.mode, Nlink: f.nlink, UID: f.uid, GID: f.gid, Size: int64(f.size), Blksize: blockSize,
		Blocks: (f.size + blockSize - 1) / blockSize * (blockSize / 512), Flags: linux.STATX_ATTR_IMMUTABLE,
		Atime: f.mtime, Mtime: f.mtime, Ctime: f.mtime,
	}
	if t := f.mode.Type(); t == linux.S_IFCHR || t == linux.S_IFBLK {
		a.Rdev = f.rdev()
	}
	return a, nil
}

// SetAttr implements vfs.Inode.
func (*file) SetAttr(vfs.Ctx, *vfs.Attr, vfs.AttrMask) error { return linux.EROFS }

// Open implements vfs.Inode, for files that are not opened here.
func (*file) Open(vfs.Ctx, linux.OpenFlags) (vfs.File, error) { return nil, linux.ENXIO }

// A special is a device, a FIFO or a socket.
type special struct{ file }

// A symlink is a symbolic link.
type symlink struct{ file }

// Readlink implements vfs.Symlink.
func (s *symlink) Readlink(c vfs.Ctx) (string, error) {
	if s.size == 0 || s.size > linux.PATH_MAX {
		return "", linux.EUCLEAN
	}
	b := make([]byte, s.size)
	_, err := s.m.readFile(c, &s.inode, usermem.FromBytes(b), 0)
	return string(b), err
}
