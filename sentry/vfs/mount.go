package vfs

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// MountFS mounts fs at at: mount(2) without any of the special flags. fs stays the
// caller's. EPERM, ENOTDIR, ENOENT; EBUSY if it is mounted there already.
func MountFS(c Ctx, at Path, fs *Filesystem, source string, flags linux.MountFlags) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	keep, atime, err := ns.mayReveal(fs, flags)
	if err != nil {
		return err
	}
	if at.d == at.mnt.root && at.mnt.fs == fs && at.mnt.root == fs.root {
		return linux.EBUSY
	}
	m := ns.sys.newMount(fs, fs.root, source, flags)
	m.keep, m.keepAtime = keep, atime
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
	t.mu.Lock()
	defer t.unlock()
	if at.d.deleted.Load() {
		return linux.ENOENT
	}
	if at.mnt.ns != ns {
		return linux.EINVAL
	}
	at = t.topLocked(at)
	t.graftLocked(m, at.mnt, at.d)
	return nil
}

// topLocked is the root of the topmost of what is mounted at p, or p. Not held.
func (t *mountTable) topLocked(p Path) Path {
	for x := t.at[mountKey{p.mnt, p.d}]; x != nil; x = t.at[mountKey{p.mnt, p.d}] {
		p = Path{x, x.root}
	}
	return p
}

// Top goes from p, held, to the root of the topmost of what is mounted there, held.
func (p Path) Top() Path {
	t := &p.mnt.sys.mounts
	t.mu.RLock()
	top := t.topLocked(p)
	if !top.Same(p) {
		top.Hold()
	}
	t.mu.RUnlock()
	if !top.Same(p) {
		p.Drop()
	}
	return top
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
	m, err := ns.copyOf(from, recursive)
	if err != nil {
		return err
	}
	if err := ns.graft(m, at); err != nil {
		ns.sys.discard(m)
		return err
	}
	return nil
}

// copyOf is a copy of what is mounted at from, in no namespace: EINVAL if it can't be
// bound, or would show what mounts that must stay cover; EPERM if one of those would be
// left out.
func (ns *MountNamespace) copyOf(from Path, recursive bool) (*Mount, error) {
	t := &ns.sys.mounts
	t.mu.Lock()
	defer t.mu.Unlock()
	if from.mnt.unbindable || !ns.minesLocked(from.mnt) && from.mnt != ns.sys.nsfs {
		return nil, linux.EINVAL
	}
	if recursive {
		if from.mnt.dropsLocked(from.d) {
			return nil, linux.EPERM
		}
		return t.copyTreeLocked(from.mnt, from.d, copyBind), nil
	}
	if from.mnt.hidesLocked(from.d) {
		return nil, linux.EINVAL
	}
	return t.copyLocked(from.mnt, from.d), nil
}

// minesLocked reports whether m is in ns, or in a detached tree.
func (ns *MountNamespace) minesLocked(m *Mount) bool {
	return m.ns == ns || m.ns != nil && m.ns.detached
}

// rootLocked is EINVAL for what is no mount's root, or one in another namespace.
func (ns *MountNamespace) rootLocked(p Path) error {
	m := p.mnt
	if p.d != m.root || m.ns != ns && !(m.parent == nil && m.ns != nil && m.ns.detached) {
		return linux.EINVAL
	}
	return nil
}

// Remount is MS_REMOUNT: with MS_BIND only the mount's own flags change, else the
// filesystem and its options too. EINVAL if at is no mount's root; EPERM for flags that
// must stay, or another user namespace's filesystem; EBUSY if somebody writes to what is
// to be read-only.
func Remount(c Ctx, at Path, flags linux.MountFlags, o Options) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	m, t := at.mnt, &ns.sys.mounts
	// No rule for atimes given: the one that holds stays.
	if flags&timeFlags == 0 {
		flags |= m.Flags() & timeFlags
	}
	t.mu.RLock()
	mine, may := m.ns == ns, m.mayChangeFlagsLocked(flags)
	t.mu.RUnlock()
	if !mine || at.d != m.root {
		return linux.EINVAL
	}
	if !may {
		return linux.EPERM
	}
	if flags&linux.MS_BIND == 0 {
		x, err := reconfiguration(m.fs, flags, o)
		if err != nil {
			return err
		}
		if !c.Creds().HasCapIn(m.fs.user, auth.CapSysAdmin) {
			return linux.EPERM
		}
		if err := x.apply(c); err != nil {
			return err
		}
	}
	t.mu.Lock()
	err = m.setFlagsLocked(flags, flags&linux.MS_BIND != 0)
	t.mu.Unlock()
	ns.changed()
	return err
}

// setFlagsLocked changes m's flags: EBUSY if it is to be read-only, unless the
// filesystem is already, and somebody writes.
func (m *Mount) setFlagsLocked(f linux.MountFlags, check bool) error {
	if check && f&linux.MS_RDONLY != 0 && m.Flags()&linux.MS_RDONLY == 0 && m.writers.Load() != 0 {
		return linux.EBUSY
	}
	m.setFlags(f)
	return nil
}

// SetPropagation is MS_SHARED, MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE, perhaps with
// MS_REC. EINVAL if at is no mount's root.
func SetPropagation(c Ctx, at Path, flags linux.MountFlags) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	how := flags & propagations
	if how&(how-1) != 0 || flags&^(how|linux.MS_REC|linux.MS_SILENT) != 0 {
		return linux.EINVAL
	}
	t := &ns.sys.mounts
	t.mu.Lock()
	defer t.mu.Unlock()
	if at.d != at.mnt.root || !ns.minesLocked(at.mnt) {
		return linux.EINVAL
	}
	if !c.Creds().HasCapIn(at.mnt.ns.user, auth.CapSysAdmin) {
		return linux.EPERM // a detached tree may be another's
	}
	t.propagateLocked(at.mnt, how, flags&linux.MS_REC != 0)
	return nil
}

const propagations = linux.MS_SHARED | linux.MS_PRIVATE | linux.MS_SLAVE | linux.MS_UNBINDABLE

func (t *mountTable) propagateLocked(m *Mount, how linux.MountFlags, recursive bool) {
	for x := range m.tree() {
		t.setPropagationLocked(x, how)
		if !recursive {
			break
		}
	}
}

// A MountChange is what mount_setattr(2) is asked for: flags (MS_*) to clear and then to
// set, and a kind of propagation (0: none).
type MountChange struct {
	Set, Clear, Propagation linux.MountFlags
	Recursive               bool
}

// SetMountAttr is mount_setattr(2) of the mount whose root at is, and of those below it
// if recursive; of all or of none. EPERM, EINVAL, EBUSY.
func SetMountAttr(c Ctx, at Path, x MountChange) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	t := &ns.sys.mounts
	t.mu.Lock()
	defer t.unlock()
	if err := ns.rootLocked(at); err != nil {
		return err
	}
	for m := range at.mnt.tree() {
		if !m.mayChangeFlagsLocked(m.Flags()&^x.Clear | x.Set) {
			return linux.EPERM
		}
		if x.Set&linux.MS_RDONLY != 0 && m.Flags()&linux.MS_RDONLY == 0 && m.writers.Load() != 0 {
			return linux.EBUSY
		}
		if !x.Recursive {
			break
		}
	}
	for m := range at.mnt.tree() {
		m.setFlags(m.Flags()&^x.Clear | x.Set)
		if !x.Recursive {
			break
		}
	}
	if x.Propagation != 0 {
		t.propagateLocked(at.mnt, x.Propagation, x.Recursive)
	}
	t.touchLocked(at.mnt.ns)
	return nil
}
