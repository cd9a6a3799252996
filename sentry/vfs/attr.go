package vfs

import (
	"strings"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// Chmod is fchmodat(2): EPERM, EROFS.
func Chmod(c Ctx, p Path, mode linux.FileMode) error {
	if p.d.typ == linux.S_IFLNK {
		return linux.EOPNOTSUPP
	}
	a, err := p.forSetAttr(c)
	if err != nil {
		return err
	}
	if !p.mayChange(c, &a) {
		return linux.EPERM
	}
	mode = mode.Perm()
	if !p.judged() && !c.Creds().InGroup(a.GID) && !Capable(c.Creds(), &a, auth.CapFsetid) {
		mode &^= linux.S_ISGID
	}
	return p.setAttr(c, &Attr{Mode: mode}, SetMode)
}

// judged reports whether p's filesystem itself judges who may change attributes.
func (p Path) judged() bool {
	x, ok := p.d.node.(OwnJudge)
	return ok && x.JudgesChanges()
}

// mayChange reports whether c may change p's attributes, which are a, as their owner does.
func (p Path) mayChange(c Ctx, a *Attr) bool { return p.judged() || owner(c, a) }

// forSetAttr is the BasicAttr of a file that can be changed.
func (p Path) forSetAttr(c Ctx) (Attr, error) {
	if p.mnt.ReadOnly() {
		return Attr{}, linux.EROFS
	}
	return BasicAttr(c, p.d.node)
}

func (p Path) setAttr(c Ctx, a *Attr, mask AttrMask) error {
	err := p.d.node.SetAttr(c, a, mask)
	if err == nil {
		p.notify(c, linux.FAN_ATTRIB)
	}
	return err
}

// Chown is fchownat(2); ^0 leaves an id as it is: EPERM, EROFS.
func Chown(c Ctx, p Path, uid, gid uint32) error {
	const keep = ^uint32(0)
	a, err := p.forSetAttr(c)
	if err != nil {
		return err
	}
	cr := c.Creds()
	chown := p.judged() || Capable(cr, &a, auth.CapChown)
	if uid != keep && !chown && !(cr.FSUID == a.UID && uid == a.UID) ||
		gid != keep && !chown && !(cr.FSUID == a.UID && (gid == a.GID || cr.InGroup(gid))) {
		return linux.EPERM
	}
	if user := p.mnt.fs.user; !user.First() && (uid != keep && !user.KnowsUID(uid) || gid != keep && !user.KnowsGID(gid)) {
		return linux.EOVERFLOW
	}
	set, mask := Attr{UID: uid, GID: gid}, AttrMask(0)
	if uid != keep {
		mask |= SetUID
	}
	if gid != keep {
		mask |= SetGID
	}
	if a.Mode.IsRegular() && a.Mode&0o111 != 0 {
		stripCaps(c, p.d.node)
	}
	// The set-id bits go even for those who may keep them when writing: chown(2).
	if a.Mode.Type() != linux.S_IFDIR && a.Mode.Type() != linux.S_IFLNK {
		if m := withoutSetIDs(c, &a); m != a.Mode.Perm() {
			if !p.mayChange(c, &a) {
				return linux.EPERM // as chmod(2) of somebody else's file
			}
			set.Mode, mask = m, mask|SetMode
		}
	}
	if mask == 0 {
		return nil
	}
	return p.setAttr(c, &set, mask)
}

// Utimes is utimensat(2); times are of access and modification, with UTIME_NOW and
// UTIME_OMIT in Nsec; nil is now for both. EACCES, EPERM, EINVAL, EROFS.
func Utimes(c Ctx, p Path, times *[2]linux.Timespec) error {
	now := times == nil
	set, mask := Attr{}, AttrMask(0)
	if times == nil {
		times = &[2]linux.Timespec{{Nsec: linux.UTIME_NOW}, {Nsec: linux.UTIME_NOW}}
	}
	if times[0].Nsec == linux.UTIME_OMIT && times[1].Nsec == linux.UTIME_OMIT {
		return nil
	}
	now = now || times[0].Nsec == linux.UTIME_NOW && times[1].Nsec == linux.UTIME_NOW
	for i, t := range times {
		out, bit := &set.Atime, SetAtime
		if i == 1 {
			out, bit = &set.Mtime, SetMtime
		}
		switch {
		case t.Nsec == linux.UTIME_OMIT:
			continue
		case t.Nsec == linux.UTIME_NOW:
			*out = c.Now()
		case uint64(t.Nsec) >= 1e9:
			return linux.EINVAL
		default:
			*out = t
		}
		mask |= bit
	}
	a, err := p.forSetAttr(c)
	if err != nil {
		return err
	}
	if !p.mayChange(c, &a) {
		if !now {
			return linux.EPERM
		}
		if err := permit(c, p.d.node, MayWrite); err != nil {
			return err
		}
	}
	return p.setAttr(c, &set, mask)
}

// MayObserve reports whether c may be told which of d's pages are in memory, which tells
// what others do with it: who could write to it may.
func (d *FileDescription) MayObserve(c Ctx) bool {
	a, err := d.path.d.node.Attr(c)
	return err == nil && owner(c, &a) || d.path.Permit(c, MayWrite) == nil
}

// Truncate is truncate(2).
func Truncate(c Ctx, p Path, size int64) error {
	switch {
	case size < 0:
		return linux.EINVAL
	case p.IsDir():
		return linux.EISDIR
	case p.d.typ != linux.S_IFREG:
		return linux.EINVAL
	}
	if err := p.Permit(c, MayWrite); err != nil {
		return err
	}
	if err := CheckSize(c, size); err != nil {
		return err
	}
	if err := p.beginWrite(); err != nil {
		return err
	}
	defer p.endWrite()
	if err := p.breakLeases(c, true, false); err != nil {
		return err
	}
	if err := truncate(c, p.d.node, size); err != nil {
		return err
	}
	p.notify(c, linux.FAN_MODIFY)
	return nil
}

// xattrAccess checks xattr(7)'s rules for a name.
func xattrAccess(c Ctx, p Path, name string, want Access) error {
	if want&MayWrite != 0 && p.mnt.ReadOnly() {
		return linux.EROFS
	}
	switch {
	case strings.HasPrefix(name, linux.XATTR_SECURITY_PREFIX):
		return securityAccess(c, p, name, want)
	case strings.HasPrefix(name, linux.XATTR_SYSTEM_PREFIX):
		return linux.EOPNOTSUPP
	case strings.HasPrefix(name, linux.XATTR_TRUSTED_PREFIX):
		if !c.Creds().Capable(auth.CapSysAdmin) {
			if want&MayWrite != 0 {
				return linux.EPERM
			}
			return linux.ENODATA
		}
		return nil
	case strings.HasPrefix(name, linux.XATTR_USER_PREFIX):
		if p.d.typ != linux.S_IFREG && p.d.typ != linux.S_IFDIR {
			if want&MayWrite != 0 {
				return linux.EPERM
			}
			return linux.ENODATA
		}
		a, err := p.d.node.Attr(c)
		if err != nil {
			return err
		}
		if want&MayWrite != 0 && p.IsDir() && a.Mode&linux.S_ISVTX != 0 && !owner(c, &a) {
			return linux.EPERM
		}
		return permit(c, p.d.node, want)
	}
	return linux.EOPNOTSUPP
}

// GetXattr is getxattr(2) without its buffer: ENODATA, EOPNOTSUPP.
func GetXattr(c Ctx, p Path, name string) ([]byte, error) {
	if kind, ok := aclKind(name); ok {
		return getACL(c, p, kind)
	}
	if err := xattrAccess(c, p, name, MayRead); err != nil {
		return nil, err
	}
	x, ok := p.d.node.(Xattr)
	if !ok {
		return nil, linux.EOPNOTSUPP
	}
	b, err := x.GetXattr(c, name)
	if err == nil && name == linux.XATTR_CAPS {
		return capsOut(c, p.mnt.fs.user, b)
	}
	return b, err
}

// SetXattr is setxattr(2): EEXIST, ENODATA, EPERM, EOPNOTSUPP.
func SetXattr(c Ctx, p Path, name string, value []byte, flags int) error {
	if kind, ok := aclKind(name); ok {
		return setACL(c, p, kind, value) // whatever the flags
	}
	if err := xattrAccess(c, p, name, MayWrite); err != nil {
		return err
	}
	x, ok := p.d.node.(Xattr)
	if !ok {
		return linux.EOPNOTSUPP
	}
	if name == linux.XATTR_CAPS {
		var err error
		if value, err = capsIn(c, p.mnt.fs.user, value); err != nil {
			return err
		}
	}
	err := x.SetXattr(c, name, value, flags)
	if err == nil {
		p.notify(c, linux.FAN_ATTRIB)
	}
	return err
}

// ListXattr is listxattr(2) without its buffer.
func ListXattr(c Ctx, p Path) ([]string, error) {
	x, ok := p.d.node.(Xattr)
	if !ok {
		return nil, linux.EOPNOTSUPP
	}
	names, err := x.ListXattr(c)
	if err != nil || c.Creds().Capable(auth.CapSysAdmin) {
		return names, err
	}
	out := names[:0:0]
	for _, n := range names {
		if !strings.HasPrefix(n, linux.XATTR_TRUSTED_PREFIX) {
			out = append(out, n)
		}
	}
	return out, nil
}

// RemoveXattr is removexattr(2).
func RemoveXattr(c Ctx, p Path, name string) error {
	if kind, ok := aclKind(name); ok {
		return setACL(c, p, kind, nil)
	}
	if err := xattrAccess(c, p, name, MayWrite); err != nil {
		return err
	}
	x, ok := p.d.node.(Xattr)
	if !ok {
		return linux.EOPNOTSUPP
	}
	err := x.RemoveXattr(c, name)
	if err == nil {
		p.notify(c, linux.FAN_ATTRIB)
	}
	return err
}
