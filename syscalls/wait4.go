package syscalls

import (
	"garrison/fs/pidfd"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// wait4 implements wait4(2).
func wait4(t *kernel.Task, pid int32, status usermem.Ptr[int32], options linux.WaitOptions, usage usermem.Ptr[linux.Rusage]) (int32, error) {
	const known = linux.WNOHANG | linux.WUNTRACED | linux.WCONTINUED | linux.WNOTHREAD | linux.WCLONE | linux.WALL
	if options&^known != 0 {
		return 0, linux.EINVAL
	}
	if pid == -1<<31 {
		return 0, linux.ESRCH
	}
	s := &kernel.WaitSpec{Options: options | linux.WEXITED}
	ok := true
	switch {
	case pid < -1:
		s.Group, ok = t.PIDOf(-pid)
	case pid == 0:
		s.Group = t.OwnGroup()
	case pid > 0:
		s.PID, ok = t.PIDOf(pid)
	}
	if !ok {
		return 0, linux.ECHILD
	}
	r, err := t.Wait(s)
	if err != nil || r.Pid == 0 {
		return 0, err
	}
	if status != 0 {
		v := int32(r.Status)
		if err := status.Store(t, &v); err != nil {
			return 0, err
		}
	}
	if usage != 0 {
		if err := usage.Store(t, &r.Usage); err != nil {
			return 0, err
		}
	}
	return r.Pid, nil
}

// waitid implements waitid(2).
func waitid(t *kernel.Task, kind int32, id int32, out usermem.Ptr[linux.SigInfo], options linux.WaitOptions, usage usermem.Ptr[linux.Rusage]) (int, error) {
	const what = linux.WEXITED | linux.WSTOPPED | linux.WCONTINUED
	const known = what | linux.WNOHANG | linux.WNOWAIT | linux.WNOTHREAD | linux.WCLONE | linux.WALL
	if options&^known != 0 || options&what == 0 {
		return 0, linux.EINVAL
	}
	s := &kernel.WaitSpec{Options: options}
	if err := waitTarget(t, s, kind, id); err != nil {
		return 0, err
	}
	r, err := t.Wait(s)
	if err != nil {
		return 0, err
	}
	if r.Pid != 0 && usage != 0 {
		if err := usage.Store(t, &r.Usage); err != nil {
			return 0, err
		}
	}
	if out == 0 {
		return 0, nil
	}
	var info linux.SigInfo // zero if nothing has happened
	if r.Pid != 0 {
		info.Signo, info.Code = int32(linux.SIGCHLD), r.Code
		info.SetSender(r.Pid, r.UID)
		info.SetStatus(waitidStatus(&r), 0, 0)
	}
	return 0, out.Store(t, &info)
}

// waitTarget fills in whom waitid waits for.
func waitTarget(t *kernel.Task, s *kernel.WaitSpec, kind, id int32) error {
	ok := true
	switch kind {
	case linux.P_ALL:
	case linux.P_PID:
		if id <= 0 {
			return linux.EINVAL
		}
		s.PID, ok = t.PIDOf(id)
	case linux.P_PGID:
		if id < 0 {
			return linux.EINVAL
		}
		if id == 0 {
			s.Group = t.OwnGroup()
		} else {
			s.Group, ok = t.PIDOf(id)
		}
	case linux.P_PIDFD:
		if id < 0 {
			return linux.EINVAL
		}
		p, nonblock, err := pidOfFD(t, kernel.FD(id))
		if err != nil {
			return err
		}
		s.PID = p
		if nonblock {
			s.Options |= linux.WNOHANG
			s.Again = true
		}
	default:
		return linux.EINVAL
	}
	if !ok {
		return linux.ECHILD
	}
	return nil
}

// pidOfFD is the process that a pidfd names: EBADF if fd is none.
func pidOfFD(t *kernel.Task, fd kernel.FD) (p *kernel.PID, nonblock bool, err error) {
	f, err := t.File(fd)
	if err != nil {
		return nil, false, err
	}
	defer f.Release(t)
	x, ok := f.File().(*pidfd.File)
	if !ok {
		return nil, false, linux.EBADF
	}
	return x.PID(), f.NonBlocking(), nil
}

// waitidStatus is si_status: the exit code, or the signal that ended, stopped or
// continued the child.
func waitidStatus(r *kernel.WaitResult) int32 {
	switch r.Code {
	case linux.CLD_EXITED:
		return r.Status.Code()
	case linux.CLD_STOPPED, linux.CLD_TRAPPED:
		return int32(r.Status >> 8)
	case linux.CLD_CONTINUED:
		return int32(linux.SIGCONT)
	}
	return int32(r.Status.TermSignal())
}
