package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// futex implements futex(2). The fourth argument is a time-out or a count.
func futex(t *kernel.Task, addr address, op int32, val uint32, fourth uint64, addr2 address, val3 uint32) (int, error) {
	a, a2 := addr.Addr(), addr2.Addr()
	private := op&linux.FUTEX_PRIVATE_FLAG != 0
	cmd := op & linux.FUTEX_CMD_MASK
	if op&linux.FUTEX_CLOCK_REALTIME != 0 && cmd != linux.FUTEX_WAIT_BITSET && cmd != linux.FUTEX_WAIT_REQUEUE_PI && cmd != linux.FUTEX_LOCK_PI2 {
		return 0, linux.ENOSYS
	}
	counts := [2]int{int(int32(val)), int(int32(fourth))}
	switch cmd {
	case linux.FUTEX_WAIT, linux.FUTEX_WAIT_BITSET, linux.FUTEX_LOCK_PI, linux.FUTEX_LOCK_PI2:
		d, err := futexDeadline(t, op, usermem.Ptr[linux.Timespec](fourth))
		if err != nil {
			return 0, err
		}
		switch cmd {
		case linux.FUTEX_WAIT:
			return 0, futexWait(t, &kernel.FutexWaitv{Addr: a, Val: val, Private: private}, linux.FUTEX_BITSET_MATCH_ANY, d)
		case linux.FUTEX_WAIT_BITSET:
			return 0, futexWait(t, &kernel.FutexWaitv{Addr: a, Val: val, Private: private}, val3, d)
		}
		return 0, t.FutexLockPI(a, private, false, d)
	case linux.FUTEX_WAKE:
		return t.FutexWake(a, private, max(int(int32(val)), 1), linux.FUTEX_BITSET_MATCH_ANY)
	case linux.FUTEX_WAKE_BITSET:
		if val3 == 0 {
			return 0, linux.EINVAL
		}
		return t.FutexWake(a, private, max(int(int32(val)), 1), val3)
	case linux.FUTEX_REQUEUE, linux.FUTEX_CMP_REQUEUE:
		if counts[0] < 0 || counts[1] < 0 {
			return 0, linux.EINVAL
		}
		var want *uint32
		if cmd == linux.FUTEX_CMP_REQUEUE {
			want = &val3
		}
		return t.FutexRequeue(a, a2, private, counts, want)
	case linux.FUTEX_WAKE_OP:
		counts[0], counts[1] = max(counts[0], 1), max(counts[1], 1)
		return t.FutexWakeOp(a, a2, private, counts, val3)
	case linux.FUTEX_TRYLOCK_PI:
		return 0, t.FutexLockPI(a, private, true, ktime.Deadline{})
	case linux.FUTEX_UNLOCK_PI:
		return 0, t.FutexUnlockPI(a, private)
	}
	return 0, linux.ENOSYS
}

// futexDeadline reads a time-out: FUTEX_WAIT's is relative, the others' absolute;
// FUTEX_LOCK_PI's is on CLOCK_REALTIME whatever the flag.
func futexDeadline(t *kernel.Task, op int32, p usermem.Ptr[linux.Timespec]) (d ktime.Deadline, err error) {
	if p == 0 {
		return d, nil
	}
	ts, err := p.Load(t)
	if err != nil {
		return d, err
	}
	if !ts.Valid() {
		return d, linux.EINVAL
	}
	c := &t.Kernel().Clocks
	cmd := op & linux.FUTEX_CMD_MASK
	switch {
	case cmd == linux.FUTEX_WAIT:
		return ktime.After(&c.Monotonic, ts.Nano()), nil
	case cmd == linux.FUTEX_LOCK_PI || op&linux.FUTEX_CLOCK_REALTIME != 0:
		return ktime.Deadline{Clock: &c.Realtime, At: ts.Nano()}, nil
	}
	return ktime.Deadline{Clock: &c.Monotonic, At: ts.Nano() - t.TimeOffset(linux.CLOCK_MONOTONIC)}, nil
}

// futexWait waits. Interrupted with a deadline, it goes on towards the same one.
func futexWait(t *kernel.Task, v *kernel.FutexWaitv, bits uint32, d ktime.Deadline) error {
	if bits == 0 {
		return linux.EINVAL
	}
	err := t.FutexWait(v, bits, d)
	if err == linux.ERESTARTSYS && !d.Never() {
		return t.SetRestart(func(t *kernel.Task) (uint64, error) { return 0, futexWait(t, v, bits, d) })
	}
	return err
}

// futexWaitv implements futex_waitv(2).
func futexWaitv(t *kernel.Task, vec usermem.Ptr[linux.FutexWaitv], n uint32, flags uint32, timeout usermem.Ptr[linux.Timespec], clock linux.ClockID) (int, error) {
	if flags != 0 || n == 0 || n > linux.FUTEX_WAITV_MAX || vec == 0 {
		return 0, linux.EINVAL
	}
	d, err := futex2Deadline(t, timeout, clock)
	if err != nil {
		return 0, err
	}
	in, err := vec.LoadSlice(t, int(n))
	if err != nil {
		return 0, err
	}
	vs := make([]kernel.FutexWaitv, n)
	for i, v := range in {
		if v.Reserved != 0 || v.Flags&^(linux.FUTEX2_SIZE_MASK|linux.FUTEX2_PRIVATE) != 0 || v.Flags&linux.FUTEX2_SIZE_MASK != linux.FUTEX2_SIZE_U32 || v.Val>>32 != 0 {
			return 0, linux.EINVAL
		}
		vs[i] = kernel.FutexWaitv{Addr: arch.Addr(v.Uaddr), Val: uint32(v.Val), Private: v.Flags&linux.FUTEX2_PRIVATE != 0}
	}
	return t.FutexWaitAny(vs, d)
}

// futex2Deadline reads the time-out of the futex2 calls: absolute, on the clock named.
func futex2Deadline(t *kernel.Task, p usermem.Ptr[linux.Timespec], clock linux.ClockID) (d ktime.Deadline, err error) {
	if p == 0 {
		return d, nil
	}
	if clock != linux.CLOCK_MONOTONIC && clock != linux.CLOCK_REALTIME {
		return d, linux.EINVAL
	}
	ts, err := p.Load(t)
	if err != nil {
		return d, err
	}
	if !ts.Valid() {
		return d, linux.EINVAL
	}
	return ktime.Deadline{Clock: t.Kernel().Clocks.Clock(clock), At: ts.Nano() - t.TimeOffset(clock)}, nil
}

// futex2 checks the flags of futex_wake(2), futex_wait(2) and their kin.
func futex2(flags uint32) (private bool, err error) {
	if flags&^(linux.FUTEX2_SIZE_MASK|linux.FUTEX2_PRIVATE) != 0 || flags&linux.FUTEX2_SIZE_MASK != linux.FUTEX2_SIZE_U32 {
		return false, linux.EINVAL
	}
	return flags&linux.FUTEX2_PRIVATE != 0, nil
}

// futexWake2 implements futex_wake(2).
func futexWake2(t *kernel.Task, addr address, mask uint64, n int32, flags uint32) (int, error) {
	private, err := futex2(flags)
	if err != nil {
		return 0, err
	}
	if mask>>32 != 0 || uint32(mask) == 0 {
		return 0, linux.EINVAL
	}
	if n <= 0 {
		return 0, nil
	}
	return t.FutexWake(addr.Addr(), private, int(n), uint32(mask))
}

// futexWait2 implements futex_wait(2).
func futexWait2(t *kernel.Task, addr address, val, mask uint64, flags uint32, timeout usermem.Ptr[linux.Timespec], clock linux.ClockID) (int, error) {
	private, err := futex2(flags)
	if err != nil {
		return 0, err
	}
	if mask>>32 != 0 || uint32(mask) == 0 || val>>32 != 0 {
		return 0, linux.EINVAL
	}
	d, err := futex2Deadline(t, timeout, clock)
	if err != nil {
		return 0, err
	}
	return 0, futexWait(t, &kernel.FutexWaitv{Addr: addr.Addr(), Val: uint32(val), Private: private}, uint32(mask), d)
}

// futexRequeue2 implements futex_requeue(2).
func futexRequeue2(t *kernel.Task, vec usermem.Ptr[linux.FutexWaitv], flags uint32, wake, move int32) (int, error) {
	if flags != 0 || vec == 0 || wake < 0 || move < 0 {
		return 0, linux.EINVAL
	}
	v, err := vec.LoadSlice(t, 2)
	if err != nil {
		return 0, err
	}
	p1, err := futex2(v[0].Flags)
	if err != nil {
		return 0, err
	}
	p2, err := futex2(v[1].Flags)
	if err != nil {
		return 0, err
	}
	if p1 != p2 || v[0].Reserved != 0 || v[1].Reserved != 0 || v[0].Val>>32 != 0 {
		return 0, linux.EINVAL
	}
	want := uint32(v[0].Val)
	return t.FutexRequeue(arch.Addr(v[0].Uaddr), arch.Addr(v[1].Uaddr), p1, [2]int{int(wake), int(move)}, &want)
}

// setRobustList implements set_robust_list(2).
func setRobustList(t *kernel.Task, head address, n size) (int, error) {
	if n != 24 {
		return 0, linux.EINVAL
	}
	t.SetRobustList(head.Addr())
	return 0, nil
}

// getRobustList implements get_robust_list(2).
func getRobustList(t *kernel.Task, tid int32, head, n usermem.Ptr[uint64]) (int, error) {
	x := t
	if tid != 0 {
		var err error
		if x, err = findThread(t, 0, tid); err != nil {
			return 0, err
		}
	}
	if !t.MayInspect(x, false) {
		return 0, linux.EPERM
	}
	at, length := uint64(x.RobustList()), uint64(24)
	if err := n.Store(t, &length); err != nil {
		return 0, err
	}
	return 0, head.Store(t, &at)
}

// setTIDAddress implements set_tid_address(2).
func setTIDAddress(t *kernel.Task, a address) (int32, error) {
	t.SetClearTID(a.Addr())
	return t.TID(), nil
}
