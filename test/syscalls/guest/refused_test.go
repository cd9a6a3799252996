package guest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestRefused: what the unprivileged are refused is there all the same, so that
// programs that ask for it take the error for what it is. Arguments are such that
// nothing is made where Linux allows it.
func TestRefused(t *testing.T) {
	b := kept(t, [16]uint64{})
	for _, x := range []struct {
		name string
		nr   uintptr
		args []uintptr
		want []unix.Errno
	}{
		{"bpf", unix.SYS_BPF, []uintptr{999, ptr(b), 64}, []unix.Errno{unix.EPERM, unix.EINVAL}},
		{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, []uintptr{ptr(b), 0, ^uintptr(0), ^uintptr(0), 1 << 20}, []unix.Errno{unix.EACCES, unix.EINVAL}},
		{"userfaultfd", unix.SYS_USERFAULTFD, []uintptr{1 << 20}, []unix.Errno{unix.EPERM, unix.EINVAL}},
		{"acct", unix.SYS_ACCT, []uintptr{8}, []unix.Errno{unix.EPERM, unix.EFAULT}},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, []uintptr{0, ptr(b)}, []unix.Errno{unix.EPERM, unix.EINVAL}},
		{"io_uring_enter", unix.SYS_IO_URING_ENTER, []uintptr{^uintptr(0), 0, 0, 0, 0, 0}, []unix.Errno{unix.EBADF}},
	} {
		_, err := call(x.nr, x.args...)
		if absent(x.name, err) {
			continue
		}
		if t.Run(x.name, func(t *testing.T) { fails(t, err, x.want...) }); t.Failed() {
			return
		}
	}
}

func TestModifyLDT(t *testing.T) {
	covers(t, "modify_ldt")
	b := kept(t, [32]byte{0: 1, 16: 1})
	n, err := call(unix.SYS_MODIFY_LDT, 2, ptr(b), 16)
	if absent("modify_ldt", err) {
		return
	}
	ok(t, err)
	equal(t, "default", n, 16)
	equal(t, "cleared", b[0], 0)
	equal(t, "not cleared", b[16], 1)
	n, err = call(unix.SYS_MODIFY_LDT, 0, ptr(b), 16)
	ok(t, err)
	equal(t, "read", n, 0)
	n, err = call(unix.SYS_MODIFY_LDT, 9, ptr(b), 16)
	ok(t, err)
	equal(t, "unknown", int32(uint32(n)), -int32(unix.ENOSYS))
}
