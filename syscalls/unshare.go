package syscalls

import (
	"garrison/fs/proc"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// unshare implements unshare(2).
func unshare(t *kernel.Task, flags linux.CloneFlags) (int, error) {
	const known = linux.CLONE_THREAD | linux.CLONE_FS | linux.CLONE_NEWNS | linux.CLONE_SIGHAND | linux.CLONE_VM |
		linux.CLONE_FILES | linux.CLONE_SYSVSEM | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWNET |
		linux.CLONE_NEWPID | linux.CLONE_NEWCGROUP | linux.CLONE_NEWUSER | linux.CLONE_NEWTIME
	if flags&^known != 0 {
		return 0, linux.EINVAL
	}
	// What threads share can be unshared by a process of one thread, as nothing.
	if flags&(linux.CLONE_THREAD|linux.CLONE_SIGHAND|linux.CLONE_VM|linux.CLONE_NEWUSER) != 0 && t.ThreadGroup().Threads() > 1 {
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
	if !t.MayInspect(x, false) {
		return linux.EPERM
	}
	ns, fs := x.Namespaces(), x.FS()
	if fs == nil {
		return linux.ESRCH
	}
	// The user namespace first: by its rights the others are entered.
	var to []any
	for _, x := range []struct {
		flag linux.CloneFlags
		of   any
	}{
		{linux.CLONE_NEWUSER, x.Creds().UserNS}, {linux.CLONE_NEWNS, fs.Namespace()}, {linux.CLONE_NEWUTS, ns.UTS},
		{linux.CLONE_NEWIPC, ns.IPC}, {linux.CLONE_NEWPID, x.PIDNamespace()}, {linux.CLONE_NEWCGROUP, ns.Cgroup},
		{linux.CLONE_NEWNET, ns.Net}, {linux.CLONE_NEWTIME, ns.Time},
	} {
		if flags&x.flag != 0 {
			to = append(to, x.of)
		}
	}
	return enterNamespaces(t, to)
}

// An nsEntry is a move to other namespaces that is being judged (struct nsset).
type nsEntry struct {
	t      *kernel.Task
	creds  *auth.Creds // as they will be
	ns     kernel.Namespaces
	mounts *vfs.MountNamespace
	time   *kernel.TimeNamespace
}

// enterNamespaces moves t to namespaces, all or none.
func enterNamespaces(t *kernel.Task, to []any) error {
	e := &nsEntry{t: t, creds: t.Creds(), ns: t.Namespaces()}
	for _, n := range to {
		if err := e.add(n); err != nil {
			return err
		}
	}
	if e.time != nil {
		if err := t.EnterTime(t.Container(), e.time); err != nil {
			return err
		}
		e.ns.Time, e.ns.TimeForChildren = e.time, e.time
	}
	t.SetNamespaces(e.ns)
	if e.creds != t.Creds() {
		t.SetCreds(e.creds)
	}
	if e.mounts != nil {
		t.FS().Enter(e.mounts)
	}
	return nil
}

// admin reports whether the caller is privileged where it goes, which belongs to u,
// and where it will be.
func (e *nsEntry) admin(u *auth.UserNamespace) error {
	c := e.t.Creds()
	if !c.HasCapIn(u, auth.CapSysAdmin) || !c.HasCapIn(e.creds.UserNS, auth.CapSysAdmin) {
		return linux.EPERM
	}
	return nil
}

// add judges one namespace: EINVAL, EPERM, EUSERS.
func (e *nsEntry) add(n any) error {
	switch n := n.(type) {
	case *kernel.UTSNamespace:
		e.ns.UTS = n
		return e.admin(n.UserNS)
	case *kernel.IPCNamespace:
		e.ns.IPC = n
		return e.admin(n.UserNS)
	case *kernel.NetNamespace:
		e.ns.Net = n
		return e.admin(n.UserNS)
	case *kernel.CgroupNamespace:
		e.ns.Cgroup = n
		return e.admin(n.UserNS)
	case *kernel.PIDNamespace:
		if err := e.admin(n.UserNS); err != nil {
			return err
		}
		if !n.Within(e.t.PIDNamespace()) {
			return linux.EINVAL
		}
		e.ns.PIDForChildren = n
		return nil
	case *kernel.TimeNamespace:
		if e.t.ThreadGroup().Threads() > 1 {
			return linux.EUSERS
		}
		e.time = n
		return e.admin(n.UserNS)
	case *vfs.MountNamespace:
		if err := e.admin(n.UserNS()); err != nil {
			return err
		}
		if !e.t.Creds().HasCapIn(e.creds.UserNS, auth.CapSysChroot) {
			return linux.EPERM
		}
		if e.t.FS().Users() > 1 {
			return linux.EINVAL
		}
		e.mounts = n
		return nil
	case *auth.UserNamespace:
		return e.addUser(n)
	}
	return linux.EINVAL
}

// addUser judges a user namespace, in which the caller gets every capability: not the
// one it is in, nor for one thread of several.
func (e *nsEntry) addUser(n *auth.UserNamespace) error {
	c := e.t.Creds()
	if n.Same(c.UserNS) || e.t.ThreadGroup().Threads() > 1 || e.t.FS().Users() > 1 {
		return linux.EINVAL
	}
	if !c.HasCapIn(n, auth.CapSysAdmin) {
		return linux.EPERM
	}
	e.creds = c.Clone()
	e.creds.Enter(n)
	return nil
}
