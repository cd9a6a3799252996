package kernel

import (
	"sync/atomic"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
)

// taskMemory is a task's address space.
type taskMemory struct {
	space atomic.Pointer[mm.Space] // nil once the task has ended
}

var _ usermem.Memory = (*Task)(nil)

// Space is the task's own address space, for its own goroutine: others use
// SpaceOf. It is nil in a task that ends.
func (t *Task) Space() *mm.Space { return t.space.Load() }

// SpaceOf is t's address space with one more user, whom the caller takes away with
// DecUsers; nil if t has none any more. Any goroutine may call it.
func (t *Task) SpaceOf() *mm.Space {
	for {
		s := t.space.Load()
		if s == nil || s.IncUsers() {
			return s
		}
		if t.space.Load() == s { // its last user is on the way out
			return nil
		}
	}
}

// CopyIn implements usermem.Memory.
func (t *Task) CopyIn(dst []byte, from arch.Addr) (int, error) {
	if s := t.space.Load(); s != nil {
		return s.CopyIn(dst, from)
	}
	return 0, linux.EFAULT
}

// CopyOut implements usermem.Memory.
func (t *Task) CopyOut(to arch.Addr, src []byte) (int, error) {
	if s := t.space.Load(); s != nil {
		return s.CopyOut(to, src)
	}
	return 0, linux.EFAULT
}

// View implements usermem.Memory.
func (t *Task) View(r arch.Range, a arch.Access, f func([][]byte) (int64, error)) (int64, error) {
	if s := t.space.Load(); s != nil {
		return s.View(r, a, f)
	}
	return 0, linux.EFAULT
}
