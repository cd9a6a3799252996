package syscalls

import (
	"garrison/fs/epoll"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Kinds of kcmp(2), <linux/kcmp.h>.
const (
	kcmpFile = iota
	kcmpVM
	kcmpFiles
	kcmpFS
	kcmpSighand
	kcmpIO
	kcmpSysvsem
	kcmpEpollTFD
)

// kcmp implements kcmp(2). The order of what differs is that of process numbers:
// it must be consistent, and tell nothing of addresses.
func kcmp(t *kernel.Task, pid1, pid2, kind int32, fd1, fd2 uint64) (int, error) {
	a, err := taskOf(t, pid1)
	if err != nil || pid1 == 0 {
		return 0, linux.ESRCH
	}
	b, err := taskOf(t, pid2)
	if err != nil || pid2 == 0 {
		return 0, linux.ESRCH
	}
	if !t.MayInspect(a, false) || !t.MayInspect(b, false) {
		return 0, linux.EPERM
	}
	same := false
	switch kind {
	case kcmpFile:
		return kcmpFileOf(t, a, b, fd1, fd2)
	case kcmpVM:
		same = a.Space() == b.Space()
	case kcmpFiles:
		same = a.FDs() == b.FDs()
	case kcmpFS:
		same = a.FS() == b.FS()
	case kcmpSighand:
		same = a.SharesHandlers(b)
	case kcmpIO:
		same = a.ThreadGroup() == b.ThreadGroup()
	case kcmpSysvsem:
		same = a.SharesSemUndo(b)
	case kcmpEpollTFD:
		return kcmpWatched(t, a, b, fd1, usermem.Ptr[epollSlot](fd2))
	default:
		return 0, linux.EINVAL
	}
	return kcmpOrder(same, pid1 < pid2), nil
}

func kcmpOrder(same, less bool) int {
	switch {
	case same:
		return 0
	case less:
		return 1
	}
	return 2
}

func kcmpFileOf(t, a, b *kernel.Task, fd1, fd2 uint64) (int, error) {
	x, y := a.FDs(), b.FDs()
	if x == nil || y == nil {
		return 0, linux.EBADF
	}
	f, err := x.GetPath(kernel.FD(fd1))
	if err != nil {
		return 0, err
	}
	defer f.Release(t)
	g, err := y.GetPath(kernel.FD(fd2))
	if err != nil {
		return 0, err
	}
	defer g.Release(t)
	return kcmpOrder(f == g, fd1 < fd2), nil
}

// An epollSlot is struct kcmp_epoll_slot: the toff'th of the files that epoll instance
// efd has as descriptor tfd.
type epollSlot struct{ EFD, TFD, TOff uint32 }

// kcmpWatched compares a file of a's with one that an epoll instance of b's watches.
func kcmpWatched(t *kernel.Task, a, b *kernel.Task, fd uint64, p usermem.Ptr[epollSlot]) (int, error) {
	slot, err := p.Load(t)
	if err != nil {
		return 0, err
	}
	x, y := a.FDs(), b.FDs()
	if x == nil || y == nil {
		return 0, linux.EBADF
	}
	f, err := x.GetPath(kernel.FD(fd))
	if err != nil {
		return 0, err
	}
	defer f.Release(t)
	e, err := y.GetPath(kernel.FD(slot.EFD))
	if err != nil {
		return 0, err
	}
	defer e.Release(t)
	ep, ok := e.File().(*epoll.Epoll)
	if !ok {
		return 0, linux.EINVAL
	}
	same, err := ep.Watches(vfs.FD(slot.TFD), slot.TOff, f)
	return kcmpOrder(same, uint32(fd) < slot.TFD), err
}
