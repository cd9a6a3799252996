package keys

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// Rings is a task's keyrings, and where keys go that it requests. The zero Rings is those
// of a task that has none yet. Service.mu protects it.
type Rings struct {
	thread, process, session *Key
	requests                 int32 // KEYCTL_SET_REQKEY_KEYRING's
	over                     bool  // the task has ended
}

// set changes what a task has as one of its keyrings.
func (s *Service) set(at **Key, k *Key) {
	if k != nil {
		k.refs++
	}
	if old := *at; old != nil {
		s.put(old)
	}
	*at = k
}

// Fork gives child, the Rings of a new task with credentials c, what it has of its
// parent: the session; a thread the process's too, and a keyring of its own if the
// parent has one.
func (s *Service) Fork(parent, child *Rings, c *auth.Creds, thread bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	child.requests = parent.requests
	s.set(&child.session, parent.session)
	if thread {
		s.set(&child.process, parent.process)
		if parent.thread != nil {
			_, _ = s.threadRing(&Caller{c, child})
		}
	}
}

// Exec gives up what a new program does not have of the old one.
func (s *Service) Exec(r *Rings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(&r.thread, nil)
	s.set(&r.process, nil)
}

// Release gives up all of r, at a task's end.
func (s *Service) Release(r *Rings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(&r.thread, nil)
	s.set(&r.process, nil)
	s.set(&r.session, nil)
	r.over = true
}

// Owner has a thread's keyring be whose the thread has become by c.
func (s *Service) Owner(r *Rings, c *auth.Creds) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.thread != nil {
		r.thread.uid, r.thread.gid = c.FSUID, c.FSGID
	}
}

// newRing makes a keyring that is the caller's.
func (s *Service) newRing(c *Caller, desc string, perm Perm, q quotaRule) (*Key, error) {
	return s.alloc(c, &spec{kind: keyring, desc: desc, uid: c.Creds.RUID, gid: c.Creds.RGID, perm: perm, quota: q})
}

const ownRing = canAll<<possessor | canView<<owner

// threadRing is the caller's thread keyring, made if need be.
func (s *Service) threadRing(c *Caller) (*Key, error) {
	return s.own(c, &c.Rings.thread, "_tid")
}

// processRing is the caller's process keyring, made if need be.
func (s *Service) processRing(c *Caller) (*Key, error) {
	return s.own(c, &c.Rings.process, "_pid")
}

func (s *Service) own(c *Caller, at **Key, desc string) (*Key, error) {
	if *at == nil {
		k, err := s.newRing(c, desc, ownRing, overQuota)
		if err != nil {
			return nil, err
		}
		s.set(at, k)
	}
	return *at, nil
}

// sessionRing is the caller's session keyring; who has none is in their user's, and
// with make gets one of their own.
func (s *Service) sessionRing(c *Caller, make bool) (*Key, error) {
	k := c.Rings.session
	if k != nil && !(k.ofUser && make) {
		return k, nil
	}
	_, ses, err := s.userRings(c)
	switch {
	case err != nil:
		return nil, err
	case make:
		return s.newSession(c)
	}
	s.set(&c.Rings.session, ses)
	return ses, nil
}

// newSession puts the caller in a session without a name.
func (s *Service) newSession(c *Caller) (*Key, error) {
	q := overQuota
	if c.Rings.session != nil {
		q = inQuota
	}
	k, err := s.newRing(c, "_ses", canAll<<possessor|(canView|canRead)<<owner, q)
	if err == nil {
		s.set(&c.Rings.session, k)
	}
	return k, err
}

// Join is KEYCTL_JOIN_SESSION_KEYRING: a new session, or one of that name, as there may
// be one that the caller may search. EPERM, EINVAL, EDQUOT.
func (s *Service) Join(c *Caller, desc *string) (Serial, error) {
	s.lock()
	defer s.mu.Unlock()
	if desc == nil {
		k, err := s.newSession(c)
		if err != nil {
			return 0, err
		}
		return k.serial, nil
	}
	k, err := s.joinNamed(c, *desc)
	switch {
	case err != nil:
		return 0, err
	case k == c.Rings.session:
		return 0, nil
	}
	s.set(&c.Rings.session, k)
	return k.serial, nil
}

func (s *Service) joinNamed(c *Caller, desc string) (*Key, error) {
	if len(desc) > 0 && desc[0] == '.' {
		return nil, linux.EPERM
	}
	for k := range s.named[name{spaceOf(c.Creds.UserNS), desc}] {
		if !k.revoked && c.Creds.UserNS.KnowsUID(k.owner.uid) && permit(ref{Key: k}, c, canSearch) == nil {
			return k, nil
		}
	}
	return s.newRing(c, desc, canAll<<possessor|(canView|canRead|canLink)<<owner, inQuota)
}

// Begin puts who comes from outside in the session desc: a container's.
func (s *Service) Begin(c *Caller, desc string) {
	s.lock()
	defer s.mu.Unlock()
	if k, err := s.joinNamed(c, desc); err == nil {
		k.perm |= canSearch << owner // for the next one
		s.set(&c.Rings.session, k)
	}
}

// ToParent is KEYCTL_SESSION_TO_PARENT: the session of c, a process of one thread,
// becomes its parent's. EPERM.
func (s *Service) ToParent(c, parent *Caller) error {
	s.lock()
	defer s.mu.Unlock()
	k, err := s.lookup(c, SpecSession, 0, canLink)
	if err != nil {
		return err
	}
	was := parent.Rings.session
	if was == k.Key {
		return nil
	}
	me, p := c.Creds, parent.Creds
	if p.RUID != me.EUID || p.EUID != me.EUID || p.SUID != me.EUID ||
		p.RGID != me.EGID || p.EGID != me.EGID || p.SGID != me.EGID ||
		was != nil && was.uid != me.EUID || k.uid != me.EUID || parent.Rings.over {
		return linux.EPERM
	}
	s.set(&parent.Rings.session, k.Key)
	return nil
}
