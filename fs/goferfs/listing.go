package goferfs

import (
	"sort"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
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
}

type entry struct {
	name string
	seq  int64
	ino  uint64
	typ  uint8
	node inode // held; nil if the listing is of names only
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

// remove takes a name out, and returns what it held.
func (l *listing) remove(name string) inode {
	i, ok := l.where[name]
	if !ok {
		return nil
	}
	n := l.entries[i].node
	l.entries[i] = entry{seq: l.entries[i].seq}
	delete(l.where, name)
	if l.holes++; l.holes > 64 && l.holes > len(l.entries)/2 {
		l.compact()
	}
	return n
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

// listed finds name in the kept listing. known: there is one; then i, held, is what
// the name names, or nil.
func (d *dir) listed(name string) (i inode, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names == nil {
		return nil, false
	}
	at, ok := d.names.where[name]
	if !ok {
		return nil, true
	}
	i = d.names.entries[at].node
	i.Hold()
	return i, true
}

// edited notes a change of names. node.mu is held.
func (d *dir) edited() { d.edits.Store(d.fs.edits.Add(1)) }

// added notes a name that was made, or names something else from now on.
func (d *dir) added(name string, i inode) {
	var old inode
	d.mu.Lock()
	d.edited()
	kept := d.names != nil
	if kept {
		old = d.names.remove(name)
		i.Hold()
		d.names.add(entry{name: name, ino: i.base().ino, typ: i.base().typ.DirentType(), node: i})
	}
	d.mu.Unlock()
	if old != nil {
		old.Drop()
	} else if kept {
		d.count(1)
	}
}

// removedName notes a name that is gone.
func (d *dir) removedName(name string) {
	var old inode
	d.mu.Lock()
	d.edited()
	if d.names != nil {
		old = d.names.remove(name)
	}
	d.mu.Unlock()
	if old != nil {
		old.Drop()
		d.count(-1)
	}
}

// count changes the number of kept entries.
func (d *dir) count(by int) {
	fs := d.fs
	fs.mu.Lock()
	if d.place.Linked() {
		d.kept += by
		fs.entries += by
	}
	over := fs.entries > maxListed
	fs.mu.Unlock()
	if over {
		fs.trimListings(maxListed)
	}
}

// keep makes l the directory's listing, if names did not change since fs.edits was
// since. ahead: nobody has asked for it yet.
func (d *dir) keep(l *listing, since uint64, ahead bool) bool {
	d.mu.Lock()
	if d.edits.Load() > since || d.names != nil || d.removed {
		d.mu.Unlock()
		return false
	}
	d.names = l
	d.known.Store(true)
	d.mu.Unlock()
	fs := d.fs
	fs.mu.Lock()
	d.kept, d.recent, d.ahead = len(l.entries), false, ahead
	d.place.Value = d
	fs.entries += d.kept
	fs.listed.PushFront(&d.place)
	fs.mu.Unlock()
	fs.trimListings(maxListed)
	return true
}

// forgetNames gives the kept listing up.
func (d *dir) forgetNames() {
	fs := d.fs
	fs.mu.Lock()
	if d.place.Linked() {
		d.place.Remove()
		fs.entries -= d.kept
		d.kept = 0
	}
	fs.mu.Unlock()
	d.mu.Lock()
	l := d.names
	d.names = nil
	d.known.Store(false)
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
			d.place.Remove()
			fs.entries -= d.kept
			d.kept = 0
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
	d.mu.Unlock()
	if l != nil {
		d.fs.mu.Lock()
		d.recent = true
		if d.ahead {
			d.ahead = false
			d.fs.walk.used++
		}
		d.fs.mu.Unlock()
		return l, nil
	}
	l, err := d.fetch(c)
	if err != nil {
		return nil, err
	}
	if l.where == nil {
		return l, nil
	}
	if d.keep(l, since, false) {
		return l, nil
	}
	// Names changed meanwhile: what was read is good for this reader only.
	l.namesOnly()
	return l, nil
}

// fetch reads the directory. Of a shared mount, and of a large directory, only the
// names are kept.
func (d *dir) fetch(c vfs.Ctx) (*listing, error) {
	l := &listing{}
	if !d.fs.shared {
		l.where = map[string]int{}
	}
	if d.gone() {
		return l, nil
	}
	q := wire.ReaddirReq{Dir: d.id}
	q.Ahead, q.Next = d.wanted()
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
		d.fs.keepAhead(r.Ahead, since)
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
	if l.where == nil {
		d.fs.client.Forget(e.Node.ID, 1)
		l.add(out)
		return
	}
	if _, twice := l.where[e.Name]; twice {
		d.fs.client.Forget(e.Node.ID, 1) // it was renamed while we read
		return
	}
	out.node = d.fs.intern(&e.Node)
	if sub, ok := out.node.(*dir); ok {
		sub.above.Store(d)
	}
	l.add(out)
}

// An openDir is an open directory. It stays with the listing it began with, until it
// is rewound.
type openDir struct {
	dir *dir

	mu    lock.Mutex[lock.Leaf]
	names *listing
}

// listing is what to read at offset off.
func (o *openDir) listing(c vfs.Ctx, off int64) (*listing, error) {
	o.mu.Lock()
	l := o.names
	o.mu.Unlock()
	if l != nil && off > vfs.FirstEntry {
		return l, nil
	}
	l, err := o.dir.list(c)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	o.names = l
	o.mu.Unlock()
	return l, nil
}

// Read implements vfs.File.
func (*openDir) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EISDIR }

// Write implements vfs.File.
func (*openDir) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EISDIR }

// Close implements vfs.File.
func (*openDir) Close(vfs.Ctx) {}

// Sync implements vfs.Syncer.
func (o *openDir) Sync(c vfs.Ctx, dataOnly bool) error {
	d := o.dir
	if d.fs.readOnly {
		return nil
	}
	if err := d.fs.call(c, &wire.FsyncReq{ID: d.id, Data: dataOnly}, &wire.Empty{}, nil); err != nil {
		return err
	}
	return d.takeFailure()
}

// List implements vfs.Lister.
func (o *openDir) List(c vfs.Ctx, off int64, f func(vfs.Dirent) bool) error {
	l, err := o.listing(c, off)
	if err != nil {
		return err
	}
	var buf [64]entry
	for seq := off - vfs.FirstEntry; ; {
		o.dir.mu.Lock()
		n := l.from(seq, buf[:])
		o.dir.mu.Unlock()
		for _, e := range buf[:n] {
			seq = e.seq + 1
			if !f(vfs.Dirent{Name: e.name, Ino: e.ino, Type: e.typ, Next: vfs.FirstEntry + seq}) {
				return nil
			}
		}
		if n < len(buf) {
			return nil
		}
	}
}
