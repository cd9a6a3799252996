package overlay

import (
	"strings"
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

// A node is a file: in the upper layer, in a lower one, or, for a directory, in several.
type node struct {
	fs   *filesystem
	kind linux.FileMode // the type
	ino  uint64
	keys []key // protected by fs.mu
	refs int   // of vfs and of children; protected by fs.mu

	// upper is nil until the file is copied up; then it stays. lower is never
	// changed: the directories that show through, topmost first, or one file.
	upper atomic.Pointer[vfs.Inode] // held
	lower []layerDir                // held

	// copyUp is held while the file is copied up, linked, renamed or removed.
	copyUp lock.Mutex[lock.CopyUp]

	// Changed with copyUp and fs.mu held; either is enough to look.
	parent   *node // nil: the root; held
	name     string
	nameless bool // removed, or an O_TMPFILE: parent and name are those it had

	// below is whether name is also in the lower directories of parent. They never
	// change: what is known spares asking. Protected by fs.mu.
	below knowledge
}

// knowledge is what is known of something that is so or not.
type knowledge int8

const (
	unknown knowledge = iota
	no
	yes
)

func known(b bool) knowledge {
	if b {
		return yes
	}
	return no
}

func (n *node) setUpper(u vfs.Inode) { n.upper.Store(&u) }

// up is the file in the upper layer, or nil.
func (n *node) up() vfs.Inode {
	if p := n.upper.Load(); p != nil {
		return *p
	}
	return nil
}

// real is the file that counts: its attributes and contents are the node's.
func (n *node) real() vfs.Inode {
	if u := n.up(); u != nil {
		return u
	}
	return n.lower[0].Inode
}

func hold(i vfs.Inode) {
	if x, ok := i.(vfs.Counted); ok {
		x.Hold()
	}
}

func drop(i vfs.Inode) {
	if x, ok := i.(vfs.Counted); ok && i != nil {
		x.Drop()
	}
}

func dropLayers(ls []layerDir) {
	for _, l := range ls {
		drop(l.Inode)
	}
}

// intern is the node that is already there for n's key, or n itself, held once more. If
// n is not used, what it holds is dropped.
func (fs *filesystem) intern(k key, n *node) *node {
	fs.mu.Lock()
	if old := fs.nodes[k]; old != nil {
		old.refs++
		fs.mu.Unlock()
		n.release()
		return old
	}
	n.refs = 1
	n.keys = append(n.keys, k)
	fs.nodes[k] = n
	if n.parent != nil {
		n.parent.refs++
	}
	fs.mu.Unlock()
	return n
}

// release drops what n holds of the layers.
func (n *node) release() {
	if u := n.up(); u != nil {
		drop(u)
	}
	dropLayers(n.lower)
}

// alias lets n be found by its file in the upper layer, too.
func (n *node) alias(u vfs.Inode) {
	n.fs.mu.Lock()
	k := key{real: u}
	n.keys = append(n.keys, k)
	n.fs.nodes[k] = n
	n.fs.mu.Unlock()
}

// Hold implements vfs.Counted.
func (n *node) Hold() {
	n.fs.mu.Lock()
	n.refs++
	n.fs.mu.Unlock()
}

// Drop implements vfs.Counted.
func (n *node) Drop() {
	for n != nil {
		n.fs.mu.Lock()
		n.refs--
		last := n.refs == 0
		if last {
			for _, k := range n.keys {
				delete(n.fs.nodes, k)
			}
		}
		n.fs.mu.Unlock()
		if !last {
			return
		}
		n.release()
		n = n.parent // nobody else knows n any more
	}
}

// adopt gives n a name in p, which is in p's lower directories or not. n.copyUp is held.
func (n *node) adopt(p *node, name string, below knowledge) {
	n.fs.mu.Lock()
	p.refs++
	old := n.parent
	n.parent, n.name, n.nameless, n.below = p, name, false, below
	n.fs.mu.Unlock()
	if old != nil {
		old.Drop()
	}
}

// orphan notes that n has lost its last name. n.copyUp is held.
func (n *node) orphan() {
	n.fs.mu.Lock()
	n.nameless = true
	n.fs.mu.Unlock()
}

// path is where name in n is, from the root.
func (n *node) path(name string) (out []string) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	for x := n; x.parent != nil; x = x.parent {
		out = append(out, x.name)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return append(out, name)
}

// changed tells who sees the upper layer otherwise that name in n has changed.
func (n *node) changed(name string) {
	if n.fs.Changed != nil {
		n.fs.Changed(n.path(name))
	}
}

// Attr implements vfs.Inode.
func (n *node) Attr(c vfs.Ctx) (vfs.Attr, error) {
	a, err := n.real().Attr(c)
	a.Dev, a.Ino = 0, n.ino
	if n.kind == linux.S_IFDIR && len(n.lower) > 0 && (n.up() != nil || len(n.lower) > 1) {
		a.Nlink = 1 // nobody has counted the subdirectories
	}
	return a, err
}

// SetAttr implements vfs.Inode.
func (n *node) SetAttr(c vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) error {
	size := int64(-1)
	if mask&vfs.SetSize != 0 {
		size = a.Size
	}
	if err := n.raise(c, size); err != nil {
		return err
	}
	return n.up().SetAttr(c, a, mask)
}

// TouchAtime implements vfs.Atimer. Reading copies nothing up.
func (n *node) TouchAtime(c vfs.Ctx, strict bool) {
	if x, ok := n.up().(vfs.Atimer); ok {
		x.TouchAtime(c, strict)
	}
}

// Readlink implements vfs.Symlink.
func (n *node) Readlink(c vfs.Ctx) (string, error) {
	x, ok := n.real().(vfs.Symlink)
	if !ok {
		return "", linux.EINVAL
	}
	return x.Readlink(c)
}

// GetXattr implements vfs.Xattr.
func (n *node) GetXattr(c vfs.Ctx, name string) ([]byte, error) {
	x, ok := n.real().(vfs.Xattr)
	switch {
	case !ok:
		return nil, linux.EOPNOTSUPP
	case strings.HasPrefix(name, xattrPrefix):
		return nil, linux.EOPNOTSUPP
	}
	return x.GetXattr(c, name)
}

// ListXattr implements vfs.Xattr.
func (n *node) ListXattr(c vfs.Ctx) ([]string, error) {
	x, ok := n.real().(vfs.Xattr)
	if !ok {
		return nil, linux.EOPNOTSUPP
	}
	names, err := x.ListXattr(c)
	out := names[:0:0]
	for _, s := range names {
		if !strings.HasPrefix(s, xattrPrefix) {
			out = append(out, s)
		}
	}
	return out, err
}

// SetXattr implements vfs.Xattr.
func (n *node) SetXattr(c vfs.Ctx, name string, value []byte, flags int) error {
	x, err := n.xattrUp(c, name)
	if err != nil {
		return err
	}
	return x.SetXattr(c, name, value, flags)
}

// RemoveXattr implements vfs.Xattr.
func (n *node) RemoveXattr(c vfs.Ctx, name string) error {
	if _, err := n.GetXattr(c, name); err != nil {
		return err // nothing to copy up for
	}
	x, err := n.xattrUp(c, name)
	if err != nil {
		return err
	}
	return x.RemoveXattr(c, name)
}

// ACL implements vfs.ACLer: what the file that counts has.
func (n *node) ACL(c vfs.Ctx, kind vfs.ACLKind) (vfs.ACL, error) {
	x, ok := n.real().(vfs.ACLer)
	if !ok {
		return nil, linux.EOPNOTSUPP
	}
	return x.ACL(c, kind)
}

// SetACL implements vfs.ACLer.
func (n *node) SetACL(c vfs.Ctx, kind vfs.ACLKind, acl vfs.ACL, mode linux.FileMode) error {
	if err := n.raise(c, -1); err != nil {
		return err
	}
	x, ok := n.up().(vfs.ACLer)
	if !ok {
		return linux.EOPNOTSUPP
	}
	return x.SetACL(c, kind, acl, mode)
}

func (n *node) xattrUp(c vfs.Ctx, name string) (vfs.Xattr, error) {
	if strings.HasPrefix(name, xattrPrefix) {
		return nil, linux.EOPNOTSUPP
	}
	if err := n.raise(c, -1); err != nil {
		return nil, err
	}
	x, ok := n.up().(vfs.Xattr)
	if !ok {
		return nil, linux.EOPNOTSUPP
	}
	return x, nil
}
