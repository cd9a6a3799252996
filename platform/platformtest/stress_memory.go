package platformtest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"garrison/platform"
	"garrison/platform/arch"
)

const (
	areaAt     = spareAt // where stress guests have their pages
	slicePages = 12      // that one thread maps and unmaps
	areaPages  = slicePages * stressThreads
	frames     = 128 // few, so that what one space frees another gets soon
)

// Where things are in a frame. The rest is always poison.
const (
	wordsAt = 0   // four words, known exactly
	pokeAt  = 64  // a word that pokers write: the space's id, and a number
	groupAt = 128 // the group of the spaces that may see the frame
	restAt  = 192
)

// poison is what frames hold that nobody has.
var poison = bytes.Repeat([]byte{0xa5}, arch.PageSize)

// A frame is a page of memory. One space has it, or after a fork several, read
// only; or it is free, and no guest may reach it.
type frame struct {
	off   uint64
	bytes []byte

	words [4]uint64 // written by the thread whose slice it is in
	group uint64

	refs    int
	frozen  bool // no guest can write it
	poked   uint64
	writers []uint64 // ids of the spaces whose pokers may have written last
}

func (f *frame) load(off int) uint64     { return binary.LittleEndian.Uint64(f.bytes[off:]) }
func (f *frame) store(off int, v uint64) { binary.LittleEndian.PutUint64(f.bytes[off:], v) }

// A stressPage is what a space has at one page.
type stressPage struct {
	f        *frame // nil: nothing
	writable bool
	cow      bool // a fork has it, too: a write makes a copy first
}

// A stressSpace is an address space and what is known of it.
type stressSpace struct {
	w     *stress
	as    platform.AddressSpace
	id    uint64
	group uint64 // shared with what it forked from
	dead  atomic.Bool

	mapped [areaPages]atomic.Bool // for pokers, who don't lock

	// mu is held for reading by a thread that uses its own slice, and for writing
	// to look at others', to fork and to end.
	mu       sync.RWMutex
	page     [areaPages]stressPage
	owner    [stressThreads]*stressThread
	pokers   []*stressThread
	released bool

	limboMu sync.Mutex
	limbo   []*frame // unmapped, and no Barrier since
}

// prepare makes all frames free, and writes the code.
func (w *stress) prepare() {
	copy(w.mem.view[codeOff:], stressCode)
	for i := range frames {
		off := uint64(spareOff + i*arch.PageSize)
		f := &frame{off: off, bytes: w.mem.view[off:][:arch.PageSize:arch.PageSize]}
		copy(f.bytes, poison)
		w.free = append(w.free, f)
	}
}

// checkLeft checks that at the end all frames are free, and untouched.
func (w *stress) checkLeft() {
	if len(w.free) != frames && !w.t.Failed() {
		w.t.Errorf("%d of %d frames are free: the test has lost some", len(w.free), frames)
	}
	for _, f := range w.free {
		if !bytes.Equal(f.bytes, poison) {
			w.t.Errorf("free frame %#x was written: % x", f.off, f.bytes[:restAt])
		}
	}
}

// newSpace makes a space that has code, and no threads yet.
func (w *stress) newSpace() *stressSpace {
	as, err := w.p.NewAddressSpace()
	if err != nil {
		w.fail("NewAddressSpace: %v", err)
		return nil
	}
	as.Map(codeAt, w.mem, codeOff, segment, arch.Read|arch.Exec)
	return w.addSpace(&stressSpace{w: w, as: as, group: w.serial.Add(1)})
}

func (w *stress) addSpace(s *stressSpace) *stressSpace {
	s.id = w.serial.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spaces = append(w.spaces, s)
	return s
}

// allocate takes a free frame for s, or returns nil.
func (s *stressSpace) allocate(from *frame) *frame {
	w := s.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.free) == 0 {
		return nil
	}
	f := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	if !bytes.Equal(f.bytes, poison) {
		w.fail("frame %#x was written while it was free: % x", f.off, f.bytes[:restAt])
	}
	f.refs, f.frozen, f.group = 1, false, s.group
	poked := s.id << 32
	if from != nil {
		f.words, poked = from.words, from.load(pokeAt)
	} else {
		for i := range f.words {
			f.words[i] = w.serial.Add(1) * 0x9e3779b97f4a7c15
		}
	}
	f.writers = append(f.writers[:0], s.id, poked>>32)
	for i, v := range f.words {
		f.store(wordsAt+8*i, v)
	}
	f.store(pokeAt, poked)
	f.store(groupAt, f.group)
	return f
}

// checkLocked checks a frame that somebody has.
func (w *stress) checkLocked(f *frame) {
	for i, v := range f.words {
		if got := f.load(wordsAt + 8*i); got != v {
			w.fail("frame %#x: word %d is %#x, want %#x", f.off, i, got, v)
		}
	}
	poked := f.load(pokeAt)
	if f.load(groupAt) != f.group || !bytes.Equal(f.bytes[restAt:], poison[restAt:]) || !slices.Contains(f.writers, poked>>32) {
		w.fail("frame %#x of group %d, written by %v: % x", f.off, f.group, f.writers, f.bytes[:restAt])
	}
	if f.frozen && poked != f.poked {
		w.fail("frame %#x was written after the fork: %#x, want %#x", f.off, poked, f.poked)
	}
}

// drop gives frames up that the caller can no longer reach.
func (w *stress) drop(list []*frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range list {
		w.checkLocked(f)
		if f.refs--; f.refs == 0 {
			copy(f.bytes, poison)
			w.free = append(w.free, f)
		}
	}
}

// put makes p what is at page i. What was there is being unmapped.
func (s *stressSpace) put(i int, p stressPage) {
	old := s.page[i].f
	s.page[i] = p
	s.mapped[i].Store(p.f != nil)
	if old != nil {
		s.limboMu.Lock()
		defer s.limboMu.Unlock()
		s.limbo = append(s.limbo, old)
	}
}

// barrier frees what has been unmapped. mu is held.
func (s *stressSpace) barrier(by platform.Context) {
	s.limboMu.Lock()
	list := s.limbo
	s.limbo = nil
	s.limboMu.Unlock()
	if err := s.as.Barrier(by); err != nil {
		s.w.fail("Barrier: %v", err)
	}
	s.w.drop(list)
}

// at is where page i is.
func at(i int) arch.Addr { return areaAt + arch.Addr(i)*arch.PageSize }

// mapPage gives page i a frame of its own, if there is one.
func (s *stressSpace) mapPage(i int, writable bool) bool {
	p := &s.page[i]
	var from *frame
	if p.cow {
		from = p.f
	}
	f := s.allocate(from)
	if f == nil {
		return false
	}
	access := arch.Read
	if writable {
		access |= arch.Write
	}
	s.as.Map(at(i), s.w.mem, f.off, arch.PageSize, access)
	s.put(i, stressPage{f: f, writable: writable})
	return true
}

// unmapPage takes page i away.
func (s *stressSpace) unmapPage(i int) {
	s.as.Unmap(pages(at(i), 1))
	s.put(i, stressPage{})
}

// unshare lets page i, which has a frame that can't be written, be written.
func (s *stressSpace) unshare(i int) bool {
	p := &s.page[i]
	if p.cow && !s.sole(p.f) {
		return s.mapPage(i, true)
	}
	p.writable, p.cow = true, false
	s.as.Protect(pages(at(i), 1), arch.Read|arch.Write)
	return true
}

// sole reports whether nobody else has f any more; it is no longer frozen then.
func (s *stressSpace) sole(f *frame) bool {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if f.refs > 1 {
		return false
	}
	s.w.checkLocked(f)
	f.frozen = false
	f.writers = append(f.writers[:0], s.id, f.load(pokeAt)>>32)
	return true
}

// fork copies s, whose mu is held for writing, by a thread of it.
func (s *stressSpace) fork(by platform.Context) *stressSpace {
	n := &stressSpace{w: s.w, group: s.group}
	for i := range s.page {
		p := &s.page[i]
		if p.writable {
			s.as.Protect(pages(at(i), 1), arch.Read)
		}
		p.writable, p.cow = false, p.f != nil
	}
	s.w.births.RLock()
	as, err := s.as.Fork(by)
	s.w.births.RUnlock()
	if err != nil {
		s.died("Fork", err)
		return nil
	}
	n.as, n.page = as, s.page
	for i := range s.page {
		n.mapped[i].Store(s.page[i].f != nil)
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, p := range s.page {
		if p.f == nil {
			continue
		}
		if p.f.refs++; !p.f.frozen {
			p.f.frozen, p.f.poked = true, p.f.load(pokeAt)
		}
		s.w.checkLocked(p.f)
	}
	return n
}

// died takes account of an error that a space only has if it was killed.
func (s *stressSpace) died(what string, err error) {
	if s.w.kills {
		s.dead.Store(true)
	} else {
		s.w.fail("%s: %v", what, err)
	}
}

// release ends the space, which nothing will enter any more.
func (s *stressSpace) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.as.Release()
	s.released = true
	list := s.limbo
	for _, p := range s.page {
		if p.f != nil {
			list = append(list, p.f)
		}
	}
	s.w.drop(list)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.spaces = slices.DeleteFunc(s.w.spaces, func(o *stressSpace) bool { return o == s })
}
