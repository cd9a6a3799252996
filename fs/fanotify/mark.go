package fanotify

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

const (
	typeBits   = linux.FAN_MARK_MOUNT | linux.FAN_MARK_FILESYSTEM
	cmdBits    = linux.FAN_MARK_ADD | linux.FAN_MARK_REMOVE | linux.FAN_MARK_FLUSH
	ignoreBits = linux.FAN_MARK_IGNORE | linux.FAN_MARK_IGNORED_MASK
	markFlags  = typeBits | cmdBits | ignoreBits | linux.FAN_MARK_DONT_FOLLOW | linux.FAN_MARK_ONLYDIR |
		linux.FAN_MARK_IGNORED_SURV_MODIFY | linux.FAN_MARK_EVICTABLE

	// useEvents happen by open files, entryEvents to entries of directories.
	useEvents = linux.FAN_ACCESS | linux.FAN_MODIFY | linux.FAN_CLOSE_WRITE | linux.FAN_CLOSE_NOWRITE |
		linux.FAN_OPEN | linux.FAN_OPEN_EXEC
	entryEvents = linux.FAN_MOVED_FROM | linux.FAN_MOVED_TO | linux.FAN_CREATE | linux.FAN_DELETE | linux.FAN_RENAME
	askEvents   = linux.FAN_OPEN_PERM | linux.FAN_ACCESS_PERM | linux.FAN_OPEN_EXEC_PERM
	allEvents   = useEvents | entryEvents | askEvents | linux.FAN_ATTRIB | linux.FAN_MOVE_SELF | linux.FAN_DELETE_SELF | linux.FAN_FS_ERROR
	// qualifiers are no events, but say which are meant.
	qualifiers = linux.FAN_ONDIR | linux.FAN_EVENT_ON_CHILD
)

// A Change is what fanotify_mark(2) is asked for.
type Change struct {
	Flags uint32
	Mask  uint64
}

// Check is what is wrong whichever the group: EINVAL.
func (x Change) Check() error {
	cmd, bad := x.Flags&cmdBits, false
	switch cmd {
	case linux.FAN_MARK_ADD, linux.FAN_MARK_REMOVE:
		bad = x.Mask == 0
	case linux.FAN_MARK_FLUSH:
		bad = x.Flags&^(typeBits|linux.FAN_MARK_FLUSH) != 0
	default:
		bad = true
	}
	if bad || x.Flags&^markFlags != 0 || x.Flags&typeBits == typeBits || x.Flags&ignoreBits == ignoreBits ||
		x.Mask&^(allEvents|qualifiers) != 0 {
		return linux.EINVAL
	}
	return nil
}

// Flushes reports whether x is of all marks of its type, and names no file.
func (x Change) Flushes() bool { return x.Flags&linux.FAN_MARK_FLUSH != 0 }

// Allows is what is wrong for g: EPERM, EINVAL.
func (g *Group) Allows(t *kernel.Task, x Change) error {
	mask, typ, fid := uint32(x.Mask), x.Flags&typeBits, g.fid()
	switch {
	case typ != linux.FAN_MARK_INODE && (g.unpriv || !t.Creds().Capable(auth.CapSysAdmin)):
		return linux.EPERM
	case mask&askEvents != 0 && g.Class() == 0,
		mask&linux.FAN_FS_ERROR != 0 && typ != linux.FAN_MARK_FILESYSTEM,
		x.Flags&linux.FAN_MARK_EVICTABLE != 0 && typ != linux.FAN_MARK_INODE,
		// What happens by no open file can be named only by a handle, and is in no mount.
		mask&^(useEvents|askEvents|qualifiers) != 0 && (fid == 0 || typ == linux.FAN_MARK_MOUNT),
		mask&linux.FAN_RENAME != 0 && fid&linux.FAN_REPORT_NAME == 0:
		return linux.EINVAL
	}
	return nil
}

// supports is what is wrong with a new mark on p: EINVAL, ENOTDIR; EOPNOTSUPP for a mount
// or a filesystem of a group that names files by handles, as there are none here by which
// a file can be found again (name_to_handle_at(2)).
func (g *Group) supports(p vfs.Path, x Change) error {
	mask, whole := uint32(x.Mask), x.Flags&typeBits != linux.FAN_MARK_INODE
	strict := g.fid()&linux.FAN_REPORT_TARGET_FID != 0 || mask&linux.FAN_RENAME != 0 || x.Flags&linux.FAN_MARK_IGNORE != 0
	switch {
	case mask&askEvents != 0 && p.Filesystem().Type().Name == "proc", // whose own opening may wait for others
		whole && p.Internal():
		return linux.EINVAL
	case strict && !whole && !p.IsDir() && mask&(entryEvents|qualifiers) != 0:
		return linux.ENOTDIR
	}
	return nil
}

// An object is what a mark is on: one of these.
type object struct {
	fs   *vfs.Filesystem
	node vfs.Inode // of fs, which is nil for a mount
	mnt  *vfs.Mount
}

// A mark is one of a group's: a vfs.Marker.
type mark struct {
	vfs.Watch
	g    *Group
	on   object
	fsid [2]int32

	// Protected by g.mu:
	mask, ignore uint32
	flags        uint32 // of FAN_MARK_IGNORE, FAN_MARK_IGNORED_SURV_MODIFY and FAN_MARK_EVICTABLE
}

// Group implements vfs.Marker.
func (m *mark) Group() vfs.Group { return m.g }

// Event implements vfs.Watcher: what was marked is gone.
func (m *mark) Event(_ *vfs.Watch, e vfs.WatchEvent) {
	if e.Mask&linux.IN_IGNORED != 0 && m.g.forget(m) {
		m.g.uncount()
	}
}

// forget takes m out of g's marks, if it still is one of them.
func (g *Group) forget(m *mark) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.marks[m.on] != m {
		return false
	}
	delete(g.marks, m.on)
	return true
}

// end ends m, which is no mark of g's any more.
func (m *mark) end() {
	m.Watch.Remove()
	m.g.uncount()
}

// unlimited reports whether g's marks are not counted among its user's.
func (g *Group) unlimited() bool { return g.spec.Flags&linux.FAN_UNLIMITED_MARKS != 0 }

// uncount counts one mark less.
func (g *Group) uncount() {
	if !g.unlimited() {
		g.owner.Uncount(g.uid, auth.CountFanotifyMarks)
	}
}

// Flush is FAN_MARK_FLUSH.
func (g *Group) Flush(x Change) {
	g.marking.Lock()
	defer g.marking.Unlock()
	g.mu.Lock()
	var gone []*mark
	for o, m := range g.marks {
		if o.kind() == x.Flags&typeBits {
			delete(g.marks, o)
			gone = append(gone, m)
		}
	}
	g.mu.Unlock()
	for _, m := range gone {
		m.end()
	}
}

// kind is the type of mark for o.
func (o object) kind() uint32 {
	switch {
	case o.mnt != nil:
		return linux.FAN_MARK_MOUNT
	case o.node == nil:
		return linux.FAN_MARK_FILESYSTEM
	}
	return linux.FAN_MARK_INODE
}

// objectOf is what x is to mark at p.
func (x Change) objectOf(p vfs.Path) object {
	switch x.Flags & typeBits {
	case linux.FAN_MARK_MOUNT:
		return object{mnt: p.Mount()}
	case linux.FAN_MARK_FILESYSTEM:
		return object{fs: p.Filesystem()}
	}
	return object{fs: p.Filesystem(), node: p.Inode()}
}

// Mark is fanotify_mark(2) of p, which the caller may read: FAN_MARK_ADD, FAN_MARK_REMOVE.
// ENOENT, EEXIST, ENOSPC, ENOTDIR, EISDIR, EINVAL, EOPNOTSUPP.
func (g *Group) Mark(t *kernel.Task, p vfs.Path, x Change) error {
	mask, kept := uint32(x.Mask), uint32(0)
	whole, ignore := x.Flags&typeBits != linux.FAN_MARK_INODE, x.Flags&ignoreBits
	add := x.Flags&linux.FAN_MARK_ADD != 0
	if ignore == linux.FAN_MARK_IGNORED_MASK {
		mask, kept = mask&^qualifiers, qualifiers
	}
	if add {
		if err := g.supports(p, x); err != nil {
			return err
		}
	}
	if whole && g.fid() != 0 {
		return linux.EOPNOTSUPP
	}
	if add && ignore != 0 && x.Flags&linux.FAN_MARK_IGNORED_SURV_MODIFY == 0 {
		switch {
		case ignore == linux.FAN_MARK_IGNORE && whole:
			return linux.EINVAL
		case ignore == linux.FAN_MARK_IGNORE && p.IsDir():
			return linux.EISDIR
		case !whole && p.Written(): // it would not last
			return nil
		}
	}
	if whole || !p.IsDir() {
		mask, kept = mask&^linux.FAN_EVENT_ON_CHILD, linux.FAN_EVENT_ON_CHILD
		if add && ignore == 0 && g.fid()&linux.FAN_REPORT_DIR_FID != 0 {
			mask |= linux.FAN_EVENT_ON_CHILD
		}
	}
	g.marking.Lock()
	defer g.marking.Unlock()
	x.Mask = uint64(mask)
	if add {
		return g.add(t, p, x)
	}
	return g.remove(x.objectOf(p), x, mask&^kept, kept)
}

// add adds to the mark on p, or makes one. g.marking is held.
func (g *Group) add(t *kernel.Task, p vfs.Path, x Change) error {
	o := x.objectOf(p)
	g.mu.Lock()
	m, n := g.marks[o], len(g.marks)
	if m != nil {
		defer g.mu.Unlock()
		return m.addLocked(x)
	}
	g.mu.Unlock()
	if n >= mostMarks {
		return linux.ENOSPC
	}
	st, err := p.Filesystem().Statfs(t, nil)
	if err != nil {
		return err
	}
	if !g.unlimited() && !g.owner.Count(g.uid, auth.CountFanotifyMarks) {
		return linux.ENOSPC
	}
	m = &mark{g: g, on: o, fsid: st.Fsid, flags: x.Flags & linux.FAN_MARK_EVICTABLE}
	m.To = m
	g.mu.Lock()
	if err := m.addLocked(x); err != nil {
		panic(err) // a new one has nothing to keep
	}
	g.marks[o] = m
	g.mu.Unlock()
	switch o.kind() {
	case linux.FAN_MARK_MOUNT:
		p.Mount().Watch(&m.Watch)
	case linux.FAN_MARK_FILESYSTEM:
		p.Filesystem().Watch(&m.Watch)
	default:
		p.Watch(&m.Watch)
	}
	return nil
}

// addLocked adds to m what x says: EEXIST for what may not be lost.
func (m *mark) addLocked(x Change) error {
	const ignore, survive = linux.FAN_MARK_IGNORE, linux.FAN_MARK_IGNORED_SURV_MODIFY
	evictable := uint32(linux.FAN_MARK_EVICTABLE)
	switch {
	case x.Flags&evictable != 0 && m.flags&evictable == 0,
		m.flags&ignore != 0 && x.Flags&linux.FAN_MARK_IGNORED_MASK != 0,
		m.flags&survive != 0 && x.Flags&ignore != 0 && x.Flags&survive == 0:
		return linux.EEXIST
	}
	m.flags &= x.Flags&evictable | ^evictable
	if x.Flags&ignoreBits == 0 {
		m.mask |= uint32(x.Mask)
		return nil
	}
	m.ignore |= uint32(x.Mask)
	m.flags |= x.Flags & (ignore | survive)
	return nil
}

// remove takes mask from the mark on o, which goes if nothing is left of it but kept:
// ENOENT. g.marking is held.
func (g *Group) remove(o object, x Change, mask, kept uint32) error {
	g.mu.Lock()
	m := g.marks[o]
	if m == nil {
		g.mu.Unlock()
		return linux.ENOENT
	}
	if x.Flags&ignoreBits == 0 {
		m.mask &^= mask
	} else {
		m.ignore &^= mask
	}
	gone := (m.mask|m.ignore)&^kept == 0
	if gone {
		delete(g.marks, o)
	}
	g.mu.Unlock()
	if gone {
		m.end()
	}
	return nil
}
