package guest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The cases run without CAP_SYSLOG.
func TestSyslogPermission(t *testing.T) {
	covers(t, "syslog")
	for _, action := range []uintptr{2, 4, 5, 6, 7, 8, 9} {
		b := kept(t, [64]byte{})
		_, err := call(unix.SYS_SYSLOG, action, ptr(b), 8)
		fails(t, err, unix.EPERM)
	}
}
