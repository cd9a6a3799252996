package linux

// Memory policies, <linux/mempolicy.h>.
const (
	MPOL_DEFAULT             = 0
	MPOL_PREFERRED           = 1
	MPOL_BIND                = 2
	MPOL_INTERLEAVE          = 3
	MPOL_LOCAL               = 4
	MPOL_PREFERRED_MANY      = 5
	MPOL_WEIGHTED_INTERLEAVE = 6
	MPOL_MAX                 = 7

	MPOL_F_NUMA_BALANCING = 1 << 13
	MPOL_F_RELATIVE_NODES = 1 << 14
	MPOL_F_STATIC_NODES   = 1 << 15
)

// Flags of get_mempolicy(2).
const (
	MPOL_F_NODE         = 1
	MPOL_F_ADDR         = 2
	MPOL_F_MEMS_ALLOWED = 4
)

// Flags of mbind(2) and move_pages(2).
const (
	MPOL_MF_STRICT   = 1
	MPOL_MF_MOVE     = 2
	MPOL_MF_MOVE_ALL = 4
)
