package kernel

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// Unshare is unshare(2) with flags that make sense: EPERM without CAP_SYS_ADMIN for
// namespaces.
func (t *Task) Unshare(f linux.CloneFlags) error {
	if f&cloneNamespaces != 0 && !t.Creds().HasCap(auth.CapSysAdmin) {
		return linux.EPERM
	}
	if f&(linux.CLONE_FS|linux.CLONE_NEWNS) != 0 {
		t.UnshareFS()
	}
	if f&linux.CLONE_NEWNS != 0 {
		fs := t.fs.Load()
		ns, err := fs.Namespace().Clone(t, fs)
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
	next := &Task{ns: t.Namespaces()}
	t.newNamespaces(next, f)
	t.SetNamespaces(next.ns)
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
