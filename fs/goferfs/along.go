package goferfs

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
	"garrison/sentry/vfs"
)

// A reading is what is known of how files are opened to be read: if it is one file of a
// directory after the other, as tar, grep -r and cp -r do, others are opened along with
// one, of the directories that come next as well, and kept as those are that were closed.
type reading struct {
	row  int  // files in a row that the gofer was asked for and that were to be expected
	last *dir // where the latest is; for comparing alone
	name string
	up   int // how many names in a row came after the one before
	sent int // files that were opened along with it, or nothingLeft
	used int // and of those, how many have been opened since
}

const (
	// minReading is how many files make a reading.
	minReading = minSorted
	// coolReading is how many more it takes when what was opened along was of no use.
	coolReading = 16
	// minSorted is how many names in a row make an order.
	minSorted = 4
	// nothingLeft says that its directory had no others.
	nothingLeft = -1
	// maxSorted is the size of the largest directory that is looked through for what
	// comes next by name.
	maxSorted = 2048
	// maxOnward is how many directories up and down it is looked for what comes next, and
	// maxBeside how many names in each.
	maxOnward, maxBeside = 4, 64
)

// others is the files to open along with d, which is about to be opened to be read.
func (d *data) others() []*file {
	p := d.n.above.Load()
	if p == nil || d.n.fs.shared {
		return nil
	}
	name := p.nameOf(d.n)
	fs := d.n.fs
	fs.mu.Lock()
	r := &fs.reading
	switch {
	case r.sent > 0 && 2*r.used < r.sent:
		r.row = -coolReading
	case r.sent != 0 || r.last == p:
		r.row++
	default:
		r.row = min(r.row, 0)
	}
	switch {
	case r.last != p: // where a directory begins says nothing
	case name > r.name:
		r.up++
	default:
		r.up = 0
	}
	r.last, r.name, r.sent, r.used = p, name, 0, 0
	row, up := r.row, r.up
	fs.mu.Unlock()
	var next []*file
	if row >= minReading && name != "" {
		next = p.onward(name, up, min(2<<min(row-minReading, 3), wire.MaxFDs-1))
	}
	if len(next) == 0 && !p.unread(d.n) {
		fs.mu.Lock()
		r.sent = nothingLeft
		fs.mu.Unlock()
	}
	return next
}

// unread reports whether d has files other than but that are still to be read.
func (d *dir) unread(but *node) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names != nil && slices.ContainsFunc(d.names.entries, func(e entry) bool {
		f, ok := e.node.(*file)
		return ok && f.base() != but && f.unread()
	})
}

// nameOf is a name of n's in d's listing, or "".
func (d *dir) nameOf(n *node) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names == nil {
		return ""
	}
	for i := range d.names.entries {
		if x := d.names.entries[i].node; x != nil && x.base() == n {
			return d.names.entries[i].name
		}
	}
	return ""
}

// onward is up to n files, held, that are likely to be opened to be read after the one of
// this name in d, with which up names in a row came after the one before. Those of other
// directories are among them if the order is plain.
func (d *dir) onward(name string, up, n int) []*file {
	s := sequence{sorted: up >= minSorted, most: n}
	if s.sorted || up == 0 {
		s.from(d, name)
	}
	if len(s.files) == 0 {
		s.addFiles(d, name)
	}
	return s.files
}

// A sequence is files, held, in the order in which they are likely to be opened.
type sequence struct {
	files  []*file
	most   int  // of them
	sorted bool // by name; else as they are listed
}

// from adds what comes after name in d, and after d.
func (s *sequence) from(d *dir, name string) {
	for range maxOnward {
		if !s.add(d, name, maxOnward) {
			return
		}
		p := d.above.Load()
		if p == nil {
			return
		}
		if name = p.nameOf(&d.node); name == "" {
			return
		}
		d = p
	}
}

// add adds files that d has after name ("": all), and that directories there have, while
// all is known that comes between. It reports whether that is so to the end.
func (s *sequence) add(d *dir, name string, depth int) bool {
	if depth == 0 || d.knows() < knowsFiles {
		return false
	}
	next := d.after(name, s.sorted, maxBeside, func(inode) bool { return true })
	whole := true
	for _, i := range next {
		switch x := i.(type) {
		case *dir:
			whole = whole && s.add(x, "", depth-1)
		case *file:
			whole = whole && len(s.files) < s.most
			if whole && x.unread() {
				x.Hold()
				s.files = append(s.files, x)
			}
		}
		i.Drop()
	}
	return whole && len(next) < maxBeside
}

// addFiles adds files that d has after name, whatever comes between.
func (s *sequence) addFiles(d *dir, name string) {
	found := d.after(name, s.sorted, s.most, func(i inode) bool {
		f, ok := i.(*file)
		return ok && f.unread()
	})
	for _, i := range found {
		s.files = append(s.files, i.(*file))
	}
}

// after is up to n inodes, held, of those wanted that d's listing has after name, by name
// or as they are listed; all are after "".
func (d *dir) after(name string, sorted bool, n int, wanted func(inode) bool) (out []inode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names == nil {
		return nil
	}
	entries := d.names.entries
	sorted = sorted && len(entries) <= maxSorted
	if at, ok := d.names.where[name]; ok && !sorted {
		entries = entries[at+1:]
	}
	var found []*entry
	for i := range entries {
		e := &entries[i]
		if e.node == nil || sorted && e.name <= name || !wanted(e.node) {
			continue
		}
		if found = append(found, e); !sorted && len(found) == n {
			break
		}
	}
	if sorted {
		slices.SortFunc(found, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	}
	for _, e := range found[:min(n, len(found))] {
		e.node.Hold()
		out = append(out, e.node)
	}
	return out
}

// unread reports whether f was never opened, but to be made, or not for so long that its
// descriptor has been closed. It takes no lock: all files of a directory are asked, at times.
func (f *file) unread() bool {
	d := f.data.Load()
	if f.ask.Load() || d == nil {
		return !f.ask.Load()
	}
	return (d.fresh.Load() || d.dropped.Load()) && d.opens.Load() == 0
}

// openAlong gets a descriptor for reading, and some for others that are likely to be next.
// It is not done if there are none, or if this process has no room for so many.
func (d *data) openAlong(c vfs.Ctx) (done bool, err error) {
	others := d.others()
	if len(others) == 0 {
		return false, nil
	}
	defer func() {
		for _, f := range others {
			f.Drop()
		}
	}()
	fs := d.n.fs
	o := opening(others)
	q := wire.OpensReq{IDs: append([]wire.ID{d.n.id}, o.ids...)}
	ver := d.n.version()
	var r wire.OpensResp
	var fds wire.FDs
	defer fds.Close()
	if err := fs.call(c, &q, &r, &fds); err != nil {
		return false, err
	}
	fd := fds.Take()
	if fd < 0 {
		return false, nil
	}
	d.n.store(&r.Attr, ver)
	d.install(fs.newDescriptor(fd, false))
	sent := o.keep(r.Opened[min(1, len(r.Opened)):], &fds)
	fs.mu.Lock()
	fs.reading.sent = sent
	fs.mu.Unlock()
	fs.trimIdle(maxIdle)
	return true, nil
}

// An openings is files that the gofer is asked to open along with another.
type openings struct {
	files []*file
	ids   []wire.ID
	lower []bool // as isLower has it before
}

func opening(files []*file) *openings {
	o := &openings{files: files}
	for _, f := range files {
		o.ids = append(o.ids, f.id)
		o.lower = append(o.lower, f.bytes().isLower())
	}
	return o
}

// keep keeps the descriptors that have come, of the files of these ids, and returns how many.
func (o *openings) keep(opened []wire.ID, fds *wire.FDs) (n int) {
	for _, id := range opened {
		i := slices.Index(o.ids, id)
		fd := fds.Take()
		if fd >= 0 && i < 0 { // never from a gofer of ours
			unix.Close(fd)
		}
		if fd < 0 || i < 0 {
			break
		}
		f := o.files[i]
		f.bytes().keepAlong(f.fs.newDescriptor(fd, false), o.lower[i])
		n++
	}
	return n
}

// keepAlong puts a descriptor to use that nobody has asked for yet. It is not used if the
// host's overlayfs could still copy the file up when it was asked for, as lower says, and now
// can't: it may be older than that, and then shows a file of the past.
func (d *data) keepAlong(fd *descriptor, lower bool) {
	fs := d.n.fs
	fs.mu.Lock()
	d.opens.Add(1)
	d.along = true
	d.fresh.Store(false)
	fs.mu.Unlock()
	d.mu.Lock()
	d.dropped.Store(false)
	if past := lower && d.upper; !past && d.ro == nil && d.rw == nil {
		d.ro, fd = fd, nil
	}
	d.mu.Unlock()
	if fd != nil {
		fd.DecRef()
	}
	d.close()
}
