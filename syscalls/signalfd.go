package syscalls

import (
	"garrison/fs/signalfd"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// signalfd3 implements signalfd(2) of old, without flags.
func signalfd3(t *kernel.Task, fd kernel.FD, mask usermem.Ptr[linux.SigSet], n size) (kernel.FD, error) {
	return signalfd4(t, fd, mask, n, 0)
}

// signalfd4 implements signalfd(2): a new descriptor if fd is -1, else another mask
// for the one there is.
func signalfd4(t *kernel.Task, fd kernel.FD, mask usermem.Ptr[linux.SigSet], n size, flags linux.OpenFlags) (kernel.FD, error) {
	if n != linux.SigSetSize {
		return 0, linux.EINVAL
	}
	set, err := mask.Load(t)
	if err != nil {
		return 0, err
	}
	if flags&^(linux.SFD_CLOEXEC|linux.SFD_NONBLOCK) != 0 {
		return 0, linux.EINVAL
	}
	if fd == -1 {
		return newAnon(t, signalfd.New(t, set), "[signalfd]", flags)
	}
	d, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	f, ok := d.File().(*signalfd.File)
	if !ok {
		return 0, linux.EINVAL
	}
	f.SetMask(t, set)
	return fd, nil
}
