package overlay

import (
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// ready makes sure that the directory n is in the upper layer.
func (n *node) ready(c vfs.Ctx) (vfs.Inode, error) {
	if err := n.raise(c, -1); err != nil {
		return nil, err
	}
	return n.up(), nil
}

// hidden reports whether something in the lower directories bears the name, which is
// x's: then it shows if the upper layer does not hide it.
func (n *node) hidden(c vfs.Ctx, x *node, name string) (bool, error) {
	n.fs.mu.Lock()
	k := unknown
	if x.parent == n && x.name == name {
		k = x.below
	}
	n.fs.mu.Unlock()
	if k != unknown {
		return k == yes, nil
	}
	for _, l := range n.lower {
		i, a, err := lookupIn(c, l.Inode, name)
		if err != nil {
			return false, err
		}
		if i != nil {
			drop(i)
			return !(isWhiteout(&a) && len(n.fs.Lower) > 1), nil
		}
	}
	return false, nil
}

// uncover removes a whiteout that bears the name in the upper directory u, and reports
// whether there was one.
func uncover(c vfs.Ctx, u vfs.Inode, name string) (bool, error) {
	i, a, err := lookupIn(c, u, name)
	if err != nil || i == nil {
		return false, err
	}
	defer drop(i)
	if !isWhiteout(&a) {
		return false, linux.EEXIST
	}
	r, ok := u.(vfs.Remover)
	if !ok {
		return false, linux.EROFS
	}
	return true, r.Remove(c, name, i, false)
}

// cover makes a whiteout.
func cover(c vfs.Ctx, u vfs.Inode, name string) error {
	m, ok := u.(vfs.Maker)
	if !ok {
		return linux.EROFS
	}
	i, err := m.Make(c, name, &vfs.MakeSpec{Mode: linux.S_IFCHR})
	if err == nil {
		drop(i)
	}
	return err
}

// Make implements vfs.Maker.
func (n *node) Make(c vfs.Ctx, name string, s *vfs.MakeSpec) (vfs.Inode, error) {
	x, _, err := n.make(c, name, s, func(u vfs.Inode) (vfs.Inode, vfs.File, error) {
		m, ok := u.(vfs.Maker)
		if !ok {
			return nil, nil, linux.EROFS
		}
		i, err := m.Make(c, name, s)
		return i, nil, err
	})
	return x, err
}

// Create implements vfs.Creator.
func (n *node) Create(c vfs.Ctx, name string, s *vfs.MakeSpec, flags linux.OpenFlags) (vfs.Inode, vfs.File, error) {
	return n.make(c, name, s, func(u vfs.Inode) (vfs.Inode, vfs.File, error) {
		if m, ok := u.(vfs.Creator); ok {
			return m.Create(c, name, s, flags)
		}
		m, ok := u.(vfs.Maker)
		if !ok {
			return nil, nil, linux.EROFS
		}
		i, err := m.Make(c, name, s)
		if err != nil {
			return nil, nil, err
		}
		f, err := i.Open(c, flags)
		if err != nil {
			drop(i)
		}
		return i, f, err
	})
}

// make makes a file in the upper layer with mk, and its node.
func (n *node) make(c vfs.Ctx, name string, s *vfs.MakeSpec, mk func(vfs.Inode) (vfs.Inode, vfs.File, error)) (vfs.Inode, vfs.File, error) {
	if s.Mode.Type() == linux.S_IFCHR && s.Rdev == 0 {
		return nil, nil, linux.EPERM // it would hide itself
	}
	u, err := n.ready(c)
	if err != nil {
		return nil, nil, err
	}
	white, err := uncover(c, u, name)
	if err != nil {
		return nil, nil, err
	}
	i, f, err := mk(u)
	if err != nil {
		if white {
			_ = cover(c, u, name)
		}
		return nil, nil, err
	}
	if white && s.Mode.IsDir() {
		n.fs.setOpaque(c, i)
	}
	n.changed(name)
	// The name was not there: what lower directories have by it, the whiteout hid.
	x, err := n.fresh(c, name, i, known(white))
	if err != nil && f != nil {
		f.Close(c)
	}
	if err != nil {
		return nil, nil, err
	}
	if f != nil {
		f = &file{File: f, n: x, upper: true}
	}
	return x, f, nil
}

// fresh is the node of a file just made in the upper layer.
func (n *node) fresh(c vfs.Ctx, name string, i vfs.Inode, below knowledge) (*node, error) {
	a, err := i.Attr(c)
	if err != nil {
		drop(i)
		return nil, err
	}
	x := &node{fs: n.fs, parent: n, name: name, kind: a.Mode.Type(), ino: n.fs.upperNumber(a.Ino), below: below}
	x.setUpper(i)
	return n.fs.intern(key{real: i}, x), nil
}

// MakeTemp implements vfs.TempMaker.
func (n *node) MakeTemp(c vfs.Ctx, s *vfs.MakeSpec) (vfs.Inode, error) {
	u, err := n.ready(c)
	if err != nil {
		return nil, err
	}
	t, ok := u.(vfs.TempMaker)
	if !ok {
		return nil, linux.EOPNOTSUPP
	}
	i, err := t.MakeTemp(c, s)
	if err != nil {
		return nil, err
	}
	x, err := n.fresh(c, "", i, unknown)
	if err != nil {
		return nil, err
	}
	x.copyUp.Lock()
	x.orphan()
	x.copyUp.Unlock()
	return x, nil
}

// Link implements vfs.Linker.
func (n *node) Link(c vfs.Ctx, name string, i vfs.Inode) error {
	x := i.(*node)
	if err := x.raise(c, -1); err != nil {
		return err
	}
	u, err := n.ready(c)
	if err != nil {
		return err
	}
	l, ok := u.(vfs.Linker)
	if !ok {
		return linux.EPERM
	}
	white, err := uncover(c, u, name)
	if err != nil {
		return err
	}
	x.copyUp.Lock()
	defer x.copyUp.Unlock()
	if err := l.Link(c, name, x.up()); err != nil {
		if white {
			_ = cover(c, u, name)
		}
		return err
	}
	if x.nameless {
		x.adopt(n, name, known(white))
	}
	n.changed(name)
	return nil
}

// Remove implements vfs.Remover.
func (n *node) Remove(c vfs.Ctx, name string, i vfs.Inode, rmdir bool) error {
	x := i.(*node)
	if rmdir {
		if err := x.empty(c); err != nil {
			return err
		}
	}
	u, err := n.ready(c)
	if err != nil {
		return err
	}
	x.copyUp.Lock()
	defer x.copyUp.Unlock()
	hidden, err := n.hidden(c, x, name)
	if err != nil {
		return err
	}
	gone := uint64(0)
	if xu := x.up(); xu != nil {
		if gone, err = x.removeUpper(c, u, name, rmdir); err != nil {
			return err
		}
	}
	if hidden {
		if err := cover(c, u, name); err != nil {
			return err
		}
	}
	if gone != 0 {
		n.fs.forget(gone)
	}
	x.lose(c)
	n.changed(name)
	return nil
}

// lose notes that x has lost a name: its last, unless the upper layer knows others.
func (x *node) lose(c vfs.Ctx) {
	if u := x.up(); u != nil && x.kind != linux.S_IFDIR {
		if a, err := u.Attr(c); err == nil && a.Nlink > 0 {
			return
		}
	}
	x.orphan()
}

// removeUpper removes name, which is x, from the upper directory u. It returns x's
// number there if it was the last name.
func (x *node) removeUpper(c vfs.Ctx, u vfs.Inode, name string, rmdir bool) (gone uint64, err error) {
	xu := x.up()
	a, err := xu.Attr(c)
	if err != nil {
		return 0, err
	}
	if rmdir {
		if err := removeWhiteouts(c, xu); err != nil {
			return 0, err
		}
	}
	r, ok := u.(vfs.Remover)
	if !ok {
		return 0, linux.EPERM
	}
	// The name may be of a lower file's copy, made under another name of it.
	there, _, err := lookupIn(c, u, name)
	if err != nil || there == nil {
		return 0, err
	}
	defer drop(there)
	if there != xu {
		return 0, nil
	}
	if err := r.Remove(c, name, xu, rmdir); err != nil {
		return 0, err
	}
	if rmdir || a.Nlink == 1 {
		gone = a.Ino
	}
	return gone, nil
}

// empty is ENOTEMPTY if anything shows in a directory.
func (n *node) empty(c vfs.Ctx) error {
	es, err := n.entries(c)
	if err != nil {
		return err
	}
	if len(es) != 0 {
		return linux.ENOTEMPTY
	}
	return nil
}

// removeWhiteouts empties an upper directory in which nothing shows.
func removeWhiteouts(c vfs.Ctx, u vfs.Inode) error {
	var names []string
	if err := listDir(c, u, func(e vfs.Dirent) bool {
		names = append(names, e.Name)
		return true
	}); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := uncover(c, u, name); err != nil {
			if err == linux.EEXIST {
				err = linux.ENOTEMPTY
			}
			return err
		}
	}
	return nil
}
