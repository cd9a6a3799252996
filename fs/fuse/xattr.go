package fuse

import (
	"strings"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// maxXattr is how long a value, or a list of names, can be (XATTR_SIZE_MAX).
const maxXattr = 64 << 10

// xattr asks the server about attributes. EOPNOTSUPP if it knows none.
func (i *inode) xattr(c vfs.Ctx, r *request) ([]byte, error) {
	if !i.m.admits(c) {
		return nil, linux.EACCES
	}
	op := r.header.Op
	if !i.m.has(op) {
		return nil, linux.EOPNOTSUPP
	}
	b, err := i.m.call(c, r)
	if i.m.lacks(op, err) {
		return nil, linux.EOPNOTSUPP
	}
	return b, err
}

// GetXattr implements vfs.Xattr.
func (i *inode) GetXattr(c vfs.Ctx, s string) ([]byte, error) {
	r := ask(linux.FUSE_GETXATTR, i.id, raw(linux.FuseGetxattrIn{Size: maxXattr}), name(s))
	r.extra = maxXattr
	return i.xattr(c, r)
}

// ListXattr implements vfs.Xattr. A list that is no list is EIO.
func (i *inode) ListXattr(c vfs.Ctx) ([]string, error) {
	r := ask(linux.FUSE_LISTXATTR, i.id, raw(linux.FuseGetxattrIn{Size: maxXattr}))
	r.extra = maxXattr
	b, err := i.xattr(c, r)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	text, ended := strings.CutSuffix(string(b), "\x00")
	names := strings.Split(text, "\x00")
	for _, n := range names {
		if n == "" || !ended {
			return nil, linux.EIO
		}
	}
	return names, nil
}

// SetXattr implements vfs.Xattr.
func (i *inode) SetXattr(c vfs.Ctx, s string, value []byte, flags int) error {
	in := raw(linux.FuseSetxattrIn{Size: uint32(len(value)), Flags: uint32(flags)})
	_, err := i.xattr(c, ask(linux.FUSE_SETXATTR, i.id, in, name(s), value))
	if err == nil {
		i.expire()
	}
	return err
}

// RemoveXattr implements vfs.Xattr.
func (i *inode) RemoveXattr(c vfs.Ctx, s string) error {
	_, err := i.xattr(c, ask(linux.FUSE_REMOVEXATTR, i.id, name(s)))
	if err == nil {
		i.expire()
	}
	return err
}
