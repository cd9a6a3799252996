package keys

import (
	"encoding/binary"
	"fmt"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// What follows is operations of keyctl(2), each of the keys that the caller names. Beside
// what is said they fail as lookup does: ENOKEY, EINVAL, EACCES, EKEYREVOKED,
// EKEYEXPIRED, EDQUOT.

// ID is KEYCTL_GET_KEYRING_ID.
func (s *Service) ID(c *Caller, id Serial, mk bool) (Serial, error) {
	s.lock()
	defer s.mu.Unlock()
	var f lookupFlags
	if mk {
		f = create
	}
	r, err := s.lookup(c, id, f, canSearch)
	if err != nil {
		return 0, err
	}
	return r.serial, nil
}

// Revoke is KEYCTL_REVOKE.
func (s *Service) Revoke(c *Caller, id Serial) error {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, id, 0, canWrite)
	if err == linux.EACCES {
		r, err = s.lookup(c, id, 0, canSetattr)
	}
	if err == nil {
		s.revoke(r.Key)
	}
	return err
}

// Invalidate is KEYCTL_INVALIDATE.
func (s *Service) Invalidate(c *Caller, id Serial) error {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, id, 0, canSearch)
	if err == nil {
		s.invalidate(r.Key)
	}
	return err
}

// Chown is KEYCTL_CHOWN; auth.NoID is to change nothing.
func (s *Service) Chown(c *Caller, id Serial, uid, gid uint32) error {
	kuid, kgid := uint32(auth.NoID), uint32(auth.NoID)
	var ok bool
	if uid != auth.NoID {
		if kuid, ok = c.Creds.UserNS.MakeUID(uid); !ok {
			return linux.EINVAL
		}
	}
	if gid != auth.NoID {
		if kgid, ok = c.Creds.UserNS.MakeGID(gid); !ok {
			return linux.EINVAL
		}
	}
	if kuid == auth.NoID && kgid == auth.NoID {
		return nil
	}
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, id, create|partial, canSetattr)
	if err != nil {
		return err
	}
	foreign := kuid != auth.NoID && kuid != r.uid || kgid != auth.NoID && kgid != r.gid && !c.Creds.InGroup(kgid)
	if foreign && !c.Creds.Capable(auth.CapSysAdmin) {
		return linux.EACCES
	}
	if kuid != auth.NoID && kuid != r.uid {
		if err := s.give(r.Key, kuid); err != nil {
			return err
		}
	}
	if kgid != auth.NoID {
		r.gid = kgid
	}
	return nil
}

// SetPerm is KEYCTL_SETPERM.
func (s *Service) SetPerm(c *Caller, id Serial, p Perm) error {
	if p&^everyPerm != 0 {
		return linux.EINVAL
	}
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, id, create|partial, canSetattr)
	if err != nil {
		return err
	}
	if r.uid != c.Creds.FSUID && !c.Creds.Capable(auth.CapSysAdmin) {
		return linux.EACCES
	}
	r.perm = p
	return nil
}

// Describe is KEYCTL_DESCRIBE: type;uid;gid;perm;description.
func (s *Service) Describe(c *Caller, id Serial) (string, error) {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, id, partial, canView)
	if err != nil {
		return "", err
	}
	ns := c.Creds.UserNS
	return fmt.Sprintf("%s;%d;%d;%08x;%s", r.kind.name, int32(ns.ShowUID(r.uid)), int32(ns.ShowGID(r.gid)), uint32(r.perm), r.desc), nil
}

// Security is KEYCTL_GET_SECURITY: no label, as no module gives any.
func (s *Service) Security(c *Caller, id Serial) error {
	s.lock()
	defer s.mu.Unlock()
	_, err := s.lookup(c, id, partial, canView)
	return err
}

// Clear is KEYCTL_CLEAR: ENOTDIR.
func (s *Service) Clear(c *Caller, id Serial) error {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, id, create, canWrite)
	if err != nil {
		return err
	}
	return s.clear(r.Key)
}

// Link is KEYCTL_LINK, Unlink KEYCTL_UNLINK: see link and unlink.
func (s *Service) Link(c *Caller, id, to Serial) error {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, to, create, canWrite)
	if err != nil {
		return err
	}
	k, err := s.lookup(c, id, create, canLink)
	if err != nil {
		return err
	}
	return s.link(r.Key, k.Key)
}

// Unlink is the other of Link.
func (s *Service) Unlink(c *Caller, id, from Serial) error {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, from, 0, canWrite)
	if err != nil {
		return err
	}
	k, err := s.lookup(c, id, partial, noCheck)
	if err != nil {
		return err
	}
	return s.unlink(r.Key, k.Key)
}

// Move is KEYCTL_MOVE; exclusive has it fail with EEXIST rather than replace a key.
// ENOTDIR, ENOENT, and what link says.
func (s *Service) Move(c *Caller, id, from, to Serial, exclusive bool) error {
	s.lock()
	defer s.mu.Unlock()
	k, err := s.lookup(c, id, create, canLink)
	if err != nil {
		return err
	}
	f, err := s.lookup(c, from, 0, canWrite)
	if err != nil {
		return err
	}
	t, err := s.lookup(c, to, create, canWrite)
	switch {
	case err != nil:
		return err
	case f.Key == t.Key:
		return nil
	case f.ring == nil || t.ring == nil:
		return linux.ENOTDIR
	case f.ring.links[k.index()] == nil:
		return linux.ENOENT
	}
	if err := s.mayLink(t.Key); err != nil {
		return err
	}
	if exclusive && t.ring.links[k.index()] != nil {
		return linux.EEXIST
	}
	if err := s.link(t.Key, k.Key); err != nil {
		return err
	}
	return s.unlink(f.Key, k.Key)
}

// Search is KEYCTL_SEARCH: a key in the keyring in and those in it, which is linked to
// dest, if that is not 0. ENOTDIR, and what search says.
func (s *Service) Search(c *Caller, in Serial, kind, desc string, dest Serial) (Serial, error) {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, in, 0, canSearch)
	if err != nil {
		return 0, err
	}
	var to ref
	if dest != 0 {
		if to, err = s.lookup(c, dest, create, canWrite); err != nil {
			return 0, err
		}
	}
	t := findKind(kind)
	if t == nil {
		return 0, linux.ENOKEY
	}
	k, err := s.search(r, c, &match{index: index{t, desc}, check: true, state: true, recurse: true})
	switch {
	case err == linux.EAGAIN:
		return 0, linux.ENOKEY
	case err != nil:
		return 0, err
	}
	if dest != 0 {
		if err := permit(k, c, canLink); err != nil {
			return 0, err
		}
		if err := s.link(to.Key, k.Key); err != nil {
			return 0, err
		}
	}
	return k.serial, nil
}

// Read is KEYCTL_READ: the payload, or a keyring's serials. EOPNOTSUPP.
func (s *Service) Read(c *Caller, id Serial) ([]byte, error) {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, id, 0, noCheck)
	switch {
	case err != nil:
		return nil, linux.ENOKEY
	case r.state != 0:
		return nil, r.state
	case permit(r, c, canRead) != nil && !r.possessed:
		return nil, linux.EACCES // what can be found by search can be read
	case !r.kind.reads:
		return nil, linux.EOPNOTSUPP
	}
	if err := s.valid(r.Key); err != nil {
		return nil, err
	}
	if r.ring == nil {
		return r.payload, nil
	}
	var b []byte
	for _, k := range r.members() {
		b = binary.LittleEndian.AppendUint32(b, uint32(k.serial))
	}
	return b, nil
}

// SetTimeout is KEYCTL_SET_TIMEOUT, in seconds; 0: never.
func (s *Service) SetTimeout(c *Caller, id Serial, after uint32) error {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, id, create|partial, canSetattr)
	if err == nil {
		s.setExpiry(r.Key, int64(after))
	}
	return err
}

// Restrict is KEYCTL_RESTRICT_KEYRING without a type: nothing more may be linked to a
// keyring. With one it is for that to say what may, and no type here does: ENOENT, or
// ENOKEY if there is none such. ENOTDIR, EEXIST if the keyring is restricted.
func (s *Service) Restrict(c *Caller, id Serial, kind *string) error {
	s.lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, id, 0, canSetattr)
	switch {
	case err != nil:
		return err
	case r.ring == nil:
		return linux.ENOTDIR
	case kind != nil && findKind(*kind) == nil:
		return linux.ENOKEY
	case kind != nil:
		return linux.ENOENT
	case r.ring.limited:
		return linux.EEXIST
	}
	r.ring.limited = true
	return nil
}

// Assume is KEYCTL_ASSUME_AUTHORITY: nobody is asked for keys, so nobody may make one.
func (s *Service) Assume(id Serial) error {
	switch {
	case id < 0:
		return linux.EINVAL
	case id > 0:
		return linux.ENOKEY
	}
	return nil
}
