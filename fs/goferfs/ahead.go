package goferfs

import (
	"slices"
	"sync/atomic"

	"garrison/gofer/wire"
)

// A walk is what is known of how directories are being read: if one after the other is
// one that its parent's listing named, then somebody goes through a tree, as find(1), du
// and rm -r do, and its listings are read ahead.
type walk struct {
	steps int          // directories read in a row that were found so
	sent  int          // listings that were read ahead last
	used  atomic.Int32 // listings read ahead that were asked for since
}

const (
	// minSteps is how many such directories make a walk.
	minSteps = 2
	// firstAhead is the room for listings in the first reply of a walk that has some. It
	// doubles with each, to a whole message: about as many names as it has bytes / 140.
	firstAhead = 4 << 10
	// maxAbove is how far up it is looked for directories that are next.
	maxAbove = 32
	// maxBelow is how far down from there, and maxSeen at how many.
	maxBelow, maxSeen = 8, 256
)

// wanted is what to read ahead with d in the walk w, to know as much: how many bytes,
// and which directories beside those below d.
func (d *dir) wanted(w *walk, know knowledge) (room uint32, next []wire.ID) {
	if d.fs.shared {
		return 0, nil
	}
	next, found := d.following(know)
	fs := d.fs
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if used := w.used.Swap(0); !found || w.sent > 0 && used == 0 {
		w.steps = 0
	} else {
		w.steps++
	}
	w.sent = 0
	if w.steps < minSteps {
		return 0, nil
	}
	return uint32(min(firstAhead<<min(w.steps-minSteps, 4), wire.MaxPage)), next
}

// following is the directories that who goes through a tree comes to after d and what is
// below it, as far as they are known and less than know of their names. found: d is in the
// listing in which it was last seen.
func (d *dir) following(know knowledge) (next []wire.ID, found bool) {
	for at, n := d, 0; n < maxAbove && len(next) < wire.MaxNext; n++ {
		p := at.above.Load()
		if p == nil {
			break
		}
		var ok bool
		if next, ok = p.unknown(at, know, next); !ok {
			break
		}
		found = true
		at = p
	}
	return next, found
}

// unknown appends to next those directories after at in d's listing, or below those, of whose
// names less than know is known, as far as they fit a request. It reports whether at is there.
func (d *dir) unknown(at *dir, know knowledge, next []wire.ID) ([]wire.ID, bool) {
	after, found := d.subs(at, maxSeen)
	g := gathering{know, next, maxSeen}
	g.add(after, 0)
	return g.next, found
}

// subs is up to n directories, held, that are after at in d's listing; all are after nil.
// found: at is there.
func (d *dir) subs(at *dir, n int) (subs []*dir, found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names == nil {
		return nil, false
	}
	entries := d.names.entries
	if at != nil {
		i := slices.IndexFunc(entries, func(e entry) bool { return e.node == inode(at) })
		if i < 0 {
			return nil, false
		}
		entries = entries[i+1:]
	}
	for i := range entries {
		if sub, ok := entries[i].node.(*dir); ok && len(subs) < n {
			sub.Hold()
			subs = append(subs, sub)
		}
	}
	return subs, true
}

// A gathering looks for directories to read ahead.
type gathering struct {
	know knowledge // less is known of the names of those that are
	next []wire.ID
	left int // directories that may still be looked at
}

// add adds directories, and in place of those that are known what is below them, and drops
// them: who is known has often no files, and yet is gone through like the others.
func (g *gathering) add(dirs []*dir, depth int) {
	for _, d := range dirs {
		if g.left--; g.left >= 0 && len(g.next) < wire.MaxNext {
			if d.knows() < g.know {
				g.next = append(g.next, d.id)
			} else if depth < maxBelow {
				below, _ := d.subs(nil, g.left)
				g.add(below, depth+1)
			}
		}
		d.Drop()
	}
}

// keepAhead keeps listings that were read ahead for w, in a reply to what was asked when
// fs.edits was since.
func (fs *filesystem) keepAhead(ls []wire.Listing, w *walk, since uint64) {
	kept := 0
	for i := range ls {
		d := fs.find(ls[i].Dir, since)
		if d == nil {
			wire.EntryIDs(ls[i].Entries, func(id wire.ID) { fs.client.Forget(id, 1) })
			continue
		}
		l := newListing(len(ls[i].Entries))
		l.ahead = w
		for j := range ls[i].Entries {
			d.take(l, &ls[i].Entries[j])
		}
		if d.keep(l, since) || d.merge(l, since) {
			kept++
		} else {
			l.release()
		}
		d.Drop()
	}
	fs.mu.Lock()
	w.sent += kept
	fs.mu.Unlock()
}

// find is the directory id, held, if there is one of which all changes since are known.
func (fs *filesystem) find(id wire.ID, since uint64) *dir {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.lost > since {
		return nil
	}
	d, ok := fs.inodes[id].(*dir)
	if !ok || d.refs.Load() <= 0 {
		return nil
	}
	d.Hold()
	return d
}
