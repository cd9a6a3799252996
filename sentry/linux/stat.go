package linux

// Stat is struct stat.
type Stat struct {
	Dev, Ino, Nlink     uint64
	Mode                FileMode
	UID, GID            uint32
	_                   uint32
	Rdev                uint64
	Size                int64
	Blksize, Blocks     int64
	Atime, Mtime, Ctime Timespec
	_                   [3]int64
}

// FileMode is mode_t: the type of a file and its permissions.
type FileMode uint32

// File types and permission bits, <linux/stat.h>.
const (
	S_IFMT   FileMode = 0o170000
	S_IFSOCK FileMode = 0o140000
	S_IFLNK  FileMode = 0o120000
	S_IFREG  FileMode = 0o100000
	S_IFBLK  FileMode = 0o060000
	S_IFDIR  FileMode = 0o040000
	S_IFCHR  FileMode = 0o020000
	S_IFIFO  FileMode = 0o010000
	S_ISUID  FileMode = 0o4000
	S_ISGID  FileMode = 0o2000
	S_ISVTX  FileMode = 0o1000

	PermMask FileMode = 0o7777
)

// Type is the S_IFMT part of m; Perm the rest.
func (m FileMode) Type() FileMode { return m & S_IFMT }

// Perm is m without the file's type.
func (m FileMode) Perm() FileMode { return m & PermMask }

// IsDir, IsRegular and IsSymlink name the commonest questions.
func (m FileMode) IsDir() bool { return m&S_IFMT == S_IFDIR }

// IsRegular reports whether m is of a regular file.
func (m FileMode) IsRegular() bool { return m&S_IFMT == S_IFREG }

// IsSymlink reports whether m is of a symbolic link.
func (m FileMode) IsSymlink() bool { return m&S_IFMT == S_IFLNK }

// DirentType is m's type as struct dirent has it (DT_REG…).
func (m FileMode) DirentType() uint8 { return uint8(m & S_IFMT >> 12) }

// Makedev is a device number as stat(2) and mknod(2) encode it.
func Makedev(major, minor uint32) uint64 {
	return uint64(minor&0xff) | uint64(major&0xfff)<<8 | uint64(minor&^0xff)<<12 | uint64(major&^0xfff)<<32
}

// Major is the major number of device number dev.
func Major(dev uint64) uint32 { return uint32(dev>>8&0xfff) | uint32(dev>>32)&^0xfff }

// Minor is the minor number of device number dev.
func Minor(dev uint64) uint32 { return uint32(dev&0xff) | uint32(dev>>12)&^0xff }
