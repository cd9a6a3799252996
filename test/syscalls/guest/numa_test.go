package guest

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Policies of memory, and flags.
const (
	mpolDefault, mpolPreferred, mpolBind, mpolInterleave, mpolLocal, mpolMany = 0, 1, 2, 3, 4, 5

	mpolStatic, mpolRelative, mpolBalancing = 1 << 15, 1 << 14, 1 << 13
	mpolNode, mpolAddr, mpolAllowed         = 1, 2, 4
)

// numa keeps the thread, whose policy is reset at the end; it skips the test where
// Linux was built without NUMA.
func numa(t *testing.T) {
	t.Helper()
	if _, err := call(unix.SYS_GET_MEMPOLICY, 0, 0, 0, 0, 0); absent("get_mempolicy", err) {
		t.Skip("without CONFIG_NUMA")
	}
	runtime.LockOSThread()
	t.Cleanup(func() {
		call(unix.SYS_SET_MEMPOLICY, 0, 0, 0)
		runtime.UnlockOSThread()
	})
}

// policyOf is the policy of the thread, or with mpolAddr of what lies at addr.
func policyOf(t *testing.T, addr uintptr, flags uintptr) (mode uint32, nodes uint64) {
	t.Helper()
	m, set := kept(t, ^uint32(0)), kept(t, [16]uint64{^uint64(0), ^uint64(0)})
	_, err := call(unix.SYS_GET_MEMPOLICY, ptr(m), ptr(set), 1024, addr, flags)
	ok(t, err)
	equal(t, "further nodes", set[1], 0)
	return *m, set[0]
}

func TestSetMempolicy(t *testing.T) {
	covers(t, "set_mempolicy", "get_mempolicy")
	numa(t)
	set := kept(t, [32]uint64{})
	for i, x := range []struct {
		mode, nodes, n uintptr
		want           uintptr // the mode
		told           uint64
		err            error
	}{
		{mpolBind, 1, 64, mpolBind, 1, nil},
		{mpolInterleave, 1, 2, mpolInterleave, 1, nil},
		{mpolPreferred, 1, 64, mpolPreferred, 1, nil},
		{mpolPreferred, 0, 64, mpolLocal, 0, nil},
		{mpolLocal, 0, 1, mpolLocal, 0, nil},
		{mpolLocal, 0, 0, 0, 0, unix.EINVAL},
		{mpolMany, 1, 64, mpolMany, 1, nil},
		{mpolBind | mpolStatic, 1, 64, mpolBind | mpolStatic, 1, nil},
		{mpolBind | mpolRelative, 1 << 3, 64, mpolBind | mpolRelative, 1 << 3, nil},
		{mpolBind | mpolBalancing, 1, 64, mpolBind | mpolBalancing, 1, nil},
		{mpolDefault, 0, 64, mpolDefault, 0, nil},
		{mpolDefault, 1, 64, 0, 0, unix.EINVAL},
		{mpolLocal, 1, 64, 0, 0, unix.EINVAL},
		{mpolLocal | mpolStatic, 0, 64, 0, 0, unix.EINVAL},
		{mpolPreferred | mpolStatic, 0, 64, 0, 0, unix.EINVAL},
		{mpolBind, 0, 64, 0, 0, unix.EINVAL},
		{mpolBind, 1, 1, 0, 0, unix.EINVAL},
		{mpolBind, 1 << 3, 64, 0, 0, unix.EINVAL},
		{mpolBind | mpolStatic | mpolRelative, 1, 64, 0, 0, unix.EINVAL},
		{mpolInterleave | mpolBalancing, 1, 64, 0, 0, unix.EINVAL},
		{7, 1, 64, 0, 0, unix.EINVAL},
		{mpolBind, 1, 1 << 20, 0, 0, unix.EINVAL},
	} {
		set[0] = uint64(x.nodes)
		_, err := call(unix.SYS_SET_MEMPOLICY, x.mode, ptr(set), x.n)
		if err != x.err {
			t.Errorf("%d: got %v, want %v", i, err, x.err)
		}
		if err != nil {
			continue
		}
		mode, nodes := policyOf(t, 0, 0)
		if uintptr(mode) != x.want || nodes != x.told {
			t.Errorf("%d: got %#x %#x, want %#x %#x", i, mode, nodes, x.want, x.told)
		}
	}
	_, err := call(unix.SYS_SET_MEMPOLICY, mpolBind, 8, 64)
	fails(t, err, unix.EFAULT)
}

func TestGetMempolicy(t *testing.T) {
	covers(t, "get_mempolicy", "set_mempolicy")
	numa(t)
	_, nodes := policyOf(t, 0, mpolAllowed)
	equal(t, "allowed", nodes, 1)
	m, set := kept(t, uint32(0)), kept(t, uint64(1))
	for _, flags := range []uintptr{8, mpolAllowed | mpolNode, mpolNode} {
		_, err := call(unix.SYS_GET_MEMPOLICY, ptr(m), 0, 0, 0, flags)
		fails(t, err, unix.EINVAL)
	}
	_, err := call(unix.SYS_GET_MEMPOLICY, ptr(m), 0, 0, ptr(m), 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_GET_MEMPOLICY, ptr(m), ptr(set), 0, 0, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_GET_MEMPOLICY, ptr(m), 0, 0, 8, mpolAddr)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_GET_MEMPOLICY, 8, 0, 0, 0, 0)
	fails(t, err, unix.EFAULT)
	*m = 9
	_, err = call(unix.SYS_GET_MEMPOLICY, ptr(m), 0, 0, ptr(m), mpolAddr|mpolNode)
	ok(t, err)
	equal(t, "node", *m, 0)
	_, err = call(unix.SYS_SET_MEMPOLICY, mpolInterleave, ptr(set), 64)
	ok(t, err)
	*m = 9
	_, err = call(unix.SYS_GET_MEMPOLICY, ptr(m), 0, 0, 0, mpolNode)
	ok(t, err)
	equal(t, "next node", *m, 0)
}

func TestMbind(t *testing.T) {
	covers(t, "mbind", "get_mempolicy", "set_mempolicy_home_node")
	numa(t)
	b, err := unix.Mmap(-1, 0, 4*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	ok(t, err)
	defer unix.Munmap(b)
	a, set := addressOf(b), kept(t, uint64(1))
	home := func(addr, n, node, flags uintptr) error {
		_, err := call(unix.SYS_SET_MEMPOLICY_HOME_NODE, addr, n, node, flags)
		return err
	}
	fails(t, home(a, 4096, 0, 0), unix.ENOENT)
	_, err = call(unix.SYS_MBIND, a+4096, 5000, mpolBind, ptr(set), 64, 1)
	ok(t, err)
	for i, want := range []uint32{mpolDefault, mpolBind, mpolBind, mpolDefault} {
		mode, nodes := policyOf(t, a+uintptr(i)*4096, mpolAddr)
		equal(t, "mode of page "+itoa(i), mode, want)
		equal(t, "nodes of page "+itoa(i), nodes, uint64(want/2))
	}
	ok(t, home(a+4096, 4096, 0, 0))
	ok(t, home(a+4096, 0, 0, 0))
	fails(t, home(a+1, 4096, 0, 0), unix.EINVAL)
	fails(t, home(a+4096, 4096, 0, 1), unix.EINVAL)
	fails(t, home(a+4096, 4096, 5, 0), unix.EINVAL)
	_, err = call(unix.SYS_MBIND, a+4096, 4096, mpolInterleave, ptr(set), 64, 0)
	ok(t, err)
	fails(t, home(a+4096, 4096, 0, 0), unix.EOPNOTSUPP)
	_, err = call(unix.SYS_MBIND, a, 4*4096, mpolDefault, 0, 0, 0)
	ok(t, err)
	mode, _ := policyOf(t, a+4096, mpolAddr)
	equal(t, "mode", mode, 0)
	for _, x := range [][5]uintptr{{a + 1, 4096, mpolBind, 1, 0}, {a, 4096, mpolBind, 1, 8}, {a, 4096, 7, 1, 0},
		{a, 4096, mpolBind, 0, 0}, {a, ^uintptr(0) - 8191, mpolBind, 1, 0}} {
		*set = uint64(x[3])
		_, err = call(unix.SYS_MBIND, x[0], x[1], x[2], ptr(set), 64, x[4])
		fails(t, err, unix.EINVAL)
	}
	*set = 1
	_, err = call(unix.SYS_MBIND, a, 0, mpolBind, ptr(set), 64, 0)
	ok(t, err)
	ok(t, unix.Mprotect(b[4096:8192], unix.PROT_READ))
	_, err = call(unix.SYS_MUNMAP, a+8192, 4096)
	ok(t, err)
	_, err = call(unix.SYS_MBIND, a, 4*4096, mpolBind, ptr(set), 64, 0)
	fails(t, err, unix.EFAULT)
}

func TestMovePages(t *testing.T) {
	covers(t, "move_pages")
	numa(t)
	b, err := unix.Mmap(-1, 0, 2<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	ok(t, err)
	defer unix.Munmap(b)
	ok(t, unix.Madvise(b, unix.MADV_NOHUGEPAGE))
	b[0] = 1
	a := uint64(addressOf(b))
	pages := kept(t, [3]uint64{a, a + 1<<20, 4096})
	nodes, status := kept(t, [3]int32{}), kept(t, [3]int32{9, 9, 9})
	move := func(pid, n, nodes, status, flags uintptr) error {
		_, err := call(unix.SYS_MOVE_PAGES, pid, n, ptr(pages), nodes, status, flags)
		return err
	}
	want := [3]int32{0, -int32(unix.ENOENT), -int32(unix.EFAULT)}
	ok(t, move(0, 3, 0, ptr(status), 0))
	equal(t, "status", *status, want)
	*status = [3]int32{9, 9, 9}
	ok(t, move(0, 3, ptr(nodes), ptr(status), 2))
	equal(t, "status when moved", *status, want)
	fails(t, move(0, 3, 0, ptr(status), 1), unix.EINVAL)
	fails(t, move(0, 3, 0, 8, 0), unix.EFAULT)
	fails(t, move(0, 3, 8, ptr(status), 0), unix.EFAULT)
	fails(t, move(1<<22+1, 3, 0, ptr(status), 0), unix.ESRCH)
	nodes[0] = 7
	fails(t, move(0, 3, ptr(nodes), ptr(status), 0), unix.ENODEV)
}

func TestMigratePages(t *testing.T) {
	covers(t, "migrate_pages")
	numa(t)
	set, none := kept(t, uint64(1)), kept(t, uint64(0))
	migrate := func(pid, n, from, to uintptr) error {
		r, err := call(unix.SYS_MIGRATE_PAGES, pid, n, from, to)
		if err == nil {
			equal(t, "not migrated", r, 0)
		}
		return err
	}
	ok(t, migrate(0, 64, ptr(set), ptr(set)))
	fails(t, migrate(0, 64, ptr(set), ptr(none)), unix.EINVAL)
	fails(t, migrate(0, 64, 8, ptr(set)), unix.EFAULT)
	fails(t, migrate(0, 64, ptr(set), 8), unix.EFAULT)
	fails(t, migrate(1<<22+1, 64, ptr(set), ptr(set)), unix.ESRCH)
	*none = 1 << 9
	fails(t, migrate(0, 64, ptr(set), ptr(none)), unix.EINVAL, unix.EPERM)
}
