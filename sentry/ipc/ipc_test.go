package ipc

import (
	"testing"
	"unsafe"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

func TestLayout(t *testing.T) {
	for name, c := range map[string][2]uintptr{
		"ipc64_perm":  {unsafe.Sizeof(linux.IPCPerm{}), 48},
		"shmid64_ds":  {unsafe.Sizeof(linux.ShmidDS{}), 112},
		"semid64_ds":  {unsafe.Sizeof(linux.SemidDS{}), 104},
		"msqid64_ds":  {unsafe.Sizeof(linux.MsqidDS{}), 120},
		"shminfo64":   {unsafe.Sizeof(linux.ShmInfo64{}), 72},
		"shm_info":    {unsafe.Sizeof(linux.ShmInfo{}), 48},
		"seminfo":     {unsafe.Sizeof(linux.SemInfo{}), 40},
		"msginfo":     {unsafe.Sizeof(linux.MsgInfo{}), 32},
		"sembuf":      {unsafe.Sizeof(linux.Sembuf{}), 6},
		"semid.nsems": {unsafe.Offsetof(linux.SemidDS{}.Nsems), 80},
		"shmid.natt":  {unsafe.Offsetof(linux.ShmidDS{}.Nattch), 88},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d, want %d", name, c[0], c[1])
		}
	}
}

var (
	ns   = &auth.UserNamespace{}
	root = &Caller{Creds: auth.Root(ns), PID: 1, Now: 100}
	user = &Caller{Creds: &auth.Creds{EUID: 5, EGID: 6, FSGID: 6, UserNS: ns}, PID: 2, Now: 101}
)

func TestTable(t *testing.T) {
	n := NewNamespace(ns)
	id, err := n.NewQueue(root, 7, linux.IPC_CREAT|0o640)
	if id != 0 || err != nil {
		t.Fatal(id, err)
	}
	if id, err := n.NewQueue(root, 7, 0); id != 0 || err != nil {
		t.Fatal(id, err)
	}
	if _, err := n.NewQueue(root, 7, linux.IPC_CREAT|linux.IPC_EXCL); err != linux.EEXIST {
		t.Fatal(err)
	}
	if _, err := n.NewQueue(root, 8, 0); err != linux.ENOENT {
		t.Fatal(err)
	}
	if _, err := n.NewQueue(user, 7, 0o400); err != linux.EACCES {
		t.Fatal(err)
	}
	q, _ := n.Queues.Find(0)
	if err := q.Remove(user); err != linux.EPERM {
		t.Fatal(err)
	}
	if err := q.Remove(root); err != nil {
		t.Fatal(err)
	}
	id, err = n.NewQueue(root, linux.IPC_PRIVATE, 0o600)
	if id != 1<<seqShift || err != nil {
		t.Fatal(id, err)
	}
	if _, err := n.Queues.Find(0); err != linux.EIDRM {
		t.Fatal(err)
	}
}

func TestMessages(t *testing.T) {
	n := NewNamespace(ns)
	id, _ := n.NewQueue(root, 1, linux.IPC_CREAT|0o600)
	q, _ := n.Queues.Find(id)
	for i, typ := range []int64{3, 1, 2, 1} {
		if err := q.Send(root, Message{typ, []byte{byte(i), 'x'}}); err != nil {
			t.Fatal(err)
		}
	}
	get := func(typ int64, flags uint32, want int) {
		t.Helper()
		m, err := q.Receive(root, typ, 2, flags)
		if want < 0 {
			if err != linux.ENOMSG {
				t.Error(m, err)
			}
		} else if err != nil || int(m.Text[0]) != want {
			t.Error(m, err)
		}
	}
	get(2, linux.MSG_COPY, 2)
	get(5, 0, -1)
	get(1, 0, 1)
	get(-2, 0, 3)
	get(3, linux.MSG_EXCEPT, 2)
	if _, err := q.Receive(root, 0, 1, 0); err != linux.E2BIG {
		t.Error(err)
	}
	if m, err := q.Receive(root, 0, 1, linux.MSG_NOERROR); err != nil || len(m.Text) != 1 {
		t.Error(m, err)
	}
	ticket := q.Changes().Ticket()
	big := Message{1, make([]byte, 8192)}
	q.Send(root, big)
	q.Send(root, big)
	if err := q.Send(root, Message{1, []byte("x")}); err != linux.EAGAIN {
		t.Error(err)
	}
	if q.Changes().Since(ticket).Ready(wait.Readable) == 0 {
		t.Error("nothing told")
	}
	q.Remove(root)
	if err := q.Send(root, big); err != linux.EIDRM {
		t.Error(err)
	}
}

func TestSemaphores(t *testing.T) {
	n := NewNamespace(ns)
	id, err := n.NewSet(root, 1, 2, linux.IPC_CREAT|0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.NewSet(root, 1, 3, 0); err != linux.EINVAL {
		t.Error(err)
	}
	s, _ := n.Sets.Find(id)
	u := NewUndo()
	vals := func() [2]uint16 { v, _ := s.Values(root); return [2]uint16(v) }
	op := func(want error, ops ...linux.Sembuf) Wait {
		t.Helper()
		w, err := s.Operate(root, ops, u)
		if err != want {
			t.Errorf("%v: %v, want %v", ops, err, want)
		}
		return w
	}
	op(nil, linux.Sembuf{Num: 0, Op: 3, Flg: linux.SEM_UNDO}, linux.Sembuf{Num: 1, Op: 1})
	// All or nothing.
	if w := op(linux.EAGAIN, linux.Sembuf{Num: 0, Op: -1}, linux.Sembuf{Num: 1, Op: -2, Flg: linux.IPC_NOWAIT}); w.Num != 1 || !w.NoWait {
		t.Error(w)
	}
	if vals() != [2]uint16{3, 1} {
		t.Error(vals())
	}
	op(linux.EAGAIN, linux.Sembuf{Num: 0})
	op(linux.EFBIG, linux.Sembuf{Num: 2, Op: 1})
	op(linux.ERANGE, linux.Sembuf{Num: 0, Op: linux.SEMVMX})
	op(nil, linux.Sembuf{Num: 0, Op: -1, Flg: linux.SEM_UNDO})
	u.Share().Release(1, 5)
	if vals() != [2]uint16{2, 1} {
		t.Error(vals())
	}
	u.Release(1, 5)
	if vals() != [2]uint16{0, 1} {
		t.Error("not taken back: ", vals())
	}
	u = NewUndo()
	op(nil, linux.Sembuf{Num: 0, Op: 5, Flg: linux.SEM_UNDO})
	if err := s.SetValue(root, 0, 7); err != nil {
		t.Error(err)
	}
	u.Release(1, 6)
	if vals() != [2]uint16{7, 1} {
		t.Error("SETVAL leaves adjustments: ", vals())
	}
}

type backing struct{ drops int }

func (b *backing) DecRef() { b.drops++ }

func TestSegments(t *testing.T) {
	n := NewNamespace(ns)
	b := &backing{}
	mk := func() (Backing, error) { return b, nil }
	if _, err := n.NewSegment(root, 1, 0, linux.IPC_CREAT, mk); err != linux.EINVAL {
		t.Error(err)
	}
	id, err := n.NewSegment(root, 1, 100, linux.IPC_CREAT|0o600, mk)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := n.Segments.Find(id)
	if err := s.Attach(user, 0o444); err != linux.EACCES {
		t.Error(err)
	}
	if err := s.Attach(root, 0o666); err != nil {
		t.Error(err)
	}
	if err := s.Remove(root); err != nil {
		t.Error(err)
	}
	if b.drops != 0 {
		t.Error("gone while attached")
	}
	if d, err := s.Stat(root, false); err != nil || d.Nattch != 1 || d.Perm.Mode != linux.SHM_DEST|0o600 || d.Perm.Key != 0 {
		t.Error(d, err)
	}
	if _, err := n.NewSegment(root, 1, 100, 0, mk); err != linux.ENOENT {
		t.Error("its key still means it: ", err)
	}
	s.Detached(1, 7)
	if b.drops != 1 || n.Segments.Count() != 0 {
		t.Error("not gone")
	}
}
