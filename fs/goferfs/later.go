package goferfs

import (
	"slices"
	"sync/atomic"
	"time"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

// Names that go one after the other, as with rm -r, go on the host a moment later than for
// the guest, many in one message: in the mount that is the sandbox's alone it is known
// beforehand that the host will not refuse. Whatever else is asked of the gofer comes
// after them, and so does what tells the outside of the guest (vfs.System.Settle). Should
// the host refuse all the same, the name is there again, and the next fsync(2) of its
// directory and the next syncfs(2) fail.

const (
	// minRow is how many names go one after the other before some go later: who removes
	// one or two may mean something by it, a lock for one.
	minRow = 2
	// rowGap is the longest time between two names of a row.
	rowGap = int64(10 * time.Millisecond)
	// laterDelay is how much later on the host at most, if nobody asks.
	laterDelay = 3 * time.Millisecond
	// maxLater is how many may wait: then who removes another waits for the first of them.
	maxLater = 16 * wire.MaxUnlinks
	// maxLaterBlocks is the size, in units of 512 bytes, of the largest file that may:
	// the host takes its time for large ones, and others would wait for it.
	maxLaterBlocks = 4 << 20 / 512
	// overflowID is who owns what belongs to nobody in the gofer's user namespace, over
	// which its capabilities have no power.
	overflowID = 65534
)

// later is the names that the host still has.
type later struct {
	added atomic.Int64  // how many have been put off, ever
	done  atomic.Int64  // how many of these the host has been asked for, and has answered
	turn  chan struct{} // has an element while some are under way

	mu     lock.Mutex[lock.Leaf]
	queue  []removal
	armed  bool  // a timer will see to it
	row    int   // names that went one after the other
	at     int64 // when the last of them did; now()
	failed error // why the host refused one, for syncfs(2)
}

// A removal is a name that is gone. It holds both inodes.
type removal struct {
	dir    *dir
	name   string
	victim inode
	rmdir  bool
}

// inRow counts one more name that goes, and reports whether there were some before.
func (l *later) inRow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := now()
	if t-l.at > rowGap {
		l.row = 0
	}
	l.at = t
	l.row++
	return l.row > minRow
}

// endRow is told that something else has changed.
func (l *later) endRow() {
	l.mu.Lock()
	l.row = 0
	l.mu.Unlock()
}

// mayWait reports whether it is known that the host will let name, which is victim's, go
// from d, and that nobody sees that it has not done so yet.
func (d *dir) mayWait(name string, victim inode, rmdir bool) bool {
	fs, n := d.fs, victim.base()
	if fs.shared || fs.hostReadOnly || d.ask.Load() || n.ask.Load() {
		return false
	}
	d.mu.Lock()
	da, doubt := d.attr, d.doubts.has(name)
	d.mu.Unlock()
	if doubt {
		return false
	}
	n.mu.Lock()
	a := n.attr
	n.mu.Unlock()
	if (da.Flags|a.Flags)&wire.AttrFixed != 0 || a.Flags&wire.AttrMounted != 0 ||
		slices.Contains([]uint32{da.UID, da.GID, a.UID, a.GID}, overflowID) {
		return false
	}
	if rmdir {
		sub, err := asDir(victim)
		return err == nil && sub.knownEmpty()
	}
	data := n.data.Load()
	return a.Nlink == 1 && a.Blocks <= maxLaterBlocks && (data == nil || !data.isOpen() && !data.Mapped())
}

// knownEmpty reports whether it is known that d has no names.
func (d *dir) knownEmpty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names != nil && len(d.names.where) == 0 && !d.doubtful.Load()
}

// removeLater takes the name away for the guest, and from the host a moment later. With done
// the caller no longer waits, if it must for others that went before.
func (d *dir) removeLater(name string, victim inode, rmdir bool, done <-chan struct{}) {
	d.Hold()
	victim.Hold()
	d.mu.Lock()
	d.ver++ // attributes under way are those of before
	d.mu.Unlock()
	d.late.Add(1)
	victim.base().lost(wireTime(linux.NsecToTimespec(time.Now().UnixNano())), false)
	added, arm := d.fs.later.add(removal{d, name, victim, rmdir})
	d.removedName(name) // only now may d itself be removed
	switch {
	case added%wire.MaxUnlinks == 0:
		go d.fs.settle(nil)
	case arm:
		time.AfterFunc(laterDelay, d.fs.settleLate)
	}
	_ = d.fs.settleTo(added-maxLater, done) // who is killed needs no room
}

// add puts r off. It returns how many have been, and whether there is no timer for them.
func (l *later) add(r removal) (added int64, arm bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, r)
	arm = !l.armed
	l.armed = true
	return l.added.Add(1), arm
}

// waiting reports whether the host still has any.
func (l *later) waiting() bool { return l.done.Load() != l.added.Load() }

// take is the next of those that were put off, as many as one message takes.
func (l *later) take() []removal {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.queue[:min(len(l.queue), wire.MaxUnlinks)]
	if l.queue = l.queue[len(batch):]; len(l.queue) == 0 {
		l.queue = nil
	}
	return batch
}

func (fs *filesystem) settleLate() {
	fs.later.mu.Lock()
	fs.later.armed = false
	fs.later.mu.Unlock()
	_ = fs.settle(nil)
}

// settle waits until the host has done all that was put off before. EINTR: done was
// closed first.
func (fs *filesystem) settle(done <-chan struct{}) error {
	return fs.settleTo(fs.later.added.Load(), done)
}

// settleTo waits until the host has done the first n of all that were ever put off: who
// waits has a part in it, a message at a time. EINTR: as settle.
func (fs *filesystem) settleTo(n int64, done <-chan struct{}) error {
	l := &fs.later
	for l.done.Load() < n {
		select {
		case l.turn <- struct{}{}:
		case <-done:
			return linux.EINTR
		}
		if l.done.Load() < n {
			fs.carryOut(l.take())
		}
		<-l.turn
	}
	return nil
}

// freed has the host let go what waits, and reports whether there was anything: what the
// guest has removed must not keep it from writing.
func (fs *filesystem) freed() bool {
	if !fs.later.waiting() {
		return false
	}
	_ = fs.settle(nil)
	return true
}

// carryOut has the gofer do what batch says, and tells of it. It holds the turn.
func (fs *filesystem) carryOut(batch []removal) {
	var q wire.UnlinksReq
	var dirs []*dir
	var vers []uint32
	for _, r := range batch {
		q.Names = append(q.Names, wire.UnlinkReq{Dir: r.dir.id, Name: r.name, RmDir: r.rmdir, Victim: r.victim.base().id})
		if !slices.Contains(dirs, r.dir) {
			dirs = append(dirs, r.dir)
			vers = append(vers, r.dir.version())
		}
	}
	var resp wire.UnlinksResp
	err := fs.client.Call(nil, &q, &resp, nil)
	if err == nil && (len(resp.Errnos) != len(batch) || len(resp.Dirs) != len(dirs)) {
		err = linux.EIO // never from a gofer of ours
	}
	for i, r := range batch {
		switch e := err; {
		case e == nil && resp.Errnos[i] == 0:
		case e == nil:
			r.refused(linux.Errno(resp.Errnos[i]))
		default:
			r.refused(wire.Errno(e))
		}
	}
	for _, r := range batch {
		left := r.dir.late.Add(-1)
		i := slices.Index(dirs, r.dir)
		if left == 0 && err == nil && !r.dir.gone() {
			r.dir.store(&resp.Dirs[i], vers[i])
		}
	}
	// Not before: who sees that none is left takes what is known of the directories for true.
	fs.later.done.Add(int64(len(batch)))
	for _, r := range batch {
		r.victim.Drop()
		r.dir.Drop()
	}
}

// refused is told that the host did not let the name go, and why.
func (r *removal) refused(err linux.Errno) {
	if err == linux.ENOENT || err == linux.ESTALE {
		return // somebody else has removed it
	}
	fs := r.dir.fs
	n := r.victim.base()
	n.mu.Lock()
	n.removed = false
	n.mu.Unlock()
	n.suspect()
	if sub, e := asDir(r.victim); e == nil {
		sub.doubtAll() // it may have names that are not known
	}
	r.dir.doubt(r.name)
	r.dir.suspect()
	r.dir.mu.Lock()
	r.dir.failed = err
	r.dir.mu.Unlock()
	fs.later.mu.Lock()
	fs.later.failed = err
	fs.later.mu.Unlock()
	fs.logf("%q, which was removed, is there still: %v", r.name, err)
}

// takeFailure is why a name of d could not be removed, once.
func (d *dir) takeFailure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.failed
	d.failed = nil
	return err
}

// takeFailure is why a name could not be removed, once.
func (l *later) takeFailure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.failed
	l.failed = nil
	return err
}

// Settle implements vfs.Settler.
func (n *node) Settle() { _ = n.fs.settle(nil) }

var _ vfs.Settler = (*node)(nil)
