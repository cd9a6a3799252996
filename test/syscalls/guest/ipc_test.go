package guest

import (
	"runtime"
	"testing"
)

// ipcPerm is struct ipc_perm, ipc(2).
type ipcPerm struct {
	Key                                    int32
	UID, GID, CreatorUID, CreatorGID, Mode uint32
	Seq                                    uint16
	_                                      uint16
	_                                      uint32
	_                                      [2]uint64
}

// Commands and flags of System V IPC.
const (
	ipcPrivate = 0
	ipcCreat   = 0o1000
	ipcExcl    = 0o2000
	ipcNowait  = 0o4000
	ipcRmid    = 0
	ipcSet     = 1
	ipcStat    = 2
)

// kept is v on the heap, where it stays until the test ends.
func kept[T any](t *testing.T, v T) *T {
	p := &v
	t.Cleanup(func() { runtime.KeepAlive(p) })
	return p
}

// cstring is the address of s with the NUL that ends it.
func cstring(t *testing.T, s string) uintptr {
	b := append([]byte(s), 0)
	t.Cleanup(func() { runtime.KeepAlive(b) })
	return addressOf(b)
}
