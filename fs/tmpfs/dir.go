package tmpfs

import (
	"sort"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A dir is a directory. vfs lets one operation at a time change its names; mu, besides,
// protects them from those who only look.
type dir struct {
	inode
	names  map[string]*entry // protected by mu
	order  []*entry          // by cookie, with holes; protected by mu
	holes  int               // entries of order that are gone; protected by mu
	parent *dir              // protected by vfs: a rename excludes others
}

// An entry is a name in a directory. Its cookie is where getdents(2) stands after the
// entries before it, and stays so whatever happens to the others.
type entry struct {
	name   string
	node   node // nil: gone
	cookie int64
}

// direntSize is by how much an entry makes a directory larger, as on Linux.
const direntSize = 20

// Drop implements vfs.Counted.
func (d *dir) Drop() { d.drop(d) }

// Lookup implements vfs.Dir.
func (d *dir) Lookup(_ vfs.Ctx, name string) (vfs.Inode, error) {
	d.mu.Lock()
	e := d.names[name]
	d.mu.Unlock()
	if e == nil {
		return nil, linux.ENOENT
	}
	// It has a name for as long as vfs keeps the directory locked.
	e.node.base().Hold()
	return e.node, nil
}

// addLocked gives n a name. The caller counts the link.
func (d *dir) addLocked(name string, n node, now linux.Timespec) {
	if d.names == nil {
		d.names = map[string]*entry{}
	}
	e := &entry{name, n, int64(d.fs.lastDir.Add(1))}
	d.names[name] = e
	d.order = append(d.order, e)
	d.attr.Size += direntSize
	d.touchLocked(now)
}

// removeLocked takes a name away.
func (d *dir) removeLocked(name string, now linux.Timespec) {
	e := d.names[name]
	delete(d.names, name)
	e.node = nil
	d.attr.Size -= direntSize
	d.touchLocked(now)
	if d.holes++; d.holes > 16 && d.holes > len(d.order)/2 {
		kept := make([]*entry, 0, len(d.names))
		for _, e := range d.order {
			if e.node != nil {
				kept = append(kept, e)
			}
		}
		d.order, d.holes = kept, 0
	}
}

// make makes a file that has no name yet, held once.
func (d *dir) make(c vfs.Ctx, s *vfs.MakeSpec) (node, error) {
	if err := d.fs.newInode(); err != nil {
		return nil, err
	}
	var n node
	switch s.Mode.Type() {
	case linux.S_IFREG:
		n = newRegular(d.fs)
	case linux.S_IFDIR:
		n = &dir{parent: d}
	case linux.S_IFLNK:
		n = &symlink{target: s.Target}
	default:
		n = &special{}
	}
	i := n.base()
	i.init(c, d.fs, s)
	switch s.Mode.Type() {
	case linux.S_IFLNK:
		i.attr.Size = int64(len(s.Target))
	case linux.S_IFDIR:
		i.attr.Size = 2 * direntSize
	}
	return n, nil
}

// Make implements vfs.Maker.
func (d *dir) Make(c vfs.Ctx, name string, s *vfs.MakeSpec) (vfs.Inode, error) {
	n, err := d.make(c, s)
	if err != nil {
		return nil, err
	}
	isDir := s.Mode.IsDir()
	d.mu.Lock()
	switch {
	case d.attr.Nlink == 0:
		err = linux.ENOENT // removed
	case d.names[name] != nil:
		err = linux.EEXIST
	default:
		d.addLocked(name, n, c.Now())
		if isDir {
			d.attr.Nlink++
		}
	}
	d.mu.Unlock()
	if err == nil {
		n.base().mu.Lock()
		n.base().attr.Nlink = 1
		if isDir {
			n.base().attr.Nlink = 2
		}
		n.base().mu.Unlock()
	} else {
		n.base().drop(n)
	}
	return n, err
}

// MakeTemp implements vfs.TempMaker.
func (d *dir) MakeTemp(c vfs.Ctx, s *vfs.MakeSpec) (vfs.Inode, error) {
	n, err := d.make(c, s)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Link implements vfs.Linker.
func (d *dir) Link(c vfs.Ctx, name string, i vfs.Inode) error {
	n := i.(node)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.attr.Nlink == 0:
		return linux.ENOENT
	case d.names[name] != nil:
		return linux.EEXIST
	}
	d.addLocked(name, n, c.Now())
	d.mu.Unlock()
	n.base().links(c, 1)
	d.mu.Lock()
	return nil
}

// Remove implements vfs.Remover.
func (d *dir) Remove(c vfs.Ctx, name string, i vfs.Inode, rmdir bool) error {
	n := i.(node)
	if rmdir {
		if err := n.(*dir).die(); err != nil {
			return err
		}
	}
	d.mu.Lock()
	d.removeLocked(name, c.Now())
	if rmdir {
		d.attr.Nlink--
	}
	d.mu.Unlock()
	if !rmdir {
		n.base().links(c, -1)
	}
	n.base().reap(n)
	return nil
}

// die makes an empty directory one in which nothing can be made: ENOTEMPTY.
func (d *dir) die() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.names) != 0 {
		return linux.ENOTEMPTY
	}
	d.attr.Nlink, d.attr.Size = 0, 0
	return nil
}

// Rename implements vfs.Renamer.
func (d *dir) Rename(c vfs.Ctx, r *vfs.RenameSpec) error {
	to := dirOf(r.NewDir)
	moved, now := r.Moved.(node), c.Now()
	var replaced node
	if r.Replaced != nil {
		replaced = r.Replaced.(node)
	}
	if r.Flags&linux.RENAME_EXCHANGE != 0 {
		d.exchange(to, r, now)
		return nil
	}
	var white node
	if r.Flags&linux.RENAME_WHITEOUT != 0 {
		var err error
		if white, err = d.make(c, &vfs.MakeSpec{Mode: linux.S_IFCHR}); err != nil {
			return err
		}
		white.base().attr.Nlink = 1
		white.base().holds = 0
	}
	movedDir, isDir := moved.(*dir)
	if isDir && replaced != nil {
		if err := replaced.(*dir).die(); err != nil {
			if white != nil {
				white.base().links(c, -1)
				white.base().reap(white)
			}
			return err
		}
	}
	d.mu.Lock()
	d.removeLocked(r.Old, now)
	if white != nil {
		d.addLocked(r.Old, white, now)
	}
	if isDir {
		d.attr.Nlink--
	}
	d.mu.Unlock()
	to.mu.Lock()
	if replaced != nil {
		to.removeLocked(r.New, now)
	}
	to.addLocked(r.New, moved, now)
	if isDir && replaced == nil {
		to.attr.Nlink++
	}
	to.mu.Unlock()
	if isDir {
		movedDir.parent = to
	}
	moved.base().links(c, 0)
	if replaced != nil {
		if !isDir {
			replaced.base().links(c, -1)
		}
		replaced.base().reap(replaced)
	}
	return nil
}

// dirOf is the dir that is i, which may be the root.
func dirOf(i vfs.Inode) *dir {
	if r, ok := i.(*rootDir); ok {
		return r.dir
	}
	return i.(*dir)
}

// exchange is RENAME_EXCHANGE.
func (d *dir) exchange(to *dir, r *vfs.RenameSpec, now linux.Timespec) {
	a, b := r.Moved.(node), r.Replaced.(node)
	_, aDir := a.(*dir)
	_, bDir := b.(*dir)
	for _, x := range []struct {
		d      *dir
		name   string
		n      node
		gained bool
		lost   bool
	}{{d, r.Old, b, bDir, aDir}, {to, r.New, a, aDir, bDir}} {
		x.d.mu.Lock()
		x.d.names[x.name].node = x.n
		x.d.touchLocked(now)
		if x.gained {
			x.d.attr.Nlink++
		}
		if x.lost {
			x.d.attr.Nlink--
		}
		x.d.mu.Unlock()
		x.n.base().mu.Lock()
		x.n.base().attr.Ctime = now
		x.n.base().mu.Unlock()
	}
}

// freeAll gives up all files below d, as the filesystem goes.
func (d *dir) freeAll() {
	d.mu.Lock()
	names := d.names
	d.names, d.order = nil, nil
	d.mu.Unlock()
	for _, e := range names {
		if x, ok := e.node.(*dir); ok {
			x.freeAll()
			continue
		}
		i := e.node.base()
		i.mu.Lock()
		i.attr.Nlink = 0
		i.mu.Unlock()
		i.reap(e.node)
	}
}

// Open implements vfs.Inode.
func (d *dir) Open(vfs.Ctx, linux.OpenFlags) (vfs.File, error) { return openDir{d}, nil }

// openDir is an open directory.
type openDir struct{ d *dir }

func (openDir) Read(vfs.Ctx, usermem.Seq, int64) (int64, error)  { return 0, linux.EISDIR }
func (openDir) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EISDIR }
func (openDir) Close(vfs.Ctx)                                    {}

// listBatch is how many entries are taken out of a directory at a time.
const listBatch = 128

// List implements vfs.Lister. It is called with no lock held, so that f may look at
// files.
func (o openDir) List(_ vfs.Ctx, off int64, f func(vfs.Dirent) bool) error {
	var buf [listBatch]vfs.Dirent
	for {
		batch := o.d.some(off, buf[:0])
		for _, e := range batch {
			if !f(e) {
				return nil
			}
			off = e.Next
		}
		if len(batch) < listBatch {
			return nil
		}
	}
}

// some appends the entries from off on to out, as many as there is room for.
func (d *dir) some(off int64, out []vfs.Dirent) []vfs.Dirent {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := sort.Search(len(d.order), func(i int) bool { return d.order[i].cookie >= off })
	for ; i < len(d.order) && len(out) < cap(out); i++ {
		e := d.order[i]
		if e.node == nil {
			continue
		}
		b := e.node.base()
		out = append(out, vfs.Dirent{Name: e.name, Ino: b.ino, Type: b.kind.DirentType(), Next: e.cookie + 1})
	}
	return out
}
