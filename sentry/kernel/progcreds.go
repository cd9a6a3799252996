package kernel

import (
	"encoding/binary"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// fileCaps is a file's capabilities, capabilities(7).
type fileCaps struct {
	permitted, inheritable auth.Caps
	effective              bool
}

// A programFileInfo is what of a program's file decides on credentials.
type programFileInfo struct {
	mode     linux.FileMode
	uid, gid uint32
	caps     fileCaps
	hasCaps  bool
	nosuid   bool // its mount gives nobody rights
}

// programCreds decides the credentials with which the program in d is to run.
func (t *Task) programCreds(l *loaded, d *vfs.FileDescription) error {
	p := d.Path()
	a, err := p.Attr(t)
	if err != nil {
		return err
	}
	f := programFileInfo{mode: a.Mode, uid: a.UID, gid: a.GID, nosuid: p.Mount().Flags()&linux.MS_NOSUID != 0}
	if !f.nosuid {
		if f.caps, f.hasCaps, err = readFileCaps(t, p); err != nil {
			return err
		}
	}
	l.hidden = p.Permit(t, vfs.MayRead) != nil
	old := t.Creds()
	// Who shares its root and working directory with others can be made to run
	// something else than meant (LSM_UNSAFE_SHARE).
	// Nor may a tracer get hold of rights that it has not (LSM_UNSAFE_PTRACE).
	shared := t.fs.Load().Users() > max(t.tg.Threads(), 1) || t.untrustedTracer()
	if l.creds, l.secure, err = transform(old, &f, shared); err != nil {
		return err
	}
	n := l.creds
	l.suid = n.EUID != old.EUID || n.EGID != old.EGID || n.FSUID != old.FSUID || n.FSGID != old.FSGID ||
		n.Permitted&^old.Permitted != 0
	return nil
}

// transform is what execve(2) of f makes of credentials, and whether the program
// must be careful (AT_SECURE): capabilities(7), "Transformation of capabilities
// during execve()". EPERM for a program that would lack what its file says it
// needs.
func transform(old *auth.Creds, f *programFileInfo, shared bool) (n *auth.Creds, secure bool, err error) {
	n = old.Clone()
	if !f.nosuid && !old.NoNewPrivs {
		if f.mode&linux.S_ISUID != 0 {
			n.EUID = f.uid
		}
		// Set-group-ID without group execution meant mandatory locking once.
		if f.mode&(linux.S_ISGID|0o010) == linux.S_ISGID|0o010 {
			n.EGID = f.gid
		}
	}
	effective := f.caps.effective
	n.Permitted = old.Inheritable&f.caps.inheritable | f.caps.permitted&old.Bounding
	if effective && f.caps.permitted&^n.Permitted != 0 {
		return nil, false, linux.EPERM // the program could not know that it lacks some
	}
	if n.Securebits&linux.SECBIT_NOROOT == 0 {
		// A set-user-ID-root file that has capabilities gives those alone.
		if suidRoot := n.EUID == 0 && n.RUID != 0; !f.hasCaps || !suidRoot {
			if n.EUID == 0 || n.RUID == 0 {
				n.Permitted = old.Bounding | old.Inheritable
			}
			effective = effective || n.EUID == 0
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
	secure = setid || n.RUID != 0 && (effective || n.Permitted&^n.Ambient != 0)
	return n, secure, nil
}

// readFileCaps reads the extended attribute security.capability. A malformed one
// is EINVAL, as on Linux; none is none.
func readFileCaps(t *Task, p vfs.Path) (c fileCaps, has bool, err error) {
	x, ok := p.Inode().(vfs.Xattr)
	if !ok {
		return c, false, nil
	}
	b, err := x.GetXattr(t, "security.capability")
	if err != nil || len(b) == 0 {
		return c, false, nil
	}
	c, err = parseFileCaps(b)
	return c, c != fileCaps{}, err
}

// Layout of the attribute, <linux/capability.h>.
const (
	vfsCapRevision2 = 0x02000000
	vfsCapRevision3 = 0x03000000
	vfsCapMask      = 0xff000000
	vfsCapEffective = 1
)

func parseFileCaps(b []byte) (c fileCaps, err error) {
	if len(b) < 4 {
		return c, linux.EINVAL
	}
	magic := binary.LittleEndian.Uint32(b)
	switch {
	case magic&vfsCapMask == vfsCapRevision2 && len(b) == 20:
	case magic&vfsCapMask == vfsCapRevision3 && len(b) == 24:
		if binary.LittleEndian.Uint32(b[20:]) != 0 {
			return c, nil // for the root of another user namespace
		}
	default:
		return c, linux.EINVAL
	}
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(b[4*i:])) }
	c.permitted = auth.Caps(word(1)|word(3)<<32) & auth.AllCaps
	c.inheritable = auth.Caps(word(2)|word(4)<<32) & auth.AllCaps
	c.effective = magic&vfsCapEffective != 0
	return c, nil
}
