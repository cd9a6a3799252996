package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// msync implements msync(2).
func msync(t *kernel.Task, a address, n size, f linux.SyncFlags) (int, error) {
	return 0, t.Space().Sync(a.Addr(), uint64(n), f)
}
