package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// Advise is madvise(2). Holes in the range are ENOMEM, after the rest was done.
func (s *Space) Advise(a arch.Addr, n uint64, advice linux.Advice) error {
	do, ok := adviceTable[advice]
	if !ok || a.Offset() != 0 {
		return linux.EINVAL
	}
	r, ok := pages(a, n)
	if !ok || n != 0 && r.Len() == 0 {
		return linux.EINVAL
	}
	if r.Len() == 0 {
		return nil
	}
	if advice == linux.MADV_REMOVE {
		return s.remove(r)
	}
	s.mu.Lock()
	defer s.unlock()
	if advice == linux.MADV_POPULATE_READ || advice == linux.MADV_POPULATE_WRITE {
		return s.populateAll(r, advice == linux.MADV_POPULATE_WRITE)
	}
	s.claim(r)
	hole := false
	for at := r.Start; at < r.End; {
		it := s.vmas.Find(at)
		if !it.Ok() || it.Range().Start >= r.End {
			return linux.ENOMEM
		}
		vr, v := rng(it.Range()), it.Value()
		hole = hole || vr.Start > at
		part := vr.Intersect(arch.Range{Start: at, End: r.End})
		if part != vr && do.flags() {
			if err := s.room(); err != nil {
				return linux.ENOMEM
			}
		}
		if err := v.mayDiscard(advice); err != nil {
			return err
		}
		if err := do.apply(s, part, vr, &v); err != nil {
			return err
		}
		at = part.End
	}
	if hole {
		return linux.ENOMEM
	}
	return nil
}

// An adviceRow says what one advice does to each part of a mapping: it sets
// and clears flags, and calls act.
type adviceRow struct {
	set, clear vmaFlags
	act        func(s *Space, r, vr arch.Range, v *vma) error
}

func (d *adviceRow) flags() bool { return d.set|d.clear != 0 }

func (d *adviceRow) apply(s *Space, r, vr arch.Range, v *vma) error {
	if d.act != nil {
		if err := d.act(s, r, vr, v); err != nil {
			return err
		}
	}
	if d.flags() && (v.flags&^d.clear)|d.set != v.flags {
		s.update(r, func(v *vma) { v.flags = v.flags&^d.clear | d.set })
	}
	return nil
}

var adviceTable = map[linux.Advice]*adviceRow{
	linux.MADV_NORMAL:          {clear: vmRandom | vmSequential},
	linux.MADV_RANDOM:          {set: vmRandom, clear: vmSequential},
	linux.MADV_SEQUENTIAL:      {set: vmSequential, clear: vmRandom},
	linux.MADV_WILLNEED:        {},
	linux.MADV_DONTNEED:        {act: dontNeed},
	linux.MADV_DONTNEED_LOCKED: {act: zap},
	linux.MADV_FREE:            {act: freePages},
	linux.MADV_REMOVE:          {},
	linux.MADV_DONTFORK:        {set: vmDontFork},
	linux.MADV_DOFORK:          {clear: vmDontFork, act: notFixed},
	linux.MADV_MERGEABLE:       {set: vmMergeable},
	linux.MADV_UNMERGEABLE:     {clear: vmMergeable},
	linux.MADV_HUGEPAGE:        {set: vmHugePage, clear: vmNoHugePage},
	linux.MADV_NOHUGEPAGE:      {set: vmNoHugePage, clear: vmHugePage},
	linux.MADV_DONTDUMP:        {set: vmDontDump},
	linux.MADV_DODUMP:          {clear: vmDontDump, act: notFixed},
	linux.MADV_WIPEONFORK:      {set: vmWipeOnFork, act: onlyPrivateAnonymous},
	linux.MADV_KEEPONFORK:      {clear: vmWipeOnFork},
	linux.MADV_COLD:            {act: notLocked},
	linux.MADV_PAGEOUT:         {act: notLocked},
	linux.MADV_COLLAPSE:        {act: collapse},
	linux.MADV_POPULATE_READ:   {},
	linux.MADV_POPULATE_WRITE:  {},
}

func notFixed(_ *Space, _, _ arch.Range, v *vma) error {
	if v.is(vmFixedSize) {
		return linux.EINVAL
	}
	return nil
}

func notLocked(_ *Space, _, _ arch.Range, v *vma) error {
	if v.is(vmLocked | vmFixedSize) {
		return linux.EINVAL
	}
	return nil
}

func onlyPrivateAnonymous(_ *Space, _, _ arch.Range, v *vma) error {
	if v.shown != nil || v.is(vmShared) {
		return linux.EINVAL
	}
	return nil
}

// collapse finds no huge pages to make, as on a machine that has none to spare.
func collapse(*Space, arch.Range, arch.Range, *vma) error { return linux.EINVAL }

func dontNeed(s *Space, r, vr arch.Range, v *vma) error {
	if err := notLocked(s, r, vr, v); err != nil {
		return err
	}
	return zap(s, r, vr, v)
}

// freePages is MADV_FREE: the pages may go any time until they are written
// again; they go now.
func freePages(s *Space, r, vr arch.Range, v *vma) error {
	if v.shown != nil || v.is(vmLocked|vmShared) {
		return linux.EINVAL
	}
	return zap(s, r, vr, v)
}

// zap gives back the space's own pages in r: anonymous memory reads as zero
// then, and a private file mapping shows the file again.
func zap(s *Space, r, vr arch.Range, v *vma) error {
	if v.is(vmShared) {
		return nil
	}
	var gone []arch.Range
	for rr, x := range s.runs.In(ivl(r)) {
		part := rng(rr).Intersect(r)
		x.off += uint64(part.Start - rr.Start)
		switch {
		case !x.owned:
		case v.file() == nil && s.env.memory.Exclusive(x.memory(part), s.holder):
			if s.env.memory.Clear(x.memory(part)) != nil {
				gone = append(gone, part)
			}
		default:
			gone = append(gone, part)
		}
	}
	for _, g := range gone {
		s.unmapRuns(g)
	}
	if len(gone) > 0 {
		if _, err := s.fill(r, vr, v); err != nil && v.file() == nil {
			return linux.EAGAIN
		}
	}
	return nil
}

// populateAll is MADV_POPULATE_READ and MADV_POPULATE_WRITE.
func (s *Space) populateAll(r arch.Range, write bool) error {
	want := arch.Read
	if write {
		want = arch.Write
	}
	for at := r.Start; at < r.End; {
		vr, v, ok := s.find(at)
		if !ok {
			return linux.ENOMEM
		}
		if !permits(v.access, want) || v.is(vmFixedSize) {
			return linux.EINVAL
		}
		part := vr.Intersect(arch.Range{Start: at, End: r.End})
		if err := s.populatePart(part, vr, &v, want); err != nil {
			return err
		}
		at = part.End
	}
	return nil
}

// A filePart is a part of a mapped file, kept by a reference.
type filePart struct {
	file   Mappable
	id     Identity
	off, n uint64
}

// part notes r of v at vr, with a reference.
func (v *vma) part(r, vr arch.Range) filePart {
	if v.shown.id != nil {
		v.shown.id.IncRef()
	}
	return filePart{v.shown.file, v.shown.id, v.off + uint64(r.Start-vr.Start), r.Len()}
}

func (p *filePart) release() {
	if p.id != nil {
		p.id.DecRef()
	}
}

// remove is MADV_REMOVE: it punches a hole in the file.
func (s *Space) remove(r arch.Range) error {
	for at := r.Start; at < r.End; {
		s.mu.RLock()
		vr, v, ok := s.find(at)
		if !ok {
			s.mu.RUnlock()
			return linux.ENOMEM
		}
		part := vr.Intersect(arch.Range{Start: at, End: r.End})
		at = part.End
		if v.is(vmLocked|vmFixedSize) || v.file() == nil {
			s.mu.RUnlock()
			return linux.EINVAL
		}
		if !v.is(vmShared) || v.access&arch.Write == 0 && v.max&arch.Write == 0 {
			s.mu.RUnlock()
			return linux.EACCES
		}
		p := v.part(part, vr)
		s.mu.RUnlock()
		err := error(linux.EOPNOTSUPP)
		if f, ok := p.file.(Remover); ok {
			err = f.RemovePages(p.off, p.n)
		}
		p.release()
		if err != nil {
			return err
		}
	}
	return nil
}

var _ Remover = (*sharedAnon)(nil)
