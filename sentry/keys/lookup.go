package keys

import "garrison/sentry/linux"

// lookupFlags says what lookup does beside finding a key.
type lookupFlags int

const (
	create  lookupFlags = 1 << iota // a keyring of the caller's that is not there yet
	partial                         // a key that is not there will do
)

// lookup finds the key that the caller names, and checks that it is of use and may be
// used so. ENOKEY, EINVAL, EACCES, EKEYREVOKED, EKEYEXPIRED, EDQUOT.
func (s *Service) lookup(c *Caller, id Serial, f lookupFlags, want Perm) (ref, error) {
	r, err := s.find(c, id, f)
	if err != nil || want == noCheck {
		return r, err
	}
	if f&partial == 0 && r.state != 0 {
		return ref{}, r.state
	}
	if err := s.valid(r.Key); err != nil {
		return ref{}, err
	}
	return r, permit(r, c, want)
}

// find finds the key that the caller names.
func (s *Service) find(c *Caller, id Serial, f lookupFlags) (ref, error) {
	switch id {
	case SpecThread:
		return special(c.Rings.thread, f, func() (*Key, error) { return s.threadRing(c) })
	case SpecProcess:
		return special(c.Rings.process, f, func() (*Key, error) { return s.processRing(c) })
	case SpecSession:
		k, err := s.sessionRing(c, f&create != 0)
		return ref{k, true}, err
	case SpecUser, SpecUserSession:
		own, session, err := s.userRings(c)
		if id == SpecUserSession {
			own = session
		}
		return ref{own, true}, err
	case SpecReqkeyAuth, SpecRequestor:
		return ref{}, linux.ENOKEY // nobody here is asked for keys
	}
	if id < 1 {
		return ref{}, linux.EINVAL
	}
	k := s.keys[id]
	if k == nil {
		return ref{}, linux.ENOKEY
	}
	return ref{k, s.possesses(c, k)}, nil
}

// special is a keyring of the caller's; ENOKEY if it is not there, and not to be made.
func special(k *Key, f lookupFlags, mk func() (*Key, error)) (ref, error) {
	if k == nil && f&create == 0 {
		return ref{}, linux.ENOKEY
	}
	k, err := mk()
	return ref{k, true}, err
}
