package kernel

import (
	"garrison/sentry/auth"
)

// SetCreds replaces t's credentials; c must not be changed afterwards. What hangs
// on them is seen to: a change of the effective or filesystem ids, or more
// capabilities, makes the process undumpable and forgets PR_SET_PDEATHSIG.
func (t *Task) SetCreds(c *auth.Creds) {
	old := t.Creds()
	if c.EUID != old.EUID || c.EGID != old.EGID || c.FSUID != old.FSUID || c.FSGID != old.FSGID ||
		!old.Covers(c) {
		t.tg.dumpable.Store(0)
		t.space.Load().Mute()
		t.k.tasks.Lock()
		t.tg.deathSig = 0
		t.k.tasks.Unlock()
	}
	if old.RUID != c.RUID {
		t.tooMany(c)
	}
	t.setCreds(c)
	if c.FSUID != old.FSUID || c.FSGID != old.FSGID {
		t.k.Keys.Owner(&t.rings, c)
	}
}

// setCreds replaces t's credentials and accounts its thread to its new user.
func (t *Task) setCreds(c *auth.Creds) {
	old := t.creds.Swap(c)
	if t.bound.Load() {
		t.bind()
	}
	if old.RUID != c.RUID && t.pid != nil {
		t.k.users.account(old.RUID).threads.Add(-1)
		t.k.users.account(c.RUID).threads.Add(1)
	}
}

// bind gives t no_new_privs, whatever its own goroutine does with its credentials
// meanwhile: it looks at bound once more when it has changed them.
func (t *Task) bind() {
	for c := t.Creds(); !c.NoNewPrivs; c = t.Creds() {
		n := c.Clone()
		n.NoNewPrivs = true
		if t.creds.CompareAndSwap(c, n) {
			return
		}
	}
}

// Dumpable is prctl(PR_GET_DUMPABLE): whether others of the same user may look
// into the process.
func (g *ThreadGroup) Dumpable() int32 { return g.dumpable.Load() }

// SetDumpable is prctl(PR_SET_DUMPABLE).
func (g *ThreadGroup) SetDumpable(v int32) { g.dumpable.Store(v) }

// MemoryNS is the user namespace in which the process executed its program, or above
// it one that may read that: who is privileged there may inspect what is not dumpable.
func (g *ThreadGroup) MemoryNS() *auth.UserNamespace { return g.memoryNS.Load() }

// MayInspect reports whether t may see into target as ptrace(2) judges it
// ("Ptrace access mode checking"), with its filesystem ids if fs, else its real
// ones. Any goroutine may ask.
func (t *Task) MayInspect(target *Task, fs bool) bool {
	if t.tg == target.tg {
		return true
	}
	c, o := t.Creds(), target.Creds()
	uid, gid := c.RUID, c.RGID
	if fs {
		uid, gid = c.FSUID, c.FSGID
	}
	privileged := c.HasCapIn(o.UserNS, auth.CapSysPtrace)
	same := uid == o.EUID && uid == o.SUID && uid == o.RUID && gid == o.EGID && gid == o.SGID && gid == o.RGID
	if !same && !privileged {
		return false
	}
	if target.tg.Dumpable() != 1 && !c.HasCapIn(target.tg.MemoryNS(), auth.CapSysPtrace) {
		return false
	}
	caps := c.Permitted
	if fs {
		caps = c.Effective
	}
	return privileged || c.UserNS.Same(o.UserNS) && o.Permitted&^caps == 0
}

// MaySignal reports whether t may send target's process a signal, kill(2).
func (t *Task) MaySignal(target *Task) bool {
	c, o := t.Creds(), target.Creds()
	return t.tg == target.tg || c.EUID == o.SUID || c.EUID == o.RUID || c.RUID == o.SUID || c.RUID == o.RUID ||
		c.HasCapIn(o.UserNS, auth.CapKill)
}
