package platformtest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

// A stressThread is one guest thread. It is a worker, which has a slice of its
// space's pages, or a poker, which writes to all that it can reach until it is
// stopped.
type stressThread struct {
	w      *stress
	s      *stressSpace
	c      platform.Context
	regs   arch.Regs
	slice  int // or -1
	random *rand.Rand
	vector [4]uint64 // the vector register
	serial uint64
	doing  string
	inside bool // a signal handler, so to speak

	// writing is the page that a visit is about to write to, or nil. Whether it has
	// when it is interrupted, nobody knows.
	writing *stressPage
	mail    mail
	stop    atomic.Bool
	done    chan struct{}
}

// newThread makes a thread that is part of the budget.
func (w *stress) newThread(s *stressSpace, c platform.Context, random *rand.Rand) *stressThread {
	h := &stressThread{w: w, s: s, c: c, slice: -1, random: random, serial: w.serial.Add(1), done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.living = append(w.living, h)
	return h
}

// start runs live, for h, on a goroutine of its own.
func (h *stressThread) start(live func()) {
	h.w.all.Add(1)
	elsewhere(func() {
		defer h.w.all.Done()
		live()
	})
}

// admit takes a place for one more thread, if there is one.
func (w *stress) admit() bool {
	if w.threads.Add(1) > stressThreads {
		w.threads.Add(-1)
		return false
	}
	return true
}

// begin starts a new space with a worker, as the first program does.
func (w *stress) begin(random *rand.Rand) {
	if !w.admit() {
		return
	}
	s := w.newSpace()
	if s == nil {
		return
	}
	h := w.newThread(s, w.p.NewContext(), random)
	h.slice, s.owner[0] = 0, h
	h.start(h.work)
}

// run switches once, and reports false if the space has died.
func (h *stressThread) run() (platform.Event, bool) {
	ev, err := h.c.Switch(h.s.as, &h.regs)
	if err != nil {
		h.s.died(h.doing+": Switch", err)
		return ev, false
	}
	if ev.Kind == platform.Interrupted && !h.mail.take() {
		h.fail(ev, "an interrupt that nobody sent")
	}
	h.mail.switches.Add(1)
	return ev, true
}

// fail says what an event should not have been.
func (h *stressThread) fail(ev platform.Event, want string) {
	h.w.fail("thread %d, %s: %+v, registers\n%+v, want %s", h.serial, h.doing, ev, h.regs, want)
}

// event is run, but not for interrupts. Like a kernel that delivers a signal, it
// sometimes lets the guest do something else first.
func (h *stressThread) event() (platform.Event, bool) {
	for {
		ev, ok := h.run()
		if !ok || ev.Kind != platform.Interrupted {
			return ev, ok
		}
		if h.inside || h.random.IntN(4) != 0 {
			continue
		}
		regs, vector, doing, state := h.regs, h.vector, h.doing, bytes.Clone(h.c.FPU())
		h.inside = true
		ok = h.visit(visitLoad, h.somePage()) && h.visit(visitRead, h.somePage())
		h.inside = false
		if err := h.c.SetFPU(state); err != nil && !h.s.dead.Load() {
			h.fail(ev, "to have its state back: "+err.Error())
		}
		h.regs, h.vector, h.doing = regs, vector, doing
		if !ok {
			return ev, false
		}
	}
}

// somePage is one of h's slice, of which it is known what is there.
func (h *stressThread) somePage() int {
	for {
		i := h.slice*slicePages + h.random.IntN(slicePages)
		if &h.s.page[i] != h.writing {
			return i
		}
	}
}

// scramble gives all registers values that mean nothing, and RIP.
func (h *stressThread) scramble(rip uint64) {
	const statusFlags = 0x8d5 // carry, parity, adjust, zero, sign, overflow
	base := func() uint64 { return h.random.Uint64() >> 18 &^ 7 }
	h.regs = filled(h.random.Uint64())
	h.regs.RIP, h.regs.RFLAGS = rip, 0x202|h.random.Uint64()&statusFlags
	h.regs.FSBase, h.regs.GSBase = base(), base()
}

// called makes r what it is at a system call that ends at rip.
func called(r arch.Regs, rip uint64) arch.Regs {
	enosys := int64(unix.ENOSYS)
	r.OrigRAX, r.RAX, r.RIP, r.RCX, r.R11 = r.RAX, uint64(-enosys), rip, rip, r.RFLAGS
	return r
}

// flagsOf makes what the host may do to r's flags not count: RF, after faults.
func flagsOf(r arch.Regs) arch.Regs {
	const rf = 0x10000
	r.RFLAGS, r.R11 = r.RFLAGS&^rf, r.R11&^rf
	return r
}

// visit lets the guest do v at page i, and checks what comes of it. It reports
// false if the space has died.
func (h *stressThread) visit(v *visit, i int) bool {
	h.doing = v.name
	page, word := &h.s.page[i], 0
	if !v.vector {
		word = h.random.IntN(4)
	}
	addr := at(i) + arch.Addr(wordsAt+8*word)
	h.scramble(v.at)
	base := h.regs.FSBase
	if v.write {
		base = h.regs.GSBase
	}
	h.regs.RDI = uint64(addr) - base
	want := h.regs
	if v.write {
		defer h.writes(page)()
	}
	ev, ok := h.event()
	if !ok {
		return false
	}
	if page.f == nil || v.write && !page.writable {
		code := int32(segvAccErr)
		if page.f == nil {
			code = segvMapErr
		}
		want.OrigRAX = h.regs.OrigRAX
		if ev.Kind != platform.Fault || ev.Addr != addr || ev.Signal != int32(unix.SIGSEGV) || ev.Code != code || flagsOf(h.regs) != flagsOf(want) {
			h.fail(ev, "a fault")
			return true
		}
		if h.random.IntN(4) == 0 || !h.cure(i, v.write) {
			return true
		}
		if ev, ok = h.event(); !ok {
			return false
		}
	}
	f := page.f
	switch {
	case v == visitRead:
		want.RAX = f.words[word]
	case v == visitWrite:
		f.words[word] = want.RAX
	case v == visitLoad:
		copy(h.vector[:], f.words[:vectorWords])
	default:
		copy(f.words[:], h.vector[:vectorWords])
	}
	want = called(want, v.at+v.length+2)
	if ev.Kind != platform.Syscall || flagsOf(h.regs) != flagsOf(want) {
		h.w.fail("thread %d, %s page %d: %+v, registers\n%+v, want\n%+v", h.serial, v.name, i, ev, h.regs, want)
	}
	for i, v := range f.words {
		if got := f.load(wordsAt + 8*i); got != v {
			h.w.fail("thread %d, %s: word %d of frame %#x is %#x, want %#x", h.serial, h.doing, i, f.off, got, v)
		}
	}
	return true
}

// writes is called before a write to page, and what it returns afterwards: that finds out
// whether it was made, if the guest has been killed.
func (h *stressThread) writes(page *stressPage) (settle func()) {
	h.writing = page
	return func() {
		h.writing = nil
		if h.s.dead.Load() && page.f != nil && page.writable {
			for i := range page.f.words {
				page.f.words[i] = page.f.load(wordsAt + 8*i)
			}
		}
	}
}

// cure lets the guest do at page i what it has faulted for, if there is memory.
func (h *stressThread) cure(i int, write bool) bool {
	p := &h.s.page[i]
	if p.f == nil {
		return h.s.mapPage(i, write || h.random.IntN(2) == 0)
	}
	return h.s.unshare(i)
}

// compute lets the guest work for a while, or until it is interrupted.
func (h *stressThread) compute() bool {
	h.doing = "compute"
	h.scramble(workAt)
	h.regs.R8 = 1 + h.random.Uint64N(20000)
	want := h.regs
	if h.random.IntN(4) == 0 {
		const forEver = 1 << 50
		h.regs.R8 = forEver
		after := time.Duration(h.random.IntN(300)) * time.Microsecond
		h.start(func() {
			time.Sleep(after)
			h.interrupt(1)
		})
		if ev, ok := h.run(); !ok {
			return false
		} else if ev.Kind != platform.Interrupted {
			h.fail(ev, "an interrupt")
			return true
		}
		want.R8 = forEver - h.regs.R8 + 1
		h.regs.R8 = 1
	}
	want.RAX, want.R8 = work(want), 0
	ev, ok := h.event()
	if !ok {
		return false
	}
	want.RFLAGS = h.regs.RFLAGS // of the last decrement
	if want = called(want, workEnd); ev.Kind != platform.Syscall || h.regs != want {
		h.w.fail("thread %d, compute: %+v, registers\n%+v, want\n%+v", h.serial, ev, h.regs, want)
	}
	return true
}

// offend makes the guest raise a signal of its own.
func (h *stressThread) offend() bool {
	h.doing = "undefined instruction"
	h.scramble(undefinedAt)
	want := h.regs
	ev, ok := h.event()
	if !ok {
		return false
	}
	want.OrigRAX = h.regs.OrigRAX
	if ev.Kind != platform.Signal || ev.Signal != int32(unix.SIGILL) || flagsOf(h.regs) != flagsOf(want) {
		h.fail(ev, "SIGILL")
	}
	return true
}

// creep executes one instruction of a visit to page i.
func (h *stressThread) creep(i int) bool {
	f := h.s.page[i].f
	if f == nil {
		return true
	}
	h.doing = "step"
	h.scramble(visitRead.at)
	h.regs.RDI = uint64(at(i)) - h.regs.FSBase
	want := h.regs
	h.c.Step(true)
	defer h.c.Step(false)
	inside := h.inside
	h.inside = true // a handler's instructions would be the ones stepped
	ev, ok := h.event()
	h.inside = inside
	if !ok {
		return false
	}
	want.RAX, want.RIP, want.OrigRAX = f.words[0], want.RIP+visitRead.length, h.regs.OrigRAX
	if ev.Kind != platform.Stepped || flagsOf(h.regs) != flagsOf(want) {
		h.w.fail("thread %d, step: %+v, registers\n%+v, want\n%+v", h.serial, ev, h.regs, want)
	}
	return true
}

// leave ends h's part in its space, and with the last worker the space.
func (h *stressThread) leave() {
	h.mail.close()
	h.w.mu.Lock()
	h.w.living = slices.DeleteFunc(h.w.living, func(o *stressThread) bool { return o == h })
	h.w.mu.Unlock()
	last := h.quit(h.s)
	if last && h.random.IntN(2) == 0 {
		h.s.release()
		last = false
	}
	h.c.Release()
	if last {
		h.s.release()
	}
	h.w.threads.Add(-1)
	close(h.done)
}

// quit takes h out of s, and reports whether no thread is left. It stops pokers
// that would be alone.
func (h *stressThread) quit(s *stressSpace) (last bool) {
	s.mu.Lock()
	last = true
	for i, o := range s.owner {
		if o == h {
			s.owner[i] = nil
		} else if o != nil {
			last = false
		}
	}
	pokers := slices.Clone(s.pokers)
	s.mu.Unlock()
	if !last || h.slice < 0 {
		return false
	}
	for _, k := range pokers {
		k.stop.Store(true)
		k.interrupt(1)
		<-k.done
	}
	return true
}
