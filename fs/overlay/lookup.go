package overlay

import (
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// isWhiteout reports whether a file of a layer is there to hide a name.
func isWhiteout(a *vfs.Attr) bool { return a.Mode.Type() == linux.S_IFCHR && a.Rdev == 0 }

// lookupIn finds name in a layer's directory: its inode, held, and attributes. Nothing
// is nil without an error.
func lookupIn(c vfs.Ctx, dir vfs.Inode, name string) (vfs.Inode, vfs.Attr, error) {
	d, ok := dir.(vfs.Dir)
	if !ok {
		return nil, vfs.Attr{}, nil
	}
	i, err := d.Lookup(c, name)
	if err == linux.ENOENT || err == linux.ENAMETOOLONG {
		return nil, vfs.Attr{}, nil
	}
	if err != nil {
		return nil, vfs.Attr{}, err
	}
	a, err := i.Attr(c)
	if err != nil {
		drop(i)
		return nil, a, err
	}
	return i, a, nil
}

// Lookup implements vfs.Dir.
func (n *node) Lookup(c vfs.Ctx, name string) (vfs.Inode, error) {
	x, err := n.find(c, name)
	if err != nil {
		return nil, err
	}
	if x == nil {
		return nil, linux.ENOENT
	}
	return x, nil
}

// find is the node that name names, held, or nil.
func (n *node) find(c vfs.Ctx, name string) (*node, error) {
	x := &node{fs: n.fs, parent: n, name: name}
	lowers := n.lower
	if u := n.up(); u != nil {
		i, a, err := lookupIn(c, u, name)
		if err != nil {
			return nil, err
		}
		if i != nil && isWhiteout(&a) {
			drop(i)
			return nil, nil
		}
		if i != nil {
			x.setUpper(i)
			x.kind = a.Mode.Type()
			x.ino = n.fs.upperNumber(a.Ino)
			switch {
			case !a.Mode.IsDir():
				return n.fs.intern(key{real: i}, x), nil
			case n.fs.isOpaque(c, i, a.Ino):
				lowers = nil
			}
			if from, ok := n.fs.redirected(a.Ino); ok {
				x.lower = from
				return n.fs.intern(key{real: i}, x), nil
			}
		}
	}
	if err := n.findBelow(c, x, lowers); err != nil {
		x.release()
		return nil, err
	}
	if lowers != nil || len(n.lower) == 0 {
		x.below = known(len(x.lower) > 0)
	}
	switch {
	case x.up() != nil:
		return n.fs.intern(key{real: x.up()}, x), nil
	case len(x.lower) == 0:
		return nil, nil
	}
	return x.internLower(c)
}

// internLower is intern of a node that is in no upper layer.
func (x *node) internLower(c vfs.Ctx) (*node, error) {
	k := key{real: x.lower[0].Inode}
	if x.kind != linux.S_IFDIR {
		a, err := x.lower[0].Attr(c)
		if err != nil {
			x.release()
			return nil, err
		}
		if a.Nlink > 1 {
			// The names of a lower file are files of their own, as on Linux: one may
			// be copied up without the others.
			k.parent, k.name = x.parent, x.name
		}
	}
	return x.fs.intern(k, x), nil
}

// findBelow adds to x what name is in the lower directories.
func (n *node) findBelow(c vfs.Ctx, x *node, lowers []layerDir) error {
	for _, l := range lowers {
		i, a, err := lookupIn(c, l.Inode, x.name)
		if err != nil {
			return err
		}
		if i == nil {
			continue
		}
		first := x.up() == nil && len(x.lower) == 0
		if isWhiteout(&a) && len(n.fs.Lower) > 1 || !first && !a.Mode.IsDir() {
			drop(i)
			return nil
		}
		if first {
			x.kind, x.ino = a.Mode.Type(), number(l.layer, a.Ino)
		}
		x.lower = append(x.lower, layerDir{i, l.layer})
		if !a.Mode.IsDir() || len(n.fs.Lower) > 1 && hasOpaque(c, i) {
			return nil
		}
	}
	return nil
}

// Walk implements vfs.Walker: below a directory that is in one lower layer only, what
// that finds in one step is all there is.
func (n *node) Walk(c vfs.Ctx, names []string) ([]vfs.Inode, error) {
	w, ok := n.walker()
	if !ok {
		x, err := n.Lookup(c, names[0])
		if err != nil {
			return nil, err
		}
		return []vfs.Inode{x}, nil
	}
	found, err := w.Walk(c, names)
	out := make([]vfs.Inode, 0, len(found))
	at := n
	for i, f := range found {
		a, e := f.Attr(c)
		if e != nil {
			for _, g := range found[i:] {
				drop(g)
			}
			return out, e
		}
		x := &node{
			fs: n.fs, parent: at, name: names[i], kind: a.Mode.Type(),
			ino: number(n.lower[0].layer, a.Ino), lower: []layerDir{{f, n.lower[0].layer}}, below: yes,
		}
		y, e := x.internLower(c)
		if e != nil {
			for _, g := range found[i+1:] {
				drop(g)
			}
			return out, e
		}
		out = append(out, y)
		if at = y; y.up() != nil && i+1 < len(found) {
			// It was known already, and is more than what was walked.
			for _, g := range found[i+1:] {
				drop(g)
			}
			return out, nil
		}
	}
	return out, err
}

func (n *node) walker() (vfs.Walker, bool) {
	if n.up() != nil || len(n.lower) != 1 || len(n.fs.Lower) != 1 {
		return nil, false
	}
	w, ok := n.lower[0].Inode.(vfs.Walker)
	return w, ok
}

// Revalidate implements vfs.Stale.
func (n *node) Revalidate(c vfs.Ctx, name string, i vfs.Inode) bool {
	if !n.fs.stale {
		return true
	}
	var below []layerDir
	if x, ok := i.(*node); ok {
		if x.up() != nil {
			return true
		}
		below = x.lower
	}
	for _, l := range n.lower {
		s, ok := l.Inode.(vfs.Stale)
		if !ok {
			continue
		}
		var was vfs.Inode
		for _, b := range below {
			if b.layer == l.layer {
				was = b.Inode
			}
		}
		if was == nil && len(below) > 0 {
			continue
		}
		if !s.Revalidate(c, name, was) {
			return false
		}
	}
	return true
}

// upperNumber is what number a file of the upper layer shows.
func (fs *filesystem) upperNumber(ino uint64) uint64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if n, ok := fs.inos[ino]; ok {
		return n
	}
	return number(0, ino)
}

// isOpaque reports whether lower directories do not show through an upper one.
func (fs *filesystem) isOpaque(c vfs.Ctx, i vfs.Inode, ino uint64) bool {
	fs.mu.Lock()
	_, ok := fs.opaque[ino]
	fs.mu.Unlock()
	return ok || hasOpaque(c, i)
}

func hasOpaque(c vfs.Ctx, i vfs.Inode) bool {
	x, ok := i.(vfs.Xattr)
	if !ok {
		return false
	}
	v, err := x.GetXattr(c, xattrOpaque)
	return err == nil && string(v) == "y"
}

// setOpaque makes an upper directory opaque. Where the layer has no attributes for that,
// it is known for as long as the overlay lives.
func (fs *filesystem) setOpaque(c vfs.Ctx, i vfs.Inode) {
	if a, err := i.Attr(c); err == nil {
		fs.mu.Lock()
		fs.opaque[a.Ino] = struct{}{}
		fs.mu.Unlock()
	}
	if x, ok := i.(vfs.Xattr); ok {
		// An error is fine: see above.
		_ = x.SetXattr(c, xattrOpaque, []byte("y"), 0)
	}
}

// redirected is the lower directories, each held, that show through an upper one that
// was moved.
func (fs *filesystem) redirected(ino uint64) ([]layerDir, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	ls, ok := fs.moved[ino]
	for _, l := range ls {
		hold(l.Inode)
	}
	return append([]layerDir(nil), ls...), ok
}

// forget forgets what was known of an upper file whose last name goes: its number may
// be given to another.
func (fs *filesystem) forget(ino uint64) {
	fs.mu.Lock()
	delete(fs.inos, ino)
	delete(fs.opaque, ino)
	ls := fs.moved[ino]
	delete(fs.moved, ino)
	fs.mu.Unlock()
	dropLayers(ls)
}
