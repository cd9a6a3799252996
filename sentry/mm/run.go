package mm

import (
	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/memfile"
)

// A run is guest pages that the host has mapped in one piece: the mirror of the
// host's mappings. What has no run faults.
type run struct {
	host HostFile // the file mapped, nil for the page file
	off  uint64   // of the range's start in it

	access arch.Access // what the guest can do now, never more than its mapping allows
	can    arch.Access // what it could be raised to by Protect alone

	// owned: the space holds a reference to each page of the page file; else the
	// pages are a Mappable's.
	owned bool

	// cow: the pages may not be written as they are; others may see them.
	cow bool
}

// Split implements interval.Value.
func (x run) Split(r span, at arch.Addr) run { x.off += uint64(at - r.Start); return x }

// Join implements interval.Value.
func (x run) Join(l, _ span, o run) (run, bool) {
	if x.off+uint64(l.Len()) != o.off {
		return x, false
	}
	o.off = x.off
	return x, x == o
}

// memory is the page file's range that x shows at r.
func (x *run) memory(r arch.Range) memfile.Range {
	return memfile.Range{Start: x.off, End: x.off + r.Len()}
}

// inMemory reports whether x shows the page file.
func (x *run) inMemory() bool {
	_, copied := x.host.(*textCopy)
	return x.host == nil || copied
}

// file is what the host is given to map x.
func (s *Space) fileOf(x *run) platform.File {
	switch {
	case !x.inMemory():
		return x.host
	case x.can&arch.Write != 0:
		return s.env.memory
	}
	return s.env.memory.ReadOnly()
}

// addRun maps x at r, which has no run, in the guest.
func (s *Space) addRun(r arch.Range, x run) {
	s.changes++
	if x.host != nil {
		if s.hosts[x.host] == 0 {
			x.host.IncRef()
		}
		s.hosts[x.host] += r.Len()
	}
	if x.inMemory() && !x.owned {
		s.holder.Hold(x.memory(r))
	}
	s.runs.Insert(ivl(r), x)
	s.ops.mapRun(s, r, x)
}

// forgetRuns removes the runs in r without telling the host: the caller maps
// something else there, or unmaps it.
func (s *Space) forgetRuns(r arch.Range) (any bool) {
	s.runs.Remove(ivl(r), func(rr span, x run) {
		any = true
		s.dropRun(rng(rr), &x)
	})
	if any {
		s.changes++
		s.tlb.flush(r)
	}
	return any
}

// dropRun gives up what x, removed from r, holds.
func (s *Space) dropRun(r arch.Range, x *run) {
	if x.owned {
		s.env.memory.DecRef(x.memory(r))
	}
	if x.host != nil {
		s.unhost(x.host, r.Len())
	}
}

// unhost notes that n bytes of f are no longer mapped. Its descriptor stays
// open until the host has really unmapped them.
func (s *Space) unhost(f HostFile, n uint64) {
	if s.hosts[f] -= n; s.hosts[f] == 0 {
		delete(s.hosts, f)
		s.trash.retired = append(s.trash.retired, f)
	}
}

// unmapRuns removes the runs in r, from the host too.
func (s *Space) unmapRuns(r arch.Range) {
	if s.runs.Empty(ivl(r)) {
		return
	}
	// The host is told before the pages are given up: the platform keeps order.
	s.unmapping(r)
	s.ops.unmap(s, r)
	s.forgetRuns(r)
}

// unmapping is called before the host is told to unmap the runs in r, or to map
// something else there.
func (s *Space) unmapping(r arch.Range) {
	for rr, x := range s.runs.In(ivl(r)) {
		if x.inMemory() {
			s.holder.Unmapped(x.memory(rng(rr)))
		}
	}
}

// fill maps what is not yet mapped of r, which lies in the mapping v at vr, as
// far as that can be done without a fault: Map eagerly, back lazily. It
// returns how far it came: short of r.End only where a file has no page.
func (s *Space) fill(r, vr arch.Range, v *vma) (arch.Addr, error) {
	if v.access == arch.NoAccess {
		return r.End, nil
	}
	for at := r.Start; at < r.End; {
		gap := arch.Range{Start: at, End: r.End}
		if it := s.runs.Find(at); it.Ok() {
			if it.Range().Start <= at {
				at = it.Range().End
				continue
			}
			gap.End = min(gap.End, it.Range().Start)
		}
		if v.file() == nil {
			if err := s.fillAnonymous(gap, vr, v); err != nil {
				return at, err
			}
			at = gap.End
			continue
		}
		n, err := s.fillFile(gap, vr, v)
		if n == 0 || err != nil {
			return at, err
		}
		at += arch.Addr(n)
	}
	return r.End, nil
}

func (s *Space) fillAnonymous(r, vr arch.Range, v *vma) error {
	off, had, err := s.allocate(r, vr, false)
	if err != nil {
		return err
	}
	s.addRun(r, run{off: off, access: v.host(), can: allAccess, owned: true})
	for _, h := range had {
		at := r.Start + arch.Addr(h.Start-off)
		s.ops.prefault(arch.Range{Start: at, End: at + arch.Addr(h.Len())})
	}
	return nil
}

// fillFile maps a prefix of r, of the file that v shows, and returns its length;
// 0 if the file has no page there.
func (s *Space) fillFile(r, vr arch.Range, v *vma) (uint64, error) {
	x, n, err := s.fileRun(r, vr, v)
	if n > 0 {
		s.addRun(arch.Range{Start: r.Start, End: r.Start + arch.Addr(n)}, x)
	}
	return n, err
}

// fileRun is how the file that v shows is mapped at r, or at a prefix of n bytes.
func (s *Space) fileRun(r, vr arch.Range, v *vma) (x run, n uint64, err error) {
	want, private := v.host(), !v.is(vmShared)
	if private {
		want = v.access&arch.Exec | arch.Read
	}
	p, err := v.shown.file.Pages(v.off+uint64(r.Start-vr.Start), r.Len(), want)
	if err != nil || p.Len == 0 {
		return x, 0, err
	}
	x = run{host: p.Host, off: p.Off, can: p.Access & v.max, cow: private}
	if private {
		x.can &^= arch.Write
	}
	if v.access != arch.NoAccess {
		x.access = v.host() & x.can
	}
	return x, min(p.Len, r.Len()), nil
}

// reuseRun keeps what the host has mapped at r, with other rights, if it is the
// very pages that v, a new mapping, is to show: a dynamic linker maps a library
// whole, and then its segments over that.
func (s *Space) reuseRun(r arch.Range, v *vma) bool {
	if v.file() == nil || v.is(vmShared) || v.access == arch.NoAccess || v.access&arch.Write != 0 {
		return false
	}
	rr, x, ok := s.runs.Lookup(r.Start)
	if !ok || !rng(rr).Covers(r) || x.host == nil || !x.cow {
		return false
	}
	p, err := v.shown.file.Pages(v.off, r.Len(), v.access|arch.Read)
	if err != nil || p.Len < r.Len() || p.Host != x.host || p.Off != x.off+uint64(r.Start-rr.Start) ||
		x.can != p.Access&v.max&^arch.Write || !x.can.Has(v.host()) {
		return false
	}
	s.setRunAccess(r, v)
	return true
}

// opQueue gathers what the platform is to be told, so that neighbours become
// one operation.
type opQueue struct {
	prot     arch.Range
	protAcc  arch.Access
	hasProt  bool
	mapped   arch.Range
	mappedTo run
	hasMap   bool
	soon     []arch.Range // pages that have memory, and that the guest will use soon
}

// prefault asks for the pages of r to be in the host's page table, when all else is
// done. They have memory.
func (q *opQueue) prefault(r arch.Range) {
	if r.Len() >= prefaultMin {
		q.soon = append(q.soon, r)
	}
}

// prefaultMin is less than what costs as many faults as it costs to prefault it.
const prefaultMin = 3 * arch.PageSize

func (q *opQueue) mapRun(s *Space, r arch.Range, x run) {
	q.flushProtect(s)
	if q.hasMap {
		if j, ok := q.mappedTo.Join(ivl(q.mapped), ivl(r), x); ok && q.mapped.End == r.Start {
			q.mapped.End, q.mappedTo = r.End, j
			return
		}
		q.flushMap(s)
	}
	q.mapped, q.mappedTo, q.hasMap = r, x, true
}

func (q *opQueue) unmap(s *Space, r arch.Range) {
	q.flushMap(s)
	q.flushProtect(s)
	s.as.Unmap(r)
}

func (q *opQueue) protect(s *Space, r arch.Range, a arch.Access) {
	q.flushMap(s)
	if q.hasProt && q.prot.End == r.Start && q.protAcc == a {
		q.prot.End = r.End
		return
	}
	q.flushProtect(s)
	q.prot, q.protAcc, q.hasProt = r, a, true
}

func (q *opQueue) flushMap(s *Space) {
	if q.hasMap {
		q.hasMap = false
		x := &q.mappedTo
		s.as.Map(q.mapped.Start, s.fileOf(x), x.off, q.mapped.Len(), x.access)
	}
}

func (q *opQueue) flushProtect(s *Space) {
	if q.hasProt {
		q.hasProt = false
		s.as.Protect(q.prot, q.protAcc)
	}
}

// flush hands everything gathered to the platform.
func (s *Space) flush() {
	s.ops.flushMap(s)
	s.ops.flushProtect(s)
	if len(s.ops.soon) == 0 {
		return
	}
	if p, ok := s.as.(platform.Prefaulter); ok {
		for _, r := range s.ops.soon {
			// Something else may be there by now.
			if rr, x, ok := s.runs.Lookup(r.Start); ok && rng(rr).Covers(r) && x.owned && x.access.Has(arch.Read) {
				p.Prefault(r)
			}
		}
	}
	s.ops.soon = s.ops.soon[:0]
}
