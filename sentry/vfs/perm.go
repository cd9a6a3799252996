package vfs

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// Capable reports whether cr has the capability over a file with attributes a: held
// in a user namespace that knows the file's owner.
func Capable(cr *auth.Creds, a *Attr, x auth.Cap) bool {
	return cr.HasCap(x) && Privileged(cr.UserNS, a)
}

// allowed judges by the mode bits and capabilities: path_resolution(7), "Permissions".
func allowed(cr *auth.Creds, a *Attr, want Access) bool {
	bits := a.Mode
	switch {
	case cr.FSUID == a.UID:
		bits >>= 6
	case cr.InGroup(a.GID):
		bits >>= 3
	}
	return Access(bits)&want == want || overrides(cr, a, want)
}

// overrides reports whether cr's capabilities allow access whatever the permissions.
func overrides(cr *auth.Creds, a *Attr, want Access) bool {
	if a.Mode.IsDir() {
		return Capable(cr, a, auth.CapDACOverride) ||
			want&MayWrite == 0 && Capable(cr, a, auth.CapDACReadSearch)
	}
	if want&MayExec == 0 || a.Mode&0o111 != 0 {
		if Capable(cr, a, auth.CapDACOverride) {
			return true
		}
	}
	return want == MayRead && Capable(cr, a, auth.CapDACReadSearch)
}

// judge is EACCES unless c may access node, whose attributes a are. Its access list is
// asked for last: a filesystem may have to fetch it.
func judge(c Ctx, node Inode, a *Attr, want Access) error {
	cr := c.Creds()
	if _, ok := node.(ACLer); ok && cr.FSUID != a.UID && a.Mode&0o070 != 0 && !overrides(cr, a, want) {
		switch acl, err := aclOf(c, node, AccessACL); {
		case err != nil:
			return err
		case acl != nil && !acl.allows(cr, a.GID, want):
			return linux.EACCES
		case acl != nil:
			return nil
		}
	}
	if !allowed(cr, a, want) {
		return linux.EACCES
	}
	return nil
}

// BasicAttr is Attr of which only Mode, UID and GID are sure to be right:
// what permissions depend on; and whether Nlink is 0.
func BasicAttr(c Ctx, node Inode) (Attr, error) {
	if x, ok := node.(BasicAttrer); ok {
		return x.BasicAttr(c)
	}
	return node.Attr(c)
}

// permit judges access to an inode, whatever the mount.
func permit(c Ctx, node Inode, want Access) error {
	if x, ok := node.(Permitter); ok {
		return x.Permit(c, want)
	}
	a, err := BasicAttr(c, node)
	if err != nil {
		return err
	}
	return judge(c, node, &a, want)
}

// Allowed judges access by an inode's attributes alone: what a Permitter falls back on.
func Allowed(c Ctx, a *Attr, want Access) error {
	if !allowed(c.Creds(), a, want) {
		return linux.EACCES
	}
	return nil
}

// CheckAccess is Permit for who only asks: access(2), chdir(2).
func (p Path) CheckAccess(c Ctx, want Access) error {
	if err := p.Permit(c, want); err != nil {
		return err
	}
	if x, ok := p.d.node.(AccessChecker); ok {
		return x.CheckAccess(c, want)
	}
	return nil
}

// Permit judges access to p's file by its mode, its owner and c's credentials, and by
// the mount: EACCES, EROFS (access(2), open(2), execve(2)).
func (p Path) Permit(c Ctx, want Access) error {
	if want&MayWrite != 0 && p.mnt.ReadOnly() {
		switch p.d.typ {
		case linux.S_IFREG, linux.S_IFDIR, linux.S_IFLNK:
			return linux.EROFS
		}
	}
	if want&MayExec != 0 && p.d.typ == linux.S_IFREG && p.mnt.Flags()&linux.MS_NOEXEC != 0 {
		return linux.EACCES
	}
	return permit(c, p.d.node, want)
}

// owner reports whether c owns a file with attributes a, or may act as if: for which
// its user namespace must know the owner, but need not know the group.
func owner(c Ctx, a *Attr) bool {
	cr := c.Creds()
	return cr.FSUID == a.UID || cr.HasCap(auth.CapFowner) && cr.UserNS.KnowsUID(a.UID)
}

// mayRemove checks that c may take the file a, named in the directory in, whose attributes
// dir are, away: write permission there, and the sticky bit's rule.
func mayRemove(c Ctx, in Inode, dir, a *Attr) error {
	if err := judge(c, in, dir, MayWrite|MayExec); err != nil {
		return err
	}
	cr := c.Creds()
	if dir.Mode&linux.S_ISVTX != 0 && cr.FSUID != a.UID && cr.FSUID != dir.UID && !Capable(cr, a, auth.CapFowner) {
		return linux.EPERM
	}
	return nil
}

// withoutSetIDs is a's mode without the set-user-id bit, and without the set-group-id bit
// if the group can execute the file, or c is not one who may set it.
func withoutSetIDs(c Ctx, a *Attr) linux.FileMode {
	m := a.Mode.Perm() &^ linux.S_ISUID
	if m&0o010 != 0 || !c.Creds().InGroup(a.GID) && !Capable(c.Creds(), a, auth.CapFsetid) {
		m &^= linux.S_ISGID
	}
	return m
}

// killPrivileges is the mode that is left when a file is written by one who may not
// keep its set-id bits, and whether that is a change. Only who is privileged on the whole
// machine may: user namespaces do not count.
func killPrivileges(c Ctx, a *Attr) (linux.FileMode, bool) {
	m := withoutSetIDs(c, a)
	if m == a.Mode.Perm() || c.Creds().Capable(auth.CapFsetid) {
		return a.Mode.Perm(), false
	}
	return m, true
}

// keepSetIDs gives a file that was written the mode that it had, as the writer may keep
// its set-id bits: the host has taken those of a file of its own, for it does not know of
// the guest's rights.
func keepSetIDs(c Ctx, node Inode, mode linux.FileMode) {
	if a, err := node.Attr(c); err == nil && a.Mode.Perm() != mode {
		_ = node.SetAttr(c, &Attr{Mode: mode}, SetMode) // what was written stays, whatever comes of this
	}
}

// stripCaps takes a program's capabilities away, as whoever writes to it or gives it
// away does, whatever his rights (capabilities(7), "File capabilities").
func stripCaps(c Ctx, node Inode) {
	if x, ok := node.(Xattr); ok {
		_ = x.RemoveXattr(c, linux.XATTR_CAPS) // mostly there are none
	}
}

// Relatime reports whether an access at now changes the access time of a file with
// attributes a: mount(8), "relatime".
func Relatime(a *Attr, now linux.Timespec, strict bool) bool {
	if strict {
		return now != a.Atime
	}
	const day = 24 * 60 * 60
	return !before(a.Mtime, a.Atime) || !before(a.Ctime, a.Atime) || now.Sec-a.Atime.Sec >= day
}

func before(a, b linux.Timespec) bool { return a.Sec < b.Sec || a.Sec == b.Sec && a.Nsec < b.Nsec }

// touch tells p's file that it was read through p.
func (p Path) touch(c Ctx, flags linux.OpenFlags) {
	x, ok := p.d.node.(Atimer)
	if !ok || flags&linux.O_NOATIME != 0 {
		return
	}
	f := p.mnt.Flags()
	if f&linux.MS_NOATIME != 0 || p.mnt.ReadOnly() || f&linux.MS_NODIRATIME != 0 && p.IsDir() {
		return
	}
	x.TouchAtime(c, f&linux.MS_STRICTATIME != 0)
}
