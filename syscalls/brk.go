package syscalls

import "garrison/sentry/kernel"

// brk implements brk(2), the system call: it never fails, but returns the
// break that holds.
func brk(t *kernel.Task, a address) (address, error) {
	return address(t.Space().Brk(a.Addr(), mayLock(t))), nil
}
