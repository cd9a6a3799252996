package proc

import (
	"bytes"
	"fmt"
	"strconv"

	"garrison/fs/pseudo"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// fdsNode is /proc/pid/fd, fdinfosNode /proc/pid/fdinfo.
func fdsNode(p *process, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
	return pseudo.NewDir(at, p, pseudo.DirSpec[*process]{
		Mode: 0o500, Subject: subject, Allow: sameProcess,
		More: fds{p, func(f *openFD, at pseudo.Place) vfs.Inode { return &fdLink{f, at} }, linux.S_IFLNK},
	})
}

func fdinfosNode(p *process, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
	return pseudo.NewDir(at, p, pseudo.DirSpec[*process]{
		Mode: 0o555, Subject: subject, Allow: tracedDir,
		More: fds{p, newFDInfo, linux.S_IFREG},
	})
}

// tracedDir closes fdinfo to those who may not trace p.
func tracedDir(p *process, c vfs.Ctx, a vfs.Attr, want vfs.Access) error {
	if err := traced(p, c); err != nil {
		return err
	}
	return vfs.Allowed(c, &a, want)
}

// An openFD is a descriptor of p; it may be closed, or be another file, by the
// time somebody looks.
type openFD struct {
	p  *process
	fd vfs.FD
}

// file is the file of the descriptor now, held: ENOENT.
func (f *openFD) file() (*vfs.FileDescription, error) {
	fds := f.p.task().FDs()
	if fds == nil {
		return nil, linux.ENOENT
	}
	d, err := fds.GetPath(f.fd)
	if err != nil {
		return nil, linux.ENOENT
	}
	return d, nil
}

// fds is a directory of p's descriptors.
type fds struct {
	p    *process
	mk   func(*openFD, pseudo.Place) vfs.Inode
	mode linux.FileMode
}

func (d fds) find(name string) *openFD {
	n, err := strconv.ParseInt(name, 10, 32)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != name {
		return nil
	}
	f := &openFD{d.p, vfs.FD(n)}
	file, err := f.file()
	if err != nil {
		return nil
	}
	file.DecRef()
	return f
}

// Lookup implements pseudo.Dynamic.
func (d fds) Lookup(c vfs.Ctx, name string, at pseudo.Place) (vfs.Inode, error) {
	if f := d.find(name); f != nil {
		return d.mk(f, at), nil
	}
	return nil, linux.ENOENT
}

// Valid implements pseudo.Dynamic.
func (d fds) Valid(_ vfs.Ctx, name string, i vfs.Inode) bool {
	return (d.find(name) != nil) == (i != nil)
}

// Each implements pseudo.Dynamic: the key is the descriptor.
func (d fds) Each(c vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	if err := traced(d.p, c); err != nil {
		return err
	}
	table := d.p.task().FDs()
	if table == nil {
		return linux.ENOENT
	}
	for _, fd := range table.FDs() {
		if n := int64(fd); n >= key && !f(n, strconv.FormatInt(n, 10), d.mode) {
			return nil
		}
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (fds) Links() int { return 0 }

// An fdLink is /proc/pid/fd/N. Its mode says how the file is open.
type fdLink struct {
	f  *openFD
	at pseudo.Place
}

// Attr implements vfs.Inode.
func (l *fdLink) Attr(vfs.Ctx) (vfs.Attr, error) {
	uid, gid := l.f.p.owner(linux.S_IFLNK)
	mode := linux.S_IFLNK
	if d, err := l.f.file(); err == nil {
		// An O_PATH file is neither, and still can be followed.
		if fl := d.Flags(); fl.Readable() {
			mode |= 0o500
		}
		if d.Flags().Writable() {
			mode |= 0o300
		}
		if d.IsPath() {
			mode |= 0o100
		}
		d.DecRef()
	}
	const size = 64
	a := l.at.Attr(mode, uid, gid)
	a.Size = size
	return a, nil
}

// SetAttr implements vfs.Inode.
func (*fdLink) SetAttr(vfs.Ctx, *vfs.Attr, vfs.AttrMask) error { return linux.EPERM }

// Open implements vfs.Inode.
func (*fdLink) Open(vfs.Ctx, linux.OpenFlags) (vfs.File, error) { return nil, linux.ELOOP }

// Readlink implements vfs.Symlink.
func (l *fdLink) Readlink(c vfs.Ctx) (string, error) {
	if err := traced(l.f.p, c); err != nil {
		return "", err
	}
	d, err := l.f.file()
	if err != nil {
		return "", err
	}
	defer d.Release(c)
	return name(c, d.Path()), nil
}

// Follow implements vfs.Follower.
func (l *fdLink) Follow(c vfs.Ctx) (vfs.Path, error) {
	if err := traced(l.f.p, c); err != nil {
		return vfs.Path{}, err
	}
	d, err := l.f.file()
	if err != nil {
		return vfs.Path{}, err
	}
	defer d.Release(c)
	return d.Path().Hold(), nil
}

// newFDInfo makes /proc/pid/fdinfo/N.
func newFDInfo(f *openFD, at pseudo.Place) vfs.Inode {
	return pseudo.NewFile(at, f, &pseudo.Subject[*openFD]{
		Owner: func(f *openFD, mode linux.FileMode) (uint32, uint32) { return f.p.owner(mode) },
		Alive: func(f *openFD) bool { return f.p.alive() },
	}, &pseudo.Entry[*openFD]{Mode: 0o444, Show: showFDInfo})
}

// showFDInfo is /proc/pid/fdinfo/N, proc_pid_fdinfo(5).
func showFDInfo(f *openFD, c vfs.Ctx, w *bytes.Buffer) error {
	d, err := f.file()
	if err != nil {
		return err
	}
	defer d.Release(c)
	flags := d.Flags()
	if on, err := f.p.task().FDs().CloExec(f.fd); err == nil && on {
		flags |= linux.O_CLOEXEC
	}
	var ino uint64
	if a, err := d.Attr(c); err == nil {
		ino = a.Ino
	}
	fmt.Fprintf(w, "pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n", d.Offset(), uint32(flags), d.Path().Mount().ID(), ino)
	showFileLocks(f, d, c, w)
	w.WriteString(d.FDInfo(c))
	return nil
}
