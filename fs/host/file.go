package host

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A Descriptor is a host descriptor given to the sandbox. It is an inode, to be
// opened as often as the guest likes (/dev/stdout): every open file shares the
// host's description and with it the host's file offset.
type Descriptor struct {
	fd       int
	poller   *Poller
	kind     linux.FileMode // S_IFMT
	flags    linux.OpenFlags
	tty      bool
	seekable bool
	uid, gid uint32

	queue  wait.Queue
	pollID int32
	polled bool
	refs   atomic.Int64
	opened atomic.Bool // there has been an open file: the one that shares the host's offset

	// Where the host can't be asked not to wait, a goroutine waits in the task's
	// place: slow is set, and the rest is what it has in hand.
	slow atomic.Bool
	mu   lock.Mutex[lock.Leaf]
	in   transfer // protected by mu
	out  transfer // protected by mu
}

var (
	_ vfs.Inode   = (*Descriptor)(nil)
	_ vfs.Opener  = (*Descriptor)(nil)
	_ vfs.Counted = (*Descriptor)(nil)
)

// New makes an inode of fd, which it owns, held once. uid and gid are whose it
// shows as: the user that the container's first process runs as, so that it may
// open its standard output again.
func New(p *Poller, fd int, uid, gid uint32) (*Descriptor, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("host: descriptor %d: %w", fd, err)
	}
	fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, fmt.Errorf("host: descriptor %d: %w", fd, err)
	}
	d := &Descriptor{fd: fd, poller: p, kind: linux.FileMode(st.Mode).Type(), flags: linux.OpenFlags(fl), uid: uid, gid: gid}
	d.refs.Store(1)
	if d.kind == linux.S_IFREG || d.kind == linux.S_IFBLK {
		d.seekable = true
	} else if d.pollID, d.polled, err = p.Add(fd, &d.queue); err != nil {
		return nil, err
	}
	if d.kind == linux.S_IFCHR {
		_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		d.tty = err == nil
	}
	return d, nil
}

// Flags is how the descriptor is open: the access mode, O_APPEND.
func (d *Descriptor) Flags() linux.OpenFlags {
	return d.flags & (linux.O_ACCMODE | linux.O_APPEND)
}

// Name is what /proc/pid/fd shows for it.
func (d *Descriptor) Name() string {
	var st unix.Stat_t
	unix.Fstat(d.fd, &st)
	switch d.kind {
	case linux.S_IFIFO:
		return fmt.Sprintf("pipe:[%d]", st.Ino)
	case linux.S_IFSOCK:
		return fmt.Sprintf("socket:[%d]", st.Ino)
	case linux.S_IFCHR:
		if d.tty {
			return "/dev/console"
		}
		return "/dev/null"
	}
	return fmt.Sprintf("host:[%d]", st.Ino)
}

// Hold implements vfs.Counted.
func (d *Descriptor) Hold() { d.refs.Add(1) }

// Drop implements vfs.Counted: with the last the descriptor is closed.
func (d *Descriptor) Drop() {
	if d.refs.Add(-1) != 0 {
		return
	}
	if d.polled {
		d.poller.Remove(d.fd, d.pollID)
	}
	unix.Close(d.fd)
}

// Attr implements vfs.Inode: the host's, but for whose it is.
func (d *Descriptor) Attr(vfs.Ctx) (vfs.Attr, error) {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return vfs.Attr{}, linux.EIO
	}
	ts := func(t unix.Timespec) linux.Timespec { return linux.Timespec{Sec: t.Sec, Nsec: t.Nsec} }
	return vfs.Attr{
		Ino: st.Ino, Mode: linux.FileMode(st.Mode) | 0o600, Nlink: uint32(st.Nlink), UID: d.uid, GID: d.gid, Rdev: st.Rdev,
		Size: st.Size, Blocks: uint64(st.Blocks), Blksize: uint32(st.Blksize),
		Atime: ts(st.Atim), Mtime: ts(st.Mtim), Ctime: ts(st.Ctim),
	}, nil
}

// SetAttr implements vfs.Inode. Only the size is the guest's to change.
func (d *Descriptor) SetAttr(_ vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) error {
	if mask&vfs.SetSize != 0 && d.kind == linux.S_IFREG {
		if err := unix.Ftruncate(d.fd, a.Size); err != nil {
			return errno(err)
		}
	}
	if mask&(vfs.SetMode|vfs.SetUID|vfs.SetGID) != 0 {
		return linux.EPERM
	}
	return nil
}

// Open implements vfs.Inode.
func (d *Descriptor) Open(c vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	return d.OpenAt(c, vfs.Path{}, flags)
}

// OpenAt implements vfs.Opener. A description that is only for writing can't be
// read through another either: EACCES, as for a file without the permission.
func (d *Descriptor) OpenAt(_ vfs.Ctx, _ vfs.Path, flags linux.OpenFlags) (vfs.File, error) {
	if flags.Readable() && !d.flags.Readable() || flags.Writable() && !d.flags.Writable() {
		return nil, linux.EACCES
	}
	d.Hold()
	if d.seekable {
		r := &regular{file: file{d}}
		r.shares = d.opened.CompareAndSwap(false, true)
		return r, nil
	}
	return &stream{file{d}}, nil
}

// errno is a host error as the guest sees it. What tells of the host's own
// troubles is EIO.
func errno(err error) error {
	e, ok := err.(unix.Errno)
	switch {
	case !ok, e == linux.EBADF, e == linux.EFAULT, e == linux.EINTR:
		return linux.EIO
	}
	return e
}

// file is what all open files of a Descriptor do.
type file struct{ d *Descriptor }

// Close implements vfs.File.
func (f file) Close(vfs.Ctx) { f.d.Drop() }

// Sync implements vfs.Syncer.
func (f file) Sync(_ vfs.Ctx, dataOnly bool) error {
	call := unix.Fsync
	if dataOnly {
		call = unix.Fdatasync
	}
	if err := call(f.d.fd); err != nil {
		return errno(err)
	}
	return nil
}

// Ioctl implements vfs.Control.
func (f file) Ioctl(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	return f.d.ioctl(c, m, cmd, arg)
}

// Describe opens d as the container's first process finds it: with the flags that
// the descriptor has, sharing its offset. The reference is the caller's;
// d's first hold passes to the open file.
func (d *Descriptor) Describe(c vfs.Ctx, s *vfs.System) (*vfs.FileDescription, error) {
	p := s.NewUnnamed(d, d.Name())
	defer p.Drop()
	f, err := d.Open(c, d.Flags())
	if err != nil {
		return nil, err
	}
	fd := vfs.NewFileDescription(p, f, d.Flags())
	return fd, nil
}
