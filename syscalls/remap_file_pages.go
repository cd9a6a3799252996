package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// remapFilePages implements remap_file_pages(2).
func remapFilePages(t *kernel.Task, a address, n size, p linux.Prot, pgoff uint64, f linux.MapFlags) (int, error) {
	if p != 0 {
		return 0, linux.EINVAL
	}
	return 0, t.Space().RemapFilePages(a.Addr(), uint64(n), pgoff, f)
}
