package kernel

import (
	"garrison/sentry/limits"
	"garrison/sentry/linux"
)

// newGroup makes a process without threads.
func (k *Kernel) newGroup(c *Container, lim *limits.Set, h *Handlers) *ThreadGroup {
	g := &ThreadGroup{k: k, container: c, limits: lim, ended: make(chan struct{})}
	g.sig.handlers.Store(h)
	g.dumpable.Store(1)
	g.SetCoreFilter(linux.CoreDefault)
	g.sibling.Value, g.pgrpPlace.Value = g, g
	return g
}

// attach gives n, which newChild made for t, a number and its place in the process
// tree. ERESTARTNOINTR if a signal came for t meanwhile, EAGAIN, ENOMEM.
func (t *Task) attach(n *Task, c *CloneSpec) error {
	k := t.k
	thread := c.Flags&linux.CLONE_THREAD != 0
	n.tg = t.tg
	if !thread {
		n.tg = t.newProcess(n, c)
	}
	k.tasks.Lock()
	defer k.tasks.Unlock()
	t.tg.sig.mu.Lock()
	defer t.tg.sig.mu.Unlock()
	if t.tg.sig.exiting || t.attention.Load()&(attnSignal|attnKill) != 0 {
		return linux.ERESTARTNOINTR
	}
	if k.live >= k.opts.MaxTasks || t.tg.container.cgroup.tasks.full() {
		return linux.EAGAIN
	}
	pid, err := n.ns.PIDForChildren.allocPID(c.SetTID)
	if err != nil {
		return err
	}
	n.pid = pid
	n.setFilters(t.filters.Load()) // not before: another thread's may have come
	if t.bound.Load() {
		n.bound.Store(true)
		n.bind()
	}
	if thread {
		t.tg.addThread(n)
		t.tg.sig.handlers.Load().users.Add(1)
		return nil
	}
	g := n.tg
	g.pid, g.leader = pid, n
	g.addThread(n) // nobody else knows g: its sig.mu is not needed
	pid.group = g
	if ns := pid.ns; ns.init == nil {
		ns.init = g
		g.sig.init.Store(true)
	}
	g.parent, n.maker = t.tg, t
	if c.Flags&linux.CLONE_PARENT != 0 {
		g.parent, n.maker = t.tg.parent, t.tg.leader.maker
		g.signal = t.tg.signal
	}
	if g.parent != nil {
		g.parent.children.PushBack(&g.sibling)
	}
	g.tty = t.tg.tty
	g.join(t.tg.pgrp)
	return nil
}

// newProcess makes the process whose first thread n is to be.
func (t *Task) newProcess(n *Task, c *CloneSpec) *ThreadGroup {
	h := t.tg.sig.handlers.Load()
	switch {
	case c.Flags&linux.CLONE_SIGHAND != 0:
		h.users.Add(1)
	default:
		h = h.copy()
	}
	if c.Flags&linux.CLONE_CLEAR_SIGHAND != 0 {
		h.reset()
	}
	lim := n.newLimits
	if n.newLimits = nil; lim == nil {
		lim = t.tg.limits.Clone()
	}
	g := t.k.newGroup(t.tg.container, lim, h)
	g.signal = c.ExitSignal
	g.oomAdjust.Store(t.tg.oomAdjust.Load())
	g.dumpable.Store(t.tg.dumpable.Load())
	g.memoryNS.Store(t.tg.memoryNS.Load())
	g.coreKinds.Store(t.tg.coreKinds.Load())
	g.noTHP.Store(t.tg.noTHP.Load())
	if c.Flags&linux.CLONE_VM != 0 {
		g.times.meter.share(t)
	} else {
		g.times.filled.begin(n.space.Load())
	}
	g.WatchCPULimit()
	return g
}

// addThread makes n, which has a number, a thread of g. The caller holds tasks
// and g.sig.mu.
func (g *ThreadGroup) addThread(n *Task) {
	n.pid.task = n
	g.tasks.PushBack(&n.place)
	g.times.meter.add(n)
	g.threads++
	g.alive++
	g.k.live++
	g.container.cgroup.tasks.add(1)
	g.sig.tasks = append(g.sig.tasks, n)
	g.k.users.account(n.Creds().RUID).threads.Add(1)
	if g.container.Paused() {
		n.attend(attnPause)
	}
	if g.sig.stop.sig != 0 { // the maker has not stopped yet: nor does the new one run on
		n.stopping = true
		g.sig.stop.left++
		n.attend(attnStop)
	}
}

// detachNew undoes attach of a task that never ran.
func (n *Task) detachNew() {
	k, g := n.k, n.tg
	k.tasks.Lock()
	defer func() {
		k.tasks.Unlock()
		n.filters.Load().drop()
	}()
	g.sig.mu.Lock()
	g.sig.remove(n)
	g.sig.mu.Unlock()
	if g.leader == n {
		if g.parent != nil {
			g.sibling.Remove()
		}
		g.leave()
		if n.pid.ns.init == g {
			n.pid.ns.init = nil
		}
		n.pid.group = nil
	}
	g.times.meter.remove(n)
	g.removeThread(n)
}

// removeThread takes n off the process's threads and gives its number up. The
// caller holds tasks.
func (g *ThreadGroup) removeThread(n *Task) {
	n.place.Remove()
	g.threads--
	if !n.zombie {
		g.alive--
	}
	g.k.live--
	g.container.cgroup.tasks.add(-1)
	g.k.users.account(n.Creds().RUID).threads.Add(-1)
	g.lost(n.pid)
	n.pid.leaves()
}

// remove takes t off the threads that signals reach. The caller holds mu.
func (s *groupSignals) remove(t *Task) {
	for i, x := range s.tasks {
		if x == t {
			s.tasks = append(s.tasks[:i:i], s.tasks[i+1:]...)
			return
		}
	}
}
