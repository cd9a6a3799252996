package keys

import (
	"cmp"
	"slices"

	"garrison/sentry/linux"
)

// A ring is what a keyring holds: of each type one key of each description.
type ring struct {
	links   map[index]*Key
	rings   []*Key // the keyrings among them, by age
	limited bool   // nothing more may be linked
}

// An index is what a key is found by in a keyring.
type index struct {
	kind *kind
	desc string
}

func (k *Key) index() index { return index{k.kind, k.desc} }

const (
	linkBytes = 4 // that a link counts in its keyring's quota
	maxDepth  = 6 // of keyrings in a keyring
)

// members is k's keys, by serial.
func (k *Key) members() []*Key {
	all := make([]*Key, 0, len(k.ring.links))
	for _, x := range k.ring.links {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b *Key) int { return cmp.Compare(a.serial, b.serial) })
	return all
}

// mayLink checks that something may be linked to r: ENOTDIR, EKEYREVOKED, EPERM.
func (s *Service) mayLink(r *Key) error {
	switch {
	case r.ring == nil:
		return linux.ENOTDIR
	case r.revoked || r.invalid:
		return linux.EKEYREVOKED
	case r.ring.limited:
		return linux.EPERM
	}
	return nil
}

// link puts k in the keyring r, in place of one of its name. ENOTDIR, EKEYREVOKED, EPERM,
// EDQUOT, ENOMEM; EDEADLK if r is in k, ELOOP if k holds keyrings in keyrings too deep.
func (s *Service) link(r, k *Key) error {
	if err := s.mayLink(r); err != nil {
		return err
	}
	if err := s.acyclic(r, k); err != nil {
		return err
	}
	old := r.ring.links[k.index()]
	if old == k {
		return nil
	}
	if old == nil {
		if s.memory+perLink+linkBytes > maxMemory {
			return linux.ENOMEM
		}
		if err := s.resize(r, r.size+linkBytes); err != nil {
			return err
		}
		s.memory += perLink
	}
	k.refs++
	if old != nil {
		s.detach(r, old)
	}
	if r.ring.links == nil {
		r.ring.links = map[index]*Key{}
	}
	r.ring.links[k.index()] = k
	if k.ring != nil {
		r.ring.rings = append(r.ring.rings, k)
	}
	if k.holders == nil {
		k.holders = map[*Key]struct{}{}
	}
	k.holders[r] = struct{}{}
	return nil
}

// detach takes k out of r, whose quota stays.
func (s *Service) detach(r, k *Key) {
	delete(r.ring.links, k.index())
	if k.ring != nil {
		i := slices.Index(r.ring.rings, k)
		r.ring.rings = slices.Delete(r.ring.rings, i, i+1)
	}
	delete(k.holders, r)
	s.put(k)
}

// unlink takes k, or what has its name, out of the keyring r: ENOTDIR, ENOENT.
func (s *Service) unlink(r, k *Key) error {
	if r.ring == nil {
		return linux.ENOTDIR
	}
	old := r.ring.links[k.index()]
	if old == nil {
		return linux.ENOENT
	}
	s.detach(r, old)
	s.memory -= perLink
	return s.resize(r, r.size-linkBytes)
}

// clear empties the keyring r: ENOTDIR.
func (s *Service) clear(r *Key) error {
	if r.ring == nil {
		return linux.ENOTDIR
	}
	for _, k := range r.ring.links {
		delete(k.holders, r)
	}
	links := r.ring.links
	r.ring.links, r.ring.rings = nil, nil
	s.memory -= perLink * len(links)
	for _, k := range links {
		s.put(k)
	}
	return s.resize(r, 0)
}

// acyclic checks that the keyring r is not in k: EDEADLK, ELOOP.
func (s *Service) acyclic(r, k *Key) error {
	if k.ring == nil {
		return nil
	}
	if r == k {
		return linux.EDEADLK
	}
	_, err := s.search(ref{Key: k}, nil, &match{index: r.index(), is: r, recurse: true, tooDeep: true})
	switch err {
	case nil:
		return linux.EDEADLK
	case linux.EAGAIN:
		return nil
	}
	return err
}
