package goferfs

import (
	"slices"

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

// has reports whether name is in doubt. node.mu is held.
func (x *doubts) has(name string) bool { return x.names[name] != x.all }

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
		fs.recheck()
	}
	var touched []inode
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
		touched = append(touched, i)
	}
	fs.lookAgain(touched)
}

// lookAgain asks for the attributes of files that are in doubt, many at a time, before
// the guest asks for them one by one: among them is all that it has written itself, for
// the host does not tell who closed a file. It drops the files.
func (fs *filesystem) lookAgain(files []inode) {
	for b := range slices.Chunk(files, wire.MaxAttrs) {
		q := wire.AttrsReq{IDs: make([]wire.ID, len(b)), Lists: fs.lists.Load()}
		vers := make([]uint32, len(b))
		for i, f := range b {
			q.IDs[i], vers[i] = f.base().id, f.base().version()
		}
		var r wire.AttrsResp
		err := fs.call(nil, &q, &r, nil)
		for i, f := range b {
			if err == nil && len(r.Attrs) == len(b) {
				f.base().confirm(&r.Attrs[i], vers[i])
			}
			f.Drop()
		}
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

// recheck sees which directories changed before watching began: our own changes are in
// their attributes.
func (fs *filesystem) recheck() {
	var known []*dir
	fs.each(func(i inode) {
		if d, err := asDir(i); err == nil && !d.gone() {
			d.Hold()
			known = append(known, d)
		}
	})
	for b := range slices.Chunk(known, wire.MaxAttrs) {
		fs.compare(b)
		for _, d := range b {
			d.Drop()
		}
	}
}

// compare asks for the times of directories, and puts those in doubt of which they are
// not what is known. A change of ours that is just happening may bring some in doubt that
// need not be.
func (fs *filesystem) compare(dirs []*dir) {
	_ = fs.settle(nil) // or what is known is not yet the host's
	was := make([]wire.Attr, len(dirs))
	q := wire.AttrsReq{IDs: make([]wire.ID, len(dirs))}
	for i, d := range dirs {
		if d.stale() && d.refresh(nil) != nil {
			continue
		}
		d.mu.Lock()
		was[i] = d.attr
		d.mu.Unlock()
		q.IDs[i] = d.id
	}
	var r wire.AttrsResp
	if fs.call(nil, &q, &r, nil) != nil || len(r.Attrs) != len(dirs) {
		return
	}
	for i, d := range dirs {
		now := &r.Attrs[i]
		if now.Mode == 0 || was[i].Mode == 0 {
			continue // it could not be asked for, either time
		}
		if now.Mtime != was[i].Mtime || now.Ctime != was[i].Ctime {
			d.ask.Store(true)
		}
		if now.Mtime != was[i].Mtime {
			d.doubtAll()
		}
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
