package vfs

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// mayMount reports whether c may change its mount namespace.
func mayMount(c Ctx) (*MountNamespace, error) {
	ns := c.FS().Namespace()
	if !c.Creds().HasCap(auth.CapSysAdmin) {
		return nil, linux.EPERM
	}
	return ns, nil
}

// MountFS mounts fs at at: mount(2) without any of the special flags. fs stays the
// caller's. EPERM, ENOTDIR, ENOENT.
func MountFS(c Ctx, at Path, fs *Filesystem, source string, flags linux.MountFlags) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	m := ns.sys.newMount(fs, fs.root, source, flags)
	err = ns.graft(m, at)
	if err != nil {
		m.unref()
	}
	return err
}

// graft puts the tree m, in no namespace, at at.
func (ns *MountNamespace) graft(m *Mount, at Path) error {
	if (m.root.dir != nil) != at.IsDir() {
		return linux.ENOTDIR
	}
	t := &ns.sys.mounts
	defer ns.changed()
	t.mu.Lock()
	defer t.mu.Unlock()
	if at.d.deleted.Load() {
		return linux.ENOENT
	}
	if at.mnt.ns != ns {
		return linux.EINVAL
	}
	// Somebody may have mounted there since at was found: go on top.
	for x := t.at[mountKey{at.mnt, at.d}]; x != nil; x = t.at[mountKey{at.mnt, at.d}] {
		at = Path{x, x.root}
	}
	t.graftLocked(m, at.mnt, at.d)
	return nil
}

// Bind is MS_BIND, with MS_REC if recursive.
func Bind(c Ctx, from, at Path, recursive bool) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	if (from.d.dir != nil) != at.IsDir() {
		return linux.ENOTDIR
	}
	t := &ns.sys.mounts
	t.mu.Lock()
	if from.mnt.ns != ns && !from.mnt.internalUse || from.mnt.unbindable {
		t.mu.Unlock()
		return linux.EINVAL
	}
	var m *Mount
	if recursive {
		m = t.copyTreeLocked(from.mnt, from.d, copyBind)
	} else {
		m = t.copyLocked(from.mnt, from.d)
	}
	t.mu.Unlock()
	if err := ns.graft(m, at); err != nil {
		ns.sys.discard(m)
		return err
	}
	return nil
}

// MoveMount is MS_MOVE: from is the root of a mount.
func MoveMount(c Ctx, from, at Path) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	if from.d != from.mnt.root {
		return linux.EINVAL
	}
	if (from.d.dir != nil) != at.IsDir() {
		return linux.EINVAL
	}
	m, t := from.mnt, &ns.sys.mounts
	t.mu.Lock()
	if m.ns != ns || at.mnt.ns != ns || m.parent == nil || m.parent.group != nil {
		t.mu.Unlock()
		return linux.EINVAL
	}
	for x := at.mnt; x != nil; x = x.parent {
		if x == m {
			t.mu.Unlock()
			return linux.ELOOP
		}
	}
	for x := t.at[mountKey{at.mnt, at.d}]; x != nil; x = t.at[mountKey{at.mnt, at.d}] {
		at = Path{x, x.root}
	}
	r := t.detachLocked(m)
	t.graftLocked(m, at.mnt, at.d)
	t.mu.Unlock()
	r.release(false)
	ns.changed()
	return nil
}

// Remount is MS_REMOUNT: with MS_BIND only the mount's own flags change, else the
// filesystem's options too. EINVAL if at is no mount's root.
func Remount(c Ctx, at Path, flags linux.MountFlags, o Options) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	m := at.mnt
	ns.sys.mounts.mu.RLock()
	mine := m.ns == ns
	ns.sys.mounts.mu.RUnlock()
	if !mine || at.d != m.root {
		return linux.EINVAL
	}
	if flags&linux.MS_BIND == 0 {
		if x, ok := m.fs.inode.(Remounter); ok {
			if err := x.Remount(c, o); err != nil {
				return err
			}
		}
		m.fs.readOnly.Store(flags&linux.MS_RDONLY != 0)
	}
	// No rule for atimes given: the one that holds stays.
	const atimes = linux.MS_NOATIME | linux.MS_NODIRATIME | linux.MS_RELATIME | linux.MS_STRICTATIME
	if flags&atimes == 0 {
		flags |= m.Flags() & atimes
	}
	m.setFlags(flags)
	ns.changed()
	return nil
}

// SetPropagation is MS_SHARED, MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE, perhaps with
// MS_REC. EINVAL if at is no mount's root.
func SetPropagation(c Ctx, at Path, flags linux.MountFlags) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	how := flags & (linux.MS_SHARED | linux.MS_PRIVATE | linux.MS_SLAVE | linux.MS_UNBINDABLE)
	if how&(how-1) != 0 || flags&^(how|linux.MS_REC|linux.MS_SILENT) != 0 {
		return linux.EINVAL
	}
	t := &ns.sys.mounts
	t.mu.Lock()
	defer t.mu.Unlock()
	if at.d != at.mnt.root || at.mnt.ns != ns {
		return linux.EINVAL
	}
	for x := range at.mnt.tree() {
		t.setPropagationLocked(x, how)
		if flags&linux.MS_REC == 0 {
			break
		}
	}
	return nil
}

// Unmount is umount2(2) of the mount whose root p is. p is the caller's, and may be
// its only use of the mount.
func Unmount(c Ctx, p Path, flags int) error {
	if flags&^(linux.MNT_FORCE|linux.MNT_DETACH|linux.MNT_EXPIRE|linux.UMOUNT_NOFOLLOW) != 0 ||
		flags&linux.MNT_EXPIRE != 0 && flags&(linux.MNT_FORCE|linux.MNT_DETACH) != 0 {
		return linux.EINVAL
	}
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	m, t := p.mnt, &ns.sys.mounts
	root := c.FS().Root()
	root.Drop() // only compared
	t.mu.Lock()
	switch {
	case p.d != m.root || m.ns != ns:
		err = linux.EINVAL
	case m == root.mnt && flags&linux.MNT_DETACH == 0:
		// As Linux: what can't go becomes read-only.
		m.fs.readOnly.Store(true)
	case m.parent == nil:
		err = linux.EINVAL
	case flags&linux.MNT_EXPIRE != 0 && (m.refs.Load() > 2 || len(m.children) != 0):
		err = linux.EBUSY
	case flags&linux.MNT_EXPIRE != 0 && !m.expiryMark:
		m.expiryMark, err = true, linux.EAGAIN
	case flags&linux.MNT_DETACH == 0 && (len(m.children) != 0 || m.refs.Load() > 2):
		err = linux.EBUSY // more than the tree and p use it
	default:
		rs := t.dissolveLocked(m)
		t.mu.Unlock()
		for _, r := range rs {
			r.release(true)
		}
		ns.changed()
		return nil
	}
	t.mu.Unlock()
	return err
}

// dissolveLocked takes m, all below it and what that propagates to out of their trees,
// each by itself. The caller releases what it returns, without the lock.
func (t *mountTable) dissolveLocked(m *Mount) (rs []released) {
	var all []*Mount
	for x := range m.tree() {
		all = append(all, x)
	}
	all = append(all, t.echoesLocked(m)...)
	for i := len(all) - 1; i >= 0; i-- {
		x := all[i]
		if x.ns == nil && x.parent == nil {
			continue
		}
		x.leaveLocked()
		x.ns = nil
		if x.parent != nil {
			rs = append(rs, t.detachLocked(x))
		} else {
			rs = append(rs, released{m: x})
		}
	}
	return rs
}

// discard gives up a tree that is in no namespace.
func (s *System) discard(m *Mount) {
	t := &s.mounts
	t.mu.Lock()
	var all []*Mount
	for x := range m.tree() {
		all = append(all, x)
	}
	var rs []released
	for i := len(all) - 1; i >= 0; i-- {
		all[i].leaveLocked()
		if all[i].parent != nil {
			rs = append(rs, t.detachLocked(all[i]))
		} else {
			rs = append(rs, released{m: all[i]})
		}
	}
	t.mu.Unlock()
	for _, r := range rs {
		r.release(true)
	}
}
