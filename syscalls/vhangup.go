package syscalls

import (
	"garrison/fs/tty"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// vhangup is vhangup(2).
func vhangup(t *kernel.Task) (int, error) {
	if !t.Creds().Capable(auth.CapSysTTYConfig) {
		return 0, linux.EPERM
	}
	if term, ok := t.ThreadGroup().Terminal().(*tty.Terminal); ok {
		term.Hangup(false)
	}
	return 0, nil
}
