// Package memfd is files that live in memory without a name: memfd_create(2). They are
// files of a tmpfs that is mounted nowhere; what they can do more is be sealed.
package memfd

import (
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// maxName is what is left of NAME_MAX after the prefix.
const maxName = linux.NAME_MAX - len("memfd:")

// Files makes memfds. It is made once, at boot.
type Files struct{ mnt *vfs.Private }

// New keeps its files in fs, a tmpfs without a limit. fs stays the caller's.
func New(s *vfs.System, fs *vfs.Filesystem) *Files { return &Files{s.NewPrivate(fs)} }

// Create is memfd_create(2): EINVAL. Huge pages are not there: ENODEV.
func (f *Files) Create(c vfs.Ctx, name string, flags uint32) (*vfs.FileDescription, error) {
	const known = linux.MFD_CLOEXEC | linux.MFD_ALLOW_SEALING | linux.MFD_NOEXEC_SEAL | linux.MFD_EXEC
	switch {
	case flags&linux.MFD_HUGETLB != 0:
		return nil, linux.ENODEV
	case flags&^known != 0 || len(name) > maxName || flags&linux.MFD_EXEC != 0 && flags&linux.MFD_NOEXEC_SEAL != 0:
		return nil, linux.EINVAL
	}
	mode, seals := linux.S_IFREG|0o777, uint32(linux.F_SEAL_SEAL)
	if flags&linux.MFD_ALLOW_SEALING != 0 {
		seals = 0
	}
	if flags&linux.MFD_NOEXEC_SEAL != 0 {
		mode, seals = linux.S_IFREG|0o666, linux.F_SEAL_EXEC
	}
	return f.make(c, "/memfd:"+name+" (deleted)", mode, seals)
}

// Shared is a file of n bytes for shared anonymous memory that wants an inode: mmap(2)
// with MAP_SHARED|MAP_ANONYMOUS, shmget(2). name is what /proc/pid/maps shows.
func (f *Files) Shared(c vfs.Ctx, name string, n int64) (*vfs.FileDescription, error) {
	d, err := f.make(c, name, linux.S_IFREG|0o777, linux.F_SEAL_SEAL)
	if err != nil {
		return nil, err
	}
	if err := d.Inode().SetAttr(c, &vfs.Attr{Size: n}, vfs.SetSize); err != nil {
		d.Release(c)
		return nil, err
	}
	return d, nil
}

func (f *Files) make(c vfs.Ctx, name string, mode linux.FileMode, seals uint32) (*vfs.FileDescription, error) {
	root := f.mnt.Root()
	defer root.Drop()
	cr := c.Creds()
	node, err := root.Inode().(vfs.TempMaker).MakeTemp(c, &vfs.MakeSpec{Mode: mode, UID: cr.FSUID, GID: cr.FSGID})
	if err != nil {
		return nil, err
	}
	node.(vfs.Sealer).SetSeals(seals)
	return f.mnt.Open(c, node, name, linux.O_RDWR|linux.O_LARGEFILE)
}
