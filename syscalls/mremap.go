package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
)

// mremap implements mremap(2).
func mremap(t *kernel.Task, a address, old, n size, f linux.RemapFlags, to address) (address, error) {
	at, err := t.Space().Remap(mm.RemapOpts{
		Addr: a.Addr(), Old: uint64(old), New: uint64(n), Flags: f, To: to.Addr(), CanLock: mayLock(t),
	})
	return address(at), err
}
