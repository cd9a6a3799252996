package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// taskSize is the end of the addresses that a guest may have (TASK_SIZE_MAX).
const taskSize = 1<<47 - arch.PageSize

// archPrctl implements arch_prctl(2).
func archPrctl(t *kernel.Task, op int32, a uint64) (int, error) {
	r := t.Regs()
	out := usermem.Ptr[uint64](a)
	switch op {
	case linux.ARCH_SET_FS, linux.ARCH_SET_GS:
		if a >= taskSize {
			return 0, linux.EPERM
		}
		if op == linux.ARCH_SET_FS {
			r.FSBase = a
		} else {
			r.GSBase = a
			if a != 0 {
				t.Space().Unpatch()
			}
		}
		return 0, nil
	case linux.ARCH_GET_FS:
		return 0, out.Store(t, &r.FSBase)
	case linux.ARCH_GET_GS:
		return 0, out.Store(t, &r.GSBase)
	case linux.ARCH_GET_CPUID:
		return 1, nil
	case linux.ARCH_SET_CPUID:
		return 0, linux.ENODEV // CPUID is native and can't be made to fault
	case linux.ARCH_GET_XCOMP_SUPP, linux.ARCH_GET_XCOMP_PERM:
		features := arch.HostXState().Features
		return 0, out.Store(t, &features)
	}
	return 0, linux.EINVAL
}
