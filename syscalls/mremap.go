package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// mremap implements mremap(2).
func mremap(t *kernel.Task, a address, old, n size, f linux.RemapFlags, to address) (address, error) {
	at, err := t.Space().Remap(a.Addr(), uint64(old), uint64(n), f, to.Addr(), mayLock(t))
	return address(at), err
}
