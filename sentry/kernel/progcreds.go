package kernel

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A programFileInfo is what of a program's file decides on credentials.
type programFileInfo struct {
	mode     linux.FileMode
	uid, gid uint32
	caps     vfs.FileCaps
	hasCaps  bool
	nosuid   bool // its mount gives nobody rights here
}

// programCreds decides the credentials with which the program in d is to run.
func (t *Task) programCreds(l *loaded, d *vfs.FileDescription) error {
	p := d.Path()
	a, err := p.Attr(t)
	if err != nil {
		return err
	}
	f := programFileInfo{mode: a.Mode, uid: a.UID, gid: a.GID, nosuid: !p.MaySuid(t)}
	if !f.nosuid {
		if f.caps, f.hasCaps, err = readFileCaps(t, p); err != nil {
			return err
		}
	}
	old := t.Creds()
	l.memoryNS = old.UserNS
	if l.hidden = p.Permit(t, vfs.MayRead) != nil; l.hidden {
		for !vfs.Privileged(l.memoryNS, &a) {
			l.memoryNS = l.memoryNS.Parent
		}
	}
	// Who shares its root and working directory with others can be made to run
	// something else than meant (LSM_UNSAFE_SHARE).
	// Nor may a tracer get hold of rights that it has not (LSM_UNSAFE_PTRACE).
	shared := t.fs.Load().Users() > max(t.tg.Threads(), 1) || t.untrustedTracer(old.UserNS)
	if l.creds, l.secure, err = transform(old, &f, shared); err != nil {
		return err
	}
	n := l.creds
	l.suid = n.EUID != old.EUID || n.EGID != old.EGID || n.FSUID != old.FSUID || n.FSGID != old.FSGID ||
		!old.Covers(n)
	return nil
}

// transform is what execve(2) of f makes of credentials, and whether the program
// must be careful (AT_SECURE): capabilities(7), "Transformation of capabilities
// during execve()". EPERM for a program that would lack what its file says it
// needs.
func transform(old *auth.Creds, f *programFileInfo, shared bool) (n *auth.Creds, secure bool, err error) {
	n = old.Clone()
	if !f.nosuid && !old.NoNewPrivs && n.UserNS.KnowsUID(f.uid) && n.UserNS.KnowsGID(f.gid) {
		if f.mode&linux.S_ISUID != 0 {
			n.EUID = f.uid
		}
		// Set-group-ID without group execution meant mandatory locking once.
		if f.mode&(linux.S_ISGID|0o010) == linux.S_ISGID|0o010 {
			n.EGID = f.gid
		}
	}
	root, _ := n.UserNS.MakeUID(0) // NoID, which nobody has, before it is mapped
	effective := f.caps.Effective
	n.Permitted = old.Inheritable&f.caps.Inheritable | f.caps.Permitted&old.Bounding
	if effective && f.caps.Permitted&^n.Permitted != 0 {
		return nil, false, linux.EPERM // the program could not know that it lacks some
	}
	if n.Securebits&linux.SECBIT_NOROOT == 0 {
		// A set-user-ID-root file that has capabilities gives those alone.
		if suidRoot := n.EUID == root && n.RUID != root; !f.hasCaps || !suidRoot {
			if n.EUID == root || n.RUID == root {
				n.Permitted = old.Bounding | old.Inheritable
			}
			effective = effective || n.EUID == root
		}
	}
	setid := n.EUID != old.RUID || n.EGID != old.RGID
	if (setid || n.Permitted&^old.Permitted != 0) && (old.NoNewPrivs || shared) {
		if old.NoNewPrivs || !old.HasCap(auth.CapSetuid) {
			n.EUID, n.EGID = n.RUID, n.RGID
		}
		n.Permitted &= old.Permitted
	}
	n.SUID, n.FSUID = n.EUID, n.EUID
	n.SGID, n.FSGID = n.EGID, n.EGID
	if f.hasCaps || setid {
		n.Ambient = 0
	}
	n.Permitted |= n.Ambient
	n.Effective = n.Ambient
	if effective {
		n.Effective = n.Permitted
	}
	n.Securebits &^= linux.SECBIT_KEEP_CAPS
	secure = setid || n.RUID != root && (effective || n.Permitted&^n.Ambient != 0)
	return n, secure, nil
}

// readFileCaps reads the extended attribute security.capability. A malformed one
// is EINVAL, as on Linux; none, or one for another user namespace, is none.
func readFileCaps(t *Task, p vfs.Path) (c vfs.FileCaps, has bool, err error) {
	x, ok := p.Inode().(vfs.Xattr)
	if !ok {
		return c, false, nil
	}
	b, err := x.GetXattr(t, linux.XATTR_CAPS)
	if err != nil || len(b) == 0 {
		return c, false, nil
	}
	c, err = vfs.ParseFileCaps(b, p.Mount().Filesystem().UserNS())
	if err != nil || !c.HoldsIn(t.Creds().UserNS) {
		return vfs.FileCaps{}, false, err
	}
	return c, true, nil
}
