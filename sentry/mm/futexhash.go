package mm

import "garrison/sentry/linux"

// A futexHash is what prctl(PR_FUTEX_HASH) tells of a process's own futex hash. Futexes
// are found here by other means: only what is said of it is kept. A copy of the space,
// and the next program's, begin without.
type futexHash struct {
	slots  uint32
	chosen bool // by the process: without slots, the hash of the whole system, for good
}

const (
	futexSlotsLeast  = 16
	futexSlotsThread = 4
	futexSlotSize    = 64
)

// SetFutexSlots is PR_FUTEX_HASH_SET_SLOTS: 0 chooses the whole system's hash for good.
// EINVAL if n is no power of two, EBUSY if there is no way back, ENOMEM if n is more than
// Linux allocates at once.
func (s *Space) SetFutexSlots(n uint32) error {
	if n == 1 || n&(n-1) != 0 {
		return linux.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.futex.chosen && s.futex.slots == 0 {
		return linux.EBUSY
	}
	if n > 1<<31/futexSlotSize-1 {
		return linux.ENOMEM
	}
	s.futex = futexHash{n, true}
	return nil
}

// FutexSlots is PR_FUTEX_HASH_GET_SLOTS.
func (s *Space) FutexSlots() uint32 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.futex.slots
}

// NeedFutexSlots says that a process of so many threads, at most one for each
// processor, gets another, or a process to share its memory with: a hash that the process has not chosen grows with them.
func (s *Space) NeedFutexSlots(threads int) {
	n := uint32(futexSlotsLeast)
	for int(n) < threads*futexSlotsThread {
		n *= 2
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.futex.chosen {
		s.futex.slots = max(s.futex.slots, n)
	}
}
