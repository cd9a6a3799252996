package vfs

import (
	"garrison/sentry/linux"
)

// OpenTree is open_tree(2) with OPEN_TREE_CLONE: a file, as O_PATH opens, of a copy of
// what is mounted at p, with what is below if recursive. The copy is in no namespace and
// goes with the last use of the file unless it has been moved to one. EPERM, EINVAL.
func OpenTree(c Ctx, p Path, recursive bool) (*FileDescription, error) {
	ns, err := mayMount(c)
	if err != nil {
		return nil, err
	}
	m, err := ns.copyOf(p, recursive)
	if err != nil {
		return nil, err
	}
	return ns.openDetached(m), nil
}

// openDetached opens the root of the tree m, which is in no namespace, for ns.
func (ns *MountNamespace) openDetached(m *Mount) *FileDescription {
	ns = &MountNamespace{sys: ns.sys, id: ns.sys.NewIno(), user: ns.user, detached: true, root: m}
	t := &ns.sys.mounts
	t.mu.Lock()
	for x := range m.tree() {
		x.ns = ns
	}
	t.mu.Unlock()
	d := NewFileDescription(Path{m, m.root}, pathFile{}, linux.O_PATH)
	d.OnClose((*detachedTree)(ns))
	return d
}

// A detachedTree is dissolved when its file is closed.
type detachedTree MountNamespace

// Closed implements CloseHook.
func (x *detachedTree) Closed(*FileDescription) {
	t := &x.sys.mounts
	t.mu.Lock()
	var rs []released
	if x.root != nil {
		rs = t.dissolveLocked(x.root, entire)
		x.root = nil
	}
	t.unlock()
	for _, r := range rs {
		r.release(true)
	}
}
