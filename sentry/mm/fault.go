package mm

import (
	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
)

// A Fault is what a guest's memory access comes to.
type Fault struct {
	// Resolved: run the guest again. Else, with OutOfMemory, the container has
	// used up its memory: choose a victim. Else send Signal with Code and Addr.
	Resolved    bool
	OutOfMemory bool
	Signal      linux.Signal
	Code        int32
	Addr        arch.Addr
}

// A FaultMemo is one task's memory of its last fault. Where the platform can't
// say what an access wanted, it tells a fault that a retry cures from one that
// comes again.
type FaultMemo struct {
	page    arch.Addr
	changes uint64
	times   int
}

// repeated reports whether the fault at page happened before, times times or more,
// with no change to the space since.
func (m *FaultMemo) repeated(page arch.Addr, changes uint64, times int) bool {
	if m.page != page || m.changes != changes {
		*m = FaultMemo{page: page, changes: changes}
	}
	m.times++
	return m.times > times
}

// Bits of the error code of a page fault (trap 14).
const (
	trapPageFault = 14
	pfWrite       = 1 << 1
	pfExec        = 1 << 4
)

// wanted is the access that ev was raised for, NoAccess if that is not known:
// not every platform has the processor's error code, and a code that says
// neither write nor fetch may just be all that is known.
func wanted(ev *platform.Event) arch.Access {
	switch {
	case ev.Access != arch.NoAccess:
		return ev.Access
	case ev.Trap == trapPageFault && ev.Error&pfWrite != 0:
		return arch.Write
	case ev.Trap == trapPageFault && ev.Error&pfExec != 0:
		return arch.Exec
	}
	return arch.NoAccess
}

// permits reports whether a mapping with rights a lets want through: any right
// lets read.
func permits(a, want arch.Access) bool {
	return a != arch.NoAccess && a.Has(want&^arch.Read)
}

// HandleFault tries to cure a platform.Fault event of a task in s. memo is the task's.
func (s *Space) HandleFault(ev *platform.Event, memo *FaultMemo) Fault {
	segv := Fault{Signal: linux.SIGSEGV, Code: linux.SEGV_MAPERR, Addr: ev.Addr}
	want := wanted(ev)
	s.mu.Lock()
	defer s.unlock()
	if s.dead || ev.Addr >= s.top() {
		return segv
	}
	vr, v, ok := s.find(ev.Addr)
	if !ok {
		if vr, v, ok = s.growStack(ev.Addr); !ok {
			return segv
		}
	}
	segv.Code = linux.SEGV_ACCERR
	if !permits(v.access, want) {
		return segv
	}
	if linux.Signal(ev.Signal) == linux.SIGBUS {
		return s.busFault(ev, memo)
	}
	if want == arch.NoAccess {
		_, x, ok := s.runs.Lookup(ev.Addr)
		switch {
		case !ok:
			// Nothing is there: a read is enough for now.
		case v.access&arch.Write != 0 && x.access&arch.Write == 0 && ev.Code != linux.SEGV_MAPERR:
			want = arch.Write // what is mapped can be read
		case memo.repeated(ev.Addr.Down(), s.changes, 1):
			return segv
		}
	} else if memo.repeated(ev.Addr.Down(), s.changes, 8) {
		return segv // the host refuses what we think it grants
	}
	used := s.mem.used
	switch s.resolve(ev.Addr, want, vr, &v, false) {
	case nil:
		if s.mem.used != used {
			s.filled.faulted.Add(1)
		}
		return Fault{Resolved: true}
	case linux.ENOMEM:
		return Fault{OutOfMemory: true, Addr: ev.Addr}
	}
	return Fault{Signal: linux.SIGBUS, Code: linux.BUS_ADRERR, Addr: ev.Addr}
}

// busFault is a SIGBUS of the host's: the page file can't grow, or a file is
// shorter than what is mapped of it.
func (s *Space) busFault(ev *platform.Event, memo *FaultMemo) Fault {
	_, x, ok := s.runs.Lookup(ev.Addr)
	if ok && x.host == nil {
		if s.env.reclaim() {
			return Fault{Resolved: true}
		}
		return Fault{OutOfMemory: true, Addr: ev.Addr}
	}
	if !ok && !memo.repeated(ev.Addr.Down(), s.changes, 1) {
		return Fault{Resolved: true} // unmapped meanwhile: look again
	}
	code := ev.Code
	if code != linux.BUS_ADRALN {
		code = linux.BUS_ADRERR
	}
	return Fault{Signal: linux.SIGBUS, Code: code, Addr: ev.Addr}
}

// resolve makes the page of a, in the mapping v at vr which permits it,
// accessible for want; force is for the kernel alone (FOLL_FORCE). The error
// is EFAULT (nothing is there: SIGBUS) or ENOMEM.
func (s *Space) resolve(a arch.Addr, want arch.Access, vr arch.Range, v *vma, force bool) error {
	p := pageOf(a)
	_, x, ok := s.runs.Lookup(a)
	if !ok {
		r := arch.Range{Start: p.Start, End: vr.End}
		if force {
			return s.resolveForced(p, vr, want, v)
		}
		end, err := s.fill(r, vr, v)
		if end == p.Start {
			return faultErr(err)
		}
		if _, x, ok = s.runs.Lookup(a); !ok {
			return linux.EFAULT
		}
	}
	if want&arch.Write != 0 && (x.cow || x.access&arch.Write == 0) {
		return s.makeWritable(p, vr, v)
	}
	if want&arch.Exec != 0 && x.access&arch.Exec == 0 {
		return s.refill(p, vr, v, want)
	}
	return nil
}

// resolveForced gives a page without access a run, for the kernel's own use.
func (s *Space) resolveForced(p, vr arch.Range, want arch.Access, v *vma) error {
	w := *v
	if w.access == arch.NoAccess {
		w.access = arch.Read
	}
	end, err := s.fill(p, vr, &w)
	if end == p.Start {
		return faultErr(err)
	}
	s.setRunAccess(p, v)
	if want&arch.Write != 0 && !v.is(vmShared) {
		return s.makeWritable(p, vr, v)
	}
	return nil
}

// refill maps the page of a shared mapping anew, for want: its file knows more
// of it than it told before.
func (s *Space) refill(p, vr arch.Range, v *vma, want arch.Access) error {
	if v.file() == nil || !v.is(vmShared) {
		return linux.EFAULT
	}
	got, err := v.shown.file.Pages(v.off+uint64(p.Start-vr.Start), p.Len(), v.host())
	if err != nil || got.Len == 0 || !got.Access.Has(want) {
		return faultErr(err)
	}
	s.unmapRuns(p)
	if n, err := s.fillFile(p, vr, v); n == 0 {
		return faultErr(err)
	}
	return nil
}

// faultErr is a Mappable's error as resolve returns it.
func faultErr(err error) error {
	if err == linux.ENOMEM {
		return err
	}
	return linux.EFAULT
}

// stackStep is how far a stack of n bytes grows at least, where it may: the
// deeper the faster, for each step is a fault that the sentry sees.
func stackStep(n uint64) arch.Addr {
	return arch.Addr(min(max(n/2, 16*arch.PageSize), 1<<20)).Down()
}

// growStack grows the mapping above a down to it, if it grows down and may
// (expand_stack); it returns the mapping.
func (s *Space) growStack(a arch.Addr) (vr arch.Range, v vma, ok bool) {
	it := s.vmas.Find(a)
	if !it.Ok() {
		return vr, v, false
	}
	vr, v = rng(it.Range()), it.Value()
	if !v.is(vmGrowsDown) || a < s.bottom() {
		return vr, v, false
	}
	limit := s.limit(limits.Stack)
	if uint64(vr.End-a.Down()) > limit {
		return vr, v, false
	}
	floor := s.bottom() // as far as another mapping, and its distance, allow
	if it.Prev(); it.Ok() {
		below := it.Value()
		floor = it.Range().End
		if below.access != arch.NoAccess && !below.is(vmGrowsDown) {
			floor += guardGap
		}
	}
	if a.Down() < floor {
		return vr, v, false
	}
	start := max(min(a.Down(), vr.Start-min(vr.Start, stackStep(vr.Len()))), floor)
	if uint64(vr.End-start) > limit {
		start = a.Down()
	}
	n := uint64(vr.Start - start)
	if s.mayExpand(&v, n) != nil || v.is(vmLocked) && s.mayLock(n, false) != nil {
		return vr, v, false
	}
	grown := arch.Range{Start: start, End: vr.Start}
	if !s.user(grown) {
		return vr, v, false
	}
	old := v
	s.dropVMAsQuietly(vr)
	vr.Start = start
	s.count.tally(&v, n, 1)
	s.vmas.Insert(ivl(vr), old)
	if _, err := s.fill(grown, vr, &v); err != nil {
		return vr, v, true // the fault will say
	}
	return vr, v, true
}

// dropVMAsQuietly removes the one mapping at r, which is put back larger.
func (s *Space) dropVMAsQuietly(r arch.Range) { s.vmas.Remove(ivl(r), nil) }

// populate makes the pages of r present, as far as that works (mm_populate).
func (s *Space) populate(r arch.Range) error {
	for at := r.Start; at < r.End; {
		vr, v, ok := s.find(at)
		if !ok {
			return linux.ENOMEM
		}
		part := r.Intersect(vr)
		at = part.End
		want := arch.Read
		if v.access&arch.Write != 0 && !v.is(vmShared) {
			want = arch.Write
		}
		if err := s.populatePart(part, vr, &v, want); err != nil {
			return err
		}
	}
	return nil
}

// populatePart makes the pages of r, in v at vr, present for want.
func (s *Space) populatePart(r, vr arch.Range, v *vma, want arch.Access) error {
	if !permits(v.access, want) {
		return linux.EFAULT
	}
	for at := r.Start; at < r.End; {
		rr, x, ok := s.runs.Lookup(at)
		if !ok || want&arch.Write != 0 && (x.cow || x.access&arch.Write == 0) {
			if err := s.resolve(at, want, vr, v, false); err != nil {
				return err
			}
			if rr, x, ok = s.runs.Lookup(at); !ok {
				return linux.EFAULT
			}
		}
		part := rng(rr).Intersect(r)
		if x.host == nil {
			x.off += uint64(part.Start - rr.Start)
			if err := s.env.memory.Populate(x.memory(part)); err != nil {
				return linux.ENOMEM
			}
		}
		at = part.End
	}
	return nil
}
