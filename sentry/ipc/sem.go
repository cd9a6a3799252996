package ipc

import (
	"sync"

	"garrison/sentry/linux"
)

// A Set is a semaphore set, semget(2).
type Set struct {
	Object
	ns *Namespace

	// Protected by Object.mu:

	sems         []semaphore
	otime, ctime int64
	undos        map[*Undo]struct{} // those with adjustments here
}

type semaphore struct {
	val  int32
	pid  int32 // who changed it last
	ncnt int32 // waiting for it to grow
	zcnt int32 // waiting for zero
}

// An Undo is what semop(2) with SEM_UNDO has to take back when its process (or all
// that share it) ends.
type Undo struct {
	mu   sync.Mutex
	adj  map[*Set][]int32  // protected by the sets' locks
	sets map[*Set]struct{} // protected by mu
	refs int               // protected by mu
}

// NewUndo returns an empty one with one user.
func NewUndo() *Undo { return &Undo{adj: map[*Set][]int32{}, sets: map[*Set]struct{}{}, refs: 1} }

// Share counts one more user: clone(2) with CLONE_SYSVSEM.
func (u *Undo) Share() *Undo {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refs++
	return u
}

// Release counts one user less; with the last, everything is taken back.
func (u *Undo) Release(pid int32, now int64) {
	u.mu.Lock()
	u.refs--
	var sets []*Set
	if u.refs == 0 {
		for s := range u.sets {
			sets = append(sets, s)
		}
	}
	u.mu.Unlock()
	for _, s := range sets {
		s.takeBack(u, pid, now)
	}
}

// takeBack applies u's adjustments to s. A value that would be out of range stops
// at the bound, as on Linux.
func (s *Set) takeBack(u *Undo, pid int32, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return
	}
	for i, adj := range s.adjustments(u, false) {
		if adj == 0 {
			continue
		}
		x := &s.sems[i]
		x.val = min(max(x.val+adj, 0), linux.SEMVMX)
		x.pid = pid
	}
	delete(s.undos, u)
	s.otime = now
	s.changed.tell()
}

// adjustments is u's for s, made if mk; s is locked.
func (s *Set) adjustments(u *Undo, mk bool) []int32 {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.adj[s]
	if a == nil && mk {
		a = make([]int32, len(s.sems))
		u.adj[s] = a
		u.sets[s] = struct{}{}
		s.undos[u] = struct{}{}
	}
	return a
}

// forget drops the adjustments of all for s: SETVAL, SETALL and removal do.
func (s *Set) forget(clear func(a []int32)) {
	for u := range s.undos {
		u.mu.Lock()
		if a := u.adj[s]; a != nil {
			clear(a)
		}
		if s.removed {
			delete(u.adj, s)
			delete(u.sets, s)
		}
		u.mu.Unlock()
	}
}

// NewSet is semget(2).
func (n *Namespace) NewSet(c *Caller, key int32, count int32, flags uint32) (int32, error) {
	if count < 0 || count > linux.SEMMSL {
		return 0, linux.EINVAL
	}
	check := func(s *Set) error {
		if int(count) > len(s.sems) {
			return linux.EINVAL
		}
		return nil
	}
	return n.Sets.Get(c, key, flags, check, func() (*Set, error) {
		if count == 0 {
			return nil, linux.EINVAL
		}
		return &Set{ns: n, sems: make([]semaphore, count), ctime: c.Now, undos: map[*Undo]struct{}{}}, nil
	})
}

// A Wait is why an operation could not be done: which semaphore it waits for.
type Wait struct {
	Num  uint16
	Zero bool
	// NoWait is that the operation at fault has IPC_NOWAIT.
	NoWait bool
}

// Operate is semop(2): all of ops, or none. EAGAIN comes with the reason to wait;
// EACCES, EFBIG, ERANGE, EIDRM.
func (s *Set) Operate(c *Caller, ops []linux.Sembuf, u *Undo) (w Wait, err error) {
	want := uint32(0o444)
	for _, op := range ops {
		if op.Op != 0 {
			want = 0o222
		}
	}
	if err := s.lock(); err != nil {
		return w, err
	}
	defer s.mu.Unlock()
	for _, op := range ops {
		if int(op.Num) >= len(s.sems) {
			return w, linux.EFBIG
		}
	}
	if err := s.may(c, want); err != nil {
		return w, err
	}
	done := 0
	for ; done < len(ops) && err == nil; done++ {
		if err = s.one(&ops[done], u); err != nil {
			break
		}
	}
	if err != nil {
		op := &ops[done]
		w = Wait{Num: op.Num, Zero: op.Op == 0, NoWait: op.Flg&linux.IPC_NOWAIT != 0}
		for i := done - 1; i >= 0; i-- {
			s.back(&ops[i], u)
		}
		return w, err
	}
	for i := range ops {
		s.sems[ops[i].Num].pid = c.PID
	}
	s.otime = c.Now
	if want == 0o222 {
		s.changed.tell()
	}
	return w, nil
}

// one does one operation; back undoes it.
func (s *Set) one(op *linux.Sembuf, u *Undo) error {
	x := &s.sems[op.Num]
	switch {
	case op.Op == 0:
		if x.val != 0 {
			return linux.EAGAIN
		}
		return nil
	case x.val+int32(op.Op) < 0:
		return linux.EAGAIN
	case x.val+int32(op.Op) > linux.SEMVMX:
		return linux.ERANGE
	}
	if op.Flg&linux.SEM_UNDO != 0 {
		a := s.adjustments(u, true)
		if n := a[op.Num] - int32(op.Op); n < -linux.SEMVMX-1 || n > linux.SEMVMX {
			return linux.ERANGE
		}
		a[op.Num] -= int32(op.Op)
	}
	x.val += int32(op.Op)
	return nil
}

func (s *Set) back(op *linux.Sembuf, u *Undo) {
	if op.Op == 0 {
		return
	}
	s.sems[op.Num].val -= int32(op.Op)
	if op.Flg&linux.SEM_UNDO != 0 {
		s.adjustments(u, true)[op.Num] += int32(op.Op)
	}
}

// Waiting counts (n 1) or no longer counts (n -1) a caller that waits because of w.
func (s *Set) Waiting(w Wait, n int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := &s.sems[w.Num]; w.Zero {
		x.zcnt += n
	} else {
		x.ncnt += n
	}
}

// Remove is IPC_RMID.
func (s *Set) Remove(c *Caller) error {
	if err := s.lock(); err != nil {
		return err
	}
	if err := s.owns(c); err != nil {
		s.mu.Unlock()
		return err
	}
	s.removed = true
	s.forget(func([]int32) {})
	s.changed.tell()
	s.mu.Unlock()
	s.ns.Sets.drop(s)
	return nil
}

// Set is IPC_SET.
func (s *Set) Set(c *Caller, p *linux.IPCPerm) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := s.owns(c); err != nil {
		return err
	}
	s.ctime = c.Now
	return s.set(c, p)
}

// Stat is IPC_STAT; anybody may if force (SEM_STAT_ANY).
func (s *Set) Stat(c *Caller, force bool) (out linux.SemidDS, err error) {
	if err := s.lock(); err != nil {
		return out, err
	}
	defer s.mu.Unlock()
	if !force {
		if err := s.may(c, 0o444); err != nil {
			return out, err
		}
	}
	return linux.SemidDS{Perm: s.shown(c), Otime: s.otime, Ctime: s.ctime, Nsems: uint64(len(s.sems))}, nil
}

// Len is the number of semaphores.
func (s *Set) Len() int { return len(s.sems) }

// Get is GETVAL, GETPID, GETNCNT or GETZCNT: EINVAL for a semaphore that is not
// there, EACCES.
func (s *Set) Get(c *Caller, num int32, cmd int32) (int32, error) {
	if err := s.lock(); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	if err := s.may(c, 0o444); err != nil {
		return 0, err
	}
	if num < 0 || int(num) >= len(s.sems) {
		return 0, linux.EINVAL
	}
	switch x := &s.sems[num]; cmd {
	case linux.GETVAL:
		return x.val, nil
	case linux.GETPID:
		return x.pid, nil
	case linux.GETNCNT:
		return x.ncnt, nil
	default:
		return x.zcnt, nil
	}
}

// Values is GETALL.
func (s *Set) Values(c *Caller) ([]uint16, error) {
	if err := s.lock(); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if err := s.may(c, 0o444); err != nil {
		return nil, err
	}
	out := make([]uint16, len(s.sems))
	for i := range s.sems {
		out[i] = uint16(s.sems[i].val)
	}
	return out, nil
}

// SetValue is SETVAL, SetValues SETALL: ERANGE.
func (s *Set) SetValue(c *Caller, num int32, val int32) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if num < 0 || int(num) >= len(s.sems) {
		return linux.EINVAL
	}
	if err := s.may(c, 0o222); err != nil {
		return err
	}
	if val < 0 || val > linux.SEMVMX {
		return linux.ERANGE
	}
	s.forget(func(a []int32) { a[num] = 0 })
	s.sems[num].val, s.sems[num].pid = val, c.PID
	s.ctime = c.Now
	s.changed.tell()
	return nil
}

// SetValues is SETALL.
func (s *Set) SetValues(c *Caller, vals []uint16) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := s.may(c, 0o222); err != nil {
		return err
	}
	for _, v := range vals {
		if v > linux.SEMVMX {
			return linux.ERANGE
		}
	}
	s.forget(func(a []int32) { clear(a) })
	for i, v := range vals {
		s.sems[i].val, s.sems[i].pid = int32(v), c.PID
	}
	s.ctime = c.Now
	s.changed.tell()
	return nil
}
