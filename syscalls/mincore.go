package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// mincore implements mincore(2).
func mincore(t *kernel.Task, a address, n size, out address) (int, error) {
	if a.Addr().Offset() != 0 {
		return 0, linux.EINVAL
	}
	const step = 64 << 20 // what one answer of the Space is for
	for n > 0 {
		part := min(n, step)
		v, err := t.Space().Incore(a.Addr(), uint64(part), func(id mm.Identity) bool {
			d, ok := id.(*vfs.FileDescription)
			return !ok || d.MayObserve(t)
		})
		if _, err := t.CopyOut(out.Addr(), v); err != nil {
			return 0, err
		}
		if err != nil {
			return 0, err
		}
		a, n, out = a+address(part), n-part, out+address(part/arch.PageSize)
	}
	return 0, nil
}
