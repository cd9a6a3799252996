package proc

import (
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

// sameProcess lets p's own threads have what the mode bits would refuse them:
// its descriptors, after it has changed its user.
func sameProcess(p *process, c vfs.Ctx, a vfs.Attr, want vfs.Access) error {
	if t := caller(c); t != nil && t.ThreadGroup() == p.g {
		return nil
	}
	return vfs.Allowed(c, &a, want)
}
