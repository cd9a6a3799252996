package vfs

import (
	"cmp"
	"slices"

	"garrison/sentry/linux"
)

// A LockKind says by which call a lock was taken.
type LockKind int

// Kinds of locks: fcntl(F_SETLK), fcntl(F_OFD_SETLK), flock(2), fcntl(F_SETLEASE).
const (
	PosixLock LockKind = iota
	OpenFileLock
	WholeFileLock
	LeaseLock
)

// A LockInfo is a lock, or somebody who waits for one, as proc_locks(5) tells it.
type LockInfo struct {
	Kind     LockKind
	Type     int  // F_RDLCK, F_WRLCK; F_UNLCK for a lease that is to go
	Breaking bool // a lease that somebody is in the way of
	Holder   any  // as LockHolder has it; nil for the kernel itself
	Start    int64
	End      int64 // included; MaxInt64 is the end of any file
	Depth    int   // 0: held; n: waits for the last one before it of n-1

	// The file; zero for who waits for a lease to be broken.
	Dev, Ino uint64

	seq   uint64
	file  *FileDescription
	owner any
}

func (s *System) nextLock() uint64 { return s.lastLock.Add(1) }

// Locks is all locks, the newest first, each followed by who waits for it.
func (s *System) Locks(c Ctx) []LockInfo {
	var groups [][]LockInfo
	for _, fs := range s.filesystems() {
		for _, st := range fs.lockedStates() {
			groups = append(groups, fs.locksOf(c, st)...)
			fs.putState(st)
		}
	}
	slices.SortStableFunc(groups, func(a, b []LockInfo) int { return cmp.Compare(b[0].seq, a[0].seq) })
	return slices.Concat(groups...)
}

// Locks is what was locked by way of d by a process with the descriptors files.
func (d *FileDescription) Locks(c Ctx, files *FDTable) []LockInfo {
	fs := d.path.d.fs
	st := fs.state(d.path.d.node, false)
	if st == nil {
		return nil
	}
	defer fs.putState(st)
	var out []LockInfo
	for _, g := range fs.locksOf(c, st) {
		if x := g[0]; x.file == d && (x.owner == any(d) || x.owner == any(files)) {
			out = append(out, x)
		}
	}
	rank := func(x LockInfo) int { return map[LockKind]int{PosixLock: 1, OpenFileLock: 1, LeaseLock: 2}[x.Kind] }
	slices.SortStableFunc(out, func(a, b LockInfo) int { return rank(a) - rank(b) })
	return out
}

// lockedStates is the states of inodes with locks, with one more user each.
func (fs *Filesystem) lockedStates() []*inodeState {
	if fs.locked.Load() == 0 {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	out := make([]*inodeState, 0, len(fs.states))
	for _, st := range fs.states {
		st.users++
		out = append(out, st)
	}
	return out
}

// locksOf is the locks on an inode, each with who waits for it.
func (fs *Filesystem) locksOf(c Ctx, st *inodeState) [][]LockInfo {
	groups := st.locks.list()
	if len(groups) == 0 {
		return nil
	}
	a, err := st.node.Attr(c)
	if err != nil {
		return nil
	}
	if a.Dev == 0 {
		a.Dev = fs.dev
	}
	for _, g := range groups {
		for i := range g {
			if g[i].Kind != LeaseLock || g[i].Depth == 0 {
				g[i].Dev, g[i].Ino = a.Dev, a.Ino
			}
		}
	}
	return groups
}

func lockType(write bool) int {
	if write {
		return linux.F_WRLCK
	}
	return linux.F_RDLCK
}

// A lockTree is a lock and who waits for it.
type lockTree struct {
	LockInfo
	blocks []*lockTree
}

// list is the locks and who waits for them.
func (s *fileLocks) list() (out [][]LockInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var held []*lockTree
	for i := range s.flocks {
		held = append(held, &lockTree{LockInfo: s.flocks[i].info()})
	}
	for i := range s.records {
		held = append(held, &lockTree{LockInfo: s.records[i].info()})
	}
	for i := range s.leases {
		held = append(held, &lockTree{LockInfo: s.leases[i].info()})
	}
	for _, w := range s.waits {
		n := &lockTree{LockInfo: w.info()}
		for at := held; at != nil; {
			i := slices.IndexFunc(at, func(x *lockTree) bool { return n.blockedBy(&x.LockInfo) })
			if i < 0 {
				break
			}
			// It waits for who waits already, if that one is to be in its way.
			if b := at[i]; slices.ContainsFunc(b.blocks, func(x *lockTree) bool { return n.blockedBy(&x.LockInfo) }) {
				at = b.blocks
			} else {
				b.blocks = append(b.blocks, n)
				break
			}
		}
	}
	for _, x := range held {
		out = append(out, x.flatten(nil, 0))
	}
	return out
}

func (n *lockTree) flatten(out []LockInfo, depth int) []LockInfo {
	n.Depth = depth
	out = append(out, n.LockInfo)
	for _, x := range n.blocks {
		out = x.flatten(out, depth+1)
	}
	return out
}

// blockedBy reports whether b is in x's way.
func (x *LockInfo) blockedBy(b *LockInfo) bool {
	if x.Kind == LeaseLock || b.Kind == LeaseLock {
		return x.Kind == b.Kind && x.file == nil && b.file != nil
	}
	return (x.Kind == WholeFileLock) == (b.Kind == WholeFileLock) && x.owner != b.owner &&
		(x.Type == linux.F_WRLCK || b.Type == linux.F_WRLCK) && x.Start <= b.End && b.Start <= x.End
}
