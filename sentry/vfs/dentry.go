package vfs

import (
	"sync"
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/list"
	"garrison/sentry/lock"
)

// A Dentry is a name that the cache knows: what it names (perhaps nothing), and
// where it hangs. A dentry with references stays; one without is kept while there
// is room. Each child holds a reference to its parent.
type Dentry struct {
	fs   *Filesystem
	node Inode          // nil: the name is known not to exist
	typ  linux.FileMode // of node; never changes
	dir  *directory     // nil if node is no directory

	place    atomic.Pointer[place]
	refs     atomic.Int64 // dead when negative
	unhashed atomic.Bool  // no longer found by its name
	deleted  atomic.Bool  // ... because the name was removed
	linkable atomic.Bool  // an O_TMPFILE that linkat(2) may still give a name
	mounted  atomic.Int32 // mounts on this dentry, in all namespaces
	opens    atomic.Int32 // open files of it, for leases
	writers  atomic.Int32 // of those, for writing

	recent atomic.Bool // used since the clock's hand came by
	clock  list.Elem[*Dentry]
	queued bool // on the clock's list; protected by the cache's mu
}

// A place is where a dentry hangs; replaced as a whole by a rename.
type place struct {
	parent *Dentry // nil: the root of its filesystem
	name   string
}

// A directory is what a dentry has more if it is one.
type directory struct {
	Dir
	walker Walker // nil if it can't
	stale  Stale  // nil if names only change by vfs

	// op is held while names here are looked up in the filesystem or changed.
	op lock.Mutex[lock.Dentry]

	mu    sync.RWMutex
	names map[string]*Dentry // protected by mu
}

// dead is what refs of a dentry that is given up is near to.
const dead = -1 << 40

// newDentry makes a dentry with one reference, hung below parent but not yet found
// there. It takes over the hold on node.
func newDentry(c Ctx, fs *Filesystem, parent *Dentry, name string, node Inode) (*Dentry, error) {
	d := &Dentry{fs: fs, node: node}
	if node != nil {
		a, err := BasicAttr(c, node)
		if err != nil {
			dropInode(node)
			return nil, err
		}
		d.typ = a.Mode.Type()
		if x, ok := node.(Dir); ok && d.typ == linux.S_IFDIR {
			d.dir = &directory{Dir: x}
			d.dir.walker, _ = node.(Walker)
			d.dir.stale, _ = node.(Stale)
		}
	}
	if parent != nil {
		parent.ref()
	}
	d.place.Store(&place{parent, name})
	d.refs.Store(1)
	d.clock.Value = d
	return d, nil
}

func holdInode(i Inode) {
	if x, ok := i.(Counted); ok {
		x.Hold()
	}
}

func dropInode(i Inode) {
	if x, ok := i.(Counted); ok {
		x.Drop()
	}
}

// ref adds a reference; the caller has one.
func (d *Dentry) ref() { d.refs.Add(1) }

// tryRef adds a reference unless d has been given up.
func (d *Dentry) tryRef() bool {
	for {
		n := d.refs.Load()
		if n < 0 {
			return false
		}
		if d.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// unref gives a reference back. No lock of rank Inode or later is held.
func (d *Dentry) unref() { d.unrefBy(nil) }

// unrefBy is unref by c, who is told to have removed the file, if that is the end of it.
func (d *Dentry) unrefBy(c Ctx) {
	for d != nil {
		if !d.recent.Load() {
			d.recent.Store(true)
		}
		if d.refs.Add(-1) != 0 || !d.unhashed.Load() || !d.refs.CompareAndSwap(0, dead) {
			return
		}
		d = d.bury(c)
	}
}

// bury gives up what d, just dead, holds. It returns the parent, whose reference
// from d is now the caller's to give back.
func (d *Dentry) bury(c Ctx) (parent *Dentry) {
	d.fs.sys.dcache.remove(d)
	if d.node != nil {
		if d.deleted.Load() && d.fs.watches.Load() != 0 {
			d.fs.removed(c, d)
		}
		dropInode(d.node)
	}
	return d.place.Load().parent
}

// child finds name in the cache, with a reference; nil if it is not known.
func (d *Dentry) child(name string) *Dentry {
	d.dir.mu.RLock()
	x := d.dir.names[name]
	if x != nil && !x.tryRef() {
		x = nil
	}
	d.dir.mu.RUnlock()
	return x
}

// hash makes x found in d by its name. What was found there before is not any more.
// The caller has a reference to d.
func (d *Dentry) hash(x *Dentry) {
	name := x.place.Load().name
	d.dir.mu.Lock()
	if d.dir.names == nil {
		d.dir.names = map[string]*Dentry{}
	}
	old := d.dir.names[name]
	if old == x {
		old = nil
	}
	d.dir.names[name] = x
	x.unhashed.Store(false)
	if old != nil {
		old.unhashed.Store(true)
	}
	d.dir.mu.Unlock()
	d.fs.sys.dcache.add(x)
	if old != nil && old.refs.CompareAndSwap(0, dead) {
		old.bury(nil).unref()
	}
}

// unhash makes x no longer found in d. The caller has references to both.
func (d *Dentry) unhash(x *Dentry) {
	name := x.place.Load().name
	d.dir.mu.Lock()
	if d.dir.names[name] == x {
		delete(d.dir.names, name)
	}
	x.unhashed.Store(true)
	d.dir.mu.Unlock()
}

// evict gives x up if nobody uses it, and reports whether it did.
func (x *Dentry) evict() bool {
	p := x.place.Load()
	if p.parent == nil || !p.parent.tryRef() {
		return false
	}
	d := p.parent
	d.dir.mu.Lock()
	ok := d.dir.names[p.name] == x && x.refs.CompareAndSwap(0, dead)
	if ok {
		delete(d.dir.names, p.name)
		x.unhashed.Store(true)
	}
	d.dir.mu.Unlock()
	if ok {
		x.bury(nil).unref()
	}
	d.unref()
	return ok
}

// shrink gives up all below d that nobody uses.
func (d *Dentry) shrink() {
	if d.dir == nil {
		return
	}
	d.dir.mu.RLock()
	below := make([]*Dentry, 0, len(d.dir.names))
	for _, x := range d.dir.names {
		below = append(below, x)
	}
	d.dir.mu.RUnlock()
	for _, x := range below {
		x.shrink()
		x.evict()
	}
}

// within reports whether x is d or below it.
func (x *Dentry) within(d *Dentry) bool {
	for ; x != nil; x = x.place.Load().parent {
		if x == d {
			return true
		}
	}
	return false
}

// defaultDentries is how many names without users are kept.
const defaultDentries = 32768

// A dentryCache bounds the number of dentries. It is a clock: dentries stand in a
// ring; the hand gives a second round to those used since it came by.
type dentryCache struct {
	mu   sync.Mutex
	ring list.List[*Dentry] // the hand is at the front; protected by mu
	n    int                // length of ring; protected by mu
	max  int                // protected by mu
}

func (k *dentryCache) init(max int) { k.max = max }

func (k *dentryCache) add(d *Dentry) {
	k.mu.Lock()
	if !d.queued {
		d.queued = true
		k.ring.PushBack(&d.clock)
		k.n++
	}
	over := k.n > k.max
	k.mu.Unlock()
	if over {
		k.reclaim()
	}
}

func (k *dentryCache) remove(d *Dentry) {
	k.mu.Lock()
	if d.queued {
		d.queued = false
		d.clock.Remove()
		k.n--
	}
	k.mu.Unlock()
}

// reclaimSteps bounds what one newcomer pays: several directories in use may stand
// under the hand.
const reclaimSteps = 8

func (k *dentryCache) reclaim() {
	for range reclaimSteps {
		k.mu.Lock()
		e := k.ring.Front()
		if e == nil || k.n <= k.max {
			k.mu.Unlock()
			return
		}
		d := e.Value
		d.clock.Remove()
		k.ring.PushBack(&d.clock)
		k.mu.Unlock()
		if d.refs.Load() != 0 || d.recent.Swap(false) {
			continue
		}
		d.evict()
	}
}

// SetCacheSize says how many names are kept that nobody uses. A name and what is
// behind it take about a KiB.
func (s *System) SetCacheSize(n int) {
	s.dcache.mu.Lock()
	s.dcache.max = n
	s.dcache.mu.Unlock()
	s.Trim(n)
}

// Names is how many names the cache knows, with those in use.
func (s *System) Names() int {
	s.dcache.mu.Lock()
	defer s.dcache.mu.Unlock()
	return s.dcache.n
}

// Trim gives up names in the cache that nobody uses until at most n are left.
func (s *System) Trim(n int) {
	k := &s.dcache
	k.mu.Lock()
	steps := 2 * k.n // one round clears the marks
	k.mu.Unlock()
	for range steps {
		k.mu.Lock()
		e := k.ring.Front()
		if e == nil || k.n <= n {
			k.mu.Unlock()
			return
		}
		d := e.Value
		d.clock.Remove()
		k.ring.PushBack(&d.clock)
		k.mu.Unlock()
		if d.refs.Load() == 0 && !d.recent.Swap(false) {
			d.evict()
		}
	}
}

// Invalidate makes what the cache knows of the name that path leads to, from top, be
// looked up anew: an overlay has changed it behind the back of its upper layer's mount.
// What is in use stays.
func Invalidate(top Path, path []string) {
	top.d.ref()
	top.d.forget(path, (*Dentry).child)
}

// forget takes the name that path leads to out of the cache. find finds the name of
// one step, held. The caller's reference to d is given back.
func (d *Dentry) forget(path []string, find func(d *Dentry, name string) *Dentry) {
	for i, name := range path {
		if d.dir == nil {
			break
		}
		x := find(d, name)
		if x == nil {
			break
		}
		if i == len(path)-1 {
			d.unhash(x)
			x.shrink()
			x.unref()
			break
		}
		d.unref()
		d = x
	}
	d.unref()
}
