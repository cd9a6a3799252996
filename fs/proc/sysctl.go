package proc

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"garrison/fs/pseudo"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// sysNode is /proc/sys, whose table is made when somebody first looks.
func sysNode(fs *FS, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
	p := fs.conf.Params
	p.once.Do(func() { p.table = sysTable() })
	return pseudo.NewDir(at, fs, pseudo.DirSpec[*FS]{Table: p.table, More: netParams{}})
}

// sysTable is the whole tree of parameters, but for a network's.
func sysTable() []rootEntry {
	var root []rootEntry
	for i := range params {
		x := &params[i]
		root = place(root, strings.Split(x.path, "/"), x.entry)
	}
	for path, e := range computed() {
		root = place(root, strings.Split(path, "/"), func(name string) rootEntry { e.Name = name; return e })
	}
	return root
}

// place puts the entry that mk makes at path below dir.
func place(dir []rootEntry, path []string, mk func(name string) rootEntry) []rootEntry {
	if len(path) == 1 {
		e := mk(path[0])
		if e.Allow == nil {
			e.Allow = allowRoot
		}
		return append(dir, e)
	}
	for i := range dir {
		if dir[i].Name == path[0] {
			dir[i].Table = place(dir[i].Table, path[1:], mk)
			return dir
		}
	}
	return append(dir, rootEntry{Name: path[0], Table: place(nil, path[1:], mk)})
}

// allowRoot judges access to a parameter by its mode and the caller's effective ids, in the
// first user namespace: capabilities open none.
func allowRoot(_ *FS, c vfs.Ctx, a vfs.Attr, want vfs.Access) error {
	cr, bits := c.Creds(), a.Mode.Perm()
	switch {
	case cr.EUID == 0:
		bits >>= 6
	case cr.EGID == 0 || slices.Contains(cr.Groups, 0):
		bits >>= 3
	}
	if want&^vfs.Access(bits) != 0 {
		return linux.EACCES
	}
	return nil
}

// computed is the parameters that are not just remembered.
func computed() map[string]rootEntry {
	return keyLimits(userLimits(map[string]rootEntry{
		"kernel/hostname":       {Mode: 0o644, Show: showHost, Store: storeHost},
		"kernel/domainname":     {Mode: 0o644, Show: showDomain, Store: storeDomain},
		"kernel/ostype":         {Show: static("Linux\n")},
		"kernel/osrelease":      {Show: func(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error { return line(w, fs.k.UTSRelease()) }},
		"kernel/version":        {Show: func(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error { return line(w, fs.k.UTSVersion()) }},
		"kernel/pid_max":        {Show: func(_ *FS, _ vfs.Ctx, w *bytes.Buffer) error { return line(w, kernel.PIDMax) }},
		"kernel/threads-max":    {Show: func(_ *FS, _ vfs.Ctx, w *bytes.Buffer) error { return line(w, kernel.PIDMax) }},
		"kernel/ns_last_pid":    {Show: func(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error { return line(w, fs.k.Stats().LastPID) }},
		"kernel/random/uuid":    {Show: func(_ *FS, _ vfs.Ctx, w *bytes.Buffer) error { return line(w, newUUID()) }},
		"kernel/random/boot_id": {Show: func(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error { return line(w, fs.conf.Params.bootID) }},
		"kernel/seccomp/actions_avail": {
			Show: static("kill_process kill_thread trap errno user_notif trace log allow\n"),
		},
		"fs/aio-nr":             {Show: func(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error { return line(w, fs.k.AIO.Nr()) }},
		"fs/aio-max-nr":         {Mode: 0o644, Show: func(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error { return line(w, fs.k.AIO.Max()) }, Store: storeAIOMax},
		"fs/file-nr":            {Show: static("0\t0\t9223372036854775807\n")},
		"vm/nr_hugepages":       {Mode: 0o644, Show: static("0\n"), Store: ignoreParam}, // as asked for, none to be had
		"vm/drop_caches":        {Mode: 0o200, Store: ignoreParam},
		"vm/compact_memory":     {Mode: 0o200, Store: ignoreParam},
		"fs/binfmt_misc/status": {Show: static("enabled\n")},
	}))
}

// storeAIOMax sets how many requests there may be: EINVAL.
func storeAIOMax(fs *FS, _ vfs.Ctx, data []byte) error {
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 0, 63)
	if err != nil {
		return linux.EINVAL
	}
	fs.k.AIO.SetMax(n)
	return nil
}

func line(w *bytes.Buffer, v any) error {
	fmt.Fprintln(w, v)
	return nil
}

func ignoreParam(*FS, vfs.Ctx, []byte) error { return nil }

// uts is the caller's names; nil for the kernel itself, which has none.
func (fs *FS) uts(c vfs.Ctx) *kernel.UTSNamespace {
	if t := caller(c); t != nil {
		return t.Namespaces().UTS
	}
	return nil
}

func showHost(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	if u := fs.uts(c); u != nil {
		host, _ := u.Names()
		return line(w, host)
	}
	return nil
}

func showDomain(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	if u := fs.uts(c); u != nil {
		_, domain := u.Names()
		return line(w, domain)
	}
	return nil
}

// utsNameMax is the longest name of a host (__NEW_UTS_LEN).
const utsNameMax = 64

// utsName is the name that data sets: EINVAL if it is too long. The file's mode has said
// who may, and no capability.
func (fs *FS) utsName(c vfs.Ctx, data []byte) (*kernel.UTSNamespace, string, error) {
	u := fs.uts(c)
	if u == nil {
		return nil, "", linux.EPERM
	}
	s, _, _ := strings.Cut(strings.TrimRight(string(data), "\x00"), "\n")
	if len(s) > utsNameMax {
		return nil, "", linux.EINVAL
	}
	return u, s, nil
}

func storeHost(fs *FS, c vfs.Ctx, data []byte) error {
	u, s, err := fs.utsName(c, data)
	if err == nil {
		u.SetHost(s)
	}
	return err
}

func storeDomain(fs *FS, c vfs.Ctx, data []byte) error {
	u, s, err := fs.utsName(c, data)
	if err == nil {
		u.SetDomain(s)
	}
	return err
}
