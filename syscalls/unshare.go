package syscalls

import (
	"garrison/fs/proc"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// unshare implements unshare(2). There are no user, time and cgroup namespaces
// to make: EINVAL, as on a Linux built without the first two; the one cgroup
// namespace is as good as a new one.
func unshare(t *kernel.Task, flags linux.CloneFlags) (int, error) {
	const known = linux.CLONE_THREAD | linux.CLONE_FS | linux.CLONE_NEWNS | linux.CLONE_SIGHAND | linux.CLONE_VM |
		linux.CLONE_FILES | linux.CLONE_SYSVSEM | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWNET |
		linux.CLONE_NEWPID | linux.CLONE_NEWCGROUP
	if flags&^known != 0 {
		return 0, linux.EINVAL
	}
	// What threads share can be unshared by a process of one thread, as nothing.
	if flags&(linux.CLONE_THREAD|linux.CLONE_SIGHAND|linux.CLONE_VM) != 0 && t.ThreadGroup().Threads() > 1 {
		return 0, linux.EINVAL
	}
	return 0, t.Unshare(flags)
}

// setns implements setns(2), for a namespace's file or, with several flags, for
// those of the process that a pidfd names.
func setns(t *kernel.Task, fd kernel.FD, flags linux.CloneFlags) (int, error) {
	f, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer f.Release(t)
	if n := proc.NamespaceOf(f); n != nil {
		if flags != 0 && flags != linux.CloneFlags(n.Flag) {
			return 0, linux.EINVAL
		}
		return 0, enterNamespaces(t, []any{n.Of})
	}
	p, _, err := pidOfFD(t, fd)
	if err != nil {
		return 0, linux.EINVAL
	}
	return 0, enterAll(t, p, flags)
}

// enterAll enters the namespaces of the process p that flags name.
func enterAll(t *kernel.Task, p *kernel.PID, flags linux.CloneFlags) error {
	const known = linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWNET | linux.CLONE_NEWPID |
		linux.CLONE_NEWCGROUP | linux.CLONE_NEWUSER | linux.CLONE_NEWTIME
	if flags == 0 || flags&^known != 0 {
		return linux.EINVAL
	}
	x := t.Kernel().PIDTask(p)
	if x == nil {
		return linux.ESRCH
	}
	if !t.MayInspect(x, true) {
		return linux.EPERM
	}
	ns, fs := x.Namespaces(), x.FS()
	if fs == nil {
		return linux.ESRCH
	}
	var to []any
	add := func(flag linux.CloneFlags, n any) {
		if flags&flag != 0 {
			to = append(to, n)
		}
	}
	add(linux.CLONE_NEWUTS, ns.UTS)
	add(linux.CLONE_NEWIPC, ns.IPC)
	add(linux.CLONE_NEWNET, ns.Net)
	add(linux.CLONE_NEWPID, x.PIDNamespace())
	add(linux.CLONE_NEWNS, fs.Namespace())
	add(linux.CLONE_NEWUSER, x.Creds().UserNS)
	add(linux.CLONE_NEWCGROUP|linux.CLONE_NEWTIME, nil)
	return enterNamespaces(t, to)
}

// enterNamespaces moves t to namespaces, all or none.
func enterNamespaces(t *kernel.Task, to []any) error {
	c := t.Creds()
	ns := t.Namespaces()
	var mounts *vfs.MountNamespace
	admin := func(u *auth.UserNamespace) bool { return c.HasCapIn(u, auth.CapSysAdmin) && c.HasCap(auth.CapSysAdmin) }
	for _, n := range to {
		ok := true
		switch n := n.(type) {
		case *kernel.UTSNamespace:
			ns.UTS, ok = n, admin(n.UserNS)
		case *kernel.IPCNamespace:
			ns.IPC, ok = n, admin(n.UserNS)
		case *kernel.NetNamespace:
			ns.Net, ok = n, admin(n.UserNS)
		case *kernel.PIDNamespace:
			if !n.Within(t.PIDNamespace()) {
				return linux.EINVAL
			}
			ns.PIDForChildren, ok = n, admin(n.UserNS)
		case *vfs.MountNamespace:
			if t.FS().Users() > 1 {
				return linux.EINVAL
			}
			mounts, ok = n, c.HasCap(auth.CapSysAdmin) && c.HasCap(auth.CapSysChroot)
		case *auth.UserNamespace:
			return linux.EINVAL // the one the caller is in: nobody may enter that
		default:
			ok = c.HasCap(auth.CapSysAdmin)
		}
		if !ok {
			return linux.EPERM
		}
	}
	t.SetNamespaces(ns)
	if mounts != nil {
		t.FS().Enter(mounts)
	}
	return nil
}
