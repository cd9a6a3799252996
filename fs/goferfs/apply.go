package goferfs

import (
	"slices"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// An application is changes that are under way to the host, with what is asked for after
// them. Who makes one has the turn, until it is finished; but for that of a first, which
// has none.
type application struct {
	wire.ApplyResp
	fs     *filesystem
	batch  []change
	places int      // in the queue that it has taken
	files  []*node  // that the changes are of, each once
	vers   []uint32 // of files
	lates  []int32  // changes of files that were yet to come
	then   wire.Message
	first  *first // it is the change of this alone; or nil
}

// ask has the gofer do q after all that was put off before, in the same message if that
// can be. EINTR: as wire.Client.Call has it.
func (fs *filesystem) ask(done <-chan struct{}, q wire.Request, r wire.Message, fds *wire.FDs) error {
	l := &fs.later
	for n := l.added.Load(); l.done.Load() < n; {
		if err := l.enter(done); err != nil {
			return err
		}
		if l.done.Load() < n {
			batch, size := l.take()
			if q.Op().Follows() && l.done.Load()+int64(len(batch)) >= n && !hasFirst(batch) {
				if body := wire.Marshal(q); size+len(body) <= maxWithThen {
					return fs.applyThen(done, batch, &wire.ApplyReq{Then: q.Op(), Body: body}, r, fds)
				}
			}
			fs.carryOut(batch)
		}
		l.leave()
	}
	return fs.client.Call(done, q, r, fds)
}

// carryOut has the gofer make the changes of batch, and tells of it. It holds the turn.
func (fs *filesystem) carryOut(batch []change) {
	x := &application{fs: fs, batch: awaitFirsts(batch), places: len(batch)}
	if len(x.batch) == 0 {
		x.finish(nil)
		return
	}
	q := &wire.ApplyReq{}
	x.fill(q)
	x.finish(fs.client.Call(nil, q, x, nil))
}

// applyThen is carryOut with what is to follow in the same message, and is in q. It gives
// the turn back, if need be when nobody waits for the reply any more.
func (fs *filesystem) applyThen(done <-chan struct{}, batch []change, q *wire.ApplyReq, r wire.Message, fds *wire.FDs) error {
	x := &application{fs: fs, batch: batch, places: len(batch), then: r}
	x.fill(q)
	return x.call(done, q, fds)
}

// call sends q, which has the changes, takes in what has become of them, gives the turn
// back, and answers then. EINTR: done was closed first, and Late will do the rest.
func (x *application) call(done <-chan struct{}, q *wire.ApplyReq, fds *wire.FDs) error {
	err := x.fs.client.Call(done, q, x, fds)
	if err == linux.EINTR {
		return err
	}
	x.end(err)
	if err != nil || q.Then == 0 {
		return err
	}
	if err = x.Answer(x.then); err == wire.ErrMessage {
		err = linux.EIO // never from a gofer of ours
	}
	return err
}

// end is finish, after which others may have theirs.
func (x *application) end(err error) {
	x.finish(err)
	if x.first == nil {
		x.fs.later.leave()
	}
}

// Late implements wire.Latecomer: what the reply names is given back.
func (x *application) Late(err error) {
	x.end(err)
	if err != nil || x.then == nil || x.Answer(x.then) != nil {
		return
	}
	if h, ok := x.then.(wire.Holder); ok {
		h.IDs(func(id wire.ID) { x.fs.client.Forget(id, 1) })
	}
}

// fill puts the changes into q.
func (x *application) fill(q *wire.ApplyReq) {
	q.Edits = make([]wire.Edit, len(x.batch))
	for i := range x.batch {
		q.Edits[i] = x.batch[i].wire()
		for _, n := range x.batch[i].files() {
			if n != nil && !slices.Contains(x.files, n) {
				x.files = append(x.files, n)
				x.vers = append(x.vers, n.version())
				x.lates = append(x.lates, n.late.Load())
			}
		}
	}
}

// finish takes in what has become of the changes. err is why the gofer did not answer.
func (x *application) finish(err error) {
	if err == nil && (len(x.Errnos) != len(x.batch) || len(x.Attrs) != len(x.files)) {
		err = linux.EIO // never from a gofer of ours
	}
	for i := range x.batch {
		c, why := &x.batch[i], linux.Errno(0)
		if err != nil {
			why = wire.Errno(err)
		} else {
			why = linux.Errno(x.Errnos[i])
		}
		if c.make != nil {
			var a wire.Attr
			if err == nil {
				a = x.Attrs[slices.Index(x.files, c.of.base())]
			}
			c.isMade(&a, why)
		}
		if why != 0 {
			c.refused(why)
		}
	}
	for i := range x.batch {
		for _, n := range x.batch[i].files() {
			if n != nil {
				x.done(n, err)
			}
		}
	}
	// Not before: who sees that none is left takes what is known of the files for true.
	if x.first != nil {
		close(x.first.made)
	} else {
		x.fs.later.finished(x.places)
	}
	for i := range x.batch {
		x.batch[i].drop()
	}
}

// done takes in that the host has made a change of n, or not, for err.
func (x *application) done(n *node, err error) {
	at := slices.Index(x.files, n)
	left := n.late.Load() - 1
	switch {
	case err != nil || n.gone():
	case x.first != nil && x.first.crossed(x.batch, n, left, x.lates[at], x.vers[at]):
		n.look.Store(true)
	case left == 0:
		n.applied(&x.Attrs[at], x.vers[at])
	}
	// Not before: who sees that none is left takes what is known of n for true.
	if n.late.Add(-1) == 0 && left > 0 { // the others were made just now
		n.look.Store(true)
	}
}

// applied is store of attributes that come with changes. It is no change of its own: what
// was asked for since these were put off is answered after them.
func (n *node) applied(a *wire.Attr, ver uint32) {
	if a.Mode == 0 { // the gofer could not tell
		n.ask.Store(true)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.storeLocked(a, ver)
}

// files is what the change leaves with other attributes, or nil.
func (x *change) files() [2]*node {
	switch {
	case x.first != nil:
		return [2]*node{}
	case x.make != nil:
		return [2]*node{x.of.base(), &x.make.dir.node}
	case x.link != nil:
		return [2]*node{x.of.base(), &x.link.node}
	case x.keep:
		return [2]*node{x.of.base(), x.victim.base()}
	}
	return [2]*node{x.of.base()}
}

// changes reports whether the change leaves n with other attributes.
func (x *change) changes(n *node) bool {
	files := x.files()
	return slices.Contains(files[:], n)
}

// wire is what the gofer is asked for.
func (x *change) wire() wire.Edit {
	if x.make != nil {
		return wire.Edit{Kind: wire.EditMake, Make: x.make.req}
	}
	if x.set != nil {
		q := *x.set
		if q.Mask&^(wire.SetUID|wire.SetGID) != 0 {
			q.Mask &^= wire.SetUID | wire.SetGID // they stay, and ctime changes anyway
		}
		return wire.Edit{Kind: wire.EditSet, Set: q}
	}
	if x.link != nil {
		return wire.Edit{Kind: wire.EditLink, Link: wire.LinkReq{ID: x.of.base().id, Dir: x.link.id, Name: x.name}}
	}
	return wire.Edit{Kind: wire.EditUnlink, Unlink: wire.UnlinkReq{Dir: x.of.base().id, Name: x.name, RmDir: x.rmdir,
		Victim: x.victim.base().id, Keep: x.keep}}
}

// drop gives the inodes back.
func (x *change) drop() {
	if x.victim != nil {
		x.victim.Drop()
	}
	if x.make != nil {
		x.make.dir.Drop()
	}
	if x.link != nil {
		x.link.Drop()
	}
	x.of.Drop()
}

// Settle implements vfs.Settler.
func (n *node) Settle() { _ = n.fs.settle(nil) }

var _ vfs.Settler = (*node)(nil)
