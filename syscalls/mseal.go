package syscalls

import "garrison/sentry/kernel"

// mseal implements mseal(2).
func mseal(t *kernel.Task, a address, n size, flags uint64) (int, error) {
	return 0, t.Space().Seal(a.Addr(), uint64(n), flags)
}
