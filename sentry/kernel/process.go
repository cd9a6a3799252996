package kernel

import (
	"garrison/sentry/auth"
	"garrison/sentry/keys"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// NewProcess makes a process for somebody outside the sandbox and loads its
// program; it does not run until Start. The first of a container is its init:
// pid 1, whose end ends the rest. Others have no parent: nobody inside waits
// for them. Errors are execve's, and ENOENT or EACCES for the working directory.
func (c *Container) NewProcess(s *ProcessSpec) (*ThreadGroup, error) {
	k := c.k
	fs := vfs.NewFSContext(c.Mounts)
	fds := vfs.NewFDTable()
	lim := s.Limits
	if lim == nil {
		lim = limits.NewSet()
	}
	cr := s.Creds
	if cr == nil {
		cr = auth.Root(c.UserNS)
	}
	t := k.newTask("runsc", cr)
	t.fs.Store(fs)
	t.fds.Store(fds)
	t.ns, t.affinity = c.NS, AllCPUs(k.CPUs())
	t.personality = s.Personality
	t.tg = k.newGroup(c, lim, newHandlers())
	t.tg.oomAdjust.Store(s.OOMAdjust)
	t.tg.signal = linux.SIGCHLD
	t.tg.WatchCPULimit()
	// As runc has it: all that comes from outside shares one session.
	k.Keys.Begin(&keys.Caller{Creds: auth.Root(c.UserNS), Rings: &t.rings}, "_ses."+c.ID)
	if err := t.outfit(s); err != nil {
		t.discard(t)
		return nil, err
	}
	if err := c.admit(t, s); err != nil {
		t.discard(t)
		return nil, err
	}
	if s.Terminal != nil {
		k.SetTerminal(t, s.Terminal, Acquire{Steal: true})
	}
	return t.tg, nil
}

// outfit gives t files, a working directory, a program, and who judges its calls.
func (t *Task) outfit(s *ProcessSpec) error {
	t.FS().SetUmask(s.Umask)
	for i, f := range s.Files {
		if f == nil {
			continue
		}
		if err := t.FDs().Replace(t, FD(i), f, false); err != nil {
			return err
		}
	}
	if s.Cwd != "" {
		p, err := vfs.Resolve(t, vfs.At{Name: s.Cwd, Flags: vfs.Directory})
		if err != nil {
			return err
		}
		err = p.Permit(t, vfs.MayExec)
		if err == nil {
			t.FS().SetCwd(p)
		}
		p.Drop()
		if err != nil {
			return err
		}
	}
	name := s.Path
	if name == "" && len(s.Argv) > 0 {
		name = s.Argv[0]
	}
	file, err := t.openProgram(vfs.At{Name: name})
	if err != nil {
		return err
	}
	l, err := t.load(file, name, name, s.Argv, s.Env)
	if err != nil {
		return err
	}
	t.space.Store(l.space)
	t.tg.times.filled.begin(l.space)
	t.ctx = t.k.platform.NewContext()
	t.tg.memoryNS.Store(l.memoryNS)
	t.setCreds(l.creds)
	t.comm = l.name
	t.SetName(l.name)
	t.beginProgram(l.image.Entry, l.image.SP)
	if s.Filter != nil {
		_, err = t.AddFilter(s.Filter, s.FilterFlags, nil)
	}
	return err
}

// admit gives t a number and its place in the container.
func (c *Container) admit(t *Task, s *ProcessSpec) error {
	k := c.k
	k.tasks.Lock()
	defer k.tasks.Unlock()
	pid, err := c.PIDs.allocPID(nil)
	if err != nil {
		return err
	}
	g := t.tg
	t.pid, g.pid, g.leader, pid.group = pid, pid, t, g
	g.addThread(t)
	if c.PIDs.init == nil {
		c.PIDs.init = g
		g.sig.init.Store(!s.Mortal)
	}
	c.mu.Lock()
	if c.init == nil {
		c.init = g
	}
	c.mu.Unlock()
	k.newSession(g)
	g.execed = true
	return nil
}

// Start makes a process that NewProcess made run.
func (g *ThreadGroup) Start() {
	t := g.Leader()
	g.k.forks.Add(1)
	t.start(inGuest{})
}

// Abandon ends a process that was not started.
func (g *ThreadGroup) Abandon() {
	t := g.Leader()
	t.attend(attnKill)
	g.Kill()
	t.start(inSignals{})
}

// Lookup finds the program that name names for a process of the container, as
// execvp(3) does: a name without a slash is looked for in the directories of path. It
// returns ENOENT if there is none, EACCES if there is one that can't be executed.
func (c *Container) Lookup(s *ProcessSpec, name, path string) (string, error) {
	cr := s.Creds
	if cr == nil {
		cr = auth.Root(c.UserNS)
	}
	fs := vfs.NewFSContext(c.Mounts)
	defer fs.DecRef()
	ctx := &vfs.Internal{Who: cr, Place: fs}
	if s.Cwd != "" {
		if p, err := vfs.Resolve(ctx, vfs.At{Name: s.Cwd, Flags: vfs.Directory}); err == nil {
			fs.SetCwd(p)
			p.Drop()
		}
	}
	return lookup(ctx, name, path)
}

func lookup(ctx vfs.Ctx, name, path string) (string, error) {
	if name == "" {
		return "", linux.ENOENT
	}
	if hasSlash(name) {
		return name, executable(ctx, name)
	}
	if path == "" {
		return "", linux.ENOENT // not the working directory, which nobody named
	}
	worst := linux.Errno(linux.ENOENT)
	for _, dir := range splitPath(path) {
		full := dir + "/" + name
		switch err := executable(ctx, full); err {
		case nil:
			return full, nil
		case linux.EACCES:
			worst = linux.EACCES
		}
	}
	return "", worst
}

// executable checks that name names a file that may be executed.
func executable(ctx vfs.Ctx, name string) error {
	p, err := vfs.Resolve(ctx, vfs.At{Name: name})
	if err != nil {
		return err
	}
	defer p.Drop()
	if p.Type() != linux.S_IFREG {
		return linux.EACCES
	}
	return p.Permit(ctx, vfs.MayExec)
}
