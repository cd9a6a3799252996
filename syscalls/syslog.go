package syscalls

import (
	"garrison/fs/dev"
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// Actions of syslog(2).
const (
	syslogClose        = 0
	syslogOpen         = 1
	syslogRead         = 2
	syslogReadAll      = 3
	syslogReadClear    = 4
	syslogClear        = 5
	syslogConsoleOff   = 6
	syslogConsoleOn    = 7
	syslogConsoleLevel = 8
	syslogSizeUnread   = 9
	syslogSizeBuffer   = 10
)

// syslogBuffer is the size of the buffer that messages are said to be in.
const syslogBuffer = 1 << 17

// syslog is syslog(2): what this kernel said when it began. Nothing is ever
// added, so that a read of new messages finds none.
func syslog(t *kernel.Task, action int32, buf address, n int32) (int, error) {
	if action < syslogClose || action > syslogSizeBuffer {
		return 0, linux.EINVAL
	}
	// kernel.dmesg_restrict is 1.
	if !t.Creds().HasCapIn(t.Kernel().RootUserNS(), auth.CapSyslog) {
		return 0, linux.EPERM
	}
	switch action {
	case syslogRead, syslogReadAll, syslogReadClear:
		if buf == 0 || n < 0 {
			return 0, linux.EINVAL
		}
		if n == 0 || action == syslogRead {
			return 0, nil
		}
		text := dev.NewLog(t.Kernel()).Text()
		if len(text) > int(n) {
			text = text[len(text)-int(n):] // the newest
		}
		if _, err := t.CopyOut(arch.Addr(buf), []byte(text)); err != nil {
			return 0, err
		}
		return len(text), nil
	case syslogConsoleLevel:
		if n < 1 || n > 8 {
			return 0, linux.EINVAL
		}
	case syslogSizeBuffer:
		return syslogBuffer, nil
	}
	return 0, nil
}
