package kernel

import (
	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// ExecSpec is what execveat(2) asks for.
type ExecSpec struct {
	At        vfs.At // where the program is
	Name      string // its name, for AT_EXECFN and the thread's name
	Argv, Env []string
}

// Exec replaces the program that t runs: execve(2). It returns nil with the
// registers those of the new program, or an error with nothing changed; or, when
// t is to end meanwhile, an error that nobody sees.
func (t *Task) Exec(s *ExecSpec) error {
	file, err := t.openProgram(s.At)
	if err != nil {
		return err
	}
	l, err := t.load(file, s.Name, s.Name, s.Argv, s.Env)
	if err != nil {
		return err
	}
	number, call := t.pid, t.regs.OrigRAX
	if err := t.killSiblings(); err != nil {
		l.space.DecUsers()
		return err
	}
	if t.Creds().NoNewPrivs != l.creds.NoNewPrivs {
		l.space.DecUsers() // a thread that is gone now has set it: judge anew
		return linux.ERESTARTNOINTR
	}
	t.become(l)
	t.execEvent(number, call)
	return nil
}

// killSiblings ends the other threads of t's process and makes t its leader.
func (t *Task) killSiblings() error {
	g, k := t.tg, t.k
	g.sig.mu.Lock()
	if g.sig.exiting || g.sig.execing != nil {
		g.sig.mu.Unlock()
		return linux.ERESTARTNOINTR // t is to end
	}
	if len(g.sig.tasks) == 1 && g.leaderIs(t) {
		g.sig.mu.Unlock()
		return nil
	}
	g.sig.execing = t
	for _, x := range g.sig.tasks {
		if x != t {
			x.attend(attnKill)
		}
	}
	g.sig.mu.Unlock()
	defer func() {
		g.sig.mu.Lock()
		g.sig.execing = nil
		g.sig.mu.Unlock()
	}()
	for {
		ticket := g.departures.Ticket()
		k.tasks.Lock()
		if g.alive == 1 {
			t.takeLead()
			reaped := k.reapWatch.take()
			k.tasks.Unlock()
			reaped.tell()
			return nil
		}
		k.tasks.Unlock()
		if err := t.BlockKillable(g.departures.Since(ticket), wait.Readable); err != nil {
			return err
		}
	}
}

// leaderIs reports whether t leads g; for t's own goroutine: nobody else makes it so.
func (g *ThreadGroup) leaderIs(t *Task) bool { return t.pid == g.pid }

// takeLead makes t, the only living thread, the leader, under the number that
// the process has. The caller holds tasks.
func (t *Task) takeLead() {
	g := t.tg
	old := g.leader
	if old == t {
		return
	}
	old.dropTracer()
	own := t.pid
	t.k.users.account(old.Creds().RUID).threads.Add(-1)
	old.place.Remove()
	g.threads--
	t.k.live--
	g.container.cgroup.tasks.add(-1)
	old.pid, t.pid = own, g.pid
	g.pid.task = t
	g.leader = t
	t.maker = old.maker
	t.cputime.begun = old.cputime.begun
	own.Exits.Open()
	g.lost(own)
	own.leaves()
}

// become makes t, alone in its process, run the program l.
func (t *Task) become(l *loaded) {
	g, k := t.tg, t.k
	old := t.space.Load()
	t.leaveMemory(old)
	peak, filled := old.EndRSS()
	g.Measured(old, peak, filled)
	g.times.filled.begin(l.space)
	g.times.meter.leaveProcess(t)
	t.space.Store(l.space)
	old.DecUsers()

	k.tasks.Lock()
	g.execed = true
	if l.suid || l.secure {
		g.deathSig = 0
	}
	g.signal = linux.SIGCHLD
	k.tasks.Unlock()

	t.resetSignals()
	g.sig.mu.Lock()
	timers := g.sig.timers.takeAll()
	g.sig.mu.Unlock()
	for _, x := range timers {
		x.stop()
	}
	t.UnshareFiles()
	t.fds.Load().CloseOnExec(t)
	t.personality = t.newPersonality(l)
	was := t.Creds()
	g.dumpable.Store(1)
	if l.suid || l.hidden || was.EUID != was.RUID || was.EGID != was.RGID {
		g.dumpable.Store(0)
	}
	g.memoryNS.Store(l.memoryNS)
	if t.ns.TimeForChildren != t.ns.Time {
		t.setTime(t.ns.TimeForChildren)
	}
	t.setCreds(l.creds)
	t.k.Keys.Exec(&t.rings)
	t.SetName(l.name)
	g.barriers.Store(0)
	t.robust = 0
	t.clearTID = 0
	t.forgetRseq()
	t.mmCPUs = nil
	t.userDispatch = UserDispatch{}
	t.restartFn = nil
	t.dropDebug()
	t.beginProgram(l.image.Entry, l.image.SP)
	t.releaseVfork()
}

// resetSignals gives the process handlers of its own, with what was caught now
// the default, and the task no alternate stack.
func (t *Task) resetSignals() {
	g := &t.tg.sig
	h := g.handlers.Load()
	if h.users.Load() > 1 {
		n := h.copy()
		h.users.Add(-1)
		g.handlers.Store(n)
		h = n
	}
	h.reset()
	t.altstack = linux.StackT{Flags: linux.SS_DISABLE}
}

// beginProgram makes the registers those of a program at its start.
func (t *Task) beginProgram(entry, sp arch.Addr) {
	t.regs = arch.Regs{RIP: uint64(entry), RSP: uint64(sp), RFLAGS: startFlags}
	t.notInCall()
	t.ctx.ResetFPU()
}

// releaseVfork lets the parent of a vfork(2) go on.
func (t *Task) releaseVfork() {
	if v := t.vfork; v != nil {
		t.vfork = nil
		if l, ok := t.ctx.(platform.Lender); ok {
			l.GiveBack()
		}
		v.Open()
	}
}
