package ptrace

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/place"
	"garrison/platform/stub"
)

// interruptSignal is what stops a running guest. Guests' own signals exist
// only in the sentry, and what a host signal does by default never happens to
// a tracee, so any will do; this one would do nothing to a stub in no case.
const interruptSignal = unix.SIGURG

// A Context is one guest thread, and when attached, the one host thread whose
// tracer is the OS thread of the goroutine that uses it.
type Context struct {
	p        *Platform
	space    *space // where its host thread is or will be
	attached bool   // thread has been seized by this goroutine's OS thread
	locked   bool   // the goroutine has been locked to its OS thread
	thread   thread
	step     bool
	switches uint64 // how often the guest has run
	fpu      fpu
	names    *stub.Names // to be shown, or nil
	place    place.Pair
	server   stub.ThreadClock

	interrupted atomic.Bool // Interrupt was called and has not been reported
	inGuest     atomic.Bool // the tracee may be running guest code

	mu  sync.Mutex
	tid int // host thread to send signals to, or 0
	pid int
}

func newContext(p *Platform) *Context {
	c := &Context{p: p}
	c.place.Affinity = c.affinity
	p.cpus.Add(&c.place)
	return c
}

// Switch implements platform.Context.
func (c *Context) Switch(as platform.AddressSpace, regs *arch.Regs) (platform.Event, error) {
	s, ok := as.(*space)
	if !ok {
		return platform.Event{}, errors.New("ptrace: address space of another platform")
	}
	if !c.attached || c.space != s {
		if err := c.enter(s); err != nil {
			return platform.Event{}, err
		}
	}
	if err := c.putFPU(); err != nil {
		return platform.Event{}, c.fail(err)
	}
	began := c.p.cpus.Resume(&c.place)
	ev, err := c.run(s, regs)
	ev.Began, ev.Ended = began, c.p.cpus.Pause(&c.place)
	return ev, err
}

var _ platform.Sleeper = (*Context)(nil)

// Slept implements platform.Sleeper.
func (c *Context) Slept() { c.place.Slept() }

// Waited implements platform.Sleeper.
func (*Context) Waited() {}

// Running implements platform.Context.
func (c *Context) Running() int64 { return c.place.Running() }

// run resumes the guest until there is an event.
func (c *Context) run(s *space, regs *arch.Regs) (platform.Event, error) {
	t := &c.thread
	c.switches++
	c.inGuest.Store(true)
	defer func() {
		c.inGuest.Store(false)
		s.leftGuest()
	}()
	for {
		// Whoever sets interrupted or queues an operation looks at inGuest
		// next, and whoever sets inGuest looks at those: one sees the other.
		if c.interrupted.Load() && c.interrupted.Swap(false) {
			// The registers are those given: nothing has run, or the stop that
			// led here has stored them.
			return platform.Event{Kind: platform.Interrupted}, nil
		}
		if c.names != nil || s.pending.Load() {
			s.mu.Lock()
			c.putNamesLocked()
			err := s.flushLocked(t)
			s.mu.Unlock()
			if err != nil {
				return platform.Event{}, err
			}
			continue // the stub's own work swallows the signal of an Interrupt
		}
		ws, err := c.resume(regs)
		if err != nil {
			return platform.Event{}, c.fail(err)
		}
		ev, happened, err := c.event(ws, regs)
		if err != nil {
			return platform.Event{}, c.fail(err)
		}
		if happened {
			return ev, nil
		}
	}
}

// resume lets the tracee run guest code until it stops, and reads the
// registers it stopped with.
func (c *Context) resume(regs *arch.Regs) (unix.WaitStatus, error) {
	t := &c.thread
	next := t.raw // for its segment selectors
	load(&next, regs)
	request := ptraceSysemu
	if c.step {
		request = ptraceSysemuSinglestep
	}
	if err := t.put(&next); err != nil {
		return 0, err
	}
	if err := ptrace(request, t.tid, 0, 0); err != nil {
		return 0, fmt.Errorf("ptrace: resume: %w", err)
	}
	ws, err := t.wait()
	if err != nil {
		return 0, err
	}
	return ws, t.get()
}

// fail ends the space after an error that leaves its stub in no known state,
// and returns the error that Switch reports.
func (c *Context) fail(err error) error {
	s := c.space
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, unix.ESRCH) {
		err = errKilled
	}
	s.endLocked(err)
	return s.err
}

// affinity sets where the host thread may run.
func (c *Context) affinity(set *unix.CPUSet) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tid == 0 {
		return nil
	}
	return unix.SchedSetaffinity(c.tid, set)
}

// Interrupt implements platform.Context.
func (c *Context) Interrupt() {
	if !c.interrupted.Swap(true) && c.inGuest.Load() {
		c.kick()
	}
}

// kick stops the tracee if it is running.
func (c *Context) kick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tid != 0 {
		_ = unix.Tgkill(c.pid, c.tid, interruptSignal)
	}
}

// Step implements platform.Context. An instruction that is a system call is
// reported as Syscall, not as Stepped.
func (c *Context) Step(on bool) { c.step = on }

// Spawn implements platform.Context.
func (c *Context) Spawn(as platform.AddressSpace) (platform.Context, error) {
	s, ok := as.(*space)
	if !ok {
		return nil, errors.New("ptrace: address space of another platform")
	}
	if s != c.space {
		n := newContext(c.p)
		n.place.Inherit(&c.place)
		if err := n.occupy(s); err != nil {
			c.p.cpus.Remove(&n.place)
			return nil, err
		}
		return n, nil
	}
	if !c.attached {
		if err := c.attach(); err != nil {
			return nil, err
		}
	}
	if err := c.putFPU(); err != nil {
		return nil, c.fail(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	s.mindLocked(&c.thread)
	tid, err := c.thread.clone(threadFlags, -1)
	s.others.Store(nil)
	if err != nil {
		if errors.Is(err, errKilled) {
			s.endLocked(err)
		}
		return nil, err
	}
	n := newContext(c.p)
	n.place.Inherit(&c.place)
	n.space = s
	n.setThread(s.stub.pid, tid)
	n.fpu.inherit(c)
	s.threads[tid] = n
	return n, nil
}

// Release implements platform.Context.
func (c *Context) Release() {
	c.server.Stop()
	c.leave()
	c.p.cpus.Remove(&c.place)
}

// enter makes c's host thread one of s's, traced by this OS thread.
func (c *Context) enter(s *space) error {
	if c.space != s {
		if moved, err := c.move(s); moved || err != nil {
			return err
		}
		c.leave()
		if err := c.occupy(s); err != nil {
			return err
		}
	}
	return c.attach()
}

// move makes a process that c has for itself, and will leave, that of the
// space s, which has none yet: emptied, it is as good as a new one, and cheaper.
func (c *Context) move(s *space) (moved bool, err error) {
	old := c.space
	if old == nil || !c.attached {
		return false, nil
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	s.mu.Lock() // nobody locks two spaces in the other order: s has no threads
	defer s.mu.Unlock()
	alone := len(old.threads) == 1 && old.threads[old.stub.pid] == c
	if !alone || old.err != nil || s.err != nil || s.stub.pid != 0 {
		return false, nil
	}
	old.queue.Done(len(old.queue))
	for _, r := range c.p.facts.User {
		old.queue.Add(stub.Op{Kind: stub.Unmap, Range: r})
	}
	if err := old.flushLocked(&c.thread); err != nil {
		return false, err
	}
	s.stub, s.files, s.threads = old.stub, old.files, old.threads
	old.stub, old.files, old.threads = process{}, files{}, nil
	old.err = errNoStub
	c.p.untrack(old)
	c.p.track(s)
	c.space = s
	// A program starts with no segments of its predecessor's.
	raw := &c.thread.raw
	raw.Cs, raw.Ss, raw.Ds, raw.Es, raw.Fs, raw.Gs = userCS, userSS, 0, 0, 0, 0
	c.thread.known = false
	return true, nil
}

// occupy takes the first thread of s's stub, making the stub if need be.
func (c *Context) occupy(s *space) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if s.stub.pid == 0 {
		st, err := c.p.mother.stub()
		if err != nil {
			return err
		}
		s.stub, s.vacant = st, true
		s.p.track(s)
		c.fpu.clean()
	}
	if !s.vacant {
		return errors.New("ptrace: address space has threads: a new one comes from Spawn")
	}
	s.vacant = false
	if s.forkedFrom != nil {
		c.fpu.inheritAt(s.forkedFrom, s.forkedAt)
		s.forkedFrom = nil
	}
	c.space = s
	c.setThread(s.stub.pid, s.stub.pid)
	s.threads[s.stub.pid] = c
	return nil
}

// attach seizes c's host thread.
func (c *Context) attach() error {
	// A tracer is a thread, and this one is also bound to a processor: it must
	// not run another goroutine.
	if !c.locked {
		c.locked = true
		runtime.LockOSThread()
		stub.FineTimers()
		c.server.Start()
	}
	t := &c.thread
	c.p.cpus.Pin(&c.place)
	if err := t.seize(); err != nil {
		return c.fail(err)
	}
	// A new process maps its own operations page before it sleeps, unless it was
	// seized on the way.
	if t.tid == t.pid && t.raw.R14 != stubReady {
		c.space.mu.Lock()
		off := uint64(c.space.stub.slot.offset())
		c.space.mu.Unlock()
		if _, err := t.call(unix.SYS_MMAP, stubOps, slotSize, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_FIXED, stubControl, off); err != nil {
			return c.fail(fmt.Errorf("ptrace: map operations page: %w", err))
		}
	}
	c.attached = true
	return nil
}

// leave gives up c's host thread, if it has one: the thread exits, or as the
// last of its process, the process is ended.
func (c *Context) leave() {
	s := c.space
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tid, attached := c.thread.tid, c.attached
	c.space, c.attached = nil, false
	if s.threads[tid] != c {
		return // the space has ended
	}
	if len(s.threads) == 1 {
		s.endLocked(errNoStub)
		return
	}
	// A thread that never ran has to be seized to be told to exit.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t := &c.thread
	// Detached, it exits and is reaped by nobody's effort: a traced thread
	// that is the first of its process could not be waited for, and would
	// take the process along when its tracer's thread ends.
	if (!attached && t.seize() != nil || t.exit() != nil) && tid != s.stub.pid {
		reap(tid) // it was killed: the first thread can't be reaped before it
	}
	c.forgetThread()
	delete(s.threads, tid)
}

func (c *Context) setThread(pid, tid int) {
	c.thread = thread{pid: pid, tid: tid}
	c.mu.Lock()
	c.pid, c.tid = pid, tid
	c.mu.Unlock()
}

// forgetThread is called before the host thread's id can be reused.
func (c *Context) forgetThread() {
	c.mu.Lock()
	c.tid = 0
	c.mu.Unlock()
}
