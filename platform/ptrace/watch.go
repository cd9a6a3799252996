package ptrace

import (
	"time"

	"golang.org/x/sys/unix"
)

// watchPeriod is how often crowded spaces are looked after.
const watchPeriod = 100 * time.Millisecond

// cldDumped is the last of the siginfo codes that waitid(2) has for an end, from
// CLD_EXITED on; those behind it are for stops.
const cldDumped = 3

// watch finds stubs that something outside has killed where nobody else would.
// The tracer of a process's first thread learns of its end only when all other
// threads have been reaped, and those whose Contexts are not in the guest, and
// may not be for a long time, have nobody who waits for them. So while the
// first thread of a process with several is in the guest, or does operations with
// the space locked, the others are asked after from time to time.
func (p *Platform) watch() {
	if p.lookAfter(true) {
		p.watcher.Reset(watchPeriod)
		return
	}
	p.watching.Store(false)
	p.watchIfNeeded()
}

// watchIfNeeded starts watch, if there is a space that calls for it. It is
// called some time after any thread has entered a guest.
func (p *Platform) watchIfNeeded() {
	if !p.watching.Load() && p.lookAfter(false) {
		p.startWatch()
	}
}

func (p *Platform) startWatch() {
	if p.watching.CompareAndSwap(false, true) {
		p.watcher.Reset(watchPeriod)
	}
}

// lookAfter reports whether there are spaces to watch, and, if end is set, ends
// those that have been killed.
func (p *Platform) lookAfter(end bool) (any bool) {
	p.mu.Lock()
	spaces := make([]*space, 0, len(p.spaces))
	for s := range p.spaces {
		spaces = append(spaces, s)
	}
	p.mu.Unlock()
	for _, s := range spaces {
		// What holds the lock may wait for just this, and others are to be looked after.
		if !s.mu.TryLock() {
			any = true
			if end {
				s.reapOthers()
			}
			continue
		}
		if s.crowdedLocked() {
			any = true
			if end && s.killedLocked() {
				s.endLocked(errKilled)
			}
		}
		s.mu.Unlock()
	}
	return any
}

// crowdedLocked reports whether the first thread is in the guest and others
// exist.
func (s *space) crowdedLocked() bool {
	first := s.threads[s.stub.pid]
	return len(s.threads) > 1 && first != nil && first.inGuest.Load()
}

// killedLocked reports whether a thread that is not in the guest has died.
func (s *space) killedLocked() bool {
	for tid, c := range s.threads {
		if c.inGuest.Load() || tid == s.stub.pid {
			continue
		}
		if hasEnded(tid) {
			return true
		}
	}
	return false
}

// mindLocked is called before t does operations, with the space locked: if it is the
// process's first thread, somebody must reap the others should all be killed. That
// is until others is nil again.
func (s *space) mindLocked(t *thread) {
	if t.tid != s.stub.pid || len(s.threads) < 2 {
		return
	}
	others := make([]int, 0, len(s.threads)-1)
	for tid := range s.threads {
		if tid != s.stub.pid {
			others = append(others, tid)
		}
	}
	s.others.Store(&others)
	s.p.startWatch()
}

// reapOthers reaps those of the threads in others that have died.
func (s *space) reapOthers() {
	others := s.others.Load()
	if others == nil {
		return
	}
	for _, tid := range *others {
		if hasEnded(tid) {
			_, _ = unix.Wait4(tid, nil, unix.WALL|unix.WNOHANG, nil)
		}
	}
}

// hasEnded reports whether the thread tid waits to be reaped.
func hasEnded(tid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, tid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	// Of a tracee the host also tells, unasked, that it has stopped, as one does
	// that is just being seized.
	return err == nil && info.Signo == int32(unix.SIGCHLD) && info.Code <= cldDumped
}
