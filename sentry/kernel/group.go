package kernel

import "garrison/sentry/list"

// A Session is process groups that share a controlling terminal, setsid(2),
// credentials(7).
type Session struct {
	pid *PID

	// Protected by Kernel.tasks:

	leader *ThreadGroup // nil once it has ended
	groups list.List[*ProcessGroup]
	count  int
	tty    Terminal // the controlling terminal
	hungUp *PID     // who was in the foreground when tty was hung up
}

// PID is the session's number: its leader's.
func (s *Session) PID() *PID { return s.pid }

// A ProcessGroup is a job: processes that signals reach together, setpgid(2).
type ProcessGroup struct {
	pid     *PID
	session *Session

	// Protected by Kernel.tasks:

	members list.List[*ThreadGroup]
	place   list.Elem[*ProcessGroup] // on session.groups
	count   int
}

// PID is the process group's number.
func (g *ProcessGroup) PID() *PID { return g.pid }

// Session is the session that the process group belongs to, always the same.
func (g *ProcessGroup) Session() *Session { return g.session }

// newSession makes a session and its first group, both numbered like g, and
// moves g there. The caller holds tasks.
func (k *Kernel) newSession(g *ThreadGroup) *Session {
	s := &Session{pid: g.pid, leader: g}
	s.pid.session = s
	g.join(newProcessGroup(g.pid, s))
	return s
}

// newProcessGroup makes an empty process group. The caller holds tasks and
// puts somebody in.
func newProcessGroup(pid *PID, s *Session) *ProcessGroup {
	p := &ProcessGroup{pid: pid, session: s}
	pid.pgrp = p
	p.place.Value = p
	s.groups.PushBack(&p.place)
	s.count++
	return p
}

// join moves g to process group p. The caller holds tasks.
func (g *ThreadGroup) join(p *ProcessGroup) {
	old := g.pgrp
	g.pgrp = p
	p.count++
	if old != nil {
		g.pgrpPlace.Remove()
	}
	g.pgrpPlace.Value = g
	p.members.PushBack(&g.pgrpPlace)
	if old != nil {
		old.left(g.k)
	}
}

// leave takes g out of its process group for good. The caller holds tasks.
func (g *ThreadGroup) leave() {
	old := g.pgrp
	g.pgrpPlace.Remove()
	g.pgrp = nil
	old.left(g.k)
}

// left counts one member less; an empty group and an empty session are gone.
func (p *ProcessGroup) left(k *Kernel) {
	if p.count--; p.count > 0 {
		return
	}
	p.place.Remove()
	p.pid.pgrp = nil
	p.pid.release()
	s := p.session
	if s.count--; s.count > 0 {
		return
	}
	delete(k.terminals, s.tty)
	s.pid.session = nil
	s.pid.release()
}

// orphaned reports whether p has no member whose parent is in another group of
// the same session, leaving ignored out of account: nobody is left to continue
// it when it stops. Linux makes an exception of parents that are the machine's
// init, of which there is none here: a container's pid 1 may well be a shell. The
// caller holds tasks.
func (p *ProcessGroup) orphaned(ignored *ThreadGroup) bool {
	for g := range p.members.All() {
		if g == ignored || g.parent == nil || g.exited {
			continue
		}
		if q := g.parent.pgrp; q != nil && q != p && q.session == p.session {
			return false
		}
	}
	return true
}

// hasStopped reports whether a member of p is stopped. The caller holds tasks.
func (p *ProcessGroup) hasStopped() bool {
	for g := range p.members.All() {
		if g.Stopped() {
			return true
		}
	}
	return false
}

// Members lists the thread groups of p.
func (k *Kernel) Members(p *ProcessGroup) []*ThreadGroup {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	return p.list()
}

// GroupMembers lists the thread groups of the process group that p numbers; none if
// it numbers no group.
func (k *Kernel) GroupMembers(p *PID) []*ThreadGroup {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	if p.pgrp == nil {
		return nil
	}
	return p.pgrp.list()
}

func (p *ProcessGroup) list() []*ThreadGroup {
	out := make([]*ThreadGroup, 0, p.count)
	for g := range p.members.All() {
		out = append(out, g)
	}
	return out
}
