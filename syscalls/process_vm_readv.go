package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
)

// processVMReadv implements process_vm_readv(2).
func processVMReadv(t *kernel.Task, pid int32, local usermem.Ptr[iovec], ln uint64, remote usermem.Ptr[iovec], rn uint64, flags uint64) (int64, error) {
	return processVM(t, pid, flags, vmTransfer{local: local, ln: ln, remote: remote, rn: rn})
}

// processVMWritev implements process_vm_writev(2).
func processVMWritev(t *kernel.Task, pid int32, local usermem.Ptr[iovec], ln uint64, remote usermem.Ptr[iovec], rn uint64, flags uint64) (int64, error) {
	return processVM(t, pid, flags, vmTransfer{local: local, ln: ln, remote: remote, rn: rn, write: true})
}

// A vmTransfer is a copy between the caller's memory and another process's.
type vmTransfer struct {
	local, remote usermem.Ptr[iovec]
	ln, rn        uint64
	write         bool
}

func processVM(t *kernel.Task, pid int32, flags uint64, x vmTransfer) (int64, error) {
	if flags != 0 || x.ln > linux.IOV_MAX || x.rn > linux.IOV_MAX {
		return 0, linux.EINVAL
	}
	local, err := vector(t, x.local, int64(x.ln))
	if err != nil || local.Len() == 0 {
		return 0, err
	}
	remote, err := x.remote.LoadSlice(t, int(x.rn))
	if err != nil {
		return 0, err
	}
	space, err := spaceOf(t, pid)
	if err != nil {
		return 0, err
	}
	defer space.DecUsers()
	return x.copy(local, remote, space)
}

// spaceOf is the address space of thread pid, with a user more, if t may see
// into it: ESRCH, EPERM.
func spaceOf(t *kernel.Task, pid int32) (*mm.Space, error) {
	p, ok := t.PIDOf(pid)
	if !ok || pid <= 0 {
		return nil, linux.ESRCH
	}
	target := t.Kernel().PIDTask(p)
	if target == nil {
		return nil, linux.ESRCH
	}
	if !t.MayInspect(target, false) {
		return nil, linux.EPERM
	}
	if s := target.SpaceOf(); s != nil {
		return s, nil
	}
	return nil, linux.ESRCH
}

// copy moves bytes until either side is done or faults; what was moved counts.
func (x *vmTransfer) copy(local usermem.Seq, remote []iovec, space *mm.Space) (done int64, err error) {
	buf := make([]byte, min(local.Len(), 256<<10))
	for _, r := range remote {
		for at, left := arch.Addr(r.Base), r.Len; left > 0 && done < local.Len(); {
			b := buf[:min(uint64(len(buf)), left, uint64(local.Len()-done))]
			var n int
			if x.write {
				if n, err = local.Skip(done).CopyIn(b); n > 0 {
					var werr error
					if n, werr = space.CopyOut(at, b[:n]); err == nil {
						err = werr
					}
				}
			} else if n, err = space.CopyIn(b, at); n > 0 {
				var werr error
				if n, werr = local.Skip(done).CopyOut(b[:n]); err == nil {
					err = werr
				}
			}
			done, at, left = done+int64(n), at+arch.Addr(n), left-uint64(n)
			if err != nil || n == 0 {
				if done > 0 {
					err = nil
				}
				return done, err
			}
		}
	}
	return done, nil
}
