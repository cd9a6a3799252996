package kernel

import (
	"garrison/sentry/linux"
)

// Unshare is unshare(2) with flags that make sense: EPERM without CAP_SYS_ADMIN for
// namespaces, ENOSPC if there are too many.
func (t *Task) Unshare(f linux.CloneFlags) error {
	c, err := t.credsFor(f)
	if err != nil {
		return err
	}
	next := &Task{ns: t.Namespaces()}
	next.creds.Store(c)
	if err := t.newNamespaces(next, f); err != nil {
		return err
	}
	if f&(linux.CLONE_FS|linux.CLONE_NEWNS|linux.CLONE_NEWUSER) != 0 {
		t.UnshareFS()
	}
	if f&linux.CLONE_NEWNS != 0 {
		fs := t.fs.Load()
		ns, err := fs.Namespace().Clone(t, fs, c.UserNS)
		if err != nil {
			return err
		}
		ns.DecRef() // fs holds it
	}
	if f&linux.CLONE_FILES != 0 {
		t.UnshareFiles()
	}
	if f&(linux.CLONE_SYSVSEM|linux.CLONE_NEWIPC) != 0 {
		t.exitIPC()
	}
	t.SetNamespaces(next.ns)
	if c != t.Creds() {
		t.SetCreds(c)
	}
	return nil
}

// Within reports whether ns is anc or one of its descendants.
func (ns *PIDNamespace) Within(anc *PIDNamespace) bool {
	for ; ns != nil; ns = ns.Parent {
		if ns == anc {
			return true
		}
	}
	return false
}
