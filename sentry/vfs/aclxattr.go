package vfs

import (
	"encoding/binary"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// Layout of a list in an extended attribute, <linux/posix_acl_xattr.h>.
const (
	aclHeaderSize = 4
	aclEntrySize  = 8
)

// DecodeACL reads a list as an extended attribute has it, with the ids that are there;
// nil if it is empty. It need not be valid. EINVAL, EOPNOTSUPP.
func DecodeACL(b []byte) (ACL, error) {
	le := binary.LittleEndian
	switch {
	case len(b) == 0:
		return nil, nil
	case len(b) < aclHeaderSize:
		return nil, linux.EINVAL
	case le.Uint32(b) != linux.POSIX_ACL_XATTR_VERSION:
		return nil, linux.EOPNOTSUPP
	case (len(b)-aclHeaderSize)%aclEntrySize != 0:
		return nil, linux.EINVAL
	}
	var acl ACL
	for b = b[aclHeaderSize:]; len(b) > 0; b = b[aclEntrySize:] {
		e := ACLEntry{Tag: le.Uint16(b), Perm: Access(min(le.Uint16(b[2:]), 0xff)), ID: le.Uint32(b[4:])}
		switch e.Tag {
		case linux.ACL_USER, linux.ACL_GROUP:
		case linux.ACL_USER_OBJ, linux.ACL_GROUP_OBJ, linux.ACL_MASK, linux.ACL_OTHER:
			e.ID = linux.ACL_UNDEFINED_ID
		default:
			return nil, linux.EINVAL
		}
		acl = append(acl, e)
	}
	return acl, nil
}

// Encode is acl as an extended attribute has it.
func (acl ACL) Encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(make([]byte, 0, aclHeaderSize+aclEntrySize*len(acl)), linux.POSIX_ACL_XATTR_VERSION)
	for _, e := range acl {
		b = le.AppendUint16(b, e.Tag)
		b = le.AppendUint16(b, uint16(e.Perm))
		b = le.AppendUint32(b, e.ID)
	}
	return b
}

// aclIn is a list that who is in ns has written: EINVAL if an id means nothing there.
func aclIn(ns *auth.UserNamespace, b []byte) (ACL, error) {
	acl, err := DecodeACL(b)
	for i := range acl {
		e, ok := &acl[i], true
		switch e.Tag {
		case linux.ACL_USER:
			e.ID, ok = ns.MakeUID(e.ID)
		case linux.ACL_GROUP:
			e.ID, ok = ns.MakeGID(e.ID)
		}
		if !ok {
			return nil, linux.EINVAL
		}
	}
	return acl, err
}

// aclOut is acl as who is in ns reads it; who is not known there has no id.
func aclOut(ns *auth.UserNamespace, acl ACL) []byte {
	out := make(ACL, len(acl))
	for i, e := range acl {
		switch e.Tag {
		case linux.ACL_USER:
			e.ID = ns.FromUID(e.ID)
		case linux.ACL_GROUP:
			e.ID = ns.FromGID(e.ID)
		}
		out[i] = e
	}
	return out.Encode()
}

// acls is p's file as one that has lists: EOPNOTSUPP.
func (p Path) acls() (ACLer, error) {
	x, ok := p.d.node.(ACLer)
	if !ok || p.d.typ == linux.S_IFLNK {
		return nil, linux.EOPNOTSUPP
	}
	return x, nil
}

// getACL is GetXattr of a list.
func getACL(c Ctx, p Path, kind ACLKind) ([]byte, error) {
	x, err := p.acls()
	if err != nil {
		return nil, err
	}
	acl, err := x.ACL(c, kind)
	switch {
	case err != nil:
		return nil, err
	case acl == nil:
		return nil, linux.ENODATA
	}
	return aclOut(c.Creds().UserNS, acl), nil
}

// setACL is SetXattr of a list, and with an empty one RemoveXattr: acl(5). EACCES, EPERM,
// EINVAL, EOPNOTSUPP.
func setACL(c Ctx, p Path, kind ACLKind, value []byte) error {
	if p.mnt.ReadOnly() {
		return linux.EROFS
	}
	cr := c.Creds()
	acl, err := aclIn(cr.UserNS, value)
	if err != nil {
		return err
	}
	x, err := p.acls()
	switch {
	case err != nil:
		return err
	case kind == DefaultACL && !p.IsDir() && acl == nil:
		return nil
	case kind == DefaultACL && !p.IsDir():
		return linux.EACCES
	}
	a, err := BasicAttr(c, p.d.node)
	switch {
	case err != nil:
		return err
	case !owner(c, &a):
		return linux.EPERM
	case acl != nil && !acl.valid(p.mnt.fs.user):
		return linux.EINVAL
	}
	mode := a.Mode.Perm()
	if kind == AccessACL {
		mode = acl.Mode(mode)
		acl = acl.reduced()
		if !cr.InGroup(a.GID) && !Capable(cr, &a, auth.CapFsetid) {
			mode &^= linux.S_ISGID
		}
	}
	if err := x.SetACL(c, kind, acl, mode); err != nil {
		return err
	}
	p.notify(c, linux.FAN_ATTRIB)
	return nil
}

// aclOf is node's list, nil if it has none or its filesystem knows of none.
func aclOf(c Ctx, node Inode, kind ACLKind) (ACL, error) {
	x, ok := node.(ACLer)
	if !ok {
		return nil, nil
	}
	acl, err := x.ACL(c, kind)
	if err == linux.EOPNOTSUPP {
		return nil, nil
	}
	return acl, err
}
