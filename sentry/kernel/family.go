package kernel

import (
	"garrison/sentry/linux"
)

// adoptFromThread gives the children that thread t made to another thread of
// its process, if there is one left; their PR_SET_PDEATHSIG falls due all the
// same. The caller holds tasks.
func (k *Kernel) adoptFromThread(t *Task) {
	g := t.tg
	var heir *Task
	for x := range g.tasks.All() {
		if !x.zombie {
			heir = x
			break
		}
	}
	for c := range g.children.All() {
		if c.leader.maker != t {
			continue
		}
		c.leader.maker = heir
		if c.deathSig != 0 && !c.exited && t.MaySignal(c.leader) {
			c.Signal(t.UserSignal(c.deathSig, linux.SI_USER, c.leader))
		}
	}
}

// endGroup does what is due when the last thread of g has ended: its children
// find a new parent, its parent is told. The caller holds tasks.
func (k *Kernel) endGroup(g *ThreadGroup, status linux.WaitStatus) {
	if s := g.pgrp.session; s.leader == g {
		k.leaderEnds(s)
	}
	g.exited, g.status = true, status
	user, system := g.CPUTime()
	g.container.cgroup.used.user += user
	g.container.cgroup.used.system += system
	heir := k.reaper(g)
	for c := range g.children.All() {
		k.adopt(c, heir)
	}
	if p := g.parent; p != nil {
		k.orphanCheck(g, p, g)
	}
	g.pid.Exits.Open()
	if g.tracedByOther() {
		g.leader.tellTracerOfEnd(status)
	} else if k.tellOfEnd(g) {
		k.reap(g)
	}
}

// reaper finds who takes g's children over: the nearest ancestor that is a
// subreaper, or pid 1 of their namespace; nil if there is neither.
func (k *Kernel) reaper(g *ThreadGroup) *ThreadGroup {
	ns := g.pid.ns
	init := ns.init
	if init == g || init != nil && init.exited {
		init = nil
	}
	for p := g.parent; p != nil && p != init && p.pid.ns == ns; p = p.parent {
		if p.subreaper && !p.exited {
			return p
		}
	}
	return init
}

// adopt makes heir the parent of c. The caller holds tasks.
func (k *Kernel) adopt(c, heir *ThreadGroup) {
	old := c.parent
	c.sibling.Remove()
	c.parent, c.leader.maker = heir, nil
	if heir != nil {
		heir.children.PushBack(&c.sibling)
		c.leader.maker = heir.leader
	}
	if c.signal != 0 {
		c.signal = linux.SIGCHLD
	}
	if c.exited {
		if !c.tracedByOther() && k.tellOfEnd(c) {
			k.reap(c)
		}
		if heir != nil {
			heir.Children.Open()
		}
		return
	}
	k.orphanCheck(c, old, nil)
}

// orphanCheck sends SIGHUP and SIGCONT to the process group of g if the end of its
// tie to parent leaves it orphaned with stopped members (POSIX, _exit). The
// caller holds tasks.
func (k *Kernel) orphanCheck(g, parent, ignored *ThreadGroup) {
	p := g.pgrp
	if p == nil || parent.pgrp == p || parent.pgrp == nil || parent.pgrp.session != p.session {
		return
	}
	if p.orphaned(ignored) && p.hasStopped() {
		hangup(p.list())
	}
}

// tellOfEnd tells g's parent that g has ended, and reports whether nobody will
// wait for it. The caller holds tasks.
func (k *Kernel) tellOfEnd(g *ThreadGroup) (nobodyWaits bool) {
	p := g.parent
	if p == nil || p.exited {
		return true
	}
	code, value := int32(linux.CLD_EXITED), g.status.Code()
	if g.status.Signaled() {
		code, value = linux.CLD_KILLED, int32(g.status.TermSignal())
		if g.status.CoreDumped() {
			code = linux.CLD_DUMPED
		}
	}
	if g.signal == linux.SIGCHLD {
		a := p.Action(linux.SIGCHLD)
		nobodyWaits = (a.Handler == linux.SIG_IGN || a.Flags&linux.SA_NOCLDWAIT != 0) && !g.leader.Traced()
		if a.Handler != linux.SIG_IGN {
			p.Signal(g.childInfo(code, value))
		}
	} else if g.signal != 0 {
		info := g.childInfo(code, value)
		info.Signo = int32(g.signal)
		p.Signal(info)
	}
	return nobodyWaits || p.reaps
}

// reap gives up the number and the memory of g, which has ended. The caller
// holds tasks.
func (k *Kernel) reap(g *ThreadGroup) {
	if g.reaped {
		return
	}
	g.reaped = true
	g.leader.dropTracer()
	if g.parent != nil {
		g.sibling.Remove()
	}
	g.leave()
	g.leader.status.Store(uint32(Dead))
	g.pid.group = nil
	if g.pid.ns.init == g {
		g.pid.ns.init = nil
		g.pid.ns.dead = true
	}
	g.removeThread(g.leader)
}

// endNamespace kills every other process of a pid namespace whose pid 1 is g and
// ends, and waits until they have gone.
func (k *Kernel) endNamespace(g *ThreadGroup) {
	ns := g.pid.ns
	k.tasks.Lock()
	if ns.init != g {
		k.tasks.Unlock()
		return
	}
	ns.dead, g.reaps = true, true
	for _, p := range ns.pids {
		if p.group != nil && p.group != g {
			p.group.Kill()
		}
	}
	for c := range g.children.All() {
		if c.exited {
			k.reap(c)
		}
	}
	t := g.sigLast()
	reaped := k.reapWatch.take()
	k.tasks.Unlock()
	reaped.tell()
	for {
		ticket := ns.leaving.Ticket()
		k.tasks.RLock()
		alone := ns.n <= g.threads
		k.tasks.RUnlock()
		if alone {
			return
		}
		t.blockHard(ns.leaving.Since(ticket))
	}
}

// sigLast is the one thread of g that has not ended. The caller holds tasks.
func (g *ThreadGroup) sigLast() *Task {
	for t := range g.tasks.All() {
		if !t.zombie {
			return t
		}
	}
	return g.leader
}
