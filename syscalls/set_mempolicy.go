package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
)

// The machine has one node, number 0.
const (
	theNode  = uint64(1)
	maxNodes = 1024 // MAX_NUMNODES
)

// A nodemask is a guest pointer to a set of nodes.
type nodemask = usermem.Ptr[uint64]

// loadNodes is the first 64 nodes of a set of n-1 bits; those beyond do not exist,
// and beyond MAX_NUMNODES are EINVAL.
func loadNodes(t *kernel.Task, p nodemask, n uint64) (nodes uint64, err error) {
	n--
	if n == 0 || p == 0 {
		return 0, nil
	}
	if n > arch.PageSize*8 {
		return 0, linux.EINVAL
	}
	words, err := p.LoadSlice(t, int((n+63)/64))
	if err != nil {
		return 0, err
	}
	if n%64 != 0 {
		words[len(words)-1] &= 1<<(n%64) - 1
	}
	for _, w := range words[min(len(words), maxNodes/64):] {
		if w != 0 {
			return 0, linux.EINVAL
		}
	}
	return words[0], nil
}

// storeNodes is for a set of n-1 bits: EINVAL, EFAULT.
func storeNodes(t *kernel.Task, p nodemask, n, nodes uint64) error {
	words := (n - 1 + 63) / 64
	if words > arch.PageSize/8 {
		return linux.EINVAL
	}
	all := make([]uint64, words)
	if words > 0 {
		all[0] = nodes
	}
	return p.StoreSlice(t, all)
}

// newPolicy is the policy that mode and a set of nodes describe: EINVAL.
func newPolicy(t *kernel.Task, mode uint32, p nodemask, n uint64) (mm.Policy, error) {
	const fixed = linux.MPOL_F_STATIC_NODES | linux.MPOL_F_RELATIVE_NODES
	flags := mode & (fixed | linux.MPOL_F_NUMA_BALANCING)
	mode &^= flags
	if mode >= linux.MPOL_MAX || flags&fixed == fixed {
		return mm.Policy{}, linux.EINVAL
	}
	if flags&linux.MPOL_F_NUMA_BALANCING != 0 && mode != linux.MPOL_BIND && mode != linux.MPOL_PREFERRED_MANY {
		return mm.Policy{}, linux.EINVAL
	}
	nodes, err := loadNodes(t, p, n)
	if err != nil {
		return mm.Policy{}, err
	}
	switch {
	case mode == linux.MPOL_DEFAULT:
		if nodes != 0 {
			return mm.Policy{}, linux.EINVAL
		}
		return mm.Policy{}, nil
	case mode == linux.MPOL_PREFERRED && nodes == 0, mode == linux.MPOL_LOCAL:
		if nodes != 0 || flags&fixed != 0 {
			return mm.Policy{}, linux.EINVAL
		}
		return mm.Policy{Mode: linux.MPOL_LOCAL, Flags: uint16(flags)}, nil
	case flags&linux.MPOL_F_RELATIVE_NODES != 0 && nodes != 0:
		// Any node is node 0, counted round.
	case nodes&theNode == 0:
		return mm.Policy{}, linux.EINVAL
	}
	if flags&fixed == 0 {
		nodes = theNode
	}
	return mm.Policy{Mode: uint16(mode), Flags: uint16(flags), Nodes: nodes}, nil
}

// setMempolicy implements set_mempolicy(2).
func setMempolicy(t *kernel.Task, mode uint32, p nodemask, n uint64) (int, error) {
	pol, err := newPolicy(t, mode, p, n)
	if err != nil {
		return 0, err
	}
	t.Policy = pol
	return 0, nil
}

// getMempolicy implements get_mempolicy(2).
func getMempolicy(t *kernel.Task, mode usermem.Ptr[uint32], p nodemask, n uint64, addr address, flags uint64) (int, error) {
	if p != 0 && n < 1 {
		return 0, linux.EINVAL
	}
	tell, nodes, err := policyAsked(t, addr, flags)
	if err != nil {
		return 0, err
	}
	if mode != 0 {
		if err := mode.Store(t, &tell); err != nil {
			return 0, err
		}
	}
	if p != 0 {
		return 0, storeNodes(t, p, n, nodes)
	}
	return 0, nil
}

// policyAsked is what get_mempolicy(2) is asked for: EINVAL, EFAULT.
func policyAsked(t *kernel.Task, addr address, flags uint64) (tell uint32, nodes uint64, err error) {
	const node, ofAddr, allowed = linux.MPOL_F_NODE, linux.MPOL_F_ADDR, linux.MPOL_F_MEMS_ALLOWED
	if flags&^(node|ofAddr|allowed) != 0 || flags&allowed != 0 && flags != allowed {
		return 0, 0, linux.EINVAL
	}
	if flags == allowed {
		return 0, theNode, nil
	}
	pol := t.Policy
	if flags&ofAddr != 0 {
		at := addr.Addr()
		all := t.Space().Policies(arch.Range{Start: at, End: at + 1})
		if len(all) == 0 {
			return 0, 0, linux.EFAULT
		}
		if all[0] != (mm.Policy{}) {
			pol = all[0]
		}
	} else if addr != 0 {
		return 0, 0, linux.EINVAL
	}
	if flags&node == 0 {
		return uint32(pol.Mode) | uint32(pol.Flags), pol.Nodes, nil
	}
	if flags&ofAddr != 0 {
		// The page's own node: it is made present for that.
		var b [1]byte
		_, err := t.CopyIn(b[:], addr.Addr())
		return 0, pol.Nodes, err
	}
	if pol.Mode != linux.MPOL_INTERLEAVE && pol.Mode != linux.MPOL_WEIGHTED_INTERLEAVE {
		return 0, 0, linux.EINVAL
	}
	return 0, pol.Nodes, nil
}

// policyRange is the whole pages that mbind(2) and its like are about: EINVAL.
func policyRange(addr address, n uint64) (r arch.Range, err error) {
	r.Start = addr.Addr()
	r.End = r.Start + arch.Addr((n+arch.PageMask)&^arch.PageMask)
	if r.Start.Offset() != 0 || r.End < r.Start {
		return r, linux.EINVAL
	}
	return r, nil
}

// mbind implements mbind(2). Nothing is ever to be moved.
func mbind(t *kernel.Task, addr address, length uint64, mode uint32, p nodemask, n uint64, flags uint32) (int, error) {
	pol, perr := newPolicy(t, mode, p, n)
	switch {
	case perr == linux.EFAULT:
		return 0, perr
	case flags&^(linux.MPOL_MF_STRICT|linux.MPOL_MF_MOVE|linux.MPOL_MF_MOVE_ALL) != 0:
		return 0, linux.EINVAL
	case perr == nil && flags&linux.MPOL_MF_MOVE_ALL != 0 && !t.Creds().Capable(auth.CapSysNice):
		return 0, linux.EPERM
	}
	r, err := policyRange(addr, length)
	if err != nil || r.Len() == 0 {
		return 0, err
	}
	if perr != nil {
		return 0, perr
	}
	return 0, t.Space().SetPolicy(r, pol)
}

// setMempolicyHomeNode implements set_mempolicy_home_node(2): with one node it
// changes nothing.
func setMempolicyHomeNode(t *kernel.Task, addr address, n, home, flags uint64) (int, error) {
	r, err := policyRange(addr, n)
	if err != nil || flags != 0 || home != 0 {
		return 0, linux.EINVAL
	}
	if r.Len() == 0 {
		return 0, nil
	}
	err = linux.ENOENT
	for _, p := range t.Space().Policies(r) {
		switch p.Mode {
		case linux.MPOL_DEFAULT:
		case linux.MPOL_BIND, linux.MPOL_PREFERRED_MANY:
			err = nil
		default:
			return 0, linux.EOPNOTSUPP
		}
	}
	return 0, err
}
