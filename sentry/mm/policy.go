package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// A Policy is where memory should come from, set_mempolicy(2), on a machine of one
// node: it is kept and told. The zero Policy is MPOL_DEFAULT.
type Policy struct {
	Mode  uint16
	Flags uint16 // MPOL_F_STATIC_NODES and its like
	Nodes uint64 // as get_mempolicy(2) tells them
}

// SetPolicy gives the mappings in r, whole pages, a policy: EFAULT, and nothing is
// changed, if there is a hole.
func (s *Space) SetPolicy(r arch.Range, p Policy) error {
	s.mu.Lock()
	defer s.unlock()
	if !s.vmas.Covered(ivl(r)) {
		return linux.EFAULT
	}
	for at := r.Start; at < r.End; {
		vr, v, _ := s.find(at)
		part := vr.Intersect(arch.Range{Start: at, End: r.End})
		at = part.End
		if v.policy == p {
			continue
		}
		if part != vr {
			if err := s.room(); err != nil {
				return err
			}
		}
		s.update(part, func(v *vma) { v.policy = p })
	}
	return nil
}

// Policies is the policies of the mappings in r, in order, holes left out.
func (s *Space) Policies(r arch.Range) (all []Policy) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, v := range s.vmas.In(ivl(r)) {
		all = append(all, v.policy)
	}
	return all
}
