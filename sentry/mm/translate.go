package mm

import (
	"sync/atomic"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
)

// A translation is guest memory as the sentry sees it: m is the sentry's own
// mapping of r. It never changes.
type translation struct {
	r      arch.Range
	m      []byte
	access arch.Access
	window *hostWindow // of a donated descriptor, nil for the page file
	mem    memfile.Range
}

// A tlb caches translations by address. Slots are filled by readers of the
// space and cleared by writers, under Space.mu.
type tlb struct {
	slot [tlbSlots]atomic.Pointer[translation]
}

const tlbSlots = 16

func slotOf(a arch.Addr) int { return int((a>>14 ^ a>>21 ^ a>>28) % tlbSlots) }

func (t *tlb) get(a arch.Addr) *translation {
	if e := t.slot[slotOf(a)].Load(); e != nil && e.r.Contains(a) {
		return e
	}
	return nil
}

func (t *tlb) put(a arch.Addr, e *translation) { t.slot[slotOf(a)].Store(e) }

// flush forgets what overlaps r.
func (t *tlb) flush(r arch.Range) {
	for i := range t.slot {
		if e := t.slot[i].Load(); e != nil && e.r.Overlaps(r) {
			t.slot[i].Store(nil)
		}
	}
}

func (t *tlb) clear() { t.flush(arch.Range{End: ^arch.Addr(0)}) }

// lookup is the translation of a for want, nil if there is none at once. s.mu is
// held, for reading at least. A translation with a window has been acquired.
func (s *Space) lookup(a arch.Addr, want arch.Access) *translation {
	e := s.tlb.get(a)
	if e != nil && permits(e.access, want) && (e.window == nil || e.window.acquire()) {
		return e
	}
	if e = s.translate(a, want); e != nil {
		s.tlb.put(a, e)
	}
	return e
}

// done ends the use of what lookup returned.
func (e *translation) done() {
	if e.window != nil {
		e.window.release()
	}
}

// translate makes the translation of a from its run, which must grant want.
func (s *Space) translate(a arch.Addr, want arch.Access) *translation {
	r, x, ok := s.runs.Lookup(a)
	if !ok || !permits(x.access, want) {
		return nil
	}
	return s.translateRun(a, rng(r), &x)
}

func (s *Space) translateRun(a arch.Addr, r arch.Range, x *run) *translation {
	skip := uint64(a.Down() - r.Start)
	off, n := x.off+skip, r.Len()-skip
	e := &translation{access: x.access}
	if !x.inMemory() {
		if e.window, e.m = s.env.windows.get(x.host, off, n, x.access&arch.Write != 0); e.window == nil {
			return nil
		}
	} else {
		// From as far back as the sentry's mapping reaches, not just from a on.
		back := min(skip, off-memfile.ChunkStart(off))
		if e.m = s.env.memory.Bytes(off-back, n+back); len(e.m) == 0 {
			return nil
		}
		e.mem = memfile.Range{Start: off - back, End: off - back + uint64(len(e.m))}
		skip -= back
	}
	start := r.Start + arch.Addr(skip)
	e.r = arch.Range{Start: start, End: start + arch.Addr(len(e.m))}
	return e
}

// at is the part of e from a on.
func (e *translation) at(a arch.Addr) []byte { return e.m[a-e.r.Start:] }

// faultIn makes a accessible to the kernel for want, as the guest's own access would. The
// error is EFAULT. force ignores what the guest may do (FOLL_FORCE). s.mu is not held.
func (s *Space) faultIn(a arch.Addr, want arch.Access, force bool) error {
	s.mu.Lock()
	defer s.unlock()
	if s.dead || a >= s.top() {
		return linux.EFAULT
	}
	vr, v, ok := s.find(a)
	if !ok {
		if vr, v, ok = s.growStack(a); !ok {
			return linux.EFAULT
		}
	}
	if !permits(v.access, want) {
		switch {
		case !force || v.max&arch.Read == 0:
			return linux.EFAULT
		case want&arch.Write != 0 && v.is(vmShared):
			return linux.EFAULT
		}
	}
	err := s.resolve(a, want, vr, &v, force)
	if err == linux.ENOMEM {
		s.env.outOfMemory()
	}
	if err != nil {
		return linux.EFAULT
	}
	return nil
}
