package kernel

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// A Terminal is what can be a session's controlling terminal: a tty. It must be
// comparable: a pointer.
type Terminal interface {
	// Disassociated tells that it controls no session any more: the leader
	// gave it up, or has exited. It is called without locks.
	Disassociated(exited bool)
}

// A control is what the kernel knows of a controlling terminal.
type control struct {
	session    *Session
	foreground *ProcessGroup
}

// Terminal is g's controlling terminal, nil if it has none.
func (g *ThreadGroup) Terminal() Terminal {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.tty
}

// SetTerminal makes tty the controlling terminal of t's session, as TIOCSCTTY
// and open(2) without O_NOCTTY do. t must lead a session that has none (EPERM);
// tty may control no other session, unless steal and t has CAP_SYS_ADMIN:
// then that one loses it.
func (k *Kernel) SetTerminal(t *Task, tty Terminal, steal bool) error {
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
	if c != nil && c.session != s {
		if !steal || !t.Creds().HasCapIn(k.rootUserNS, auth.CapSysAdmin) {
			return linux.EPERM
		}
		c.session.forget()
	}
	if s.tty != nil {
		delete(k.terminals, s.tty)
	}
	s.tty, g.tty = tty, tty
	k.terminals[tty] = &control{session: s, foreground: g.pgrp}
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
	tty.Disassociated(false)
	return nil
}

// disassociate takes s's terminal from it and lists the processes in its
// foreground. The caller holds tasks.
func (k *Kernel) disassociate(s *Session) (foreground []*ThreadGroup) {
	c := k.terminals[s.tty]
	if c == nil {
		return nil
	}
	if c.foreground != nil {
		foreground = c.foreground.list()
	}
	delete(k.terminals, s.tty)
	s.forget()
	return foreground
}

func hangup(gs []*ThreadGroup) {
	for _, g := range gs {
		g.Signal(KernelSignal(linux.SIGHUP))
		g.Signal(KernelSignal(linux.SIGCONT))
	}
}

// HangupTerminal says that tty's line is gone: the session leader and the
// foreground process group get SIGHUP and SIGCONT, and the session loses tty.
func (k *Kernel) HangupTerminal(tty Terminal) {
	k.tasks.Lock()
	c := k.terminals[tty]
	if c == nil {
		k.tasks.Unlock()
		return
	}
	leader := c.session.leader
	fg := k.disassociate(c.session)
	k.tasks.Unlock()
	if leader != nil {
		hangup([]*ThreadGroup{leader})
	}
	for _, g := range fg {
		if g != leader {
			hangup([]*ThreadGroup{g})
		}
	}
}

// Foreground is the foreground process group of tty, nil if there is none.
func (k *Kernel) Foreground(tty Terminal) *ProcessGroup {
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
// is not t's controlling terminal, EINVAL for a negative pgid, ESRCH if there is
// no such process group, EPERM if it is in another session.
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
	case p == nil || p.pgrp == nil:
		return linux.ESRCH
	case p.pgrp.session != c.session:
		return linux.EPERM
	}
	c.foreground = p.pgrp
	return nil
}

// SignalForeground sends sig to the foreground process group of tty, from the kernel.
func (k *Kernel) SignalForeground(tty Terminal, sig linux.Signal) {
	k.tasks.RLock()
	var gs []*ThreadGroup
	if c := k.terminals[tty]; c != nil && c.foreground != nil {
		gs = c.foreground.list()
	}
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
	if c == nil || t.tg.tty != tty || c.foreground == nil || c.foreground == t.tg.pgrp {
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
