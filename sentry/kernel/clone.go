package kernel

import (
	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A CloneSpec is what clone(2) and its kin ask for.
type CloneSpec struct {
	Flags      linux.CloneFlags
	ExitSignal linux.Signal
	Stack      uint64 // the child's stack pointer; 0: the parent's
	TLS        uint64
	ParentTID  arch.Addr // CLONE_PARENT_SETTID
	ChildTID   arch.Addr // CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID
	SetTID     []int32   // the child's numbers, innermost namespace first

	// Prepare, if not nil, is called once the child has its number and before it
	// runs; an error undoes all. It makes the pidfd.
	Prepare func(child *Task) error
}

const cloneNamespaces = linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWPID |
	linux.CLONE_NEWNET | linux.CLONE_NEWCGROUP | linux.CLONE_NEWTIME

// check finds combinations of flags that make no sense: EINVAL.
func (c *CloneSpec) check(t *Task) error {
	f := c.Flags
	both := func(a, b linux.CloneFlags) bool { return f&a != 0 && f&b != 0 }
	without := func(a, b linux.CloneFlags) bool { return f&a != 0 && f&b == 0 }
	switch {
	case both(linux.CLONE_NEWNS|linux.CLONE_NEWUSER, linux.CLONE_FS),
		without(linux.CLONE_THREAD, linux.CLONE_SIGHAND),
		without(linux.CLONE_SIGHAND, linux.CLONE_VM),
		both(linux.CLONE_THREAD, linux.CLONE_NEWPID|linux.CLONE_NEWUSER),
		both(linux.CLONE_NEWIPC, linux.CLONE_SYSVSEM),
		both(linux.CLONE_CLEAR_SIGHAND, linux.CLONE_SIGHAND),
		both(linux.CLONE_PIDFD, linux.CLONE_THREAD|linux.CLONE_DETACHED),
		f&linux.CLONE_PARENT != 0 && t.tg.sig.init.Load(),
		f&linux.CLONE_THREAD != 0 && t.ns.PIDForChildren != t.pid.ns,
		len(c.SetTID) > t.ns.PIDForChildren.level+1,
		!c.ExitSignal.Valid() && c.ExitSignal != 0:
		return linux.EINVAL
	}
	if f&linux.CLONE_SETTLS != 0 && c.TLS >= userEnd {
		return linux.EPERM
	}
	for ns := t.ns.PIDForChildren; len(c.SetTID) > 0 && ns.Parent != nil && ns.level > t.ns.PIDForChildren.level-len(c.SetTID); ns = ns.Parent {
		if !t.Creds().HasCapIn(ns.UserNS, auth.CapSysAdmin) && !t.Creds().HasCapIn(ns.UserNS, auth.CapCheckpointRestore) {
			return linux.EPERM
		}
	}
	return nil
}

// Clone makes a task: clone(2). With CLONE_VFORK it returns when the child has
// called execve or ended. It returns the child's number.
func (t *Task) Clone(c *CloneSpec) (int32, error) {
	if err := c.check(t); err != nil {
		return 0, err
	}
	if t.attention.Load()&(attnSignal|attnKill) != 0 {
		return 0, linux.ERESTARTNOINTR // signals come first: a child must not miss them
	}
	if err := t.mayFork(); err != nil {
		return 0, err
	}
	t.crowded = false
	if s := t.Sched(); s.Policy == linux.SCHED_DEADLINE && !s.ResetOnFork {
		return 0, linux.EAGAIN
	}
	child, err := t.newChild(c)
	if err != nil {
		return 0, err
	}
	if err := t.attach(child, c); err != nil {
		child.discard(t)
		return 0, err
	}
	if c.Prepare != nil {
		if err := c.Prepare(child); err != nil {
			child.detachNew()
			child.discard(t)
			return 0, err
		}
	}
	tid := child.pid.In(t.pid.ns)
	if c.Flags&linux.CLONE_PARENT_SETTID != 0 {
		storeTID(t, c.ParentTID, tid)
	}
	if c.Flags&linux.CLONE_CHILD_SETTID != 0 {
		storeTID(child, c.ChildTID, child.TID())
	}
	event := t.cloneEvent(c)
	t.traceChild(child, c.Flags, event)
	var vfork *Gate
	if c.Flags&linux.CLONE_VFORK != 0 {
		vfork = new(Gate)
		child.vfork = vfork
	}
	t.k.forks.Add(1)
	number := child.pid
	child.start(inGuest{})
	if event != 0 {
		t.event(event, uint64(t.seenByTracer(number)))
	}
	if vfork != nil && t.BlockKillable(vfork.Since(0), wait.Readable) == nil {
		t.event(linux.PTRACE_EVENT_VFORK_DONE, uint64(t.seenByTracer(number)))
	}
	return tid, nil
}

// mayFork checks RLIMIT_NPROC: EAGAIN.
func (t *Task) mayFork() error {
	cr := t.Creds()
	n := t.k.users.account(cr.RUID).threads.Load()
	if uint64(n) < t.Limit(limits.NProc) || cr.RUID == 0 ||
		cr.Capable(auth.CapSysResource) || cr.Capable(auth.CapSysAdmin) {
		return nil
	}
	return linux.EAGAIN
}

// newChild makes a task that is like t but for what c says, with everything
// but a number and a place in the process tree.
func (t *Task) newChild(c *CloneSpec) (*Task, error) {
	f := c.Flags
	cr, err := t.credsFor(f)
	if err != nil {
		return nil, err
	}
	n := t.k.newTask(t.Name(), cr)
	n.shown = t.shown
	if err := t.shareMemory(n, f); err != nil {
		return nil, err
	}
	if err := t.shareFiles(n, f); err != nil {
		n.discard(t)
		return nil, err
	}
	ctx, err := t.spawn(n, f)
	if err == nil {
		n.ctx = ctx
		err = ctx.CloneFPU(t.ctx)
	}
	if err != nil {
		t.k.logf("clone: %v", err)
		n.discard(t)
		return nil, linux.EAGAIN
	}
	n.regs = t.regs
	n.regs.SetReturn(0)
	n.notInCall()
	if c.Stack != 0 {
		n.regs.RSP = c.Stack
	}
	if f&linux.CLONE_SETTLS != 0 {
		n.regs.FSBase = c.TLS
	}
	n.mask, n.personality, n.timerSlack = t.mask, t.personality, t.timerSlack
	n.ioFlusher, n.mcePolicy = t.ioFlusher, t.mcePolicy
	if f&(linux.CLONE_VM|linux.CLONE_VFORK) != linux.CLONE_VM {
		n.altstack = t.altstack
	}
	if f&linux.CLONE_CHILD_CLEARTID != 0 {
		n.clearTID = c.ChildTID
	}
	t.mu.Lock()
	n.sched, n.affinity, n.ns = t.sched.inherit(), t.affinity, t.ns
	n.Policy = t.Policy
	t.mu.Unlock()
	if err = t.newNamespaces(n, f); err == nil && f&linux.CLONE_VM == 0 && n.ns.Time != n.ns.TimeForChildren {
		err = n.EnterTime(t.tg.container, n.ns.TimeForChildren)
	}
	if err != nil {
		n.discard(t)
		return nil, err
	}
	if f&linux.CLONE_SYSVSEM != 0 {
		n.undo.Store(t.SemUndo().Share())
	}
	t.k.Keys.Fork(&t.rings, &n.rings, cr, f&linux.CLONE_THREAD != 0)
	return n, nil
}

// spawn makes the Context of n. A child by vfork(2) that has t's memory runs in t's place.
func (t *Task) spawn(n *Task, f linux.CloneFlags) (platform.Context, error) {
	if l, ok := t.ctx.(platform.Lender); ok && f&linux.CLONE_VM != 0 && f&linux.CLONE_VFORK != 0 {
		return l.Lend()
	}
	return t.ctx.Spawn(n.space.Load().AddressSpace())
}

// shareMemory gives n t's address space, or a copy.
func (t *Task) shareMemory(n *Task, f linux.CloneFlags) error {
	s := t.space.Load()
	t.inheritRseq(n, f&linux.CLONE_VM != 0)
	if f&linux.CLONE_VM != 0 {
		if f&linux.CLONE_VFORK == 0 {
			s.NeedFutexSlots(min(t.tg.Threads(), t.k.CPUs()))
		}
		s.IncUsers()
		n.space.Store(s)
		return nil
	}
	lim := t.tg.limits.Clone()
	copied, err := s.Fork(t.ctx, lim)
	if err != nil {
		return err
	}
	n.newLimits = lim
	n.space.Store(copied)
	return nil
}

// shareFiles gives n t's descriptors and file system context, or copies.
func (t *Task) shareFiles(n *Task, f linux.CloneFlags) error {
	var fs *vfs.FSContext
	if fs = t.fs.Load(); f&linux.CLONE_FS != 0 {
		fs.IncRef()
	} else {
		fs = fs.Copy()
	}
	if f&linux.CLONE_NEWNS != 0 {
		ns, err := fs.Namespace().Clone(t, fs, n.Creds().UserNS)
		if err != nil {
			fs.DecRef()
			return err
		}
		ns.DecRef() // fs holds it
	}
	fds := t.fds.Load()
	if f&linux.CLONE_FILES != 0 {
		fds.IncRef()
	} else {
		fds = fds.Copy()
	}
	n.fs.Store(fs)
	n.fds.Store(fds)
	return nil
}

// credsFor is the credentials that a new task, or t after unshare(2), has by f: those
// of t, or all capabilities in a new user namespace. EPERM if t may not make the
// namespaces that f asks for, or has no ids for a user namespace, or a root directory
// other than its mount namespace's; ENOSPC if there are too many.
func (t *Task) credsFor(f linux.CloneFlags) (*auth.Creds, error) {
	c := t.Creds()
	if f&linux.CLONE_NEWUSER != 0 {
		if t.fs.Load().Chrooted() {
			return nil, linux.EPERM
		}
		ns, err := auth.NewUserNamespace(c, t.k.NewInode())
		switch err {
		case nil:
		case auth.ErrTooMany:
			return nil, linux.ENOSPC
		default:
			return nil, linux.EPERM
		}
		c = c.Clone()
		c.Enter(ns)
	}
	if f&cloneNamespaces != 0 && !t.Creds().HasCapIn(c.UserNS, auth.CapSysAdmin) {
		return nil, linux.EPERM
	}
	return c, nil
}

func (k *Kernel) newNetwork(user *auth.UserNamespace) *NetNamespace {
	var network any
	if k.opts.NewNetwork != nil {
		network = k.opts.NewNetwork(user)
	}
	return k.NewNet(network, user)
}

// newTask makes a task without memory, files, number or process.
func (k *Kernel) newTask(name string, cr *auth.Creds) *Task {
	t := &Task{k: k, comm: name, taskSleep: newTaskSleep()}
	t.creds.Store(cr)
	t.status.Store(uint32(Running))
	t.place.Value = t
	t.altstack.Flags = linux.SS_DISABLE
	t.timerSlack = defaultTimerSlack
	t.mcePolicy = linux.PR_MCE_KILL_DEFAULT
	t.cputime.begun = k.Clocks.Boottime.Now()
	t.cputime.start()
	return t
}

// defaultTimerSlack is prctl(PR_GET_TIMERSLACK)'s in nanoseconds.
const defaultTimerSlack = 50_000

// discard gives up what a task that never ran holds. by is the task at work.
func (n *Task) discard(by *Task) {
	if n.ctx != nil {
		n.ctx.Release()
	}
	if s := n.space.Swap(nil); s != nil {
		s.DecUsers()
	}
	if f := n.fds.Swap(nil); f != nil {
		f.DecRef(by)
	}
	if f := n.fs.Swap(nil); f != nil {
		f.DecRef()
	}
	n.k.Keys.Release(&n.rings)
}

func storeTID(m interface {
	CopyOut(arch.Addr, []byte) (int, error)
}, at arch.Addr, tid int32) {
	m.CopyOut(at, []byte{byte(tid), byte(tid >> 8), byte(tid >> 16), byte(tid >> 24)})
}
