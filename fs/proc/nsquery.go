package proc

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

func userNamespace(u *auth.UserNamespace) *Namespace {
	return &Namespace{"user", u.Inode, cloneNewUser, u}
}

func timeNamespace(n *kernel.TimeNamespace) *Namespace {
	return &Namespace{"time", n.Inode, cloneNewTime, n}
}

// owner is the user namespace that n belongs to; the parent, of a user namespace.
func (n *Namespace) owner() *auth.UserNamespace {
	switch x := n.Of.(type) {
	case *kernel.UTSNamespace:
		return x.UserNS
	case *kernel.IPCNamespace:
		return x.UserNS
	case *kernel.NetNamespace:
		return x.UserNS
	case *kernel.PIDNamespace:
		return x.UserNS
	case *kernel.CgroupNamespace:
		return x.UserNS
	case *kernel.TimeNamespace:
		return x.UserNS
	case *vfs.MountNamespace:
		return x.UserNS()
	case *auth.UserNamespace:
		return x.Parent
	}
	return nil
}

// ioctl_ns(2).
const (
	nsGetUserNS   = 0xb701
	nsGetParent   = 0xb702
	nsGetNSType   = 0xb703
	nsGetOwnerUID = 0xb704
	nsGetMountID  = 0x8008b705 // NS_GET_MNTNS_ID
)

// query is ioctl_ns(2).
func (n *Namespace) query(k *kernel.Kernel, c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case nsGetNSType:
		return n.Flag, nil
	case nsGetMountID:
		if n.Kind != "mnt" {
			return 0, linux.EINVAL
		}
		id := n.Ino
		return 0, usermem.Ptr[uint64](arg).Store(m, &id)
	case nsGetOwnerUID:
		u, is := n.Of.(*auth.UserNamespace)
		if !is {
			return 0, linux.EINVAL
		}
		owner := c.Creds().UserNS.ShowUID(u.Owner)
		return 0, usermem.Ptr[uint32](arg).Store(m, &owner)
	case nsGetUserNS:
		return n.openOwner(k, c)
	case nsGetParent:
		switch x := n.Of.(type) {
		case *auth.UserNamespace:
			return n.openOwner(k, c)
		case *kernel.PIDNamespace:
			t := caller(c)
			if t == nil || x.Parent == nil || !x.Parent.Within(t.PIDNamespace()) {
				return 0, linux.EPERM
			}
			return openNamespace(k, c, &Namespace{"pid", x.Parent.Inode, cloneNewPID, x.Parent})
		}
		return 0, linux.EINVAL
	}
	return 0, linux.ENOTTY
}

// openOwner opens n's owner: EPERM if it is outside of what the caller can see.
func (n *Namespace) openOwner(k *kernel.Kernel, c vfs.Ctx) (uint64, error) {
	u, isUser := n.Of.(*auth.UserNamespace)
	if isUser && u.First() || !n.owner().Within(c.Creds().UserNS) {
		return 0, linux.EPERM
	}
	o := n.owner()
	if o == nil {
		o = k.RootUserNS()
	}
	return openNamespace(k, c, userNamespace(o))
}

// openNamespace is a descriptor of n for c.
func openNamespace(k *kernel.Kernel, c vfs.Ctx, n *Namespace) (uint64, error) {
	t := caller(c)
	if t == nil {
		return 0, linux.EINVAL
	}
	p := k.VFS.NewUnnamed(&nsInode{n, k}, n.Name())
	defer p.Drop()
	d, err := vfs.OpenPath(c, p, linux.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer d.Release(c)
	fd, err := t.NewFD(linux.O_CLOEXEC, d)
	return uint64(fd), err
}
