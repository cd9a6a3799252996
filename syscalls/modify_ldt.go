package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// modifyLDT implements modify_ldt(2) of a process that has no local descriptors:
// reading gives none, and those of the default are empty. There can be none: to set
// one is ENOSYS, as without CONFIG_MODIFY_LDT_SYSCALL. As on Linux the result is an
// unsigned int, so that an error of a function is no error to libc.
func modifyLDT(t *kernel.Task, function int32, to address, n uint64) (uint32, error) {
	switch function {
	case 0:
		return 0, nil
	case 2:
		n = min(n, 128)
		if _, err := usermem.One(t, to.Addr(), n).CopyOut(make([]byte, n)); err != nil {
			return noLDT(linux.EFAULT), nil
		}
		return uint32(n), nil
	}
	return noLDT(linux.ENOSYS), nil
}

func noLDT(e linux.Errno) uint32 { return uint32(-int32(e)) }
