package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// sendable reports whether s may be sent: 0 asks only whether it could be.
func sendable(s linux.Signal) bool { return s == 0 || s.Valid() }

// kill implements kill(2).
func kill(t *kernel.Task, pid int32, s linux.Signal) (int, error) {
	if !sendable(s) {
		return 0, linux.EINVAL
	}
	if pid == -1<<31 {
		return 0, linux.ESRCH
	}
	return 0, t.Kill(pid, s)
}

// tkill implements tkill(2).
func tkill(t *kernel.Task, tid int32, s linux.Signal) (int, error) {
	if tid <= 0 {
		return 0, linux.EINVAL
	}
	return killThread(t, 0, tid, s)
}

// tgkill implements tgkill(2).
func tgkill(t *kernel.Task, tgid, tid int32, s linux.Signal) (int, error) {
	if tgid <= 0 || tid <= 0 {
		return 0, linux.EINVAL
	}
	return killThread(t, tgid, tid, s)
}

// killThread sends thread tid a signal, if it belongs to process tgid (0: to any).
func killThread(t *kernel.Task, tgid, tid int32, s linux.Signal) (int, error) {
	if !sendable(s) {
		return 0, linux.EINVAL
	}
	x, err := findThread(t, tgid, tid)
	if err != nil {
		return 0, err
	}
	return 0, t.SignalTask(x, t.UserSignal(s, linux.SI_TKILL, x))
}

func findThread(t *kernel.Task, tgid, tid int32) (*kernel.Task, error) {
	ns := t.PIDNamespace()
	x := t.Kernel().FindTask(ns, tid)
	if x == nil || tgid != 0 && x.ThreadGroup().PID().In(ns) != tgid {
		return nil, linux.ESRCH
	}
	return x, nil
}

// loadQueued reads the siginfo of a rt_sigqueueinfo: the sender may not pretend
// to be the kernel, or a kill(2), towards others.
func loadQueued(t *kernel.Task, s linux.Signal, p usermem.Ptr[linux.SigInfo], self bool) (*linux.SigInfo, error) {
	info, err := p.Load(t)
	if err != nil {
		return nil, err
	}
	if !sendable(s) {
		return nil, linux.EINVAL
	}
	info.Signo = int32(s)
	if (info.Code >= 0 || info.Code == linux.SI_TKILL) && !self {
		return nil, linux.EPERM
	}
	return &info, nil
}

// rtSigqueueinfo implements rt_sigqueueinfo(2).
func rtSigqueueinfo(t *kernel.Task, pid int32, s linux.Signal, p usermem.Ptr[linux.SigInfo]) (int, error) {
	info, err := loadQueued(t, s, p, t.TGID() == pid)
	if err != nil {
		return 0, err
	}
	x := t.Kernel().FindTask(t.PIDNamespace(), pid)
	if x == nil {
		return 0, linux.ESRCH
	}
	return 0, t.SignalGroup(x.ThreadGroup(), t.Queued(info, x))
}

// rtTgsigqueueinfo implements rt_tgsigqueueinfo(2).
func rtTgsigqueueinfo(t *kernel.Task, tgid, tid int32, s linux.Signal, p usermem.Ptr[linux.SigInfo]) (int, error) {
	if tgid <= 0 || tid <= 0 {
		return 0, linux.EINVAL
	}
	info, err := loadQueued(t, s, p, t.TID() == tid)
	if err != nil {
		return 0, err
	}
	x, err := findThread(t, tgid, tid)
	if err != nil {
		return 0, err
	}
	return 0, t.SignalTask(x, t.Queued(info, x))
}
