package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// lsmCapability is LSM_ID_CAPABILITY, the one security module there is.
const lsmCapability = 100

// Attributes of lsm_get_self_attr(2) are LSM_ATTR_CURRENT to LSM_ATTR_SOCKCREATE.
const (
	lsmAttrFirst = 100
	lsmAttrLast  = 105
)

// lsmListModules is lsm_list_modules(2).
func lsmListModules(t *kernel.Task, ids usermem.Ptr[uint64], n usermem.Ptr[uint32], flags uint32) (int, error) {
	if flags != 0 {
		return 0, linux.EINVAL
	}
	room, err := n.Load(t)
	if err != nil {
		return 0, err
	}
	need := uint32(8)
	if err := n.Store(t, &need); err != nil {
		return 0, err
	}
	if room < need {
		return 0, linux.E2BIG
	}
	id := uint64(lsmCapability)
	return 1, ids.Store(t, &id)
}

// lsmGetSelfAttr is lsm_get_self_attr(2): no module has attributes.
func lsmGetSelfAttr(t *kernel.Task, attr uint32, _ address, n usermem.Ptr[uint32], flags uint32) (int, error) {
	if attr < lsmAttrFirst || attr > lsmAttrLast || n == 0 || flags > 1 {
		return 0, linux.EINVAL
	}
	if _, err := n.Load(t); err != nil {
		return 0, err
	}
	return 0, linux.EOPNOTSUPP
}

// lsmSetSelfAttr is lsm_set_self_attr(2).
func lsmSetSelfAttr(_ *kernel.Task, attr uint32, _ address, n uint32, flags uint32) (int, error) {
	const header = 32
	if attr < lsmAttrFirst || attr > lsmAttrLast || flags != 0 || n < header {
		return 0, linux.EINVAL
	}
	return 0, linux.EOPNOTSUPP
}
