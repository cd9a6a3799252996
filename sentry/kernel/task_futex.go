package kernel

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel/futex"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// taskFutex is what a task needs for futex(2). It is the task's own.
type taskFutex struct {
	waiter   futex.Waiter
	robust   arch.Addr // set_robust_list(2); 0 for none
	clearTID arch.Addr // set_tid_address(2)
}

// RobustList is what set_robust_list(2) set; SetRobustList sets it.
func (t *Task) RobustList() arch.Addr { return t.robust }

// SetRobustList sets what RobustList returns.
func (t *Task) SetRobustList(a arch.Addr) { t.robust = a }

// SetClearTID is set_tid_address(2).
func (t *Task) SetClearTID(a arch.Addr) { t.clearTID = a }

// ClearTID is what SetClearTID set.
func (t *Task) ClearTID() arch.Addr { return t.clearTID }

// FutexWait sleeps at the futex v until a wake with one of bits, if it holds
// v.Val: EAGAIN if not, ETIMEDOUT when d has come, ERESTARTSYS.
func (t *Task) FutexWait(v *FutexWaitv, bits uint32, d ktime.Deadline) error {
	s := t.space.Load()
	k, err := s.FutexKey(v.Addr, v.Private)
	if err != nil {
		return err
	}
	w := &t.waiter
	w.Owner = 0
	t.k.Futexes.Enqueue(w, k, bits)
	now, err := s.Load32(v.Addr)
	if err == nil && now != v.Val {
		err = linux.EAGAIN
	}
	if err == nil {
		err = t.BlockUntil(w, wait.Readable, d)
	}
	if !t.k.Futexes.Dequeue(w) {
		return nil // woken, whatever else happened: a wake must not get lost
	}
	return err
}

// FutexWake wakes at most n waiters at the futex at a.
func (t *Task) FutexWake(a arch.Addr, private bool, n int, bits uint32) (int, error) {
	k, err := t.space.Load().FutexKey(a, private)
	if err != nil {
		return 0, err
	}
	return t.k.Futexes.Wake(k, n, bits), nil
}

func (t *Task) futexWakeAddr(a arch.Addr, n int) { t.FutexWake(a, false, n, futex.Any) }

// FutexRequeue is FUTEX_CMP_REQUEUE, without a comparison if val is nil.
func (t *Task) FutexRequeue(from, to arch.Addr, private bool, counts [2]int, val *uint32) (int, error) {
	s := t.space.Load()
	k1, err := s.FutexKey(from, private)
	if err != nil {
		return 0, err
	}
	k2, err := s.FutexKey(to, private)
	if err != nil {
		return 0, err
	}
	if val != nil {
		if now, err := s.Load32(from); err != nil {
			return 0, err
		} else if now != *val {
			return 0, linux.EAGAIN
		}
	}
	woken, moved := t.k.Futexes.Requeue(k1, k2, counts[0], counts[1])
	if val == nil {
		return woken, nil // FUTEX_REQUEUE counts the woken alone
	}
	return woken + moved, nil
}

// FutexWakeOp is FUTEX_WAKE_OP: op changes the word at b and says whether what it
// was makes waiters there wake too.
func (t *Task) FutexWakeOp(a, b arch.Addr, private bool, counts [2]int, op uint32) (int, error) {
	s := t.space.Load()
	k1, err := s.FutexKey(a, private)
	if err != nil {
		return 0, err
	}
	k2, err := s.FutexKey(b, private)
	if err != nil {
		return 0, err
	}
	o, err := decodeWakeOp(op)
	if err != nil {
		return 0, err
	}
	was, err := s.Update32(b, o.apply)
	if err != nil {
		return 0, err
	}
	hit, err := o.compare(was)
	if err != nil {
		return 0, err
	}
	n := t.k.Futexes.Wake(k1, counts[0], futex.Any)
	if hit {
		n += t.k.Futexes.Wake(k2, counts[1], futex.Any)
	}
	return n, nil
}

// A wakeOp is the last argument of FUTEX_WAKE_OP, taken apart.
type wakeOp struct {
	op, cmp     uint32
	arg, cmpArg int32
}

func decodeWakeOp(v uint32) (o wakeOp, err error) {
	o = wakeOp{op: v >> 28 & 7, cmp: v >> 24 & 15, arg: int32(v<<8) >> 20, cmpArg: int32(v<<20) >> 20}
	if v>>28&linux.FUTEX_OP_OPARG_SHIFT != 0 {
		o.arg = 1 << (uint32(o.arg) & 31)
	}
	if o.op > linux.FUTEX_OP_XOR {
		return o, linux.ENOSYS
	}
	return o, nil
}

func (o wakeOp) apply(v uint32) uint32 {
	switch o.op {
	case linux.FUTEX_OP_SET:
		return uint32(o.arg)
	case linux.FUTEX_OP_ADD:
		return v + uint32(o.arg)
	case linux.FUTEX_OP_OR:
		return v | uint32(o.arg)
	case linux.FUTEX_OP_ANDN:
		return v &^ uint32(o.arg)
	}
	return v ^ uint32(o.arg)
}

func (o wakeOp) compare(was uint32) (bool, error) {
	v := int32(was)
	switch o.cmp {
	case linux.FUTEX_OP_CMP_EQ:
		return v == o.cmpArg, nil
	case linux.FUTEX_OP_CMP_NE:
		return v != o.cmpArg, nil
	case linux.FUTEX_OP_CMP_LT:
		return v < o.cmpArg, nil
	case linux.FUTEX_OP_CMP_LE:
		return v <= o.cmpArg, nil
	case linux.FUTEX_OP_CMP_GT:
		return v > o.cmpArg, nil
	case linux.FUTEX_OP_CMP_GE:
		return v >= o.cmpArg, nil
	}
	return false, linux.ENOSYS
}

// A FutexWaitv is a futex to wait at, and what it must hold.
type FutexWaitv struct {
	Addr    arch.Addr
	Val     uint32
	Private bool
}

// FutexWaitAny sleeps until one of the futexes is woken and returns its index:
// futex_waitv(2).
func (t *Task) FutexWaitAny(vs []FutexWaitv, d ktime.Deadline) (int, error) {
	s, tab := t.space.Load(), &t.k.Futexes
	ws := make([]futex.Waiter, len(vs))
	any := &anyOf{ws: ws}
	var err error
	n := 0
	for n < len(vs) && err == nil {
		v := &vs[n]
		var k futex.Key
		if k, err = s.FutexKey(v.Addr, v.Private); err != nil {
			break
		}
		tab.Enqueue(&ws[n], k, futex.Any)
		n++
		var now uint32
		if now, err = s.Load32(v.Addr); err == nil && now != v.Val {
			err = linux.EAGAIN
		}
	}
	if err == nil {
		err = t.BlockUntil(any, wait.Readable, d)
	}
	woken := -1
	for i := range ws[:n] {
		if !tab.Dequeue(&ws[i]) && woken < 0 {
			woken = i
		}
	}
	if woken >= 0 {
		return woken, nil
	}
	return 0, err
}

// anyOf is ready when one of its waiters is.
type anyOf struct{ ws []futex.Waiter }

// Ready implements wait.Object.
func (a *anyOf) Ready(e wait.Events) wait.Events {
	for i := range a.ws {
		if r := a.ws[i].Ready(e); r != 0 {
			return r
		}
	}
	return 0
}

// Watch implements wait.Object.
func (a *anyOf) Watch(w *wait.Watch) {
	for i := range a.ws {
		a.ws[i].Watch(w)
	}
}

// Unwatch implements wait.Object.
func (a *anyOf) Unwatch(w *wait.Watch) {
	for i := range a.ws {
		a.ws[i].Unwatch(w)
	}
}

// exitRobust tells those who wait for the futexes that t holds that it is gone:
// the kernel's part of set_robust_list(2).
func (t *Task) exitRobust() {
	at := t.robust
	if at == 0 {
		return
	}
	t.robust = 0
	head, err := usermem.Ptr[linux.RobustListHead](at).Load(t)
	if err != nil {
		return
	}
	entry := head.List
	for n := 0; entry&^1 != uint64(at) && n < linux.RobustListLimit; n++ {
		next, err := usermem.Ptr[uint64](entry &^ 1).Load(t)
		if entry != head.ListOpPending {
			if t.futexDeath(arch.Addr(entry&^1)+arch.Addr(head.FutexOffset), entry&1 != 0, false) != nil {
				return
			}
		}
		if err != nil {
			break
		}
		entry = next
	}
	if p := head.ListOpPending; p != 0 {
		t.futexDeath(arch.Addr(p&^1)+arch.Addr(head.FutexOffset), p&1 != 0, true)
	}
}

// futexDeath marks the futex at a, if t owns it, as abandoned. pending: t was
// about to take it or give it up.
func (t *Task) futexDeath(a arch.Addr, pi, pending bool) error {
	if a&3 != 0 {
		return linux.EINVAL
	}
	s := t.space.Load()
	tid := uint32(t.TID())
	for {
		v, err := s.Load32(a)
		if err != nil {
			return err
		}
		if pending && !pi && v == 0 {
			t.futexWakeAddr(a, 1)
			t.FutexWake(a, true, 1, futex.Any)
			return nil
		}
		if v&linux.FUTEX_TID_MASK != tid {
			return nil
		}
		if pi {
			return t.passPI(a, linux.FUTEX_OWNER_DIED)
		}
		was, err := s.CompareAndSwap32(a, v, v&linux.FUTEX_WAITERS|linux.FUTEX_OWNER_DIED)
		if err != nil {
			return err
		}
		if was != v {
			continue
		}
		if v&linux.FUTEX_WAITERS != 0 {
			t.futexWakeAddr(a, 1)
			t.FutexWake(a, true, 1, futex.Any)
		}
		return nil
	}
}
