package syscalls

import (
	"slices"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// An id is a uid_t or gid_t; keepID leaves it as it is.
type id = uint32

const keepID = ^id(0)

func getuid(t *kernel.Task) (uint32, error)  { return shownUID(t, t.Creds().RUID), nil }
func geteuid(t *kernel.Task) (uint32, error) { return shownUID(t, t.Creds().EUID), nil }
func getgid(t *kernel.Task) (uint32, error)  { return shownGID(t, t.Creds().RGID), nil }
func getegid(t *kernel.Task) (uint32, error) { return shownGID(t, t.Creds().EGID), nil }

// shownUID is the kernel's id of a user as t's user namespace has it.
func shownUID(t *kernel.Task, k id) id { return t.Creds().UserNS.ShowUID(k) }

// shownGID is shownUID for a group.
func shownGID(t *kernel.Task, k id) id { return t.Creds().UserNS.ShowGID(k) }

// kernelUID is the kernel's id of one that t has given, and may have left out
// (keepID): EINVAL if it means nothing in t's user namespace.
func kernelUID(t *kernel.Task, v *id) error { return toKernel(t.Creds().UserNS.MakeUID, v) }

// kernelGID is kernelUID for a group.
func kernelGID(t *kernel.Task, v *id) error { return toKernel(t.Creds().UserNS.MakeGID, v) }

func toKernel(mk func(id) (id, bool), v *id) error {
	if *v == keepID {
		return nil
	}
	k, ok := mk(*v)
	if !ok {
		return linux.EINVAL
	}
	*v = k
	return nil
}

// kernelUIDs is kernelUID for several.
func kernelUIDs(t *kernel.Task, vs ...*id) error {
	for _, v := range vs {
		if err := kernelUID(t, v); err != nil {
			return err
		}
	}
	return nil
}

// kernelGIDs is kernelGID for several.
func kernelGIDs(t *kernel.Task, vs ...*id) error {
	for _, v := range vs {
		if err := kernelGID(t, v); err != nil {
			return err
		}
	}
	return nil
}

// ids are the four that a process has as a user, and again as a group.
type ids struct{ real, effective, saved, fs id }

// set is setuid(2) and setgid(2); free says that the caller may take any id.
func (o ids) set(v id, free bool) (ids, error) {
	switch {
	case v == keepID:
		return o, linux.EINVAL
	case free:
		return ids{v, v, v, v}, nil
	case v != o.real && v != o.saved:
		return o, linux.EPERM
	}
	return ids{o.real, v, o.saved, v}, nil
}

// setRE is setreuid(2) and setregid(2).
func (o ids) setRE(r, e id, free bool) (ids, error) {
	if !free && !(among([]id{r}, o.real, o.effective) && among([]id{e}, o.real, o.effective, o.saved)) {
		return o, linux.EPERM
	}
	n := o
	replaceID(&n.real, r)
	replaceID(&n.effective, e)
	if r != keepID || e != keepID && e != o.real {
		n.saved = n.effective
	}
	n.fs = n.effective
	return n, nil
}

// setRES is setresuid(2) and setresgid(2).
func (o ids) setRES(r, e, s id, free bool) (ids, error) {
	if !free && !among([]id{r, e, s}, o.real, o.effective, o.saved) {
		return o, linux.EPERM
	}
	n := o
	replaceID(&n.real, r)
	replaceID(&n.effective, e)
	replaceID(&n.saved, s)
	n.fs = n.effective
	return n, nil
}

// among reports whether each id that is not keepID is one of old.
func among(ids []id, old ...id) bool {
	for _, x := range ids {
		if x != keepID && !slices.Contains(old, x) {
			return false
		}
	}
	return true
}

func replaceID(at *id, v id) {
	if v != keepID {
		*at = v
	}
}

// changeUIDs gives t the user ids that change makes of those it has, with what
// that does to its capabilities.
func changeUIDs(t *kernel.Task, change func(o ids, free bool) (ids, error)) (int, error) {
	c := t.Creds()
	v, err := change(ids{c.RUID, c.EUID, c.SUID, c.FSUID}, c.HasCap(auth.CapSetuid))
	if err != nil {
		return 0, err
	}
	n := c.Clone()
	n.RUID, n.EUID, n.SUID, n.FSUID = v.real, v.effective, v.saved, v.fs
	fixCaps(c, n)
	t.SetCreds(n)
	return 0, nil
}

// changeGIDs is changeUIDs for group ids, on which no capabilities depend.
func changeGIDs(t *kernel.Task, change func(o ids, free bool) (ids, error)) (int, error) {
	c := t.Creds()
	v, err := change(ids{c.RGID, c.EGID, c.SGID, c.FSGID}, c.HasCap(auth.CapSetgid))
	if err != nil {
		return 0, err
	}
	n := c.Clone()
	n.RGID, n.EGID, n.SGID, n.FSGID = v.real, v.effective, v.saved, v.fs
	t.SetCreds(n)
	return 0, nil
}

// fixCaps changes n's capabilities as a change of user ids from old does:
// capabilities(7), "Effect of user ID changes on capabilities".
func fixCaps(old, n *auth.Creds) {
	if n.Securebits&linux.SECBIT_NO_SETUID_FIXUP != 0 {
		return
	}
	root, _ := n.UserNS.MakeUID(0) // keepID, which nobody has, without one
	wasRoot := old.RUID == root || old.EUID == root || old.SUID == root
	if isRoot := n.RUID == root || n.EUID == root || n.SUID == root; wasRoot && !isRoot {
		if n.Securebits&linux.SECBIT_KEEP_CAPS == 0 {
			n.Permitted, n.Effective = 0, 0
		}
		n.Ambient = 0
	}
	if old.EUID == root && n.EUID != root {
		n.Effective = 0
	}
	if old.EUID != root && n.EUID == root {
		n.Effective = n.Permitted
	}
}

// setuid implements setuid(2).
func setuid(t *kernel.Task, uid id) (int, error) {
	if err := kernelUIDs(t, &uid); err != nil {
		return 0, err
	}
	return changeUIDs(t, func(o ids, free bool) (ids, error) { return o.set(uid, free) })
}

// setgid implements setgid(2).
func setgid(t *kernel.Task, gid id) (int, error) {
	if err := kernelGIDs(t, &gid); err != nil {
		return 0, err
	}
	return changeGIDs(t, func(o ids, free bool) (ids, error) { return o.set(gid, free) })
}

// setreuid implements setreuid(2).
func setreuid(t *kernel.Task, r, e id) (int, error) {
	if err := kernelUIDs(t, &r, &e); err != nil {
		return 0, err
	}
	return changeUIDs(t, func(o ids, free bool) (ids, error) { return o.setRE(r, e, free) })
}

// setregid implements setregid(2).
func setregid(t *kernel.Task, r, e id) (int, error) {
	if err := kernelGIDs(t, &r, &e); err != nil {
		return 0, err
	}
	return changeGIDs(t, func(o ids, free bool) (ids, error) { return o.setRE(r, e, free) })
}

// setresuid implements setresuid(2).
func setresuid(t *kernel.Task, r, e, s id) (int, error) {
	if err := kernelUIDs(t, &r, &e, &s); err != nil {
		return 0, err
	}
	return changeUIDs(t, func(o ids, free bool) (ids, error) { return o.setRES(r, e, s, free) })
}

// setresgid implements setresgid(2).
func setresgid(t *kernel.Task, r, e, s id) (int, error) {
	if err := kernelGIDs(t, &r, &e, &s); err != nil {
		return 0, err
	}
	return changeGIDs(t, func(o ids, free bool) (ids, error) { return o.setRES(r, e, s, free) })
}

func store3(t *kernel.Task, to [3]usermem.Ptr[uint32], v [3]uint32) (int, error) {
	for i := range to {
		if err := to[i].Store(t, &v[i]); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// getresuid implements getresuid(2).
func getresuid(t *kernel.Task, r, e, s usermem.Ptr[uint32]) (int, error) {
	c := t.Creds()
	return store3(t, [3]usermem.Ptr[uint32]{r, e, s}, [3]uint32{shownUID(t, c.RUID), shownUID(t, c.EUID), shownUID(t, c.SUID)})
}

// getresgid implements getresgid(2).
func getresgid(t *kernel.Task, r, e, s usermem.Ptr[uint32]) (int, error) {
	c := t.Creds()
	return store3(t, [3]usermem.Ptr[uint32]{r, e, s}, [3]uint32{shownGID(t, c.RGID), shownGID(t, c.EGID), shownGID(t, c.SGID)})
}

// fsCaps are the capabilities that follow the filesystem user id.
const fsCaps = auth.Caps(1<<auth.CapChown | 1<<auth.CapDACOverride | 1<<auth.CapDACReadSearch | 1<<auth.CapFowner |
	1<<auth.CapFsetid | 1<<auth.CapLinuxImmutable | 1<<auth.CapMknod | 1<<auth.CapMACOverride)

// setfsuid implements setfsuid(2): it returns the old id and never fails.
func setfsuid(t *kernel.Task, uid id) (uint32, error) {
	c := t.Creds()
	old, shown := c.FSUID, shownUID(t, c.FSUID)
	if kernelUID(t, &uid) != nil || uid == old || uid == keepID || !among([]id{uid}, c.RUID, c.EUID, c.SUID, c.FSUID) && !c.HasCap(auth.CapSetuid) {
		return shown, nil
	}
	n := c.Clone()
	n.FSUID = uid
	if n.Securebits&linux.SECBIT_NO_SETUID_FIXUP == 0 {
		switch root, _ := n.UserNS.MakeUID(0); {
		case old == root && uid != root:
			n.Effective &^= fsCaps
		case old != root && uid == root:
			n.Effective |= n.Permitted & fsCaps
		}
	}
	t.SetCreds(n)
	return shown, nil
}

// setfsgid implements setfsgid(2).
func setfsgid(t *kernel.Task, gid id) (uint32, error) {
	c := t.Creds()
	old, shown := c.FSGID, shownGID(t, c.FSGID)
	if kernelGID(t, &gid) != nil || gid == old || gid == keepID || !among([]id{gid}, c.RGID, c.EGID, c.SGID, c.FSGID) && !c.HasCap(auth.CapSetgid) {
		return shown, nil
	}
	n := c.Clone()
	n.FSGID = gid
	t.SetCreds(n)
	return shown, nil
}

// maxGroups is NGROUPS_MAX.
const maxGroups = 65536

// getgroups implements getgroups(2).
func getgroups(t *kernel.Task, n int32, out usermem.Ptr[uint32]) (int, error) {
	gs := t.Creds().Groups
	switch {
	case n < 0:
		return 0, linux.EINVAL
	case n == 0:
		return len(gs), nil
	case int(n) < len(gs):
		return 0, linux.EINVAL
	}
	return len(gs), out.StoreSlice(t, t.Creds().UserNS.ShowGIDs(gs))
}

// setgroups implements setgroups(2).
func setgroups(t *kernel.Task, n int32, in usermem.Ptr[uint32]) (int, error) {
	if c := t.Creds(); !c.HasCap(auth.CapSetgid) || !c.UserNS.MaySetgroups() {
		return 0, linux.EPERM
	}
	if uint32(n) > maxGroups {
		return 0, linux.EINVAL
	}
	gs, err := in.LoadSlice(t, int(n))
	if err != nil {
		return 0, err
	}
	for i := range gs {
		k, ok := t.Creds().UserNS.MakeGID(gs[i])
		if !ok {
			return 0, linux.EINVAL
		}
		gs[i] = k
	}
	slices.Sort(gs)
	c := t.Creds().Clone()
	c.Groups = gs
	t.SetCreds(c)
	return 0, nil
}
