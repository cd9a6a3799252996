package keys

import "strings"

// A kind is a type of keys.
type kind struct {
	name    string
	vet     func(desc string) bool // nil: any description will do
	accepts func(payload []byte) bool
	updates bool // a new payload may replace an old one
	reads   bool // its payload can be read
}

var (
	keyring = &kind{name: "keyring", accepts: func(p []byte) bool { return len(p) == 0 }, reads: true}
	user    = &kind{name: "user", accepts: someBytes, updates: true, reads: true}
	// logon is a user key that only the kernel reads. It belongs to a service.
	logon = &kind{name: "logon", accepts: someBytes, updates: true, vet: func(desc string) bool {
		return strings.IndexByte(desc, ':') > 0
	}}
)

// kinds is every type that there is.
var kinds = []*kind{keyring, user, logon}

func findKind(name string) *kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	return nil
}

// maxPayload is how much a user key holds.
const maxPayload = 32767

func someBytes(p []byte) bool { return len(p) > 0 && len(p) <= maxPayload }

// defaultPerm is a new key's.
func (k *kind) defaultPerm() Perm {
	p := (canView|canSearch|canLink|canSetattr)<<possessor | canView<<owner
	if k.reads {
		p |= canRead << possessor
	}
	if k == keyring || k.updates {
		p |= canWrite << possessor
	}
	return p
}

// fill gives k its payload, which its kind accepts: EDQUOT.
func (s *Service) fill(k *Key, payload []byte) error {
	if k.kind == keyring {
		return nil
	}
	if err := s.resize(k, len(payload)); err != nil {
		return err
	}
	k.payload, k.state, k.expiry = payload, 0, never
	return nil
}

// revoke makes k one that nobody can use, and empties it.
func (s *Service) revoke(k *Key) {
	if k.revoked {
		return
	}
	k.revoked, k.revokeAt = true, s.seconds()
	s.due(k.revokeAt + int64(s.limits.GCDelay))
	if k.kind == keyring {
		s.clear(k)
	}
	k.payload = nil
	_ = s.resize(k, 0) // it shrinks
}

// invalidate makes k as good as gone at once.
func (s *Service) invalidate(k *Key) {
	k.invalid = true
	k.refs++
	s.unlinkAll(k)
	s.put(k)
}

// unlinkAll takes k out of all keyrings.
func (s *Service) unlinkAll(k *Key) {
	for r := range k.holders {
		s.unlink(r, k)
	}
}

// due has collect run at the time at, in seconds.
func (s *Service) due(at int64) { s.next = min(s.next, at) }

// collect takes keys whose time is over out of their keyrings.
func (s *Service) collect() {
	now := s.seconds()
	s.next = never
	var dead []*Key
	for _, k := range s.keys {
		at := int64(never)
		if k.revoked {
			at = k.revokeAt
		}
		if at = min(at, k.expiry); at == never {
			continue
		}
		if at += int64(s.limits.GCDelay); at <= now {
			dead = append(dead, k)
		} else {
			s.due(at)
		}
	}
	for _, k := range dead {
		if s.keys[k.serial] == k {
			k.refs++
			s.unlinkAll(k)
			s.put(k)
		}
	}
}

// setExpiry ends k's time in a number of seconds; 0: never.
func (s *Service) setExpiry(k *Key, after int64) {
	k.expiry = never
	if after > 0 {
		k.expiry = s.seconds() + after
		s.due(k.expiry + int64(s.limits.GCDelay))
	}
}
