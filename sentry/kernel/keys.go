package kernel

import "garrison/sentry/linux"

// SessionToParent is keyctl(KEYCTL_SESSION_TO_PARENT): EPERM without a parent of one
// thread that has t's ids.
func (t *Task) SessionToParent() error {
	t.k.tasks.RLock()
	var parent *Task
	if p := t.tg.parent; p != nil && p.alive == 1 && !p.leader.zombie {
		parent = p.leader
	}
	t.k.tasks.RUnlock()
	if parent == nil {
		return linux.EPERM
	}
	return t.k.Keys.ToParent(t.Keys(), parent.Keys())
}
