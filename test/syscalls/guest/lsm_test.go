package guest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A kernel without CONFIG_SECURITY has none of these calls, and which modules
// there are is its configuration's too.

func TestLsmListModules(t *testing.T) {
	covers(t, "lsm_list_modules")
	ids, size := kept(t, [32]uint64{}), kept(t, uint32(256))
	n, err := call(unix.SYS_LSM_LIST_MODULES, ptr(ids), ptr(size), 0)
	if absent("lsm_list_modules", err) {
		return
	}
	ok(t, err)
	equal(t, "size", *size, uint32(n)*8)
	*size = 0
	_, err = call(unix.SYS_LSM_LIST_MODULES, ptr(ids), ptr(size), 0)
	if n > 0 {
		fails(t, err, unix.E2BIG)
		equal(t, "size wanted", *size, uint32(n)*8)
	}
	_, err = call(unix.SYS_LSM_LIST_MODULES, ptr(ids), ptr(size), 1)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_LSM_LIST_MODULES, ptr(ids), 8, 0)
	fails(t, err, unix.EFAULT)
}

func TestLsmGetSelfAttrErrors(t *testing.T) {
	covers(t, "lsm_get_self_attr")
	const current = 100
	buf, size := kept(t, [512]uint64{}), kept(t, uint32(4096))
	_, err := call(unix.SYS_LSM_GET_SELF_ATTR, 0, ptr(buf), ptr(size), 0) // LSM_ATTR_UNDEF
	if absent("lsm_get_self_attr", err) {
		return
	}
	fails(t, err, unix.EINVAL, unix.EOPNOTSUPP)
	_, err = call(unix.SYS_LSM_GET_SELF_ATTR, current, ptr(buf), 0, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_LSM_GET_SELF_ATTR, current, ptr(buf), 8, 0)
	fails(t, err, unix.EFAULT)
}

func TestLsmSetSelfAttrErrors(t *testing.T) {
	covers(t, "lsm_set_self_attr")
	const current = 100
	buf := kept(t, [8]uint64{})
	_, err := call(unix.SYS_LSM_SET_SELF_ATTR, current, ptr(buf), 64, 1)
	if absent("lsm_set_self_attr", err) {
		return
	}
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_LSM_SET_SELF_ATTR, current, ptr(buf), 31, 0)
	fails(t, err, unix.EINVAL)
}
