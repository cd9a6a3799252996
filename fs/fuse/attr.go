package fuse

import (
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// admits reports whether c may use the filesystem at all: its mounter alone, unless
// others are allowed to, as a server can hold up, and read what is written, by whoever
// uses it. Privileges do not count.
func (m *connection) admits(c vfs.Ctx) bool {
	if _, ok := kernel.Caller(c); !ok {
		return true // the kernel itself, which asks no server
	}
	cr := c.Creds()
	if m.allowOther {
		return m.user.First() || cr.UserNS.Within(m.user)
	}
	return cr.RUID == m.uid && cr.EUID == m.uid && cr.SUID == m.uid &&
		cr.RGID == m.gid && cr.EGID == m.gid && cr.SGID == m.gid
}

// blockSize is what is preferred for I/O if the server does not say.
func (i *inode) blockSize() uint32 { return minMaxWrite }

// deviceNumber is a device's number as the protocol has it.
func deviceNumber(d uint32) uint64 { return linux.Makedev(d>>8&0xfff, d&0xff|d>>12&0xfff00) }

// packNumber undoes deviceNumber.
func packNumber(d uint64) uint32 {
	major, minor := linux.Major(d), linux.Minor(d)
	return minor&0xff | major<<8 | minor&^0xff<<12
}

// time0 is a time as the protocol has it.
func time0(sec uint64, nsec uint32) linux.Timespec {
	return linux.Timespec{Sec: int64(sec), Nsec: int64(min(nsec, 1e9-1))}
}

// attrOf is what the server says, as the kernel has it.
func (m *connection) attrOf(a *linux.FuseAttr) vfs.Attr {
	uid, ok := m.user.MakeUID(a.UID)
	if !ok {
		uid = auth.OverflowID
	}
	gid, ok := m.user.MakeGID(a.GID)
	if !ok {
		gid = auth.OverflowID
	}
	out := vfs.Attr{
		Ino: a.Ino, Mode: linux.FileMode(a.Mode & 0xffff), Nlink: a.Nlink, UID: uid, GID: gid, Rdev: deviceNumber(a.Rdev),
		Size: int64(a.Size), Blocks: a.Blocks, Blksize: minMaxWrite,
		Atime: time0(a.Atime, a.AtimeNsec), Mtime: time0(a.Mtime, a.MtimeNsec), Ctime: time0(a.Ctime, a.CtimeNsec),
	}
	if a.Blksize != 0 {
		out.Blksize = a.Blksize
	}
	return out
}

// now is how often i's attributes have changed: what an answer says of them holds only if
// they have not changed since it was asked for.
func (i *inode) now() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.version
}

// anyVersion is that of what has just become known.
const anyVersion = ^uint64(0)

// learn takes over what the server says, which is valid until then. The caller has
// checked the type and the size.
func (i *inode) learn(a *linux.FuseAttr, until time.Duration, version uint64) {
	x := i.m.attrOf(a)
	x.Mode = i.typ | x.Mode.Perm()
	i.mu.Lock()
	if version != anyVersion && version != i.version {
		i.mu.Unlock()
		return
	}
	was := i.attr.Size
	i.attr, i.valid, i.sizeValid = x, until, until
	i.mu.Unlock()
	if x.Size != was && i.typ == linux.S_IFREG {
		i.store.resize(uint64(x.Size))
	}
}

// expire makes what is known of i stale.
func (i *inode) expire() {
	i.mu.Lock()
	i.valid, i.sizeValid = 0, 0
	i.version++
	i.mu.Unlock()
}

// known is what is known of i, and whether it is valid.
func (i *inode) known() (vfs.Attr, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.attr, i.m.now() < i.valid
}

// BasicAttr implements vfs.BasicAttrer: what was known last, as Linux judges by.
func (i *inode) BasicAttr(vfs.Ctx) (vfs.Attr, error) {
	a, _ := i.known()
	return a, nil
}

// Attr implements vfs.Inode.
func (i *inode) Attr(c vfs.Ctx) (vfs.Attr, error) {
	if !i.m.admits(c) {
		return vfs.Attr{}, linux.EACCES
	}
	return i.fresh(c)
}

// fresh is i's attributes, asked for if they are stale.
func (i *inode) fresh(c vfs.Ctx) (vfs.Attr, error) {
	a, valid := i.known()
	if _, ok := kernel.Caller(c); valid || !ok {
		return a, nil
	}
	return i.refresh(c)
}

// refresh asks the server for i's attributes.
func (i *inode) refresh(c vfs.Ctx) (vfs.Attr, error) {
	in, version := linux.FuseGetattrIn{}, i.now()
	if f := i.anyFile(func(*file) bool { return true }); f != nil {
		in.Flags, in.FH = linux.FUSE_GETATTR_FH, f.fh
	}
	o, err := callFor[linux.FuseAttrOut](i.m, c, ask(linux.FUSE_GETATTR, i.id, raw(in)))
	if err != nil {
		return vfs.Attr{}, err
	}
	return i.answered(&o, version)
}

// answered takes the attributes of an answer over. EIO if they can't be i's.
func (i *inode) answered(o *linux.FuseAttrOut, version uint64) (vfs.Attr, error) {
	if linux.FileMode(o.Attr.Mode).Type() != i.typ || o.Attr.Size > maxSize {
		return vfs.Attr{}, linux.EIO
	}
	i.learn(&o.Attr, i.m.until(o.AttrValid, o.AttrValidNsec), version)
	x := i.m.attrOf(&o.Attr)
	x.Mode = i.typ | x.Mode.Perm()
	return x, nil
}

// anyFile is an open file of i that is as asked for; nil if there is none.
func (i *inode) anyFile(which func(*file) bool) *file {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, f := range i.files {
		if !f.unopened && which(f) {
			return f
		}
	}
	return nil
}

// SetAttr implements vfs.Inode.
func (i *inode) SetAttr(c vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) error {
	return i.setAttr(c, nil, a, mask)
}

// setAttr is SetAttr, of an open file if f is not nil.
func (i *inode) setAttr(c vfs.Ctx, f *file, a *vfs.Attr, mask vfs.AttrMask) error {
	if !i.m.admits(c) {
		return linux.EACCES
	}
	in := i.setting(a, mask)
	if f != nil && !f.unopened {
		in.Valid, in.FH = in.Valid|linux.FATTR_FH, f.fh
	}
	if mask&vfs.SetSize != 0 {
		if err := i.writing.begin(c); err != nil {
			return err
		}
		defer i.writing.end()
	}
	o, err := callFor[linux.FuseAttrOut](i.m, c, ask(linux.FUSE_SETATTR, i.id, raw(in)))
	if err != nil {
		return err
	}
	i.expire()
	_, err = i.answered(&o, anyVersion)
	return err
}

// setting is what the server is told to set.
func (i *inode) setting(a *vfs.Attr, mask vfs.AttrMask) (in linux.FuseSetattrIn) {
	if mask&vfs.SetMode != 0 {
		in.Valid, in.Mode = in.Valid|linux.FATTR_MODE, uint32(i.typ|a.Mode.Perm())
	}
	if mask&vfs.SetUID != 0 {
		in.Valid, in.UID = in.Valid|linux.FATTR_UID, i.m.user.FromUID(a.UID)
	}
	if mask&vfs.SetGID != 0 {
		in.Valid, in.GID = in.Valid|linux.FATTR_GID, i.m.user.FromGID(a.GID)
	}
	if mask&vfs.SetSize != 0 {
		in.Valid, in.Size = in.Valid|linux.FATTR_SIZE, uint64(a.Size)
	}
	if mask&vfs.SetAtime != 0 {
		in.Valid, in.Atime, in.AtimeNsec = in.Valid|linux.FATTR_ATIME, uint64(a.Atime.Sec), uint32(a.Atime.Nsec)
	}
	if mask&vfs.SetMtime != 0 {
		in.Valid, in.Mtime, in.MtimeNsec = in.Valid|linux.FATTR_MTIME, uint64(a.Mtime.Sec), uint32(a.Mtime.Nsec)
	}
	return in
}

// JudgesChanges implements vfs.OwnJudge: without default_permissions it is the server
// that says who may change a file's attributes.
func (i *inode) JudgesChanges() bool { return !i.m.permissions }

// Permit implements vfs.Permitter: what a walk and an open ask.
func (i *inode) Permit(c vfs.Ctx, want vfs.Access) error {
	switch {
	case !i.m.admits(c):
		return linux.EACCES
	case i.m.permissions:
		a, err := i.fresh(c)
		if err != nil {
			return err
		}
		return vfs.Allowed(c, &a, want)
	case want&vfs.MayExec != 0 && i.typ == linux.S_IFREG:
		a, err := i.fresh(c)
		if err != nil {
			return err
		}
		if a.Mode&0o111 == 0 {
			return linux.EACCES
		}
	}
	return nil
}

// CheckAccess implements vfs.AccessChecker: access(2) and chdir(2), about which the server
// is asked, if it does not leave it to the kernel.
func (i *inode) CheckAccess(c vfs.Ctx, want vfs.Access) error {
	if err := i.Permit(c, want); err != nil || i.m.permissions || !i.m.has(linux.FUSE_ACCESS) {
		return err
	}
	_, err := i.m.call(c, ask(linux.FUSE_ACCESS, i.id, raw(linux.FuseAccessIn{Mask: uint32(want)})))
	if i.m.lacks(linux.FUSE_ACCESS, err) {
		return nil
	}
	return err
}

// Readlink implements vfs.Symlink.
func (i *inode) Readlink(c vfs.Ctx) (string, error) {
	keep := i.m.offers(linux.FUSE_CACHE_SYMLINKS)
	i.mu.Lock()
	link, linked := i.link, i.linked
	i.mu.Unlock()
	if keep && linked {
		return link, nil
	}
	r := ask(linux.FUSE_READLINK, i.id)
	r.extra = linux.PATH_MAX - 1
	b, err := i.m.call(c, r)
	if err != nil {
		return "", err
	}
	link = untilZero(b)
	if keep {
		i.mu.Lock()
		i.link, i.linked = link, true
		i.mu.Unlock()
	}
	return link, nil
}
