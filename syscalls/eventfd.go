package syscalls

import (
	"garrison/fs/eventfd"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// eventfd1 implements eventfd(2) of old, without flags.
func eventfd1(t *kernel.Task, first uint32) (kernel.FD, error) { return eventfd2(t, first, 0) }

// eventfd2 implements eventfd(2).
func eventfd2(t *kernel.Task, first uint32, flags linux.OpenFlags) (kernel.FD, error) {
	if flags&^(linux.EFD_SEMAPHORE|linux.EFD_CLOEXEC|linux.EFD_NONBLOCK) != 0 {
		return 0, linux.EINVAL
	}
	f := eventfd.New(uint64(first), flags&linux.EFD_SEMAPHORE != 0, t.Kernel().NewInode())
	return newAnon(t, f, "[eventfd]", flags)
}
