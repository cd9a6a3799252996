package tty

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Ioctl implements vfs.Control: ioctl_tty(2).
func (f *File) Ioctl(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	if f.hung() {
		if cmd == linux.TIOCSPGRP {
			return 0, linux.ENOTTY
		}
		return 0, linux.EIO
	}
	t := f.t
	switch cmd {
	case linux.TIOCNOTTY:
		return 0, t.giveUp(c)
	case linux.TIOCSCTTY:
		return 0, t.acquire(c, f.readable, arg == 1)
	case linux.TIOCEXCL, linux.TIOCNXCL:
		t.mu.Lock()
		defer t.mu.Unlock()
		t.exclusive = cmd == linux.TIOCEXCL
		return 0, nil
	case linux.TIOCGEXCL:
		t.mu.Lock()
		on := t.exclusive
		t.mu.Unlock()
		return 0, storeInt(m, arg, flag(on))
	case linux.TIOCVHANGUP:
		if !c.Creds().Capable(auth.CapSysAdmin) {
			return 0, linux.EPERM
		}
		t.Hangup(false)
		return 0, nil
	case linux.TCSBRK, linux.TCSBRKP, linux.TIOCSBRK, linux.TIOCCBRK:
		// There is no line to send a break on; to wait for output to be sent
		// is done, for what the far side has not taken counts as sent.
		return 0, t.check(c, linux.SIGTTOU)
	case linux.TIOCCONS:
		return 0, linux.EPERM // the machine's console is not a container's to redirect
	case linux.TIOCGPTPEER:
		return 0, linux.EIO
	case linux.TIOCINQ:
		t.mu.Lock()
		n := t.line.queued()
		t.mu.Unlock()
		return 0, storeInt(m, arg, n)
	case linux.TIOCOUTQ:
		return 0, storeInt(m, arg, 0)
	}
	return t.Ioctl(c, m, cmd, arg, false)
}

// Ioctl is the ioctls that both sides of a pseudoterminal have: from the far
// side they are about the same terminal, but without job control.
func (t *Terminal) Ioctl(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64, far bool) (uint64, error) {
	switch cmd {
	case linux.TIOCSCTTY: // a file of the program's side has its own
		return 0, t.acquire(c, true, arg == 1)
	case linux.TIOCSTI:
		return 0, t.simulate(c, m, arg, far)
	case linux.TIOCGDEV:
		return 0, usermem.Ptr[uint32](arg).Store(m, ref(uint32(t.Device)))
	case linux.TIOCGPGRP, linux.TIOCGSID, linux.TIOCSPGRP:
		return t.groups(c, m, cmd, arg, far)
	case linux.TIOCGWINSZ:
		return 0, usermem.Ptr[linux.Winsize](arg).Store(m, ref(t.Size()))
	case linux.TIOCSWINSZ:
		w, err := usermem.Ptr[linux.Winsize](arg).Load(m)
		if err == nil {
			t.SetSize(w)
		}
		return 0, err
	case linux.TCFLSH, linux.TCXONC:
		if far {
			return 0, t.farQueues(cmd, arg)
		}
		if err := t.check(c, linux.SIGTTOU); err != nil {
			return 0, err
		}
		if cmd == linux.TCFLSH {
			return 0, t.flush(arg)
		}
		return 0, t.suspend(arg)
	case linux.TIOCGETD:
		return 0, storeInt(m, arg, linux.N_TTY)
	case linux.TIOCSETD:
		if !far {
			if err := t.check(c, linux.SIGTTOU); err != nil {
				return 0, err
			}
		}
		n, err := usermem.Ptr[int32](arg).Load(m)
		if err == nil && n != linux.N_TTY {
			err = linux.EINVAL
		}
		return 0, err
	}
	return t.modes(c, m, cmd, arg)
}

// acquire is TIOCSCTTY: only root gets a terminal so that it could not read.
func (t *Terminal) acquire(c vfs.Ctx, readable, steal bool) error {
	task, ok := kernel.Caller(c)
	if !ok {
		return linux.ENOTTY
	}
	return t.k.SetTerminal(task, t, kernel.Acquire{
		Steal: steal, Unreadable: !readable && !c.Creds().Capable(auth.CapSysAdmin),
	})
}

// giveUp is TIOCNOTTY.
func (t *Terminal) giveUp(c vfs.Ctx) error {
	task, ok := kernel.Caller(c)
	if !ok || task.ThreadGroup().Terminal() != kernel.Terminal(t) {
		return linux.ENOTTY
	}
	return t.k.DropTerminal(task)
}

// groups is TIOCGPGRP, TIOCSPGRP and TIOCGSID.
func (t *Terminal) groups(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64, far bool) (uint64, error) {
	task, ok := kernel.Caller(c)
	if !ok {
		return 0, linux.ENOTTY
	}
	if cmd == linux.TIOCSPGRP {
		if err := t.check(c, linux.SIGTTOU); err == linux.EIO {
			return 0, linux.ENOTTY
		} else if err != nil {
			return 0, err
		}
		pgid, err := usermem.Ptr[int32](arg).Load(m)
		if err != nil {
			return 0, err
		}
		return 0, t.k.SetForeground(task, t, pgid)
	}
	if !far && task.ThreadGroup().Terminal() != kernel.Terminal(t) {
		return 0, linux.ENOTTY
	}
	var id int32
	if cmd == linux.TIOCGPGRP {
		if g := t.k.Foreground(t); g != nil {
			id = g.In(task.PIDNamespace())
		}
	} else {
		s := t.k.TerminalSession(t)
		if s == nil {
			return 0, linux.ENOTTY
		}
		id = s.PID().In(task.PIDNamespace())
	}
	return 0, usermem.Ptr[int32](arg).Store(m, &id)
}

// simulate is TIOCSTI: a byte as if typed, or for the far side as if written.
func (t *Terminal) simulate(c vfs.Ctx, m usermem.Memory, arg uint64, far bool) error {
	if task, ok := kernel.Caller(c); !ok || task.ThreadGroup().Terminal() != kernel.Terminal(t) {
		if !c.Creds().Capable(auth.CapSysAdmin) {
			return linux.EPERM
		}
	}
	b, err := usermem.Ptr[uint8](arg).Load(m)
	switch {
	case err == nil && far:
		t.do(func(l *line) { l.out.put(b); l.wake |= wakeFar })
	case err == nil:
		t.Feed([]byte{b})
	}
	return err
}

// flush is TCFLSH.
func (t *Terminal) flush(queue uint64) error {
	if queue > linux.TCIOFLUSH {
		return linux.EINVAL
	}
	in, out := queue != linux.TCOFLUSH, queue != linux.TCIFLUSH
	t.do(func(l *line) {
		if in {
			l.flushInput()
		}
		if out {
			l.flushOutput()
		}
	})
	return nil
}

// suspend is TCXONC: tcflow(3).
func (t *Terminal) suspend(action uint64) error {
	switch action {
	case linux.TCOOFF:
		t.do(func(l *line) { l.stop(); l.tcoStop = true })
	case linux.TCOON:
		t.do(func(l *line) {
			if l.tcoStop {
				l.tcoStop = false
				l.start()
			}
		})
	case linux.TCIOFF, linux.TCION:
		t.do(func(l *line) {
			c := l.t.Cc[linux.VSTOP]
			if action == linux.TCION {
				c = l.t.Cc[linux.VSTART]
			}
			if c != linux.VDISABLE {
				l.out.put(c)
				l.wake |= wakeFar
			}
		})
	default:
		return linux.EINVAL
	}
	return nil
}

func storeInt(m usermem.Memory, arg uint64, n int) error {
	return usermem.Ptr[int32](arg).Store(m, ref(int32(n)))
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

func ref[T any](v T) *T { return &v }
