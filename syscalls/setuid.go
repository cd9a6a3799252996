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

func getuid(t *kernel.Task) (uint32, error)  { return t.Creds().RUID, nil }
func geteuid(t *kernel.Task) (uint32, error) { return t.Creds().EUID, nil }
func getgid(t *kernel.Task) (uint32, error)  { return t.Creds().RGID, nil }
func getegid(t *kernel.Task) (uint32, error) { return t.Creds().EGID, nil }

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
	wasRoot := old.RUID == 0 || old.EUID == 0 || old.SUID == 0
	if isRoot := n.RUID == 0 || n.EUID == 0 || n.SUID == 0; wasRoot && !isRoot {
		if n.Securebits&linux.SECBIT_KEEP_CAPS == 0 {
			n.Permitted, n.Effective = 0, 0
		}
		n.Ambient = 0
	}
	if old.EUID == 0 && n.EUID != 0 {
		n.Effective = 0
	}
	if old.EUID != 0 && n.EUID == 0 {
		n.Effective = n.Permitted
	}
}

// setuid implements setuid(2).
func setuid(t *kernel.Task, uid id) (int, error) {
	return changeUIDs(t, func(o ids, free bool) (ids, error) { return o.set(uid, free) })
}

// setgid implements setgid(2).
func setgid(t *kernel.Task, gid id) (int, error) {
	return changeGIDs(t, func(o ids, free bool) (ids, error) { return o.set(gid, free) })
}

// setreuid implements setreuid(2).
func setreuid(t *kernel.Task, r, e id) (int, error) {
	return changeUIDs(t, func(o ids, free bool) (ids, error) { return o.setRE(r, e, free) })
}

// setregid implements setregid(2).
func setregid(t *kernel.Task, r, e id) (int, error) {
	return changeGIDs(t, func(o ids, free bool) (ids, error) { return o.setRE(r, e, free) })
}

// setresuid implements setresuid(2).
func setresuid(t *kernel.Task, r, e, s id) (int, error) {
	return changeUIDs(t, func(o ids, free bool) (ids, error) { return o.setRES(r, e, s, free) })
}

// setresgid implements setresgid(2).
func setresgid(t *kernel.Task, r, e, s id) (int, error) {
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
	return store3(t, [3]usermem.Ptr[uint32]{r, e, s}, [3]uint32{c.RUID, c.EUID, c.SUID})
}

// getresgid implements getresgid(2).
func getresgid(t *kernel.Task, r, e, s usermem.Ptr[uint32]) (int, error) {
	c := t.Creds()
	return store3(t, [3]usermem.Ptr[uint32]{r, e, s}, [3]uint32{c.RGID, c.EGID, c.SGID})
}

// fsCaps are the capabilities that follow the filesystem user id.
const fsCaps = auth.Caps(1<<auth.CapChown | 1<<auth.CapDACOverride | 1<<auth.CapDACReadSearch | 1<<auth.CapFowner |
	1<<auth.CapFsetid | 1<<auth.CapLinuxImmutable | 1<<auth.CapMknod | 1<<auth.CapMACOverride)

// setfsuid implements setfsuid(2): it returns the old id and never fails.
func setfsuid(t *kernel.Task, uid id) (uint32, error) {
	c := t.Creds()
	old := c.FSUID
	if uid == old || uid == keepID || !among([]id{uid}, c.RUID, c.EUID, c.SUID, c.FSUID) && !c.HasCap(auth.CapSetuid) {
		return old, nil
	}
	n := c.Clone()
	n.FSUID = uid
	if n.Securebits&linux.SECBIT_NO_SETUID_FIXUP == 0 {
		switch {
		case old == 0 && uid != 0:
			n.Effective &^= fsCaps
		case old != 0 && uid == 0:
			n.Effective |= n.Permitted & fsCaps
		}
	}
	t.SetCreds(n)
	return old, nil
}

// setfsgid implements setfsgid(2).
func setfsgid(t *kernel.Task, gid id) (uint32, error) {
	c := t.Creds()
	old := c.FSGID
	if gid == old || gid == keepID || !among([]id{gid}, c.RGID, c.EGID, c.SGID, c.FSGID) && !c.HasCap(auth.CapSetgid) {
		return old, nil
	}
	n := c.Clone()
	n.FSGID = gid
	t.SetCreds(n)
	return old, nil
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
	return len(gs), out.StoreSlice(t, gs)
}

// setgroups implements setgroups(2).
func setgroups(t *kernel.Task, n int32, in usermem.Ptr[uint32]) (int, error) {
	if !t.Creds().HasCap(auth.CapSetgid) {
		return 0, linux.EPERM
	}
	if uint32(n) > maxGroups {
		return 0, linux.EINVAL
	}
	gs, err := in.LoadSlice(t, int(n))
	if err != nil {
		return 0, err
	}
	slices.Sort(gs)
	c := t.Creds().Clone()
	c.Groups = gs
	t.SetCreds(c)
	return 0, nil
}
