package mm

import (
	"slices"

	"garrison/platform/arch"
	"garrison/platform/callsite"
	"garrison/sentry/memfile"
)

// Where the platform has a gate, system calls that a program makes again and
// again from the same place in its text come to jump there, by way of a
// trampoline page that is mapped near by. The text is patched in a private copy
// of the page, so the file and other processes never see it; and the
// trampoline, which is no mapping of the guest's, is not in /proc/pid/maps. When the
// guest maps something in its place, or a debugger looks at the text, the page
// is as it was before.

// patches are what of a space's text is patched.
type patches struct {
	off   bool // never again
	mute  bool // what calls it makes teaches nobody
	user  uint32
	pages []patchedPage
	tramp []trampoline
	texts []shownText
}

type patchedPage struct {
	at         arch.Addr
	trampoline arch.Addr // the only page that its sites jump to
	edits      []callsite.Edit
}

type trampoline struct {
	at   arch.Addr
	used int
}

// hotCalls is about how many calls PatchCall stands for.
const hotCalls = 16

// maxPatched is how many pages are patched at most.
const maxPatched = 256

func pageAt(a arch.Addr) arch.Range { return arch.Range{Start: a, End: a + arch.PageSize} }

// clone is p for a copy of the space.
func (p *patches) clone() patches {
	c := *p
	c.pages, c.tramp, c.texts = slices.Clone(p.pages), slices.Clone(p.tramp), slices.Clone(p.texts)
	for i := range c.pages {
		c.pages[i].edits = slices.Clip(c.pages[i].edits)
	}
	return c
}

// Distances that a trampoline page keeps: from the first of the mappings it is
// put below, and from where mmap(2) begins.
const (
	trampolineGap = 16 * arch.PageSize
	clusterGap    = 16 << 20 // mappings no farther apart are one cluster
)

// PatchCall makes the system call nr that returned to ip, or is about to, jump to the
// platform's gate from now on, if it is one that can.
func (s *Space) PatchCall(ip arch.Addr, nr uint64) {
	s.mu.Lock()
	defer s.unlock()
	p := pageAt((ip - 1).Down())
	x, vr, v, ok := s.text(p.Start)
	if !ok || v.access&arch.Write != 0 || s.patch.off || s.room() != nil {
		return
	}
	s.learn(ip, nr, hotCalls, true)
	s.edit(p, &x, vr, func(code []byte) bool {
		site, ok := callsite.Find(code, int(ip-p.Start), nr)
		if !ok {
			return false
		}
		t, known := s.trampolineFor(p.Start, vr)
		if t == nil {
			return false
		}
		slot := callsite.SlotAt(t.used)
		edits, into := site.Patch(code, p.Start, t.at, slot)
		if !s.writeTrampoline(t, slot, into) {
			return false
		}
		for i := range edits {
			edits[i].Do(code)
		}
		t.used++
		if known == nil {
			s.patch.pages = append(s.patch.pages, patchedPage{at: p.Start, trampoline: t.at})
			known = &s.patch.pages[len(s.patch.pages)-1]
		}
		known.edits = append(known.edits, edits...)
		return true
	})
}

// text is the run and the mapping of the text page at a, if the platform has a
// gate and the page can have patches: what is not as a file says may change at
// any time.
func (s *Space) text(a arch.Addr) (x run, vr arch.Range, v vma, ok bool) {
	if s.env.facts.Gate == 0 || s.dead {
		return
	}
	if vr, v, ok = s.find(a); !ok || v.access&arch.Exec == 0 || v.is(vmShared) || v.file() == nil {
		return x, vr, v, false
	}
	rr, x, ok := s.runs.Lookup(a)
	x.off += uint64(a - rr.Start)
	return x, vr, v, ok
}

// edit replaces the text page p, which x shows in the mapping at vr, by a copy
// that f has changed, unless f returns false. Nobody sees it half done.
func (s *Space) edit(p arch.Range, x *run, vr arch.Range, f func([]byte) bool) {
	y, n, _, err := s.duplicate(p, x, vr)
	if err != nil || n < p.Len() {
		return // it has given back what it has not filled
	}
	b := make([]byte, p.Len())
	mem := s.env.memory.Bytes(y.off, p.Len())
	got, ok := memfile.Copy(b, mem)
	if ok = ok && got == len(b) && f(b); ok {
		_, ok = memfile.Copy(mem, b)
	}
	if !ok {
		s.env.memory.DecRef(y.memory(p))
		return
	}
	y.access = x.access
	s.replaceRun(p, x, y)
}

// trampolineFor is a trampoline page with a free slot that the text page at page, in
// the mapping at vr, reaches, and what is known of that page; nil if there is none.
func (s *Space) trampolineFor(page arch.Addr, vr arch.Range) (*trampoline, *patchedPage) {
	var known *patchedPage
	for i := range s.patch.pages {
		if s.patch.pages[i].at == page {
			known = &s.patch.pages[i]
		}
	}
	for i := range s.patch.tramp {
		t := &s.patch.tramp[i]
		if t.used < callsite.Slots && callsite.Reaches(page, t.at) && (known == nil || known.trampoline == t.at) {
			return t, known
		}
	}
	if known != nil || len(s.patch.pages) >= maxPatched {
		return nil, nil
	}
	for _, at := range []arch.Addr{s.layout.MMapBase + trampolineGap, s.belowCluster(vr)} {
		r := pageAt(at)
		if at >= s.bottom() && r.End > r.Start && callsite.Reaches(page, at) && s.user(r) && s.vmas.Empty(ivl(r)) && s.clear(r) {
			return s.newTrampoline(r), nil
		}
	}
	return nil, nil
}

// belowCluster is an address below the mapping at vr and those near it.
func (s *Space) belowCluster(vr arch.Range) arch.Addr {
	start := vr.Start
	for it := s.vmas.Find(start); it.Ok() && it.Range().End+clusterGap >= start; it.Prev() {
		start = it.Range().Start
	}
	return start - min(start, trampolineGap+arch.PageSize)
}

// newTrampoline maps a trampoline page at r; nil if there is no memory for it.
func (s *Space) newTrampoline(r arch.Range) *trampoline {
	off, _, err := s.allocate(r, r, false)
	if err != nil {
		return nil
	}
	x := run{off: off, access: arch.Read | arch.Exec, can: allAccess, owned: true}
	if !s.write(&x, 0, callsite.Begin(s.env.facts.Gate)) {
		s.env.memory.DecRef(x.memory(r))
		return nil
	}
	s.insertVMA(r, vma{access: x.access, max: x.access, flags: vmTrampoline}) //nolint:errcheck // no file can refuse
	s.addRun(r, x)
	s.patch.tramp = append(s.patch.tramp, trampoline{at: r.Start})
	return &s.patch.tramp[len(s.patch.tramp)-1]
}

// write writes b at offset at of the page file's page that x shows.
func (s *Space) write(x *run, at int, b []byte) bool {
	mem := s.env.memory.Bytes(x.off, arch.PageSize)
	if mem == nil {
		return false
	}
	_, ok := memfile.Copy(mem[at:], b)
	return ok
}

// writeTrampoline writes code, for a slot that is not used yet, to t.
func (s *Space) writeTrampoline(t *trampoline, slot int, code []byte) bool {
	r := pageAt(t.at)
	rr, x, ok := s.runs.Lookup(t.at)
	if !ok {
		return false
	}
	if x.off += uint64(t.at - rr.Start); !x.cow {
		return s.write(&x, slot, code)
	}
	s.edit(r, &x, r, func(b []byte) bool { return copy(b[slot:], code) > 0 })
	_, y, _ := s.runs.Lookup(t.at)
	return !y.cow
}

// claim prepares for a change by the guest of what is mapped in r.
func (s *Space) claim(r arch.Range) {
	s.yield(r)
	s.bare(r)
}

// yield makes r, of which the guest speaks, free of trampolines.
func (s *Space) yield(r arch.Range) {
	s.patch.tramp = slices.DeleteFunc(s.patch.tramp, func(t trampoline) bool {
		if !r.Overlaps(pageAt(t.at)) {
			return false
		}
		s.unpatch(func(p *patchedPage) bool { return p.trampoline == t.at })
		s.unmapRuns(pageAt(t.at))
		s.dropVMAs(pageAt(t.at))
		return true
	})
}

// unpatch takes back what was edited in the pages that match.
func (s *Space) unpatch(match func(*patchedPage) bool) {
	s.patch.pages = slices.DeleteFunc(s.patch.pages, func(p patchedPage) bool {
		if !match(&p) {
			return false
		}
		s.undo(p.at, p.edits)
		return true
	})
}

// undo takes back edits in the text page at, if it is the space's own.
func (s *Space) undo(at arch.Addr, edits []callsite.Edit) {
	// The guest may have mapped something else there since.
	if x, vr, _, ok := s.text(at); ok && x.owned {
		s.edit(pageAt(at), &x, vr, func(b []byte) bool {
			for i := range edits {
				edits[i].Undo(b)
			}
			return true
		})
	}
}

// unpatchIn is unpatch for the pages in r.
func (s *Space) unpatchIn(r arch.Range) {
	s.unpatch(func(p *patchedPage) bool { return r.Overlaps(pageAt(p.at)) })
}

// Unpatch makes the text be as its files have it, and keeps it so from now on:
// the gate can't be used any more.
func (s *Space) Unpatch() {
	s.mu.Lock()
	defer s.unlock()
	s.patch.off = true
	all := arch.Range{End: ^arch.Addr(0)}
	s.bare(all)
	s.unpatchIn(all)
}

// watched is called when somebody is to see, or change, what the text in r is:
// a debugger. It ends all patching.
func (s *Space) watched(r arch.Range) {
	s.mu.RLock()
	patched := slices.ContainsFunc(s.patch.pages, func(p patchedPage) bool { return r.Overlaps(pageAt(p.at)) }) ||
		slices.ContainsFunc(s.patch.texts, func(x shownText) bool { return x.shows(r) })
	s.mu.RUnlock()
	if patched {
		s.Unpatch()
	}
}
