package guest

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSysfs(t *testing.T) {
	covers(t, "sysfs")
	count, err := call(unix.SYS_SYSFS, 3)
	if absent("sysfs", err) { // without CONFIG_SYSFS_SYSCALL
		return
	}
	ok(t, err)
	for _, name := range []string{"proc", "tmpfs", "sysfs"} {
		i, err := call(unix.SYS_SYSFS, 1, cstring(t, name))
		ok(t, err)
		if i >= count {
			t.Errorf("%s is number %d of %d", name, i, count)
		}
		b := kept(t, [64]byte{})
		_, err = call(unix.SYS_SYSFS, 2, i, ptr(b))
		ok(t, err)
		text, _, _ := bytes.Cut(b[:], []byte{0})
		equal(t, "name", string(text), name)
	}
	_, err = call(unix.SYS_SYSFS, 1, cstring(t, "no such type"))
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_SYSFS, 2, count, 8)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_SYSFS, 2, 0, 8)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_SYSFS, 1, 8)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_SYSFS, 4)
	fails(t, err, unix.EINVAL)
}
