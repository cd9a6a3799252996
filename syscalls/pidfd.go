package syscalls

import (
	"garrison/fs/pidfd"
	"garrison/fs/proc"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// Flags of pidfd_open(2) and pidfd_send_signal(2).
const (
	pidfdNonblock           = uint32(linux.O_NONBLOCK)
	pidfdThread             = uint32(linux.O_EXCL)
	pidfdSignalThread       = 1
	pidfdSignalGroup        = 2
	pidfdSignalProcessGroup = 4
)

// pidfdOpen implements pidfd_open(2).
func pidfdOpen(t *kernel.Task, pid int32, flags uint32) (kernel.FD, error) {
	if flags&^(pidfdNonblock|pidfdThread) != 0 || pid <= 0 {
		return 0, linux.EINVAL
	}
	p, ok := t.PIDOf(pid)
	if !ok || t.Kernel().PIDTask(p) == nil {
		return 0, linux.ESRCH
	}
	if flags&pidfdThread == 0 && t.Kernel().PIDGroup(p) == nil {
		return 0, linux.EINVAL // a thread that leads no process
	}
	return newPidfd(t, p, linux.OpenFlags(flags&pidfdNonblock))
}

// signalTarget is the process that fd names: a pidfd, or a process's directory in
// /proc, which for this call alone is as good. EBADF.
func signalTarget(t *kernel.Task, fd kernel.FD) (*kernel.PID, error) {
	f, err := t.File(fd)
	if err != nil {
		return nil, err
	}
	defer f.Release(t)
	if x, ok := f.File().(*pidfd.File); ok {
		return x.PID(), nil
	}
	if p := proc.PIDOf(f.Path()); p != nil {
		return p, nil
	}
	return nil, linux.EBADF
}

// pidfdSendSignal implements pidfd_send_signal(2).
func pidfdSendSignal(t *kernel.Task, fd kernel.FD, s linux.Signal, p usermem.Ptr[linux.SigInfo], flags uint32) (int, error) {
	if flags&^(pidfdSignalThread|pidfdSignalGroup|pidfdSignalProcessGroup) != 0 || flags&(flags-1) != 0 {
		return 0, linux.EINVAL
	}
	pid, err := signalTarget(t, fd)
	if err != nil {
		return 0, err
	}
	x := t.Kernel().PIDTask(pid)
	if x == nil {
		return 0, linux.ESRCH
	}
	if pid.In(t.PIDNamespace()) == 0 {
		return 0, linux.EINVAL
	}
	var info *linux.SigInfo
	if p == 0 {
		if !sendable(s) {
			return 0, linux.EINVAL
		}
		info = t.UserSignal(s, linux.SI_USER, x)
	} else {
		v, err := p.Load(t)
		if err != nil {
			return 0, err
		}
		if v.Signo != int32(s) || !sendable(s) {
			return 0, linux.EINVAL
		}
		if (v.Code >= 0 || v.Code == linux.SI_TKILL) && x.ThreadGroup() != t.ThreadGroup() {
			return 0, linux.EPERM
		}
		info = t.Queued(&v, x)
	}
	switch {
	case flags == pidfdSignalThread:
		return 0, t.SignalTask(x, info)
	case flags == pidfdSignalProcessGroup:
		return 0, t.Kill(-pid.In(t.PIDNamespace()), s)
	}
	return 0, t.SignalGroup(x.ThreadGroup(), info)
}

// pidfdGetfd implements pidfd_getfd(2).
func pidfdGetfd(t *kernel.Task, fd, target kernel.FD, flags uint32) (kernel.FD, error) {
	if flags != 0 {
		return 0, linux.EINVAL
	}
	p, _, err := pidOfFD(t, fd)
	if err != nil {
		return 0, err
	}
	x := t.Kernel().PIDTask(p)
	if x == nil {
		return 0, linux.ESRCH
	}
	if !t.MayInspect(x, false) {
		return 0, linux.EPERM
	}
	fds := x.FDs()
	if fds == nil {
		return 0, linux.ESRCH
	}
	f, err := fds.GetPath(target)
	if err != nil {
		return 0, err
	}
	defer f.Release(t)
	return t.NewFD(linux.O_CLOEXEC, f)
}

// processMrelease implements process_mrelease(2): the memory of a process that is
// being killed goes with it, at once.
func processMrelease(t *kernel.Task, fd kernel.FD, flags uint32) (int, error) {
	if flags != 0 {
		return 0, linux.EINVAL
	}
	p, _, err := pidOfFD(t, fd)
	if err != nil {
		return 0, err
	}
	x := t.Kernel().PIDTask(p)
	if x == nil {
		return 0, linux.ESRCH
	}
	if !x.Killed() && !x.ThreadGroup().Exited() {
		return 0, linux.EINVAL
	}
	return 0, nil
}
