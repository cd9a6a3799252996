package pseudo

import (
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A dir is a directory: a table, and perhaps a Dynamic.
type dir[S any] struct {
	node[S]
	table []Entry[S]
	more  Dynamic // may be nil
	nlink uint32  // from the table
}

// A DirSpec says what NewDir is to make.
type DirSpec[S any] struct {
	Mode    linux.FileMode // permission bits; 0: 0555
	Subject *Subject[S]    // nil: root's, always there
	Table   []Entry[S]
	More    Dynamic // may be nil
	// Allow, if set, decides on access in the place of the permission bits.
	Allow func(s S, c vfs.Ctx, a vfs.Attr, want vfs.Access) error
}

// NewDir makes a directory about s, at at.
func NewDir[S any](at Place, s S, spec DirSpec[S]) vfs.Inode {
	if spec.Mode == 0 {
		spec.Mode = 0o555
	}
	if spec.Subject == nil {
		spec.Subject = &Subject[S]{}
	}
	d := &dir[S]{
		node:  node[S]{Place: at, s: s, of: spec.Subject, mode: linux.S_IFDIR | spec.Mode},
		table: spec.Table, more: spec.More,
	}
	d.nlink = d.countLinks()
	if spec.Allow != nil {
		return &guardedDir[S]{dir: d, allow: spec.Allow}
	}
	return d
}

func (d *dir[S]) countLinks() uint32 {
	n := uint32(2)
	for i := range d.table {
		if d.table[i].mode().IsDir() {
			n++
		}
	}
	return n
}

func (d *dir[S]) find(name string) *Entry[S] {
	for i := range d.table {
		if e := &d.table[i]; e.Name == name && (e.Absent == nil || !e.Absent(d.s)) {
			return e
		}
	}
	return nil
}

// Attr implements vfs.Inode.
func (d *dir[S]) Attr(vfs.Ctx) (vfs.Attr, error) {
	n := d.nlink
	if d.more != nil {
		n += uint32(d.more.Links())
	}
	return d.attrs(n), nil
}

// Lookup implements vfs.Dir.
func (d *dir[S]) Lookup(c vfs.Ctx, name string) (vfs.Inode, error) {
	if !d.alive() {
		return nil, linux.ENOENT
	}
	if e := d.find(name); e != nil {
		return d.make(c, e, d.Child(name)), nil
	}
	if d.more != nil {
		return d.more.Lookup(c, name, d.Child(name))
	}
	return nil, linux.ENOENT
}

// Revalidate implements vfs.Stale.
func (d *dir[S]) Revalidate(c vfs.Ctx, name string, i vfs.Inode) bool {
	if !d.alive() {
		return i == nil
	}
	if e := d.find(name); e != nil {
		return i != nil
	}
	if d.more != nil {
		return d.more.Valid(c, name, i)
	}
	return i == nil
}

// Open implements vfs.Inode.
func (d *dir[S]) Open(vfs.Ctx, linux.OpenFlags) (vfs.File, error) { return &listing[S]{d}, nil }

// Statfs implements vfs.Statfser, where d is a root.
func (d *dir[S]) Statfs(vfs.Ctx) (linux.Statfs, error) { return d.statfs(), nil }

// ShowOptions implements vfs.Shower, where d is a root.
func (d *dir[S]) ShowOptions() string { return d.FS.Options }

// A root is the root directory of a filesystem that wants to know of its life.
type root[S any] struct {
	*dir[S]
	Life
}

// A Life is told when a filesystem begins and when it ends.
type Life interface {
	vfs.Starter
	vfs.Shutter
}

// NewRoot is NewDir for the root of fs, of whose life l is told.
func NewRoot[S any](fs *FS, s S, spec DirSpec[S], l Life) vfs.Inode {
	return &root[S]{NewDir(fs.Root(), s, spec).(*dir[S]), l}
}

// A guardedDir has rules of its own for who may look inside.
type guardedDir[S any] struct {
	*dir[S]
	allow func(s S, c vfs.Ctx, a vfs.Attr, want vfs.Access) error
}

// Permit implements vfs.Permitter.
func (g *guardedDir[S]) Permit(c vfs.Ctx, want vfs.Access) error {
	a, err := g.Attr(c)
	if err != nil {
		return err
	}
	return g.allow(g.s, c, a, want)
}

// A listing is an open directory: the table's entries, then the dynamic ones
// at offsets by their keys.
type listing[S any] struct{ d *dir[S] }

// Read and Write implement vfs.File.
func (*listing[S]) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EISDIR }

// Write implements vfs.File.
func (*listing[S]) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EBADF }

// Close implements vfs.File.
func (*listing[S]) Close(vfs.Ctx) {}

// List implements vfs.Lister.
func (l *listing[S]) List(c vfs.Ctx, off int64, f func(vfs.Dirent) bool) error {
	d := l.d
	if !d.alive() {
		return linux.ENOENT
	}
	end := vfs.FirstEntry + int64(len(d.table))
	for ; off < end; off++ {
		e := &d.table[off-vfs.FirstEntry]
		if e.Absent != nil && e.Absent(d.s) {
			continue
		}
		at := d.Child(e.Name)
		if !f(vfs.Dirent{Name: e.Name, Ino: at.Ino, Type: e.mode().DirentType(), Next: off + 1}) {
			return nil
		}
	}
	if d.more == nil {
		return nil
	}
	numbered, _ := d.more.(Numbered)
	return d.more.Each(c, off-end, func(key int64, name string, mode linux.FileMode) bool {
		at := d.Child(name)
		if numbered != nil {
			at.Ino = numbered.Number(name, at)
		}
		return f(vfs.Dirent{Name: name, Ino: at.Ino, Type: mode.DirentType(), Next: end + key + 1})
	})
}
