package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// Sync is msync(2). Without locks held it writes back what shared mappings
// show; holes in the range are ENOMEM, after the rest was done.
func (s *Space) Sync(a arch.Addr, n uint64, f linux.SyncFlags) error {
	if f&^(linux.MS_ASYNC|linux.MS_INVALIDATE|linux.MS_SYNC) != 0 || a.Offset() != 0 ||
		f&linux.MS_ASYNC != 0 && f&linux.MS_SYNC != 0 {
		return linux.EINVAL
	}
	n = (n + arch.PageMask) &^ arch.PageMask // a length that wraps is short, as on Linux
	r := arch.Range{Start: a, End: a + arch.Addr(n)}
	if r.End < r.Start {
		return linux.ENOMEM
	}
	hole := false
	for at := r.Start; at < r.End; {
		s.mu.RLock()
		it := s.vmas.Find(at)
		if !it.Ok() || it.Range().Start >= r.End {
			s.mu.RUnlock()
			return linux.ENOMEM
		}
		vr, v := rng(it.Range()), it.Value()
		hole = hole || vr.Start > at
		part := vr.Intersect(arch.Range{Start: at, End: r.End})
		at = part.End
		if f&linux.MS_INVALIDATE != 0 && v.is(vmLocked) {
			s.mu.RUnlock()
			return linux.EBUSY
		}
		file, syncs := v.file().(Syncer)
		if f&linux.MS_SYNC == 0 || !syncs || !v.is(vmShared) {
			s.mu.RUnlock()
			continue
		}
		p := v.part(part, vr)
		s.mu.RUnlock()
		err := file.SyncPages(p.off, p.n)
		p.release()
		if err != nil {
			return err
		}
	}
	if hole {
		return linux.ENOMEM
	}
	return nil
}

// Incore is mincore(2): one byte a page, bit 0 for residence. All of a file's pages are
// said to be resident if tell, which is called without locks, says no; nil always says yes.
// With ENOMEM come those before the first hole.
func (s *Space) Incore(a arch.Addr, n uint64, tell func(Identity) bool) ([]byte, error) {
	if a.Offset() != 0 {
		return nil, linux.EINVAL
	}
	r, ok := pages(a, n)
	if !ok || r.End > s.top() {
		return nil, linux.ENOMEM
	}
	in, files, err := s.incore(r, tell != nil)
	for _, f := range files {
		if !tell(f.id) {
			for i := range f.bits {
				f.bits[i] = 1
			}
		}
		f.id.DecRef()
	}
	return in, err
}

// An incoreFile is the part of an answer that is about a file, whose id is held.
type incoreFile struct {
	id   Identity
	bits []byte
}

// incore is what Incore says of r if it may tell of all files, and, if need be, which
// those are.
func (s *Space) incore(r arch.Range, which bool) (in []byte, files []incoreFile, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	in = make([]byte, r.Len()/arch.PageSize)
	bits := func(part arch.Range) []byte {
		return in[(part.Start-r.Start)/arch.PageSize : (part.End-r.Start)/arch.PageSize]
	}
	at := r.Start
	for vr, v := range s.vmas.In(ivl(r)) {
		part := rng(vr).Intersect(r)
		if part.Start > at {
			break
		}
		at = part.End
		if which && v.shown != nil && v.shown.id != nil {
			v.shown.id.IncRef()
			files = append(files, incoreFile{v.shown.id, bits(part)})
		}
	}
	if at < r.End {
		err = linux.ENOMEM
		r.End = at
		in = in[:r.Len()/arch.PageSize]
	}
	for rr, x := range s.runs.In(ivl(r)) {
		part := rng(rr).Intersect(r)
		x.off += uint64(part.Start - rr.Start)
		if x.host == nil {
			s.env.memory.Incore(x.memory(part), bits(part))
			continue
		}
		for i := range bits(part) { // the host's page cache is taken to have it
			bits(part)[i] = 1
		}
	}
	return in, files, err
}

// invalidate forgets what the space shows of file's bytes [start, end), and
// with cows also the private copies of them.
func (s *Space) invalidate(file Mappable, start, end uint64, cows bool) {
	s.mu.Lock()
	defer s.unlock()
	var gone []arch.Range
	for vr, v := range s.vmas.All() {
		if v.file() != file || v.off >= end || v.off+uint64(vr.Len()) <= start {
			continue
		}
		part := rng(vr)
		if v.off < start {
			part.Start += arch.Addr(start - v.off)
		}
		if v.off+uint64(vr.Len()) > end {
			part.End -= arch.Addr(v.off + uint64(vr.Len()) - end)
		}
		s.bare(part)
		for rr, x := range s.runs.In(ivl(part)) {
			if cows || !x.owned {
				gone = append(gone, rng(rr).Intersect(part))
			}
		}
	}
	for _, r := range gone {
		s.unmapRuns(r)
	}
}
