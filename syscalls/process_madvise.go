package syscalls

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// processMadvise implements process_madvise(2): advice that can't change what the
// other process reads. It returns the number of bytes advised.
func processMadvise(t *kernel.Task, fd kernel.FD, iov usermem.Ptr[iovec], n uint64, advice linux.Advice, flags uint32) (int64, error) {
	if flags != 0 || n > linux.IOV_MAX {
		return 0, linux.EINVAL
	}
	vec, err := iov.LoadSlice(t, int(n))
	if err != nil {
		return 0, err
	}
	p, _, err := pidOfFD(t, fd)
	if err != nil {
		return 0, err
	}
	switch advice {
	case linux.MADV_COLD, linux.MADV_PAGEOUT, linux.MADV_WILLNEED, linux.MADV_COLLAPSE:
	default:
		return 0, linux.EINVAL
	}
	target := t.Kernel().PIDTask(p)
	if target == nil {
		return 0, linux.ESRCH
	}
	if !t.MayInspect(target, true) {
		return 0, linux.EACCES
	}
	space := target.SpaceOf()
	if space == nil {
		return 0, linux.ESRCH
	}
	defer space.DecUsers()
	if space != t.Space() && !t.Creds().Capable(auth.CapSysNice) {
		return 0, linux.EPERM
	}
	done := int64(0)
	for _, v := range vec {
		if err := space.Advise(address(v.Base).Addr(), v.Len, advice); err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		done += int64(v.Len)
	}
	return done, nil
}
