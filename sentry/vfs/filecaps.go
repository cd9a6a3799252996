package vfs

import (
	"encoding/binary"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// FileCaps is the attribute security.capability, capabilities(7): what a program
// gives whoever executes it, in the user namespaces whose root is Root.
type FileCaps struct {
	Permitted, Inheritable auth.Caps
	Effective              bool
	Root                   uint32 // the kernel's id
}

// Layout of the attribute, <linux/capability.h>.
const (
	vfsCapRevision2 = 0x02000000
	vfsCapRevision3 = 0x03000000
	vfsCapMask      = 0xff000000
	vfsCapEffective = 1
	vfsCapSize2     = 20
	vfsCapSize3     = 24
)

// capsRoot is the id of the root that b's owner is in; false if b is malformed.
func capsRoot(b []byte) (uint32, bool) {
	if len(b) < 4 {
		return 0, false
	}
	switch rev := binary.LittleEndian.Uint32(b) & vfsCapMask; {
	case rev == vfsCapRevision2 && len(b) == vfsCapSize2:
		return 0, true
	case rev == vfsCapRevision3 && len(b) == vfsCapSize3:
		return binary.LittleEndian.Uint32(b[vfsCapSize2:]), true
	}
	return 0, false
}

// ParseFileCaps reads the attribute as a filesystem of the user namespace user keeps
// it: EINVAL.
func ParseFileCaps(b []byte, user *auth.UserNamespace) (c FileCaps, err error) {
	root, ok := capsRoot(b)
	if !ok {
		return c, linux.EINVAL
	}
	c.Root, _ = user.MakeUID(root)
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(b[4*i:])) }
	c.Permitted = auth.Caps(word(1)|word(3)<<32) & auth.AllCaps
	c.Inheritable = auth.Caps(word(2)|word(4)<<32) & auth.AllCaps
	c.Effective = word(0)&vfsCapEffective != 0
	return c, nil
}

// HoldsIn reports whether c counts in ns: its root is root there, or in an ancestor.
func (c *FileCaps) HoldsIn(ns *auth.UserNamespace) bool { return rootIn(ns, c.Root) }

func rootIn(ns *auth.UserNamespace, kernel uint32) bool {
	if kernel == auth.NoID {
		return false
	}
	for ; ; ns = ns.Parent {
		if ns.FromUID(kernel) == 0 {
			return true
		}
		if ns.First() {
			return false
		}
	}
}

// securityAccess checks who may change what is named security.*: EPERM.
func securityAccess(c Ctx, p Path, name string, want Access) error {
	if want&MayWrite == 0 {
		return nil
	}
	cr := c.Creds()
	if name != linux.XATTR_CAPS {
		if !cr.HasCapIn(p.mnt.fs.user, auth.CapSysAdmin) {
			return linux.EPERM
		}
		return nil
	}
	a, err := p.d.node.Attr(c)
	if err != nil {
		return err
	}
	if !Capable(cr, &a, auth.CapSetfcap) {
		return linux.EPERM
	}
	return nil
}

// capsIn is the attribute b, as c has written it, as a filesystem of user keeps it:
// by those who are privileged in user as it is, by others with the id of their root.
func capsIn(c Ctx, user *auth.UserNamespace, b []byte) ([]byte, error) {
	root, ok := capsRoot(b)
	if !ok {
		return nil, linux.EINVAL
	}
	cr := c.Creds()
	if len(b) == vfsCapSize2 && cr.HasCapIn(user, auth.CapSetfcap) {
		return b, nil
	}
	kernel, ok := cr.UserNS.MakeUID(root)
	if !ok {
		return nil, linux.EINVAL
	}
	kept := user.FromUID(kernel)
	if kept == auth.NoID {
		return nil, linux.EINVAL
	}
	return withRoot(b, kept), nil
}

// capsOut is the attribute b, as a filesystem of user keeps it, as c is shown it:
// EOVERFLOW if it is of a root that means nothing to c.
func capsOut(c Ctx, user *auth.UserNamespace, b []byte) ([]byte, error) {
	root, ok := capsRoot(b)
	if !ok {
		return nil, linux.EINVAL
	}
	ns := c.Creds().UserNS
	kernel, _ := user.MakeUID(root)
	if shown := ns.FromUID(kernel); shown != auth.NoID && shown != 0 {
		return withRoot(b, shown), nil
	}
	if !rootIn(ns, kernel) {
		return nil, linux.EOVERFLOW
	}
	out := append([]byte(nil), b[:vfsCapSize2]...)
	binary.LittleEndian.PutUint32(out, vfsCapRevision2|binary.LittleEndian.Uint32(b)&vfsCapEffective)
	return out, nil
}

// withRoot is b in the form that names a root.
func withRoot(b []byte, root uint32) []byte {
	out := append([]byte(nil), b[:vfsCapSize2]...)
	binary.LittleEndian.PutUint32(out, vfsCapRevision3|binary.LittleEndian.Uint32(b)&vfsCapEffective)
	return binary.LittleEndian.AppendUint32(out, root)
}
