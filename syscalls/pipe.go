package syscalls

import (
	"garrison/fs/pipe"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// pipe_ implements pipe(2).
func pipe_(t *kernel.Task, fds usermem.Ptr[[2]kernel.FD]) (int, error) { return pipe2(t, fds, 0) }

// pipe2 implements pipe2(2).
func pipe2(t *kernel.Task, fds usermem.Ptr[[2]kernel.FD], flags linux.OpenFlags) (int, error) {
	if flags&^(linux.O_NONBLOCK|linux.O_CLOEXEC|linux.O_DIRECT) != 0 {
		return 0, linux.EINVAL
	}
	r, w := pipe.New(t, t.Kernel().VFS, flags&^linux.O_CLOEXEC)
	defer r.Release(t)
	defer w.Release(t)
	nums, err := t.NewFDs(flags, r, w)
	if err != nil {
		return 0, err
	}
	if err := fds.Store(t, (*[2]kernel.FD)(nums)); err != nil {
		t.CloseFDs(nums...)
		return 0, err
	}
	return 0, nil
}
