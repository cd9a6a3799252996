package mm

import (
	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
)

const (
	clusterPages = 16  // copied at once, aligned so
	clusterMax   = 512 // what that grows to when a mapping is written in order
)

// A clusterState remembers where the last copy ended: one that goes on there is larger.
type clusterState struct {
	next  arch.Addr
	pages uint64
}

// size is the number of bytes to copy for a write that faulted at a.
func (c *clusterState) size(at arch.Addr) uint64 {
	if at == c.next && c.pages != 0 {
		c.pages = min(c.pages*2, clusterMax)
	} else {
		c.pages = clusterPages
	}
	return c.pages * arch.PageSize
}

// makeWritable makes the page p, which has a run and lies in v at vr, writable
// by the kernel, and by the guest as far as v allows. The error is EFAULT or ENOMEM.
func (s *Space) makeWritable(p, vr arch.Range, v *vma) error {
	sr, x, _ := s.runs.Lookup(p.Start)
	r := rng(sr).Intersect(vr)
	x.off += uint64(r.Start - sr.Start)
	switch {
	case !x.cow && x.can&arch.Write != 0:
		s.setRunAccess(r, v)
		return nil
	case !x.cow:
		return s.refill(p, vr, v, arch.Write)
	}
	if x.owned { // since a fork
		s.heat.add(p)
		if s.env.memory.Exclusive(x.memory(r), s.holder) {
			s.uncow(r, v)
			return nil
		}
	}
	c := p
	if x.owned || v.is(vmProgram) || s.runs.Len() > s.env.maxRuns {
		c = s.chooseCluster(p, r)
	} // else the file's other pages go on showing what is written to the file
	x.off += uint64(c.Start - r.Start)
	if x.owned && s.env.memory.Exclusive(x.memory(c), s.holder) {
		s.uncow(c, v)
		return nil
	}
	done, _ := s.copyCluster(c, &x, vr, v)
	if done.Len() == 0 || !done.Covers(p) {
		// The rest of the cluster may be beyond the end of a file.
		x.off += uint64(p.Start - c.Start)
		if done, err := s.copyCluster(p, &x, vr, v); done.Len() == 0 {
			return err
		}
	}
	return nil
}

// chooseCluster is the part of run r to copy for a write to page p: aligned, so that
// neighbours' copies touch; everything if the host's mappings run out.
func (s *Space) chooseCluster(p, r arch.Range) arch.Range {
	if s.runs.Len() > s.env.maxRuns {
		return r
	}
	const align = clusterPages * arch.PageSize
	start := p.Start / align * align
	c := arch.Range{Start: start, End: start + arch.Addr(s.cluster.size(start))}.Intersect(r)
	s.cluster.next = c.End
	return c
}

// uncow lets the space write the pages of r in place, as it alone has them.
func (s *Space) uncow(r arch.Range, v *vma) {
	s.runs.Update(ivl(r), func(_ span, x *run) { x.cow = false })
	s.setRunAccess(r, v)
}

// setRunAccess gives the runs in r what mapping v allows, and tells the host.
func (s *Space) setRunAccess(r arch.Range, v *vma) {
	s.changes++
	type part struct {
		r arch.Range
		x run
	}
	var remap []part // what Protect can't raise
	s.runs.Update(ivl(r), func(sr span, x *run) {
		want := v.host()
		if x.cow {
			want &^= arch.Write
		}
		if want == x.access {
			return
		}
		if x.can.Has(want) {
			x.access = want
			s.ops.protect(s, rng(sr), want)
			return
		}
		if x.owned { // only its descriptor stands against it
			x.can, x.access = allAccess, want
			remap = append(remap, part{rng(sr), *x})
			return
		}
		if want &= x.can; want != x.access {
			x.access = want
			s.ops.protect(s, rng(sr), want)
		}
	})
	for _, p := range remap {
		s.ops.mapRun(s, p.r, p.x)
	}
	s.tlb.flush(r)
}

// copyCluster gives the space its own copy of c, which x shows (from x.off on),
// or of a prefix of it, which it returns.
func (s *Space) copyCluster(c arch.Range, x *run, vr arch.Range, v *vma) (done arch.Range, err error) {
	y, n, whole, err := s.duplicate(c, x, vr)
	done = arch.Range{Start: c.Start, End: c.Start + arch.Addr(n)}
	if n > 0 {
		y.access = v.host()
		s.replaceRun(done, x, y)
	}
	if whole {
		s.ops.prefault(done)
	}
	return done, err
}

// duplicate makes a copy of the pages that x shows at c, or of the first n bytes,
// for the mapping at vr. whole says that all n have memory.
func (s *Space) duplicate(c arch.Range, x *run, vr arch.Range) (y run, n uint64, whole bool, err error) {
	off, _, err := s.allocate(c, vr, true)
	if err != nil {
		return y, 0, false, err
	}
	n, whole, err = s.copyPages(off, x, c.Len())
	if err == linux.ENOMEM && s.env.reclaim() {
		n, whole, err = s.copyPages(off, x, c.Len())
	}
	if n &^= arch.PageMask; n < c.Len() {
		s.env.memory.DecRef(memfile.Range{Start: off + n, End: off + c.Len()})
	}
	return run{off: off, can: allAccess, owned: true}, n, whole && n > 0, err
}

// eagerCopy is the size up to which the writable data of a program or library is
// copied when it is mapped: it will be written at once, by relocation, and a
// fault costs more.
const eagerCopy = 64 << 10

// copyData maps a copy of the pages of r, a new mapping v of a file. What it
// can't copy faults.
func (s *Space) copyData(r arch.Range, v *vma) {
	p, err := v.shown.file.Pages(v.off, r.Len(), arch.Read)
	if err != nil || p.Len == 0 {
		return
	}
	x := run{host: p.Host, off: p.Off}
	if p.Host == nil {
		s.holder.Hold(memfile.Range{Start: p.Off, End: p.Off + p.Len})
	}
	c := arch.Range{Start: r.Start, End: r.Start + arch.Addr(min(r.Len(), p.Len))}
	if y, n, whole, _ := s.duplicate(c, &x, r); n > 0 {
		y.access = v.host()
		c.End = c.Start + arch.Addr(n)
		s.addRun(c, y)
		if whole {
			s.ops.prefault(c)
		}
	}
}

// replaceRun maps y at r, which x (from x.off on) shows so far. Until the host
// does so, other threads go on reading x's pages: they stay as they are for a moment.
func (s *Space) replaceRun(r arch.Range, x *run, y run) {
	s.unmapping(r)
	s.runs.Remove(ivl(r), nil)
	s.tlb.flush(r)
	s.addRun(r, y)
	if x.host != nil {
		s.unhost(x.host, r.Len())
	}
	switch {
	case !x.owned:
	case s.alone():
		s.env.memory.DecRef(x.memory(r))
	default:
		s.env.memory.DecRefLate(x.memory(r), s.settled)
	}
}

// settled reports whether the host shows what s's runs say: a thread that has told
// of a change may not have come to it yet. Any goroutine may ask, holding no lock.
func (s *Space) settled() bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	return s.dead || s.as.Settled()
}

// copyWhole is the size up to which pages are copied without asking the host which of
// them are holes: to ask takes two calls, and most that are copied have been written.
const copyWhole = 4 * arch.PageSize

// copyPages copies n bytes of what x shows to off in the page file, and returns
// how many it managed; holes of large pieces stay holes, and whole says that there are
// none. The error is EFAULT (no such page in x) or ENOMEM.
func (s *Space) copyPages(off uint64, x *run, n uint64) (done uint64, whole bool, err error) {
	if !x.inMemory() {
		done, err = s.copyHostPages(off, x, n)
		return done, true, err
	}
	from := memfile.Range{Start: x.off, End: x.off + n}
	if n <= copyWhole {
		done, err = s.writePages(off, s.env.memory.Bytes(from.Start, n), from)
		return done, true, err
	}
	holes := n
	s.env.memory.EachResident(from, func(d memfile.Range) {
		if holes -= d.Len(); err == nil {
			_, err = s.writePages(off+d.Start-from.Start, s.env.memory.Bytes(d.Start, d.Len()), d)
		}
	})
	if err != nil {
		return 0, false, err
	}
	return n, holes == 0, nil
}

// writePages writes b, the bytes of d, to the page file at off: one host call,
// where copying by hand would fault in each page first.
func (s *Space) writePages(off uint64, b []byte, d memfile.Range) (n uint64, err error) {
	for n < d.Len() {
		if len(b) == 0 { // the next chunk of the sentry's mapping
			if b = s.env.memory.Bytes(d.Start+n, d.Len()-n); len(b) == 0 {
				return n, linux.ENOMEM
			}
		}
		m, err := unix.Pwrite(s.env.memory.FD(), b, int64(off+n))
		if m > 0 {
			n, b = n+uint64(m), b[m:]
		}
		switch err {
		case nil, unix.EINTR:
		case unix.EFAULT:
			return n, linux.EFAULT
		default:
			return n, linux.ENOMEM
		}
		if m == 0 && err == nil {
			return n, linux.ENOMEM
		}
	}
	return n, nil
}

// copyHostPages is copyPages from a donated descriptor.
func (s *Space) copyHostPages(off uint64, x *run, n uint64) (done uint64, err error) {
	for done < n {
		w, b := s.env.windows.get(x.host, x.off+done, n-done, false)
		if w == nil {
			return done, linux.EFAULT
		}
		m, err := unix.Pwrite(s.env.memory.FD(), b, int64(off+done))
		w.release()
		if m > 0 {
			done += uint64(m)
		}
		switch {
		case err == unix.EINTR:
		case err == unix.EFAULT:
			return done, linux.EFAULT
		case err != nil:
			return done, linux.ENOMEM
		case m < len(b): // it stopped where the file does
			return done, linux.EFAULT
		}
	}
	return done, nil
}
