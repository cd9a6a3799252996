package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// mprotect implements mprotect(2).
func mprotect(t *kernel.Task, a address, n size, p linux.Prot) (int, error) {
	if t.Personality()&linux.READ_IMPLIES_EXEC != 0 && p&linux.PROT_READ != 0 {
		// Not on mappings that can't be executed: those keep what they can have.
		if t.Space().Protect(a.Addr(), uint64(n), p|linux.PROT_EXEC) == nil {
			return 0, nil
		}
	}
	return 0, t.Space().Protect(a.Addr(), uint64(n), p)
}

// pkeyMprotect implements pkey_mprotect(2) of a machine without protection keys.
func pkeyMprotect(t *kernel.Task, a address, n size, p linux.Prot, key int32) (int, error) {
	if key != -1 {
		return 0, linux.EINVAL
	}
	return mprotect(t, a, n, p)
}

// pkeyAlloc implements pkey_alloc(2) of a machine without protection keys.
func pkeyAlloc(_ *kernel.Task, flags, rights uint64) (int, error) {
	const access = 0x3
	if flags != 0 || rights&^access != 0 {
		return 0, linux.EINVAL
	}
	return 0, linux.ENOSPC
}

// pkeyFree implements pkey_free(2) of a machine without protection keys.
func pkeyFree(_ *kernel.Task, key int32) (int, error) { return 0, linux.EINVAL }
