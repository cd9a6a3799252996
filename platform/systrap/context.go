package systrap

import (
	"errors"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/place"
	"garrison/platform/stub"
)

// A Context is one guest thread, and when it is in a space, one thread of that
// space's stub.
type Context struct {
	p      *Platform
	space  *space
	thread *thread // nil when it is in no space, or in one that has ended
	locked bool    // the goroutine has been locked to its OS thread
	step   bool
	fpu    fpu
	names  *stub.Names // to be shown, or nil
	place  place.Pair
	server stub.ThreadClock
	pace   pace
	counts counts

	watched bool // the event was seen by watching, not slept for

	answers []told
	site    uint64        // where a call by SYSCALL returns to that has no reply yet, or 0
	siteNr  uint64        // its number
	judged  platform.Site // what was learnt since the last event
	called  arch.Regs     // the guest's registers at its last call by the gate
	hot     hotSites

	interrupted atomic.Bool // Interrupt was called and has not been reported
	inGuest     atomic.Bool // the stub may be running guest code
	current     atomic.Pointer[thread]

	lent   atomic.Pointer[thread] // what was thread, while another has it: see lend.go
	lender *Context               // who thread is to be given back to, or nil; protected by space.mu
}

func newContext(p *Platform) *Context {
	c := &Context{p: p}
	c.place.Affinity = func(set *unix.CPUSet) error {
		if t := c.current.Load(); t != nil {
			return t.affinity(set)
		}
		return nil
	}
	p.cpus.Add(&c.place)
	p.begin(c)
	return c
}

// Switch implements platform.Context.
func (c *Context) Switch(as platform.AddressSpace, regs *arch.Regs) (platform.Event, error) {
	s, ok := as.(*space)
	if !ok {
		return platform.Event{}, errors.New("systrap: address space of another platform")
	}
	if c.space != s {
		c.site, c.judged = 0, platform.Site{}
	}
	if c.space != s || !c.locked || c.lent.Load() != nil {
		if err := c.enter(s); err != nil {
			return platform.Event{}, err
		}
	}
	began := c.p.cpus.Resume(&c.place)
	c.beforeGuest(began)
	c.inGuest.Store(true)
	ev, err := c.run(s, regs)
	c.inGuest.Store(false)
	s.leftGuest()
	ev.Began, ev.Ended = began, c.p.cpus.Pause(&c.place)
	c.afterGuest(ev.Ended)
	return ev, err
}

var _ platform.Sleeper = (*Context)(nil)

// Slept implements platform.Sleeper.
func (c *Context) Slept() {
	c.pace.slept = true
	c.place.Slept()
}

// Waited implements platform.Sleeper.
func (c *Context) Waited() { c.pace.waited = true }

// Running implements platform.Context.
func (c *Context) Running() int64 { return c.place.Running() }

// run resumes the guest until there is an event. inGuest is set.
func (c *Context) run(s *space, regs *arch.Regs) (ev platform.Event, err error) {
	t := c.thread
	c.putNames()
	for {
		// Interrupts that come while the stub leaves the gate are seen below.
		if t.gated && (c.step || t.unnamed || s.pending.Load() || !c.plain(regs)) {
			if err := c.leaveGate(regs); err != nil {
				return ev, c.fail(err)
			}
		}
		// Whoever sets interrupted or queues an operation looks at inGuest
		// next, and whoever sets inGuest looks at those: one sees the other.
		if c.interrupted.Load() && c.interrupted.Swap(false) {
			// The registers are those given: nothing has run, or the event that
			// led here has stored them.
			return platform.Event{Kind: platform.Interrupted}, nil
		}
		var flags uint32
		if t.unnamed || s.pending.Load() {
			if t.gated {
				continue
			}
			s.mu.Lock()
			flags, err = s.rideLocked(t)
			s.mu.Unlock()
			if err != nil {
				return ev, err
			}
		}
		if err := c.resume(s, regs, flags); err != nil {
			return ev, c.fail(err)
		}
		happened := false
		if ev, happened, err = c.event(regs); err != nil {
			return ev, c.fail(err)
		}
		if happened {
			ev.Site, c.judged = c.judged, platform.Site{}
			return ev, nil
		}
	}
}

// resume lets the guest run until the stub tells something.
func (c *Context) resume(s *space, regs *arch.Regs, flags uint32) error {
	t := c.thread
	p := t.region.page
	t.spins, t.yields = 0, 0
	if c.place.IsApart() {
		t.spins = c.p.watch
	} else if c.pace.yielding {
		t.yields = yieldTimes
	}
	if p.spins != t.spins || p.yields != t.yields {
		p.spins, p.yields = t.spins, t.yields
	}
	if t.gated {
		p.call.rax = regs.RAX
	} else {
		c.judge(!t.worked && regs.RIP == c.site)
		t.worked = false
		t.live().load(regs, c.step)
		if gs := t.hostGS(regs.GSBase); regs.FSBase != t.fs || gs != t.gs {
			p.fs, p.gs = regs.FSBase, gs
			flags |= flagSegments
		}
	}
	t.send(flags)
	if c.watched = c.place.IsApart() && c.watch(); !c.watched {
		t.yield()
		if err := t.sleep(&c.interrupted); err != nil {
			return err
		}
	}
	if flags&flagOps == 0 {
		return nil
	}
	err := t.done()
	s.mu.Lock()
	s.riding = false
	s.mu.Unlock()
	return err
}

// fail ends the space after an error that leaves its stub in no known state,
// and returns the error that Switch reports.
func (c *Context) fail(err error) error {
	s := c.space
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(err)
	return s.err
}

// Interrupt implements platform.Context.
func (c *Context) Interrupt() {
	if c.interrupted.Swap(true) || !c.inGuest.Load() {
		return
	}
	if t := c.current.Load(); t != nil {
		t.kick()
	}
}

// Step implements platform.Context. An instruction that is a system call is
// reported as Syscall, not as Stepped.
func (c *Context) Step(on bool) { c.step = on }

// Spawn implements platform.Context.
func (c *Context) Spawn(as platform.AddressSpace) (platform.Context, error) {
	s, ok := as.(*space)
	if !ok {
		return nil, errors.New("systrap: address space of another platform")
	}
	n := newContext(c.p)
	n.place.Inherit(&c.place)
	err := error(nil)
	if s != c.space {
		err = n.occupy(s)
	} else {
		err = n.join(c)
	}
	if err != nil {
		n.forget()
		return nil, err
	}
	return n, nil
}

// join makes a new thread for n in c's space.
func (n *Context) join(c *Context) error {
	s := c.space
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if err := s.joinLocked(c.thread); err != nil {
		s.endLocked(err)
		return err
	}
	r, err := s.regionLocked()
	if err != nil {
		return err
	}
	t, err := c.thread.clone(threadFlags, r)
	if err != nil {
		s.spare = append(s.spare, exited{region: r})
		err = s.brokenLocked(err)
		if t.begun() {
			t.end(true)
		}
		return err
	}
	s.threads[t] = n
	n.inhabit(s, t)
	return nil
}

// inhabit makes t n's thread.
func (c *Context) inhabit(s *space, t *thread) {
	t.refs.Add(1)
	t.show(c.answers)
	c.space, c.thread = s, t
	c.current.Store(t)
}

// Release implements platform.Context.
func (c *Context) Release() {
	c.server.Stop()
	c.leave()
	c.forget()
}

// forget ends what is kept of every Context.
func (c *Context) forget() {
	c.p.cpus.Remove(&c.place)
	c.p.finished(c)
}

// enter makes c's host thread one of s's.
func (c *Context) enter(s *space) error {
	if c.lent.Load() != nil {
		if err := c.retake(); err != nil {
			return err
		}
	}
	if c.space != s {
		c.leave()
		if err := c.occupy(s); err != nil {
			return err
		}
	}
	if !c.locked {
		c.locked = true
		runtime.LockOSThread()
		stub.FineTimers()
		c.server.Start()
	}
	c.p.cpus.Pin(&c.place)
	return nil
}

// occupy takes the first thread of s's stub, making the stub if need be.
func (c *Context) occupy(s *space) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if s.pid == 0 {
		v, err := c.p.mother.stub()
		if err != nil {
			return err
		}
		s.files = v.files
		s.take(v.thread)
	}
	if s.vacant == nil {
		return errors.New("systrap: address space has threads: a new one comes from Spawn")
	}
	t := s.vacant
	s.vacant = nil
	s.threads[t] = c
	c.inhabit(s, t)
	return c.setFPU()
}

// leave gives up c's host thread, if it has one: what was borrowed is given back, else
// the thread exits, or as the last of its process, that serves another or is ended.
func (c *Context) leave() {
	s, t := c.space, c.thread
	if s == nil {
		return
	}
	c.current.Store(nil)
	c.space, c.thread = nil, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	if lent := c.lent.Swap(nil); lent != nil {
		t = lent
		c.disownLocked(s, t)
	}
	switch {
	case s.threads[t] != c: // the space has ended, or another has the thread
	case c.lender != nil:
		c.returnLocked(s, t)
	case len(s.threads) == 1:
		if !s.vacating {
			s.retireLocked(t)
		}
		if s.vacating {
			s.vacateLocked(t)
		}
	default:
		_ = t.ready() // or it is as good as dead
		// What says that the thread has gone is a page that it could have written
		// itself, so its region serves nobody else before the process's end.
		t.send(flagExit)
		delete(s.threads, t)
		s.spare = append(s.spare, exited{t.region, t.tid})
		t.end(false)
		return
	}
	t.unref()
}
