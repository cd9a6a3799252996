package syscalls

import (
	"fmt"
	"strings"

	"garrison/platform/arch"
	"garrison/sentry/ipc"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// shmget is shmget(2).
func shmget(t *kernel.Task, key int32, n size, flags uint32) (int32, error) {
	if flags&linux.SHM_HUGETLB != 0 {
		return 0, linux.ENOMEM // there are no huge pages
	}
	mem := t.Kernel().VFS.MemFiles()
	if mem == nil {
		return 0, linux.ENOSYS
	}
	return t.Namespaces().IPC.SysV.NewSegment(t.IPCCaller(), key, uint64(n), flags, func() (ipc.Backing, error) {
		pages, ok := arch.Addr(n).Up()
		if !ok || int64(pages) < 0 {
			return nil, linux.ENOMEM
		}
		return mem.Shared(t, fmt.Sprintf("/SYSV%08x (deleted)", uint32(key)), int64(pages))
	})
}

// An attachment is a segment where shmat(2) put it: it counts the mappings.
type attachment struct {
	seg *ipc.Segment
	t   *kernel.Kernel
	key int32
}

var _ mm.Identity = (*attachment)(nil)

// IncRef implements mm.Identity.
func (a *attachment) IncRef() { a.seg.Attached() }

// DecRef implements mm.Identity.
func (a *attachment) DecRef() { a.seg.Detached(0, a.t.Clocks.Realtime.Now()/1e9) }

// MappedName implements mm.Identity: the inode's number is the segment's.
func (a *attachment) MappedName() mm.MappedName {
	n := a.seg.File.(*vfs.FileDescription).MappedName()
	n.Ino, n.Path = uint64(a.seg.ID), sysvName(a.key)
	return n
}

const sysvPrefix = "/SYSV"

func sysvName(key int32) string { return fmt.Sprintf("%s%08x (deleted)", sysvPrefix, uint32(key)) }

// shmat is shmat(2).
func shmat(t *kernel.Task, id int32, addr address, flags uint32) (address, error) {
	o := mm.MMapOpts{Addr: addr.Addr(), Flags: linux.MAP_SHARED, Prot: linux.PROT_READ | linux.PROT_WRITE, CanLock: mayLock(t)}
	if err := shmPlace(&o, flags); err != nil {
		return 0, err
	}
	want := uint32(0o666)
	if flags&linux.SHM_RDONLY != 0 {
		o.Prot, want = linux.PROT_READ, 0o444
	}
	if flags&linux.SHM_EXEC != 0 {
		o.Prot, want = o.Prot|linux.PROT_EXEC, want|0o111
	}
	seg, err := t.Namespaces().IPC.SysV.Segments.Find(id)
	if err != nil {
		return 0, err
	}
	if err := seg.Attach(t.IPCCaller(), want); err != nil {
		return 0, err
	}
	at := &attachment{seg, t.Kernel(), seg.Key()}
	o.Length, o.MaxProt = seg.Size, o.Prot|linux.PROT_EXEC
	o.File, err = seg.File.(*vfs.FileDescription).Mmap(t, vfs.MapSpec{Len: seg.Size, Access: rights(o.Prot), Shared: true})
	if err != nil {
		at.DecRef()
		return 0, err
	}
	o.Identity = at // its reference passes to MMap
	where, err := t.Space().MMap(o)
	if err == linux.EEXIST {
		err = linux.EINVAL
	}
	return address(where), err
}

// shmPlace checks where a segment is to be attached.
func shmPlace(o *mm.MMapOpts, flags uint32) error {
	if o.Addr == 0 {
		if flags&linux.SHM_REMAP != 0 {
			return linux.EINVAL
		}
		return nil
	}
	if o.Addr.Offset() != 0 {
		if flags&linux.SHM_RND == 0 {
			return linux.EINVAL
		}
		if o.Addr = o.Addr.Down(); o.Addr == 0 && flags&linux.SHM_REMAP != 0 {
			return linux.EINVAL
		}
	}
	o.Flags |= linux.MAP_FIXED_NOREPLACE
	if flags&linux.SHM_REMAP != 0 {
		o.Flags = o.Flags&^linux.MAP_FIXED_NOREPLACE | linux.MAP_FIXED
	}
	return nil
}

// shmdt is shmdt(2): all that is left of the attachment at addr.
func shmdt(t *kernel.Task, addr address) (int, error) {
	if addr.Addr().Offset() != 0 {
		return 0, linux.EINVAL
	}
	first := -1
	all := t.Space().Regions(false)
	for i, r := range all {
		if strings.HasPrefix(r.Name, sysvPrefix) && r.Start-arch.Addr(r.Offset) == addr.Addr() {
			first = i
			break
		}
	}
	if first < 0 {
		return 0, linux.EINVAL
	}
	for _, r := range all[first:] {
		if r.Name == all[first].Name && r.Ino == all[first].Ino && r.Start-arch.Addr(r.Offset) == addr.Addr() {
			if err := t.Space().Unmap(r.Start, r.Len()); err != nil {
				return 0, err
			}
		}
	}
	return 0, nil
}

// shmctl is shmctl(2).
func shmctl(t *kernel.Task, id int32, cmd int32, buf address) (int, error) {
	ns, c := t.Namespaces().IPC.SysV, t.IPCCaller()
	switch cmd &^= linux.IPC_64; cmd {
	case linux.IPC_INFO:
		i := linux.ShmInfo64{Max: linux.SHMMAX, Min: linux.SHMMIN, Mni: linux.SHMMNI, Seg: linux.SHMMNI, All: linux.SHMALL}
		return ns.Segments.Highest(), usermem.Ptr[linux.ShmInfo64](buf).Store(t, &i)
	case linux.SHM_INFO:
		i := linux.ShmInfo{UsedIDs: int32(ns.Segments.Count())}
		for _, s := range ns.Segments.All() {
			i.Tot += (s.Size + arch.PageMask) >> arch.PageShift
		}
		i.RSS = i.Tot
		return ns.Segments.Highest(), usermem.Ptr[linux.ShmInfo](buf).Store(t, &i)
	case linux.SHM_STAT, linux.SHM_STAT_ANY:
		s, err := ns.Segments.At(id)
		if err != nil {
			return 0, err
		}
		d, err := s.Stat(c, cmd == linux.SHM_STAT_ANY)
		if err != nil {
			return 0, err
		}
		return int(s.ID), usermem.Ptr[linux.ShmidDS](buf).Store(t, &d)
	}
	s, err := ns.Segments.Find(id)
	if err != nil {
		return 0, err
	}
	switch cmd {
	case linux.IPC_STAT:
		d, err := s.Stat(c, false)
		if err != nil {
			return 0, err
		}
		return 0, usermem.Ptr[linux.ShmidDS](buf).Store(t, &d)
	case linux.IPC_SET:
		d, err := usermem.Ptr[linux.ShmidDS](buf).Load(t)
		if err != nil {
			return 0, err
		}
		return 0, s.Set(c, &d.Perm)
	case linux.IPC_RMID:
		return 0, s.Remove(c)
	case linux.SHM_LOCK, linux.SHM_UNLOCK:
		return 0, s.SetLocked(c, cmd == linux.SHM_LOCK, t.LockShared)
	}
	return 0, linux.EINVAL
}
