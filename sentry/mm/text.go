package mm

import (
	"sync/atomic"

	"garrison/platform/arch"
	"garrison/sentry/list"
	"garrison/sentry/lock"
	"garrison/sentry/memfile"
)

// What the system calls of one process teach serves the next that maps the same
// file. A text is the executable segment of a file of one version: it knows from
// where in it calls come, by what platforms tell of the replies, and when those
// that jumped to the gate instead would have paid for it, has a copy of the
// whole segment made (textcopy.go). Who maps the segment from then on gets the
// copy in its place. A copy never changes; when more is known, another is made,
// for processes to come.

// A textKey names a segment. What has the same key has the same bytes. Users don't learn
// of each other: by a jump into the middle of an instruction that looks like a call, one
// could teach the others to call there.
type textKey struct {
	version Version
	off, n  uint64 // in the file; whole pages
	user    uint32 // whose processes learn of each other
}

// A text is what is known of one segment. It is protected by textTable.mu.
type text struct {
	list.Elem[*text]
	key    textKey
	sites  map[uint64]*textSite // by where in the segment the SYSCALL instruction ends
	missed uint64               // calls that another copy would have spared, about
	copy   *textCopy            // the latest, with a reference; may be nil
	fixed  bool                 // no copy is to be made: one is being made, or none can be
	gone   bool                 // not in the table any more
}

// A textSite is a place that system calls come from.
type textSite struct {
	nr             uint64
	plain, special uint64 // calls by what their reply was, as far as they are told
	settled        bool   // it is patched in the latest copy, or can't be
}

// wanted reports whether it would pay to patch x: a special reply costs more
// when the call came by the gate.
func (x *textSite) wanted() bool { return !x.settled && x.plain > 4*x.special }

// Bounds of what is known, and of the copies, those in use only among them.
const (
	maxTexts     = 64
	maxTextSites = 256     // of one text
	maxText      = 4 << 20 // bytes of a segment that is worth a copy
	maxCopies    = 32 << 20
)

// A copy costs about 1 µs a page, a call by SYSCALL about 5 µs more than one by
// the gate: pages for each call that make up for it.
const pagesPerCall = 5

// A textTable is the texts of a container.
type textTable struct {
	env   *Env
	pool  *memfile.Pool
	bytes atomic.Uint64 // of all copies that there are

	mu  lock.Mutex[lock.Leaf]
	all map[textKey]*text // protected by mu
	lru list.List[*text]  // the one mapped last is last; protected by mu
}

func newTextTable(e *Env) *textTable {
	return &textTable{env: e, pool: e.memory.NewPool(), all: make(map[textKey]*text)}
}

// find is the text k, which is new if nobody has asked for it for long.
func (e *textTable) find(k textKey) *text {
	e.mu.Lock()
	t, drop := e.all[k], (*textCopy)(nil)
	if t != nil {
		t.Remove()
	} else {
		if len(e.all) >= maxTexts {
			drop = e.forgetLocked(e.lru.Front().Value)
		}
		t = &text{key: k, sites: make(map[uint64]*textSite)}
		t.Value = t
		e.all[k] = t
	}
	e.lru.PushBack(&t.Elem)
	e.mu.Unlock()
	drop.DecRef()
	return t
}

// forgetLocked removes t, and returns the copy whose reference the caller is to give up.
func (e *textTable) forgetLocked(t *text) (drop *textCopy) {
	delete(e.all, t.key)
	t.Remove()
	drop, t.copy, t.gone = t.copy, nil, true
	return drop
}

// latest is t's latest copy, with a reference of the caller's, or nil.
func (e *textTable) latest(t *text) *textCopy {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.copy != nil {
		t.copy.IncRef()
	}
	return t.copy
}

// learn notes n calls nr that came from where off in t is the end of the instruction.
func (e *textTable) learn(t *text, off, nr, n uint64, plain bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := t.sites[off]
	if x == nil {
		if len(t.sites) >= maxTextSites {
			return
		}
		x = &textSite{nr: nr}
		t.sites[off] = x
	}
	if !plain {
		x.special += n
		return
	}
	if x.plain += n; x.wanted() {
		t.missed += n
	}
}

// due is the sites to patch if it is time to make another copy of t: the caller
// does so, and calls made. Those that the latest copy has are among them.
func (e *textTable) due(t *text) map[uint64]textSite {
	var drop *textCopy
	defer func() { drop.DecRef() }()
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.fixed || t.gone || t.missed*pagesPerCall < t.key.n/arch.PageSize {
		return nil
	}
	if e.bytes.Load()+t.key.n > maxCopies {
		if old := e.lru.Front().Value; old != t && old.copy != nil && old.copy.refs.Load() == 1 {
			drop = e.forgetLocked(old)
		}
		return nil // there may be room next time
	}
	t.fixed, t.missed = true, 0
	sites := make(map[uint64]textSite)
	for off, x := range t.sites {
		if x.wanted() || t.copy != nil && t.copy.has[off] {
			sites[off] = *x
		}
	}
	return sites
}

// made takes c, which was made of the sites tried and may be nil, for t's copy.
// never says that there is no point in trying again.
func (e *textTable) made(t *text, c *textCopy, tried map[uint64]textSite, never bool) {
	e.mu.Lock()
	t.fixed = never
	for off := range tried {
		t.sites[off].settled = true
	}
	if c != nil && !t.gone {
		c, t.copy = t.copy, c
	}
	e.mu.Unlock()
	c.DecRef()
}

// close forgets everything.
func (e *textTable) close() {
	var drop []*textCopy
	e.mu.Lock()
	for _, t := range e.all {
		drop = append(drop, e.forgetLocked(t))
	}
	e.mu.Unlock()
	for _, c := range drop {
		c.DecRef()
	}
	e.pool.Close()
}

// A shownText is a text that a space maps at at.
type shownText struct {
	at   arch.Range
	text *text
	copy *textCopy // what is mapped; nil: the file itself
}

// maxShownTexts is how many texts of a space teach, and are copies.
const maxShownTexts = 32

// showText maps the patched copy of what v, a new mapping at r, shows, in place of what is mapped
// there, if there is one; and sees to it that the space's calls teach.
func (s *Space) showText(r arch.Range, v *vma) bool {
	const rights = arch.Read | arch.Exec
	p := &s.patch
	if s.env.facts.Gate == 0 || p.off || v.access != rights || v.is(vmShared) || v.file() == nil ||
		r.Len() > maxText || len(p.texts) >= maxShownTexts {
		return false
	}
	was, err := v.shown.file.Pages(v.off, r.Len(), rights)
	if err != nil || was.Version == (Version{}) || was.Len < r.Len() || !was.Access.Has(rights) || was.Host == nil || was.Off != v.off {
		return false
	}
	t := s.env.texts.find(textKey{was.Version, v.off, r.Len(), p.user})
	if sites := s.env.texts.due(t); sites != nil {
		c, never := s.env.texts.makeCopy(t.key, was.Host, sites)
		if now, err := v.shown.file.Pages(v.off, r.Len(), rights); err != nil || now.Version != was.Version {
			c.DecRef() // of what it is a copy nobody knows
			c = nil
		}
		s.env.texts.made(t, c, sites, never)
	}
	c := s.env.texts.latest(t)
	p.texts = append(p.texts, shownText{r, t, c})
	if c == nil {
		return false
	}
	s.unmapping(r)
	s.forgetRuns(r)
	s.addRun(r, run{host: c, off: c.at.Start, access: rights, can: rights, cow: true})
	c.DecRef()
	return true
}

// LearnCall notes what came of a system call nr that returned to ip: plain says that
// it could as well have come by the gate.
func (s *Space) LearnCall(ip arch.Addr, nr uint64, plain bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.learn(ip, nr, 1, plain)
}

// SetUser says, before anything is mapped in s, that a program of user's is to run there.
func (s *Space) SetUser(user uint32) {
	s.mu.Lock()
	s.patch.user = user
	s.mu.Unlock()
}

// Mute has the space's calls teach nobody from now on: it may run for another user.
func (s *Space) Mute() {
	s.mu.Lock()
	s.patch.mute = true
	s.mu.Unlock()
}

func (s *Space) learn(ip arch.Addr, nr, n uint64, plain bool) {
	if s.patch.mute {
		return
	}
	for i := range s.patch.texts {
		if x := &s.patch.texts[i]; x.at.Contains(ip - 1) {
			s.env.texts.learn(x.text, uint64(ip-x.at.Start), nr, n, plain)
			return
		}
	}
}

// bare makes texts of which any part is in r show their files: the guest is to
// change what is mapped there, or somebody is to see it.
func (s *Space) bare(r arch.Range) {
	if len(s.patch.texts) == 0 {
		return
	}
	kept := s.patch.texts[:0:0]
	for _, x := range s.patch.texts {
		if !r.Overlaps(x.at) {
			kept = append(kept, x)
		} else if x.copy != nil {
			s.showFile(&x)
		}
	}
	s.patch.texts = kept
}

// showFile makes x show its file, in the private copies of its pages too. Another
// thread may just be in a trampoline, so those stay where they are, in a copy of
// the last page, behind the text.
func (s *Space) showFile(x *shownText) {
	last := pageAt(x.at.End - arch.PageSize)
	if rr, u, ok := s.runs.Lookup(last.Start); ok && u.host == HostFile(x.copy) {
		u.off += uint64(last.Start - rr.Start)
		if vr, _, ok := s.find(last.Start); ok {
			s.edit(last, &u, vr, func([]byte) bool { return true })
		}
	}
	var shown []arch.Range
	for rr, u := range s.runs.In(ivl(x.at)) {
		if u.host == HostFile(x.copy) {
			shown = append(shown, rng(rr).Intersect(x.at))
		}
	}
	for _, r := range shown {
		for r.Len() > 0 {
			vr, v, ok := s.find(r.Start)
			part := r.Intersect(vr)
			if !ok {
				break // can't be: runs are within mappings
			}
			r.Start = part.End
			_, u, _ := s.runs.Lookup(part.Start)
			y, n, err := s.fileRun(part, vr, &v)
			if err != nil || n < part.Len() {
				s.unmapRuns(part) // the fault will say
				continue
			}
			s.replaceRun(part, &u, y)
		}
	}
	for i := range x.copy.pages {
		s.undo(x.at.Start+x.copy.pages[i].at, x.copy.pages[i].edits)
	}
}

// shows reports whether x has patched pages, or trampolines, in r.
func (x *shownText) shows(r arch.Range) bool {
	if x.copy == nil || !r.Overlaps(x.at) {
		return false
	}
	if r.Overlaps(pageAt(x.at.End - arch.PageSize)) {
		return true
	}
	for i := range x.copy.pages {
		if r.Overlaps(pageAt(x.at.Start + x.copy.pages[i].at)) {
			return true
		}
	}
	return false
}
