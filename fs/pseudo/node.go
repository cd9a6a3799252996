package pseudo

import (
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// node is what files, links and directories have in common.
type node[S any] struct {
	Place
	s    S
	of   *Subject[S]
	mode linux.FileMode
}

// Subject is what the inode is about.
func (n *node[S]) Subject() S { return n.s }

func (n *node[S]) alive() bool { return n.of.Alive == nil || n.of.Alive(n.s) }

func (n *node[S]) owner() (uid, gid uint32) {
	if n.of.Owner == nil {
		return 0, 0
	}
	return n.of.Owner(n.s, n.mode)
}

func (n *node[S]) attrs(nlink uint32) vfs.Attr {
	uid, gid := n.owner()
	return n.attr(n.mode, nlink, uid, gid)
}

// SetAttr implements vfs.Inode. Truncation, as open(2) with O_TRUNC asks for,
// and times are taken without effect; who may do what is not the guest's to say.
func (n *node[S]) SetAttr(_ vfs.Ctx, _ *vfs.Attr, mask vfs.AttrMask) error {
	if mask&(vfs.SetMode|vfs.SetUID|vfs.SetGID) != 0 {
		return linux.EPERM
	}
	return nil
}

// make makes the inode of entry e, at at.
func (n *node[S]) make(c vfs.Ctx, e *Entry[S], at Place) vfs.Inode {
	switch child := (node[S]{Place: at, s: n.s, of: n.of, mode: e.mode()}); {
	case e.Node != nil:
		return e.Node(n.s, c, at)
	case e.Table != nil:
		d := &dir[S]{node: child, table: e.Table}
		d.nlink = d.countLinks()
		if e.Allow != nil {
			return &guardedDir[S]{dir: d, allow: e.Allow}
		}
		return d
	case e.Follow != nil:
		return &magic[S]{link[S]{node: child, e: e}}
	case e.Link != nil:
		return &link[S]{node: child, e: e}
	case e.Allow != nil:
		return &guardedFile[S]{file[S]{node: child, e: e}}
	default:
		return &file[S]{node: child, e: e}
	}
}

// A link is a symbolic link.
type link[S any] struct {
	node[S]
	e *Entry[S]
}

// Attr implements vfs.Inode.
func (l *link[S]) Attr(vfs.Ctx) (vfs.Attr, error) { return l.attrs(1), nil }

// Open implements vfs.Inode: a link is followed, never opened.
func (l *link[S]) Open(vfs.Ctx, linux.OpenFlags) (vfs.File, error) { return nil, linux.ELOOP }

// Readlink implements vfs.Symlink.
func (l *link[S]) Readlink(c vfs.Ctx) (string, error) {
	if err := l.guard(c); err != nil {
		return "", err
	}
	return l.e.Link(l.s, c)
}

func (l *link[S]) guard(c vfs.Ctx) error {
	if !l.alive() {
		return linux.ENOENT
	}
	if l.e.Guard != nil {
		return l.e.Guard(l.s, c)
	}
	return nil
}

// A magic is a link that jumps.
type magic[S any] struct{ link[S] }

// Follow implements vfs.Follower.
func (m *magic[S]) Follow(c vfs.Ctx) (vfs.Path, error) {
	if err := m.guard(c); err != nil {
		return vfs.Path{}, err
	}
	return m.e.Follow(m.s, c)
}
