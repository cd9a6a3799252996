package vfs

import (
	"garrison/sentry/linux"
)

// An Inode is a file of any type, as its filesystem has it. vfs calls its methods
// from many goroutines at once, with no lock of rank Inode or later held, and with
// the names of a directory that change locked (one Make, Remove, Link, Rename or
// Lookup at a time in one directory).
//
// While vfs holds an Inode, the same file is the same Inode (==), whatever name it
// was found by: file locks, watches, FIFOs and sockets hang on that identity. What
// Lookup and the others return is held once (see Counted).
type Inode interface {
	// Attr returns the attributes. It is called for each directory of each
	// path that is walked: it must be cheap where it can.
	Attr(Ctx) (Attr, error)
	// SetAttr sets what the mask names; the rest of a is undefined. vfs has
	// checked that the caller may. The filesystem sets ctime to c.Now(), and
	// mtime too if the size is set.
	SetAttr(c Ctx, a *Attr, mask AttrMask) error
	// Open opens a regular file or a directory; vfs never calls it for another
	// type (but see Opener). Of flags the access mode, O_TRUNC, O_APPEND,
	// O_DIRECT, O_SYNC and O_NONBLOCK are meant for it: names and
	// permissions are settled. O_TRUNC is done by vfs with SetAttr unless the
	// inode is a Truncator.
	Open(c Ctx, flags linux.OpenFlags) (File, error)
}

// Attr is what stat(2) and statx(2) tell of a file.
type Attr struct {
	Dev     uint64 // 0: that of the filesystem
	Ino     uint64
	Mode    linux.FileMode // the type and the permissions
	Nlink   uint32
	UID     uint32
	GID     uint32
	Rdev    uint64 // of a device, as linux.Makedev has it
	Size    int64  // bytes
	Blocks  uint64 // of 512 bytes
	Blksize uint32 // preferred for I/O; 0: a page
	Flags   uint64 // STATX_ATTR_*
	MountID int    // filled in by vfs

	Atime, Mtime, Ctime, Btime linux.Timespec // Btime zero: not known
}

// AttrMask says which fields of an Attr are to be set.
type AttrMask uint32

// What can be set.
const (
	SetMode AttrMask = 1 << iota // the permission bits of Mode; the type never changes
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
)

// A Counted inode wants to know when vfs no longer needs it. Whatever returns an
// Inode to vfs (Lookup, Make, Walk, Create, Type.New…) returns it held once; vfs
// holds it more often with Hold, and gives each hold back with Drop, with no lock of
// rank Inode or later held, in any goroutine. Neither may block.
type Counted interface {
	Hold()
	Drop()
}

// What follows an inode says by having the method. What it lacks, vfs refuses with
// the errno in the comment.
type (
	// Dir: a directory. ENOTDIR.
	Dir interface {
		// Lookup returns the inode that name names: ENOENT if none. name is
		// never "", "." or "..", nor longer than NAME_MAX.
		Lookup(c Ctx, name string) (Inode, error)
	}

	// Walker: many names in one step, to save round trips. Optional.
	Walker interface {
		// Walk looks up names[0] here, names[1] in that, and so on. It may
		// stop anywhere after the first; err is why the next name failed, nil
		// if it only stopped (at a symlink, at a limit).
		Walk(c Ctx, names []string) ([]Inode, error)
	}

	// Maker: things can be made here. EPERM (EROFS if it is read-only).
	Maker interface {
		// Make makes the file s tells of. vfs has found that name does not
		// exist; if it does after all: EEXIST.
		Make(c Ctx, name string, s *MakeSpec) (Inode, error)
	}

	// Creator makes and opens a regular file in one step. Optional.
	Creator interface {
		Create(c Ctx, name string, s *MakeSpec, flags linux.OpenFlags) (Inode, File, error)
	}

	// TempMaker: O_TMPFILE. EOPNOTSUPP.
	TempMaker interface {
		// MakeTemp makes a regular file without a name (nlink 0), in the
		// filesystem of this directory.
		MakeTemp(c Ctx, s *MakeSpec) (Inode, error)
	}

	// Linker: hard links. EPERM.
	Linker interface {
		// Link makes name in this directory another name of i, an inode of
		// this filesystem that is no directory.
		Link(c Ctx, name string, i Inode) error
	}

	// Remover: names can go. EPERM.
	Remover interface {
		// Remove removes name, which names i: by rmdir if dir (ENOTEMPTY
		// unless empty), else by unlink. The inode lives on while it is held.
		Remove(c Ctx, name string, i Inode, dir bool) error
	}

	// Renamer: names can move. EXDEV. It is asked on the old directory.
	Renamer interface {
		Rename(c Ctx, r *RenameSpec) error
	}

	// Symlink: a symbolic link. EINVAL.
	Symlink interface {
		Readlink(Ctx) (string, error)
	}

	// Follower: a magic link, such as /proc/self/exe, which jumps to a file
	// whatever its name. It is a Symlink too.
	Follower interface {
		// Follow returns the place, held.
		Follow(Ctx) (Path, error)
	}

	// Xattr: extended attributes (xattr(7)). EOPNOTSUPP. vfs has checked the
	// namespace's rules; names are full ("user.x").
	Xattr interface {
		GetXattr(c Ctx, name string) ([]byte, error) // ENODATA
		// SetXattr sets it: EEXIST and ENODATA as flags (XATTR_*) ask.
		SetXattr(c Ctx, name string, value []byte, flags int) error
		ListXattr(Ctx) ([]string, error)
		RemoveXattr(c Ctx, name string) error // ENODATA
	}

	// ACLer: access control lists (acl(5)). EOPNOTSUPP. It is an Xattr too, which lists
	// their names, and sees to it that an access list follows SetAttr of a mode (ACL.Chmod).
	// vfs never asks it of a symlink.
	ACLer interface {
		// ACL returns a list, nil if there is none. vfs asks for an access list in
		// each directory that somebody walks who neither owns it nor is
		// privileged, and for a default list where something is made: it must be
		// cheap where it can.
		ACL(c Ctx, kind ACLKind) (ACL, error)
		// SetACL sets a list, or takes it away (nil), and with an access list the
		// permission bits, which vfs has made those that go with it.
		SetACL(c Ctx, kind ACLKind, acl ACL, mode linux.FileMode) error
	}

	// Stale: names in this directory change behind vfs. Optional.
	Stale interface {
		// Revalidate reports whether name still names i (nil: nothing).
		Revalidate(c Ctx, name string, i Inode) bool
	}

	// BasicAttrer: some attributes cost less than all. Optional.
	BasicAttrer interface {
		// BasicAttr is Attr of which only Mode, UID and GID need be right, whether
		// Nlink is 0, and Ino unless that is 0.
		BasicAttr(Ctx) (Attr, error)
	}

	// Permitter decides on access by rules of its own, instead of mode bits
	// (/proc/pid). Optional.
	Permitter interface {
		Permit(Ctx, Access) error
	}

	// AccessChecker is asked for more by access(2) and chdir(2), which only ask, than by
	// what goes on to do something: it is Permit for them. Optional.
	AccessChecker interface {
		CheckAccess(Ctx, Access) error
	}

	// OwnJudge may leave it to SetAttr who may change attributes. Optional.
	OwnJudge interface{ JudgesChanges() bool }

	// Opener is opened by its own Open whatever its type: not by the table of
	// devices, not as a FIFO. Optional.
	Opener interface {
		// OpenAt is Open that is told the name it was found by.
		OpenAt(c Ctx, p Path, flags linux.OpenFlags) (File, error)
	}

	// Truncator empties the file itself when opened with O_TRUNC. Optional.
	Truncator interface{ TruncatesAtOpen() }

	// Atimer has its access time set by vfs: vfs says when a file was read,
	// the filesystem applies Relatime unless strict. Optional.
	Atimer interface {
		TouchAtime(c Ctx, strict bool)
	}

	// Attrer is asked for file attributes (FS_IOC_GETFLAGS). ENOTTY.
	Attrer interface {
		FileFlags(Ctx) (uint32, error)
		SetFileFlags(Ctx, uint32) error
	}
)

// A MakeSpec says what Make is to make, and whose it is. vfs has applied the umask,
// the directory's default list and the rules for inherited groups.
type MakeSpec struct {
	Mode     linux.FileMode // type and permissions
	UID, GID uint32
	Rdev     uint64 // of a device
	Target   string // of a symlink
	ACLs     [ACLKinds]ACL
}

// A RenameSpec says what Rename is to do. vfs has checked types, permissions,
// mounts, and that no directory moves into itself.
type RenameSpec struct {
	Old    string // here
	NewDir Inode  // a directory of the same filesystem, perhaps the same one
	New    string
	// Moved is what Old names; Replaced what New names, nil if nothing.
	Moved, Replaced Inode
	Flags           uint32 // RENAME_*; with RENAME_EXCHANGE both are there
}

// Access is what a caller wants to do with an inode, in access(2)'s bits.
type Access uint8

// Kinds of access.
const (
	MayExec  Access = 1 // search, for a directory
	MayWrite Access = 2
	MayRead  Access = 4
)

// The root inode of a filesystem may also speak for the whole of it.
type (
	// Statfser: statfs(2). ENOSYS. vfs fills in what it knows (Fsid, Flags,
	// Namelen, Frsize if they are zero).
	Statfser interface {
		Statfs(Ctx) (linux.Statfs, error)
	}
	// FSSyncer: sync(2), syncfs(2). Nothing to do.
	FSSyncer interface{ SyncFS(Ctx) error }
	// Settler: things are put off for a moment. Settle does them now.
	Settler interface{ Settle() }
	// Shower: the options that /proc/mounts shows, as "size=1k,mode=755".
	Shower interface{ ShowOptions() string }
	// Remounter: mount(2) with MS_REMOUNT and new data. Options are ignored.
	Remounter interface {
		Remount(c Ctx, o Options) error
	}
	// Starter is told which filesystem it is the root of, before anybody sees it.
	Starter interface{ Start(fs *Filesystem) }
	// Shutter is told when the last mount and the last open file are gone.
	Shutter interface{ Shutdown() }
	// Aborter gives up what it waits for: umount2(2) with MNT_FORCE. Nothing to do.
	Aborter interface{ Abort() }
	// Devicer says which device number stat shows. One of vfs's own.
	Devicer interface{ Device() uint64 }
)
