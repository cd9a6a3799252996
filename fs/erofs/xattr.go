package erofs

import (
	"encoding/binary"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// xattrHeader is the length of what is before a file's extended attributes: how many it
// shares with others, at byte 4.
const xattrHeader = 12

// prefixes are what names begin with, by number.
var prefixes = [...]string{1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security."}

// eachXattr calls f for each of the file's attributes until it returns false.
func (f *file) eachXattr(c vfs.Ctx, see func(name string, value []byte) bool) error {
	if !f.hasXattrs() {
		return nil
	}
	b, err := f.m.read(c, f.xattrs, f.tail-f.xattrs)
	if err != nil {
		return err
	}
	shared := int(b[4])
	b = b[xattrHeader:]
	if shared*4 > len(b) {
		return linux.EUCLEAN
	}
	for i := range shared {
		more, err := f.sharedXattr(c, binary.LittleEndian.Uint32(b[4*i:]), see)
		if err != nil || !more {
			return err
		}
	}
	for b = b[4*shared:]; len(b) >= entrySize; {
		name, value, n, err := parseXattr(b)
		if err != nil || name != "" && !see(name, value) {
			return err
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// sharedXattr is eachXattr for one that several files have.
func (f *file) sharedXattr(c vfs.Ctx, id uint32, see func(string, []byte) bool) (more bool, err error) {
	at := f.m.super.xattrs + uint64(id)*4
	head, err := f.m.read(c, at, entrySize)
	if err != nil {
		return false, err
	}
	b, err := f.m.read(c, at, uint64(entryLen(head)))
	if err != nil {
		return false, err
	}
	name, value, _, err := parseXattr(b)
	if err != nil {
		return false, err
	}
	return name == "" || see(name, value), nil
}

// An entry is: length of the name u8, number of the prefix u8, length of the value u16.
const entrySize = 4

func entryLen(b []byte) int { return entrySize + int(b[0]) + int(binary.LittleEndian.Uint16(b[2:])) }

// parseXattr is the attribute at the start of b, and its length there; no name is one
// that is not known.
func parseXattr(b []byte) (name string, value []byte, n int, err error) {
	n = entryLen(b)
	if n > len(b) {
		return "", nil, 0, linux.EUCLEAN
	}
	end := entrySize + int(b[0])
	if p := int(b[1]); p < len(prefixes) && prefixes[p] != "" {
		name = prefixes[p] + string(b[entrySize:end])
	}
	return name, b[end:n], n, nil
}

// GetXattr implements vfs.Xattr.
func (f *file) GetXattr(c vfs.Ctx, name string) (value []byte, err error) {
	found := false
	err = f.eachXattr(c, func(n string, v []byte) bool {
		if found = n == name; found {
			value = v
		}
		return !found
	})
	if err == nil && !found {
		err = linux.ENODATA
	}
	return value, err
}

// ListXattr implements vfs.Xattr.
func (f *file) ListXattr(c vfs.Ctx) (names []string, err error) {
	err = f.eachXattr(c, func(n string, _ []byte) bool { names = append(names, n); return true })
	return names, err
}

// SetXattr implements vfs.Xattr.
func (*file) SetXattr(vfs.Ctx, string, []byte, int) error { return linux.EROFS }

// RemoveXattr implements vfs.Xattr.
func (*file) RemoveXattr(vfs.Ctx, string) error { return linux.EROFS }

// ACL implements vfs.ACLer.
func (f *file) ACL(c vfs.Ctx, kind vfs.ACLKind) (vfs.ACL, error) {
	b, err := f.GetXattr(c, kind.Name())
	if err == linux.ENODATA {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return vfs.DecodeACL(b)
}

// SetACL implements vfs.ACLer.
func (*file) SetACL(vfs.Ctx, vfs.ACLKind, vfs.ACL, linux.FileMode) error { return linux.EROFS }
