package goferfs

import (
	"time"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

const (
	// maxLooked is the part of a listing's names that are looked up one by one, one in so
	// many, before the files of all are asked for: a question costs about as much as eight
	// files in one reply.
	maxLooked = 16
	// maxMissed is how many names that are not there are asked for in a directory, one
	// by one, before its names are.
	maxMissed = 2
	// maxSearched is the size in bytes of the largest directory in which that is done.
	maxSearched = 256 << 10
	// justNow is how long ago something was that belongs to what is asked for now.
	justNow = int64(100 * time.Millisecond)
)

// Lookup implements vfs.Dir.
func (d *dir) Lookup(c vfs.Ctx, name string) (vfs.Inode, error) {
	switch i, known, err := d.said(c, name); {
	case err != nil:
		return nil, err
	case known:
		return i, nil
	}
	found, err := d.walkOn(c, []string{name})
	if len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// Walk implements vfs.Walker.
func (d *dir) Walk(c vfs.Ctx, names []string) ([]vfs.Inode, error) {
	switch i, known, err := d.said(c, names[0]); {
	case err != nil:
		return nil, err
	case known:
		return []vfs.Inode{i}, nil
	}
	return d.walkOn(c, names)
}

// said has d's listing say what name names, and asks for what all in it name if that is due.
// known: it says so; else the gofer must.
func (d *dir) said(c vfs.Ctx, name string) (i inode, known bool, err error) {
	i, known, all := d.listed(name)
	if all {
		// Whoever looks at so many wants to see all, as ls -l does.
		if err := d.fill(c); err != nil {
			return nil, false, err
		}
		i, known, _ = d.listed(name)
	}
	if known && i == nil {
		return nil, true, linux.ENOENT
	}
	return i, known, nil
}

// walkOn is Walk of names, the first of which d's listing does not tell.
func (d *dir) walkOn(c vfs.Ctx, names []string) ([]vfs.Inode, error) {
	since := d.fs.edits.Load()
	found, err := d.walk(c, names[:min(len(names), wire.MaxWalk)])
	if len(found) > 0 {
		d.learn(names[0], found[0].(inode), since)
	} else if err == linux.ENOENT && d.missed.Add(1) == maxMissed && d.searchable() {
		_, _ = d.list(c)
	}
	return found, err
}

// searchable reports whether d is worth a listing when names in it are searched for, as
// those of libraries are: it may be kept, and takes the host no long time.
func (d *dir) searchable() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.fs.shared && !d.removed && d.attr.Size <= maxSearched
}

// walk asks the gofer.
func (d *dir) walk(c vfs.Ctx, names []string) ([]vfs.Inode, error) {
	if d.gone() {
		return nil, linux.ENOENT
	}
	var r wire.WalkResp
	if err := d.fs.call(c, &wire.WalkReq{Dir: d.id, Names: names, Lists: d.fs.lists.Load()}, &r, nil); err != nil {
		return nil, err
	}
	found := make([]vfs.Inode, len(r.Nodes))
	for i := range r.Nodes {
		found[i] = d.fs.intern(&r.Nodes[i])
	}
	switch {
	case r.Errno != 0:
		return found, linux.Errno(r.Errno)
	case len(found) == 0:
		return nil, linux.EIO // never from a gofer of ours
	}
	return found, nil
}

// listed finds name in the kept listing. known: there is one that says what name names;
// then i, held, is that, or nil. all: the files of all names should be asked for.
func (d *dir) listed(name string) (i inode, known, all bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.names
	if l == nil {
		return nil, false, false
	}
	at, ok := l.where[name]
	if !ok {
		return nil, true, false
	}
	e := &l.entries[at]
	if e.typ != linux.DT_DIR {
		d.fs.looked.Store(true)
	}
	if e.node == nil {
		l.looked++
		return nil, false, d.dueLocked(l)
	}
	l.asked()
	e.node.Hold()
	return e.node, true, false
}

// dueLocked reports whether the files of all names in d's listing l should be asked for,
// since one that is not known was looked up: many of them were, or it is the only one, or they
// are likely to be, as the names have just been listed by somebody who goes through a tree and
// looks at all. d.mu is held.
func (d *dir) dueLocked(l *listing) bool {
	filling, listed := d.fs.filling(), now()-l.served < justNow
	some := l.looked > 1 || filling || listed && l.bare == 1
	return some && l.looked*maxLooked > len(l.entries) || filling && listed
}

// learn notes what a listed name names, as was found out after fs.edits was since.
func (d *dir) learn(name string, i inode, since uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names == nil || d.edits.Load() > since {
		return
	}
	if at, ok := d.names.where[name]; ok && d.names.entries[at].node == nil {
		i.Hold()
		i.base().above.Store(d)
		d.names.entries[at].node = i
	}
}

// bare is which files the next listing can do without: those that nobody has asked for
// since the last, as find(1) does not, and du does.
func (fs *filesystem) bare() wire.Bare {
	switch {
	case fs.shared:
		return wire.BareAll
	case fs.looked.Swap(false):
		return wire.BareNone
	}
	return wire.BareFiles
}

// filling reports whether somebody goes through a tree and looks at all there is.
func (fs *filesystem) filling() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.fills.steps >= minSteps
}

// fill asks for the files of all names in the kept listing.
func (d *dir) fill(c vfs.Ctx) error {
	since := d.fs.edits.Load()
	l, err := d.fetch(c, &d.fs.fills, wire.BareNone)
	if err == nil && !d.merge(l, since) && l.where != nil {
		l.release()
	}
	return err
}

// merge gives the kept listing what the names in it name, as l knows it, unless names have
// changed since fs.edits was since. l is used up then.
func (d *dir) merge(l *listing, since uint64) bool {
	d.mu.Lock()
	kept := d.names
	if kept == nil || kept.bare == 0 || l.where == nil || d.edits.Load() > since {
		d.mu.Unlock()
		return false
	}
	for i := range kept.entries {
		e := &kept.entries[i]
		at, ok := l.where[e.name]
		if e.node == nil && ok {
			e.node, l.entries[at].node = l.entries[at].node, nil
		}
	}
	kept.bare, kept.ahead = l.bare, l.ahead
	d.known.Store(uint32(kept.knows()))
	d.mu.Unlock()
	l.release()
	return true
}
