package syscalls

import (
	"math"

	"garrison/sentry/kernel"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// dup implements dup(2).
func dup(t *kernel.Task, fd kernel.FD) (kernel.FD, error) { return duplicate(t, fd, 0, false) }

// duplicate gives the file of fd another descriptor, of number lowest or above.
func duplicate(t *kernel.Task, fd, lowest kernel.FD, cloexec bool) (kernel.FD, error) {
	d, err := t.FDs().GetPath(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	return t.FDs().Install(t, d, lowest, cloexec)
}

// dup2 implements dup2(2), which does nothing to a descriptor onto itself.
func dup2(t *kernel.Task, from, to kernel.FD) (kernel.FD, error) {
	if from == to {
		d, err := t.FDs().GetPath(from)
		if err != nil {
			return 0, err
		}
		d.Release(t)
		return to, nil
	}
	return dup3(t, from, to, 0)
}

// dup3 implements dup3(2).
func dup3(t *kernel.Task, from, to kernel.FD, flags linux.OpenFlags) (kernel.FD, error) {
	if flags&^linux.O_CLOEXEC != 0 || from == to {
		return 0, linux.EINVAL
	}
	if to < 0 || uint64(to) >= t.Limit(limits.NOFile) {
		return 0, linux.EBADF
	}
	d, err := t.FDs().GetPath(from)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	return to, t.FDs().Replace(t, to, d, flags&linux.O_CLOEXEC != 0)
}

// fcntl implements fcntl(2): first what concerns the descriptor, which O_PATH
// files have too, then what concerns the open file.
func fcntl(t *kernel.Task, fd kernel.FD, cmd uint32, arg uint64) (int, error) {
	d, err := t.FDs().GetPath(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	switch cmd {
	case linux.F_DUPFD, linux.F_DUPFD_CLOEXEC:
		if arg >= t.Limit(limits.NOFile) {
			return 0, linux.EINVAL
		}
		n, err := t.FDs().Install(t, d, kernel.FD(arg), cmd == linux.F_DUPFD_CLOEXEC)
		return int(n), err
	case linux.F_GETFD:
		on, err := t.FDs().CloExec(fd)
		if on {
			return linux.FD_CLOEXEC, err
		}
		return 0, err
	case linux.F_SETFD:
		return 0, t.FDs().SetCloExec(fd, arg&linux.FD_CLOEXEC != 0)
	case linux.F_GETFL:
		return int(d.Flags()), nil
	case linux.F_DUPFD_QUERY:
		return sameOpenFile(t, d, kernel.FD(arg))
	case linux.F_CREATED_QUERY:
		if d.Created() {
			return 1, nil
		}
		return 0, nil
	}
	if d.IsPath() {
		return 0, linux.EBADF
	}
	if f, ok := signalCommands[cmd]; ok {
		return f(t, fd, d, arg)
	}
	if f, ok := fileCommands[cmd]; ok {
		n, err := f(t, d, arg)
		if err == nil && (cmd == linux.F_SETLK || cmd == linux.F_SETLKW) {
			err = stillOpen(t, fd, d)
		}
		return n, err
	}
	if x, ok := d.File().(vfs.Fcntler); ok {
		n, err := x.Fcntl(t, cmd, arg)
		if err != linux.ENOTTY {
			return n, err
		}
	}
	if cmd == linux.F_SETPIPE_SZ || cmd == linux.F_GETPIPE_SZ {
		return 0, linux.EBADF // of what is no pipe
	}
	return 0, linux.EINVAL
}

// sameOpenFile is F_DUPFD_QUERY: 1 if fd is a descriptor of d, 0 if not; EBADF.
func sameOpenFile(t *kernel.Task, d *vfs.FileDescription, fd kernel.FD) (int, error) {
	o, err := t.FDs().GetPath(fd)
	if err != nil {
		return 0, err
	}
	defer o.Release(t)
	if o == d {
		return 1, nil
	}
	return 0, nil
}

// signalCommands are those whose signals name the descriptor.
var signalCommands = map[uint32]func(*kernel.Task, kernel.FD, *vfs.FileDescription, uint64) (int, error){
	linux.F_SETFL:    setStatusFlags,
	linux.F_SETLEASE: setLease,
	linux.F_NOTIFY:   dirNotify,
}

// fileCommands is what fcntl(2) does to any open file. Pipes and memfds have
// commands of their own (vfs.Fcntler).
var fileCommands = map[uint32]func(*kernel.Task, *vfs.FileDescription, uint64) (int, error){
	linux.F_GETLK:      getLock,
	linux.F_SETLK:      setLock(false, false),
	linux.F_SETLKW:     setLock(false, true),
	linux.F_OFD_GETLK:  getOFDLock,
	linux.F_OFD_SETLK:  setLock(true, false),
	linux.F_OFD_SETLKW: setLock(true, true),
	linux.F_GETLEASE:   func(_ *kernel.Task, d *vfs.FileDescription, _ uint64) (int, error) { return d.Lease(), nil },
	linux.F_SETOWN:     setOwner,
	linux.F_GETOWN:     getOwner,
	linux.F_SETOWN_EX:  setOwnerEx,
	linux.F_GETOWN_EX:  getOwnerEx,
	linux.F_SETSIG:     setSignal,
	linux.F_GETSIG: func(_ *kernel.Task, d *vfs.FileDescription, _ uint64) (int, error) {
		return int(d.Signal()), nil
	},
}

func setStatusFlags(t *kernel.Task, fd kernel.FD, d *vfs.FileDescription, arg uint64) (int, error) {
	d.SetAsync(int32(fd), linux.OpenFlags(arg))
	return 0, d.SetFlags(t, linux.OpenFlags(arg))
}

func setSignal(_ *kernel.Task, d *vfs.FileDescription, arg uint64) (int, error) {
	if arg != 0 && !linux.Signal(arg).Valid() {
		return 0, linux.EINVAL
	}
	d.SetSignal(linux.Signal(arg))
	return 0, nil
}

// stillOpen takes a lock away again that t was given on d when fd, by which it asked,
// had been closed: EBADF.
func stillOpen(t *kernel.Task, fd kernel.FD, d *vfs.FileDescription) error {
	now, err := t.FDs().GetPath(fd)
	if err == nil {
		defer now.Release(t)
		if now == d {
			return nil
		}
	}
	d.DropRecordLocks(t.FDs())
	return linux.EBADF
}

// lockRange is a struct flock as a range of bytes: EINVAL, EOVERFLOW.
func lockRange(t *kernel.Task, d *vfs.FileDescription, l *linux.Flock) (r vfs.RecordLock, err error) {
	start := int64(0)
	switch l.Whence {
	case linux.SEEK_SET:
	case linux.SEEK_CUR:
		start = d.Offset()
	case linux.SEEK_END:
		a, err := d.Attr(t)
		if err != nil {
			return r, err
		}
		start = a.Size
	default:
		return r, linux.EINVAL
	}
	if l.Start > math.MaxInt64-start {
		return r, linux.EOVERFLOW
	}
	start += l.Start
	end := int64(math.MaxInt64)
	switch {
	case start < 0:
		return r, linux.EINVAL
	case l.Len > 0 && l.Len-1 > end-start:
		return r, linux.EOVERFLOW
	case l.Len > 0:
		end = start + l.Len - 1
	case l.Len < 0:
		start, end = start+l.Len, start-1
	}
	if start < 0 || l.Type < linux.F_RDLCK || l.Type > linux.F_UNLCK {
		return r, linux.EINVAL
	}
	return vfs.RecordLock{Start: start, End: end, Write: l.Type == linux.F_WRLCK}, nil
}

func setLock(ofd, block bool) func(*kernel.Task, *vfs.FileDescription, uint64) (int, error) {
	return func(t *kernel.Task, d *vfs.FileDescription, arg uint64) (int, error) {
		l, err := usermem.Ptr[linux.Flock](arg).Load(t)
		if err != nil {
			return 0, err
		}
		r, err := lockRange(t, d, &l)
		if err != nil {
			return 0, err
		}
		unlock := l.Type == linux.F_UNLCK
		if f := d.Flags(); !unlock && (r.Write && !f.Writable() || !r.Write && !f.Readable()) {
			return 0, linux.EBADF
		}
		if ofd && l.PID != 0 {
			return 0, linux.EINVAL
		}
		r.Owner = lockOwner(t, d, ofd)
		return 0, d.SetLock(t, r, unlock, block)
	}
}

// lockOwner is whose a lock is to be: the process's or the open file's.
func lockOwner(t *kernel.Task, d *vfs.FileDescription, ofd bool) any {
	if ofd {
		return d
	}
	return t.FDs()
}

func getLock(t *kernel.Task, d *vfs.FileDescription, arg uint64) (int, error) {
	return findLock(t, d, arg, false)
}

func getOFDLock(t *kernel.Task, d *vfs.FileDescription, arg uint64) (int, error) {
	return findLock(t, d, arg, true)
}

// findLock stores the lock that is in the way of one at arg, or F_UNLCK.
func findLock(t *kernel.Task, d *vfs.FileDescription, arg uint64, ofd bool) (int, error) {
	p := usermem.Ptr[linux.Flock](arg)
	l, err := p.Load(t)
	if err != nil {
		return 0, err
	}
	own := l.Type == linux.F_UNLCK // asks for an open file's own
	if own && !ofd {
		return 0, linux.EINVAL
	}
	r, err := lockRange(t, d, &l)
	if err != nil {
		return 0, err
	}
	if ofd && l.PID != 0 {
		return 0, linux.EINVAL
	}
	r.Owner = lockOwner(t, d, ofd)
	x, found, err := d.TestLock(t, r, own)
	if err != nil {
		return 0, err
	}
	if !found {
		l.Type = linux.F_UNLCK
		return 0, p.Store(t, &l)
	}
	l = linux.Flock{Type: linux.F_RDLCK, Whence: linux.SEEK_SET, Start: x.Start, PID: -1}
	if x.Write {
		l.Type = linux.F_WRLCK
	}
	if !x.OpenFile() {
		l.PID = t.Kernel().HolderIn(t.PIDNamespace(), x.Holder)
	}
	if x.End != math.MaxInt64 {
		l.Len = x.End - x.Start + 1
	}
	return 0, p.Store(t, &l)
}
