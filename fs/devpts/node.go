package devpts

import (
	"garrison/fs/pseudo"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

// A node is a device's inode: a slave or ptmx. Unlike most of a pseudo
// filesystem's it can be given away: login(1) and grantpt(3) do.
type node struct {
	place pseudo.Place
	rdev  uint64
	open  func(vfs.Ctx, vfs.Path, linux.OpenFlags) (vfs.File, error)

	mu   lock.Mutex[lock.Inode]
	attr vfs.Attr // protected by mu
}

var (
	_ vfs.Inode  = (*node)(nil)
	_ vfs.Opener = (*node)(nil)
)

// newNode makes a node of root's.
func newNode(c vfs.Ctx, at pseudo.Place, mode linux.FileMode, rdev uint64) *node {
	now := c.Now()
	return &node{place: at, rdev: rdev, attr: vfs.Attr{
		Ino: at.Ino, Mode: mode, Nlink: 1, Rdev: rdev, Blksize: 1024,
		Atime: now, Mtime: now, Ctime: now,
	}}
}

// Attr implements vfs.Inode.
func (n *node) Attr(vfs.Ctx) (vfs.Attr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.attr, nil
}

// SetAttr implements vfs.Inode.
func (n *node) SetAttr(c vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if mask&vfs.SetMode != 0 {
		n.attr.Mode = n.attr.Mode.Type() | a.Mode.Perm()
	}
	if mask&vfs.SetUID != 0 {
		n.attr.UID = a.UID
	}
	if mask&vfs.SetGID != 0 {
		n.attr.GID = a.GID
	}
	if mask&vfs.SetAtime != 0 {
		n.attr.Atime = a.Atime
	}
	if mask&vfs.SetMtime != 0 {
		n.attr.Mtime = a.Mtime
	}
	n.attr.Ctime = c.Now()
	return nil
}

// Open implements vfs.Inode.
func (n *node) Open(c vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	return n.open(c, vfs.Path{}, flags)
}

// OpenAt implements vfs.Opener.
func (n *node) OpenAt(c vfs.Ctx, p vfs.Path, flags linux.OpenFlags) (vfs.File, error) {
	return n.open(c, p, flags)
}
