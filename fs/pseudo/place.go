package pseudo

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A FS is what the inodes of one mount share. It is never changed once used.
type FS struct {
	Magic   int64  // statfs's f_type
	Blksize uint32 // stat's st_blksize
	Size    int64  // stat's st_size of a file with content
	Options string // what /proc/mounts shows
	Time    linux.Timespec
}

// A Place is where an inode is: its filesystem and its number, which follows
// from its names all the way up, so that it is the same whenever it is looked up.
type Place struct {
	FS  *FS
	Ino uint64
}

// Root is the place of the filesystem's root.
func (fs *FS) Root() Place { return Place{fs, 1} }

// inoBits keeps inode numbers below 2^47: some readers hold them in a double.
const inoBits = 1<<47 - 1

// Child is the place of name in the directory at p.
func (p Place) Child(name string) Place {
	h := p.Ino*0x9e3779b97f4a7c15 + 0xcbf29ce484222325
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 32
	return Place{p.FS, max(h&inoBits, 2)}
}

// attr is the attributes of an inode at p.
func (p Place) attr(mode linux.FileMode, nlink uint32, uid, gid uint32) vfs.Attr {
	t := p.FS.Time
	a := vfs.Attr{
		Ino: p.Ino, Mode: mode, Nlink: nlink, UID: uid, GID: gid, Blksize: p.FS.Blksize,
		Atime: t, Mtime: t, Ctime: t,
	}
	if mode.IsRegular() {
		a.Size = p.FS.Size
	}
	return a
}

// Attr is the attributes of an inode at p that is no directory, for inodes made
// outside of this package.
func (p Place) Attr(mode linux.FileMode, uid, gid uint32) vfs.Attr { return p.attr(mode, 1, uid, gid) }

// statfs answers for the whole filesystem.
func (p Place) statfs() linux.Statfs {
	return linux.Statfs{Type: p.FS.Magic, Bsize: arch.PageSize, Namelen: linux.NAME_MAX, Frsize: arch.PageSize}
}
