package vfs

import (
	"slices"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// An ACL is an access control list, acl(5), that is never changed; nil is none: the mode
// bits are all there is to say. Lists are valid, or of a host that says so.
type ACL []ACLEntry

// An ACLEntry is who has which rights.
type ACLEntry struct {
	Tag  uint16 // ACL_*
	Perm Access
	ID   uint32 // the kernel's, of ACL_USER and ACL_GROUP
}

// ACLKind is which of a file's lists.
type ACLKind uint8

// The lists: who may access the file; what is made in a directory gets.
const (
	AccessACL ACLKind = iota
	DefaultACL
	ACLKinds
)

// Name is the extended attribute that shows the list.
func (k ACLKind) Name() string {
	if k == DefaultACL {
		return linux.XATTR_POSIX_ACL_DEFAULT
	}
	return linux.XATTR_POSIX_ACL_ACCESS
}

// aclKind is the kind of list that an extended attribute shows.
func aclKind(name string) (k ACLKind, ok bool) {
	switch name {
	case linux.XATTR_POSIX_ACL_ACCESS:
		return AccessACL, true
	case linux.XATTR_POSIX_ACL_DEFAULT:
		return DefaultACL, true
	}
	return 0, false
}

// valid reports whether acl has the entries that acl(5) asks for, in their order, and on
// a filesystem of the user namespace user names nobody who is not known there.
func (acl ACL) valid(user *auth.UserNamespace) bool {
	const start = 0
	last, named := uint16(start), false
	for _, e := range acl {
		known := true
		switch e.Tag {
		case linux.ACL_USER:
			known = last == linux.ACL_USER_OBJ || last == linux.ACL_USER
			known, named = known && user.KnowsUID(e.ID), true
		case linux.ACL_GROUP:
			known = last == linux.ACL_GROUP_OBJ || last == linux.ACL_GROUP
			known, named = known && user.KnowsGID(e.ID), true
		case linux.ACL_USER_OBJ:
			known = last == start
		case linux.ACL_GROUP_OBJ:
			known = last == linux.ACL_USER_OBJ || last == linux.ACL_USER
		case linux.ACL_MASK:
			known = last == linux.ACL_GROUP_OBJ || last == linux.ACL_GROUP
		case linux.ACL_OTHER:
			known = last == linux.ACL_MASK || last == linux.ACL_GROUP_OBJ && !named
		}
		if !known || e.Perm&^(MayRead|MayWrite|MayExec) != 0 {
			return false
		}
		last = e.Tag
	}
	return last == linux.ACL_OTHER
}

// shift is where in a mode the permissions of the entry with tag are; ok is false if they are
// not in it.
func (acl ACL) shift(tag uint16) (by uint, ok bool) {
	switch tag {
	case linux.ACL_USER_OBJ:
		return 6, true
	case linux.ACL_OTHER:
		return 0, true
	case linux.ACL_MASK:
		return 3, true
	case linux.ACL_GROUP_OBJ:
		return 3, !acl.has(linux.ACL_MASK)
	}
	return 0, false
}

func (acl ACL) has(tag uint16) bool {
	return slices.ContainsFunc(acl, func(e ACLEntry) bool { return e.Tag == tag })
}

// Mode is mode with the permissions that acl means, if it is a file's access list: the
// group's bits are the mask, if there is one.
func (acl ACL) Mode(mode linux.FileMode) linux.FileMode {
	for _, e := range acl {
		if by, ok := acl.shift(e.Tag); ok {
			mode = mode&^(0o7<<by) | linux.FileMode(e.Perm)<<by
		}
	}
	return mode
}

// Chmod is acl when its file's mode is set.
func (acl ACL) Chmod(mode linux.FileMode) ACL {
	return acl.with(func(e ACLEntry, by uint) Access { return Access(mode>>by) & 0o7 })
}

// with is acl with other permissions in the entries that mode bits stand for.
func (acl ACL) with(perm func(e ACLEntry, by uint) Access) ACL {
	out := slices.Clone(acl)
	for i, e := range out {
		if by, ok := acl.shift(e.Tag); ok {
			out[i].Perm = perm(e, by)
		}
	}
	return out
}

// reduced is acl, or nil if mode bits say all that it does.
func (acl ACL) reduced() ACL {
	if slices.ContainsFunc(acl, func(e ACLEntry) bool {
		return e.Tag == linux.ACL_USER || e.Tag == linux.ACL_GROUP || e.Tag == linux.ACL_MASK
	}) {
		return acl
	}
	return nil
}

// Inherit is what a file that is made with mode gets where acl is the default list: its
// access list, and its mode.
func (acl ACL) Inherit(mode linux.FileMode) (ACL, linux.FileMode) {
	access := acl.with(func(e ACLEntry, by uint) Access { return e.Perm & Access(mode>>by) })
	return access.reduced(), access.Mode(mode)
}

// ModeACL is the list that says no more than mode does.
func ModeACL(mode linux.FileMode) ACL {
	return ACL{
		{linux.ACL_USER_OBJ, Access(mode>>6) & 0o7, linux.ACL_UNDEFINED_ID},
		{linux.ACL_GROUP_OBJ, Access(mode>>3) & 0o7, linux.ACL_UNDEFINED_ID},
		{linux.ACL_OTHER, Access(mode) & 0o7, linux.ACL_UNDEFINED_ID},
	}
}

// allows judges access by acl to a file of the group gid, for who does not own it, in the
// order of acl(5), "Access check algorithm".
func (acl ACL) allows(cr *auth.Creds, gid uint32, want Access) bool {
	mask := MayRead | MayWrite | MayExec
	for _, e := range acl {
		if e.Tag == linux.ACL_MASK {
			mask = e.Perm
		}
	}
	member := false
	for _, e := range acl {
		in := false
		switch e.Tag {
		case linux.ACL_USER:
			if e.ID == cr.FSUID {
				return e.Perm&mask&want == want
			}
		case linux.ACL_GROUP_OBJ:
			in = cr.InGroup(gid)
		case linux.ACL_GROUP:
			in = cr.InGroup(e.ID)
		case linux.ACL_OTHER:
			return !member && e.Perm&want == want
		}
		// The first group that has all the rights counts, then what the mask leaves.
		if in && e.Perm&want == want {
			return mask&want == want
		}
		member = member || in
	}
	return false
}
