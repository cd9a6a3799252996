package vfs

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// MoveMount is MS_MOVE and move_mount(2): from is the root of a mount, or of a detached
// tree. It comes on top of what is mounted at at, or, if beneath, under it. EINVAL,
// ELOOP, ENOENT.
func MoveMount(c Ctx, from, at Path, beneath bool) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	root := c.FS().Root()
	root.Drop() // only compared
	t := &ns.sys.mounts
	t.mu.Lock()
	if at.d.deleted.Load() {
		t.mu.Unlock()
		return linux.ENOENT
	}
	at = t.topLocked(at)
	if beneath {
		at, err = t.beneathLocked(from.mnt, at, root)
	}
	if err == nil {
		err = ns.movableLocked(from, at)
	}
	if err != nil {
		t.mu.Unlock()
		return err
	}
	m := from.mnt
	var r released
	if m.parent != nil {
		r = t.detachLocked(m)
	} else {
		m.ns.root = nil // a detached tree no longer
	}
	t.graftLocked(m, at.mnt, at.d)
	t.unlock()
	r.release(false)
	return nil
}

// movableLocked checks what Linux asks of a move of from to at.
func (ns *MountNamespace) movableLocked(from, at Path) error {
	m := from.mnt
	switch {
	case m.locked:
		return linux.EINVAL
	case m.ns == ns:
		if m.parent == nil || m.parent.group != nil || at.mnt.ns != ns {
			return linux.EINVAL
		}
	case m.ns == nil || !m.ns.detached || m.parent != nil || at.mnt.ns == m.ns || !ns.minesLocked(at.mnt):
		return linux.EINVAL
	}
	if from.d != m.root || (from.d.dir != nil) != at.IsDir() {
		return linux.EINVAL
	}
	if at.mnt.group != nil {
		for x := range m.tree() {
			if x.unbindable {
				return linux.EINVAL
			}
		}
	}
	for x := at.mnt; x != nil; x = x.parent {
		if x == m {
			return linux.ELOOP
		}
	}
	return nil
}

// beneathLocked is where the mount whose root at is hangs, if m can come between.
func (t *mountTable) beneathLocked(m *Mount, at, root Path) (Path, error) {
	to := at.mnt
	if at.d != to.root || to.parent == nil || to.locked || to == root.mnt || to.parent == m {
		return at, linux.EINVAL
	}
	for x := m; x != nil; x = x.parent {
		if x == to {
			return at, linux.EINVAL
		}
	}
	// A copy must not come on top of what it is to be beneath, nor of itself.
	for _, x := range receivers(to.parent) {
		if x == to && to.root == to.point || x == m && m.root == to.point {
			return at, linux.EINVAL
		}
	}
	return Path{to.parent, to.point}, nil
}

// SetGroup is MOVE_MOUNT_SET_GROUP: to, a private mount, joins from's peer group, and
// obeys what from does. EINVAL; EPERM for another user namespace's detached tree.
func SetGroup(c Ctx, from, to Path) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	t := &ns.sys.mounts
	t.mu.Lock()
	defer t.mu.Unlock()
	a, b := from.mnt, to.mnt
	switch {
	case !ns.minesLocked(a) || !ns.minesLocked(b),
		from.d != a.root || to.d != b.root,
		a.fs != b.fs || !b.root.within(a.root),
		b.group != nil || b.master != nil,
		a.group == nil && a.master == nil,
		a.hidesLocked(b.root):
		return linux.EINVAL
	case !c.Creds().HasCapIn(a.ns.user, auth.CapSysAdmin), !c.Creds().HasCapIn(b.ns.user, auth.CapSysAdmin):
		return linux.EPERM
	}
	b.obeyLocked(a.master)
	b.joinLocked(a.group)
	return nil
}
