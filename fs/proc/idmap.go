package proc

import (
	"bytes"
	"strings"

	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// An idFile is an open /proc/pid/uid_map and its like: of the user namespace that the
// process was in when it was opened, with the rights of who opened it.
type idFile struct {
	ns     *auth.UserNamespace
	opener *auth.Creds
	show   func(f *idFile, w *bytes.Buffer)
	store  func(f *idFile, c vfs.Ctx, data string) error
	limit  int // bytes of one write, and one more
}

// Read implements vfs.File.
func (f *idFile) Read(_ vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	var w bytes.Buffer
	f.show(f, &w)
	if off >= int64(w.Len()) {
		return 0, nil
	}
	n, err := dst.CopyOut(w.Bytes()[off:])
	if n > 0 {
		err = nil
	}
	return int64(n), err
}

// Write implements vfs.File: all in one, at the beginning.
func (f *idFile) Write(c vfs.Ctx, src usermem.Seq, off int64) (int64, error) {
	if off != 0 || src.Len() >= int64(f.limit) {
		return 0, linux.EINVAL
	}
	data := make([]byte, src.Len())
	if _, err := src.CopyIn(data); err != nil {
		return 0, err
	}
	if err := f.store(f, c, string(data)); err != nil {
		return 0, err
	}
	return int64(len(data)), nil
}

// Close implements vfs.File.
func (*idFile) Close(vfs.Ctx) {}

// openIDMap opens uid_map, gid_map or projid_map.
func openIDMap(k auth.MapKind) func(*process, vfs.Ctx, linux.OpenFlags) (vfs.File, error) {
	return func(p *process, c vfs.Ctx, _ linux.OpenFlags) (vfs.File, error) {
		return &idFile{
			ns: p.task().Creds().UserNS, opener: c.Creds(), limit: arch.PageSize,
			show:  func(f *idFile, w *bytes.Buffer) { f.ns.ShowMap(w, k, f.opener.UserNS) },
			store: func(f *idFile, c vfs.Ctx, data string) error { return f.setMap(c, k, data) },
		}, nil
	}
}

// setMap maps ids, once: user_namespaces(7), "Defining user and group ID mappings".
// EPERM, EINVAL.
func (f *idFile) setMap(c vfs.Ctx, k auth.MapKind, data string) error {
	ns := f.ns
	switch {
	case ns.First(), !f.opener.UserNS.Same(ns) && !f.opener.UserNS.Same(ns.Parent):
		return linux.EPERM
	case ns.Mapped(k), k != auth.ProjectMap && !f.opener.HasCapIn(ns, auth.CapSysAdmin):
		return linux.EPERM
	}
	es, ok := auth.ParseExtents(data)
	if !ok {
		return linux.EINVAL
	}
	if !ns.MayMap(k, es, f.opener, c.Creds()) || !ns.SetMap(k, es) {
		return linux.EPERM
	}
	return nil
}

// openSetgroups opens setgroups: EACCES for a writer who is not privileged.
func openSetgroups(p *process, c vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	ns := p.task().Creds().UserNS
	if flags.Writable() && !c.Creds().HasCapIn(ns, auth.CapSysAdmin) {
		return nil, linux.EACCES
	}
	return &idFile{
		ns: ns, opener: c.Creds(), limit: 8,
		show: func(f *idFile, w *bytes.Buffer) {
			if f.ns.SetgroupsAllowed() {
				w.WriteString("allow\n")
			} else {
				w.WriteString("deny\n")
			}
		},
		store: func(f *idFile, _ vfs.Ctx, data string) error {
			s, _, _ := strings.Cut(data, "\x00")
			s = strings.TrimRight(s, " \t\n\v\f\r")
			if s != "allow" && s != "deny" {
				return linux.EINVAL
			}
			if !f.ns.SetSetgroups(s == "allow") {
				return linux.EPERM
			}
			return nil
		},
	}, nil
}
