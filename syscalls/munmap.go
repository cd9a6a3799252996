package syscalls

import "garrison/sentry/kernel"

// munmap implements munmap(2).
func munmap(t *kernel.Task, a address, n size) (int, error) {
	return 0, t.Space().Unmap(a.Addr(), uint64(n))
}
