package fanotify

import (
	"slices"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A question is what somebody waits for who uses a file: whether that is allowed.
type question struct {
	wait.Queue
	g *Group

	// Protected by g.mu:
	answer uint32 // FAN_ALLOW or FAN_DENY; 0 as long as there is none
	fd     int32  // the descriptor by which it is answered, once it was read
	void   bool   // nobody waits any more
}

// mostVoid is how many questions are kept that nobody waits for any more, and that can
// still be answered, as on Linux.
const mostVoid = 1024

// Ready implements wait.Object.
func (q *question) Ready(mask wait.Events) wait.Events {
	q.g.mu.Lock()
	defer q.g.mu.Unlock()
	if q.answer == 0 {
		return 0
	}
	return mask & wait.In
}

// await has t wait for the answer to x: EPERM, or ERESTARTSYS if t is killed.
func (g *Group) await(t *kernel.Task, x *event) error {
	var err error
	for x.ask.Ready(wait.In) == 0 && err == nil {
		err = t.BlockKillable(x.ask, wait.In)
	}
	g.mu.Lock()
	answer, unread := x.ask.answer, false
	if answer == 0 {
		x.ask.void = true
		if unread = x.place.Linked(); unread {
			g.takeLocked(x)
		} else {
			g.boundVoidLocked()
		}
	}
	g.mu.Unlock()
	if unread {
		x.drop()
	}
	switch {
	case answer == 0:
		return err
	case answer&linux.FAN_ALLOW != 0:
		return nil
	}
	return linux.EPERM
}

// boundVoidLocked forgets the oldest question that nobody waits for, if there are many.
func (g *Group) boundVoidLocked() {
	n, oldest := 0, -1
	for i, x := range g.asked {
		if x.ask.void {
			if n++; oldest < 0 {
				oldest = i
			}
		}
	}
	if n > mostVoid {
		g.asked = slices.Delete(g.asked, oldest, oldest+1)
	}
}

// asks has x, which was read with descriptor fd, wait for its answer.
func (g *Group) asks(x *event, fd int32) {
	g.mu.Lock()
	closed := g.closed
	if !closed {
		x.ask.fd = fd
		g.asked = append(g.asked, x)
	}
	g.mu.Unlock()
	if closed {
		g.answer(x, linux.FAN_ALLOW)
	}
}

// answer answers x, if it asks.
func (g *Group) answer(x *event, how uint32) {
	if x.ask == nil {
		return
	}
	g.mu.Lock()
	x.ask.answer = how
	g.mu.Unlock()
	x.ask.Notify(wait.In)
}

// deny denies x, which has not reached who was to answer it.
func (g *Group) deny(x *event) {
	g.mu.Lock()
	if i := slices.Index(g.asked, x); i >= 0 {
		g.asked = slices.Delete(g.asked, i, i+1)
	}
	g.mu.Unlock()
	g.answer(x, linux.FAN_DENY)
}

// Write implements vfs.File: an answer. EINVAL, ENOENT.
func (g *Group) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	var r linux.FanotifyResponse
	head := usermem.AsBytes(&r)
	if src.Len() < int64(len(head)) {
		return 0, linux.EINVAL
	}
	if _, err := src.CopyIn(head); err != nil {
		return 0, err
	}
	const known = linux.FAN_ALLOW | linux.FAN_DENY | linux.FAN_INFO
	how := r.Response & (linux.FAN_ALLOW | linux.FAN_DENY)
	if r.Response&^known != 0 || how != linux.FAN_ALLOW && how != linux.FAN_DENY {
		return 0, linux.EINVAL
	}
	if r.Response&linux.FAN_INFO != 0 {
		if err := checkRule(src.Skip(int64(len(head)))); err != nil {
			return 0, err
		}
		if r.FD == linux.FAN_NOFD {
			return src.Len(), nil
		}
	}
	if r.FD < 0 {
		return 0, linux.EINVAL
	}
	g.mu.Lock()
	i := slices.IndexFunc(g.asked, func(x *event) bool { return x.ask.fd == r.FD })
	var x *event
	if i >= 0 {
		x = g.asked[i]
		g.asked = slices.Delete(g.asked, i, i+1)
	}
	g.mu.Unlock()
	if x == nil {
		return 0, linux.ENOENT
	}
	g.answer(x, how)
	if r.Response&linux.FAN_INFO == 0 && src.Len() > int64(len(head)) {
		return int64(len(head)), linux.EINVAL // the rest is nothing, and no second answer
	}
	return src.Len(), nil
}

// checkRule checks what comes with an answer for the audit log, of which there is none
// here: EINVAL.
func checkRule(src usermem.Seq) error {
	var r linux.FanotifyAuditRule
	b := usermem.AsBytes(&r)
	if src.Len() != int64(len(b)) {
		return linux.EINVAL
	}
	if _, err := src.CopyIn(b); err != nil {
		return err
	}
	if r.Type != linux.FAN_RESPONSE_INFO_AUDIT_RULE || r.Pad != 0 || int(r.Len) != len(b) {
		return linux.EINVAL
	}
	return nil
}
