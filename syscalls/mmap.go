package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// mayLock reports whether t may lock memory beyond RLIMIT_MEMLOCK.
func mayLock(t *kernel.Task) bool { return t.Creds().Capable(auth.CapIPCLock) }

// mmap implements mmap(2).
func mmap(t *kernel.Task, a address, n size, p linux.Prot, f linux.MapFlags, fd kernel.FD, off uint64) (address, error) {
	if off&arch.PageMask != 0 {
		return 0, linux.EINVAL
	}
	o := mm.MMapOpts{
		Addr: a.Addr(), Length: uint64(n), Prot: p, Flags: f, Offset: off, CanLock: mayLock(t),
	}
	if f&linux.MAP_ANONYMOUS != 0 {
		o.Offset = 0
		if t.Personality()&linux.READ_IMPLIES_EXEC != 0 && p&linux.PROT_READ != 0 {
			o.Prot |= linux.PROT_EXEC
		}
	} else if err := mapFile(t, fd, &o); err != nil {
		return 0, err
	}
	at, err := t.Space().MMap(o)
	return address(at), err
}

// mapFile makes o a mapping of the file fd.
func mapFile(t *kernel.Task, fd kernel.FD, o *mm.MMapOpts) error {
	d, err := t.File(fd)
	if err != nil {
		return err
	}
	defer d.Release(t)
	if d.IsPath() {
		return linux.EBADF
	}
	if o.Length == 0 || o.Flags&linux.MAP_HUGETLB != 0 {
		return linux.EINVAL
	}
	if n := (o.Length + arch.PageMask) &^ arch.PageMask; n == 0 {
		return linux.ENOMEM
	} else if int64(o.Offset+n) < 0 || o.Offset+n < o.Offset {
		return linux.EOVERFLOW
	}
	shared := o.Flags&linux.MAP_TYPE != linux.MAP_PRIVATE
	if kind := o.Flags & linux.MAP_TYPE; kind != linux.MAP_PRIVATE && kind != linux.MAP_SHARED && kind != linux.MAP_SHARED_VALIDATE {
		return linux.EINVAL
	}
	may := d.MaxAccess(shared)
	if t.Personality()&linux.READ_IMPLIES_EXEC != 0 && o.Prot&linux.PROT_READ != 0 && may.Has(arch.Exec) {
		o.Prot |= linux.PROT_EXEC
	}
	m, err := d.Mmap(t, vfs.MapSpec{Off: o.Offset, Len: o.Length, Access: rights(o.Prot), Shared: shared})
	if err != nil {
		return err
	}
	o.File, o.Identity, o.MaxProt = m, d, protOf(may)
	d.IncRef()
	return nil
}

// rights is p as package arch has it; protOf the reverse.
func rights(p linux.Prot) arch.Access { return arch.Access(p) & (arch.Read | arch.Write | arch.Exec) }

func protOf(a arch.Access) linux.Prot { return linux.Prot(a) }
