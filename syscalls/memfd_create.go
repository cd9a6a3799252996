package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// memfdCreate implements memfd_create(2). A name that is too long is EINVAL, not
// ENAMETOOLONG.
func memfdCreate(t *kernel.Task, name pathname, flags uint32) (kernel.FD, error) {
	s, err := usermem.CopyInString(t, address(name).Addr(), linux.NAME_MAX)
	if err == linux.ENAMETOOLONG {
		err = linux.EINVAL
	}
	if err != nil {
		return 0, err
	}
	files := t.Kernel().VFS.MemFiles()
	if files == nil {
		return 0, linux.ENOSYS
	}
	d, err := files.Create(t, s, flags)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	var fl linux.OpenFlags
	if flags&linux.MFD_CLOEXEC != 0 {
		fl = linux.O_CLOEXEC
	}
	return t.NewFD(fl, d)
}
