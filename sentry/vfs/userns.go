package vfs

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// UserNS is the user namespace that ns belongs to: who is privileged there may
// change the tree.
func (ns *MountNamespace) UserNS() *auth.UserNamespace { return ns.user }

// GiveTo makes ns, in which no process is yet, belong to user.
func (ns *MountNamespace) GiveTo(user *auth.UserNamespace) { ns.user = user }

// UserNS is the user namespace that fs belongs to: that of who mounted it. Ids that
// it does not map can own nothing on fs, and devices on fs are nobody's but the first
// one's.
func (fs *Filesystem) UserNS() *auth.UserNamespace { return fs.user }

// MayMount reports whether c may change its mount namespace: EPERM.
func MayMount(c Ctx) error {
	_, err := mayMount(c)
	return err
}

// mayMount is MayMount, with the namespace.
func mayMount(c Ctx) (*MountNamespace, error) {
	ns := c.FS().Namespace()
	if !c.Creds().HasCapIn(ns.user, auth.CapSysAdmin) {
		return nil, linux.EPERM
	}
	return ns, nil
}

// ownerFor is the user namespace that a filesystem of type t is to belong to if c begins
// to make it.
func (t *Type) ownerFor(c Ctx) *auth.UserNamespace {
	switch {
	case t.Flags&UserMount == 0:
		return nil
	case t.Owner != nil:
		return t.Owner(c)
	}
	return c.Creds().UserNS
}

// mayMake checks that c may make a filesystem of type t that belongs to user: EPERM. One
// that shows c's namespaces must not belong to a user namespace that these do not.
func (t *Type) mayMake(c Ctx, user *auth.UserNamespace) error {
	if !c.Creds().HasCapIn(user, auth.CapSysAdmin) || t.Owner != nil && !user.Same(t.Owner(c)) {
		return linux.EPERM
	}
	return nil
}

// MaySuid reports whether the program p may give c rights by its set-id bits or
// capabilities: not from a mount that is nosuid, nor from another mount namespace's or
// a user namespace's that c is not in.
func (p Path) MaySuid(c Ctx) bool {
	if p.mnt.Flags()&linux.MS_NOSUID != 0 || !c.Creds().UserNS.Within(p.mnt.fs.user) {
		return false
	}
	t := &p.mnt.sys.mounts
	t.mu.RLock()
	defer t.mu.RUnlock()
	return p.mnt.ns == c.FS().Namespace()
}

// Privileged reports whether those who are privileged in ns are so over a file with
// attributes a: it maps the file's owner and group.
func Privileged(ns *auth.UserNamespace, a *Attr) bool {
	return ns.First() || ns.KnowsUID(a.UID) && ns.KnowsGID(a.GID)
}

// mayOwn checks that the ids c makes files with mean something on fs: EOVERFLOW.
func (fs *Filesystem) mayOwn(c Ctx) error {
	if cr := c.Creds(); !fs.user.First() && !(fs.user.KnowsUID(cr.FSUID) && fs.user.KnowsGID(cr.FSGID)) {
		return linux.EOVERFLOW
	}
	return nil
}

// MayOpenHandles reports whether c may open files by handles that are said to be of p's
// filesystem; dirs says that only directories will do, which is for those who could mount
// what they find there (open_by_handle_at(2)).
func (p Path) MayOpenHandles(c Ctx, dirs bool) bool {
	cr := c.Creds()
	switch {
	case cr.Capable(auth.CapDACReadSearch):
		return true
	case !dirs || !cr.HasCap(auth.CapDACReadSearch):
		return false
	case cr.HasCapIn(p.mnt.fs.user, auth.CapSysAdmin):
		return true
	}
	t := &p.mnt.sys.mounts
	t.mu.RLock()
	defer t.mu.RUnlock()
	return p.mnt.ns != nil && cr.HasCapIn(p.mnt.ns.user, auth.CapSysAdmin) && !p.mnt.hidesLocked(p.d)
}

// Chrooted reports whether f's root is not that of its namespace.
func (f *FSContext) Chrooted() bool {
	mine, whole := f.Root(), f.Namespace().Root()
	defer mine.Drop()
	defer whole.Drop()
	return !mine.Same(whole)
}

// lockable are the flags of a mount that a less privileged mount namespace, which got
// it from a more privileged one, can't take away.
const (
	lockable  = linux.MS_RDONLY | linux.MS_NODEV | linux.MS_NOSUID | linux.MS_NOEXEC
	timeFlags = linux.MS_NOATIME | linux.MS_NODIRATIME | linux.MS_RELATIME | linux.MS_STRICTATIME
)

// lockTreeLocked locks the tree m, which comes from a more privileged user namespace:
// mount_namespaces(7), "Restrictions on mount namespaces". Each mount keeps its flags,
// and all but m itself stay in their places, for what they cover to stay covered.
func lockTreeLocked(m *Mount) {
	for x := range m.tree() {
		x.keep, x.keepAtime = x.Flags()&lockable, true
		x.locked = x != m
	}
}

// mayChangeFlagsLocked reports whether m's flags may become f.
func (m *Mount) mayChangeFlagsLocked(f linux.MountFlags) bool {
	return m.keep&^f == 0 && m.sameAtimeLocked(f)
}

// sameAtimeLocked reports whether f keeps the rule for atimes that m must keep.
func (m *Mount) sameAtimeLocked(f linux.MountFlags) bool {
	return !m.keepAtime || m.Flags()&timeFlags == withAtime(f)&timeFlags
}

// hidesLocked reports whether something below root (a dentry of m) is covered by a
// mount that must stay. The table's mu is held.
func (m *Mount) hidesLocked(root *Dentry) bool {
	for _, x := range m.children {
		if x.locked && x.point.within(root) {
			return true
		}
	}
	return false
}

// dropsLocked reports whether a mount below root (a dentry of m) must stay but would be
// left out of a bind mount. The table's mu is held.
func (m *Mount) dropsLocked(root *Dentry) bool {
	for _, x := range m.children {
		if !x.point.within(root) {
			continue
		}
		if x.unbindable && x.locked || !x.unbindable && x.dropsLocked(x.root) {
			return true
		}
	}
	return false
}

// mayReveal checks that a new mount of fs shows no more than one that the namespace
// shows whole already, for proc and sysfs, which show the machine: EPERM. It returns
// the flags that the new one must keep.
func (ns *MountNamespace) mayReveal(fs *Filesystem, f linux.MountFlags) (keep linux.MountFlags, atime bool, err error) {
	if ns.user.First() || fs.typ.Flags&RevealsHost == 0 {
		return 0, false, nil
	}
	t := &ns.sys.mounts
	t.mu.RLock()
	defer t.mu.RUnlock()
	for m := range ns.root.tree() {
		if m.fs.typ != fs.typ || m.root != m.fs.root {
			continue
		}
		keep := m.keep & linux.MS_RDONLY
		if m.fs.readOnly.Load() {
			keep = linux.MS_RDONLY
		}
		if keep&^f != 0 || !m.sameAtimeLocked(f) || !m.showsAllLocked() {
			continue
		}
		return keep, m.keepAtime, nil
	}
	return 0, false, linux.EPERM
}

// showsAllLocked reports whether no mount that must stay covers anything of m but
// directories made to be mounted on.
func (m *Mount) showsAllLocked() bool {
	for _, x := range m.children {
		if !x.locked {
			continue
		}
		if e, ok := x.point.node.(interface{ MountPoint() bool }); !ok || !e.MountPoint() {
			return false
		}
	}
	return true
}
