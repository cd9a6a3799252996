package vfs

import (
	"sync"
	"sync/atomic"

	"garrison/sentry/linux"
)

// An FSContext is where a process is: its root, working directory, umask and mount
// namespace (struct fs_struct), shared with CLONE_FS. It is a user of its namespace.
type FSContext struct {
	users atomic.Int32
	umask atomic.Uint32

	mu   sync.RWMutex
	root Path            // held; protected by mu
	cwd  Path            // held; protected by mu
	ns   *MountNamespace // held; protected by mu
}

// NewFSContext is one user of ns, at its root, with umask 022.
func NewFSContext(ns *MountNamespace) *FSContext {
	root := ns.Root()
	f := &FSContext{root: root, cwd: root.Hold(), ns: ns}
	f.users.Store(1)
	f.umask.Store(0o022)
	ns.IncRef()
	ns.sys.contexts.add(f)
	return f
}

// Root is the root directory, held.
func (f *FSContext) Root() Path {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.root.Hold()
}

// Cwd is the working directory, held.
func (f *FSContext) Cwd() Path {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.cwd.Hold()
}

// both is Root and Cwd.
func (f *FSContext) both() (root, cwd Path) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.root.Hold(), f.cwd.Hold()
}

// SetRoot changes the root, as chroot(2) does. p stays the caller's.
func (f *FSContext) SetRoot(p Path) { f.swap(&f.root, p) }

// SetCwd changes the working directory, as chdir(2) does. p stays the caller's.
func (f *FSContext) SetCwd(p Path) { f.swap(&f.cwd, p) }

func (f *FSContext) swap(which *Path, p Path) {
	p.Hold()
	f.mu.Lock()
	old := *which
	*which = p
	f.mu.Unlock()
	old.Drop()
}

// Umask is the umask.
func (f *FSContext) Umask() linux.FileMode { return linux.FileMode(f.umask.Load()) }

// SetUmask is umask(2): it returns the old one.
func (f *FSContext) SetUmask(m linux.FileMode) linux.FileMode {
	return linux.FileMode(f.umask.Swap(uint32(m & 0o777)))
}

// Namespace is the mount namespace. It is held as long as f stays in it.
func (f *FSContext) Namespace() *MountNamespace {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.ns
}

// Enter moves f to ns, with root and working directory at its root: setns(2).
func (f *FSContext) Enter(ns *MountNamespace) {
	root := ns.Root()
	ns.IncRef()
	f.mu.Lock()
	oldRoot, oldCwd, oldNS := f.root, f.cwd, f.ns
	f.root, f.cwd, f.ns = root, root.Hold(), ns
	f.mu.Unlock()
	oldRoot.Drop()
	oldCwd.Drop()
	oldNS.DecRef()
}

// Copy is a copy with one user: clone(2) without CLONE_FS.
func (f *FSContext) Copy() *FSContext {
	n := &FSContext{}
	n.users.Store(1)
	n.umask.Store(f.umask.Load())
	f.mu.RLock()
	n.root, n.cwd, n.ns = f.root.Hold(), f.cwd.Hold(), f.ns
	n.ns.IncRef()
	f.mu.RUnlock()
	n.ns.sys.contexts.add(n)
	return n
}

// IncRef counts one more task: CLONE_FS.
func (f *FSContext) IncRef() { f.users.Add(1) }

// DecRef counts one less; the last gives all up.
func (f *FSContext) DecRef() {
	if f.users.Add(-1) != 0 {
		return
	}
	f.ns.sys.contexts.remove(f)
	f.root.Drop()
	f.cwd.Drop()
	f.ns.DecRef()
}

// Users is how many tasks share it.
func (f *FSContext) Users() int { return int(f.users.Load()) }

// replace moves root and working directory from one place to another, if they are
// there exactly.
func (f *FSContext) replace(from, to Path) {
	for _, which := range []*Path{&f.root, &f.cwd} {
		to.Hold()
		f.mu.Lock()
		old := *which
		if !old.Same(from) {
			old = to
		} else {
			*which = to
		}
		f.mu.Unlock()
		old.Drop()
	}
}

// contextSet is all FSContexts: pivot_root(2) moves those at the old root.
type contextSet struct {
	mu  sync.Mutex
	all map[*FSContext]struct{} // protected by mu
}

func (s *contextSet) add(f *FSContext) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*FSContext]struct{}{}
	}
	s.all[f] = struct{}{}
}

func (s *contextSet) remove(f *FSContext) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, f)
}

// each calls fn for all that live; fn may be called for one that has just gone.
func (s *contextSet) each(fn func(*FSContext)) {
	s.mu.Lock()
	all := make([]*FSContext, 0, len(s.all))
	for f := range s.all {
		if f.users.Load() > 0 {
			f.users.Add(1)
			all = append(all, f)
		}
	}
	s.mu.Unlock()
	for _, f := range all {
		fn(f)
		f.DecRef()
	}
}
