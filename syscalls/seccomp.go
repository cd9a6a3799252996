package syscalls

import (
	"garrison/fs/notifyfd"
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/seccomp"
	"garrison/sentry/usermem"
)

// seccompCall implements seccomp(2).
func seccompCall(t *kernel.Task, op uint32, flags linux.SeccompFlags, args uint64) (int, error) {
	switch op {
	case linux.SECCOMP_SET_MODE_STRICT:
		if flags != 0 || args != 0 {
			return 0, linux.EINVAL
		}
		return 0, t.SetSeccompStrict()
	case linux.SECCOMP_SET_MODE_FILTER:
		return seccompFilter(t, flags, usermem.Ptr[linux.SockFprog](args))
	case linux.SECCOMP_GET_ACTION_AVAIL:
		if flags != 0 {
			return 0, linux.EINVAL
		}
		return 0, seccompActionAvail(t, usermem.Ptr[uint32](args))
	case linux.SECCOMP_GET_NOTIF_SIZES:
		if flags != 0 {
			return 0, linux.EINVAL
		}
		sizes := linux.SeccompNotifSizes{Notif: 80, NotifResp: 24, Data: 64}
		return 0, usermem.Ptr[linux.SeccompNotifSizes](args).Store(t, &sizes)
	}
	return 0, linux.EINVAL
}

func seccompActionAvail(t *kernel.Task, p usermem.Ptr[uint32]) error {
	action, err := p.Load(t)
	if err != nil {
		return err
	}
	switch action {
	case linux.SECCOMP_RET_KILL_PROCESS, linux.SECCOMP_RET_KILL_THREAD, linux.SECCOMP_RET_TRAP, linux.SECCOMP_RET_ERRNO,
		linux.SECCOMP_RET_USER_NOTIF, linux.SECCOMP_RET_TRACE, linux.SECCOMP_RET_LOG, linux.SECCOMP_RET_ALLOW:
		return nil
	}
	return linux.EOPNOTSUPP
}

// seccompFilter is SECCOMP_SET_MODE_FILTER: it returns the listener with
// NEW_LISTENER, and with TSYNC the number of a thread that could not be made like
// the caller. SPEC_ALLOW asks for what is so anyhow.
func seccompFilter(t *kernel.Task, flags linux.SeccompFlags, p usermem.Ptr[linux.SockFprog]) (int, error) {
	const (
		sync     = linux.SECCOMP_FILTER_FLAG_TSYNC
		esrch    = linux.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
		listen   = linux.SECCOMP_FILTER_FLAG_NEW_LISTENER
		killable = linux.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	)
	switch {
	case flags&^linux.SECCOMP_FILTER_FLAG_MASK != 0,
		flags&(sync|listen|esrch) == sync|listen, // the result could be either's
		flags&(killable|listen) == killable:
		return 0, linux.EINVAL
	}
	prog, err := loadProgram(t, p)
	if err != nil {
		return 0, err
	}
	fd, n := kernel.FD(0), (*kernel.Notifier)(nil)
	if flags&listen != 0 {
		n = kernel.NewNotifier()
		if fd, err = newAnon(t, notifyfd.New(n), "seccomp notify", linux.O_CLOEXEC); err != nil {
			return 0, err
		}
	}
	thread, err := t.AddFilter(prog, flags, n)
	if thread != 0 && flags&esrch != 0 {
		err = linux.ESRCH
	}
	if n != nil {
		if err != nil {
			t.CloseFDs(fd)
		}
		return int(fd), err
	}
	return int(thread), err
}

// loadProgram reads and checks the program that p describes: EACCES for who must
// not install any.
func loadProgram(t *kernel.Task, p usermem.Ptr[linux.SockFprog]) (*seccomp.Program, error) {
	f, err := p.Load(t)
	if err != nil {
		return nil, err
	}
	if f.Len == 0 || f.Len > linux.BPF_MAXINSNS {
		return nil, linux.EINVAL
	}
	if c := t.Creds(); !c.NoNewPrivs && !c.HasCap(auth.CapSysAdmin) {
		return nil, linux.EACCES
	}
	if f.Filter == 0 {
		return nil, linux.EINVAL
	}
	source, err := usermem.Ptr[linux.SockFilter](arch.Addr(f.Filter)).LoadSlice(t, int(f.Len))
	if err != nil {
		return nil, err
	}
	return seccomp.New(source)
}

// prSetSeccomp is prctl(PR_SET_SECCOMP).
func prSetSeccomp(t *kernel.Task, a prctlArgs) (uint64, error) {
	switch a[0] {
	case linux.SECCOMP_MODE_STRICT:
		return 0, t.SetSeccompStrict()
	case linux.SECCOMP_MODE_FILTER:
		_, err := seccompFilter(t, 0, usermem.Ptr[linux.SockFprog](a[1]))
		return 0, err
	}
	return 0, linux.EINVAL
}

// prGetSeccomp is prctl(PR_GET_SECCOMP).
func prGetSeccomp(t *kernel.Task, _ prctlArgs) (uint64, error) {
	mode, _ := t.SeccompMode()
	return uint64(mode), nil
}
