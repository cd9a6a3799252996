package goferfs

import (
	"slices"
	"sync/atomic"
	"time"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// Names that go one after the other, as with rm -r, go on the host a moment later than for
// the guest, many in one message: in the mount that is the sandbox's alone it is known
// beforehand that the host will not refuse. Whatever else is asked of the gofer comes
// after them, and so does what tells the outside of the guest (vfs.System.Settle). Should
// the host refuse all the same, the name is there again, and the next fsync(2) of its
// directory and the next syncfs(2) fail. Attributes of files that the guest has made are
// set so too (setlater.go), and files made (makelater.go).

const (
	// minRow is how many names go one after the other before some go later: who removes
	// one or two may mean something by it, a lock for one.
	minRow = 2
	// rowGap is the longest time between two names of a row.
	rowGap = int64(10 * time.Millisecond)
	// laterDelay is how much later on the host at most, if nobody asks.
	laterDelay = 3 * time.Millisecond
	// maxLater is how many may wait: then who removes another waits for the first of them.
	maxLater = 16 * wire.MaxEdits
	// maxBatch is how much of a message changes take, and maxWithThen is it with what
	// follows them.
	maxBatch, maxWithThen = 40 << 10, 60 << 10
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
	queue  []change
	under  []change // those under way, but for firsts
	armed  bool     // a timer will see to it
	row    int      // names that went one after the other
	at     int64    // when the last of them did; now()
	failed error    // why the host refused one, for syncfs(2)
	born   nursery
}

// A change is a file, of, that is made, attributes that are set, another name for the
// file of in a directory, or a name that is gone from the directory of. It holds the inodes.
// Or it is the place of one that was made before its turn.
type change struct {
	of     inode
	make   *making // one of these, or nil
	set    *wire.SetattrReq
	link   *dir
	name   string
	victim inode
	rmdir  bool
	keep   bool // the victim has other names

	first *first // this alone: the change that was here has gone before
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
	if a.Nlink > 1 && !n.made.Load() {
		return false
	}
	return a.Nlink > 0 && a.Blocks <= maxLaterBlocks && (data == nil || !data.isOpen() && !data.Mapped())
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
	n := victim.base()
	x := change{of: d, name: name, victim: victim, rmdir: rmdir}
	n.mu.Lock()
	x.keep = !rmdir && n.attr.Nlink > 1
	n.mu.Unlock()
	if x.keep {
		n.late.Add(1)
	}
	n.lost(wireTime(linux.NsecToTimespec(time.Now().UnixNano())), x.keep)
	added, arm := d.fs.later.add(x)
	d.removedName(name) // only now may d itself be removed
	d.fs.added(added, arm, done)
}

// added sees to what was put off, as add has returned it.
func (fs *filesystem) added(added int64, arm bool, done <-chan struct{}) {
	if arm {
		time.AfterFunc(laterDelay, fs.settleLate)
	}
	if added%wire.MaxEdits == 0 {
		go fs.settle(nil)
	}
	_ = fs.settleTo(added-maxLater, done) // who is killed needs no room
}

// add puts x off. It returns how many have been, and whether there is no timer for them;
// or 0, if x has become a part of the latest.
func (l *later) add(x change) (added int64, arm bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.joinLocked(&x) {
		return 0, false
	}
	l.queue = append(l.queue, x)
	arm = !l.armed
	l.armed = true
	return l.added.Add(1), arm
}

// waiting reports whether the host still has any.
func (l *later) waiting() bool { return l.done.Load() != l.added.Load() }

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
		if err := l.enter(done); err != nil {
			return err
		}
		if l.done.Load() < n {
			batch, _ := l.take()
			fs.carryOut(batch)
		}
		l.leave()
	}
	return nil
}

// enter waits for its turn to have the host do what is put off, and leave ends that. EINTR:
// done was closed first.
func (l *later) enter(done <-chan struct{}) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-done:
		return linux.EINTR
	}
}

func (l *later) leave() { <-l.turn }

// finished notes that the host has been asked for the next n changes, and has answered.
func (l *later) finished(n int) {
	l.mu.Lock()
	l.under = nil
	l.mu.Unlock()
	l.done.Add(int64(n))
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

// refused is told that the host did not make the change, and why.
func (x *change) refused(err linux.Errno) {
	n := x.of.base()
	switch {
	case x.make != nil:
	case x.link != nil:
		x.link.doubt(x.name)
		n.suspect()
	case err == linux.ENOENT || err == linux.ESTALE:
		return // somebody else has removed it
	case err == linux.EBADF && (n.gone() || x.victim != nil && x.victim.base().ino.Load() == 0):
		return // it was not made, as has been told
	case x.set == nil:
		x.isBack()
		n.suspect()
	default:
		n.suspect()
	}
	n.mu.Lock()
	n.failed = err
	n.mu.Unlock()
	l := &n.fs.later
	l.mu.Lock()
	if l.failed == nil { // the others may only follow from it
		l.failed = err
	}
	l.mu.Unlock()
	switch {
	case x.make != nil:
		n.fs.logf("%q could not be made: %v", x.make.req.Name, err)
	case x.link != nil:
		n.fs.logf("%q could not be linked: %v", x.name, err)
	case x.set != nil:
		n.fs.logf("attributes of inode %d could not be set: %v", n.ino.Load(), err)
	default:
		n.fs.logf("%q, which was removed, is there still: %v", x.name, err)
	}
}

// isBack puts the name that was removed in doubt, and what it names.
func (x *change) isBack() {
	n := x.victim.base()
	n.mu.Lock()
	n.removed = false
	n.mu.Unlock()
	n.suspect()
	if sub, err := asDir(x.victim); err == nil {
		sub.doubtAll() // it may have names that are not known
	}
	if d, err := asDir(x.of); err == nil {
		d.doubt(x.name)
	}
}

// takeFailure is why the host refused a change of n, once.
func (n *node) takeFailure() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.failed
	n.failed = nil
	return err
}

// takeFailure is why the host refused a change, once.
func (l *later) takeFailure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.failed
	l.failed = nil
	return err
}
