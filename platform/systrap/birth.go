package systrap

import (
	"fmt"

	"golang.org/x/sys/unix"

	"garrison/platform/park"
	"garrison/platform/stub"
)

// A birth is a thread that a stub has been told to make, until it has been seen.
//
// The new thread's first call is to map its region. What it maps, and which
// birth it is, it has from arguments of the clone that the host has no use for,
// and the verifier has seen those; nothing can come between the two calls (see
// stub_amd64.s). So a thread that nobody knows and that names a birth is that
// birth's, whatever the guest does, and births need not wait for each other.
type birth struct {
	t     *thread
	nonce uint64
	seen  park.Spot
}

// fd is the descriptor that the new thread maps: the host looks at the low half
// of the argument, the verifier at all of it.
func (b *birth) fd() uint64 { return b.nonce<<32 | stubControl }

// clone is the host call that makes the thread.
func (b *birth) clone(flags uint64) stub.Call {
	r := &b.t.region
	return stub.Call{Nr: unix.SYS_CLONE, Args: [6]uint64{flags, 0, r.addr(), 0, b.fd(), r.offset()}}
}

// first is the thread's first own call.
func (b *birth) first() stub.Call {
	r := &b.t.region
	return stub.Call{Nr: unix.SYS_MMAP, Args: [6]uint64{
		r.addr(), regionSize, unix.PROT_READ, unix.MAP_SHARED | unix.MAP_FIXED, b.fd(), r.offset(),
	}}
}

// expect begins the birth of t.
func (v *verifier) expect(t *thread) *birth {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.nonce = uint64(uint32(v.nonce + 1))
	b := &birth{t: t, nonce: v.nonce}
	v.births[b.fd()] = b
	return b
}

// settle ends b. A thread of its that comes later may not live.
func (v *verifier) settle(b *birth) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.births[b.fd()] != nil {
		delete(v.births, b.fd())
		v.lost++
	}
}

// reapLost reaps processes that have ended without having been seen, if there
// may be such: they are the sentry's children, as stubs are, and tell nobody.
func (v *verifier) reapLost() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for v.lost > 0 {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
		pid := childOf(&info)
		if err != nil || pid == 0 || v.hasLocked(pid) {
			return
		}
		_, _ = unix.Wait4(pid, nil, unix.WALL|unix.WNOHANG, nil)
		v.lost--
	}
}

// hasLocked reports whether threads of the process pid are known, or were before
// they were told to exit: then others wait for its end.
func (v *verifier) hasLocked(pid int) bool {
	for _, t := range v.threads {
		if t.pid == pid {
			return true
		}
	}
	for _, p := range v.exited {
		if p == pid {
			return true
		}
	}
	return false
}

// birthLocked looks at the first call of a thread that nobody knows.
func (v *verifier) birthLocked(n *notification, called stub.Call) (*birth, error) {
	b := v.births[called.Args[4]]
	if b == nil || called != b.first() || n.ip != v.sites.region {
		return nil, fmt.Errorf("systrap: %v by an unknown thread", called)
	}
	tid := int(n.tid)
	if pid, told := v.exited[tid]; told && unix.Tgkill(pid, tid, 0) == nil {
		return nil, fmt.Errorf("systrap: thread %d has not exited as told", tid)
	}
	delete(v.exited, tid)
	delete(v.births, b.fd())
	v.threads[tid] = b.t
	b.t.bind(tid)
	return b, nil
}

// stray ends the process of a thread of no birth, which waits for the verifier.
func (v *verifier) stray(tid int) {
	v.mu.Lock()
	_, known := v.exited[tid]
	v.mu.Unlock()
	var info unix.Siginfo
	child := unix.Waitid(unix.P_PID, tid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil) == nil
	_ = unix.Kill(tid, unix.SIGKILL)
	if child && !known { // a process that nobody else will reap
		go kill(tid)
	}
}
