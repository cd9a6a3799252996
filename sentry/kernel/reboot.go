package kernel

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// MayReboot reports whether t may end the pid namespace that it is in: reboot(2).
func (t *Task) MayReboot() bool { return t.Creds().HasCapIn(t.pid.ns.UserNS, auth.CapSysBoot) }

// Reboot ends t, and the pid 1 of its namespace as if by s, as reboot(2) does where it
// can't be the machine's.
func (t *Task) Reboot(s linux.Signal) {
	t.k.tasks.RLock()
	if g := t.pid.ns.init; g != nil {
		g.sig.mu.Lock()
		g.beginExit(linux.SignalStatus(s, false), nil)
		g.sig.mu.Unlock()
	}
	t.k.tasks.RUnlock()
	t.endThread(linux.ExitStatus(0))
}
