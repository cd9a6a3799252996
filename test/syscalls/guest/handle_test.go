package guest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// fileHandle is struct file_handle with room for MAX_HANDLE_SZ bytes.
type fileHandle struct {
	Size uint32
	Type int32
	Data [128]byte
}

func TestNameToHandleAt(t *testing.T) {
	covers(t, "name_to_handle_at")
	name, _ := file(t, "x")
	h, id := kept(t, fileHandle{Size: 128}), kept(t, uint64(0))
	at := ^uintptr(99) // AT_FDCWD
	_, err := call(unix.SYS_NAME_TO_HANDLE_AT, at, cstring(t, name), ptr(h), ptr(id), 0)
	if err != unix.EOPNOTSUPP {
		ok(t, err)
		h.Size = 0
		_, err = call(unix.SYS_NAME_TO_HANDLE_AT, at, cstring(t, name), ptr(h), ptr(id), 0)
		fails(t, err, unix.EOVERFLOW)
	}
	h.Size = 128
	_, err = call(unix.SYS_NAME_TO_HANDLE_AT, at, cstring(t, name+"-not"), ptr(h), ptr(id), 0)
	fails(t, err, unix.ENOENT)
	_, err = call(unix.SYS_NAME_TO_HANDLE_AT, at, cstring(t, name), ptr(h), ptr(id), 1<<20)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_NAME_TO_HANDLE_AT, 999, cstring(t, "relative"), ptr(h), ptr(id), 0)
	fails(t, err, unix.EBADF)
	_, err = call(unix.SYS_NAME_TO_HANDLE_AT, at, 8, ptr(h), ptr(id), 0)
	fails(t, err, unix.EFAULT)
}

func TestOpenByHandleAtErrors(t *testing.T) {
	covers(t, "open_by_handle_at")
	root, err := unix.Open("/tmp", unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, root)
	h := kept(t, fileHandle{Size: 8, Type: 0x7e}) // no filesystem's type
	_, err = call(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(root), ptr(h), unix.O_RDONLY)
	fails(t, err, unix.ESTALE)
	_, err = call(unix.SYS_OPEN_BY_HANDLE_AT, 999, ptr(h), unix.O_RDONLY)
	fails(t, err, unix.EBADF)
	h.Size = 129
	_, err = call(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(root), ptr(h), unix.O_RDONLY)
	fails(t, err, unix.EINVAL)
	h.Size = 0
	_, err = call(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(root), ptr(h), unix.O_RDONLY)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(root), 8, unix.O_RDONLY)
	fails(t, err, unix.EFAULT)
}
