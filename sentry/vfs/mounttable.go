package vfs

import (
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A Mount is a filesystem, or a part of it, at a place in a namespace.
type Mount struct {
	sys    *System
	fs     *Filesystem // held
	root   *Dentry     // held
	id     int
	source string

	flags   atomic.Uint64 // MS_RDONLY, MS_NOSUID…, of this mount
	refs    atomic.Int64  // dead when negative; being in a tree is one
	writers atomic.Int64  // files that are open for writing
	watches watchList

	// expiryMark is not 0 if umount2's MNT_EXPIRE has been here and nobody since.
	expiryMark atomic.Int32

	// carries: in no tree, with mounts on it that went along and have no reference to it.
	carries atomic.Bool

	// Protected by the table's mu:
	ns          *MountNamespace // nil: in no tree
	parent      *Mount          // nil: the root of a namespace
	point       *Dentry         // where in parent; held
	children    []*Mount        // in order of mounting
	group       *peerGroup      // shared: nil if not
	master      *peerGroup      // slave of: nil if not
	unbindable  bool
	internalUse bool // kernel-internal: in no namespace, ever

	// What came from a more privileged user namespace:
	locked    bool             // must stay where it is
	keep      linux.MountFlags // must stay set
	keepAtime bool             // how atimes are kept must stay
}

// mountFlags are the flags that belong to a mount, not to its filesystem.
const mountFlags = linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOATIME |
	linux.MS_NODIRATIME | linux.MS_RELATIME | linux.MS_STRICTATIME | linux.MS_NOSYMFOLLOW

// A mountTable is where all mounts of a System are found by what they cover.
type mountTable struct {
	mu    lock.RWMutex[lock.Mounts]
	at    map[mountKey]*Mount // protected by mu
	peers int                 // peer group ids given out; protected by mu

	touched map[*MountNamespace]bool // whose trees have changed under mu; protected by mu
}

// unlock is mu.Unlock, and tells those who watch the trees that have changed.
func (t *mountTable) unlock() {
	all := t.touched
	t.touched = nil
	t.mu.Unlock()
	for ns := range all {
		ns.changed()
	}
}

// touchLocked notes that the tree of ns (nil: of none) has changed.
func (t *mountTable) touchLocked(ns *MountNamespace) {
	if ns == nil {
		return
	}
	if t.touched == nil {
		t.touched = map[*MountNamespace]bool{}
	}
	t.touched[ns] = true
}

// A mountKey is a place that something is mounted on.
type mountKey struct {
	parent *Mount
	point  *Dentry
}

func (t *mountTable) init() { t.at = map[mountKey]*Mount{} }

// newMount makes a mount in no tree, with one reference, for the tree it will be in.
// root belongs to fs; both are held by it.
func (s *System) newMount(fs *Filesystem, root *Dentry, source string, flags linux.MountFlags) *Mount {
	m := &Mount{sys: s, fs: fs, root: root, source: source, id: int(s.lastMount.Add(1)) + 20}
	fs.IncRef()
	root.ref()
	m.setFlags(flags)
	m.refs.Store(1)
	return m
}

// setFlags stores the mount flags of f.
func (m *Mount) setFlags(f linux.MountFlags) { m.flags.Store(uint64(withAtime(f & mountFlags))) }

// withAtime is f with one rule for atimes: strictatime goes before noatime, and relatime
// holds unless another is given.
func withAtime(f linux.MountFlags) linux.MountFlags {
	switch {
	case f&linux.MS_STRICTATIME != 0:
		f &^= linux.MS_NOATIME | linux.MS_RELATIME
	case f&linux.MS_NOATIME != 0:
		f &^= linux.MS_RELATIME
	default:
		f |= linux.MS_RELATIME
	}
	return f
}

// Flags is the mount's own flags (MS_RDONLY, MS_NOSUID…).
func (m *Mount) Flags() linux.MountFlags { return linux.MountFlags(m.flags.Load()) }

// ID is the number in /proc/pid/mountinfo.
func (m *Mount) ID() int { return m.id }

// UniqueID is a number that no other mount ever has: statmount(2)'s.
func (m *Mount) UniqueID() uint64 { return linux.FirstMountID + uint64(m.id) }

// Filesystem is what m shows.
func (m *Mount) Filesystem() *Filesystem { return m.fs }

// Root is m's root, held.
func (m *Mount) Root() Path { return Path{m, m.root}.Hold() }

// ReadOnly reports whether nothing can be changed through m.
func (m *Mount) ReadOnly() bool { return m.Flags()&linux.MS_RDONLY != 0 || m.fs.readOnly.Load() }

func (m *Mount) ref() { m.refs.Add(1) }

func (m *Mount) tryRef() bool {
	for {
		n := m.refs.Load()
		if n < 0 {
			return false
		}
		if m.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (m *Mount) unref() {
	if m.expiryMark.Load() > 0 {
		m.expiryMark.Add(-1)
	}
	if m.refs.Add(-1) == 0 && m.refs.CompareAndSwap(0, dead) {
		m.watches.end(0)
		if m.carries.Load() {
			m.sys.mounts.abandon(m)
		}
		m.root.unref()
		m.fs.DecRef()
	}
}

// covered returns what is mounted on d in m, held, or nil.
func (m *Mount) covered(d *Dentry) *Mount {
	if d.mounted.Load() == 0 {
		return nil
	}
	t := &m.sys.mounts
	t.mu.RLock()
	defer t.mu.RUnlock()
	if x := t.at[mountKey{m, d}]; x != nil && x.tryRef() {
		return x
	}
	return nil
}

// above is where m is mounted, not held; ok is false if it is the root of its tree.
func (m *Mount) above() (p Path, ok bool) {
	t := &m.sys.mounts
	t.mu.RLock()
	defer t.mu.RUnlock()
	return Path{m.parent, m.point}, m.parent != nil
}

// up is above, held.
func (m *Mount) up() (p Path, ok bool) {
	t := &m.sys.mounts
	t.mu.RLock()
	defer t.mu.RUnlock()
	p = Path{m.parent, m.point}
	return p, m.parent != nil && p.tryHold()
}

// attachLocked puts m, in no tree, at point in parent. It takes over the caller's
// reference to m and takes its own to point.
func (t *mountTable) attachLocked(m, parent *Mount, point *Dentry) {
	m.parent, m.point, m.ns = parent, point, parent.ns
	point.ref()
	point.mounted.Add(1)
	parent.children = append(parent.children, m)
	parent.ref()
	k := mountKey{parent, point}
	// What was on top here before ("mount beneath" by propagation) moves up.
	if old := t.at[k]; old != nil && old != m {
		t.liftLocked(old, m)
	}
	t.at[k] = m
	for x := range m.tree() {
		x.ns = parent.ns
	}
	t.touchLocked(parent.ns)
}

// liftLocked moves old from the place that m takes to m's root.
func (t *mountTable) liftLocked(old, m *Mount) {
	old.parent.removeChild(old)
	old.point.mounted.Add(-1)
	oldPoint, oldParent := old.point, old.parent
	old.parent, old.point = m, m.root
	m.root.ref()
	m.root.mounted.Add(1)
	m.ref()
	m.children = append(m.children, old)
	t.at[mountKey{m, m.root}] = old
	oldPoint.refs.Add(-1) // m has a reference to it
	oldParent.refs.Add(-1)
}

// detachLocked takes m out of its tree; the returned references are to be given
// back without the lock (release).
func (t *mountTable) detachLocked(m *Mount) released {
	r := released{m: m, parent: m.parent, point: m.point}
	delete(t.at, mountKey{m.parent, m.point})
	m.point.mounted.Add(-1)
	m.parent.removeChild(m)
	m.parent, m.point = nil, nil
	return r
}

// released is what detachLocked leaves to be given back.
type released struct {
	m, parent *Mount
	point     *Dentry
}

// release gives back the place, and, if all, the tree's reference to m too.
func (r released) release(all bool) {
	if r.point != nil {
		r.point.unref()
	}
	if r.parent != nil {
		r.parent.unref()
	}
	if all && r.m != nil {
		r.m.unref()
	}
}

func (m *Mount) removeChild(x *Mount) {
	for i, y := range m.children {
		if x == y {
			m.children = append(m.children[:i:i], m.children[i+1:]...)
			return
		}
	}
}

// tree ranges over m and all mounted below it, parents first. The table's mu is held.
func (m *Mount) tree() func(yield func(*Mount) bool) {
	return func(yield func(*Mount) bool) { m.walk(yield) }
}

func (m *Mount) walk(yield func(*Mount) bool) bool {
	if !yield(m) {
		return false
	}
	for _, x := range m.children {
		if !x.walk(yield) {
			return false
		}
	}
	return true
}

// statFlags are m's flags as statfs(2) shows them.
func (m *Mount) statFlags() int64 {
	f, out := m.Flags(), int64(0)
	for _, x := range [...]struct {
		ms linux.MountFlags
		st int64
	}{
		{linux.MS_RDONLY, linux.ST_RDONLY}, {linux.MS_NOSUID, linux.ST_NOSUID}, {linux.MS_NODEV, linux.ST_NODEV},
		{linux.MS_NOEXEC, linux.ST_NOEXEC}, {linux.MS_NOATIME, linux.ST_NOATIME},
		{linux.MS_NODIRATIME, linux.ST_NODIRATIME}, {linux.MS_RELATIME, linux.ST_RELATIME},
		{linux.MS_NOSYMFOLLOW, linux.ST_NOSYMFOLLOW},
	} {
		if f&x.ms != 0 {
			out |= x.st
		}
	}
	return out
}
