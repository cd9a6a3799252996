package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// getpid implements getpid(2).
func getpid(t *kernel.Task) (int32, error) { return t.TGID(), nil }

// gettid implements gettid(2).
func gettid(t *kernel.Task) (int32, error) { return t.TID(), nil }

// getppid implements getpid(2)'s getppid: 0 if the parent is out of sight.
func getppid(t *kernel.Task) (int32, error) {
	return t.ThreadGroup().ParentPID(t.PIDNamespace()), nil
}

// groupOf is the process numbered pid, 0 being the caller's own.
func groupOf(t *kernel.Task, pid int32) (*kernel.ThreadGroup, error) {
	if pid == 0 {
		return t.ThreadGroup(), nil
	}
	x := t.Kernel().FindTask(t.PIDNamespace(), pid)
	if x == nil {
		return nil, linux.ESRCH
	}
	return x.ThreadGroup(), nil
}

// taskOf is the thread numbered tid, 0 being the caller.
func taskOf(t *kernel.Task, tid int32) (*kernel.Task, error) {
	if tid == 0 {
		return t, nil
	}
	return findThread(t, 0, tid)
}

// getpgid implements getpgid(2).
func getpgid(t *kernel.Task, pid int32) (int32, error) {
	g, err := groupOf(t, pid)
	if err != nil {
		return 0, err
	}
	return g.GroupID(t.PIDNamespace()), nil
}

// getpgrp implements getpgrp(2).
func getpgrp(t *kernel.Task) (int32, error) { return getpgid(t, 0) }

// setpgid implements setpgid(2).
func setpgid(t *kernel.Task, pid, pgid int32) (int, error) { return 0, t.SetProcessGroup(pid, pgid) }

// getsid implements getsid(2).
func getsid(t *kernel.Task, pid int32) (int32, error) {
	g, err := groupOf(t, pid)
	if err != nil {
		return 0, err
	}
	return g.SessionID(t.PIDNamespace()), nil
}

// setsid implements setsid(2).
func setsid(t *kernel.Task) (int32, error) {
	s, err := t.ThreadGroup().NewSession()
	if err != nil {
		return 0, err
	}
	return s.PID().In(t.PIDNamespace()), nil
}
