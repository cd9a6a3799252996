package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// What quotactl(2) packs into its command.
const (
	quotaTypes = 3 // user, group, project
	qSync      = 0x800001
)

// quotactl implements quotactl(2). No filesystem here has quotas, and none is on a block
// device: what can be asked is whether all are in step.
func quotactl(t *kernel.Task, cmd uint32, special pathname, _ uint32, _ address) (int, error) {
	op, kind := cmd>>8, cmd&0xff
	if kind >= quotaTypes {
		return 0, linux.EINVAL
	}
	if special == 0 {
		if op == qSync {
			return 0, nil
		}
		return 0, linux.ENODEV
	}
	return withPath(t, linux.AT_FDCWD, special, 0, func(p vfs.Path) error {
		if p.Type() != linux.S_IFBLK {
			return linux.ENOTBLK
		}
		if p.Mount().Flags()&linux.MS_NODEV != 0 {
			return linux.EACCES
		}
		return linux.ENODEV
	})
}

// quotactlFD implements quotactl_fd(2): the filesystem of fd has no quotas.
func quotactlFD(t *kernel.Task, fd kernel.FD, cmd, _ uint32, _ address) (int, error) {
	d, err := t.FDs().GetPath(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	if cmd&0xff >= quotaTypes {
		return 0, linux.EINVAL
	}
	return 0, linux.ENOSYS
}
