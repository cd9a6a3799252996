package keys

import "garrison/sentry/linux"

// Limits is /proc/sys/kernel/keys.
type Limits struct {
	MaxKeys, MaxBytes         int // of an ordinary user
	RootMaxKeys, RootMaxBytes int // of root
	GCDelay                   int // seconds that a dead key is shown for
	PersistentExpiry          int // seconds that a persistent keyring lives unused
}

var defaults = Limits{200, 20000, 1000000, 25000000, 300, 3 * 24 * 3600}

// Limits is what /proc/sys/kernel/keys says.
func (s *Service) Limits() Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limits
}

// SetLimits has set change what /proc/sys/kernel/keys says.
func (s *Service) SetLimits(set func(*Limits)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set(&s.limits)
	s.next = 0
}

// An account is what one user has.
type account struct {
	uid     uint32
	keys    int // all
	counted int // those in the quota
	bytes   int // that those count
}

// A quotaRule says how a new key counts.
type quotaRule int

const (
	inQuota    quotaRule = iota
	overQuota            // counts, but there is always room for it
	outOfQuota           // does not count
)

// account is uid's, made if need be.
func (s *Service) account(uid uint32) *account {
	a := s.accounts[uid]
	if a == nil {
		a = &account{uid: uid}
		s.accounts[uid] = a
	}
	return a
}

// forget drops the account of who has no keys.
func (s *Service) forget(a *account) {
	if a.keys == 0 {
		delete(s.accounts, a.uid)
	}
}

// max is how much a may have.
func (s *Service) max(a *account) (keys, bytes int) {
	if a.uid == 0 {
		return s.limits.RootMaxKeys, s.limits.RootMaxBytes
	}
	return s.limits.MaxKeys, s.limits.MaxBytes
}

// room reports whether a may have that much more.
func (s *Service) room(a *account, keys, bytes int) bool {
	maxKeys, maxBytes := s.max(a)
	return a.counted+keys <= maxKeys && a.bytes+bytes <= maxBytes
}

// resize makes k's payload count n bytes: EDQUOT, ENOMEM.
func (s *Service) resize(k *Key, n int) error {
	more := n - k.size
	if more > 0 && s.memory+more > maxMemory {
		return linux.ENOMEM
	}
	if k.counted {
		if more > 0 && !s.room(k.owner, 0, more) {
			return linux.EDQUOT
		}
		k.owner.bytes += more
		k.quota += more
	}
	k.size = n
	s.memory += more
	return nil
}

// give makes uid k's owner: EDQUOT.
func (s *Service) give(k *Key, uid uint32) error {
	to := s.account(uid)
	if k.counted && !s.room(to, 1, k.quota) {
		s.forget(to)
		return linux.EDQUOT
	}
	if k.counted {
		k.owner.counted--
		k.owner.bytes -= k.quota
		to.counted++
		to.bytes += k.quota
	}
	k.owner.keys--
	to.keys++
	s.forget(k.owner)
	k.owner, k.uid = to, uid
	return nil
}
