package overlay

import (
	"strings"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// raise makes sure that n is in the upper layer, with the first size bytes of its
// contents (all if negative): EROFS if there is no upper layer, and what goes wrong
// there (ENOSPC).
func (n *node) raise(c vfs.Ctx, size int64) error {
	if n.up() != nil {
		return nil
	}
	if n.fs.Upper == nil {
		return linux.EROFS
	}
	for {
		n.copyUp.Lock()
		p := n.parent
		if n.up() != nil || n.nameless || p.up() != nil {
			break
		}
		p.Hold()
		n.copyUp.Unlock()
		err := p.raise(c, -1)
		p.Drop()
		if err != nil {
			return err
		}
	}
	defer n.copyUp.Unlock()
	if n.up() != nil {
		return nil
	}
	return n.copyLocked(c, size)
}

// copyLocked copies n up; its parent is there.
func (n *node) copyLocked(c vfs.Ctx, size int64) error {
	from := n.lower[0].Inode
	a, err := from.Attr(c)
	if err != nil {
		return err
	}
	spec := &vfs.MakeSpec{Mode: a.Mode, UID: a.UID, GID: a.GID, Rdev: a.Rdev}
	if n.kind == linux.S_IFLNK {
		if spec.Target, err = n.Readlink(c); err != nil {
			return err
		}
	}
	defer n.keepTimes(c)()
	var u vfs.Inode
	if n.kind == linux.S_IFREG {
		u, err = n.copyFile(c, from, spec, size)
	} else if n.nameless {
		return linux.EROFS // a nameless directory or device: nothing hangs on it
	} else {
		u, err = n.parent.makeUpper(c, n.name, spec)
		if err == nil {
			err = n.likeLower(c, from, u, &a)
		}
	}
	if err != nil {
		return err
	}
	if ua, err := u.Attr(c); err == nil {
		n.fs.mu.Lock()
		n.fs.inos[ua.Ino] = n.ino
		n.fs.mu.Unlock()
	}
	n.alias(u)
	n.setUpper(u)
	if !n.nameless {
		n.parent.changed(n.name)
	}
	return nil
}

// keepTimes returns what undoes what copying n up does to the times of its directory:
// nothing has changed there as far as anybody can see.
func (n *node) keepTimes(c vfs.Ctx) func() {
	if n.nameless {
		return func() {}
	}
	dir := n.parent.up()
	a, err := dir.Attr(c)
	return func() {
		if err == nil {
			_ = dir.SetAttr(c, &a, vfs.SetAtime|vfs.SetMtime)
		}
	}
}

// makeUpper makes a file that has no contents in the upper directory.
func (n *node) makeUpper(c vfs.Ctx, name string, s *vfs.MakeSpec) (vfs.Inode, error) {
	m, ok := n.up().(vfs.Maker)
	if !ok {
		return nil, linux.EROFS
	}
	return m.Make(c, name, s)
}

// copyFile copies a regular file: without a name until it is whole.
func (n *node) copyFile(c vfs.Ctx, from vfs.Inode, s *vfs.MakeSpec, size int64) (vfs.Inode, error) {
	home := n.fs.Upper
	if !n.nameless {
		home = n.parent.up()
	}
	t, temp := home.(vfs.TempMaker)
	l, link := home.(vfs.Linker)
	var u vfs.Inode
	var err error
	switch {
	case temp && (link || n.nameless):
		u, err = t.MakeTemp(c, s)
	case n.nameless:
		return nil, linux.EROFS
	default:
		u, err = n.parent.makeUpper(c, n.name, s)
		link = false
	}
	if err != nil {
		return nil, err
	}
	a, err := from.Attr(c)
	if err == nil {
		err = copyData(c, from, u, &a, size)
	}
	if err == nil {
		err = n.likeLower(c, from, u, &a)
	}
	if err == nil && link && !n.nameless {
		err = l.Link(c, n.name, u)
	}
	if err != nil {
		if !temp || !link {
			if r, ok := home.(vfs.Remover); ok && !n.nameless {
				r.Remove(c, n.name, u, false)
			}
		}
		drop(u)
		return nil, err
	}
	return u, nil
}

// copyChunk is how much is copied at a time.
const copyChunk = 256 << 10

// copyData copies the first size bytes (all if negative), but no holes.
func copyData(c vfs.Ctx, from, to vfs.Inode, a *vfs.Attr, size int64) error {
	if size < 0 || size > a.Size {
		size = a.Size
	}
	if size == 0 {
		return nil
	}
	src, err := from.Open(c, linux.O_RDONLY)
	if err != nil {
		return err
	}
	defer src.Close(c)
	dst, err := to.Open(c, linux.O_RDWR)
	if err != nil {
		return err
	}
	defer dst.Close(c)
	seek, _ := src.(vfs.Seeker)
	buf := make([]byte, min(size, copyChunk))
	end := int64(0) // of the data seen so far
	for off := int64(0); off < size; {
		if vfs.Killed(c) {
			return linux.EINTR
		}
		if seek != nil && off >= end {
			if off, end, err = extent(c, seek, off, size); err != nil {
				return err
			}
			if off >= size {
				break
			}
		}
		b := buf[:min(int64(len(buf)), size-off)]
		if seek != nil {
			b = b[:min(int64(len(b)), end-off)]
		}
		n, err := src.Read(c, usermem.FromBytes(b), off)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if err := writeAll(c, dst, b[:n], off); err != nil {
			return err
		}
		off += n
	}
	if ta, err := to.Attr(c); err != nil || ta.Size >= size {
		return err
	}
	return to.SetAttr(c, &vfs.Attr{Size: size}, vfs.SetSize)
}

// extent is the next data from off on.
func extent(c vfs.Ctx, s vfs.Seeker, off, size int64) (start, end int64, err error) {
	start, err = s.Seek(c, off, off, linux.SEEK_DATA)
	switch err {
	case nil:
	case linux.ENXIO:
		return size, size, nil
	default:
		return off, size, nil // it can't tell
	}
	if end, err = s.Seek(c, start, start, linux.SEEK_HOLE); err != nil || end <= start {
		end = size
	}
	return start, end, nil
}

func writeAll(c vfs.Ctx, f vfs.File, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := f.Write(c, usermem.FromBytes(b), off)
		if err != nil {
			return err
		}
		if n == 0 {
			return linux.EIO
		}
		b, off = b[n:], off+n
	}
	return nil
}

// likeLower gives u what else from has: set-id bits, extended attributes, times.
func (n *node) likeLower(c vfs.Ctx, from, u vfs.Inode, a *vfs.Attr) error {
	if x, ok := from.(vfs.Xattr); ok {
		if y, ok := u.(vfs.Xattr); ok {
			copyXattrs(c, x, y)
		}
	}
	if x, ok := u.(vfs.ACLer); ok && n.kind != linux.S_IFLNK {
		copyACLs(c, from, x, a)
	}
	mask := vfs.SetAtime | vfs.SetMtime
	if ua, err := u.Attr(c); err == nil && n.kind != linux.S_IFLNK && ua.Mode.Perm() != a.Mode.Perm() {
		mask |= vfs.SetMode
	}
	return u.SetAttr(c, a, mask)
}

// copyXattrs copies what the upper layer can hold.
func copyXattrs(c vfs.Ctx, from, to vfs.Xattr) {
	names, err := from.ListXattr(c)
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasPrefix(name, linux.XATTR_SYSTEM_PREFIX) {
			continue // a list: copyACLs
		}
		if v, err := from.GetXattr(c, name); err == nil && name != xattrOpaque {
			_ = to.SetXattr(c, name, v, 0)
		}
	}
}

// copyACLs copies the lists of a file with attributes a.
func copyACLs(c vfs.Ctx, from vfs.Inode, to vfs.ACLer, a *vfs.Attr) {
	x, ok := from.(vfs.ACLer)
	if !ok {
		return
	}
	for kind := range vfs.ACLKinds {
		if kind == vfs.DefaultACL && !a.Mode.IsDir() {
			continue
		}
		if acl, err := x.ACL(c, kind); err == nil && acl != nil {
			_ = to.SetACL(c, kind, acl, a.Mode)
		}
	}
}
