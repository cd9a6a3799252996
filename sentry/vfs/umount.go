package vfs

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// Unmount is umount2(2) of the mount whose root p is. p is the caller's, and may be
// its only use of the mount.
func Unmount(c Ctx, p Path, flags int) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	m, t := p.mnt, &ns.sys.mounts
	if flags&linux.MNT_FORCE != 0 {
		m.abort(c, p, ns)
	}
	root := c.FS().Root()
	root.Drop() // only compared
	expire, detach := flags&linux.MNT_EXPIRE != 0, flags&linux.MNT_DETACH != 0
	t.mu.Lock()
	switch {
	case p.d != m.root || m.ns != ns || m.locked:
		err = linux.EINVAL
	case flags&linux.MNT_FORCE != 0 && !c.Creds().HasCapIn(m.fs.user, auth.CapSysAdmin):
		err = linux.EPERM
	case expire && (m == root.mnt || flags&(linux.MNT_FORCE|linux.MNT_DETACH) != 0):
		err = linux.EINVAL
	case expire && (m.refs.Load() > 2 || len(m.children) != 0):
		err = linux.EBUSY
	case expire && m.expiryMark.Load() == 0:
		m.expiryMark.Store(2) // the caller's Drop of p is one
		err = linux.EAGAIN
	case m == root.mnt && !detach && !c.Creds().HasCapIn(m.fs.user, auth.CapSysAdmin):
		err = linux.EPERM
	case m == root.mnt && !detach:
		// As Linux: what can't go becomes read-only.
		t.mu.Unlock()
		x := Configuration{fs: m.fs, flags: linux.MS_RDONLY, mask: linux.MS_RDONLY}
		return x.apply(c)
	case m.parent == nil:
		err = linux.EINVAL
	case !detach && t.busyLocked(m, 2): // the tree and p
		err = linux.EBUSY
	default:
		rs := t.dissolveLocked(m, spread)
		t.unlock()
		for _, r := range rs {
			r.release(true)
		}
		return nil
	}
	t.mu.Unlock()
	return err
}

// abort makes what waits for m's filesystem give up, if p is m's root and c may.
func (m *Mount) abort(c Ctx, p Path, ns *MountNamespace) {
	x, ok := m.fs.inode.(Aborter)
	if !ok || p.d != m.root || !c.Creds().HasCapIn(m.fs.user, auth.CapSysAdmin) {
		return
	}
	t := &ns.sys.mounts
	t.mu.RLock()
	mine := m.ns == ns && !m.locked
	t.mu.RUnlock()
	if mine {
		x.Abort()
	}
}

// dissolution says how a tree is taken apart.
type dissolution int

const (
	scatter dissolution = iota // each mount by itself, but for those that must stay in place
	spread                     // so too what that propagates to
	entire                     // none is parted from its parent
)

// dissolveLocked takes m and all below it out of their trees. What stays on a parent that
// goes along covers its place for who still uses that. The caller releases what it
// returns, without the lock.
func (t *mountTable) dissolveLocked(m *Mount, how dissolution) (rs []released) {
	var all []*Mount
	for x := range m.tree() {
		all = append(all, x)
	}
	if how == spread {
		t.unlockEchoesLocked(m)
		all = append(all, t.echoesLocked(all)...)
	}
	for _, x := range all {
		t.touchLocked(x.ns)
		x.leaveLocked()
		x.ns = nil
	}
	for i := len(all) - 1; i >= 0; i-- {
		x := all[i]
		if x.parent == nil {
			rs = append(rs, released{m: x})
			continue
		}
		parent, point := x.parent, x.point
		if parent.ns == nil && (x.locked || how == entire) {
			parent.carries.Store(true)
			rs = append(rs, released{parent: parent})
			continue
		}
		rs = append(rs, t.detachLocked(x))
		if top := t.at[mountKey{x, x.root}]; top != nil && top.ns != nil {
			// What was on top comes down to x's place.
			r := t.detachLocked(top)
			t.attachLocked(top, parent, point)
			rs = append(rs, released{parent: r.parent, point: r.point})
		}
	}
	return rs
}

// abandon takes off m, which nobody uses any more, what has gone with it.
func (t *mountTable) abandon(m *Mount) {
	var rs []released
	t.mu.Lock()
	for len(m.children) != 0 {
		r := t.detachLocked(m.children[0])
		r.parent = nil // its reference has been given back
		rs = append(rs, r)
	}
	t.mu.Unlock()
	for _, r := range rs {
		r.release(true)
	}
}

// discard gives up a tree that is in no namespace.
func (s *System) discard(m *Mount) {
	t := &s.mounts
	t.mu.Lock()
	rs := t.dissolveLocked(m, scatter)
	t.unlock()
	for _, r := range rs {
		r.release(true)
	}
}
