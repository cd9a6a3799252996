package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
)

// movableSpace is the memory of process pid, 0 the caller's, with a use of it:
// ESRCH, EPERM.
func movableSpace(t *kernel.Task, pid int32) (*mm.Space, error) {
	if pid == 0 {
		pid = t.TGID()
	}
	return spaceOf(t, pid)
}

// migratePages implements migrate_pages(2): on one node all pages are where they
// should be.
func migratePages(t *kernel.Task, pid int32, n uint64, from, to nodemask) (int, error) {
	if _, err := loadNodes(t, from, n); err != nil {
		return 0, err
	}
	nodes, err := loadNodes(t, to, n)
	if err != nil {
		return 0, err
	}
	space, err := movableSpace(t, pid)
	if err != nil {
		return 0, err
	}
	defer space.DecUsers()
	switch {
	case nodes&^theNode != 0 && !t.Creds().Capable(auth.CapSysNice):
		return 0, linux.EPERM
	case nodes&theNode == 0:
		return 0, linux.EINVAL
	}
	return 0, nil
}

// movePages implements move_pages(2).
func movePages(t *kernel.Task, pid int32, n uint64, pages usermem.Ptr[uint64], nodes, status usermem.Ptr[int32], flags uint32) (int, error) {
	switch {
	case flags&^(linux.MPOL_MF_MOVE|linux.MPOL_MF_MOVE_ALL) != 0:
		return 0, linux.EINVAL
	case flags&linux.MPOL_MF_MOVE_ALL != 0 && !t.Creds().Capable(auth.CapSysNice):
		return 0, linux.EPERM
	}
	space, err := movableSpace(t, pid)
	if err != nil {
		return 0, err
	}
	defer space.DecUsers()
	for i := range int(n) {
		p, err := pages.At(i).Load(t)
		if err != nil {
			return 0, err
		}
		if nodes != 0 {
			node, err := nodes.At(i).Load(t)
			if err != nil {
				return 0, err
			}
			if node != 0 {
				return 0, linux.ENODEV
			}
		}
		at := pageStatus(space, arch.Addr(p).Down())
		if err := status.At(i).Store(t, &at); err != nil {
			return 0, err
		}
		if t.Killed() {
			return 0, linux.EINTR
		}
	}
	return 0, nil
}

// pageStatus is the node of the page at a, or -EFAULT where nothing is mapped and
// -ENOENT where there is no page yet.
func pageStatus(s *mm.Space, a arch.Addr) int32 {
	in, err := s.Incore(a, arch.PageSize, nil)
	switch {
	case err != nil:
		return -int32(linux.EFAULT)
	case in[0]&1 == 0:
		return -int32(linux.ENOENT)
	}
	return 0
}
