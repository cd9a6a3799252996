package kernel

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// FirstPID is where pids start anew after the highest (RESERVED_PIDS), and
// PIDMax is one more than the highest pid, as /proc/sys/kernel/pid_max says.
const (
	FirstPID = 300
	PIDMax   = 32768
)

// A PIDNamespace gives tasks their numbers, pid_namespaces(7). A task has a
// number in its own namespace and in each ancestor.
type PIDNamespace struct {
	Parent *PIDNamespace
	UserNS *auth.UserNamespace
	Inode  uint64
	level  int

	// Protected by Kernel.tasks:

	pids map[int32]*PID
	last int32
	init *ThreadGroup // pid 1
	dead bool         // pid 1 has ended: no new tasks
	n    int          // tasks numbered here

	// Leaving is opened when a task has left a namespace whose pid 1 has ended.
	leaving Gate
}

func newPIDNamespace(parent *PIDNamespace, user *auth.UserNamespace, inode uint64) *PIDNamespace {
	ns := &PIDNamespace{Parent: parent, UserNS: user, Inode: inode, pids: map[int32]*PID{}}
	if parent != nil {
		ns.level = parent.level + 1
	}
	return ns
}

// NewPIDNamespace returns a namespace below parent.
func (k *Kernel) NewPIDNamespace(parent *PIDNamespace, user *auth.UserNamespace) *PIDNamespace {
	return newPIDNamespace(parent, user, k.NewInode())
}

// A PID is what a process number names, in all namespaces that see it: a
// thread, and perhaps the thread group, process group and session that it
// leads or led (struct pid). The number is free again when it names none of them.
type PID struct {
	ns      *PIDNamespace
	numbers []int32 // by level of namespace, 0 the root's

	// Exits tells watchers that the thread group, or the thread that is no
	// leader, has ended (poll on a pidfd).
	Exits Gate

	// Protected by Kernel.tasks:

	task    *Task
	group   *ThreadGroup
	pgrp    *ProcessGroup
	session *Session
}

// In is the number by which ns knows p, 0 if it does not.
func (p *PID) In(ns *PIDNamespace) int32 {
	if p == nil || ns.level >= len(p.numbers) {
		return 0
	}
	for own := p.ns; own != nil; own = own.Parent {
		if own == ns {
			return p.numbers[ns.level]
		}
	}
	return 0
}

// Namespace is the innermost namespace that knows p.
func (p *PID) Namespace() *PIDNamespace { return p.ns }

// allocPID numbers a new task in ns and its ancestors. want, if given, is the
// numbers to use, innermost first (clone3's set_tid). The caller holds tasks.
func (ns *PIDNamespace) allocPID(want []int32) (*PID, error) {
	if ns.dead {
		return nil, linux.ENOMEM
	}
	p := &PID{ns: ns, numbers: make([]int32, ns.level+1)}
	for at := ns; at != nil; at = at.Parent {
		var err error
		n := int32(0)
		if i := ns.level - at.level; i < len(want) {
			n, err = at.claim(want[i])
		} else {
			n, err = at.next()
		}
		if err != nil {
			p.undo(at)
			return nil, err
		}
		p.numbers[at.level] = n
		at.pids[n] = p
		at.n++
	}
	return p, nil
}

// undo frees the numbers below level of at, which failed.
func (p *PID) undo(at *PIDNamespace) {
	for own := p.ns; own != at; own = own.Parent {
		delete(own.pids, p.numbers[own.level])
		own.n--
	}
}

// leaves says that p names no task any more. The caller holds tasks.
func (p *PID) leaves() {
	p.task = nil
	for ns := p.ns; ns != nil; ns = ns.Parent {
		if ns.n--; ns.dead {
			ns.leaving.Open()
		}
	}
	p.release()
}

// claim checks a number asked for by name.
func (ns *PIDNamespace) claim(n int32) (int32, error) {
	switch {
	case n < 1 || n >= PIDMax || n != 1 && ns.init == nil && ns.Parent != nil:
		return 0, linux.EINVAL
	case ns.pids[n] != nil:
		return 0, linux.EEXIST
	}
	return n, nil
}

// next finds a free number after the last one given, as Linux: numbers are not
// used again soon.
func (ns *PIDNamespace) next() (int32, error) {
	n := ns.last
	for range PIDMax {
		if n++; n >= PIDMax {
			n = FirstPID
		}
		if ns.pids[n] == nil {
			ns.last = n
			return n, nil
		}
	}
	return 0, linux.EAGAIN
}

// release frees p's numbers if it names nothing any more. The caller holds tasks.
func (p *PID) release() {
	if p.task != nil || p.group != nil || p.pgrp != nil || p.session != nil {
		return
	}
	for ns := p.ns; ns != nil; ns = ns.Parent {
		delete(ns.pids, p.numbers[ns.level])
	}
}

// FindPID is what number n names in ns; nil if nothing.
func (k *Kernel) FindPID(ns *PIDNamespace, n int32) *PID {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	return ns.pids[n]
}

// FindTask is the task numbered n in ns, nil if there is none. A task stays
// findable as a zombie until it is reaped.
func (k *Kernel) FindTask(ns *PIDNamespace, n int32) *Task {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	if p := ns.pids[n]; p != nil {
		return p.task
	}
	return nil
}

// FindGroup is the thread group whose leader is numbered n in ns.
func (k *Kernel) FindGroup(ns *PIDNamespace, n int32) *ThreadGroup {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	if p := ns.pids[n]; p != nil {
		return p.group
	}
	return nil
}

// PIDTask is the task that p names, nil when it has been reaped.
func (k *Kernel) PIDTask(p *PID) *Task {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	return p.task
}

// Groups lists the thread groups that ns sees, by ascending pid.
func (k *Kernel) Groups(ns *PIDNamespace) []*ThreadGroup {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	var out []*ThreadGroup
	for _, p := range ns.pids {
		if p.group != nil {
			out = append(out, p.group)
		}
	}
	sortBy(out, func(g *ThreadGroup) int32 { return g.pid.In(ns) })
	return out
}

// Tasks lists the tasks of g that are not dead, the leader first, the others
// in the order they were made.
func (k *Kernel) Tasks(g *ThreadGroup) []*Task {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	out := make([]*Task, 0, g.threads)
	for t := range g.tasks.All() {
		out = append(out, t)
	}
	return out
}

// PIDState says whether the process (or thread that leads none) that p names has
// ended, and whether it has been reaped.
func (k *Kernel) PIDState(p *PID) (ended, reaped bool) {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	switch {
	case p.task == nil:
		return true, true
	case p.group != nil:
		return p.group.exited, false
	}
	return false, false
}

// PIDGroup is the thread group that p's task leads, nil if none.
func (k *Kernel) PIDGroup(p *PID) *ThreadGroup {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	return p.group
}

// LockHolder implements vfs.LockHolder.
func (t *Task) LockHolder() any { return t.tg.pid }

// HolderIn is the number in ns of a process that a LockHolder told of; 0 if it is no
// more, or not to be seen there.
func (k *Kernel) HolderIn(ns *PIDNamespace, holder any) int32 {
	p, _ := holder.(*PID)
	if p == nil {
		return 0
	}
	n := p.In(ns)
	if n != 0 && k.FindPID(ns, n) != p {
		return 0
	}
	return n
}
