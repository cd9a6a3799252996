package goferfs

import (
	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// doubts are the names of a directory that somebody outside the sandbox has touched:
// each is looked up again when it is next used.
type doubts struct {
	names map[string]bool // those in doubt, or with all set, those no longer in doubt
	all   bool
}

// changed takes in what others did to the mount's files.
func (fs *filesystem) changed(r *wire.ChangesResp) {
	if r.All {
		fs.each(func(i inode) {
			i.base().ask.Store(true)
			if d, err := asDir(i); err == nil {
				d.doubtAll()
			}
		})
	}
	if r.Began {
		fs.each(fs.recheck)
	}
	for _, x := range r.Changes {
		fs.mu.Lock()
		i := fs.inodes[x.ID]
		if i != nil {
			i.Hold()
		} else {
			fs.lost = fs.edits.Add(1) // a reply under way may name it
		}
		fs.mu.Unlock()
		if i == nil {
			continue // another mount's, or forgotten
		}
		i.base().ask.Store(true)
		if d, err := asDir(i); err == nil {
			switch x.Name {
			case "":
			case ".":
				d.doubtAll()
			default:
				d.doubt(x.Name)
			}
		}
		i.Drop()
	}
}

// each calls f for all inodes.
func (fs *filesystem) each(f func(inode)) {
	fs.mu.Lock()
	all := make([]inode, 0, len(fs.inodes))
	for _, i := range fs.inodes {
		if i.base().refs.Load() > 0 {
			i.Hold()
			all = append(all, i)
		}
	}
	fs.mu.Unlock()
	for _, i := range all {
		f(i)
		i.Drop()
	}
}

// recheck sees whether a directory changed before watching began: our own changes are
// in its attributes.
func (fs *filesystem) recheck(i inode) {
	d, err := asDir(i)
	if err != nil || d.gone() {
		return
	}
	mtime := func() wire.Time {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.attr.Mtime
	}
	if d.stale() && d.refresh(nil) != nil {
		return
	}
	was := mtime()
	d.ask.Store(true)
	if d.refresh(nil) == nil && mtime() != was {
		d.doubtAll()
	}
}

// doubt puts one name in doubt.
func (d *dir) doubt(name string) {
	d.mu.Lock()
	if d.doubts.names == nil {
		d.doubts.names = map[string]bool{}
	}
	if d.doubts.all {
		delete(d.doubts.names, name)
	} else {
		d.doubts.names[name] = true
	}
	d.edited() // a listing under way is not to be kept
	d.mu.Unlock()
	d.doubtful.Store(true)
	d.forgetNames()
}

// doubtAll puts all names in doubt, for good.
func (d *dir) doubtAll() {
	d.mu.Lock()
	d.doubts = doubts{names: map[string]bool{}, all: true}
	d.edited()
	d.mu.Unlock()
	d.doubtful.Store(true)
	d.forgetNames()
}

// settle takes the doubt from a name, and reports whether there was any.
func (d *dir) settle(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.doubts.all {
		was := !d.doubts.names[name]
		d.doubts.names[name] = true
		return was
	}
	was := d.doubts.names[name]
	delete(d.doubts.names, name)
	if len(d.doubts.names) == 0 {
		d.doubtful.Store(false)
	}
	return was
}

// Revalidate implements vfs.Stale. In a mount that is the sandbox's alone nothing has
// to be asked unless the gofer has told of a change.
func (d *dir) Revalidate(c vfs.Ctx, name string, i vfs.Inode) bool {
	if !d.doubtful.Load() || !d.settle(name) {
		return true
	}
	return d.still(c, name, i)
}

// still asks the gofer whether name names i, or nothing if that is nil.
func (d *dir) still(c vfs.Ctx, name string, i vfs.Inode) bool {
	found, err := d.walk(c, []string{name})
	if len(found) == 0 {
		return i == nil && err == linux.ENOENT
	}
	found[0].(inode).Drop()
	return found[0] == i
}
