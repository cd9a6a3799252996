package kernel

import (
	"garrison/sentry/auth"
	"garrison/sentry/socket"
)

var _ socket.Process = (*Task)(nil)

// ProcessID implements socket.Process: what names t's process.
func (t *Task) ProcessID() any { return t.tg.PID() }

// ProcessNumber implements socket.Process.
func (t *Task) ProcessNumber(id any) int32 {
	p, _ := id.(*PID)
	return p.In(t.PIDNamespace())
}

// ProcessOwner is the user namespace that the pid namespace of FindProcess belongs to.
func (t *Task) ProcessOwner() *auth.UserNamespace { return t.PIDNamespace().UserNS }

// FindProcess is the ProcessID of the process that t knows by number n; nil if there
// is none.
func (t *Task) FindProcess(n int32) any {
	if g := t.k.FindGroup(t.PIDNamespace(), n); g != nil {
		return g.PID()
	}
	return nil
}
