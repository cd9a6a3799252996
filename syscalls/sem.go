package syscalls

import (
	"garrison/sentry/ipc"
	"garrison/sentry/kernel"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// semget is semget(2).
func semget(t *kernel.Task, key, n int32, flags uint32) (int32, error) {
	return t.Namespaces().IPC.SysV.NewSet(t.IPCCaller(), key, n, flags)
}

// semop is semop(2).
func semop(t *kernel.Task, id int32, ops usermem.Ptr[linux.Sembuf], n uint32) (int, error) {
	return semtimedop(t, id, ops, n, 0)
}

// semtimedop is semtimedop(2).
func semtimedop(t *kernel.Task, id int32, p usermem.Ptr[linux.Sembuf], n uint32, limit usermem.Ptr[linux.Timespec]) (int, error) {
	var d ktime.Deadline
	if limit != 0 {
		ts, err := limit.Load(t)
		if err != nil {
			return 0, err
		}
		if !ts.Valid() {
			return 0, linux.EINVAL
		}
		d = ktime.After(&t.Kernel().Clocks.Monotonic, ts.Nano())
	}
	if n < 1 || id < 0 {
		return 0, linux.EINVAL
	}
	if n > linux.SEMOPM {
		return 0, linux.E2BIG
	}
	ops, err := p.LoadSlice(t, int(n))
	if err != nil {
		return 0, err
	}
	s, err := t.Namespaces().IPC.SysV.Sets.Find(id)
	if err != nil {
		return 0, err
	}
	return 0, operate(t, s, ops, d)
}

// operate does ops, waiting until it can. It is never restarted.
func operate(t *kernel.Task, s *ipc.Set, ops []linux.Sembuf, d ktime.Deadline) error {
	var undo *ipc.Undo
	for i := range ops {
		if ops[i].Flg&linux.SEM_UNDO != 0 && undo == nil {
			undo = t.SemUndo()
		}
	}
	for {
		ticket := s.Changes().Ticket()
		w, err := s.Operate(t.IPCCaller(), ops, undo)
		if err != linux.EAGAIN || w.NoWait {
			return err
		}
		s.Waiting(w, 1)
		err = t.BlockUntil(s.Changes().Since(ticket), wait.Readable, d)
		s.Waiting(w, -1)
		switch err {
		case nil:
		case linux.ETIMEDOUT:
			return linux.EAGAIN
		default:
			return linux.EINTR
		}
	}
}

// semctl is semctl(2).
func semctl(t *kernel.Task, id, num, cmd int32, arg uint64) (int, error) {
	ns, c := t.Namespaces().IPC.SysV, t.IPCCaller()
	switch cmd &^= linux.IPC_64; cmd {
	case linux.IPC_INFO, linux.SEM_INFO:
		return semInfo(t, ns, cmd, arg)
	case linux.SEM_STAT, linux.SEM_STAT_ANY:
		s, err := ns.Sets.At(id)
		if err != nil {
			return 0, err
		}
		d, err := s.Stat(c, cmd == linux.SEM_STAT_ANY)
		if err != nil {
			return 0, err
		}
		return int(s.ID), usermem.Ptr[linux.SemidDS](arg).Store(t, &d)
	}
	s, err := ns.Sets.Find(id)
	if err != nil {
		return 0, err
	}
	switch cmd {
	case linux.GETVAL, linux.GETPID, linux.GETNCNT, linux.GETZCNT:
		v, err := s.Get(c, num, cmd)
		return int(v), err
	case linux.SETVAL:
		return 0, s.SetValue(c, num, int32(arg))
	case linux.GETALL:
		v, err := s.Values(c)
		if err != nil {
			return 0, err
		}
		return 0, usermem.Ptr[uint16](arg).StoreSlice(t, v)
	case linux.SETALL:
		v, err := usermem.Ptr[uint16](arg).LoadSlice(t, s.Len())
		if err != nil {
			return 0, err
		}
		return 0, s.SetValues(c, v)
	case linux.IPC_STAT:
		d, err := s.Stat(c, false)
		if err != nil {
			return 0, err
		}
		return 0, usermem.Ptr[linux.SemidDS](arg).Store(t, &d)
	case linux.IPC_SET:
		d, err := usermem.Ptr[linux.SemidDS](arg).Load(t)
		if err != nil {
			return 0, err
		}
		return 0, s.Set(c, &d.Perm)
	case linux.IPC_RMID:
		return 0, s.Remove(c)
	}
	return 0, linux.EINVAL
}

// semInfo is semctl's IPC_INFO and SEM_INFO.
func semInfo(t *kernel.Task, ns *ipc.Namespace, cmd int32, arg uint64) (int, error) {
	i := linux.SemInfo{
		Map: linux.SEMMNS, Mni: linux.SEMMNI, Mns: linux.SEMMNS, Mnu: linux.SEMMNS, Msl: linux.SEMMSL,
		Opm: linux.SEMOPM, Ume: linux.SEMOPM, Usz: 20, Vmx: linux.SEMVMX, Aem: linux.SEMVMX,
	}
	if cmd == linux.SEM_INFO {
		i.Usz, i.Aem = int32(ns.Sets.Count()), 0
		for _, s := range ns.Sets.All() {
			i.Aem += int32(s.Len())
		}
	}
	return ns.Sets.Highest(), usermem.Ptr[linux.SemInfo](arg).Store(t, &i)
}
