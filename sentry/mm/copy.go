package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/usermem"
)

var (
	_ usermem.Memory = (*Space)(nil)
	_ usermem.Memory = forced{}
)

// CopyIn implements usermem.Memory.
func (s *Space) CopyIn(dst []byte, from arch.Addr) (int, error) {
	return s.copy(dst, from, arch.Read, false)
}

// CopyOut implements usermem.Memory.
func (s *Space) CopyOut(to arch.Addr, src []byte) (int, error) {
	return s.copy(src, to, arch.Write, false)
}

// copy moves bytes between the guest's memory from a on and b: into b for Read,
// out of b for Write. A short count comes with EFAULT.
func (s *Space) copy(b []byte, a arch.Addr, want arch.Access, force bool) (int, error) {
	done, faults := 0, 0
	for done < len(b) {
		s.mu.RLock()
		n, full := s.copySome(b[done:], a+arch.Addr(done), want, force)
		s.mu.RUnlock()
		if done += n; n > 0 {
			faults = 0
		}
		if done == len(b) {
			break
		}
		at := a + arch.Addr(done)
		if at < a {
			return done, linux.EFAULT // around the end of the address space
		}
		if faults++; faults > maxFaults {
			return done, linux.EFAULT
		}
		if full {
			if !s.env.reclaim() {
				s.env.outOfMemory()
				return done, linux.EFAULT
			}
			continue
		}
		if err := s.faultIn(at, want, force); err != nil {
			return done, err
		}
	}
	return done, nil
}

// maxFaults is how often a copy tries a place that faults: more than once, as
// another thread may change the mapping at the same time.
const maxFaults = 16

// copySome copies as much as has translations. full says that a page of the
// page file could not be had, or a file was shorter than its mapping. s.mu is held for reading.
func (s *Space) copySome(b []byte, a arch.Addr, want arch.Access, force bool) (done int, full bool) {
	for done < len(b) {
		var e *translation
		if force {
			e = s.lookupForced(a, want)
		} else {
			e = s.lookup(a, want)
		}
		if e == nil {
			return done, false
		}
		m := e.at(a)
		var n int
		var ok bool
		if want&arch.Write != 0 {
			n, ok = memfile.Copy(m, b[done:])
		} else {
			n, ok = memfile.Copy(b[done:], m)
		}
		done, a = done+n, a+arch.Addr(n)
		full = !ok && e.window == nil
		e.done()
		if !ok {
			return done, full
		}
	}
	return done, false
}

// lookupForced is lookup for FOLL_FORCE: the run's pages must only be there, and
// the space's own if they are to be written.
func (s *Space) lookupForced(a arch.Addr, want arch.Access) *translation {
	r, x, ok := s.runs.Lookup(a)
	if !ok || want&arch.Write != 0 && (x.cow || !x.owned && x.access&arch.Write == 0) {
		return nil
	}
	return s.translateRun(a, rng(r), &x)
}

// Forced is s as ptrace(2) and /proc/pid/mem see it: rights do not count, but
// what is not mapped is EFAULT, and so is a write to a shared mapping that is
// not writable.
func (s *Space) Forced() usermem.Memory { return forced{s} }

type forced struct{ s *Space }

// CopyIn implements usermem.Memory.
func (f forced) CopyIn(dst []byte, from arch.Addr) (int, error) {
	f.s.watched(arch.Range{Start: from, End: from + arch.Addr(len(dst))})
	return f.s.copy(dst, from, arch.Read, true)
}

// CopyOut implements usermem.Memory.
func (f forced) CopyOut(to arch.Addr, src []byte) (int, error) {
	f.s.watched(arch.Range{Start: to, End: to + arch.Addr(len(src))})
	return f.s.copy(src, to, arch.Write, true)
}

// View implements usermem.Memory, by way of a copy.
func (f forced) View(r arch.Range, a arch.Access, do func([][]byte) (int64, error)) (int64, error) {
	b := make([]byte, min(r.Len(), 64<<10))
	if a&arch.Write != 0 {
		n, err := do([][]byte{b})
		if n > 0 {
			m, cerr := f.CopyOut(r.Start, b[:n])
			if m == 0 {
				return 0, cerr
			}
			return int64(m), err
		}
		return n, err
	}
	n, err := f.CopyIn(b, r.Start)
	if n == 0 {
		return 0, err
	}
	return do([][]byte{b[:n]})
}

// Load32 loads the aligned word at a atomically; EFAULT.
func (s *Space) Load32(a arch.Addr) (uint32, error) {
	return s.atomic32(a, arch.Read, func(b []byte) (uint32, bool) { return memfile.Load32(b) })
}

// CompareAndSwap32 stores v if the aligned word at a is old, atomically, and returns
// what it was; EFAULT.
func (s *Space) CompareAndSwap32(a arch.Addr, old, v uint32) (was uint32, err error) {
	return s.atomic32(a, arch.Write, func(b []byte) (uint32, bool) { return memfile.CompareAndSwap32(b, old, v) })
}

// Update32 replaces the aligned word at a by f of it, atomically, and returns what it
// was; EFAULT. f may be called several times.
func (s *Space) Update32(a arch.Addr, f func(uint32) uint32) (was uint32, err error) {
	return s.atomic32(a, arch.Write, func(b []byte) (uint32, bool) {
		was, ok := memfile.Load32(b)
		for ok {
			var seen uint32
			if seen, ok = memfile.CompareAndSwap32(b, was, f(was)); seen == was {
				break
			}
			was = seen
		}
		return was, ok
	})
}

func (s *Space) atomic32(a arch.Addr, want arch.Access, f func([]byte) (uint32, bool)) (uint32, error) {
	if a&3 != 0 {
		return 0, linux.EFAULT
	}
	for range maxFaults {
		s.mu.RLock()
		e := s.lookup(a, want)
		var v uint32
		ok, full := false, false
		if e != nil {
			v, ok = f(e.at(a))
			full = !ok && e.window == nil
			e.done()
		}
		s.mu.RUnlock()
		if ok {
			return v, nil
		}
		if full {
			if !s.env.reclaim() {
				s.env.outOfMemory()
				return 0, linux.EFAULT
			}
		} else if err := s.faultIn(a, want, false); err != nil {
			return 0, err
		}
	}
	return 0, linux.EFAULT
}

// A FutexKey says which futex an address is: comparable, and equal for two
// addresses if and only if they are the same futex. It must not be kept longer
// than the wait it was made for.
type FutexKey struct {
	space *Space   // private
	file  Mappable // shared
	at    uint64   // address, or offset in file
}

// Hash is a number to choose a bucket by.
func (k FutexKey) Hash() uint64 { return (k.at >> 2) * 0x9e3779b97f4a7c15 >> 20 }

// FutexKey is the key of the 32-bit word at a; private is FUTEX_PRIVATE_FLAG.
// EINVAL if a is not aligned, EFAULT if it is not mapped (for a private key only an
// address no guest can have is).
func (s *Space) FutexKey(a arch.Addr, private bool) (FutexKey, error) {
	if a&3 != 0 {
		return FutexKey{}, linux.EINVAL
	}
	if a >= s.top() {
		return FutexKey{}, linux.EFAULT
	}
	if private {
		return FutexKey{space: s, at: uint64(a)}, nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, v, ok := s.find(a)
	if !ok || v.access == arch.NoAccess {
		return FutexKey{}, linux.EFAULT
	}
	if v.is(vmShared) && v.file() != nil {
		return FutexKey{file: v.file(), at: v.off + uint64(a-r.Start)}, nil
	}
	return FutexKey{space: s, at: uint64(a)}, nil
}
