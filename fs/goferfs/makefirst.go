package goferfs

import (
	"slices"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// Who makes a file may ask for its attributes next, and who writes one that is too long to be
// put off needs a descriptor for it. The host then makes this one at once, and the others
// later, as before: there may be a thousand of them.

// maxFirsts is how many files are made so at a time: their data, 32 KiB at most of one and none
// of directories, leaves room in the message.
const maxFirsts = 8

// A first is a file that is made before what was put off earlier, with the directories that
// lead to it. They leave their places in the queue, so that who waits for all that comes
// before some change waits for them as well.
type first struct {
	l    *later
	made chan struct{} // closed when the host has answered
}

// pull takes the making of n out of the queue, and of the directories above it that are there
// too. f is nil if it is not the latest there, or something before it must be done first.
func (l *later) pull(n *node) (batch []change, f *first) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, at := n.making.Load(), len(l.queue)-1
	if m == nil || at < 0 || l.queue[at].make != m {
		return nil, nil
	}
	var places []int
	for ; m != nil; m = m.dir.making.Load() {
		for ; at >= 0 && l.queue[at].make != m; at-- {
		}
		before := func(c change) bool { return c.precedes(m) }
		if at < 0 || len(places) == maxFirsts || slices.ContainsFunc(l.queue[:at], before) || slices.ContainsFunc(l.under, before) {
			return nil, nil // or it is under way
		}
		places = append(places, at)
	}
	f = &first{l: l, made: make(chan struct{})}
	for _, at := range slices.Backward(places) {
		c := l.queue[at]
		c.make.queued = false
		batch = append(batch, c)
		l.queue[at] = change{first: f}
	}
	return batch, f
}

// precedes reports whether the host must have made the change before it makes m's file: what
// is set of its directory would be lost, and a name that goes may be its own.
func (x *change) precedes(m *making) bool {
	return (x.set != nil || x.victim != nil && x.name == m.req.Name) && x.of == inode(m.dir)
}

// crossed reports whether the attributes of n, in which some of batch were made, may be older
// than what others leave of it, left of whom are to come: late was there to come when f was
// sent, and n's version ver.
func (f *first) crossed(batch []change, n *node, left, late int32, ver uint32) bool {
	own := int32(0)
	for i := range batch {
		if batch[i].changes(n) {
			own++
		}
	}
	if left == 0 && (late != own || n.version() != ver) {
		return true
	}
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	return slices.ContainsFunc(f.l.under, func(c change) bool { return c.changes(n) })
}

// hasFirst reports whether batch has the place of a first.
func hasFirst(batch []change) bool {
	return slices.ContainsFunc(batch, func(c change) bool { return c.first != nil })
}

// awaitFirsts waits until the host has made those that have a place in batch, and returns
// the others. Who makes a first waits for nothing but the gofer.
func awaitFirsts(batch []change) []change {
	if !hasFirst(batch) {
		return batch
	}
	var rest []change
	for _, c := range batch {
		if c.first == nil {
			rest = append(rest, c)
			continue
		}
		<-c.first.made
	}
	return rest
}

// makeFirst has the host make n at once, if it has not done so and that can be. EINTR: c's
// caller was killed first.
func (n *node) makeFirst(c vfs.Ctx) error {
	if n.making.Load() == nil {
		return nil
	}
	batch, f := n.fs.later.pull(n)
	if f == nil {
		return nil
	}
	a := &application{fs: n.fs, batch: batch, first: f}
	if a.alone(c, &wire.ApplyReq{}, nil) == linux.EINTR {
		return linux.EINTR
	}
	return nil // what went wrong is told to who needs the file
}

// alone is call of a first, as filesystem.call has it.
func (x *application) alone(c vfs.Ctx, q *wire.ApplyReq, fds *wire.FDs) error {
	x.fill(q)
	return answered(c, x.call(done(c), q, fds))
}

// callFirst is call of what needs nothing but that n is made and its attributes are set.
func (n *node) callFirst(c vfs.Ctx, q wire.Request, r wire.Message, fds *wire.FDs) error {
	fs := n.fs
	if fs.shared {
		return fs.call(c, q, r, fds)
	}
	if n.late.Load() == 0 {
		return fs.callAtOnce(c, q, r, fds)
	}
	batch, f := fs.later.pull(n)
	if f == nil {
		return fs.call(c, q, r, fds)
	}
	a := &application{fs: fs, batch: batch, first: f, then: r}
	return a.alone(c, &wire.ApplyReq{Then: q.Op(), Body: wire.Marshal(q)}, fds)
}
