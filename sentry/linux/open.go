package linux

// OpenFlags are the flags of open(2) and fcntl(F_SETFL).
type OpenFlags uint32

// <asm-generic/fcntl.h>
const (
	O_RDONLY    OpenFlags = 0
	O_WRONLY    OpenFlags = 1
	O_RDWR      OpenFlags = 2
	O_ACCMODE   OpenFlags = 3
	O_CREAT     OpenFlags = 0o100
	O_EXCL      OpenFlags = 0o200
	O_NOCTTY    OpenFlags = 0o400
	O_TRUNC     OpenFlags = 0o1000
	O_APPEND    OpenFlags = 0o2000
	O_NONBLOCK  OpenFlags = 0o4000
	O_DSYNC     OpenFlags = 0o10000
	O_ASYNC     OpenFlags = 0o20000
	O_DIRECT    OpenFlags = 0o40000
	O_LARGEFILE OpenFlags = 0o100000
	O_DIRECTORY OpenFlags = 0o200000
	O_NOFOLLOW  OpenFlags = 0o400000
	O_NOATIME   OpenFlags = 0o1000000
	O_CLOEXEC   OpenFlags = 0o2000000
	O_SYNC      OpenFlags = 0o4000000 | O_DSYNC
	O_PATH      OpenFlags = 0o10000000
	O_TMPFILE   OpenFlags = 0o20000000 | O_DIRECTORY
)

// Readable reports whether a file opened with f may be read.
func (f OpenFlags) Readable() bool {
	return f&O_PATH == 0 && (f&O_ACCMODE == O_RDONLY || f&O_ACCMODE == O_RDWR)
}

// Writable reports whether a file opened with f may be written.
func (f OpenFlags) Writable() bool {
	return f&O_PATH == 0 && (f&O_ACCMODE == O_WRONLY || f&O_ACCMODE == O_RDWR)
}

// Flags of the *at calls, <linux/fcntl.h>.
const (
	AT_FDCWD            = -100
	AT_SYMLINK_NOFOLLOW = 0x100
	AT_EACCESS          = 0x200
	AT_REMOVEDIR        = 0x200
	AT_SYMLINK_FOLLOW   = 0x400
	AT_NO_AUTOMOUNT     = 0x800
	AT_EMPTY_PATH       = 0x1000
)

// Limits on names, <linux/limits.h>.
const (
	NAME_MAX = 255
	PATH_MAX = 4096
)
