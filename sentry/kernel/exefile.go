package kernel

import (
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// SetExecutable makes d's file the one that t's process executes: PR_SET_MM_EXE_FILE.
// EACCES if t may not execute it or somebody writes to it, EBUSY while memory of t's
// shows the one that it executes now.
func (t *Task) SetExecutable(d *vfs.FileDescription) error {
	p := d.Path()
	if p.IsZero() || p.Type() != linux.S_IFREG {
		return linux.EACCES
	}
	if err := p.Permit(t, vfs.MayExec); err != nil {
		return err
	}
	space := t.Space()
	if old := space.Executable(); old != nil {
		busy := space.Maps(func(x mm.Identity) bool { return sameFile(x, old) })
		old.DecRef()
		if busy {
			return linux.EBUSY
		}
	}
	x, err := vfs.OpenPath(vfs.As(t, t.k.rootCreds), p, linux.O_RDONLY|linux.O_LARGEFILE)
	if err != nil {
		return err
	}
	if x.DenyWrite() != nil {
		x.Release(t)
		return linux.EACCES
	}
	space.SetExecutable(x) // with x's reference
	return nil
}

// sameFile reports whether a and b are of one place in the tree.
func sameFile(a, b mm.Identity) bool {
	type placed interface{ Path() vfs.Path }
	x, ok := a.(placed)
	y, also := b.(placed)
	return ok && also && x.Path().Same(y.Path())
}
