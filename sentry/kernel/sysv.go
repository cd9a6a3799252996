package kernel

import (
	"sync/atomic"

	"garrison/sentry/ipc"
)

// taskIPC is what a task owes its semaphores.
type taskIPC struct {
	undo atomic.Pointer[ipc.Undo] // semop(2)'s SEM_UNDO; nil while there is nothing; only the task sets it
}

// SemUndo is what t's semaphore operations are taken back by when it ends; shared
// with those made by clone(2) with CLONE_SYSVSEM.
func (t *Task) SemUndo() *ipc.Undo {
	if t.undo.Load() == nil {
		t.undo.Store(ipc.NewUndo())
	}
	return t.undo.Load()
}

// SharesSemUndo reports whether t and x have the same SemUndo, or both none yet. Any
// goroutine may ask.
func (t *Task) SharesSemUndo(x *Task) bool { return t.undo.Load() == x.undo.Load() }

// IPCCaller is t as System V IPC sees it.
func (t *Task) IPCCaller() *ipc.Caller {
	return &ipc.Caller{Creds: t.Creds(), PID: t.TGID(), Now: t.Now().Sec}
}

// exitIPC takes back what t did to semaphores: at its end, and when it leaves them
// (unshare(2)).
func (t *Task) exitIPC() {
	if u := t.undo.Swap(nil); u != nil {
		u.Release(t.TGID(), t.Now().Sec)
	}
}
