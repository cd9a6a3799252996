package keys

import (
	"fmt"
	"runtime"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// registers is where a user namespace's keyrings of users are found.
type registers struct {
	users      *Key // .user_reg: _uid.N and _uid_ses.N
	persistent *Key // .persistent_register: _persistent.N
}

// spaceOf is what keyrings know a user namespace by: they must not keep it.
func spaceOf(ns *auth.UserNamespace) uint64 {
	if ns.First() {
		return 0
	}
	return ns.Inode
}

// registers is ns's, made if need be, and ended with it.
func (s *Service) registers(ns *auth.UserNamespace) *registers {
	id := spaceOf(ns)
	r := s.spaces[id]
	if r == nil {
		r = &registers{}
		s.spaces[id] = r
		if id != 0 {
			runtime.AddCleanup(ns, s.endSpace, id)
		}
	}
	return r
}

// endSpace forgets the keyrings of users of a user namespace that is gone.
func (s *Service) endSpace(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.spaces[id]
	delete(s.spaces, id)
	for _, k := range []*Key{r.users, r.persistent} {
		if k != nil {
			s.put(k)
		}
	}
}

// findUserRings is the keyrings of the caller's user, nil before they are made.
func (s *Service) findUserRings(c *Caller) (own, session *Key) {
	r := s.spaces[spaceOf(c.Creds.UserNS)]
	if r == nil || r.users == nil {
		return nil, nil
	}
	id := int32(c.Creds.UserNS.FromUID(c.Creds.RUID))
	links := r.users.ring.links
	return links[index{keyring, fmt.Sprintf("_uid.%d", id)}], links[index{keyring, fmt.Sprintf("_uid_ses.%d", id)}]
}

// userRings is the keyrings of the caller's user, made if need be: EDQUOT.
func (s *Service) userRings(c *Caller) (own, session *Key, err error) {
	own, session = s.findUserRings(c)
	if own != nil && session != nil {
		return own, session, nil
	}
	ns := c.Creds.UserNS
	r := s.registers(ns)
	if r.users == nil {
		if r.users, err = s.register(c, &spec{
			desc: ".user_reg", uid: nsOwner(ns), gid: auth.NoID,
			perm: (canWrite|canSearch)<<possessor | (canView|canRead)<<owner,
		}); err != nil {
			return nil, nil, err
		}
	}
	id := int32(ns.FromUID(c.Creds.RUID))
	if own == nil {
		if own, err = s.userRing(c, r.users, fmt.Sprintf("_uid.%d", id)); err != nil {
			return nil, nil, err
		}
	}
	if session == nil {
		if session, err = s.userRing(c, r.users, fmt.Sprintf("_uid_ses.%d", id)); err != nil {
			return nil, nil, err
		}
		if err = s.link(session, own); err != nil {
			return nil, nil, err
		}
	}
	return own, session, nil
}

func (s *Service) userRing(c *Caller, in *Key, desc string) (*Key, error) {
	k, err := s.alloc(c, &spec{
		kind: keyring, desc: desc, uid: c.Creds.RUID, gid: auth.NoID,
		perm: (canAll&^canSetattr)<<possessor | canAll<<owner, quota: inQuota,
	})
	if err != nil {
		return nil, err
	}
	k.ofUser = true
	if err := s.link(in, k); err != nil {
		s.discard(k)
		return nil, err
	}
	return k, nil
}

// register makes a register.
func (s *Service) register(c *Caller, p *spec) (*Key, error) {
	p.kind = keyring
	k, err := s.alloc(c, p)
	if err == nil {
		k.refs++
	}
	return k, err
}

// nsOwner is who a user namespace's register of users belongs to.
func nsOwner(ns *auth.UserNamespace) uint32 {
	if ns.First() {
		return 0
	}
	return ns.Owner
}

// Persistent is KEYCTL_GET_PERSISTENT: it links a user's keyring that outlives their
// sessions to dest. uid is as the caller's user namespace has it; -1: the caller.
func (s *Service) Persistent(c *Caller, uid uint32, dest Serial) (Serial, error) {
	kuid, ns := c.Creds.RUID, c.Creds.UserNS
	if uid != auth.NoID {
		var ok bool
		if kuid, ok = ns.MakeUID(uid); !ok {
			return 0, linux.EINVAL
		}
		if kuid != c.Creds.RUID && kuid != c.Creds.EUID && !c.Creds.HasCap(auth.CapSetuid) {
			return 0, linux.EPERM
		}
	}
	s.lock()
	defer s.mu.Unlock()
	to, err := s.lookup(c, dest, create, canWrite)
	if err != nil {
		return 0, err
	}
	if to.ring == nil {
		return 0, linux.ENOTDIR
	}
	k, err := s.persistent(c, kuid)
	if err != nil {
		return 0, err
	}
	if err := permit(ref{k, true}, c, canLink); err != nil {
		return 0, err
	}
	if err := s.link(to.Key, k); err != nil {
		return 0, err
	}
	s.setExpiry(k, int64(s.limits.PersistentExpiry))
	return k.serial, nil
}

func (s *Service) persistent(c *Caller, kuid uint32) (k *Key, err error) {
	r := s.registers(c.Creds.UserNS)
	if r.persistent == nil {
		if r.persistent, err = s.register(c, &spec{
			desc: ".persistent_register", quota: outOfQuota,
			perm: (canAll&^canSetattr)<<possessor | (canView|canRead)<<owner,
		}); err != nil {
			return nil, err
		}
	}
	desc := fmt.Sprintf("_persistent.%d", int32(c.Creds.UserNS.FromUID(kuid)))
	if k := r.persistent.ring.links[index{keyring, desc}]; k != nil && !k.revoked {
		return k, nil
	}
	k, err = s.alloc(c, &spec{
		kind: keyring, desc: desc, uid: kuid, gid: auth.NoID,
		perm: (canAll&^canSetattr)<<possessor | (canView|canRead)<<owner, quota: outOfQuota,
	})
	if err != nil {
		return nil, err
	}
	if err := s.link(r.persistent, k); err != nil {
		s.discard(k)
		return nil, err
	}
	return k, nil
}
