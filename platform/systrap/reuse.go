package systrap

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/stub"
)

// A vacancy is a stub that no space has. It waits in its handler for the registers of
// whatever guest is next. One that has served others before is as good as a new one:
// it shows nothing of theirs, and their code is not what runs next there. It has their
// files as descriptors, of which a guest can make nothing; so the next program's
// libraries may be there already. To end a process and to clone another takes the
// host several times as long as to empty it.
type vacancy struct {
	thread *thread
	files  files
	since  time.Time // zero: it has served nobody
}

const (
	// reusable is how many that have served are kept, besides clean ones,
	reusable = 3
	// vacantTime is for how long, as they keep files open.
	vacantTime = time.Second
)

// retireLocked ends the space, the only thread of whose process t is. If that can be, the
// process is kept for another: emptied, it waits for t's Context to leave it, which may
// have something to do with it yet.
func (s *space) retireLocked(t *thread) {
	c := s.threads[t]
	// What has had several threads is dear to its only one: no call is solo. And such
	// a guest chooses what signals are blocked, see emptyLocked.
	fit := s.err == nil && !t.threaded && len(s.threads) == 1 && c != nil && c.lender == nil && len(s.spare) == 0
	if !fit || !s.p.mother.reserve() {
		s.endLocked(errNoStub)
		return
	}
	s.vacating = true
	if err := s.emptyLocked(t); err != nil {
		s.endLocked(err)
		return
	}
	s.err = errNoStub
	s.forgetLocked()
}

// vacateLocked gives the process of t, which has been emptied, to whoever is next.
func (s *space) vacateLocked(t *thread) {
	t.region.begin(&s.p.gate, false)
	t.region.page.call = gateCall{}
	t.live().segments = s.p.segments
	if err := t.putFPU(s.p.initialFPU); err != nil {
		s.endLocked(err)
		return
	}
	// Who still has t finds it ended, and never gives its region back: the space does
	// not give up its part in it.
	n := &thread{p: t.p, region: t.region, pid: t.pid, frame: t.frame, fs: noBase, gs: noBase, spent: stub.ProcessTime(t.pid)}
	n.refs.Store(1)
	s.p.verifier.succeed(t, n)
	s.vacating = false
	s.p.mother.give(&vacancy{n, s.files, time.Now()})
	s.goneLocked()
}

// noBase is no address that FS or GS can have.
const noBase = 1 << 63

// emptyLocked makes the process of t, its only thread, as good as a new one but for its
// descriptors, unless there is an error.
//
// What t says proves nothing: it may be that the guest only pretends to wait, in or
// behind text of its own or the stub's, to go on with registers of its choice when
// the process is another's. But guest code can't block the interrupt, in a process that
// has only had one thread (back_amd64.s), and the handler does. So who is interrupted
// while it makes the first call has not come there by the handler's text alone, and ends
// (stub_amd64.s); and who makes the second has, waits in the handler again afterwards,
// and has nothing of the guest's left. An interrupt that is pending is late then.
func (s *space) emptyLocked(t *thread) error {
	p := s.p
	calls := make([]armed, 0, 4)
	for _, r := range p.facts.User {
		c := stub.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{uint64(r.Start), r.Len()}}
		verified(&c)
		calls = append(calls, armed{call: c})
	}
	calls[0].probe = true
	// The arguments' memory may have more of them than the host shows.
	calls = append(calls, armed{call: stub.Call{Nr: unix.SYS_MMAP, Args: [6]uint64{
		stubArgs, stub.NamesSize, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED, ^uint64(0), 0,
	}}}, naming)
	stub.ClearNames(t.region.names)
	(&stub.Names{Comm: "stub"}).Put(t.region.names, stubText, stubArgs)
	t.unnamed, t.hurried = false, true
	defer func() { t.hurried = false }()
	if err := t.do(calls); err != nil {
		return err
	}
	// Only now it is known to be the handler that has said where the frame is.
	_, err := t.look()
	p.answered.Add(atomic.LoadUint64(&t.region.page.answered))
	return err
}

// succeed makes n, of the same host thread, known in the place of t.
func (v *verifier) succeed(t, n *thread) {
	v.mu.Lock()
	defer v.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dead.CompareAndSwap(nil, &errEnded)
	n.tid, t.tid = t.tid, 0
	v.threads[n.tid] = n
}

// reserve reports whether there is room for one more stub that has served, which a
// call of give is to follow.
func (m *mother) reserve() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.thread == nil || m.spare == 0 || len(m.pool)+m.coming >= m.spare+reusable {
		return false
	}
	m.coming++
	return true
}

// give takes v over, or nil if nothing comes of what was reserved.
func (m *mother) give(v *vacancy) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.coming--
	switch {
	case v == nil:
		return
	case m.thread == nil:
		m.p.finish(v.thread)
		return
	}
	m.pool = append(m.pool, *v)
	if m.trimmer == nil {
		m.trimmer = time.AfterFunc(vacantTime, m.trim)
	}
}

// trim ends stubs that have served and that nobody has wanted for long.
func (m *mother) trim() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trimmer = nil
	used := false
	m.pool = slices.DeleteFunc(m.pool, func(v vacancy) bool {
		if v.since.IsZero() {
			return false
		}
		if time.Since(v.since) < vacantTime {
			used = true
			return false
		}
		m.p.finish(v.thread)
		return true
	})
	if used {
		m.trimmer = time.AfterFunc(vacantTime, m.trim)
	}
	m.fillLocked()
}

// errSlow is what becomes of an operation that is not worth waiting for.
var errSlow = errors.New("systrap: stub takes too long")
