package systrap

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/stub"
)

// A thread is one host thread of a stub, and what the sentry shares with it.
// At most one goroutine at a time hands over to it.
type thread struct {
	p      *Platform
	region region
	pid    int // its process; 0 means its own id, once that is known

	frame  int  // where in the region the signal frame is, when the stub has told something
	gated  bool // there is none: it waits in the gate
	worked bool // it has been told to do something since its event

	unnamed bool // the region has names that it is still to be told to show
	hurried bool // what takes it long it need not do

	spent int64 // what its process had run before it was this space's, in nanoseconds

	threaded bool // its process has, or has had, other threads
	slots    int  // how many solo operations, from the first on, may be in its region

	// How often each side looks for the other's word, and gives up the processor
	// to it, before it sleeps: see pace.
	spins, yields uint32
	fs, gs        uint64 // what the stub has in these registers

	// refs counts who may still look at the region: the space, and the Context.
	refs atomic.Int32

	// dead says why the thread will tell nothing any more.
	dead atomic.Pointer[error]

	mu    sync.Mutex
	tid   int     // 0 until its birth has been seen, and after its end
	armed []armed // host calls it may make, in this order
}

// An armed is one host call that a thread may make. If install is set, it
// gets the sentry's descriptor source as its own descriptor to before. If solo
// is, the verifier is not asked: see solo_amd64.s. If probe is, the thread is interrupted
// while it makes the call: see emptyLocked.
type armed struct {
	call                 stub.Call
	install, solo, probe bool
	source, to           int
}

// errKilled says that something outside the platform ended a stub.
var errKilled = errors.New("systrap: stub process was killed")

// How long the sentry waits for a stub before it looks whether that lives: it
// is not told of its end. A stub that has let so many waits pass with an
// interrupt unanswered, or something that it was told to do, does not want to. One
// that has not run meanwhile may want to: a host with much else to do has left threads
// that were ready without a processor for ten seconds.
const (
	firstWait = 100 * time.Millisecond
	maxWait   = time.Second
	patience  = 20
	starved   = 2 // times as much
)

// send publishes a reply that is in the page: the stub goes on.
func (t *thread) send(flags uint32) {
	p := t.region.page
	if p.flags != flags { // what is not written need not move between processors
		p.flags = flags
	}
	p.swapState(stateResume)
	if p.loadStubWaits() != 0 {
		futexWake(&p.state)
	}
}

// receive waits until the stub has told something.
func (t *thread) receive() error {
	if t.watch(int64(t.spins)) {
		return nil
	}
	t.yield()
	return t.sleep(nil)
}

// sleep sleeps until the stub has told something. interrupted says whether the
// thread has been asked to stop; nil, that it has something to do, and no guest
// code to run.
func (t *thread) sleep(interrupted *atomic.Bool) error {
	p := t.region.page
	if p.loadState() == stateEvent {
		return nil
	}
	wait, unanswered, ran := firstWait, 0, int64(0)
	p.swapSentryWaits(1)
	defer p.swapSentryWaits(0)
	for {
		state := p.loadState()
		if state == stateEvent {
			return nil
		}
		if dead := t.dead.Load(); dead != nil {
			return *dead
		}
		began := time.Now()
		futexWait(&p.state, state, wait)
		if time.Since(began) < wait {
			continue
		}
		if !alive(t.pid) {
			return errKilled
		}
		if t.hurried {
			return errSlow
		}
		switch now := stub.ProcessTime(t.pid); {
		case interrupted != nil && !interrupted.Load():
			unanswered = 0
		case now != ran:
			ran, unanswered = now, unanswered+starved
		default:
			unanswered++
		}
		if unanswered > starved*t.p.patience {
			return errors.New("systrap: stub does not answer")
		}
		wait = min(2*wait, maxWait)
	}
}

// alive reports whether the process pid has not ended.
func alive(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	return err == nil && info.Signo == 0
}

// condemn ends the thread's process for what it did, and tells its partner.
func (t *thread) condemn(err error) {
	t.dead.CompareAndSwap(nil, &err)
	_ = unix.Kill(t.pid, unix.SIGKILL)
	futexWake(&t.region.page.state)
}

// look finds the signal frame of what the stub has told, and returns a copy.
func (t *thread) look() (f sigframe, err error) {
	p := t.region.page
	off := p.frame - t.region.addr()
	if off < contextSize || off > uint64(stackEnd-frameSize) || off%8 != 0 {
		return f, fmt.Errorf("systrap: signal frame at %#x", p.frame)
	}
	t.frame, t.gated, t.fs, t.gs = int(off), false, p.fs, p.gs
	return *frameOf(t.region.bytes[off:]), nil
}

// live is the signal frame that the stub will return with.
func (t *thread) live() *sigframe { return frameOf(t.region.bytes[t.frame:]) }

// arm allows the thread to make calls, and puts them on its page.
func (t *thread) arm(calls []armed) {
	p := t.region.page
	t.worked = true
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = t.armed[:0]
	for i := range calls {
		p.op[i].call = calls[i].call
		switch {
		case calls[i].solo:
			t.region.solo.op[i].call = calls[i].call
			p.op[i].call.Nr |= soloOp
			t.slots = i + 1
			t.p.solo.Add(1)
		case calls[i].call.Nr&touchOp == 0 && !free(&calls[i].call):
			t.armed = append(t.armed, calls[i])
		}
	}
	p.ops, p.result = uint32(len(calls)), 0
	t.p.operations.Add(uint64(len(calls)))
}

// revoke takes back what solo operations there are: from now on they end the
// process.
func (t *thread) revoke() {
	if t.slots > 0 {
		clear(t.region.solo.op[:t.slots])
		t.slots = 0
	}
}

// done reports an error if the thread has not made the calls it was told to. Of
// solo ones it knows only that they are made by now or never.
func (t *thread) done() error {
	t.revoke()
	t.mu.Lock()
	left := len(t.armed)
	t.armed = t.armed[:0]
	t.mu.Unlock()
	if v := t.region.page.result; v > ^uint64(4095) {
		return fmt.Errorf("systrap: host refuses an operation: %w", unix.Errno(-v))
	}
	if left > 0 {
		return errors.New("systrap: stub did not do as told")
	}
	return nil
}

// do makes the stub, which has told something, make host calls. It returns the
// result of the last if that failed.
func (t *thread) do(calls []armed) error {
	if err := t.ready(); err != nil {
		return err
	}
	t.arm(calls)
	t.send(flagOps | flagReport)
	if err := t.receive(); err != nil {
		return err
	}
	return t.done()
}

// call makes the stub make one host call.
func (t *thread) call(nr uint64, args ...uint64) error {
	c := armed{call: stub.Call{Nr: nr}}
	copy(c.call.Args[:], args)
	return t.do([]armed{c})
}

// prove makes sure that all host calls before have been made: the verifier
// sees another one.
func (t *thread) prove() error {
	return t.call(unix.SYS_GETPID)
}

// birthTimeout bounds how long a new thread may take to say so. Its host may be
// very busy.
const birthTimeout = 10 * time.Second

// fork makes the stub clone its process, and returns the new one's thread, which
// waits with a copy of t's frame at index in its address space.
func (t *thread) fork(index int) (*thread, error) {
	r, err := t.p.regions.get(index)
	if err != nil {
		return nil, err
	}
	n, err := t.clone(forkFlags, r)
	if err == nil {
		return n, nil
	}
	if n.begun() {
		t.p.finish(n)
	} else {
		t.p.regions.put(r)
	}
	return nil, err
}

// clone makes the stub clone itself, and returns the new thread, which waits
// with a copy of t's frame in r. When there is an error, the thread is returned
// as well: a hostile stub may have made it all the same.
func (t *thread) clone(flags uint64, r region) (*thread, error) {
	n := &thread{p: t.p, region: r}
	if err := t.ready(); err != nil {
		return n, err
	}
	n.frame, n.fs, n.gs, n.threaded = t.frame, t.fs, t.gs, t.threaded
	n.refs.Store(1)
	if flags == threadFlags {
		n.pid = t.pid
	}
	t.copyFrame(n)
	b := t.p.verifier.expect(n)
	t.arm([]armed{{call: b.clone(flags)}})
	t.send(flagClone)
	err := t.receive()
	if err == nil {
		err = t.done()
	}
	if err == nil && !b.seen.Sleep(birthTimeout) {
		err = errors.New("systrap: new thread does not begin")
	}
	t.p.verifier.settle(b)
	if err != nil && n.begun() {
		err = fmt.Errorf("systrap: stub has cloned itself and denies it: %v", err)
	}
	return n, err
}

// copyFrame gives n, whose stub begins as a copy of t's, its frame.
func (t *thread) copyFrame(n *thread) {
	from, to := t.region, n.region
	copy(to.bytes[t.frame:], from.bytes[t.frame:])
	f := n.live()
	delta := to.addr() - from.addr()
	f.stack, f.stackFlag, f.stackSize = to.addr()+contextSize, 0, stackEnd-contextSize
	f.fpstate += delta
	to.begin(&t.p.gate, n.threaded)
	p := to.page
	p.state, p.sentryWaits, p.stubWaits = stateEvent, 0, 0
	p.frame, p.fs, p.gs, p.result = to.addr()+uint64(t.frame), t.fs, t.gs, 0
	p.spins, p.yields = 0, 0 // it begins on the processor of who serves it
}

// bind is called with the new thread's id, when the verifier has seen it.
func (t *thread) bind(tid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tid = tid
	if t.pid == 0 {
		t.pid = tid
	}
}

// begun reports whether the thread has been seen, and has not ended.
func (t *thread) begun() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tid != 0
}

// kick interrupts the thread if it runs guest code.
func (t *thread) kick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tid != 0 && unix.Tgkill(t.pid, t.tid, interruptSignal) == unix.ESRCH {
		err := errKilled
		t.dead.CompareAndSwap(nil, &err)
		futexWake(&t.region.page.state)
	}
}

// affinity says where the thread may run.
func (t *thread) affinity(set *unix.CPUSet) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tid == 0 {
		return nil
	}
	return unix.SchedSetaffinity(t.tid, set)
}

// end is called when the thread's process is dead, or when the thread has been
// told to exit.
func (t *thread) end(dead bool) {
	t.p.answered.Add(atomic.LoadUint64(&t.region.page.answered))
	t.p.verifier.forget(t, dead)
	t.revoke()
	t.mu.Lock()
	t.tid, t.armed = 0, nil
	t.mu.Unlock()
	t.dead.CompareAndSwap(nil, &errEnded)
	if !dead {
		return
	}
	futexWake(&t.region.page.state)
}

// unref gives the region back when nobody looks at it any more. Its process is
// dead.
func (t *thread) unref() {
	if t.refs.Add(-1) == 0 {
		t.p.regions.put(t.region)
	}
}

var errEnded = errors.New("systrap: address space has ended")
