package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/ipc"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// msgget is msgget(2).
func msgget(t *kernel.Task, key int32, flags uint32) (int32, error) {
	return t.Namespaces().IPC.SysV.NewQueue(t.IPCCaller(), key, flags)
}

// mtypeSize is the size of a struct msgbuf before its text.
const mtypeSize = 8

// msgsnd is msgop(2).
func msgsnd(t *kernel.Task, id int32, p address, n size, flags uint32) (int, error) {
	typ, err := usermem.Ptr[int64](p).Load(t)
	if err != nil {
		return 0, err
	}
	if n > linux.MSGMAX || id < 0 || typ < 1 {
		return 0, linux.EINVAL
	}
	m := ipc.Message{Type: typ, Text: make([]byte, n)}
	if _, err := t.CopyIn(m.Text, arch.Addr(p)+mtypeSize); err != nil {
		return 0, err
	}
	q, err := t.Namespaces().IPC.SysV.Queues.Find(id)
	if err != nil {
		return 0, err
	}
	for {
		ticket := q.Changes().Ticket()
		err := q.Send(t.IPCCaller(), m)
		if err != linux.EAGAIN || flags&linux.IPC_NOWAIT != 0 {
			return 0, err
		}
		if t.Block(q.Changes().Since(ticket), wait.Readable) != nil {
			return 0, linux.ERESTARTNOHAND
		}
	}
}

// msgrcv is msgop(2).
func msgrcv(t *kernel.Task, id int32, p address, n size, typ int64, flags uint32) (int, error) {
	if int64(n) < 0 || id < 0 {
		return 0, linux.EINVAL
	}
	if flags&linux.MSG_COPY != 0 && (flags&linux.MSG_EXCEPT != 0 || flags&linux.IPC_NOWAIT == 0) {
		return 0, linux.EINVAL
	}
	q, err := t.Namespaces().IPC.SysV.Queues.Find(id)
	if err != nil {
		return 0, err
	}
	for {
		ticket := q.Changes().Ticket()
		m, err := q.Receive(t.IPCCaller(), typ, uint64(n), flags)
		switch {
		case err == nil:
			if err := usermem.Ptr[int64](p).Store(t, &m.Type); err != nil {
				return 0, err
			}
			_, err := t.CopyOut(arch.Addr(p)+mtypeSize, m.Text)
			return len(m.Text), err
		case err != linux.ENOMSG || flags&linux.IPC_NOWAIT != 0:
			return 0, err
		}
		if t.Block(q.Changes().Since(ticket), wait.Readable) != nil {
			return 0, linux.ERESTARTNOHAND
		}
	}
}

// msgctl is msgctl(2).
func msgctl(t *kernel.Task, id, cmd int32, buf address) (int, error) {
	ns, c := t.Namespaces().IPC.SysV, t.IPCCaller()
	switch cmd &^= linux.IPC_64; cmd {
	case linux.IPC_INFO, linux.MSG_INFO:
		i := linux.MsgInfo{Max: linux.MSGMAX, Mnb: linux.MSGMNB, Mni: linux.MSGMNI, Ssz: 16, Seg: 0xffff}
		if cmd == linux.MSG_INFO {
			i.Pool = int32(ns.Queues.Count())
			for _, q := range ns.Queues.All() {
				if d, err := q.Stat(c, true); err == nil {
					i.Map, i.Tql = i.Map+int32(d.Qnum), i.Tql+int32(d.Cbytes)
				}
			}
		}
		return ns.Queues.Highest(), usermem.Ptr[linux.MsgInfo](buf).Store(t, &i)
	case linux.MSG_STAT, linux.MSG_STAT_ANY:
		q, err := ns.Queues.At(id)
		if err != nil {
			return 0, err
		}
		d, err := q.Stat(c, cmd == linux.MSG_STAT_ANY)
		if err != nil {
			return 0, err
		}
		return int(q.ID), usermem.Ptr[linux.MsqidDS](buf).Store(t, &d)
	}
	q, err := ns.Queues.Find(id)
	if err != nil {
		return 0, err
	}
	switch cmd {
	case linux.IPC_STAT:
		d, err := q.Stat(c, false)
		if err != nil {
			return 0, err
		}
		return 0, usermem.Ptr[linux.MsqidDS](buf).Store(t, &d)
	case linux.IPC_SET:
		d, err := usermem.Ptr[linux.MsqidDS](buf).Load(t)
		if err != nil {
			return 0, err
		}
		return 0, q.Set(c, &d)
	case linux.IPC_RMID:
		return 0, q.Remove(c)
	}
	return 0, linux.EINVAL
}
