package keys

import (
	"garrison/sentry/linux"
)

// A match is what a search is for.
type match struct {
	index
	is *Key // this one only, if not nil

	check       bool // whether the caller may search keyrings, and for keys
	state       bool // pass over keys that are of no use
	skipExpired bool // without a word of those whose time is over
	recurse     bool // into keyrings in keyrings
	tooDeep     bool // say if those are nested too deep
}

// A walk is one search of a keyring and those in it.
type walk struct {
	*match
	s         *Service
	c         *Caller
	possessed bool
	found     *Key
	err       error        // why nothing is found, as far as it is known
	seen      map[*Key]int // how many keyrings down each was looked through
}

// search looks for a key in the keyring r. EAGAIN if there is none; ENOTDIR; EACCES,
// EKEYREVOKED, EKEYEXPIRED, or why there is none, if that is about the last one
// that was passed over.
func (s *Service) search(r ref, c *Caller, m *match) (ref, error) {
	if r.ring == nil {
		return ref{}, linux.ENOTDIR
	}
	if m.check {
		if err := permit(r, c, canSearch); err != nil {
			return ref{}, err
		}
	}
	w := walk{match: m, s: s, c: c, possessed: r.possessed, err: linux.EAGAIN}
	if r.index() == m.index {
		if w.try(r.Key); w.found == nil && w.err != linux.EAGAIN {
			return ref{}, w.err
		}
	}
	if w.found == nil {
		w.look(r.Key, 0)
	}
	if w.found == nil {
		return ref{}, w.err
	}
	return ref{w.found, r.possessed}, nil
}

// look goes through the keyring r, which lies depth keyrings down; true ends the search.
func (w *walk) look(r *Key, depth int) bool {
	if r.revoked || r.invalid {
		return false
	}
	// Keyrings that share keyrings would be looked through over and over.
	if d, ok := w.seen[r]; ok && d <= depth {
		return false
	}
	if k := r.ring.links[w.index]; k != nil && w.try(k) {
		return true
	}
	if !w.recurse || len(r.ring.rings) == 0 {
		return false
	}
	if depth >= maxDepth {
		if w.tooDeep {
			w.err = linux.ELOOP
		}
		return w.tooDeep
	}
	if w.seen == nil {
		w.seen = map[*Key]int{}
	}
	w.seen[r] = depth
	for _, k := range r.ring.rings {
		if w.check && permit(ref{k, w.possessed}, w.c, canSearch) != nil {
			continue
		}
		if w.look(k, depth+1) {
			return true
		}
	}
	return false
}

// try finds k, or says why it can't.
func (w *walk) try(k *Key) bool {
	if w.state {
		if k.revoked || k.invalid {
			w.err = linux.EKEYREVOKED
			return false
		}
		if w.s.expired(k) {
			if !w.skipExpired {
				w.err = linux.EKEYEXPIRED
			}
			return false
		}
	}
	if w.is != nil && w.is != k {
		return false
	}
	if w.check && permit(ref{k, w.possessed}, w.c, canSearch) != nil {
		w.err = linux.EACCES
		return false
	}
	if w.state && k.state != 0 {
		w.err = k.state
		return false
	}
	w.found = k
	return true
}

// ownRings is the keyrings that the caller's keys are looked for in.
func (s *Service) ownRings(c *Caller) (rings []*Key) {
	session := c.Rings.session
	if session == nil {
		_, session = s.findUserRings(c)
	}
	for _, r := range []*Key{c.Rings.thread, c.Rings.process, session} {
		if r != nil {
			rings = append(rings, r)
		}
	}
	return rings
}

// searchOwn looks for a key in the caller's keyrings, as search does.
func (s *Service) searchOwn(c *Caller, m *match) (ref, error) {
	first, other := error(nil), error(linux.EAGAIN)
	for _, r := range s.ownRings(c) {
		k, err := s.search(ref{r, true}, c, m)
		switch {
		case err == nil:
			return k, nil
		case err == linux.ENOKEY, err == linux.EAGAIN && first == nil:
			first = err
		case err != linux.EAGAIN:
			other = err
		}
	}
	if first != nil {
		return ref{}, first
	}
	return ref{}, other
}

// possesses reports whether k is in one of the caller's keyrings.
func (s *Service) possesses(c *Caller, k *Key) bool {
	_, err := s.searchOwn(c, &match{index: k.index(), is: k, check: true, recurse: true})
	return err == nil
}

// possessions is all keys that possesses is true of, for who asks about many.
func (s *Service) possessions(c *Caller) map[*Key]bool {
	own := map[*Key]bool{}
	var level []*Key
	find := func(k *Key) {
		if own[k] || permit(ref{k, true}, c, canSearch) != nil {
			return
		}
		own[k] = true
		if k.ring != nil && !k.revoked && !k.invalid {
			level = append(level, k)
		}
	}
	for _, r := range s.ownRings(c) {
		find(r)
	}
	for depth := 0; depth <= maxDepth; depth++ {
		rings := level
		level = nil
		for _, r := range rings {
			for _, k := range r.ring.links {
				find(k)
			}
		}
	}
	return own
}
