package vfs

import (
	"path"
	"slices"
	"strconv"
	"sync/atomic"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// A MountNamespace is a tree of mounts: mount_namespaces(7).
type MountNamespace struct {
	sys  *System
	id   uint64 // the inode number of /proc/pid/ns/mnt
	user *auth.UserNamespace
	root *Mount // protected by the mount table's mu
	refs atomic.Int64
	// detached: no process is in it, but a descriptor leads to it (open_tree(2)). Its
	// root is nil once it has been moved elsewhere.
	detached bool

	// Queue is told (Pri and Err) after each change of the tree: proc_pid_mounts(5).
	wait.Queue
	gen atomic.Uint64
}

// Changes counts the changes of the tree.
func (ns *MountNamespace) Changes() uint64 { return ns.gen.Load() }

// changed tells who watches the tree. No lock of the table is held.
func (ns *MountNamespace) changed() {
	ns.gen.Add(1)
	ns.Notify(wait.Pri | wait.Err)
}

// NewMountNamespace is a tree of one mount, of fs with flags (MS_RDONLY, MS_NOSUID…).
// It has one reference, the caller's; fs stays the caller's.
func (s *System) NewMountNamespace(fs *Filesystem, source string, flags linux.MountFlags) *MountNamespace {
	ns := &MountNamespace{sys: s, id: s.NewIno()}
	ns.root = s.newMount(fs, fs.root, source, flags)
	ns.root.ns = ns
	ns.refs.Store(1)
	return ns
}

// ID is the number that /proc/pid/ns/mnt shows.
func (ns *MountNamespace) ID() uint64 { return ns.id }

// System is the virtual filesystem that ns is part of.
func (ns *MountNamespace) System() *System { return ns.sys }

// Root is the namespace's root, held: the topmost of what is mounted there.
func (ns *MountNamespace) Root() Path {
	t := &ns.sys.mounts
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.topLocked(Path{ns.root, ns.root.root}).Hold()
}

// IncRef counts one more user of the namespace.
func (ns *MountNamespace) IncRef() { ns.refs.Add(1) }

// DecRef counts one less; with the last all is unmounted.
func (ns *MountNamespace) DecRef() {
	if ns.refs.Add(-1) != 0 {
		return
	}
	t := &ns.sys.mounts
	t.mu.Lock()
	rs := t.dissolveLocked(ns.root, scatter)
	t.unlock()
	for _, r := range rs {
		r.release(true)
	}
}

// Clone is CLONE_NEWNS: a copy of the tree that belongs to user, with one reference,
// the caller's. f (of the new task, and nobody else's) moves to the same places in it.
// In another user namespace than ns's, mounts that share become slaves, and all is
// locked. EPERM, ENOSPC.
func (ns *MountNamespace) Clone(c Ctx, f *FSContext, user *auth.UserNamespace) (*MountNamespace, error) {
	if !c.Creds().HasCapIn(user, auth.CapSysAdmin) {
		return nil, linux.EPERM
	}
	n := &MountNamespace{sys: ns.sys, id: ns.sys.NewIno(), user: user}
	if !auth.Charge(user, c.Creds().EUID, auth.CountMnt, n) {
		return nil, linux.ENOSPC
	}
	n.refs.Store(1)
	t := &ns.sys.mounts
	t.mu.Lock()
	n.root = t.copyTreeLocked(ns.root, ns.root.root, copyAll)
	if !user.Same(ns.user) {
		for x := range n.root.tree() {
			if x.group != nil {
				t.setPropagationLocked(x, linux.MS_SLAVE)
			}
		}
		lockTreeLocked(n.root)
	}
	twin := map[*Mount]*Mount{}
	var old []*Mount
	for x := range ns.root.tree() {
		old = append(old, x)
	}
	i := 0
	for x := range n.root.tree() {
		x.ns = n
		twin[old[i]] = x
		i++
	}
	t.mu.Unlock()
	f.transfer(n, twin)
	return n, nil
}

// transfer moves f to the namespace n, each path to the twin of its mount.
func (f *FSContext) transfer(n *MountNamespace, twin map[*Mount]*Mount) {
	n.IncRef()
	f.mu.Lock()
	old := []Path{f.root, f.cwd}
	oldNS := f.ns
	for _, which := range []*Path{&f.root, &f.cwd} {
		if m := twin[which.mnt]; m != nil {
			*which = Path{m, which.d}
		}
		which.Hold()
	}
	f.ns = n
	f.mu.Unlock()
	for _, p := range old {
		p.Drop()
	}
	oldNS.DecRef()
}

// MountInfo is a line of /proc/pid/mountinfo, unescaped.
type MountInfo struct {
	ID, Parent   int
	Dev          uint64
	Root, Point  string
	Options      string // of the mount: "rw,nosuid,relatime"
	Propagation  string // "shared:1", "master:1", "unbindable" or ""
	Type, Source string
	FSFlags      string // of the filesystem: "rw,sync"
	FSOptions    string // its type's: "size=64k", or ""
}

// Mounts is the tree as seen from root, parents first, by id as Linux lists them.
// Mounts that can't be reached from root are left out.
func (ns *MountNamespace) Mounts(root Path) (out []MountInfo) {
	t := &ns.sys.mounts
	t.mu.RLock()
	var all []*Mount
	for x := range ns.root.tree() {
		if x.tryRef() {
			all = append(all, x)
		}
	}
	t.mu.RUnlock()
	for _, m := range all {
		if i, ok := m.info(root); ok {
			out = append(out, i)
		}
		m.unref()
	}
	slices.SortFunc(out, func(a, b MountInfo) int { return a.ID - b.ID })
	return out
}

func (m *Mount) info(root Path) (MountInfo, bool) {
	point, ok := Path{m, m.root}.abs(root)
	if !ok {
		return MountInfo{}, false
	}
	inside := m.root.place.Load().name
	if !m.fs.hidden {
		inside, _ = Path{&Mount{sys: m.sys, fs: m.fs, root: m.fs.root}, m.root}.abs(Path{})
	}
	if m.fs.base != "" {
		inside = path.Join(m.fs.base, inside)
	}
	i := MountInfo{
		ID: m.id, Parent: m.id, Dev: m.fs.dev, Root: inside, Point: point,
		Options: m.showFlags(), Type: m.fs.typ.Name, Source: m.source, FSFlags: m.fs.showFlags(), FSOptions: m.fs.options(),
	}
	t := &m.sys.mounts
	t.mu.RLock()
	defer t.mu.RUnlock()
	if m.parent != nil {
		i.Parent = m.parent.id
	}
	i.Propagation = m.showPropagation(root)
	return i, true
}

func (m *Mount) showFlags() string {
	f, s := m.Flags(), "rw"
	if f&linux.MS_RDONLY != 0 {
		s = "ro"
	}
	for _, x := range [...]struct {
		f linux.MountFlags
		s string
	}{
		{linux.MS_NOSUID, ",nosuid"}, {linux.MS_NODEV, ",nodev"}, {linux.MS_NOEXEC, ",noexec"},
		{linux.MS_NOATIME, ",noatime"}, {linux.MS_NODIRATIME, ",nodiratime"}, {linux.MS_RELATIME, ",relatime"},
		{linux.MS_NOSYMFOLLOW, ",nosymfollow"},
	} {
		if f&x.f != 0 {
			s += x.s
		}
	}
	return s
}

// PivotRoot is pivot_root(2): the root mount moves to putOld, which is at or below
// newRoot, the root of another mount, which becomes the root of all who were at the
// old one.
func PivotRoot(c Ctx, newRoot, putOld Path) error {
	ns, err := mayMount(c)
	if err != nil {
		return err
	}
	old := c.FS().Root()
	defer old.Drop()
	t := &ns.sys.mounts
	t.mu.Lock()
	putOld = t.topLocked(putOld)
	if err := pivotable(ns, old, newRoot, putOld); err != nil {
		t.mu.Unlock()
		return err
	}
	var rs []released
	place := Path{old.mnt.parent, old.mnt.point}
	rs = append(rs, t.detachLocked(newRoot.mnt))
	if place.mnt == nil {
		ns.root = newRoot.mnt
	} else {
		rs = append(rs, t.detachLocked(old.mnt))
		t.attachLocked(newRoot.mnt, place.mnt, place.d)
	}
	t.attachLocked(old.mnt, putOld.mnt, putOld.d)
	newRoot.mnt.locked, old.mnt.locked = old.mnt.locked, false
	t.unlock()
	for _, r := range rs {
		r.release(false)
	}
	ns.sys.contexts.each(func(f *FSContext) { f.replace(old, newRoot) })
	return nil
}

// pivotable checks what pivot_root(2) asks. The table's mu is held.
func pivotable(ns *MountNamespace, old, newRoot, putOld Path) error {
	shared := func(m *Mount) bool { return m != nil && m.group != nil }
	switch {
	case !newRoot.IsDir() || !putOld.IsDir():
		return linux.ENOTDIR
	case old.mnt.ns != ns || newRoot.mnt.ns != ns || putOld.mnt.ns != ns:
		return linux.EINVAL
	case shared(putOld.mnt) || shared(newRoot.mnt.parent) || shared(old.mnt.parent):
		return linux.EINVAL
	case newRoot.mnt.locked:
		return linux.EINVAL
	case newRoot.d.deleted.Load():
		return linux.ENOENT
	case newRoot.mnt == old.mnt || putOld.mnt == old.mnt:
		return linux.EBUSY
	case old.d != old.mnt.root || newRoot.d != newRoot.mnt.root || newRoot.mnt.parent == nil:
		return linux.EINVAL
	case !putOld.belowLocked(newRoot):
		return linux.EINVAL
	case !newRoot.belowLocked(old):
		return linux.EINVAL
	}
	return nil
}

// belowLocked reports whether p can be reached from top. The table's mu is held.
func (p Path) belowLocked(top Path) bool {
	for p.mnt != top.mnt {
		if p.mnt.parent == nil {
			return false
		}
		p = Path{p.mnt.parent, p.mnt.point}
	}
	return p.d.within(top.d)
}

func itoa(n int) string { return strconv.Itoa(n) }

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}
