package vfs

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// changeable is why no new name can be put in dir, whoever asks: ENOENT, EROFS.
func (dir Path) changeable() error {
	switch {
	case dir.d.deleted.Load():
		return linux.ENOENT
	case dir.mnt.ReadOnly():
		return linux.EROFS
	}
	return nil
}

// mayAdd checks that a new name may be put in dir, whose op is held.
func mayAdd(c Ctx, dir Path) error {
	if err := dir.changeable(); err != nil {
		return err
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

// What OpenPath's callers in the kernel may add to the flags of open(2): Executing for
// execve(2), Quiet for what nobody is told or asked about.
const (
	Executing linux.OpenFlags = 1 << 30
	Quiet     linux.OpenFlags = 1 << 31
)

// askOpen asks those who may forbid it whether c may open p.
func (p Path) askOpen(c Ctx, how linux.OpenFlags) error {
	if how&Quiet != 0 {
		return nil
	}
	if how&Executing != 0 {
		if err := p.ask(c, linux.FAN_OPEN_EXEC_PERM); err != nil {
			return err
		}
	}
	return p.ask(c, linux.FAN_OPEN_PERM)
}

// opened is what those who watch are told of a file that has been opened.
func opened(how linux.OpenFlags) uint32 {
	if how&Executing != 0 {
		return linux.FAN_OPEN | linux.FAN_OPEN_EXEC
	}
	return linux.FAN_OPEN
}

// began tells that d, which open(2) has made with its file, is open, if nobody forbids
// it; else the file stays, and d is given back.
func (d *FileDescription) began(c Ctx) (*FileDescription, error) {
	if err := d.path.askOpen(c, 0); err != nil {
		d.quiet = true
		d.Release(c)
		return nil, err
	}
	d.notify(c, linux.FAN_OPEN)
	return d, nil
}

// OpenMarked opens p, whatever the permissions, for a listener of fanotify(7) who was told
// of it; nobody is told of what it does with that. EROFS, ETXTBSY.
func OpenMarked(c Ctx, p Path, flags linux.OpenFlags) (*FileDescription, error) {
	if p.IsDir() {
		flags = flags&^linux.O_ACCMODE | linux.O_RDONLY
	}
	if flags.Writable() && p.mnt.ReadOnly() {
		return nil, linux.EROFS
	}
	return p.open(c, flags|Quiet)
}
