package vfs

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// mayAdd checks that a new name may be put in dir, whose op is held.
func mayAdd(c Ctx, dir Path) error {
	if dir.d.deleted.Load() {
		return linux.ENOENT
	}
	if dir.mnt.ReadOnly() {
		return linux.EROFS
	}
	if err := permit(c, dir.d.node, MayWrite|MayExec); err != nil {
		return err
	}
	if _, ok := dir.d.node.(Maker); !ok {
		if permitted, ok := dir.d.node.(Creator); !ok || permitted == nil {
			return linux.EACCES
		}
	}
	return dir.mnt.fs.mayOwn(c)
}

// mayMake is mayAdd for a new file, and says what that is.
func mayMake(c Ctx, dir Path, mode linux.FileMode) (*MakeSpec, error) {
	if err := mayAdd(c, dir); err != nil {
		return nil, err
	}
	return makeSpec(c, dir.d.node, mode)
}

// makeSpec is what a new file in dir is: the umask, or the directory's default list in
// its place (acl(5), "Object creation and default ACLs"), and setgid directories (inode(7)).
func makeSpec(c Ctx, dir Inode, mode linux.FileMode) (*MakeSpec, error) {
	a, err := BasicAttr(c, dir)
	if err != nil {
		return nil, err
	}
	cr := c.Creds()
	s := &MakeSpec{Mode: mode, UID: cr.FSUID, GID: cr.FSGID}
	if mode.Type() != linux.S_IFLNK {
		acl, err := aclOf(c, dir, DefaultACL)
		switch {
		case err != nil:
			return nil, err
		case acl == nil:
			s.Mode &^= c.FS().Umask()
		default:
			s.ACLs[AccessACL], s.Mode = acl.Inherit(mode)
		}
		if mode.IsDir() {
			s.ACLs[DefaultACL] = acl
		}
	}
	if a.Mode&linux.S_ISGID != 0 {
		s.GID = a.GID
		switch {
		case mode.IsDir():
			s.Mode |= linux.S_ISGID
		case mode&(linux.S_ISGID|0o010) == linux.S_ISGID|0o010 && !cr.InGroup(a.GID) && !Capable(cr, &a, auth.CapFsetid):
			s.Mode &^= linux.S_ISGID
		}
	}
	return s, nil
}
