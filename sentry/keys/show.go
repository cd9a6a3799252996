package keys

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Show is /proc/keys: the keys that c may view. A task that has none of them is a nil Rings.
func (s *Service) Show(w io.Writer, c *Caller) {
	s.lock()
	defer s.mu.Unlock()
	ns := c.Creds.UserNS
	var own map[*Key]bool
	if c.Rings != nil {
		own = s.possessions(c)
	}
	for _, serial := range slices.Sorted(maps.Keys(s.keys)) {
		k := s.keys[serial]
		if !ns.KnowsUID(k.owner.uid) {
			continue
		}
		if permit(ref{k, own[k]}, c, canView) != nil {
			continue
		}
		flags := []byte("I------")
		for i, f := range []bool{k.revoked, false, k.counted, false, k.state != 0, k.invalid} {
			if f {
				flags[i+1] = "RDQUNi"[i]
			}
		}
		fmt.Fprintf(w, "%08x %s %5d %4s %08x %5d %5d %-9.9s %s%s\n", uint32(serial), flags, k.refs, s.left(k), uint32(k.perm),
			int32(ns.ShowUID(k.uid)), int32(ns.ShowGID(k.gid)), k.kind.name, k.desc, k.extent())
	}
}

// extent is how much k holds, as /proc/keys has it behind the description.
func (k *Key) extent() string {
	switch {
	case k.state != 0:
		return ""
	case k.ring == nil:
		return fmt.Sprintf(": %d", len(k.payload))
	case len(k.ring.links) == 0:
		return ": empty"
	}
	return fmt.Sprintf(": %d", len(k.ring.links))
}

// left is the time that k has.
func (s *Service) left(k *Key) string {
	if k.expiry == never {
		return "perm"
	}
	n := k.expiry - s.seconds()
	if n <= 0 {
		return "expd"
	}
	const minute, hour, day, week = 60, 3600, 24 * 3600, 7 * 24 * 3600
	switch {
	case n < minute:
		return fmt.Sprintf("%ds", n)
	case n < hour:
		return fmt.Sprintf("%dm", n/minute)
	case n < day:
		return fmt.Sprintf("%dh", n/hour)
	case n < week:
		return fmt.Sprintf("%dd", n/day)
	}
	return fmt.Sprintf("%dw", n/week)
}

// ShowUsers is /proc/key-users: the users with keys that mean something to c.
func (s *Service) ShowUsers(w io.Writer, c *Caller) {
	s.lock()
	defer s.mu.Unlock()
	ns := c.Creds.UserNS
	all := slices.SortedFunc(maps.Values(s.accounts), func(a, b *account) int { return cmp.Compare(a.uid, b.uid) })
	for _, a := range all {
		if !ns.KnowsUID(a.uid) {
			continue
		}
		refs := a.keys
		if a.uid == 0 {
			refs++ // the kernel's own
		}
		maxKeys, maxBytes := s.max(a)
		fmt.Fprintf(w, "%5d: %5d %d/%d %d/%d %d/%d\n", ns.ShowUID(a.uid), refs, a.keys, a.keys, a.counted, maxKeys, a.bytes, maxBytes)
	}
}
