package guest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Whether there are protection keys is the machine's affair.
func TestPkeyAlloc(t *testing.T) {
	covers(t, "pkey_alloc", "pkey_free")
	_, err := call(unix.SYS_PKEY_ALLOC, 1, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_PKEY_ALLOC, 0, 1<<20)
	fails(t, err, unix.EINVAL)
	key, err := call(unix.SYS_PKEY_ALLOC, 0, 0)
	if err != nil {
		fails(t, err, unix.ENOSPC, unix.EINVAL) // EINVAL of amd64 without them
		return
	}
	_, err = call(unix.SYS_PKEY_FREE, key)
	ok(t, err)
	_, err = call(unix.SYS_PKEY_FREE, key)
	fails(t, err, unix.EINVAL)
}

func TestPkeyFreeErrors(t *testing.T) {
	covers(t, "pkey_free")
	for _, key := range []uintptr{^uintptr(0), 15, 16, 1000} {
		_, err := call(unix.SYS_PKEY_FREE, key)
		fails(t, err, unix.EINVAL)
	}
}
