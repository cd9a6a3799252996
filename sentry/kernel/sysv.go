package kernel

import (
	"garrison/sentry/ipc"
)

// taskIPC is what a task owes its semaphores.
type taskIPC struct {
	undo *ipc.Undo // semop(2)'s SEM_UNDO; nil while there is nothing
}

// SemUndo is what t's semaphore operations are taken back by when it ends; shared
// with those made by clone(2) with CLONE_SYSVSEM.
func (t *Task) SemUndo() *ipc.Undo {
	if t.undo == nil {
		t.undo = ipc.NewUndo()
	}
	return t.undo
}

// IPCCaller is t as System V IPC sees it.
func (t *Task) IPCCaller() *ipc.Caller {
	return &ipc.Caller{Creds: t.Creds(), PID: t.TGID(), Now: t.Now().Sec}
}

// exitIPC takes back what t did to semaphores: at its end, and when it leaves them
// (unshare(2)).
func (t *Task) exitIPC() {
	if u := t.undo; u != nil {
		t.undo = nil
		u.Release(t.TGID(), t.Now().Sec)
	}
}
