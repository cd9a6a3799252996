package keys

import "garrison/sentry/linux"

// Add is add_key(2): a key in the keyring dest, or a new payload for one that is there.
// What is nil has not been given. ENODEV for a type that there is not, EINVAL, ENOTDIR,
// EPERM, EDQUOT and what lookup says of dest.
func (s *Service) Add(c *Caller, kind string, desc *string, payload []byte, dest Serial) (Serial, error) {
	if kind == keyring.name && desc != nil && len(*desc) > 0 && (*desc)[0] == '.' {
		return 0, linux.EPERM // the kernel's own
	}
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, dest, create, canWrite)
	if err != nil {
		return 0, err
	}
	t := findKind(kind)
	switch {
	case t == nil:
		return 0, linux.ENODEV
	case r.ring == nil:
		return 0, linux.ENOTDIR
	case !t.accepts(payload) || desc == nil || *desc == "":
		return 0, linux.EINVAL
	}
	if err := s.mayLink(r.Key); err != nil {
		return 0, err
	}
	if old := r.ring.links[index{t, *desc}]; old != nil && t.updates && !old.revoked && !old.invalid {
		return old.serial, s.update(ref{old, r.possessed}, c, payload)
	}
	k, err := s.newKey(c, t, *desc)
	if err != nil {
		return 0, err
	}
	if err = s.fill(k, payload); err == nil {
		err = s.link(r.Key, k)
	}
	if err != nil {
		s.discard(k)
		return 0, err
	}
	return k.serial, nil
}

// newKey makes a key that is the caller's, as a program asks for one.
func (s *Service) newKey(c *Caller, t *kind, desc string) (*Key, error) {
	return s.alloc(c, &spec{kind: t, desc: desc, uid: c.Creds.FSUID, gid: c.Creds.FSGID, perm: t.defaultPerm()})
}

// update gives r another payload: EACCES, EOPNOTSUPP, EINVAL, EDQUOT.
func (s *Service) update(r ref, c *Caller, payload []byte) error {
	if err := permit(r, c, canWrite); err != nil {
		return err
	}
	switch {
	case !r.kind.updates:
		return linux.EOPNOTSUPP
	case !r.kind.accepts(payload):
		return linux.EINVAL
	}
	return s.fill(r.Key, payload)
}

// Update is KEYCTL_UPDATE.
func (s *Service) Update(c *Caller, id Serial, payload []byte) error {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, id, 0, canWrite)
	if err != nil {
		return err
	}
	return s.update(r, c, payload)
}

// negativeFor is how many seconds a key that could not be had is known not to be there.
const negativeFor = 60

// Request is request_key(2): the key in the caller's keyrings, which is linked to dest, if
// that is not 0. ENOKEY if there is none. With upcall Linux would run a program to
// make one: there is none, and for a while the answer is remembered: ENOENT, then ENOKEY.
func (s *Service) Request(c *Caller, kind, desc string, upcall bool, dest Serial) (Serial, error) {
	s.lock()
	defer s.mu.Unlock()
	var to *Key
	if dest != 0 {
		r, err := s.lookup(c, dest, create, canWrite)
		if err != nil {
			return 0, err
		}
		to = r.Key
	}
	t := findKind(kind)
	if t == nil {
		return 0, linux.ENOKEY
	}
	m := &match{index: index{t, desc}, check: true, state: true, skipExpired: true, recurse: true}
	r, err := s.searchOwn(c, m)
	switch {
	case err == linux.EAGAIN && upcall:
		return 0, s.refuse(c, t, desc, to)
	case err == linux.EAGAIN:
		return 0, linux.ENOKEY
	case err != nil:
		return 0, err
	}
	if to != nil {
		if err := permit(r, c, canLink); err != nil {
			return 0, err
		}
		if err := s.link(to, r.Key); err != nil {
			return 0, err
		}
	}
	return r.serial, nil
}

// refuse remembers in a keyring that there is no such key.
func (s *Service) refuse(c *Caller, t *kind, desc string, to *Key) error {
	if t == keyring {
		return linux.EPERM
	}
	if to == nil {
		var err error
		if to, err = s.requested(c); err != nil {
			return err
		}
	}
	k, err := s.newKey(c, t, desc)
	if err != nil {
		return err
	}
	k.state = linux.ENOKEY
	s.setExpiry(k, negativeFor)
	if err := s.link(to, k); err != nil {
		s.discard(k)
		return err
	}
	return linux.ENOENT
}

// Values of KEYCTL_SET_REQKEY_KEYRING.
const (
	requestsUnchanged = iota - 1
	requestsDefault
	requestsThread
	requestsProcess
	requestsSession
	requestsUser
	requestsUserSession
	requestsGroup
	requestsRequestor
)

// requested is the keyring for keys that the caller requests: EACCES.
func (s *Service) requested(c *Caller) (*Key, error) {
	own, ses, err := s.userRings(c)
	if err != nil {
		return nil, err
	}
	r := c.Rings
	var k *Key
	switch r.requests {
	case requestsDefault, requestsRequestor, requestsThread:
		k = first(r.thread, r.process, r.session, ses)
	case requestsProcess:
		k = first(r.process, r.session, ses)
	case requestsSession:
		k = first(r.session, ses)
	case requestsUserSession:
		k = ses
	case requestsUser:
		k = own
	}
	return k, permit(ref{k, s.possesses(c, k)}, c, canWrite)
}

func first(ks ...*Key) *Key {
	for _, k := range ks {
		if k != nil {
			return k
		}
	}
	return nil
}

// SetRequests is KEYCTL_SET_REQKEY_KEYRING; it returns what was set before: EINVAL, EDQUOT.
func (s *Service) SetRequests(c *Caller, v int32) (int32, error) {
	s.lock()
	defer s.mu.Unlock()
	var err error
	old := c.Rings.requests
	switch v {
	case requestsUnchanged:
		return old, nil
	case requestsThread:
		_, err = s.threadRing(c)
	case requestsProcess:
		_, err = s.processRing(c)
	case requestsDefault, requestsSession, requestsUser, requestsUserSession, requestsRequestor:
	default:
		err = linux.EINVAL
	}
	if err != nil {
		return 0, err
	}
	c.Rings.requests = v
	return old, nil
}
