package systrap

import (
	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/platform/stub"
)

// A batch is the calls that a stub is told to make at a time.
type batch struct {
	space *space
	calls []armed
	solo  bool // the process has one thread, so calls may be solo

	// A guest makes solo calls when it likes and as often as it likes until the
	// batch is done, whatever comes before and after them there. So none may be
	// about memory that another call of the batch is about, or name a descriptor
	// that one installs, unless it is the first to: until then there is nothing to map.
	solos     []int  // which calls are solo
	used      uint32 // their descriptors, a bit each
	installed uint32
}

// batchLocked is as many of the operations to be done as fit a page, by t's stub:
// the first n of the queue among them.
func (s *space) batchLocked(t *thread) (calls []armed, n int) {
	b := batch{space: s, calls: make([]armed, 0, min(maxOps, len(s.stray)+len(s.queue)+1)), solo: !t.threaded}
	if t.unnamed {
		t.unnamed = false
		b.calls = append(b.calls, naming)
	}
	for len(s.stray) > 0 && len(b.calls) < maxOps {
		at := uint64(regionAddr(s.stray[0]))
		b.calls = append(b.calls, armed{call: stub.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{at, regionSize}}})
		s.stray = s.stray[1:]
	}
	for n < len(s.queue) && len(b.calls) < maxOps && b.add(&s.queue[n]) {
		n++
	}
	return b.calls, n
}

// add adds what does o. It is false if o is for the next batch.
func (b *batch) add(o *stub.Op) bool {
	if o.Kind == stub.Prefault { // it matters to no call, and none to it that does not come before it anyway
		b.calls = append(b.calls, armed{call: stub.Call{Nr: touchOp, Args: [6]uint64{uint64(o.Range.Start), o.Range.Len()}}})
		return true
	}
	l := &b.space.loose
	b.verify(o.Range)
	var a armed
	switch o.Kind {
	case stub.Map:
		var empty bool
		a.to, a.install, empty = b.space.files.find(o.File, l.pins()|b.used)
		a.source = o.File.FD()
		a.call = o.HostCall(a.to)
		if a.install && !empty {
			b.installed |= 1 << a.to
		}
		solo := b.solo && !a.install && b.installed>>a.to&1 == 0 && soloable(&a.call) && !b.about(o.Range) && mayPin(l.pins()|b.used, a.to)
		if a.solo = l.mapOver(unproved{o.Range, a.to, o.Off, a.call.Args[2]}, solo); a.solo {
			b.solos = append(b.solos, len(b.calls))
			b.used |= 1 << a.to
		}
	case stub.Unmap:
		a.call = o.HostCall(0)
		l.unmap(o.Range, &a.call)
	case stub.Protect:
		a.call = o.HostCall(0)
		before, enough := l.protect(o.Range, &a.call, maxOps-1-len(b.calls))
		for i := range before {
			b.verify(before[i].memory())
		}
		if b.calls = append(b.calls, before...); !enough {
			return false
		}
	}
	b.calls = append(b.calls, a)
	return true
}

// about reports whether any call so far is about memory in r.
func (b *batch) about(r arch.Range) bool {
	for i := range b.calls {
		if b.calls[i].memory().Overlaps(r) {
			return true
		}
	}
	return false
}

// memory is what the call is about.
func (a *armed) memory() arch.Range {
	at := arch.Addr(a.call.Args[0])
	return arch.Range{Start: at, End: at + arch.Addr(a.call.Args[1])}
}

// verify makes solo calls about r verified ones, which are made in order and once.
func (b *batch) verify(r arch.Range) {
	for _, i := range b.solos {
		if c := &b.calls[i]; c.solo && c.memory().Overlaps(r) {
			c.solo = false
			b.space.loose.carve(c.memory())
		}
	}
}
