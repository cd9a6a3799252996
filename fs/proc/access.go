package proc

import (
	"bytes"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// mayAccess is the check that Linux calls PTRACE_MODE_READ_FSCREDS: EPERM.
func mayAccess(t, target *kernel.Task) error {
	if !t.MayInspect(target, true) {
		return linux.EPERM
	}
	return nil
}

// guard is mayAccess for c and p, whose error is err.
func (p *process) guard(c vfs.Ctx, err error) error {
	t := caller(c)
	if t == nil || mayAccess(t, p.task()) == nil {
		return nil
	}
	return err
}

// traced is the Guard of files that are closed to those who may not trace p.
func traced(p *process, c vfs.Ctx) error { return p.guard(c, linux.EACCES) }

// stopped is show for files that are closed only when they are read, as they say what the
// thread is doing: EPERM.
func stopped(show func(*process, vfs.Ctx, *bytes.Buffer) error) func(*process, vfs.Ctx, *bytes.Buffer) error {
	return func(p *process, c vfs.Ctx, w *bytes.Buffer) error {
		if err := p.guard(c, linux.EPERM); err != nil {
			return err
		}
		return show(p, c, w)
	}
}

// showStack is /proc/pid/stack, which is the machine's administrator's: no kernel's stack.
func showStack(p *process, c vfs.Ctx, _ *bytes.Buffer) error {
	if !c.Creds().Capable(auth.CapSysAdmin) {
		return linux.EACCES
	}
	return p.guard(c, linux.EPERM)
}

// sameProcess lets p's own threads have what the mode bits would refuse them:
// its descriptors, after it has changed its user.
func sameProcess(p *process, c vfs.Ctx, a vfs.Attr, want vfs.Access) error {
	if t := caller(c); t != nil && t.ThreadGroup() == p.g {
		return nil
	}
	return vfs.Allowed(c, &a, want)
}
