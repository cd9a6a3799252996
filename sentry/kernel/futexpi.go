package kernel

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel/futex"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// Priority-inheriting futexes: the word holds its owner's thread id, and the
// kernel hands it over. Nobody inherits a priority, as the host schedules; the
// longest waiting is next. Kernel.pi serialises hand-overs: it is held while
// the word is changed, so that a word and its waiters agree.

// FutexLockPI takes the futex at a: FUTEX_LOCK_PI. EDEADLK if t has it, EAGAIN if
// it is taken and try, ESRCH if its owner does not exist, ETIMEDOUT.
func (t *Task) FutexLockPI(a arch.Addr, private, try bool, d ktime.Deadline) error {
	s := t.space.Load()
	k, err := s.FutexKey(a, private)
	if err != nil {
		return err
	}
	if v, err := s.Load32(a); err != nil {
		return err
	} else if owner := v & linux.FUTEX_TID_MASK; owner != 0 && t.k.FindTask(t.pid.ns, int32(owner)) == nil {
		return linux.ESRCH
	}
	taken, err := t.takePI(a, k, try)
	if taken || err != nil {
		return err
	}
	w := &t.waiter
	err = t.BlockUntil(w, wait.Readable, d)
	t.k.pi.Lock()
	defer t.k.pi.Unlock()
	if !t.k.Futexes.Dequeue(w) {
		return nil // it was handed over
	}
	if err == linux.ERESTARTSYS {
		return linux.ERESTARTNOINTR
	}
	return err
}

// takePI takes the futex if it is free, or else makes t wait for it.
func (t *Task) takePI(a arch.Addr, k futex.Key, try bool) (taken bool, err error) {
	s := t.space.Load()
	tid := uint32(t.TID())
	t.k.pi.Lock()
	defer t.k.pi.Unlock()
	for {
		v, err := s.Load32(a)
		if err != nil {
			return false, err
		}
		owner := v & linux.FUTEX_TID_MASK
		next := v | linux.FUTEX_WAITERS
		switch {
		case owner == tid:
			return false, linux.EDEADLK
		case owner == 0:
			next = tid | v&linux.FUTEX_OWNER_DIED
			if first, _ := t.k.Futexes.First(k); first != 0 {
				next |= linux.FUTEX_WAITERS
			}
		case try:
			return false, linux.EAGAIN
		}
		was, err := s.CompareAndSwap32(a, v, next)
		if err != nil {
			return false, err
		}
		if was != v {
			continue
		}
		if owner == 0 {
			return true, nil
		}
		t.waiter.Owner = tid
		t.k.Futexes.Enqueue(&t.waiter, k, futex.Any)
		return false, nil
	}
}

// FutexUnlockPI gives the futex at a up: FUTEX_UNLOCK_PI. EPERM if t has it not.
func (t *Task) FutexUnlockPI(a arch.Addr, private bool) error {
	return t.handOverPI(a, private, 0)
}

// passPI is FutexUnlockPI at t's end, however the futex was shared.
func (t *Task) passPI(a arch.Addr, mark uint32) error {
	if k, err := t.space.Load().FutexKey(a, true); err == nil {
		if first, _ := t.k.Futexes.First(k); first != 0 {
			return t.handOverPI(a, true, mark)
		}
	}
	return t.handOverPI(a, false, mark)
}

func (t *Task) handOverPI(a arch.Addr, private bool, mark uint32) error {
	s := t.space.Load()
	k, err := s.FutexKey(a, private)
	if err != nil {
		return err
	}
	t.k.pi.Lock()
	defer t.k.pi.Unlock()
	for {
		v, err := s.Load32(a)
		if err != nil {
			return err
		}
		if v&linux.FUTEX_TID_MASK != uint32(t.TID()) {
			return linux.EPERM
		}
		next, more := t.k.Futexes.First(k)
		word := next | mark
		if more {
			word |= linux.FUTEX_WAITERS
		}
		was, err := s.CompareAndSwap32(a, v, word)
		if err != nil {
			return err
		}
		if was == v {
			t.k.Futexes.Wake(k, 1, futex.Any)
			return nil
		}
	}
}
