package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// rtSigaction implements rt_sigaction(2).
func rtSigaction(t *kernel.Task, s linux.Signal, act, old usermem.Ptr[linux.SigAction], n size) (int, error) {
	if n != linux.SigSetSize {
		return 0, linux.EINVAL
	}
	var a linux.SigAction
	if act != 0 {
		var err error
		if a, err = act.Load(t); err != nil {
			return 0, err
		}
	}
	if !s.Valid() || act != 0 && linux.Unblockable.Has(s) {
		return 0, linux.EINVAL
	}
	was := t.ThreadGroup().Action(s)
	if act != 0 {
		was = t.SetAction(s, a)
	}
	if old != 0 {
		return 0, old.Store(t, &was)
	}
	return 0, nil
}

// rtSigprocmask implements rt_sigprocmask(2).
func rtSigprocmask(t *kernel.Task, how int32, set, old usermem.Ptr[linux.SigSet], n size) (int, error) {
	if n != linux.SigSetSize {
		return 0, linux.EINVAL
	}
	was := t.SignalMask()
	if set != 0 {
		s, err := set.Load(t)
		if err != nil {
			return 0, err
		}
		switch how {
		case linux.SIG_BLOCK:
			s |= was
		case linux.SIG_UNBLOCK:
			s = was &^ s
		case linux.SIG_SETMASK:
		default:
			return 0, linux.EINVAL
		}
		t.SetSignalMask(s)
	}
	if old != 0 {
		return 0, old.Store(t, &was)
	}
	return 0, nil
}

// rtSigpending implements rt_sigpending(2).
func rtSigpending(t *kernel.Task, set address, n size) (int, error) {
	if n > linux.SigSetSize {
		return 0, linux.EINVAL
	}
	s := t.PendingSignals() & t.SignalMask()
	_, err := t.CopyOut(arch.Addr(set), usermem.AsBytes(&s)[:n])
	return 0, err
}

// rtSigsuspend implements rt_sigsuspend(2).
func rtSigsuspend(t *kernel.Task, set usermem.Ptr[linux.SigSet], n size) (int, error) {
	if n != linux.SigSetSize {
		return 0, linux.EINVAL
	}
	s, err := set.Load(t)
	if err != nil {
		return 0, err
	}
	t.SwapMask(s)
	t.BlockUntil(nil, 0, ktime.Deadline{})
	return 0, linux.ERESTARTNOHAND
}

// pause implements pause(2).
func pause(t *kernel.Task) (int, error) {
	t.BlockUntil(nil, 0, ktime.Deadline{})
	return 0, linux.ERESTARTNOHAND
}

// rtSigtimedwait implements rt_sigtimedwait(2).
func rtSigtimedwait(t *kernel.Task, set usermem.Ptr[linux.SigSet], out usermem.Ptr[linux.SigInfo], timeout usermem.Ptr[linux.Timespec], n size) (int32, error) {
	if n != linux.SigSetSize {
		return 0, linux.EINVAL
	}
	s, err := set.Load(t)
	if err != nil {
		return 0, err
	}
	var d ktime.Deadline
	if timeout != 0 {
		ts, err := timeout.Load(t)
		if err != nil {
			return 0, err
		}
		if !ts.Valid() {
			return 0, linux.EINVAL
		}
		d = ktime.After(&t.Kernel().Clocks.Monotonic, ts.Nano())
	}
	info, err := t.AwaitSignal(s, d)
	if err != nil {
		return 0, err
	}
	if out != 0 {
		if err := out.Store(t, &info); err != nil {
			return 0, err
		}
	}
	return info.Signo, nil
}

// rtSigreturn implements rt_sigreturn(2).
func rtSigreturn(t *kernel.Task, _ *[6]uint64) (uint64, error) { return t.SigReturn(), nil }

// sigaltstack implements sigaltstack(2).
func sigaltstack(t *kernel.Task, set, old usermem.Ptr[linux.StackT]) (int, error) {
	sp := t.Regs().RSP
	was := t.AltStack()
	on := t.OnAltStack(sp)
	switch {
	case was.Size == 0:
		was = linux.StackT{Flags: linux.SS_DISABLE | was.Flags&linux.SS_AUTODISARM}
	case on:
		was.Flags |= linux.SS_ONSTACK
	}
	if set != 0 {
		s, err := set.Load(t)
		if err != nil {
			return 0, err
		}
		mode := s.Flags &^ linux.SS_AUTODISARM
		switch {
		case on:
			return 0, linux.EPERM
		case mode != 0 && mode != linux.SS_ONSTACK && mode != linux.SS_DISABLE:
			return 0, linux.EINVAL
		case mode == linux.SS_DISABLE:
			s.SP, s.Size = 0, 0
		case s.Size < linux.MINSIGSTKSZ:
			return 0, linux.ENOMEM
		default:
			s.Flags &= linux.SS_AUTODISARM
		}
		t.SetAltStack(s)
	}
	if old != 0 {
		return 0, old.Store(t, &was)
	}
	return 0, nil
}

// restartSyscall implements restart_syscall(2).
func restartSyscall(t *kernel.Task, _ *[6]uint64) (uint64, error) { return t.Restart() }
