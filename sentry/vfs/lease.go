package vfs

import (
	"math"
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// A lease is fcntl(F_SETLEASE)'s: its owner is told before somebody else opens or
// truncates the file in a way that it does not suit, and has leaseBreakTime for it.
type lease struct {
	owner  *FileDescription
	fd     int32     // the descriptor by which it was taken, which signals name
	kind   int       // F_RDLCK or F_WRLCK
	target int       // what it is to become; kind if nobody is in the way
	end    time.Time // when it becomes so by itself; zero for never
	pid    any       // who took it
	seq    uint64
}

// LeaseParams is /proc/sys/fs/leases-enable and lease-break-time, in seconds: 0 or
// less for a break that waits for ever.
type LeaseParams struct {
	Enable    bool
	BreakTime int64
}

// SetLeaseParams has the parameters of leases asked for by f.
func (s *System) SetLeaseParams(f func() LeaseParams) { s.leaseParams = f }

// leaseConfig is the parameters of leases now: Linux's defaults if nobody tells.
func (s *System) leaseConfig() LeaseParams {
	if s.leaseParams == nil {
		return LeaseParams{true, 45}
	}
	return s.leaseParams()
}

// leaseBroken is what a lease's owner is told (POLL_MSG).
const leaseBroken = wait.In | wait.RdNorm | wait.Msg

// expireLocked makes those leases what they are to become whose time is over.
func (s *fileLocks) expireLocked(now time.Time) (changed bool) {
	kept := s.leases[:0]
	for _, l := range s.leases {
		if l.target != l.kind && !l.end.IsZero() && !now.Before(l.end) {
			l.kind, changed = l.target, true
		}
		if l.kind != linux.F_UNLCK {
			kept = append(kept, l)
		}
	}
	clear(s.leases[len(kept):])
	s.leases = kept
	return changed
}

// Lease is fcntl(F_GETLEASE): what d has, or is to have once it is broken.
func (d *FileDescription) Lease() int {
	fs := d.path.d.fs
	st := fs.state(d.path.d.node, false)
	if st == nil {
		return linux.F_UNLCK
	}
	defer fs.putState(st)
	st.locks.mu.Lock()
	defer st.locks.mu.Unlock()
	st.locks.expireLocked(time.Now())
	for _, l := range st.locks.leases {
		if l.owner == d {
			return l.target
		}
	}
	return linux.F_UNLCK
}

// SetLease is fcntl(F_SETLEASE) by descriptor fd: owner is told of breaks if d has nobody yet. EACCES for
// another's file; EAGAIN if somebody has the file open as the lease does not suit.
func (d *FileDescription) SetLease(c Ctx, kind int, owner IOOwner, fd int32) error {
	if kind != linux.F_RDLCK && kind != linux.F_WRLCK && kind != linux.F_UNLCK {
		return linux.EINVAL
	}
	a, err := d.Attr(c)
	if err != nil {
		return err
	}
	if a.UID != c.Creds().FSUID && !c.Creds().Capable(auth.CapLease) {
		return linux.EACCES
	}
	if d.path.d.typ != linux.S_IFREG {
		return linux.EINVAL
	}
	fs := d.path.d.fs
	st := fs.state(d.path.d.node, true)
	defer fs.putState(st)
	l := lease{owner: d, fd: fd, kind: kind, target: kind, pid: holderOf(c), seq: fs.sys.nextLock()}
	if err := st.locks.lease(l, fs.sys.leaseConfig().Enable); err != nil {
		return err
	}
	fs.settle(st)
	st.locks.Notify(wait.In)
	d.hookMu.Lock()
	defer d.hookMu.Unlock()
	switch {
	case kind == linux.F_UNLCK: // as on Linux, these go with the lease
		d.async.owner, d.async.none, d.async.sig = nil, linux.F_OWNER_PID, 0
	case d.async.owner == nil:
		d.async.owner = owner
		fallthrough
	default:
		d.flock.Store(true)
	}
	return nil
}

// lease gives the owner of a new lease l that, or takes it away: EAGAIN; EINVAL if there
// are to be no new ones.
func (s *fileLocks) lease(l lease, enabled bool) error {
	d, kind := l.owner, l.kind
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked(time.Now())
	at := -1
	for i, o := range s.leases {
		switch {
		case o.owner == d:
			at = i
		case kind == linux.F_WRLCK, kind == linux.F_RDLCK && (o.kind == linux.F_WRLCK || o.target == linux.F_UNLCK):
			return linux.EAGAIN
		}
	}
	x := d.path.d
	switch {
	case kind == linux.F_UNLCK && at < 0,
		kind == linux.F_RDLCK && x.writers.Load() > 0,
		kind == linux.F_WRLCK && x.opens.Load() > 1:
		return linux.EAGAIN
	case kind == linux.F_UNLCK:
		s.leases = append(s.leases[:at:at], s.leases[at+1:]...)
	case at < 0 && !enabled:
		return linux.EINVAL
	case at < 0:
		s.leases = append(s.leases, l)
	default: // a broken one can't become more than it is to be
		o := &s.leases[at]
		if o.target != o.kind && (o.target == linux.F_UNLCK || kind == linux.F_WRLCK) {
			return linux.EAGAIN
		}
		o.kind, o.target, o.fd = kind, kind, l.fd
	}
	return nil
}

// breakLeases tells those who have leases on p that it is to be opened or truncated,
// and waits until they allow it. EWOULDBLOCK if it may not wait.
func (p Path) breakLeases(c Ctx, write, now bool) error {
	fs := p.d.fs
	if p.d.typ != linux.S_IFREG || fs.locked.Load() == 0 {
		return nil
	}
	st := fs.state(p.d.node, false)
	if st == nil {
		return nil
	}
	defer fs.putState(st)
	w := &leaseWait{&st.locks, write, holderOf(c)}
	for {
		left := w.begin(fs.sys.leaseConfig().BreakTime)
		fs.settle(st)
		if left == 0 {
			return nil
		}
		if now {
			return linux.EWOULDBLOCK
		}
		err := w.await(w, func() error {
			if left == forEver {
				return c.Block(w, wait.In)
			}
			return c.BlockFor(w, wait.In, left)
		})
		if err != nil && err != linux.ETIMEDOUT {
			return err
		}
	}
}

// leaseWait waits for leases to suit somebody who is to write, or only to read.
type leaseWait struct {
	*fileLocks
	write bool
	pid   any
}

// forEver is a wait without an end.
const forEver = time.Duration(math.MaxInt64)

// inWay is what l has to become.
func (w *leaseWait) inWay(l *lease) (target int, conflict bool) {
	switch {
	case w.write:
		return linux.F_UNLCK, true
	case l.kind == linux.F_WRLCK:
		return linux.F_RDLCK, true
	}
	return l.kind, false
}

// begin tells the owners of leases that are in the way, once each, and says how long
// at most it takes until none is; 0 if none is. They have breakTime seconds.
func (w *leaseWait) begin(breakTime int64) (left time.Duration) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expireLocked(now)
	for i := range w.leases {
		l := &w.leases[i]
		target, conflict := w.inWay(l)
		if !conflict {
			continue
		}
		if l.target == l.kind {
			l.end = time.Time{}
			if breakTime > 0 {
				l.end = now.Add(time.Duration(min(breakTime, math.MaxInt32)) * time.Second)
			}
		}
		if l.target != target && l.target != linux.F_UNLCK {
			l.target = target
			go l.owner.tellOwner(l.fd, leaseBroken) // signals take locks
		}
		if l.end.IsZero() {
			left = forEver
		} else {
			left = max(left, l.end.Sub(now), 1)
		}
	}
	return left
}

// Ready implements wait.Object.
func (w *leaseWait) Ready(e wait.Events) wait.Events {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.leases {
		if _, conflict := w.inWay(&w.leases[i]); conflict {
			return 0
		}
	}
	return e & wait.In
}

// unlease takes d's lease away, as it is closed.
func (s *fileLocks) unlease(d *FileDescription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.leases {
		if s.leases[i].owner == d {
			s.leases = append(s.leases[:i:i], s.leases[i+1:]...)
			return
		}
	}
}

// tellOwner sends d's owner the signal of e, which names fd.
func (d *FileDescription) tellOwner(fd int32, e wait.Events) {
	d.hookMu.Lock()
	o, sig := d.async.owner, d.async.sig
	d.hookMu.Unlock()
	if o != nil {
		o.SignalIO(sig, fd, e)
	}
}

// info tells of l.
func (l *lease) info() LockInfo {
	return LockInfo{
		Kind: LeaseLock, Type: l.target, Breaking: l.target != l.kind, Holder: l.pid, End: math.MaxInt64,
		seq: l.seq, file: l.owner, owner: l.owner,
	}
}

// info implements waiter.
func (w *leaseWait) info() LockInfo {
	return LockInfo{Kind: LeaseLock, Type: lockType(w.write), Holder: w.pid, End: math.MaxInt64}
}
