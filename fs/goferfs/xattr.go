package goferfs

import (
	"strings"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// served reports whether the gofer serves the attribute; if not, err is what Linux
// says of a namespace that has none (read), or that the caller may not write.
func served(name string, write bool) error {
	switch {
	case strings.HasPrefix(name, linux.XATTR_USER_PREFIX), name == linux.XATTR_CAPS,
		name == linux.XATTR_POSIX_ACL_ACCESS, name == linux.XATTR_POSIX_ACL_DEFAULT:
		return nil
	case strings.HasPrefix(name, linux.XATTR_SECURITY_PREFIX), strings.HasPrefix(name, linux.XATTR_TRUSTED_PREFIX):
		if write {
			return linux.EPERM
		}
		return linux.ENODATA
	}
	return linux.EOPNOTSUPP
}

// noXattrs reports whether it is known that the file has no extended attributes, as
// most have none, and exec asks of each whether it carries capabilities.
func (n *node) noXattrs(c vfs.Ctx) bool {
	if n.fs.shared {
		return false
	}
	n.mu.Lock()
	bare, ver := n.bare, n.ver
	n.mu.Unlock()
	if bare {
		return true
	}
	names, err := n.ListXattr(c)
	if err != nil || len(names) > 0 {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bare = n.ver == ver // else one may have been set meanwhile
	return n.bare
}

// GetXattr implements vfs.Xattr.
func (n *node) GetXattr(c vfs.Ctx, name string) ([]byte, error) {
	if err := served(name, false); err != nil {
		return nil, err
	}
	if n.noXattrs(c) {
		return nil, linux.ENODATA
	}
	var r wire.XattrResp
	if err := n.fs.call(c, &wire.GetxattrReq{ID: n.id, Name: name}, &r, nil); err != nil {
		return nil, err
	}
	return r.Value, nil
}

// SetXattr implements vfs.Xattr.
func (n *node) SetXattr(c vfs.Ctx, name string, value []byte, flags int) error {
	n.marked.Store(true)
	return n.changeXattr(c, name, &wire.SetxattrReq{ID: n.id, Name: name, Value: value, Flags: uint32(flags)})
}

// RemoveXattr implements vfs.Xattr.
func (n *node) RemoveXattr(c vfs.Ctx, name string) error {
	if name == linux.XATTR_CAPS && n.made.Load() && !n.marked.Load() && !n.ask.Load() && !n.fs.shared {
		return linux.ENODATA // as each first write to a program finds
	}
	return n.changeXattr(c, name, &wire.RemovexattrReq{ID: n.id, Name: name})
}

func (n *node) changeXattr(c vfs.Ctx, name string, q wire.Request) error {
	if n.fs.readOnly {
		return linux.EROFS
	}
	if err := served(name, true); err != nil {
		return err
	}
	ver := n.version()
	var r wire.AttrResp
	if err := n.fs.call(c, q, &r, nil); err != nil {
		return err
	}
	n.mu.Lock()
	n.bare, n.acls = false, nil
	if n.storeLocked(&r.Attr, ver) {
		n.ver++ // what was asked for before is not kept
	}
	n.mu.Unlock()
	return n.copiedUp(c)
}

// ListXattr implements vfs.Xattr.
func (n *node) ListXattr(c vfs.Ctx) ([]string, error) {
	n.mu.Lock()
	bare := n.bare
	n.mu.Unlock()
	if bare && !n.fs.shared {
		return nil, nil
	}
	var r wire.ListxattrResp
	if err := n.fs.call(c, &wire.ListxattrReq{ID: n.id}, &r, nil); err != nil {
		return nil, err
	}
	return r.Names, nil
}
