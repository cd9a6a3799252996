package kernel

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// A Terminal is what can be a session's controlling terminal: a tty. It must be
// comparable: a pointer.
type Terminal any

// A control is what the kernel knows of a controlling terminal.
type control struct {
	session *Session
	// foreground numbers the foreground process group; it stays when that group
	// has gone, and then everybody is in the background.
	foreground *PID
}

// members is the processes in c's foreground. The caller holds tasks.
func (c *control) members() []*ThreadGroup {
	if c == nil || c.foreground.pgrp == nil {
		return nil
	}
	return c.foreground.pgrp.list()
}

// Terminal is g's controlling terminal, nil if it has none.
func (g *ThreadGroup) Terminal() Terminal {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.tty
}

// Acquire says how a session gets its terminal.
type Acquire struct {
	Steal      bool // from another session
	Unreadable bool // by a file that can't be read, without CAP_SYS_ADMIN
}

// SetTerminal makes tty the controlling terminal of t's session, as TIOCSCTTY
// and open(2) without O_NOCTTY do. t must lead a session that has none (EPERM);
// tty may control no other session, unless how says so and t has
// CAP_SYS_ADMIN: then that one loses it.
func (k *Kernel) SetTerminal(t *Task, tty Terminal, how Acquire) error {
	k.tasks.Lock()
	defer k.tasks.Unlock()
	g := t.tg
	s := g.pgrp.session
	c := k.terminals[tty]
	if c != nil && c.session == s && s.leader == g && g.tty == tty {
		return nil
	}
	if s.leader != g || g.tty != nil {
		return linux.EPERM
	}
	taken := c != nil && c.session != s
	mayTake := how.Steal && t.Creds().HasCapIn(k.rootUserNS, auth.CapSysAdmin)
	if how.Unreadable || taken && !mayTake {
		return linux.EPERM
	}
	if c != nil {
		c.session.forget()
	}
	if s.tty != nil {
		delete(k.terminals, s.tty)
	}
	s.tty, g.tty, s.hungUp = tty, tty, nil
	k.terminals[tty] = &control{session: s, foreground: g.pgrp.pid}
	return nil
}

// forget takes the controlling terminal from every process of s. The caller
// holds tasks and sees to the table of terminals.
func (s *Session) forget() {
	for p := range s.groups.All() {
		for g := range p.members.All() {
			g.tty = nil
		}
	}
	s.tty = nil
}

// DropTerminal is TIOCNOTTY: t's process has no controlling terminal any more;
// if it leads its session, nobody there has, and the foreground process group is
// sent SIGHUP and SIGCONT. ENOTTY if it has none.
func (k *Kernel) DropTerminal(t *Task) error {
	k.tasks.Lock()
	g := t.tg
	tty := g.tty
	if tty == nil {
		k.tasks.Unlock()
		return linux.ENOTTY
	}
	if g.pgrp.session.leader != g {
		g.tty = nil
		k.tasks.Unlock()
		return nil
	}
	fg := k.disassociate(g.pgrp.session)
	k.tasks.Unlock()
	hangup(fg)
	return nil
}

// disassociate takes s's terminal from it and lists the processes in its
// foreground. The caller holds tasks.
func (k *Kernel) disassociate(s *Session) (foreground []*ThreadGroup) {
	foreground = k.terminals[s.tty].members()
	delete(k.terminals, s.tty)
	s.forget()
	return foreground
}

// leaderEnds is what the end of s's leader does to its terminal: nobody in s has
// it any more, and its foreground is sent SIGHUP; the line stays as it is, for a
// pseudoterminal may be in use elsewhere. If the terminal was hung up before, who
// was in its foreground then learns of it now. The caller holds tasks.
func (k *Kernel) leaderEnds(s *Session) {
	switch {
	case s.tty != nil && s.leader.tty == s.tty:
		for _, g := range k.disassociate(s) {
			g.Signal(KernelSignal(linux.SIGHUP))
		}
	case s.hungUp != nil && s.hungUp.pgrp != nil:
		hangup(s.hungUp.pgrp.list())
	}
	s.leader = nil
}

func hangup(gs []*ThreadGroup) {
	for _, g := range gs {
		g.Signal(KernelSignal(linux.SIGHUP))
		g.Signal(KernelSignal(linux.SIGCONT))
	}
}

// HangupTerminal says that tty's line is gone: the session leader gets SIGHUP and
// SIGCONT, the foreground process group when the leader ends, and the session
// loses tty.
func (k *Kernel) HangupTerminal(tty Terminal) {
	k.tasks.Lock()
	c := k.terminals[tty]
	if c == nil {
		k.tasks.Unlock()
		return
	}
	leader := c.session.leader
	c.session.hungUp = c.foreground
	k.disassociate(c.session)
	k.tasks.Unlock()
	if leader != nil {
		hangup([]*ThreadGroup{leader})
	}
}

// Foreground is the number of the foreground process group of tty, nil if tty
// controls no session.
func (k *Kernel) Foreground(tty Terminal) *PID {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	if c := k.terminals[tty]; c != nil {
		return c.foreground
	}
	return nil
}

// TerminalSession is the session that tty controls, nil if none.
func (k *Kernel) TerminalSession(tty Terminal) *Session {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	if c := k.terminals[tty]; c != nil {
		return c.session
	}
	return nil
}

// SetForeground is tcsetpgrp(3), after CheckForeground has agreed: ENOTTY if tty
// is not t's controlling terminal, EINVAL for a negative pgid, ESRCH if it
// numbers nothing, EPERM if that is in another session. The number of a process
// that leads no group yet will do.
func (k *Kernel) SetForeground(t *Task, tty Terminal, pgid int32) error {
	k.tasks.Lock()
	defer k.tasks.Unlock()
	c := k.terminals[tty]
	if c == nil || t.tg.tty != tty || c.session != t.tg.pgrp.session {
		return linux.ENOTTY
	}
	if pgid < 0 {
		return linux.EINVAL
	}
	p := t.pid.ns.pids[pgid]
	switch {
	case p == nil:
		return linux.ESRCH
	case p.sessionOf() != c.session:
		return linux.EPERM
	}
	c.foreground = p
	return nil
}

// sessionOf is the session of the process group that p numbers, or else of the
// task that it numbers; nil if there is neither. The caller holds tasks.
func (p *PID) sessionOf() *Session {
	switch {
	case p.pgrp != nil:
		return p.pgrp.session
	case p.task != nil && p.task.tg.pgrp != nil:
		return p.task.tg.pgrp.session
	}
	return nil
}

// SignalForeground sends sig to the foreground process group of tty, from the kernel.
func (k *Kernel) SignalForeground(tty Terminal, sig linux.Signal) {
	k.tasks.RLock()
	gs := k.terminals[tty].members()
	k.tasks.RUnlock()
	for _, g := range gs {
		g.Signal(KernelSignal(sig))
	}
}

// CheckForeground asks whether t, which may be in the background, may use tty:
// SIGTTIN for reading, SIGTTOU for changing (or for writing with TOSTOP). It
// is nil if tty does not control t or t is in the foreground. A background
// process that blocks or ignores the signal gets EIO for SIGTTIN and nil for
// SIGTTOU, one of an orphaned group EIO; else the signal is sent to the
// whole group and the answer is ERESTARTSYS.
func (k *Kernel) CheckForeground(t *Task, tty Terminal, sig linux.Signal) error {
	k.tasks.RLock()
	c := k.terminals[tty]
	if c == nil || t.tg.tty != tty || c.foreground == t.tg.pgrp.pid {
		k.tasks.RUnlock()
		return nil
	}
	orphaned := t.tg.pgrp.orphaned(nil)
	gs := t.tg.pgrp.list()
	k.tasks.RUnlock()
	if t.SignalMask().Has(sig) || t.tg.Action(sig).Handler == linux.SIG_IGN {
		if sig == linux.SIGTTIN {
			return linux.EIO
		}
		return nil
	}
	if orphaned {
		return linux.EIO
	}
	for _, g := range gs {
		g.Signal(KernelSignal(sig))
	}
	return linux.ERESTARTSYS
}
