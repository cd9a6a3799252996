package vfs

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// A Path is a place in the tree: a name in a mount. The zero Path is nowhere.
type Path struct {
	mnt *Mount
	d   *Dentry
}

// Hold takes one more reference and returns p, which is held already.
func (p Path) Hold() Path {
	if p.d != nil {
		p.mnt.ref()
		p.d.ref()
	}
	return p
}

// tryHold is Hold of a p that may be given up at the same time.
func (p Path) tryHold() bool {
	if !p.mnt.tryRef() {
		return false
	}
	if !p.d.tryRef() {
		p.mnt.unref()
		return false
	}
	return true
}

// Drop gives a reference back. On the zero Path it does nothing.
func (p Path) Drop() { p.drop(nil) }

// drop is Drop by c, who is told to have removed the file, if that is the end of it.
func (p Path) drop(c Ctx) {
	if p.d != nil {
		p.d.unrefBy(c)
		p.mnt.unref()
	}
}

// IsZero reports whether p is nowhere.
func (p Path) IsZero() bool { return p.d == nil }

// Inode is the file at p.
func (p Path) Inode() Inode { return p.d.node }

// Mount is the mount that p is in.
func (p Path) Mount() *Mount { return p.mnt }

// Filesystem is the filesystem that p is in.
func (p Path) Filesystem() *Filesystem { return p.d.fs }

// Type is the S_IFMT part of the file's mode.
func (p Path) Type() linux.FileMode { return p.d.typ }

// IsDir reports whether p is a directory.
func (p Path) IsDir() bool { return p.d.dir != nil }

// Same reports whether p and q are the same place.
func (p Path) Same(q Path) bool { return p == q }

// SameFile reports whether p and q are the same file, perhaps by different names.
func (p Path) SameFile(q Path) bool { return p.d.fs == q.d.fs && p.d.node == q.d.node }

// Parent is the directory that p's name is in, held; of a mount's root, itself.
func (p Path) Parent() Path {
	for p.d != p.mnt.root {
		up := p.d.place.Load().parent
		if up == nil {
			break
		}
		if up.tryRef() { // else p has just been moved
			p.mnt.ref()
			return Path{p.mnt, up}
		}
	}
	return p.Hold()
}

// Name is the last component of p.
func (p Path) Name() string { return p.d.place.Load().name }

// Deleted reports whether p's name has been removed.
func (p Path) Deleted() bool { return p.d.deleted.Load() }

// Attr is p's attributes, with Dev and Blksize filled in.
func (p Path) Attr(c Ctx) (Attr, error) {
	a, err := p.d.node.Attr(c)
	p.complete(&a)
	return a, err
}

// complete fills in what a filesystem need not say.
func (p Path) complete(a *Attr) {
	if a.Dev == 0 {
		a.Dev = p.d.fs.dev
	}
	if a.Blksize == 0 {
		a.Blksize = arch.PageSize
	}
	if a.MountID = p.mnt.id; p.d == p.mnt.root {
		a.Flags |= linux.STATX_ATTR_MOUNT_ROOT
	}
}

// Slot is p's inode's place for a shared object; call done when it is no longer used.
func (p Path) Slot() (s *Slot, done func()) {
	st := p.d.fs.state(p.d.node, true)
	return &st.slot, func() { p.d.fs.putState(st) }
}

// BindSocket makes s what connect(2) to p's inode (a socket) finds; nil undoes it.
func (p Path) BindSocket(s any) {
	fs := p.d.fs
	st := fs.state(p.d.node, true)
	fs.mu.Lock()
	was := st.bound
	st.bound = s
	// What is bound is a user of the state.
	if s != nil && was == nil {
		st.users++
	} else if s == nil && was != nil {
		st.users--
	}
	fs.mu.Unlock()
	fs.putState(st)
}

// BoundSocket is what BindSocket has put there; nil if nothing: ECONNREFUSED.
func (p Path) BoundSocket() any {
	st := p.d.fs.state(p.d.node, false)
	if st == nil {
		return nil
	}
	defer p.d.fs.putState(st)
	p.d.fs.mu.Lock()
	defer p.d.fs.mu.Unlock()
	return st.bound
}

// Abs is p's path as seen from root (d_path), with " (deleted)" after it if the name
// is gone. ok is false if p can't be reached from root: then the path is that within
// what can be reached (getcwd: "(unreachable)" comes before it).
func (p Path) Abs(root Path) (name string, ok bool) {
	if p.d.fs.hidden && (p.mnt.internalUse || p.d != p.mnt.root) {
		return p.Name(), true
	}
	for range 3 {
		seq := p.d.fs.renames.Load()
		name, ok = p.abs(root)
		if p.d.fs.renames.Load() == seq {
			break
		}
	}
	if p.d.deleted.Load() {
		name += " (deleted)"
	}
	return name, ok
}

func (p Path) abs(root Path) (string, bool) {
	var parts [32]string
	names, n, ok := parts[:0], 0, true
	for p != root {
		if p.d == p.mnt.root {
			up, above := p.mnt.above()
			if !above {
				ok = root.IsZero()
				break
			}
			p = up
			continue
		}
		at := p.d.place.Load()
		if at.parent == nil {
			ok = false // outside of what a bind mount shows
			break
		}
		names, n = append(names, at.name), n+len(at.name)+1
		p.d = at.parent
	}
	if len(names) == 0 {
		return "/", ok
	}
	b := make([]byte, 0, n+len(" (deleted)"))
	for i := len(names) - 1; i >= 0; i-- {
		b = append(append(b, '/'), names[i]...)
	}
	return string(b), ok
}
