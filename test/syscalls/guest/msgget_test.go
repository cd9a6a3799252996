package guest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// msgText is struct msgbuf with room for 16 bytes.
type msgText struct {
	Type int64
	Text [16]byte
}

// msqidDS is struct msqid_ds, msgctl(2).
type msqidDS struct {
	Perm                ipcPerm
	Sent, Rcvd, Changed int64
	Bytes, Count, Limit uint64
	Lspid, Lrpid        int32
	_                   [2]uint64
}

const (
	msgNoerror = 0o10000
	msgExcept  = 0o20000
	msgCopy    = 0o40000
)

func newQueue(t *testing.T) uintptr {
	t.Helper()
	id, err := call(unix.SYS_MSGGET, ipcPrivate, ipcCreat|0o600)
	ok(t, err)
	t.Cleanup(func() { call(unix.SYS_MSGCTL, id, ipcRmid, 0) })
	return id
}

func msgsnd(t *testing.T, id uintptr, typ int64, text string) error {
	t.Helper()
	m := kept(t, msgText{Type: typ})
	copy(m.Text[:], text)
	_, err := call(unix.SYS_MSGSND, id, ptr(m), uintptr(len(text)), ipcNowait)
	return err
}

func msgrcv(t *testing.T, id uintptr, size uintptr, typ int64, flags uintptr) (int64, string, error) {
	t.Helper()
	m := kept(t, msgText{})
	n, err := call(unix.SYS_MSGRCV, id, ptr(m), size, uintptr(typ), flags|ipcNowait)
	if err != nil {
		return 0, "", err
	}
	return m.Type, string(m.Text[:n]), nil
}

func TestMsggetKeys(t *testing.T) {
	covers(t, "msgget", "msgctl")
	const key = 0x47415201
	_, err := call(unix.SYS_MSGGET, key, 0)
	fails(t, err, unix.ENOENT)
	id, err := call(unix.SYS_MSGGET, key, ipcCreat|ipcExcl|0o600)
	ok(t, err)
	again, err := call(unix.SYS_MSGGET, key, ipcCreat|0o600)
	ok(t, err)
	equal(t, "the queue of the key", again, id)
	_, err = call(unix.SYS_MSGGET, key, ipcCreat|ipcExcl|0o600)
	fails(t, err, unix.EEXIST)
	_, err = call(unix.SYS_MSGCTL, id, ipcRmid, 0)
	ok(t, err)
	_, err = call(unix.SYS_MSGGET, key, 0)
	fails(t, err, unix.ENOENT)
}

func TestMsgrcvByType(t *testing.T) {
	covers(t, "msgsnd", "msgrcv")
	id := newQueue(t)
	for i, typ := range []int64{5, 3, 9, 3, 7, 8} {
		ok(t, msgsnd(t, id, typ, string(rune('a'+i))))
	}
	for _, c := range []struct {
		typ   int64
		flags uintptr
		want  string
	}{{3, 0, "b"}, {-8, 0, "d"}, {5, msgExcept, "c"}, {0, 0, "a"}, {-7, 0, "e"}, {0, 0, "f"}} {
		_, text, err := msgrcv(t, id, 16, c.typ, c.flags)
		ok(t, err)
		equal(t, "type "+itoa(int(c.typ)), text, c.want)
	}
	_, _, err := msgrcv(t, id, 16, 0, 0)
	fails(t, err, unix.ENOMSG)
}

func TestMsgrcvTooBig(t *testing.T) {
	covers(t, "msgrcv")
	id := newQueue(t)
	ok(t, msgsnd(t, id, 1, "0123456789"))
	_, _, err := msgrcv(t, id, 4, 0, 0)
	fails(t, err, unix.E2BIG)
	typ, text, err := msgrcv(t, id, 4, 0, msgNoerror)
	ok(t, err)
	equal(t, "type", typ, 1)
	equal(t, "the part that fits", text, "0123")
	_, _, err = msgrcv(t, id, 16, 0, 0)
	fails(t, err, unix.ENOMSG)
}

func TestMsgErrors(t *testing.T) {
	covers(t, "msgsnd", "msgrcv", "msgctl")
	id := newQueue(t)
	fails(t, msgsnd(t, id, 0, "x"), unix.EINVAL)
	fails(t, msgsnd(t, id, -1, "x"), unix.EINVAL)
	m := kept(t, msgText{Type: 1})
	_, err := call(unix.SYS_MSGSND, id, ptr(m), ^uintptr(0), 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MSGSND, id, ptr(m), 8193, 0) // kernel.msgmax
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MSGSND, id, 8, 1, 0)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_MSGRCV, id, ptr(m), ^uintptr(0), 0, ipcNowait)
	fails(t, err, unix.EINVAL)
	_, _, err = msgrcv(t, id, 1, 0, msgCopy|msgExcept)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MSGCTL, id, 999, ptr(m))
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MSGCTL, id, ipcStat, 8)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_MSGCTL, id, ipcRmid, 0)
	ok(t, err)
	fails(t, msgsnd(t, id, 1, "x"), unix.EINVAL, unix.EIDRM)
}

func TestMsgctl(t *testing.T) {
	covers(t, "msgctl")
	id := newQueue(t)
	ok(t, msgsnd(t, id, 1, "four"))
	ds := kept(t, msqidDS{})
	_, err := call(unix.SYS_MSGCTL, id, ipcStat, ptr(ds))
	ok(t, err)
	equal(t, "msg_qnum", ds.Count, 1)
	equal(t, "msg_cbytes", ds.Bytes, 4)
	equal(t, "msg_lspid", int(ds.Lspid), os.Getpid())
	equal(t, "msg_lrpid", ds.Lrpid, 0)
	equal(t, "msg_rtime", ds.Rcvd, 0)
	equal(t, "mode", ds.Perm.Mode, 0o600)
	limit := ds.Limit
	ds.Perm.Mode, ds.Limit = 0o640, 6
	_, err = call(unix.SYS_MSGCTL, id, ipcSet, ptr(ds))
	ok(t, err)
	fails(t, msgsnd(t, id, 1, "more"), unix.EAGAIN)
	_, err = call(unix.SYS_MSGCTL, id, ipcStat, ptr(ds))
	ok(t, err)
	equal(t, "mode", ds.Perm.Mode, 0o640)
	equal(t, "msg_qbytes", ds.Limit, 6)
	ds.Limit = limit + 1 // over kernel.msgmnb takes CAP_SYS_RESOURCE
	_, err = call(unix.SYS_MSGCTL, id, ipcSet, ptr(ds))
	fails(t, err, unix.EPERM)
}
