package kernel

import (
	"testing"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

func caps(cs ...auth.Cap) (s auth.Caps) {
	for _, c := range cs {
		s |= 1 << c
	}
	return s
}

func TestTransform(t *testing.T) {
	user := auth.Creds{RUID: 1000, EUID: 1000, SUID: 1000, FSUID: 1000, RGID: 100, EGID: 100, SGID: 100, FSGID: 100, Bounding: auth.AllCaps}
	root := auth.Creds{Permitted: auth.AllCaps, Effective: auth.AllCaps, Bounding: auth.AllCaps}
	with := func(c auth.Creds, f func(*auth.Creds)) *auth.Creds { f(&c); return &c }
	suid := programFileInfo{mode: linux.S_IFREG | linux.S_ISUID | 0o755}
	chown, kill := caps(auth.CapChown), caps(auth.CapKill)
	for name, c := range map[string]struct {
		old    *auth.Creds
		file   programFileInfo
		shared bool
		euid   uint32
		perm   auth.Caps
		eff    auth.Caps
		secure bool
		err    error
	}{
		"plain":         {old: &user, euid: 1000},
		"root":          {old: &root, perm: auth.AllCaps, eff: auth.AllCaps},
		"set-user-ID":   {old: &user, file: suid, perm: auth.AllCaps, eff: auth.AllCaps, secure: true},
		"nosuid":        {old: &user, file: programFileInfo{mode: suid.mode, nosuid: true}, euid: 1000},
		"no_new_privs":  {old: with(user, func(c *auth.Creds) { c.NoNewPrivs = true }), file: suid, euid: 1000},
		"shared fs":     {old: &user, file: suid, shared: true, euid: 1000, secure: true},
		"root, bounded": {old: with(root, func(c *auth.Creds) { c.Bounding = chown }), perm: chown, eff: chown},
		"root, no gain": {old: with(root, func(c *auth.Creds) {
			c.Permitted, c.Effective, c.Bounding, c.NoNewPrivs = chown, chown, chown|kill, true
		}), perm: chown, eff: chown},
		"file caps":      {old: &user, file: programFileInfo{caps: vfs.FileCaps{Permitted: kill, Effective: true}, hasCaps: true}, euid: 1000, perm: kill, eff: kill, secure: true},
		"caps, inactive": {old: &user, file: programFileInfo{caps: vfs.FileCaps{Permitted: kill}, hasCaps: true}, euid: 1000, perm: kill, secure: true},
		"caps, lacking":  {old: with(user, func(c *auth.Creds) { c.Bounding = chown }), file: programFileInfo{caps: vfs.FileCaps{Permitted: kill, Effective: true}, hasCaps: true}, err: linux.EPERM},
		"inherited":      {old: with(user, func(c *auth.Creds) { c.Inheritable = kill }), file: programFileInfo{caps: vfs.FileCaps{Inheritable: kill | chown}, hasCaps: true}, euid: 1000, perm: kill, secure: true},
		"ambient":        {old: with(user, func(c *auth.Creds) { c.Inheritable, c.Permitted, c.Ambient = kill, kill, kill }), euid: 1000, perm: kill, eff: kill},
		"ambient, suid":  {old: with(user, func(c *auth.Creds) { c.Inheritable, c.Permitted, c.Ambient = kill, kill, kill }), file: programFileInfo{mode: suid.mode, uid: 5}, euid: 5, secure: true},
		"noroot":         {old: with(root, func(c *auth.Creds) { c.Securebits = linux.SECBIT_NOROOT })},
	} {
		n, secure, err := transform(c.old, &c.file, c.shared)
		if err != c.err {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		if n.EUID != c.euid || n.SUID != c.euid || n.Permitted != c.perm || n.Effective != c.eff || secure != c.secure {
			t.Errorf("%s: euid %d, permitted %x, effective %x, secure %v", name, n.EUID, n.Permitted, n.Effective, secure)
		}
	}
}

func TestParseFileCaps(t *testing.T) {
	v2 := []byte{1, 0, 0, 2, 0x20, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}
	c, err := vfs.ParseFileCaps(v2, nil)
	if err != nil || c.Permitted != 0x20|2<<32 || c.Inheritable != 1 || !c.Effective {
		t.Fatal(c, err)
	}
	for _, bad := range [][]byte{{}, v2[:19], append([]byte{1, 0, 0, 9}, v2[4:]...)} {
		if _, err := vfs.ParseFileCaps(bad, nil); err != linux.EINVAL {
			t.Error(bad, err)
		}
	}
}
