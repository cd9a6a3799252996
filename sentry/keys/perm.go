package keys

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// A Perm is what may be done with a key: by who possesses it, its user, its group and
// others, a byte each, the first in the highest.
type Perm uint32

// What may be done.
const (
	canView Perm = 1 << iota
	canRead
	canWrite
	canSearch
	canLink
	canSetattr

	canAll = canView | canRead | canWrite | canSearch | canLink | canSetattr
)

const (
	possessor = 24
	owner     = 16
	group     = 8
	everyPerm = canAll<<possessor | canAll<<owner | canAll<<group | canAll

	// noCheck in place of what is needed has lookup check nothing, not even whether
	// the key is of use: what is done does nothing to it, or the caller checks.
	noCheck Perm = 0
)

// A ref is a key as somebody has come by it.
type ref struct {
	*Key
	possessed bool // it is in a keyring of theirs
}

// permit judges whether c may do what is wanted with r: EACCES.
func permit(r ref, c *Caller, want Perm) error {
	p := r.perm
	switch {
	case r.uid == c.Creds.FSUID:
		p >>= owner
	case r.perm>>group&canAll != 0 && r.gid != auth.NoID && c.Creds.InGroup(r.gid):
		p >>= group
	}
	if r.possessed {
		p |= r.perm >> possessor
	}
	if want&^p != 0 {
		return linux.EACCES
	}
	return nil
}
