package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
)

// vmaFlags are Linux's VM_* flags, but for access, with numbers of our own.
type vmaFlags uint32

const (
	vmShared vmaFlags = 1 << iota
	vmGrowsDown
	vmLocked
	vmLockOnFault
	vmNoReserve
	vmDontFork
	vmWipeOnFork
	vmDontDump
	vmHugePage
	vmNoHugePage
	vmMergeable
	vmRandom
	vmSequential
	vmFixedSize  // VM_DONTEXPAND: the vDSO
	vmSealed     // mseal(2)
	vmTrampoline // no mapping of the guest's, see patch.go
	vmProgram    // MAP_DENYWRITE: a program or library, which nobody changes
)

// A shown is the file that mappings of one space show, with one reference to
// its Identity for all of them.
type shown struct {
	file Mappable // nil: private memory with a name
	id   Identity // may be nil
	vmas int      // how many mappings; protected by Space.mu
}

// A vma is a mapping, as the guest asked for it.
type vma struct {
	access, max arch.Access
	flags       vmaFlags
	shown       *shown // nil for anonymous memory
	off         uint64 // of the range's start in the file
	name        string // "[vdso]", or a name given by prctl(2)
	policy      Policy // mbind(2)
}

// Split implements interval.Value.
func (v vma) Split(r span, at arch.Addr) vma {
	if v.shown != nil {
		v.shown.vmas++
		v.off += uint64(at - r.Start)
	}
	return v
}

// Join implements interval.Value.
func (v vma) Join(l, _ span, o vma) (vma, bool) {
	if v.shown != nil {
		if v.off+uint64(l.Len()) != o.off {
			return v, false // the same part of the file again, perhaps
		}
		o.off = v.off
	}
	if v != o || v.flags&vmGrowsDown != 0 {
		return v, false
	}
	if v.shown != nil {
		v.shown.vmas--
	}
	return v, true
}

func (v *vma) is(f vmaFlags) bool { return v.flags&f != 0 }

// file is the Mappable shown, nil for anonymous memory.
func (v *vma) file() Mappable {
	if v.shown == nil {
		return nil
	}
	return v.shown.file
}

// host is the access a page gets in the host, if nothing stands against it:
// the processor can't write what it can't read.
func (v *vma) host() arch.Access { return hostAccess(v.access) }

func hostAccess(a arch.Access) arch.Access {
	if a&arch.Write != 0 {
		a |= arch.Read
	}
	return a
}

// mapping is v at r, as Mappables are told of it.
func (s *Space) mapping(r arch.Range, v *vma) Mapping {
	return Mapping{Space: s, Range: r, Offset: v.off, Writable: v.is(vmShared) && v.max&arch.Write != 0}
}

// counters are bytes of mappings by kind, as /proc/pid/status has them.
type counters struct {
	vm, peak, locked, data, stack, exec uint64
}

// tally adds (sign 1) or takes away (sign -1) n bytes like v.
func (c *counters) tally(v *vma, n uint64, sign int64) {
	d := n * uint64(sign)
	c.vm += d
	c.peak = max(c.peak, c.vm)
	if v.is(vmLocked) {
		c.locked += d
	}
	switch {
	case v.is(vmGrowsDown):
		c.stack += d
	case v.access&arch.Exec != 0 && v.access&arch.Write == 0:
		c.exec += d
	case v.access&arch.Write != 0 && !v.is(vmShared):
		c.data += d
	}
}

// isData reports whether v counts against RLIMIT_DATA.
func (v *vma) isData() bool {
	return v.access&arch.Write != 0 && v.flags&(vmShared|vmGrowsDown) == 0
}

// mayExpand is ENOMEM if n more bytes like v would exceed RLIMIT_AS or
// RLIMIT_DATA (may_expand_vm).
func (s *Space) mayExpand(v *vma, n uint64) error {
	if lim := s.limit(limits.AS); s.count.vm+n > lim {
		return linux.ENOMEM
	}
	if v.isData() {
		lim := s.lim.Load().Get(limits.Data)
		if lim.Cur == 0 { // as Linux does it for Valgrind, which keeps the heap small so
			lim.Cur = lim.Max
		}
		if s.count.data+n > lim.Cur {
			return linux.ENOMEM
		}
	}
	return nil
}

// mayCommit is ENOMEM if n bytes like v are more than there is (Linux's heuristic overcommit).
func (s *Space) mayCommit(v *vma, n uint64) error {
	if v.is(vmNoReserve) || v.access&arch.Write == 0 || v.is(vmShared) && v.file() != nil && !isAnonymous(v.file()) {
		return nil
	}
	if n > s.env.total.Load() {
		return linux.ENOMEM
	}
	return nil
}

// mayLock is an error if n more bytes may not be locked (mlock_future_ok).
func (s *Space) mayLock(n uint64, can bool) error {
	if !can && s.count.locked+n > s.limit(limits.MemLock)&^arch.PageMask {
		return linux.EAGAIN
	}
	return nil
}

// room is ENOMEM if the guest, or the host for it, has almost too many mappings.
func (s *Space) room() error {
	if s.vmas.Len() >= maxMappings || s.runs.Len() >= min(s.env.facts.MaxMaps, maxMappings)-spareRuns {
		return linux.ENOMEM
	}
	return nil
}

// spareRuns is what is kept of the host's mappings for one more operation.
const spareRuns = 64

// insertVMA records a mapping and tells its Mappable, which may refuse.
func (s *Space) insertVMA(r arch.Range, v vma) error {
	if f := v.file(); f != nil {
		if err := f.AddMapping(s.mapping(r, &v)); err != nil {
			return err
		}
	}
	if v.shown != nil {
		v.shown.vmas++
	}
	s.count.tally(&v, r.Len(), 1)
	s.vmas.Insert(ivl(r), v)
	return nil
}

// dropVMAs forgets the mappings in r. The runs are another matter.
func (s *Space) dropVMAs(r arch.Range) {
	s.vmas.Remove(ivl(r), func(vr span, v vma) {
		s.count.tally(&v, uint64(vr.Len()), -1)
		if v.shown == nil {
			return
		}
		if v.shown.file != nil {
			v.shown.file.RemoveMapping(s.mapping(rng(vr), &v))
		}
		s.unshow(v.shown)
	})
}

// unshow takes one mapping from x, which is forgotten with the last.
func (s *Space) unshow(x *shown) {
	if x.vmas--; x.vmas == 0 && x.id != nil {
		s.trash.ids = append(s.trash.ids, x.id)
	}
}

// find is the mapping that contains a.
func (s *Space) find(a arch.Addr) (arch.Range, vma, bool) {
	r, v, ok := s.vmas.Lookup(a)
	return rng(r), v, ok
}

// update changes the mappings in r by f, which must not touch shown.
func (s *Space) update(r arch.Range, f func(*vma)) {
	s.vmas.Update(ivl(r), func(vr span, v *vma) {
		s.count.tally(v, uint64(vr.Len()), -1)
		f(v)
		s.count.tally(v, uint64(vr.Len()), 1)
	})
}
