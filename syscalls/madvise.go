package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// madvise implements madvise(2).
func madvise(t *kernel.Task, a address, n size, advice linux.Advice) (int, error) {
	return 0, t.Space().Advise(a.Addr(), uint64(n), advice)
}
