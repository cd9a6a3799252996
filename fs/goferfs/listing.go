package goferfs

import (
	"sort"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A listing is the names of a directory. An entry's number never changes, and a new
// one gets the next, so that who reads a directory while it changes sees each name
// that was there all the time exactly once. A listing belongs to its directory (and
// changes with it, under node.mu) or to one open file, or, given up by the
// directory, to those open files that still read it, and then changes no more.
type listing struct {
	entries []entry // by number; some without a name
	where   map[string]int
	next    int64 // number of the next entry
	holes   int   // entries without a name
	bare    int   // entries that came without a node
	looked  int   // how often such a one was looked up
	served  int64 // when somebody last asked for the names; now()
	ahead   *walk // for which it was read ahead, until somebody asks
}

// newListing is a listing for a directory to keep, with room for n entries.
func newListing(n int) *listing {
	return &listing{entries: make([]entry, 0, n), where: make(map[string]int, n)}
}

// knowledge is how much is known of a directory's names.
type knowledge uint32

const (
	knowsNothing knowledge = iota
	knowsNames
	knowsFiles // and what they name
)

// knows is what l knows.
func (l *listing) knows() knowledge {
	if l.bare > 0 {
		return knowsNames
	}
	return knowsFiles
}

// asked says that somebody has asked for what l knows.
func (l *listing) asked() {
	if l.ahead != nil {
		l.ahead.used.Add(1)
		l.ahead = nil
	}
}

type entry struct {
	name string
	seq  int64
	ino  uint64
	typ  uint8
	node inode // held; nil if it is not known, as no directory's of a kept listing
}

// add appends an entry; its hold passes to l.
func (l *listing) add(e entry) {
	e.seq = l.next
	l.next++
	if l.where != nil {
		l.where[e.name] = len(l.entries)
	}
	l.entries = append(l.entries, e)
}

// remove takes a name out, and returns what it held. had: it was there.
func (l *listing) remove(name string) (n inode, had bool) {
	i, ok := l.where[name]
	if !ok {
		return nil, false
	}
	n = l.entries[i].node
	l.entries[i] = entry{seq: l.entries[i].seq}
	delete(l.where, name)
	if l.holes++; l.holes > 64 && l.holes > len(l.entries)/2 {
		l.compact()
	}
	return n, true
}

// compact closes the holes. It makes a new slice, for others may be reading the old.
func (l *listing) compact() {
	out := make([]entry, 0, len(l.entries)-l.holes)
	for _, e := range l.entries {
		if e.name != "" {
			l.where[e.name] = len(out)
			out = append(out, e)
		}
	}
	l.entries, l.holes = out, 0
}

// from copies up to len(buf) entries with a number of at least seq.
func (l *listing) from(seq int64, buf []entry) int {
	i := sort.Search(len(l.entries), func(i int) bool { return l.entries[i].seq >= seq })
	n := 0
	for ; i < len(l.entries) && n < len(buf); i++ {
		if e := &l.entries[i]; e.name != "" {
			buf[n] = *e
			n++
		}
	}
	return n
}

// release drops what the listing holds.
func (l *listing) release() {
	for _, e := range l.entries {
		if e.node != nil {
			e.node.Drop()
		}
	}
}

// namesOnly makes l hold nothing any more.
func (l *listing) namesOnly() {
	l.release()
	for i := range l.entries {
		l.entries[i].node = nil
	}
	l.where = nil
}

// edited notes a change of names. node.mu is held.
func (d *dir) edited() { d.edits.Store(d.fs.edits.Add(1)) }

// added notes a name that was made, or names something else from now on.
func (d *dir) added(name string, i inode) {
	var old inode
	over := false
	d.mu.Lock()
	d.edited()
	if d.names != nil {
		var had bool
		old, had = d.names.remove(name)
		i.Hold()
		d.names.add(entry{name: name, ino: i.base().ino.Load(), typ: i.base().typ.DirentType(), node: i})
		if !had {
			over = d.countLocked(1)
		}
	}
	d.mu.Unlock()
	if old != nil {
		old.Drop()
	}
	if over {
		d.fs.trimListings(maxListed)
	}
}

// removedName notes a name that is gone.
func (d *dir) removedName(name string) {
	var old inode
	d.mu.Lock()
	d.edited()
	if d.names != nil {
		var had bool
		if old, had = d.names.remove(name); had {
			d.countLocked(-1)
		}
	}
	d.mu.Unlock()
	if old != nil {
		old.Drop()
	}
}

// countLocked changes the number of kept entries as names has changed, and reports whether
// there are too many. d.mu is held, so that none is counted that is of another listing.
func (d *dir) countLocked(by int) (over bool) {
	fs := d.fs
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if d.place.Linked() {
		d.kept += by
		fs.entries += by
	}
	return fs.entries > maxListed
}

// unlistLocked has the kept listing count no more. fs.mu is held.
func (d *dir) unlistLocked() {
	if d.place.Linked() {
		d.place.Remove()
		d.fs.entries -= d.kept
		d.kept = 0
	}
}

// keep makes l the directory's listing, if names did not change since fs.edits was
// since.
func (d *dir) keep(l *listing, since uint64) bool {
	d.mu.Lock()
	if d.edits.Load() > since || d.names != nil || d.removed {
		d.mu.Unlock()
		return false
	}
	d.names = l
	d.known.Store(uint32(l.knows()))
	fs := d.fs
	fs.mu.Lock() // before another adds a name, and counts it
	d.kept, d.recent = len(l.entries), false
	d.place.Value = d
	fs.entries += d.kept
	fs.listed.PushFront(&d.place)
	fs.mu.Unlock()
	d.mu.Unlock()
	fs.trimListings(maxListed)
	return true
}

// forgetNames gives the kept listing up.
func (d *dir) forgetNames() {
	d.mu.Lock()
	l := d.names
	d.names = nil
	d.known.Store(uint32(knowsNothing))
	d.fs.mu.Lock() // before another is kept
	d.unlistLocked()
	d.fs.mu.Unlock()
	d.mu.Unlock()
	if l != nil {
		l.release()
	}
}

// trimListings gives kept listings up until no more than keep entries are left.
func (fs *filesystem) trimListings(keep int) {
	for {
		fs.mu.Lock()
		if fs.entries <= keep || fs.listed.Empty() {
			fs.mu.Unlock()
			return
		}
		d := fs.listed.Back().Value
		if d.recent && keep > 0 { // a second chance
			d.recent = false
			d.place.Remove()
			fs.listed.PushFront(&d.place)
			fs.mu.Unlock()
			continue
		}
		if d.refs.Load() == 0 { // it is being dropped, and gives its listing up itself
			d.unlistLocked()
			fs.mu.Unlock()
			continue
		}
		d.refs.Add(1)
		fs.mu.Unlock()
		d.forgetNames()
		d.Drop()
	}
}

// list is the directory's names: the kept listing, or a new one, which is kept if it
// is not too large.
func (d *dir) list(c vfs.Ctx) (*listing, error) {
	d.mu.Lock()
	l, since := d.names, d.fs.edits.Load()
	if l != nil {
		l.asked()
		l.served = now()
	}
	d.mu.Unlock()
	if l != nil {
		d.fs.mu.Lock()
		d.recent = true
		d.fs.mu.Unlock()
		return l, nil
	}
	l, err := d.fetch(c, &d.fs.walk, d.fs.bare())
	if err != nil {
		return nil, err
	}
	if l.where == nil {
		return l, nil
	}
	if d.keep(l, since) {
		return l, nil
	}
	// Names changed meanwhile: what was read is good for this reader only.
	l.namesOnly()
	return l, nil
}

// fetch reads the directory, and others ahead for w. Of a shared mount, and of a large
// directory, only the names are kept.
func (d *dir) fetch(c vfs.Ctx, w *walk, bare wire.Bare) (*listing, error) {
	l := &listing{}
	if !d.fs.shared {
		l.where = map[string]int{}
	}
	if d.gone() {
		return l, nil
	}
	q := wire.ReaddirReq{Dir: d.id, Bare: bare, Lists: d.fs.lists.Load()}
	know := knowsNames
	if bare == wire.BareNone {
		know = knowsFiles
	}
	q.Ahead, q.Next = d.wanted(w, know)
	for {
		var r wire.ReaddirResp
		since := d.fs.edits.Load()
		if err := d.fs.call(c, &q, &r, nil); err != nil {
			l.release()
			return nil, err
		}
		for i := range r.Entries {
			d.take(l, &r.Entries[i])
		}
		d.fs.keepAhead(r.Ahead, w, since)
		if l.where != nil && len(l.entries) > maxListing {
			l.namesOnly()
		}
		if r.Next == 0 || r.Next == q.Cookie {
			return l, nil
		}
		q.Cookie = r.Next
	}
}

// take adds one entry that the gofer sent.
func (d *dir) take(l *listing, e *wire.Entry) {
	a := &e.Node.Attr
	out := entry{name: e.Name, ino: a.Ino, typ: linux.FileMode(a.Mode).DirentType()}
	_, twice := l.where[e.Name] // it was renamed while we read
	switch {
	case e.Node.ID == 0:
		l.bare++
	case l.where == nil || twice:
		d.fs.client.Forget(e.Node.ID, 1)
	default:
		out.node = d.fs.intern(&e.Node)
		out.node.base().above.Store(d)
	}
	if !twice {
		l.add(out)
	}
}
