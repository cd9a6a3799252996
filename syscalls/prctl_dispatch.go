package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// prSetUserDispatch is PR_SET_SYSCALL_USER_DISPATCH: a is the mode, the text's start and
// length, and where the selector is.
func prSetUserDispatch(t *kernel.Task, a prctlArgs) (uint64, error) {
	d := kernel.UserDispatch{On: true, Start: a[1], Len: a[2], Selector: arch.Addr(a[3])}
	end := d.Start + d.Len
	switch a[0] {
	case linux.PR_SYS_DISPATCH_OFF:
		if !rest(a, 1) {
			return 0, linux.EINVAL
		}
		d.On = false
	case linux.PR_SYS_DISPATCH_EXCLUSIVE_ON:
		if d.Start != 0 && end <= d.Start {
			return 0, linux.EINVAL
		}
	case linux.PR_SYS_DISPATCH_INCLUSIVE_ON:
		if d.Len == 0 || end <= d.Start {
			return 0, linux.EINVAL
		}
		d.Start, d.Len = end, -d.Len // all but it
	default:
		return 0, linux.EINVAL
	}
	if d.Selector >= 1<<47 {
		return 0, linux.EFAULT
	}
	t.SetUserDispatch(d)
	return 0, nil
}
