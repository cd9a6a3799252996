package platformtest

import (
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

// work is the life of a worker.
func (h *stressThread) work() {
	defer h.leave()
	for !h.w.over() && h.step() {
		h.w.steps.Add(1)
		if h.random.IntN(80) == 0 && h.w.threads.Load() > stressRoots {
			return
		}
	}
}

// step does one thing at random, and reports false if the space has died.
func (h *stressThread) step() bool {
	// What needs the space to itself, it must have entered, too: only a thread
	// that is in a space can fork it.
	if h.mail.switches.Load() > 0 {
		switch h.random.IntN(40) {
		case 0:
			return h.forks()
		case 1, 2:
			return h.spawns()
		case 3:
			return h.execs()
		case 4:
			return h.clears()
		}
	}
	h.s.mu.RLock()
	defer h.s.mu.RUnlock()
	i := h.somePage()
	switch h.random.IntN(20) {
	case 0, 1, 2:
		return h.visit(visitRead, i)
	case 3, 4, 5:
		return h.visit(visitWrite, i)
	case 6, 7:
		return h.visit(visitLoad, i)
	case 8, 9:
		return h.visit(visitStore, i)
	case 10, 11:
		h.s.mapPage(i, h.random.IntN(2) == 0)
	case 12, 13:
		h.s.unmapPage(i)
	case 14:
		h.protects(i)
	case 15, 16:
		h.frees(i)
	case 17:
		return h.compute()
	case 18:
		return h.offend()
	case 19:
		return h.creep(i)
	}
	return !h.s.dead.Load()
}

// frees unmaps page i, and sees that its frame can serve others. A thread that
// is in the guest all the while must not reach it any more.
func (h *stressThread) frees(i int) {
	h.s.unmapPage(i)
	by := h.c
	if h.random.IntN(2) == 0 {
		by = nil
	}
	h.s.barrier(by)
	if h.random.IntN(2) == 0 {
		time.Sleep(time.Duration(h.random.IntN(200)) * time.Microsecond)
	}
}

// protects takes the right to write page i, or gives it back.
func (h *stressThread) protects(i int) {
	p := &h.s.page[i]
	if p.f == nil || p.cow {
		return
	}
	access := arch.Read
	if p.writable = !p.writable; p.writable {
		access |= arch.Write
	}
	h.s.as.Protect(pages(at(i), 1), access)
}

// A newborn is a child's Context and its random numbers, made by its parent.
func (h *stressThread) newborn(as platform.AddressSpace) (c platform.Context, random *rand.Rand, ok bool) {
	h.w.births.RLock()
	defer h.w.births.RUnlock()
	random = rand.New(rand.NewPCG(h.random.Uint64(), h.serial))
	c, err := h.c.Spawn(as)
	if err != nil {
		h.s.died("Spawn", err)
		return nil, nil, false
	}
	if err := c.CloneFPU(h.c); err != nil && !h.w.kills {
		h.w.fail("CloneFPU: %v", err)
	}
	return c, random, true
}

// forks makes a copy of the space, with a worker.
func (h *stressThread) forks() bool {
	w, s := h.w, h.s
	if !w.admit() {
		return true
	}
	h.doing = "fork"
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.fork(h.c)
	if n == nil {
		w.threads.Add(-1)
		return false
	}
	w.addSpace(n)
	c, random, ok := h.newborn(n.as)
	if !ok {
		w.threads.Add(-1)
		n.release()
		return !s.dead.Load()
	}
	k := w.newThread(n, c, random)
	k.vector, k.slice, n.owner[h.slice] = h.vector, h.slice, k
	k.start(k.work)
	return true
}

// spawns makes another thread of the space: a worker, or a poker if there is
// none.
func (h *stressThread) spawns() bool {
	w, s := h.w, h.s
	if !w.admit() {
		return true
	}
	h.doing = "spawn"
	s.mu.Lock()
	defer s.mu.Unlock()
	c, random, ok := h.newborn(s.as)
	if !ok {
		w.threads.Add(-1)
		return false
	}
	k := w.newThread(s, c, random)
	k.vector = h.vector
	slice := slices.Index(s.owner[:], nil)
	if len(s.pokers) == 0 || slice < 0 {
		s.pokers = append(s.pokers, k)
		k.start(k.poke)
		return true
	}
	k.slice, s.owner[slice] = slice, k
	k.start(k.work)
	return true
}

// execs moves the thread to a new space; if it was the last worker, the old one
// ends, before the new one is entered or after it.
func (h *stressThread) execs() bool {
	old := h.s
	h.doing = "exec"
	s := h.w.newSpace()
	if s == nil {
		return false
	}
	last := h.quit(old)
	s.mu.Lock()
	h.s, h.slice, s.owner[0] = s, 0, h
	s.mu.Unlock()
	early := h.random.IntN(2) == 0
	if last && early {
		old.release()
	}
	if h.c.ResetFPU(); true {
		h.vector = [4]uint64{}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	ok := true
	for range 3 { // nothing of the old space is there
		ok = ok && h.visit(visitRead, h.somePage())
	}
	ok = ok && h.visit(visitStore, h.somePage())
	if last && !early {
		old.release()
	}
	return ok
}

// clears unmaps all pages by one operation, if the thread is alone.
func (h *stressThread) clears() bool {
	s := h.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.owner {
		if o != nil && o != h {
			return true
		}
	}
	s.as.Unmap(arch.Range{Start: areaAt, End: areaAt + 1<<28})
	for i := range s.page {
		s.put(i, stressPage{})
	}
	return true
}

// poke is the life of a poker: it runs through all pages, looks whose they are,
// and writes to them.
func (h *stressThread) poke() {
	defer h.leave()
	defer func() {
		h.s.mu.Lock()
		defer h.s.mu.Unlock()
		h.s.pokers = slices.DeleteFunc(h.s.pokers, func(o *stressThread) bool { return o == h })
	}()
	h.doing = "poke"
	h.regs = filled(h.serial)
	h.regs.RIP, h.regs.RAX, h.regs.RSI = pokerAt, h.s.id<<32, h.s.group
	h.regs.RDI, h.regs.R9, h.regs.R8 = areaAt, areaAt, uint64(at(areaPages))
	same := func(r arch.Regs) arch.Regs { // what the loop does not change
		r.RIP, r.RFLAGS, r.OrigRAX, r.RAX, r.RDX, r.RDI = 0, 0, 0, 0, 0, 0
		return r
	}
	want := same(h.regs)
	for !h.stop.Load() && !h.w.over() {
		ev, ok := h.run()
		if !ok {
			return
		}
		if same(h.regs) != want || h.regs.RAX>>32 != h.s.id {
			h.fail(ev, "the same ones as ever")
		}
		switch ev.Kind {
		case platform.Interrupted:
		case platform.Fault:
			h.poked(ev)
		default:
			h.fail(ev, "to see only its own group's pages")
		}
	}
}

// poked handles a poker's fault: sometimes as a kernel would, and mostly by
// going on with the next page.
func (h *stressThread) poked(ev platform.Event) {
	write := h.regs.RIP != pokerAt
	want := uint64(groupAt)
	if write {
		want = pokeAt
	}
	if ev.Signal != int32(unix.SIGSEGV) || ev.Addr != arch.Addr(h.regs.RDI+want) {
		h.fail(ev, "a fault where it pokes")
	}
	if i := int(h.regs.RDI-areaAt) / arch.PageSize; write && h.random.IntN(4) == 0 {
		h.s.mu.Lock()
		if p := &h.s.page[i]; p.cow && h.s.unshare(i) {
			defer h.s.mu.Unlock()
			return
		}
		h.s.mu.Unlock()
	}
	h.regs.RIP = pokerNext
	// It does not come back for each page that is not there.
	for next := int(h.regs.RDI-areaAt)/arch.PageSize + 1; next < areaPages && !h.s.mapped[next].Load(); next++ {
		h.regs.RDI += arch.PageSize
	}
}
