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

// programCreds decides the credentials with which the program in d is to run:
// capabilities(7), "Transformation of capabilities during execve()".
func (t *Task) programCreds(l *loaded, d *vfs.FileDescription) error {
	old := t.Creds()
	n := old.Clone()
	p := d.Path()
	a, err := p.Attr(t)
	if err != nil {
		return err
	}
	l.hidden = p.Permit(t, vfs.MayRead) != nil
	mayGain := !old.NoNewPrivs && p.Mount().Flags()&linux.MS_NOSUID == 0
	setid := false
	var fc fileCaps
	if mayGain {
		if a.Mode&linux.S_ISUID != 0 {
			n.EUID, setid = a.UID, true
		}
		// Set-group-ID without group execution meant mandatory locking once.
		if a.Mode&(linux.S_ISGID|0o010) == linux.S_ISGID|0o010 {
			n.EGID, setid = a.GID, true
		}
		if fc, err = readFileCaps(t, p); err != nil {
			return err
		}
	}
	n.SUID, n.FSUID = n.EUID, n.EUID
	n.SGID, n.FSGID = n.EGID, n.EGID
	hasFileCaps := fc != fileCaps{}
	if n.Securebits&linux.SECBIT_NOROOT == 0 {
		// A set-user-ID-root file that has capabilities gives those alone.
		suidRoot := n.EUID == 0 && n.RUID != 0
		if !(hasFileCaps && suidRoot) {
			if n.EUID == 0 || n.RUID == 0 {
				fc.permitted, fc.inheritable = auth.AllCaps, auth.AllCaps
			}
			fc.effective = fc.effective || n.EUID == 0
		}
	}
	changed := n.EUID != old.EUID || n.EGID != old.EGID
	if setid && changed || hasFileCaps {
		n.Ambient = 0
	}
	perm := old.Inheritable&fc.inheritable | fc.permitted&old.Bounding
	if hasFileCaps && fc.effective && fc.permitted&^perm != 0 {
		return linux.EPERM // the program could not know that it lacks some
	}
	n.Permitted = perm | n.Ambient
	n.Effective = n.Ambient
	if fc.effective {
		n.Effective = n.Permitted
	}
	n.Securebits &^= linux.SECBIT_KEEP_CAPS
	l.creds = n
	l.suid = changed || n.Permitted&^old.Permitted != 0
	l.secure = n.EUID != n.RUID || n.EGID != n.RGID ||
		n.RUID != 0 && (fc.effective || n.Permitted&^n.Ambient != 0)
	return nil
}

// readFileCaps reads the extended attribute security.capability. A malformed one
// is EINVAL, as on Linux; none is none.
func readFileCaps(t *Task, p vfs.Path) (c fileCaps, err error) {
	x, ok := p.Inode().(vfs.Xattr)
	if !ok {
		return c, nil
	}
	b, err := x.GetXattr(t, "security.capability")
	if err != nil || len(b) == 0 {
		return c, nil
	}
	return parseFileCaps(b)
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
