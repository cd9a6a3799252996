package vfs

import (
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// An OpenSpec is how open(2) wants a file.
type OpenSpec struct {
	Flags linux.OpenFlags
	Mode  linux.FileMode // of a new file, before the umask
}

// settableFlags are those that F_SETFL changes; keptFlags those that F_GETFL shows.
const (
	settableFlags = linux.O_APPEND | linux.O_NONBLOCK | linux.O_ASYNC | linux.O_DIRECT | linux.O_NOATIME
	openOnlyFlags = linux.O_CREAT | linux.O_EXCL | linux.O_NOCTTY | linux.O_TRUNC | linux.O_CLOEXEC
)

// Open opens the file at a: open(2), openat2(2).
func Open(c Ctx, a At, s OpenSpec) (*FileDescription, error) {
	if s.Flags&linux.O_NOFOLLOW != 0 {
		a.Flags |= NoFollow
	}
	if s.Flags&linux.O_DIRECTORY != 0 {
		a.Flags |= Directory
	}
	switch {
	case s.Flags&(linux.O_PATH|linux.O_CREAT|linux.O_DIRECTORY) == linux.O_CREAT|linux.O_DIRECTORY:
		return nil, linux.EINVAL
	case s.Flags&linux.O_PATH != 0:
		p, err := Resolve(c, a)
		if err != nil {
			return nil, err
		}
		defer p.Drop()
		return NewFileDescription(p, pathFile{}, s.Flags&(linux.O_PATH|linux.O_DIRECTORY|linux.O_NOFOLLOW)), nil
	case s.Flags&linux.O_TMPFILE == linux.O_TMPFILE:
		return openTemp(c, a, s)
	case s.Flags&linux.O_CREAT != 0:
		return openCreate(c, a, s)
	}
	p, err := Resolve(c, a)
	if err != nil {
		return nil, err
	}
	defer p.Drop()
	return OpenPath(c, p, s.Flags)
}

// OpenPath opens p itself, as open(2) does at the end of its walk: permission is
// checked. p stays the caller's.
func OpenPath(c Ctx, p Path, flags linux.OpenFlags) (*FileDescription, error) {
	if err := mayOpen(c, p, flags); err != nil {
		return nil, err
	}
	return p.open(c, flags)
}

func mayOpen(c Ctx, p Path, flags linux.OpenFlags) error {
	var want Access
	switch flags & linux.O_ACCMODE {
	case linux.O_RDONLY:
		want = MayRead
	case linux.O_WRONLY:
		want = MayWrite
	default:
		want = MayRead | MayWrite
	}
	if flags&linux.O_TRUNC != 0 {
		want |= MayWrite
	}
	switch p.d.typ {
	case linux.S_IFLNK:
		return linux.ELOOP
	case linux.S_IFDIR:
		if want&MayWrite != 0 || flags&linux.O_CREAT != 0 {
			return linux.EISDIR
		}
	case linux.S_IFCHR, linux.S_IFBLK:
		if !p.mayHaveDevices() {
			return linux.EACCES
		}
	}
	if err := p.Permit(c, want); err != nil {
		return err
	}
	if flags&linux.O_NOATIME != 0 {
		if a, err := p.d.node.Attr(c); err != nil || !owner(c, &a) {
			return linux.EPERM
		}
	}
	return nil
}

// mayHaveDevices reports whether devices can be opened where p is.
func (p Path) mayHaveDevices() bool {
	fs := p.mnt.fs
	return p.mnt.Flags()&linux.MS_NODEV == 0 && (fs.user.First() || fs.typ.Flags&UserDevices != 0)
}

// open opens p, whatever the permissions.
func (p Path) open(c Ctx, flags linux.OpenFlags) (*FileDescription, error) {
	if !flags.Writable() && flags&linux.O_TRUNC == 0 {
		return p.openAs(c, flags)
	}
	if err := p.beginWrite(); err != nil {
		return nil, err
	}
	d, err := p.openAs(c, flags)
	if err != nil || !flags.Writable() {
		p.endWrite()
		return d, err
	}
	return d.wrote(), nil
}

// openAs opens p, which is counted as written to if that is due.
func (p Path) openAs(c Ctx, flags linux.OpenFlags) (*FileDescription, error) {
	how := flags & (Executing | Quiet)
	flags &^= how
	if err := p.askOpen(c, how); err != nil {
		return nil, err
	}
	if err := p.breakLeases(c, flags.Writable(), flags&linux.O_NONBLOCK != 0); err != nil {
		return nil, err
	}
	var f File
	var st *inodeState
	var err error
	cut, had := flags&linux.O_TRUNC != 0 && p.d.typ == linux.S_IFREG, Attr{}
	if cut {
		if had, err = BasicAttr(c, p.d.node); err != nil {
			return nil, err
		}
	}
	opener, opens := p.d.node.(Opener)
	switch kind := p.d.typ; {
	case opens:
		f, err = opener.OpenAt(c, p, flags)
	case kind == linux.S_IFREG, kind == linux.S_IFDIR, kind == 0: // 0: of an eventfd, say
		f, err = p.d.node.Open(c, flags)
	case kind == linux.S_IFCHR, kind == linux.S_IFBLK:
		f, err = p.openDevice(c, flags)
	case kind == linux.S_IFIFO:
		st = p.d.fs.state(p.d.node, true)
		if f, err = p.openFIFO(c, st, flags); err != nil {
			p.d.fs.putState(st)
		}
	default:
		err = linux.ENXIO
	}
	if err != nil {
		return nil, err
	}
	d := NewFileDescription(p, f, flags&^openOnlyFlags)
	d.state, d.quiet = st, how&Quiet != 0
	if cut {
		if _, ok := p.d.node.(Truncator); !ok {
			err = truncate(c, p.d.node, 0)
		} else if had.Mode&(linux.S_ISUID|linux.S_ISGID) != 0 {
			mode, _ := killPrivileges(c, &had)
			keepSetIDs(c, p.d.node, mode)
		}
		if err != nil {
			d.Release(c)
			return nil, err
		}
		d.path.notify(c, linux.FAN_MODIFY)
	}
	d.notify(c, opened(how))
	return d, nil
}

func (p Path) openDevice(c Ctx, flags linux.OpenFlags) (File, error) {
	a, err := p.d.node.Attr(c)
	if err != nil {
		return nil, err
	}
	dev := p.d.fs.sys.Device(p.d.typ, linux.Major(a.Rdev), linux.Minor(a.Rdev))
	if dev == nil {
		return nil, linux.ENXIO
	}
	return dev.Open(c, p, flags)
}

func (p Path) openFIFO(c Ctx, st *inodeState, flags linux.OpenFlags) (File, error) {
	sys := p.d.fs.sys
	sys.mu.Lock()
	fifos := sys.fifos
	sys.mu.Unlock()
	if fifos == nil {
		return nil, linux.ENXIO
	}
	return fifos.OpenFIFO(c, &st.slot, flags)
}

// openCreate is open with O_CREAT: the last component is looked up, and made, with
// its directory locked.
func openCreate(c Ctx, a At, s OpenSpec) (*FileDescription, error) {
	if a.Name == "" {
		return nil, linux.ENOENT
	}
	w := walk{c: c, flags: a.Flags &^ Directory, parent: true}
	err := w.begin(a)
	name := a.Name
	for err == nil {
		if err = w.run(name); err != nil {
			break
		}
		if w.last == "" || w.last == "." || w.last == ".." || w.slash {
			err = linux.EISDIR
			if s.Flags&linux.O_EXCL != 0 && !w.slash {
				err = linux.EEXIST
			}
			break
		}
		var d *FileDescription
		var link *Dentry
		d, link, err = w.openLast(s)
		if link != nil {
			name, err = w.followLast(link)
			if err == nil && name == "" { // a magic link has jumped there
				d, err = w.openHere(s)
			} else {
				continue
			}
		}
		w.end()
		return d, err
	}
	w.end()
	return nil, err
}

// followLast follows a link that is the last component.
func (w *walk) followLast(link *Dentry) (string, error) {
	w.last, w.slash = "", false
	return w.follow(link, "")
}

// openHere opens the place where the walk is, which exists.
func (w *walk) openHere(s OpenSpec) (*FileDescription, error) {
	return OpenPath(w.c, w.at, s.Flags)
}

// openLast opens w.last in w.at, or makes it. If it is a link to be followed, that is
// returned, held.
func (w *walk) openLast(s OpenSpec) (d *FileDescription, link *Dentry, err error) {
	dir := w.at.d
	x, err := dir.cached(w.c, w.last)
	if err != nil {
		return nil, nil, err
	}
	if x == nil || x.node == nil {
		if x != nil {
			x.unref()
		}
		if w.flags&Cached != 0 {
			return nil, nil, linux.EAGAIN
		}
		dir.dir.op.Lock()
		x, err = dir.lookupLocked(w.c, w.last)
		if err == nil && x.node == nil {
			x.unref()
			d, err = w.createLocked(s)
			dir.dir.op.Unlock()
			if err == nil {
				d.path.notifyEntry(w.c, linux.FAN_CREATE)
				d, err = d.began(w.c)
			}
			return d, nil, err
		}
		dir.dir.op.Unlock()
		if err != nil {
			return nil, nil, err
		}
	}
	if s.Flags&linux.O_EXCL != 0 {
		x.unref()
		return nil, nil, linux.EEXIST
	}
	if x.typ == linux.S_IFLNK && w.flags&NoFollow == 0 {
		return nil, x, nil
	}
	if err := w.enter(x); err != nil {
		return nil, nil, err
	}
	d, err = w.openHere(s)
	return d, nil, err
}

// createLocked makes and opens w.last, which does not exist, in w.at.
func (w *walk) createLocked(s OpenSpec) (*FileDescription, error) {
	c, dir := w.c, w.at
	spec, err := mayMake(c, dir, linux.S_IFREG|s.Mode&linux.PermMask)
	if err != nil {
		return nil, err
	}
	var node Inode
	var f File
	flags := s.Flags &^ linux.O_TRUNC
	if x, ok := dir.d.node.(Creator); ok {
		node, f, err = x.Create(c, w.last, spec, flags)
	} else {
		node, err = dir.d.node.(Maker).Make(c, w.last, spec)
	}
	if err != nil {
		return nil, err
	}
	x, err := newDentry(c, dir.d.fs, dir.d, w.last, node)
	if err != nil {
		if f != nil {
			f.Close(c)
		}
		return nil, err
	}
	dir.d.hash(x)
	defer x.unref()
	if f == nil {
		if f, err = node.Open(c, flags); err != nil {
			return nil, err
		}
	}
	d := NewFileDescription(Path{dir.mnt, x}, f, flags&^openOnlyFlags).made()
	d.created = true
	return d, nil
}

// openTemp is open with O_TMPFILE.
func openTemp(c Ctx, a At, s OpenSpec) (*FileDescription, error) {
	if !s.Flags.Writable() {
		return nil, linux.EINVAL
	}
	dir, err := Resolve(c, a)
	if err != nil {
		return nil, err
	}
	defer dir.Drop()
	if dir.mnt.ReadOnly() {
		return nil, linux.EROFS
	}
	if err := permit(c, dir.d.node, MayWrite|MayExec); err != nil {
		return nil, err
	}
	x, ok := dir.d.node.(TempMaker)
	if !ok {
		return nil, linux.EOPNOTSUPP
	}
	spec, err := makeSpec(c, dir.d.node, linux.S_IFREG|s.Mode&linux.PermMask)
	if err != nil {
		return nil, err
	}
	node, err := x.MakeTemp(c, spec)
	if err != nil {
		return nil, err
	}
	d, err := newDentry(c, dir.d.fs, dir.d, "", node)
	if err != nil {
		return nil, err
	}
	defer d.unref()
	if na, err := node.Attr(c); err == nil {
		d.place.Store(&place{dir.d, "#" + itoa(int(na.Ino))})
	}
	d.unhashed.Store(true)
	d.deleted.Store(true)
	d.linkable.Store(s.Flags&linux.O_EXCL == 0)
	f, err := node.Open(c, s.Flags&^linux.O_TMPFILE)
	if err != nil {
		return nil, err
	}
	return NewFileDescription(Path{dir.mnt, d}, f, s.Flags&^openOnlyFlags).made(), nil
}

// OpenPlace opens p as O_PATH does. p stays the caller's.
func OpenPlace(p Path) *FileDescription { return NewFileDescription(p, pathFile{}, linux.O_PATH) }

// pathFile is what O_PATH opens: a place, and nothing that can be done with it.
type pathFile struct{}

func (pathFile) Read(Ctx, usermem.Seq, int64) (int64, error)  { return 0, linux.EBADF }
func (pathFile) Write(Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EBADF }
func (pathFile) Close(Ctx)                                    {}
