// Package keys is the kernel's key retention service, keyrings(7): keys, keyrings that
// hold them, and whose they are. There is one Service per sandbox, and nothing ever asks
// a program outside it for a key: a key that is not there is refused.
package keys

import (
	"crypto/rand"
	"encoding/binary"
	"math"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A Serial is a key's number, or one of the special ids in its place.
type Serial int32

// Special ids, each a keyring of the caller.
const (
	SpecThread      Serial = -1
	SpecProcess     Serial = -2
	SpecSession     Serial = -3
	SpecUser        Serial = -4
	SpecUserSession Serial = -5
	SpecReqkeyAuth  Serial = -7
	SpecRequestor   Serial = -8
)

// never is the time of what does not happen.
const never = math.MaxInt64

// A Key is a key, keyring or not. Service.mu protects all of it.
type Key struct {
	serial   Serial
	kind     *kind
	desc     string
	uid, gid uint32
	perm     Perm
	state    linux.Errno // why there is no such key; 0 for one that there is
	revoked  bool
	invalid  bool // it is about to go
	ofUser   bool // it is a user's keyring, or their session's
	counted  bool // in its owner's quota
	expiry   int64
	revokeAt int64 // when it was revoked
	owner    *account
	quota    int // bytes that it counts there
	size     int // of its payload, as that is counted
	refs     int // keyrings that hold it, and tasks
	payload  []byte
	ring     *ring             // of a keyring
	space    uint64            // the user namespace that it was made in
	holders  map[*Key]struct{} // keyrings that hold it
}

// A Service is a sandbox's keys.
type Service struct {
	now func() int64 // nanoseconds since 1970

	mu       lock.Mutex[lock.Leaf]
	keys     map[Serial]*Key            // protected by mu
	named    map[name]map[*Key]struct{} // protected by mu
	accounts map[uint32]*account        // protected by mu
	spaces   map[uint64]*registers      // protected by mu; by user namespace
	next     int64                      // protected by mu: when collect has work, in seconds
	limits   Limits                     // protected by mu
	memory   int                        // protected by mu: about how many bytes all keys take
}

// maxMemory is the most that keys may take of the kernel's memory: quotas are per user,
// and root in a sandbox may be any number of them.
const (
	maxMemory = 128 << 20
	perKey    = 512 // what one takes beside its payload
	perLink   = 192 // what a link takes in its keyring and its key
)

// A name is what a keyring can be joined by, in one user namespace.
type name struct {
	space uint64
	desc  string
}

// New returns a service without keys; now is CLOCK_REALTIME.
func New(now func() int64) *Service {
	return &Service{
		now: now, next: never, limits: defaults,
		keys: map[Serial]*Key{}, named: map[name]map[*Key]struct{}{},
		accounts: map[uint32]*account{}, spaces: map[uint64]*registers{},
	}
}

// seconds is the time that keys reckon in.
func (s *Service) seconds() int64 { return s.now() / 1e9 }

// lock begins an operation, which sees no key whose time is over.
func (s *Service) lock() {
	s.mu.Lock()
	if s.next < never && s.seconds() >= s.next {
		s.collect()
	}
}

// A Caller is who asks: its credentials and its keyrings.
type Caller struct {
	Creds *auth.Creds
	Rings *Rings
}

// A spec is what a new key is to be.
type spec struct {
	kind     *kind
	desc     string
	uid, gid uint32
	perm     Perm
	quota    quotaRule
}

// alloc makes a key that nothing holds yet. EDQUOT; EINVAL for a description that it can't have.
func (s *Service) alloc(c *Caller, p *spec) (*Key, error) {
	if p.desc == "" || p.kind.vet != nil && !p.kind.vet(p.desc) {
		return nil, linux.EINVAL
	}
	k := &Key{
		kind: p.kind, desc: p.desc, uid: p.uid, gid: p.gid, perm: p.perm, expiry: never,
		counted: p.quota != outOfQuota, owner: s.account(p.uid), space: spaceOf(c.Creds.UserNS),
	}
	if s.memory+perKey+len(p.desc) > maxMemory {
		s.forget(k.owner)
		return nil, linux.ENOMEM
	}
	if n := len(p.desc) + 1; k.counted {
		if p.quota != overQuota && !s.room(k.owner, 1, n) {
			s.forget(k.owner)
			return nil, linux.EDQUOT
		}
		k.quota = n
		k.owner.counted++
		k.owner.bytes += n
	}
	k.owner.keys++
	s.memory += perKey + len(p.desc)
	k.serial = s.number()
	s.keys[k.serial] = k
	if p.kind == keyring {
		k.ring = &ring{}
		if p.desc[0] != '.' {
			s.publish(k)
		}
	}
	return k, nil
}

// number is a serial that no key has: at random, as nobody is to guess them.
func (s *Service) number() Serial {
	const first = 3
	for {
		var b [4]byte
		rand.Read(b[:])
		n := Serial(binary.LittleEndian.Uint32(b[:])) >> 1
		if n >= first && s.keys[n] == nil {
			return n
		}
	}
}

func (s *Service) publish(k *Key) {
	n := name{k.space, k.desc}
	if s.named[n] == nil {
		s.named[n] = map[*Key]struct{}{}
	}
	s.named[n][k] = struct{}{}
}

// put takes one reference from k, whose last one ends it and all that only it holds.
func (s *Service) put(k *Key) {
	for todo := []*Key{k}; len(todo) > 0; {
		k, todo = todo[len(todo)-1], todo[:len(todo)-1]
		if k.refs--; k.refs > 0 {
			continue
		}
		s.drop(k)
		if k.ring != nil {
			for _, x := range k.ring.links {
				delete(x.holders, k)
				todo = append(todo, x)
			}
			s.memory -= perLink * len(k.ring.links)
			k.ring = nil
		}
	}
}

// drop forgets k itself.
func (s *Service) drop(k *Key) {
	delete(s.keys, k.serial)
	n := name{k.space, k.desc}
	if delete(s.named[n], k); len(s.named[n]) == 0 {
		delete(s.named, n)
	}
	if k.counted {
		k.owner.counted--
		k.owner.bytes -= k.quota
	}
	k.owner.keys--
	s.memory -= perKey + len(k.desc) + k.size
	s.forget(k.owner)
}

// discard ends a key that nothing holds.
func (s *Service) discard(k *Key) {
	if k.refs == 0 {
		k.refs = 1
		s.put(k)
	}
}

// valid is why k can't be used: ENOKEY, EKEYREVOKED, EKEYEXPIRED.
func (s *Service) valid(k *Key) error {
	switch {
	case k.invalid:
		return linux.ENOKEY
	case k.revoked:
		return linux.EKEYREVOKED
	case s.expired(k):
		return linux.EKEYEXPIRED
	}
	return nil
}

func (s *Service) expired(k *Key) bool { return k.expiry != never && s.seconds() >= k.expiry }
