package tmpfs

import (
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// ACL implements vfs.ACLer.
func (i *inode) ACL(_ vfs.Ctx, kind vfs.ACLKind) (vfs.ACL, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.acls[kind], nil
}

// SetACL implements vfs.ACLer.
func (i *inode) SetACL(c vfs.Ctx, kind vfs.ACLKind, acl vfs.ACL, mode linux.FileMode) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.acls[kind] = acl
	if kind == vfs.AccessACL {
		i.attr.Set(&vfs.Attr{Mode: mode}, vfs.SetMode)
	}
	i.attr.Ctime = c.Now()
	return nil
}

// setLocked sets attributes other than the size.
func (i *inode) setLocked(c vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) {
	i.attr.Set(a, mask)
	if acl := i.acls[vfs.AccessACL]; acl != nil && mask&vfs.SetMode != 0 {
		i.acls[vfs.AccessACL] = acl.Chmod(a.Mode)
	}
	i.attr.Ctime = c.Now()
}
