package vfs

import (
	"slices"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// NamespaceByID is the mount namespace with this number (MountNamespace.ID; 0: c's own)
// that a process of c's kernel is in, held: ENOENT without it, or the right to look at it.
func NamespaceByID(c Ctx, id uint64) (found *MountNamespace, err error) {
	own := c.FS().Namespace()
	if id == 0 || id == own.id {
		own.IncRef()
		return own, nil
	}
	own.sys.contexts.each(func(f *FSContext) {
		if ns := f.Namespace(); found == nil && ns.id == id {
			ns.IncRef()
			found = ns
		}
	})
	if found == nil {
		return nil, linux.ENOENT
	}
	if !c.Creds().HasCapIn(found.user, auth.CapSysAdmin) {
		found.DecRef()
		return nil, linux.ENOENT
	}
	return found, nil
}

// seenFrom is where c looks at ns from: its root, or that of another namespace. Held.
func (ns *MountNamespace) seenFrom(c Ctx) Path {
	root := c.FS().Root()
	if root.mnt.ns == ns {
		return root
	}
	root.Drop()
	return ns.Root()
}

// byIDLocked is the mount with a number that is unique; ENOENT. EPERM if c may not know
// of it: it can't be reached from root.
func (ns *MountNamespace) byIDLocked(c Ctx, id uint64, root Path) (*Mount, error) {
	for m := range ns.root.tree() {
		if m.UniqueID() == id {
			return m, m.visibleLocked(c, root)
		}
	}
	return nil, linux.ENOENT
}

func (m *Mount) visibleLocked(c Ctx, root Path) error {
	if !(Path{m, m.root}).belowLocked(root) && !c.Creds().HasCapIn(m.ns.user, auth.CapSysAdmin) {
		return linux.EPERM
	}
	return nil
}

// MountDetails is what statmount(2) tells beside MountInfo.
type MountDetails struct {
	MountInfo
	UniqueID, UniqueParent uint64
	Namespace              uint64
	Flags, SuperFlags      linux.MountFlags
	Magic                  int64
	Kind                   linux.MountFlags // MS_SHARED, MS_SLAVE or both, MS_UNBINDABLE, MS_PRIVATE
	Group, Master, From    int              // peer groups; 0: none
}

// Stat is statmount(2) of the mount in ns whose number is id. ENOENT, EPERM.
func (ns *MountNamespace) Stat(c Ctx, id uint64) (d MountDetails, err error) {
	root := ns.seenFrom(c)
	defer root.Drop()
	t := &ns.sys.mounts
	t.mu.RLock()
	m, err := ns.byIDLocked(c, id, root)
	if err == nil && !m.tryRef() {
		err = linux.ENOENT
	}
	if err != nil {
		t.mu.RUnlock()
		return d, err
	}
	d = MountDetails{
		UniqueID: id, UniqueParent: id, Namespace: ns.id, Flags: m.Flags(), SuperFlags: m.fs.Flags(),
		Magic: m.fs.typ.Magic, Kind: m.kindLocked(),
	}
	if m.parent != nil {
		d.UniqueParent = m.parent.UniqueID()
	}
	if m.group != nil {
		d.Group = m.group.id
	}
	if m.master != nil {
		d.Master, d.From = m.master.id, m.dominatingLocked(root)
	}
	t.mu.RUnlock()
	defer m.unref()
	var reachable bool
	if d.MountInfo, reachable = m.info(root); !reachable {
		d.MountInfo, _ = m.info(Path{})
		d.Point = ""
	}
	return d, nil
}

func (m *Mount) kindLocked() (f linux.MountFlags) {
	if m.group != nil {
		f |= linux.MS_SHARED
	}
	if m.master != nil {
		f |= linux.MS_SLAVE
	}
	if m.unbindable {
		f |= linux.MS_UNBINDABLE
	}
	if f == 0 {
		f = linux.MS_PRIVATE
	}
	return f
}

// List is listmount(2): the numbers of all mounts in ns below that with the number id
// (linux.LSMT_ROOT: c's root, which is among them), in order, from the one after last on
// (0: from the first), at most n. ENOENT, EPERM.
func (ns *MountNamespace) List(c Ctx, id, last uint64, n int, reverse bool) ([]uint64, error) {
	root := ns.seenFrom(c)
	defer root.Drop()
	t := &ns.sys.mounts
	t.mu.RLock()
	defer t.mu.RUnlock()
	top := root
	if id != linux.LSMT_ROOT {
		m, err := ns.byIDLocked(c, id, root)
		if err != nil {
			return nil, err
		}
		top = Path{m, m.root}
	}
	var out []uint64
	for m := range ns.root.tree() {
		x := m.UniqueID()
		if x != id && (Path{m, m.root}).belowLocked(top) && (last == 0 || !reverse && x > last || reverse && x < last) {
			out = append(out, x)
		}
	}
	slices.Sort(out)
	if reverse {
		slices.Reverse(out)
	}
	return out[:min(n, len(out))], nil
}
