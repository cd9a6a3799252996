package goferfs

import (
	"sync/atomic"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/list"
	"garrison/sentry/vfs"
)

// A dir is a directory of a mount that is the sandbox's alone.
type dir struct {
	node

	doubtful atomic.Bool   // doubts has names
	known    atomic.Uint32 // what knows says
	edits    atomic.Uint64 // what fs.edits was made when names last changed; set under node.mu
	asked    atomic.Uint32 // how often the gofer was asked for lists of files in it
	missed   atomic.Uint32 // how many names that are not there the gofer was asked for

	doubts doubts   // protected by node.mu
	names  *listing // all names, or nil if they are not known; protected by node.mu
	kept   int      // entries of names that count against fs.entries; protected by fs.mu
	recent bool     // names served since the last trimming; protected by fs.mu
	place  list.Elem[*dir]
}

// knows is what is known of d's names. It may change at any time.
func (d *dir) knows() knowledge { return knowledge(d.known.Load()) }

// A sharedDir is a directory of a mount that others change too.
type sharedDir struct{ dir }

// Revalidate implements vfs.Stale.
func (d *sharedDir) Revalidate(c vfs.Ctx, name string, i vfs.Inode) bool {
	return d.still(c, name, i)
}

// asDir is the dir of an inode, which must be one.
func asDir(i vfs.Inode) (*dir, error) {
	switch d := i.(type) {
	case *dir:
		return d, nil
	case *sharedDir:
		return &d.dir, nil
	}
	return nil, linux.ENOTDIR
}

// Drop implements vfs.Counted.
func (d *dir) Drop() {
	if d.drop() {
		d.forgetNames()
	}
}

// changeable reports why nothing can be made here, if so.
func (d *dir) changeable() error {
	switch {
	case d.fs.readOnly:
		return linux.EROFS
	case d.gone():
		return linux.ENOENT
	}
	return nil
}

// Make implements vfs.Maker.
func (d *dir) Make(c vfs.Ctx, name string, s *vfs.MakeSpec) (vfs.Inode, error) {
	if s.Mode.Type() == linux.S_IFREG {
		f, err := d.create(c, name, s)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	if err := d.changeable(); err != nil {
		return nil, err
	}
	if i := d.makeLater(c, name, s); i != nil {
		return i, nil
	}
	ver, since := d.version(), d.fs.edits.Load()
	var r wire.NodeResp
	err := d.fs.call(c, &wire.MknodReq{Dir: d.id, Name: name, Mode: uint32(s.Mode), UID: s.UID, GID: s.GID,
		Rdev: s.Rdev, Target: s.Target}, &r, nil)
	if err != nil {
		return nil, err
	}
	if s.Mode.Type() == linux.S_IFLNK {
		r.Node.Target = s.Target
	}
	i := d.fs.intern(&r.Node)
	i.base().made.Store(true)
	d.fs.later.owned(s)
	if sub, ok := i.(*dir); ok {
		// It is empty: what will be in it is what is made there.
		i.base().above.Store(d)
		sub.keep(&listing{where: map[string]int{}}, since)
	}
	i.base().inherited(c, d, s)
	d.store(&r.Dir, ver)
	d.added(name, i)
	return i, nil
}

// create makes a regular file; without a name it is in no directory. If it has a
// descriptor, that is kept for whoever opens it.
func (d *dir) create(c vfs.Ctx, name string, s *vfs.MakeSpec) (*file, error) {
	if err := d.changeable(); err != nil {
		return nil, err
	}
	if f, ok := d.makeLater(c, name, s).(*file); ok {
		return f, nil
	}
	ver := d.version()
	var r wire.NodeResp
	var fds wire.FDs
	err := d.fs.call(c, &wire.CreateReq{Dir: d.id, Name: name, Mode: uint32(s.Mode.Perm()), UID: s.UID, GID: s.GID}, &r, &fds)
	if err != nil {
		return nil, err
	}
	defer fds.Close()
	f, ok := d.fs.intern(&r.Node).(*file)
	if !ok {
		return nil, linux.EIO // never from a gofer of ours
	}
	f.made.Store(true)
	d.fs.later.owned(s)
	if fd := fds.Take(); fd >= 0 {
		f.bytes().install(d.fs.newDescriptor(fd, true))
	}
	f.inherited(c, d, s)
	if name == "" {
		f.mu.Lock()
		f.removed, f.kept = true, true
		f.mu.Unlock()
		return f, nil
	}
	d.store(&r.Dir, ver)
	d.added(name, f)
	return f, nil
}

// Create implements vfs.Creator: one round trip, or none.
func (d *dir) Create(c vfs.Ctx, name string, s *vfs.MakeSpec, _ linux.OpenFlags) (vfs.Inode, vfs.File, error) {
	f, err := d.create(c, name, s)
	if err != nil {
		return nil, nil, err
	}
	b := f.bytes()
	if f.making.Load() != nil {
		b.openLater()
		return f, &openFile{b}, nil
	}
	if err := b.open(c, wire.OpenWrite); err != nil {
		f.Drop()
		return nil, nil, err
	}
	return f, &openFile{b}, nil
}

// MakeTemp implements vfs.TempMaker.
func (d *dir) MakeTemp(c vfs.Ctx, s *vfs.MakeSpec) (vfs.Inode, error) {
	f, err := d.create(c, "", s)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Link implements vfs.Linker.
func (d *dir) Link(c vfs.Ctx, name string, i vfs.Inode) error {
	if err := d.changeable(); err != nil {
		return err
	}
	in, ok := i.(inode)
	if !ok || in.base().fs != d.fs {
		return linux.EXDEV
	}
	n := in.base()
	if d.linkLater(c, name, in) {
		return nil
	}
	dirVer, ver := d.version(), n.version()
	var r wire.LinkResp
	if err := d.fs.call(c, &wire.LinkReq{ID: n.id, Dir: d.id, Name: name}, &r, nil); err != nil {
		return err
	}
	n.store(&r.Attr, ver)
	n.mu.Lock()
	n.removed = false
	n.mu.Unlock()
	d.store(&r.Dir, dirVer)
	d.added(name, in)
	return n.copiedUp(c)
}

// needed reports whether a file that loses a name is used on: the gofer must then keep
// what leads to it.
func (n *node) needed() bool {
	n.mu.Lock()
	links := n.attr.Nlink
	n.mu.Unlock()
	if n.typ != linux.S_IFDIR && links > 1 {
		return true
	}
	d := n.data.Load()
	return d != nil && d.isOpen()
}

// lost notes that n has lost a name, at a time that the host gave its directory. keep
// is what the gofer was told.
func (n *node) lost(at wire.Time, keep bool) {
	n.mu.Lock()
	n.kept = n.kept || keep
	a := &n.attr
	if n.typ == linux.S_IFDIR || a.Nlink <= 1 {
		a.Nlink = 0
		n.removed = true
	} else {
		a.Nlink--
	}
	a.Ctime = at
	n.ver++
	gone := n.removed
	n.mu.Unlock()
	if !gone && n.late.Load() == 0 {
		n.ask.Store(true) // the host's time may differ a little, and others can see it
	}
	if d := n.data.Load(); gone && d != nil {
		n.fs.mu.Lock()
		n.fs.unidleLocked(d)
		n.fs.mu.Unlock()
		d.discard()
	}
}

// Remove implements vfs.Remover.
func (d *dir) Remove(c vfs.Ctx, name string, i vfs.Inode, rmdir bool) error {
	if err := d.changeable(); err != nil {
		return err
	}
	n := i.(inode).base()
	if row := d.fs.later.inRow(); (row || n.made.Load() && n.late.Load() > 0) && d.mayWait(name, i.(inode), rmdir) {
		d.removeLater(name, i.(inode), rmdir, c.Done())
		return nil
	}
	ver := d.version()
	q := wire.UnlinkReq{Dir: d.id, Name: name, RmDir: rmdir, Victim: n.id, Keep: n.needed()}
	var r wire.UnlinkResp
	if err := d.fs.call(c, &q, &r, nil); err != nil {
		return err
	}
	d.store(&r.Dir, ver)
	d.removedName(name)
	n.lost(r.Dir.Mtime, q.Keep)
	return nil
}

// Rename implements vfs.Renamer.
func (d *dir) Rename(c vfs.Ctx, r *vfs.RenameSpec) error {
	if err := d.changeable(); err != nil {
		return err
	}
	to, err := asDir(r.NewDir)
	if err != nil || to.fs != d.fs {
		return linux.EXDEV
	}
	if to.gone() {
		return linux.ENOENT
	}
	exchange := r.Flags&linux.RENAME_EXCHANGE != 0
	if r.Moved == r.Replaced && !exchange {
		return nil // two names of one file: rename(2) leaves both
	}
	moved := r.Moved.(inode)
	q := wire.RenameReq{OldDir: d.id, NewDir: to.id, OldName: r.Old, NewName: r.New, Flags: r.Flags, Moved: moved.base().id}
	var other inode
	if r.Replaced != nil {
		other = r.Replaced.(inode)
		q.Victim, q.Keep = other.base().id, !exchange && other.base().needed()
	}
	ver, toVer, movedVer := d.version(), to.version(), moved.base().version()
	var resp wire.RenameResp
	if err := d.fs.call(c, &q, &resp, nil); err != nil {
		return err
	}
	d.store(&resp.Old, ver)
	if to != d {
		to.store(&resp.New, toVer)
	}
	moved.base().store(&resp.Moved, movedVer)
	if exchange {
		other.base().suspect()
		d.added(r.Old, other)
		to.added(r.New, moved)
		return nil
	}
	moved.Hold() // the name it had may be all that holds it
	d.removedName(r.Old)
	to.added(r.New, moved)
	moved.Drop()
	if other != nil {
		other.base().lost(resp.Old.Ctime, q.Keep)
	}
	return nil
}

// Open implements vfs.Inode: a directory is opened to be listed.
func (d *dir) Open(_ vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	if flags.Writable() {
		return nil, linux.EISDIR
	}
	return &openDir{dir: d}, nil
}
