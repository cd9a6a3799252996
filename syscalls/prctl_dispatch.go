package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// prSetUserDispatch is PR_SET_SYSCALL_USER_DISPATCH: a is the mode, the text's start and
// length, and where the selector is.
func prSetUserDispatch(t *kernel.Task, a prctlArgs) (uint64, error) {
	d, err := newUserDispatch(a[0], a[1], a[2], arch.Addr(a[3]))
	if err == nil {
		t.SetUserDispatch(d)
	}
	return 0, err
}

// newUserDispatch is what a mode and its arguments mean: EINVAL, EFAULT.
func newUserDispatch(mode, start, n uint64, selector arch.Addr) (kernel.UserDispatch, error) {
	d := kernel.UserDispatch{On: true, Start: start, Len: n, Selector: selector}
	end := start + n
	switch mode {
	case linux.PR_SYS_DISPATCH_OFF:
		if start != 0 || n != 0 || selector != 0 {
			return d, linux.EINVAL
		}
		d.On = false
	case linux.PR_SYS_DISPATCH_EXCLUSIVE_ON:
		if start != 0 && end <= start {
			return d, linux.EINVAL
		}
	case linux.PR_SYS_DISPATCH_INCLUSIVE_ON:
		if n == 0 || end <= start {
			return d, linux.EINVAL
		}
		d.Start, d.Len = end, -n // all but it
	default:
		return d, linux.EINVAL
	}
	if selector > taskSize {
		return d, linux.EFAULT
	}
	return d, nil
}
